//! The grammar of Sec-WebSocket-Extensions (RFC 6455, section 9.1).
//!
//! ```text
//! extension-list  = 1#( token *( ";" extension-param ) )
//! extension-param = token [ "=" ( token / quoted-string ) ]     ; unquoted, the string has to be a token too
//! ```

use crate::fields::{is_token, is_token_byte};

/// One extension that a client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) name: String,
    pub(super) parameters: Vec<(String, Option<String>)>,
}

/// Reads one field. `None` when it breaks the grammar. Empty elements are skipped, as in every list of HTTP.
pub(super) fn parse(value: &[u8]) -> Option<Vec<Extension>> {
    let mut cursor = Cursor { rest: value };
    let mut extensions = Vec::new();
    loop {
        cursor.skip_blanks();
        if cursor.rest.is_empty() {
            return Some(extensions);
        }
        if cursor.take(b',') {
            continue;
        }
        extensions.push(cursor.extension()?);
        cursor.skip_blanks();
        if !cursor.rest.is_empty() && !cursor.take(b',') {
            return None;
        }
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte == wanted => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn extension(&mut self) -> Option<Extension> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        loop {
            self.skip_blanks();
            if !self.take(b';') {
                return Some(Extension { name, parameters });
            }
            self.skip_blanks();
            let name = self.token()?;
            self.skip_blanks();
            let value = if self.take(b'=') {
                self.skip_blanks();
                Some(self.value()?)
            } else {
                None
            };
            parameters.push((name, value));
        }
    }

    fn token(&mut self) -> Option<String> {
        let is_end = |&byte: &u8| !is_token_byte(byte);
        let length = self.rest.iter().position(is_end).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        as_token(token)
    }

    fn value(&mut self) -> Option<String> {
        if !self.take(b'"') {
            return self.token();
        }
        let mut text = Vec::new();
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return as_token(&text),
                b'\\' => {
                    let (&escaped, rest) = self.rest.split_first()?;
                    self.rest = rest;
                    text.push(escaped);
                }
                byte => text.push(byte),
            }
        }
    }
}

/// Tokens are ASCII, so this loses nothing.
fn as_token(bytes: &[u8]) -> Option<String> {
    is_token(bytes).then(|| String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &[u8]) -> Option<String> {
        let parameter = |(name, value): &(String, Option<String>)| match value {
            Some(value) => format!(";{name}={value}"),
            None => format!(";{name}"),
        };
        let extension = |extension: &Extension| {
            let parameters: String = extension.parameters.iter().map(parameter).collect();
            extension.name.clone() + &parameters
        };
        let extensions = parse(value)?;
        Some(
            extensions
                .iter()
                .map(extension)
                .collect::<Vec<_>>()
                .join(","),
        )
    }

    fn check(value: &[u8], expected: Option<&str>) {
        assert_eq!(
            shown(value).as_deref(),
            expected,
            "{}",
            value.escape_ascii()
        );
    }

    #[test]
    fn a_list_is_read_or_refused() {
        check(b"", Some(""));
        check(b" , ,\t", Some(""));
        check(b"foo", Some("foo"));
        check(b"foo, bar; baz=2", Some("foo,bar;baz=2"));
        check(b"foo ;\ta = 1 ; b ,, bar", Some("foo;a=1;b,bar"));
        check(b"foo; a=\"1\"", Some("foo;a=1"));
        check(b"foo; a=\"\\1\\2\"", Some("foo;a=12"));
        check(b"foo; a=\"1,2\"", None);
        check(b"foo; a=\"\"", None);
        check(b"foo; a=\"1", None);
        check(b"foo; a=\"1\\", None);
        check(b"foo; a=\"1\"2", None);
        check(b"foo; a=", None);
        check(b"foo; =1", None);
        check(b"foo;", None);
        check(b"foo bar", None);
        check(b"\"foo\"", None);
        check(b"f\xc3\xb6o", None);
    }
}
