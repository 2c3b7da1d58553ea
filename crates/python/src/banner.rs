//! What a person at a terminal reads when the server starts: what was found, where it listens, which limits hold, how
//! long it took. Elsewhere Gunicorn's lines are written, which scripts parse.

use std::time::{Duration, Instant};

use arbiter::Listener;
use settings::Config;

use crate::logging;

/// What is known once the sockets are bound, before the application is imported.
pub(crate) fn opening(config: &Config, listeners: &[Listener], python: &str) -> String {
    // What follows the number tells of the build.
    let python = python.split_whitespace().next().unwrap_or(python);
    let addresses: Vec<String> = listeners
        .iter()
        .map(|listener| config.shown(listener.address()))
        .collect();
    let mut text = format!(
        "{} {} · Python {python} · pid {}\n",
        bold("oxicorn"),
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    text.push_str(&row("app", config.app.as_deref().unwrap_or_default()));
    text.push_str(&row("listen", &addresses.join(", ")));
    text.push_str(&row("limits", &limits(config)));
    text
}

/// The last lines, once every worker serves.
pub(crate) fn ready(config: &Config, workers: u32, class: &str, since: Instant) -> String {
    let threads = match (class, config.threads) {
        ("gthread", threads) => format!(", {threads} threads each"),
        _ => String::new(),
    };
    let preloaded = match config.preload_app {
        true => ", preloaded",
        false => "",
    };
    let kind = format!("{workers} × {class}{threads}{preloaded}");
    format!(
        "{}  {} {:.2}s  (Ctrl+C to stop)\n",
        row("workers", &kind),
        bold("ready in"),
        since.elapsed().as_secs_f64()
    )
}

/// The same as a line of the log: at the start where there is no banner, and after each reload.
pub(crate) fn ready_line(workers: u32, class: &str, since: Instant) -> String {
    let verb = match workers {
        1 => "worker serves",
        _ => "workers serve",
    };
    let seconds = since.elapsed().as_secs_f64();
    format!("Ready: {workers} {class} {verb} after {seconds:.2} s")
}

fn row(name: &str, value: &str) -> String {
    format!("  {name:<9} {value}\n")
}

fn limits(config: &Config) -> String {
    let body = match config.limit_request_body {
        0 => "unlimited".to_owned(),
        bytes => size(bytes),
    };
    format!(
        "request {} · head {} · body {body} · keep-alive {}",
        span(config.timeout),
        span(config.header_timeout),
        span(config.keepalive)
    )
}

/// Zero is no limit, for every time that the settings hold.
fn span(duration: Duration) -> String {
    match duration {
        Duration::ZERO => "off".to_owned(),
        duration => format!("{}s", duration.as_secs_f64()),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(unit, name)| format!("{} {name}", bytes / unit),
    )
}

fn bold(text: &str) -> String {
    match logging::is_coloured() {
        true => format!("\u{1b}[1m{text}\u{1b}[0m"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shown_in_the_units_they_were_meant_in() {
        assert_eq!(
            (size(1), size(2048), size(100 << 20)),
            ("1 bytes".into(), "2 KiB".into(), "100 MiB".into())
        );
        assert_eq!(
            (span(Duration::ZERO), span(Duration::from_millis(2500))),
            ("off".into(), "2.5s".into())
        );
    }

    #[test]
    fn the_opening_names_what_is_served_and_the_end_who_serves_it() {
        let config = Config {
            app: Some("shop.wsgi".into()),
            threads: 4,
            ..Config::default()
        };
        let text = opening(&config, &[], "3.11.7 (main)");
        assert!(text.contains(" · Python 3.11.7 · "), "{text}");
        assert!(text.contains("app       shop.wsgi\n"), "{text}");
        let text = ready(&config, 2, "gthread", Instant::now());
        assert!(
            text.starts_with("  workers   2 × gthread, 4 threads each\n"),
            "{text}"
        );
        let text = ready(&config, 1, "asgi", Instant::now());
        assert!(text.starts_with("  workers   1 × asgi\n"), "{text}");
        let line = ready_line(2, "asgi", Instant::now());
        assert!(
            line.starts_with("Ready: 2 asgi workers serve after 0.0"),
            "{line}"
        );
    }
}
