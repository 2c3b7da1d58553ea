//! What a setting can hold before it has a type: the values that a Python conf file can give, and how Python
//! would print them. It converts nothing; `kind` and `field` do.

use std::fmt::{self, Write as _};

/// A value as a conf file, an environment variable or a command line gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Python's `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A string. Everything from a command line or from the environment is one.
    Str(String),
    /// A list or a tuple.
    List(Vec<Value>),
    /// A dictionary with string keys, in its order.
    Map(Vec<(String, Value)>),
    /// Anything else: the name of its Python type, for the message.
    Other(String),
}

impl Value {
    /// How Python's `print` shows it: strings bare, everything else as `repr` does.
    pub fn display(&self) -> String {
        match self {
            Self::Str(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl fmt::Display for Value {
    /// Python's `repr`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("None"),
            Self::Bool(true) => out.write_str("True"),
            Self::Bool(false) => out.write_str("False"),
            Self::Int(number) => write!(out, "{number}"),
            Self::Float(number) => write!(out, "{number:?}"),
            Self::Str(text) => quote(text, out),
            Self::List(items) => {
                out.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    write!(out, "{}{item}", separator(index))?;
                }
                out.write_char(']')
            }
            Self::Map(entries) => {
                out.write_char('{')?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.write_str(separator(index))?;
                    quote(key, out)?;
                    write!(out, ": {value}")?;
                }
                out.write_char('}')
            }
            Self::Other(type_name) => write!(out, "<{type_name}>"),
        }
    }
}

fn separator(index: usize) -> &'static str {
    if index == 0 { "" } else { ", " }
}

/// Single quotes, unless the text has some and no double ones, as Python chooses.
fn quote(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mark = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.write_char(mark)?;
    for character in text.chars() {
        match character {
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            control if control.is_control() => write!(out, "\\x{:02x}", u32::from(control))?,
            quoted if quoted == mark => write!(out, "\\{quoted}")?,
            plain => out.write_char(plain)?,
        }
    }
    out.write_char(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_prints_as_python_prints_it() {
        let check = |value: Value, expected: &str| assert_eq!(value.to_string(), expected);
        check(Value::None, "None");
        check(Value::Float(2.0), "2.0");
        check(Value::from("it's"), "\"it's\"");
        check(Value::from("it's \"so\""), "'it\\'s \"so\"'");
        check(Value::from("a\tb\u{1}"), "'a\\tb\\x01'");
        check(
            Value::List(vec![Value::from("a"), Value::Bool(true)]),
            "['a', True]",
        );
        check(
            Value::Map(vec![("A".into(), Value::Int(1)), ("B".into(), Value::None)]),
            "{'A': 1, 'B': None}",
        );
        assert_eq!(Value::from("bare").display(), "bare");
    }
}
