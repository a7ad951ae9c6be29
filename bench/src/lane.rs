//! The worker's side of a measurement: a table with its traffic, for a while at work, for a while beside it.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dataplane::clock::{Stopwatch, UtcClock};
use dataplane::intake::{Intake, IntakeOptions};
use dataplane::ledger::{CountersWriter, WorkerCounters, WorkerFigures};
use dataplane::worker::{PacketSource, Worker};
use flowtable::{MAX_BURST, Sweeper, TableConfig, Writer, table};
use hdrhistogram::Histogram;

use crate::away::Timed;
use crate::frames::{Shape, Stamp};
use crate::machine;
use crate::packets::ParseAlone;
use crate::stamped::{BufferRing, StampedSource};
use crate::traffic::{Rounds, Traffic};

/// As in the worker.
const PREFETCH_AHEAD: usize = 4;
/// Of every hash, so that runs can be compared. An attacker does not know it.
pub const SEED: u64 = 0x7461_7073_7061_6e21;

/// What a worker's thread is told to do; all but `Open` until it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Opens every flow and completes its handshake.
    Open,
    /// The worker's loop with nothing behind it: each header is read.
    Ceiling,
    /// The worker's loop without a table: each header is parsed and forgotten.
    Parse,
    /// The probe's worker.
    Work,
    /// The probe's worker, and how long it is away from its ring each time.
    WorkTimed,
    /// A loop that reads the clock: how long the machine takes the processor away.
    Bare,
}

/// What was done in a time.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Packets handled.
    pub packets: u64,
    /// How long it took.
    pub ns: u64,
    /// Of `ns`, how long other threads had the worker's processor.
    pub waited_ns: u64,
    /// Heap allocations of the worker's thread.
    pub allocations: u64,
    /// Times away, in ns, of the orders that take them.
    pub away: Option<Histogram<u64>>,
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
impl Slice {
    /// Millions of packets a second.
    pub fn mpps(&self) -> f64 {
        self.packets as f64 * 1e3 / self.ns.max(1) as f64
    }

    /// Nanoseconds a packet.
    pub fn ns_per_packet(&self) -> f64 {
        self.ns as f64 / self.packets.max(1) as f64
    }

    /// Share of the time that the thread waited for its processor.
    pub fn waited(&self) -> f64 {
        self.waited_ns as f64 / self.ns.max(1) as f64
    }
}

/// A table with its traffic, to be driven by a thread that has the buffers.
pub trait Lane: Send {
    /// Does `order` until `stop`. Gives the buffers back.
    fn turn(
        &mut self,
        order: Order,
        ring: BufferRing,
        clock: &UtcClock,
        stop: &AtomicBool,
    ) -> (BufferRing, Slice);
}

/// A table, what flows are opened in it first, and what passes by then.
pub struct TableLane<T> {
    /// Away while the worker has them.
    parts: Option<Parts>,
    traffic: Option<T>,
    shape: Shape,
    opening: Vec<Stamp>,
    /// The counters for the time after the opening.
    later: Option<CountersWriter>,
    steady: Arc<WorkerCounters>,
}

struct Parts {
    writer: Writer,
    counters: CountersWriter,
    intake: Intake,
}

/// The counters of a lane: until its flows were open, and since.
pub struct LaneCounters {
    opened: Arc<WorkerCounters>,
    /// Since the flows were open.
    pub steady: Arc<WorkerCounters>,
}

impl LaneCounters {
    /// All packets of the lane.
    pub fn all(&self) -> WorkerFigures {
        self.opened.read().plus(&self.steady.read())
    }
}

/// What a lane is made of.
pub struct Made<T> {
    /// The worker's part.
    pub lane: TableLane<T>,
    /// The control thread's part.
    pub sweeper: Sweeper,
    /// What was counted.
    pub counters: LaneCounters,
    /// Bytes of the table.
    pub table_bytes: usize,
}

impl<T: Traffic> TableLane<T> {
    /// A table by `config` in which the flows of `opening`, of `shape`, are opened, and `traffic`.
    ///
    /// # Errors
    /// Where the table's memory is not to be had.
    pub fn make(
        config: &TableConfig,
        shape: Shape,
        opening: Vec<Stamp>,
        traffic: T,
    ) -> anyhow::Result<Made<T>> {
        let (writer, sweeper) = table(config)?;
        let table_bytes = writer.memory_bytes();
        let (counters, opened) = CountersWriter::new();
        let (later, steady) = CountersWriter::new();
        let intake = Intake::new(&IntakeOptions::default(), config.seed);
        let figures = LaneCounters { opened, steady: Arc::clone(&steady) };
        let parts = Some(Parts { writer, counters, intake });
        let lane = TableLane { parts, traffic: Some(traffic), shape, opening, later: Some(later), steady };
        Ok(Made { lane, sweeper, counters: figures, table_bytes })
    }
}

