//! What proxies say about the request that they forward. Whether to believe a proxy is the caller's decision.

use crate::h1::Violation;

/// How the client spoke to the outermost proxy, or to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// The scheme as URIs spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Reads the scheme from the fields of a trusted peer, with Gunicorn's rule: a field of `secure_scheme_headers` (upper-case
/// name, value) means https when its value is exactly that one and http when it is another; without any of them, http.
///
/// # Errors
/// [`Violation::SchemeConflict`] when two of the fields disagree.
pub fn scheme<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    secure_scheme_headers: &[(String, String)],
) -> Result<Scheme, Violation> {
    let mut found = None;
    for (name, value) in fields {
        let secure = secure_scheme_headers
            .iter()
            .find(|(header, _)| name.eq_ignore_ascii_case(header.as_bytes()));
        let Some((_, secure)) = secure else { continue };
        let says = if value == secure.as_bytes() {
            Scheme::Https
        } else {
            Scheme::Http
        };
        if found.replace(says).is_some_and(|before| before != says) {
            return Err(Violation::SchemeConflict);
        }
    }
    Ok(found.unwrap_or(Scheme::Http))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(&str, &str)], expected: Result<Scheme, Violation>) {
        let headers = [
            ("X-FORWARDED-PROTOCOL", "ssl"),
            ("X-FORWARDED-PROTO", "https"),
            ("X-FORWARDED-SSL", "on"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        assert_eq!(scheme(fields, &headers), expected);
    }

    #[test]
    fn a_proxy_tells_the_scheme_by_one_voice() {
        check(&[], Ok(Scheme::Http));
        check(&[("Host", "https")], Ok(Scheme::Http));
        check(&[("X-Forwarded-Proto", "https")], Ok(Scheme::Https));
        check(&[("x-forwarded-proto", "http")], Ok(Scheme::Http));
        check(&[("X-Forwarded-Proto", "HTTPS")], Ok(Scheme::Http));
        check(
            &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "on")],
            Ok(Scheme::Https),
        );
        check(
            &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "off")],
            Err(Violation::SchemeConflict),
        );
        check(
            &[
                ("X-Forwarded-Proto", "http"),
                ("X-Forwarded-Protocol", "ssl"),
            ],
            Err(Violation::SchemeConflict),
        );
        check(
            &[
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Proto", "http"),
            ],
            Err(Violation::SchemeConflict),
        );
    }
}
