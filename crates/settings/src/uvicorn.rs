//! uvicorn's options: what each of them is here. They are read from the command line, and from the `CONFIG_KWARGS` of a
//! worker class that extends one of uvicorn's. Where Gunicorn has an option of the same name, Gunicorn's is meant and
//! nothing stands here.

use crate::setting::{Literal, Status, find};
use crate::value::Value;

/// What an option of uvicorn's means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Purpose {
    /// The value of this setting.
    Setting(&'static str),
    /// A switch, which gives this setting this value.
    Switch(&'static str, Literal),
    /// A part of the address to listen on.
    Bind(Part),
    /// Nothing comes of its value: why.
    Nothing(&'static str),
}

/// What an option says about the address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Host,
    Port,
    Socket,
    Descriptor,
}

/// One option of uvicorn's that is not the spelling of a setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alias {
    pub(crate) flag: &'static str,
    pub(crate) purpose: Purpose,
}

const fn alias(flag: &'static str, purpose: Purpose) -> Alias {
    Alias { flag, purpose }
}

const ONE_PARSER: &str = "there is one HTTP parser";
const ONE_WEBSOCKET: &str = "there is one WebSocket implementation";

/// Every alias. Options of uvicorn's that are settings of ours under the same name (`--proxy-headers`) stand in the
/// table.
pub(crate) const ALIASES: &[Alias] = &[
    alias("--host", Purpose::Bind(Part::Host)),
    alias("--port", Purpose::Bind(Part::Port)),
    alias("--uds", Purpose::Bind(Part::Socket)),
    alias("--fd", Purpose::Bind(Part::Descriptor)),
    alias("--app-dir", Purpose::Setting("pythonpath")),
    alias("--timeout-keep-alive", Purpose::Setting("keepalive")),
    alias(
        "--timeout-graceful-shutdown",
        Purpose::Setting("graceful_timeout"),
    ),
    alias("--limit-max-requests", Purpose::Setting("max_requests")),
    alias(
        "--limit-max-requests-jitter",
        Purpose::Setting("max_requests_jitter"),
    ),
    alias("--lifespan", Purpose::Setting("asgi_lifespan")),
    alias("--loop", Purpose::Setting("asgi_loop")),
    alias(
        "--ws-max-size",
        Purpose::Setting("websocket_max_message_size"),
    ),
    alias("--ssl-keyfile", Purpose::Setting("keyfile")),
    alias("--ssl-certfile", Purpose::Setting("certfile")),
    alias("--ssl-ca-certs", Purpose::Setting("ca_certs")),
    alias("--ssl-cert-reqs", Purpose::Setting("cert_reqs")),
    alias("--ssl-ciphers", Purpose::Setting("ciphers")),
    alias(
        "--access-log",
        Purpose::Switch("accesslog", Literal::Str("-")),
    ),
    alias(
        "--no-access-log",
        Purpose::Switch("accesslog", Literal::None),
    ),
    alias(
        "--no-proxy-headers",
        Purpose::Switch("proxy_headers", Literal::Bool(false)),
    ),
    alias(
        "--server-header",
        Purpose::Switch("server_header", Literal::Bool(true)),
    ),
    alias(
        "--date-header",
        Purpose::Switch("date_header", Literal::Bool(true)),
    ),
    alias("--http", Purpose::Nothing(ONE_PARSER)),
    alias("--ws", Purpose::Nothing(ONE_WEBSOCKET)),
    alias(
        "--ws-max-queue",
        Purpose::Nothing("messages wait with the client until the application asks for them"),
    ),
    // Any other value is refused.
    alias(
        "--interface",
        Purpose::Nothing("the application shows which interface it has"),
    ),
    alias(
        "--no-use-colors",
        Purpose::Switch("use_colors", Literal::Bool(false)),
    ),
];

impl Alias {
    /// Whether the option needs a value.
    pub(crate) fn takes_value(&self) -> bool {
        !matches!(self.purpose, Purpose::Switch(..))
    }

    /// Whether the setting that is meant is not part of this version.
    pub(crate) fn is_refused(&self) -> bool {
        let Purpose::Setting(name) = self.purpose else {
            return false;
        };
        find(name).is_some_and(|setting| matches!(setting.status, Status::Later(_)))
    }

