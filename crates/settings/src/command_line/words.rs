//! What each argument is, by argparse's rules: an option, with or without a value tied to it, or something else. All of
//! them are looked at before the first is acted on, so that an unclear option is a mistake in any place where it
//! stands.

use super::Stop;
use crate::foreign::foreign;
use crate::render::Help;
use crate::setting::Setting;
use crate::table::table;
use crate::uvicorn::{ALIASES, Alias};

/// What one argument is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word<'a> {
    /// No option: a value, or the application.
    Plain(&'a str),
    /// `--`: what follows it is no option.
    Separator,
    /// An option.
    Option {
        meaning: Meaning,
        /// Whether it has one hyphen.
        is_short: bool,
        /// The value that belongs to the same argument, or further short options.
        tied: Option<&'a str>,
    },
    /// It looks like an option, and there is none of that name.
    Unknown(&'a str),
}

/// What an option stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meaning {
    Help(Help),
    Version,
    Setting(&'static Setting),
    /// One of uvicorn's names.
    Alias(&'static Alias),
}

impl Meaning {
    /// The short option of that letter.
    pub(super) fn short(letter: char) -> Option<Self> {
        spelled(&format!("-{letter}"))
    }
}

/// Looks at all arguments.
pub(super) fn classify(arguments: &[String]) -> Result<Vec<Word<'_>>, Stop> {
    let separator = arguments.iter().position(|argument| argument == "--");
    let (before, after) = arguments.split_at(separator.unwrap_or(arguments.len()));
    let following = before.iter().skip(1).map(Some).chain([None]);
    let mut words: Vec<Word<'_>> = before
        .iter()
        .zip(following)
        .map(|(argument, next)| word(argument, next))
        .collect::<Result<_, _>>()?;
    if let Some((_, rest)) = after.split_first() {
        words.push(Word::Separator);
        words.extend(rest.iter().map(|argument| Word::Plain(argument)));
    }
    Ok(words)
}

fn word<'a>(argument: &'a str, next: Option<&String>) -> Result<Word<'a>, Stop> {
    if !argument.starts_with('-') || argument == "-" {
        return Ok(Word::Plain(argument));
    }
    if let Some(word) = exact(argument).filter(|_| !is_header_map(argument, next)) {
        return Ok(word);
    }
    if foreign(argument.split('=').next().unwrap_or(argument)).is_some() {
        return Ok(Word::Unknown(argument));
    }
    let found = match argument.starts_with("--") {
        true => prefix(argument)?,
        false => cluster(argument),
    };
    Ok(found.unwrap_or(
        match is_negative_number(argument) || argument.contains(' ') {
            true => Word::Plain(argument),
            false => Word::Unknown(argument),
        },
    ))
}

/// `--header` is an option of uvicorn's, and the short form of Gunicorn's `--header-map`. uvicorn's takes `Name:Value`;
/// none of the words of Gunicorn's has a colon.
fn is_header_map(argument: &str, next: Option<&String>) -> bool {
    match argument.strip_prefix("--header") {
        Some("") => !next.is_some_and(|value| value.contains(':')),
        Some(rest) => rest.starts_with('=') && !rest.contains(':'),
        None => false,
    }
}

/// `--workers`, `-w`, `--workers=4`, `-w=4`.
fn exact(argument: &str) -> Option<Word<'_>> {
    let option = |spelling: &str, tied| {
        Some(Word::Option {
            meaning: spelled(spelling)?,
            is_short: !spelling.starts_with("--"),
            tied,
        })
    };
    option(argument, None).or_else(|| {
        let (spelling, value) = argument.split_once('=')?;
        option(spelling, Some(value))
    })
}

/// `-w4`, `-Dw`: a short option with something behind it.
fn cluster(argument: &str) -> Option<Word<'_>> {
    let (at, _) = argument.char_indices().nth(2)?;
    let (spelling, rest) = argument.split_at(at);
    Some(Word::Option {
        meaning: spelled(spelling)?,
        is_short: true,
        tied: Some(rest),
    })
}

/// `--keep`, `--keep=4`. A prefix that is unique among Gunicorn's options stays so, however many of its own Oxicorn
/// has.
fn prefix(argument: &str) -> Result<Option<Word<'_>>, Stop> {
    let (start, tied) = match argument.split_once('=') {
        Some((start, value)) => (start, Some(value)),
        None => (argument, None),
    };
    let beginning = |which: fn(&Setting) -> bool| -> Vec<&'static str> {
        long_options(which)
            .filter(|option| option.starts_with(start))
            .collect()
    };
    let of_gunicorn = beginning(|setting| !setting.is_own());
    let candidates = match of_gunicorn.is_empty() {
        true => {
            let aliases = ALIASES.iter().map(|alias| alias.flag);
            let aliases = aliases.filter(|option| option.starts_with(start));
            beginning(Setting::is_own)
                .into_iter()
                .chain(aliases)
                .collect()
        }
        false => of_gunicorn,
    };
    match candidates.as_slice() {
        [] => Ok(None),
        [only] => Ok(spelled(only).map(|meaning| Word::Option {
            meaning,
            is_short: false,
            tied,
        })),
        several => Err(Stop::usage(
            format!("{start} is not clear: it could be {}", several.join(", ")),
            "write the option out".to_owned(),
        )),
    }
}

/// The option of exactly that spelling.
fn spelled(spelling: &str) -> Option<Meaning> {
    match spelling {
        "-h" => Some(Meaning::Help(Help::Short)),
        "--help" => Some(Meaning::Help(Help::All)),
        "-v" | "--version" => Some(Meaning::Version),
        _ => {
            let setting = table()
                .iter()
                .find(|setting| setting.flags.contains(&spelling));
            let alias = || ALIASES.iter().find(|alias| alias.flag == spelling);
            setting
                .map(Meaning::Setting)
                .or_else(|| alias().map(Meaning::Alias))
        }
    }
}

/// The long spellings of the settings that `which` wants; help and version count as Gunicorn's.
fn long_options(which: impl Fn(&Setting) -> bool) -> impl Iterator<Item = &'static str> {
    let settings = table().iter().filter(move |setting| which(setting));
    ["--help", "--version"]
        .into_iter()
        .chain(settings.flat_map(|setting| setting.flags).copied())
        .filter(|flag| flag.starts_with("--"))
}

/// `-4`, `-0.5`, `-.5`: no option looks like that, so it is a value.
fn is_negative_number(argument: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = argument.strip_prefix('-') else {
        return false;
    };
    match number.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && !fraction.is_empty(),
        None => digits(number) && !number.is_empty(),
    }
}
