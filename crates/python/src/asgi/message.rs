//! What an application sends: messages of ASGI's HTTP part, checked and in our own types. What does not fit raises in
//! the application, where its author finds it.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::fd::RawFd;
use std::path::PathBuf;

use proto::h1::{Misuse, ResponseHead, encode_trailer};
use proto::reason_phrase;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use server::FilePart;

use crate::gateway::arguments::{misused, string, wrong_type};
use crate::gateway::open_file::{self, Content};

/// One message.
pub(super) enum HttpMessage<'py> {
    /// `http.response.start`
    Start(ResponseHead),
    /// `http.response.body`: the piece, and whether more follow.
    Body(Piece<'py>, bool),
    /// `http.response.pathsend`
    File(Content),
    /// `http.response.early_hint`
    EarlyHint(ResponseHead),
    /// `http.response.zerocopysend`: the range of a file, and whether more follows.
    ZeroCopy(FilePart, bool),
    /// `http.response.trailers`: the fields, and whether more follow.
    Trailers(Vec<u8>, bool),
    /// `http.response.debug`, which is for test clients.
    Debug,
}

/// Bytes of a body.
pub(super) enum Piece<'py> {
    Bytes(Bound<'py, PyBytes>),
    /// From a `bytearray`, a `memoryview`, or a file that sendfile(2) cannot send.
    Copied(Vec<u8>),
    /// The message has no body.
    Nothing,
}

impl<'py> Piece<'py> {
    /// The bytes of any object that has some; `what` names it in the error.
    pub(super) fn of(object: Bound<'py, PyAny>, what: &str) -> PyResult<Piece<'py>> {
        match object.cast_into::<PyBytes>() {
            Ok(bytes) => Ok(Piece::Bytes(bytes)),
            Err(error) => buffer(&error.into_inner(), what).map(Piece::Copied),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Piece::Bytes(bytes) => bytes.as_bytes(),
            Piece::Copied(bytes) => bytes,
            Piece::Nothing => b"",
        }
    }
}

/// Reads a message.
///
/// # Errors
/// `TypeError`, `ValueError`, `KeyError` or `RuntimeError` for what is no message that can be sent here.
pub(super) fn read<'py>(message: &Bound<'py, PyAny>) -> PyResult<HttpMessage<'py>> {
    let message = dict(message)?;
    let kind = kind(message)?;
    match kind.to_str()? {
        "http.response.body" => body(message).map(|(piece, more)| HttpMessage::Body(piece, more)),
        "http.response.start" => start(message).map(HttpMessage::Start),
        "http.response.pathsend" => file(message).map(HttpMessage::File),
        "http.response.early_hint" => early_hint(message).map(HttpMessage::EarlyHint),
        "http.response.zerocopysend" => zero_copy(message),
        "http.response.trailers" => trailers(message),
        "http.response.debug" => Ok(HttpMessage::Debug),
        other => Err(PyRuntimeError::new_err(format!(
            "an HTTP application cannot send a message of the type '{other}'"
        ))),
    }
}

/// What `send()` is given, if it is a message at all.
pub(super) fn dict<'a, 'py>(message: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyDict>> {
    message
        .cast::<PyDict>()
        .map_err(|_| wrong_type("what is given to send()", "a dict", message))
}

/// The type of a message.
pub(super) fn kind<'py>(message: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyString>> {
    let kind = required(message, intern!(message.py(), "type"))?;
    string(&kind, "the type of a message").cloned()
}

/// The head of a response.
pub(super) fn start(message: &Bound<'_, PyDict>) -> PyResult<ResponseHead> {
    let py = message.py();
    let status = required(message, intern!(py, "status"))?;
    let status: u16 = status
        .extract()
        .map_err(|_| wrong_type("the status", "an int", &status))?;
    let mut head = ResponseHead::default();
    set_status(&mut head, status)?;
    if flag(message, intern!(py, "trailers"))? {
        head.announce_trailers();
    }
    if let Some(headers) = message.get_item(intern!(py, "headers"))? {
        push_all(&mut head, &headers)?;
    }
    Ok(head)
}

fn set_status(head: &mut ResponseHead, status: u16) -> PyResult<()> {
    if status == 200 {
        return head.set_status(b"200 OK").map_err(misused);
    }
    // An interim status would leave the client waiting for the response.
    if !(200..=999).contains(&status) {
        return Err(PyValueError::new_err(format!(
            "{status} is not the status of a response: it has to be 200 to 999"
        )));
    }
    let line = format!("{status} {}", reason_phrase(status));
    head.set_status(line.as_bytes()).map_err(misused)
}

/// Adds pairs of names and values.
pub(super) fn push_all(head: &mut ResponseHead, headers: &Bound<'_, PyAny>) -> PyResult<()> {
    each_pair(headers, |name, value| head.push(name, value))
}

/// Hands pairs of names and values to `take`.
fn each_pair(
    headers: &Bound<'_, PyAny>,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), Misuse>,
) -> PyResult<()> {
    if let Ok(headers) = headers.cast::<PyList>() {
        return headers
            .iter()
            .try_for_each(|pair| take_pair(&pair, &mut take));
    }
    for pair in headers.try_iter()? {
        take_pair(&pair?, &mut take)?;
    }
    Ok(())
}

/// One `[name, value]` pair.
fn take_pair(
    pair: &Bound<'_, PyAny>,
    take: &mut impl FnMut(&[u8], &[u8]) -> Result<(), Misuse>,
) -> PyResult<()> {
    let mut field = |name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>| {
        let name = octets(name, "a header's name")?;
        let value = octets(value, "a header's value")?;
        take(&name, &value).map_err(misused)
    };
    if let Ok(tuple) = pair.cast::<PyTuple>()
        && tuple.len() == 2
    {
        return field(&tuple.get_item(0)?, &tuple.get_item(1)?);
    }
    let parts = pair.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    match &parts[..] {
        [name, value] => field(name, value),
        _ => Err(wrong_type("a header", "a pair [name, value]", pair)),
    }
}

