//! The command line, read as Python's argparse reads Gunicorn's: unique prefixes of long options, `-w4`, `--opt=value`,
//! short options behind one hyphen, options before and after the application. `words.rs` says what each argument is,
//! this file what they mean together. Values are only brought into the form that argparse gives them.

use crate::error::{Rejection, SettingsError, Source, report};
use crate::foreign::{foreign, refused_value};
use crate::kind::Kind;
use crate::near_miss::near_option;
use crate::render::Help;
use crate::setting::{Literal, Section, Setting, find};
use crate::table::table;
use crate::uvicorn::{Part, Purpose, address};
use crate::value::Value;

mod words;

use words::{Meaning, Word, classify};

/// What the arguments ask for.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// To run.
    Run(CommandLine),
    /// The text of `-h` or `--help`, for standard output; exit 0.
    Help(Help),
    /// The version; exit 0.
    Version,
    /// They cannot be understood: lines for standard error; exit 2.
    Usage(String),
}

/// The options that were given, and the application.
#[derive(Clone, Debug, Default)]
pub struct CommandLine {
    /// The first positional argument.
    pub app: Option<String>,
    /// Further positional arguments. argparse accepts them, and only a program that embeds the server has a use for
    /// them.
    pub extra: Vec<String>,
    /// Whether the first word was the command `dev`.
    pub is_dev: bool,
    pub(crate) options: Vec<Chosen>,
    /// Options that nothing comes of, each with the reason.
    pub(crate) without_effect: Vec<(&'static str, &'static str)>,
}

/// One setting that the options give a value.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) setting: &'static Setting,
    pub(crate) value: Value,
    /// The option, as messages call it.
    pub(crate) label: &'static str,
}

impl CommandLine {
    /// Each option that was given, by the name of its setting; one that was given again comes again.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.options
            .iter()
            .map(|chosen| (chosen.setting.name, &chosen.value))
    }
}

impl CommandLine {
    fn for_development(mut self) -> Self {
        self.is_dev = true;
        let is_reload = |chosen: &Chosen| chosen.setting.name == "reload";
        if let (Some(setting), false) = (find("reload"), self.options.iter().any(is_reload)) {
            self.options.push(Chosen {
                setting,
                value: Value::Bool(true),
                label: "dev",
            });
        }
        self
    }
}

/// Why arguments are not a [`CommandLine`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stop {
    Help(Help),
    Version,
    Usage {
        sentence: String,
        hint: Option<String>,
    },
    /// The value of an option has not the form that it takes.
    Malformed(Box<Malformed>),
}

/// A value that has not the form which its option takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Malformed {
    option: &'static str,
    text: String,
    rejection: Rejection,
}

impl Malformed {
    /// The error, where it is known whose arguments these are.
    pub(crate) fn of(self, source: &Source) -> SettingsError {
        self.rejection
            .of(self.option, &Value::Str(self.text), source)
    }
}

impl Stop {
    fn usage(sentence: String, hint: String) -> Self {
        Self::Usage {
            sentence,
            hint: Some(hint),
        }
    }
}

/// Parses the arguments that follow the program's name. What values mean is checked later, by
/// [`crate::Layers::resolve`].
///
/// `dev` is a command where it is the first word: the application is found where none is named, and changed files are
/// noticed. An application in a module of that name is `dev:application`.
pub fn parse_command_line(arguments: &[String]) -> Parsed {
    let dev = arguments.split_first().filter(|(first, _)| *first == "dev");
    let parsed = match dev {
        Some((_, rest)) => match parse_arguments(rest) {
            Parsed::Run(line) => Parsed::Run(line.for_development()),
            other => other,
        },
        None => parse_arguments(arguments),
    };
    if let Parsed::Run(CommandLine {
        app: Some(app),
        extra,
        ..
    }) = &parsed
        && let Some(word) = extra.first()
    {
        return Parsed::Usage(report(&too_many(word, app), Some(ONE_APPLICATION)));
    }
    parsed
}

/// The same for a program that embeds the server and may have a use for several positional arguments.
pub fn parse_arguments(arguments: &[String]) -> Parsed {
    match parse(arguments) {
        Ok(command_line) => Parsed::Run(command_line),
        Err(Stop::Help(which)) => Parsed::Help(which),
        Err(Stop::Version) => Parsed::Version,
        Err(Stop::Usage { sentence, hint }) => Parsed::Usage(report(&sentence, hint.as_deref())),
        Err(Stop::Malformed(value)) => Parsed::Usage(value.of(&Source::CommandLine).report()),
    }
}

