//! GTP-U header, 3GPP TS 29.281 §5. Gives the TEID and the user's packet of a G-PDU; other messages carry none.

use super::{Encapsulation, Inner, Payload, TunnelKind};

const HEADER_LEN: usize = 8;
/// Sequence number, N-PDU number and the type of the first extension header: there where any of them is used.
const OPTIONAL_LEN: usize = 4;

/// Version 1, protocol type GTP.
const VERSION: u8 = 0x30;
/// Version and protocol type.
const VERSION_BITS: u8 = 0xf0;
/// An extension header follows.
const EXTENSION: u8 = 0x04;
/// Extension header, sequence number, N-PDU number: any of them is used.
const OPTIONAL_BITS: u8 = 0x07;
/// Message type of a user's packet.
const G_PDU: u8 = 255;

/// Extension headers followed in one packet; with more it is not a tunnel that is entered.
const MAX_EXTENSIONS: usize = 8;

#[derive(Debug, PartialEq, Eq)]
struct Gtp {
    teid: u32,
}

/// Parses a G-PDU of `octets` on the wire.
fn parse(bytes: &[u8], octets: u32) -> Option<(Gtp, &[u8])> {
    let (&[flags, G_PDU, l0, l1, t0, t1, t2, t3], rest) = bytes.split_first_chunk::<HEADER_LEN>()? else {
        return None;
    };
    let length = u32::from(u16::from_be_bytes([l0, l1]));
    if flags & VERSION_BITS != VERSION || length > octets.saturating_sub(8) {
        return None;
    }
    let gtp = Gtp { teid: u32::from_be_bytes([t0, t1, t2, t3]) };
    if flags & OPTIONAL_BITS == 0 {
        return Some((gtp, rest));
    }
    let (&[_, _, _, next], rest) = rest.split_first_chunk::<OPTIONAL_LEN>()?;
    let rest = if flags & EXTENSION == 0 { rest } else { step_over_extensions(next, rest)? };
    Some((gtp, rest))
}

/// What follows the chain of extension headers that begins with one of the type `next`; 0 ends it.
fn step_over_extensions(mut next: u8, mut bytes: &[u8]) -> Option<&[u8]> {
    for _ in 0..MAX_EXTENSIONS {
        if next == 0 {
            return Some(bytes);
        }
        // The length counts words of four octets with itself and the type of the next header, which comes last.
        let length = usize::from(*bytes.first()?) << 2;
        let (header, rest) = bytes.split_at_checked(length)?;
        (next, bytes) = (*header.last()?, rest);
    }
    (next == 0).then_some(bytes)
}

pub(super) fn encapsulation(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    let (gtp, rest) = parse(payload.bytes, payload.octets)?;
    let inner = Inner::Ip(payload.behind(rest));
    Some(Encapsulation { id: Some(gtp.teid), ..Encapsulation::new(TunnelKind::Gtp, inner) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(bytes: &[u8]) -> Option<&[u8]> {
        parse(bytes, 100).map(|(gtp, rest)| {
            assert_eq!(gtp, Gtp { teid: 0x0102_0304 });
            rest
        })
    }

    #[test]
    fn optional_fields_are_there_where_any_is_used() {
        let with = |flags| [flags, 255, 0, 5, 1, 2, 3, 4, 0, 0, 0, 0, 9];
        assert_eq!(rest(&with(0x30)), Some(&[0, 0, 0, 0, 9][..]));
        for flags in [0x31, 0x32, 0x33, 0x34] {
            assert_eq!(rest(&with(flags)), Some(&[9][..]), "{flags}");
        }
        assert_eq!(rest(&with(0x32)[..11]), None);
    }

    #[test]
    fn extension_headers_are_stepped_over() {
        let bytes = [0x34, 255, 0, 17, 1, 2, 3, 4, 0, 0, 0, 0x85, 1, 0, 9, 0x40, 2, 7, 7, 7, 7, 7, 7, 0, 9];
        assert_eq!(rest(&bytes), Some(&[9][..]));
        assert_eq!(rest(&bytes[..20]), None);
        let mut endless = bytes[..12].to_vec();
        endless.extend([1, 0, 0, 0x85].repeat(20));
        assert_eq!(rest(&endless), None);
        let empty = [&bytes[..12], &[0; 8]].concat();
        assert_eq!(rest(&empty), None);
    }

    #[test]
    fn other_messages_versions_and_lengths_are_none() {
        let good = [0x30, 255, 0, 4, 1, 2, 3, 4, 0x45, 0, 0, 0];
        assert!(parse(&good, 12).is_some());
        assert_eq!(parse(&good, 11), None);
        for (at, octet) in [(0, 0x20), (0, 0x50), (1, 1), (1, 26)] {
            let mut bytes = good;
            bytes[at] = octet;
            assert_eq!(parse(&bytes, 12), None);
        }
    }
}
