//! Where measurements take place: worker threads on their processors, and the calling thread as the control thread of the
//! probe, which gives orders, sweeps twice a second, takes in flows that ended between, and exports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use anyhow::{Context, ensure};
use dataplane::clock::{Clock, Stopwatch, UtcClock};
use dataplane::dpdk::Eal;
use dataplane::reason::Reason;
use flowtable::{Sweeper, Timeouts};

use crate::away;
use crate::lane::{self, Lane, LaneCounters, Made, Order, Slice, TableLane};
use crate::machine;
use crate::sink::Sink;
use crate::stamped::BufferRing;
use crate::traffic::Traffic;

/// Time between two sweeps: the default of `flow.sweep_interval`.
pub const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// Time between two looks at flows the worker ended: as in the probe.
const HANDOVER_EVERY: Duration = Duration::from_millis(5);

/// Whether a lane may leave packets in no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Every packet is in a flow.
    All,
    /// A packet is in a flow or under "table full".
    OrTableFull,
}

/// The tables of one worker thread.
#[derive(Default)]
pub struct Cast {
    lanes: Vec<Box<dyn Lane>>,
    control: Vec<ControlLane>,
}

/// What the control thread has of a lane.
struct ControlLane {
    sweeper: Sweeper,
    counters: LaneCounters,
    counts: Counts,
}

impl Cast {
    /// Adds a lane. Gives its number.
    pub fn add<T: Traffic + 'static>(&mut self, made: Made<T>, counts: Counts) -> usize {
        let Made { lane, sweeper, counters, table_bytes: _ } = made;
        let lane: TableLane<T> = lane;
        self.lanes.push(Box::new(lane));
        self.control.push(ControlLane { sweeper, counters, counts });
        self.lanes.len() - 1
    }
}

/// The control thread's view while workers stand by.
pub struct Control<'a> {
    seats: Vec<Seat>,
    stop: &'a AtomicBool,
    clock: UtcClock,
    /// What sweeps go by.
    pub timeouts: Timeouts,
    /// Where records go.
    pub sink: Sink,
    /// Each sweep since this was emptied.
    pub sweeps: Vec<Swept>,
    /// The largest share of a turn at work that a worker waited for its processor.
    pub waited: f64,
}

/// A sweep of the tables at work.
#[derive(Clone, Copy, Debug)]
pub struct Swept {
    /// How long it took.
    pub ns: u64,
    /// Packets that the workers counted meanwhile.
    pub packets: u64,
    /// Flows looked at: those that nothing can be due of are passed over.
    pub looked_at: u64,
}

struct Seat {
    orders: Sender<(usize, Order)>,
    results: Receiver<Slice>,
    control: Vec<ControlLane>,
}

