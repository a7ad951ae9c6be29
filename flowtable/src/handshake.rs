//! How long a TCP handshake takes on either side of the probe. Seen from the probe alone; clamped at 0.
//!
//! snd runs from the last SYN before the first SYN/ACK to that SYN/ACK, cnd from the last SYN/ACK before the initiator's first
//! answer to that answer. A handshake of which a part is sent again and answered again gives further samples, for the jitter.

use crate::connection::{CND, HANDSHAKE_MAX_NS, Marks, SND};
use crate::details::{Block, Kind, Rounds};
use crate::flow::Flow;
use crate::packet::{Packet, tcp_flag};
use crate::sync::Ordering;
use crate::tcp::reaches;
use crate::timing::next_jitter;

/// Places of a time above the 48 bits of it that the slot keeps while a SYN/ACK waits for its answer.
const ANSWERED_SHIFT: u32 = 16;

/// Follows a SYN or a SYN/ACK. The flow's orientation must stand.
pub(crate) fn on_syn(flow: &mut Flow<'_>, packet: &Packet) {
    let by_initiator = packet.direction == flow.meta().initiator_direction();
    match (packet.tcp.flags & tcp_flag::ACK != 0, by_initiator) {
        (false, true) => called(flow, packet),
        (true, false) => answered(flow, packet),
        // A responder's SYN (simultaneous open), or an initiator's SYN/ACK, begins nothing that is measured.
        _ => {}
    }
}

fn called(flow: &mut Flow<'_>, packet: &Packet) {
    let marks = flow.track.marks();
    if !marks.has(Marks::SND) && flow.meta().state().is_opening() {
        flow.track.asked_at.store(packet.at.0, Ordering::Relaxed);
        flow.track.set_marks(marks.with(Marks::CALLING));
    } else if marks.has(Marks::SND)
        && let Some(block) = flow.block(Kind::ROUNDS)
    {
        begin_round(block, SND, packet.at.0);
    }
}

fn answered(flow: &mut Flow<'_>, packet: &Packet) {
    let (track, conn) = (flow.track, flow.conn);
    let mut marks = track.marks();
    let called = marks.has(Marks::CALLING) && !is_late(flow);
    marks = marks.without(Marks::CALLING);
    if called {
        let snd = packet.at.0.saturating_sub(track.asked_at.load(Ordering::Relaxed));
        conn.set_handshake(SND, snd.min(HANDSHAKE_MAX_NS));
        marks = marks.with(Marks::SND);
    } else if let Some(block) = flow.own_block(Kind::ROUNDS).filter(|_| marks.has(Marks::SND)) {
        end_round(block, SND, packet.at.0, conn.handshake(SND));
    }
    if !marks.has(Marks::CND) {
        if flow.meta().state().is_opening() {
            conn.set_handshake(CND, packet.at.0);
            marks = marks.with(Marks::ANSWERED);
        }
    } else if let Some(block) = flow.block(Kind::ROUNDS) {
        begin_round(block, CND, packet.at.0);
        marks = marks.with(Marks::ANSWERED);
    }
    track.set_marks(marks);
}

/// Whether the initiator went on before the SYN/ACK came: the time of its SYN may be gone.
fn is_late(flow: &Flow<'_>) -> bool {
    let meta = flow.meta();
    let initiator = meta.initiator_direction() as usize;
    let next = flow.track.next_sequence[initiator].load(Ordering::Relaxed);
    let initial = flow.cold.initial_sequence[initiator].load(Ordering::Relaxed);
    !meta.state().is_opening() && next != initial.wrapping_add(1)
}

/// Follows a segment without SYN and RST while a SYN/ACK waits for its answer.
#[cold]
pub(crate) fn on_ack(flow: &mut Flow<'_>, packet: &Packet) {
    let initiator = flow.meta().initiator_direction();
    let begun = flow.cold.initial_sequence[initiator.flipped() as usize].load(Ordering::Relaxed);
    let answers = packet.tcp.flags & tcp_flag::ACK != 0
        && packet.direction == initiator
        && reaches(packet.tcp.acknowledgment, begun.wrapping_add(1));
    if !answers {
        return;
    }
    let (track, conn) = (flow.track, flow.conn);
    let marks = track.marks().without(Marks::ANSWERED);
    if !marks.has(Marks::CND) {
        conn.set_handshake(CND, since_answered(packet.at.0, conn.handshake(CND)));
    } else if let Some(block) = flow.own_block(Kind::ROUNDS) {
        end_round(block, CND, packet.at.0, conn.handshake(CND));
    }
    track.set_marks(marks.with(Marks::CND));
}

/// From `answered_at`, of which the lower 48 bits are known, to `at_ns`: up to 39 hours, and 0 where that is the earlier one.
fn since_answered(at_ns: u64, answered_at: u64) -> u64 {
    let apart = at_ns.wrapping_sub(answered_at) << ANSWERED_SHIFT;
    (apart.cast_signed() >> ANSWERED_SHIFT).max(0).unsigned_abs()
}

fn begin_round(block: &Block, part: usize, at_ns: u64) {
    block.put_rounds(part, Rounds { begun_at: at_ns, ..block.rounds(part) });
}

/// Takes the sample of a later round of a part, whose first was `first_ns`.
fn end_round(block: &Block, part: usize, at_ns: u64, first_ns: u64) {
    let rounds = block.rounds(part);
    if rounds.begun_at == 0 {
        return;
    }
    let sample = at_ns.saturating_sub(rounds.begun_at);
    let before = if rounds.samples == 0 { first_ns } else { rounds.sample };
    let jitter = next_jitter(rounds.jitter, sample, before);
    block.put_rounds(part, Rounds { begun_at: 0, sample, jitter, samples: rounds.samples.saturating_add(1) });
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_answer_is_timed_by_the_lower_bits_of_its_beginning(at: u64, ns in 0u64..1 << 47) {
            let begun = at.wrapping_sub(ns);
            prop_assert_eq!(since_answered(at, begun & HANDSHAKE_MAX_NS), ns);
            prop_assert_eq!(since_answered(begun, at & HANDSHAKE_MAX_NS), 0);
        }
    }
}
