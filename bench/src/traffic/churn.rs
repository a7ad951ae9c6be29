//! Flows that come and go at a rate of wall time, among flows that take turns: each new one takes the place of an old one.
//!
//! A new flow begins with SYN and SYN/ACK and is then one of those that take turns. Of the old ones seven in eight close
//! with FIN, FIN/ACK and ACK; the others fall silent until their idle timeout.

use std::collections::VecDeque;

use dataplane::clock::Stopwatch;
use dataplane::dpdk::{Burst, MAX_BURST};
use flowtable::tcp_flag;

use super::{OPENED_SEQUENCE, Traffic, each};
use crate::frames::{FLOWS_MAX, FRAME_LEN, PAYLOAD_LEN, Shape, Stamp};

/// Next sequence number of every server, and what every client acknowledges; what the template says.
const SERVER_SEQUENCE: u32 = 0x2000;
/// Packets of a burst that are kept for the flows that take turns.
const STEADY_LEAST: usize = 8;
/// One old flow in so many closes nothing and falls silent.
const SILENT_ONE_IN: u32 = 8;
/// Packets that open one flow and close another.
const PACKETS_A_FLOW: usize = 5;
/// Longest time between two bursts that new flows make up for: a thread that waited for its processor, and no pause.
const PAUSE_NS: u64 = 100_000_000;
/// New flows that may be late before the rate counts as missed.
const LATE_MAX: f64 = 100_000.0;
const NS_PER_SECOND: f64 = 1e9;

const TOTAL_LENGTH_AT: usize = 16;
const STAMP_AT: usize = 26;
/// IPv4 and TCP headers.
const BARE_LEN: u16 = 40;
#[expect(clippy::cast_possible_truncation, reason = "6")]
const DATA_LEN: u16 = BARE_LEN + PAYLOAD_LEN as u16;

/// The traffic.
#[derive(Debug)]
pub struct Churn {
    stamps: Vec<(Stamp, u32)>,
    next: usize,
    /// Sequence number of the packets of this round.
    sequence: u32,
    /// The place that gets a new flow next.
    renew_at: usize,
    /// Number of the next new flow.
    number: u32,
    /// Packets that open and close, to come before any others.
    waiting: VecDeque<Control>,
    flows_per_ns: f64,
    late: f64,
    held: bool,
    watch: Stopwatch,
    seen_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Control {
    stamp: Stamp,
    sequence: u32,
    acknowledgment: u32,
    flags: u8,
}

impl Churn {
    /// The flows numbered 0 to `flows`, which are open, taking turns in the order of `numbers`; `new_per_second` new ones.
    pub fn of(numbers: &[u32], new_per_second: u32) -> Churn {
        let stamps: Vec<_> = numbers.iter().map(|&number| (Stamp::of_flow(number), number)).collect();
        Churn {
            number: u32::try_from(stamps.len()).unwrap_or(FLOWS_MAX) % FLOWS_MAX,
            stamps,
            next: 0,
            sequence: OPENED_SEQUENCE,
            renew_at: 0,
            waiting: VecDeque::with_capacity(MAX_BURST),
            flows_per_ns: f64::from(new_per_second) / NS_PER_SECOND,
            late: 0.0,
            held: false,
            watch: Stopwatch::start(),
            seen_ns: 0,
        }
    }

    /// Lets the new flows of the time since the last burst begin, as far as `room` packets allow.
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "a tenth of a second at most")]
    fn renew(&mut self, room: usize) {
        let now = self.watch.elapsed_ns();
        let passed = (now - self.seen_ns).min(PAUSE_NS);
        self.seen_ns = now;
        if self.held {
            return;
        }
        self.late = (self.late + passed as f64 * self.flows_per_ns).min(LATE_MAX);
        while self.late >= 1.0 && self.waiting.len() + PACKETS_A_FLOW <= room {
            self.late -= 1.0;
            self.renew_one();
        }
    }

    fn renew_one(&mut self) {
        let at = self.renew_at;
        self.renew_at = if at + 1 == self.stamps.len() { 0 } else { at + 1 };
        let done = if at < self.next { PAYLOAD_LEN } else { 0 };
        let sequence = self.sequence.wrapping_add(done);
        let new = Stamp::of_flow(self.number);
        let (old, old_number) = std::mem::replace(&mut self.stamps[at], (new, self.number));
        self.number = (self.number + 1) % FLOWS_MAX;
        let mut say = |stamp, sequence, acknowledgment, flags| {
            self.waiting.push_back(Control { stamp, sequence, acknowledgment, flags });
        };
        say(new, sequence.wrapping_sub(1), 0, tcp_flag::SYN);
        say(new.reversed(), SERVER_SEQUENCE - 1, sequence, tcp_flag::SYN | tcp_flag::ACK);
        if !old_number.is_multiple_of(SILENT_ONE_IN) {
            let closing = tcp_flag::FIN | tcp_flag::ACK;
            let after = sequence.wrapping_add(1);
            say(old, sequence, SERVER_SEQUENCE, closing);
            say(old.reversed(), SERVER_SEQUENCE, after, closing);
            say(old, after, SERVER_SEQUENCE + 1, tcp_flag::ACK);
        }
    }

    /// The next packet of the flows that take turns.
    #[inline]
    fn segment(&mut self) -> Control {
        if self.next == self.stamps.len() {
            self.next = 0;
            self.sequence = self.sequence.wrapping_add(PAYLOAD_LEN);
        }
        let (stamp, _) = self.stamps[self.next];
        self.next += 1;
        Control { stamp, sequence: self.sequence, acknowledgment: SERVER_SEQUENCE, flags: tcp_flag::ACK }
    }
}

