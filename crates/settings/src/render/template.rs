//! A conf file to start from.

/// The file's text.
pub fn conf_template() -> String {
    String::new()
}
