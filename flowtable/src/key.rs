//! What makes two packets the same conversation: the canonical 5-tuple, the VLAN tags and the outermost tunnel's id.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IP protocol numbers the table itself has to tell apart (IANA "Assigned Internet Protocol Numbers").
pub mod protocol {
    /// Internet Control Message Protocol, RFC 792.
    pub const ICMP: u8 = 1;
    /// Transmission Control Protocol, RFC 9293.
    pub const TCP: u8 = 6;
    /// User Datagram Protocol, RFC 768.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6, RFC 4443.
    pub const ICMPV6: u8 = 58;
    /// Stream Control Transmission Protocol, RFC 9260.
    pub const SCTP: u8 = 132;
}

/// The IP version of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Family {
    /// IPv4, RFC 791.
    V4 = 4,
    /// IPv6, RFC 8200.
    V6 = 6,
}

/// Which way a packet travels between the two canonical endpoints of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// From the lower (address, port) to the higher one.
    LoToHi = 0,
    /// From the higher (address, port) to the lower one.
    HiToLo = 1,
}

impl Direction {
    /// The opposite way.
    #[inline]
    pub fn flipped(self) -> Direction {
        match self {
            Direction::LoToHi => Direction::HiToLo,
            Direction::HiToLo => Direction::LoToHi,
        }
    }
}

/// One end of a flow, as it stands in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// The address in host order; an IPv4 address in the low 32 bits.
    pub address: u128,
    /// The port, or what stands for one (ICMP: what Community ID uses); 0 for protocols without ports.
    pub port: u16,
}

/// The canonical key of a flow: the same for both directions.
///
/// `lo` is the endpoint that sorts first by (address, port). Built by [`FlowKey::canonical`], which also says which way
/// the packet at hand travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The lower endpoint's address in host order; IPv4 in the low 32 bits.
    pub lo_address: u128,
    /// The higher endpoint's address.
    pub hi_address: u128,
    /// The lower endpoint's port.
    pub lo_port: u16,
    /// The higher endpoint's port.
    pub hi_port: u16,
    /// IP protocol number of the innermost readable header.
    pub protocol: u8,
    /// IP version of the flow.
    pub family: Family,
    /// One-way ICMP types (Community ID v1) do not pair up: the direction is part of the key for them.
    pub one_way: Option<Direction>,
    /// Outer VLAN id in bits 12-23, inner one in bits 0-11 (a single tag counts as outer); 0 where untagged or not keyed.
    pub vlans: u32,
    /// Kind of the outermost tunnel in the upper and its id (VNI, GRE key, TEID) in the lower 32 bits; 0 outside tunnels.
    pub tunnel: u64,
}

impl FlowKey {
    /// Sorts the endpoints and tells the direction of the packet that goes from `source` to `destination`.
    ///
    /// Two equal endpoints count as travelling [`Direction::LoToHi`].
    #[inline]
    pub fn canonical(
        family: Family,
        protocol: u8,
        source: Endpoint,
        destination: Endpoint,
    ) -> (FlowKey, Direction) {
        // Without a branch: which one is the lower is as good as random.
        let swapped = (source.address > destination.address)
            | (source.address == destination.address) & (source.port > destination.port);
        let addresses = (source.address ^ destination.address) & 0u128.wrapping_sub(u128::from(swapped));
        let ports = (source.port ^ destination.port) & 0u16.wrapping_sub(u16::from(swapped));
        let direction = if swapped { Direction::HiToLo } else { Direction::LoToHi };
        let key = FlowKey {
            lo_address: source.address ^ addresses,
            hi_address: destination.address ^ addresses,
            lo_port: source.port ^ ports,
            hi_port: destination.port ^ ports,
            protocol,
            family,
            one_way: None,
            vlans: 0,
            tunnel: 0,
        };
        (key, direction)
    }

    /// The endpoint packets going `direction` are sent from.
    pub fn sender(&self, direction: Direction) -> Endpoint {
        match direction {
            Direction::LoToHi => Endpoint { address: self.lo_address, port: self.lo_port },
            Direction::HiToLo => Endpoint { address: self.hi_address, port: self.hi_port },
        }
    }

    /// `address` of this key's family as the standard library's type.
    pub fn ip(&self, address: u128) -> IpAddr {
        match self.family {
            #[expect(clippy::cast_possible_truncation, reason = "an IPv4 address lives in the low 32 bits")]
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(address as u32)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_give_the_same_key_and_opposite_directions() {
        let a = Endpoint { address: 0x0a00_0001, port: 40_000 };
        let b = Endpoint { address: 0x0a00_0002, port: 80 };
        let (there, forward) = FlowKey::canonical(Family::V4, protocol::TCP, a, b);
        let (back, reverse) = FlowKey::canonical(Family::V4, protocol::TCP, b, a);
        assert_eq!(there, back);
        assert_eq!((forward, reverse), (Direction::LoToHi, Direction::HiToLo));
        assert_eq!(there.sender(reverse), b);
    }

    #[test]
    fn equal_addresses_sort_by_port() {
        let a = Endpoint { address: 7, port: 9 };
        let b = Endpoint { address: 7, port: 3 };
        let (key, direction) = FlowKey::canonical(Family::V6, protocol::UDP, a, b);
        assert_eq!((key.lo_port, key.hi_port, direction), (3, 9, Direction::HiToLo));
    }
}
