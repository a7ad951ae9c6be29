//! Either IP version in the terms of a flow.

use super::{Anomaly, Payload, Reason, ipv4, ipv6};
use flowtable::Family;

/// The last octet an IP packet can have.
const MAX_PACKET_OCTETS: u32 = 65_535;

/// The IP version the layer below announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    V4,
    V6,
}

impl Network {
    /// The version an IP packet tells itself.
    pub(super) fn of(bytes: &[u8]) -> Option<Network> {
        match bytes.first()? >> 4 {
            4 => Some(Network::V4),
            6 => Some(Network::V6),
            _ => None,
        }
    }
}

/// Which part of an IP packet a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub id: u32,
    /// Protocol of what was cut into fragments.
    pub protocol: u8,
    /// Where the part begins, in octets.
    pub offset: u32,
    pub octets: u32,
    pub more: bool,
}

/// What both IP versions say, in the terms of a flow.
#[derive(Clone, Copy)]
pub(super) struct Ip {
    pub family: Family,
    pub source: u128,
    pub destination: u128,
    pub protocol: u8,
    pub ttl: u8,
    pub traffic_class: u8,
    pub flow_label: u32,
    /// Octets of the whole IP packet by its own header.
    pub octets: u32,
    /// `None` for a whole packet.
    pub part: Option<Part>,
    pub anomaly: Option<Anomaly>,
}

impl Ip {
    /// Parses an IP packet; its payload is what follows all IP headers.
    ///
    /// Inlined because its result is too big to be handed over in registers; the inner packets of tunnels go through
    /// [`Ip::parse_inner`], so that there is one copy for those and one for all other packets.
    #[inline(always)]
    pub(super) fn parse(network: Network, packet: Payload<'_>) -> Result<(Ip, Payload<'_>), Reason> {
        match network {
            Network::V4 => {
                let (header, bytes) = ipv4::parse(packet.bytes, packet.octets)?;
                let octets = header.payload_octets;
                Ok((Ip::from(header), Payload { bytes, octets }))
            }
            Network::V6 => {
                let (header, bytes) = ipv6::parse(packet.bytes, packet.octets)?;
                let octets = header.chain.octets;
                Ok((Ip::from(header), Payload { bytes, octets }))
            }
        }
    }

    /// [`Ip::parse`] of a packet inside another one.
    #[inline(never)]
    pub(super) fn parse_inner(network: Network, packet: Payload<'_>) -> Option<(Ip, Payload<'_>)> {
        Ip::parse(network, packet).ok()
    }

    /// Whether this is a fragment without the header behind IP.
    #[inline]
    pub(super) fn is_later_fragment(&self) -> bool {
        self.part.is_some_and(|part| part.offset != 0)
    }

    /// The same packet seen from behind an authentication header, which `next_header` follows.
    pub(super) fn behind<'a>(&self, next_header: u8, payload: Payload<'a>) -> (Ip, Payload<'a>) {
        let whole = Ip { protocol: next_header, part: None, ..*self };
        match self.family {
            Family::V4 => (whole, payload),
            Family::V6 => {
                let (chain, bytes) = ipv6::Chain::new(next_header, payload.octets).follow(payload.bytes);
                let ip = Ip { protocol: chain.protocol, part: chain.part, anomaly: chain.anomaly, ..whole };
                (ip, Payload { bytes, octets: chain.octets })
            }
        }
    }
}

impl From<ipv4::Ipv4> for Ip {
    #[inline]
    fn from(header: ipv4::Ipv4) -> Ip {
        Ip {
            family: Family::V4,
            source: u128::from(header.source),
            destination: u128::from(header.destination),
            protocol: header.protocol,
            ttl: header.ttl,
            traffic_class: header.traffic_class,
            flow_label: 0,
            octets: header.total_length,
            part: header.part,
            anomaly: header.anomaly.or_else(|| beyond_end(header.part)),
        }
    }
}

impl From<ipv6::Ipv6> for Ip {
    #[inline]
    fn from(header: ipv6::Ipv6) -> Ip {
        Ip {
            family: Family::V6,
            source: header.source,
            destination: header.destination,
            protocol: header.chain.protocol,
            ttl: header.hop_limit,
            traffic_class: header.traffic_class,
            flow_label: header.flow_label,
            octets: header.octets,
            part: header.chain.part,
            anomaly: header.chain.anomaly.or_else(|| beyond_end(header.chain.part)),
        }
    }
}

/// No packet is longer than its length field can say, so no fragment ends beyond that.
fn beyond_end(part: Option<Part>) -> Option<Anomaly> {
    let end = part.map_or(0, |part| part.offset.saturating_add(part.octets));
    if end > MAX_PACKET_OCTETS { Some(Anomaly::FragmentBeyondEnd) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragment_that_ends_behind_the_longest_packet_is_remarked() {
        let part = |offset, octets| Some(Part { id: 1, protocol: 17, offset, octets, more: false });
        assert_eq!(beyond_end(part(65_528, 7)), None);
        assert_eq!(beyond_end(part(65_528, 8)), Some(Anomaly::FragmentBeyondEnd));
        assert_eq!(beyond_end(None), None);
    }

    #[test]
    fn version_is_the_first_nibble() {
        assert_eq!(Network::of(&[0x45]), Some(Network::V4));
        assert_eq!(Network::of(&[0x60]), Some(Network::V6));
        assert_eq!(Network::of(&[0x50]), None);
        assert_eq!(Network::of(&[]), None);
    }
}
