//! IP authentication header, RFC 4302 §2. Gives the SPI and the header that follows; nothing is verified.

use super::{Encapsulation, Inner, Payload, TunnelKind};

/// Next header, length, reserved, SPI and sequence number; the check value follows.
const HEADER_LEN: usize = 12;

#[derive(Debug, PartialEq, Eq)]
struct Ah {
    next_header: u8,
    spi: u32,
}

/// Parses a header; its length field counts words of four octets, the first two not counted.
fn parse(bytes: &[u8]) -> Option<(Ah, &[u8])> {
    let &[next_header, words, _, _, s0, s1, s2, s3, ..] = bytes.first_chunk::<HEADER_LEN>()?;
    let length = usize::from(words).saturating_add(2) << 2;
    if length < HEADER_LEN {
        return None;
    }
    Some((Ah { next_header, spi: u32::from_be_bytes([s0, s1, s2, s3]) }, bytes.get(length..)?))
}

pub(super) fn encapsulation(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    let (ah, rest) = parse(payload.bytes)?;
    let inner = Inner::NextHeader(ah.next_header, payload.behind(rest));
    Some(Encapsulation { spi: Some(ah.spi), ..Encapsulation::new(TunnelKind::Ah, inner) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_is_stepped_over() {
        let mut bytes = vec![6, 4, 0, 0, 1, 2, 3, 4, 0, 0, 0, 1];
        bytes.extend([0xaa; 12]);
        bytes.push(9);
        assert_eq!(parse(&bytes), Some((Ah { next_header: 6, spi: 0x0102_0304 }, &[9][..])));
        assert_eq!(parse(&bytes[..23]), None);
        bytes[1] = 0;
        assert_eq!(parse(&bytes), None);
    }
}
