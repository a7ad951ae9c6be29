//! The packet side of the ledger: for each worker, every packet received is in a flow, under a reason, or held for a while as a
//! fragment.
//!
//! One worker writes, once a burst; any thread reads figures that belong to one moment, by the same version protocol as
//! the flow table's slots.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flowtable::Version;

use crate::clock::Stopwatch;
use crate::histogram::Histogram;
use crate::reason::{Anomaly, Reason};

/// What a burst adds, gathered on the worker's stack.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Packets received.
    pub packets: u64,
    /// Octets of whole frames received.
    pub bytes: u64,
    /// Packets counted in a flow.
    pub in_flows: u64,
    /// Packets held now: fragments whose first part has not come. A level, not an addition.
    pub held: u64,
    /// Packets in no flow, by reason.
    pub not_in_flows: [u32; Reason::COUNT],
    /// Packets in a flow that something was wrong with.
    pub anomalies: [u32; Anomaly::COUNT],
    marked: bool,
}

impl Tally {
    /// Counts a packet that is in no flow.
    #[inline]
    pub fn drop_for(&mut self, reason: Reason) {
        self.not_in_flows[reason.index()] += 1;
        self.marked = true;
    }

    /// Counts packets that are in no flow.
    #[inline]
    pub fn drop_many(&mut self, reason: Reason, packets: u32) {
        if packets > 0 {
            self.not_in_flows[reason.index()] += packets;
            self.marked = true;
        }
    }

    /// Counts something wrong with a packet that is in a flow.
    #[inline]
    pub fn note(&mut self, anomaly: Anomaly) {
        self.anomalies[anomaly.index()] += 1;
        self.marked = true;
    }

    /// Back to zero.
    #[inline]
    pub fn clear(&mut self) {
        (self.packets, self.bytes, self.in_flows, self.held) = (0, 0, 0, 0);
        if self.marked {
            *self = Tally::default();
        }
    }
}

/// The figures of one worker at one moment, since start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerFigures {
    /// Packets received.
    pub packets: u64,
    /// Octets of whole frames received.
    pub bytes: u64,
    /// Packets counted in a flow.
    pub in_flows: u64,
    /// Packets held at this moment, to be counted in a flow later: fragments whose first part has not come.
    pub held: u64,
    /// Bursts that were not empty.
    pub bursts: u64,
    /// Packets in no flow, by [`Reason::index`].
    pub not_in_flows: [u64; Reason::COUNT],
    /// Packets in a flow that something was wrong with, by [`Anomaly::index`].
    pub anomalies: [u64; Anomaly::COUNT],
}

impl Default for WorkerFigures {
    fn default() -> Self {
        WorkerFigures {
            packets: 0,
            bytes: 0,
            in_flows: 0,
            held: 0,
            bursts: 0,
            not_in_flows: [0; Reason::COUNT],
            anomalies: [0; Anomaly::COUNT],
        }
    }
}

impl WorkerFigures {
    /// Packets in no flow, all reasons together.
    pub fn not_in_flows_total(&self) -> u64 {
        self.not_in_flows.iter().sum()
    }

    /// Whether every packet is accounted for.
    pub fn is_balanced(&self) -> bool {
        self.packets == self.in_flows + self.not_in_flows_total() + self.held
    }

    /// These figures and `other`'s together.
    #[must_use]
    pub fn plus(mut self, other: &WorkerFigures) -> WorkerFigures {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.in_flows += other.in_flows;
        self.held += other.held;
        self.bursts += other.bursts;
        self.not_in_flows.iter_mut().zip(other.not_in_flows).for_each(|(sum, more)| *sum += more);
        self.anomalies.iter_mut().zip(other.anomalies).for_each(|(sum, more)| *sum += more);
        self
    }
}

/// Counters a worker shares with whoever reports them.
#[derive(Debug)]
pub struct WorkerCounters {
    version: Version,
    packets: AtomicU64,
    bytes: AtomicU64,
    in_flows: AtomicU64,
    held: AtomicU64,
    bursts: AtomicU64,
    not_in_flows: [AtomicU64; Reason::COUNT],
    anomalies: [AtomicU64; Anomaly::COUNT],
    polls: AtomicU64,
    /// Time from a burst's arrival to that of the next, or to the end of a poll that brings none: how long the worker was away
    /// from its queues, ns.
    pub service_ns: Histogram,
}

