//! Builds the `environ` of a request (PEP 3333, with the keys of Gunicorn) as a copy of a template. The template keeps
//! the values of the last request, so that those which the next one repeats (client, method, target) are in the copy
//! already.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use proto::forwarded::Scheme;
use proto::{Request, TargetForm, Version};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use server::{Exchange, Local, Peer};

use super::errors::ErrorStream;
use super::failure;
use super::fields::FieldNames;
use super::file_wrapper::FileWrapper;
use super::fronted;
use super::proxied;
use super::request_context::RequestObjects;
use super::secured;
use crate::gateway::{Input, LastRequest, TemplateKeys, Unserved, Wait, text};
use crate::references::references;
use server::name_policy::NamePolicy;

/// What is the same for all requests of a worker.
pub(super) struct EnvironConstants {
    /// `wsgi.multithread`.
    pub(super) multithread: bool,
    /// `wsgi.multiprocess`.
    pub(super) multiprocess: bool,
    /// The mount point that the process environment names, without a slash at its end.
    pub(super) script_name: Vec<u8>,
    /// Which field names pass.
    pub(super) names: NamePolicy,
    /// How to wait for a client, where no thread may.
    pub(super) wait: Option<Arc<dyn Wait>>,
}

/// What the application is to see of a request: what the client sent, or what `pre_request` has made of it.
#[derive(Debug)]
pub(super) struct Seen<'a, F> {
    pub(super) fields: F,
    /// Where it is another one than the request's.
    pub(super) path: Option<&'a [u8]>,
    /// Whether the peer may name the mount point.
    pub(super) trusted: bool,
}

/// The template, and the memory of names.
#[derive(Debug)]
pub(super) struct EnvironTemplate {
    dict: Py<PyDict>,
    names: FieldNames,
    script_name: Vec<u8>,
    /// Whether a trusted peer may name the mount point.
    forwards_script_name: bool,
    last: LastRequest,
}

impl EnvironTemplate {
    pub(super) fn new(
        py: Python<'_>,
        constants: &EnvironConstants,
        objects: &RequestObjects,
    ) -> PyResult<EnvironTemplate> {
        let dict = PyDict::new(py);
        dict.set_item(intern!(py, "wsgi.version"), (1, 0))?;
        dict.set_item(intern!(py, "wsgi.errors"), ErrorStream.into_pyobject(py)?)?;
        dict.set_item(intern!(py, "wsgi.multithread"), constants.multithread)?;
        dict.set_item(intern!(py, "wsgi.multiprocess"), constants.multiprocess)?;
        dict.set_item(intern!(py, "wsgi.run_once"), false)?;
        dict.set_item(
            intern!(py, "wsgi.file_wrapper"),
            py.get_type::<FileWrapper>(),
        )?;
        dict.set_item(intern!(py, "wsgi.input_terminated"), true)?;
        dict.set_item(
            intern!(py, "SERVER_SOFTWARE"),
            crate::environment::software(py)?,
        )?;
        dict.set_item(
            intern!(py, "SCRIPT_NAME"),
            text::native(py, &constants.script_name)?,
        )?;
        objects.enter(&dict)?;
        Ok(EnvironTemplate {
            dict: dict.unbind(),
            names: FieldNames::new(py, constants.names.clone())?,
            script_name: constants.script_name.clone(),
            forwards_script_name: constants.names.passes_from_trusted(b"SCRIPT_NAME"),
            last: LastRequest::default(),
        })
    }

    /// Whether nothing but the template leads to its dictionary. An application that found it through the garbage
    /// collector would see in it what later requests have sent.
    pub(super) fn is_unreachable(&self, py: Python<'_>) -> bool {
        references(py, self.dict.as_ptr()) == 1
    }

    /// The last request, for log lines.
    pub(super) fn named(&self) -> String {
        failure::named(self.last.method(), self.last.target())
    }

    /// Puts other callables into the template.
    pub(super) fn replace_objects(&self, py: Python<'_>, objects: &RequestObjects) -> PyResult<()> {
        objects.enter(self.dict.bind(py))
    }

