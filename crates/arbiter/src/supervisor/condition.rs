//! How the server as a whole is, in the words of a service manager.

use super::{Stage, Supervisor};

/// What the server is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// As many workers as were asked for have never served yet.
    Starting,
    /// It serves, or tries to again.
    Serving,
    /// Workers with another reading of the configuration take over.
    Reloading,
    /// It leaves.
    Stopping,
}

/// How the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) stand: Stand,
    /// Workers that serve.
    pub(crate) serving: usize,
    /// Workers that there shall be.
    pub(crate) target: u32,
    /// Why the last reload came to nothing.
    pub(crate) failure: Option<String>,
}

impl Supervisor {
    pub(crate) fn condition(&self) -> Condition {
        Condition {
            stand: self.stand(),
            serving: self.fleet.count(|worker| worker.is_serving()),
            target: self.target(),
            failure: self.failed_reload.clone(),
        }
    }

    fn stand(&self) -> Stand {
        let is_old = |worker: &super::Worker| worker.generation != self.current.number;
        match self.stage {
            Stage::Stopping { .. } | Stage::Ended => Stand::Stopping,
            Stage::Running if !self.has_served => Stand::Starting,
            Stage::Running
                if self.fallback.is_some()
                    || self
                        .fleet
                        .count(|worker| is_old(worker) && worker.is_active())
                        > 0 =>
            {
                Stand::Reloading
            }
            Stage::Running => Stand::Serving,
        }
    }

    /// Whether clients are served, or need not be: before the server has ever served, its start decides, and a server
    /// that stops has its own limits.
    pub(crate) fn is_well(&self) -> bool {
        !matches!(self.stage, Stage::Running)
            || !self.has_served
            || self.target() == 0
            || self.fleet.count(|worker| worker.is_serving()) > 0
    }
}
