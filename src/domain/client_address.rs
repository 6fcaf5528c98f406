//! The client address that rate limits count a request by.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// The length of the IPv6 prefix that a provider assigns to one customer, in bits. Whoever has one address of
/// such a network has all of them.
const IPV6_PREFIX_BITS: u32 = 64;

/// The client address that rate limits count by. Every request has one: a limit that did not apply to some
/// requests would not apply to those of an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Returns the address of the one client whose connection comes from `peer`. Returns `None` for one of the
    /// `trusted` proxies, which connects for many clients.
    #[must_use]
    pub fn of_connection(peer: IpAddr, trusted: &[IpNet]) -> Option<Self> {
        let peer = peer.to_canonical();
        (!is_trusted(peer, trusted)).then(|| peer.into())
    }

    /// Finds the client in the `X-Forwarded-For` header lines `lines`, which were received from `peer`. The
    /// client is the last address that is not one of the `trusted` proxies; it is `peer` itself if `peer` is
    /// not trusted. If all of the addresses are trusted, the client is the first one, which is the farthest.
    #[must_use]
    pub fn forwarded(trusted: &[IpNet], peer: IpAddr, lines: &[&str]) -> Self {
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
        let mut farthest = peer.to_canonical();
        for hop in hops {
            if !is_trusted(farthest, trusted) {
                break;
            }
            match parse_address(hop.trim()) {
                Some(address) => farthest = address,
                // A proxy of ours did not write this, so everything before it may be made up.
                None => return Self::unknown(),
            }
        }
        farthest.into()
    }

    /// Returns the address that all clients share whose own address cannot be parsed.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Ipv6Addr::UNSPECIFIED.into())
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        Self(customer_network(address.to_canonical()))
    }
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// Parses an address as proxies write it: plain, in brackets, or with a port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok();
    let with_port = || text.parse().ok().map(|socket: SocketAddr| socket.ip());
    address
        .or_else(with_port)
        .map(|address| address.to_canonical())
}

/// Returns an IPv4 address as it is, and the first address of an IPv6 address's customer network.
fn customer_network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let host_bits = u128::MAX >> IPV6_PREFIX_BITS;
            Ipv6Addr::from_bits(address.to_bits() & !host_bits).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the client address of a request from `peer`, on a server that trusts `10.0.0.0/8` and `::1`.
    #[must_use]
    pub fn client_address(peer: &str, lines: &[&str]) -> ClientAddress {
        let trusted = ["10.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap());
        ClientAddress::forwarded(&trusted, peer.parse().unwrap(), lines)
    }

    fn address(text: &str) -> ClientAddress {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_header_from_an_untrusted_peer_is_ignored() {
        let stranger = address("192.0.2.1");

        assert_eq!(client_address("192.0.2.1", &[]), stranger);
        assert_eq!(client_address("192.0.2.1", &["198.51.100.7"]), stranger);
        assert_eq!(client_address("::ffff:192.0.2.1", &["10.0.0.1"]), stranger);
    }

    #[test]
    fn behind_trusted_proxies_the_last_untrusted_address_counts() {
        let stranger = address("192.0.2.1");

        for lines in [
            &["192.0.2.1"][..],
            &["198.51.100.7, 192.0.2.1"],
            &["198.51.100.7, 192.0.2.1 ,10.9.9.9"],
            &["198.51.100.7", "192.0.2.1", "10.9.9.9,::1"],
            &["10.0.0.1, x, 192.0.2.1"],
            &["192.0.2.1:4711"],
            &["::ffff:192.0.2.1"],
        ] {
            assert_eq!(client_address("10.0.0.1", lines), stranger, "{lines:?}");
            assert_eq!(client_address("::1", lines), stranger, "{lines:?}");
        }
        let six = address("2001:db8::1");
        assert_eq!(client_address("::1", &["[2001:db8::1]:4711"]), six);
        assert_eq!(client_address("::1", &["[2001:db8::1]"]), six);
    }

    #[test]
    fn if_all_addresses_are_trusted_the_farthest_counts() {
        for (peer, lines, farthest) in [
            ("10.0.0.1", &[][..], "10.0.0.1"),
            ("::ffff:10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["10.1.2.3"], "10.1.2.3"),
            ("::1", &["10.0.0.7", "10.0.0.8"], "10.0.0.7"),
            ("::1", &["10.0.0.7, 10.0.0.8"], "10.0.0.7"),
        ] {
            assert_eq!(client_address(peer, lines), address(farthest), "{lines:?}");
        }
    }

    #[test]
    fn the_connections_of_a_trusted_proxy_are_not_those_of_one_client() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let client = |peer: &str| ClientAddress::of_connection(peer.parse().unwrap(), &trusted);

        assert_eq!(client("192.0.2.1"), Some(address("192.0.2.1")));
        assert_eq!(client("::ffff:192.0.2.1"), Some(address("192.0.2.1")));
        assert_eq!(client("10.0.0.1"), None);
        assert_eq!(client("::ffff:10.0.0.1"), None);
    }

    #[test]
    fn unreadable_addresses_share_one_limit() {
        for line in ["", "unknown", "192.0.2.1, _hidden", "192.0.2.1,", "1.2.3"] {
            assert_eq!(
                client_address("10.0.0.1", &[line]),
                ClientAddress::unknown()
            );
        }
    }

    #[test]
    fn ipv6_addresses_of_one_customer_share_a_limit() {
        let one = address("2001:db8:1:2::1");

        assert_eq!(one, address("2001:db8:1:2:ffff::9"));
        assert_ne!(one, address("2001:db8:1:3::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }
}
