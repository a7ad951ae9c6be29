//! What is already exported of each flow, and the record that what is new makes. The Sweeper's own.

use crate::connection::{CND, Marks, SND};
use crate::details::{COUNTS, DetailsCopy};
use crate::event::NetworkError;
use crate::key::{Direction, protocol};
use crate::record::{Counters, EndReason, FlowRecord, Initiator, TcpCounts, TcpRecord, Timing};
use crate::slot::{Meta, Snapshot};
use crate::sweeper::Last;
use crate::tcp::TcpState;
use crate::time::Nanos;
use crate::timing::{exchange_timings, mean_ns, whole_ns};
use crate::tunnel::Tunnel;

pub(crate) const NANOS_PER_MILLI: u64 = 1_000_000;

/// What is already exported of the flow in a slot, as much of it as tells what came since.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shadow {
    /// The lower 32 bits. A window ends with [`WINDOW_PACKETS`], so that no count comes round.
    packets: [u32; 2],
    bytes: [Low48; 2],
    /// Start of the next record's window. Of the first it is the flow's, and no other lasts for 78 hours: timeouts are a day.
    window_start: Low48,
    generation: u16,
    /// Records cut of this flow, above the marks.
    number_and_marks: u32,
    /// When the window began by the sweeper's clock, in ms, the low 32 bits.
    cut_ms: u32,
    /// Events before the window.
    events: u32,
}
const _: () = assert!(size_of::<Shadow>() == 40);

/// The lower 48 bits of a total or a time, of which another value is known that is as high or higher by less than 2^48.
#[derive(Clone, Copy, Default)]
struct Low48([u16; 3]);

impl Low48 {
    const MASK: u64 = (1 << 48) - 1;

    fn of(value: u64) -> Low48 {
        let [a, b, c, d, e, f, ..] = value.to_le_bytes();
        Low48([[a, b], [c, d], [e, f]].map(u16::from_le_bytes))
    }

    /// How much higher `later` is than what these are the bits of.
    fn distance_to(self, later: u64) -> u64 {
        let [a, b, c] = self.0.map(u64::from);
        later.wrapping_sub(c << 32 | b << 16 | a) & Low48::MASK
    }
}

/// New packets of a flow that make a record due before the active timeout. A sweep finds them long before there are 2^32 in
/// either direction; and their octets, of which a packet has less than 2^17, are less than 2^48.
const WINDOW_PACKETS: u64 = 1 << 31;

/// What is already exported of the counts in a block of details, by the place of the block.
#[derive(Clone, Copy, Default)]
pub(crate) struct DetailsShadow {
    counts: [[u32; COUNTS]; 2],
}

/// Orientation stays as it was when the first record was cut.
const FORWARD_HI: u32 = 1;
const DESTINATION_INITIATED: u32 = 1 << 1;
/// The shadow of the flow's counts is the flow's own.
const DETAILED: u32 = 1 << 2;
const MARK_BITS: u32 = 3;
/// Records of a flow with a number of their own: 60 days of a hundred a second.
const NUMBER_MAX: u32 = u32::MAX >> MARK_BITS;

/// An instant in ms, the low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "compared modulo 2^32 only")]
pub(crate) fn millis(at: Nanos) -> u32 {
    (at.0 / NANOS_PER_MILLI) as u32
}

impl Shadow {
    pub(crate) fn begin(flow: &Snapshot) -> Shadow {
        Shadow {
            window_start: Low48::of(flow.first_seen.0),
            cut_ms: millis(flow.first_seen),
            generation: flow.meta.generation(),
            ..Shadow::default()
        }
    }

    pub(crate) fn generation(&self) -> u16 {
        self.generation
    }

    pub(crate) fn cut_ms(&self) -> u32 {
        self.cut_ms
    }

    /// By the sweeper's clock.
    pub(crate) fn begin_window(&mut self, now: Nanos) {
        self.cut_ms = millis(now);
    }

    /// Packets of each canonical direction that are not exported, of `packets` in all.
    #[expect(clippy::cast_possible_truncation, reason = "counted modulo 2^32")]
    fn new_packets(&self, packets: [u64; 2]) -> [u64; 2] {
        [0, 1].map(|side: usize| u64::from((packets[side] as u32).wrapping_sub(self.packets[side])))
    }

    /// Whether all of `packets` are exported.
    pub(crate) fn has_all(&self, packets: [u64; 2]) -> bool {
        self.new_packets(packets) == [0, 0]
    }

    /// Whether so many of `packets` are not exported that a record is due whatever the timeouts.
    pub(crate) fn is_full(&self, packets: [u64; 2]) -> bool {
        let [lo_to_hi, hi_to_lo] = self.new_packets(packets);
        lo_to_hi + hi_to_lo >= WINDOW_PACKETS
    }

    fn number(&self) -> u32 {
        self.number_and_marks >> MARK_BITS
    }

    fn has(&self, mark: u32) -> bool {
        self.number_and_marks & mark != 0
    }

