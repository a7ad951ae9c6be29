//! How long things take, as percentiles.

use hdrhistogram::Histogram;
use serde::Serialize;
use utoipa::ToSchema;

/// How long the stages take, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Latency {
    /// From the moment a worker has a burst to the moment it is done with it. Empty polls are not counted.
    pub burst: StageLatency,
    /// One sweep through all tables.
    pub sweep: StageLatency,
    /// One request to a destination, until it is answered.
    pub export: StageLatency,
}

/// Percentiles of one stage, in nanoseconds; all 0 where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageLatency {
    /// Measurements.
    pub count: u64,
    /// Half of them were at most this, in ns.
    pub p50_ns: u64,
    /// 90 %.
    pub p90_ns: u64,
    /// 99 %.
    pub p99_ns: u64,
    /// 99.9 %.
    pub p999_ns: u64,
    /// 99.99 %.
    pub p9999_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl StageLatency {
    /// The percentiles of `histogram`, which counts nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> StageLatency {
        if histogram.is_empty() {
            return StageLatency::default();
        }
        StageLatency {
            count: histogram.len(),
            p50_ns: histogram.value_at_quantile(0.5),
            p90_ns: histogram.value_at_quantile(0.9),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            p9999_ns: histogram.value_at_quantile(0.9999),
            max_ns: histogram.max(),
        }
    }

    /// Quantile and value in ns, ascending; the longest is quantile 1.
    pub fn quantiles(&self) -> [(&'static str, u64); 6] {
        [
            ("0.5", self.p50_ns),
            ("0.9", self.p90_ns),
            ("0.99", self.p99_ns),
            ("0.999", self.p999_ns),
            ("0.9999", self.p9999_ns),
            ("1", self.max_ns),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_ascend_to_the_longest() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        (1..=1000).for_each(|ns| histogram.record(ns).unwrap());
        let latency = StageLatency::of(&histogram);
        assert_eq!((latency.count, latency.p50_ns, latency.p99_ns, latency.max_ns), (1000, 500, 990, 1000));
        assert!(latency.quantiles().is_sorted_by_key(|(_, ns)| *ns));
    }

    #[test]
    fn nothing_measured_is_all_zero() {
        assert_eq!(StageLatency::of(&Histogram::new(3).unwrap()), StageLatency::default());
    }
}
