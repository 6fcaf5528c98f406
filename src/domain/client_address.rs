//! The address that a request counts as coming from, for rate limits.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// What a provider gives to one customer: who has one IPv6 address has all that begin with these bits.
const IPV6_CUSTOMER: u32 = 64;

/// The address that limits count by. None: a proxy of our own, which they do not hold for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(Option<IpAddr>);

impl ClientAddress {
    /// Where a connection with `peer` comes from, on a server with these `trusted` proxies.
    #[must_use]
    pub fn of_peer(peer: IpAddr, trusted: &[IpNet]) -> Self {
        Self::behind(trusted, peer, &[])
    }

    /// Whom the `trusted` proxies were asked by, as they wrote into these lines; or the `peer` itself,
    /// if it is not one of them.
    #[must_use]
    pub fn behind(trusted: &[IpNet], peer: IpAddr, lines: &[&str]) -> Self {
        let is_ours = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
        let written = hops.map(|hop| address_in(hop.trim()));
        for address in std::iter::once(Some(peer.to_canonical())).chain(written) {
            match address {
                Some(address) if is_ours(&address) => {}
                Some(address) => return Self(Some(customer(address))),
                // What comes before it may have been made up.
                None => return Self::unknown(),
            }
        }
        Self(None)
    }

    /// An address of its own, which all share who have none that can be read.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Some(Ipv6Addr::UNSPECIFIED.into()))
    }

    /// Whether limits hold for it.
    #[must_use]
    pub fn is_limited(self) -> bool {
        self.0.is_some()
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        Self(Some(customer(address.to_canonical())))
    }
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn address_in(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok();
    let with_port = || text.parse().ok().map(|socket: SocketAddr| socket.ip());
    address
        .or_else(with_port)
        .map(|address| address.to_canonical())
}

/// The address, or the first of all that are the same customer's.
fn customer(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let host_bits = u128::MAX >> IPV6_CUSTOMER;
            Ipv6Addr::from_bits(address.to_bits() & !host_bits).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address of a request from `peer` to a server that trusts `10.0.0.0/8` and `::1`.
    #[must_use]
    pub fn behind(peer: &str, lines: &[&str]) -> ClientAddress {
        let trusted = ["10.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap());
        ClientAddress::behind(&trusted, peer.parse().unwrap(), lines)
    }

    fn address(text: &str) -> ClientAddress {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn what_a_stranger_says_of_where_they_come_from_does_not_count() {
        let stranger = address("192.0.2.1");

        assert_eq!(behind("192.0.2.1", &[]), stranger);
        assert_eq!(behind("192.0.2.1", &["198.51.100.7"]), stranger);
        assert_eq!(behind("::ffff:192.0.2.1", &["10.0.0.1"]), stranger);
    }

    #[test]
    fn behind_our_proxies_the_last_address_that_is_not_theirs_counts() {
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
            assert_eq!(behind("10.0.0.1", lines), stranger, "{lines:?}");
            assert_eq!(behind("::1", lines), stranger, "{lines:?}");
        }
        let six = address("2001:db8::1");
        assert_eq!(behind("::1", &["[2001:db8::1]:4711"]), six);
        assert_eq!(behind("::1", &["[2001:db8::1]"]), six);
    }

    #[test]
    fn our_proxies_themselves_are_not_limited() {
        for (peer, lines) in [
            ("10.0.0.1", &[][..]),
            ("::ffff:10.0.0.1", &[]),
            ("::1", &["10.0.0.7", "10.0.0.8"]),
        ] {
            assert!(!behind(peer, lines).is_limited());
        }
    }

    #[test]
    fn addresses_that_cannot_be_read_are_limited_together() {
        for line in ["", "unknown", "192.0.2.1, _hidden", "192.0.2.1,", "1.2.3"] {
            assert_eq!(behind("10.0.0.1", &[line]), ClientAddress::unknown());
        }
        assert!(ClientAddress::unknown().is_limited());
    }

    #[test]
    fn ipv6_addresses_are_counted_by_the_customer_who_has_them() {
        let one = address("2001:db8:1:2::1");

        assert_eq!(one, address("2001:db8:1:2:ffff::9"));
        assert_ne!(one, address("2001:db8:1:3::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }
}
