//! The sequence numbers of a TCP connection: what is new, what was sent again, what came out of order, who asked and who
//! answered. All arithmetic is modulo 2^32 (RFC 9293 §3.4).
//!
//! A segment of octets that were seen before is a retransmission. One that fills a gap is out of order when it comes within a
//! round trip of the gap, else a retransmission of what was lost before the probe: a sender cannot know of a loss earlier.

use crate::connection::Marks;
use crate::details::{Block, Count, GAPS, Gap, Kind};
use crate::event::EventKind;
use crate::flow::Flow;
use crate::packet::{Packet, TcpSegment, tcp_flag};
use crate::sync::Ordering;
use crate::tcp::reaches;

/// Longest time within which segments pass each other, where no handshake told the round trip.
const REORDERING_NS: u64 = 3_000_000;
/// Times of gaps are kept in units of 2^10 ns.
const GAP_UNIT_BITS: u32 = 10;

/// Follows a segment, whose state and orientation have been seen to.
#[inline]
pub(crate) fn follow(flow: &mut Flow<'_>, packet: &Packet) {
    let segment = &packet.tcp;
    if segment.flags & tcp_flag::RST != 0 {
        return;
    }
    let way = packet.direction;
    let marks = flow.track.marks();
    let next = &flow.track.next_sequence[way as usize];
    let length = sequence_length(segment);
    if marks.has_by(Marks::SEQUENCE, way) && segment.sequence == next.load(Ordering::Relaxed) {
        if length > 0 {
            next.store(segment.sequence.wrapping_add(length), Ordering::Relaxed);
            if segment.payload > 0 {
                on_data(flow, packet);
            }
        }
    } else {
        on_odd_sequence(flow, packet, length);
    }
    if segment.flags & tcp_flag::ACK != 0 {
        on_acknowledgment(flow, packet);
    }
}

/// Octets a segment takes of the sequence: its payload, and one for SYN and FIN each.
#[inline]
pub(crate) fn sequence_length(segment: &TcpSegment) -> u32 {
    let syn = u32::from(segment.flags & tcp_flag::SYN != 0);
    let fin = u32::from(segment.flags & tcp_flag::FIN != 0);
    segment.payload.wrapping_add(syn).wrapping_add(fin)
}

/// New data: a request, or a response.
#[inline]
fn on_data(flow: &mut Flow<'_>, packet: &Packet) {
    // Until the handshake is complete the time of the SYN stands where that of the request will.
    if flow.followed.exchanges
        && !flow.meta().state().is_opening()
        && flow.track.ask(1, packet.direction, packet.at.0) != 0
    {
        flow.exchanges().end(packet.at.0);
    }
}

/// A segment that is not the next of its direction.
#[cold]
fn on_odd_sequence(flow: &mut Flow<'_>, packet: &Packet, length: u32) {
    let (segment, way) = (&packet.tcp, packet.direction);
    let (track, marks) = (flow.track, flow.track.marks());
    let word = &track.next_sequence[way as usize];
    let next = word.load(Ordering::Relaxed);
    let end = segment.sequence.wrapping_add(length);
    if !marks.has_by(Marks::SEQUENCE, way) {
        track.set_marks(marks.with(Marks::SEQUENCE << way as u16));
        word.store(end, Ordering::Relaxed);
        if segment.payload > 0 {
            on_data(flow, packet);
        }
        return;
    }
    if length == 0 {
        return;
    }
    if reaches(segment.sequence, next) {
        word.store(end, Ordering::Relaxed);
        if let Some(block) = flow.block(Kind::gaps(way)) {
            open_gap(block, next, segment.sequence, packet.at.0);
        }
        if segment.payload > 0 {
            on_data(flow, packet);
        }
        return;
    }
    // A keep-alive repeats the last octet, or none (RFC 9293 §3.8.4).
    let keeps_alive = length == 1 && segment.payload == 1 && end == next;
    if keeps_alive {
        return;
    }
    on_earlier_octets(flow, packet, end, next);
}

