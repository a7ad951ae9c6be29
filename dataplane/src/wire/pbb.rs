//! Provider backbone bridging service tag, IEEE 802.1ah (802.1Q §9.7). Gives the service id; an Ethernet frame follows.

use super::Reason;

const HEADER_LEN: usize = 4;

pub(super) struct Pbb {
    /// Backbone service instance id (I-SID), 24 bits.
    #[cfg_attr(not(test), expect(dead_code, reason = "the convention has no attribute for it"))]
    pub service: u32,
}

/// Parses the octets behind the tag's Ethernet type.
pub(super) fn parse(bytes: &[u8]) -> Result<(Pbb, &[u8]), Reason> {
    let (&[_, s0, s1, s2], rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Reason::PbbTruncated)?;
    Ok((Pbb { service: u32::from_be_bytes([0, s0, s1, s2]) }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_id_is_the_low_24_bits() {
        let (pbb, rest) = parse(&[0xff, 1, 2, 3, 9]).unwrap();
        assert_eq!((pbb.service, rest), (0x01_0203, &[9][..]));
        assert_eq!(parse(&[0, 0, 0]).err(), Some(Reason::PbbTruncated));
    }
}
