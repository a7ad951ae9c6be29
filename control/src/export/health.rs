//! What the log says about a destination: changes at once, repetitions seldom.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

/// Shortest time between two warnings of the same kind.
const QUIET: Duration = Duration::from_secs(30);

/// Whether the destination takes spans, as far as was last known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unknown,
    Taking,
    Failing,
}

/// The voice of one destination in the log.
pub(super) struct Health {
    destination: String,
    standing: Standing,
    losses: Quiet,
    remarks: Quiet,
    full: Quiet,
}

/// Lets one message through per [`QUIET`] and adds up the rest.
#[derive(Default)]
struct Quiet {
    last: Option<Instant>,
    held: u64,
}

impl Quiet {
    /// The spans to report now, if it is time.
    fn pass(&mut self, spans: u64, now: Instant) -> Option<u64> {
        self.held += spans;
        if self.last.is_some_and(|last| now.duration_since(last) < QUIET) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held))
    }
}

impl Health {
    pub(super) fn new(destination: &str) -> Health {
        Health {
            destination: destination.to_owned(),
            standing: Standing::Unknown,
            losses: Quiet::default(),
            remarks: Quiet::default(),
            full: Quiet::default(),
        }
    }

    pub(super) fn reachable(&self) {
        info!(destination = %self.destination, "destination is reachable");
    }

    pub(super) fn taking(&mut self) {
        match self.standing {
            Standing::Unknown => info!(destination = %self.destination, "first batch delivered"),
            Standing::Failing => info!(destination = %self.destination, "delivering again"),
            Standing::Taking => {}
        }
        self.standing = Standing::Taking;
    }

    pub(super) fn failing(&mut self, reason: &str) {
        if self.standing == Standing::Failing {
            debug!(destination = %self.destination, reason, "still failing");
            return;
        }
        self.standing = Standing::Failing;
        warn!(destination = %self.destination, reason, "cannot deliver, spans wait and are tried again");
    }

    /// `spans` were lost.
    pub(super) fn lost(&mut self, spans: u64, cause: &'static str, reason: &str) {
        if let Some(spans) = self.losses.pass(spans, Instant::now()) {
            warn!(destination = %self.destination, spans, cause, reason, "spans dropped");
        }
    }

    /// The receiver took everything and added a word.
    pub(super) fn remark(&mut self, message: &str) {
        if self.remarks.pass(1, Instant::now()).is_some() {
            warn!(destination = %self.destination, message, "the receiver took the spans with a warning");
        }
    }

    /// `records` found no room in the queue.
    pub(super) fn overflowed(&mut self, records: u64) {
        if records == 0 {
            return;
        }
        if let Some(records) = self.full.pass(records, Instant::now()) {
            warn!(destination = %self.destination, records, "queue full, records dropped");
        }
    }

    pub(super) fn given_up(&self, reason: &str) {
        warn!(destination = %self.destination, reason, "given up: nothing more is sent there");
    }
}
