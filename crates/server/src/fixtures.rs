//! What the tests of this crate's parts are made of: a dispatcher that no thread asks, a link whose other end the test
//! holds, and exchanges that no reactor has read.

use std::sync::Arc;
use std::time::Instant;

use mio::{Poll, Token, Waker};
use proto::forwarded::Scheme;
use proto::{Request, h1};
use settings::Config;
use socket2::{Domain, Socket, Type};
use sys::pipe::Notifier;
use sys::scoreboard::Scoreboard;

use crate::access_log::{AccessLog, Colours};
use crate::body::Body;
use crate::dispatcher::{Dispatcher, Parts};
use crate::exchange::{Exchange, ExchangeId, Origin};
use crate::link::Link;
use crate::options::{Options, Seat, Service};
use crate::outlet::Outlet;
use crate::peer::{Ends, Local, Peer};
use crate::site::Site;

/// What all threads of a worker share, of a worker without threads.
pub(crate) fn dispatcher(config: &Config) -> Arc<Dispatcher> {
    let poll = Poll::new().unwrap();
    let seat = Seat {
        rates: None,
        slot: Scoreboard::new(1).unwrap().slot(0),
        notifier: Notifier::new().unwrap(),
        max_requests: 0,
        siblings: None,
        service: Service::threads(1),
        access_file: None,
        tls: None,
    };
    Arc::new(Dispatcher::new(Parts {
        waker: Waker::new(poll.registry(), Token(0)).unwrap(),
        registry: poll.registry().try_clone().unwrap(),
        options: Options::new(config, &seat),
        site: Site::open(config).unwrap(),
        access_log: AccessLog::open(
            config.accesslog.as_deref(),
            &config.access_log_format,
            Colours::Off,
            None,
        ),
        slot: seat.slot,
        notifier: seat.notifier,
    }))
}

/// A link, and the client's end of it.
pub(crate) fn link() -> (Arc<Link>, Socket) {
    let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
    near.set_nonblocking(true).unwrap();
    (Arc::new(Link::new(near)), far)
}

/// The request with this head.
pub(crate) fn request(head: &str) -> Request {
    let read = h1::parse_request(head.as_bytes(), &proto::Limits::default());
    read.unwrap().unwrap().0
}

/// An exchange that waits for a thread.
pub(crate) fn exchange(
    dispatcher: &Arc<Dispatcher>,
    link: &Arc<Link>,
    head: &str,
) -> Box<Exchange> {
    let origin = Origin {
        dispatcher: Arc::clone(dispatcher),
        ends: Arc::new(Ends {
            peer: Peer::Unix,
            local: Local::Unix("/tmp/socket".into()),
            trusted: true,
            scheme: proto::forwarded::Scheme::Http,
            proxied: None,
            tls: None,
        }),
        outlet: Outlet::Link(Arc::clone(link)),
        id: ExchangeId::default(),
        arrived: Instant::now(),
        inlet: None,
    };
    Box::new(Exchange::new(
        origin,
        request(head),
        Body::Empty,
        Scheme::Http,
    ))
}
