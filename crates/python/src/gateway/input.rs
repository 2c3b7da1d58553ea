//! `wsgi.input`, and the body that request hooks get: a binary file over a request body that has been received in full.
//! It ends where the body ends (`wsgi.input_terminated`), can seek, never waits for the client, and ends with its
//! request.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice};
use server::{Body, BodyFile};

use super::arguments::wrong_type;
use super::unsupported::unsupported;

/// The file object. Its methods are those of `io.BufferedIOBase`, so that the streams of `io` can be laid over it.
#[derive(Debug)]
#[pyclass(module = "oxicorn._oxicorn")]
pub(crate) struct Input {
    source: Source,
    length: u64,
    /// Where the next byte is read. It may lie behind the end, as in other files.
    position: u64,
}

/// Where the bytes are.
#[derive(Debug)]
enum Source {
    Memory(Vec<u8>),
    File {
        reader: BufReader<BodyFile>,
        /// Where the reader stands.
        at: u64,
    },
    /// The request is over.
    Over,
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size=None))]
    fn read<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.take(py, bound(size)?)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// As `read`: nothing is buffered, so there is no read without a buffer.
    #[pyo3(signature = (size=None))]
    fn read1<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.read(py, size)
    }

    fn readinto(&mut self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let view = PyMemoryView::from(buffer)?.call_method1(intern!(py, "cast"), ("B",))?;
        if view.getattr(intern!(py, "readonly"))?.extract::<bool>()? {
            return Err(wrong_type("the buffer to read into", "writable", buffer));
        }
        let bytes = self.take(py, view.len()? as u64)?;
        view.set_item(
            PySlice::new(py, 0, bytes.len().cast_signed(), 1),
            PyBytes::new(py, &bytes),
        )?;
        Ok(bytes.len())
    }

    /// As `readinto`; see `read1`.
    fn readinto1(&mut self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.readinto(py, buffer)
    }

    #[pyo3(signature = (size=None))]
    fn readline<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.take_line(py, bound(size)?)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// As `io.IOBase.readlines`: stops after the line with which `hint` bytes are reached; no hint, or one of zero or
    /// less, means all. Gunicorn calls the argument `size`.
    #[pyo3(signature = (hint=None, *, size=None))]
    fn readlines<'py>(
        &mut self,
        py: Python<'py>,
        hint: Option<&Bound<'py, PyAny>>,
        size: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let hint = match bound(hint.or(size))? {
            0 => u64::MAX,
            hint => hint,
        };
        let lines = PyList::empty(py);
        let begin = self.position;
        while self.position - begin < hint {
            let line = self.take_line(py, u64::MAX)?;
            if line.is_empty() {
                break;
            }
            lines.append(PyBytes::new(py, &line))?;
        }
        Ok(lines)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.take_line(py, u64::MAX)?;
        Ok((!line.is_empty()).then(|| PyBytes::new(py, &line)))
    }

    fn tell(&self) -> PyResult<u64> {
        self.check_open()?;
        Ok(self.position)
    }

    #[pyo3(signature = (offset, whence=0))]
    fn seek(&mut self, offset: i64, whence: i32) -> PyResult<u64> {
        self.check_open()?;
        let origin = match whence {
            0 if offset < 0 => {
                return Err(PyValueError::new_err(format!(
                    "negative seek value {offset}"
                )));
            }
            0 => 0,
            1 => self.position,
            2 => self.length,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "invalid whence ({whence}, should be 0, 1 or 2)"
                )));
            }
        };
        // As in `io.BytesIO`, a position before the beginning is the beginning.
        self.position = origin.saturating_add_signed(offset);
        Ok(self.position)
    }

    fn readable(&self) -> bool {
        true
    }

    fn writable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        true
    }

    fn isatty(&self) -> bool {
        false
    }

    fn flush(&self) {}

    /// The body belongs to the request and goes with it; closing it early changes nothing, so that a stream that was
    /// laid over it may come to its end.
    fn close(&self) {}

    #[getter]
    fn closed(&self) -> bool {
        matches!(self.source, Source::Over)
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyAny>) {}

    fn fileno(&self, py: Python<'_>) -> PyResult<()> {
        unsupported(py, "fileno")
    }

    fn detach(&self, py: Python<'_>) -> PyResult<()> {
        unsupported(py, "detach")
    }

    #[pyo3(signature = (*_arguments))]
    fn write(&self, py: Python<'_>, _arguments: &Bound<'_, PyAny>) -> PyResult<()> {
        unsupported(py, "write")
    }

    #[pyo3(signature = (*_arguments))]
    fn writelines(&self, py: Python<'_>, _arguments: &Bound<'_, PyAny>) -> PyResult<()> {
        unsupported(py, "write")
    }

    #[pyo3(signature = (*_arguments))]
    fn truncate(&self, py: Python<'_>, _arguments: &Bound<'_, PyAny>) -> PyResult<()> {
        unsupported(py, "truncate")
    }
}

impl Input {
    pub(crate) fn new(body: Body) -> Input {
        let (source, length) = match body {
            Body::Empty => (Source::Memory(Vec::new()), 0),
            Body::Memory(bytes) => {
                let length = bytes.len() as u64;
                (Source::Memory(bytes), length)
            }
            Body::File(file) => {
                let length = file.length();
                let reader = BufReader::new(file);
                (Source::File { reader, at: 0 }, length)
            }
        };
        Input {
            source,
            length,
            position: 0,
        }
    }

