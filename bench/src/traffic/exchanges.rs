//! Requests and responses: connections whose directions take turns, one to ten segments at a time, with acknowledgments.
//! The packets of all connections are mixed at random. The same as datagrams of the same sizes, for comparison.

use dataplane::dpdk::{Burst, MAX_BURST};
use flowtable::tcp_flag;

use super::list::{List, Place};
use super::{OPENED_SEQUENCE, Traffic, each};
use crate::frames::{FRAME_LEN, Shape, Stamp};
use crate::random::Random;

/// Connections.
pub const FLOWS: u32 = 64_000;
/// Segments of the four requests and responses of a round; a connection has them in an order of its own.
const REQUESTS: [u32; 4] = [1, 1, 2, 4];
const RESPONSES: [u32; 4] = [1, 3, 6, 10];
/// Octets of data in a segment: those of an Ethernet frame with TCP timestamps.
const SEGMENT: u32 = 1_448;
/// Segments that are acknowledged together, RFC 9293 §3.8.6.3.
const ACKED_TOGETHER: u32 = 2;
const SERVER_SEQUENCE: u32 = 0x2000;
const HEADERS_LEN: u16 = 54;
const ETHERNET_LEN: u16 = 14;
const IP_LEN: u16 = 20;
const TOTAL_LENGTH_AT: usize = 16;
const STAMP_AT: usize = 26;

/// The traffic.
#[derive(Clone, Debug)]
pub struct Exchanges {
    list: List<Segment>,
    datagrams: bool,
    /// Of the burst pressed last.
    lengths: [u16; MAX_BURST],
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    stamp: Stamp,
    /// In the first round.
    sequence: u32,
    acknowledgment: u32,
    payload: u16,
    side: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Exchanges {
    /// Connections numbered 0 to [`FLOWS`], which are open, as segments of TCP.
    pub fn segments() -> Exchanges {
        let mut random = Random(u64::from(FLOWS));
        let scripts: Vec<Vec<Segment>> =
            (0..FLOWS).map(|number| script(Stamp::of_flow(number), &mut random)).collect();
        let mut order: Vec<u32> = (0..FLOWS)
            .flat_map(|number| std::iter::repeat_n(number, scripts[number as usize].len()))
            .collect();
        random.shuffle(&mut order);
        let mut next = vec![0; scripts.len()];
        let packets: Vec<Segment> = order
            .iter()
            .map(|&number| {
                let at = &mut next[number as usize];
                *at += 1;
                scripts[number as usize][*at - 1]
            })
            .collect();
        debug_assert!(packets.len().is_multiple_of(MAX_BURST));
        Exchanges { list: List::of(packets), datagrams: false, lengths: [0; MAX_BURST] }
    }

    /// The same packets as datagrams of UDP, of the same lengths.
    #[must_use]
    pub fn as_datagrams(&self) -> Exchanges {
        Exchanges { datagrams: true, ..self.clone() }
    }
}

/// The packets of a connection in one round.
fn script(stamp: Stamp, random: &mut Random) -> Vec<Segment> {
    let (mut requests, mut responses) = (REQUESTS, RESPONSES);
    random.shuffle(&mut requests);
    random.shuffle(&mut responses);
    let mut next = [OPENED_SEQUENCE, SERVER_SEQUENCE];
    let mut packets = Vec::new();
    for (request, response) in requests.into_iter().zip(responses) {
        turn(Side::Client, request, &mut next, stamp, &mut packets);
        turn(Side::Server, response, &mut next, stamp, &mut packets);
    }
    packets
}

/// `count` segments of `from`, acknowledged; the last one of a request is acknowledged by the response.
fn turn(from: Side, count: u32, next: &mut [u32; 2], stamp: Stamp, packets: &mut Vec<Segment>) {
    let mut say = |side: Side, payload: u32, next: &mut [u32; 2]| {
        let (own, peer) = if side == Side::Client { (0, 1) } else { (1, 0) };
        packets.push(Segment {
            stamp: if side == Side::Client { stamp } else { stamp.reversed() },
            sequence: next[own],
            acknowledgment: next[peer],
            payload: u16::try_from(payload).expect("a segment fits a frame"),
            side,
        });
        next[own] = next[own].wrapping_add(payload);
    };
    let to = if from == Side::Client { Side::Server } else { Side::Client };
    for sent in 1..=count {
        say(from, SEGMENT, next);
        let last = sent == count;
        if (sent.is_multiple_of(ACKED_TOGETHER) && !last) || (last && from == Side::Server) {
            say(to, 0, next);
        }
    }
}

impl Segment {
    /// Writes it over the headers of a frame, as it is in round `round`. Gives the frame's length.
    #[inline]
    fn write(&self, datagram: bool, round: u32, frame: &mut [u8]) -> u16 {
        let length = HEADERS_LEN + self.payload;
        let Some(frame) = frame.first_chunk_mut::<FRAME_LEN>() else { return 0 };
        frame[TOTAL_LENGTH_AT..TOTAL_LENGTH_AT + 2].copy_from_slice(&(length - ETHERNET_LEN).to_be_bytes());
        frame[STAMP_AT..STAMP_AT + 12].copy_from_slice(self.stamp.octets());
        let transport = &mut frame[STAMP_AT + 12..STAMP_AT + 20];
        if datagram {
            transport[..2].copy_from_slice(&(length - ETHERNET_LEN - IP_LEN).to_be_bytes());
            return length;
        }
        let advance = |segments: [u32; 4]| segments.iter().sum::<u32>() * SEGMENT;
        let (own, peer) = match self.side {
            Side::Client => (advance(REQUESTS), advance(RESPONSES)),
            Side::Server => (advance(RESPONSES), advance(REQUESTS)),
        };
        let sequence = self.sequence.wrapping_add(round.wrapping_mul(own));
        let acknowledgment = self.acknowledgment.wrapping_add(round.wrapping_mul(peer));
        transport[..4].copy_from_slice(&sequence.to_be_bytes());
        transport[4..].copy_from_slice(&acknowledgment.to_be_bytes());
        length
    }
}

impl Traffic for Exchanges {
    type Place = Place;

