//! The parameters of permessage-deflate: what a client offers, what we want, what comes of both (RFC 7692, section
//! 7.1).

use std::fmt;

use super::extensions::Extension;

/// Largest window: 32 KiB, and the default of every peer.
const MOST_WINDOW_BITS: u8 = 15;

/// Smallest window that may be negotiated: 256 bytes.
const LEAST_WINDOW_BITS: u8 = 8;

/// What this server wants of compression. A client may demand less of us, never more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflatePolicy {
    /// Whether our compressor remembers earlier messages. It then needs 200 to 300 KiB for as long as the connection
    /// lives, from its first compressed message on; otherwise only for the time of a message.
    pub server_context_takeover: bool,
    /// Whether clients may refer to their earlier messages. It costs us up to 48 KiB for each that does.
    pub client_context_takeover: bool,
    /// The window that we compress with: 8 to 15 bits.
    pub server_window_bits: u8,
    /// The window that clients that let themselves be told may compress with: 8 to 15 bits. The memory that we need for
    /// it is always the same.
    pub client_window_bits: u8,
}

impl Default for DeflatePolicy {
    fn default() -> Self {
        Self {
            // Memory first: 5,000 connections after one broadcast would hold a gigabyte.
            server_context_takeover: false,
            client_context_takeover: true,
            // 4 KiB compress text nearly as well as 32 KiB and need less to be set up.
            server_window_bits: 12,
            client_window_bits: MOST_WINDOW_BITS,
        }
    }
}

/// The parameters that were agreed on. Written as text, it is the answer to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// Whether a message of ours may refer to earlier ones.
    pub server_context_takeover: bool,
    /// Whether a message of the client may refer to earlier ones.
    pub client_context_takeover: bool,
    /// The window that our messages are compressed with: 8 to 15 bits.
    pub server_window_bits: u8,
    /// The window that the client's messages are compressed with: 8 to 15 bits.
    pub client_window_bits: u8,
}

impl Deflate {
    /// The first acceptable offer, in the client's order, and what we make of it.
    pub(super) fn negotiate(offers: &[Extension], policy: &DeflatePolicy) -> Option<Self> {
        let ours = offers
            .iter()
            .filter(|offer| offer.name.eq_ignore_ascii_case(NAME));
        let offer = ours.filter_map(Offer::parse).next()?;
        let server_bits = offer.server_max_window_bits.unwrap_or(MOST_WINDOW_BITS);
        Some(Self {
            server_context_takeover: policy.server_context_takeover
                && !offer.server_no_context_takeover,
            client_context_takeover: policy.client_context_takeover
                && !offer.client_no_context_takeover,
            server_window_bits: bounded(policy.server_window_bits).min(server_bits),
            client_window_bits: match offer.client_max_window_bits {
                Some(client_bits) => bounded(policy.client_window_bits).min(client_bits),
                // A client that does not mention it cannot be told ("MUST NOT include", RFC 7692, section 7.1.2.2).
                None => MOST_WINDOW_BITS,
            },
        })
    }
}

fn bounded(bits: u8) -> u8 {
    bits.clamp(LEAST_WINDOW_BITS, MOST_WINDOW_BITS)
}

const NAME: &str = "permessage-deflate";

impl fmt::Display for Deflate {
    /// Says only what differs from the defaults: a parameter that was offered and is 15 need not be confirmed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if !self.server_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if !self.client_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if self.server_window_bits < MOST_WINDOW_BITS {
            write!(f, "; server_max_window_bits={}", self.server_window_bits)?;
        }
        if self.client_window_bits < MOST_WINDOW_BITS {
            write!(f, "; client_max_window_bits={}", self.client_window_bits)?;
        }
        Ok(())
    }
}

/// One element of the client's list, with parameters that we know and that are well-formed.
#[derive(Debug, Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// 15 where the client names the parameter without a value.
    client_max_window_bits: Option<u8>,
}