    /// When the window begins that ends with the flow's last packet so far.
    fn start(&self, flow: &Snapshot) -> Nanos {
        if self.number() == 0 {
            return flow.first_seen;
        }
        Nanos(flow.last_seen.0.saturating_sub(self.window_start.distance_to(flow.last_seen.0)))
    }

    /// Makes the record of what is new in `last`, and takes note that it is exported. `counted` is the shadow of the flow's
    /// counts, if it has any.
    pub(crate) fn record(
        &mut self,
        last: &Last<'_>,
        end_reason: EndReason,
        counted: Option<&mut DetailsShadow>,
    ) -> FlowRecord {
        let flow = last.flow;
        let (forward, initiator) = self.orientation(flow);
        let counts = self.tcp_counts(last.details, counted);
        let record = FlowRecord {
            key: flow.key,
            forward,
            initiator,
            first: flow.first,
            flow_start: flow.first_seen,
            start: self.start(flow),
            end: flow.last_seen,
            number: self.number(),
            end_reason,
            tcp: (flow.key.protocol == protocol::TCP).then(|| self.tcp(last, forward, counts)),
            to_destination: self.counters(flow, forward),
            to_source: self.counters(flow, forward.flipped()),
            error: flow.error.or_else(|| unanswered(flow, end_reason)),
            tunnel: last.details.and_then(|details| details.tunnel).map(|tunnel| oriented(tunnel, forward)),
            events: flow.connection.events.since(self.events, last.details, flow.first_seen),
        };
        self.advance(flow, &record);
        record
    }

    fn orientation(&self, flow: &Snapshot) -> (Direction, Initiator) {
        let initiator = |destination| if destination { Initiator::Destination } else { Initiator::Source };
        if self.number() == 0 {
            return (flow.meta.forward(), initiator(flow.meta.has(Meta::DESTINATION_INITIATED)));
        }
        let forward = if self.has(FORWARD_HI) { Direction::HiToLo } else { Direction::LoToHi };
        (forward, initiator(self.has(DESTINATION_INITIATED)))
    }

    fn counters(&self, flow: &Snapshot, direction: Direction) -> Counters {
        let side = direction as usize;
        Counters {
            packets_delta: self.new_packets(flow.packets)[side],
            bytes_delta: self.bytes[side].distance_to(flow.bytes[side]),
            packets_total: flow.packets[side],
            bytes_total: flow.bytes[side],
        }
    }

    /// Flags whose last packet lies in the window.
    fn flags(&self, flow: &Snapshot) -> u8 {
        let total = flow.packets_total();
        let [lo_to_hi, hi_to_lo] = self.new_packets(flow.packets);
        let window = lo_to_hi + hi_to_lo;
        #[expect(clippy::cast_possible_truncation, reason = "ordinals are kept modulo 2^32")]
        let seen = |at: u32| at != 0 && u64::from((total as u32).wrapping_sub(at)) < window;
        let flags = flow.connection.flags_at.iter().filter(|(_, at)| seen(*at));
        flags.fold(0, |flags, (flag, _)| flags | flag)
    }

    /// The window's counts of each canonical direction.
    fn tcp_counts(
        &mut self,
        details: Option<&DetailsCopy>,
        counted: Option<&mut DetailsShadow>,
    ) -> [TcpCounts; 2] {
        let (Some((_, counts)), Some(counted)) = (details.and_then(|details| details.counts), counted) else {
            return [TcpCounts::default(); 2];
        };
        if !self.has(DETAILED) {
            // What stands there is of the flow that had the block before.
            *counted = DetailsShadow::default();
            self.number_and_marks |= DETAILED;
        }
        let before = std::mem::replace(&mut counted.counts, counts);
        [0, 1].map(|way| {
            let new = |count: usize| u64::from(counts[way][count].saturating_sub(before[way][count]));
            TcpCounts {
                retransmissions: new(0),
                out_of_order: new(1),
                duplicate_acks: new(2),
                zero_windows: new(3),
            }
        })
    }

    fn tcp(&self, last: &Last<'_>, forward: Direction, counts: [TcpCounts; 2]) -> TcpRecord {
        let connection = &last.flow.connection;
        let known = |mark: u16, part: usize| connection.marks.has(mark).then(|| connection.handshake[part]);
        let (snd, cnd) = (known(Marks::SND, SND), known(Marks::CND, CND));
        let [snd_jitter, cnd_jitter] = last.details.map_or([None; 2], |details| details.handshake_jitter);
        let timing = |latency_ns, jitter: Option<f64>| Timing { latency_ns, jitter_ns: jitter.map(whole_ns) };
        let exchanges = &connection.exchanges;
        let mean = mean_ns(exchanges.sum, exchanges.number);
        let jitter = (exchanges.number > 1).then(|| whole_ns(exchanges.jitter));
        let (svc, rndtrip) = exchange_timings(mean, jitter, snd, cnd);
        TcpRecord {
            state: last.flow.meta.state(),
            flags: self.flags(last.flow),
            handshake_snd: snd.map(|ns| timing(ns, snd_jitter)),
            handshake_cnd: cnd.map(|ns| timing(ns, cnd_jitter)),
            svc,
            rndtrip,
            to_destination: counts[forward as usize],
            to_source: counts[forward.flipped() as usize],
        }
    }

