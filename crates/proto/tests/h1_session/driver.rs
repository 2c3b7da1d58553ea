//! What stands for the server round a session: a clock that the test moves, the bytes that no request has taken yet,
//! and a record of what came of them.

use proto::h1::Session;
use proto::h1::session::{
    Action, Arrival, ExchangeEnd, HeadForm, Leftover, Millis, Overdue, Settings,
};
use proto::{Limits, Request};

/// Spans that no two time-outs share, so that a test tells them apart.
pub(crate) const SETTINGS: Settings = Settings {
    heads: HeadForm::Http1,
    limits: LIMITS,
    body_limit: 0,
    keep_alive: 75_000,
    header_timeout: 10_000,
    body_timeout: 30_000,
    send_timeout: 60_000,
};

const LIMITS: Limits = Limits {
    request_line: 4094,
    fields: 100,
    field_size: 8190,
    unconventional_method: false,
    casefold_method: false,
    unconventional_version: false,
    obsolete_folding: false,
    space_before_colon: false,
};

/// The moment at which connections of these tests are accepted.
pub(crate) const ACCEPTED: Millis = 1_000_000;

/// How bytes reach the session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Feed {
    Whole,
    ByteByByte,
}

/// A connection with what a server keeps beside its session.
pub(crate) struct Driver {
    pub(crate) session: Session,
    pub(crate) settings: Settings,
    pub(crate) now: Millis,
    /// Bytes that were read and not used.
    pub(crate) inbound: Vec<u8>,
    /// The last request whose head was read.
    pub(crate) request: Option<Request>,
    /// The body of that request so far, and whether it is complete.
    pub(crate) body: Vec<u8>,
    pub(crate) body_is_whole: bool,
    /// The rule that was broken.
    pub(crate) refused: Option<&'static str>,
}

impl Driver {
    pub(crate) fn new() -> Driver {
        Driver::with(SETTINGS)
    }

    pub(crate) fn with(settings: Settings) -> Driver {
        Driver {
            session: Session::new(ACCEPTED.saturating_add(settings.header_timeout)),
            settings,
            now: ACCEPTED,
            inbound: Vec::new(),
            request: None,
            body: Vec::new(),
            body_is_whole: false,
            refused: None,
        }
    }

    /// Reads bytes, as far as the session lets itself be read for.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.inbound.extend_from_slice(bytes);
        while self.session.may_read() && self.hear_once() {}
    }

    pub(crate) fn feed(&mut self, bytes: &[u8], feed: Feed) {
        match feed {
            Feed::Whole => self.hear(bytes),
            Feed::ByteByByte => bytes.chunks(1).for_each(|byte| self.hear(byte)),
        }
    }

    /// Presents what there is; says whether that led anywhere.
    fn hear_once(&mut self) -> bool {
        let mut input = std::mem::take(&mut self.inbound);
        let heard = self.session.hear(&input, &self.settings, self.now);
        let (consumed, moved) = match heard {
            Ok(heard) => {
                let moved = !matches!(heard.event, Arrival::Nothing);
                let consumed = heard.consumed;
                match heard.event {
                    Arrival::Nothing => {}
                    Arrival::Request(request) => {
                        self.request = Some(request);
                        self.body.clear();
                        self.body_is_whole = !self.session.is_within_body();
                    }
                    Arrival::Body { data, more } => {
                        self.body.extend_from_slice(data);
                        self.body_is_whole = !more;
                    }
                }
                (consumed, moved && !input.is_empty() || consumed > 0)
            }
            Err(refused) => {
                self.refused = Some(refused.violation.name());
                (input.len(), false)
            }
        };
        input.drain(..consumed);
        self.inbound = input;
        moved && !self.inbound.is_empty()
    }

    /// Passes time.
    pub(crate) fn after(&mut self, span: Millis) -> Option<Overdue> {
        self.now += span;
        self.session.handle_timeout(self.now)
    }

    /// How long until something is overdue.
    pub(crate) fn patience(&self) -> Option<Millis> {
        let timeout = self.session.timeout();
        (timeout != Millis::MAX).then(|| timeout - self.now)
    }

    /// Ends an exchange whose response the client has taken.
    pub(crate) fn over(&mut self, outcome: ExchangeEnd) -> Action {
        let leftover = Leftover {
            output: false,
            input: !self.inbound.is_empty(),
        };
        self.session
            .over(outcome, leftover, &self.settings, self.now)
    }

    /// Ends an exchange whose response waits for the client.
    pub(crate) fn over_with_output(&mut self, outcome: ExchangeEnd) -> Action {
        let leftover = Leftover {
            output: true,
            input: !self.inbound.is_empty(),
        };
        let step = self
            .session
            .over(outcome, leftover, &self.settings, self.now);
        self.session.took(&self.settings, self.now);
        step
    }

    pub(crate) fn sent(&mut self) -> Action {
        self.session.sent(&self.settings, self.now)
    }

    pub(crate) fn took(&mut self) {
        self.session.took(&self.settings, self.now);
    }

    /// Reads a request, begins its exchange and ends it.
    pub(crate) fn serve(&mut self, bytes: &[u8], outcome: ExchangeEnd) -> Action {
        self.hear(bytes);
        self.session.begin();
        self.over(outcome)
    }

    /// The target of the last request.
    pub(crate) fn target(&self) -> &[u8] {
        self.request.as_ref().map_or(b"", Request::target)
    }
}
