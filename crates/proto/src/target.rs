//! The request target: which of its four forms it has, and which parts the application sees (RFC 9112, section 3.2).

use crate::fields::{Span, any_byte};
use crate::host::parse_authority;
use crate::violation::Violation;

/// The form of a request target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`, what nearly every request has.
    Origin,
    /// `http://host/path?query`, what a client says to a proxy; every server has to understand it.
    Absolute,
    /// `host:port`, for CONNECT alone.
    Authority,
    /// `*`, for OPTIONS alone.
    Asterisk,
}

/// Where the parts of a target stand in the head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) form: TargetForm,
    pub(crate) whole: Span,
    /// Without the query; empty for authority-form and for an absolute-form without a path.
    pub(crate) path: Span,
    pub(crate) query: Span,
    /// The host and port that an absolute-form or authority-form names.
    pub(crate) authority: Option<Span>,
}

impl Target {
    /// The target of a request that was not read yet.
    pub(crate) fn empty() -> Self {
        let nothing = Span::default();
        Self {
            form: TargetForm::Origin,
            whole: nothing,
            path: nothing,
            query: nothing,
            authority: None,
        }
    }
}

/// Judges a target that stands at `start` of the head.
pub(crate) fn parse_target(
    method: &[u8],
    target: &[u8],
    start: usize,
) -> Result<Target, Violation> {
    if !is_visible(target) {
        return Err(Violation::TargetByte);
    }
    let whole = Span::new(start, target.len());
    match (method, target) {
        (b"CONNECT", _) => authority_form(target, whole),
        (_, [b'/', ..]) => Ok(with_path(TargetForm::Origin, whole, None, target, start)),
        (b"OPTIONS", b"*") => Ok(with_path(TargetForm::Asterisk, whole, None, target, start)),
        _ => absolute_form(target, whole, start),
    }
}

/// Visible ASCII only. Gunicorn draws the same line: browsers send `|`, `"` or `^` unescaped, so the full grammar of
/// RFC 3986 would refuse real users.
fn is_visible(target: &[u8]) -> bool {
    !any_byte(target, |byte| !(0x21..0x7f).contains(&byte))
}

fn authority_form(target: &[u8], whole: Span) -> Result<Target, Violation> {
    if target.starts_with(b"/") || target == b"*" || has_scheme(target) {
        return Err(Violation::TargetForm);
    }
    // CONNECT has no default port (RFC 9110, section 9.3.6).
    match parse_authority(target) {
        Some(authority) if authority.port.is_some() => Ok(Target {
            form: TargetForm::Authority,
            whole,
            path: Span::default(),
            query: Span::default(),
            authority: Some(whole),
        }),
        _ => Err(Violation::TargetAuthority),
    }
}

fn absolute_form(target: &[u8], whole: Span, start: usize) -> Result<Target, Violation> {
    if !has_scheme(target) {
        return Err(Violation::TargetForm);
    }
    let prefix = scheme_length(target).ok_or(Violation::TargetScheme)?;
    let rest = &target[prefix..];
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    parse_authority(&rest[..end]).ok_or(Violation::TargetAuthority)?;
    let authority = Span::new(start + prefix, end);
    Ok(with_path(
        TargetForm::Absolute,
        whole,
        Some(authority),
        &rest[end..],
        start + prefix + end,
    ))
}

fn has_scheme(target: &[u8]) -> bool {
    memchr::memmem::find(target, b"://").is_some_and(|at| {
        let scheme = &target[..at];
        scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && scheme
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

fn scheme_length(target: &[u8]) -> Option<usize> {
    ["http://", "https://"]
        .into_iter()
        .map(str::as_bytes)
        .find_map(|prefix| {
            let begin = target.get(..prefix.len())?;
            begin.eq_ignore_ascii_case(prefix).then_some(prefix.len())
        })
}

/// Splits path and query. A fragment has no business in a request; Gunicorn cuts it from both and so do we, since
/// deployments exist whose clients send it.
fn with_path(
    form: TargetForm,
    whole: Span,
    authority: Option<Span>,
    path: &[u8],
    start: usize,
) -> Target {
    let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
    let query = match path[end..] {
        [b'?', ref rest @ ..] => {
            let length = memchr::memchr(b'#', rest).unwrap_or(rest.len());
            Span::new(start + end + 1, length)
        }
        _ => Span::default(),
    };
    let path = Span::new(start, end);
    Target {
        form,
        whole,
        path,
        query,
        authority,
    }
}
