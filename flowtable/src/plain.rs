//! The next segment of an established TCP connection, and a datagram: nearly every packet of most links, counted in one step.
//! Gives `false`, having done nothing, for all else, which [`crate::flow`] sees to; what is done here is what would be done
//! there.

use crate::brief::Brief;
use crate::connection::Track;
use crate::flow::Followed;
use crate::packet::tcp_flag;
use crate::slot::{Hot, Meta};
use crate::sync::Ordering;

/// Counts the packet in the flow. Gives the number of packets the flow has now. Called inside an update.
#[inline(always)]
pub(crate) fn add(hot: &Hot, brief: &Brief) -> u64 {
    let side = brief.direction as usize;
    let packets = hot.packets[side].load(Ordering::Relaxed) + 1;
    hot.packets[side].store(packets, Ordering::Relaxed);
    hot.bytes[side]
        .store(hot.bytes[side].load(Ordering::Relaxed) + u64::from(brief.bytes), Ordering::Relaxed);
    // A packet stamped earlier than the one before it does not turn time back.
    let last_seen = hot.last_seen.load(Ordering::Relaxed).max(brief.at.0);
    hot.last_seen.store(last_seen, Ordering::Relaxed);
    packets + hot.packets[1 - side].load(Ordering::Relaxed)
}

/// A packet of another protocol than TCP, which says nothing of who began the conversation.
#[inline(always)]
pub(crate) fn datagram(hot: &Hot, brief: &Brief) {
    hot.version.update(|| {
        add(hot, brief);
    });
}

/// A segment in sequence, without any flag but ACK and PSH, that does not change the connection's state and repeats no
/// acknowledgment. All conditions are looked at together: most packets meet them all. `end_exchange` takes the exchange
/// that the segment ends, where exchanges are timed.
#[inline(always)]
pub(crate) fn segment(
    hot: &Hot,
    track: &Track,
    meta: Meta,
    brief: &Brief,
    followed: &Followed,
    end_exchange: impl FnOnce(),
) -> bool {
    let (segment, side) = (&brief.tcp, brief.direction as usize);
    let acknowledged = track.acknowledged[side].load(Ordering::Relaxed);
    let next_sequence = track.next_sequence[side].load(Ordering::Relaxed);
    let advance = segment.acknowledgment.wrapping_sub(acknowledged).cast_signed();
    let data = segment.payload > 0;
    let plain = (segment.flags & !tcp_flag::PSH == tcp_flag::ACK)
        & meta.is_steady(brief.direction)
        & (segment.sequence == next_sequence)
        & (advance.wrapping_add(i32::from(data)) > 0)
        & (segment.window != 0);
    if !plain {
        return false;
    }
    let update = hot.version.begin();
    // What is at hand from the conditions goes first, so that it need not be kept.
    let next = segment.sequence.wrapping_add(segment.payload);
    track.next_sequence[side].store(next, Ordering::Relaxed);
    track.acknowledged[side].store(segment.acknowledgment, Ordering::Relaxed);
    track.windows[side].store(segment.window, Ordering::Relaxed);
    if followed.exchanges && track.ask(data.into(), brief.direction, brief.at.0) != 0 {
        end_exchange();
    }
    let stamp = stamp(add(hot, brief));
    let [push, ack] = &track.common_flag_at;
    let pushed = push.load(Ordering::Relaxed);
    push.store(if segment.flags & tcp_flag::PSH != 0 { stamp } else { pushed }, Ordering::Relaxed);
    ack.store(stamp, Ordering::Relaxed);
    hot.version.end(update);
    true
}

/// The number of a packet in its flow as flags remember it: the low 32 bits, and never 0, which is kept for never.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what is kept")]
pub(crate) fn stamp(ordinal: u64) -> u32 {
    (ordinal as u32).max(1)
}
