//! Conversion between bytes and the "native strings" of PEP 3333: a `str` whose code points are the bytes, that is
//! latin-1.

use std::borrow::Cow;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use pyo3::{ffi, intern};

/// The native string of some bytes off the wire.
///
/// # Errors
/// Python is out of memory.
pub(crate) fn native<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // A slice is never longer than `isize::MAX`, so the cast cannot change the value.
    let length = bytes.len() as ffi::Py_ssize_t;
    // SAFETY: `py` shows that we are attached; pointer and length are of one live slice, and the function copies from
    // it. A null `errors` is allowed, and unused: every byte is a code point of latin-1.
    let text =
        unsafe { ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length, std::ptr::null()) };
    // SAFETY: the function returns a new reference, or null with an exception set, which is what this constructor asks
    // for.
    let text = unsafe { Bound::from_owned_ptr_or_err(py, text) }?;
    Ok(text.cast_into::<PyString>()?)
}

/// The bytes of a native string, borrowed where the string is ASCII, as nearly all are.
///
/// # Errors
/// `ValueError`: the string holds a character that no byte stands for. `what` names the string in the message.
pub(crate) fn wire<'a>(text: &'a Bound<'_, PyString>, what: &str) -> PyResult<Cow<'a, [u8]>> {
    let unfit = || {
        PyValueError::new_err(format!(
            "{what} has a character outside latin-1, which HTTP cannot carry"
        ))
    };
    let Ok(utf8) = text.to_str() else {
        return Err(unfit());
    };
    if utf8.is_ascii() {
        return Ok(Cow::Borrowed(utf8.as_bytes()));
    }
    utf8.chars()
        .map(|character| u8::try_from(u32::from(character)).map_err(|_| unfit()))
        .collect::<PyResult<Vec<u8>>>()
        .map(Cow::Owned)
}

/// The UTF-8 of a string for a log. A lone surrogate has none and is written as its escape sequence, `\\udcff`: a
/// message that cannot be encoded is still better than an exception in an error handler.
pub(crate) fn escaped<'a>(text: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    if let Ok(utf8) = text.to_str() {
        return Cow::Borrowed(utf8);
    }
    let py = text.py();
    let encoded = text.call_method1(intern!(py, "encode"), ("utf-8", "backslashreplace"));
    let decoded = encoded.and_then(|bytes| {
        let bytes = bytes.cast::<PyBytes>()?.as_bytes();
        Ok(String::from_utf8_lossy(bytes).into_owned())
    });
    // The conversion fails only where memory is out.
    decoded.map_or_else(|_| text.to_string_lossy(), Cow::Owned)
}

/// The string of a method: shared for those that occur, so that nothing is allocated.
pub(crate) fn method<'py>(py: Python<'py>, method: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let known = match method {
        b"GET" => intern!(py, "GET"),
        b"POST" => intern!(py, "POST"),
        b"PUT" => intern!(py, "PUT"),
        b"PATCH" => intern!(py, "PATCH"),
        b"DELETE" => intern!(py, "DELETE"),
        b"HEAD" => intern!(py, "HEAD"),
        b"OPTIONS" => intern!(py, "OPTIONS"),
        other => return native(py, other),
    };
    Ok(known.clone())
}

/// A request target as a log line shows it.
pub(crate) fn printable(target: &[u8]) -> String {
    target.escape_ascii().to_string()
}