fn on_earlier_octets(flow: &mut Flow<'_>, packet: &Packet, end: u32, next: u32) {
    let (segment, way) = (&packet.tcp, packet.direction);
    let block = flow.own_block(Kind::gaps(way));
    let filled = block.and_then(|block| fill_gap(block, segment.sequence, end, packet.at.0));
    let out_of_order = filled.is_some_and(|open_ns| open_ns <= reordering_ns(flow));
    if reaches(end, next) {
        flow.track.next_sequence[way as usize].store(end, Ordering::Relaxed);
    }
    if out_of_order {
        flow.count(Count::OutOfOrder, way);
        flow.event(EventKind::TcpOutOfOrder, packet.at);
        if segment.payload > 0 {
            on_data(flow, packet);
        }
    } else {
        flow.count(Count::Retransmission, way);
        flow.event(EventKind::TcpRetransmission, packet.at);
    }
}

/// Within what time a segment that fills a gap cannot be a retransmission: the round trip of the handshake.
fn reordering_ns(flow: &Flow<'_>) -> u64 {
    let marks = flow.track.marks();
    if !(marks.has(Marks::SND) && marks.has(Marks::CND)) {
        return REORDERING_NS;
    }
    let [snd, cnd] = flow.conn.handshakes();
    snd + cnd
}

/// Remembers that `start..end` was passed over; with no room for it, the oldest gap is forgotten.
fn open_gap(block: &Block, start: u32, end: u32, at_ns: u64) {
    let gaps = block.gaps();
    let place = gaps.iter().position(|gap| gap.is_empty()).unwrap_or_else(|| {
        // Ages are told by the sequence: the one that ends earliest.
        let age = |(_, gap): &(usize, &Gap)| start.wrapping_sub(gap.end);
        gaps.iter().enumerate().max_by_key(age).map_or(0, |(place, _)| place)
    });
    block.put_gap(place, Gap { start, end, at: gap_time(at_ns) });
}

#[expect(clippy::cast_possible_truncation, reason = "compared modulo 2^32 only")]
fn gap_time(at_ns: u64) -> u32 {
    (at_ns >> GAP_UNIT_BITS) as u32
}

/// Takes `start..end` out of the gaps. Gives for how long the oldest of them was open, not more than it was and less by two
/// units at most; `None` where `start..end` lies in none.
fn fill_gap(block: &Block, start: u32, end: u32, now_ns: u64) -> Option<u64> {
    let mut oldest = None;
    for place in 0..GAPS {
        // Looked at anew each time: the rest of the one before may stand there.
        let gap = block.gaps()[place];
        let (from, to) = (gap.start, gap.end);
        let apart = reaches(start, to) || reaches(from, end);
        if from == to || apart {
            continue;
        }
        // A packet stamped earlier than the gap came at once.
        let open = gap_time(now_ns).wrapping_sub(gap.at).cast_signed().max(0);
        let open_ns = u64::from(open.unsigned_abs().saturating_sub(1)) << GAP_UNIT_BITS;
        oldest = oldest.max(Some(open_ns));
        let (before, after) = (!reaches(from, start), !reaches(end, to));
        match (before, after) {
            (true, true) => {
                block.put_gap(place, Gap { end: start, ..gap });
                keep_rest(block, Gap { start: end, ..gap });
            }
            (true, false) => block.put_gap(place, Gap { end: start, ..gap }),
            (false, true) => block.put_gap(place, Gap { start: end, ..gap }),
            (false, false) => block.put_gap(place, Gap { end: from, ..gap }),
        }
    }
    oldest
}

/// Keeps the rest of a gap that was filled in its middle, where there is room for it.
fn keep_rest(block: &Block, rest: Gap) {
    if let Some(place) = block.gaps().iter().position(|gap| gap.is_empty()) {
        block.put_gap(place, rest);
    }
}

