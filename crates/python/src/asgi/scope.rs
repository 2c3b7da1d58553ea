//! A request → its `scope` (ASGI 3.0, HTTP version 2.5). A copy of a template that follows the last request: what the
//! next one repeats of it (client, method, target) is in the copy already.

use std::borrow::Cow;

use proto::forwarded::Scheme;
use proto::{Request, TargetForm, Version};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use server::{Exchange, Local, Peer};

use super::names::Names;
use super::secured;
use crate::gateway::{LastRequest, TemplateKeys, Unserved, proxied, text};
use server::name_policy::NamePolicy;

/// The version of the HTTP part of the specification that the scope follows.
const SPEC_VERSION: &str = "2.5";

/// What the application is told of a request, if it is to be told of it.
pub(super) type Scope<'py> = Result<Bound<'py, PyDict>, Unserved>;

/// What is the same for all requests of a worker.
#[derive(Debug)]
pub(super) struct ScopeConstants {
    /// The setting `root_path`.
    pub(super) root_path: String,
    /// Which field names pass.
    pub(super) names: NamePolicy,
    /// The dictionary that the lifespan fills.
    pub(super) state: Py<PyDict>,
    /// The setting `asgi_pathsend`.
    pub(super) pathsend: bool,
}

/// The template, and the memory of names.
#[derive(Debug)]
pub(super) struct ScopeTemplate {
    dict: Py<PyDict>,
    /// What `scope["asgi"]` is a copy of.
    asgi: Py<PyDict>,
    /// Whether the extensions that send files are offered.
    pathsend: bool,
    /// What the lifespan left; each request gets a copy.
    state: Py<PyDict>,
    /// The setting `root_path`.
    root: Box<str>,
    names: Names,
    last: LastRequest,
}

impl ScopeTemplate {
    pub(super) fn new(py: Python<'_>, constants: &ScopeConstants) -> PyResult<ScopeTemplate> {
        // It is put before paths, which begin with a slash.
        let root = constants.root_path.trim_end_matches('/');
        let asgi = PyDict::new(py);
        asgi.set_item(intern!(py, "version"), "3.0")?;
        asgi.set_item(intern!(py, "spec_version"), SPEC_VERSION)?;
        let dict = PyDict::new(py);
        dict.set_item(intern!(py, "type"), intern!(py, "http"))?;
        dict.set_item(intern!(py, "root_path"), root)?;
        // What each request has of its own has its place, which costs less than to make one in every copy.
        for key in [
            intern!(py, "asgi"),
            intern!(py, "headers"),
            intern!(py, "extensions"),
            intern!(py, "state"),
        ] {
            dict.set_item(key, py.None())?;
        }
        Ok(ScopeTemplate {
            dict: dict.unbind(),
            asgi: asgi.unbind(),
            pathsend: constants.pathsend,
            state: constants.state.clone_ref(py),
            root: root.into(),
            names: Names::new(constants.names.clone()),
            last: LastRequest::default(),
        })
    }

    /// Makes the scope of a request.
    ///
    /// # Errors
    /// See [`Unserved`].
    pub(super) fn scope<'py>(&mut self, py: Python<'py>, exchange: &Exchange) -> Scope<'py> {
        let keys = Keys {
            dict: self.dict.bind(py),
            root: &self.root,
        };
        self.last.follow(exchange, &keys)?;
        let headers = self.headers(py, exchange)?;
        let scope = self.dict.bind(py).copy()?;
        scope.set_item(intern!(py, "headers"), headers)?;
        if let Some(told) = exchange.request.variables()
            && !told.script_name().is_empty()
        {
            let root = String::from_utf8_lossy(told.script_name());
            scope.set_item(intern!(py, "root_path"), root)?;
        }
        // Applications and middleware write into dictionaries and lists, so each request has its own.
        scope.set_item(intern!(py, "asgi"), self.asgi.bind(py).copy()?)?;
        scope.set_item(intern!(py, "extensions"), self.extensions(py, exchange)?)?;
        scope.set_item(intern!(py, "state"), self.state.bind(py).copy()?)?;
        Ok(scope)
    }

    fn extensions<'py>(
        &self,
        py: Python<'py>,
        exchange: &Exchange,
    ) -> PyResult<Bound<'py, PyDict>> {
        let extensions = PyDict::new(py);
        let early_hint = intern!(py, "http.response.early_hint");
        extensions.set_item(early_hint, PyDict::new(py))?;
        if self.pathsend {
            for name in [
                intern!(py, "http.response.pathsend"),
                intern!(py, "http.response.zerocopysend"),
            ] {
                extensions.set_item(name, PyDict::new(py))?;
            }
        }
        enter_connection(&extensions, exchange)?;
        if exchange.request.takes_trailers() {
            let trailers = intern!(py, "http.response.trailers");
            extensions.set_item(trailers, PyDict::new(py))?;
        }
        Ok(extensions)
    }

    /// Makes the scope of a handshake, in which these sub-protocols are offered.
    ///
    /// # Errors
    /// See [`Unserved`].
    pub(super) fn websocket_scope<'py>(
        &mut self,
        py: Python<'py>,
        exchange: &Exchange,
        protocols: &[String],
    ) -> Scope<'py> {
        let scope = self.scope(py, exchange)?;
        let scheme = match exchange.scheme() {
            Scheme::Http => intern!(py, "ws"),
            Scheme::Https => intern!(py, "wss"),
        };
        let extensions = PyDict::new(py);
        extensions.set_item(intern!(py, "websocket.http.response"), PyDict::new(py))?;
        enter_connection(&extensions, exchange)?;
        scope.set_item(intern!(py, "type"), intern!(py, "websocket"))?;
        scope.set_item(intern!(py, "scheme"), scheme)?;
        scope.set_item(intern!(py, "subprotocols"), PyList::new(py, protocols)?)?;
        scope.set_item(intern!(py, "extensions"), extensions)?;
        scope.del_item(intern!(py, "method"))?;
        Ok(scope)
    }

    fn headers<'py>(
        &mut self,
        py: Python<'py>,
        exchange: &Exchange,
    ) -> Result<Bound<'py, PyList>, Unserved> {
        let request = &exchange.request;
        let absolute = request.form() == TargetForm::Absolute;
        let headers = PyList::empty(py);
        self.names.next_request();
        for (position, (name, value)) in request.fields().enumerate() {
            let Some(name) = self.names.judge(py, position, name, exchange.trusted())? else {
                continue;
            };
            // RFC 9112, section 3.2.2: the Host field is ignored in favour of the target.
            let value = match absolute && name.as_bytes() == b"host" {
                true => request.host(),
                false => value,
            };
            headers.append((name, PyBytes::new(py, value)))?;
        }
        Ok(headers)
    }
}

