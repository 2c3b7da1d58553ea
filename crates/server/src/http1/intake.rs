//! What the bytes of a connection of HTTP/1 become: requests with their bodies, pieces of bodies that the application
//! reads while they arrive, or refusals.

use std::sync::Arc;

use proto::Request;
use proto::forwarded::Scheme;
use proto::h1::Session;
use proto::h1::session::Arrival;
use proto::uwsgi::UwsgiVariables;

use super::Http1;
use crate::body::Body;
use crate::inlet::Inlet;
use crate::options::{Bodies, Options};
use crate::peer::Ends;
use crate::refusal::{FORBIDDEN, Refusal};
use crate::turn::Turn;
use crate::upload::Upload;

/// What became of bytes.
pub(super) enum Fed {
    /// More is needed.
    NeedMore,
    /// A request is complete.
    Complete(Request, Scheme, Body),
    /// A request head is complete; its body goes to the application while it arrives.
    Begun(Request, Scheme, Arc<Inlet>),
    /// More of such a body has arrived.
    Streamed {
        /// The application waits for it.
        awaited: bool,
    },
}

impl Fed {
    fn whole(upload: Upload) -> Fed {
        let (request, scheme, body) = upload.complete();
        Fed::Complete(request, scheme, body)
    }
}

impl Http1 {
    /// Takes bytes in. Says how many were used; the rest belongs to the next request.
    pub(super) fn hear(
        &mut self,
        input: &[u8],
        ends: &Ends,
        turn: &Turn,
    ) -> Result<(usize, Fed), Refusal> {
        if self.upload.is_some() {
            return self.collect(input, turn);
        }
        if let Some(inlet) = &self.inlet
            && self.session.is_within_body()
        {
            let inlet = Arc::clone(inlet);
            let (used, awaited) = self.pass_on(input, &inlet, turn)?;
            return Ok((used, Fed::Streamed { awaited }));
        }
        let heard = self.session.hear(input, &turn.settings, turn.now())?;
        let used = heard.consumed;
        match heard.event {
            Arrival::Request(request) => self.begin(request, used, input, ends, turn),
            Arrival::Body { .. } | Arrival::Nothing => Ok((used, Fed::NeedMore)),
        }
    }

    /// A request head is complete.
    fn begin(
        &mut self,
        request: Request,
        used: usize,
        input: &[u8],
        ends: &Ends,
        turn: &Turn,
    ) -> Result<(usize, Fed), Refusal> {
        let options = &turn.dispatcher.options;
        let judged = match request.variables() {
            Some(told) => judge_fronted(&request, told, ends, options),
            None => judge_scheme(&request, ends, options),
        };
        let scheme = match judged {
            Ok(scheme) => scheme,
            Err(refusal) => return Err(refusal.of(request)),
        };
        let request = match &options.request_ids {
            Some(ids) => ids.identify(&request, || is_trusted(&request, ends, options)),
            None => request,
        };
        if !self.session.is_within_body() {
            return Ok((used, Fed::Complete(request, scheme, Body::Empty)));
        }
        let mut upload = Upload::new(request, scheme);
        let taken = match store(&mut upload, &mut self.session, &input[used..], turn) {
            Ok(taken) => used + taken,
            Err(refusal) => return Err(refusal.of(upload.request)),
        };
        if !self.session.is_within_body() {
            return Ok((taken, Fed::whole(upload)));
        }
        match options.bodies() {
            Bodies::Streamed => {
                let rest = self.session.rest_of_body();
                let (request, scheme, beginning) = upload.into_beginning();
                let inlet = Inlet::open(beginning, rest);
                let inlet = match self.session.permit_body() {
                    Some(_) => inlet.awaiting_permission(),
                    None => inlet,
                };
                Ok((taken, Fed::Begun(request, scheme, Arc::new(inlet))))
            }
            Bodies::Whole => {
                self.upload = Some(Box::new(upload));
                Ok((taken, Fed::NeedMore))
            }
        }
    }

    /// Collects more of a body.
    fn collect(&mut self, input: &[u8], turn: &Turn) -> Result<(usize, Fed), Refusal> {
        let Some(mut upload) = self.upload.take() else {
            return Ok((0, Fed::NeedMore));
        };
        match store(&mut upload, &mut self.session, input, turn) {
            Ok(used) if self.session.is_within_body() => {
                self.upload = Some(upload);
                Ok((used, Fed::NeedMore))
            }
            Ok(used) => Ok((used, Fed::whole(*upload))),
            Err(refusal) => Err(refusal.of(upload.request)),
        }
    }

    /// Passes more of a body on. Says also whether the application waits for it.
    fn pass_on(
        &mut self,
        input: &[u8],
        inlet: &Inlet,
        turn: &Turn,
    ) -> Result<(usize, bool), Refusal> {
        let mut awaited = false;
        let used = take_body(&mut self.session, input, turn, |data, rest| {
            awaited |= inlet.push(data, rest);
            Ok(())
        })?;
        if !self.session.is_within_body() {
            awaited |= inlet.complete();
        }
        Ok((used, awaited))
    }
}

/// Hands the pieces of a body that have arrived to `store`, with what is known to follow. Returns the bytes used.
fn take_body(
    session: &mut Session,
    input: &[u8],
    turn: &Turn,
    mut store: impl FnMut(&[u8], Option<u64>) -> Result<(), Refusal>,
) -> Result<usize, Refusal> {
    let mut used = 0;
    while used < input.len() && session.is_within_body() {
        let heard = session.hear(&input[used..], &turn.settings, turn.now())?;
        used += heard.consumed;
        if let Arrival::Body { data, .. } = heard.event {
            store(data, session.rest_of_body())?;
        }
        if heard.consumed == 0 {
            break;
        }
    }
    Ok(used)
}

/// Decodes the part of a body that has arrived and collects it. Returns the bytes used.
fn store(
    upload: &mut Upload,
    session: &mut Session,
    input: &[u8],
    turn: &Turn,
) -> Result<usize, Refusal> {
    let disk = &turn.dispatcher.options.disk;
    take_body(session, input, turn, |data, _| upload.push(data, disk))
}

/// The scheme that the client used, as far as it can be known.
fn judge_scheme(request: &Request, ends: &Ends, options: &Options) -> Result<Scheme, Refusal> {
    ends.scheme(request, options).map_err(Refusal::from)
}

/// The same for a request that a front server has passed on, which has to be one of those that may.
fn judge_fronted(
    request: &Request,
    told: &UwsgiVariables,
    ends: &Ends,
    options: &Options,
) -> Result<Scheme, Refusal> {
    if !ends.peer.is_in(&options.uwsgi_peers) {
        log::warn!(
            "a uwsgi packet is refused with 403: {} is none of uwsgi_allow_ips",
            ends.peer
        );
        return Err(FORBIDDEN);
    }
    judge_scheme(request, &ends.fronted(told, &options.trusted), options)
}

/// Whether the client, or the proxy that has sent the request, is believed.
fn is_trusted(request: &Request, ends: &Ends, options: &Options) -> bool {
    match request.variables() {
        Some(told) => ends.fronted(told, &options.trusted).trusted,
        None => ends.trusted,
    }
}
