//! The names in certificates, as text (RFC 4514). What does not have the form of a name ends it: the certificate has
//! been verified, so nothing is at stake but how it is shown.

use std::fmt::Write;

/// Tags of DER (X.690).
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const BMP_STRING: u8 = 0x1e;

/// The identifier of a common name.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// The identifiers that have a short name: those of RFC 4514, section 3, and three that OpenSSL names in the same way.
const TYPES: [(&[u8], &str); 13] = [
    (COMMON_NAME, "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 42], "GN"),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
        "emailAddress",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1],
        "UID",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
    ),
];

/// A name: what the sequence of its parts holds, in DER.
#[derive(Debug, Clone, Copy)]
pub(super) struct DistinguishedName<'a>(pub(super) &'a [u8]);

/// The type and the value of one part.
#[derive(Debug, Clone, Copy)]
struct Attribute<'a> {
    identifier: &'a [u8],
    value: Element<'a>,
}

impl DistinguishedName<'_> {
    /// The whole name, the last part first.
    pub(super) fn text(self) -> String {
        let parts = elements(self.0, SET).map(|set| {
            let attributes = attributes(set).map(Attribute::text);
            attributes.collect::<Vec<_>>().join("+")
        });
        let mut parts: Vec<_> = parts.collect();
        parts.reverse();
        parts.join(",")
    }

    /// The first common name; empty where there is none.
    pub(super) fn common_name(self) -> String {
        let mut all = elements(self.0, SET).flat_map(attributes);
        let found = all.find(|attribute| attribute.identifier == COMMON_NAME);
        found
            .and_then(|found| found.value.string())
            .unwrap_or_default()
    }
}

fn attributes(set: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    elements(set, SEQUENCE).map_while(|pair| {
        let (identifier, rest) = Element::read(pair)?;
        let (value, _) = Element::read(rest)?;
        let is_one = identifier.tag == OBJECT_IDENTIFIER;
        is_one.then_some(Attribute {
            identifier: identifier.content,
            value,
        })
    })
}

impl Attribute<'_> {
    fn text(self) -> String {
        let known = TYPES.iter().find(|(known, _)| *known == self.identifier);
        let mut text = match known {
            Some((_, name)) => (*name).to_owned(),
            None => dotted(self.identifier),
        };
        text.push('=');
        match self.value.string().filter(|_| known.is_some()) {
            Some(string) => escape(&string, &mut text),
            None => {
                text.push('#');
                for byte in self.value.whole {
                    let _ = write!(text, "{byte:02X}");
                }
            }
        }
        text
    }
}

