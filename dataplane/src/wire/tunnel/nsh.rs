//! Network service header, RFC 8300 §2, in VXLAN with the generic protocol extension, whose protocol numbers are the
//! same. Gives the next protocol; the service path and its metadata are stepped over.

use super::{Inner, Payload, number};

/// Base header and service path header.
const HEADER_LEN: usize = 8;

/// Protocol numbers (IANA "NSH Next Protocol", draft-ietf-nvo3-vxlan-gpe §3).
mod next_protocol {
    pub(crate) const IPV4: u8 = 1;
    pub(crate) const IPV6: u8 = 2;
    pub(crate) const ETHERNET: u8 = 3;
    pub(crate) const NSH: u8 = 4;
    pub(crate) const MPLS: u8 = 5;
}

#[derive(Debug, PartialEq, Eq)]
struct Nsh {
    next_protocol: u8,
}

/// Parses a header of version 0; its length field counts words of four octets.
fn parse(bytes: &[u8]) -> Option<(Nsh, &[u8])> {
    let &[version, length, _, next_protocol, ..] = bytes.first_chunk::<HEADER_LEN>()?;
    let length = usize::from(length & 0x3f) << 2;
    if version >> 6 != 0 || length < HEADER_LEN {
        return None;
    }
    Some((Nsh { next_protocol }, bytes.get(length..)?))
}

/// What the number `next` says follows. A service header inside another one is not followed.
pub(super) fn inner(next: u8, payload: Payload<'_>) -> Inner<'_> {
    if next != next_protocol::NSH {
        return carried(next, payload);
    }
    parse(payload.bytes).map_or(Inner::Sealed, |(nsh, rest)| carried(nsh.next_protocol, payload.behind(rest)))
}

fn carried(next: u8, payload: Payload<'_>) -> Inner<'_> {
    match next {
        next_protocol::IPV4 => Inner::Typed(number::IPV4, payload),
        next_protocol::IPV6 => Inner::Typed(number::IPV6, payload),
        next_protocol::ETHERNET => Inner::Frame(payload),
        next_protocol::MPLS => Inner::Typed(number::MPLS, payload),
        _ => Inner::Sealed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_header_is_stepped_over_once() {
        let bytes = [0x0f, 0xc3, 1, 1, 0, 0, 1, 255, 7, 7, 7, 7, 0x45];
        let payload = Payload { bytes: &bytes, octets: 13 };
        let behind = Payload { bytes: &[0x45], octets: 1 };
        assert_eq!(inner(4, payload), Inner::Typed(0x0800, behind));
        let nested = [0x0f, 0xc2, 1, 4, 0, 0, 1, 255];
        assert_eq!(inner(4, Payload { bytes: &nested, octets: 8 }), Inner::Sealed);
        assert_eq!(inner(4, Payload { bytes: &bytes[..11], octets: 11 }), Inner::Sealed);
        assert_eq!(parse(&[0x4f, 0xc2, 1, 1, 0, 0, 1, 255]), None);
        assert_eq!(parse(&[0x0f, 0xc1, 1, 1, 0, 0, 1, 255]), None);
    }

    #[test]
    fn next_protocols_are_told_apart() {
        let payload = Payload { bytes: &[9], octets: 1 };
        assert_eq!(inner(2, payload), Inner::Typed(0x86dd, payload));
        assert_eq!(inner(3, payload), Inner::Frame(payload));
        assert_eq!(inner(5, payload), Inner::Typed(0x8847, payload));
        assert_eq!(inner(0, payload), Inner::Sealed);
    }
}
