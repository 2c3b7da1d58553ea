//! What the template of a gateway holds of the last request. Clients repeat themselves: what the next request has in
//! common with it is in the template already, and only the rest is made anew.

use proto::forwarded::Scheme;
use proto::{Request, Version};
use pyo3::prelude::*;
use server::{Exchange, Local, Peer};

/// What a gateway enters in its template where a request differs from the last one.
pub(crate) trait TemplateKeys {
    /// The client; `last` is what stands there, if that is known.
    fn peer(&self, peer: &Peer, last: Option<&Peer>) -> PyResult<()>;
    /// The near end of the connection.
    fn local(&self, local: &Local) -> PyResult<()>;
    /// The scheme.
    fn scheme(&self, scheme: Scheme) -> PyResult<()>;
    /// The method.
    fn method(&self, method: &[u8]) -> PyResult<()>;
    /// The version.
    fn version(&self, version: Version) -> PyResult<()>;
    /// The target, with all that is made of it.
    fn target(&self, request: &Request) -> PyResult<()>;
}

/// The last request.
#[derive(Debug, Default)]
pub(crate) struct LastRequest {
    method: Vec<u8>,
    target: Vec<u8>,
    version: Option<Version>,
    scheme: Option<Scheme>,
    peer: Option<Peer>,
    local: Option<Local>,
}

impl LastRequest {
    /// Brings a template up to date. What fails half-way counts as unknown, so that no mixture is taken for the last
    /// request.
    ///
    /// # Errors
    /// What `entries` raise.
    pub(crate) fn follow(
        &mut self,
        exchange: &Exchange,
        entries: &impl TemplateKeys,
    ) -> PyResult<()> {
        let request = &exchange.request;
        keep(&mut self.peer, exchange.peer(), |peer, last| {
            entries.peer(peer, last)
        })?;
        keep(&mut self.local, exchange.local(), |local, _| {
            entries.local(local)
        })?;
        keep(&mut self.scheme, &exchange.scheme(), |scheme, _| {
            entries.scheme(*scheme)
        })?;
        keep_bytes(&mut self.method, request.method(), |method| {
            entries.method(method)
        })?;
        keep(&mut self.version, &request.version(), |version, _| {
            entries.version(*version)
        })?;
        keep_bytes(&mut self.target, request.target(), |_| {
            entries.target(request)
        })
    }

    /// Its method; empty where it is not known.
    pub(crate) fn method(&self) -> &[u8] {
        &self.method
    }

    /// Its target; empty where it is not known.
    pub(crate) fn target(&self) -> &[u8] {
        &self.target
    }
}

fn keep<T: Clone + PartialEq>(
    known: &mut Option<T>,
    value: &T,
    enter: impl FnOnce(&T, Option<&T>) -> PyResult<()>,
) -> PyResult<()> {
    if known.as_ref() == Some(value) {
        return Ok(());
    }
    enter(value, known.take().as_ref())?;
    *known = Some(value.clone());
    Ok(())
}

/// The same for what is never empty; the memory is used again.
fn keep_bytes(
    known: &mut Vec<u8>,
    value: &[u8],
    enter: impl FnOnce(&[u8]) -> PyResult<()>,
) -> PyResult<()> {
    if known == value {
        return Ok(());
    }
    known.clear();
    enter(value)?;
    known.extend_from_slice(value);
    Ok(())
}
