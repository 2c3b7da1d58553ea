//! The table as text: `--help`, the manual, a conf template, and the lines of `--print-config`.

mod help;
mod manual;
mod print_config;
mod template;

pub use help::{Help, help};
pub use manual::manual;
pub use print_config::{print_config, print_sources};
pub use template::conf_template;
