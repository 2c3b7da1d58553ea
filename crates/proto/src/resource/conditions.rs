//! Conditional requests (RFC 9110, section 13): whether what the client has, or supposes, still holds.

use httpdate::HttpDate;

use crate::fields::trim_blanks;

/// What identifies a representation.
#[derive(Debug, Clone, Copy)]
pub struct Validators<'a> {
    /// The entity tag with its quotes, and with `W/` where it is weak.
    pub etag: &'a [u8],
    /// When it was last modified.
    pub modified: HttpDate,
}

/// What the conditions of a request for a representation come to, where its method is GET or HEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The request is to be answered as if it had none.
    Proceed,
    /// 304: the client has the representation.
    NotModified,
    /// 412: the representation is not the one that the client supposes.
    Failed,
}

/// Judges the conditions in the order of RFC 9110, section 13.2.2. A date that cannot be read counts as none.
pub fn evaluate<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    validators: Validators<'_>,
) -> Verdict {
    let mut conditions = Conditions::default();
    for (name, value) in fields {
        conditions.note(name, value, validators);
    }
    match (conditions.matches, conditions.unmodified_since) {
        (Some(false), _) | (None, Some(false)) => return Verdict::Failed,
        _ => {}
    }
    match (conditions.none_matches, conditions.modified_since) {
        (Some(false), _) | (None, Some(false)) => Verdict::NotModified,
        _ => Verdict::Proceed,
    }
}

/// Whether each kind of condition is there, and holds.
#[derive(Debug, Default)]
struct Conditions {
    matches: Option<bool>,
    unmodified_since: Option<bool>,
    none_matches: Option<bool>,
    modified_since: Option<bool>,
}

impl Conditions {
    fn note(&mut self, name: &[u8], value: &[u8], validators: Validators<'_>) {
        // All four begin with `If-`, which nearly no other field does.
        if !name
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"if-"))
        {
            return;
        }
        let modified = validators.modified;
        if name.eq_ignore_ascii_case(b"if-match") {
            let listed = lists(value, validators.etag, are_strongly_equal);
            // The lines of one field are one list.
            self.matches = Some(self.matches.unwrap_or(false) || listed);
        } else if name.eq_ignore_ascii_case(b"if-none-match") {
            let listed = lists(value, validators.etag, are_weakly_equal);
            self.none_matches = Some(self.none_matches.unwrap_or(true) && !listed);
        } else if name.eq_ignore_ascii_case(b"if-modified-since") {
            self.modified_since = date(value).map(|since| modified > since);
        } else if name.eq_ignore_ascii_case(b"if-unmodified-since") {
            self.unmodified_since = date(value).map(|since| modified <= since);
        }
    }
}

/// Whether a Range field is to be obeyed: If-Range is absent, or names this very representation (RFC 9110, section
/// 13.1.5). A weak tag never does.
pub fn range_applies<'a>(
    mut fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    validators: Validators<'_>,
) -> bool {
    let Some((_, value)) = fields.find(|(name, _)| name.eq_ignore_ascii_case(b"if-range")) else {
        return true;
    };
    match trim_blanks(value) {
        tag @ ([b'"', ..] | [b'W', b'/', ..]) => are_strongly_equal(tag, validators.etag),
        value => date(value).is_some_and(|date| date == validators.modified),
    }
}

fn date(value: &[u8]) -> Option<HttpDate> {
    std::str::from_utf8(trim_blanks(value)).ok()?.parse().ok()
}

/// Whether a list of entity tags, or `*`, has one that is equal to `own`.
fn lists(value: &[u8], own: &[u8], are_equal: fn(&[u8], &[u8]) -> bool) -> bool {
    let mut rest = trim_blanks(value);
    if rest == b"*" {
        return true;
    }
    while let Some((tag, behind)) = first_tag(rest) {
        if are_equal(tag, own) {
            return true;
        }
        rest = behind;
    }
    false
}

/// The first entity tag of a list, and what follows it. An opaque tag may hold commas, so the list cannot simply be
/// split at them.
fn first_tag(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = list
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
    let list = &list[start..];
    let quote = match list {
        [b'"', ..] => 0,
        [b'W', b'/', b'"', ..] => 2,
        _ => return None,
    };
    let end = quote + 1 + list[quote + 1..].iter().position(|&byte| byte == b'"')?;
    Some((&list[..=end], &list[end + 1..]))
}

/// RFC 9110, section 8.8.3.2.
fn are_strongly_equal(one: &[u8], other: &[u8]) -> bool {
    one == other && !one.starts_with(b"W/")
}

fn are_weakly_equal(one: &[u8], other: &[u8]) -> bool {
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    one == other || opaque(one) == opaque(other)
}
