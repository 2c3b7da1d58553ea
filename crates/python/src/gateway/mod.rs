//! What the gateways of WSGI and ASGI share: what a template holds of the last request, the memory of field names, what
//! an application gives, and why it does not get to see a request. It knows neither of the two, nor who turns the
//! reactor.

pub(crate) mod arguments;
pub(crate) mod last_request;
pub(crate) mod name_cache;
pub(crate) mod open_file;
mod unserved;

pub(crate) use last_request::{LastRequest, TemplateKeys};
pub(crate) use name_cache::NameCache;
pub(crate) use unserved::Unserved;
