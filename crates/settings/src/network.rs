//! Sets of peers: single addresses, networks in CIDR notation, those on unix sockets (`unix`), or everyone (`*`). The
//! notation is strict, as Python's `ipaddress.ip_network` is: a network with host bits set is a mistake, not a
//! rounding.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The peers that a setting such as `forwarded_allow_ips` trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    any: bool,
    /// Peers on unix sockets, which have no address.
    unix: bool,
    networks: Vec<Network>,
}

impl AddressSet {
    /// What [`AddressSet::parse`] reads, as an error message says it.
    pub const ACCEPTED: &str =
        "IP addresses or networks such as 10.0.0.0/8, divided by commas, unix, or *";

    /// Reads the members; the error is a sentence about the first that is wrong.
    pub fn parse<'a>(members: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut set = Self::default();
        for member in members
            .into_iter()
            .map(str::trim)
            .filter(|member| !member.is_empty())
        {
            if member == "*" {
                set.any = true;
            } else if member == "unix" {
                set.unix = true;
            } else {
                set.networks.push(Network::parse(member)?);
            }
        }
        Ok(set)
    }

    /// Whether the address is in the set. An IPv4 address that arrives on an IPv6 socket (`::ffff:10.0.0.1`) counts as
    /// the IPv4 address that it is.
    pub fn contains(&self, address: &IpAddr) -> bool {
        let address = address.to_canonical();
        self.any
            || self
                .networks
                .iter()
                .any(|network| network.contains(address))
    }

    /// Whether every address is in it.
    pub fn holds_everyone(&self) -> bool {
        self.any
    }

    /// Whether peers on unix sockets are in the set.
    pub fn contains_unix(&self) -> bool {
        self.any || self.unix
    }

    /// The same set with the peers on unix sockets.
    #[must_use]
    pub fn and_unix(mut self) -> Self {
        self.unix = true;
        self
    }

    /// Whether no peer is in it.
    pub fn is_empty(&self) -> bool {
        !self.any && !self.unix && self.networks.is_empty()
    }

    /// The members, spelled canonically.
    pub fn spellings(&self) -> Vec<String> {
        let everyone = self.any.then(|| "*".to_owned());
        let unix = self.unix.then(|| "unix".to_owned());
        everyone
            .into_iter()
            .chain(unix)
            .chain(self.networks.iter().map(Network::to_string))
            .collect()
    }
}

/// One network: an address whose bits past `prefix` are all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let (address, mask) = match text.split_once('/') {
            Some((address, mask)) => (address, Some(mask)),
            None => (text, None),
        };
        let base: IpAddr = address
            .parse()
            .map_err(|_| format!("'{text}' is neither an address nor a network"))?;
        let prefix = match mask {
            None => width(base),
            Some(mask) => prefix(base, mask)
                .ok_or_else(|| format!("'{mask}' is not a prefix length of '{text}'"))?,
        };
        if bits(base) & !leading_ones(width(base), prefix) != 0 {
            return Err(format!("'{text}' has host bits set"));
        }
        Ok(Self { base, prefix })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let base = self.base.to_canonical();
        if base.is_ipv4() != address.is_ipv4() {
            return false;
        }
        // A mapped base (::ffff:10.0.0.0/104) has 96 bits before the IPv4 address starts.
        let prefix = self.prefix.saturating_sub(width(self.base) - width(base));
        let mask = leading_ones(width(base), prefix);
        bits(base) & mask == bits(address) & mask
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.base)?;
        if self.prefix < width(self.base) {
            write!(out, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

/// `/24`, or for IPv4 also `/255.255.255.0`.
fn prefix(base: IpAddr, mask: &str) -> Option<u32> {
    if let (IpAddr::V4(_), Ok(dotted)) = (base, mask.parse::<Ipv4Addr>()) {
        let ones = u32::from(dotted);
        return (ones.leading_ones() + ones.trailing_zeros() >= 32).then(|| ones.leading_ones());
    }
    let digits_only = !mask.is_empty() && mask.bytes().all(|byte| byte.is_ascii_digit());
    let length: u32 = if digits_only {
        mask.parse().ok()?
    } else {
        return None;
    };
    (length <= width(base)).then_some(length)
}

fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS,
        IpAddr::V6(_) => Ipv6Addr::BITS,
    }
}

/// The address as a number, right-aligned for both families.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// `width` bits of which the first `prefix` are ones, right-aligned.
fn leading_ones(width: u32, prefix: u32) -> u128 {
    let all = u128::MAX >> (128 - width);
    all & u128::MAX.checked_shl(width - prefix).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_in_the_networks_that_hold_it() {
        let check = |members: &str, peer: &str, inside: bool| {
            let set = AddressSet::parse(members.split(',')).expect(members);
            assert_eq!(
                set.contains(&peer.parse().expect(peer)),
                inside,
                "{peer} in {members}"
            );
        };
        check("127.0.0.1,::1", "127.0.0.1", true);
        check("127.0.0.1,::1", "::1", true);
        check("127.0.0.1,::1", "127.0.0.2", false);
        check("127.0.0.1", "::ffff:127.0.0.1", true);
        check("::ffff:10.0.0.0/104", "10.200.0.1", true);
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/255.0.0.0", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("0.0.0.0/0", "192.0.2.1", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("::/0", "2001:db8:1::1", true);
        check("*", "192.0.2.1", true);
        check("", "127.0.0.1", false);
    }

    #[test]
    fn the_notation_is_strict() {
        let check = |member: &str, reason: &str| {
            let error = AddressSet::parse([member]).expect_err(member);
            assert!(error.contains(reason), "{member}: {error}");
        };
        check("192.168.1.1/24", "host bits");
        check("10.0.0.0/33", "'33'");
        check("10.0.0.0/+8", "'+8'");
        check("10.0.0.0/255.0.255.0", "'255.0.255.0'");
        check("localhost", "neither");
        check("10.0.0", "neither");
    }

    #[test]
    fn a_set_prints_what_was_given() {
        let set = AddressSet::parse(["*", " 10.0.0.0/255.0.0.0", "::1"]).expect("valid");
        assert_eq!(set.spellings(), ["*", "10.0.0.0/8", "::1"]);
        assert!(set.any && !set.is_empty());
    }
}
