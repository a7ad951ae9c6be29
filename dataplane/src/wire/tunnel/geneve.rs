//! Geneve header, RFC 8926 §3.4. Gives the VNI and the Ethernet type of what follows; options are stepped over.

use super::{Encapsulation, Inner, Payload, TunnelKind, number};

const HEADER_LEN: usize = 8;

#[derive(Debug, PartialEq, Eq)]
struct Geneve {
    /// 24 bits.
    vni: u32,
    ethertype: u16,
}

/// Parses a header of version 0; the length of its options is in words of four octets.
fn parse(bytes: &[u8]) -> Option<(Geneve, &[u8])> {
    let (&[version, _, t0, t1, v0, v1, v2, _], rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
    if version >> 6 != 0 {
        return None;
    }
    let options = usize::from(version & 0x3f) << 2;
    let geneve = Geneve { vni: u32::from_be_bytes([0, v0, v1, v2]), ethertype: u16::from_be_bytes([t0, t1]) };
    Some((geneve, rest.get(options..)?))
}

pub(super) fn encapsulation(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    let (geneve, rest) = parse(payload.bytes)?;
    let rest = payload.behind(rest);
    let inner = match geneve.ethertype {
        number::BRIDGED => Inner::Frame(rest),
        ethertype => Inner::Typed(ethertype, rest),
    };
    Some(Encapsulation { id: Some(geneve.vni), ..Encapsulation::new(TunnelKind::Geneve, inner) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_stepped_over() {
        let bytes = [0x02, 0, 0x65, 0x58, 1, 2, 3, 0, 1, 1, 0x80, 1, 7, 7, 7, 7, 9];
        let geneve = Geneve { vni: 0x01_0203, ethertype: 0x6558 };
        assert_eq!(parse(&bytes), Some((geneve, &[9][..])));
        assert_eq!(parse(&bytes[..15]), None);
        let frame = Payload { bytes: &[9], octets: 1 };
        assert_eq!(
            encapsulation(Payload { bytes: &bytes, octets: 17 }).map(|found| found.inner),
            Some(Inner::Frame(frame))
        );
    }

    #[test]
    fn ip_may_follow_at_once_and_another_version_is_none() {
        let bytes = [0, 0, 0x86, 0xdd, 0, 0, 1, 0, 0x60];
        let found = encapsulation(Payload { bytes: &bytes, octets: 9 }).unwrap();
        assert_eq!(found.inner, Inner::Typed(0x86dd, Payload { bytes: &[0x60], octets: 1 }));
        assert_eq!(parse(&[0x40, 0, 0x86, 0xdd, 0, 0, 1, 0]), None);
    }
}
