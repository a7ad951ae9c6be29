//! The bounded queue between the sweep threads and one destination, with that destination's books.
//!
//! Records, counters and phase live under one mutex, so a snapshot is always consistent and `waiting` is a counter of
//! its own that moves together with the records. The lock is held for a chunk or a batch, never while encoding or sending.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flowtable::FlowRecord;
use hdrhistogram::Histogram;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ledger::{DestinationLedger, DropCause, Drops, LastError};

/// Longest export call the latency histogram tells apart, in ns (one hour); longer ones count as this.
const LONGEST_CALL_NS: u64 = 3_600_000_000_000;
/// Shortest export call told apart, in ns.
const SHORTEST_CALL_NS: u64 = 1_000;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    /// Taken, except for `rejected` spans of it.
    Delivered { rejected: u64 },
    /// Lost as a whole.
    Dropped(DropCause),
}

/// How long an offer waits for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    Forever,
    Until(Instant),
}

/// Part of a chunk that is shared by all destinations.
#[derive(Clone)]
struct Chunk {
    records: Arc<Vec<FlowRecord>>,
    next: usize,
    end: usize,
}

/// The records of one batch, where they lie.
pub(super) struct Taken(Vec<Chunk>);

impl Taken {
    /// The records in their order, those that lie together at once.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[FlowRecord]> {
        self.0.iter().map(|chunk| &chunk.records[chunk.next..chunk.end])
    }

    pub(super) fn spans(&self) -> u64 {
        self.0.iter().map(|chunk| (chunk.end - chunk.next) as u64).sum()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Takes records.
    Open,
    /// Takes none, sends what is waiting.
    Draining,
    /// Nothing waits and nothing will; offers are dropped for this cause.
    Closed(DropCause),
}

struct State {
    chunks: VecDeque<Chunk>,
    /// Records in `chunks`.
    queued: usize,
    phase: Phase,
    flush: bool,
    records: u64,
    delivered: u64,
    waiting: u64,
    in_flight: u64,
    dropped: Drops,
    requests: u64,
    retries: u64,
    last_error: Option<(String, Instant)>,
    latency_ns: Histogram<u64>,
}

/// One destination's queue and books.
pub(super) struct Queue {
    name: String,
    capacity: usize,
    state: Mutex<State>,
    /// Signalled when `waiting` shrinks or the phase changes; offers that block wait on it.
    room: Condvar,
    /// Signalled when records, a flush or the end arrive; the one [`Consumer`] waits on it.
    wake: Notify,
}

impl Queue {
    pub(super) fn new(name: String, capacity: usize) -> Queue {
        let latency_ns = Histogram::new_with_bounds(SHORTEST_CALL_NS, LONGEST_CALL_NS, 2)
            .expect("constant bounds with high >= 2 * low and two digits are valid");
        Queue {
            name,
            capacity,
            state: Mutex::new(State {
                chunks: VecDeque::new(),
                queued: 0,
                phase: Phase::Open,
                flush: false,
                records: 0,
                delivered: 0,
                waiting: 0,
                in_flight: 0,
                dropped: Drops::default(),
                requests: 0,
                retries: 0,
                last_error: None,
                latency_ns,
            }),
            room: Condvar::new(),
            wake: Notify::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes what there is room for and drops the rest. Never waits for the destination.
    pub(super) fn offer(&self, records: &Arc<Vec<FlowRecord>>) {
        let mut state = self.lock();
        let taken = state.accept(self.capacity, records, 0);
        let refused = records.len() - taken;
        state.drop_new(DropCause::QueueFull, refused);
        drop(state);
        self.wake.notify_one();
    }

    /// Waits for room until all of `records` are taken; what is left when `patience` ends is dropped.
    pub(super) fn offer_waiting(&self, records: &Arc<Vec<FlowRecord>>, patience: Patience) {
        let mut state = self.lock();
        let mut next = 0;
        loop {
            next += state.accept(self.capacity, records, next);
            self.wake.notify_one();
            if next == records.len() {
                return;
            }
            state = match patience {
                Patience::Forever => self.room.wait(state).unwrap_or_else(PoisonError::into_inner),
                Patience::Until(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        state.drop_new(DropCause::QueueFull, records.len() - next);
                        return;
                    }
                    self.room.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Asks for what is queued now to leave without waiting for a full batch.
    pub(super) fn flush(&self) {
        self.lock().flush = true;
        self.wake.notify_one();
    }

    /// Takes no more records; the consumer sends what is waiting and then ends.
    pub(super) fn drain(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Draining;
        }
        drop(state);
        self.wake.notify_one();
        self.room.notify_all();
    }

    /// Ends: whatever waits is dropped for `cause`, and so is whatever is offered from now on.
    pub(super) fn close(&self, cause: DropCause) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Closed(_)) {
            return;
        }
        state.phase = Phase::Closed(cause);
        state.chunks.clear();
        state.queued = 0;
        let lost = std::mem::take(&mut state.waiting);
        state.in_flight = 0;
        state.dropped.add(cause, lost);
        drop(state);
        self.room.notify_all();
    }

    /// Books a batch of `spans` that was taken.
    pub(super) fn settle(&self, spans: u64, settlement: Settlement) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Closed(_)) {
            // Booked with everything else when the queue was closed.
            return;
        }
        state.in_flight -= spans;
        state.waiting -= spans;
        match settlement {
            Settlement::Delivered { rejected } => {
                let rejected = rejected.min(spans);
                state.delivered += spans - rejected;
                state.dropped.add(DropCause::Rejected, rejected);
            }
            Settlement::Dropped(cause) => state.dropped.add(cause, spans),
        }
        drop(state);
        self.room.notify_all();
    }

