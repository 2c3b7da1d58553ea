//! Python's strings and ours. A string of Python's may hold lone surrogates, which stand for bytes that are no text
//! (PEP 383): settings keep them by stand-ins (`settings::os_text`), log lines show them as `\udcff`.

use std::path::Path;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use settings::os_text;

/// The codec that gives every surrogate as what it is.
const CODEC: (&str, &str) = ("utf-16-le", "surrogatepass");

/// A string for a setting.
pub(crate) fn from_python(text: &Bound<'_, PyString>) -> String {
    if let Ok(text) = text.to_str() {
        return text.to_owned();
    }
    let encoded = text.call_method1(intern!(text.py(), "encode"), CODEC);
    let Some(bytes) = encoded
        .ok()
        .and_then(|bytes| bytes.cast_into::<PyBytes>().ok())
    else {
        // Only where memory is out.
        return text.to_string_lossy().into_owned();
    };
    let units = bytes.as_bytes().chunks_exact(2);
    let units = units.map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let characters = char::decode_utf16(units).map(|decoded| match decoded {
        Ok(character) => character,
        Err(lone) => os_text::stand_in(lone.unpaired_surrogate()).unwrap_or('\u{fffd}'),
    });
    characters.collect()
}

/// The string that a setting came from.
///
/// # Errors
///
/// Python has no memory for it.
pub(crate) fn to_python<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
    if !os_text::has_stand_ins(text) {
        return Ok(PyString::new(py, text));
    }
    let mut bytes = Vec::with_capacity(2 * text.len());
    for character in text.chars() {
        match os_text::surrogate(character) {
            Some(surrogate) => bytes.extend(surrogate.to_le_bytes()),
            None => {
                let mut units = [0; 2];
                let units = character.encode_utf16(&mut units);
                bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
            }
        }
    }
    let decoded = PyBytes::new(py, &bytes).call_method1(intern!(py, "decode"), CODEC)?;
    Ok(decoded.cast_into()?)
}

/// Notes how this interpreter reads the names of files.
///
/// # Errors
///
/// It does not say.
pub(crate) fn note_encoding(py: Python<'_>) -> PyResult<()> {
    let encoding = py.import("sys")?.call_method0("getfilesystemencoding")?;
    if encoding.eq("ascii")? {
        os_text::read_as_ascii();
    }
    Ok(())
}

/// A path as Python knows it.
///
/// # Errors
///
/// Python has no memory for it.
pub(crate) fn path<'py>(py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyString>> {
    to_python(py, &os_text::from_os(path.as_os_str()))
}

/// The string that `object` is.
///
/// # Errors
///
/// It is no string.
pub(crate) fn extract(object: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(from_python(object.cast::<PyString>()?))
}

/// What `str()` makes of an object, for a log line; the type's name where it makes nothing.
pub(crate) fn of(object: &Bound<'_, PyAny>) -> String {
    match object.str() {
        Ok(text) => from_python(&text),
        Err(_) => format!("<{}>", crate::values::type_name(object)),
    }
}
