//! What stands in front of the server, and what of its word is believed.

use super::custom;
use crate::field::field;
use crate::kind::Kind;
use crate::setting::{Literal, Setting};

const ROW: Setting = Setting::ROW;

/// Trusted peers by default: this machine.
const LOOPBACK: Literal = Literal::Str("127.0.0.1,::1");

pub(super) const ROWS: &[Setting] = &[
    Setting {
        name: "secure_scheme_headers",
        kind: Kind::Dictionary,
        default: Literal::Map(&[
            ("X-FORWARDED-PROTOCOL", "ssl"),
            ("X-FORWARDED-PROTO", "https"),
            ("X-FORWARDED-SSL", "on"),
        ]),
        access: Some(custom::SCHEME_FIELDS),
        summary: "Fields, and their values, with which a trusted proxy says that the client used https.",
        details: "Where one of the fields says https and another does not, the request is refused with 400.",
        difference: "Where `https` is the value, `wss` is as good: some proxies name the scheme of a WebSocket.",
        ..ROW
    },
    Setting {
        name: "forwarded_allow_ips",
        flags: &["--forwarded-allow-ips"],
        metavar: "STRING",
        kind: Kind::Commas,
        default: LOOPBACK,
        variable: Some(custom::FORWARDED_ALLOW_IPS),
        access: field!(forwarded_allow_ips),
        summary: "The proxies whose word on the client is believed: addresses and networks, divided by commas, or *.",
        details: "A network is written as in `10.0.0.0/8`, with no bit set past its length. The word `unix` stands for the \
                  peers on unix sockets. By default they are trusted as well; once this is set, only with \
                  `unix` or `*`. An empty string trusts no peer.",
        difference: "Peers on unix sockets are not believed in any case, only if this is not set, or has `unix` or `*`. \
                     A list of strings is accepted in a conf file as well.",
        ..ROW
    },
    Setting {
        name: "forwarder_headers",
        flags: &["--forwarder-headers"],
        metavar: "STRING",
        kind: Kind::Commas,
        default: Literal::Str("SCRIPT_NAME,PATH_INFO"),
        access: Some(custom::FORWARDER_FIELDS),
        summary: "Fields with an underscore in their name that a trusted proxy may set, divided by commas, or *.",
        ..ROW
    },
    Setting {
        name: "header_map",
        flags: &["--header-map"],
        metavar: "STRING",
        kind: Kind::Text,
        default: Literal::Str("drop"),
        access: field!(header_map),
        summary: "What becomes of other fields with an underscore in their name: drop, refuse or dangerous.",
        details: "In `environ` the fields `X_User` and `X-User` have one name, so a client could forge what a proxy \
                  sets. `drop` leaves the field out, of which the log tells once, `refuse` answers the request with 400, \
                  `dangerous` passes it on.",
        ..ROW
    },
    Setting {
        name: "proxy_protocol",
        flags: &["--proxy-protocol"],
        metavar: "MODE",
        kind: Kind::Grade(&["off", "v1", "v2", "auto"]),
        default: Literal::Str("off"),
        bare: Literal::Str("auto"),
        access: field!(proxy_protocol),
        summary: "Which version of the PROXY protocol clients speak first; the option alone is auto.",
        details: "The header tells the address of the client that a load balancer passes on. It holds for all \
                  listeners. A connection that does not begin with a header is served as it is.",
        difference: "A header that is malformed, incomplete or late is answered with 400; a peer that is none of \
                     `proxy_allow_ips` gets 403. `PROXY UNKNOWN` and LOCAL leave the connection its own client. What \
                     version 2 tells of TLS and of the host name is passed on. The client that the header names has to \
                     be one of `forwarded_allow_ips` for its forwarded fields to be believed.",
        ..ROW
    },
    Setting {
        name: "proxy_allow_ips",
        flags: &["--proxy-allow-from"],
        metavar: "STRING",
        kind: Kind::Commas,
        default: LOOPBACK,
        access: field!(proxy_allow_ips),
        summary: "The peers that may speak the PROXY protocol: addresses and networks, divided by commas, or *.",
        details: "The word `unix` stands for the peers on unix sockets. By default they may as well; once this is set, \
                  only with `unix` or `*`.",
        ..ROW
    },
    Setting {
        name: "protocol",
        flags: &["--protocol"],
        metavar: "STRING",
        kind: Kind::Text,
        default: Literal::Str("http"),
        access: field!(protocol),
        summary: "What the listeners speak: http or uwsgi.",
        details: "With `uwsgi`, a front server such as nginx passes requests on with `uwsgi_pass`. The client, the \
                  scheme and the path are those that its variables tell. The answer is HTTP.",
        difference: "Another word is refused. What a front server says in further variables is in `environ`. A packet \
                     that is malformed, or none of a request for WSGI, is answered with 400 or 501 and not with 500.",
        ..ROW
    },
    Setting {
        name: "uwsgi_allow_ips",
        flags: &["--uwsgi-allow-from"],
        metavar: "STRING",
        kind: Kind::Commas,
        default: LOOPBACK,
        access: field!(uwsgi_allow_ips),
        summary: "The peers that may speak the uwsgi protocol: addresses and networks, divided by commas, or *.",
        details: "The word `unix` stands for the peers on unix sockets. By default they may as well; once this is set, \
                  only with `unix` or `*`. Others are answered with 403.",
        difference: "Networks count.",
        ..ROW
    },
];