/// The same, for any source of arguments.
pub(crate) fn parse(arguments: &[String]) -> Result<CommandLine, Stop> {
    let mut reader = Reader::new(classify(arguments)?);
    while let Some(word) = reader.words.get(reader.at) {
        match *word {
            Word::Plain(_) | Word::Separator => reader.read_positionals(),
            Word::Unknown(text) => {
                reader.left_over.push(text);
                reader.at += 1;
            }
            Word::Option { meaning, tied, .. } => reader.read_option(meaning, tied)?,
        }
    }
    reader.finish()
}

/// The words, how far they were read, and what they have said.
struct Reader<'a> {
    words: Vec<Word<'a>>,
    at: usize,
    /// The first row of words that are no options; argparse does not know what to do with a second.
    positionals: Option<Vec<&'a str>>,
    options: Vec<Chosen>,
    /// What uvicorn's options say of the address to listen on.
    parts: Vec<(Part, &'a str)>,
    without_effect: Vec<(&'static str, &'static str)>,
    /// Words that have no meaning. They are a mistake, unless help is asked for further on.
    left_over: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn new(words: Vec<Word<'a>>) -> Self {
        Self {
            words,
            at: 0,
            positionals: None,
            options: Vec::new(),
            parts: Vec::new(),
            without_effect: Vec::new(),
            left_over: Vec::new(),
        }
    }

    fn read_positionals(&mut self) {
        let row = self.words[self.at..].iter().map_while(|word| match word {
            Word::Plain(text) => Some(*text),
            Word::Separator => Some("--"),
            Word::Option { .. } | Word::Unknown(_) => None,
        });
        let mut row: Vec<&str> = row.collect();
        self.at += row.len();
        if self.positionals.is_some() {
            self.left_over.append(&mut row);
            return;
        }
        if let Some(separator) = row.iter().position(|text| *text == "--") {
            row.remove(separator);
        }
        self.positionals = Some(row);
    }

    /// Reads an option and, where short ones share a hyphen with it (`-Dw 2`), those too. Nothing is done before all of
    /// them are understood: `-hw` is a mistake and no call for help.
    fn read_option(&mut self, first: Meaning, tied: Option<&'a str>) -> Result<(), Stop> {
        let is_short = matches!(self.words[self.at], Word::Option { is_short: true, .. });
        let (mut option, mut tied) = (first, tied);
        let mut understood = Vec::new();
        let last = loop {
            let Some(text) = tied else {
                break (option, self.value_of(option)?);
            };
            if option.arity() != Arity::None {
                break (option, Some(text));
            }
            let mut letters = text.chars();
            let next = letters.next().filter(|_| is_short).and_then(Meaning::short);
            understood.push((option, None));
            option = next.ok_or_else(|| needs_no_value(option))?;
            tied = Some(letters.as_str()).filter(|rest| !rest.is_empty());
        };
        self.at += 1;
        understood.push(last);
        understood
            .into_iter()
            .try_for_each(|(option, value)| self.take(option, value))
    }

    /// The value that stands behind an option that has none tied to it.
    fn value_of(&mut self, option: Meaning) -> Result<Option<&'a str>, Stop> {
        let next = match self.words.get(self.at + 1) {
            Some(Word::Plain(text)) if option.arity() != Arity::None => Some(*text),
            _ => None,
        };
        if next.is_none() && option.arity() == Arity::One {
            return Err(needs_value(option));
        }
        self.at += usize::from(next.is_some());
        Ok(next)
    }

    fn take(&mut self, option: Meaning, text: Option<&'a str>) -> Result<(), Stop> {
        let alias = match option {
            Meaning::Help(which) => return Err(Stop::Help(which)),
            Meaning::Version => return Err(Stop::Version),
            Meaning::Setting(setting) => {
                let value = match text {
                    None => setting.bare_value(),
                    Some(text) => argument(setting, text, setting.option())?,
                };
                return self.choose(setting, value, setting.option());
            }
            Meaning::Alias(alias) => alias,
        };
        let text = text.unwrap_or_default();
        if let Some((sentence, instead)) = refused_value(alias.flag, text) {
            return Err(Stop::usage(sentence, instead.to_owned()));
        }
        match alias.purpose {
            Purpose::Setting(name) => {
                let Some(setting) = find(name) else {
                    return Ok(());
                };
                let value = argument(setting, text, alias.flag)?;
                self.choose(setting, value, alias.flag)
            }
            Purpose::Switch(name, literal) => match find(name) {
                Some(setting) => self.choose(setting, literal.value(), alias.flag),
                None => Ok(()),
            },
            Purpose::Bind(part) => {
                self.parts.retain(|(known, _)| *known != part);
                self.parts.push((part, text));
                Ok(())
            }
            Purpose::Nothing(reason) => {
                self.without_effect.push((alias.flag, reason));
                Ok(())
            }
        }
    }

    fn choose(
        &mut self,
        setting: &'static Setting,
        value: Value,
        label: &'static str,
    ) -> Result<(), Stop> {
        let known = |chosen: &&mut Chosen| chosen.setting.name == setting.name;
        let before = self.options.iter_mut().find(known);
        match (before, value) {
            (Some(before), _) if before.label != label => {
                return Err(contradiction(before.label, label));
            }
            (Some(before), value) => match (&mut before.value, value) {
                (Value::List(items), Value::List(more)) => items.extend(more),
                (old, new) => *old = new,
            },
            (None, value) => self.options.push(Chosen {
                setting,
                value,
                label,
            }),
        }
        Ok(())
    }

    /// Makes one address of what uvicorn's options say.
    fn bind(&mut self) -> Result<(), Stop> {
        let made = address(&self.parts).map_err(|[one, other]| contradiction(one, other))?;
        match (made, find("bind")) {
            (Some((address, flag)), Some(setting)) => {
                self.choose(setting, Value::List(vec![Value::Str(address)]), flag)
            }
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Result<CommandLine, Stop> {
        self.bind()?;
        let mut positionals = self.positionals.unwrap_or_default().into_iter();
        let app = positionals.next();
        if let Some(first) = self.left_over.first() {
            return Err(unwanted(first, app));
        }
        let mut options = self.options;
        options.sort_by_key(|chosen| {
            let name = chosen.setting.name;
            table().iter().position(|known| known.name == name)
        });
        Ok(CommandLine {
            app: app.map(str::to_owned),
            extra: positionals.map(str::to_owned).collect(),
            is_dev: false,
            options,
            without_effect: self.without_effect,
        })
    }
}

/// How many values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arity {
    None,
    One,
    /// One or none: `--proxy-protocol` alone means `auto`.
    Optional,
}

