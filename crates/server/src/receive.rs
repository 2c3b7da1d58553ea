//! From bytes to complete requests: feeds what was read to the parser and the body decoder of a connection.

use std::sync::Arc;

use proto::forwarded::{self, Scheme};
use proto::h1::{BodyDecoder, HeadParser};
use proto::{Framing, Request, Violation};

use crate::body::{Body, Spool};
use crate::connection::{Connection, Intake, Stage, Upload};
use crate::inlet::Inlet;
use crate::options::{Bodies, Options};

/// What became of the bytes.
pub(crate) enum Fed {
    /// More is needed.
    NeedMore {
        /// These were the first bytes of a request.
        was_idle: bool,
        /// The client waits to be told to send its body (RFC 9110, section 10.1.1).
        continue_wanted: bool,
    },
    /// A request is complete.
    Complete(Request, Scheme, Body),
    /// A request head is complete; its body goes to the application while it arrives.
    Begun(Request, Scheme, Arc<Inlet>),
    /// More of such a body has arrived.
    Streamed {
        /// Somebody waits for it.
        awaited: bool,
    },
}

/// Why a request is not served.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) rule: &'static str,
    /// The request, where its head could be read and nobody else holds it: for the access log.
    pub(crate) request: Option<Box<Request>>,
}

impl Refusal {
    fn of(self, request: Request) -> Refusal {
        Refusal {
            request: Some(Box::new(request)),
            ..self
        }
    }
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Refusal {
        Refusal {
            status: violation.status(),
            rule: violation.rule(),
            request: None,
        }
    }
}

const BODY_TOO_LARGE: Refusal = Refusal {
    status: 413,
    rule: "The request body is larger than this server accepts.",
    request: None,
};
const NO_SPACE: Refusal = Refusal {
    status: 500,
    rule: "The request body could not be stored.",
    request: None,
};

impl Connection {
    /// Takes bytes in. What belongs to the next request is kept.
    pub(crate) fn feed(&mut self, input: &[u8], options: &Options) -> Result<Fed, Refusal> {
        if self.inbound.is_empty() {
            let (used, fed) = self.consume(input, options)?;
            self.inbound.extend_from_slice(&input[used..]);
            return Ok(fed);
        }
        let mut held = std::mem::take(&mut self.inbound);
        held.extend_from_slice(input);
        let (used, fed) = self.consume(&held, options)?;
        if used == held.len() {
            held = Vec::new(); // Gives the memory back: an idle connection holds no buffer.
        } else {
            held.drain(..used);
        }
        self.inbound = held;
        Ok(fed)
    }

    fn consume(&mut self, input: &[u8], options: &Options) -> Result<(usize, Fed), Refusal> {
        match &mut self.stage {
            Stage::Idle | Stage::Head(_) => self.consume_head(input, options),
            Stage::Body(upload) => {
                let used = upload.take(input, options)?;
                Ok((used, self.complete_body()?))
            }
            Stage::Streaming(intake) => {
                let (used, awaited) = intake.take(input, options)?;
                if intake.decoder.is_done() {
                    self.stage = Stage::Serving;
                }
                Ok((used, Fed::Streamed { awaited }))
            }
            Stage::Waiting
            | Stage::Serving
            | Stage::Sending(_)
            | Stage::WebSocket(_)
            | Stage::Lingering => Ok((
                0,
                Fed::NeedMore {
                    was_idle: false,
                    continue_wanted: false,
                },
            )),
        }
    }

