//! A conf file to start from: every setting of this version at its default, behind a comment sign.

use std::fmt::Write as _;

use crate::setting::{Setting, Status};
use crate::table::table;

/// What stands above the settings.
const HEAD: &str = "\
# A conf file for Oxicorn, which is Python. Each setting stands at its default behind a comment sign:
# take the sign away where another value is wanted.
";

/// What makes no sense in a file that is read because of it.
const NOT_IN_A_FILE: [&str; 4] = ["config", "check_config", "print_config", "print_sources"];

/// The file's text.
pub fn conf_template() -> String {
    let mut text = String::from(HEAD);
    let mut section = None;
    let useful = table()
        .iter()
        .filter(|setting| setting.status == Status::Here);
    for setting in useful.filter(|setting| !NOT_IN_A_FILE.contains(&setting.name)) {
        if section != Some(setting.section) {
            section = Some(setting.section);
            let _ = writeln!(text, "\n# {}", setting.section.title());
        }
        entry(setting, &mut text);
    }
    text
}

fn entry(setting: &Setting, text: &mut String) {
    // Writing to a String cannot fail.
    let _ = match setting.signature() {
        Some(signature) => writeln!(
            text,
            "\n# {}\n# def {signature}:\n#     pass",
            setting.summary
        ),
        None => writeln!(
            text,
            "\n# {}\n# {} = {}",
            setting.sentence(),
            setting.name,
            setting.default
        ),
    };
}
