//! Ranges of settings, and the fault where a value is outside.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::Fault;
use super::units::format_duration;

/// A value that shows in an error as it would be written in the file.
pub(super) trait Shown {
    fn shown(&self) -> String;
}

impl Shown for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        format!("\"{}\"", format_duration(*self))
    }
}

/// Ok where `value` of `key` is in `range`.
pub(super) fn within<T: PartialOrd + Copy + Shown>(
    key: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), Fault> {
    if range.contains(&value) {
        return Ok(());
    }
    let expected = format!("expected {} to {}", range.start().shown(), range.end().shown());
    Err(Fault::new(key, value.shown(), expected))
}
