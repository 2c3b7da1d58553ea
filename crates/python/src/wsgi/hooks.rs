//! The hooks `pre_request(worker, req)` and `post_request(worker, req[, environ[, resp]])`, the logger's `access(resp, req, environ,
//! request_time)`, and the objects that they get. Where none of them is set, nothing of this exists.

use std::net::SocketAddr;

use proto::forwarded::Scheme;
use proto::h1::{self, Request, ResponseHead, Version};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use server::{Entry, Exchange, Peer};

use super::counter::Counter;
use super::failure;
use super::input::Input;
use super::reply::Reply;
use super::text;
use crate::name_policy::{NamePolicy, tell_dropped};

/// The operator's hooks.
#[derive(Debug)]
pub(crate) struct RequestHooks {
    pre: Option<Py<PyAny>>,
    post: Option<PostRequest>,
    /// The logger's `access`, where it is not the server that writes the access log.
    access: Option<Py<PyAny>>,
    worker: Py<PyAny>,
}

/// `post_request` and how many of its four arguments it takes.
#[derive(Debug)]
struct PostRequest {
    function: Py<PyAny>,
    arguments: usize,
}

/// `req`: a request with Gunicorn's attribute names. It takes further attributes, because hooks keep their own notes on it. What
/// `pre_request` changes of method, target and scheme is what the application sees.
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
    /// `[(NAME, value), …]`. What `pre_request` changes here is what the application sees.
    headers: Py<PyList>,
    trailers: Py<PyList>,
    remote_addr: Py<PyAny>,
    peer_addr: Py<PyAny>,
    proxy_protocol_info: Py<PyAny>,
    scheme: Py<PyString>,
    body: Py<PyAny>,
}

/// `resp`: what became of the request.
#[derive(Debug)]
#[pyclass(
    name = "Response",
    subclass,
    dict,
    frozen,
    get_all,
    module = "oxicorn.http.wsgi"
)]
pub(crate) struct HookResponse {
    status: String,
    status_code: u16,
    /// Whether the client has got a head.
    headers_sent: bool,
    headers: Vec<(String, String)>,
    /// Body bytes given to the server.
    sent: u64,
    response_length: Option<u64>,
    chunked: bool,
}

/// What has been sent of a response.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    pub(crate) status: u16,
    /// Bytes of the body.
    pub(crate) bytes: u64,
    pub(crate) chunked: bool,
}

impl RequestHooks {
    /// `None` where there is nothing to call.
    ///
    /// # Errors
    /// Python is out of memory.
    pub(crate) fn new(
        py: Python<'_>,
        pre: Option<Py<PyAny>>,
        post: Option<Py<PyAny>>,
        access: Option<Py<PyAny>>,
        worker: Py<PyAny>,
    ) -> PyResult<Option<RequestHooks>> {
        if pre.is_none() && post.is_none() && access.is_none() {
            return Ok(None);
        }
        let post = post
            .map(|function| PostRequest::new(py, function))
            .transpose()?;
        Ok(Some(RequestHooks {
            pre,
            post,
            access,
            worker,
        }))
    }

    /// Calls `pre_request`.
    ///
    /// # Errors
    /// What the hook raises, which fails the request.
    pub(crate) fn before(&self, py: Python<'_>, request: &Py<HookRequest>) -> PyResult<()> {
        match &self.pre {
            Some(pre) => pre.call1(py, (&self.worker, request)).map(drop),
            None => Ok(()),
        }
    }

    /// Calls `access` and `post_request`. What they raise is logged: the request has been answered. Returns what a signal
    /// handler raised meanwhile, which the worker may have to obey.
    pub(super) fn after(
        &self,
        py: Python<'_>,
        counter: &Counter,
        request: &Py<HookRequest>,
        environ: Option<&Bound<'_, PyDict>>,
    ) -> Option<PyErr> {
        // Python runs signal handlers at the first instruction of a function. One that ends the worker would end the
        // hook before it has begun.
        let interrupted = py.check_signals().err();
        self.note_access(py, counter, request, environ);
        self.answered(py, || HookResponse::of(counter), request, environ);
        interrupted
    }

    /// Calls `post_request`, as [`RequestHooks::after`] does.
    pub(crate) fn answered(
        &self,
        py: Python<'_>,
        response: impl FnOnce() -> HookResponse,
        request: &Py<HookRequest>,
        environ: Option<&Bound<'_, PyDict>>,
    ) {
        let Some(post) = &self.post else { return };
        let call = || -> PyResult<()> {
            let response = response().into_pyobject(py)?.into_any();
            let environ = environ
                .map_or_else(|| PyDict::new(py), Clone::clone)
                .into_any();
            let all = [
                self.worker.bind(py).clone(),
                request.bind(py).clone().into_any(),
                environ,
                response,
            ];
            let arguments = PyTuple::new(py, &all[..post.arguments])?;
            post.function.bind(py).call1(arguments).map(drop)
        };
        if let Err(error) = call() {
            log::error!(
                "Exception in post_request hook\n{}",
                failure::traceback(py, &error)
            );
        }
    }
}

impl RequestHooks {
    fn note_access(
        &self,
        py: Python<'_>,
        counter: &Counter,
        request: &Py<HookRequest>,
        environ: Option<&Bound<'_, PyDict>>,
    ) {
        let Some(access) = &self.access else { return };
        let call = || -> PyResult<()> {
            let took = counter
                .with(|reply| reply.exchange().map(Exchange::elapsed).unwrap_or_default())?;
            let environ = match environ {
                Some(environ) => environ.clone(),
                None => request.borrow(py).environ(py)?,
            };
            let response = HookResponse::of(counter);
            access
                .call1(py, (response, request, environ, took))
                .map(drop)
        };
        if let Err(error) = call() {
            let traceback = failure::traceback(py, &error);
            log::error!("Exception in the logger's access()\n{traceback}");
        }
    }
}

