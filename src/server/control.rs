//! What the server asks of the process around it.

use crate::protocol::{ConfigItem, ReloadReport};

/// The process around a server: it has read the configuration and can read it again.
pub trait Control: Send + Sync {
    /// The configuration in force, every key once, in the order of the configuration's document.
    fn config(&self) -> Vec<ConfigItem>;

    /// Reads the configuration again and applies what can change while the server runs.
    ///
    /// # Errors
    /// Why it was refused; the old configuration stays in force then.
    fn reload(&self) -> Result<ReloadReport, String>;
}

/// For a server that has no configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoControl;

impl Control for NoControl {
    fn config(&self) -> Vec<ConfigItem> {
        Vec::new()
    }

    fn reload(&self) -> Result<ReloadReport, String> {
        Err("not available: this server has no configuration to read again".to_owned())
    }
}
