//! The control thread: sweeps every worker's table at its interval, cuts records, hands them on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use dataplane::clock::{Clock, Stopwatch, UtcClock};
use dataplane::ledger::WorkerCounters;
use flowtable::{Sweeper, Timeouts};
use hdrhistogram::Histogram;
use tracing::warn;

use super::outlet::{Outlet, WhenFull};

/// How often flows the workers ended by themselves are looked for between sweeps.
const HANDOVER_INTERVAL: Duration = Duration::from_millis(5);
/// Longest sweep the histogram tells apart, ns.
const LONGEST_NS: u64 = 60_000_000_000;
/// Commands that may wait; each comes from one request.
const COMMANDS: usize = 16;
/// A sweep is late when none ended for so many intervals and [`LATE_LEAST`].
const LATE_INTERVALS: u32 = 10;
const LATE_LEAST: Duration = Duration::from_secs(5);
const NS_PER_MS: u64 = 1_000_000;
/// How far the machine's clock has to be set back for a word about it.
const SET_BACK_LEAST: Duration = Duration::from_secs(1);

enum Command {
    /// Cut records of all live flows, and say how many.
    Flush(Sender<u64>),
    /// Cut everything one last time and end, waiting for room until so long after the stopwatch's start.
    Stop(Stopwatch, Duration),
}

/// What other threads know and want of the sweep.
pub(super) struct SweepControl {
    timeouts: Mutex<Timeouts>,
    commands: Sender<Command>,
    durations_ns: Mutex<Histogram<u64>>,
    sweeps: AtomicU64,
    /// When the last sweep ended, ns since `started`.
    swept_ns: AtomicU64,
    started: Stopwatch,
    interval: Duration,
    /// Rate over the last interval, the bits of an `f64`.
    packets_per_second: AtomicU64,
}

impl SweepControl {
    /// A control, and the sweep to run on a thread of its own.
    pub(super) fn new(
        sweepers: Vec<Sweeper>,
        counters: Vec<Arc<WorkerCounters>>,
        clock: UtcClock,
        outlet: Outlet,
        timeouts: Timeouts,
        interval: Duration,
    ) -> (Arc<SweepControl>, Sweep) {
        let (commands, received) = bounded(COMMANDS);
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("bounds and digits are in range");
        let control = Arc::new(SweepControl {
            timeouts: Mutex::new(timeouts),
            commands,
            durations_ns: Mutex::new(histogram),
            sweeps: AtomicU64::new(0),
            swept_ns: AtomicU64::new(0),
            started: Stopwatch::start(),
            interval,
            packets_per_second: AtomicU64::new(0),
        });
        let control_of_sweep = Arc::clone(&control);
        let sweep = Sweep {
            sweepers,
            counters,
            clock,
            set_back: false,
            outlet,
            commands: received,
            control: control_of_sweep,
        };
        (control, sweep)
    }

    /// The timeouts the next sweep goes by.
    pub(super) fn timeouts(&self) -> Timeouts {
        *lock(&self.timeouts)
    }

    /// Changes them.
    pub(super) fn change(&self, change: impl FnOnce(Timeouts) -> Timeouts) -> Timeouts {
        let mut timeouts = lock(&self.timeouts);
        *timeouts = change(*timeouts);
        *timeouts
    }

    /// Cuts records of all live flows and waits for it; `None` where the sweep has ended or takes too long.
    pub(super) fn flush(&self, patience: Duration) -> Option<u64> {
        let (done, records) = bounded(1);
        self.commands.send_timeout(Command::Flush(done), patience).ok()?;
        records.recv_timeout(patience).ok()
    }

    /// Asks for the last sweep, which waits for the exporter until `grace` after `since`.
    pub(super) fn stop(&self, since: Stopwatch, grace: Duration) {
        // Only fails where the thread has ended already.
        let _ = self.commands.send(Command::Stop(since, grace));
    }

    /// How long sweeps took so far.
    pub(super) fn durations_ns(&self) -> Histogram<u64> {
        lock(&self.durations_ns).clone()
    }

    /// Sweeps so far.
    pub(super) fn sweeps(&self) -> u64 {
        self.sweeps.load(Ordering::Relaxed)
    }

