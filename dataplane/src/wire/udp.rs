//! UDP header, RFC 768. Gives the ports and the datagram; the checksum is not looked at.

use super::{Anomaly, up_to};

const HEADER_LEN: usize = 8;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Udp {
    pub source_port: u16,
    pub destination_port: u16,
    /// Octets behind the header by the UDP length.
    pub payload_octets: u32,
}

/// Parses `bytes`, which are `ip_octets` long by the IP header; in a `fragment` the datagram goes on beyond them.
///
/// A length of 0 stands for a datagram too long for the field, RFC 2675 §4.
#[inline]
pub(super) fn parse(bytes: &[u8], ip_octets: u32, fragment: bool) -> Result<(Udp, &[u8]), Anomaly> {
    let (&[s0, s1, d0, d1, l0, l1, _, _], rest) =
        bytes.split_first_chunk::<HEADER_LEN>().ok_or(Anomaly::UdpCut)?;
    let length = u32::from(u16::from_be_bytes([l0, l1]));
    if length != 0 && (length < 8 || length > ip_octets && !fragment) {
        return Err(Anomaly::UdpBadLength);
    }
    let datagram = if length == 0 { ip_octets } else { length };
    let udp = Udp {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        payload_octets: datagram.saturating_sub(8),
    };
    let payload = up_to(rest, udp.payload_octets);
    Ok((udp, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read() {
        let (udp, rest) = parse(&[0, 53, 0x9c, 0x40, 0, 9, 0, 0, 7, 8], 10, false).unwrap();
        let expected = Udp { source_port: 53, destination_port: 40_000, payload_octets: 1 };
        assert_eq!((udp, rest), (expected, &[7][..]));
    }

    #[test]
    fn length_must_fit_the_packet_unless_it_is_fragmented() {
        let bytes = [0, 53, 0, 53, 1, 0, 0, 0];
        assert_eq!(parse(&bytes, 8, false), Err(Anomaly::UdpBadLength));
        assert!(parse(&bytes, 8, true).is_ok());
        assert!(parse(&[0, 53, 0, 53, 0, 0, 0, 0], 8, false).is_ok());
        assert_eq!(parse(&[0, 53, 0, 53, 0, 7, 0, 0], 8, true), Err(Anomaly::UdpBadLength));
        assert_eq!(parse(&bytes[..7], 7, false), Err(Anomaly::UdpCut));
    }
}
