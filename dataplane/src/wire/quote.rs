//! The packet an ICMP error quotes, RFC 792 and RFC 4443 §3. Gives its flow and what went wrong.
//!
//! The flow is that of the quoted IP header: a tunnel in the quoted packet is not entered, for the error is about the
//! outer packet, and few errors quote more than its ports.

use super::{Anomaly, Ip, Level, Network, Payload, Upper, walk};
use flowtable::{Nanos, NetworkError, Quote, protocol};

/// What stands between the checksum and the quoted packet: unused, or the MTU of the next hop.
const HEADER_LEN: usize = 4;

/// Types of ICMP errors about a packet's way (IANA "ICMP Parameters" and "ICMPv6 Parameters").
mod kind {
    pub(crate) const UNREACHABLE: u8 = 3;
    pub(crate) const TIME_EXCEEDED: u8 = 11;
    pub(crate) const V6_UNREACHABLE: u8 = 1;
    pub(crate) const V6_PACKET_TOO_BIG: u8 = 2;
    pub(crate) const V6_TIME_EXCEEDED: u8 = 3;
}

/// Reads the packet quoted behind the ICMP header of `level`.
pub(super) fn parse(level: &Level<'_>, at: Nanos) -> Option<Quote> {
    let (kind, code) = level.upper.icmp?;
    let (network, error) = match level.ip.protocol {
        protocol::ICMP => (Network::V4, error(kind, code)?),
        _ => (Network::V6, error_v6(kind, code)?),
    };
    let (_, quoted) = level.upper.rest.bytes.split_first_chunk::<HEADER_LEN>()?;
    // How long the quoted packet was is in its own header; the error holds the beginning of it.
    let (ip, payload) = Ip::parse_inner(network, Payload { bytes: quoted, octets: u32::MAX })?;
    if is_cut(ip.anomaly) {
        return None;
    }
    let (key, _) = walk::flow(&ip, &Upper::of_quoted(&ip, payload)?, level.around);
    Some(Quote { key, error, at })
}

/// Whether the walk over IPv6 extension headers ended before the transport header.
fn is_cut(anomaly: Option<Anomaly>) -> bool {
    use Anomaly::{Ipv6BadOption, Ipv6ExtensionCut, Ipv6TooManyExtensions};
    matches!(anomaly, Some(Ipv6BadOption | Ipv6ExtensionCut | Ipv6TooManyExtensions))
}

/// What an ICMP error says; codes of RFC 792, RFC 1122 §3.2.2.1 and RFC 1812 §5.2.7.1.
fn error(kind: u8, code: u8) -> Option<NetworkError> {
    match (kind, code) {
        (kind::UNREACHABLE, 0 | 6 | 9 | 11) => Some(NetworkError::NetworkUnreachable),
        (kind::UNREACHABLE, 1 | 5 | 7 | 8 | 10 | 12..=15) => Some(NetworkError::HostUnreachable),
        (kind::UNREACHABLE, 2 | 3) => Some(NetworkError::PortUnreachable),
        (kind::UNREACHABLE, 4) => Some(NetworkError::FragmentationNeeded),
        (kind::TIME_EXCEEDED, _) => Some(NetworkError::TtlExceeded),
        _ => None,
    }
}

