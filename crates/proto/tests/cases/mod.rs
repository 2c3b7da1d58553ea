//! Reads the vector files; `vectors/README.md` describes their format.
#![allow(dead_code, reason = "each test crate uses a part of it")]

mod blocks;

use proto::Limits;

use blocks::{Block, blocks, files_of};

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
    let files = files_of("http1");
    files
        .iter()
        .flat_map(|text| blocks(text).map(|block| block.case()))
        .collect()
}

impl Block<'_> {
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
            ("unconventional_version", "") => limits.unconventional_version = true,
            ("obsolete_folding", "") => limits.obsolete_folding = true,
            ("space_before_colon", "") => limits.space_before_colon = true,
            (name, _) => panic!("no limit is called {name}"),
        }
    }
    limits
}
