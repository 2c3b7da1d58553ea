//! The variables of the environ that access lines show (`%({name}e)s`), read when the application has returned.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::shared_reply::SharedReply;
use crate::gateway::text;

/// Gives the exchange, which has been held for it, the values of `names`.
pub(super) fn note(names: &[String], environ: &Bound<'_, PyDict>, shared: &SharedReply) {
    if names.is_empty() {
        return;
    }
    let values = names.iter().map(|name| value(environ, name)).collect();
    // While another thread sends with the reply, the line shows no variables.
    let _ = shared.with(|reply| reply.note_variables(values));
}

/// The value of a variable under its name in any case, as Gunicorn looks it up.
fn value(environ: &Bound<'_, PyDict>, name: &str) -> Option<Vec<u8>> {
    let found = |name: &str| environ.get_item(name).ok().flatten();
    let value = found(name)
        .or_else(|| found(&name.to_ascii_uppercase()))
        .or_else(|| {
            let alike = |key: &Bound<'_, PyAny>| {
                let key = key.cast::<PyString>().map(|key| key.to_string_lossy());
                key.is_ok_and(|key| key.eq_ignore_ascii_case(name))
            };
            let (_, value) = environ.iter().find(|(key, _)| alike(key))?;
            Some(value)
        })?;
    let shown = value.str().ok()?;
    Some(bytes(&shown))
}

/// Text from the request is in the environ as latin-1, whichever encoding it was sent in (PEP 3333), and is shown as it
/// was sent. Values that the application has set are text, shown in UTF-8, a lone surrogate by its replacement.
fn bytes(shown: &Bound<'_, PyString>) -> Vec<u8> {
    match text::wire(shown, "a variable") {
        Ok(bytes) if std::str::from_utf8(&bytes).is_ok() => Cow::into_owned(bytes),
        _ => crate::text::from_python(shown).into_bytes(),
    }
}
