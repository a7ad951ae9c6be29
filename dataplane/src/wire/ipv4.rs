//! IPv4 header, RFC 791 §3.1. Gives addresses, protocol and lengths; options are stepped over, the checksum is not looked at.

use super::{Anomaly, Reason, ip::Part, octets, up_to};

const HEADER_LEN: usize = 20;

/// More parts of the packet follow.
const MORE_FRAGMENTS: u16 = 0x2000;
/// Where a part begins, in units of 8 octets.
const OFFSET: u16 = 0x1fff;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ipv4 {
    pub source: u32,
    pub destination: u32,
    pub protocol: u8,
    pub ttl: u8,
    pub traffic_class: u8,
    /// Octets of the packet with its header: the total length field, or what is left of the frame where that is 0,
    /// which segmentation offload leaves in packets captured on their sender.
    pub total_length: u32,
    /// Octets behind header and options by the total length.
    pub payload_octets: u32,
    /// Where this is a fragment, which one.
    pub part: Option<Part>,
    pub anomaly: Option<Anomaly>,
}

/// Parses `bytes`, of which `wire_octets` were on the wire; the payload ends where the packet ends, so that padding is
/// not part of it.
#[inline(always)]
pub(super) fn parse(bytes: &[u8], wire_octets: u32) -> Result<(Ipv4, &[u8]), Reason> {
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or(Reason::Ipv4Truncated)?;
    if header[0] >> 4 != 4 {
        return Err(Reason::Ipv4BadVersion);
    }
    let header_octets = u32::from(header[0] & 0x0f) << 2;
    if header_octets < 20 {
        return Err(Reason::Ipv4BadHeaderLength);
    }
    if octets(bytes) < header_octets {
        return Err(Reason::Ipv4Truncated);
    }
    let total_length = match u16::from_be_bytes([header[2], header[3]]) {
        0 => wire_octets,
        length => u32::from(length),
    };
    let payload_octets = total_length.checked_sub(header_octets).ok_or(Reason::Ipv4BadTotalLength)?;
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let ipv4 = Ipv4 {
        source: u32::from_be_bytes([header[12], header[13], header[14], header[15]]),
        destination: u32::from_be_bytes([header[16], header[17], header[18], header[19]]),
        protocol: header[9],
        ttl: header[8],
        traffic_class: header[1],
        total_length,
        payload_octets,
        part: (fragment & (MORE_FRAGMENTS | OFFSET) != 0).then(|| Part {
            id: u32::from(u16::from_be_bytes([header[4], header[5]])),
            protocol: header[9],
            offset: u32::from(fragment & OFFSET) << 3,
            octets: payload_octets,
            more: fragment & MORE_FRAGMENTS != 0,
        }),
        anomaly: if total_length > wire_octets { Some(Anomaly::Ipv4BeyondFrame) } else { None },
    };
    let packet = up_to(bytes, total_length);
    Ok((ipv4, packet.get(usize::from(header[0] & 0x0f) << 2..).unwrap_or(&[])))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A header of five words for `payload`, addresses 10.0.0.1 to 10.0.0.2, and the payload.
    pub(crate) fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let total = u16::try_from(HEADER_LEN + payload.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x45, 0xb8, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(payload);
        packet
    }

    fn parsed(bytes: &[u8]) -> Result<(Ipv4, &[u8]), Reason> {
        parse(bytes, octets(bytes))
    }

    #[test]
    fn fields_are_read_and_padding_is_not_payload() {
        let mut bytes = packet(17, &[1, 2, 3]);
        bytes.extend([0; 20]);
        let (header, payload) = parsed(&bytes).unwrap();
        let expected = Ipv4 {
            source: 0x0a00_0001,
            destination: 0x0a00_0002,
            protocol: 17,
            ttl: 64,
            traffic_class: 0xb8,
            total_length: 23,
            payload_octets: 3,
            part: None,
            anomaly: None,
        };
        assert_eq!((header, payload), (expected, &[1, 2, 3][..]));
    }

    #[test]
    fn options_are_stepped_over() {
        let mut bytes = packet(6, &[1, 1, 1, 0, 9]);
        bytes[0] = 0x46;
        let (header, payload) = parsed(&bytes).unwrap();
        assert_eq!((header.payload_octets, payload), (1, &[9][..]));
        assert_eq!(parsed(&bytes[..22]).err(), Some(Reason::Ipv4Truncated));
    }

    #[test]
    fn fragment_fields_are_told_apart() {
        let mut bytes = packet(17, &[0; 8]);
        let part = |offset, more| Some(Part { id: 1, protocol: 17, offset, octets: 8, more });
        (bytes[6], bytes[7]) = (0x20, 0x00);
        assert_eq!(parsed(&bytes).map(|(header, _)| header.part), Ok(part(0, true)));
        (bytes[6], bytes[7]) = (0x40, 0xb9);
        assert_eq!(parsed(&bytes).map(|(header, _)| header.part), Ok(part(1480, false)));
        (bytes[6], bytes[7]) = (0x40, 0x00);
        assert_eq!(parsed(&bytes).map(|(header, _)| header.part), Ok(None));
    }

    #[test]
    fn bad_fields_are_named() {
        let good = packet(6, &[]);
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            parsed(&bytes).err()
        };
        assert_eq!(with(0, 0x65), Some(Reason::Ipv4BadVersion));
        assert_eq!(with(0, 0x44), Some(Reason::Ipv4BadHeaderLength));
        assert_eq!(with(0, 0x46), Some(Reason::Ipv4Truncated));
        assert_eq!(with(3, 19), Some(Reason::Ipv4BadTotalLength));
        assert_eq!(parsed(&good[..19]).err(), Some(Reason::Ipv4Truncated));
    }

    #[test]
    fn total_length_of_zero_means_the_rest_of_the_frame() {
        let mut bytes = packet(6, &[7; 40]);
        (bytes[2], bytes[3]) = (0, 0);
        let (header, payload) = parse(&bytes, 3000).unwrap();
        assert_eq!((header.total_length, header.payload_octets, payload.len()), (3000, 2980, 40));
    }

    #[test]
    fn length_beyond_the_frame_is_kept_and_remarked() {
        let bytes = packet(6, &[7; 40]);
        let (header, _) = parse(&bytes, 50).unwrap();
        assert_eq!((header.total_length, header.anomaly), (60, Some(Anomaly::Ipv4BeyondFrame)));
    }
}
