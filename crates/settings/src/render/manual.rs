//! `docs/reference/settings.md`: every setting with all that the table knows of it.

use std::fmt::Write as _;

use crate::kind::Kind;
use crate::setting::{Literal, Reload, Section, Setting, Status};
use crate::table::table;

/// What stands above the settings.
const HEAD: &str = "\
<!-- Generated from the table in crates/settings. Change the table, then run
     OXICORN_BLESS=1 cargo test -p oxicorn-settings --test manual -->

# Settings

Oxicorn takes Gunicorn's settings under Gunicorn's names, and a few of its own. A value can stand in five places; a later one
replaces an earlier one as a whole, lists included:

1. the default;
2. the environment variable of the setting, where it has one;
3. the conf file: `-c FILE`, else `./oxicorn.conf.py`, else `./gunicorn.conf.py`;
4. the options in `GUNICORN_CMD_ARGS`, then those in `OXICORN_CMD_ARGS`;
5. the options on the command line.

Long options may be shortened as long as they stay clear (`--keep 30`), and may stand before or after the application. A value that
is not valid stops the server with a message that names the setting, the value, what is accepted, and where the value stands. So
does a setting of Gunicorn that this version does not have yet, unless it is at its default. `--check-config` tells every mistake
and starts nothing; `--print-config=sources` shows every value with its source.

The **arbiter** is the process that you start, and that starts and replaces the **workers**, which run the application. Gunicorn's
documentation calls it the arbiter or the master; process titles say `master`.

In a conf file, numbers and times may be strings too, `None` turns off what can be off, and names that are no setting are left
alone; one that looks like a misspelt setting is warned about.
";

/// The page.
pub fn manual() -> String {
    let mut page = String::from(HEAD);
    contents(&mut page);
    let mut section = None;
    for setting in table() {
        if section != Some(setting.section) {
            section = Some(setting.section);
            heading(setting.section, &mut page);
        }
        entry(setting, &mut page);
    }
    page
}

// Writing to a String cannot fail, so the results below are dropped.

/// A line for each section, with the settings that stand in it.
fn contents(page: &mut String) {
    let _ = writeln!(page, "\n## Contents\n");
    let mut sections: Vec<Section> = table().iter().map(|setting| setting.section).collect();
    sections.dedup();
    for section in sections {
        let names = table().iter().filter(|setting| setting.section == section);
        let links: Vec<String> = names
            .map(|setting| format!("[`{0}`](#{0})", setting.name))
            .collect();
        let title = section.title();
        let anchor = anchor(title);
        let _ = writeln!(page, "- [{title}](#{anchor}): {}", links.join(", "));
    }
}

/// A heading as links spell it.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || *c == ' ');
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn heading(section: Section, page: &mut String) {
    let _ = writeln!(page, "\n## {}", section.title());
}

fn entry(setting: &Setting, page: &mut String) {
    let _ = writeln!(
        page,
        "\n### `{}`\n\n{}\n",
        setting.name,
        escape(setting.sentence())
    );
    if let Some(status) = status(setting) {
        let _ = writeln!(page, "- {status}");
    }
    if let Some(options) = options(setting) {
        let _ = writeln!(page, "- Command line: {options}");
    }
    if let Some(variable) = setting.variable {
        let _ = writeln!(
            page,
            "- Environment: `{}`: {}",
            variable.name, variable.meaning
        );
    }
    if !setting.is_hook() {
        let _ = writeln!(page, "- Takes: {}", takes(setting));
        let _ = writeln!(page, "- Default: {}", default(setting));
    }
    let _ = writeln!(page, "- After a reload: {}", reload(setting.reload));
    for paragraph in [setting.details, setting.difference] {
        if paragraph.is_empty() {
            continue;
        }
        let label = if paragraph == setting.difference {
            "**Unlike Gunicorn.** "
        } else {
            ""
        };
        let _ = writeln!(page, "\n{label}{paragraph}");
    }
}

/// Stars are the only signs in a summary that Markdown would take for its own.
fn escape(summary: &str) -> String {
    summary.replace('*', "\\*")
}

fn status(setting: &Setting) -> Option<String> {
    match setting.status {
        Status::Here => setting.own.then(|| "Oxicorn's own.".to_owned()),
        Status::Inert(reason) => Some(format!("Without effect: {reason}.")),
        Status::Later(missing) => Some(format!("**Not in this version**, which has no {missing}.")),
    }
}

fn options(setting: &Setting) -> Option<String> {
    let spell = |flag: &&str| match setting.kind {
        Kind::Flag => format!("`{flag}`"),
        _ => format!("`{flag} {}`", setting.metavar),
    };
    let spelled: Vec<String> = setting.flags.iter().map(spell).collect();
    (!spelled.is_empty()).then(|| spelled.join(", "))
}

fn takes(setting: &Setting) -> String {
    let expectation = setting.kind.expectation();
    let can_be_off = setting.default == Literal::None && setting.kind != Kind::Flag;
    if can_be_off {
        format!("{expectation}, or `None`")
    } else {
        expectation
    }
}

fn default(setting: &Setting) -> String {
    format!("`{}`", setting.default)
}

fn reload(reload: Reload) -> &'static str {
    match reload {
        Reload::Applied => "in force",
        Reload::Partly => "partly in force",
        Reload::StartOnly => "unchanged until the next start",
        Reload::NoEffect => "no effect at any time",
    }
}
