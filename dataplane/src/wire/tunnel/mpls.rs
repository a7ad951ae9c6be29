//! MPLS label stack, RFC 3032 §2. Gives the IP packet or, in a pseudowire (RFC 4448), the Ethernet frame below it.
//!
//! The stack does not say what it carries. IP is known by its version where the lengths in its header fit; a first
//! nibble of 0 is a control word (RFC 4385 §3); for the rest a frame is one whose Ethernet type is known and fits what
//! follows it.

use super::{Below, Reason, number};
use crate::wire::Network;

const LABEL_LEN: usize = 4;
const CONTROL_WORD_LEN: usize = 4;
/// Octets of the two addresses in front of an Ethernet type.
const ADDRESSES_LEN: usize = 12;

/// In the third octet of a label: it is the last one.
const BOTTOM_OF_STACK: u8 = 1;

/// Labels followed in one frame; a frame with more is not parsed.
const MAX_LABELS: usize = 16;

/// Takes the label stack off `bytes`.
fn parse(mut bytes: &[u8]) -> Result<&[u8], Reason> {
    for _ in 0..MAX_LABELS {
        let (&[_, _, flags, _], rest) =
            bytes.split_first_chunk::<LABEL_LEN>().ok_or(Reason::MplsTruncated)?;
        bytes = rest;
        if flags & BOTTOM_OF_STACK != 0 {
            return Ok(bytes);
        }
    }
    Err(Reason::MplsTooDeep)
}

pub(super) fn below(bytes: &[u8]) -> Result<Below<'_>, Reason> {
    let bytes = parse(bytes)?;
    let network = Network::of(bytes);
    match (bytes.first().ok_or(Reason::MplsTruncated)? >> 4, network) {
        (_, Some(network)) if lengths_fit(network, bytes) || !is_frame(bytes) => {
            Ok(Below::Ip(network, bytes))
        }
        (0, _) => {
            let behind = bytes.get(CONTROL_WORD_LEN..).ok_or(Reason::MplsTruncated)?;
            let has_control_word = is_frame(behind) || !is_frame(bytes);
            Ok(Below::Frame(if has_control_word { behind } else { bytes }))
        }
        _ if is_frame(bytes) => Ok(Below::Frame(bytes)),
        _ => Err(Reason::MplsNotIp),
    }
}

/// Whether the IP header at the start of `bytes` speaks of no more octets than there are.
fn lengths_fit(network: Network, bytes: &[u8]) -> bool {
    let &[first, _, v4_0, v4_1, v6_0, v6_1] = bytes.first_chunk().unwrap_or(&[0; 6]);
    let (shortest, length) = match network {
        Network::V4 => (usize::from(first & 0x0f) << 2, u16::from_be_bytes([v4_0, v4_1]).into()),
        Network::V6 => (40, usize::from(u16::from_be_bytes([v6_0, v6_1])).saturating_add(40)),
    };
    shortest >= 20 && (shortest..=bytes.len()).contains(&length)
}

/// Whether `bytes` look like an Ethernet frame.
fn is_frame(bytes: &[u8]) -> bool {
    match bytes.get(ADDRESSES_LEN..) {
        Some(&[t0, t1, first, ..]) => match u16::from_be_bytes([t0, t1]) {
            number::IPV4 => Network::of(&[first]) == Some(Network::V4),
            number::IPV6 => Network::of(&[first]) == Some(Network::V6),
            number::ARP | number::VLAN | number::QINQ | number::MPLS | number::PPPOE_SESSION => true,
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ipv4, ipv6};

    fn labelled(payload: &[u8]) -> Vec<u8> {
        [&[0, 1, 0, 64, 0, 2, 1, 64], payload].concat()
    }

    /// A frame for `destination`, with its last octets as given.
    fn frame(destination: u8, ethertype: [u8; 2], payload: &[u8]) -> Vec<u8> {
        [&[destination, 1, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2][..], &ethertype, payload].concat()
    }

    #[test]
    fn ip_is_known_by_its_version() {
        let v4 = ipv4::tests::packet(17, &[0; 8]);
        assert_eq!(below(&labelled(&v4)), Ok(Below::Ip(Network::V4, &v4)));
        let v6 = ipv6::tests::packet(17, &[0; 8]);
        assert_eq!(below(&labelled(&v6)), Ok(Below::Ip(Network::V6, &v6)));
        assert_eq!(below(&labelled(&v6[..44])), Ok(Below::Ip(Network::V6, &v6[..44])));
    }

    #[test]
    fn frame_is_found_behind_a_control_word_and_without_one() {
        for destination in [0x00, 0x10, 0x42, 0x60, 0xf0] {
            let frame = frame(destination, [8, 0], &ipv4::tests::packet(17, &[0; 8]));
            let with_control_word = [&[0, 0, 0, 7], &frame[..]].concat();
            assert_eq!(below(&labelled(&with_control_word)), Ok(Below::Frame(&frame)));
            assert_eq!(below(&labelled(&frame)), Ok(Below::Frame(&frame)), "{destination}");
        }
        let spanning_tree = [&[0, 0, 0, 7], &frame(1, [0, 38], &[0x42, 0x42, 3])[..]].concat();
        assert_eq!(below(&labelled(&spanning_tree)), Ok(Below::Frame(&spanning_tree[4..])));
    }

    #[test]
    fn what_is_neither_is_told_by_reason() {
        assert_eq!(below(&labelled(&[0x10, 0, 0, 0x57, 1])), Err(Reason::MplsNotIp));
        assert_eq!(below(&labelled(&[])), Err(Reason::MplsTruncated));
        assert_eq!(below(&labelled(&[0, 0, 0])), Err(Reason::MplsTruncated));
        assert_eq!(below(&[0, 1, 0, 64, 0, 2]), Err(Reason::MplsTruncated));
        assert_eq!(below(&[0, 1, 0, 64].repeat(40)), Err(Reason::MplsTooDeep));
    }
}
