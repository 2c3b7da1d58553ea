//! The response of an exchange on its way out: whole, in chunks, from a file, or as an error page.

use std::fs::File;

use proto::Version;
use proto::h1::{self, Additions, ResponseContext, ResponseFraming, ResponseHead};

use super::{Exchange, Response, SinkError};

impl Exchange {
    /// Answers with a whole response. `Content-Length` is added where the application gave none. What the client does not
    /// take at once stays with the reactor: this never waits.
    ///
    /// # Errors
    /// The client is gone.
    pub fn respond(&mut self, head: &ResponseHead, body: &[u8]) -> Result<(), SinkError> {
        let (bytes, mut framing) = self.encode(head, Some(body.len() as u64));
        let body = self.admit(&mut framing, body);
        self.sent = body.len() as u64;
        self.response = Response::Streaming(framing);
        self.send(&[&bytes, body])?;
        self.end(framing)
    }

    /// Begins a streamed response; the head goes out with the first chunk. `known_length` is the length of the body where
    /// it is known and the application gave no `Content-Length`.
    ///
    /// # Errors
    /// None yet: the client is not written to.
    pub fn begin(
        &mut self,
        head: &ResponseHead,
        known_length: Option<u64>,
    ) -> Result<(), SinkError> {
        let (head, framing) = self.encode(head, known_length);
        self.response = Response::Staged { head, framing };
        Ok(())
    }

