//! Text that is not Unicode: arguments, variables and paths may hold any bytes, and Python's strings lone surrogates,
//! by which it stands for such bytes (PEP 383). A setting is a `String`, so each surrogate has a stand-in there, a
//! character of the last private-use plane, and goes out of the server as what it came in as.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// The stand-in of the first surrogate. Who uses these characters for a purpose of his own sees them taken for
/// surrogates.
const FIRST_STAND_IN: u32 = 0x10_f000;

/// The surrogates of UTF-16.
const SURROGATES: std::ops::RangeInclusive<u32> = 0xd800..=0xdfff;

/// Python's surrogate for a byte from 0x80 on is this and the byte.
const BYTES: u32 = 0xdc00;

/// The first byte of each stand-in in UTF-8, which hardly any text has.
const LEAD: u8 = 0xf4;

/// The character that stands for a surrogate; `None` where it is none.
pub fn stand_in(surrogate: u16) -> Option<char> {
    let surrogate = u32::from(surrogate);
    let offset = surrogate.checked_sub(*SURROGATES.start())?;
    SURROGATES
        .contains(&surrogate)
        .then(|| char::from_u32(FIRST_STAND_IN + offset))?
}

/// The surrogate that a character stands for.
pub fn surrogate(character: char) -> Option<u16> {
    let offset = u32::from(character).checked_sub(FIRST_STAND_IN)?;
    let surrogate = offset + SURROGATES.start();
    let is_one = SURROGATES.contains(&surrogate);
    is_one.then(|| u16::try_from(surrogate).ok())?
}

/// Whether any character stands for a surrogate.
pub fn has_stand_ins(text: &str) -> bool {
    text.as_bytes().contains(&LEAD) && text.chars().any(|character| surrogate(character).is_some())
}

/// Whether Python reads the names of files as ASCII (the locale C), and knows every other byte by its surrogate.
static ASCII_ONLY: AtomicBool = AtomicBool::new(false);

/// Says that Python reads names as ASCII: paths have to become the strings that it knows them by.
pub fn read_as_ascii() {
    ASCII_ONLY.store(true, Ordering::Relaxed);
}

/// The text of an argument, a variable or a path.
pub fn from_os(text: &OsStr) -> String {
    let mut all = String::with_capacity(text.len());
    if ASCII_ONLY.load(Ordering::Relaxed) {
        all.extend(text.as_bytes().iter().map(|byte| match byte.is_ascii() {
            true => char::from(*byte),
            false => of_byte(*byte),
        }));
        return all;
    }
    for chunk in text.as_bytes().utf8_chunks() {
        all.push_str(chunk.valid());
        all.extend(chunk.invalid().iter().copied().map(of_byte));
    }
    all
}

/// The stand-in of the surrogate that stands for a byte.
fn of_byte(byte: u8) -> char {
    let offset = BYTES - SURROGATES.start() + u32::from(byte);
    char::from_u32(FIRST_STAND_IN + offset).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The same back.
pub fn to_os(text: &str) -> OsString {
    if !has_stand_ins(text) {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match surrogate(character).map(u32::from) {
            Some(surrogate) if (BYTES + 0x80..=BYTES + 0xff).contains(&surrogate) => {
                bytes.push((surrogate - BYTES) as u8);
            }
            // No file has a name with another surrogate: this is the character that stands for it.
            _ => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    OsString::from_vec(bytes)
}

/// The text as a person reads it: with `\udcff` for a surrogate.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !has_stand_ins(text) {
        return Cow::Borrowed(text);
    }
    let mut all = String::with_capacity(text.len());
    for character in text.chars() {
        match surrogate(character) {
            // Writing to a String cannot fail.
            Some(surrogate) => drop(write!(all, "\\u{surrogate:04x}")),
            None => all.push(character),
        }
    }
    Cow::Owned(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_as_they_were() {
        for bytes in [
            &b"plain"[..],
            "größe".as_bytes(),
            b"gr\xf6\xdfe",
            b"\xff\x80a\xc3",
            b"",
        ] {
            let text = from_os(OsStr::from_bytes(bytes));
            assert_eq!(to_os(&text).as_bytes(), bytes, "{text:?}");
        }
    }

    #[test]
    fn a_byte_that_is_not_utf_8_is_shown_as_python_shows_it() {
        assert_eq!(shown(&from_os(OsStr::from_bytes(b"a\xff"))), "a\\udcff");
        assert_eq!(shown("größe"), "größe");
        assert_eq!(shown("\u{10ffff}"), "\u{10ffff}");
    }

    #[test]
    fn every_surrogate_has_a_stand_in_of_its_own() {
        for code in 0..=u16::MAX {
            let is_surrogate = SURROGATES.contains(&u32::from(code));
            let found = stand_in(code);
            assert_eq!(found.is_some(), is_surrogate, "{code:x}");
            assert_eq!(found.and_then(surrogate), is_surrogate.then_some(code));
        }
    }
}