impl Default for WorkerCounters {
    fn default() -> Self {
        WorkerCounters {
            version: Version::default(),
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            in_flows: AtomicU64::new(0),
            held: AtomicU64::new(0),
            bursts: AtomicU64::new(0),
            not_in_flows: std::array::from_fn(|_| AtomicU64::new(0)),
            anomalies: std::array::from_fn(|_| AtomicU64::new(0)),
            polls: AtomicU64::new(0),
            service_ns: Histogram::default(),
        }
    }
}

impl WorkerCounters {
    /// The figures of one moment. Waits for at most the end of one update, some nanoseconds.
    pub fn read(&self) -> WorkerFigures {
        let word = |w: &AtomicU64| w.load(Ordering::Relaxed);
        loop {
            let figures = self.version.read(|| WorkerFigures {
                packets: word(&self.packets),
                bytes: word(&self.bytes),
                in_flows: word(&self.in_flows),
                held: word(&self.held),
                bursts: word(&self.bursts),
                not_in_flows: std::array::from_fn(|i| word(&self.not_in_flows[i])),
                anomalies: std::array::from_fn(|i| word(&self.anomalies[i])),
            });
            if let Some((figures, _)) = figures {
                return figures;
            }
            std::hint::spin_loop();
        }
    }

    /// Times the worker has asked its queues for packets.
    pub fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }
}

/// The worker's own handle; the only one that writes.
#[derive(Debug)]
pub struct CountersWriter {
    counters: Arc<WorkerCounters>,
    /// Runs since the arrival of the burst that the worker is busy with.
    busy: Option<Stopwatch>,
}

impl CountersWriter {
    /// A writer and what others read.
    pub fn new() -> (CountersWriter, Arc<WorkerCounters>) {
        let counters = Arc::new(WorkerCounters::default());
        (CountersWriter { counters: Arc::clone(&counters), busy: None }, counters)
    }

    /// Adds a burst, or what was held before where `tally` has no packets.
    #[inline]
    pub fn add(&mut self, tally: &Tally) {
        let counters = &*self.counters;
        counters.version.update(|| {
            bump(&counters.packets, tally.packets);
            bump(&counters.bytes, tally.bytes);
            bump(&counters.in_flows, tally.in_flows);
            counters.held.store(tally.held, Ordering::Relaxed);
            bump(&counters.bursts, u64::from(tally.packets > 0));
            if tally.marked {
                for (sum, more) in counters.not_in_flows.iter().zip(tally.not_in_flows) {
                    bump(sum, u64::from(more));
                }
                for (sum, more) in counters.anomalies.iter().zip(tally.anomalies) {
                    bump(sum, u64::from(more));
                }
            }
        });
    }

    /// Notes that a burst came as `watch` began to run, and so how long the one before took.
    #[inline]
    pub fn begins(&mut self, watch: Stopwatch) {
        if let Some(before) = self.busy.replace(watch) {
            self.counters.service_ns.record(watch.since_ns(before));
        }
    }

    /// Notes that nothing came behind the last burst. Reads the clock where there was one.
    #[inline]
    pub fn rests(&mut self) {
        if let Some(before) = self.busy.take() {
            self.counters.service_ns.record(before.elapsed_ns());
        }
    }

    /// Publishes how often queues were asked so far.
    #[inline]
    pub fn polled(&mut self, polls: u64) {
        self.counters.polls.store(polls, Ordering::Relaxed);
    }
}

#[inline]
fn bump(sum: &AtomicU64, by: u64) {
    sum.store(sum.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_beside_the_writer_always_sees_balanced_figures() {
        let (mut writer, counters) = CountersWriter::new();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut last = 0;
                while last < 20_000 * 3 {
                    let figures = counters.read();
                    assert!(figures.is_balanced(), "{figures:?}");
                    last = figures.packets;
                }
            });
            for _ in 0..20_000 {
                let mut tally = Tally { packets: 3, bytes: 180, in_flows: 2, ..Tally::default() };
                tally.drop_for(Reason::Arp);
                writer.add(&tally);
            }
            reader.join().unwrap();
        });
        let figures = counters.read();
        assert_eq!((figures.packets, figures.in_flows, figures.bursts), (60_000, 40_000, 20_000));
        assert_eq!(figures.not_in_flows[Reason::Arp.index()], 20_000);
    }
}
