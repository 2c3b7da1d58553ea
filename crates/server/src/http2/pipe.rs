//! The two ends of memory between a connection of the h2 crate and its socket: what was read from the client, and what
//! it is to be sent. Neither side ever waits.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A buffer that has grown beyond this is not kept for the next turn: a connection that is idle must not hold what it
/// once needed.
const KEPT: usize = 16 * 1024;

/// A handle of both; the other one belongs to the h2 connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Pipe(Arc<Mutex<Buffers>>);

#[derive(Debug, Default)]
struct Buffers {
    input: Vec<u8>,
    /// How much of `input` has been taken.
    taken: usize,
    /// Nothing follows `input`.
    ended: bool,
    output: Vec<u8>,
    /// How long `output` may become. Beyond it a writer has to wait, and the h2 crate does not read on before what it
    /// has to answer (PING, SETTINGS, RST_STREAM) is written: that is what bounds the memory of a flood.
    room: usize,
}

impl Pipe {
    /// Adds what was read.
    pub(super) fn feed(&self, input: &[u8]) {
        self.0.lock().input.extend_from_slice(input);
    }

    /// Nothing more will be read.
    pub(super) fn end(&self) {
        self.0.lock().ended = true;
    }

    /// Whether part of what was read has not been taken.
    pub(super) fn has_input(&self) -> bool {
        let buffers = self.0.lock();
        buffers.taken < buffers.input.len()
    }

    /// Says how much may wait to be sent.
    pub(super) fn set_room(&self, room: usize) {
        self.0.lock().room = room;
    }

    /// Takes what is to be sent.
    pub(super) fn take_output(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().output)
    }

    /// Gives the memory of what has been sent back.
    pub(super) fn give_back(&self, mut output: Vec<u8>) {
        if output.capacity() <= KEPT {
            output.clear();
            self.0.lock().output = output;
        }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffers = self.0.lock();
        let waiting = &buffers.input[buffers.taken..];
        if waiting.is_empty() {
            return match buffers.ended {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            };
        }
        let count = waiting.len().min(buffer.remaining());
        buffer.put_slice(&waiting[..count]);
        buffers.taken += count;
        if buffers.taken == buffers.input.len() {
            buffers.taken = 0;
            buffers.input.clear();
            if buffers.input.capacity() > KEPT {
                buffers.input = Vec::new();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffers = self.0.lock();
        if buffers.output.len() >= buffers.room {
            return Poll::Pending;
        }
        buffers.output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut buffers = self.0.lock();
        if buffers.output.len() >= buffers.room {
            return Poll::Pending;
        }
        for part in parts {
            buffers.output.extend_from_slice(part);
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_writer_waits_while_the_client_takes_nothing() {
        let mut pipe = Pipe::default();
        let mut context = Context::from_waker(Waker::noop());
        let write = |pipe: &mut Pipe, context: &mut Context<'_>| {
            Pin::new(pipe).poll_write(context, b"abcd").is_ready()
        };
        assert!(!write(&mut pipe, &mut context), "there is no room yet");
        let mine = pipe.clone();
        mine.set_room(6);
        assert!(write(&mut pipe, &mut context) && write(&mut pipe, &mut context));
        assert!(!write(&mut pipe, &mut context));
        assert_eq!(mine.take_output(), b"abcdabcd");
        assert!(write(&mut pipe, &mut context));
    }

    #[test]
    fn what_was_read_is_taken_once_and_then_the_end() {
        let mut pipe = Pipe::default();
        let mut context = Context::from_waker(Waker::noop());
        pipe.feed(b"abc");
        let mut read = |pipe: &mut Pipe| {
            let mut bytes = [0; 2];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(pipe).poll_read(&mut context, &mut buffer) {
                Poll::Ready(_) => Some(buffer.filled().to_vec()),
                Poll::Pending => None,
            }
        };
        assert_eq!(read(&mut pipe), Some(b"ab".to_vec()));
        assert!(pipe.has_input());
        assert_eq!(read(&mut pipe), Some(b"c".to_vec()));
        assert!(!pipe.has_input());
        assert_eq!(read(&mut pipe), None);
        pipe.end();
        assert_eq!(read(&mut pipe), Some(Vec::new()));
    }
}
