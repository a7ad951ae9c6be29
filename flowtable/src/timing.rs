//! Latencies and their jitter: the arithmetic alone. Reads no clock; times are those of the packets.

use crate::record::Timing;

/// Divisor of the running jitter, RFC 3550 §6.4.1.
const JITTER_GAIN: f64 = 16.0;

/// The jitter after a sample that differs by `difference_ns` from the one before: J + (|D| - J) / 16.
#[inline]
pub(crate) fn next_jitter(jitter_ns: f64, sample_ns: u64, before_ns: u64) -> f64 {
    let difference = sample_ns.abs_diff(before_ns) as f64;
    jitter_ns + (difference - jitter_ns) / JITTER_GAIN
}

/// A jitter in whole nanoseconds, rounded to the nearest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and held at the limits"
)]
pub(crate) fn whole_ns(jitter_ns: f64) -> u64 {
    jitter_ns.round() as u64
}

/// The mean of `count` samples, rounded to the nearest; `None` of none.
pub(crate) fn mean_ns(sum_ns: u64, count: u32) -> Option<u64> {
    let count = u64::from(count);
    sum_ns.saturating_add(count / 2).checked_div(count)
}

/// Service and round-trip time out of exchanges seen at the probe.
///
/// The mean exchange less the responder's network is the service, and with the initiator's network the round trip; where no
/// handshake told the responder's network, the exchange is taken as it is, and where none told the initiator's, there is no
/// round trip. A constant added to each sample does not change the jitter, so both have that of the exchanges.
pub(crate) fn exchange_timings(
    mean_ns: Option<u64>,
    jitter_ns: Option<u64>,
    snd_ns: Option<u64>,
    cnd_ns: Option<u64>,
) -> (Option<Timing>, Option<Timing>) {
    let Some(mean) = mean_ns else {
        return (None, None);
    };
    let service = Timing { latency_ns: mean.saturating_sub(snd_ns.unwrap_or(0)), jitter_ns };
    let round_trip = cnd_ns.map(|cnd| Timing { latency_ns: mean.saturating_add(cnd), jitter_ns });
    (Some(service), round_trip)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn jitter_of(samples: &[u64]) -> f64 {
        samples.windows(2).fold(0.0, |jitter, pair| next_jitter(jitter, pair[1], pair[0]))
    }

    #[test]
    fn jitter_is_that_of_rfc_3550() {
        // |D| = 1,600, then 0, then 3,200: 100, 100 - 100/16 = 93.75, 93.75 + (3,200 - 93.75)/16 = 287.890625.
        assert!((jitter_of(&[5_000, 6_600]) - 100.0).abs() < 1e-9);
        assert!((jitter_of(&[5_000, 6_600, 6_600]) - 93.75).abs() < 1e-9);
        assert!((jitter_of(&[5_000, 6_600, 6_600, 3_400]) - 287.890_625).abs() < 1e-9);
        assert_eq!(whole_ns(287.890_625), 288);
    }

    #[test]
    fn the_mean_is_rounded_to_the_nearest() {
        assert_eq!(mean_ns(0, 0), None);
        assert_eq!(mean_ns(10, 4), Some(3));
        assert_eq!(mean_ns(9, 4), Some(2));
    }

    #[test]
    fn networks_are_taken_off_and_added_only_where_they_are_known() {
        let timings = |snd, cnd| {
            let (svc, rndtrip) = exchange_timings(Some(1_000), None, snd, cnd);
            (svc.map(|t| t.latency_ns), rndtrip.map(|t| t.latency_ns))
        };
        assert_eq!(timings(Some(300), Some(50)), (Some(700), Some(1_050)));
        assert_eq!(timings(None, None), (Some(1_000), None));
        assert_eq!(timings(Some(2_000), None), (Some(0), None));
        assert_eq!(exchange_timings(None, None, Some(1), Some(1)), (None, None));
    }

    proptest! {
        #[test]
        fn jitter_of_a_constant_delay_is_0(sample: u64, count in 2usize..50) {
            prop_assert_eq!(whole_ns(jitter_of(&vec![sample; count])), 0);
        }

        #[test]
        fn jitter_stays_below_the_largest_difference(samples in prop::collection::vec(0u64..1 << 40, 2..50)) {
            let largest = samples.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap();
            prop_assert!(jitter_of(&samples) <= largest as f64);
        }

        #[test]
        fn a_constant_added_to_every_sample_does_not_change_the_jitter(
            samples in prop::collection::vec(0u64..1 << 40, 2..50), constant in 0u64..1 << 40,
        ) {
            let moved: Vec<_> = samples.iter().map(|sample| sample + constant).collect();
            prop_assert_eq!(jitter_of(&samples).to_bits(), jitter_of(&moved).to_bits());
        }
    }
}
