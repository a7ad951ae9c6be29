//! Where cut records leave the control thread: gathered into chunks and offered to the exporter, and counted on the way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "dpdk")]
use dataplane::clock::Stopwatch;
use flowtable::{FlowRecord, Nanos, RecordSink};

use crate::export::{DestinationLedger, ExportHandle};
use crate::filter::{RecordFilter, Verdict};
use crate::stitch::Stitcher;

/// Records handed over together.
const CHUNK_RECORDS: usize = 512;

/// What to do when the exporter's queue has no room.
#[derive(Clone, Copy, Debug)]
pub(super) enum WhenFull {
    /// Drop and count: the sweep never waits.
    #[cfg(feature = "dpdk")]
    Drop,
    /// Wait: a replay loses nothing.
    Wait,
    /// Wait, but for all records together no longer than this from the stopwatch's start on; then drop and count: the
    /// shutdown.
    #[cfg(feature = "dpdk")]
    WaitWithin(Stopwatch, std::time::Duration),
}

/// Records cut, and those of them that no destination was offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RecordTally {
    /// All.
    pub(super) cut: u64,
    /// Left out by a condition.
    pub(super) filtered: u64,
    /// Left out with their flow.
    pub(super) sampled_out: u64,
}

/// The books of cut records, read and written as one with those of the exporter.
#[derive(Clone)]
pub(super) struct RecordBooks {
    tally: Arc<Mutex<RecordTally>>,
    export: ExportHandle,
}

impl RecordBooks {
    /// Records cut so far, and what became of them at each destination, of one moment.
    pub(super) fn read(&self) -> (RecordTally, Vec<DestinationLedger>) {
        let tally = self.lock();
        (*tally, self.export.ledger())
    }

    fn lock(&self) -> MutexGuard<'_, RecordTally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What cut records pass on their way out: joined into conversations where that is needed, then filtered, gathered and
/// offered.
pub(super) struct Outlet {
    stitcher: Option<Stitcher>,
    gate: Gate,
}

impl Outlet {
    pub(super) fn new(export: ExportHandle, filter: RecordFilter, when_full: WhenFull) -> Outlet {
        let books = RecordBooks { tally: Arc::default(), export };
        let gate = Gate {
            books,
            filter,
            chunk: Vec::with_capacity(CHUNK_RECORDS),
            unbooked: RecordTally::default(),
            when_full,
        };
        Outlet { stitcher: None, gate }
    }

    /// Joins the halves of conversations that land on different workers.
    #[cfg(feature = "dpdk")]
    pub(super) fn stitch(&mut self, stitcher: Stitcher) {
        self.stitcher = Some(stitcher);
    }

    pub(super) fn books(&self) -> RecordBooks {
        self.gate.books.clone()
    }

    /// From now on.
    #[cfg(feature = "dpdk")]
    pub(super) fn when_full(&mut self, when_full: WhenFull) {
        self.gate.when_full = when_full;
    }

    /// A sink for the records of `worker`'s table, cut at `now`.
    pub(super) fn of(&mut self, worker: u16, now: Nanos) -> WorkerOutlet<'_> {
        WorkerOutlet { outlet: self, worker, now }
    }

    /// Before a sweep that goes by `timeouts`.
    #[cfg(feature = "dpdk")]
    pub(super) fn begin_sweep(&mut self, timeouts: &flowtable::Timeouts) {
        if let Some(stitcher) = &mut self.stitcher {
            stitcher.set_timeouts(*timeouts);
        }
    }

    /// After a sweep of all tables at `now`.
    #[cfg(feature = "dpdk")]
    pub(super) fn end_sweep(&mut self, now: Nanos) {
        if let Some(stitcher) = &mut self.stitcher {
            stitcher.expire(now, &mut self.gate);
        }
        self.gate.flush();
    }

    /// Hands over everything, halves without their other half too; the last call.
    pub(super) fn finish(&mut self) {
        if let Some(stitcher) = &mut self.stitcher {
            stitcher.finish(&mut self.gate);
        }
        self.gate.flush();
    }
}

/// The outlet as the sink of one worker's table.
pub(super) struct WorkerOutlet<'a> {
    outlet: &'a mut Outlet,
    worker: u16,
    now: Nanos,
}

impl RecordSink for WorkerOutlet<'_> {
    fn record(&mut self, record: FlowRecord) {
        match &mut self.outlet.stitcher {
            Some(stitcher) => stitcher.offer(self.worker, record, self.now, &mut self.outlet.gate),
            None => self.outlet.gate.record(record),
        }
    }
}

/// Gathers the records that are to be exported and offers them to the exporter.
struct Gate {
    books: RecordBooks,
    filter: RecordFilter,
    chunk: Vec<FlowRecord>,
    /// What has come since the last hand-over, with those in the chunk.
    unbooked: RecordTally,
    when_full: WhenFull,
}

impl Gate {
    /// Hands over what was gathered. Records are booked here and not one by one, so that a reader of the books sees them
    /// as cut and at the destinations at once.
    fn flush(&mut self) {
        let come = std::mem::take(&mut self.unbooked);
        if come.cut == 0 {
            return;
        }
        let mut tally = self.books.lock();
        tally.cut += come.cut;
        tally.filtered += come.filtered;
        tally.sampled_out += come.sampled_out;
        if self.chunk.is_empty() {
            return;
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_RECORDS));
        match self.when_full {
            #[cfg(feature = "dpdk")]
            WhenFull::Drop => self.books.export.offer(chunk),
            WhenFull::Wait => self.books.export.offer_blocking(chunk),
            #[cfg(feature = "dpdk")]
            WhenFull::WaitWithin(since, limit) => {
                let passed = std::time::Duration::from_nanos(since.elapsed_ns());
                self.books.export.offer_within(chunk, limit.saturating_sub(passed));
            }
        }
    }
}

impl RecordSink for Gate {
    fn record(&mut self, record: FlowRecord) {
        self.unbooked.cut += 1;
        match self.filter.verdict(&record) {
            Verdict::Export => self.chunk.push(record),
            Verdict::Filtered => self.unbooked.filtered += 1,
            Verdict::SampledOut => self.unbooked.sampled_out += 1,
        }
        if self.chunk.len() == CHUNK_RECORDS {
            self.flush();
        }
    }
}
