//! What an application sends on a WebSocket: messages of ASGI's WebSocket part, checked and in our own types.

use proto::h1::ResponseHead;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyString};

use super::message::{self, Piece};
use crate::gateway::arguments::{string, wrong_type};

/// The close code of an application that names none.
const NORMAL: u16 = 1000;

/// Stands for close codes that have no place in a close frame; it must not be sent either.
const UNSENDABLE: u16 = 0;

/// One message.
pub(super) enum WebSocketMessage<'py> {
    /// `websocket.accept`: the sub-protocol, and further fields.
    Accept(Option<String>, ResponseHead),
    /// `websocket.send` with text.
    Text(PyBackedStr),
    /// `websocket.send` with bytes.
    Binary(Piece<'py>),
    /// `websocket.close`: the code and the reason.
    Close(u16, String),
    /// `websocket.http.response.start`
    DenialStart(ResponseHead),
    /// `websocket.http.response.body`: the piece, and whether more follow.
    DenialBody(Piece<'py>, bool),
}

/// Reads a message.
///
/// # Errors
/// `TypeError`, `ValueError`, `KeyError` or `RuntimeError` for what is no message that can be sent here.
pub(super) fn read<'py>(message: &Bound<'py, PyAny>) -> PyResult<WebSocketMessage<'py>> {
    let message = message::dict(message)?;
    let kind = message::kind(message)?;
    match kind.to_str()? {
        "websocket.send" => send(message),
        "websocket.accept" => accept(message),
        "websocket.close" => close(message),
        "websocket.http.response.start" => {
            message::start(message).map(WebSocketMessage::DenialStart)
        }
        "websocket.http.response.body" => {
            message::body(message).map(|(piece, more)| WebSocketMessage::DenialBody(piece, more))
        }
        other => Err(PyRuntimeError::new_err(format!(
            "a WebSocket application cannot send a message of the type '{other}'"
        ))),
    }
}

/// A value that is there and is not None.
fn given<'py>(
    message: &Bound<'py, PyDict>,
    key: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let value = message.get_item(key)?;
    Ok(value.filter(|value| !value.is_none()))
}

fn send<'py>(message: &Bound<'py, PyDict>) -> PyResult<WebSocketMessage<'py>> {
    let py = message.py();
    if let Some(text) = given(message, intern!(py, "text"))? {
        return utf8(&text, "the text of a message").map(WebSocketMessage::Text);
    }
    match given(message, intern!(py, "bytes"))? {
        Some(data) => Piece::of(data, "the bytes of a message").map(WebSocketMessage::Binary),
        None => Err(PyValueError::new_err(
            "a websocket.send needs either 'text' or 'bytes'",
        )),
    }
}

fn accept<'py>(message: &Bound<'py, PyDict>) -> PyResult<WebSocketMessage<'py>> {
    let py = message.py();
    let protocol = given(message, intern!(py, "subprotocol"))?
        .map(|protocol| utf8(&protocol, "the sub-protocol"))
        .transpose()?
        .map(|protocol| protocol.to_string());
    let mut fields = ResponseHead::default();
    if let Some(headers) = given(message, intern!(py, "headers"))? {
        message::push_all(&mut fields, &headers)?;
    }
    Ok(WebSocketMessage::Accept(protocol, fields))
}

fn close<'py>(message: &Bound<'py, PyDict>) -> PyResult<WebSocketMessage<'py>> {
    let py = message.py();
    let code = match given(message, intern!(py, "code"))? {
        None => NORMAL,
        Some(code) => code
            .extract::<i64>()
            .map(|code| u16::try_from(code).unwrap_or(UNSENDABLE))
            .map_err(|_| wrong_type("the close code", "an int from 1000 to 4999", &code))?,
    };
    let reason = match given(message, intern!(py, "reason"))? {
        None => String::new(),
        Some(reason) => utf8(&reason, "the reason for closing")?.to_string(),
    };
    Ok(WebSocketMessage::Close(code, reason))
}

/// The UTF-8 of a string; a lone surrogate has none.
fn utf8(object: &Bound<'_, PyAny>, what: &str) -> PyResult<PyBackedStr> {
    PyBackedStr::try_from(string(object, what)?.clone())
}
