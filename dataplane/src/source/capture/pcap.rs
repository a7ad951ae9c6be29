//! The pcap format (draft-ietf-opsawg-pcap): a header, then packets with a header of 16 octets each.

use super::{ByteOrder, CapturedFrame, Fault, input::Input, packet_length};
use crate::wire::LinkType;
use flowtable::Nanos;

const FILE_HEADER_LEN: usize = 24;
const PACKET_HEADER_LEN: usize = 16;

/// First word of a file with times in microseconds.
const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
/// First word of a file with times in nanoseconds.
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;

/// The bits of the link type field that hold the link type; the others say how long the check sequence is.
const LINK_TYPE_MASK: u32 = 0x03ff_ffff;

pub(super) struct Pcap {
    order: ByteOrder,
    /// Nanoseconds in one unit of a packet's second time word.
    fraction_ns: u64,
    link: LinkType,
}

impl Pcap {
    /// Reads the file header; `None` where `magic` is not one of pcap's.
    pub(super) fn open(input: &mut Input, magic: [u8; 4]) -> Result<Option<Pcap>, Fault> {
        let (order, fraction_ns) = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (MAGIC_MICROS, _) => (ByteOrder::Little, 1000),
            (MAGIC_NANOS, _) => (ByteOrder::Little, 1),
            (_, MAGIC_MICROS) => (ByteOrder::Big, 1000),
            (_, MAGIC_NANOS) => (ByteOrder::Big, 1),
            _ => return Ok(None),
        };
        let Some(&header) = input.peek::<FILE_HEADER_LEN>()? else {
            return Err(Fault::Truncated { what: "file header", offset: 0 });
        };
        input.take(FILE_HEADER_LEN)?;
        let major = order.u16([header[4], header[5]]);
        let minor = order.u16([header[6], header[7]]);
        if major != 2 {
            let what = format!("pcap version {major}.{minor} is not known");
            return Err(Fault::BadBlock { offset: 0, what });
        }
        let number = order.u32([header[20], header[21], header[22], header[23]]) & LINK_TYPE_MASK;
        let link = LinkType::from_number(number).map_err(Fault::UnsupportedLink)?;
        Ok(Some(Pcap { order, fraction_ns, link }))
    }

    #[inline(always)]
    pub(super) fn next<'a>(&mut self, input: &'a mut Input) -> Result<Option<CapturedFrame<'a>>, Fault> {
        let offset = input.offset();
        let Some(header) = input.peek::<PACKET_HEADER_LEN>()? else {
            return if input.at_end()? { Ok(None) } else { Err(truncated(offset)) };
        };
        // The order is asked for once, not for each word.
        let word = |at| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let words = [word(0), word(4), word(8), word(12)];
        let [seconds, fraction, captured, original] = match self.order {
            ByteOrder::Little => words,
            ByteOrder::Big => words.map(u32::swap_bytes),
        };
        let length = packet_length(captured, offset)?;
        let Some(record) = input.take(PACKET_HEADER_LEN + length)? else {
            return Err(truncated(offset));
        };
        Ok(Some(CapturedFrame {
            link: self.link,
            interface: 0,
            at: Nanos(u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.fraction_ns),
            data: &record[PACKET_HEADER_LEN..],
            wire_len: original.max(captured),
        }))
    }
}

#[cold]
fn truncated(offset: u64) -> Fault {
    Fault::Truncated { what: "packet", offset }
}
