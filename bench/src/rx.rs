//! Packets a second of one worker: the probe's own worker on a stamped port, and beside it the same source without a table.
//!
//! The worker has a core to itself; the calling thread, on another, sweeps twice a second as the control thread does.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use anyhow::{Context, ensure};
use dataplane::clock::{Clock, Stopwatch, UtcClock};
use dataplane::dpdk::Eal;
use dataplane::intake::{Intake, IntakeOptions};
use dataplane::ledger::{CountersWriter, WorkerCounters, WorkerFigures};
use dataplane::wire::{self, ParseOptions};
use dataplane::worker::{PacketSource, Worker};
use flowtable::{Burst, FlowRecord, Nanos, RecordSink, Sweeper, TableConfig, Timeouts, table, tcp_flag};

use crate::figures::Spread;
use crate::frames::{self, Stamp};
use crate::machine;
use crate::stamped::StampedSource;

/// Time between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// As in the worker.
const PREFETCH_AHEAD: usize = 4;
/// Of every hash, so that runs can be compared.
const SEED: u64 = 0x7461_7073_7061_6e21;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds; each measures everything once.
    pub runs: u32,
    /// How long each measurement takes.
    pub slice: Duration,
    /// The worker's processor.
    pub worker_cpu: usize,
    /// Leaves out the ceiling, so that a profiler sees nothing but the worker.
    pub worker_only: bool,
}

/// What one number of flows came to.
#[derive(Clone, Debug)]
pub struct RxFigures {
    /// Flows taking turns.
    pub flows: u32,
    /// Mpps of the worker.
    pub worker: Spread,
    /// Mpps of the source with each header parsed and forgotten.
    pub parsed: Spread,
    /// Mpps of the source with each header read.
    pub ceiling: Spread,
    /// `worker` over `ceiling`, by round.
    pub ratio: Spread,
    /// Nanoseconds opening a flow took, its packet's reception included.
    pub open_ns: f64,
    /// Milliseconds a sweep took while the worker was at work.
    pub sweep_ms: Spread,
    /// Burst service times of the worker in ns: 99.9 and 99.99 of a hundred, and the longest.
    pub service_ns: [u64; 3],
    /// Records the sweeps cut.
    pub records: u64,
    /// Share of its time that the worker waited for its processor, from 0: more than little says the machine is busy.
    pub waited: Spread,
}

/// What the worker's thread is told to do next; all but `Open` until it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Opens every flow and completes its handshake.
    Open,
    Ceiling,
    Parse,
    Work,
}

/// Packets handled in a time.
#[derive(Clone, Copy, Debug)]
struct Slice {
    packets: u64,
    ns: u64,
    /// Of `ns`, how long other threads had the worker's processor.
    waited_ns: u64,
}

impl Slice {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn mpps(self) -> f64 {
        self.packets as f64 * 1e3 / self.ns.max(1) as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn waited(self) -> f64 {
        self.waited_ns as f64 / self.ns.max(1) as f64
    }
}

/// Measures `flows` TCP flows in random order. Gives the source back.
///
/// # Errors
/// Where the table's memory is not to be had, the worker's thread cannot be made, or packets got lost.
pub fn measure(
    eal: &Eal,
    source: StampedSource,
    flows: u32,
    plan: &Plan,
) -> anyhow::Result<(StampedSource, RxFigures)> {
    // A fifth is left free, as an operator would.
    let capacity = (flows / 4 * 5).max(1 << 12);
    let (writer, sweeper) = table(&TableConfig { capacity, seed: SEED, ..TableConfig::default() })?;
    let (orders, worker_orders) = mpsc::channel();
    let (worker_results, results) = mpsc::channel();
    let stop = AtomicBool::new(false);
    let (counters, figures) = CountersWriter::new();
    let worker = Worker {
        sources: vec![source],
        writer,
        counters,
        intake: Intake::new(&IntakeOptions::default(), SEED),
    };
    let clock = UtcClock::start();
    let steady = frames::at_random(flows);
    let bench = Bench { worker, clock: clock.clone(), stop: &stop, flows, steady };
    let mut control =
        Control { orders, results, stop: &stop, sweeper, clock, sweeps_ms: Vec::new(), sink: Sink(0) };

    std::thread::scope(|scope| {
        let run = move || -> anyhow::Result<(StampedSource, Arc<WorkerCounters>)> {
            machine::pin_to(plan.worker_cpu);
            let _registered = eal.register_worker_thread()?;
            Ok(bench.serve(&worker_orders, &worker_results))
        };
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn_scoped(scope, run)
            .context("no thread for the worker")?;
        let measured = control.measure(flows, plan);
        drop(control.orders);
        let (source, steady) = thread.join().expect("the worker does not panic")?;
        let mut measured = measured?;
        ensure_all_counted(&figures.read(), &steady.read())?;
        measured.service_ns = percentiles(&steady);
        Ok((source, measured))
    })
}

/// The calling thread: gives orders, takes the time, sweeps.
struct Control<'a> {
    orders: Sender<Order>,
    results: Receiver<Slice>,
    stop: &'a AtomicBool,
    sweeper: Sweeper,
    clock: UtcClock,
    sweeps_ms: Vec<f64>,
    sink: Sink,
}

