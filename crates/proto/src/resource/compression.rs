//! Whether a response may be compressed for the client that asked, and what its head says then (RFC 9110, sections 8.4
//! and 12.5.3). Which responses those are depends on what the application states and on nothing that it does.

use memchr::memmem;

use super::coding::{Acceptable, Coding};
use super::media_type::is_compressible;
use crate::fields::list_elements;
use crate::h1::{FieldEdit, ResponseHead};
use crate::request::Request;

/// Which responses are compressed.
#[derive(Debug, Clone, Default)]
pub struct CompressionRules {
    /// The codings that there are, the favourite first.
    pub codings: Vec<Coding>,
    /// The shortest body that is worth it, in bytes.
    pub least_length: u64,
    /// Media types without parameters, or `text/*`; empty is the list that `is_compressible` has.
    pub types: Vec<String>,
}

/// Whether a client, or a page that it shows, may have secrets in a response whose length an attacker can watch. With
/// compression the length tells of the content (CVE-2013-3587, BREACH).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// The request carries a token against request forgery in a cookie.
    Likely,
    /// It does not. The response may still set a cookie.
    Unlikely,
    /// The operator has said that it does not matter.
    Permitted,
}

/// What a request says about the coding of its response.
#[derive(Debug, Clone)]
pub struct CompressionWish {
    acceptable: Acceptable,
    if_none_match: Option<Vec<u8>>,
    secrets: Secrets,
}

impl CompressionWish {
    /// Reads it.
    #[must_use]
    pub fn of(request: &Request, secrets: Secrets) -> Self {
        Self {
            acceptable: Acceptable::read(request.fields()),
            if_none_match: request.field(b"if-none-match").map(<[u8]>::to_vec),
            secrets,
        }
    }

    /// Whether the client has this tag in its weak form.
    fn holds_weak(&self, etag: &[u8]) -> bool {
        let weak = [b"W/", etag].concat();
        let sent = self.if_none_match.as_deref();
        sent.is_some_and(|tags| memmem::find(tags, &weak).is_some())
    }
}

/// What becomes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionVerdict {
    /// It is what it is for every client.
    Untouched,
    /// It goes out as it is; for another client it might not.
    Varies,
    /// The answer to a condition. The client's copy was compressed.
    NotModified,
    /// It is compressed.
    Coded(Coding),
}

/// Whether a request's cookies hold a token against request forgery, by the names that frameworks give it.
#[must_use]
pub fn carries_forgery_token(request: &Request) -> bool {
    let is_token = |cookie: &[u8]| {
        let name = cookie
            .split(|&byte| byte == b'=')
            .next()
            .unwrap_or_default();
        let name = name.to_ascii_lowercase();
        memmem::find(&name, b"csrf").is_some() || memmem::find(&name, b"xsrf").is_some()
    };
    request
        .fields()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"))
        .any(|(_, value)| value.split(|&byte| byte == b';').any(is_token))
}

impl CompressionRules {
    /// Judges a response. `length` is that of its body, where it is known.
    #[must_use]
    pub fn judge(
        &self,
        head: &ResponseHead,
        wish: &CompressionWish,
        length: Option<u64>,
    ) -> CompressionVerdict {
        use CompressionVerdict::{Coded, Untouched, Varies};
        match head.status() {
            304 => return not_modified(head, wish),
            // None of these has a body, or it is a part of one.
            0..=199 | 204..=206 => return Untouched,
            _ => {}
        }
        let is_short = length.is_some_and(|length| length < self.least_length.max(1));
        let sets_cookie = wish.secrets != Secrets::Permitted && head.states("set-cookie");
        if is_short || sets_cookie || head.announces_trailers() || !self.is_eligible(head) {
            return Untouched;
        }
        match wish.acceptable.choose(self.codings.iter().copied()) {
            Some(coding) if wish.secrets != Secrets::Likely => Coded(coding),
            _ => Varies,
        }
    }

    /// Whether the fields leave it to us. Those that speak of the bytes of the body would become untrue (RFC 9530), and
    /// `no-transform` is the application's word (RFC 9111, section 5.2.2.6).
    fn is_eligible(&self, head: &ResponseHead) -> bool {
        let mut is_worth_it = false;
        for (name, value) in head.fields() {
            let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
            match name.len() {
                6 if is("digest") => return false,
                11 if is("content-md5") || is("repr-digest") => return false,
                12 if is("content-type") => is_worth_it = self.has_type(value),
                13 if is("content-range") => return false,
                13 if is("cache-control") => {
                    let is_last = |word: &[u8]| word.eq_ignore_ascii_case(b"no-transform");
                    if list_elements(value).any(is_last) {
                        return false;
                    }
                }
                14 if is("content-digest") => return false,
                16 if is("content-encoding") => return false,
                _ => {}
            }
        }
        is_worth_it
    }

