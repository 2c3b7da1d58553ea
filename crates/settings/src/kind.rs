//! What values a setting takes: Gunicorn's rules for each kind, without its tracebacks. A kind turns what a source gave
//! (on the command line everything is a string) into the one form that the typed field reads.

use crate::error::Rejection;
use crate::value::Value;

/// The kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `True`, `False`, or these words; an option without a value on the command line.
    Flag,
    /// `True`, `False`, or these words, also on the command line.
    Switch,
    /// A whole number, at least this; `0x`, `0o` and `0b` are understood.
    Number(i64),
    /// A number of seconds that is not negative, fractions allowed.
    Seconds,
    /// A file mode: octal with a leading 0.
    Mode,
    /// Permission bits, in octal digits, or nothing.
    Permissions,
    /// A string; `None` where the setting can be off.
    Text,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// The same; `False` is the first of them and `True` the last, as before there were more than two.
    Grade(&'static [&'static str]),
    /// The name of a class, or what a conf file holds in its place: the class itself, or a function that returns it.
    Class,
    /// A user or a group: a name or a number.
    Account,
    /// A list of strings; a string alone is a list of one. The option can be repeated.
    Words,
    /// Strings divided by commas, or a list.
    Commas,
    /// A dictionary.
    Dictionary,
    /// A function with this many parameters.
    Hook {
        /// How many positional parameters the server passes.
        parameters: &'static [u8],
    },
}

/// Longest time that a setting can hold: adding it to a clock cannot overflow, and it is longer than any useful wait.
const MOST_SECONDS: i64 = u32::MAX as i64;

/// The permission bits.
const MOST_MODE: i64 = 0o777;

impl Kind {
    /// What is accepted, as an error message and the manual say it.
    pub fn expectation(self) -> String {
        match self {
            Self::Flag | Self::Switch => "True or False".to_owned(),
            Self::Number(least) => format!("a whole number, {least} or more"),
            Self::Seconds => "a number of seconds, 0 or more".to_owned(),
            Self::Mode | Self::Permissions => "a file mode from 0 to 0777".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::Choice(words) | Self::Grade(words) => one_of(words),
            Self::Class => "a class, or its name".to_owned(),
            Self::Account => "a name or a number".to_owned(),
            Self::Words => "a string or a list of strings".to_owned(),
            Self::Commas => "strings divided by commas".to_owned(),
            Self::Dictionary => "a dictionary with strings as keys".to_owned(),
            Self::Hook { parameters } => {
                let counts: Vec<String> = parameters.iter().map(u8::to_string).collect();
                let noun = if parameters == [1] {
                    "parameter"
                } else {
                    "parameters"
                };
                format!("a function with {} {noun}", alternatives(&counts))
            }
        }
    }

    /// Checks a value and puts it in the form that the typed field reads.
    pub(crate) fn check(self, value: &Value) -> Result<Value, Rejection> {
        let malformed = || Rejection::malformed(self.expectation());
        match self {
            Self::Flag | Self::Switch => flag(value).ok_or_else(malformed),
            Self::Number(least) => self.within(whole(value), least, i64::MAX),
            Self::Mode => self.within(whole_or_octal(value), 0, MOST_MODE),
            Self::Permissions if *value == Value::None => Ok(Value::None),
            Self::Permissions => self.within(octal(value), 0, MOST_MODE),
            Self::Seconds => self.seconds(value),
            Self::Class if matches!(value, Value::Other(_)) => Ok(value.clone()),
            Self::Text | Self::Class => match value {
                Value::None => Ok(Value::None),
                Value::Str(text) => Ok(Value::from(text.trim())),
                _ => Err(malformed()),
            },
            Self::Choice(words) => {
                choice(value, words).ok_or_else(|| self.unacceptable_or_malformed(value))
            }
            Self::Grade(words) => choice(value, words)
                .or_else(|| grade(value, words))
                .ok_or_else(|| self.unacceptable_or_malformed(value)),
            Self::Account => account(value).ok_or_else(malformed),
            Self::Words => words(value).ok_or_else(malformed),
            Self::Commas => commas(value).ok_or_else(malformed),
            Self::Dictionary => match value {
                Value::Map(_) => Ok(value.clone()),
                _ => Err(malformed()),
            },
            Self::Hook { .. } => Ok(value.clone()),
        }
    }

    /// What argparse makes of the text of an option: Gunicorn gives whole numbers a type there, so they are numbers
    /// from then on, and decimal. In a conf file the same text may be `0x10`.
    pub(crate) fn argument(self, text: &str) -> Result<Value, Rejection> {
        let number = match self {
            Self::Number(_) => decimal(text),
            Self::Mode => integer(text, 8),
            Self::Permissions => octal(&Value::from(text)),
            Self::Seconds if decimal(text).is_some() => decimal(text),
            Self::Seconds => return self.fraction(text),
            _ => return Ok(Value::from(text)),
        };
        number
            .map(Value::Int)
            .ok_or_else(|| Rejection::malformed(self.expectation()))
    }

    fn fraction(self, text: &str) -> Result<Value, Rejection> {
        let number = text.trim().parse().map(Value::Float);
        number.map_err(|_| Rejection::malformed(self.expectation()))
    }

