//! Joins the two halves of a conversation that different workers saw, so that it is one chain of records after all.
//!
//! Where a port cannot do symmetric RSS, the directions of a conversation land on different workers, hence in different
//! tables, and each table cuts records of its half. The stitcher stands between the sweepers and the export, on the
//! control thread. Sees no packets, reads no clock, starts no thread; what it remembers is bounded by its capacity.
//!
//! # What comes out
//! A *half* is a flow in one worker's table, a *conversation* is what the halves of one key make together, and its
//! *window* is what was offered since its last record.
//! - The first record fixes the identity: `flow_start` is the earliest of the halves known by then, source, destination and
//!   initiator are those of the half that knows best (proof over the earlier start), and none of them changes again.
//! - Records are numbered from 0 without gaps. The first starts at `flow_start`, each later one where the one before ended;
//!   each ends at the latest packet known, never before its start.
//! - Deltas are the sums of the halves' deltas by canonical direction, totals the running sums of these deltas. Every
//!   packet that is offered comes out once, whatever becomes of the conversation. So are the counts of TCP segments.
//! - Events of all halves stand in time order. Timings are those of the half that measured them, of several samples before
//!   one; the tunnel is that of the earliest half in one.
//! - An error is what any half failed at, refusals, resets and unreachable ends over packets that were too big. That a SYN
//!   timed out holds only while nothing was heard of the responder; a RST against a SYN is a refusal, whoever saw which.
//!
//! # When it comes out
//! - At once when the window has packets both ways, or the key has only one way.
//! - Else after `hold_ns`, in the [`Stitcher::expire`] that follows a sweep; or earlier, when room is needed.
//!
//! # What belongs together
//! A half is known by worker and `flow_start`; more of a known half is always its conversation's. A half not known yet joins
//! the conversation of its key
//! - where it begins within the protocol's idle timeout of the last packet known: one table would have kept them together;
//! - or where another half lives and it is too early to have heard all of it, so that there may be such a packet;
//! - but where its own worker's half was there before, only while another half lives, that one did not end by a close, and the
//!   new one does not begin with a SYN. A table that sees one direction times out early; the conversation does not.
//!
//! Otherwise it begins a new conversation. What a slow half has still to tell of the one before is counted in the new one.
//!
//! # How it ends
//! - While a half lives, records say `active_timeout`; `forced_end` where a half was made to report.
//! - When every known half has ended: `end_of_flow_detected`, also where both FINs were seen, over `lack_of_resources`, over
//!   `forced_end`, over `idle_timeout`. A forced half may live on.
//! - A conversation is forgotten `hold_ns` after the last of its halves, which may revive until their worker has freed them.
//!   One seen one way only waits for the other half for another active timeout, by when that must have reported. A half that
//!   ends without a new packet cuts no record: a conversation without a record for all timeouts together is forgotten too.
//! - When the stitcher is full, ended conversations go first; then the longer of two queues, those held and those between two
//!   records, gives up its oldest. What was held goes out, as `lack_of_resources` if it lived. Should more of it come, that is a
//!   new conversation that begins 1 ns after what was reported, so that no two records have the same identity.

mod conversation;
mod details;
mod orientation;
mod store;
mod tcp_view;

use flowtable::{EndReason, FlowRecord, Nanos, RecordSink, Timeouts, protocol};

use conversation::{Conversation, Outlook, Patience};
use store::{Id, Queue, Store};

/// Size and times of a stitcher.
#[derive(Clone, Copy, Debug)]
pub struct StitchConfig {
    /// How long a record of one direction waits for the other, ns; about two sweep intervals.
    pub hold_ns: u64,
    /// Conversations remembered at once, 1 to 2^31; about as many as all tables together hold flows. Some 380 bytes each,
    /// more with events, timings and a tunnel, taken as they come.
    pub capacity: u32,
    /// Seed of the key hash.
    pub seed: u64,
}

/// What a stitcher did since start, and what it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StitchStats {
    /// Records offered.
    pub offered: u64,
    /// Records given out; fewer than offered, because two halves make one.
    pub emitted: u64,
    /// Records given out that are made of more than one worker's.
    pub joined: u64,
    /// Conversations forgotten for want of room.
    pub evicted: u64,
    /// Conversations remembered now.
    pub conversations: u64,
    /// Conversations among them that wait for their other half.
    pub held: u64,
}

/// Joins halves. One for all workers, on the thread that sweeps.
pub struct Stitcher {
    store: Store,
    hold_ns: u64,
    timeouts: Timeouts,
    stats: StitchStats,
}

impl Stitcher {
    /// An empty stitcher. `timeouts` are those of the sweeps.
    pub fn new(config: StitchConfig, timeouts: Timeouts) -> Stitcher {
        Stitcher {
            store: Store::new(config.capacity, config.seed),
            hold_ns: config.hold_ns,
            timeouts,
            stats: StitchStats::default(),
        }
    }

