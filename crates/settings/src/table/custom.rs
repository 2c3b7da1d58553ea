//! Accesses to the fields whose type alone does not say how they are read, and the environment variables that stand
//! for settings.

use std::path::Path;

use crate::choice::WorkerClass;
use crate::config::Config;
use crate::error::Rejection;
use crate::field::{Access, Field};
use crate::setting::Variable;
use crate::value::Value;

/// Where Gunicorn looks for a conf file of its own accord.
pub(super) const DEFAULT_CONF: &str = "./gunicorn.conf.py";

/// Most fields that a request head can be allowed, Gunicorn's bound.
pub(crate) const MOST_FIELDS: usize = 32_768;

/// The default location counts as not chosen: a missing file is a mistake only if it was named.
pub(super) const CONF: Access = Access {
    write: |config, value| {
        config.config =
            Option::<String>::from_value(value)?.filter(|location| location != DEFAULT_CONF);
        Ok(())
    },
    read: |config| {
        Value::Str(
            config
                .config
                .clone()
                .unwrap_or_else(|| DEFAULT_CONF.to_owned()),
        )
    },
};

/// A server that listens nowhere serves nothing.
pub(super) const BIND: Access = Access {
    write: |config, value| {
        config.bind = Vec::from_value(value)?;
        match config.bind.is_empty() {
            true => Err(Rejection::unacceptable("at least one address")),
            false => Ok(()),
        }
    },
    read: |config| config.bind.to_value(),
};

/// uvicorn's option of the same name takes JSON and YAML.
pub(super) const LOGCONFIG: Access = Access {
    write: |config, value| {
        let file = Option::<String>::from_value(value)?;
        let extension = file
            .as_deref()
            .and_then(|file| Path::new(file).extension()?.to_str());
        let hint = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => "--log-config-json reads JSON",
            Some("yaml" | "yml") => {
                "YAML goes into a conf file: logconfig_dict = yaml.safe_load(open(\"log.yaml\"))"
            }
            _ => {
                config.logconfig = file;
                return Ok(());
            }
        };
        Err(Rejection::unacceptable("a file for logging.config.fileConfig").hint(hint))
    },
    read: |config| config.logconfig.to_value(),
};

/// The bounds of RFC 9113, section 6.5.2.
pub(super) const HTTP2_WINDOW: Access = Access {
    write: |config, value| {
        let window = u32::from_value(value)?;
        match i32::try_from(window) {
            Ok(_) => config.http2_initial_window_size = window,
            Err(_) => return Err(Rejection::unacceptable("0 to 2147483647")),
        }
        Ok(())
    },
    read: |config| config.http2_initial_window_size.to_value(),
};

/// The same section.
pub(super) const HTTP2_FRAME: Access = Access {
    write: |config, value| {
        let frame = u32::from_value(value)?;
        match frame {
            16_384..=16_777_215 => config.http2_max_frame_size = frame,
            _ => return Err(Rejection::unacceptable("16384 to 16777215")),
        }
        Ok(())
    },
    read: |config| config.http2_max_frame_size.to_value(),
};

/// No protocol at all would leave nothing to speak.
pub(super) const PROTOCOLS: Access = Access {
    write: |config, value| {
        config.http_protocols = Vec::from_value(value)?;
        match config.http_protocols.is_empty() {
            true => Err(Rejection::unacceptable("h1, h2, or both")),
            false => Ok(()),
        }
    },
    read: |config| config.http_protocols.to_value(),
};

/// A pool of no threads is one of one.
pub(super) const THREADS: Access = Access {
    write: |config, value| {
        config.threads = u32::from_value(value)?.max(1);
        Ok(())
    },
    read: |config| config.threads.to_value(),
};

/// Out of range means the bound, as for Gunicorn.
pub(super) const FIELDS: Access = Access {
    write: |config, value| {
        let fields = usize::from_value(value)?;
        config.limit_request_fields = if fields == 0 {
            MOST_FIELDS
        } else {
            fields.min(MOST_FIELDS)
        };
        Ok(())
    },
    read: |config| config.limit_request_fields.to_value(),
};

/// Unset means yes.
pub(super) const SENDFILE: Access = Access {
    write: |config, value| {
        config.sendfile = Option::<bool>::from_value(value)?.unwrap_or(true);
        Ok(())
    },
    read: |config| config.sendfile.to_value(),
};

pub(super) const RAW_ENV: Access = Access {
    write: write_raw_env,
    read: read_raw_env,
};

fn write_raw_env(config: &mut Config, value: &Value) -> Result<(), Rejection> {
    config.raw_env = variables(value)?;
    Ok(())
}

/// Variables for the PasteDeploy file.
pub(super) const PASTE_GLOBAL: Access = Access {
    write: |config, value| {
        config.raw_paste_global_conf = variables(value)?;
        Ok(())
    },
    read: |config| assignments(&config.raw_paste_global_conf),
};

