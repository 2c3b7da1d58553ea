//! Settings that are valid each and make little sense together: a sentence each, for the log and for `--check-config`.

use crate::choice::WorkerClass;
use crate::config::Config;

/// What the operator should know. Nothing here keeps a server from starting.
pub(crate) fn cautions(config: &Config) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut say = |sentence: &str| sentences.push(sentence.to_owned());
    if config.workers == 0 {
        say("workers is 0: nothing is served until the signal TTIN adds a worker");
    }
    if config.preload_app && config.reload {
        say(
            "preload_app wins over reload: the application is imported once, before the workers are forked, so changed \
             files are not watched",
        );
    }
    if config.worker_class == WorkerClass::Asgi && config.threads > 1 {
        say("threads has no effect on asgi workers: all requests of one run on its event loop");
    }
    if config.worker_class == WorkerClass::Gevent && config.threads > 1 {
        say(
            "threads has no effect on gevent workers: each request has a greenlet, at most worker_connections at once",
        );
    }
    let public = config.bind.iter().find(|address| address.is_public());
    if let Some(address) = public {
        let reached = format!("{}, which other machines can reach", address.spelling());
        if config.reload {
            sentences.push(format!(
                "reload is for development, and the server listens on {reached}"
            ));
        }
        if config.forwarded_allow_ips.holds_everyone() {
            sentences.push(format!(
                "forwarded_allow_ips is *, so any client of {reached}, can claim another address and https: name the proxies"
            ));
        }
    }
    let configures_logging = [
        "logger_class",
        "logconfig",
        "logconfig_dict",
        "logconfig_json",
    ]
    .iter()
    .any(|name| config.origins.is_given(name));
    if config.daemon && config.errorlog == "-" && !config.syslog && !configures_logging {
        sentences.push(
            "daemon without a log: what the server has to say is lost; --error-logfile FILE keeps it".to_owned(),
        );
    }
    sentences
}