impl PostRequest {
    /// Gunicorn takes functions of two, three or four parameters. One whose signature cannot be read gets all four.
    fn new(py: Python<'_>, function: Py<PyAny>) -> PyResult<PostRequest> {
        let signature = py
            .import(intern!(py, "inspect"))?
            .call_method1(intern!(py, "signature"), (&function,));
        let parameters = signature
            .and_then(|signature| signature.getattr(intern!(py, "parameters"))?.len())
            .unwrap_or(4);
        Ok(PostRequest {
            function,
            arguments: parameters.clamp(2, 4),
        })
    }
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
    pub(super) fn new(
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
        HookRequest::of(py, &exchange.request, ends, input, passes)
    }

    fn of(
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
        let peer = match peer {
            Peer::Inet(address) => peer_name(py, *address)?,
            Peer::Unix => PyString::new(py, "").into_any().unbind(),
        };
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
            version: if request.version() == Version::Http10 {
                (1, 0)
            } else {
                (1, 1)
            },
            headers: headers.unbind(),
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
        for item in self.headers.bind(py) {
            let (name, value) = item.extract::<(String, Bound<'_, PyAny>)>()?;
            let name = name.replace('-', "_");
            let name = match name.as_str() {
                "CONTENT_TYPE" | "CONTENT_LENGTH" => name,
                _ => format!("HTTP_{name}"),
            };
            environ.set_item(name, value)?;
        }
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
    pub(super) fn enter(&self, environ: &Bound<'_, PyDict>) -> PyResult<()> {
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
    pub(super) fn path(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        Ok(text::wire(self.path.bind(py), "the path of the request")?.into_owned())
    }

    /// The fields as `pre_request` left them.
    ///
    /// # Errors
    /// The hook left something else than a list of pairs of strings.
    pub(super) fn fields(&self, py: Python<'_>) -> PyResult<Vec<(Vec<u8>, Vec<u8>)>> {
        let wire = |part: &Bound<'_, PyString>| {
            Ok::<_, PyErr>(text::wire(part, "a header of the request")?.into_owned())
        };
        let pair = |item: Bound<'_, PyAny>| {
            let (name, value) = item.extract::<(Bound<'_, PyString>, Bound<'_, PyString>)>()?;
            Ok((wire(&name)?, wire(&value)?))
        };
        self.headers.bind(py).iter().map(pair).collect()
    }
}

impl HookResponse {
    /// What an entry for the access log tells of a response.
    fn sent_as(entry: &Entry) -> HookResponse {
        let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
        let field = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at(colon);
            Some((text(name), text(value.get(1..)?.trim_ascii())))
        };
        let headers: Vec<_> = entry
            .fields
            .split(|byte| *byte == b'\n')
            .filter_map(field)
            .collect();
        HookResponse {
            status: format!("{} {}", entry.status, h1::reason_phrase(entry.status)),
            status_code: entry.status,
            headers_sent: entry.status != 0,
            chunked: false,
            response_length: headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.parse().ok()),
            headers,
            sent: entry.sent,
        }
    }

    /// A response with this head, of which this came to be.
    pub(crate) fn answered(head: &ResponseHead, sent: Sent) -> HookResponse {
        let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
        let reason = if sent.status == head.status() {
            text(head.reason())
        } else {
            h1::reason_phrase(sent.status).to_owned()
        };
        HookResponse {
            status: format!("{} {reason}", sent.status),
            status_code: sent.status,
            headers_sent: true,
            headers: head
                .fields()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            sent: sent.bytes,
            response_length: head.content_length(),
            chunked: sent.chunked,
        }
    }

    fn of(counter: &Counter) -> HookResponse {
        let read = |reply: &mut Reply| {
            let record = reply.record();
            let sent = Sent {
                status: record.status,
                bytes: record.sent,
                chunked: reply.is_chunked(),
            };
            HookResponse::answered(reply.head(), sent)
        };
        let unknown = HookResponse {
            status: String::new(),
            status_code: 0,
            headers_sent: false,
            headers: Vec::new(),
            sent: 0,
            response_length: None,
            chunked: false,
        };
        counter.with(read).unwrap_or(unknown)
    }
}

fn fragment(target: &[u8]) -> &[u8] {
    let mark = target.iter().position(|byte| *byte == b'#');
    mark.map_or(b"", |mark| &target[mark + 1..])
}

/// Calls the logger's `access` for a request that had no environ.
///
/// # Errors
/// What `access` raises.
pub(crate) fn note_access(
    logger: &Bound<'_, PyAny>,
    request: &Request,
    entry: &Entry,
) -> PyResult<()> {
    let py = logger.py();
    let request = HookRequest::of(py, request, (&entry.peer, entry.scheme), None, |_| true)?;
    let environ = request.borrow(py).environ(py)?;
    let arguments = (HookResponse::sent_as(entry), request, environ, entry.took);
    logger
        .call_method1(intern!(py, "access"), arguments)
        .map(drop)
}

fn peer_name(py: Python<'_>, address: SocketAddr) -> PyResult<Py<PyAny>> {
    Ok((address.ip().to_string(), address.port())
        .into_pyobject(py)?
        .into_any()
        .unbind())
}
