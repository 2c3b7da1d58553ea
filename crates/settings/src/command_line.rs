//! The command line, with argparse's manners: unique prefixes of long options, `-w4`, `--opt=value`, options before and
//! after the application, several positionals of which the first counts. The parser is clap's, built from the table.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::error::report;
use crate::kind::Kind;
use crate::render::help;
use crate::setting::{Literal, Setting, Status};
use crate::table::table;
use crate::value::Value;

/// The id of the positional arguments; no setting has this name.
const POSITIONALS: &str = "APP_MODULE";

/// Columns of the help: those of a usual terminal, so that its text does not depend on the machine.
const HELP_WIDTH: usize = 100;

/// What the arguments ask for.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// To run.
    Run(CommandLine),
    /// The text of `--help`, for standard output; exit 0.
    Help(String),
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
    pub(crate) options: Vec<(&'static Setting, Value)>,
}

/// Why arguments are not a [`CommandLine`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Help,
    Version,
    Usage {
        sentence: String,
        hint: Option<String>,
    },
}

/// Parses the arguments that follow the program's name. Values are checked later, by [`crate::Layers::resolve`].
pub fn parse_command_line(arguments: &[String]) -> Parsed {
    match parse(arguments) {
        Ok(command_line) => Parsed::Run(command_line),
        Err(Stop::Help) => Parsed::Help(help()),
        Err(Stop::Version) => Parsed::Version,
        Err(Stop::Usage { sentence, hint }) => Parsed::Usage(report(&sentence, hint.as_deref())),
    }
}

/// The same, for any source of arguments.
pub(crate) fn parse(arguments: &[String]) -> Result<CommandLine, Stop> {
    let spelled_out = spell_out(arguments)?;
    let mut matches = command()
        .try_get_matches_from(spelled_out)
        .map_err(|error| stop(&error))?;
    let app = matches
        .remove_many::<String>(POSITIONALS)
        .and_then(|mut all| all.next());
    let options = table()
        .iter()
        .filter_map(|setting| Some((setting, given(setting, &matches)?)))
        .collect();
    Ok(CommandLine { app, options })
}

/// The parser, which also renders the help.
pub(crate) fn command() -> Command {
    let settings = table().iter().filter(|setting| !setting.flags.is_empty());
    Command::new("oxicorn")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .version("")
        .args_override_self(true)
        .term_width(HELP_WIDTH)
        .override_usage("oxicorn [OPTIONS] [APP_MODULE]")
        .arg(
            Arg::new(POSITIONALS)
                .num_args(0..)
                .action(ArgAction::Append)
                .help("What to serve: MODULE[:NAME]"),
        )
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::Help)
                .help("Print this text and exit"),
        )
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version and exit"),
        )
        .args(settings.map(argument))
}

fn argument(setting: &'static Setting) -> Arg {
    let mut long = setting
        .flags
        .iter()
        .filter_map(|flag| flag.strip_prefix("--"));
    let short = setting
        .flags
        .iter()
        .filter(|flag| !flag.starts_with("--"))
        .filter_map(|flag| flag.chars().nth(1));
    let mut argument = Arg::new(setting.name)
        .help_heading(setting.section.title())
        .help(help_line(setting))
        .action(action(setting))
        // What can only be refused is no help.
        .hide(matches!(setting.status, Status::Later(_)));
    if setting.kind != Kind::Flag {
        argument = argument
            .value_name(setting.metavar)
            .allow_negative_numbers(true);
    }
    if let Some(first) = long.next() {
        argument = argument.long(first).visible_aliases(long);
    }
    for character in short {
        argument = argument.short(character);
    }
    // An option whose value may be left out: `--proxy-protocol` alone means `auto`.
    if let Literal::Str(word) = setting.bare {
        argument = argument.num_args(0..=1).default_missing_value(word);
    }
    argument
}

fn action(setting: &Setting) -> ArgAction {
    match setting.kind {
        Kind::Flag => ArgAction::SetTrue,
        Kind::Words => ArgAction::Append,
        _ => ArgAction::Set,
    }
}

fn help_line(setting: &Setting) -> String {
    let summary = setting.summary.trim_end_matches('.');
    match setting.default {
        Literal::None | Literal::Bool(_) | Literal::Str("") | Literal::List(&[]) => {
            summary.to_owned()
        }
        Literal::List(items) => format!("{summary} [{}]", items.join(", ")),
        default => format!("{summary} [{}]", default.value().display()),
    }
}

/// The value that the options give a setting, if they do.
fn given(setting: &'static Setting, matches: &ArgMatches) -> Option<Value> {
    if setting.flags.is_empty() {
        return None;
    }
    match setting.kind {
        Kind::Flag => matches.get_flag(setting.name).then(|| setting.bare_value()),
        Kind::Words => {
            let items = matches.get_many::<String>(setting.name)?;
            Some(Value::List(
                items.map(|item| Value::from(item.as_str())).collect(),
            ))
        }
        _ => matches
            .get_one::<String>(setting.name)
            .map(|text| Value::from(text.as_str())),
    }
}

