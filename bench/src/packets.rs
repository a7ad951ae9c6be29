//! Parsed packets of many flows, for measuring the table by itself.

use std::hint::black_box;

use dataplane::wire::{self, Beside, LinkType, ParseOptions};
use flowtable::{Burst, MAX_BURST, Nanos, PortId, Writer, tcp_flag};

use crate::frames::{self, FRAME_LEN, PAYLOAD_LEN, Stamp};

/// Parses frames as a worker does, and throws away what they say.
#[derive(Debug)]
pub struct ParseAlone {
    options: ParseOptions,
    burst: Burst,
    beside: Beside,
}

impl Default for ParseAlone {
    fn default() -> ParseAlone {
        ParseAlone {
            options: ParseOptions::default(),
            burst: Burst::with_capacity(1),
            beside: Beside::default(),
        }
    }
}

impl ParseAlone {
    /// One frame, `wire_len` octets long on the wire.
    #[inline]
    pub fn frame(&mut self, link: LinkType, frame: &[u8], wire_len: u32) {
        let ParseAlone { options, burst, beside } = self;
        let (at, port) = (Nanos(1), PortId(0));
        if !wire::push_plain(link, frame, wire_len, at, port, options, burst) {
            let parsed = wire::parse(link, frame, wire_len, at, port, options, beside);
            let _ = black_box(&parsed);
        }
        black_box(&mut *burst).clear();
    }
}

/// Bursts of packets, parsed from stamped frames as they are asked for: kept parsed, a million of them would take more
/// memory than the table under test.
pub struct Packets {
    stamps: Vec<Stamp>,
    next: usize,
    /// Each flow's next segment in each round.
    sequence: u32,
    frame: [u8; FRAME_LEN],
    burst: Burst,
}

impl Packets {
    /// ACKs of established flows in random order, over and over.
    pub fn at_random(flows: u32) -> Packets {
        Packets::of(frames::at_random(flows))
    }

    /// ACKs of the flows' clients in the order of their numbers, over and over.
    pub fn in_order(flows: u32) -> Packets {
        Packets::of(frames::in_order(flows))
    }

    /// The same for the flows from number `first` on.
    pub fn in_order_from(first: u32, flows: u32) -> Packets {
        Packets::of((first..first + flows).map(Stamp::of_flow).collect())
    }

    fn of(stamps: Vec<Stamp>) -> Packets {
        let frame = frames::template(tcp_flag::ACK);
        Packets { stamps, next: 0, sequence: 0, frame, burst: Burst::with_capacity(MAX_BURST) }
    }

    /// The next [`MAX_BURST`] packets, all received at `at`.
    pub fn burst(&mut self, at: Nanos) -> &Burst {
        self.burst.clear();
        for _ in 0..MAX_BURST {
            self.stamps[self.next].press(self.sequence, &mut self.frame);
            self.next += 1;
            if self.next == self.stamps.len() {
                self.next = 0;
                self.sequence = self.sequence.wrapping_add(PAYLOAD_LEN);
            }
            let options = ParseOptions::default();
            let (link, frame, burst) = (LinkType::Ethernet, &self.frame, &mut self.burst);
            let plain = wire::push_plain(link, frame, 64, at, PortId(0), &options, burst);
            assert!(plain, "nothing but a TCP segment was stamped, and there is room for so many");
        }
        &self.burst
    }
}

/// Opens `flows` flows in the order of their numbers, as established ones.
pub fn open_all(writer: &mut Writer, flows: u32, at: Nanos) {
    let mut packets = Packets::in_order(flows);
    for _ in 0..(flows as usize).div_ceil(MAX_BURST) {
        writer.update(packets.burst(at));
    }
}
