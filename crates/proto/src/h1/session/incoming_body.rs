//! A body on its way in.

use crate::h1::chunked::BodyDecoder;
use crate::violation::Violation;

/// What of a body may still be to come when its request has been answered, so that it is read and dropped and the
/// connection is kept. More costs the client and the network more than a new connection. The bound is that of Go's
/// server.
pub const DISCARDED: u64 = 256 * 1024;

/// A body on its way in.
#[derive(Debug)]
pub(super) struct IncomingBody {
    pub(super) decoder: BodyDecoder,
    /// Bytes of it so far.
    pub(super) length: u64,
    pub(super) permission: Permission,
}

/// Whether the client waits for [`CONTINUE`] before it sends its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// It does not, or it has begun to send without.
    NotAwaited,
    Awaited,
}

impl IncomingBody {
    /// Decodes the first piece of data. Gives what was used, the piece, and whether the body goes on.
    pub(super) fn take<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<(usize, &'a [u8], bool), Violation> {
        let decoded = self.decoder.decode(input)?;
        self.length += decoded.data.len() as u64;
        if !input.is_empty() {
            self.permission = Permission::NotAwaited;
        }
        Ok((decoded.consumed, decoded.data, !decoded.done))
    }

    /// Whether the rest is worth reading for the sake of the request behind it.
    pub(super) fn is_small(&self) -> bool {
        may_discard(self.decoder.remaining())
    }
}

/// Whether a connection is kept with so much of a body unread. Of a chunked body nothing is known before its end.
#[must_use]
pub fn may_discard(rest: Option<u64>) -> bool {
    rest.is_some_and(|rest| rest <= DISCARDED)
}
