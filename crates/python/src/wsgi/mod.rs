//! The WSGI gateway (PEP 3333): an exchange → a call of the application → its response. It speaks no HTTP of its own:
//! bytes are the `server` crate's, and it waits for no client while it holds the GIL.

mod deliver;
mod early_hints;
mod environ;
mod errors;
mod failure;
mod fields;
mod file_wrapper;
mod fronted;
mod proxied;
mod reply;
mod request_context;
mod secured;
mod shared_reply;
mod socket;
mod start_response;
mod variables;

use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::{Body, Call, Exchange};
use settings::Config;

use crate::forks;
use crate::gateway::failure::report;
use crate::gateway::{Gateway, HookRequest, HookResponse, Input, RequestHooks, Unserved, Wait};
use crate::lock::Stack;
use deliver::Sendfile;
use environ::{EnvironConstants, Seen};
pub(crate) use errors::set_error_stream;
use failure::AnswerFailure;
use reply::WsgiReply;
use request_context::RequestContext;
use server::name_policy::NamePolicy;
use shared_reply::SharedReply;

/// Contexts that wait for a request are kept up to this; a burst of threads beyond it pays for its own.
const SPARE_CONTEXTS: usize = 64;

/// One application and what serving it needs. Any number of threads may call it at once.
pub(crate) struct WsgiGateway {
    application: Py<PyAny>,
    constants: EnvironConstants,
    sendfile: Sendfile,
    hooks: Option<RequestHooks>,
    /// The variables of the environ that access lines show.
    variables: Vec<String>,
    spare: Stack<RequestContext>,
}

impl WsgiGateway {
    /// `multithread` and `multiprocess` are what the environ keys of these names say; `wait` is how to wait for a
    /// client where no thread may.
    ///
    /// # Errors
    /// Python is out of memory.
    pub(crate) fn new(
        py: Python<'_>,
        application: Py<PyAny>,
        config: &Config,
        multithread: bool,
        multiprocess: bool,
        wait: Option<Arc<dyn Wait>>,
    ) -> PyResult<WsgiGateway> {
        let script_name = std::env::var_os("SCRIPT_NAME")
            .unwrap_or_default()
            .into_vec();
        let constants = EnvironConstants {
            multithread,
            multiprocess,
            script_name: environ::mount_point(&script_name).to_vec(),
            names: NamePolicy::of(config),
            wait,
        };
        let spare = Stack::default();
        spare.push(RequestContext::new(py, &constants)?);
        let sendfile = if config.sendfile {
            Sendfile::Allowed
        } else {
            Sendfile::Forbidden
        };
        Ok(WsgiGateway {
            application,
            constants,
            sendfile,
            hooks: None,
            variables: Vec::new(),
            spare,
        })
    }

    /// Sets the variables of the environ that access lines show.
    pub(crate) fn show_variables(&mut self, names: Vec<String>) {
        self.variables = names;
    }

    /// Sets what is called for each request beside the application.
    pub(crate) fn set_request_hooks(&mut self, hooks: Option<RequestHooks>) {
        self.hooks = hooks;
    }

    /// Answers the exchange with a context; returns the exception that the worker must obey.
    fn serve(&self, py: Python<'_>, context: &mut RequestContext, mut call: Call) -> Option<PyErr> {
        let body = call.take_body();
        let Some(hooks) = &self.hooks else {
            if !self.variables.is_empty() {
                return self.serve_with_variables(py, context, call, body);
            }
            let environ = prepare(py, context, &call, body);
            context.objects.shared.open(call);
            return match environ {
                Ok(environ) => self.run(py, context, &environ),
                Err(unserved) => refuse(py, context, unserved),
            };
        };
        self.serve_with_hooks(py, context, call, body, hooks)
    }

