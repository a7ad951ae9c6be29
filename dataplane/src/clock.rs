//! The one place of the dataplane that reads clocks. Read once a burst, and once where none follows, never for a packet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use flowtable::Nanos;

/// Where the worker takes the time of a burst from.
pub trait Clock {
    /// The time now, UTC.
    fn now(&self) -> Nanos;

    /// The time now, and a stopwatch that runs from it.
    #[inline]
    fn start(&self) -> (Nanos, Stopwatch) {
        (self.now(), Stopwatch::start())
    }
}

/// UTC that never runs backwards, one for all threads: the kernel's monotonic clock, set to UTC at start. On Linux a read
/// of the TSC through the vDSO, calibrated by the kernel: no system call.
///
/// Were it to follow UTC where that is set back, idle and active timeouts would stand still for as long.
#[derive(Clone, Debug)]
pub struct UtcClock {
    base: Instant,
    /// UTC at `base`, ns since the epoch; only ever grows. Relaxed: a figure of its own, seen now or a moment later.
    utc_at_base: Arc<AtomicU64>,
}

impl UtcClock {
    /// A clock set to UTC now.
    pub fn start() -> UtcClock {
        UtcClock { base: instant(), utc_at_base: Arc::new(AtomicU64::new(utc_ns())) }
    }

    /// Follows UTC where it was set forward. Gives how far it was set back instead, in ns; 0 where it was not.
    pub fn follow_utc(&self) -> u64 {
        // In this order a pause between the two reads cannot set the clock ahead.
        let utc = utc_ns();
        let wanted = utc.saturating_sub(flowtable::duration_ns(self.base.elapsed()));
        let current = self.utc_at_base.fetch_max(wanted, Ordering::Relaxed);
        current.saturating_sub(wanted)
    }
}

impl Clock for UtcClock {
    #[inline]
    fn now(&self) -> Nanos {
        self.start().0
    }

    /// Reads the clock once.
    #[inline]
    fn start(&self) -> (Nanos, Stopwatch) {
        let now = instant();
        let passed = flowtable::duration_ns(now.saturating_duration_since(self.base));
        (Nanos(self.utc_at_base.load(Ordering::Relaxed).saturating_add(passed)), Stopwatch(now))
    }
}

fn utc_ns() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
    let now = std::time::SystemTime::now();
    flowtable::duration_ns(now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default())
}

fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
    Instant::now()
}

/// A clock somebody else moves: the capture's own time in a replay, or a test's.
#[derive(Clone, Copy, Debug, Default)]
pub struct ManualClock(pub Nanos);

impl Clock for ManualClock {
    fn now(&self) -> Nanos {
        self.0
    }
}

/// Monotonic time for measuring durations.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[inline]
    pub fn start() -> Stopwatch {
        Stopwatch(instant())
    }

    /// Nanoseconds from the start of `earlier` to that of this one; 0 where it was later.
    #[inline]
    pub fn since_ns(&self, earlier: Stopwatch) -> u64 {
        flowtable::duration_ns(self.0.saturating_duration_since(earlier.0))
    }

    /// Nanoseconds since the start.
    #[inline]
    pub fn elapsed_ns(&self) -> u64 {
        flowtable::duration_ns(self.0.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_behind_utc_is_set_forward_and_one_ahead_goes_on() {
        const HOUR_NS: u64 = 3_600_000_000_000;
        let clock = UtcClock::start();
        clock.utc_at_base.fetch_sub(HOUR_NS, Ordering::Relaxed);
        assert_eq!(clock.follow_utc(), 0);
        assert!(clock.now().0.abs_diff(utc_ns()) < HOUR_NS / 2);
        clock.utc_at_base.fetch_add(HOUR_NS, Ordering::Relaxed);
        let before = clock.now();
        assert!(clock.follow_utc().abs_diff(HOUR_NS) < HOUR_NS / 2);
        assert!(clock.now() >= before);
    }
}
