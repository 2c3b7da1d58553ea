//! The uwsgi protocol, in which nginx and other servers pass requests on: a packet of variables in place of a head, and
//! as many bytes of body behind it as `CONTENT_LENGTH` says. A packet becomes a [`Request`] by the same rules as a head
//! of HTTP/1. The answer is HTTP.

mod packet;
mod target;
mod variables;

use packet::Packet;
pub use variables::UwsgiVariables;

use crate::limits::Limits;
use crate::request::{Request, Stated, Version};
use crate::violation::Violation;

/// Fields that belong to the connection between client and front server, or repeat a variable of the protocol.
const NOT_PASSED_ON: [&[u8]; 6] = [
    b"HTTP_CONTENT_LENGTH",
    b"HTTP_CONTENT_TYPE",
    // The front server has sent 100 (Continue).
    b"HTTP_EXPECT",
    b"HTTP_KEEP_ALIVE",
    b"HTTP_TE",
    // The body is delimited by CONTENT_LENGTH alone.
    b"HTTP_TRANSFER_ENCODING",
];

/// Reads the packet at the beginning of `input`. Says how long it is, or `None` where more bytes are needed.
///
/// # Errors
/// The first rule that is broken.
pub fn read_packet(input: &[u8], limits: &Limits) -> Result<Option<(Request, usize)>, Violation> {
    let Some(packet) = Packet::read(input)? else {
        return Ok(None);
    };
    let length = packet.length();
    let variables = UwsgiVariables::read(packet)?;
    let request = assemble(&variables, limits)?;
    Ok(Some((request.with_variables(variables), length)))
}

fn assemble(variables: &UwsgiVariables, limits: &Limits) -> Result<Request, Violation> {
    let host = host(variables);
    let version = match variables.value(b"SERVER_PROTOCOL") {
        Some(b"HTTP/1.0") => Version::Http10,
        // A request without any name of its host is one that only HTTP/1.0 permits.
        _ if host.is_none() => Version::Http10,
        _ => Version::Http11,
    };
    let target = target::of(variables);
    let stated = Stated {
        method: variables.value(b"REQUEST_METHOD").unwrap_or(b"GET"),
        target: &target,
        version,
    };
    let mut fields: Vec<(Vec<u8>, &[u8])> = Vec::new();
    if let Some(host) = &host {
        fields.push((b"Host".to_vec(), host));
    }
    for (name, value) in variables.iter() {
        match name {
            b"CONTENT_LENGTH" if !value.is_empty() => {
                fields.push((b"Content-Length".to_vec(), value));
            }
            b"CONTENT_TYPE" if !value.is_empty() => fields.push((b"Content-Type".to_vec(), value)),
            b"HTTP_HOST" => {}
            _ if NOT_PASSED_ON.contains(&name) => {}
            _ => {
                if let Some(name) = name.strip_prefix(b"HTTP_") {
                    fields.push((field_name(name), value));
                }
            }
        }
    }
    let fields = fields.iter().map(|(name, value)| (name.as_slice(), *value));
    Request::assemble(stated, fields, limits)
}

/// The host that the client asked for, or else the one that the front server says it is.
fn host(variables: &UwsgiVariables) -> Option<Vec<u8>> {
    if let Some(host) = variables.value(b"HTTP_HOST") {
        return Some(host.to_vec());
    }
    let name = variables
        .value(b"SERVER_NAME")
        .filter(|name| !name.is_empty())?;
    Some(match variables.value(b"SERVER_PORT") {
        None | Some(b"" | b"80" | b"443") => name.to_vec(),
        Some(port) => [name, b":", port].concat(),
    })
}

/// `X_FORWARDED_FOR` → `X-Forwarded-For`.
fn field_name(variable: &[u8]) -> Vec<u8> {
    let mut name = variable.to_ascii_lowercase();
    let mut at_start = true;
    for byte in &mut name {
        match *byte {
            b'_' => *byte = b'-',
            _ if at_start => byte.make_ascii_uppercase(),
            _ => {}
        }
        at_start = *byte == b'-';
    }
    name
}
