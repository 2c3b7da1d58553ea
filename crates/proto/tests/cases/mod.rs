//! Reads the vector files; `vectors/README.md` describes their format.

use std::path::Path;

use proto::h1::Limits;

/// One case of a vector file.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) bytes: Vec<u8>,
    pub(crate) outcome: Outcome,
}

/// What has to come of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Refused { status: u16, rule: String },
    Incomplete(Part),
    Accepted(Box<Accepted>),
}

/// The part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Head,
    Body,
}

/// What an accepted request has to say. `None` is not checked.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) line: Vec<u8>,
    pub(crate) form: Option<Vec<u8>>,
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) query: Option<Vec<u8>>,
    pub(crate) host: Option<Vec<u8>>,
    pub(crate) fields: Vec<Vec<u8>>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<Vec<u8>>,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
}

/// All cases of all files.
pub(crate) fn read_all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/http1");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| read(&std::fs::read_to_string(file).unwrap()))
        .collect()
}

fn read(text: &str) -> Vec<Case> {
    text.split("\n\n")
        .map(Block::new)
        .filter(|block| !block.lines.is_empty())
        .map(|block| block.case())
        .collect()
}

/// The lines of a case, each as keyword and value.
struct Block<'a> {
    lines: Vec<(&'a str, &'a str)>,
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

    fn all(&self, keyword: &str) -> Vec<Vec<u8>> {
        let lines = self.lines.iter().filter(|line| line.0 == keyword);
        lines.map(|line| unescape(line.1)).collect()
    }

    fn text(&self, keyword: &str) -> Option<&'a str> {
        self.lines
            .iter()
            .find(|line| line.0 == keyword)
            .map(|line| line.1)
    }

    fn bytes(&self, keyword: &str) -> Option<Vec<u8>> {
        self.text(keyword).map(unescape)
    }

    fn case(&self) -> Case {
        let name = self.text("case").unwrap().to_owned();
        let limits = limits(self.text("limits").unwrap_or_default());
        Case {
            name,
            limits,
            bytes: self.all("send").concat(),
            outcome: self.outcome(),
        }
    }

    fn outcome(&self) -> Outcome {
        if let Some(refused) = self.text("refused") {
            let (status, rule) = refused.split_once(' ').unwrap();
            return Outcome::Refused {
                status: status.parse().unwrap(),
                rule: rule.to_owned(),
            };
        }
        match self.text("incomplete") {
            Some("head") => Outcome::Incomplete(Part::Head),
            Some("body") => Outcome::Incomplete(Part::Body),
            Some(other) => panic!("a message has no {other}"),
            None => Outcome::Accepted(Box::new(self.accepted())),
        }
    }

    fn accepted(&self) -> Accepted {
        let line = self.bytes("accepted").unwrap();
        let keep_alive = match self.text("keep_alive") {
            Some(answer) => answer == "yes",
            None => line.ends_with(b"HTTP/1.1"),
        };
        Accepted {
            form: self.bytes("form"),
            path: self.bytes("path"),
            query: self.bytes("query"),
            host: self.bytes("host"),
            fields: self.all("field"),
            body: self.all("body").concat(),
            trailers: self.all("trailer"),
            keep_alive,
            expects_continue: self.text("continue") == Some("yes"),
            line,
        }
    }
}

fn limits(text: &str) -> Limits {
    let mut limits = Limits::default();
    for setting in text.split_whitespace() {
        match setting.split_once('=').unwrap_or((setting, "")) {
            ("request_line", value) => limits.request_line = value.parse().unwrap(),
            ("fields", value) => limits.fields = value.parse().unwrap(),
            ("field_size", value) => limits.field_size = value.parse().unwrap(),
            ("unconventional_method", "") => limits.unconventional_method = true,
            ("casefold_method", "") => limits.casefold_method = true,
            (name, _) => panic!("no limit is called {name}"),
        }
    }
    limits
}

fn unescape(text: &str) -> Vec<u8> {
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
