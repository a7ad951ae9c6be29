//! TCP header, RFC 9293 §3.1. Gives ports and what the table follows; options are stepped over, the checksum is not looked at.

use super::Anomaly;
use flowtable::TcpSegment;

const HEADER_LEN: usize = 20;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tcp {
    pub source_port: u16,
    pub destination_port: u16,
    pub segment: TcpSegment,
}

/// Parses `bytes`, which are `ip_octets` long by the IP header.
#[inline]
pub(super) fn parse(bytes: &[u8], ip_octets: u32) -> Result<(Tcp, &[u8]), Anomaly> {
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or(Anomaly::TcpCut)?;
    let header_octets = header[12] >> 4 << 2;
    if header_octets < 20 {
        return Err(Anomaly::TcpBadHeaderLength);
    }
    let payload = ip_octets.checked_sub(u32::from(header_octets)).ok_or(Anomaly::TcpBadHeaderLength)?;
    let tcp = Tcp {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        segment: TcpSegment {
            sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            acknowledgment: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            window: u16::from_be_bytes([header[14], header[15]]),
            flags: header[13],
            payload,
        },
    };
    Ok((tcp, bytes.get(usize::from(header_octets)..).unwrap_or(&[])))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN_ACK: [u8; 25] =
        [0, 80, 0x9c, 0x40, 0, 0, 0, 7, 0, 0, 0, 8, 0x60, 0x12, 0x02, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4, 0xff];

    #[test]
    fn fields_are_read_and_the_payload_is_what_ip_says() {
        let (tcp, rest) = parse(&SYN_ACK, 100).unwrap();
        let segment = TcpSegment { sequence: 7, acknowledgment: 8, window: 512, flags: 0x12, payload: 76 };
        assert_eq!((tcp, rest), (Tcp { source_port: 80, destination_port: 40_000, segment }, &[0xff][..]));
    }

    #[test]
    fn options_cut_by_the_capture_do_not_matter() {
        assert_eq!(
            parse(&SYN_ACK[..20], 30).map(|(tcp, rest)| (tcp.segment.payload, rest)),
            Ok((6, &[][..]))
        );
    }

    #[test]
    fn bad_header_length_is_named() {
        assert_eq!(parse(&SYN_ACK[..19], 25), Err(Anomaly::TcpCut));
        assert_eq!(parse(&SYN_ACK, 23), Err(Anomaly::TcpBadHeaderLength));
        let mut bytes = SYN_ACK;
        bytes[12] = 0x40;
        assert_eq!(parse(&bytes, 25), Err(Anomaly::TcpBadHeaderLength));
    }
}
