//! What a person at a terminal reads when the server starts: what was found, where it listens, which limits hold, how
//! long it took. Elsewhere Gunicorn's lines are written, which scripts parse.

use std::time::{Duration, Instant};

use settings::Config;

use crate::{application, logging};

/// Everything that is known before the application is imported.
pub(crate) fn opening(config: &Config, python: &str) -> String {
    // What follows the number tells of the build.
    let python = python.split_whitespace().next().unwrap_or(python);
    let mut text = format!(
        "{} {} · Python {python} · pid {}\n",
        bold("oxicorn"),
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    let addresses: Vec<String> = config.bind.iter().map(ToString::to_string).collect();
    let rows = [
        ("app", config.app.clone().unwrap_or_default()),
        ("listen", addresses.join(", ")),
        ("workers", workers(config)),
        ("limits", limits(config)),
    ];
    for (name, value) in rows {
        text.push_str(&format!("  {name:<9} {value}\n"));
    }
    text
}

/// The last line, once every worker serves.
pub(crate) fn ready(since: Instant) -> String {
    format!(
        "  {} {:.2}s  (Ctrl+C to stop)\n",
        bold("ready in"),
        since.elapsed().as_secs_f64()
    )
}

fn workers(config: &Config) -> String {
    let class = application::worker_class(config);
    let threads = match config.threads {
        0 | 1 => String::new(),
        threads => format!(", {threads} threads each"),
    };
    let preloaded = if config.preload_app {
        ", preloaded"
    } else {
        ""
    };
    format!("{} × {class}{threads}{preloaded}", config.workers)
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
    fn the_opening_names_what_is_served_and_where() {
        let config = Config {
            app: Some("shop.wsgi".into()),
            workers: 2,
            threads: 4,
            ..Config::default()
        };
        let text = opening(&config, "3.11.7");
        assert!(text.contains("app       shop.wsgi\n"), "{text}");
        assert!(text.contains("listen    http://127.0.0.1:8000\n"), "{text}");
        assert!(
            text.contains("workers   2 × gthread (asgi for an ASGI application), 4 threads each\n"),
            "{text}"
        );
    }
}