impl<T: Traffic> Lane for TableLane<T> {
    fn turn(
        &mut self,
        order: Order,
        mut ring: BufferRing,
        clock: &UtcClock,
        stop: &AtomicBool,
    ) -> (BufferRing, Slice) {
        if order == Order::Open {
            return self.open(ring, clock);
        }
        let mut traffic = self.traffic.take().expect("it is put back after each turn");
        ring.prime(&traffic.template());
        let before = self.steady.read().packets;
        let (source, mut slice) = match order {
            Order::Work => {
                let source = StampedSource { ring, traffic };
                self.with_worker(source, |worker| timed(|| worker.run(clock, stop)))
            }
            Order::WorkTimed => {
                let source = Timed::new(StampedSource { ring, traffic });
                let (source, mut slice) =
                    self.with_worker(source, |worker| timed(|| worker.run(clock, stop)));
                let (source, away) = source.into_parts();
                slice.away = Some(away);
                (source, slice)
            }
            _ => {
                let place = traffic.beside();
                let mut source = StampedSource { ring, traffic };
                let mut packets = 0;
                let mut slice = timed(|| {
                    packets = if order == Order::Parse {
                        parse_headers(&mut source, stop)
                    } else {
                        read_headers(&mut source, stop)
                    };
                });
                source.traffic.go_back(place);
                slice.packets = packets;
                (source, slice)
            }
        };
        slice.packets += self.steady.read().packets - before;
        self.traffic = Some(source.traffic);
        (source.ring, slice)
    }
}

impl<T: Traffic> TableLane<T> {
    /// A SYN of every client, timed, and its next ACK, which makes the connection an established one for the table. In
    /// the order of flow numbers, so that the order packets come in later is no order of slots.
    fn open(&mut self, ring: BufferRing, clock: &UtcClock) -> (BufferRing, Slice) {
        let opening = std::mem::take(&mut self.opening);
        let (ring, slice) = self.one_round(ring, Rounds::syns(self.shape, &opening), clock);
        let (ring, _) = self.one_round(ring, Rounds::first_acks(self.shape, &opening), clock);
        // Figures and the histogram of service times begin anew.
        if let (Some(parts), Some(later)) = (&mut self.parts, self.later.take()) {
            parts.counters = later;
        }
        (ring, slice)
    }

    fn one_round(&mut self, mut ring: BufferRing, traffic: Rounds, clock: &UtcClock) -> (BufferRing, Slice) {
        ring.prime(&traffic.template());
        let polls = traffic.polls_a_round();
        let (source, mut slice) = self.with_worker(StampedSource { ring, traffic }, |worker| {
            timed(|| {
                for _ in 0..polls {
                    worker.poll(clock);
                }
            })
        });
        slice.packets = (polls * MAX_BURST) as u64;
        (source.ring, slice)
    }

    fn with_worker<S: PacketSource>(
        &mut self,
        source: S,
        work: impl FnOnce(&mut Worker<S>) -> Slice,
    ) -> (S, Slice) {
        let Parts { writer, counters, intake } = self.parts.take().expect("it is put back after each turn");
        let mut worker = Worker { sources: vec![source], writer, counters, intake };
        let slice = work(&mut worker);
        let Worker { mut sources, writer, counters, intake } = worker;
        self.parts = Some(Parts { writer, counters, intake });
        (sources.pop().expect("it has one"), slice)
    }
}

/// Takes the time and the allocations of `work` on this thread.
pub fn timed(work: impl FnOnce()) -> Slice {
    let (watch, waited) = (Stopwatch::start(), machine::waited_ns());
    let allocated = allocation_counter::measure(work);
    Slice {
        ns: watch.elapsed_ns(),
        waited_ns: machine::waited_ns() - waited,
        allocations: allocated.count_total,
        ..Slice::default()
    }
}

/// The worker's loop with nothing behind it: each header is read, every octet a parser looks at, in words.
fn read_headers<T: Traffic>(source: &mut StampedSource<T>, stop: &AtomicBool) -> u64 {
    let words = source.traffic.header_len() / 8;
    bursts(source, stop, |data, wire_len, sum| {
        for word in data.chunks_exact(8).take(words) {
            *sum ^= u64::from_le_bytes(word.try_into().expect("eight octets"));
        }
        *sum ^= u64::from(wire_len);
    })
}

fn parse_headers<T: Traffic>(source: &mut StampedSource<T>, stop: &AtomicBool) -> u64 {
    let link = source.link();
    let mut parse = ParseAlone::default();
    bursts(source, stop, |data, wire_len, _| parse.frame(link, data, wire_len))
}

#[inline]
fn bursts(
    source: &mut impl PacketSource,
    stop: &AtomicBool,
    mut visit: impl FnMut(&[u8], u32, &mut u64),
) -> u64 {
    let (mut packets, mut sum) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let received = source.receive();
        for index in 0..PREFETCH_AHEAD {
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
