//! How long a file may be kept by its client (RFC 9111): the operator's rules by name, and names that hold a hash of
//! the content, as build tools make them.

/// A rule of the operator: files whose path matches a pattern get this Cache-Control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRule {
    /// What their name or path looks like.
    pub pattern: String,
    /// The value of the field; empty for none.
    pub value: String,
}

impl CacheRule {
    /// Whether it is about a file. `*` in the pattern stands for any text, slashes too; a pattern without a slash is
    /// compared with the name alone.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let pattern = self.pattern.as_bytes();
        let subject = match pattern.contains(&b'/') {
            true => path,
            false => name_of(path),
        };
        matches(pattern, subject)
    }
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// Goes back to the last `*` only, so it takes at most the product of both lengths.
fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < subject.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(&byte) if byte == subject[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match &mut star {
                Some((behind, from)) => {
                    *from += 1;
                    (at, seen) = (*behind, *from);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// The fewest digits of a hash: webpack, Parcel and Vite write 8, Django 12, Rails 64.
const HASH: usize = 8;

/// Whether the name of a file holds a hash of its content, so that the file will never change: `app.3f2a9c1b.js`
/// (webpack, Django), `index-BqX3kT_a.js` (Vite, esbuild). What could also be a word or a date is none: a file that is
/// kept by mistake stays wrong for a year.
#[must_use]
pub fn is_hashed(path: &[u8]) -> bool {
    let name = name_of(path);
    let mut parts = name.split(|&byte| byte == b'.');
    let Some(stem) = parts.next() else {
        return false;
    };
    let mut parts: Vec<&[u8]> = parts.collect();
    // The last part is the extension. The others stand between dots.
    if parts.pop().is_none() {
        return false;
    }
    let behind_dash = stem
        .get(stem.len().saturating_sub(HASH + 1)..)
        .and_then(|end| end.strip_prefix(b"-"));
    let behind_last_dash = stem.rsplit(|&byte| byte == b'-').next();
    parts
        .iter()
        .any(|part| is_hexadecimal(part) || is_base64(part))
        || behind_dash.is_some_and(is_base64)
        || behind_last_dash.is_some_and(|end| end.len() < stem.len() && is_hexadecimal(end))
}

/// Digits and letters of one case: one that has only digits may be a date, one that has only letters a word.
fn is_hexadecimal(text: &[u8]) -> bool {
    let any = |is: fn(&u8) -> bool| text.iter().any(is);
    text.len() >= HASH
        && text.iter().all(u8::is_ascii_hexdigit)
        && any(u8::is_ascii_digit)
        && any(u8::is_ascii_lowercase) != any(u8::is_ascii_uppercase)
}

/// Eight characters of base64url that are no word: `FaceBook` is one, and so are `Version2` and `PhotoNew`.
fn is_base64(text: &[u8]) -> bool {
    let is_member = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let any = |is: fn(&u8) -> bool| text.iter().any(is);
    let cases = any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase);
    let least = if any(u8::is_ascii_digit) { 3 } else { 4 };
    text.len() == HASH && text.iter().all(is_member) && cases && changes(text) >= least
}

/// How often the kind of character changes: often in random characters, and seldom in words.
fn changes(text: &[u8]) -> usize {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let pairs = text.windows(2);
    pairs.filter(|pair| kind(pair[0]) != kind(pair[1])).count()
}