/// RFC 4514, section 2.4.
fn escape(string: &str, text: &mut String) {
    let last = string.chars().count().saturating_sub(1);
    for (index, character) in string.chars().enumerate() {
        match character {
            '\0' => text.push_str("\\00"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            '#' | ' ' if index == 0 => text.extend(['\\', character]),
            ' ' if index == last => text.push_str("\\ "),
            _ => text.push(character),
        }
    }
}

/// An object identifier as `2.5.4.3`.
fn dotted(identifier: &[u8]) -> String {
    let (mut numbers, mut number) = (Vec::new(), 0_u64);
    for byte in identifier {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let mut text = String::new();
    for (index, number) in numbers.into_iter().enumerate() {
        // The first number stands for two (X.690, section 8.19.4).
        let _ = match (index, number) {
            (0, 0..80) => write!(text, "{}.{}", number / 40, number % 40),
            (0, _) => write!(text, "2.{}", number - 80),
            _ => write!(text, ".{number}"),
        };
    }
    text
}

/// One element of DER.
#[derive(Debug, Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// With its tag and length.
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element, and what follows it.
    fn read(bytes: &'a [u8]) -> Option<(Element<'a>, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Names of more than 64 KiB do not occur.
            0x81 | 0x82 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let fold = |length, byte: &u8| (length << 8) | usize::from(*byte);
                (length.iter().fold(0, fold), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = &bytes[..bytes.len() - rest.len()];
        let element = Element {
            tag,
            content,
            whole,
        };
        Some((element, rest))
    }

    /// The text of a string; `None` where it is none.
    fn string(self) -> Option<String> {
        match self.tag {
            UTF8_STRING | NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING | VISIBLE_STRING => {
                String::from_utf8(self.content.to_vec()).ok()
            }
            // By the letter it is T.61; in certificates it has always been Latin-1.
            TELETEX_STRING => Some(self.content.iter().map(|byte| char::from(*byte)).collect()),
            BMP_STRING => {
                let units = self.content.as_chunks().0.iter();
                String::from_utf16(
                    &units
                        .map(|unit| u16::from_be_bytes(*unit))
                        .collect::<Vec<_>>(),
                )
                .ok()
            }
            _ => None,
        }
    }
}

/// The contents of all elements, as long as they have this tag.
fn elements(mut bytes: &[u8], tag: u8) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (element, rest) = Element::read(bytes)?;
        bytes = rest;
        (element.tag == tag).then_some(element.content)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short");
        [&[tag, length], content].concat()
    }

    fn part(identifier: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let pair = [element(OBJECT_IDENTIFIER, identifier), element(tag, value)].concat();
        element(SEQUENCE, &pair)
    }

    fn check(parts: &[Vec<u8>], expected: &str) {
        let name: Vec<u8> = parts.iter().flat_map(|part| element(SET, part)).collect();
        assert_eq!(DistinguishedName(&name).text(), expected);
        // However it is cut, it is read without a panic.
        for end in 0..name.len() {
            let _ = DistinguishedName(&name[..end]).text();
        }
    }

    #[test]
    fn the_last_part_comes_first() {
        let (country, organization) = (&[0x55, 4, 6][..], &[0x55, 4, 10][..]);
        check(
            &[
                part(country, PRINTABLE_STRING, b"DE"),
                part(organization, UTF8_STRING, "Müller, Söhne".as_bytes()),
                part(COMMON_NAME, UTF8_STRING, b"Ann"),
            ],
            "CN=Ann,O=Müller\\, Söhne,C=DE",
        );
        let both = [
            part(COMMON_NAME, UTF8_STRING, b"Ann"),
            part(&[0x55, 4, 11], IA5_STRING, b"x"),
        ];
        check(&[both.concat()], "CN=Ann+OU=x");
    }

    #[test]
    fn what_could_be_read_otherwise_is_escaped() {
        for (value, expected) in [
            (&b" a b "[..], "CN=\\ a b\\ "),
            (b"#1", "CN=\\#1"),
            (b"a=b+c\\\"<>;", "CN=a=b\\+c\\\\\\\"\\<\\>\\;"),
            (b"a\0b", "CN=a\\00b"),
            (b"", "CN="),
        ] {
            check(&[part(COMMON_NAME, UTF8_STRING, value)], expected);
        }
    }

    #[test]
    fn other_strings_and_other_types_are_shown() {
        check(
            &[part(COMMON_NAME, BMP_STRING, &[0, b'A', 0x20, 0xac])],
            "CN=A€",
        );
        check(&[part(COMMON_NAME, TELETEX_STRING, &[b'M', 0xfc])], "CN=Mü");
        check(&[part(COMMON_NAME, UTF8_STRING, &[0xff])], "CN=#0C01FF");
        check(
            &[part(&[0x2a, 0x03, 0x84, 0x01], UTF8_STRING, b"x")],
            "1.2.3.513=#0C0178",
        );
        check(
            &[part(&[0x88, 0x37, 0x03], UTF8_STRING, b"x")],
            "2.999.3=#0C0178",
        );
    }

    #[test]
    fn the_first_common_name_is_found() {
        let parts = [
            part(&[0x55, 4, 6], PRINTABLE_STRING, b"DE"),
            part(COMMON_NAME, UTF8_STRING, b"Ann"),
            part(COMMON_NAME, UTF8_STRING, b"Bea"),
        ];
        let name: Vec<u8> = parts.iter().flat_map(|part| element(SET, part)).collect();
        assert_eq!(DistinguishedName(&name).common_name(), "Ann");
        assert_eq!(DistinguishedName(&[]).common_name(), "");
    }
}
