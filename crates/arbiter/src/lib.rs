//! The arbiter: the process that binds, forks the workers and looks after them, and never serves a request itself.
//!
//! What has to happen is decided by a pure state machine (`supervisor`: events in, actions out, no clock); one
//! driver performs it. What the workers do, and what a hook is, the crate does not know: its [`Host`] does.
//!
//! The arbiter never starts a thread, because what it forks must be clean.
#![forbid(unsafe_code)]

mod driver;
mod failure;
mod forking;
mod generation;
mod host;
mod listeners;
mod measure;
mod owner;
mod pidfile;
mod service_manager;
mod start;
mod status;
mod supervisor;
mod upgrade;

pub use driver::run;
pub use host::{Boot, Host, Moment, Outcome, WorkerSeat};
pub use listeners::{Listener, check_address, listen_on};
pub use measure::Metric;
pub use status::{Admin, ListenerStatus, Order, Status, Totals, WorkerPhase, WorkerStatus};
pub use sys::process::Fork;
pub use upgrade::is_upgrade;

/// The exit code of a server whose configuration, addresses or hooks do not allow it to start.
pub const EXIT_START: i32 = 1;

/// The exit code of a worker that could not boot, and of the server that stops for it. Gunicorn's `WORKER_BOOT_ERROR`.
pub const EXIT_WORKER_BOOT: i32 = 3;

/// The exit code of a worker that the system did not give what it needs: a thread, a descriptor. It is tried again.
pub const EXIT_WORKER_MEANS: i32 = 5;

/// The exit code of a worker that could not find its application, and of the server that stops for it. Gunicorn's
/// `APP_LOAD_ERROR`.
pub const EXIT_APP_LOAD: i32 = 4;