    /// The words for `--help`.
    pub(crate) fn help(&self) -> String {
        match self.purpose {
            Purpose::Setting(name) => {
                format!(
                    "The same as {}",
                    find(name).map_or(name, |setting| setting.option())
                )
            }
            Purpose::Switch("accesslog", Literal::None) => "No access log, the default".to_owned(),
            Purpose::Switch("accesslog", _) => "The same as --access-logfile -".to_owned(),
            Purpose::Switch(name, Literal::Bool(true)) => format!("{name}: on, the default"),
            Purpose::Switch(name, _) => format!("{name}: off"),
            Purpose::Bind(Part::Host) => "The host to listen on; --bind HOST:PORT".to_owned(),
            Purpose::Bind(Part::Port) => "The port to listen on; --bind HOST:PORT".to_owned(),
            Purpose::Bind(Part::Socket) => {
                "The Unix socket to listen on; --bind unix:PATH".to_owned()
            }
            Purpose::Bind(Part::Descriptor) => "The socket to listen on; --bind fd://N".to_owned(),
            Purpose::Nothing(reason) => format!("Accepted, without effect: {reason}"),
        }
    }
}

/// The address that the parts make, with an option that names it, or the two options that contradict each other:
/// uvicorn has one address.
pub(crate) fn address(
    parts: &[(Part, &str)],
) -> Result<Option<(String, &'static str)>, [&'static str; 2]> {
    let of = |wanted| {
        let part = parts.iter().find(|(part, _)| *part == wanted);
        part.map(|(_, text)| *text)
    };
    let network = match (of(Part::Host), of(Part::Port)) {
        (None, None) => None,
        (Some(host), port) => Some((network(host, port.unwrap_or("8000")), "--host")),
        (None, Some(port)) => Some((network("127.0.0.1", port), "--port")),
    };
    let socket = of(Part::Socket).map(|path| (format!("unix:{path}"), "--uds"));
    let descriptor = of(Part::Descriptor).map(|number| (format!("fd://{number}"), "--fd"));
    let mut said = [network, socket, descriptor].into_iter().flatten();
    match (said.next(), said.next()) {
        (Some((_, one)), Some((_, other))) => Err([one, other]),
        (address, _) => Ok(address),
    }
}

fn network(host: &str, port: &str) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// What a worker class of uvicorn's family says of its settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassSettings {
    /// Names and values, as a conf file would have them.
    pub values: Vec<(String, Value)>,
    /// What has no effect here, one sentence each.
    pub notices: Vec<String>,
    /// What is not called and may be missed, one sentence each.
    pub cautions: Vec<String>,
}

/// Keywords of uvicorn's `Config` whose settings have another name, beside the aliases.
const KEYWORDS: &[(&str, &str)] = &[
    ("factory", "app_factory"),
    ("log_level", "loglevel"),
    ("headers", "response_headers"),
    ("ssl_version", "ssl_version"),
    ("ssl_cert_reqs", "cert_reqs"),
];

/// Keywords that are settings of the same name.
const SAME: &[&str] = &[
    "backlog",
    "date_header",
    "env_file",
    "forwarded_allow_ips",
    "limit_concurrency",
    "proxy_headers",
    "root_path",
    "server_header",
    "use_colors",
    "ws_per_message_deflate",
    "ws_ping_interval",
    "ws_ping_timeout",
];

/// Translates the `CONFIG_KWARGS` of a worker class. `None` is uvicorn's word for "nothing said".
pub fn class_settings(class: &str, keywords: Vec<(String, Value)>) -> ClassSettings {
    let mut settings = ClassSettings::default();
    for (keyword, value) in keywords {
        match setting_of(&keyword) {
            _ if value == Value::None || is_automatic(&keyword, &value) => {}
            Some(name) => settings
                .values
                .push((name.to_owned(), translate(&keyword, value))),
            None => settings.notices.push(format!(
                "{keyword}={value} has no effect here (from {class}.CONFIG_KWARGS)"
            )),
        }
    }
    settings
}

/// `auto` lets the server choose, which it does.
fn is_automatic(keyword: &str, value: &Value) -> bool {
    matches!(keyword, "http" | "ws" | "loop" | "interface") && *value == Value::from("auto")
}

