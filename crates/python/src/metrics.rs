//! Metrics of this process: one way to statsd, opened before the first fork and shared by all processes, because a
//! datagram needs no order and no owner.

use std::sync::{Arc, OnceLock};

use arbiter::Metric;
use log::Level;
use server::Statsd;
use settings::Config;

use crate::logging;

/// The target of an error that tells of an exception in the application or in a hook; Gunicorn counts these apart.
pub(crate) const EXCEPTION: &str = "exception";

static STATSD: OnceLock<Arc<Statsd>> = OnceLock::new();

/// Opens the way that the settings name. What goes wrong is a line in the log: metrics are no reason not to serve.
pub(crate) fn set_up(config: &Config) {
    match Statsd::open(config) {
        Ok(Some(statsd)) => {
            // The setting is read at the start alone.
            let _ = STATSD.set(Arc::new(statsd));
        }
        Ok(None) => {}
        Err(error) => log::warn!("statsd_host: no metrics are sent: {error}"),
    }
}

/// Where metrics go, if anywhere.
pub(crate) fn statsd() -> Option<&'static Arc<Statsd>> {
    STATSD.get()
}

/// Counts a line of the server's own log.
pub(crate) fn count_line(level: Level, target: &str) {
    let Some(statsd) = STATSD.get() else { return };
    match level {
        Level::Error if target == logging::CRITICAL_TARGET => statsd.count("gunicorn.log.critical"),
        Level::Error if target == EXCEPTION => statsd.count("gunicorn.log.exception"),
        Level::Error => statsd.count("gunicorn.log.error"),
        Level::Warn => statsd.count("gunicorn.log.warning"),
        Level::Info | Level::Debug | Level::Trace => {}
    }
}

/// Sends what the arbiter has measured.
pub(crate) fn send(metric: Metric) {
    let Some(statsd) = STATSD.get() else { return };
    match metric {
        Metric::Workers(number) => statsd.gauge("gunicorn.workers", number),
        Metric::Backlog(number) => statsd.histogram("gunicorn.backlog", number),
    }
}
