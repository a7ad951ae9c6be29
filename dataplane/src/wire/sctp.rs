//! SCTP common header, RFC 9260 §3.1. Gives the ports; chunks are not looked at.

use super::Anomaly;

const HEADER_LEN: usize = 12;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sctp {
    pub source_port: u16,
    pub destination_port: u16,
}

/// Parses the octets behind the IP header.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Result<(Sctp, &[u8]), Anomaly> {
    let (&[s0, s1, d0, d1, ..], rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Anomaly::SctpCut)?;
    let sctp =
        Sctp { source_port: u16::from_be_bytes([s0, s1]), destination_port: u16::from_be_bytes([d0, d1]) };
    Ok((sctp, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_a_whole_header() {
        let bytes = [0x0f, 0x1c, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        let (sctp, rest) = parse(&bytes).unwrap();
        assert_eq!((sctp, rest), (Sctp { source_port: 3868, destination_port: 7 }, &[9][..]));
        assert_eq!(parse(&bytes[..11]), Err(Anomaly::SctpCut));
    }
}