    /// The access line shows what is in the environ, so the exchange is not over before the application is.
    fn serve_with_variables(
        &self,
        py: Python<'_>,
        context: &mut RequestContext,
        call: Call,
        body: Body,
    ) -> Option<PyErr> {
        let environ = prepare(py, context, &call, body);
        context.objects.shared.open(call);
        let held = context.objects.shared.with(WsgiReply::hold);
        debug_assert!(held.is_ok(), "the application has not seen the reply yet");
        match environ {
            Ok(environ) => {
                let exit = self.run(py, context, &environ);
                variables::note(&self.variables, &environ, &context.objects.shared);
                exit
            }
            Err(unserved) => refuse(py, context, unserved),
        }
    }

    fn serve_with_hooks(
        &self,
        py: Python<'_>,
        context: &mut RequestContext,
        call: Call,
        body: Body,
        hooks: &RequestHooks,
    ) -> Option<PyErr> {
        let observed = self.observe(py, context, &call, body, hooks);
        context.objects.shared.open(call);
        // post_request is part of the request: while it runs the thread is not free.
        let held = context.objects.shared.with(WsgiReply::hold);
        debug_assert!(held.is_ok(), "the application has not seen the reply yet");
        let (request, environ) = match observed {
            Ok(observed) => observed,
            Err(error) => return refuse(py, context, Unserved::Raised(error)),
        };
        let (exit, environ) = match environ {
            Ok(environ) => (self.run(py, context, &environ), Some(environ)),
            Err(unserved) => (refuse(py, context, unserved), None),
        };
        if let Some(environ) = &environ {
            variables::note(&self.variables, environ, &context.objects.shared);
        }
        // Python runs signal handlers at the first instruction of a function. One that ends the worker would end the
        // hook before it has begun.
        let interrupted = py.check_signals().err();
        let shared = &context.objects.shared;
        hooks.log_access(py, || answer(shared), &request, environ.as_ref());
        hooks.answered(py, || response(shared), &request, environ.as_ref());
        let settle =
            |error: PyErr| failure::settle(py, shared, context.template.named(), error.into());
        exit.or_else(|| interrupted.and_then(settle))
    }

    /// The hooks' view of the request, and the environ that `pre_request` leaves.
    fn observe<'py>(
        &self,
        py: Python<'py>,
        context: &mut RequestContext,
        exchange: &Exchange,
        body: Body,
        hooks: &RequestHooks,
    ) -> PyResult<Observed<'py>> {
        let names = &self.constants.names;
        let input = input_of(py, body)?;
        context.note_input(input.as_ref());
        let request = HookRequest::new(py, exchange, names, input.as_ref())?;
        let broken = |(name, _): (&[u8], &[u8])| names.rules(name).pass(exchange.trusted()).err();
        let environ = match exchange.request.fields().find_map(broken) {
            Some(violation) => Err(violation.into()),
            None => hooks
                .before(py, &request)
                .map_err(Unserved::from)
                .and_then(|()| amended(py, context, exchange, &request, input.as_ref())),
        };
        Ok((request, environ))
    }

    /// Calls the application and sends what it returns.
    fn run(
        &self,
        py: Python<'_>,
        context: &RequestContext,
        environ: &Bound<'_, PyDict>,
    ) -> Option<PyErr> {
        let shared = &context.objects.shared;
        let settle =
            |failure: AnswerFailure| failure::settle(py, shared, context.template.named(), failure);
        let returned = self
            .application
            .bind(py)
            .call1((environ, &context.objects.start_response));
        forks::leave_if_stray(py, &returned);
        let result = match returned {
            Ok(result) => result,
            Err(error) => return settle(error.into()),
        };
        let exit = deliver::deliver(&result, shared, self.sendfile)
            .err()
            .and_then(settle);
        // The failure above has been answered by now, so close() can delay nothing but the end of the exchange.
        let exit_of_close = deliver::close(&result)
            .err()
            .and_then(|error| settle(error.into()));
        exit.or(exit_of_close)
    }

    fn take_context(&self, py: Python<'_>) -> PyResult<RequestContext> {
        let Some(mut context) = self.spare.pop() else {
            return RequestContext::new(py, &self.constants);
        };
        context.open(py, &self.constants)?;
        Ok(context)
    }

    fn put_back(&self, context: RequestContext) {
        drop(self.spare.push_within(SPARE_CONTEXTS, context));
    }
}