    fn consume_head(&mut self, input: &[u8], options: &Options) -> Result<(usize, Fed), Refusal> {
        let (was_idle, mut parser) = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Head(parser) => (false, parser),
            _ => (true, HeadParser::default()),
        };
        let Some((request, used)) = parser.parse(input, &options.head)? else {
            self.stage = Stage::Head(parser);
            return Ok((
                0,
                Fed::NeedMore {
                    was_idle,
                    continue_wanted: false,
                },
            ));
        };
        let scheme = match self.ends.trusted {
            true => forwarded::scheme(request.fields(), &options.secure_scheme_headers),
            false => Ok(Scheme::Http),
        };
        let scheme = match scheme {
            Ok(scheme) => scheme,
            Err(violation) => return Err(Refusal::from(violation).of(request)),
        };
        let expected = match request.framing() {
            Framing::None | Framing::Length(0) => {
                return Ok((used, Fed::Complete(request, scheme, Body::Empty)));
            }
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        if options.body_limit != 0 && expected.is_some_and(|length| length > options.body_limit) {
            return Err(BODY_TOO_LARGE.of(request));
        }
        let decoder = BodyDecoder::new(request.framing(), &options.head);
        let mut upload = Upload {
            request,
            scheme,
            decoder,
            spool: Spool::new(expected),
        };
        let rest = &input[used..];
        let continue_wanted = upload.request.expects_continue() && rest.is_empty();
        let used = match upload.take(rest, options) {
            Ok(taken) => used + taken,
            Err(refusal) => return Err(refusal.of(upload.request)),
        };
        if upload.decoder.is_done() {
            return Ok((used, upload.complete()?));
        }
        if options.bodies() == Bodies::Streamed {
            let (request, scheme, intake) = upload.stream();
            let inlet = Arc::clone(&intake.inlet);
            self.stage = Stage::Streaming(Box::new(intake));
            return Ok((used, Fed::Begun(request, scheme, inlet)));
        }
        self.stage = Stage::Body(Box::new(upload));
        Ok((
            used,
            Fed::NeedMore {
                was_idle: false,
                continue_wanted,
            },
        ))
    }

    /// Hands the request out if its body has arrived in full.
    fn complete_body(&mut self) -> Result<Fed, Refusal> {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Body(upload) if upload.decoder.is_done() => upload.complete(),
            stage => {
                self.stage = stage;
                Ok(Fed::NeedMore {
                    was_idle: false,
                    continue_wanted: false,
                })
            }
        }
    }
}

impl Intake {
    /// Decodes what there is of the body and passes it on. Returns the bytes used, and whether somebody waits for them.
    fn take(&mut self, input: &[u8], options: &Options) -> Result<(usize, bool), Refusal> {
        let (mut used, mut awaited) = (0, false);
        while used < input.len() && !self.decoder.is_done() {
            let decoded = self.decoder.decode(&input[used..])?;
            used += decoded.consumed;
            self.length += decoded.data.len() as u64;
            if options.body_limit != 0 && self.length > options.body_limit {
                return Err(BODY_TOO_LARGE);
            }
            awaited |= self.inlet.push(decoded.data);
            if decoded.consumed == 0 {
                break;
            }
        }
        if self.decoder.is_done() {
            awaited |= self.inlet.complete();
        }
        Ok((used, awaited))
    }
}

impl Upload {
    /// The request, with its body, which has arrived in full.
    fn complete(self) -> Result<Fed, Refusal> {
        match self.spool.finish() {
            Ok(body) => Ok(Fed::Complete(self.request, self.scheme, body)),
            Err(error) => Err(no_space(&error).of(self.request)),
        }
    }

    /// Turns what has arrived into the beginning of a stream.
    fn stream(self) -> (Request, Scheme, Intake) {
        let length = self.spool.length();
        let inlet = Arc::new(Inlet::new(self.spool.into_memory(), false));
        let intake = Intake {
            decoder: self.decoder,
            inlet,
            length,
        };
        (self.request, self.scheme, intake)
    }

    /// Decodes what there is of the body and stores it. Returns the bytes used.
    fn take(&mut self, input: &[u8], options: &Options) -> Result<usize, Refusal> {
        let mut used = 0;
        while used < input.len() && !self.decoder.is_done() {
            let decoded = self.decoder.decode(&input[used..])?;
            used += decoded.consumed;
            if options.body_limit != 0
                && self.spool.length() + decoded.data.len() as u64 > options.body_limit
            {
                return Err(BODY_TOO_LARGE);
            }
            self.spool
                .push(decoded.data, options.spool_directory.as_deref())
                .map_err(|error| no_space(&error))?;
            if decoded.consumed == 0 {
                break;
            }
        }
        Ok(used)
    }
}

fn no_space(error: &std::io::Error) -> Refusal {
    log::error!("a request body could not be stored in a temporary file: {error}");
    NO_SPACE
}