    /// Makes the environ; `input` is `None` for an empty body.
    ///
    /// # Errors
    /// See [`Unserved`].
    pub(super) fn environ<'py, 'a>(
        &mut self,
        py: Python<'py>,
        exchange: &Exchange,
        seen: Seen<'a, impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone>,
        input: Option<&Bound<'py, Input>>,
    ) -> Result<Bound<'py, PyDict>, Unserved> {
        let request = &exchange.request;
        self.names.next_request(py)?;
        let variables = EnvironVariables {
            dict: self.dict.bind(py),
            script_name: &self.script_name,
        };
        self.last.follow(exchange, &variables)?;
        let environ = self.dict.bind(py).copy()?;
        for (position, field) in seen.fields.clone().enumerate() {
            self.names.enter(&environ, position, field, seen.trusted)?;
        }
        if let Some(input) = input {
            environ.set_item(intern!(py, "wsgi.input"), input)?;
        }
        if request.form() == TargetForm::Absolute {
            // RFC 9112, section 3.2.2: the Host field is ignored in favour of the target.
            environ.set_item(intern!(py, "HTTP_HOST"), text::native(py, request.host())?)?;
        }
        if let Local::Unix(path) = exchange.local() {
            name_unix_server(
                &environ,
                request.host(),
                exchange.scheme(),
                path.as_os_str().as_encoded_bytes(),
            )?;
        }
        if let Some(proxied) = exchange.proxied() {
            proxied::enter(&environ, proxied)?;
        }
        if let Some(tls) = exchange.tls() {
            secured::enter(&environ, tls)?;
        }
        self.mount(&environ, request, seen)?;
        if let Some(told) = request.variables() {
            fronted::enter(&environ, told)?;
        }
        Ok(environ)
    }

    /// Splits the path where the application is mounted. Gunicorn cuts the text only, so that `/app` leaves `lication`
    /// of `/application`; PEP 3333 wants PATH_INFO to be empty or to begin with a slash.
    fn mount<'a>(
        &self,
        environ: &Bound<'_, PyDict>,
        request: &Request,
        mut seen: Seen<'a, impl Iterator<Item = (&'a [u8], &'a [u8])>>,
    ) -> Result<(), Unserved> {
        let names_it = |(name, _): &(&[u8], &[u8])| name.eq_ignore_ascii_case(b"SCRIPT_NAME");
        let forwarded = match self.forwards_script_name && seen.trusted {
            true => seen.fields.find(names_it),
            false => None,
        };
        if forwarded.is_none() && self.script_name.is_empty() && seen.path.is_none() {
            return Ok(());
        }
        let script_name = forwarded.map_or(&*self.script_name, |(_, mounted)| mount_point(mounted));
        let path = seen.path.unwrap_or(request.path());
        let Some(info) = path_info(path, script_name) else {
            log::error!(
                "Request path '{}' does not start with SCRIPT_NAME '{}'",
                text::printable(path),
                text::printable(script_name)
            );
            return Err(Unserved::Refused(
                500,
                "The path is outside of SCRIPT_NAME.",
            ));
        };
        let py = environ.py();
        environ.set_item(intern!(py, "SCRIPT_NAME"), text::native(py, script_name)?)?;
        environ.set_item(intern!(py, "PATH_INFO"), text::native(py, &info)?)?;
        Ok(())
    }
}

/// The variables of the template.
struct EnvironVariables<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    script_name: &'a [u8],
}

impl TemplateKeys for EnvironVariables<'_, '_> {
    fn peer(&self, peer: &Peer, last: Option<&Peer>) -> PyResult<()> {
        enter_peer(self.dict, last, peer)
    }

    fn local(&self, local: &Local) -> PyResult<()> {
        let py = self.dict.py();
        let Local::Inet(address) = local else {
            return Ok(());
        };
        self.dict
            .set_item(intern!(py, "SERVER_NAME"), host_of(*address))?;
        self.dict
            .set_item(intern!(py, "SERVER_PORT"), address.port().to_string())
    }

    fn scheme(&self, scheme: Scheme) -> PyResult<()> {
        let py = self.dict.py();
        let text = match scheme {
            Scheme::Http => intern!(py, "http"),
            Scheme::Https => intern!(py, "https"),
        };
        self.dict.set_item(intern!(py, "wsgi.url_scheme"), text)
    }

    fn method(&self, method: &[u8]) -> PyResult<()> {
        let py = self.dict.py();
        self.dict
            .set_item(intern!(py, "REQUEST_METHOD"), text::method(py, method)?)
    }

    fn version(&self, version: Version) -> PyResult<()> {
        let py = self.dict.py();
        let text = match version {
            Version::Http10 => intern!(py, "HTTP/1.0"),
            Version::Http11 => intern!(py, "HTTP/1.1"),
            Version::Http2 => intern!(py, "HTTP/2.0"),
        };
        self.dict.set_item(intern!(py, "SERVER_PROTOCOL"), text)
    }

