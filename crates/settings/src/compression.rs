//! Content codings with their levels, as `zstd,br:5,gzip`.

use crate::error::Rejection;
use crate::field::{Access, Field};
use crate::value::Value;

/// A coding in which responses can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCoding {
    /// RFC 8878
    Zstd,
    /// RFC 7932
    Brotli,
    /// RFC 1952
    Gzip,
}

impl ContentCoding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its word in Content-Encoding.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// From the quickest to the smallest, and the usual one. Zstandard has higher levels, whose windows clients refuse
    /// (RFC 9659).
    fn levels(self) -> (std::ops::RangeInclusive<u32>, u32) {
        match self {
            Self::Zstd => (1..=19, 3),
            Self::Brotli => (0..=11, 4),
            Self::Gzip => (1..=9, 5),
        }
    }
}

/// A coding, and how much time is spent for how small a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodingLevel {
    /// The coding.
    pub coding: ContentCoding,
    /// Its level.
    pub level: u32,
}

impl CodingLevel {
    const ACCEPTED: &str =
        "zstd, br or gzip, with a level behind a colon if it is not the usual one, as br:5";
}

impl Field for CodingLevel {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        let text = String::from_value(value)?.to_ascii_lowercase();
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name.trim(), Some(level.trim())),
            None => (text.as_str(), None),
        };
        let refuse = || Rejection::unacceptable(Self::ACCEPTED).part(value);
        let known = ContentCoding::ALL
            .into_iter()
            .find(|coding| coding.name() == name);
        let coding = known.ok_or_else(refuse)?;
        let (levels, usual) = coding.levels();
        let level = match level {
            None => usual,
            Some(level) => level
                .parse()
                .ok()
                .filter(|level| levels.contains(level))
                .ok_or_else(|| {
                    let (least, most) = (levels.start(), levels.end());
                    refuse().hint(format!("{name} has the levels {least} to {most}"))
                })?,
        };
        Ok(Self { coding, level })
    }

    fn to_value(&self) -> Value {
        let (_, usual) = self.coding.levels();
        let name = self.coding.name();
        match self.level == usual {
            true => Value::from(name),
            false => Value::Str(format!("{name}:{}", self.level)),
        }
    }
}

pub(crate) const TYPES: Access = Access {
    write: |config, value| {
        let types: Vec<String> = Field::from_value(value)?;
        let is_type = |text: &&String| {
            let plain = |byte: u8| byte.is_ascii_graphic() && !b",;".contains(&byte);
            let essence = text.strip_suffix("/*").unwrap_or(text);
            text.contains('/')
                && text.bytes().all(plain)
                && !essence.contains('*')
                && !essence.is_empty()
        };
        if let Some(wrong) = types.iter().find(|text| !is_type(text)) {
            let expected = "media types without parameters, as text/* or application/json";
            return Err(Rejection::unacceptable(expected).part(&wrong.to_value()));
        }
        config.compress_types = types;
        Ok(())
    },
    read: |config| config.compress_types.to_value(),
};

pub(crate) const WITH_COOKIES: Access = Access {
    write: |config, value| {
        let prefixes: Vec<String> = Field::from_value(value)?;
        if let Some(wrong) = prefixes.iter().find(|path| !path.starts_with('/')) {
            let expected = "a path that begins with a slash, as /api/";
            return Err(Rejection::unacceptable(expected).part(&wrong.to_value()));
        }
        config.compress_with_cookies = prefixes;
        Ok(())
    },
    read: |config| config.compress_with_cookies.to_value(),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_may_have_a_level() {
        let check = |text: &str, expected: Option<(ContentCoding, u32)>| {
            let read = CodingLevel::from_value(&Value::from(text)).ok();
            assert_eq!(
                read.map(|read| (read.coding, read.level)),
                expected,
                "{text}"
            );
        };
        check("zstd", Some((ContentCoding::Zstd, 3)));
        check("BR : 11", Some((ContentCoding::Brotli, 11)));
        check("gzip:9", Some((ContentCoding::Gzip, 9)));
        for text in [
            "", "deflate", "gzip:0", "gzip:10", "zstd:20", "br:x", "gzip:",
        ] {
            check(text, None);
        }
        let spelled =
            |text: &str| CodingLevel::from_value(&Value::from(text)).map(|read| read.to_value());
        assert_eq!(spelled("gzip:5").ok(), Some(Value::from("gzip")));
        assert_eq!(spelled("gzip:6").ok(), Some(Value::from("gzip:6")));
    }
}
