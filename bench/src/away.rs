//! How long a worker is away from its ring: from the end of one receive call to the beginning of the next one that brings
//! packets. Beside it a bare loop, which shows how long the machine itself takes the processor away.

use std::sync::atomic::{AtomicBool, Ordering};

use dataplane::clock::Stopwatch;
use dataplane::worker::PacketSource;
use flowtable::PortId;
use hdrhistogram::Histogram;

/// Longest time told apart: 10 s.
const LONGEST_NS: u64 = 10_000_000_000;

/// A source that takes the time between its calls. Two looks at the clock a burst are its price.
pub struct Timed<S> {
    source: S,
    away_ns: Histogram<u64>,
    left: Option<Stopwatch>,
}

impl<S> Timed<S> {
    /// `source`, timed from now on.
    pub fn new(source: S) -> Timed<S> {
        Timed { source, away_ns: histogram(), left: None }
    }

    /// The source, and the times away in ns.
    pub fn into_parts(self) -> (S, Histogram<u64>) {
        (self.source, self.away_ns)
    }
}

impl<S: PacketSource> PacketSource for Timed<S> {
    #[inline]
    fn receive(&mut self) -> usize {
        if let Some(left) = self.left {
            self.away_ns.saturating_record(left.elapsed_ns().max(1));
        }
        let received = self.source.receive();
        self.left = Some(Stopwatch::start());
        received
    }

    #[inline]
    fn frame(&self, index: usize) -> (&[u8], u32) {
        self.source.frame(index)
    }

    #[inline]
    fn prefetch(&self, index: usize) {
        self.source.prefetch(index);
    }

    #[inline]
    fn release(&mut self) {
        self.source.release();
    }

    fn port(&self) -> PortId {
        self.source.port()
    }
}

/// Reads the clock until `stop`. Gives the times between two looks, in ns.
pub fn bare_loop(stop: &AtomicBool) -> Histogram<u64> {
    let mut gaps_ns = histogram();
    let watch = Stopwatch::start();
    let mut before = watch.elapsed_ns();
    while !stop.load(Ordering::Relaxed) {
        let now = watch.elapsed_ns();
        gaps_ns.saturating_record((now - before).max(1));
        before = now;
    }
    gaps_ns
}

/// Fixed in size: recording allocates nothing.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("bounds and digits are in range")
}
