//! `docs/reference/settings.md`.

/// The page.
pub fn manual() -> String {
    String::new()
}
