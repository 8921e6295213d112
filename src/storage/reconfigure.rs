//! Changing options while the store is open.

use super::Options;
use super::core::Core;
use super::error::Result;

impl Core {
    pub(crate) fn reconfigure(&self, _options: &Options) -> Result<Vec<&'static str>> {
        Ok(Vec::new())
    }
}