    /// Notes one export call and how long it took.
    pub(super) fn note_call(&self, took: Duration, attempt: u32, error: Option<&str>) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let mut state = self.lock();
        state.requests += 1;
        state.retries += u64::from(attempt > 0);
        state.latency_ns.saturating_record(took_ns.clamp(SHORTEST_CALL_NS, LONGEST_CALL_NS));
        if let Some(text) = error {
            state.last_error = Some((text.to_owned(), Instant::now()));
        }
    }

    /// Notes a failure outside an export call.
    pub(super) fn note_error(&self, text: &str) {
        self.lock().last_error = Some((text.to_owned(), Instant::now()));
    }

    pub(super) fn ledger(&self) -> DestinationLedger {
        let state = self.lock();
        DestinationLedger {
            destination: self.name.clone(),
            records: state.records,
            delivered: state.delivered,
            waiting: state.waiting,
            dropped: state.dropped,
            in_flight: state.in_flight,
            capacity: self.capacity as u64,
            requests: state.requests,
            retries: state.retries,
            last_error: state
                .last_error
                .as_ref()
                .map(|(text, at)| LastError { text: text.clone(), age: at.elapsed() }),
        }
    }

    /// Duration of every export call so far, in ns.
    pub(super) fn latency_ns(&self) -> Histogram<u64> {
        self.lock().latency_ns.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Books and queues as much of `records[from..]` as there is room for; all of it is dropped once the queue is not open.
    fn accept(&mut self, capacity: usize, records: &Arc<Vec<FlowRecord>>, from: usize) -> usize {
        let offered = records.len() - from;
        let cause = match self.phase {
            Phase::Open => None,
            Phase::Draining => Some(DropCause::Shutdown),
            Phase::Closed(cause) => Some(cause),
        };
        if let Some(cause) = cause {
            self.drop_new(cause, offered);
            return offered;
        }
        let room = (capacity as u64).saturating_sub(self.waiting);
        let taken = offered.min(usize::try_from(room).unwrap_or(usize::MAX));
        if taken > 0 {
            self.chunks.push_back(Chunk { records: Arc::clone(records), next: from, end: from + taken });
            self.queued += taken;
            self.records += taken as u64;
            self.waiting += taken as u64;
        }
        taken
    }

    fn drop_new(&mut self, cause: DropCause, count: usize) {
        self.records += count as u64;
        self.dropped.add(cause, count as u64);
    }

    fn take(&mut self, max: usize) -> Taken {
        let mut parts = Vec::new();
        let mut room = max;
        while let Some(chunk) = self.chunks.front_mut().filter(|_| room > 0) {
            let part = Chunk { end: chunk.end.min(chunk.next + room), ..chunk.clone() };
            chunk.next = part.end;
            room -= part.end - part.next;
            parts.push(part);
            if chunk.next == chunk.end {
                self.chunks.pop_front();
            }
        }
        let taken = max - room;
        self.queued -= taken;
        self.in_flight += taken as u64;
        Taken(parts)
    }
}

/// What the consumer finds in the queue.
enum Found {
    Nothing,
    /// Records, but not a full batch and nobody in a hurry.
    Some,
    /// A batch was taken.
    Batch(Taken),
    /// Nothing, and nothing will come.
    End,
}

/// The one that empties a queue. There is exactly one for each.
pub(super) struct Consumer {
    queue: Arc<Queue>,
    max_batch: usize,
    /// `None`: only a full batch, a flush or the end makes records leave.
    schedule_delay: Option<Duration>,
    /// Since when the oldest record queued has been there at most; `None` while there is none.
    oldest: Option<Instant>,
}

impl Consumer {
    /// # Panics
    /// Where there is no tokio clock, outside a runtime with time enabled, once it waits.
    pub(super) fn new(queue: Arc<Queue>, max_batch: usize, schedule_delay: Option<Duration>) -> Consumer {
        Consumer { queue, max_batch, schedule_delay, oldest: None }
    }

    /// The next batch: full, or what there is once the oldest record has waited for the schedule delay. `None` at the end.
    ///
    /// The batch stays in flight until [`Queue::settle`]. Nothing is lost where the future is dropped before it is done.
    pub(super) async fn next_batch(&mut self) -> Option<Taken> {
        loop {
            let due = self.oldest.zip(self.schedule_delay).map(|(oldest, delay)| oldest + delay);
            let overdue = due.is_some_and(|due| due <= Instant::now());
            match self.find(overdue) {
                Found::Batch(taken) => {
                    // What is queued behind it came while it waited: it is at least as young as its leaving.
                    self.oldest = Some(Instant::now());
                    return Some(taken);
                }
                Found::End => return None,
                Found::Nothing => {
                    self.oldest = None;
                    self.queue.wake.notified().await;
                }
                Found::Some => match due {
                    Some(due) => tokio::select! {
                        () = self.queue.wake.notified() => {}
                        () = tokio::time::sleep_until(due) => {}
                    },
                    None if self.schedule_delay.is_some() => self.oldest = Some(Instant::now()),
                    None => self.queue.wake.notified().await,
                },
            }
        }
    }

    fn find(&self, overdue: bool) -> Found {
        let mut state = self.queue.lock();
        if state.queued == 0 {
            state.flush = false;
            return if state.phase == Phase::Open { Found::Nothing } else { Found::End };
        }
        let hurry = overdue || state.flush || state.phase != Phase::Open;
        if state.queued < self.max_batch && !hurry {
            return Found::Some;
        }
        Found::Batch(state.take(self.max_batch))
    }
}