    /// Time since the last sweep ended, in ms.
    pub(super) fn idle_ms(&self) -> u64 {
        self.started.elapsed_ns().saturating_sub(self.swept_ns.load(Ordering::Relaxed)) / NS_PER_MS
    }

    /// Whether sweeps come as often as they should, give or take a slow one.
    pub(super) fn is_alive(&self) -> bool {
        Duration::from_millis(self.idle_ms()) < self.interval * LATE_INTERVALS + LATE_LEAST
    }

    /// Packets received a second over the last interval, by all workers.
    pub(super) fn packets_per_second(&self) -> f64 {
        f64::from_bits(self.packets_per_second.load(Ordering::Relaxed))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sweep itself.
pub(super) struct Sweep {
    sweepers: Vec<Sweeper>,
    counters: Vec<Arc<WorkerCounters>>,
    clock: UtcClock,
    /// UTC is behind the clock, and the operator knows.
    set_back: bool,
    outlet: Outlet,
    commands: Receiver<Command>,
    control: Arc<SweepControl>,
}

impl Sweep {
    /// Sweeps until told to stop.
    pub(super) fn run(mut self) {
        let mut since_sweep = Stopwatch::start();
        let mut packets = 0;
        loop {
            let passed = Duration::from_nanos(since_sweep.elapsed_ns());
            let left = self.control.interval.saturating_sub(passed);
            match self.commands.recv_timeout(left.min(HANDOVER_INTERVAL)) {
                Ok(Command::Flush(done)) => {
                    // Whoever asked may have given up waiting.
                    let _ = done.send(self.flush());
                }
                Ok(Command::Stop(since, grace)) => {
                    self.outlet.when_full(WhenFull::WaitWithin(since, grace));
                    self.sweep();
                    self.flush();
                    self.outlet.finish();
                    return;
                }
                Err(RecvTimeoutError::Timeout) if left <= HANDOVER_INTERVAL => {
                    packets = self.note_rate(packets, since_sweep.elapsed_ns());
                    since_sweep = Stopwatch::start();
                    self.sweep();
                }
                Err(RecvTimeoutError::Timeout) => self.drain(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn sweep(&mut self) {
        let watch = Stopwatch::start();
        self.follow_utc();
        let (now, timeouts) = (self.clock.now(), self.control.timeouts());
        self.outlet.begin_sweep(&timeouts);
        for (worker, sweeper) in (0..).zip(&mut self.sweepers) {
            sweeper.sweep(now, &timeouts, &mut self.outlet.of(worker, now));
        }
        self.outlet.end_sweep(now);
        lock(&self.control.durations_ns).saturating_record(watch.elapsed_ns().max(1));
        self.control.sweeps.fetch_add(1, Ordering::Relaxed);
        self.control.swept_ns.store(self.control.started.elapsed_ns(), Ordering::Relaxed);
    }

    fn follow_utc(&mut self) {
        let behind = Duration::from_nanos(self.clock.follow_utc());
        let set_back = behind >= SET_BACK_LEAST;
        if set_back && !self.set_back {
            warn!(
                "the machine's clock was set back by {behind:?}; times in spans go on as before until the next start"
            );
        }
        self.set_back = set_back;
    }

    fn flush(&mut self) -> u64 {
        let now = self.clock.now();
        let mut cut = 0;
        for (worker, sweeper) in (0..).zip(&mut self.sweepers) {
            cut += sweeper.flush(now, &mut self.outlet.of(worker, now)).records;
        }
        self.outlet.end_sweep(now);
        cut
    }

    fn drain(&mut self) {
        let now = self.clock.now();
        for (worker, sweeper) in (0..).zip(&mut self.sweepers) {
            if sweeper.has_handovers() {
                sweeper.drain_handovers(&mut self.outlet.of(worker, now));
            }
        }
        self.outlet.end_sweep(now);
    }

    /// Notes the rate since `before` packets, `ns` ago, and gives the number of packets now.
    fn note_rate(&self, before: u64, ns: u64) -> u64 {
        let packets: u64 = self.counters.iter().map(|counters| counters.read().packets).sum();
        let rate = (packets - before) as f64 * 1e9 / ns.max(1) as f64;
        self.control.packets_per_second.store(rate.to_bits(), Ordering::Relaxed);
        packets
    }
}
