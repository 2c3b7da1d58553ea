//! The text of `--help`: clap lays the table out. It parses nothing.

use clap::{Arg, ArgAction, Command};

use crate::kind::Kind;
use crate::setting::{Literal, Setting, Status};
use crate::table::table;
use crate::uvicorn::{ALIASES, Alias};

/// Columns of the help: those of a usual terminal, so that its text does not depend on the machine.
const HELP_WIDTH: usize = 100;

/// The text.
pub fn help() -> String {
    let settings = table().iter().filter(|setting| !setting.flags.is_empty());
    Command::new("oxicorn")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .term_width(HELP_WIDTH)
        .override_usage("oxicorn [OPTIONS] [APP_MODULE]")
        .arg(Arg::new("APP_MODULE").help("What to serve: MODULE[:NAME]"))
        .arg(switch('h', "help", "Print this text and exit"))
        .arg(switch('v', "version", "Print the version and exit"))
        .args(settings.map(argument))
        .args(ALIASES.iter().map(alias))
        .render_help()
        .to_string()
}

fn switch(letter: char, name: &'static str, summary: &'static str) -> Arg {
    Arg::new(name)
        .short(letter)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(summary)
}

fn alias(alias: &'static Alias) -> Arg {
    let argument = Arg::new(alias.flag)
        .long(alias.flag.trim_start_matches("--"))
        .help_heading("uvicorn's Names")
        .help(alias.help())
        .hide(alias.is_refused());
    match alias.takes_value() {
        true => argument.value_name("VALUE"),
        false => argument.action(ArgAction::SetTrue),
    }
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
        argument = argument.value_name(setting.metavar);
    }
    if let Some(first) = long.next() {
        argument = argument.long(first).visible_aliases(long);
    }
    for letter in short {
        argument = argument.short(letter);
    }
    // An option whose value may be left out: `--proxy-protocol` alone means `auto`.
    if let Literal::Str(_) = setting.bare {
        argument = argument.num_args(0..=1);
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
