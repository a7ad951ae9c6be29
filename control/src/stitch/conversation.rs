//! One conversation: its halves, its identity once fixed, and the window since its last record.

use flowtable::{
    Counters, Direction, EndReason, Events, FirstPacket, FlowKey, FlowRecord, Initiator, Nanos, TcpRecord,
    TcpState, tcp_flag,
};

use super::details::{Counts, Failure, KnownTunnel, Timings, add_events};
use super::orientation::Claim;
use super::tcp_view::TcpView;

/// Halves followed at once. Two are the rule; a direction that several ports see is more. Past these, the packets still count,
/// but the life of the half that was quiet longest is no longer followed.
const MAX_HALVES: usize = 4;

/// How long to reckon with what a table has not reported yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Idle timeout of the conversation's protocol.
    pub(super) idle_ns: u64,
    /// By when a table has reported a packet, after it was received.
    pub(super) report_ns: u64,
}

/// What is to be expected of a conversation that holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// More records of a half that lives.
    Living,
    /// Perhaps the other half: those known have ended, and all went one way.
    OneWay,
    /// Nothing: both ways were seen and have ended.
    Ended,
}

/// A flow in one worker's table.
#[derive(Clone, Copy)]
struct Half {
    worker: u16,
    flow_start: Nanos,
    /// Why its latest record was cut, unless for the active timeout.
    ended: Option<EndReason>,
}

impl Half {
    /// Whether more of it is to be expected. A flow forced to report may live on.
    fn lives(&self) -> bool {
        matches!(self.ended, None | Some(EndReason::ForcedEnd))
    }
}

/// Packets and octets of one direction.
#[derive(Clone, Copy, Default)]
struct Sum {
    packets: u64,
    bytes: u64,
}

/// What was offered since the last record.
#[derive(Default)]
struct Window {
    /// By canonical direction.
    sums: [Sum; 2],
    tcp_counts: Counts,
    events: Events,
    tcp_flags: u8,
    /// A half was made to report.
    forced: bool,
    /// The worker of the first record, and whether another one followed.
    worker: u16,
    joined: bool,
}

pub(super) struct Conversation {
    key: FlowKey,
    /// The quietest first.
    halves: [Option<Half>; MAX_HALVES],
    window: Window,
    /// What the records so far add up to, by canonical direction.
    totals: [Sum; 2],
    /// The latest packet known; not before `flow_start`.
    last_seen: Nanos,
    /// Where the last record ended.
    reported_to: Nanos,
    tcp: Option<TcpView>,
    timings: Timings,
    failure: Failure,
    /// Records cut; with the first one everything below is fixed.
    number: u32,
    flow_start: Nanos,
    first: FirstPacket,
    claim: Claim,
    tunnel: KnownTunnel,
}

impl Conversation {
    /// A conversation that begins with `record`, which is yet to be absorbed.
    pub(super) fn new(record: &FlowRecord) -> Conversation {
        Conversation {
            key: record.key,
            halves: [None; MAX_HALVES],
            window: Window::default(),
            totals: [Sum::default(); 2],
            last_seen: beginning(record),
            reported_to: beginning(record),
            tcp: None,
            timings: Timings::default(),
            failure: Failure::default(),
            number: 0,
            flow_start: beginning(record),
            first: record.first,
            claim: Claim::of(record),
            tunnel: KnownTunnel::default(),
        }
    }

    pub(super) fn key(&self) -> &FlowKey {
        &self.key
    }

    /// Whether `record` of `worker` is of this conversation; the rules are those of the [module](super).
    pub(super) fn takes(&self, worker: u16, record: &FlowRecord, now: Nanos, patience: Patience) -> bool {
        let near = record.flow_start.since(self.last_seen) <= patience.idle_ns;
        let unheard = now.since(self.last_seen) <= patience.idle_ns.saturating_add(patience.report_ns);
        let other_lives = self.halves().any(|half| half.worker != worker && half.lives());
        match self.halves().find(|half| half.worker == worker) {
            None => near || (other_lives && unheard),
            Some(own) if own.flow_start == record.flow_start => true,
            Some(own) => {
                let closed = own.ended == Some(EndReason::EndOfFlowDetected);
                !closed && !begins_with_syn(record) && other_lives && (near || unheard)
            }
        }
    }

