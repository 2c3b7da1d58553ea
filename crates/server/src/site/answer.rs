//! The answer that a file gives: what the conditions and ranges of the request make of it (`proto::resource`), as a
//! head and the bytes behind it.

use std::sync::Arc;

use proto::Request;
use proto::h1::ResponseHead;
use proto::resource::{
    ByteRange, ByteRanges, Coding, Multipart, Validators, Verdict, content_range, evaluate,
    range_applies, unsatisfied_range,
};

use crate::burst::Timing;
use crate::reply::{Reply, ReplyError};
use crate::sink::FilePart;
use crate::site::store::{FileContent, Stored};

/// What the site answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A file, or what its conditions make of it.
    File(Found),
    /// The same path with a slash behind it.
    Redirect(Vec<u8>),
    /// There is no such file.
    NotFound,
}

/// A representation of a file.
#[derive(Debug)]
pub(crate) struct Found {
    pub(super) file: Arc<Stored>,
    pub(super) coding: Option<Coding>,
    /// Which representation it is depends on Accept-Encoding.
    pub(super) varies: bool,
    pub(super) content_type: String,
    /// Pages of other origins may use fonts only where this is permitted.
    pub(super) is_font: bool,
    pub(super) cache_control: Option<String>,
    pub(super) framed: Framed,
}

/// Whose fields stand round a file.
#[derive(Debug)]
pub(super) enum Framed {
    /// The server's alone.
    Own,
    /// The application's too, which has named the file.
    By(Box<ResponseHead>),
}

impl Answer {
    /// Sends it. `number` distinguishes a body of several parts from others.
    ///
    /// # Errors
    /// The client is gone.
    pub(crate) fn send(
        &self,
        request: &Request,
        number: u64,
        reply: &mut Reply,
    ) -> Result<(), ReplyError> {
        match self {
            Answer::File(found) => found.send(request, number, reply),
            Answer::Redirect(target) => {
                let mut head = head("301 Moved Permanently");
                state(&mut head, "Location", target);
                short(head, "Moved Permanently", reply)
            }
            Answer::NotFound => short(head("404 Not Found"), "Not Found", reply),
        }
    }
}

impl Found {
    pub(crate) fn send(
        &self,
        request: &Request,
        number: u64,
        reply: &mut Reply,
    ) -> Result<(), ReplyError> {
        let etag = self.file.etag(self.coding);
        if let Framed::By(stated) = &self.framed
            && !(stated.status() == 200 && matches!(request.method(), b"GET" | b"HEAD"))
        {
            // Conditions and ranges ask for the file, and this is the answer to something else.
            let mut head = self.head_of(stated.status_line(), &etag);
            state(&mut head, "Content-Type", self.content_type.as_bytes());
            return self.whole(head, reply);
        }
        let validators = Validators {
            etag: etag.as_bytes(),
            modified: self.file.modified,
        };
        match evaluate(request.fields(), validators) {
            Verdict::Proceed => {}
            Verdict::NotModified => {
                reply.start(self.head("304 Not Modified", &etag));
                return reply.finish();
            }
            Verdict::Failed => {
                let head = head("412 Precondition Failed");
                return short(head, "Precondition Failed", reply);
            }
        }
        let length = self.file.facts.length;
        match self.ranges(request, validators) {
            ByteRanges::Whole => {
                let mut head = self.head("200 OK", &etag);
                state(&mut head, "Content-Type", self.content_type.as_bytes());
                self.whole(head, reply)
            }
            ByteRanges::One(range) => {
                let mut head = self.head("206 Partial Content", &etag);
                state(&mut head, "Content-Type", self.content_type.as_bytes());
                state(
                    &mut head,
                    "Content-Range",
                    content_range(range, length).as_bytes(),
                );
                reply.start(head);
                reply.expect(range.length)?;
                self.part(range, reply)?;
                reply.finish()
            }
            ByteRanges::Several(ranges) => {
                let body = Multipart::new(&ranges, length, &self.content_type, number);
                let mut head = self.head("206 Partial Content", &etag);
                state(&mut head, "Content-Type", body.content_type.as_bytes());
                self.several(head, &body, reply)
            }
            ByteRanges::Unsatisfiable => {
                let mut head = head("416 Range Not Satisfiable");
                state(
                    &mut head,
                    "Content-Range",
                    unsatisfied_range(length).as_bytes(),
                );
                short(head, "Range Not Satisfiable", reply)
            }
        }
    }

