//! Time as the table sees it: nanoseconds since the Unix epoch, handed in by the caller. Never reads a clock.

use std::time::Duration;

/// Nanoseconds since 1970-01-01 00:00:00 UTC. 64 bits last until the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The time from `earlier` to `self`; 0 ns where `earlier` is later.
    #[inline]
    pub fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` moved on by `duration`, held at the last representable instant.
    pub fn after(self, duration: Duration) -> Nanos {
        Nanos(self.0.saturating_add(duration_ns(duration)))
    }
}

/// Whole nanoseconds of `duration`, held at `u64::MAX`.
pub fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
