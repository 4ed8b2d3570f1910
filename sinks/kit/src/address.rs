//! Decides which addresses a sink may connect to: public ones, and the networks that the operator allows. Names are
//! resolved elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use acteon_core::BuildError;
use ipnet::IpNet;
use thiserror::Error;

/// Refuses addresses that are not on the public internet, except those in the networks of `allow_cidrs`.
#[derive(Clone, Debug, Default)]
pub struct AddressFilter {
    allowed: Box<[IpNet]>,
}

/// An address that may not be connected to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{address} is {kind}, which is refused unless allowed: add `allow_cidrs = [\"{network}\"]`"
)]
pub struct RefusedAddress {
    /// The address.
    pub address: IpAddr,
    /// The kind of address, with an article.
    pub kind: &'static str,
    /// The network that would have to be allowed.
    pub network: IpNet,
}

impl AddressFilter {
    /// A filter that also accepts the networks in `cidrs`, such as `10.0.0.0/8`. `option` is the name of their option.
    ///
    /// # Errors
    /// When one of them is not a network.
    pub fn new(option: &str, cidrs: &[String]) -> Result<Self, BuildError> {
        let network = |(at, cidr): (usize, &String)| {
            let wrong = |_| {
                BuildError::at(
                    format!("{option}[{at}]"),
                    format!("\"{cidr}\" is not a network such as \"10.0.0.0/8\" or \"fd00::/8\""),
                )
            };
            cidr.parse::<IpNet>().map_err(wrong)
        };
        let networks = cidrs.iter().enumerate().map(network);
        let allowed = networks.collect::<Result<_, _>>()?;
        Ok(Self { allowed })
    }

    /// Checks that a sink may connect to `address`.
    ///
    /// # Errors
    /// When it is neither public nor allowed. An IPv4-mapped IPv6 address is checked as both.
    pub fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        let plain = as_ipv4(address);
        let is_allowed = |ip: &IpAddr| self.allowed.iter().any(|network| network.contains(ip));
        if is_allowed(&address) || plain.as_ref().is_some_and(is_allowed) {
            return Ok(());
        }
        let refusing = |ip: IpAddr| NOT_PUBLIC.iter().find(|(network, _)| network.contains(&ip));
        match plain.and_then(refusing).or_else(|| refusing(address)) {
            None => Ok(()),
            Some((network, kind)) => Err(RefusedAddress {
                address,
                kind,
                network: *network,
            }),
        }
    }

    /// The allowed ones of `addresses`.
    ///
    /// # Errors
    /// When none of them is allowed. If there are IPv4 and IPv6 addresses, the error names an IPv4 address, since most
    /// internal servers listen on it.
    pub(crate) fn keep(
        &self,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, RefusedAddress> {
        let mut refused = Vec::new();
        let mut kept = addresses;
        kept.retain(|address| match self.check(address.ip()) {
            Ok(()) => true,
            Err(refusal) => {
                refused.push(refusal);
                false
            }
        });
        let reported = refused
            .into_iter()
            .min_by_key(|refusal| refusal.address.is_ipv6());
        match reported {
            Some(refusal) if kept.is_empty() => Err(refusal),
            _ => Ok(kept),
        }
    }
}

/// The IPv4 address inside an IPv4-mapped IPv6 address.
fn as_ipv4(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map(IpAddr::V4),
        IpAddr::V4(_) => None,
    }
}

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> IpNet {
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(a, b, c, 0)), prefix)
}

const fn v6(head: [u16; 3], prefix: u8) -> IpNet {
    let [a, b, c] = head;
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)), prefix)
}

const fn v6_tail(tail: [u16; 4], prefix: u8) -> IpNet {
    let [e, f, g, h] = tail;
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, e, f, g, h)), prefix)
}

/// The addresses that the IANA registries of special-purpose addresses do not list as global, and the ways to write
/// IPv4 addresses as IPv6, which would bypass the first half. A narrower network comes before a wider one.
const NOT_PUBLIC: &[(IpNet, &str)] = &[
    (v4(0, 0, 0, 8), "an unspecified address"),
    (v4(10, 0, 0, 8), "a private address"),
    (v4(100, 64, 0, 10), "an address shared behind carrier NAT"),
    (v4(127, 0, 0, 8), "a loopback address"),
    (v4(169, 254, 0, 16), "a link-local address"),
    (v4(172, 16, 0, 12), "a private address"),
    (v4(192, 0, 0, 24), "an address reserved for protocols"),
    (v4(192, 0, 2, 24), "an address for documentation"),
    (v4(192, 88, 99, 24), "a 6to4 relay address"),
    (v4(192, 168, 0, 16), "a private address"),
    (v4(198, 18, 0, 15), "an address for benchmarks"),
    (v4(198, 51, 100, 24), "an address for documentation"),
    (v4(203, 0, 113, 24), "an address for documentation"),
    (v4(224, 0, 0, 4), "a multicast address"),
    (v4(240, 0, 0, 4), "a reserved or broadcast address"),
    (v6_tail([0, 0, 0, 0], 128), "the unspecified address"),
    (v6_tail([0, 0, 0, 1], 128), "the loopback address"),
    (v6_tail([0, 0, 0, 0], 96), "an IPv4-compatible address"),
    (v6_tail([0, 0xffff, 0, 0], 96), "an IPv4-mapped address"),
    (v6_tail([0xffff, 0, 0, 0], 96), "an IPv4-translated address"),
    (v6([0x64, 0xff9b, 0], 96), "a NAT64 address"),
    (v6([0x64, 0xff9b, 1], 48), "a NAT64 address"),
    (v6([0x100, 0, 0], 64), "an address that discards"),
    (v6([0x2001, 0, 0], 23), "an address reserved for protocols"),
    (v6([0x2001, 0xdb8, 0], 32), "an address for documentation"),
    (v6([0x2002, 0, 0], 16), "a 6to4 address"),
    (v6([0x3fff, 0, 0], 20), "an address for documentation"),
    (v6([0x5f00, 0, 0], 16), "a segment routing address"),
    (v6([0xfc00, 0, 0], 7), "a unique-local address"),
    (v6([0xfe80, 0, 0], 10), "a link-local address"),
    (v6([0xfec0, 0, 0], 10), "a site-local address"),
    (v6([0xff00, 0, 0], 8), "a multicast address"),
];

#[cfg(test)]
mod tests;
