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

/// What is already exported of the flow in a slot.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shadow {
    packets: [u64; 2],
    bytes: [u64; 2],
    /// Start of the next record's window.
    window_start: u64,
    /// Records cut of this flow.
    number: u32,
    /// When the window began by the sweeper's clock, in ms, the low 32 bits.
    cut_ms: u32,
    /// Events before the window.
    events: u32,
    generation: u16,
    marks: u16,
}
const _: () = assert!(size_of::<Shadow>() == 56);

/// What is already exported of the counts in a block of details, by the place of the block.
#[derive(Clone, Copy, Default)]
pub(crate) struct DetailsShadow {
    counts: [[u32; COUNTS]; 2],
}

/// A record has been cut: orientation stays as it was then.
const ORIENTED: u16 = 1;
const FORWARD_HI: u16 = 1 << 1;
const DESTINATION_INITIATED: u16 = 1 << 2;
/// The shadow of the flow's counts is the flow's own.
const DETAILED: u16 = 1 << 3;

/// An instant in ms, the low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "compared modulo 2^32 only")]
pub(crate) fn millis(at: Nanos) -> u32 {
    (at.0 / NANOS_PER_MILLI) as u32
}

impl Shadow {
    pub(crate) fn begin(flow: &Snapshot) -> Shadow {
        Shadow {
            window_start: flow.first_seen.0,
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

    pub(crate) fn packets_total(&self) -> u64 {
        self.packets[0] + self.packets[1]
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
            start: Nanos(self.window_start),
            end: flow.last_seen,
            number: self.number,
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
        if self.marks & ORIENTED == 0 {
            return (flow.meta.forward(), initiator(flow.meta.has(Meta::DESTINATION_INITIATED)));
        }
        let forward = if self.marks & FORWARD_HI != 0 { Direction::HiToLo } else { Direction::LoToHi };
        (forward, initiator(self.marks & DESTINATION_INITIATED != 0))
    }

    fn counters(&self, flow: &Snapshot, direction: Direction) -> Counters {
        let side = direction as usize;
        Counters {
            packets_delta: flow.packets[side] - self.packets[side],
            bytes_delta: flow.bytes[side] - self.bytes[side],
            packets_total: flow.packets[side],
            bytes_total: flow.bytes[side],
        }
    }

    /// Flags whose last packet lies in the window. Exact for windows of less than 2^32 packets.
    fn flags(&self, flow: &Snapshot) -> u8 {
        let total = flow.packets_total();
        let window = total - self.packets_total();
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
        if self.marks & DETAILED == 0 {
            // What stands there is of the flow that had the block before.
            *counted = DetailsShadow::default();
            self.marks |= DETAILED;
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
        let mean = mean_ns(connection.exchange_sum, connection.exchanges);
        let jitter = (connection.exchanges > 1).then(|| whole_ns(connection.exchange_jitter));
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
        self.packets = flow.packets;
        self.bytes = flow.bytes;
        self.window_start = flow.last_seen.0;
        self.events = flow.connection.events.total;
        self.number += 1;
        self.marks = self.marks & DETAILED
            | ORIENTED
            | if record.forward == Direction::HiToLo { FORWARD_HI } else { 0 }
            | if record.initiator == Initiator::Destination { DESTINATION_INITIATED } else { 0 };
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