pub(super) const CANONICAL_HOST: Access = Access {
    write: |config, value| {
        let host = Option::<String>::from_value(value)?;
        let is_host = |host: &String| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
            host.bytes().all(plain)
        };
        if host.as_ref().is_some_and(|host| !is_host(host)) {
            return Err(Rejection::unacceptable(
                "a host name, with a port if it has one",
            ));
        }
        config.canonical_host = host;
        Ok(())
    },
    read: |config| config.canonical_host.to_value(),
};

pub(super) const REQUEST_ID: Access = Access {
    write: |config, value| {
        let field = Option::<String>::from_value(value)?;
        let is_name = |field: &String| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            field.bytes().all(plain)
        };
        if field.as_ref().is_some_and(|field| !is_name(field)) {
            return Err(Rejection::unacceptable(
                "the name of a field, of letters, digits and hyphens",
            ));
        }
        config.request_id = field;
        Ok(())
    },
    read: |config| config.request_id.to_value(),
};

/// A path at which the server itself answers.
pub(super) const HEALTH_PATH: Access = Access {
    write: |config, value| {
        config.health_path = own_path(value)?;
        Ok(())
    },
    read: |config| config.health_path.to_value(),
};

/// The same.
pub(super) const READY_PATH: Access = Access {
    write: |config, value| {
        config.ready_path = own_path(value)?;
        Ok(())
    },
    read: |config| config.ready_path.to_value(),
};

fn own_path(value: &Value) -> Result<Option<String>, Rejection> {
    let path = Option::<String>::from_value(value)?;
    let is_path = |path: &String| {
        path.starts_with('/')
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte))
    };
    match path {
        Some(path) if !is_path(&path) => Err(Rejection::unacceptable(
            "a path that begins with a slash, as requests spell it, without query",
        )),
        path => Ok(path),
    }
}

/// Reads a list of `NAME=VALUE`.
fn variables(value: &Value) -> Result<Vec<(String, String)>, Rejection> {
    let entries = Vec::<String>::from_value(value)?;
    let pairs = entries.iter().map(|entry| match entry.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Rejection::unacceptable("NAME=VALUE").part(&Value::from(entry.as_str()))),
    });
    pairs.collect()
}

fn assignments(variables: &[(String, String)]) -> Value {
    Value::List(
        variables
            .iter()
            .map(|(key, value)| Value::Str(format!("{key}={value}")))
            .collect(),
    )
}

fn read_raw_env(config: &Config) -> Value {
    assignments(&config.raw_env)
}

/// Field names are compared in upper case, so they are kept in it.
pub(super) const SCHEME_FIELDS: Access = Access {
    write: write_scheme_fields,
    read: read_scheme_fields,
};

fn write_scheme_fields(config: &mut Config, value: &Value) -> Result<(), Rejection> {
    let expected = "a dictionary of field names and values, both strings";
    let Value::Map(entries) = value else {
        return Err(Rejection::malformed(expected));
    };
    let pairs = entries.iter().map(|(name, value)| match value {
        Value::Str(value) => Ok((name.to_ascii_uppercase(), value.clone())),
        _ => Err(Rejection::malformed(expected)),
    });
    config.secure_scheme_headers = pairs.collect::<Result<_, _>>()?;
    Ok(())
}

fn read_scheme_fields(config: &Config) -> Value {
    let entries = config.secure_scheme_headers.iter();
    Value::Map(
        entries
            .map(|(name, value)| (name.clone(), Value::Str(value.clone())))
            .collect(),
    )
}

/// The class, and the name that it was given by: a class of the user's own is known to Python alone.
pub(super) const WORKER_CLASS: Access = Access {
    write: |config, value| {
        config.worker_class = WorkerClass::from_value(value)?;
        config.worker_class_name = String::from_value(value)?;
        Ok(())
    },
    read: |config| match config.worker_class {
        WorkerClass::Custom => config.worker_class_name.to_value(),
        class => class.to_value(),
    },
};

pub(super) const RESPONSE_FIELDS: Access = Access {
    write: write_response_fields,
    read: |config| {
        let fields = config.response_headers.iter();
        Value::List(
            fields
                .map(|(name, value)| Value::Str(format!("{name}: {value}")))
                .collect(),
        )
    },
};

pub(super) const CACHE_RULES: Access = Access {
    write: write_cache_rules,
    read: |config| {
        let rules = config.static_cache_control.iter();
        let spelling = |(pattern, value): &(String, String)| format!("{pattern}={value}");
        Value::List(rules.map(|rule| Value::Str(spelling(rule))).collect())
    },
};