/// Counts records and forgets them.
struct Sink(u64);

impl RecordSink for Sink {
    fn record(&mut self, record: FlowRecord) {
        black_box(record);
        self.0 += 1;
    }
}

impl Control<'_> {
    fn measure(&mut self, flows: u32, plan: &Plan) -> anyhow::Result<RxFigures> {
        let opening = self.order(Order::Open, Duration::ZERO)?;
        self.order(Order::Work, plan.slice)?;
        self.sweeps_ms.clear();
        let mut rounds = Vec::new();
        let mut working_sweeps_ms = Vec::new();
        for _ in 0..plan.runs {
            let beside = if plan.worker_only { Duration::ZERO } else { plan.slice };
            let ceiling = self.order(Order::Ceiling, beside)?.mpps();
            let parsed = self.order(Order::Parse, beside)?.mpps();
            self.sweeps_ms.clear();
            let worker = self.order(Order::Work, plan.slice)?;
            working_sweeps_ms.append(&mut self.sweeps_ms);
            rounds.push([ceiling, parsed, worker.mpps(), worker.waited()]);
        }
        let spread = |column: usize| Spread::of(rounds.iter().map(|round| round[column]));
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let open_ns = opening.ns as f64 / opening.packets.max(1) as f64;
        Ok(RxFigures {
            flows,
            worker: spread(2),
            parsed: spread(1),
            ceiling: spread(0),
            ratio: Spread::of(rounds.iter().map(|[ceiling, _, worker, _]| worker / ceiling)),
            open_ns,
            sweep_ms: Spread::of(working_sweeps_ms),
            service_ns: [0; 3],
            records: self.sink.0,
            waited: spread(3),
        })
    }

    /// Has the worker do `order` for `slice`; sweeps meanwhile.
    fn order(&mut self, order: Order, slice: Duration) -> anyhow::Result<Slice> {
        self.stop.store(false, Ordering::Relaxed);
        self.orders.send(order)?;
        let watch = Stopwatch::start();
        let elapsed = || Duration::from_nanos(watch.elapsed_ns());
        // Half a period after the beginning, so that short slices see a sweep too.
        let mut sweep_at = SWEEP_EVERY / 4;
        while elapsed() < slice {
            std::thread::sleep(slice.min(sweep_at).saturating_sub(elapsed()));
            if order != Order::Open && elapsed() >= sweep_at {
                self.sweep();
                sweep_at += SWEEP_EVERY;
            }
        }
        self.stop.store(true, Ordering::Relaxed);
        self.results.recv().context("the worker's thread has ended")
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn sweep(&mut self) {
        let watch = Stopwatch::start();
        self.sweeper.sweep(self.clock.now(), &Timeouts::default(), &mut self.sink);
        self.sweeps_ms.push(watch.elapsed_ns() as f64 / 1e6);
    }
}

/// The worker's thread.
struct Bench<'a> {
    worker: Worker<StampedSource>,
    clock: UtcClock,
    stop: &'a AtomicBool,
    flows: u32,
    steady: Vec<Stamp>,
}

