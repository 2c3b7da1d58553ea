//! What stands at which path of the admin listener.

use std::time::Duration;

use arbiter::Status;
use proto::Request;

use crate::metrics::Snapshot;
use crate::text_format::Dialect;
use crate::{json, metrics};

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

const INDEX: &str = "Oxicorn's admin listener.\n\n\
    /metrics   metrics for Prometheus, or OpenMetrics where the Accept field asks for it\n\
    /status    the state of the server and its workers, as JSON\n\
    /livez     200 while the arbiter runs\n\
    /readyz    200 while workers serve and the server has not been told to stop, else 503\n";

impl Answer {
    pub(crate) fn plain(status: u16, text: &str) -> Answer {
        Answer {
            status,
            content_type: "text/plain; charset=utf-8",
            body: text.to_owned(),
        }
    }
}

/// The answer to a request.
pub(crate) fn to(request: &Request, status: &Status<'_>, now: Duration) -> Answer {
    if !matches!(request.method(), b"GET" | b"HEAD") {
        return Answer::plain(405, "Only GET and HEAD are known here.\n");
    }
    match request.path() {
        b"/" => Answer::plain(200, INDEX),
        b"/metrics" => {
            let dialect = Dialect::wanted(request.field(b"accept").unwrap_or_default());
            Answer {
                status: 200,
                content_type: dialect.content_type(),
                body: metrics::render(&Snapshot::take(status), status, dialect),
            }
        }
        b"/status" => Answer {
            status: 200,
            content_type: "application/json",
            body: format!("{:#}\n", json::status(status, now)),
        },
        b"/livez" => Answer::plain(200, "ok\n"),
        b"/readyz" => match json::is_ready(status) {
            true => Answer::plain(200, "ready\n"),
            false => Answer::plain(503, "not ready\n"),
        },
        _ => Answer::plain(404, "There is nothing here; / lists what there is.\n"),
    }
}
