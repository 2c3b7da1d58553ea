//! `wsgi.input`: a file object over a request body that has been received in full. It ends where the body ends
//! (`wsgi.input_terminated`), never waits for the client, and cannot seek.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use server::Body;

/// The file object.
#[derive(Debug)]
#[pyclass(module = "oxicorn._oxicorn")]
pub(super) struct Input {
    source: Source,
    position: u64,
}

/// Where the bytes are.
#[derive(Debug)]
enum Source {
    Memory(Vec<u8>),
    File {
        reader: BufReader<File>,
        length: u64,
    },
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.take(py, bound(size)?)?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.take_line(py, bound(size)?)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// As `io.IOBase.readlines`: stops after the line with which `hint` bytes are reached; no hint, or one of zero or less, means all.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(
        &mut self,
        py: Python<'py>,
        hint: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let hint = match bound(hint)? {
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

    fn tell(&self) -> u64 {
        self.position
    }

    fn readable(&self) -> bool {
        true
    }

    fn writable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        false
    }

    /// The body belongs to the request and goes with it; closing it early changes nothing.
    fn close(&self) {}

    #[getter]
    fn closed(&self) -> bool {
        false
    }
}

impl Input {
    pub(super) fn new(body: Body) -> Input {
        let source = match body {
            Body::Empty => Source::Memory(Vec::new()),
            Body::Memory(bytes) => Source::Memory(bytes),
            Body::File(file, length) => Source::File {
                reader: BufReader::new(file),
                length,
            },
        };
        Input {
            source,
            position: 0,
        }
    }

    fn remaining(&self) -> u64 {
        let length = match &self.source {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { length, .. } => *length,
        };
        length - self.position
    }

    /// The next bytes, at most `limit`.
    fn take(&mut self, py: Python<'_>, limit: u64) -> PyResult<Cow<'_, [u8]>> {
        let wanted = limit.min(self.remaining()) as usize;
        let begin = self.position as usize;
        self.position += wanted as u64;
        match &mut self.source {
            Source::Memory(bytes) => Ok(Cow::Borrowed(&bytes[begin..begin + wanted])),
            Source::File { reader, .. } => Ok(Cow::Owned(py.detach(|| read_from(reader, wanted))?)),
        }
    }

    /// The next bytes to the end of the line, at most `limit`.
    fn take_line(&mut self, py: Python<'_>, limit: u64) -> PyResult<Cow<'_, [u8]>> {
        let wanted = limit.min(self.remaining());
        let begin = self.position as usize;
        let line = match &mut self.source {
            Source::Memory(bytes) => {
                let bytes = &bytes[begin..begin + wanted as usize];
                let end = bytes
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .map_or(bytes.len(), |end| end + 1);
                Cow::Borrowed(&bytes[..end])
            }
            Source::File { reader, .. } => Cow::Owned(py.detach(|| line_from(reader, wanted))?),
        };
        self.position += line.len() as u64;
        Ok(line)
    }
}

fn read_from(reader: &mut BufReader<File>, wanted: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; wanted];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn line_from(reader: &mut BufReader<File>, wanted: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.take(wanted).read_until(b'\n', &mut line)?;
    Ok(line)
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
                Body::File(file, BODY.len() as u64),
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