/// What a message says under a key that stands for yes or no; no where it says nothing.
fn flag(message: &Bound<'_, PyDict>, key: &Bound<'_, PyString>) -> PyResult<bool> {
    match message.get_item(key)? {
        None => Ok(false),
        Some(value) => value.is_truthy(),
    }
}

fn trailers<'py>(message: &Bound<'py, PyDict>) -> PyResult<HttpMessage<'py>> {
    let py = message.py();
    let mut fields = Vec::new();
    if let Some(headers) = message.get_item(intern!(py, "headers"))? {
        each_pair(&headers, |name, value| {
            encode_trailer(name, value, &mut fields)
        })?;
    }
    let more = flag(message, intern!(py, "more_trailers"))?;
    Ok(HttpMessage::Trailers(fields, more))
}

/// A descriptor of our own for an open file: the application closes its own when it likes.
fn duplicate(file: &Bound<'_, PyAny>) -> PyResult<File> {
    let py = file.py();
    let descriptor = match file.getattr_opt(intern!(py, "fileno"))? {
        Some(fileno) => fileno.call0()?,
        None => file.clone(),
    };
    let descriptor: RawFd = descriptor
        .extract()
        .map_err(|_| wrong_type("the file", "an open file", file))?;
    open_file::duplicate(descriptor)?.ok_or_else(|| PyValueError::new_err("the file is not open"))
}

/// The range of a file: from `offset`, else from where the descriptor stands, which moves on with it, as sendfile(2)
/// has it.
fn zero_copy<'py>(message: &Bound<'py, PyDict>) -> PyResult<HttpMessage<'py>> {
    let py = message.py();
    let number = |key| -> PyResult<Option<u64>> {
        match message.get_item(key)? {
            Some(number) if !number.is_none() => number.extract().map(Some),
            _ => Ok(None),
        }
    };
    let (offset, count) = (
        number(intern!(py, "offset"))?,
        number(intern!(py, "count"))?,
    );
    let mut file = duplicate(&required(message, intern!(py, "file"))?)?;
    if !file.metadata()?.is_file() {
        return Err(PyValueError::new_err(
            "the file of http.response.zerocopysend has to be a regular one",
        ));
    }
    if !sys::files::is_readable(&file)? {
        return Err(PyValueError::new_err(
            "the file of http.response.zerocopysend has to be open for reading",
        ));
    }
    let start = match offset {
        Some(offset) => offset,
        None => file.stream_position()?,
    };
    let more = flag(message, intern!(py, "more_body"))?;
    // The descriptor shares its position with the application's, which moves on with what is sent.
    let mut position = file.try_clone()?;
    let (message, length) = match open_file::content(file, start, count)? {
        Content::Part(part) => {
            let length = part.length;
            (HttpMessage::ZeroCopy(part, more), length)
        }
        Content::Bytes(bytes) => {
            let length = bytes.len() as u64;
            (HttpMessage::Body(Piece::Copied(bytes), more), length)
        }
    };
    if offset.is_none() {
        position.seek(SeekFrom::Start(start + length))?;
    }
    Ok(message)
}

/// A piece of a body, and whether more follow.
pub(super) fn body<'py>(message: &Bound<'py, PyDict>) -> PyResult<(Piece<'py>, bool)> {
    let py = message.py();
    let piece = match message.get_item(intern!(py, "body"))? {
        None => Piece::Nothing,
        Some(body) => Piece::of(body, "the body")?,
    };
    Ok((piece, flag(message, intern!(py, "more_body"))?))
}

fn file(message: &Bound<'_, PyDict>) -> PyResult<Content> {
    let path = required(message, intern!(message.py(), "path"))?;
    let path: PathBuf = path
        .extract()
        .map_err(|_| wrong_type("the path", "a str", &path))?;
    if !path.is_absolute() {
        return Err(PyValueError::new_err(
            "the path of http.response.pathsend has to be absolute",
        ));
    }
    Ok(open_file::content(open_file::open(&path)?, 0, None)?)
}

fn early_hint(message: &Bound<'_, PyDict>) -> PyResult<ResponseHead> {
    let mut head = ResponseHead::default();
    head.set_status(b"103 Early Hints").map_err(misused)?;
    if let Some(links) = message.get_item(intern!(message.py(), "links"))? {
        for link in links.try_iter()? {
            let link = link?;
            head.push(b"Link", &octets(&link, "a link")?)
                .map_err(misused)?;
        }
    }
    Ok(head)
}

fn required<'py>(
    message: &Bound<'py, PyDict>,
    key: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    message
        .get_item(key)?
        .ok_or_else(|| PyKeyError::new_err(format!("the message has no '{key}'")))
}

fn octets<'a>(object: &'a Bound<'_, PyAny>, what: &str) -> PyResult<Cow<'a, [u8]>> {
    match object.cast::<PyBytes>() {
        Ok(bytes) => Ok(Cow::Borrowed(bytes.as_bytes())),
        Err(_) => buffer(object, what).map(Cow::Owned),
    }
}

/// The bytes of a `bytearray`, a `memoryview` and their like.
fn buffer(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<u8>> {
    let buffer = PyBuffer::<u8>::get(object).map_err(|_| wrong_type(what, "bytes-like", object))?;
    buffer.to_vec(object.py()).map_err(|_| {
        PyTypeError::new_err(format!("{what} is a buffer of something else than bytes"))
    })
}
