//! Recorded values, as settings see them.

use serde_json::Value as Json;
use settings::Value;

/// The value that a conf file would have given.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::None,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().expect("a number")),
        },
        Json::String(text) => Value::Str(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(entries) => {
            let pair = |(key, item): (&String, &Json)| (key.clone(), value(item));
            Value::Map(entries.iter().map(pair).collect())
        }
    }
}
