//! The pcapng format (draft-ietf-opsawg-pcapng): blocks, in sections of their own byte order and interfaces.

use super::input::{BUFFER_LEN, Input};
use super::{ByteOrder, CapturedFrame, Fault, packet_length};
use crate::wire::LinkType;
use crate::wire::link::UnsupportedLink;
use flowtable::Nanos;

/// Block types; the first reads the same in either byte order.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// First word of a section header's body, in the byte order of the section.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Type and length before a block's body.
const BLOCK_HEADER_LEN: usize = 8;
/// The length again, behind it.
const BLOCK_TRAILER_LEN: usize = 4;

/// Interfaces in one section; each takes a few octets of memory.
const MAX_INTERFACES: usize = 65_536;

/// Options of an interface description.
const OPTION_END: u16 = 0;
const OPTION_TIME_RESOLUTION: u16 = 9;
const OPTION_TIME_OFFSET: u16 = 14;

/// What a section says of one of its interfaces.
struct Interface {
    link: Result<LinkType, UnsupportedLink>,
    /// Octets kept of a packet; 0 for all.
    snap_len: u32,
    resolution: Resolution,
    offset_ns: i64,
}

/// How long one unit of an interface's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// So many nanoseconds.
    Nanoseconds(u64),
    /// One so-manieth of a nanosecond.
    PerNanosecond(u64),
    /// 2 to the power of minus this, in seconds.
    Binary(u8),
}

impl Resolution {
    const MICROSECOND: Resolution = Resolution::Nanoseconds(1000);

    /// From the octet of the option: a power of ten, or of two where the highest bit is set.
    fn from_option(octet: u8) -> Resolution {
        match octet {
            0..=9 => Resolution::Nanoseconds(10_u64.pow(9 - u32::from(octet))),
            10..=28 => Resolution::PerNanosecond(10_u64.pow(u32::from(octet) - 9)),
            // 64 bits of such units do not make a nanosecond.
            29..=0x7f => Resolution::PerNanosecond(u64::MAX),
            0x80.. => Resolution::Binary(octet & 0x7f),
        }
    }

    #[inline]
    fn nanos(self, units: u64) -> u64 {
        match self {
            Resolution::Nanoseconds(ns) => units.saturating_mul(ns),
            Resolution::PerNanosecond(units_per_ns) => units / units_per_ns,
            Resolution::Binary(power) => {
                let ns = (u128::from(units) * 1_000_000_000) >> power;
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
        }
    }
}

/// A packet as its block describes it.
struct PacketBlock {
    interface: u32,
    /// `None` in a simple packet block.
    time: Option<u64>,
    captured: u32,
    original: u32,
    /// Where the data begins in the block.
    data_at: usize,
}

#[derive(Default)]
pub(super) struct Pcapng {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    last: Nanos,
}

impl Pcapng {
    #[inline]
    pub(super) fn next<'a>(&mut self, input: &'a mut Input) -> Result<Option<CapturedFrame<'a>>, Fault> {
        // Every round takes at least 12 octets off the file.
        let (offset, kind, length) = loop {
            let offset = input.offset();
            let Some(&header) = input.peek::<BLOCK_HEADER_LEN>()? else {
                let truncated = Fault::Truncated { what: "block", offset };
                return if input.at_end()? { Ok(None) } else { Err(truncated) };
            };
            let [kind, length] = self.block_header(header, input)?;
            if length < 12 || length % 4 != 0 {
                return Err(bad(offset, format!("a block of {length} octets")));
            }
            match kind {
                ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET => break (offset, kind, length),
                SECTION_HEADER => self.interfaces.clear(),
                INTERFACE_DESCRIPTION => {
                    let block = whole(input, offset, length)?;
                    let interface = Interface::parse(block, self.order, offset)?;
                    if self.interfaces.len() == MAX_INTERFACES {
                        return Err(bad(offset, format!("more than {MAX_INTERFACES} interfaces")));
                    }
                    self.interfaces.push(interface);
                    continue;
                }
                _ => {}
            }
            if !input.skip(u64::from(length))? {
                return Err(Fault::Truncated { what: "block", offset });
            }
        };
        let block = whole(input, offset, length)?;
        self.packet(kind, block, offset).map(Some)
    }

    /// Type and length of the block ahead; a section header sets the byte order first.
    #[inline]
    fn block_header(&mut self, header: [u8; BLOCK_HEADER_LEN], input: &mut Input) -> Result<[u32; 2], Fault> {
        let [k0, k1, k2, k3, length @ ..] = header;
        let kind = self.order.u32([k0, k1, k2, k3]);
        if kind == SECTION_HEADER {
            let offset = input.offset();
            let Some(&section) = input.peek::<12>()? else {
                return Err(Fault::Truncated { what: "section header", offset });
            };
            let magic = [section[8], section[9], section[10], section[11]];
            self.order = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
                (BYTE_ORDER_MAGIC, _) => ByteOrder::Little,
                (_, BYTE_ORDER_MAGIC) => ByteOrder::Big,
                _ => return Err(bad(offset, "a section header without a byte order".into())),
            };
        }
        Ok([kind, self.order.u32(length)])
    }

    #[inline]
    fn packet<'a>(&mut self, kind: u32, block: &'a [u8], offset: u64) -> Result<CapturedFrame<'a>, Fault> {
        let truncated = || bad(offset, "a packet block too short for its fields".into());
        let header = self.packet_header(kind, block).ok_or_else(truncated)?;
        let Some(interface) = self.interfaces.get(header.interface as usize) else {
            let what = format!("a packet of interface {}, which is not described", header.interface);
            return Err(bad(offset, what));
        };
        let link = interface.link.map_err(Fault::UnsupportedLink)?;
        let length = packet_length(header.captured, offset)?;
        let body_end = block.len() - BLOCK_TRAILER_LEN;
        let data = block[..body_end].get(header.data_at..header.data_at + length);
        let data = data.ok_or_else(|| bad(offset, "a packet longer than its block".into()))?;
        if let Some(time) = header.time {
            self.last = Nanos(interface.resolution.nanos(time).saturating_add_signed(interface.offset_ns));
        }
        Ok(CapturedFrame {
            link,
            interface: header.interface,
            at: self.last,
            data,
            wire_len: header.original.max(header.captured),
        })
    }

    /// The fields before the data; `None` where the block is too short for them.
    #[inline]
    fn packet_header(&self, kind: u32, block: &[u8]) -> Option<PacketBlock> {
        let order = self.order;
        let (words, _) = block.as_chunks::<4>();
        match kind {
            SIMPLE_PACKET => {
                let &[_, _, original, ..] = words else { return None };
                let original = order.u32(original);
                let room = u32::try_from(block.len().checked_sub(16)?).ok()?;
                let snap_len = self.interfaces.first().map_or(0, |first| first.snap_len);
                let kept = if snap_len == 0 { original } else { original.min(snap_len) };
                Some(PacketBlock {
                    interface: 0,
                    time: None,
                    captured: kept.min(room),
                    original,
                    data_at: 12,
                })
            }
            _ => {
                let &[_, _, interface, high, low, captured, original, _, ..] = words else { return None };
                // The obsolete block has a count of drops in the second half of the word.
                let interface = match kind {
                    OBSOLETE_PACKET => u32::from(order.u16([interface[0], interface[1]])),
                    _ => order.u32(interface),
                };
                Some(PacketBlock {
                    interface,
                    time: Some(u64::from(order.u32(high)) << 32 | u64::from(order.u32(low))),
                    captured: order.u32(captured),
                    original: order.u32(original),
                    data_at: 28,
                })
            }
        }
    }
}