    /// Ends with the request: the memory or the file of the body is released, even if the application keeps the input.
    pub(crate) fn end(input: &Bound<'_, Input>) {
        // A thread of the application's that is reading at this moment keeps the body until it has let go of the input.
        let Ok(mut input) = input.try_borrow_mut() else {
            return;
        };
        let source = std::mem::replace(&mut input.source, Source::Over);
        if matches!(source, Source::File { .. }) {
            // Giving back the blocks of a long file takes a while.
            let py = input.py();
            py.detach(|| drop(source));
        }
    }

    /// Goes back to the beginning.
    pub(crate) fn rewind(&mut self) {
        self.position = 0;
    }

    fn check_open(&self) -> PyResult<()> {
        match self.source {
            Source::Over => Err(over()),
            _ => Ok(()),
        }
    }

    fn remaining(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    /// The next bytes, at most `limit`.
    fn take(&mut self, py: Python<'_>, limit: u64) -> PyResult<Cow<'_, [u8]>> {
        let wanted = limit.min(self.remaining()) as usize;
        let begin = self.position;
        self.position += wanted as u64;
        match &mut self.source {
            Source::Memory(bytes) => Ok(Cow::Borrowed(part(bytes, begin, wanted))),
            Source::File { reader, at } => Ok(Cow::Owned(py.detach(|| {
                go(reader, at, begin)?;
                read_from(reader, at, wanted)
            })?)),
            Source::Over => Err(over()),
        }
    }

    /// The next bytes to the end of the line, at most `limit`.
    fn take_line(&mut self, py: Python<'_>, limit: u64) -> PyResult<Cow<'_, [u8]>> {
        let wanted = limit.min(self.remaining());
        let begin = self.position;
        let line = match &mut self.source {
            Source::Memory(bytes) => {
                let bytes = part(bytes, begin, wanted as usize);
                let end = bytes
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .map_or(bytes.len(), |end| end + 1);
                Cow::Borrowed(&bytes[..end])
            }
            Source::File { reader, at } => Cow::Owned(py.detach(|| {
                go(reader, at, begin)?;
                line_from(reader, at, wanted)
            })?),
            Source::Over => return Err(over()),
        };
        self.position += line.len() as u64;
        Ok(line)
    }
}

/// `wanted` bytes from `begin` on, of which there are as many.
fn part(bytes: &[u8], begin: u64, wanted: usize) -> &[u8] {
    let begin = (begin as usize).min(bytes.len());
    &bytes[begin..begin + wanted]
}

/// Moves the reader to a position.
fn go(reader: &mut BufReader<BodyFile>, at: &mut u64, position: u64) -> io::Result<()> {
    if *at != position {
        // Within what is buffered this moves a pointer only. Positions of files are below `i64::MAX`.
        reader.seek_relative(position.wrapping_sub(*at).cast_signed())?;
        *at = position;
    }
    Ok(())
}

fn read_from(reader: &mut BufReader<BodyFile>, at: &mut u64, wanted: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; wanted];
    reader.read_exact(&mut bytes)?;
    *at += wanted as u64;
    Ok(bytes)
}

fn line_from(reader: &mut BufReader<BodyFile>, at: &mut u64, wanted: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let read = reader.take(wanted).read_until(b'\n', &mut line)?;
    *at += read as u64;
    Ok(line)
}

fn over() -> PyErr {
    PyValueError::new_err("I/O operation on closed file: the request of this wsgi.input is over")
}

/// A size argument: none, or a negative one, means "all there is".
///
/// # Errors
/// `TypeError`: it is not an integer.
fn bound(size: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
    let Some(size) = size else {
        return Ok(u64::MAX);
    };
    match size.extract::<i64>() {
        Ok(size) => Ok(u64::try_from(size).unwrap_or(u64::MAX)),
        // Too large to count is as good as all.
        Err(error) if error.is_instance_of::<PyOverflowError>(size.py()) => Ok(u64::MAX),
        Err(_) => Err(PyTypeError::new_err("the size must be an integer or None")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const BODY: &[u8] = b"one\ntwo\n\nthree";

    /// Runs the check on a body in memory and on the same body in a file.
    fn check(expected: &[&[u8]], step: impl Fn(&mut Input, Python<'_>) -> Vec<u8>) {
        let path =
            std::env::temp_dir().join(format!("input-{}-{:p}", std::process::id(), &expected));
        fs::write(&path, BODY).unwrap();
        let file = fs::File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        Python::initialize();
        Python::attach(|py| {
            for body in [
                Body::Memory(BODY.to_vec()),
                Body::File(BodyFile::new(file, BODY.len() as u64)),
            ] {
                let mut input = Input::new(body);
                let pieces = expected
                    .iter()
                    .map(|_| step(&mut input, py))
                    .collect::<Vec<_>>();
                assert_eq!(pieces, expected);
            }
        });
    }

    #[test]
    fn lines_end_with_their_line_feed_and_the_last_with_the_body() {
        let lines: [&[u8]; 6] = [b"one\n", b"two\n", b"\n", b"three", b"", b""];
        check(&lines, |input, py| {
            input.take_line(py, u64::MAX).unwrap().into_owned()
        });
    }

    #[test]
    fn a_line_is_cut_at_its_limit() {
        let lines: [&[u8]; 5] = [b"on", b"e\n", b"tw", b"o\n", b"\n"];
        check(&lines, |input, py| {
            input.take_line(py, 2).unwrap().into_owned()
        });
    }

    #[test]
    fn reads_end_where_the_body_ends() {
        let reads: [&[u8]; 4] = [b"one\ntwo", b"\n\nthree", b"", b""];
        check(&reads, |input, py| input.take(py, 7).unwrap().into_owned());
    }
}
