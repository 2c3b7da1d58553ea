//! Sends what an application returned: a list with one `sendmsg`, an iterable chunk by chunk, a wrapped file with
//! sendfile.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use pyo3::{ffi, intern};

use server::{Progress, Stage};

use super::failure::AnswerFailure;
use super::file_wrapper::FileWrapper;
use super::reply::Chunk;
use super::shared_reply::SharedReply;
use crate::gateway::arguments::wrong_type;

/// A list of several chunks is joined up to this, to leave in one system call; copying 64 KB costs less than a second
/// one.
const JOINED: usize = 64 * 1024;

/// A whole body up to this is copied where its client does not take it, and its thread is free. Of a longer one only a
/// part is in memory twice.
const AT_ONCE: usize = 1024 * 1024;

/// Sends what the application returned. `sendfile` is the setting.
pub(super) fn deliver(
    result: &Bound<'_, PyAny>,
    shared: &SharedReply,
    sendfile: Sendfile,
) -> Result<(), AnswerFailure> {
    let py = result.py();
    if shared.with(|reply| reply.stage() == Stage::Hijacked)? {
        return Ok(());
    }
    if let Ok(list) = result.cast_exact::<PyList>() {
        return items(py, shared, list.len(), list.iter());
    }
    if let Ok(tuple) = result.cast_exact::<PyTuple>() {
        return items(py, shared, tuple.len(), tuple.iter());
    }
    // After write(), the body may be chunked already; sendfile knows no chunks.
    if sendfile == Sendfile::Allowed
        && shared.with(|reply| reply.stage() == Stage::Stated)?
        && let Ok(wrapper) = result.cast_exact::<FileWrapper>()
        && let Some(part) = wrapper.get().part(py)?
    {
        return shared.send(py, |reply| reply.file(part));
    }
    iterate(result, shared)
}

/// Calls `close()` of what the application returned, where it has one (PEP 3333 asks for it however the request ended).
pub(super) fn close(result: &Bound<'_, PyAny>) -> PyResult<()> {
    if result.is_exact_instance_of::<PyList>() || result.is_exact_instance_of::<PyTuple>() {
        return Ok(());
    }
    match result.getattr_opt(intern!(result.py(), "close"))? {
        Some(close) => {
            // Run pending signal handlers first: one that ends the worker would otherwise raise in the first
            // instruction of close().
            let interrupted = result.py().check_signals();
            let closed = close.call0();
            crate::forks::leave_if_stray(result.py(), &closed);
            closed?;
            interrupted
        }
        None => Ok(()),
    }
}

/// The setting of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sendfile {
    Allowed,
    Forbidden,
}

/// A list or tuple: all chunks exist, so they may leave at once, and their length is known.
fn items<'py>(
    py: Python<'py>,
    shared: &SharedReply,
    count: usize,
    mut items: impl Iterator<Item = Bound<'py, PyAny>>,
) -> Result<(), AnswerFailure> {
    if count == 1
        && let Some(only) = items.next()
    {
        return whole(py, shared, bytes_of(&only)?.as_bytes());
    }
    let chunks = items
        .map(|item| Ok(bytes_of(&item)?.clone()))
        .collect::<PyResult<Vec<_>>>()?;
    let total = chunks
        .iter()
        .map(|chunk| chunk.as_bytes().len())
        .sum::<usize>();
    if total <= JOINED {
        let parts = chunks.iter().map(|chunk| chunk.as_bytes());
        let body = parts.collect::<Vec<_>>().concat();
        return whole(py, shared, &body);
    }
    shared.send(py, |reply| reply.expect(total as u64))?;
    for chunk in chunks
        .iter()
        .map(|chunk| chunk.as_bytes())
        .filter(|bytes| !bytes.is_empty())
    {
        let chunk = Chunk {
            bytes: chunk,
            only: false,
        };
        shared.chunk(py, chunk)?;
        // No bytecode runs between the chunks, and a slow client may take long over one.
        py.check_signals()?;
    }
    shared.send(py, |reply| reply.finish())
}