impl Interface {
    fn parse(block: &[u8], order: ByteOrder, offset: u64) -> Result<Interface, Fault> {
        let body = &block[BLOCK_HEADER_LEN..block.len() - BLOCK_TRAILER_LEN];
        let Some((&[l0, l1, _, _, s0, s1, s2, s3], mut options)) = body.split_first_chunk() else {
            return Err(bad(offset, "an interface description too short for its fields".into()));
        };
        let mut interface = Interface {
            link: LinkType::from_number(u32::from(order.u16([l0, l1]))),
            snap_len: order.u32([s0, s1, s2, s3]),
            resolution: Resolution::MICROSECOND,
            offset_ns: 0,
        };
        // Every round takes at least four octets off the block.
        while let Some((&[c0, c1, n0, n1], rest)) = options.split_first_chunk() {
            let length = usize::from(order.u16([n0, n1]));
            let Some(value) = rest.get(..length) else {
                return Err(bad(offset, "an interface option longer than its block".into()));
            };
            match (order.u16([c0, c1]), value) {
                (OPTION_END, _) => break,
                (OPTION_TIME_RESOLUTION, &[octet]) => interface.resolution = Resolution::from_option(octet),
                (OPTION_TIME_OFFSET, value) if value.len() == 8 => {
                    interface.offset_ns = seconds(order, value).saturating_mul(1_000_000_000);
                }
                _ => {}
            }
            options = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        }
        Ok(interface)
    }
}

/// A signed 64-bit number of seconds; 0 where `value` is not eight octets long.
fn seconds(order: ByteOrder, value: &[u8]) -> i64 {
    let Some(&bytes) = value.first_chunk() else { return 0 };
    match order {
        ByteOrder::Little => i64::from_le_bytes(bytes),
        ByteOrder::Big => i64::from_be_bytes(bytes),
    }
}

/// The block of `length` octets ahead, in one piece.
#[inline]
fn whole(input: &mut Input, offset: u64, length: u32) -> Result<&[u8], Fault> {
    let length = length as usize;
    if length > BUFFER_LEN {
        return Err(bad(offset, format!("a block of {length} octets")));
    }
    let block = input.take(length)?.ok_or(Fault::Truncated { what: "block", offset })?;
    // The length stands at the end again, so that a file can be read backwards.
    if block[4..8] != block[length - BLOCK_TRAILER_LEN..] {
        return Err(bad(offset, "a block whose two lengths differ".into()));
    }
    Ok(block)
}

#[cold]
fn bad(offset: u64, what: String) -> Fault {
    Fault::BadBlock { offset, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resolution_gives_nanoseconds() {
        assert_eq!(Resolution::from_option(6), Resolution::MICROSECOND);
        assert_eq!(Resolution::from_option(0).nanos(3), 3_000_000_000);
        assert_eq!(Resolution::from_option(9).nanos(3), 3);
        assert_eq!(Resolution::from_option(12).nanos(3999), 3);
        assert_eq!(Resolution::from_option(0x7f).nanos(u64::MAX - 1), 0);
        assert_eq!(Resolution::from_option(0x80 | 1).nanos(3), 1_500_000_000);
        assert_eq!(Resolution::from_option(0x80 | 20).nanos(1 << 21), 2_000_000_000);
        assert_eq!(Resolution::from_option(0xff).nanos(u64::MAX), 0);
        assert_eq!(Resolution::from_option(0).nanos(u64::MAX), u64::MAX);
    }
}
