//! What load balancers and orchestrators ask, and how they are let go of.

use super::custom;
use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Setting};

/// What only Oxicorn has.
const OWN: Setting = Setting {
    own: true,
    ..Setting::ROW
};

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "health_path",
        flags: &["--health-path"],
        metavar: "PATH",
        kind: Kind::Text,
        default: Literal::None,
        access: Some(custom::HEALTH_PATH),
        summary: "The path at which the server itself says that it is alive, such as /healthz.",
        details: "GET and HEAD are answered with 200 by the server, without the application, also while all of its \
                  threads are busy. Such requests have no line in the access log and count for no limit. The path is \
                  compared as it was sent, without its query.",
        ..OWN
    },
    Setting {
        name: "ready_path",
        flags: &["--ready-path"],
        metavar: "PATH",
        kind: Kind::Text,
        default: Literal::Str("/readyz"),
        access: Some(custom::READY_PATH),
        summary: "The path at which the server says whether it wants requests, where health_path is set.",
        details: "It is answered as `health_path` is: with 200 while the server serves, and with 503 from TERM on.",
        ..OWN
    },
    Setting {
        name: "drain_delay",
        flags: &["--drain-delay"],
        metavar: "SECONDS",
        kind: Kind::Seconds,
        default: Literal::Int(0),
        access: field!(drain_delay),
        summary: "How long the server serves on after TERM, before it stops.",
        details: "Load balancers need some time to see that `ready_path` has become 503, and send requests until then. \
                  A second TERM, INT or QUIT does not wait. The time comes before `graceful_timeout`: what kills the \
                  server after a while (Kubernetes' `terminationGracePeriodSeconds`, systemd's `TimeoutStopSec`) has \
                  to allow for both.",
        ..OWN
    },
];
