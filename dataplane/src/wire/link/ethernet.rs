//! Ethernet II header, IEEE 802.3 §3.2. Gives the source address and the type (or, up to 1,500, the length) field.

use crate::reason::Reason;

const HEADER_LEN: usize = 14;

pub(crate) struct Ethernet {
    pub source: [u8; 6],
    pub ethertype: u16,
}

/// Parses a frame without preamble.
#[inline]
pub(crate) fn parse(frame: &[u8]) -> Result<(Ethernet, &[u8]), Reason> {
    let (&[_, _, _, _, _, _, s0, s1, s2, s3, s4, s5, t0, t1], rest) =
        frame.split_first_chunk::<HEADER_LEN>().ok_or(Reason::EthernetTruncated)?;
    Ok((Ethernet { source: [s0, s1, s2, s3, s4, s5], ethertype: u16::from_be_bytes([t0, t1]) }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_and_type_are_read() {
        let frame = [1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 0x08, 0x00, 0x45];
        let (header, rest) = parse(&frame).unwrap();
        assert_eq!((header.source, header.ethertype, rest), ([2, 3, 4, 5, 6, 7], 0x0800, &[0x45][..]));
        assert_eq!(parse(&frame[..13]).err(), Some(Reason::EthernetTruncated));
    }
}
