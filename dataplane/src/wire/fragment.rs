//! Fragments of IP packets, RFC 791 §3.2 and RFC 8200 §4.5, as the table of fragments is told about them.

use super::walk::Level;
use flowtable::{Direction, Family, FlowKey};

/// One fragment of an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Source of the fragmented IP packet, in host order.
    pub source: u128,
    /// Destination of the fragmented IP packet.
    pub destination: u128,
    /// IP version of the fragmented packet.
    pub family: Family,
    /// Protocol of what was cut into fragments: the IPv4 protocol field, or the next header of the IPv6 fragment header.
    pub protocol: u8,
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Where this part begins, in octets.
    pub offset: u32,
    /// Octets of this part.
    pub length: u32,
    /// Whether more parts follow.
    pub more: bool,
    /// The flow of the fragmented packet itself and this fragment's way in it: with the ports where this is the first
    /// part, with ports of 0 where it is a later one. Not that of a packet inside it.
    pub flow: (FlowKey, Direction),
}

impl Fragment {
    /// The fragment `level` is, if it is one.
    #[inline]
    pub(super) fn of(level: &Level<'_>) -> Option<Fragment> {
        let part = level.ip.part?;
        Some(Fragment {
            source: level.ip.source,
            destination: level.ip.destination,
            family: level.ip.family,
            protocol: part.protocol,
            id: part.id,
            offset: part.offset,
            length: part.octets,
            more: part.more,
            flow: level.flow(),
        })
    }
}
