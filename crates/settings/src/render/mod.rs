//! The table as text: `--help`, the manual, a conf template, and the lines of `--print-config`.

mod manual;
mod print_config;
mod template;

pub use manual::manual;
pub use print_config::print_config;
pub use template::conf_template;

/// The text of `--help`.
pub fn help() -> String {
    crate::command_line::command().render_help().to_string()
}