    /// Follows a change of the sweeps' timeouts.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts;
    }

    /// The sink for the sweep of `worker`'s table at `now`; what is complete goes on to `out`.
    pub fn half<'a, S: RecordSink>(&'a mut self, worker: u16, now: Nanos, out: &'a mut S) -> HalfSink<'a, S> {
        HalfSink { stitcher: self, worker, now, out }
    }

    /// Takes in a record of `worker`'s table, cut at `now`. `now` must not run backwards between calls.
    pub fn offer(&mut self, worker: u16, record: FlowRecord, now: Nanos, out: &mut impl RecordSink) {
        self.stats.offered += 1;
        let id = self.conversation_of(worker, &record, now, out);
        let conversation = self.store.conversation_mut(id);
        conversation.absorb(worker, record);
        if conversation.is_complete() {
            self.emit(id, EndReason::ActiveTimeout, now, out);
        } else {
            self.store.file(id, Queue::Held, now);
        }
    }

    /// Gives out what was held long enough and forgets what nobody waits for. To be called after each sweep.
    pub fn expire(&mut self, now: Nanos, out: &mut impl RecordSink) {
        while let Some(id) = self.store.due(Queue::Held, now, self.hold_ns) {
            self.emit(id, EndReason::ActiveTimeout, now, out);
        }
        for (queue, keep_ns) in self.keep_ns() {
            while let Some(id) = self.store.due(queue, now, keep_ns) {
                self.store.remove(id);
            }
        }
    }

    /// Gives out everything that is held and forgets everything; the last act of a shutdown.
    pub fn finish(&mut self, out: &mut impl RecordSink) {
        for queue in [Queue::Held, Queue::Living, Queue::OneWay, Queue::Ended] {
            while let Some(id) = self.store.oldest(queue) {
                self.retire(id, EndReason::ForcedEnd, out);
            }
        }
    }

    /// Figures of this moment.
    pub fn stats(&self) -> StitchStats {
        StitchStats {
            conversations: self.store.len() as u64,
            held: self.store.queued(Queue::Held) as u64,
            ..self.stats
        }
    }

    /// The conversation `record` belongs to, made if there is none.
    fn conversation_of(
        &mut self,
        worker: u16,
        record: &FlowRecord,
        now: Nanos,
        out: &mut impl RecordSink,
    ) -> Id {
        if let Some(id) = self.store.find(&record.key) {
            let patience = self.patience(record.key.protocol);
            if self.store.conversation_mut(id).takes(worker, record, now, patience) {
                return id;
            }
            // The 5-tuple is used again.
            self.store.conversation_mut(id).end_half(worker);
            self.retire(id, EndReason::ActiveTimeout, out);
        }
        if self.store.is_full() {
            self.make_room(out);
        }
        self.store.insert(Conversation::new(record), now)
    }

    fn make_room(&mut self, out: &mut impl RecordSink) {
        let longer = if self.store.queued(Queue::Held) > self.store.queued(Queue::Living) {
            Queue::Held
        } else {
            Queue::Living
        };
        let victim =
            [Queue::Ended, Queue::OneWay, longer].into_iter().find_map(|queue| self.store.oldest(queue));
        if let Some(id) = victim {
            self.stats.evicted += 1;
            self.retire(id, EndReason::LackOfResources, out);
        }
    }

    /// Cuts the record of a window and queues the conversation by what is to be expected of it.
    fn emit(&mut self, id: Id, if_living: EndReason, now: Nanos, out: &mut impl RecordSink) {
        self.cut(id, if_living, out);
        let queue = match self.store.conversation_mut(id).outlook() {
            Outlook::Living => Queue::Living,
            Outlook::OneWay => Queue::OneWay,
            Outlook::Ended => Queue::Ended,
        };
        self.store.file(id, queue, now);
    }

    /// Forgets a conversation; what it holds goes out first.
    fn retire(&mut self, id: Id, if_living: EndReason, out: &mut impl RecordSink) {
        if self.store.conversation_mut(id).has_window() {
            self.cut(id, if_living, out);
        }
        self.store.remove(id);
    }

    fn cut(&mut self, id: Id, if_living: EndReason, out: &mut impl RecordSink) {
        let conversation = self.store.conversation_mut(id);
        self.stats.emitted += 1;
        self.stats.joined += u64::from(conversation.is_joined());
        out.record(conversation.cut(if_living));
    }

    fn patience(&self, protocol: u8) -> Patience {
        // An established connection's timeout for TCP: the longest, as a half cannot tell.
        let idle_ns = self.timeouts.idle_ns(protocol, flowtable::TcpState::Established);
        Patience { idle_ns, report_ns: self.timeouts.active_ns.saturating_add(self.hold_ns) }
    }

    /// How long conversations that hold nothing are remembered.
    fn keep_ns(&self) -> [(Queue, u64); 3] {
        let reported = self.timeouts.active_ns.saturating_add(self.hold_ns);
        // SCTP stands for every protocol without a timeout of its own.
        let idle = [protocol::TCP, protocol::UDP, protocol::ICMP, protocol::SCTP]
            .map(|protocol| self.patience(protocol).idle_ns)
            .into_iter()
            .fold(0, u64::max);
        [
            (Queue::Ended, self.hold_ns),
            (Queue::OneWay, reported),
            (Queue::Living, reported.saturating_add(idle)),
        ]
    }
}

/// Offers the records of one worker's sweep to the stitcher.
pub struct HalfSink<'a, S> {
    stitcher: &'a mut Stitcher,
    worker: u16,
    now: Nanos,
    out: &'a mut S,
}

impl<S: RecordSink> RecordSink for HalfSink<'_, S> {
    fn record(&mut self, record: FlowRecord) {
        self.stitcher.offer(self.worker, record, self.now, self.out);
    }
}

#[cfg(test)]
mod tests;