/// Runs `direct` with a thread for each of `workers`: its processor, its buffers and its tables. Gives the buffers back.
///
/// # Errors
/// Where `direct` fails, a thread cannot be made, or a packet is not accounted for.
pub fn perform<R>(
    eal: &Eal,
    workers: Vec<(usize, BufferRing, Cast)>,
    direct: impl FnOnce(&mut Control<'_>) -> anyhow::Result<R>,
) -> anyhow::Result<(Vec<BufferRing>, R)> {
    let stop = AtomicBool::new(false);
    let clock = UtcClock::start();
    let sink = Sink::start()?;
    std::thread::scope(|scope| {
        let mut control = Control {
            seats: Vec::new(),
            stop: &stop,
            clock: clock.clone(),
            timeouts: Timeouts::default(),
            sink,
            sweeps: Vec::new(),
            waited: 0.0,
        };
        let mut threads = Vec::new();
        for (cpu, ring, Cast { lanes, control: tables }) in workers {
            let (orders, received) = mpsc::channel();
            let (answers, results) = mpsc::channel();
            let (clock, stop) = (clock.clone(), &stop);
            let run = move || -> anyhow::Result<BufferRing> {
                machine::pin_to(cpu);
                let _registered = eal.register_worker_thread()?;
                Ok(serve(lanes, ring, &received, &answers, &clock, stop))
            };
            let thread = std::thread::Builder::new().name("worker".to_owned()).spawn_scoped(scope, run);
            threads.push(thread.context("no thread for the worker")?);
            control.seats.push(Seat { orders, results, control: tables });
        }
        let directed = direct(&mut control);
        let accounted = control.finish();
        let rings = threads
            .into_iter()
            .map(|thread| thread.join().expect("the worker does not panic"))
            .collect::<Result<_, _>>()?;
        let directed = directed?;
        accounted?;
        Ok((rings, directed))
    })
}

/// The worker's thread: does as ordered until there are no more orders.
fn serve(
    mut lanes: Vec<Box<dyn Lane>>,
    mut ring: BufferRing,
    orders: &Receiver<(usize, Order)>,
    results: &Sender<Slice>,
    clock: &UtcClock,
    stop: &AtomicBool,
) -> BufferRing {
    for (lane, order) in orders {
        let slice;
        if order == Order::Bare {
            let mut gaps = None;
            let measured = lane::timed(|| gaps = Some(away::bare_loop(stop)));
            slice = Slice { away: gaps, ..measured };
        } else {
            (ring, slice) = lanes[lane].turn(order, ring, clock, stop);
        }
        if results.send(slice).is_err() {
            break;
        }
    }
    ring
}

impl Control<'_> {
    /// Has the first worker do `order` with `lane` for `slice`.
    ///
    /// # Errors
    /// Where its thread is gone.
    pub fn turn(&mut self, lane: usize, order: Order, slice: Duration) -> anyhow::Result<Slice> {
        let mut slices = self.turn_of(&[(0, lane)], order, slice)?;
        Ok(slices.remove(0))
    }

    /// Opens the flows of every lane, one after the other. Gives the slices, worker by worker.
    ///
    /// # Errors
    /// Where a thread is gone.
    pub fn open_all(&mut self) -> anyhow::Result<Vec<Slice>> {
        let all: Vec<(usize, usize)> = (self.seats.iter().enumerate())
            .flat_map(|(seat, lanes)| (0..lanes.control.len()).map(move |lane| (seat, lane)))
            .collect();
        let mut slices = Vec::new();
        for who in all {
            slices.append(&mut self.turn_of(&[who], Order::Open, Duration::ZERO)?);
        }
        Ok(slices)
    }

    /// Has each worker in `who` do `order` with its lane at once for `slice`; sweeps their tables meanwhile.
    ///
    /// # Errors
    /// Where a thread is gone.
    pub fn turn_of(
        &mut self,
        who: &[(usize, usize)],
        order: Order,
        slice: Duration,
    ) -> anyhow::Result<Vec<Slice>> {
        self.stop.store(false, Ordering::Relaxed);
        for &(seat, lane) in who {
            self.seats[seat].orders.send((lane, order))?;
        }
        let watch = Stopwatch::start();
        let elapsed = || Duration::from_nanos(watch.elapsed_ns());
        let works = matches!(order, Order::Work | Order::WorkTimed);
        // Part of a period after the beginning, so that short slices see a sweep too.
        let mut sweep_at = SWEEP_EVERY / 4;
        while elapsed() < slice {
            let step = if works { HANDOVER_EVERY } else { slice };
            std::thread::sleep(step.min(slice.saturating_sub(elapsed())));
            if works && elapsed() >= sweep_at {
                sweep_at = elapsed() + SWEEP_EVERY;
                self.sweep(who);
            } else if works {
                self.drain(who);
            }
        }
        self.stop.store(true, Ordering::Relaxed);
        let mut slices = Vec::with_capacity(who.len());
        for &(seat, _) in who {
            let slice = self.seats[seat].results.recv().context("the worker's thread has ended")?;
            if order != Order::Open {
                self.waited = self.waited.max(slice.waited());
            }
            slices.push(slice);
        }
        Ok(slices)
    }

    fn sweep(&mut self, who: &[(usize, usize)]) {
        let before = self.packets(who);
        let watch = Stopwatch::start();
        let now = self.clock.now();
        let mut looked_at = 0;
        for &(seat, lane) in who {
            let sweeper = &mut self.seats[seat].control[lane].sweeper;
            looked_at += sweeper.sweep(now, &self.timeouts, &mut self.sink).live;
        }
        self.sink.flush();
        self.sweeps.push(Swept { ns: watch.elapsed_ns(), packets: self.packets(who) - before, looked_at });
    }

    /// Packets that the lanes have counted so far.
    fn packets(&self, who: &[(usize, usize)]) -> u64 {
        who.iter().map(|&(seat, lane)| self.seats[seat].control[lane].counters.steady.read().packets).sum()
    }

    fn drain(&mut self, who: &[(usize, usize)]) {
        for &(seat, lane) in who {
            let sweeper = &mut self.seats[seat].control[lane].sweeper;
            if sweeper.has_handovers() {
                sweeper.drain_handovers(&mut self.sink);
            }
        }
        self.sink.flush();
    }

    /// How full the table of a lane is and what happened in it.
    pub fn table(&self, seat: usize, lane: usize) -> flowtable::TableStats {
        self.seats[seat].control[lane].sweeper.stats()
    }

    /// Lets the threads end, and checks that every packet is accounted for: a benchmark that loses packets measures
    /// something else.
    fn finish(&mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for Seat { orders: _, results: _, control } in self.seats.drain(..) {
            for ControlLane { counters, counts, .. } in control {
                let all = counters.all();
                let full = all.not_in_flows[Reason::TableFull.index()];
                let allowed = if counts == Counts::OrTableFull { full } else { 0 };
                ensure!(
                    all.in_flows + allowed == all.packets && all.anomalies.iter().all(|&count| count == 0),
                    "{} of {} packets are in no flow: {:?}, anomalies {:?}",
                    all.packets - all.in_flows,
                    all.packets,
                    all.not_in_flows,
                    all.anomalies
                );
            }
        }
        Ok(())
    }
}
