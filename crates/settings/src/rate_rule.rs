//! How often a client may ask, as `/login=5/m,burst=3`.

use crate::error::Rejection;
use crate::field::Field;
use crate::value::Value;

/// A rate for requests below a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RateRule {
    /// How the paths begin; `/` is all.
    pub prefix: String,
    /// So many requests, at least one,
    pub count: u32,
    /// in so many seconds.
    pub seconds: u32,
    /// How many may come at once; at least one.
    pub burst: u32,
}

const UNITS: [(&str, u32); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

impl RateRule {
    const ACCEPTED: &str = "[PREFIX=]COUNT/UNIT[,burst=COUNT] with counts from 1 to 1000000 and a unit of s, m, h \
                            or d, as 20/s or /login=5/m,burst=3";

    fn parse(text: &str) -> Option<Self> {
        let (prefix, rate) = match text.starts_with('/') {
            true => text.split_once('=')?,
            false => ("/", text),
        };
        let (rate, burst) = match rate.split_once(',') {
            Some((rate, burst)) => (rate, Some(burst.trim().strip_prefix("burst=")?)),
            None => (rate, None),
        };
        let (count, unit) = rate.trim().split_once('/')?;
        let (_, seconds) = UNITS.into_iter().find(|(known, _)| *known == unit)?;
        let count = number(count)?;
        let burst = burst.map_or(Some(count), number)?;
        Some(Self {
            prefix: prefix.to_owned(),
            count,
            seconds,
            burst,
        })
    }
}

/// The most requests of a rule. Rates are kept as the time between two requests, in whole microseconds.
const MOST: u32 = 1_000_000;

fn number(text: &str) -> Option<u32> {
    text.parse()
        .ok()
        .filter(|number| (1..=MOST).contains(number))
}

impl Field for RateRule {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        let text = String::from_value(value)?;
        Self::parse(&text).ok_or_else(|| Rejection::unacceptable(Self::ACCEPTED).part(value))
    }

    fn to_value(&self) -> Value {
        let unit = UNITS
            .into_iter()
            .find(|(_, seconds)| *seconds == self.seconds);
        let unit = unit.map_or("s", |(unit, _)| unit);
        let mut text = match self.prefix.as_str() {
            "/" => format!("{}/{unit}", self.count),
            prefix => format!("{prefix}={}/{unit}", self.count),
        };
        if self.burst != self.count {
            text.push_str(&format!(",burst={}", self.burst));
        }
        Value::Str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_rate_and_perhaps_a_path_and_a_burst() {
        let check = |text: &str, expected: Option<(&str, u32, u32, u32)>| {
            let read = RateRule::from_value(&Value::from(text)).ok();
            let parts = read
                .as_ref()
                .map(|rule| (rule.prefix.as_str(), rule.count, rule.seconds, rule.burst));
            assert_eq!(parts, expected, "{text}");
            if let Some(rule) = read {
                assert_eq!(rule.to_value(), Value::from(text));
            }
        };
        check("20/s", Some(("/", 20, 1, 20)));
        check("/login=5/m,burst=3", Some(("/login", 5, 60, 3)));
        check("/a/b=1000/h", Some(("/a/b", 1000, 3600, 1000)));
        for text in [
            "",
            "20",
            "20/w",
            "0/s",
            "/login",
            "5/m,3",
            "5/m,burst=0",
            "x=5/m",
            "-1/s",
        ] {
            check(text, None);
        }
    }
}