/// A duplicate by RFC 5681 §2: nothing new but that a segment arrived, while data is on its way to its sender.
#[inline]
fn on_acknowledgment(flow: &mut Flow<'_>, packet: &Packet) {
    let (segment, way) = (&packet.tcp, packet.direction);
    let (track, marks) = (flow.track, flow.track.marks());
    let word = &track.acknowledged[way as usize];
    let before = word.load(Ordering::Relaxed);
    let window = track.windows[way as usize].load(Ordering::Relaxed);
    let plain = segment.flags & (tcp_flag::SYN | tcp_flag::FIN) == 0;
    if !marks.has_by(Marks::ACKED, way) {
        word.store(segment.acknowledgment, Ordering::Relaxed);
        track.set_marks(marks.with(Marks::ACKED << way as u16));
    } else if segment.acknowledgment != before {
        if reaches(segment.acknowledgment, before) {
            word.store(segment.acknowledgment, Ordering::Relaxed);
        }
    } else if segment.payload == 0 && plain && segment.window == window {
        let peer = way.flipped();
        let outstanding = marks.has_by(Marks::SEQUENCE, peer)
            && !reaches(before, track.next_sequence[peer as usize].load(Ordering::Relaxed));
        if outstanding {
            flow.count(Count::DuplicateAck, way);
        }
    }
    track.windows[way as usize].store(segment.window, Ordering::Relaxed);
    if segment.window == 0 && plain {
        flow.count(Count::ZeroWindow, way);
        flow.event(EventKind::TcpZeroWindow, packet.at);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gaps(block: &Block) -> Vec<(u32, u32)> {
        let mut gaps: Vec<_> = block.gaps().iter().map(|gap| (gap.start, gap.end)).collect();
        gaps.retain(|(start, end)| start != end);
        gaps.sort_unstable();
        gaps
    }

    #[test]
    fn a_gap_is_filled_from_either_side_and_in_its_middle() {
        let block = Block::default();
        open_gap(&block, 100, 200, 1);
        let fill_gap = |start, end| fill_gap(&block, start, end, 1).is_some();
        assert!(!fill_gap(50, 100) && !fill_gap(200, 210));
        assert!(fill_gap(90, 110));
        assert!(fill_gap(190, 205));
        assert!(fill_gap(140, 150));
        assert_eq!(gaps(&block), [(110, 140), (150, 190)]);
        assert!(fill_gap(100, 200));
        assert_eq!(gaps(&block), []);
    }

    #[test]
    fn gaps_wrap() {
        let block = Block::default();
        open_gap(&block, 0xffff_fff0, 0x10, 1);
        let fill_gap = |start, end| fill_gap(&block, start, end, 1).is_some();
        assert!(fill_gap(0xffff_fff8, 0x8));
        assert!(fill_gap(0x8, 0x10));
        assert!(!fill_gap(0x8, 0x10));
        assert_eq!(gaps(&block), [(0xffff_fff0, 0xffff_fff8)]);
    }

    #[test]
    fn with_no_room_the_oldest_gap_is_forgotten() {
        let block = Block::default();
        for gap in 0..5 {
            open_gap(&block, gap * 100, gap * 100 + 10, u64::from(gap));
        }
        assert_eq!(gaps(&block), [(100, 110), (200, 210), (300, 310), (400, 410)]);
    }

    #[test]
    fn a_segment_is_as_late_as_the_oldest_gap_it_fills() {
        const UNIT: u64 = 1 << GAP_UNIT_BITS;
        let block = Block::default();
        // Just before the units wrap.
        let at = (u64::from(u32::MAX) - 10) * UNIT;
        open_gap(&block, 100, 110, at);
        open_gap(&block, 120, 130, at + 300 * UNIT);
        assert_eq!(fill_gap(&block, 120, 125, at + 400 * UNIT), Some(99 * UNIT));
        assert_eq!(fill_gap(&block, 105, 130, at + 500 * UNIT), Some(499 * UNIT));
        assert_eq!(fill_gap(&block, 100, 105, at - 1), Some(0));
    }

    proptest! {
        /// Against a set of octets, anywhere in sequence space.
        #[test]
        fn what_fills_a_gap_is_told_once(
            base: u32, holes in prop::collection::vec((0u32..40, 1u32..20), 1..4),
            pieces in prop::collection::vec((0u32..120, 1u32..30), 1..6),
        ) {
            let block = Block::default();
            let mut missing = std::collections::BTreeSet::new();
            let mut at = 0;
            for (seen, lost) in holes {
                open_gap(&block, base.wrapping_add(at + seen), base.wrapping_add(at + seen + lost), 1);
                missing.extend(at + seen..at + seen + lost);
                at += seen + lost + 1;
            }
            for (start, length) in pieces {
                let expected = (start..start + length).any(|octet| missing.contains(&octet));
                // With all four gaps in use, the rest behind a piece in the middle is not kept.
                let full = gaps(&block).len() == 4;
                let (from, to) = (base.wrapping_add(start), base.wrapping_add(start + length));
                let filled = fill_gap(&block, from, to, 1).is_some();
                prop_assert!(filled == expected || full);
                if full { return Ok(()); }
                missing.retain(|octet| !(start..start + length).contains(octet));
            }
        }
    }
}
