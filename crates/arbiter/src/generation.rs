//! What the workers of one reading of the configuration share.

use std::sync::Arc;
use std::time::Duration;

use settings::Config;

use crate::listeners::Listener;
use crate::supervisor::Terms;

/// Timeouts are cut to this, more than a century, so that sums of times cannot overflow.
const LONGEST: Duration = Duration::from_secs(1 << 32);

/// A configuration and the listeners that it names. Dropping the last generation that has a listener closes it.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) config: Arc<Config>,
    pub(crate) listeners: Vec<Listener>,
}

impl Generation {
    pub(crate) fn new(config: Config, listeners: Vec<Listener>) -> Self {
        Self {
            config: Arc::new(config),
            listeners,
        }
    }

    /// What the supervisor has to know of it.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            workers: self.config.workers,
            timeout: self.config.timeout.min(LONGEST),
            boot_timeout: self.config.worker_boot_timeout.min(LONGEST),
            drain_delay: self.config.drain_delay.min(LONGEST),
            graceful_timeout: self.config.leaving_timeout().min(LONGEST),
            daemon: self.config.daemon,
            reload: self.config.reload,
            replacement: self.config.worker_replacement,
        }
    }

    /// Where it listens, as the log says it.
    pub(crate) fn addresses(&self) -> String {
        let mut addresses: Vec<_> = self
            .listeners
            .iter()
            .map(|listener| self.config.shown(listener.address()))
            .collect();
        // With reuse_port there are several of each.
        addresses.dedup();
        addresses.join(",")
    }
}