impl Bench<'_> {
    /// Does as ordered until there are no more orders. Gives back the source and the counters of the time after opening.
    fn serve(
        mut self,
        orders: &Receiver<Order>,
        results: &Sender<Slice>,
    ) -> (StampedSource, Arc<WorkerCounters>) {
        let mut steady = Arc::default();
        for order in orders {
            let slice = match order {
                Order::Open => {
                    let slice = self.open();
                    // The histogram of service times begins anew.
                    (self.worker.counters, steady) = CountersWriter::new();
                    slice
                }
                Order::Ceiling => self.beside(read_headers),
                Order::Parse => self.beside(parse_headers),
                Order::Work => self.timed(|bench| {
                    let before = steady.read().packets;
                    bench.worker.run(&bench.clock, bench.stop);
                    steady.read().packets - before
                }),
            };
            if results.send(slice).is_err() {
                break;
            }
        }
        let source = self.worker.sources.pop().expect("it has one");
        (source, steady)
    }

    /// Packets the table does not see, so that each flow's next segment is the one after the last it saw.
    fn beside(&mut self, read: fn(&mut StampedSource, &AtomicBool) -> u64) -> Slice {
        let place = self.worker.sources[0].place();
        let slice = self.timed(|bench| read(&mut bench.worker.sources[0], bench.stop));
        self.worker.sources[0].rewind(place);
        slice
    }

    fn timed(&mut self, work: impl FnOnce(&mut Self) -> u64) -> Slice {
        let (watch, waited) = (Stopwatch::start(), machine::waited_ns());
        let packets = work(self);
        Slice { packets, ns: watch.elapsed_ns(), waited_ns: machine::waited_ns() - waited }
    }

    /// A SYN of every client, timed, and its next ACK, which makes the connection an established one for the table. In
    /// the order of flow numbers, so that the order packets come in later is no order of slots.
    fn open(&mut self) -> Slice {
        let in_order = frames::in_order(self.flows);
        self.worker.sources[0].load(&in_order);
        self.worker.sources[0].prime(&frames::template(tcp_flag::SYN));
        let opening = self.timed(Self::one_round);
        self.worker.sources[0].after_syn();
        self.worker.sources[0].prime(&frames::template(tcp_flag::ACK));
        self.one_round();
        self.worker.sources[0].load(&self.steady);
        opening
    }

    fn one_round(&mut self) -> u64 {
        let polls = self.worker.sources[0].polls_a_round();
        for _ in 0..polls {
            self.worker.poll(&self.clock);
        }
        (polls * flowtable::MAX_BURST) as u64
    }
}

/// The worker's loop with nothing behind it: each header is read.
fn read_headers(source: &mut StampedSource, stop: &AtomicBool) -> u64 {
    bursts(source, stop, |data, wire_len, sum| {
        // Every octet a parser of TCP in IPv4 looks at, in words.
        for word in data.chunks_exact(8).take(6) {
            *sum ^= u64::from_le_bytes(word.try_into().expect("eight octets"));
        }
        *sum ^= u64::from(wire_len);
    })
}

/// The worker's loop without a table: each header is parsed, and the result thrown away.
fn parse_headers(source: &mut StampedSource, stop: &AtomicBool) -> u64 {
    let options = ParseOptions::default();
    let (link, port) = (source.link(), source.port());
    let mut burst = Burst::with_capacity(1);
    bursts(source, stop, |data, wire_len, _| {
        black_box(
            burst.push_plain(|brief| wire::brief(link, data, wire_len, Nanos(0), port, &options, brief)),
        );
        burst.clear();
    })
}

#[inline]
fn bursts(source: &mut StampedSource, stop: &AtomicBool, mut visit: impl FnMut(&[u8], u32, &mut u64)) -> u64 {
    let (mut packets, mut sum) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let received = source.receive();
        for index in 0..received.min(PREFETCH_AHEAD) {
            source.prefetch(index);
        }
        for index in 0..received {
            source.prefetch(index + PREFETCH_AHEAD);
            let (data, wire_len) = source.frame(index);
            visit(data, wire_len, &mut sum);
        }
        source.release();
        packets += received as u64;
    }
    black_box(sum);
    packets
}

/// A benchmark that loses packets measures something else.
fn ensure_all_counted(opening: &WorkerFigures, steady: &WorkerFigures) -> anyhow::Result<()> {
    let all = opening.clone().plus(steady);
    ensure!(
        all.in_flows == all.packets && all.anomalies.iter().all(|&count| count == 0),
        "{} of {} packets are in no flow: {:?}, anomalies {:?}",
        all.packets - all.in_flows,
        all.packets,
        all.not_in_flows,
        all.anomalies
    );
    Ok(())
}

/// Burst service times below which 99.9 and 99.99 of a hundred bursts are, and the longest, in ns.
fn percentiles(counters: &WorkerCounters) -> [u64; 3] {
    let counts: Vec<(u64, u64)> = counters.service_ns.counts().collect();
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let at = |beyond: u64| {
        let mut left = total / beyond;
        let found = counts.iter().rev().find(|(_, count)| {
            let reached = *count > left;
            left = left.saturating_sub(*count);
            reached
        });
        found.map_or(0, |(ns, _)| *ns)
    };
    [at(1_000), at(10_000), counters.service_ns.max()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_leave_out_as_many_as_they_say() {
        let counters = WorkerCounters::default();
        (0..9_990).for_each(|_| counters.service_ns.record(10));
        (0..9).for_each(|_| counters.service_ns.record(20));
        counters.service_ns.record(30);
        assert_eq!(percentiles(&counters), [10, 20, 30]);
    }
}
