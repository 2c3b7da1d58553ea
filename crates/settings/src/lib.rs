//! Every setting of Oxicorn, declared once.
//!
//! One table ([`table()`]) holds Gunicorn's 120 settings and Oxicorn's own: name, flags, kind of value, default,
//! environment variable, what a reload does with it, and the words of the manual. The command-line parser, `--help`,
//! the names of a conf file, `docs/reference/settings.md`, the conf template and the output of `--print-config` are
//! views of that table, and [`Config`] is its typed result.
//!
//! The crate decides and does not look: the environment, the conf file's values and the arguments are handed to
//! [`Layers`] as values. It reads no file and no variable, and knows no Python.
//!
//! ```
//! use settings::{Layers, Parsed, Value, parse_command_line};
//!
//! let arguments = ["shop.wsgi", "-w4"].map(String::from);
//! let Parsed::Run(command_line) = parse_command_line(&arguments) else { unreachable!() };
//! let config = Layers::new()
//!     .environment(&|name| (name == "PORT").then(|| "9000".to_owned()))
//!     .conf(vec![("threads".to_owned(), Value::Int(2))])
//!     .command_line(&command_line)
//!     .resolve()?;
//! assert_eq!((config.workers, config.threads, config.app.as_deref()), (4, 2, Some("shop.wsgi")));
//! assert_eq!(config.bind[0].to_string(), "http://0.0.0.0:9000");
//! # Ok::<(), settings::SettingsError>(())
//! ```

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod address;
mod cautions;
mod choice;
mod command_line;
mod compression;
mod config;
mod env_file;
mod error;
mod error_page;
mod field;
mod foreign;
mod kind;
mod layers;
mod mount;
mod near_miss;
mod network;
mod origins;
pub mod os_text;
mod path_timeout;
mod rate_rule;
pub mod render;
mod setting;
mod statsd;
mod table;
mod uvicorn;
mod value;
mod words;

pub use address::Address;
pub use choice::{
    AsgiLifespan, AsgiLoop, Cleartext, GarbageCollection, HeaderMap, HttpProtocol, LogLevel,
    Protocol, ProxyProtocol, ReloadEngine, WorkerClass, WorkerReplacement,
};
pub use command_line::{CommandLine, Parsed, parse_arguments, parse_command_line};
pub use compression::{CodingLevel, ContentCoding};
pub use config::Config;
pub use env_file::parse_env_file;
pub use error::{Problem, SettingsError, Source};
pub use error_page::ErrorPage;
pub use kind::Kind;
pub use layers::Layers;
pub use mount::{Mount, StaticMissing, StaticSymlinks};
pub use near_miss::near_miss;
pub use network::AddressSet;
pub use origins::Origins;
pub use path_timeout::PathTimeout;
pub use rate_rule::RateRule;
pub use setting::{Literal, Reload, Section, Setting, Status, Variable, find, hooks};
pub use statsd::StatsdAddress;
pub use table::table;
pub use uvicorn::{ClassSettings, class_settings};
pub use value::Value;
pub use words::{UnclosedQuote, split_words};
