//! A request of HTTP/2 as a [`Request`]: its pseudo-fields become method, target and host, and the rules are those of
//! every other request.

use crate::limits::Limits;
use crate::request::{Request, Stated, Version};
use crate::violation::Violation;

/// The pseudo-fields of a request (RFC 9113, section 8.3.1).
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:authority`
    pub authority: Option<&'a [u8]>,
    /// `:path`; CONNECT has none.
    pub path: Option<&'a [u8]>,
}

/// Makes a request of pseudo-fields and fields.
///
/// `:authority` stands for the Host field, and comes first. The parts of a Cookie that was split are joined again with
/// `"; "`, in the place of the first (RFC 9113, section 8.2.3): both WSGI and ASGI promise one.
///
/// # Errors
/// The first rule that is broken.
pub fn assemble<'a>(
    head: RequestHead<'a>,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    limits: &Limits,
) -> Result<Request, Violation> {
    let stated = Stated {
        method: head.method,
        target: head.path.or(head.authority).unwrap_or_default(),
        version: Version::Http2,
    };
    let cookie = join_cookies(fields.clone());
    let is_host = |name: &[u8]| name.eq_ignore_ascii_case(b"host");
    if let Some(authority) = head.authority {
        let differs =
            |(name, value): (&[u8], &[u8])| is_host(name) && !value.eq_ignore_ascii_case(authority);
        if fields.clone().any(differs) {
            return Err(Violation::AuthorityMismatch);
        }
    }
    let host = head.authority.map(|authority| (&b"host"[..], authority));
    let mut joined = cookie.as_deref();
    let rest = fields.filter_map(|(name, value)| match name {
        b"cookie" => joined.take().map(|whole| (name, whole)),
        // A second Host field is refused by the rules of every request, so it must not be dropped silently.
        _ if host.is_some() && is_host(name) => None,
        _ => Some((name, value)),
    });
    Request::assemble(stated, host.into_iter().chain(rest), limits)
}

/// The value of all Cookie fields together.
fn join_cookies<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Vec<u8>> {
    let mut parts = fields.filter(|(name, _)| *name == b"cookie");
    let mut joined = parts.next()?.1.to_vec();
    for (_, part) in parts {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(part);
    }
    Some(joined)
}

/// Whether the client waits for 100 (Continue) before it sends the body of such a request, which need not have a
/// Content-Length.
#[must_use]
pub fn expects_continue(request: &Request) -> bool {
    request
        .field(b"expect")
        .is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        authority: Option<&str>,
        fields: &[(&str, &str)],
        expected: Result<&[(&str, &str)], Violation>,
    ) {
        let head = RequestHead {
            method: b"GET",
            authority: authority.map(str::as_bytes),
            path: Some(b"/a?b"),
        };
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        let request = assemble(head, fields.iter().copied(), &Limits::default());
        let seen = request.map(|request| {
            assert_eq!(request.line(), b"GET /a?b HTTP/2.0");
            assert_eq!(request.version(), Version::Http2);
            request
                .fields()
                .map(|(name, value)| [name, b"=", value].concat())
                .collect::<Vec<_>>()
        });
        let line = |(name, value): &(&str, &str)| format!("{name}={value}").into_bytes();
        assert_eq!(
            seen,
            expected.map(|fields| fields.iter().map(line).collect())
        );
    }

    #[test]
    fn the_authority_is_the_host() {
        check(Some("a"), &[("x", "1")], Ok(&[("host", "a"), ("x", "1")]));
        check(Some("a"), &[("host", "A")], Ok(&[("host", "a")]));
        check(None, &[("host", "a")], Ok(&[("host", "a")]));
        check(
            Some("a"),
            &[("host", "b")],
            Err(Violation::AuthorityMismatch),
        );
        check(None, &[], Err(Violation::HostMissing));
        let two = [("host", "a"), ("host", "a")];
        check(None, &two, Err(Violation::HostDuplicate));
    }

    #[test]
    fn the_parts_of_a_cookie_are_joined() {
        check(
            Some("a"),
            &[
                ("cookie", "a=1"),
                ("x", ""),
                ("cookie", "b=2"),
                ("cookie", "c"),
            ],
            Ok(&[("host", "a"), ("cookie", "a=1; b=2; c"), ("x", "")]),
        );
    }
}
