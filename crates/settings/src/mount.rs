//! A directory under a path, `PREFIX=DIR`, and what else is said of files that the server sends by itself.

use std::path::PathBuf;

use crate::error::Rejection;
use crate::field::Field;
use crate::os_text;
use crate::value::Value;

/// A directory whose files are served under a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path, as a client spells it without percent-encoding; begins and ends with a slash.
    pub prefix: String,
    /// The directory, which may be relative.
    pub directory: PathBuf,
}

impl Mount {
    const ACCEPTED: &str = "PREFIX=DIR, as /static/=path/to/static";

    /// Puts a prefix into the form with both slashes; `None` where it does not begin with one.
    #[must_use]
    pub fn new(prefix: &str, directory: PathBuf) -> Option<Self> {
        let prefix = prefix.trim_end_matches('/');
        let is_path = prefix.is_empty() || prefix.starts_with('/');
        let mut prefix = prefix.to_owned();
        prefix.push('/');
        (is_path && !directory.as_os_str().is_empty()).then_some(Self { prefix, directory })
    }
}

impl Field for Mount {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        let text = String::from_value(value)?;
        let refuse = || Rejection::unacceptable(Self::ACCEPTED).part(value);
        let (prefix, directory) = text.split_once('=').ok_or_else(refuse)?;
        if !prefix.starts_with('/') {
            return Err(refuse().hint("the prefix is a path, which begins with a slash"));
        }
        Self::new(prefix, os_text::to_os(directory).into()).ok_or_else(refuse)
    }

    fn to_value(&self) -> Value {
        let directory = os_text::from_os(self.directory.as_os_str());
        Value::Str(format!("{}={directory}", self.prefix))
    }
}

/// Who answers where a mount has no such file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StaticMissing {
    /// The application.
    #[default]
    Application,
    /// The server, with 404.
    NotFound,
}

impl StaticMissing {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "app or 404";

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Application => "app",
            Self::NotFound => "404",
        }
    }

    /// Reads one of its words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "app" => Some(Self::Application),
            "404" => Some(Self::NotFound),
            _ => None,
        }
    }
}

/// Where symbolic links among served files may lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StaticSymlinks {
    /// To what lies in the same directory.
    #[default]
    Beneath,
    /// Anywhere.
    Anywhere,
}

impl StaticSymlinks {
    /// What the setting accepts.
    pub const ACCEPTED: &str = "beneath or anywhere";

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Beneath => "beneath",
            Self::Anywhere => "anywhere",
        }
    }

    /// Reads one of its words in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "beneath" => Some(Self::Beneath),
            "anywhere" => Some(Self::Anywhere),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_prefix_and_a_directory() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let mount = Mount::from_value(&Value::from(text)).ok();
            let mount = mount.as_ref();
            let parts = mount.map(|mount| (mount.prefix.as_str(), mount.directory.to_str()));
            assert_eq!(
                parts,
                expected.map(|(prefix, directory)| (prefix, Some(directory))),
                "{text}"
            );
        };
        check("/static/=files", Some(("/static/", "files")));
        check("/static=files", Some(("/static/", "files")));
        check("/=dist", Some(("/", "dist")));
        check("/a/b//=/srv/a=b", Some(("/a/b/", "/srv/a=b")));
        check("static=files", None);
        check("=files", None);
        check("/static/=", None);
        check("/static/", None);
    }
}
