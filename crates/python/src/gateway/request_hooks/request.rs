//! `req`, as hooks see it: a request with Gunicorn's attribute names.

use proto::forwarded::Scheme;
use proto::{Request, Version};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use server::{Exchange, Peer};

use crate::gateway::arguments::string;
use crate::gateway::{Input, pairs, proxied, text};
use server::name_policy::{NamePolicy, tell_dropped};

/// `req`: a request with Gunicorn's attribute names. It takes further attributes, because hooks keep their own notes on
/// it. What `pre_request` changes of method, target and scheme is what the application sees.
#[derive(Debug)]
#[pyclass(
    name = "Request",
    subclass,
    dict,
    get_all,
    set_all,
    module = "oxicorn.http.message"
)]
pub(crate) struct HookRequest {
    method: Py<PyString>,
    uri: Py<PyString>,
    path: Py<PyString>,
    query: Py<PyString>,
    /// What stands behind `#` in the target; a client that sends it does wrong.
    fragment: Py<PyString>,
    version: (u8, u8),
    /// `[(NAME, value), …]`, or what `pre_request` puts in its place. The application sees it as the hook leaves it.
    headers: Py<PyAny>,
    trailers: Py<PyList>,
    remote_addr: Py<PyAny>,
    peer_addr: Py<PyAny>,
    proxy_protocol_info: Py<PyAny>,
    scheme: Py<PyString>,
    body: Py<PyAny>,
}

impl HookRequest {
    /// A request whose body the hooks do not get.
    pub(crate) fn without_body(
        py: Python<'_>,
        exchange: &Exchange,
        names: &NamePolicy,
    ) -> PyResult<Py<HookRequest>> {
        HookRequest::new(py, exchange, names, None)
    }

    /// The fields are those that `names` lets through.
    pub(crate) fn new(
        py: Python<'_>,
        exchange: &Exchange,
        names: &NamePolicy,
        input: Option<&Bound<'_, Input>>,
    ) -> PyResult<Py<HookRequest>> {
        let ends = (exchange.peer(), exchange.scheme());
        let passes = |name: &[u8]| {
            let passes = names.rules(name).pass(exchange.trusted());
            if passes == Ok(false) {
                tell_dropped(name);
            }
            passes == Ok(true)
        };
        let request = HookRequest::of(py, &exchange.request, ends, input, passes)?;
        if let Some(proxied) = exchange.proxied() {
            let info = proxied::info(py, proxied, exchange.peer())?;
            let mut request = request.borrow_mut(py);
            request.proxy_protocol_info = info.into_any().unbind();
            request.peer_addr = peer_name(py, &proxied.proxy)?;
        }
        Ok(request)
    }

    pub(super) fn of(
        py: Python<'_>,
        request: &Request,
        (peer, scheme): (&Peer, Scheme),
        input: Option<&Bound<'_, Input>>,
        passes: impl Fn(&[u8]) -> bool,
    ) -> PyResult<Py<HookRequest>> {
        let headers = PyList::empty(py);
        for (name, value) in request.fields().filter(|(name, _)| passes(name)) {
            headers.append((
                text::native(py, &name.to_ascii_uppercase())?,
                text::native(py, value)?,
            ))?;
        }
        let peer = peer_name(py, peer)?;
        let body = match input {
            Some(input) => input.clone().into_any().unbind(),
            None => Input::new(server::Body::Empty)
                .into_pyobject(py)?
                .into_any()
                .unbind(),
        };
        let request = HookRequest {
            method: text::method(py, request.method())?.unbind(),
            uri: text::native(py, request.target())?.unbind(),
            path: text::native(py, request.path())?.unbind(),
            query: text::native(py, request.query())?.unbind(),
            fragment: text::native(py, fragment(request.target()))?.unbind(),
            version: match request.version() {
                Version::Http10 => (1, 0),
                Version::Http11 => (1, 1),
                Version::Http2 => (2, 0),
            },
            headers: headers.into_any().unbind(),
            trailers: PyList::empty(py).unbind(),
            remote_addr: peer.clone_ref(py),
            peer_addr: peer,
            proxy_protocol_info: py.None(),
            scheme: PyString::new(
                py,
                if scheme == Scheme::Https {
                    "https"
                } else {
                    "http"
                },
            )
            .unbind(),
            body,
        };
        Py::new(py, request)
    }

    /// What an access log wants of an environ, for a request that has none.
    pub(crate) fn environ<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let environ = PyDict::new(py);
        pairs::visit(self.headers.bind(py), |name, value| {
            let name = name.extract::<String>()?.replace('-', "_");
            let name = match name.as_str() {
                "CONTENT_TYPE" | "CONTENT_LENGTH" => name,
                _ => format!("HTTP_{name}"),
            };
            environ.set_item(name, value)
        })?;
        self.enter(&environ)?;
        environ.set_item(intern!(py, "PATH_INFO"), &self.path)?;
        let peer = self.peer_addr.bind(py);
        let address = match peer.cast::<PyTuple>() {
            Ok(pair) => pair.get_item(0)?,
            Err(_) => peer.clone(),
        };
        environ.set_item(intern!(py, "REMOTE_ADDR"), address)?;
        Ok(environ)
    }

    /// Enters what `pre_request` may have changed and what is in the environ as it is in the request.
    pub(crate) fn enter(&self, environ: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = environ.py();
        let (major, minor) = self.version;
        environ.set_item(intern!(py, "REQUEST_METHOD"), &self.method)?;
        environ.set_item(intern!(py, "RAW_URI"), &self.uri)?;
        environ.set_item(intern!(py, "QUERY_STRING"), &self.query)?;
        environ.set_item(intern!(py, "wsgi.url_scheme"), &self.scheme)?;
        environ.set_item(
            intern!(py, "SERVER_PROTOCOL"),
            format!("HTTP/{major}.{minor}"),
        )
    }

    /// The path as `pre_request` left it, still percent-encoded.
    ///
    /// # Errors
    /// The hook left something that no bytes stand for.
    pub(crate) fn path(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        Ok(text::wire(self.path.bind(py), "the path of the request")?.into_owned())
    }

    /// The fields as `pre_request` left them.
    ///
    /// # Errors
    /// The hook left something else than pairs of strings.
    pub(crate) fn fields(&self, py: Python<'_>) -> PyResult<Vec<(Vec<u8>, Vec<u8>)>> {
        let wire = |part: &Bound<'_, PyAny>| {
            let what = "a header of the request";
            PyResult::Ok(text::wire(string(part, what)?, what)?.into_owned())
        };
        let mut fields = Vec::new();
        pairs::visit(self.headers.bind(py), |name, value| {
            fields.push((wire(name)?, wire(value)?));
            Ok(())
        })?;
        Ok(fields)
    }
}

fn fragment(target: &[u8]) -> &[u8] {
    let mark = target.iter().position(|byte| *byte == b'#');
    mark.map_or(b"", |mark| &target[mark + 1..])
}

fn peer_name(py: Python<'_>, peer: &Peer) -> PyResult<Py<PyAny>> {
    let Peer::Inet(address) = peer else {
        return Ok(PyString::new(py, "").into_any().unbind());
    };
    Ok((address.ip().to_string(), address.port())
        .into_pyobject(py)?
        .into_any()
        .unbind())
}