    fn target(&self, request: &Request) -> PyResult<()> {
        let py = self.dict.py();
        // `mount` checks a path outside the process's mount point, because a trusted peer may name another one.
        let path = path_info(request.path(), self.script_name).unwrap_or_default();
        let enter = |key: &Bound<'_, PyString>, bytes: &[u8]| {
            self.dict.set_item(key, text::native(py, bytes)?)
        };
        enter(intern!(py, "RAW_URI"), request.target())?;
        enter(intern!(py, "QUERY_STRING"), request.query())?;
        enter(intern!(py, "PATH_INFO"), &path)
    }
}

/// A mount point as PEP 3333 wants SCRIPT_NAME: empty, or without a slash at its end.
pub(super) fn mount_point(script_name: &[u8]) -> &[u8] {
    script_name.strip_suffix(b"/").unwrap_or(script_name)
}

/// PATH_INFO: what follows the mount point, percent-decoded. `None` if the path is not below it.
fn path_info<'a>(path: &'a [u8], script_name: &[u8]) -> Option<Cow<'a, [u8]>> {
    let rest = path.strip_prefix(script_name)?;
    if !script_name.is_empty() && !matches!(rest.first(), None | Some(b'/')) {
        return None;
    }
    Some(percent_encoding::percent_decode(rest).into())
}

/// Behind a proxy, or under load from one client, the next connection differs by its port alone.
fn enter_peer(dict: &Bound<'_, PyDict>, last: Option<&Peer>, peer: &Peer) -> PyResult<()> {
    let py = dict.py();
    let (addr, port) = (intern!(py, "REMOTE_ADDR"), intern!(py, "REMOTE_PORT"));
    match (peer, last) {
        (Peer::Inet(address), Some(Peer::Inet(last))) if address.ip() == last.ip() => {
            dict.set_item(port, address.port().to_string())
        }
        (Peer::Inet(address), _) => {
            dict.set_item(addr, host_of(*address))?;
            dict.set_item(port, address.port().to_string())
        }
        (Peer::Unix, _) => {
            dict.set_item(addr, intern!(py, ""))?;
            if dict.contains(port)? {
                dict.del_item(port)?;
            }
            Ok(())
        }
    }
}

fn host_of(address: SocketAddr) -> String {
    address.ip().to_string()
}

/// SERVER_NAME and SERVER_PORT of a Unix socket, which has neither: from the Host field, else the socket's path (as
/// Gunicorn).
fn name_unix_server(
    environ: &Bound<'_, PyDict>,
    host: &[u8],
    scheme: Scheme,
    path: &[u8],
) -> PyResult<()> {
    let py = environ.py();
    let (name, port) = match (host_and_port(host), scheme) {
        ((b"", _), _) => (path, &b""[..]),
        ((name, Some(port)), _) => (name, port),
        ((name, None), Scheme::Http) => (name, &b"80"[..]),
        ((name, None), Scheme::Https) => (name, &b"443"[..]),
    };
    environ.set_item(intern!(py, "SERVER_NAME"), text::native(py, name)?)?;
    environ.set_item(intern!(py, "SERVER_PORT"), text::native(py, port)?)
}

/// Splits `name:port`; the colons inside of an IPv6 literal's brackets are the name's.
fn host_and_port(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    match host.iter().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(at) if host[at] == b':' => (
            &host[..at],
            Some(&host[at + 1..]).filter(|port| !port.is_empty()),
        ),
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_the_mount_point_loses_it_and_is_decoded() {
        let check = |path: &[u8], script_name: &[u8], expected: Option<&[u8]>| {
            assert_eq!(
                path_info(path, script_name).as_deref(),
                expected,
                "{:?} {:?}",
                path,
                script_name
            );
        };
        check(b"/a%2Fb%00", b"", Some(b"/a/b\0"));
        check(b"/app/x", b"/app", Some(b"/x"));
        check(b"/app", b"/app", Some(b""));
        check(b"/application", b"/app", None);
        check(b"/other", b"/app", None);
        check(b"/100%", b"", Some(b"/100%"));
    }

    #[test]
    fn an_ipv6_literal_keeps_its_colons() {
        assert_eq!(host_and_port(b"[::1]"), (&b"[::1]"[..], None));
        assert_eq!(
            host_and_port(b"[::1]:80"),
            (&b"[::1]"[..], Some(&b"80"[..]))
        );
        assert_eq!(host_and_port(b"localhost"), (&b"localhost"[..], None));
    }
}
