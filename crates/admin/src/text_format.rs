//! The text in which metrics are exposed: Prometheus's own format, version 0.0.4, and OpenMetrics 1.0.0. They differ in
//! the names of counters, in the unit, and in the end.

use std::fmt::{Display, Write as _};

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Prometheus,
    OpenMetrics,
}

impl Dialect {
    /// What an Accept field wants. Prometheus asks for OpenMetrics first; a person with a browser for neither.
    pub(crate) fn wanted(accept: &[u8]) -> Dialect {
        let accept = String::from_utf8_lossy(accept).to_ascii_lowercase();
        let mut best = (0.0, Dialect::Prometheus);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let dialect = match parts.next() {
                Some("application/openmetrics-text") => Dialect::OpenMetrics,
                Some("text/plain" | "text/*" | "*/*") => Dialect::Prometheus,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
            let quality: f32 = quality.unwrap_or(1.0);
            if quality > best.0 {
                best = (quality, dialect);
            }
        }
        best.1
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Dialect::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Dialect::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What kind of numbers a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A family of metrics: what is said of it once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    /// Without the `_total` of a counter, but with the unit.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// `seconds`, `bytes`, or nothing.
    pub(crate) unit: &'static str,
    pub(crate) help: &'static str,
}

/// Labels of one number, in their order.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

/// The text, as far as it is written.
#[derive(Debug)]
pub(crate) struct Exposition {
    dialect: Dialect,
    text: String,
}

impl Exposition {
    pub(crate) fn new(dialect: Dialect) -> Exposition {
        Exposition {
            dialect,
            text: String::with_capacity(16 * 1024),
        }
    }

    /// Begins a family, whose numbers follow.
    pub(crate) fn family(&mut self, family: &Family) {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let name = match (family.kind, self.dialect) {
            (Kind::Counter, Dialect::Prometheus) => format!("{}_total", family.name),
            _ => family.name.to_owned(),
        };
        self.line(format_args!("# HELP {name} {}", family.help));
        self.line(format_args!("# TYPE {name} {kind}"));
        if self.dialect == Dialect::OpenMetrics && !family.unit.is_empty() {
            self.line(format_args!("# UNIT {name} {}", family.unit));
        }
    }

    /// A number of a family.
    pub(crate) fn number(&mut self, family: &Family, labels: Labels<'_>, value: impl Display) {
        let end = match family.kind {
            Kind::Counter => "_total",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.sample(family.name, end, labels, value);
    }

    /// One line of a family.
    pub(crate) fn sample(
        &mut self,
        name: &str,
        end: &str,
        labels: Labels<'_>,
        value: impl Display,
    ) {
        self.text.push_str(name);
        self.text.push_str(end);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(text, &mut self.text);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        if self.dialect == Dialect::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(text);
        self.text.push('\n');
    }
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: Family = Family {
        name: "shop_requests",
        kind: Kind::Counter,
        unit: "",
        help: "Requests.",
    };

    #[test]
    fn the_dialects_name_counters_differently() {
        let text = |dialect| {
            let mut out = Exposition::new(dialect);
            out.family(&REQUESTS);
            out.number(&REQUESTS, &[("path", "a\"b\\c\nd")], 7);
            out.finish()
        };
        assert_eq!(
            text(Dialect::Prometheus),
            "# HELP shop_requests_total Requests.\n# TYPE shop_requests_total counter\n\
             shop_requests_total{path=\"a\\\"b\\\\c\\nd\"} 7\n"
        );
        assert_eq!(
            text(Dialect::OpenMetrics),
            "# HELP shop_requests Requests.\n# TYPE shop_requests counter\n\
             shop_requests_total{path=\"a\\\"b\\\\c\\nd\"} 7\n# EOF\n"
        );
    }

    #[test]
    fn the_accept_field_decides() {
        let check = |accept: &str, expected| {
            assert_eq!(Dialect::wanted(accept.as_bytes()), expected, "{accept}");
        };
        check("", Dialect::Prometheus);
        check("*/*", Dialect::Prometheus);
        check(
            "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
            Dialect::Prometheus,
        );
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        check(prometheus, Dialect::OpenMetrics);
        check(
            "application/openmetrics-text;q=0.1, text/plain",
            Dialect::Prometheus,
        );
    }
}
