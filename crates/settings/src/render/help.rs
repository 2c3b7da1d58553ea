//! The texts of `-h` and `--help`: clap lays the table out. It parses nothing.

use clap::{Arg, ArgAction, Command};

use crate::kind::Kind;
use crate::setting::{Literal, Setting, Status};
use crate::table::table;
use crate::uvicorn::{ALIASES, Alias};

/// Which options a help shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    /// Those that people use (`-h`).
    Short,
    /// All (`--help`).
    All,
}

/// Columns that make a text readable; a narrower terminal has its own.
const WIDEST: usize = 100;
/// In fewer columns nothing can be laid out.
const NARROWEST: usize = 40;

/// What the short help shows.
const USUAL: [&str; 20] = [
    "config",
    "bind",
    "workers",
    "worker_class",
    "threads",
    "timeout",
    "graceful_timeout",
    "keepalive",
    "max_requests",
    "preload_app",
    "reload",
    "chdir",
    "raw_env",
    "user",
    "pidfile",
    "accesslog",
    "errorlog",
    "loglevel",
    "forwarded_allow_ips",
    "check_config",
];

/// The text, for a terminal of so many columns.
pub fn help(which: Help, columns: usize) -> String {
    let settings = table().iter().filter(|setting| !setting.flags.is_empty());
    let command = Command::new("oxicorn")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .term_width(columns.clamp(NARROWEST, WIDEST))
        .arg(Arg::new("APP_MODULE").help("What to serve: MODULE[:NAME]"))
        .arg(switch(
            'h',
            "help",
            "The usual options (-h) or all of them (--help)",
        ))
        .arg(switch('v', "version", "Print the version and exit"));
    let command = match which {
        Help::Short => {
            let usual = settings.filter(|setting| USUAL.contains(&setting.name));
            command
                .override_usage("oxicorn [dev] [OPTIONS] [APP_MODULE]")
                .args(usual.map(|setting| argument(setting).help_heading(None::<&str>)))
                .after_help("oxicorn dev finds the application, reloads changed files and shows requests.\noxicorn --help lists all options.")
        }
        Help::All => command
            .override_usage("oxicorn [dev] [OPTIONS] [APP_MODULE]")
            .args(settings.map(argument))
            .args(ALIASES.iter().map(alias)),
    };
    let mut command = command;
    command.render_help().to_string()
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
