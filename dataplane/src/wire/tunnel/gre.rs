//! Generic routing encapsulation, RFC 2784 §2 and RFC 2890 §2, with the routing of RFC 1701 and the enhanced form of PPTP
//! (RFC 2637 §4.1). Gives the key and what follows; the checksum is not looked at.

use super::{Encapsulation, Inner, Payload, TunnelKind, erspan, number};

const HEADER_LEN: usize = 4;
/// Each of: checksum with offset, key, sequence number, acknowledgment number, head of a source route entry.
const WORD_LEN: usize = 4;

/// Flag bits, and the version below them.
mod flag {
    pub(crate) const CHECKSUM: u16 = 0x8000;
    pub(crate) const ROUTING: u16 = 0x4000;
    pub(crate) const KEY: u16 = 0x2000;
    pub(crate) const SEQUENCE: u16 = 0x1000;
    /// Only in version 1.
    pub(crate) const ACKNOWLEDGMENT: u16 = 0x0080;
    pub(crate) const VERSION: u16 = 0x0007;
}

/// Protocol types that are no Ethernet types of their own, or lead further than those.
mod payload_type {
    pub(crate) const ERSPAN: u16 = 0x88be;
    pub(crate) const ERSPAN_III: u16 = 0x22eb;
    pub(crate) const PPP: u16 = 0x880b;
    pub(crate) const WCCP: u16 = 0x883e;
}

/// Source route entries followed in one packet; with more it is not a tunnel that is entered.
const MAX_ROUTES: usize = 8;

/// Redirect header that version 2 of WCCP puts before the packet.
const WCCP_LEN: usize = 4;

#[derive(Debug, PartialEq, Eq)]
struct Gre {
    flags: u16,
    payload_type: u16,
    key: Option<u32>,
}

