//! PPP, RFC 1661 §2, and PPP in HDLC-like framing, RFC 1662 §3. Gives the IP version of the protocol field.
//!
//! Address and control octets may be there or not, the protocol field may be compressed to one octet. In place of PPP a
//! link of LINKTYPE_PPP_HDLC may speak Cisco HDLC, where an Ethernet type follows the address.

use crate::reason::Reason;
use crate::wire::{Network, ethertype::number};

const HDLC_LEN: usize = 2;

/// All stations, unnumbered information.
const HDLC: [u8; HDLC_LEN] = [0xff, 0x03];
/// Cisco HDLC: unicast and broadcast.
const CISCO: [[u8; HDLC_LEN]; 2] = [[0x0f, 0x00], [0x8f, 0x00]];

/// Protocol numbers of PPP (IANA "Point-to-Point Protocol Field Assignments").
const IPV4: u16 = 0x0021;
const IPV6: u16 = 0x0057;

pub(crate) struct Ppp {
    pub network: Network,
}

/// Parses a frame without flags and check sequence.
pub(crate) fn parse(frame: &[u8]) -> Result<(Ppp, &[u8]), Reason> {
    let (protocol, rest) = match frame.split_first_chunk::<HDLC_LEN>() {
        Some((&HDLC, rest)) => protocol(rest)?,
        Some((cisco, rest)) if CISCO.contains(cisco) => {
            let (&ethertype, rest) = rest.split_first_chunk().ok_or(Reason::LinkTruncated)?;
            (u16::from_be_bytes(ethertype), rest)
        }
        _ => protocol(frame)?,
    };
    let network = match protocol {
        IPV4 | number::IPV4 => Network::V4,
        IPV6 | number::IPV6 => Network::V6,
        _ => return Err(Reason::LinkNotIp),
    };
    Ok((Ppp { network }, rest))
}

/// The protocol field: its last octet is odd, all before it are even (RFC 1661 §2).
fn protocol(bytes: &[u8]) -> Result<(u16, &[u8]), Reason> {
    match *bytes {
        [low, ref rest @ ..] if low & 1 == 1 => Ok((u16::from(low), rest)),
        [high, low, ref rest @ ..] => Ok((u16::from_be_bytes([high, low]), rest)),
        _ => Err(Reason::LinkTruncated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(frame: &[u8]) -> Result<(Network, &[u8]), Reason> {
        parse(frame).map(|(ppp, rest)| (ppp.network, rest))
    }

    #[test]
    fn framing_and_compression_are_optional() {
        assert_eq!(network(&[0xff, 0x03, 0x00, 0x21, 0x45]), Ok((Network::V4, &[0x45][..])));
        assert_eq!(network(&[0xff, 0x03, 0x21, 0x45]), Ok((Network::V4, &[0x45][..])));
        assert_eq!(network(&[0x00, 0x57, 0x60]), Ok((Network::V6, &[0x60][..])));
        assert_eq!(network(&[0x57, 0x60]), Ok((Network::V6, &[0x60][..])));
        assert_eq!(network(&[0x0f, 0x00, 0x86, 0xdd, 0x60]), Ok((Network::V6, &[0x60][..])));
    }

    #[test]
    fn control_protocols_are_not_ip_and_cut_frames_are_truncated() {
        assert_eq!(network(&[0xff, 0x03, 0xc0, 0x21, 1]), Err(Reason::LinkNotIp));
        for cut in [&[][..], &[0x00], &[0xff, 0x03], &[0x0f, 0x00, 0x08]] {
            assert_eq!(network(cut), Err(Reason::LinkTruncated), "{cut:?}");
        }
    }
}
