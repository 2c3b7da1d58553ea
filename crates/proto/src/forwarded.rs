//! What proxies say about the request that they forward. Whether to believe a proxy is the caller's decision.

use std::net::{IpAddr, SocketAddr};

use crate::violation::Violation;

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

/// Reads the scheme from the fields of a trusted peer, with Gunicorn's rule: a field of `secure_scheme_headers`
/// (upper-case name, value) means https when its value is exactly that one and http when it is another; without any of
/// them, nothing is told. Proxies that name the scheme of a WebSocket write `wss` for `https` (HAProxy, Traefik).
///
/// # Errors
/// [`Violation::SchemeConflict`] when two of the fields disagree.
pub fn scheme<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    secure_scheme_headers: &[(String, String)],
) -> Result<Option<Scheme>, Violation> {
    let mut found = None;
    for (name, value) in fields {
        let secure = secure_scheme_headers
            .iter()
            .find(|(header, _)| name.eq_ignore_ascii_case(header.as_bytes()));
        let Some((_, secure)) = secure else { continue };
        let is_wss = secure == "https" && value == b"wss";
        let says = if is_wss || value == secure.as_bytes() {
            Scheme::Https
        } else {
            Scheme::Http
        };
        if found.replace(says).is_some_and(|before| before != says) {
            return Err(Violation::SchemeConflict);
        }
    }
    Ok(found)
}

/// Reads the client's address from the X-Forwarded-For fields of a trusted peer: from the right, where the nearest
/// proxy has written, the first address that is not trusted itself; where all are, the leftmost. What is no address
/// ends the search, so that no client chooses what is found by writing nonsense: what stood right of it is then the
/// answer. A port that is not told is 0.
pub fn client<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    trusts: impl Fn(&IpAddr) -> bool,
) -> Option<SocketAddr> {
    let values: Vec<&[u8]> = fields
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"x-forwarded-for"))
        .map(|(_, value)| value)
        .collect();
    let hops = values
        .iter()
        .rev()
        .flat_map(|value| value.rsplit(|byte| *byte == b','));
    let mut found = None;
    for address in hops.map_while(hop) {
        found = Some(address);
        if !trusts(&address.ip()) {
            break;
        }
    }
    found
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn hop(text: &[u8]) -> Option<SocketAddr> {
    let text = str::from_utf8(text).ok()?.trim_matches([' ', '\t']);
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, 0),
        Err(_) => text.parse().ok()?,
    };
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(&str, &str)], expected: Result<Option<Scheme>, Violation>) {
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
        check(&[], Ok(None));
        check(&[("Host", "https")], Ok(None));
        check(&[("X-Forwarded-Proto", "https")], Ok(Some(Scheme::Https)));
        check(&[("x-forwarded-proto", "http")], Ok(Some(Scheme::Http)));
        check(&[("X-Forwarded-Proto", "HTTPS")], Ok(Some(Scheme::Http)));
        check(&[("X-Forwarded-Proto", "wss")], Ok(Some(Scheme::Https)));
        check(&[("X-Forwarded-Proto", "ws")], Ok(Some(Scheme::Http)));
        check(&[("X-Forwarded-Ssl", "wss")], Ok(Some(Scheme::Http)));
        check(
            &[("X-Forwarded-Proto", "wss"), ("X-Forwarded-Ssl", "on")],
            Ok(Some(Scheme::Https)),
        );
        check(
            &[("X-Forwarded-Proto", "ws"), ("X-Forwarded-Ssl", "on")],
            Err(Violation::SchemeConflict),
        );
        check(
            &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "on")],
            Ok(Some(Scheme::Https)),
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

    fn check_client(values: &[&str], trusted: &[&str], expected: Option<&str>) {
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        let fields = values
            .iter()
            .map(|value| (&b"X-Forwarded-For"[..], value.as_bytes()));
        let found = client(fields, |ip| trusted.contains(ip));
        assert_eq!(
            found.map(|found| found.to_string()).as_deref(),
            expected,
            "{values:?}"
        );
    }

    #[test]
    fn the_client_is_the_rightmost_that_is_not_trusted() {
        check_client(&[], &[], None);
        check_client(&["192.0.2.1"], &[], Some("192.0.2.1:0"));
        check_client(&["192.0.2.9, 192.0.2.1"], &[], Some("192.0.2.1:0"));
        check_client(&["192.0.2.9, 10.0.0.1"], &["10.0.0.1"], Some("192.0.2.9:0"));
        check_client(
            &["192.0.2.9", "10.0.0.1,10.0.0.2"],
            &["10.0.0.1", "10.0.0.2"],
            Some("192.0.2.9:0"),
        );
        check_client(
            &["10.0.0.2 ,\t10.0.0.1"],
            &["10.0.0.1", "10.0.0.2"],
            Some("10.0.0.2:0"),
        );
    }

    #[test]
    fn ports_and_both_families_are_read() {
        check_client(&["192.0.2.1:8080"], &[], Some("192.0.2.1:8080"));
        check_client(&["2001:db8::1"], &[], Some("[2001:db8::1]:0"));
        check_client(&["[2001:db8::1]"], &[], Some("[2001:db8::1]:0"));
        check_client(&["[2001:db8::1]:443"], &[], Some("[2001:db8::1]:443"));
        check_client(&["::ffff:192.0.2.1"], &[], Some("192.0.2.1:0"));
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        check_client(&["unknown"], &[], None);
        check_client(&[""], &[], None);
        check_client(
            &["192.0.2.1, unknown, 10.0.0.1"],
            &["10.0.0.1"],
            Some("10.0.0.1:0"),
        );
        check_client(&["192.0.2.1:99999"], &[], None);
        check_client(&["evil\u{e9}"], &[], None);
    }
}
