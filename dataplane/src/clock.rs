//! The one place of the dataplane that reads clocks. Read once or twice a burst, never for a packet.

use flowtable::Nanos;

/// Where the worker takes the time of a burst from.
pub trait Clock {
    /// The time now, UTC.
    fn now(&self) -> Nanos;
}

/// The kernel's UTC clock. On Linux a read of the TSC through the vDSO, calibrated to UTC by the kernel: no system call.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Nanos {
        #[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
        let now = std::time::SystemTime::now();
        let since_epoch = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Nanos(flowtable::duration_ns(since_epoch))
    }
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
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts now.
    #[inline]
    pub fn start() -> Stopwatch {
        #[expect(clippy::disallowed_methods, reason = "this is the clock's home")]
        let now = std::time::Instant::now();
        Stopwatch(now)
    }

    /// Nanoseconds since the start.
    #[inline]
    pub fn elapsed_ns(&self) -> u64 {
        flowtable::duration_ns(self.0.elapsed())
    }
}
