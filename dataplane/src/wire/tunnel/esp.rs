//! IP encapsulating security payload, RFC 4303 §2. Gives the SPI; what follows is encrypted.

use super::{Encapsulation, Inner, Payload, TunnelKind};

/// SPI and sequence number.
const HEADER_LEN: usize = 8;

#[derive(Debug, PartialEq, Eq)]
struct Esp {
    spi: u32,
}

fn parse(bytes: &[u8]) -> Option<Esp> {
    let &[s0, s1, s2, s3, ..] = bytes.first_chunk::<HEADER_LEN>()?;
    Some(Esp { spi: u32::from_be_bytes([s0, s1, s2, s3]) })
}

pub(super) fn encapsulation(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    let esp = parse(payload.bytes)?;
    Some(Encapsulation { spi: Some(esp.spi), ..Encapsulation::new(TunnelKind::Esp, Inner::Sealed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spi_is_read_from_a_whole_header() {
        let bytes = [1, 2, 3, 4, 0, 0, 0, 1, 0xff];
        assert_eq!(parse(&bytes), Some(Esp { spi: 0x0102_0304 }));
        assert_eq!(parse(&bytes[..7]), None);
    }
}
