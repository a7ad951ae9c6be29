//! A capture of many short connections, written as a pcap file: what a replay and its peers read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flowtable::tcp_flag;

use crate::frames::{self, FRAME_LEN, PAYLOAD_LEN, Stamp};

/// Connections.
pub const FLOWS: u32 = 200_000;
/// Packets of each: handshake, fourteen segments, close.
pub const PACKETS_A_FLOW: u32 = 20;
/// Packets of the file.
pub const PACKETS: u32 = FLOWS * PACKETS_A_FLOW;

/// A connection begins so often, and its next packet comes so many beginnings later: 0.2 s, and 40 s the whole file.
const BEGINNING_NS: u64 = 200_000;
const STEP: u32 = 1_000;
/// 2024-09-24, in seconds since 1970.
const FIRST_SECOND: u64 = 1_727_152_020;
const NS_PER_SECOND: u64 = 1_000_000_000;
const FRAME_LEN_U32: u32 = 60;
const _: () = assert!(FRAME_LEN_U32 as usize == FRAME_LEN);

const TOTAL_LENGTH_AT: usize = 16;
const CHECKSUM_AT: usize = 24;
const ACKNOWLEDGMENT_AT: usize = 42;
const FLAGS_AT: usize = 47;
const BARE_LEN: u16 = 40;
#[expect(clippy::cast_possible_truncation, reason = "6")]
const DATA_LEN: u16 = BARE_LEN + PAYLOAD_LEN as u16;
const INITIAL: [u32; 2] = [1_000, 9_000];

/// Who says what, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    /// 0 for the client, 1 for the server.
    side: usize,
    flags: u8,
    data: bool,
}

/// A request, a response of two segments and an acknowledgment, over and over between handshake and close.
fn said(packet: u32) -> Said {
    let (client, server, ack) = (0, 1, tcp_flag::ACK);
    let says = |side, flags, data| Said { side, flags, data };
    match packet {
        0 => says(client, tcp_flag::SYN, false),
        1 => says(server, tcp_flag::SYN | ack, false),
        2 | 19 => says(client, ack, false),
        17 => says(client, tcp_flag::FIN | ack, false),
        18 => says(server, tcp_flag::FIN | ack, false),
        _ => match packet % 4 {
            3 => says(client, ack | tcp_flag::PSH, true),
            0 | 1 => says(server, ack | tcp_flag::PSH, true),
            _ => says(client, ack, false),
        },
    }
}

/// Writes the file.
///
/// # Errors
/// Where there is no room.
pub fn write(path: &Path) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    // pcap with nanoseconds, version 2.4, whole frames, Ethernet.
    for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 0xffff, 1u32] {
        file.write_all(&word.to_le_bytes())?;
    }
    let frames: Vec<Framed> = frames_of_a_connection();
    let mut number = 0u64;
    for beginning in 0..FLOWS + STEP * (PACKETS_A_FLOW - 1) {
        for (framed, packet) in frames.iter().zip(0..PACKETS_A_FLOW) {
            let Some(flow) = beginning.checked_sub(packet * STEP).filter(|&flow| flow < FLOWS) else {
                continue;
            };
            let at = u64::from(beginning) * BEGINNING_NS + u64::from(packet) * 1_000;
            record(&mut file, at, &framed.of(Stamp::of_flow(flow)))?;
            number += 1;
        }
    }
    debug_assert_eq!(number, u64::from(PACKETS));
    file.flush()
}

fn record(file: &mut impl Write, at_ns: u64, frame: &[u8; FRAME_LEN]) -> io::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "seconds until 2106, and a fraction of one")]
    let words = [
        (FIRST_SECOND + at_ns / NS_PER_SECOND) as u32,
        (at_ns % NS_PER_SECOND) as u32,
        FRAME_LEN_U32,
        FRAME_LEN_U32,
    ];
    for word in words {
        file.write_all(&word.to_le_bytes())?;
    }
    file.write_all(frame)
}

/// A packet of every connection, but for whose it is.
struct Framed {
    frame: [u8; FRAME_LEN],
    side: usize,
    sequence: u32,
}

impl Framed {
    fn of(&self, stamp: Stamp) -> [u8; FRAME_LEN] {
        let mut frame = self.frame;
        let stamp = if self.side == 0 { stamp } else { stamp.reversed() };
        stamp.press(self.sequence, &mut frame);
        let checksum = checksum(&frame[14..34]);
        frame[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&checksum.to_be_bytes());
        frame
    }
}

fn frames_of_a_connection() -> Vec<Framed> {
    let mut next = INITIAL;
    (0..PACKETS_A_FLOW)
        .map(|packet| {
            let Said { side, flags, data } = said(packet);
            let mut frame = frames::template(flags);
            let length = if data { DATA_LEN } else { BARE_LEN };
            frame[TOTAL_LENGTH_AT..TOTAL_LENGTH_AT + 2].copy_from_slice(&length.to_be_bytes());
            let acknowledged = if packet == 0 { 0 } else { next[1 - side] };
            frame[ACKNOWLEDGMENT_AT..ACKNOWLEDGMENT_AT + 4].copy_from_slice(&acknowledged.to_be_bytes());
            debug_assert_eq!(frame[FLAGS_AT], flags);
            let sequence = next[side];
            let counts = flags & (tcp_flag::SYN | tcp_flag::FIN) != 0;
            next[side] += u32::from(counts) + if data { PAYLOAD_LEN } else { 0 };
            Framed { frame, side, sequence }
        })
        .collect()
}

/// The checksum of an IPv4 header whose checksum field is 0, RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header
        .chunks_exact(2)
        .enumerate()
        .filter(|(at, _)| *at != 5)
        .map(|(_, word)| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    #[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits")]
    let folded = (folded + (folded >> 16)) as u16;
    !folded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071 §3 and a header known to be sound: 4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7.
    #[test]
    fn the_checksum_is_that_of_the_internet() {
        let header =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(checksum(&header), 0xb861);
    }

    /// By hand: three of the handshake, then from packet 3 on request, two of a response and an acknowledgment, three times
    /// and a half, and three of the close.
    #[test]
    fn a_connection_is_a_handshake_exchanges_and_a_close() {
        let sides: Vec<usize> = (0..PACKETS_A_FLOW).map(|packet| said(packet).side).collect();
        assert_eq!(sides, [0, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0]);
        let frames = frames_of_a_connection();
        let last = &frames[19];
        // SYN and FIN, and four requests or seven segments of responses of six octets.
        assert_eq!(last.sequence, INITIAL[0] + 1 + 4 * 6 + 1);
        assert_eq!(last.frame[42..46], (INITIAL[1] + 1 + 7 * 6 + 1).to_be_bytes());
    }
}
