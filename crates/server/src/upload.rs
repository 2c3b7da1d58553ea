//! A request whose body is being read before the application is called, or before it is known that the application
//! reads it itself.

use proto::forwarded::Scheme;
use proto::{Framing, Request};

use crate::body::{Body, BodyBuffer};
use crate::disk::{Disk, DiskError};
use crate::refusal::{NO_ROOM, NO_SPACE, Refusal};

/// A request and what has arrived of its body.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) request: Request,
    pub(crate) scheme: Scheme,
    buffer: BodyBuffer,
}

impl Upload {
    /// Nothing of the body has arrived.
    pub(crate) fn new(request: Request, scheme: Scheme) -> Upload {
        let expected = match request.framing() {
            Framing::Length(length) => Some(length),
            Framing::None | Framing::Chunked => None,
        };
        Upload {
            request,
            scheme,
            buffer: BodyBuffer::new(expected),
        }
    }

    /// Stores a piece of the body.
    ///
    /// # Errors
    /// There is no room for it, which the log says.
    pub(crate) fn push(&mut self, piece: &[u8], disk: &Disk) -> Result<(), Refusal> {
        self.buffer
            .push(piece, disk)
            .map_err(|error| no_room(&error))
    }

    /// The request, with its body, which has arrived in full.
    pub(crate) fn complete(self) -> (Request, Scheme, Body) {
        (self.request, self.scheme, self.buffer.finish())
    }

    /// The request, with the beginning of a body that the application reads while the rest arrives.
    pub(crate) fn into_beginning(self) -> (Request, Scheme, Vec<u8>) {
        (self.request, self.scheme, self.buffer.into_memory())
    }
}

fn no_room(error: &DiskError) -> Refusal {
    match error {
        DiskError::Full(_) => {
            log::warn!("a request body is refused with 503: {error}");
            NO_ROOM
        }
        DiskError::Io(error) => {
            log::error!("a request body could not be stored in a temporary file: {error}");
            NO_SPACE
        }
    }
}
