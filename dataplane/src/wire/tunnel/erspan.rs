//! Encapsulated remote SPAN, types I to III (draft-foschiano-erspan §4). Gives the session and the mirrored frame.

use super::{Encapsulation, Inner, Payload, TunnelKind};

/// Type II; type I has no header.
const HEADER_LEN: usize = 8;
const HEADER_III_LEN: usize = 12;
/// Octets that a platform may add to a header of type III.
const PLATFORM_LEN: usize = 8;

const VERSION_II: u8 = 1;
const VERSION_III: u8 = 2;

/// Kinds of mirrored frames in type III.
const FRAME_ETHERNET: u8 = 0;
const FRAME_IP: u8 = 2;

#[derive(Debug, PartialEq, Eq)]
struct Erspan {
    /// 10 bits.
    session: u16,
    /// Always Ethernet in type II.
    frame: u8,
}

fn parse(bytes: &[u8]) -> Option<(Erspan, &[u8])> {
    let (&[version, _, s0, s1, ..], rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
    (version >> 4 == VERSION_II).then_some((Erspan { session: session(s0, s1), frame: FRAME_ETHERNET }, rest))
}

fn parse_iii(bytes: &[u8]) -> Option<(Erspan, &[u8])> {
    let (&[version, _, s0, s1, _, _, _, _, _, _, kind, flags], rest) =
        bytes.split_first_chunk::<HEADER_III_LEN>()?;
    if version >> 4 != VERSION_III {
        return None;
    }
    let platform = if flags & 1 == 0 { 0 } else { PLATFORM_LEN };
    Some((Erspan { session: session(s0, s1), frame: kind >> 2 & 0x1f }, rest.get(platform..)?))
}

fn session(s0: u8, s1: u8) -> u16 {
    u16::from_be_bytes([s0, s1]) & 0x03ff
}

/// Type I: the frame follows GRE at once.
pub(super) fn without_header(payload: Payload<'_>) -> Encapsulation<'_> {
    Encapsulation::new(TunnelKind::Erspan, Inner::Frame(payload))
}

/// Type II.
pub(super) fn encapsulation(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    parse(payload.bytes).map(|(erspan, rest)| described(&erspan, payload.behind(rest)))
}

/// Type III.
pub(super) fn encapsulation_iii(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    parse_iii(payload.bytes).map(|(erspan, rest)| described(&erspan, payload.behind(rest)))
}

fn described<'a>(erspan: &Erspan, rest: Payload<'a>) -> Encapsulation<'a> {
    let inner = match erspan.frame {
        FRAME_ETHERNET => Inner::Frame(rest),
        FRAME_IP => Inner::Ip(rest),
        _ => Inner::Sealed,
    };
    Encapsulation { id: Some(u32::from(erspan.session)), ..Encapsulation::new(TunnelKind::Erspan, inner) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_of_type_ii_is_ten_bits() {
        let bytes = [0x10, 0x07, 0xfd, 0x01, 0, 0, 0, 0, 9];
        assert_eq!(parse(&bytes), Some((Erspan { session: 0x101, frame: 0 }, &[9][..])));
        assert_eq!(parse(&bytes[..7]), None);
        assert_eq!(parse(&[0x20, 7, 0, 1, 0, 0, 0, 0]), None);
    }

    #[test]
    fn platform_header_of_type_iii_is_stepped_over() {
        let mut bytes = vec![0x20, 7, 0xfd, 1, 0, 0, 0, 0, 0, 0, 0x08, 0];
        bytes.extend([7, 7, 7, 7, 7, 7, 7, 7, 9]);
        assert_eq!(parse_iii(&bytes).map(|(erspan, rest)| (erspan.frame, rest.len())), Some((2, 9)));
        bytes[11] = 1;
        assert_eq!(parse_iii(&bytes), Some((Erspan { session: 0x101, frame: 2 }, &[9][..])));
        assert_eq!(parse_iii(&bytes[..19]), None);
        bytes[0] = 0x10;
        assert_eq!(parse_iii(&bytes), None);
    }

    #[test]
    fn frame_may_be_ip_or_of_an_unknown_kind() {
        let payload = Payload { bytes: &[9], octets: 1 };
        let inner = |frame| described(&Erspan { session: 1, frame }, payload).inner;
        assert_eq!(
            [inner(0), inner(2), inner(1)],
            [Inner::Frame(payload), Inner::Ip(payload), Inner::Sealed]
        );
    }
}