    /// Adds `record` to the window.
    pub(super) fn absorb(&mut self, worker: u16, record: FlowRecord) {
        self.note_half(worker, &record);
        if self.number == 0 {
            if beginning(&record) < self.flow_start {
                self.flow_start = beginning(&record);
                self.first = record.first;
            }
            self.claim = self.claim.or_better(Claim::of(&record));
        }
        self.last_seen = self.last_seen.max(record.end);
        if !self.has_window() {
            self.window.worker = worker;
        }
        let ways = [(record.forward, record.to_destination), (record.forward.flipped(), record.to_source)];
        for (direction, counters) in ways {
            let sum = &mut self.window.sums[direction as usize];
            sum.packets += counters.packets_delta;
            sum.bytes += counters.bytes_delta;
        }
        self.window.joined |= self.window.worker != worker;
        self.window.forced |= record.end_reason == EndReason::ForcedEnd;
        if let Some(tcp) = &record.tcp {
            self.absorb_tcp(worker, &record, tcp);
        }
        self.failure.learn(record.error);
        add_events(&mut self.window.events, record.events);
        self.tunnel.learn(record.tunnel, record.flow_start, record.forward, self.number == 0);
    }

    fn absorb_tcp(&mut self, worker: u16, record: &FlowRecord, tcp: &TcpRecord) {
        let initiator = initiator_direction(record.forward, record.initiator);
        self.tcp.get_or_insert_default().add(TcpView::of(tcp.state, initiator));
        self.timings.learn(worker, tcp);
        self.window.tcp_flags |= tcp.flags;
        for (way, counters, counts) in [
            (record.forward, &record.to_destination, &tcp.to_destination),
            (record.forward.flipped(), &record.to_source, &tcp.to_source),
        ] {
            self.window.tcp_counts.add(way, counts);
            if counters.packets_delta > 0 {
                self.failure.note_flags(way, tcp.flags);
            }
        }
    }

    /// The flow of `worker` is known to be over, though it did not say so.
    pub(super) fn end_half(&mut self, worker: u16) {
        let own = self.halves.iter_mut().flatten().find(|half| half.worker == worker);
        if let Some(half) = own.filter(|half| half.ended.is_none()) {
            half.ended = Some(EndReason::IdleTimeout);
        }
    }

    /// Whether anything waits to be reported.
    pub(super) fn has_window(&self) -> bool {
        self.window.sums.iter().any(|sum| sum.packets > 0)
    }

    /// Whether the window lacks no direction.
    pub(super) fn is_complete(&self) -> bool {
        self.key.one_way.is_some() || self.window.sums.iter().all(|sum| sum.packets > 0)
    }

    /// Whether the window is made of more than one worker's records.
    pub(super) fn is_joined(&self) -> bool {
        self.window.joined
    }

    /// What is to be expected after the window is cut.
    pub(super) fn outlook(&self) -> Outlook {
        if self.halves().any(Half::lives) {
            Outlook::Living
        } else if self.key.one_way.is_some() || self.totals.iter().all(|sum| sum.packets > 0) {
            Outlook::Ended
        } else {
            Outlook::OneWay
        }
    }

