//! Changing options while the store is open.

use std::sync::Arc;

use super::core::{Core, lock};
use super::error::Result;
use super::{Options, WalSyncStrategy};

impl Core {
    /// See [`super::Engine::reconfigure`].
    pub(crate) fn reconfigure(&self, options: &Options) -> Result<Vec<&'static str>> {
        // No write comes between the strategy and the options that name it, nor is one half done.
        let writer = lock(&self.writer);
        self.check_open()?;
        let old = self.options();
        let mut needs_restart = Vec::new();
        let mut next = options.clone();
        next.events.clone_from(&old.events);
        next.background = old.background;
        if options.background != old.background {
            needs_restart.push("background");
        }
        if options.sync != old.sync && !self.durability.follow(options.sync) {
            next.sync = old.sync;
            needs_restart.push("sync");
        }
        let appended = writer.last_lsn();
        self.keep_reserve_for(&old, appended);
        if options.cache_size != old.cache_size {
            self.cache.resize(options.cache_size);
        }
        self.change_view(|view| view.options = Arc::new(next));
        drop(writer);
        self.refit_reserve();
        self.flush_bell.ring();
        self.compact_bell.ring();
        // Readers see what the old strategy showed them: it must be durable before the new one holds.
        // Where that fails writing has stopped, and only a restart brings every-write.
        if self.durability.is_every_write()
            && old.sync != WalSyncStrategy::EveryWrite
            && self.durability.wait(appended).is_err()
        {
            needs_restart.push("sync");
        }
        Ok(needs_restart)
    }
}