fn parse(bytes: &[u8]) -> Option<(Gre, &[u8])> {
    let (&[f0, f1, t0, t1], mut rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
    let flags = u16::from_be_bytes([f0, f1]);
    let payload_type = u16::from_be_bytes([t0, t1]);
    let enhanced = match flags & flag::VERSION {
        0 => false,
        // The enhanced form always has a key, and carries only PPP.
        1 if payload_type == payload_type::PPP && flags & flag::KEY != 0 => true,
        _ => return None,
    };
    if flags & (flag::CHECKSUM | flag::ROUTING) != 0 {
        (_, rest) = word(rest)?;
    }
    let mut key = None;
    if flags & flag::KEY != 0 {
        let (value, behind) = word(rest)?;
        (key, rest) = (Some(value), behind);
    }
    if flags & flag::SEQUENCE != 0 {
        (_, rest) = word(rest)?;
    }
    if enhanced && flags & flag::ACKNOWLEDGMENT != 0 {
        (_, rest) = word(rest)?;
    }
    if flags & flag::ROUTING != 0 {
        rest = step_over_routes(rest)?;
    }
    // The key of the enhanced form is the payload's length and the call id of one direction: it names no tunnel.
    Some((Gre { flags, payload_type, key: key.filter(|_| !enhanced) }, rest))
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<WORD_LEN>()?;
    Some((u32::from_be_bytes(*word), rest))
}

/// What follows the list of source route entries, RFC 1701; one without family and length ends it.
fn step_over_routes(mut bytes: &[u8]) -> Option<&[u8]> {
    for _ in 0..MAX_ROUTES {
        let (&[a0, a1, _, length], rest) = bytes.split_first_chunk::<WORD_LEN>()?;
        bytes = rest.get(usize::from(length)..)?;
        if (a0, a1, length) == (0, 0, 0) {
            return Some(bytes);
        }
    }
    None
}

pub(super) fn encapsulation(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    let (gre, rest) = parse(payload.bytes)?;
    let rest = payload.behind(rest);
    let inner = match gre.payload_type {
        payload_type::ERSPAN if gre.flags & flag::SEQUENCE == 0 => return Some(erspan::without_header(rest)),
        payload_type::ERSPAN => return erspan::encapsulation(rest),
        payload_type::ERSPAN_III => return erspan::encapsulation_iii(rest),
        number::BRIDGED => Inner::Frame(rest),
        payload_type::PPP => Inner::Ppp(rest),
        payload_type::WCCP => wccp(rest),
        ethertype => Inner::Typed(ethertype, rest),
    };
    Some(Encapsulation {
        id: virtual_subnet(&gre),
        key: gre.key,
        ..Encapsulation::new(TunnelKind::Gre, inner)
    })
}

/// The virtual subnet id of NVGRE: the upper 24 bits of the key of bridged Ethernet without checksum and sequence
/// number, RFC 7637 §3.2.
fn virtual_subnet(gre: &Gre) -> Option<u32> {
    let nvgre = gre.payload_type == number::BRIDGED && gre.flags & !flag::VERSION == flag::KEY;
    gre.key.filter(|_| nvgre).map(|key| key >> 8)
}

/// A packet that a WCCP router redirects: the first version sends it as it is, the second one behind a header, whose
/// first nibble is not that of IPv4.
fn wccp(payload: Payload<'_>) -> Inner<'_> {
    match payload.bytes {
        [0x40..=0x4f, ..] => Inner::Typed(number::IPV4, payload),
        bytes => bytes
            .get(WCCP_LEN..)
            .map_or(Inner::Sealed, |rest| Inner::Typed(number::IPV4, payload.behind(rest))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(bytes: &[u8]) -> Option<Encapsulation<'_>> {
        encapsulation(Payload { bytes, octets: u32::try_from(bytes.len()).unwrap() })
    }

    #[test]
    fn optional_fields_are_stepped_over() {
        let words = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9];
        let rest = |flags: u8, key| {
            let bytes = [&[flags, 0, 8, 0], &words[..]].concat();
            let (gre, rest) = parse(&bytes).unwrap();
            assert_eq!(gre.key, key);
            rest.len()
        };
        assert_eq!(rest(0x00, None), 13);
        assert_eq!(rest(0x80, None), 9);
        assert_eq!(rest(0x20, Some(1)), 9);
        assert_eq!(rest(0xa0, Some(2)), 5);
        assert_eq!(rest(0xb0, Some(2)), 1);
        assert_eq!(parse(&[0xb0, 0, 8, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3]), None);
    }

    #[test]
    fn source_routes_are_stepped_over() {
        let mut bytes = vec![0x40, 0, 8, 0, 0, 0, 0, 0, 8, 0, 0, 4, 10, 0, 0, 1, 0, 0, 0, 0, 9];
        assert_eq!(parse(&bytes).map(|(_, rest)| rest), Some(&[9][..]));
        bytes.truncate(16);
        assert_eq!(parse(&bytes), None);
        bytes.extend([8, 0, 0, 0].repeat(20));
        assert_eq!(parse(&bytes), None);
    }

    #[test]
    fn enhanced_form_carries_ppp_behind_its_acknowledgment() {
        let bytes = [0x30, 0x81, 0x88, 0x0b, 0, 4, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0xff];
        let found = opened(&bytes).unwrap();
        assert_eq!(found.inner, Inner::Ppp(Payload { bytes: &[0xff], octets: 1 }));
        assert_eq!((found.kind, found.id, found.key), (TunnelKind::Gre, None, None));
        assert_eq!(opened(&[0x30, 0x81, 0x08, 0x00, 0, 4, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0xff]), None);
        assert_eq!(opened(&[0x20, 0x02, 0x08, 0x00, 0, 0, 0, 0]), None);
    }

    #[test]
    fn key_of_nvgre_is_a_virtual_subnet_and_a_flow() {
        let found = opened(&[0x20, 0, 0x65, 0x58, 1, 2, 3, 4]).unwrap();
        assert_eq!((found.id, found.key), (Some(0x01_0203), Some(0x0102_0304)));
        let found = opened(&[0x30, 0, 0x65, 0x58, 1, 2, 3, 4, 0, 0, 0, 1]).unwrap();
        assert_eq!((found.id, found.key), (None, Some(0x0102_0304)));
    }

    #[test]
    fn redirected_packet_may_have_a_header() {
        let inner = |bytes| opened(bytes).map(|found| found.inner);
        let packet = Inner::Typed(0x0800, Payload { bytes: &[0x45], octets: 1 });
        assert_eq!(inner(&[0, 0, 0x88, 0x3e, 0x45]), Some(packet));
        assert_eq!(inner(&[0, 0, 0x88, 0x3e, 0, 1, 2, 3, 0x45]), Some(packet));
        assert_eq!(inner(&[0, 0, 0x88, 0x3e, 0, 1]), Some(Inner::Sealed));
    }

    #[test]
    fn mirrored_frames_are_another_kind() {
        let found = opened(&[0, 0, 0x88, 0xbe, 9]).unwrap();
        assert_eq!((found.kind, found.id), (TunnelKind::Erspan, None));
        let found = opened(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 7, 0, 5, 0, 0, 0, 0, 9]).unwrap();
        assert_eq!((found.kind, found.id), (TunnelKind::Erspan, Some(5)));
    }
}
