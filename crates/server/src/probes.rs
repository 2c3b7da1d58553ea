//! What load balancers and orchestrators ask: whether the server is alive, and whether it wants requests. The reactor
//! answers itself, so that the answer does not wait for a thread that is inside the application.

use proto::Request;
use settings::Config;

use crate::own_answer::{Logged, OwnAnswer};

/// Bytes of a request that are looked at while it stays in the socket: method and path. A path that is longer is
/// answered when the request is read.
const LOOKED_AT: usize = 512;

/// The paths that are asked for.
#[derive(Debug)]
pub(crate) struct Probes {
    paths: Option<Paths>,
}

#[derive(Debug)]
struct Paths {
    health: Vec<u8>,
    ready: Option<Vec<u8>>,
}

/// What a request that is unread turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstBytes {
    /// One that the reactor answers.
    Probe,
    /// One that waits for a thread.
    Other,
    /// Too little of it is there. The poller reports when more is.
    Unclear,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    /// Whether the server is alive.
    Health,
    /// Whether it wants requests.
    Ready,
}

impl Probes {
    pub(crate) fn new(config: &Config) -> Probes {
        let bytes = |path: &String| path.clone().into_bytes();
        let paths = config.health_path.as_ref().map(|health| Paths {
            health: bytes(health),
            ready: config.ready_path.as_ref().map(bytes),
        });
        Probes { paths }
    }

    /// Whether any is answered.
    pub(crate) fn is_on(&self) -> bool {
        self.paths.is_some()
    }

    /// The answer to a request, if it is one of them. It has no line in the access log.
    pub(crate) fn answer(
        &self,
        request: &Request,
        is_withdrawn: impl FnOnce() -> bool,
    ) -> Option<OwnAnswer> {
        let paths = self.paths.as_ref()?;
        let probe = paths.probe(request.method(), request.path())?;
        let (status, body): (&'static [u8], &[u8]) = match probe {
            Probe::Ready if is_withdrawn() => (b"503 Service Unavailable", b"stopping\n"),
            Probe::Health | Probe::Ready => (b"200 OK", b"ok\n"),
        };
        Some(OwnAnswer {
            status,
            fields: vec![
                (b"Content-Type", b"text/plain".to_vec()),
                (b"Cache-Control", b"no-store".to_vec()),
            ],
            body: body.to_vec(),
            log: Logged::No,
        })
    }

    /// What the first bytes of a request of HTTP/1 are.
    pub(crate) fn look(&self, beginning: &[u8]) -> FirstBytes {
        let Some(paths) = &self.paths else {
            return FirstBytes::Other;
        };
        let mut words = beginning.splitn(3, |byte| *byte == b' ');
        let (method, target) = match (words.next(), words.next(), words.next()) {
            (Some(method), Some(target), Some(_)) => (method, target),
            _ if beginning.len() < LOOKED_AT => return FirstBytes::Unclear,
            _ => return FirstBytes::Other,
        };
        let path = target.split(|byte| *byte == b'?').next();
        match paths.probe(method, path.unwrap_or_default()) {
            Some(_) => FirstBytes::Probe,
            None => FirstBytes::Other,
        }
    }
}

impl Paths {
    fn probe(&self, method: &[u8], path: &[u8]) -> Option<Probe> {
        if !matches!(method, b"GET" | b"HEAD") {
            return None;
        }
        if path == self.health {
            return Some(Probe::Health);
        }
        (Some(path) == self.ready.as_deref()).then_some(Probe::Ready)
    }
}
