//! From a checked value to the type of a field in `Config`, and back. A type is implemented once; the table says with
//! `field!` which field a setting fills.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::Address;
use crate::choice::{
    AsgiLifespan, AsgiLoop, Cleartext, GarbageCollection, HeaderMap, HttpProtocol, LogLevel,
    Protocol, ProxyProtocol, ReloadEngine, WorkerClass, WorkerReplacement,
};
use crate::config::Config;
use crate::error::Rejection;
use crate::mount::{StaticMissing, StaticSymlinks};
use crate::network::AddressSet;
use crate::os_text;
use crate::statsd::StatsdAddress;
use crate::value::Value;

/// The way to one field of [`Config`], in both directions.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    pub(crate) write: fn(&mut Config, &Value) -> Result<(), Rejection>,
    pub(crate) read: fn(&Config) -> Value,
}

impl fmt::Debug for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Access")
    }
}

/// The access to a field whose type alone says how it is read.
macro_rules! field {
    ($name:ident) => {
        Some($crate::field::Access {
            write: |config, value| {
                config.$name = $crate::field::Field::from_value(value)?;
                Ok(())
            },
            read: |config| $crate::field::Field::to_value(&config.$name),
        })
    };
}
pub(crate) use field;

/// A type that a field of [`Config`] can have.
pub(crate) trait Field: Sized {
    /// Reads a value that its setting's `Kind` has already checked.
    fn from_value(value: &Value) -> Result<Self, Rejection>;
    /// The value again.
    fn to_value(&self) -> Value;
}

impl Field for bool {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        match value {
            Value::Bool(flag) => Ok(*flag),
            // Python's None is false wherever Gunicorn asks.
            Value::None => Ok(false),
            _ => Err(Rejection::malformed("True or False")),
        }
    }

    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
}

/// The unsigned integers: what does not fit is refused with the type's own range.
macro_rules! whole_numbers {
    ($($kind:ty),*) => {$(
        impl Field for $kind {
            fn from_value(value: &Value) -> Result<Self, Rejection> {
                match value {
                    Value::Int(number) => Self::try_from(*number)
                        .map_err(|_| Rejection::unacceptable(format!("a whole number up to {}", Self::MAX))),
                    _ => Err(Rejection::malformed("a whole number")),
                }
            }

            fn to_value(&self) -> Value {
                // No setting reaches beyond i64: its value came from one.
                Value::Int(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }
    )*};
}
whole_numbers!(u32, u64, usize);

impl Field for Duration {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        let seconds = match value {
            Value::Int(number) => u64::try_from(*number).ok().map(Self::from_secs),
            Value::Float(number) => Self::try_from_secs_f64(*number).ok(),
            _ => None,
        };
        seconds.ok_or_else(|| Rejection::malformed("a number of seconds"))
    }

    fn to_value(&self) -> Value {
        match self.subsec_nanos() {
            0 => self.as_secs().to_value(),
            _ => Value::Float(self.as_secs_f64()),
        }
    }
}

impl Field for String {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        match value {
            Value::Str(text) => Ok(text.clone()),
            _ => Err(Rejection::malformed("a string")),
        }
    }

    fn to_value(&self) -> Value {
        Value::Str(self.clone())
    }
}

impl Field for PathBuf {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        Ok(os_text::to_os(&String::from_value(value)?).into())
    }

    fn to_value(&self) -> Value {
        Value::Str(os_text::from_os(self.as_os_str()))
    }
}

impl<T: Field> Field for Option<T> {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        match value {
            Value::None => Ok(None),
            // An empty string is what an unset shell variable leaves behind.
            Value::Str(text) if text.is_empty() => Ok(None),
            given => T::from_value(given).map(Some),
        }
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::None, Field::to_value)
    }
}

impl<T: Field> Field for Vec<T> {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        match value {
            Value::List(items) => items.iter().map(T::from_value).collect(),
            _ => Err(Rejection::malformed("a list")),
        }
    }

    fn to_value(&self) -> Value {
        Value::List(self.iter().map(Field::to_value).collect())
    }
}

impl Field for Address {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        let text = String::from_value(value)?;
        Self::parse(&text).map_err(|reason| {
            Rejection::unacceptable(Self::ACCEPTED)
                .part(value)
                .hint(reason)
        })
    }

    fn to_value(&self) -> Value {
        Value::Str(self.spelling())
    }
}

impl Field for StatsdAddress {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        Self::parse(&String::from_value(value)?)
            .map_err(|reason| Rejection::unacceptable(Self::ACCEPTED).hint(reason))
    }

    fn to_value(&self) -> Value {
        Value::Str(self.spelling())
    }
}

impl Field for AddressSet {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        let members: Vec<String> = Field::from_value(value)?;
        Self::parse(members.iter().map(String::as_str))
            .map_err(|reason| Rejection::unacceptable(Self::ACCEPTED).hint(reason))
    }

    fn to_value(&self) -> Value {
        self.spellings().to_value()
    }
}

/// Why an unknown worker class is refused.
const FOREIGN_CLASS: &str = "worker classes of other projects do not run on Oxicorn; without this setting the \
    application decides between sync and asgi";

impl Field for WorkerClass {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        let Value::Str(text) = value else {
            return Err(Rejection::malformed(Self::ACCEPTED).hint(FOREIGN_CLASS));
        };
        let class = Self::parse(text);
        if let Some(class) = class.filter(|class| class.is_here()) {
            return Ok(class);
        }
        let reason = match class {
            Some(class) => format!(
                "{} workers are not part of this version of Oxicorn; {}",
                class.name(),
                class.instead()
            ),
            None => FOREIGN_CLASS.to_owned(),
        };
        Err(Rejection::unacceptable(Self::ACCEPTED).hint(reason))
    }

    fn to_value(&self) -> Value {
        Value::from(self.name())
    }
}

/// The settings that are one word out of few.
macro_rules! words {
    ($($kind:ty),*) => {$(
        impl Field for $kind {
            fn from_value(value: &Value) -> Result<Self, Rejection> {
                Self::parse(&String::from_value(value)?).ok_or_else(|| Rejection::unacceptable(Self::ACCEPTED))
            }

            fn to_value(&self) -> Value {
                Value::from(self.name())
            }
        }
    )*};
}
words!(
    AsgiLifespan,
    AsgiLoop,
    Cleartext,
    GarbageCollection,
    HeaderMap,
    HttpProtocol,
    LogLevel,
    Protocol,
    ProxyProtocol,
    ReloadEngine,
    StaticMissing,
    StaticSymlinks,
    WorkerReplacement
);