/// Writes `control` over the headers of a frame, as a bare segment or with six octets of data.
#[inline]
fn press(control: &Control, total_length: u16, frame: &mut [u8]) {
    let Some(frame) = frame.first_chunk_mut::<FRAME_LEN>() else { return };
    frame[TOTAL_LENGTH_AT..TOTAL_LENGTH_AT + 2].copy_from_slice(&total_length.to_be_bytes());
    frame[STAMP_AT..STAMP_AT + 12].copy_from_slice(control.stamp.octets());
    frame[STAMP_AT + 12..STAMP_AT + 16].copy_from_slice(&control.sequence.to_be_bytes());
    frame[STAMP_AT + 16..STAMP_AT + 20].copy_from_slice(&control.acknowledgment.to_be_bytes());
    frame[STAMP_AT + 21] = control.flags;
}

impl Traffic for Churn {
    type Place = (usize, u32);

    #[inline]
    fn press(&mut self, burst: &mut Burst) {
        self.renew(burst.len().saturating_sub(STEADY_LEAST));
        each(burst, |_, data| match self.waiting.pop_front() {
            Some(control) => press(&control, BARE_LEN, data),
            None => press(&self.segment(), DATA_LEN, data),
        });
    }

    #[inline]
    fn frame_len(&self, _index: usize) -> usize {
        FRAME_LEN
    }

    fn template(&self) -> Vec<u8> {
        Shape::Tcp.template(tcp_flag::ACK)
    }

    fn header_len(&self) -> usize {
        Shape::Tcp.header_len()
    }

    /// No flow comes or goes until it goes back.
    fn beside(&mut self) -> (usize, u32) {
        self.held = true;
        (self.next, self.sequence)
    }

    fn go_back(&mut self, (next, sequence): (usize, u32)) {
        (self.next, self.sequence) = (next, sequence);
        self.held = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_flow_goes_on_where_its_syn_left_off_and_old_ones_close_or_fall_silent() {
        let mut churn = Churn::of(&[7, 8, 9, 10], 1);
        let first = churn.segment();
        assert_eq!((first.stamp, first.sequence), (Stamp::of_flow(7), OPENED_SEQUENCE));
        churn.renew_one();
        churn.renew_one();
        let waiting: Vec<_> = churn.waiting.drain(..).collect();
        assert_eq!(waiting.len(), 5 + 2, "7 closes, 8 falls silent");
        let [syn, answer, fin, ..] = waiting[..] else { panic!() };
        assert_eq!((syn.stamp, syn.sequence), (Stamp::of_flow(4), OPENED_SEQUENCE + PAYLOAD_LEN - 1));
        assert_eq!(answer.acknowledgment, syn.sequence + 1);
        assert_eq!((fin.stamp, fin.sequence), (Stamp::of_flow(7), OPENED_SEQUENCE + PAYLOAD_LEN));
        assert_eq!(waiting[5].stamp, Stamp::of_flow(5));
        assert_eq!(waiting[5].sequence + 1, OPENED_SEQUENCE, "flow 8 had yet to come in this round");
        let second = churn.segment();
        assert_eq!((second.stamp, second.sequence), (Stamp::of_flow(5), waiting[5].sequence + 1));
        churn.segment();
        churn.segment();
        let next_round = churn.segment();
        assert_eq!((next_round.stamp, next_round.sequence), (Stamp::of_flow(4), syn.sequence + 1));
    }
}
