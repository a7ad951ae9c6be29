//! The poll loop of one worker: asks its queues in turn, parses, updates its table. Owns a core.
//!
//! Never blocks, allocates, locks, logs or panics. Reads the clock once for each burst, and once where none follows.

use std::sync::atomic::{AtomicBool, Ordering};

use flowtable::{Nanos, PortId, Writer};

use crate::clock::Clock;
use crate::intake::Intake;
use crate::ledger::CountersWriter;
use crate::wire::LinkType;

/// Headers asked for ahead of the one being parsed.
const PREFETCH_AHEAD: usize = 4;
/// Flows a full table ends for new ones between two polls, at most, see [`Writer::limit_evictions`]. At 14.88 Mpps, in bursts of
/// 128, two are 232 k records a second. The slots they give to a flood are free again after the next sweep, and taken again, so that what
/// is exported is several times that.
const EVICTIONS_PER_BURST: u32 = 2;
/// Retirements served between two polls, so that the queues are never left alone for long.
const RETIREMENTS_PER_POLL: usize = 64;
/// Polls after the stop, at most: what waits in the rings by then, and not what keeps coming in.
const DRAIN_POLLS: usize = 512;
/// Polls between two publications of their number, and between two looks at what waits for its time to come.
const POLLS_PER_REPORT: u64 = 1 << 12;

/// Where a worker's packets come from: one receive queue of one port.
pub trait PacketSource {
    /// Receives what is waiting, at most a burst. Never blocks; gives back what the burst before held.
    fn receive(&mut self) -> usize;
    /// Frame `index` of the last burst: its octets, and how many there were on the wire, which are never fewer.
    fn frame(&self, index: usize) -> (&[u8], u32);
    /// Asks for the headers of frame `index`; nothing where there is none.
    fn prefetch(&self, index: usize);
    /// Gives the burst's buffers back.
    fn release(&mut self);
    /// The port, as the probe counts its ports.
    fn port(&self) -> PortId;
    /// What frames begin with.
    fn link(&self) -> LinkType {
        LinkType::Ethernet
    }
}

/// What a worker runs on.
pub struct Worker<S> {
    /// One queue of each port.
    pub sources: Vec<S>,
    /// The table it alone writes.
    pub writer: Writer,
    /// The counters it alone writes.
    pub counters: CountersWriter,
    /// Parses and gathers.
    pub intake: Intake,
}

impl<S: PacketSource> Worker<S> {
    /// Polls until `stop`; then takes in what is still waiting in the queues, and counts what is held.
    pub fn run(&mut self, clock: &impl Clock, stop: &AtomicBool) {
        let mut polls = 0u64;
        self.writer.limit_evictions(EVICTIONS_PER_BURST);
        // Relaxed: the flag carries nothing but itself, and joining the thread orders everything else.
        while !stop.load(Ordering::Relaxed) {
            self.poll(clock);
            polls += 1;
            if polls.is_multiple_of(POLLS_PER_REPORT) {
                self.counters.polled(polls);
                self.expire(clock);
            }
        }
        for _ in 0..DRAIN_POLLS {
            if self.poll(clock) == 0 {
                break;
            }
        }
        self.intake.finish(&mut self.writer, &mut self.counters);
        self.counters.rests();
        self.counters.polled(polls);
    }

    /// Gives up what waited too long: fragments come to their end also where no others follow.
    fn expire(&mut self, clock: &impl Clock) {
        if self.intake.remembers() {
            self.intake.expire(clock.now(), &mut self.writer, &mut self.counters);
        }
    }

    /// Asks each queue once, and gives the number of packets that came.
    #[inline]
    pub fn poll(&mut self, clock: &impl Clock) -> usize {
        let mut packets = 0;
        for at in 0..self.sources.len() {
            let received = self.sources[at].receive();
            if received > 0 {
                let (now, watch) = clock.start();
                self.counters.begins(watch);
                self.burst(at, received, now);
                packets += received;
            }
        }
        if packets == 0 {
            self.counters.rests();
        }
        self.writer.serve_retirements(RETIREMENTS_PER_POLL);
        packets
    }

    #[inline]
    fn burst(&mut self, at: usize, received: usize, now: Nanos) {
        let source = &mut self.sources[at];
        let (link, port) = (source.link(), source.port());
        for index in 0..PREFETCH_AHEAD {
            source.prefetch(index);
        }
        for index in 0..received {
            source.prefetch(index + PREFETCH_AHEAD);
            let (data, wire_len) = source.frame(index);
            self.intake.take(link, data, wire_len, now, port);
        }
        source.release();
        self.intake.commit(&mut self.writer, &mut self.counters);
    }
}
