//! The non-drop rate: the highest rate offered of which nothing is lost, RFC 2544 §26.1, found by bisection.
//!
//! As in MLRsearch, short trials narrow the range and long ones decide: a rate counts as free of loss only after a trial of
//! full length. Knows no port and no generator: a trial is a function.

use std::time::Duration;

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Highest rate to offer, packets a second: that of the line.
    pub max_pps: f64,
    /// Lowest rate of interest.
    pub min_pps: f64,
    /// How close the bounds have to be, as a share of the upper one.
    pub precision: f64,
    /// Length of a trial that decides.
    pub trial: Duration,
    /// Length of a trial that narrows the range.
    pub short_trial: Duration,
}

/// What a trial came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Packets the generator sent.
    pub sent: u64,
    /// Packets the worker counted.
    pub received: u64,
    /// Packets the card dropped or had no buffer for.
    pub missed: u64,
}

impl Trial {
    /// Whether nothing was lost.
    pub fn is_lossless(&self) -> bool {
        self.sent > 0 && self.received == self.sent && self.missed == 0
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonDropRate {
    /// Highest rate without loss in a trial of full length; `None` where the lowest rate lost packets.
    pub lossless_pps: Option<f64>,
    /// Lowest rate with loss; `None` where the highest rate had none.
    pub lossy_pps: Option<f64>,
    /// Trials made.
    pub trials: u32,
}

/// Trials at most: every range is halved in each, so that this is far more than any precision needs.
const TRIALS_MAX: u32 = 200;

/// Looks for the non-drop rate with `trial`, which offers a rate for a time.
///
/// # Errors
/// What `trial` gives.
pub fn search<E>(
    search: &Search,
    mut trial: impl FnMut(f64, Duration) -> Result<Trial, E>,
) -> Result<NonDropRate, E> {
    let mut trials = 0;
    let mut offer = |pps: f64, length: Duration| {
        trials += 1;
        trial(pps, length).map(|trial| trial.is_lossless())
    };
    let estimate = bisect(search, [None, None], search.short_trial, &mut offer)?;
    // The short trials' bounds are where the long ones begin; nothing of theirs counts.
    let found = bisect(search, [estimate.0, estimate.1], search.trial, &mut offer)?;
    Ok(NonDropRate { lossless_pps: found.0, lossy_pps: found.1, trials })
}

/// Bounds by trials of `length`; `hints` are rates to try first, below and above.
fn bisect<E>(
    search: &Search,
    hints: [Option<f64>; 2],
    length: Duration,
    offer: &mut impl FnMut(f64, Duration) -> Result<bool, E>,
) -> Result<(Option<f64>, Option<f64>), E> {
    let (mut lossless, mut lossy) = (None, None);
    let mut next = hints[0].unwrap_or(search.max_pps);
    // How far to step down from a hint that turned out too high.
    let mut step = search.precision * next;
    for _ in 0..TRIALS_MAX {
        if offer(next, length)? {
            lossless = Some(next);
        } else {
            lossy = Some(next);
        }
        next = match (lossless, lossy) {
            (Some(low), _) if low >= search.max_pps => break,
            (Some(low), Some(high)) if high - low <= search.precision * high => break,
            (Some(low), Some(high)) => f64::midpoint(low, high),
            (Some(low), None) => hints[1].filter(|&hint| hint > low).unwrap_or(search.max_pps),
            (None, Some(high)) if high <= search.min_pps => break,
            (None, Some(_)) if hints[0].is_none() => search.min_pps,
            (None, Some(high)) => {
                let below = (high - step).max(search.min_pps);
                step *= 2.0;
                below
            }
            (None, None) => break,
        };
    }
    Ok((lossless, lossy))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Search = Search {
        max_pps: 16e6,
        min_pps: 1e6,
        precision: 0.01,
        trial: Duration::from_secs(60),
        short_trial: Duration::from_secs(2),
    };

    /// A port that takes `limit` packets a second, and `burst` more before it drops.
    fn port(limit: f64, burst: f64) -> impl FnMut(f64, Duration) -> Result<Trial, ()> {
        move |pps, length| {
            let sent = pps * length.as_secs_f64();
            let taken = sent.min(limit * length.as_secs_f64() + burst);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far below 2^52")]
            let [sent, received] = [sent, taken].map(|packets| packets as u64);
            Ok(Trial { sent, received, missed: sent - received })
        }
    }

    /// By hand, with no room beside the limit of 7 M: short trials at 16, 1, 8.5, 4.75, 6.625, 7.5625, 7.09375, 6.859375,
    /// 6.9765625 and 7.03515625 M; the last two are 0.0586 M apart, less than 1 % of the upper one. Long trials at these two.
    #[test]
    fn the_bounds_close_in_on_the_limit() {
        let mut offered = Vec::new();
        let mut port = port(7e6, 0.0);
        let found = search(&SEARCH, |pps, length| {
            offered.push((pps, length.as_secs()));
            port(pps, length)
        });
        let found = found.unwrap();
        assert_eq!((found.lossless_pps, found.lossy_pps), (Some(6_976_562.5), Some(7_035_156.25)));
        let short =
            [16e6, 1e6, 8.5e6, 4.75e6, 6.625e6, 7.5625e6, 7.09375e6, 6.859375e6, 6.9765625e6, 7.03515625e6];
        let expected: Vec<_> =
            short.iter().map(|&pps| (pps, 2)).chain([(6.9765625e6, 60), (7.03515625e6, 60)]).collect();
        assert_eq!(offered, expected);
        assert_eq!(found.trials, 12);
    }

    /// Short trials pass at up to 7 + 2 = 9 M, as the burst fits into buffers; in a minute it is 7.067 M.
    #[test]
    fn what_buffers_hide_from_short_trials_long_ones_find() {
        let found = search(&SEARCH, port(7e6, 4e6)).unwrap();
        let (low, high) = (found.lossless_pps.unwrap(), found.lossy_pps.unwrap());
        assert!(low <= 7_066_666.7 && high > 7_066_666.7, "{low} {high}");
        assert!(high - low <= 0.01 * high);
    }

    #[test]
    fn a_port_that_takes_the_line_is_tried_at_the_line_alone() {
        let found = search(&SEARCH, port(20e6, 0.0)).unwrap();
        assert_eq!(found, NonDropRate { lossless_pps: Some(16e6), lossy_pps: None, trials: 2 });
    }

    #[test]
    fn a_port_that_takes_nothing_is_given_up_at_the_lowest_rate() {
        let found = search(&SEARCH, port(0.0, 0.0)).unwrap();
        assert_eq!((found.lossless_pps, found.lossy_pps), (None, Some(1e6)));
    }

    #[test]
    fn a_generator_that_sent_nothing_proves_nothing() {
        assert!(!Trial { sent: 0, received: 0, missed: 0 }.is_lossless());
        assert!(Trial { sent: 5, received: 5, missed: 0 }.is_lossless());
        assert!(!Trial { sent: 5, received: 5, missed: 1 }.is_lossless());
        assert!(!Trial { sent: 5, received: 4, missed: 0 }.is_lossless());
    }
}
