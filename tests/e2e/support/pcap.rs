//! Capture files taken apart and put together: microsecond pcap files of Ethernet frames, little-endian.

use std::fs;
use std::path::Path;

const FILE_HEADER: usize = 24;
const PACKET_HEADER: usize = 16;
const MAGIC: u32 = 0xa1b2_c3d4;
const ETHERNET: u32 = 1;

/// A file's header and its packets, each with its own header.
#[derive(Clone)]
pub(crate) struct Pcap {
    header: Vec<u8>,
    pub(crate) packets: Vec<Vec<u8>>,
}

impl Pcap {
    /// `None` where the file is not of the plain sort or is cut.
    pub(crate) fn read(path: &Path) -> Option<Pcap> {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (header, mut rest) = bytes.split_at_checked(FILE_HEADER)?;
        if word(header, 0)? != MAGIC || word(header, 20)? != ETHERNET {
            return None;
        }
        let mut packets = Vec::new();
        while !rest.is_empty() {
            let length = PACKET_HEADER + usize::try_from(word(rest, 8)?).ok()?;
            let (packet, after) = rest.split_at_checked(length)?;
            packets.push(packet.to_vec());
            rest = after;
        }
        Some(Pcap { header: header.to_vec(), packets })
    }

    /// A file of `frames`, one each millisecond.
    pub(crate) fn of_frames(frames: &[Vec<u8>]) -> Pcap {
        let header = [MAGIC, 0x0004_0002, 0, 0, 65_535, ETHERNET].map(u32::to_le_bytes).concat();
        let packet = |(number, frame): (u32, &Vec<u8>)| {
            let length = u32::try_from(frame.len()).expect("a frame is short");
            [&[1, number * 1_000, length, length].map(u32::to_le_bytes).concat()[..], frame].concat()
        };
        Pcap { header, packets: (0..).zip(frames).map(packet).collect() }
    }

    pub(crate) fn write(&self, path: &Path) {
        let mut bytes = self.header.clone();
        self.packets.iter().for_each(|packet| bytes.extend_from_slice(packet));
        fs::write(path, bytes).expect("the folder is ours");
    }

    /// The same file as on a link of another type.
    pub(crate) fn on_link(mut self, link: u32) -> Pcap {
        self.header[20..24].copy_from_slice(&link.to_le_bytes());
        self
    }

    /// Whether no packet is stamped before the one ahead of it.
    pub(crate) fn is_in_order(&self) -> bool {
        self.packets.is_sorted_by_key(|packet| time(packet))
    }

    /// Puts the packets in the order of their times; those of one time stay as they are.
    pub(crate) fn sort(&mut self) {
        self.packets.sort_by_key(|packet| time(packet));
    }

    /// The longest frame.
    pub(crate) fn longest(&self) -> usize {
        self.packets.iter().map(|packet| packet.len() - PACKET_HEADER).max().unwrap_or(0)
    }
}

/// What the two wires of a TAP would see: packets whose source is below their destination, and the others.
pub(crate) fn by_direction(whole: &Pcap) -> (Pcap, Pcap) {
    let empty = || Pcap { header: whole.header.clone(), packets: Vec::new() };
    let (mut there, mut back) = (empty(), empty());
    for packet in &whole.packets {
        let wire = if goes_up(&packet[PACKET_HEADER..]) { &mut there } else { &mut back };
        wire.packets.push(packet.clone());
    }
    (there, back)
}

/// Whether the source address is below the destination; of what is neither IPv4 nor IPv6, always.
fn goes_up(frame: &[u8]) -> bool {
    let type_and_addresses = match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(26..34),
        Some([0x86, 0xdd]) => frame.get(22..54),
        _ => None,
    };
    type_and_addresses.is_none_or(|both| {
        let (source, destination) = both.split_at(both.len() / 2);
        source < destination
    })
}

/// Seconds and microseconds.
fn time(packet: &[u8]) -> (Option<u32>, Option<u32>) {
    (word(packet, 0), word(packet, 4))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