    #[inline]
    fn press(&mut self, burst: &mut Burst) {
        let Exchanges { list, datagrams, lengths } = self;
        let (packets, round) = list.next(burst.len());
        each(burst, |index, data| {
            if let Some(packet) = packets.get(index) {
                lengths[index % MAX_BURST] = packet.write(*datagrams, round, data);
            }
        });
    }

    #[inline]
    fn frame_len(&self, index: usize) -> usize {
        usize::from(self.lengths[index % MAX_BURST])
    }

    fn template(&self) -> Vec<u8> {
        if self.datagrams { Shape::Udp.template(0) } else { Shape::Tcp.template(tcp_flag::ACK) }
    }

    fn header_len(&self) -> usize {
        if self.datagrams { Shape::Udp.header_len() } else { Shape::Tcp.header_len() }
    }

    fn beside(&mut self) -> Place {
        self.list.place()
    }

    fn go_back(&mut self, place: Place) {
        self.list.go_back(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 8 segments of requests, of which the one of four is acknowledged once before its end; 20 of responses,
    /// acknowledged 1 + 2 + 3 + 5 times.
    #[test]
    fn each_connection_has_its_exchanges_acknowledged_and_in_sequence() {
        let packets = script(Stamp::of_flow(9), &mut Random(1));
        assert_eq!(packets.len(), 8 + 1 + 20 + 11);
        let mut next = [OPENED_SEQUENCE, SERVER_SEQUENCE];
        for packet in &packets {
            let (own, peer) = if packet.side == Side::Client { (0, 1) } else { (1, 0) };
            assert_eq!((packet.sequence, packet.acknowledgment), (next[own], next[peer]));
            next[own] += u32::from(packet.payload);
        }
        assert_eq!(next, [OPENED_SEQUENCE + 8 * SEGMENT, SERVER_SEQUENCE + 20 * SEGMENT]);
    }
}