fn setting_of(keyword: &str) -> Option<&'static str> {
    let same = SAME.iter().find(|name| **name == keyword).copied();
    let known = || {
        KEYWORDS
            .iter()
            .find(|(name, _)| *name == keyword)
            .map(|(_, name)| *name)
    };
    let flag = format!("--{}", keyword.replace('_', "-"));
    let aliased = || {
        let alias = ALIASES.iter().find(|alias| alias.flag == flag)?;
        match alias.purpose {
            Purpose::Setting(name) | Purpose::Switch(name, _) => Some(name),
            Purpose::Bind(_) | Purpose::Nothing(_) => None,
        }
    };
    let name = same.or_else(known).or_else(aliased)?;
    find(name).map(|setting| setting.name)
}

fn translate(keyword: &str, value: Value) -> Value {
    match (keyword, value) {
        ("access_log", Value::Bool(true)) => Value::from("-"),
        ("access_log", _) => Value::None,
        ("headers", Value::List(pairs)) => Value::List(pairs.into_iter().map(field).collect()),
        (_, value) => value,
    }
}

/// `("name", "value")` as `name: value`.
fn field(pair: Value) -> Value {
    match &pair {
        Value::List(parts) => match &parts[..] {
            [Value::Str(name), Value::Str(value)] => Value::Str(format!("{name}: {value}")),
            _ => pair,
        },
        _ => pair,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::table;

    #[test]
    fn an_alias_is_no_flag_of_the_table_and_names_a_setting() {
        for alias in ALIASES {
            let twice = ALIASES
                .iter()
                .filter(|other| other.flag == alias.flag)
                .count();
            let flags = || table().iter().flat_map(|setting| setting.flags);
            assert!(
                twice == 1 && !flags().any(|flag| *flag == alias.flag),
                "{}",
                alias.flag
            );
            if let Purpose::Setting(name) | Purpose::Switch(name, _) = alias.purpose {
                assert!(find(name).is_some(), "{name}");
            }
        }
        for name in KEYWORDS.iter().map(|(_, name)| *name) {
            assert!(find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn parts_make_one_address() {
        let check = |parts: &[(Part, &str)], expected: Result<Option<&str>, [&'static str; 2]>| {
            let found = address(parts).map(|found| found.map(|(text, _)| text));
            let expected = expected.map(|text| text.map(str::to_owned));
            assert_eq!(found, expected, "{parts:?}");
        };
        check(&[], Ok(None));
        check(&[(Part::Host, "0.0.0.0")], Ok(Some("0.0.0.0:8000")));
        check(&[(Part::Port, "80")], Ok(Some("127.0.0.1:80")));
        check(
            &[(Part::Host, "::"), (Part::Port, "80")],
            Ok(Some("[::]:80")),
        );
        check(&[(Part::Socket, "/run/s")], Ok(Some("unix:/run/s")));
        check(&[(Part::Descriptor, "3")], Ok(Some("fd://3")));
        check(
            &[(Part::Socket, "/s"), (Part::Port, "80")],
            Err(["--port", "--uds"]),
        );
        check(
            &[(Part::Socket, "/s"), (Part::Descriptor, "3")],
            Err(["--uds", "--fd"]),
        );
    }

    #[test]
    fn the_keywords_of_a_class_become_settings_or_notices() {
        let keyword = |name: &str, value: Value| (name.to_owned(), value);
        let pair = Value::List(vec![Value::from("x-a"), Value::from("1")]);
        let found = class_settings(
            "shop.Worker",
            vec![
                keyword("loop", Value::from("asyncio")),
                keyword("http", Value::from("h11")),
                keyword("ws", Value::from("auto")),
                keyword("timeout_keep_alive", Value::Int(7)),
                keyword("limit_concurrency", Value::None),
                keyword("access_log", Value::Bool(false)),
                keyword("headers", Value::List(vec![pair])),
                keyword("root_path", Value::from("/a")),
            ],
        );
        let expected = vec![
            keyword("asgi_loop", Value::from("asyncio")),
            keyword("keepalive", Value::Int(7)),
            keyword("accesslog", Value::None),
            keyword("response_headers", Value::List(vec![Value::from("x-a: 1")])),
            keyword("root_path", Value::from("/a")),
        ];
        assert_eq!(found.values, expected);
        let notice = "http='h11' has no effect here (from shop.Worker.CONFIG_KWARGS)";
        assert_eq!(found.notices, [notice]);
    }
}
