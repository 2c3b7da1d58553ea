//! `wsgi.file_wrapper`: an iterable over a file-like object, which the server replaces by sendfile(2) where that sends
//! the same bytes.

use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};
use server::FilePart;

use crate::gateway::open_file;

/// The iterable. `filelike` and `blksize` are Gunicorn's names.
#[derive(Debug)]
#[pyclass(frozen, subclass, module = "oxicorn._oxicorn")]
pub(super) struct FileWrapper {
    #[pyo3(get)]
    filelike: Py<PyAny>,
    #[pyo3(get)]
    blksize: isize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize=8192))]
    fn new(filelike: Py<PyAny>, blksize: isize) -> FileWrapper {
        FileWrapper { filelike, blksize }
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let data = self
            .filelike
            .bind(py)
            .call_method1(intern!(py, "read"), (self.blksize,))?;
        // `is_empty` first: truth of any other object is a call into Python.
        let empty = match data.cast::<PyBytes>() {
            Ok(bytes) => bytes.as_bytes().is_empty(),
            Err(_) => !data.is_truthy()?,
        };
        Ok((!empty).then_some(data))
    }

    /// Closes the file, if it can be closed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.filelike.bind(py).getattr_opt(intern!(py, "close"))? {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }
}

impl FileWrapper {
    /// What of an open regular file `read` would return from its position to its end; `None` where that cannot be
    /// known, and the wrapper must be iterated.
    pub(super) fn part(&self, py: Python<'_>) -> PyResult<Option<FilePart>> {
        let Some(file) = plain_file(self.filelike.bind(py))? else {
            return Ok(None);
        };
        if file.is_exact_instance(io_type(py, &BUFFERED_RANDOM, "BufferedRandom")?) {
            // As `read` does: what was written is in the file first, and moves its position where the file is open for
            // appending.
            file.call_method0(intern!(py, "flush"))?;
        }
        if !file
            .call_method0(intern!(py, "readable"))?
            .extract::<bool>()?
        {
            return Ok(None);
        }
        let fd = file
            .call_method0(intern!(py, "fileno"))?
            .extract::<RawFd>()?;
        let Some(copy) = open_file::duplicate(fd)? else {
            return Ok(None);
        };
        // Before the position is asked for: a pipe has none, and raises.
        let Some(size) = open_file::true_size(&copy)? else {
            return Ok(None);
        };
        // A buffered reader may have read ahead, so its own position counts, not the descriptor's. Asking for it lets
        // other threads run.
        let offset = file.call_method0(intern!(py, "tell"))?.extract::<u64>()?;
        Ok(Some(FilePart::new(
            copy,
            offset,
            size.saturating_sub(offset),
        )))
    }
}

/// The `io` object that answers `filelike.read`, if it reads a file and nothing else.
///
/// `fileno` alone proves nothing: a `GzipFile` has the one of the compressed file, and a wrapper that counts or
/// decrypts has a `read` of its own. So the method is looked at: only where it is bound to one of `io`'s own binary
/// files does sendfile send what `read` returns. `tempfile` and Django's `File` hand such a method through.
fn plain_file<'py>(filelike: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = filelike.py();
    let Some(mut read) = filelike.getattr_opt(intern!(py, "read"))? else {
        return Ok(None);
    };
    if let Some(handed_on) = handed_on(&read)? {
        read = handed_on;
    }
    let Some(owner) = read.getattr_opt(intern!(py, "__self__"))? else {
        return Ok(None);
    };
    if owner.is_exact_instance(io_type(py, &FILE_IO, "FileIO")?) {
        return Ok(Some(owner));
    }
    let buffered = owner.is_exact_instance(io_type(py, &BUFFERED_READER, "BufferedReader")?)
        || owner.is_exact_instance(io_type(py, &BUFFERED_RANDOM, "BufferedRandom")?);
    if buffered
        && owner
            .getattr(intern!(py, "raw"))?
            .is_exact_instance(io_type(py, &FILE_IO, "FileIO")?)
    {
        return Ok(Some(owner));
    }
    Ok(None)
}

/// The method that `tempfile` hands on: its wrappers put a function of theirs in front, which keeps the file alive and
/// calls the method. The functions of others that have a `__wrapped__` may do more than that.
fn handed_on<'py>(read: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = read.py();
    let Some(globals) = read.getattr_opt(intern!(py, "__globals__"))? else {
        return Ok(None);
    };
    let tempfile = py.import(intern!(py, "tempfile"))?;
    if !globals.is(tempfile.dict()) {
        return Ok(None);
    }
    read.getattr_opt(intern!(py, "__wrapped__"))
}

static FILE_IO: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static BUFFERED_READER: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static BUFFERED_RANDOM: PyOnceLock<Py<PyType>> = PyOnceLock::new();

fn io_type<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyType>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    Ok(cell.import(py, "io", name)?.as_any())
}
