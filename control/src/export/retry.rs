//! When to try again, and when to give up. Pure: time and randomness are arguments.

use std::time::Duration;

use tokio::time::Instant;

/// What ends when retries are exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// The batch: it is dropped and the next one gets all the time again, while the queue holds what it can. For live use.
    Batch,
    /// The destination: everything waiting and everything offered later is dropped at once, so that a replay ends. The
    /// time counts from the first failure since the destination last took something.
    Destination,
}

/// How failed export calls are repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Wait before the first repetition; doubled for each further one.
    pub initial: Duration,
    /// Longest wait, unless the receiver asks for a longer one.
    pub max_backoff: Duration,
    /// Time from the first failure after which it is given up; zero means no repetition.
    pub max_elapsed: Duration,
    /// Each wait is varied by up to this share of it either way, 0 to 1, so that probes do not come back in step.
    pub jitter: f64,
    /// What is given up.
    pub give_up: GiveUp,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            initial: Duration::from_millis(500),
            max_backoff: Duration::from_secs(10),
            max_elapsed: Duration::from_secs(300),
            jitter: 0.2,
            give_up: GiveUp::Batch,
        }
    }
}

/// Where one destination stands in its retries.
#[derive(Debug)]
pub(super) struct Backoff {
    policy: Retry,
    wait: Duration,
    failing_since: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(policy: Retry) -> Backoff {
        Backoff { policy, wait: policy.initial, failing_since: None }
    }

    /// Whether exhausted retries end the destination rather than the batch.
    pub(super) fn gives_destination_up(&self) -> bool {
        self.policy.give_up == GiveUp::Destination
    }

    /// A new batch begins.
    pub(super) fn begin_batch(&mut self) {
        if self.policy.give_up == GiveUp::Batch {
            self.failing_since = None;
        }
    }

    /// The destination answered, whatever it said.
    pub(super) fn answered(&mut self) {
        self.wait = self.policy.initial;
        self.failing_since = None;
    }

    /// How long to wait after the failure at `now`; `None` where the wait would end after the time allowed.
    ///
    /// `asked` is the least the receiver wants, `random` is uniform in 0..1.
    pub(super) fn pause(&mut self, now: Instant, asked: Option<Duration>, random: f64) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert(now);
        let varied = self.wait.mul_f64(1.0 + self.policy.jitter.clamp(0.0, 1.0) * (2.0 * random - 1.0));
        self.wait = (self.wait * 2).min(self.policy.max_backoff);
        let pause = asked.map_or(varied, |asked| asked.max(varied));
        let elapsed = now.duration_since(since);
        (elapsed.saturating_add(pause) <= self.policy.max_elapsed).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    fn policy() -> Retry {
        Retry {
            initial: Duration::from_secs(1),
            max_backoff: Duration::from_secs(4),
            max_elapsed: Duration::from_secs(20),
            jitter: 0.2,
            give_up: GiveUp::Batch,
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_an_answer() {
        let now = Instant::now();
        let mut backoff = Backoff::new(policy());
        let waits: Vec<_> = (0..4).map(|_| backoff.pause(now, None, MIDDLE).unwrap().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 4]);
        backoff.answered();
        assert_eq!(backoff.pause(now, None, MIDDLE), Some(Duration::from_secs(1)));
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let now = Instant::now();
        let early = Backoff::new(policy()).pause(now, None, 0.0).unwrap();
        let late = Backoff::new(policy()).pause(now, None, 1.0).unwrap();
        assert_eq!((early, late), (Duration::from_millis(800), Duration::from_millis(1200)));
    }

    #[test]
    fn the_receiver_may_ask_for_more_but_not_for_less() {
        let now = Instant::now();
        let mut backoff = Backoff::new(policy());
        assert_eq!(backoff.pause(now, Some(Duration::from_secs(9)), MIDDLE), Some(Duration::from_secs(9)));
        assert_eq!(backoff.pause(now, Some(Duration::ZERO), MIDDLE), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_wait_past_the_limit_is_given_up_at_once() {
        let now = Instant::now();
        let mut backoff = Backoff::new(policy());
        assert_eq!(backoff.pause(now, Some(Duration::from_secs(21)), MIDDLE), None);
        let mut backoff = Backoff::new(policy());
        assert!(backoff.pause(now, None, MIDDLE).is_some());
        assert_eq!(backoff.pause(now + Duration::from_secs(19), None, MIDDLE), None);
    }

    #[test]
    fn the_limit_counts_for_each_batch_or_for_the_whole_outage() {
        let now = Instant::now();
        let later = now + Duration::from_secs(30);
        for (give_up, goes_on) in [(GiveUp::Batch, true), (GiveUp::Destination, false)] {
            let mut backoff = Backoff::new(Retry { give_up, ..policy() });
            backoff.pause(now, None, MIDDLE);
            backoff.begin_batch();
            assert_eq!(backoff.pause(later, None, MIDDLE).is_some(), goes_on, "{give_up:?}");
        }
    }
}
