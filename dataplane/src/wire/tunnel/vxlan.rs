//! VXLAN header, RFC 7348 §5, and its generic protocol extension (draft-ietf-nvo3-vxlan-gpe §3). Gives the VNI and the
//! inner Ethernet frame, or what the extension's next protocol names; other flags are ignored.

use super::{Encapsulation, Inner, Payload, TunnelKind, nsh};

const HEADER_LEN: usize = 8;

/// Flags: the VNI is valid; the generic extension's next protocol is, and the version it has.
const VNI_VALID: u8 = 0x08;
const NEXT_PROTOCOL: u8 = 0x04;
const VERSION: u8 = 0x30;

#[derive(Debug, PartialEq, Eq)]
struct Vxlan {
    /// 24 bits.
    vni: u32,
    /// `None` for plain VXLAN, which carries Ethernet.
    next_protocol: Option<u8>,
}

fn parse(bytes: &[u8]) -> Option<(Vxlan, &[u8])> {
    let (&[flags, _, _, next, v0, v1, v2, _], rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
    let extended = flags & NEXT_PROTOCOL != 0;
    if flags & VNI_VALID == 0 || extended && flags & VERSION != 0 {
        return None;
    }
    let next_protocol = extended.then_some(next);
    Some((Vxlan { vni: u32::from_be_bytes([0, v0, v1, v2]), next_protocol }, rest))
}

pub(super) fn encapsulation(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    let (vxlan, rest) = parse(payload.bytes)?;
    let rest = payload.behind(rest);
    let inner = vxlan.next_protocol.map_or(Inner::Frame(rest), |next| nsh::inner(next, rest));
    Some(Encapsulation { id: Some(vxlan.vni), ..Encapsulation::new(TunnelKind::Vxlan, inner) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vni_is_24_bits_and_a_frame_follows() {
        let bytes = [0x08, 0, 0, 0, 1, 2, 3, 0xff, 9];
        let vxlan = Vxlan { vni: 0x01_0203, next_protocol: None };
        assert_eq!(parse(&bytes), Some((vxlan, &[9][..])));
        assert_eq!(parse(&bytes[..7]), None);
        let found = encapsulation(Payload { bytes: &bytes, octets: 50 }).unwrap();
        assert_eq!(found.inner, Inner::Frame(Payload { bytes: &[9], octets: 42 }));
        assert_eq!(found.id, Some(0x01_0203));
    }

    #[test]
    fn header_without_a_vni_or_of_another_version_is_none() {
        assert_eq!(parse(&[0x00, 0, 0, 0, 1, 2, 3, 0]), None);
        assert_eq!(parse(&[0x1c, 0, 0, 3, 1, 2, 3, 0]), None);
        let extended = parse(&[0x0c, 0, 0, 3, 1, 2, 3, 0]).map(|(vxlan, _)| vxlan.next_protocol);
        assert_eq!(extended, Some(Some(3)));
    }
}
