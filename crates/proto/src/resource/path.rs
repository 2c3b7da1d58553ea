//! Which file a request path may name. The rules are of text alone; that no link leads out of the directory is the
//! concern of the one who opens the file.

use crate::fields::any_byte;

/// The one name with a leading dot that is served (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// A path without its percent-encoding. `None` where an escape is broken, or stands for a slash or for a control
/// character: two readers of such a path can take it for two files.
#[must_use]
pub fn decode_path(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let byte = match (*first, behind) {
            (b'%', [high, low, behind @ ..]) => {
                rest = behind;
                match digit(*high)? << 4 | digit(*low)? {
                    b'/' => return None,
                    byte => byte,
                }
            }
            (b'%', _) => return None,
            (byte, _) => byte,
        };
        decoded.push(byte);
    }
    (!any_byte(&decoded, |byte| byte < b' ' || byte == 0x7f)).then_some(decoded)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

/// Whether a decoded path, which is relative to a directory, may name a file there: no segment is empty but the last,
/// and none begins with a dot, but `.well-known`. That keeps `..` out as well as `.git` and `.env`.
#[must_use]
pub fn is_servable(relative: &[u8]) -> bool {
    let (directories, name) = match relative.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (Some(&relative[..slash]), &relative[slash + 1..]),
        None => (None, relative),
    };
    let is_directory = |segment: &[u8]| !segment.is_empty() && is_visible(segment);
    let directories = directories.map(|path| path.split(|&byte| byte == b'/'));
    is_visible(name) && directories.is_none_or(|mut segments| segments.all(is_directory))
}

fn is_visible(segment: &[u8]) -> bool {
    !segment.starts_with(b".") || segment == WELL_KNOWN
}

/// The target of the redirect that adds the slash of a directory: the path as the client sent it, so that nothing has
/// to be encoded anew, and its query.
///
/// A path that begins with two slashes would be the name of a host to the client (RFC 3986, section 4.2); it gets one.
#[must_use]
pub fn redirect_to(path: &[u8], query: &[u8]) -> Vec<u8> {
    let start = path
        .iter()
        .take_while(|&&byte| matches!(byte, b'/' | b'\\'))
        .count();
    let mut target = vec![b'/'];
    target.extend_from_slice(&path[start..]);
    target.push(b'/');
    if !query.is_empty() {
        target.push(b'?');
        target.extend_from_slice(query);
    }
    target
}