impl Offer {
    /// `None` says that the offer has to be declined: a parameter is unknown, stands there twice, or has a value that
    /// it cannot have (RFC 7692, section 7.1).
    fn parse(extension: &Extension) -> Option<Self> {
        let mut offer = Self::default();
        for (name, value) in &extension.parameters {
            match (name.as_str(), value.as_deref()) {
                ("server_no_context_takeover", None) => {
                    once(&mut offer.server_no_context_takeover)?
                }
                ("client_no_context_takeover", None) => {
                    once(&mut offer.client_no_context_takeover)?
                }
                ("server_max_window_bits", Some(bits)) => {
                    set_once(&mut offer.server_max_window_bits, parse_bits(bits)?)?;
                }
                ("client_max_window_bits", Some(bits)) => {
                    set_once(&mut offer.client_max_window_bits, parse_bits(bits)?)?;
                }
                ("client_max_window_bits", None) => {
                    set_once(&mut offer.client_max_window_bits, MOST_WINDOW_BITS)?;
                }
                _ => return None,
            }
        }
        Some(offer)
    }
}

fn once(flag: &mut bool) -> Option<()> {
    (!std::mem::replace(flag, true)).then_some(())
}

fn set_once(parameter: &mut Option<u8>, bits: u8) -> Option<()> {
    parameter.replace(bits).is_none().then_some(())
}

/// "A decimal integer without leading zeroes between 8 to 15 inclusive".
fn parse_bits(text: &str) -> Option<u8> {
    let bits = match text.as_bytes() {
        [digit @ b'8'..=b'9'] => digit - b'0',
        [b'1', digit @ b'0'..=b'5'] => 10 + digit - b'0',
        _ => return None,
    };
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::extensions::parse;

    const GENEROUS: DeflatePolicy = DeflatePolicy {
        server_context_takeover: true,
        client_context_takeover: true,
        server_window_bits: 15,
        client_window_bits: 15,
    };

    fn check(offer: &str, policy: &DeflatePolicy, expected: Option<&str>) {
        let offers = parse(offer.as_bytes()).expect(offer);
        let answer = Deflate::negotiate(&offers, policy).map(|deflate| deflate.to_string());
        assert_eq!(answer.as_deref(), expected, "{offer}");
    }

    #[test]
    fn what_a_client_asks_for_is_granted() {
        check("foo", &GENEROUS, None);
        check("permessage-deflate", &GENEROUS, Some("permessage-deflate"));
        check(
            "permessage-deflate; client_max_window_bits",
            &GENEROUS,
            Some("permessage-deflate"),
        );
        check(
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10",
            &GENEROUS,
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10",
            ),
        );
        check(
            "permessage-deflate; server_max_window_bits=\"8\"",
            &GENEROUS,
            Some("permessage-deflate; server_max_window_bits=8"),
        );
        check(
            "permessage-deflate; server_max_window_bits=15",
            &GENEROUS,
            Some("permessage-deflate"),
        );
    }

    #[test]
    fn what_we_want_is_added_where_the_client_can_be_told() {
        let frugal = DeflatePolicy {
            server_context_takeover: false,
            client_context_takeover: false,
            server_window_bits: 11,
            client_window_bits: 10,
        };
        let said = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11";
        check("permessage-deflate", &frugal, Some(said));
        let said_more = format!("{said}; client_max_window_bits=10");
        check(
            "permessage-deflate; client_max_window_bits",
            &frugal,
            Some(&said_more),
        );
        check(
            "permessage-deflate; client_max_window_bits=12; server_max_window_bits=14",
            &frugal,
            Some(&said_more),
        );
        check(
            "permessage-deflate",
            &DeflatePolicy::default(),
            Some("permessage-deflate; server_no_context_takeover; server_max_window_bits=12"),
        );
    }

    #[test]
    fn an_offer_that_is_not_understood_is_declined_and_the_next_is_taken() {
        for declined in [
            "unknown",
            "server_no_context_takeover=1",
            "client_no_context_takeover=1",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "server_max_window_bits=9; server_max_window_bits=9",
            "client_max_window_bits=7",
            "client_max_window_bits=+9",
            "client_max_window_bits; client_max_window_bits=9",
        ] {
            let offer = format!("permessage-deflate; {declined}");
            check(&offer, &GENEROUS, None);
            let with_fallback = format!(
                "{offer}, permessage-deflate; server_max_window_bits=9, permessage-deflate"
            );
            check(
                &with_fallback,
                &GENEROUS,
                Some("permessage-deflate; server_max_window_bits=9"),
            );
        }
    }
}