    /// Ranges are defined for GET alone (RFC 9110, section 14.2).
    fn ranges(&self, request: &Request, validators: Validators<'_>) -> ByteRanges {
        match request.field(b"range") {
            Some(value)
                if request.method() == b"GET" && range_applies(request.fields(), validators) =>
            {
                ByteRanges::select(value, self.file.facts.length)
            }
            _ => ByteRanges::Whole,
        }
    }

    fn whole(&self, head: ResponseHead, reply: &mut Reply) -> Result<(), ReplyError> {
        reply.start(head);
        let length = self.file.facts.length;
        match &self.file.content {
            FileContent::Memory(content) => reply.respond(content),
            FileContent::Open(_) => {
                reply.expect(length)?;
                self.part(ByteRange { first: 0, length }, reply)?;
                reply.finish()
            }
        }
    }

    fn several(
        &self,
        head: ResponseHead,
        body: &Multipart,
        reply: &mut Reply,
    ) -> Result<(), ReplyError> {
        reply.start(head);
        reply.expect(body.length())?;
        for (part_head, range) in &body.parts {
            reply.send(part_head, Timing::AtOnce)?;
            self.part(*range, reply)?;
        }
        reply.send(&body.end, Timing::AtOnce)?;
        reply.finish()
    }

    /// Sends one range.
    fn part(&self, range: ByteRange, reply: &mut Reply) -> Result<(), ReplyError> {
        match &self.file.content {
            FileContent::Memory(content) => {
                // A range lies within the length, which is that of the content.
                let first = usize::try_from(range.first).unwrap_or(usize::MAX);
                let length = usize::try_from(range.length).unwrap_or(usize::MAX);
                let part = content.get(first..).unwrap_or_default();
                let part = part.get(..length).unwrap_or(part);
                reply.send(part, Timing::AtOnce)?;
                Ok(())
            }
            FileContent::Open(file) => reply.send_file(FilePart {
                file: Arc::clone(file),
                offset: range.first,
                length: range.length,
                facts: Some(self.file.facts),
            }),
        }
    }

    /// What 200, 206 and 304 have in common (RFC 9110, section 15.4.5).
    fn head(&self, status: &str, etag: &str) -> ResponseHead {
        self.head_of(status.as_bytes(), etag)
    }

    fn head_of(&self, status: &[u8], etag: &str) -> ResponseHead {
        let mut head = match &self.framed {
            Framed::Own => ResponseHead::new(),
            Framed::By(stated) => ResponseHead::clone(stated),
        };
        // It is ours, or was judged when the application stated it.
        let _ = head.set_status(status);
        state(&mut head, "ETag", etag.as_bytes());
        state(
            &mut head,
            "Last-Modified",
            self.file.modified.to_string().as_bytes(),
        );
        state(&mut head, "Accept-Ranges", b"bytes");
        if let Some(cache_control) = &self.cache_control {
            state(&mut head, "Cache-Control", cache_control.as_bytes());
        }
        if let Some(coding) = self.coding {
            state(&mut head, "Content-Encoding", coding.name().as_bytes());
        }
        if self.varies {
            state(&mut head, "Vary", b"Accept-Encoding");
        }
        if self.is_font {
            state(&mut head, "Access-Control-Allow-Origin", b"*");
        }
        head
    }
}

fn head(status: &str) -> ResponseHead {
    let mut head = ResponseHead::new();
    // The statuses are ours.
    let _ = head.set_status(status.as_bytes());
    head
}

/// Adds a field. All values are ours but the target of a redirect, which is a part of a request line and so has nothing
/// that a field could not have.
fn state(head: &mut ResponseHead, name: &str, value: &[u8]) {
    let _ = head.push(name.as_bytes(), value);
}

/// Sends a short page.
fn short(mut head: ResponseHead, reason: &str, reply: &mut Reply) -> Result<(), ReplyError> {
    let dispatcher = Arc::clone(reply.dispatcher());
    if let Some(page) = dispatcher.options.error_pages.find(head.status()) {
        state(&mut head, "Content-Type", page.content_type.as_bytes());
        reply.start(head);
        return reply.respond(&page.body);
    }
    state(&mut head, "Content-Type", b"text/html; charset=utf-8");
    let page = format!(
        "<html><head><title>{reason}</title></head><body><h1>{reason}</h1></body></html>\n"
    );
    reply.start(head);
    reply.respond(page.as_bytes())
}