    fn within(self, number: Option<i64>, least: i64, most: i64) -> Result<Value, Rejection> {
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(Value::Int(number)),
            Some(_) => Err(Rejection::unacceptable(self.expectation())),
            None => Err(Rejection::malformed(self.expectation())),
        }
    }

    fn seconds(self, value: &Value) -> Result<Value, Rejection> {
        if let Some(number) = whole(value) {
            return self.within(Some(number), 0, MOST_SECONDS);
        }
        let fraction = match value {
            Value::Float(number) => Some(*number),
            Value::Str(text) => text.trim().parse::<f64>().ok(),
            _ => None,
        };
        match fraction {
            // The upper bound refuses infinity, and no comparison holds for what is not a number.
            Some(number) if (0.0..=MOST_SECONDS as f64).contains(&number) => {
                Ok(Value::Float(number))
            }
            Some(_) => Err(Rejection::unacceptable(self.expectation())),
            None => Err(Rejection::malformed(self.expectation())),
        }
    }

    fn unacceptable_or_malformed(self, value: &Value) -> Rejection {
        match value {
            Value::Str(_) => Rejection::unacceptable(self.expectation()),
            _ => Rejection::malformed(self.expectation()),
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
fn alternatives(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn one_of(words: &[&str]) -> String {
    alternatives(
        &words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>(),
    )
}

fn flag(value: &Value) -> Option<Value> {
    match value {
        Value::None | Value::Bool(_) => Some(value.clone()),
        Value::Str(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    }
}

/// A whole number; for Python a bool is one.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Str(text) => integer(text, 10),
        _ => None,
    }
}

fn whole_or_octal(value: &Value) -> Option<i64> {
    match value {
        Value::Str(text) => integer(text, 8),
        other => whole(other),
    }
}

/// A text is octal, as chmod(1) reads it; a number is itself.
fn octal(value: &Value) -> Option<i64> {
    match value {
        Value::Str(text) => {
            let text = text.trim();
            let digits = text.strip_prefix("0o").unwrap_or(text);
            let is_octal = digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
            is_octal.then(|| i64::from_str_radix(digits, 8).ok())?
        }
        other => whole(other),
    }
}

/// Python's `int(text, 0)`, and a leading 0 (an error in Python 3) in the base that the caller says.
fn integer(text: &str, base_of_leading_zero: u32) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(start) if start.starts_with('0') => (base_of_leading_zero, digits),
        _ => (10, digits),
    };
    if !digits.starts_with(|first: char| first.is_ascii_hexdigit())
        || digits.ends_with('_')
        || digits.contains("__")
    {
        return None;
    }
    let magnitude = i64::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

/// Python's `int(text)`: leading zeros mean nothing.
fn decimal(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let significant = digits.trim_start_matches('0');
    let zeros = digits.len() - significant.len();
    if zeros > 0 && significant.is_empty() {
        return Some(0);
    }
    // `0_1` is a number as well, `0x1` is none.
    let significant = match zeros {
        0 => significant,
        _ => significant.strip_prefix('_').unwrap_or(significant),
    };
    let sign = if text.starts_with('-') { "-" } else { "" };
    significant
        .starts_with(|first: char| first.is_ascii_digit())
        .then(|| integer(&format!("{sign}{significant}"), 10))?
}

fn choice(value: &Value, words: &[&str]) -> Option<Value> {
    let Value::Str(text) = value else { return None };
    let word = text.trim().to_ascii_lowercase();
    words.contains(&word.as_str()).then_some(Value::Str(word))
}

/// What a flag means among words of which the first is off.
fn grade(value: &Value, words: &[&str]) -> Option<Value> {
    let given = match value {
        Value::Str(text) if text.trim() == "1" => Value::Bool(true),
        Value::Str(text) if text.trim() == "0" => Value::Bool(false),
        value => flag(value)?,
    };
    let word = match given == Value::Bool(true) {
        true => words.last(),
        false => words.first(),
    };
    word.map(|word| Value::from(*word))
}

fn account(value: &Value) -> Option<Value> {
    match value {
        Value::None => Some(Value::None),
        Value::Int(number) if *number >= 0 => Some(Value::Str(number.to_string())),
        Value::Str(text) if !text.trim().is_empty() => Some(Value::from(text.trim())),
        _ => None,
    }
}

fn words(value: &Value) -> Option<Value> {
    match value {
        // What Python takes for false is no words, as for Gunicorn.
        Value::None | Value::Bool(false) | Value::Int(0) => Some(Value::List(Vec::new())),
        Value::Str(text) if text.is_empty() => Some(Value::List(Vec::new())),
        Value::Map(entries) if entries.is_empty() => Some(Value::List(Vec::new())),
        Value::Str(text) => Some(Value::List(vec![Value::from(text.trim())])),
        Value::List(items) => strings(items),
        _ => None,
    }
}

fn commas(value: &Value) -> Option<Value> {
    match value {
        Value::None => Some(Value::List(Vec::new())),
        Value::Str(text) => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Some(Value::List(parts.map(Value::from).collect()))
        }
        Value::List(items) => strings(items),
        _ => None,
    }
}

fn strings(items: &[Value]) -> Option<Value> {
    let each = items.iter().map(|item| match item {
        Value::Str(text) => Some(Value::from(text.trim())),
        _ => None,
    });
    each.collect::<Option<Vec<_>>>().map(Value::List)
}

#[cfg(test)]
mod tests;