impl Gateway for WsgiGateway {
    /// When this returns, the exchange has been answered, aborted or handed over, also if the application failed.
    fn answer(&self, py: Python<'_>, call: Call) -> PyResult<()> {
        let mut context = match self.take_context(py) {
            Ok(context) => context,
            Err(error) => {
                let request = &call.request;
                let named = failure::named(request.method(), request.target());
                report(py, &named, &crate::gateway::failure::ids(&call), &error);
                py.detach(|| drop(call));
                return Ok(());
            }
        };
        let exit = self.serve(py, &mut context, call);
        match context.clear(py, &self.constants) {
            Ok(()) => self.put_back(context),
            Err(error) => log::error!("Cannot prepare for the next request: {error}"),
        }
        exit.map_or(Ok(()), Err)
    }
}

/// The environ, where no hook looks at the request.
fn prepare<'py>(
    py: Python<'py>,
    context: &mut RequestContext,
    exchange: &Exchange,
    body: Body,
) -> Result<Bound<'py, PyDict>, Unserved> {
    let input = input_of(py, body)?;
    context.note_input(input.as_ref());
    let seen = Seen {
        fields: exchange.request.fields(),
        path: None,
        trusted: exchange.trusted(),
    };
    context.template.environ(py, exchange, seen, input.as_ref())
}

type Observed<'py> = (Py<HookRequest>, Result<Bound<'py, PyDict>, Unserved>);

/// The environ of what `pre_request` has left of a request. The fields are those that were let through and those that
/// the operator has added, so they count as a trusted peer's.
fn amended<'py>(
    py: Python<'py>,
    context: &mut RequestContext,
    exchange: &Exchange,
    request: &Py<HookRequest>,
    input: Option<&Bound<'py, Input>>,
) -> Result<Bound<'py, PyDict>, Unserved> {
    let request = request.borrow(py);
    let (fields, path) = (request.fields(py)?, request.path(py)?);
    let seen = Seen {
        fields: fields.iter().map(|(name, value)| (&**name, &**value)),
        path: (path != exchange.request.path()).then_some(&*path),
        trusted: true,
    };
    let environ = context.template.environ(py, exchange, seen, input)?;
    request.enter(&environ)?;
    Ok(environ)
}

/// What hooks see of the response.
fn response(shared: &SharedReply) -> HookResponse {
    let read = |reply: &mut WsgiReply| HookResponse::answered(reply.head(), reply.sent());
    shared
        .with(read)
        .unwrap_or_else(|_| HookResponse::unknown())
}

/// The same, and how long the request took.
fn answer(shared: &SharedReply) -> PyResult<(HookResponse, Duration)> {
    let took = shared.with(|reply| reply.exchange().map(Exchange::elapsed).unwrap_or_default())?;
    Ok((response(shared), took))
}

/// `wsgi.input` of a body; the template has one for the empty body.
fn input_of(py: Python<'_>, body: Body) -> PyResult<Option<Bound<'_, Input>>> {
    match body {
        Body::Empty => Ok(None),
        body => Bound::new(py, Input::new(body)).map(Some),
    }
}

/// Answers a request that the application does not get to see.
fn refuse(py: Python<'_>, context: &RequestContext, unserved: Unserved) -> Option<PyErr> {
    let shared = &context.objects.shared;
    match unserved {
        Unserved::Raised(error) => failure::settle(
            py,
            shared,
            context.template.named(),
            AnswerFailure::Raised(error),
        ),
        Unserved::Refused(status, rule) => {
            // The application has not been called, so no other thread holds the reply.
            let _ = shared.send(py, |reply| reply.give_up(status, rule));
            None
        }
    }
}