impl Meaning {
    fn arity(self) -> Arity {
        match self {
            Self::Help(_) | Self::Version => Arity::None,
            Self::Setting(setting) => match (setting.kind, setting.bare) {
                (Kind::Flag, _) => Arity::None,
                (_, Literal::Str(_)) => Arity::Optional,
                _ => Arity::One,
            },
            Self::Alias(alias) if alias.takes_value() => Arity::One,
            Self::Alias(_) => Arity::None,
        }
    }

    /// The spelling that messages use.
    fn option(self) -> &'static str {
        match self {
            Self::Help(_) => "--help",
            Self::Version => "--version",
            Self::Setting(setting) => setting.option(),
            Self::Alias(alias) => alias.flag,
        }
    }
}

/// What argparse makes of a value: numbers are numbers here already, and only here have they to be decimal.
fn argument(setting: &'static Setting, text: &str, option: &'static str) -> Result<Value, Stop> {
    match setting.kind {
        Kind::Words => Ok(Value::List(vec![Value::from(text)])),
        // Gunicorn gives the numbers of TLS no type on the command line.
        kind if setting.section != Section::Ssl => kind.argument(text).map_err(|rejection| {
            Stop::Malformed(Box::new(Malformed {
                option,
                text: text.to_owned(),
                rejection,
            }))
        }),
        _ => Ok(Value::from(text)),
    }
}

fn needs_value(option: Meaning) -> Stop {
    let example = match option {
        Meaning::Setting(setting) => format!("{} <{}>", setting.option(), setting.metavar),
        Meaning::Help(_) | Meaning::Version => option.option().to_owned(),
        Meaning::Alias(alias) => format!("{} <VALUE>", alias.flag),
    };
    Stop::usage(
        format!("{} needs a value", option.option()),
        format!("as in {example}"),
    )
}

fn needs_no_value(option: Meaning) -> Stop {
    let option = option.option();
    Stop::usage(
        format!("{option} takes no value"),
        format!("write {option} alone"),
    )
}

fn contradiction(one: &str, other: &str) -> Stop {
    Stop::usage(
        format!("{one} and {other} speak of the same setting"),
        "give one of them".to_owned(),
    )
}

const ONE_APPLICATION: &str = "one application is served; options begin with a hyphen";

fn too_many(word: &str, app: &str) -> String {
    format!("{word} is one word too many: the application is {app}")
}

/// The sentence about a word that is neither an option nor the application.
fn unwanted(word: &str, app: Option<&str>) -> Stop {
    if !word.starts_with('-') || word == "--" {
        let app = app.unwrap_or_default();
        return Stop::usage(
            too_many(word, app),
            "the application stands before or after the options, not on both sides".to_owned(),
        );
    }
    let option = word.split([' ', '=']).next().unwrap_or_default();
    if let Some(foreign) = foreign(option) {
        return Stop::usage(foreign.sentence(), foreign.instead.to_owned());
    }
    let hint = near_option(option).map_or("oxicorn --help lists the options".to_owned(), |near| {
        format!("did you mean {near}?")
    });
    Stop::usage(format!("{option} is not an option"), hint)
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