fn write_cache_rules(config: &mut Config, value: &Value) -> Result<(), Rejection> {
    let rule =
        |entry: String| match entry.split_once('=') {
            Some((pattern, value)) if !pattern.is_empty() && !entry.contains(char::is_control) => {
                Ok((pattern.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(Rejection::unacceptable("PATTERN=VALUE, as *.pdf=no-store")
                .part(&Value::Str(entry))),
        };
    let entries: Vec<String> = Field::from_value(value)?;
    config.static_cache_control = entries.into_iter().map(rule).collect::<Result<_, _>>()?;
    Ok(())
}

/// A field that could not be sent is a mistake of the operator's, not of each response.
fn write_response_fields(config: &mut Config, value: &Value) -> Result<(), Rejection> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    // The end of each body is told by what the response itself is.
    let is_framing = |name: &str| {
        ["content-length", "transfer-encoding"]
            .iter()
            .any(|framing| framing.eq_ignore_ascii_case(name))
    };
    let field = |entry: String| match entry.split_once(':') {
        Some((name, _)) if is_framing(name) => Err(Rejection::unacceptable(
            "a field that does not frame the body",
        )
        .part(&Value::Str(entry))),
        Some((name, value))
            if !name.is_empty()
                && name.bytes().all(is_token)
                && !value.chars().any(char::is_control) =>
        {
            Ok((name.to_owned(), value.trim().to_owned()))
        }
        _ => Err(Rejection::unacceptable("NAME:VALUE").part(&Value::Str(entry))),
    };
    let entries = Vec::<String>::from_value(value)?;
    config.response_headers = entries.into_iter().map(field).collect::<Result<_, _>>()?;
    Ok(())
}

/// A class object of a conf file has no name that would lead back to it.
pub(super) const LOGGER_CLASS: Access = Access {
    write: |config, value| {
        config.logger_class = match value {
            Value::Other(_) => None,
            Value::None => Some(DEFAULT_LOGGER_CLASS.to_owned()),
            name => Some(String::from_value(name)?),
        };
        Ok(())
    },
    read: |config| match &config.logger_class {
        Some(name) => Value::Str(name.clone()),
        None => Value::Other("class".to_owned()),
    },
};

/// The logger class of Gunicorn, and of Oxicorn under Gunicorn's name.
pub(super) const DEFAULT_LOGGER_CLASS: &str = "gunicorn.glogging.Logger";

/// A dictionary that is handed on as it is.
pub(super) const LOGGING_DICTIONARY: Access = Access {
    write: |config, value| match value {
        Value::Map(entries) => {
            config.logconfig_dict = entries.clone();
            Ok(())
        }
        _ => Err(Rejection::malformed("a dictionary with strings as keys")),
    },
    read: |config| Value::Map(config.logconfig_dict.clone()),
};

pub(super) const FORWARDER_FIELDS: Access = Access {
    write: |config, value| {
        let names = Vec::<String>::from_value(value)?;
        config.forwarder_headers = names.iter().map(|name| name.to_ascii_uppercase()).collect();
        Ok(())
    },
    read: |config| config.forwarder_headers.to_value(),
};

/// A comma list that Gunicorn keeps, and prints, as the string that it was.
pub(super) const PYTHONPATH: Access = Access {
    write: |config, value| {
        config.pythonpath = Vec::from_value(value)?;
        Ok(())
    },
    read: |config| match config.pythonpath.as_slice() {
        [] => Value::None,
        directories => Value::Str(directories.join(",")),
    },
};

pub(super) const PORT: Variable = Variable {
    name: "PORT",
    meaning: "`0.0.0.0:$PORT`",
    value: |text| match given(text).map(str::parse::<u16>) {
        None => Ok(None),
        Some(Ok(port)) => Ok(Some(Value::List(vec![Value::Str(format!(
            "0.0.0.0:{port}"
        ))]))),
        Some(Err(_)) => Err(Rejection::malformed("a port, 0 to 65535")),
    },
};

pub(super) const WEB_CONCURRENCY: Variable = Variable {
    name: "WEB_CONCURRENCY",
    meaning: "its value",
    value: |count| Ok(given(count).map(Value::from)),
};

/// An empty value counts: it trusts no peer.
pub(super) const FORWARDED_ALLOW_IPS: Variable = Variable {
    name: "FORWARDED_ALLOW_IPS",
    meaning: "its value",
    value: |peers| Ok(Some(Value::from(peers))),
};

pub(super) const SENDFILE_VARIABLE: Variable = Variable {
    name: "SENDFILE",
    meaning: "on for `y`, `yes`, `1` and `true`, off for anything else",
    value: |word| {
        Ok(given(word).map(|word| {
            Value::Bool(matches!(
                word.to_lowercase().as_str(),
                "y" | "1" | "yes" | "true"
            ))
        }))
    },
};

/// A variable that is set to nothing says nothing.
fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_for_every_response_frames_a_body() {
        let set = |entry: &str| {
            let mut config = Config::default();
            let value = Value::List(vec![Value::from(entry)]);
            write_response_fields(&mut config, &value).map(|()| config.response_headers.len())
        };
        assert_eq!(set("Content-Language: en").ok(), Some(1));
        assert!(set("content-length: 5").is_err());
        assert!(set("Transfer-Encoding:chunked").is_err());
    }
}