    fn has_type(&self, content_type: &[u8]) -> bool {
        if self.types.is_empty() {
            return is_compressible(content_type);
        }
        let essence = content_type.split(|&byte| byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii();
        self.types
            .iter()
            .any(|known| match known.strip_suffix('*') {
                Some(start) => essence
                    .get(..start.len())
                    .is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes())),
                None => essence.eq_ignore_ascii_case(known.as_bytes()),
            })
    }
}

/// The tag in a 304 is that of the 200 (RFC 9110, section 15.4.5), which a client that holds its weak form had from us.
/// So is Vary. Whether the 200 had it is not known here; one too many costs a cache little.
fn not_modified(head: &ResponseHead, wish: &CompressionWish) -> CompressionVerdict {
    let etag = head
        .fields()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"etag"));
    match etag {
        Some((_, etag)) if wish.holds_weak(etag) => CompressionVerdict::NotModified,
        _ if head.states("content-encoding") => CompressionVerdict::Untouched,
        _ => CompressionVerdict::Varies,
    }
}

impl CompressionVerdict {
    /// Has the head say so.
    pub fn apply(self, head: &mut ResponseHead) {
        let coding = match self {
            Self::Untouched => return,
            Self::Varies | Self::NotModified => None,
            Self::Coded(coding) => Some(coding),
        };
        let mut varies = false;
        head.edit(|name, value| {
            let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
            match name.len() {
                4 if is("vary") => {
                    varies |= names_coding(value);
                    FieldEdit::Keep
                }
                // The tag no longer names these very bytes: each compression may give other ones.
                4 if is("etag") && self != Self::Varies && !value.starts_with(b"W/") => {
                    FieldEdit::Replace([b"W/", value].concat())
                }
                14 if is("content-length") && coding.is_some() => FieldEdit::Drop,
                // What is a part of the compressed body, the application cannot know.
                13 if is("accept-ranges") && coding.is_some() => FieldEdit::Drop,
                _ => FieldEdit::Keep,
            }
        });
        // Both are well-formed.
        if let Some(coding) = coding {
            let _ = head.push(b"Content-Encoding", coding.name().as_bytes());
        }
        if !varies {
            let _ = head.push(b"Vary", b"Accept-Encoding");
        }
    }
}

