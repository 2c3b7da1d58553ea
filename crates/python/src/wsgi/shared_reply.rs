//! The reply as its users share it: the gateway, `start_response`, `write`, early hints and `gunicorn.socket` all reach
//! the one reply of the request through it. A thread that uses the reply without the GIL takes it away and brings it
//! back; the lock itself is never held while Python code can run or a client is waited for, so it cannot deadlock with
//! the GIL.

use std::fmt;
use std::sync::Arc;

use proto::h1::ResponseHead;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use server::{Call, Progress, ReplyError, Room};

use super::failure::AnswerFailure;
use super::reply::{Chunk, WsgiReply};
use crate::gateway::Wait;
use crate::lock::{Lock, Plain};

/// Where the reply is. It stays in its box for as long as the context lives, so that taking it away moves a pointer.
#[derive(Debug)]
enum Held {
    Here(Box<WsgiReply>),
    /// A thread is sending.
    Away,
}

impl Plain for Held {}

/// The reply of one context.
pub(super) struct SharedReply {
    held: Lock<Held>,
    /// How to wait for a client; `None` where threads wait without the GIL.
    wait: Option<Arc<dyn Wait>>,
}

impl SharedReply {
    pub(super) fn new(wait: Option<Arc<dyn Wait>>) -> SharedReply {
        SharedReply {
            held: Lock::new(Held::Here(Box::default())),
            wait,
        }
    }

    /// A request begins.
    pub(super) fn open(&self, call: Call) {
        self.locked(|held| match held {
            Held::Here(reply) => reply.open(call),
            Held::Away => {
                let mut reply = Box::<WsgiReply>::default();
                reply.open(call);
                *held = Held::Here(reply);
            }
        });
    }

    /// The request ends; what is left of the exchange goes back to the server without the GIL.
    ///
    /// `false` means that another thread is still sending and takes the exchange with it: the context must not be used
    /// again.
    pub(super) fn close(&self, py: Python<'_>) -> bool {
        // The exchange goes back without the lock.
        let held = self.locked(|held| std::mem::replace(held, Held::Away));
        let (mut reply, ours) = match held {
            Held::Here(reply) => (reply, true),
            Held::Away => (Box::default(), false),
        };
        if reply.exchange().is_some() {
            py.detach(|| reply.release());
        }
        reply.close();
        self.locked(|held| *held = Held::Here(reply));
        ours
    }

    /// A quick look or change that calls nothing of Python and waits for nothing.
    ///
    /// # Errors
    /// `RuntimeError`: the request is over, or another thread is sending.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut WsgiReply) -> R + Send) -> PyResult<R> {
        self.locked(|held| match held {
            Held::Here(reply) if reply.is_closed() => Err(over()),
            Held::Here(reply) => Ok(act(reply)),
            Held::Away => Err(busy()),
        })
    }

    /// Something that may wait for the client, done without the GIL.
    ///
    /// # Errors
    /// As [`SharedReply::with`]; and what `act` reports.
    pub(super) fn send<R: Send>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&mut WsgiReply) -> Result<R, ReplyError> + Send,
    ) -> Result<R, AnswerFailure> {
        let mut reply = self.take()?;
        let outcome = py.detach(|| act(&mut reply));
        self.bring_back(py, reply);
        Ok(outcome?)
    }

    /// A chunk of a body whose end is not known yet. Waits where too much waits for the client.
    ///
    /// # Errors
    /// As [`SharedReply::send`]; and what ended the wait.
    pub(super) fn chunk(
        &self,
        py: Python<'_>,
        chunk: Chunk<'_>,
    ) -> Result<Progress, AnswerFailure> {
        let Some(wait) = &self.wait else {
            return self.send(py, |reply| reply.chunk(chunk));
        };
        let mut rest = chunk.bytes;
        loop {
            let piece = Chunk {
                bytes: rest,
                ..chunk
            };
            let (offered, id) = self.send(py, |reply| reply.offer(piece))?;
            if let (Room::Full, Some(id)) = (offered.room, id) {
                wait.for_room(py, id)?;
            }
            rest = &rest[offered.taken..];
            if rest.is_empty() || offered.progress == Progress::Enough {
                return Ok(offered.progress);
            }
        }
    }

    /// An interim response. Waits as [`SharedReply::chunk`] does.
    ///
    /// # Errors
    /// As [`SharedReply::chunk`].
    pub(super) fn interim(&self, py: Python<'_>, head: &ResponseHead) -> Result<(), AnswerFailure> {
        let Some(wait) = &self.wait else {
            return self.send(py, |reply| reply.interim(head));
        };
        match self.send(py, |reply| reply.offer_interim(head))? {
            (Room::Full, Some(id)) => Ok(wait.for_room(py, id)?),
            _ => Ok(()),
        }
    }

    fn take(&self) -> PyResult<Box<WsgiReply>> {
        self.locked(|held| match std::mem::replace(held, Held::Away) {
            Held::Here(reply) if reply.is_closed() => {
                *held = Held::Here(reply);
                Err(over())
            }
            Held::Here(reply) => Ok(reply),
            Held::Away => Err(busy()),
        })
    }

    /// A reply whose request was closed in the meantime is dropped, which completes or cuts its exchange.
    fn bring_back(&self, py: Python<'_>, reply: Box<WsgiReply>) {
        let left = self.locked(|held| match held {
            Held::Here(_) => Some(reply),
            Held::Away => {
                *held = Held::Here(reply);
                None
            }
        });
        if left.is_some() {
            py.detach(|| drop(left));
        }
    }

    fn locked<R>(&self, act: impl FnOnce(&mut Held) -> R + Send) -> R {
        // The client of a process that the application has forked is its parent's.
        crate::forks::leave_if_forked();
        self.held.with(act)
    }
}

fn over() -> PyErr {
    PyRuntimeError::new_err(
        "this request is over: start_response, write and gunicorn.socket belong to one request only",
    )
}

fn busy() -> PyErr {
    PyRuntimeError::new_err("another thread is sending this response")
}

impl fmt::Debug for SharedReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("SharedReply")
            .field(&self.held)
            .finish()
    }
}
