//! Gunicorn's control protocol: four bytes of length, the most significant first, and a message in JSON. A request is
//! `{"id": 1, "command": "show workers", "args": []}`, an answer `{"id": 1, "status": "ok", "data": {…}}` or
//! `{"id": 1, "status": "error", "error": "…"}`.

use std::time::Duration;

use arbiter::Status;
use serde_json::{Value, json};

use crate::client::Heard;
use crate::commands;
use crate::inquiry::Inquiry;

const LENGTH: usize = 4;
/// The most of a message: commands have some dozen bytes.
const MESSAGE_BYTES: usize = 8 * 1024;

/// What becomes of bytes of which `is_full` says that no more of them will be read.
pub(crate) fn hear(received: &[u8], is_full: bool, status: &Status<'_>, now: Duration) -> Heard {
    let Some((length, rest)) = received.split_first_chunk::<LENGTH>() else {
        return Heard::Part;
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    match rest.get(..length) {
        Some(message) => answer(message, LENGTH + length, status, now),
        None if is_full || length > MESSAGE_BYTES => Heard::Request {
            length: received.len(),
            answer: encode(&failure(&Value::Null, "the message is too long")),
            order: None,
            goes_on: false,
        },
        None => Heard::Part,
    }
}

fn answer(message: &[u8], length: usize, status: &Status<'_>, now: Duration) -> Heard {
    let request: Value = serde_json::from_slice(message).unwrap_or_default();
    let id = &request["id"];
    let (answer, order) = match command_of(&request) {
        None => (failure(id, "the message is no command"), None),
        Some(words) => match Inquiry::of(&words, status, now) {
            Some(Ok(inquiry)) => {
                let id = id.clone();
                return Heard::Inquiry {
                    length,
                    inquiry,
                    id,
                };
            }
            Some(Err(reason)) => (failure(id, &reason), None),
            None => match commands::perform(&words, status, now) {
                Ok((data, order)) => (success(id, &data), order),
                Err(reason) => (failure(id, &reason), None),
            },
        },
    };
    Heard::Request {
        length,
        answer: encode(&answer),
        order,
        goes_on: true,
    }
}

/// The words of the command and its arguments, which Gunicorn's client sends in one string and others apart.
fn command_of(request: &Value) -> Option<Vec<String>> {
    let command = request["command"].as_str()?;
    let words = command.split_whitespace().map(str::to_owned);
    let arguments = request["args"].as_array().into_iter().flatten();
    let arguments = arguments.map(|argument| match argument {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    Some(words.chain(arguments).collect())
}

/// What the answer to an inquiry is told as.
pub(crate) fn report(id: &Value, data: &Value) -> Vec<u8> {
    encode(&success(id, data))
}

fn success(id: &Value, data: &Value) -> Value {
    json!({"id": id, "status": "ok", "data": data})
}

fn failure(id: &Value, reason: &str) -> Value {
    json!({"id": id, "status": "error", "error": reason})
}

fn encode(answer: &Value) -> Vec<u8> {
    let text = answer.to_string();
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::with_status;

    /// What is answered to bytes, and how many of them were used.
    fn check(received: &[u8], expected: Option<(usize, &str)>) {
        with_status(|status| {
            let heard = hear(received, false, status, Duration::from_secs(100));
            let seen = match &heard {
                Heard::Part | Heard::Inquiry { .. } => None,
                Heard::Request { length, answer, .. } => {
                    let (size, text) = answer.split_first_chunk::<LENGTH>().expect("a length");
                    assert_eq!(u32::from_be_bytes(*size) as usize, text.len());
                    Some((*length, std::str::from_utf8(text).expect("text")))
                }
            };
            assert_eq!(seen, expected, "{received:?}");
        });
    }

    fn message(text: &str) -> Vec<u8> {
        [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
    }

    #[test]
    fn a_message_is_answered_when_it_is_whole() {
        let whole = message(r#"{"id":7,"command":"reopen"}"#);
        for length in 0..whole.len() {
            check(&whole[..length], None);
        }
        let answer = r#"{"data":{"status":"reopening"},"id":7,"status":"ok"}"#;
        check(&whole, Some((whole.len(), answer)));
        let two = [whole.clone(), whole.clone()].concat();
        check(&two, Some((whole.len(), answer)));
    }

    #[test]
    fn what_is_no_command_is_an_error_and_not_the_end() {
        let wrong = r#"{"error":"the message is no command","id":null,"status":"error"}"#;
        for text in ["", "{", "[]", "7", "\"show\"", r#"{"command":7}"#] {
            check(&message(text), Some((LENGTH + text.len(), wrong)));
        }
    }

    #[test]
    fn a_message_that_is_too_long_ends_the_connection() {
        with_status(|status| {
            let received = [0xff; 100];
            let heard = hear(&received, true, status, Duration::ZERO);
            assert!(matches!(heard, Heard::Request { goes_on: false, .. }));
        });
    }
}