    /// Sends one chunk. It is on the wire, or with the reactor, when this returns. Bytes beyond the `Content-Length` are
    /// cut. What a slow client does not take waits in memory, then on disk; beyond `limit_response_spool` the caller waits,
    /// if no interruption comes that it has to look at.
    ///
    /// # Errors
    /// The client is gone, or took nothing for `send_timeout`.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), SinkError> {
        self.send_chunk(chunk)?;
        if self.link.has_room() {
            return Ok(());
        }
        self.link.spill(self.dispatcher.options.response_spool());
        if self.link.has_room() {
            return Ok(());
        }
        self.dispatcher.wait_for_room(&self.link)
    }

    pub(super) fn send_chunk(&mut self, chunk: &[u8]) -> Result<(), SinkError> {
        let (mut bytes, mut framing) = self.take_staged();
        let chunk = self.admit(&mut framing, chunk);
        self.response = Response::Streaming(framing);
        self.sent += chunk.len() as u64;
        if framing == ResponseFraming::Chunked && !chunk.is_empty() {
            h1::encode_chunk_size(chunk.len() as u64, &mut bytes);
            self.send(&[&bytes, chunk, b"\r\n"])?;
        } else {
            self.send(&[&bytes, chunk])?;
        }
        Ok(())
    }

    /// Sends a range of a file. Never waits: the reactor sends on what the client does not take at once.
    ///
    /// # Errors
    /// The client is gone.
    pub fn send_file(&mut self, file: File, offset: u64, length: u64) -> Result<(), SinkError> {
        let (bytes, mut framing) = self.take_staged();
        let length = match &mut framing {
            ResponseFraming::NoBody => 0,
            ResponseFraming::Length(left) => {
                let length = length.min(*left);
                *left -= length;
                length
            }
            // A file's length is known, so its response is never chunked; the application may still have asked for it by
            // beginning without a length, and then the end of the connection is the end of the body.
            ResponseFraming::Chunked | ResponseFraming::UntilClose => length,
        };
        self.sent += length;
        self.response = Response::Streaming(framing);
        self.send(&[&bytes])?;
        if length > 0 {
            let flushed = self.link.send_file(file, offset, length)?;
            self.note_pending(flushed);
        }
        Ok(())
    }

    /// Ends a streamed response. A body that is shorter than its `Content-Length` closes the connection, because nothing
    /// else tells the client that it is not whole.
    ///
    /// # Errors
    /// The client is gone.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        self.finish_with(&[])
    }

    /// As [`Exchange::finish`], with trailer fields as `h1::encode_trailer` writes them. Only chunks have a place for them.
    ///
    /// # Errors
    /// The client is gone.
    pub fn finish_with(&mut self, trailers: &[u8]) -> Result<(), SinkError> {
        match &self.response {
            Response::Staged { .. } | Response::Streaming(_) => {}
            _ => return Ok(()),
        }
        let (mut bytes, framing) = self.take_staged();
        self.response = Response::Streaming(framing);
        if framing == ResponseFraming::Chunked {
            let (last_chunk, end) = h1::LAST_CHUNK.split_at(h1::LAST_CHUNK.len() - 2);
            for part in [last_chunk, trailers, end] {
                bytes.extend_from_slice(part);
            }
        }
        if !bytes.is_empty() {
            self.send(&[&bytes])?;
        }
        self.end(framing)
    }

    /// Answers with an error page where nothing has been sent; cuts the connection otherwise.
    pub fn refuse(&mut self, status: u16, rule: &str) {
        if self.started() {
            return self.abort();
        }
        let mut page = Vec::with_capacity(512);
        let date = self.dispatcher.date.now();
        let added = self.dispatcher.options.additions(&date);
        let length = h1::encode_error(status, rule, added, &mut page);
        if self.request.is_head() {
            page.truncate(page.len() - length);
        } else {
            self.sent = length as u64;
        }
        self.answer_with(status, &page);
    }

    /// Sends a whole answer, after which the connection is closed.
    pub(super) fn answer_with(&mut self, status: u16, page: &[u8]) {
        self.status = status;
        self.keep_alive = false;
        self.response = Response::Complete;
        // A client that is gone needs no error page.
        let _ = self.send(&[page]);
    }

    /// Breaks the response off, so that the client can tell.
    pub fn abort(&mut self) {
        self.response = Response::Cut;
        self.keep_alive = false;
    }

    /// Gives up on a client that has left: nothing more is sent to it. Where no response has begun, the access log has nginx's
    /// statuses: 400 for a request that was not complete, else 499.
    pub fn forsake(&mut self) {
        let is_whole = self.inlet.as_ref().is_none_or(|inlet| inlet.is_whole());
        if !self.started() {
            self.status = if is_whole { 499 } else { 400 };
        }
        self.abort();
    }

    /// Sends an interim response such as 103 Early Hints (RFC 8297). Left out for HTTP/1.0, which does not know them, and
    /// once the response has begun.
    ///
    /// # Errors
    /// The client is gone.
    pub fn interim(&mut self, head: &ResponseHead) -> Result<(), SinkError> {
        if self.started() || self.request.version() == Version::Http10 {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(256);
        let context = ResponseContext {
            version: Version::Http11,
            head_request: false,
            keep_alive: true,
        };
        h1::encode_head(head, &context, None, Additions::usual(&[]), &mut bytes);
        self.send(&[&bytes])
    }

    fn encode(
        &mut self,
        head: &ResponseHead,
        known_length: Option<u64>,
    ) -> (Vec<u8>, ResponseFraming) {
        let context = ResponseContext {
            version: self.request.version(),
            head_request: self.request.is_head(),
            keep_alive: self.keep_alive
                && self.dispatcher.stopping().is_none()
                && self.dispatcher.options.keep_alive > 0,
        };
        let mut bytes = Vec::new();
        let date = self.dispatcher.date.now();
        let added = self.dispatcher.options.additions(&date);
        let (framing, keep_alive) =
            h1::encode_head(head, &context, known_length, added, &mut bytes);
        // A client takes 1xx for a promise of the real answer (RFC 9110, section 15.2), and would find it in the next one.
        self.keep_alive = keep_alive && !matches!(head.status(), 100..=199);
        self.status = head.status();
        if self.dispatcher.access_log.wants_response_fields() {
            self.fields = head.encoded_fields().to_vec();
        }
        (bytes, framing)
    }

    /// The head that still has to go out, and the framing of what follows.
    pub(super) fn take_staged(&mut self) -> (Vec<u8>, ResponseFraming) {
        match std::mem::replace(&mut self.response, Response::Cut) {
            Response::Staged { head, framing } => (head, framing),
            Response::Streaming(framing) => (Vec::new(), framing),
            other => {
                self.response = other;
                (Vec::new(), ResponseFraming::NoBody)
            }
        }
    }

    fn end(&mut self, framing: ResponseFraming) -> Result<(), SinkError> {
        let short = matches!(framing, ResponseFraming::Length(left) if left > 0);
        if short {
            log::warn!(
                "The response to {} was shorter than its Content-Length; the connection is closed.",
                self.request.target().escape_ascii()
            );
        }
        if self.excess > 0 {
            log::warn!(
                "The response to {} was longer than its Content-Length; {} bytes were cut off.",
                self.request.target().escape_ascii(),
                self.excess
            );
        }
        if short || framing == ResponseFraming::UntilClose {
            self.keep_alive = false;
        }
        self.response = Response::Complete;
        Ok(())
    }

    /// Cuts a chunk to what the framing still allows, and counts it.
    fn admit<'a>(&mut self, framing: &mut ResponseFraming, chunk: &'a [u8]) -> &'a [u8] {
        match framing {
            ResponseFraming::NoBody => &[],
            ResponseFraming::Length(left) => {
                let allowed = (*left).min(chunk.len() as u64);
                *left -= allowed;
                self.excess += chunk.len() as u64 - allowed;
                &chunk[..allowed as usize]
            }
            ResponseFraming::Chunked | ResponseFraming::UntilClose => chunk,
        }
    }
}