/// What an ICMPv6 error says, RFC 4443 §3.1 to §3.3.
fn error_v6(kind: u8, code: u8) -> Option<NetworkError> {
    match (kind, code) {
        (kind::V6_UNREACHABLE, 0 | 2 | 6) => Some(NetworkError::NetworkUnreachable),
        (kind::V6_UNREACHABLE, 1 | 3 | 5) => Some(NetworkError::HostUnreachable),
        (kind::V6_UNREACHABLE, 4) => Some(NetworkError::PortUnreachable),
        (kind::V6_PACKET_TOO_BIG, _) => Some(NetworkError::FragmentationNeeded),
        (kind::V6_TIME_EXCEEDED, _) => Some(NetworkError::TtlExceeded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ipv4, ipv6};
    use flowtable::FlowKey;

    const AROUND: walk::Around = walk::Around { vlans: 7 << 12, tunnel: 9 };

    fn quoted(network: Network, message: &[u8]) -> Option<Quote> {
        let packet = match network {
            Network::V4 => ipv4::tests::packet(1, message),
            Network::V6 => ipv6::tests::packet(58, message),
        };
        let octets = u32::try_from(packet.len()).unwrap();
        let (ip, payload) = Ip::parse(network, Payload { bytes: &packet, octets }).unwrap();
        parse(&Level::outermost(ip, Upper::parse(&ip, payload), AROUND), Nanos(5))
    }

    fn message(kind: u8, code: u8, packet: &[u8]) -> Vec<u8> {
        [&[kind, code, 0, 0, 0, 0, 0, 0], packet].concat()
    }

    /// The flow a whole packet is in.
    fn key(network: Network, packet: &[u8]) -> FlowKey {
        let octets = u32::try_from(packet.len()).unwrap();
        let (ip, payload) = Ip::parse(network, Payload { bytes: packet, octets }).unwrap();
        walk::flow(&ip, &Upper::parse(&ip, payload), AROUND).0
    }

    #[test]
    fn key_is_that_of_the_packet_when_it_was_whole() {
        let udp = [0x9c, 0x40, 0, 53, 0, 20, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        for protocol in [6, 17, 132, 1, 58, 47] {
            let v4 = ipv4::tests::packet(protocol, &udp);
            let quote = quoted(Network::V4, &message(3, 3, &v4[..28])).unwrap();
            assert_eq!((quote.error, quote.at), (NetworkError::PortUnreachable, Nanos(5)));
            assert_eq!(quote.key, key(Network::V4, &v4), "{protocol}");
            let v6 = ipv6::tests::packet(protocol, &udp);
            let quote = quoted(Network::V6, &message(1, 4, &v6[..48])).unwrap();
            assert_eq!(quote.key, key(Network::V6, &v6), "{protocol}");
        }
    }

    #[test]
    fn echo_quoted_is_the_flow_of_request_and_reply() {
        let echo = ipv4::tests::packet(1, &[8, 0, 0, 0, 0, 1, 0, 1]);
        let quote = quoted(Network::V4, &message(11, 0, &echo)).unwrap();
        assert_eq!((quote.key.lo_port, quote.key.hi_port, quote.key.one_way), (8, 0, None));
        assert_eq!(quote.error, NetworkError::TtlExceeded);
    }

    #[test]
    fn nothing_is_said_of_a_packet_without_its_ports() {
        let mut udp = ipv4::tests::packet(17, &[0x9c, 0x40, 0, 53, 0, 8, 0, 0]);
        assert!(quoted(Network::V4, &message(3, 3, &udp[..24])).is_some());
        assert_eq!(quoted(Network::V4, &message(3, 3, &udp[..23])), None);
        assert_eq!(quoted(Network::V4, &message(3, 3, &udp[..19])), None);
        assert_eq!(quoted(Network::V4, &[3, 3, 0, 0, 0, 0, 0]), None);
        udp[7] = 1;
        assert_eq!(quoted(Network::V4, &message(3, 3, &udp)), None);
        let cut = ipv6::tests::packet(60, &[17, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(quoted(Network::V6, &message(1, 4, &cut)), None);
    }

    #[test]
    fn types_and_codes_are_told_apart() {
        let v4 = |code| error(3, code).map(NetworkError::as_str);
        assert_eq!([v4(0), v4(6), v4(9), v4(11)], [Some("network_unreachable"); 4]);
        assert_eq!([v4(1), v4(5), v4(10), v4(15)], [Some("host_unreachable"); 4]);
        assert_eq!(
            [v4(2), v4(3), v4(4)].map(Option::unwrap),
            ["port_unreachable", "port_unreachable", "fragmentation_needed"]
        );
        assert_eq!((v4(16), error(5, 0), error(12, 0), error(8, 0)), (None, None, None, None));
        let v6 = |kind, code| error_v6(kind, code).map(NetworkError::as_str);
        assert_eq!([v6(1, 0), v6(1, 2), v6(1, 6)], [Some("network_unreachable"); 3]);
        assert_eq!([v6(1, 1), v6(1, 3), v6(1, 5)], [Some("host_unreachable"); 3]);
        assert_eq!(v6(1, 4), Some("port_unreachable"));
        assert_eq!((v6(2, 0), v6(3, 1)), (Some("fragmentation_needed"), Some("ttl_exceeded")));
        assert_eq!((v6(4, 0), v6(128, 0)), (None, None));
    }
}