/// A whole body. There is nothing to close behind it, so the exchange is released in the same step.
fn whole(py: Python<'_>, shared: &SharedReply, body: &[u8]) -> Result<(), AnswerFailure> {
    if body.len() > AT_ONCE {
        return by_parts(py, shared, body);
    }
    shared.send(py, |reply| {
        reply.whole(body)?;
        reply.release_early();
        Ok(())
    })
}

/// A whole body of which only a part may be in memory twice.
fn by_parts(py: Python<'_>, shared: &SharedReply, body: &[u8]) -> Result<(), AnswerFailure> {
    shared.send(py, |reply| reply.expect(body.len() as u64))?;
    let chunk = Chunk {
        bytes: body,
        only: false,
    };
    shared.chunk(py, chunk)?;
    shared.send(py, |reply| {
        reply.finish()?;
        reply.release_early();
        Ok(())
    })
}

/// Any other iterable. A chunk is with the client, or with the reactor on its way there, before the next is asked for.
fn iterate(result: &Bound<'_, PyAny>, shared: &SharedReply) -> Result<(), AnswerFailure> {
    let py = result.py();
    let iterator = match result.try_iter() {
        Ok(iterator) if !is_string(result) => iterator,
        // `return b""` has the effect of `return []`: both are iterables without a chunk.
        Ok(_) if result.len()? == 0 => return whole(py, shared, b""),
        Err(error) if !error.is_instance_of::<PyTypeError>(py) => return Err(error.into()),
        _ => return Err(not_a_body(result).into()),
    };
    let mut only = None;
    for chunk in iterator {
        crate::forks::leave_if_stray(py, &chunk);
        let chunk = chunk?;
        let bytes = bytes_of(&chunk)?.as_bytes();
        if bytes.is_empty() {
            continue;
        }
        let only = match only {
            Some(only) => only,
            None => *only.insert(is_only_chunk(result, shared)?),
        };
        if shared.chunk(py, Chunk { bytes, only })? == Progress::Enough {
            break;
        }
        // An iterator that is written in C runs no bytecode, between which Python would look for signals.
        py.check_signals()?;
    }
    shared.send(py, |reply| reply.finish())
}

/// PEP 3333, "Handling the Content-Length Header": an iterable whose `len()` is 1 lets the server know the length.
fn is_only_chunk(result: &Bound<'_, PyAny>, shared: &SharedReply) -> PyResult<bool> {
    // SAFETY: the pointer is of a live object, of which the macro looks at the type.
    let generator = unsafe { ffi::PyGen_CheckExact(result.as_ptr()) } != 0;
    // The usual cases are told apart first: asking an object without a length for it means raising an exception.
    if generator || shared.with(|reply| reply.head().content_length().is_some())? {
        return Ok(false);
    }
    Ok(result.hasattr(intern!(result.py(), "__len__"))? && result.len()? == 1)
}

fn bytes_of<'a, 'py>(chunk: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyBytes>> {
    chunk
        .cast::<PyBytes>()
        .map_err(|_| wrong_type("a chunk of the response body", "bytes", chunk))
}

/// Whether the application returned a string where a list of them is due. Iterated, it would be numbers or characters.
fn is_string(result: &Bound<'_, PyAny>) -> bool {
    result.is_instance_of::<PyBytes>() || result.is_instance_of::<PyString>()
}

/// The error that names the probable mistake, instead of "object is not iterable".
fn not_a_body(result: &Bound<'_, PyAny>) -> PyErr {
    let py = result.py();
    let has = |name: &Bound<'_, PyString>| result.hasattr(name).unwrap_or(false);
    if result.is_instance_of::<PyBytes>() {
        return PyTypeError::new_err(
            "the application returned a bytes object: it has to be in a list, as in `return [body]`",
        );
    }
    if result.is_none() {
        return PyTypeError::new_err(
            "the application returned None instead of an iterable of bytes: is a `return` missing?",
        );
    }
    if has(intern!(py, "__await__")) || has(intern!(py, "__aiter__")) {
        return PyTypeError::new_err(
            "the application returned a coroutine or an async iterator: it is an ASGI or other async application, which a WSGI worker cannot serve",
        );
    }
    wrong_type(
        "what the application returns",
        "an iterable of bytes",
        result,
    )
}