    /// Makes the record of the window and begins the next one. `if_living` is the reason while a half lives.
    pub(super) fn cut(&mut self, if_living: EndReason) -> FlowRecord {
        let (forward, initiator) = (self.claim.forward, self.claim.initiator);
        let silent = self.halves().all(|half| half.ended.is_some());
        let window = std::mem::take(&mut self.window);
        for (total, sum) in self.totals.iter_mut().zip(window.sums) {
            total.packets += sum.packets;
            total.bytes += sum.bytes;
        }
        let counters = |direction: Direction| {
            let (delta, total) = (window.sums[direction as usize], self.totals[direction as usize]);
            Counters {
                packets_delta: delta.packets,
                bytes_delta: delta.bytes,
                packets_total: total.packets,
                bytes_total: total.bytes,
            }
        };
        let sends = initiator_direction(forward, initiator);
        let answered = self.totals[sends.flipped() as usize].packets > 0;
        let record = FlowRecord {
            key: self.key,
            forward,
            initiator,
            first: self.first,
            flow_start: self.flow_start,
            start: if self.number == 0 { self.flow_start } else { self.reported_to },
            end: self.last_seen,
            number: self.number,
            end_reason: self.end_reason(window.forced, if_living),
            tcp: self.tcp.map(|view| self.tcp_record(view.state(sends, silent), &window)),
            to_destination: counters(forward),
            to_source: counters(forward.flipped()),
            error: self.failure.error(sends, answered),
            tunnel: self.tunnel.tell(forward),
            events: window.events,
        };
        self.number += 1;
        self.reported_to = self.last_seen;
        record
    }

    fn tcp_record(&self, state: TcpState, window: &Window) -> TcpRecord {
        let forward = self.claim.forward;
        let mut tcp = TcpRecord {
            state,
            flags: window.tcp_flags,
            to_destination: window.tcp_counts.of(forward),
            to_source: window.tcp_counts.of(forward.flipped()),
            ..TcpRecord::default()
        };
        self.timings.tell(&mut tcp);
        tcp
    }

    fn end_reason(&self, forced: bool, if_living: EndReason) -> EndReason {
        if self.halves().any(|half| half.ended.is_none()) {
            return if forced { EndReason::ForcedEnd } else { if_living };
        }
        if self.tcp.is_some_and(TcpView::is_over) {
            return EndReason::EndOfFlowDetected;
        }
        let reasons = self.halves().filter_map(|half| half.ended);
        reasons.max_by_key(|&reason| weight(reason)).unwrap_or(if_living)
    }

    fn halves(&self) -> impl Iterator<Item = &Half> {
        self.halves.iter().flatten()
    }

    /// Keeps the half of `record` as the one heard last.
    fn note_half(&mut self, worker: u16, record: &FlowRecord) {
        let ended = Some(record.end_reason).filter(|reason| *reason != EndReason::ActiveTimeout);
        let half = Half { worker, flow_start: record.flow_start, ended };
        let is_own = |known: &Option<Half>| known.is_some_and(|known| known.worker == worker);
        let is_gone = |known: &Option<Half>| known.is_some_and(|known| !known.lives());
        let at = self
            .halves
            .iter()
            .position(is_own)
            .or_else(|| self.halves.iter().position(Option::is_none))
            .or_else(|| self.halves.iter().position(is_gone))
            .unwrap_or(0);
        self.halves[at] = Some(half);
        let known = self.halves().count();
        self.halves[at..known].rotate_left(1);
    }
}

/// Where the conversation begins that `record` is the first of.
///
/// A flow reported before, by a conversation that is forgotten, goes on just after what was reported: with the old beginning,
/// two records would have the same identity.
fn beginning(record: &FlowRecord) -> Nanos {
    match record.number {
        0 => record.flow_start,
        _ => Nanos(record.start.0.saturating_add(1)),
    }
}

fn begins_with_syn(record: &FlowRecord) -> bool {
    record.number == 0 && record.tcp.is_some_and(|tcp| tcp.flags & tcp_flag::SYN != 0)
}

/// The canonical direction in which the initiator sends.
fn initiator_direction(forward: Direction, initiator: Initiator) -> Direction {
    match initiator {
        Initiator::Source => forward,
        Initiator::Destination => forward.flipped(),
    }
}

/// How much a reason tells about a conversation whose halves ended for different ones.
fn weight(reason: EndReason) -> u8 {
    match reason {
        EndReason::ActiveTimeout => 0,
        EndReason::IdleTimeout => 1,
        EndReason::ForcedEnd => 2,
        EndReason::LackOfResources => 3,
        EndReason::EndOfFlowDetected => 4,
    }
}
