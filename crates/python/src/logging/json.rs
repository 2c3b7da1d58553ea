//! Lines of the error log as JSON objects, valid for any message.

use std::fmt::Write as _;
use std::time::SystemTime;

use settings::os_text;
use sys::local_time::local_time;

/// What begins a traceback of Python's, behind the marks of an exception group.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// An object without its end of line. A traceback in the message is a member of its own.
pub(super) fn line(level: &str, message: &str) -> String {
    let mut line = String::with_capacity(message.len() + 128);
    time(SystemTime::now(), &mut line);
    text("level", &level.to_ascii_lowercase(), &mut line);
    // Writing to a string cannot fail.
    let _ = write!(line, ",\"pid\":{}", std::process::id());
    let (message, traceback) = divided(message);
    text("message", message, &mut line);
    if let Some(traceback) = traceback {
        text("traceback", traceback, &mut line);
    }
    line.push('}');
    line
}

/// The message, and the traceback behind its first line.
fn divided(message: &str) -> (&str, Option<&str>) {
    let message = message.trim_end_matches('\n');
    let Some((first, rest)) = message.split_once('\n') else {
        return (message, None);
    };
    match rest.lines().next() {
        Some(next) if next.ends_with(TRACEBACK) => (first, Some(rest)),
        _ => (message, None),
    }
}

fn time(now: SystemTime, line: &mut String) {
    let local = local_time(now);
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.subsec_millis());
    let (sign, offset) = match local.offset_minutes < 0 {
        true => ('-', -local.offset_minutes),
        false => ('+', local.offset_minutes),
    };
    let _ = write!(
        line,
        "{{\"time\":\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}{sign}{:02}:{:02}\"",
        local.year,
        local.month,
        local.day,
        local.hour,
        local.minute,
        local.second,
        offset / 60,
        offset % 60
    );
}

fn text(name: &str, value: &str, line: &mut String) {
    let _ = write!(line, ",\"{name}\":\"");
    for character in os_text::shown(value).chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            character if proto::text::is_acted_on(character) => escape(character, line),
            character => line.push(character),
        }
    }
    line.push('"');
}

/// `\uNNNN`, a pair of them beyond the basic plane (RFC 8259, section 7).
fn escape(character: char, line: &mut String) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        let _ = write!(line, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: &str) {
        let line = line("ERROR", message);
        let (_, end) = line.split_once(",\"message\":").expect("a message");
        assert_eq!(end, expected, "{message:?}");
        assert!(line.contains(",\"level\":\"error\",\"pid\":"), "{line}");
    }

    #[test]
    fn a_line_is_an_object_whatever_the_message_holds() {
        check("plain", "\"plain\"}");
        check(
            "a \"b\" \\ \u{7}\r\n",
            "\"a \\\"b\\\" \\\\ \\u0007\\u000d\"}",
        );
        check("two\nlines\n", "\"two\\nlines\"}");
        check("\u{2028}\u{1f600}", "\"\\u2028\u{1f600}\"}");
    }

    #[test]
    fn a_traceback_is_a_member_of_its_own() {
        check(
            "It failed\nTraceback (most recent call last):\n  File \"a\"\nE: x",
            "\"It failed\",\"traceback\":\"Traceback (most recent call last):\\n  File \\\"a\\\"\\nE: x\"}",
        );
        check(
            "It failed\n  + Exception Group Traceback (most recent call last):\n  | x",
            "\"It failed\",\"traceback\":\"  + Exception Group Traceback (most recent call last):\\n  | x\"}",
        );
    }
}