    fn advance(&mut self, flow: &Snapshot, record: &FlowRecord) {
        #[expect(clippy::cast_possible_truncation, reason = "counted modulo 2^32")]
        let packets = flow.packets.map(|packets| packets as u32);
        self.packets = packets;
        self.bytes = flow.bytes.map(Low48::of);
        self.window_start = Low48::of(flow.last_seen.0);
        self.events = flow.connection.events.total;
        let marks = self.number_and_marks & DETAILED
            | if record.forward == Direction::HiToLo { FORWARD_HI } else { 0 }
            | if record.initiator == Initiator::Destination { DESTINATION_INITIATED } else { 0 };
        self.number_and_marks = (self.number() + 1).min(NUMBER_MAX) << MARK_BITS | marks;
    }
}

/// A connection whose SYN nobody answered by the time it was given up.
fn unanswered(flow: &Snapshot, end_reason: EndReason) -> Option<NetworkError> {
    let responder = flow.meta.initiator_direction().flipped();
    let silent = flow.key.protocol == protocol::TCP
        && flow.meta.state() == TcpState::SynSent
        && flow.packets[responder as usize] == 0;
    (silent && end_reason == EndReason::IdleTimeout).then_some(NetworkError::TimedOut)
}

/// A tunnel read from a packet that travels `way`, its ends as those of the flow.
fn oriented((tunnel, way): (Tunnel, Direction), forward: Direction) -> Box<Tunnel> {
    Box::new(if way == forward { tunnel } else { tunnel.reversed() })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::key::{Endpoint, Family, FlowKey};
    use crate::key_words::KeyKind;
    use proptest::prelude::*;

    fn flow(began: u64) -> Snapshot {
        let end = |port| Endpoint { address: 1, port };
        let (key, _) = FlowKey::canonical(Family::V4, protocol::UDP, end(1), end(2));
        let (meta, first_seen) = (Meta::live(1, KeyKind::Narrow), Nanos(began));
        Snapshot { meta, key, first_seen, last_seen: first_seen, ..Snapshot::blank() }
    }

    fn counted(record: &FlowRecord) -> [[u64; 2]; 2] {
        let (there, back) = (record.to_destination, record.to_source);
        [[there.packets_delta, back.packets_delta], [there.bytes_delta, back.bytes_delta]]
    }

    proptest! {
        /// Totals far beyond what a shadow keeps of them, in steps as large as a window can be.
        #[test]
        fn what_records_tell_adds_up_to_what_was_counted(
            began in any::<u32>().prop_map(|at| u64::from(at) << 28),
            windows in prop::collection::vec((0u64..1 << 31, 0u64..1 << 31, 0u64..1 << 48, 0u64..1 << 48, 0u64..1 << 48), 1..40),
        ) {
            let mut flow = flow(began);
            let mut shadow = Shadow::begin(&flow);
            for (number, (there, back, bytes, bytes_back, lasted)) in (0u32..).zip(windows) {
                let start = flow.last_seen;
                flow.last_seen.0 += lasted;
                let new = [[there, back], [bytes, bytes_back]];
                flow.packets = [flow.packets[0] + there, flow.packets[1] + back];
                flow.bytes = [flow.bytes[0] + bytes, flow.bytes[1] + bytes_back];
                prop_assert_eq!(shadow.has_all(flow.packets), there + back == 0);
                prop_assert_eq!(shadow.is_full(flow.packets), there + back >= 1 << 31);
                let record = shadow.record(&Last { flow: &flow, details: None }, EndReason::ActiveTimeout, None);
                prop_assert_eq!(counted(&record), new);
                prop_assert_eq!([record.to_destination.packets_total, record.to_source.bytes_total], [flow.packets[0], flow.bytes[1]]);
                prop_assert_eq!((record.number, record.start, record.end), (number, start, flow.last_seen));
                prop_assert!(shadow.has_all(flow.packets));
            }
        }
    }

    #[test]
    fn the_first_window_may_be_of_any_length_and_numbers_are_held_at_the_last() {
        let mut flow = flow(5);
        let mut shadow = Shadow::begin(&flow);
        flow.last_seen = Nanos(1 << 50);
        flow.packets = [1, 0];
        let cut = |shadow: &mut Shadow| {
            shadow.record(&Last { flow: &flow, details: None }, EndReason::ActiveTimeout, None)
        };
        assert_eq!(cut(&mut shadow).start, Nanos(5));
        shadow.number_and_marks |= NUMBER_MAX << MARK_BITS;
        let last = [0, 1].map(|_| cut(&mut shadow).number);
        assert_eq!(last, [NUMBER_MAX; 2]);
    }
}
