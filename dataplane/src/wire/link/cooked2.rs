//! Linux cooked capture, second format (LINKTYPE_LINUX_SLL2). Gives the sender's address and the Ethernet type.

use super::cooked::{protocol, sender};
use crate::reason::Reason;

const HEADER_LEN: usize = 20;

pub(super) struct Cooked2 {
    /// The sender's MAC address where the device is an Ethernet one.
    pub source: Option<[u8; 6]>,
    pub ethertype: u16,
}

/// Parses a frame of the "any" device.
pub(super) fn parse(frame: &[u8]) -> Result<(Cooked2, &[u8]), Reason> {
    let (header, rest) = frame.split_first_chunk::<HEADER_LEN>().ok_or(Reason::LinkTruncated)?;
    let &[t0, t1, _, _, _, _, _, _, d0, d1, _, length, s0, s1, s2, s3, s4, s5, _, _] = header;
    let device = u16::from_be_bytes([d0, d1]);
    let source = sender(device, u16::from(length), [s0, s1, s2, s3, s4, s5]);
    let ethertype = protocol(device, u16::from_be_bytes([t0, t1]))?;
    Ok((Cooked2 { source, ethertype }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_and_type_are_read() {
        let frame = [0x86, 0xdd, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 3, 4, 5, 6, 7, 0, 0, 0x60];
        let (header, rest) = parse(&frame).unwrap();
        assert_eq!((header.source, header.ethertype, rest), (Some([2, 3, 4, 5, 6, 7]), 0x86dd, &[0x60][..]));
        assert_eq!(parse(&frame[..19]).err(), Some(Reason::LinkTruncated));
    }
}
