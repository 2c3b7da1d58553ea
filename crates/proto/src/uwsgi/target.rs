//! The request target: what the client sent, unless the front server has made another path of it.

use super::UwsgiVariables;

/// The target. `REQUEST_URI` is what the client sent; `SCRIPT_NAME`, `PATH_INFO` and `QUERY_STRING` are what the front
/// server wants to be served, which counts where the two differ: rules of the front server have been applied to it.
pub(super) fn of(variables: &UwsgiVariables) -> Vec<u8> {
    let sent = variables
        .value(b"REQUEST_URI")
        .filter(|uri| !uri.is_empty());
    let Some(info) = variables.path_info() else {
        return sent.unwrap_or(b"/").to_vec();
    };
    let path = [variables.script_name(), info].concat();
    let query = variables.value(b"QUERY_STRING").unwrap_or_default();
    if let Some(sent) = sent
        && says_the_same(sent, &path, query)
    {
        return sent.to_vec();
    }
    let mut target = Vec::with_capacity(path.len() + query.len() + 1);
    path.iter().for_each(|&byte| encode(byte, &mut target));
    if target.first() != Some(&b'/') {
        target.insert(0, b'/');
    }
    if !query.is_empty() {
        target.push(b'?');
        target.extend_from_slice(query);
    }
    target
}

/// `PATH_INFO` without `SCRIPT_NAME`. nginx's usual parameters give the whole path as `PATH_INFO` where a location
/// names a mount point beside them; the target that the client sent tells that.
pub(super) fn below<'a>(script_name: &[u8], info: &'a [u8], sent: &[u8]) -> &'a [u8] {
    let Some(rest) = info.strip_prefix(script_name) else {
        return info;
    };
    let is_mount_point = !script_name.is_empty() && matches!(rest.first(), None | Some(b'/'));
    let sent = sent.split(|byte| *byte == b'?').next().unwrap_or_default();
    match is_mount_point && decoded(sent).eq(info.iter().copied()) {
        true => rest,
        false => info,
    }
}

fn says_the_same(sent: &[u8], path: &[u8], query: &[u8]) -> bool {
    let mut parts = sent.splitn(2, |byte| *byte == b'?');
    let (sent_path, sent_query) = (parts.next().unwrap_or_default(), parts.next());
    sent_query.unwrap_or_default() == query && decoded(sent_path).eq(path.iter().copied())
}

/// The bytes of a path that is percent-encoded. A `%` that encodes nothing stands for itself.
fn decoded(mut path: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (&first, rest) = path.split_first()?;
        let (byte, rest) = match (first, rest) {
            (b'%', [high, low, rest @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, rest),
                _ => (first, &path[1..]),
            },
            _ => (first, rest),
        };
        path = rest;
        Some(byte)
    })
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// Appends a byte of a path (RFC 3986, section 3.3).
fn encode(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let is_plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
    match is_plain {
        true => out.push(byte),
        false => out.extend_from_slice(&[
            b'%',
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]),
    }
}
