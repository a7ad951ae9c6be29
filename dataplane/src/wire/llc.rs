//! Logical link control and SNAP, IEEE 802.2 §3 and RFC 1042. Gives the Ethernet type where there is one.

use super::{Reason, ethertype::number};

const HEADER_LEN: usize = 3;
const SNAP_LEN: usize = 5;

/// Service access point of SNAP.
const SAP_SNAP: u8 = 0xaa;
/// Service access point of IPv4.
const SAP_IP: u8 = 0x06;
/// Control field of an unnumbered information frame.
const UNNUMBERED: u8 = 0x03;

pub(super) struct Llc {
    /// `None` where the frame is for another protocol's service access point.
    pub ethertype: Option<u16>,
}

/// Parses the octets behind the 802.3 length field.
pub(super) fn parse(bytes: &[u8]) -> Result<(Llc, &[u8]), Reason> {
    let (&header, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Reason::LlcTruncated)?;
    match header {
        [SAP_IP, SAP_IP, UNNUMBERED] => Ok((Llc { ethertype: Some(number::IPV4) }, rest)),
        [SAP_SNAP, SAP_SNAP, UNNUMBERED] => {
            let (&snap, rest) = rest.split_first_chunk::<SNAP_LEN>().ok_or(Reason::LlcTruncated)?;
            let ethertype = match snap {
                // Encapsulated Ethernet, and the 802.1H bridge-tunnel organisation: an Ethernet type follows.
                [0, 0, 0 | 0xf8, t0, t1] => Some(u16::from_be_bytes([t0, t1])),
                _ => None,
            };
            Ok((Llc { ethertype }, rest))
        }
        _ => Ok((Llc { ethertype: None }, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ethertype(bytes: &[u8]) -> Result<Option<u16>, Reason> {
        parse(bytes).map(|(llc, _)| llc.ethertype)
    }

    #[test]
    fn snap_of_ethernet_has_a_type_and_of_others_none() {
        assert_eq!(ethertype(&[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd]), Ok(Some(number::IPV6)));
        assert_eq!(ethertype(&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0x00]), Ok(None));
        assert_eq!(ethertype(&[0xaa, 0xaa, 3, 0, 0, 0, 0x86]), Err(Reason::LlcTruncated));
    }

    #[test]
    fn access_points_other_than_ip_have_no_type() {
        assert_eq!(ethertype(&[6, 6, 3, 0x45]), Ok(Some(number::IPV4)));
        assert_eq!(ethertype(&[0x42, 0x42, 3]), Ok(None));
        assert_eq!(ethertype(&[0x42, 0x42]), Err(Reason::LlcTruncated));
    }
}
