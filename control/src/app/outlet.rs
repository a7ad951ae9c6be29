//! Where cut records leave the control thread: gathered into chunks and offered to the exporter, and counted on the way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flowtable::{FlowRecord, Nanos, RecordSink};

use crate::export::{DestinationLedger, ExportHandle};

/// Records handed over together.
const CHUNK_RECORDS: usize = 512;

/// What to do when the exporter's queue has no room.
#[derive(Clone, Copy, Debug)]
pub(super) enum WhenFull {
    /// Drop and count: the sweep never waits.
    Drop,
    /// Wait: a replay loses nothing.
    Wait,
    /// Wait for so long, then drop and count: the shutdown.
    WaitFor(Duration),
}

/// The books of cut records, read and written as one with those of the exporter.
#[derive(Clone)]
pub(super) struct RecordBooks {
    cut: Arc<Mutex<u64>>,
    export: ExportHandle,
}

impl RecordBooks {
    /// Records cut so far, and what became of them at each destination, of one moment.
    pub(super) fn read(&self) -> (u64, Vec<DestinationLedger>) {
        let cut = self.lock();
        (*cut, self.export.ledger())
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sink of records in front of the exporter.
pub(super) struct Outlet {
    books: RecordBooks,
    chunk: Vec<FlowRecord>,
    when_full: WhenFull,
}

impl Outlet {
    pub(super) fn new(export: ExportHandle, when_full: WhenFull) -> Outlet {
        let books = RecordBooks { cut: Arc::default(), export };
        Outlet { books, chunk: Vec::with_capacity(CHUNK_RECORDS), when_full }
    }

    pub(super) fn books(&self) -> RecordBooks {
        self.books.clone()
    }

    /// From now on.
    pub(super) fn when_full(&mut self, when_full: WhenFull) {
        self.when_full = when_full;
    }

    /// Hands over what was gathered.
    pub(super) fn flush(&mut self) {
        if self.chunk.is_empty() {
            return;
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_RECORDS));
        let mut cut = self.books.lock();
        *cut += chunk.len() as u64;
        match self.when_full {
            WhenFull::Drop => self.books.export.offer(chunk),
            WhenFull::Wait => self.books.export.offer_blocking(chunk),
            WhenFull::WaitFor(limit) => self.books.export.offer_within(chunk, limit),
        }
    }
}

impl Outlet {
    /// A sink for the records of `worker`'s table, cut at `now`.
    pub(super) fn of(&mut self, worker: u16, now: Nanos) -> WorkerOutlet<'_> {
        WorkerOutlet { outlet: self, worker, now }
    }

    /// Ends a sweep of all tables.
    pub(super) fn end_sweep(&mut self, _now: Nanos) {
        self.flush();
    }

    /// Hands over everything; the last call.
    pub(super) fn finish(&mut self) {
        self.flush();
    }
}

impl RecordSink for Outlet {
    fn record(&mut self, record: &FlowRecord) {
        self.chunk.push(*record);
        if self.chunk.len() == CHUNK_RECORDS {
            self.flush();
        }
    }
}

/// The outlet as the sink of one worker's table.
pub(super) struct WorkerOutlet<'a> {
    outlet: &'a mut Outlet,
    worker: u16,
    now: Nanos,
}

impl RecordSink for WorkerOutlet<'_> {
    fn record(&mut self, record: &FlowRecord) {
        self.outlet.record(record);
    }
}
