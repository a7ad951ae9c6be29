//! What happened to the records of one destination: `records = delivered + waiting + dropped by cause`, at every moment.
//!
//! Only plain figures; [`super::queue`] changes them, always a whole chunk or batch at a time under one lock.

use std::time::Duration;

/// Why a span did not reach its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropCause {
    /// The queue had no room when the record was offered.
    QueueFull,
    /// The receiver said it will never take it: a final answer, or counted in a partial success.
    Rejected,
    /// The receiver did not take it within the time retries may last.
    RetriesExhausted,
    /// Still waiting when the grace of the shutdown was over, or offered after the shutdown began. A request cut
    /// off in the middle is counted here although the receiver may have it.
    Shutdown,
    /// The exporter itself failed; a defect in this program.
    Internal,
}

impl DropCause {
    /// Every cause, in the order they are reported.
    pub const ALL: [DropCause; 5] = [
        DropCause::QueueFull,
        DropCause::Rejected,
        DropCause::RetriesExhausted,
        DropCause::Shutdown,
        DropCause::Internal,
    ];

    /// Its name in metrics and in the printed ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            DropCause::QueueFull => "queue_full",
            DropCause::Rejected => "rejected",
            DropCause::RetriesExhausted => "retries_exhausted",
            DropCause::Shutdown => "shutdown",
            DropCause::Internal => "internal",
        }
    }
}

/// Spans dropped, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropCause::ALL.len()]);

impl Drops {
    /// Spans dropped for `cause`.
    pub fn of(&self, cause: DropCause) -> u64 {
        self.0[cause as usize]
    }

    /// Spans dropped for any cause.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every cause with its figure, zeros too.
    pub fn iter(&self) -> impl Iterator<Item = (DropCause, u64)> {
        DropCause::ALL.into_iter().zip(self.0)
    }

    pub(super) fn add(&mut self, cause: DropCause, spans: u64) {
        self.0[cause as usize] += spans;
    }
}

/// The last thing that went wrong at a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// What the receiver or the operating system said.
    pub text: String,
    /// How long before the snapshot.
    pub age: Duration,
}

/// A consistent snapshot of one destination's books. One record is one span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationLedger {
    /// The destination as its URL, without credentials.
    pub destination: String,
    /// Records handed over by the sweeps.
    pub records: u64,
    /// Spans the receiver acknowledged, or the operating system took to write.
    pub delivered: u64,
    /// Records neither delivered nor dropped yet: queued, or in the request under way.
    pub waiting: u64,
    /// Spans dropped, by cause.
    pub dropped: Drops,
    /// The part of `waiting` that is encoded and being sent or retried.
    pub in_flight: u64,
    /// Records `waiting` may reach before offers are dropped or block.
    pub capacity: u64,
    /// Export calls made, retries included.
    pub requests: u64,
    /// Export calls that were repetitions of a failed one.
    pub retries: u64,
    /// The last failure, also one that a retry made good.
    pub last_error: Option<LastError>,
}

impl DestinationLedger {
    /// Whether every record is in exactly one place; false only through a defect.
    pub fn is_balanced(&self) -> bool {
        self.records == self.delivered + self.waiting + self.dropped.total() && self.in_flight <= self.waiting
    }
}

/// The books after the exporter has ended: nothing is waiting any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalLedger {
    /// One per destination, in the order they were configured.
    pub destinations: Vec<DestinationLedger>,
}

impl FinalLedger {
    /// Whether every record was delivered to every destination.
    pub fn is_complete(&self) -> bool {
        self.destinations.iter().all(|books| books.delivered == books.records)
    }
}