/// What is known of the connection: by TLS, and by what a load balancer has told.
fn enter_connection(extensions: &Bound<'_, PyDict>, exchange: &Exchange) -> PyResult<()> {
    let py = extensions.py();
    if let Some(tls) = exchange.tls() {
        extensions.set_item(intern!(py, "tls"), secured::extension(py, tls)?)?;
    }
    match exchange.proxied() {
        Some(proxied) => {
            let extension = proxied::extension(py, proxied)?;
            extensions.set_item(intern!(py, "proxy_protocol"), extension)
        }
        None => Ok(()),
    }
}

/// The keys of the template.
struct Keys<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    root: &'a str,
}

impl TemplateKeys for Keys<'_, '_> {
    fn peer(&self, peer: &Peer, last: Option<&Peer>) -> PyResult<()> {
        let key = intern!(self.dict.py(), "client");
        match (peer, last) {
            // Many connections come from one proxy: they differ in the port.
            (Peer::Inet(address), Some(Peer::Inet(last))) if address.ip() == last.ip() => {
                let host = self.dict.as_any().get_item(key)?.get_item(0)?;
                self.dict.set_item(key, (host, address.port()))
            }
            (Peer::Inet(address), _) => self
                .dict
                .set_item(key, (address.ip().to_string(), address.port())),
            (Peer::Unix, _) => self.dict.set_item(key, self.dict.py().None()),
        }
    }

    fn local(&self, local: &Local) -> PyResult<()> {
        let server = match local {
            Local::Inet(address) => (address.ip().to_string(), Some(address.port())),
            Local::Unix(path) => (path.to_string_lossy().into_owned(), None),
        };
        self.dict
            .set_item(intern!(self.dict.py(), "server"), server)
    }

    fn scheme(&self, scheme: Scheme) -> PyResult<()> {
        let py = self.dict.py();
        let text = match scheme {
            Scheme::Http => intern!(py, "http"),
            Scheme::Https => intern!(py, "https"),
        };
        self.dict.set_item(intern!(py, "scheme"), text)
    }

    fn method(&self, method: &[u8]) -> PyResult<()> {
        let py = self.dict.py();
        self.dict
            .set_item(intern!(py, "method"), text::method(py, method)?)
    }

    fn version(&self, version: Version) -> PyResult<()> {
        let py = self.dict.py();
        let text = match version {
            Version::Http10 => intern!(py, "1.0"),
            Version::Http11 => intern!(py, "1.1"),
            Version::Http2 => intern!(py, "2"),
        };
        self.dict.set_item(intern!(py, "http_version"), text)
    }

    fn target(&self, request: &Request) -> PyResult<()> {
        let py = self.dict.py();
        let (raw_path, query) = (request.path(), request.query());
        self.dict
            .set_item(intern!(py, "path"), path(py, self.root, raw_path))?;
        self.dict
            .set_item(intern!(py, "raw_path"), PyBytes::new(py, raw_path))?;
        self.dict
            .set_item(intern!(py, "query_string"), PyBytes::new(py, query))
    }
}

/// The path as text: percent-decoded, then UTF-8, where every wrong byte becomes U+FFFD.
///
/// It begins with `root`, as the specification has it (the path of WSGI is what is left of it without the root): a
/// proxy may have taken that away or not, and routers that have mounts need to find it.
fn path<'py>(py: Python<'py>, root: &str, raw: &[u8]) -> Bound<'py, PyString> {
    let decoded = Cow::from(percent_encoding::percent_decode(raw));
    let path = String::from_utf8_lossy(&decoded);
    match is_below(root, &path) {
        true => PyString::new(py, &path),
        false => PyString::new(py, &format!("{root}{path}")),
    }
}

/// Whether a path has the root in it already, or none can be put before it (`*`).
fn is_below(root: &str, path: &str) -> bool {
    let rest = path.strip_prefix(root);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) || !path.starts_with('/')
}