fn names_coding(vary: &[u8]) -> bool {
    list_elements(vary)
        .any(|element| element == b"*" || element.eq_ignore_ascii_case(b"accept-encoding"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::parse_request;
    use crate::limits::Limits;

    const JSON: (&str, &str) = ("Content-Type", "application/json");

    fn rules() -> CompressionRules {
        CompressionRules {
            codings: vec![Coding::Zstd, Coding::Brotli, Coding::Gzip],
            least_length: 500,
            types: Vec::new(),
        }
    }

    fn head(status: &str, fields: &[(&str, &str)]) -> ResponseHead {
        let mut head = ResponseHead::new();
        head.set_status(status.as_bytes()).unwrap();
        for (name, value) in fields {
            head.push(name.as_bytes(), value.as_bytes()).unwrap();
        }
        head
    }

    fn request(fields: &str) -> Request {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let read = parse_request(text.as_bytes(), &Limits::default());
        read.unwrap().unwrap().0
    }

    /// A request with these fields, answered so: this becomes of it, and the fields then are these.
    fn check(
        asked: &str,
        (status, stated): (&str, &[(&str, &str)]),
        length: Option<u64>,
        (verdict, fields): (CompressionVerdict, &str),
    ) {
        let request = request(asked);
        let secrets = match carries_forgery_token(&request) {
            true => Secrets::Likely,
            false => Secrets::Unlikely,
        };
        let wish = CompressionWish::of(&request, secrets);
        let mut head = head(status, stated);
        let judged = rules().judge(&head, &wish, length);
        assert_eq!(judged, verdict, "{asked:?} {stated:?}");
        judged.apply(&mut head);
        let line = |(name, value): (&[u8], &[u8])| {
            String::from_utf8([name, b": ", value].concat()).unwrap()
        };
        let lines: Vec<String> = head.fields().map(line).collect();
        assert_eq!(lines.join("; "), fields, "{asked:?} {stated:?}");
    }

    #[test]
    fn the_coding_is_the_clients_choice() {
        use CompressionVerdict::{Coded, Varies};
        let ok = ("200 OK", &[JSON][..]);
        let coded = |name: &str| {
            format!(
                "Content-Type: application/json; Content-Encoding: {name}; Vary: Accept-Encoding"
            )
        };
        let plain = "Content-Type: application/json; Vary: Accept-Encoding";
        let all = "Accept-Encoding: gzip, deflate, br, zstd\r\n";
        check(all, ok, None, (Coded(Coding::Zstd), &coded("zstd")));
        let weighed = "Accept-Encoding: gzip;q=0.9, br;q=1, zstd;q=0\r\n";
        check(
            weighed,
            ok,
            Some(500),
            (Coded(Coding::Brotli), &coded("br")),
        );
        check(
            "Accept-Encoding: *\r\n",
            ok,
            None,
            (Coded(Coding::Zstd), &coded("zstd")),
        );
        check("Accept-Encoding: deflate\r\n", ok, None, (Varies, plain));
        check(
            "Accept-Encoding: identity, gzip;q=0.5\r\n",
            ok,
            None,
            (Varies, plain),
        );
        check("", ok, None, (Varies, plain));
    }

    #[test]
    fn some_responses_are_left_alone() {
        let check_untouched = |status: &str, more: &[(&str, &str)], length: Option<u64>| {
            let request = request("Accept-Encoding: gzip\r\n");
            let wish = CompressionWish::of(&request, Secrets::Unlikely);
            let fields = [&[JSON][..], more].concat();
            let judged = rules().judge(&head(status, &fields), &wish, length);
            assert_eq!(
                judged,
                CompressionVerdict::Untouched,
                "{status} {more:?} {length:?}"
            );
        };
        check_untouched("200 OK", &[], Some(499));
        for status in ["204 No Content", "206 Partial Content", "103 Early Hints"] {
            check_untouched(status, &[], None);
        }
        for field in [
            ("Content-Encoding", "br"),
            ("Content-Encoding", "identity"),
            ("Cache-Control", "private, No-Transform"),
            ("Content-MD5", "x"),
            ("Digest", "x"),
            ("Repr-Digest", "x"),
            ("Content-Digest", "x"),
            ("Content-Range", "bytes 0-1/2"),
            ("Set-Cookie", "a=b"),
            ("Content-Type", "image/png"),
        ] {
            check_untouched("200 OK", &[field], None);
        }
    }

    #[test]
    fn the_head_tells_the_truth() {
        use CompressionVerdict::{Coded, NotModified, Varies};
        let gzip = "Accept-Encoding: gzip\r\n";
        let stated = [
            ("ETag", "\"a\""),
            ("Content-Length", "900"),
            JSON,
            ("Accept-Ranges", "bytes"),
            ("Vary", "Cookie"),
        ];
        let expected = "ETag: W/\"a\"; Content-Type: application/json; Vary: Cookie; \
                        Content-Encoding: gzip; Vary: Accept-Encoding";
        check(
            gzip,
            ("200 OK", &stated),
            Some(900),
            (Coded(Coding::Gzip), expected),
        );
        let stated = [
            JSON,
            ("Vary", "Origin, accept-encoding"),
            ("ETag", "W/\"a\""),
        ];
        let expected = "Content-Type: application/json; Vary: Origin, accept-encoding; \
                        ETag: W/\"a\"; Content-Encoding: gzip";
        check(
            gzip,
            ("404 Not Found", &stated),
            None,
            (Coded(Coding::Gzip), expected),
        );
        let tag = [("ETag", "\"a\"")];
        let held = "Accept-Encoding: gzip\r\nIf-None-Match: \"b\", W/\"a\"\r\n";
        let expected = "ETag: W/\"a\"; Vary: Accept-Encoding";
        check(
            held,
            ("304 Not Modified", &tag),
            None,
            (NotModified, expected),
        );
        let strong = "Accept-Encoding: gzip\r\nIf-None-Match: \"a\"\r\n";
        let expected = "ETag: \"a\"; Vary: Accept-Encoding";
        check(strong, ("304 Not Modified", &tag), None, (Varies, expected));
    }

    #[test]
    fn a_token_against_forgery_is_not_compressed() {
        let expected = "Content-Type: application/json; Vary: Accept-Encoding";
        for cookie in ["csrftoken=x", "a=b; XSRF-TOKEN=y", "__Host-csrf=1"] {
            let asked = format!("Accept-Encoding: gzip\r\nCookie: {cookie}\r\n");
            let verdict = (CompressionVerdict::Varies, expected);
            check(&asked, ("200 OK", &[JSON]), None, verdict);
        }
        assert!(!carries_forgery_token(&request(
            "Cookie: sessionid=csrf\r\n"
        )));
        let cookies = request("Accept-Encoding: gzip\r\nCookie: csrftoken=x\r\n");
        let wish = CompressionWish::of(&cookies, Secrets::Permitted);
        let head = head("200 OK", &[JSON, ("Set-Cookie", "a=b")]);
        let judged = rules().judge(&head, &wish, None);
        assert_eq!(judged, CompressionVerdict::Coded(Coding::Gzip));
    }

    #[test]
    fn own_types_replace_the_usual_ones() {
        let rules = CompressionRules {
            types: vec!["text/*".to_owned(), "application/x-own".to_owned()],
            ..rules()
        };
        assert!(rules.has_type(b"Text/CSV; charset=utf-8"));
        assert!(rules.has_type(b"application/X-OWN"));
        assert!(!rules.has_type(b"application/json") && !rules.has_type(b"tex"));
    }
}
