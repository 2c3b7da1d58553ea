//! The lines of `--print-config`, in Gunicorn's shape.

use std::fmt::Write as _;

use crate::config::Config;
use crate::setting::Setting;
use crate::table::table;

/// One line a setting, sorted by name: `workers = 1`, the equals signs in one column. `hook` gives the qualified name of
/// the function that a hook is set to, where the conf file sets it.
pub fn print_config(config: &Config, hook: &dyn Fn(&str) -> Option<String>) -> String {
    let mut settings: Vec<&Setting> = table().iter().collect();
    settings.sort_by_key(|setting| setting.name);
    let width = settings
        .iter()
        .map(|setting| setting.name.len())
        .max()
        .unwrap_or_default();
    let mut lines = String::new();
    for setting in settings {
        let value = match hook(setting.name).filter(|_| setting.is_hook()) {
            Some(function) => format!("<{function}()>"),
            None => setting.value_in(config).display(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{:width$} = {value}", setting.name);
    }
    lines
}
