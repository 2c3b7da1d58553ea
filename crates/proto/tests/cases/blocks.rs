//! The format of all vector files: blocks of keywords and values, with escapes. `vectors/README.md` describes it.

use std::path::Path;

/// The cases of all files in that folder of `vectors`.
pub(crate) fn files_of(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../vectors")
        .join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap());
    texts.collect()
}

/// The blocks of one file.
pub(crate) fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    text.split("\n\n")
        .map(Block::new)
        .filter(|block| !block.lines.is_empty())
}

/// The lines of a case, each as keyword and value.
pub(crate) struct Block<'a> {
    pub(crate) lines: Vec<(&'a str, &'a str)>,
}

impl<'a> Block<'a> {
    fn new(text: &'a str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let split = |line: &'a str| {
            let (keyword, value) = line.split_once(':').unwrap();
            (keyword, value.strip_prefix(' ').unwrap_or(value))
        };
        Self {
            lines: lines.map(split).collect(),
        }
    }

    pub(crate) fn all(&self, keyword: &str) -> Vec<Vec<u8>> {
        let lines = self.lines.iter().filter(|line| line.0 == keyword);
        lines.map(|line| unescape(line.1)).collect()
    }

    pub(crate) fn text(&self, keyword: &str) -> Option<&'a str> {
        self.lines
            .iter()
            .find(|line| line.0 == keyword)
            .map(|line| line.1)
    }

    pub(crate) fn bytes(&self, keyword: &str) -> Option<Vec<u8>> {
        self.text(keyword).map(unescape)
    }
}

pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let length = match escape.as_bytes()[0] {
            b'{' => push_repeated(escape, &mut bytes),
            b'x' => {
                bytes.push(u8::from_str_radix(&escape[1..3], 16).unwrap());
                3
            }
            simple => {
                bytes.push(unescape_simple(simple));
                1
            }
        };
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn push_repeated(escape: &str, bytes: &mut Vec<u8>) -> usize {
    let end = escape.find('}').unwrap();
    let (count, text) = escape[1..end].split_once('*').unwrap();
    bytes.extend(unescape(text).repeat(count.parse().unwrap()));
    end + 1
}

fn unescape_simple(letter: u8) -> u8 {
    match letter {
        b'r' => b'\r',
        b'n' => b'\n',
        b't' => b'\t',
        b'\\' => b'\\',
        other => panic!("no escape is \\{}", char::from(other)),
    }
}
