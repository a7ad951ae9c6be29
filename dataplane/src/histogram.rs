//! A histogram one thread writes and any other reads: burst service times. Fixed in size, never allocates after start.
//!
//! Values keep five significant bits, so a reading is at most 1/32 above what was measured.

use std::sync::atomic::{AtomicU64, Ordering};

const MANTISSA_BITS: u32 = 5;
const STEPS: usize = 1 << MANTISSA_BITS;
/// Powers of two covered: values up to 2^40 ns, 18 minutes; greater ones count as that.
const OCTAVES: usize = 40 - MANTISSA_BITS as usize;
const BUCKETS: usize = STEPS * (OCTAVES + 1);

/// Counts of values in log-linear buckets.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), max: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Adds `value`. For the owning thread alone: plain load and store, Relaxed because each bucket stands for itself.
    #[inline]
    pub fn record(&self, value: u64) {
        let bucket = &self.buckets[bucket_of(value)];
        bucket.store(bucket.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if value > self.max.load(Ordering::Relaxed) {
            self.max.store(value, Ordering::Relaxed);
        }
    }

    /// The greatest value so far, exactly.
    pub fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Each bucket that holds something, lowest first: its greatest value and its count.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets
            .iter()
            .enumerate()
            .map(|(at, count)| (upper_end(at), count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }
}

#[inline]
fn bucket_of(value: u64) -> usize {
    let octave = (u64::BITS - value.leading_zeros()).saturating_sub(MANTISSA_BITS + 1);
    #[expect(clippy::cast_possible_truncation, reason = "shifted to below 2 * STEPS")]
    let mantissa = (value >> octave) as usize;
    let at = if octave == 0 { mantissa } else { octave as usize * STEPS + mantissa };
    at.min(BUCKETS - 1)
}

fn upper_end(bucket: usize) -> u64 {
    let (octave, mantissa) =
        if bucket < 2 * STEPS { (0, bucket) } else { (bucket / STEPS - 1, bucket % STEPS + STEPS) };
    ((mantissa as u64 + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_values_are_exact_and_the_greatest_is_kept() {
        let histogram = Histogram::default();
        for value in [0, 1, 63, 63, u64::MAX] {
            histogram.record(value);
        }
        let counts: Vec<_> = histogram.counts().take(3).collect();
        assert_eq!(counts, [(0, 1), (1, 1), (63, 2)]);
        assert_eq!(histogram.max(), u64::MAX);
    }

    proptest! {
        #[test]
        fn a_value_is_read_back_at_most_a_thirty_second_too_high(value in 0u64..1 << 40) {
            let end = upper_end(bucket_of(value));
            prop_assert!(end >= value);
            prop_assert!(end - value <= value / 32);
        }
    }
}
