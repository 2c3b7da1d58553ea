//! What the gateways of WSGI and ASGI share: what a template holds of the last request, the memory of field names, what
//! an application gives, the request hooks, and why an application does not get to see a request. It knows neither of
//! the two, nor who turns the reactor.

pub(crate) mod arguments;
pub(crate) mod failure;
mod input;
pub(crate) mod last_request;
pub(crate) mod name_cache;
pub(crate) mod open_file;
pub(crate) mod pairs;
mod request_hooks;
pub(crate) mod text;
mod unserved;
pub(crate) mod unsupported;

pub(crate) use input::Input;
pub(crate) use last_request::{LastRequest, TemplateKeys};
pub(crate) use name_cache::NameCache;
pub(crate) use request_hooks::{HookRequest, HookResponse, RequestHooks, note_access};
pub(crate) use unserved::Unserved;
