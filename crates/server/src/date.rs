//! The `Date` field, formatted once a second (RFC 9110, section 6.6.1).

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// An IMF-fixdate is always this long: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) const LENGTH: usize = 29;

/// The text of the current second, shared by all of a worker's threads.
#[derive(Debug)]
pub(crate) struct DateText(Mutex<(u64, [u8; LENGTH])>);

impl DateText {
    pub(crate) const fn new() -> DateText {
        DateText(Mutex::new((u64::MAX, [b' '; LENGTH])))
    }

    /// The text for this moment.
    pub(crate) fn now(&self) -> [u8; LENGTH] {
        let wall = SystemTime::now();
        let second = wall
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut cached = self.0.lock();
        if cached.0 != second {
            let text = httpdate::fmt_http_date(wall);
            if let Ok(text) = text.as_bytes().try_into() {
                *cached = (second, text);
            }
        }
        cached.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_current_second_in_gmt() {
        let text = DateText::new().now();
        let parsed = httpdate::parse_http_date(std::str::from_utf8(&text).unwrap()).unwrap();
        assert!(SystemTime::now().duration_since(parsed).unwrap().as_secs() < 2);
    }
}