/// Replaces unique prefixes of long options by the options, and ties a value that looks like an option to its own. A
/// prefix that is unique among Gunicorn's options stays so, however many of its own Oxicorn has, which is why clap's
/// inference is not used.
fn spell_out(arguments: &[String]) -> Result<Vec<String>, Stop> {
    let mut spelled: Vec<String> = Vec::with_capacity(arguments.len());
    let mut arguments = arguments.iter();
    for argument in arguments.by_ref() {
        if argument == "--" {
            spelled.push(argument.clone());
            break;
        }
        match spelled.last_mut() {
            Some(option) if takes_value(option) && is_value_after_all(argument) => {
                *option = format!("{option}={argument}");
            }
            _ => spelled.push(expand(argument)?),
        }
    }
    spelled.extend(arguments.cloned());
    Ok(spelled)
}

/// Whether the argument is an option that needs a value and has none yet.
fn takes_value(argument: &str) -> bool {
    let of = |setting: &&Setting| setting.flags.contains(&argument);
    table()
        .iter()
        .find(of)
        .is_some_and(|setting| setting.kind != Kind::Flag)
}

/// argparse takes no argument with a blank in it for an option, unless it begins like one:
/// `--access-logformat '- %(h)s'`.
fn is_value_after_all(argument: &str) -> bool {
    let start = argument.split([' ', '=']).next().unwrap_or_default();
    let begins_like_one = |flag: &&str| match start.starts_with("--") {
        true => flag.starts_with(start),
        false => !flag.starts_with("--") && start.starts_with(*flag),
    };
    let mut flags = table()
        .iter()
        .flat_map(|setting| setting.flags)
        .chain(&["-h", "-v"]);
    argument.starts_with('-') && argument.contains(' ') && !flags.any(begins_like_one)
}

fn expand(argument: &str) -> Result<String, Stop> {
    let (option, value) = match argument.split_once('=') {
        Some((option, value)) => (option, Some(value)),
        None => (argument, None),
    };
    if !option.starts_with("--")
        || option == "--"
        || long_options(|_| true).any(|known| known == option)
    {
        return Ok(argument.to_owned());
    }
    let of_gunicorn: Vec<_> = long_options(|setting| !setting.is_own())
        .filter(|known| known.starts_with(option))
        .collect();
    let candidates = match of_gunicorn.is_empty() {
        true => long_options(Setting::is_own)
            .filter(|known| known.starts_with(option))
            .collect(),
        false => of_gunicorn,
    };
    match (candidates.as_slice(), value) {
        ([], _) => Ok(argument.to_owned()),
        ([only], None) => Ok((*only).to_owned()),
        ([only], Some(value)) => Ok(format!("{only}={value}")),
        (several, _) => Err(Stop::Usage {
            sentence: format!("{option} is not clear: it could be {}", several.join(", ")),
            hint: Some("write the option out".to_owned()),
        }),
    }
}

/// The long spellings of the settings that `which` wants; help and version count as Gunicorn's.
fn long_options(which: impl Fn(&Setting) -> bool) -> impl Iterator<Item = &'static str> {
    let settings = table().iter().filter(move |setting| which(setting));
    settings
        .flat_map(|setting| setting.flags)
        .copied()
        .chain(["--help", "--version"])
        .filter(|flag| flag.starts_with("--"))
}

/// What clap's error means, in the house's shape.
fn stop(error: &clap::Error) -> Stop {
    let argument = context(error, ContextKind::InvalidArg).unwrap_or_default();
    let option = argument
        .split([' ', '='])
        .next()
        .unwrap_or_default()
        .to_owned();
    let (sentence, hint) = match error.kind() {
        ErrorKind::DisplayHelp => return Stop::Help,
        ErrorKind::DisplayVersion => return Stop::Version,
        ErrorKind::UnknownArgument => {
            let suggested = context(error, ContextKind::SuggestedArg);
            let hint = suggested.map_or("oxicorn --help lists the options".to_owned(), |near| {
                format!("did you mean {near}?")
            });
            (format!("{option} is not an option"), hint)
        }
        ErrorKind::InvalidValue | ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues => (
            format!("{option} needs a value"),
            format!("as in {argument}"),
        ),
        ErrorKind::TooManyValues => (
            format!("{option} takes no value"),
            format!("write {option} alone"),
        ),
        _ => (
            error.kind().to_string(),
            "oxicorn --help lists the options".to_owned(),
        ),
    };
    Stop::Usage {
        sentence,
        hint: Some(hint),
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.first().cloned(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
