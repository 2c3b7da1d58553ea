//! A page of the operator's for an error of the server's, as `503=busy.html`.

use std::path::PathBuf;

use crate::error::Rejection;
use crate::field::Field;
use crate::os_text;
use crate::value::Value;

/// What a client gets with a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    /// 400 to 599.
    pub status: u16,
    /// The file, which may be relative.
    pub file: PathBuf,
}

impl ErrorPage {
    const ACCEPTED: &str = "STATUS=FILE with a status from 400 to 599, as 503=busy.html";
}

impl Field for ErrorPage {
    fn from_value(value: &Value) -> Result<Self, Rejection> {
        let text = String::from_value(value)?;
        let refuse = || Rejection::unacceptable(Self::ACCEPTED).part(value);
        let (status, file) = text.split_once('=').ok_or_else(refuse)?;
        let status = status.trim().parse().ok();
        let status = status.filter(|status| (400..=599).contains(status));
        match (status, file.trim()) {
            (Some(status), file) if !file.is_empty() => Ok(Self {
                status,
                file: os_text::to_os(file).into(),
            }),
            _ => Err(refuse()),
        }
    }

    fn to_value(&self) -> Value {
        let file = os_text::from_os(self.file.as_os_str());
        Value::Str(format!("{}={file}", self.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_status_and_a_file() {
        let check = |text: &str, expected: Option<(u16, &str)>| {
            let read = ErrorPage::from_value(&Value::from(text)).ok();
            let parts = read.as_ref().map(|page| (page.status, page.file.to_str()));
            assert_eq!(
                parts,
                expected.map(|(status, file)| (status, Some(file))),
                "{text}"
            );
        };
        check("503=busy.html", Some((503, "busy.html")));
        check("404=/srv/a=b.html", Some((404, "/srv/a=b.html")));
        for text in ["", "503", "503=", "=a", "200=a", "600=a", "x=a"] {
            check(text, None);
        }
    }
}
