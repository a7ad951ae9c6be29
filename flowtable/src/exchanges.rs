//! The exchanges of requests and responses of a flow: how many there were, their sum, the latest one and their jitter.
//!
//! Three words at the end of an exchange. A narrow key leaves room for them in the track line, beside the time of the request;
//! of any other they are in the cold line.

use crate::cold::Cold;
use crate::connection::Track;
use crate::sync::{AtomicU64, Ordering};
use crate::timing::next_jitter;

/// Where the exchanges of a flow are.
#[derive(Clone, Copy)]
pub(crate) struct Exchanges<'a> {
    track: &'a Track,
    /// Their sum in ns; their number above the lower 32 bits of the latest one; the bits of their jitter, an `f64`, in ns. The
    /// latest one's other bits are beside the marks.
    words: &'a [AtomicU64; 3],
}

/// The exchanges of a flow at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ExchangesCopy {
    /// How many were measured.
    pub(crate) number: u32,
    /// All of them, ns.
    pub(crate) sum: u64,
    pub(crate) jitter: f64,
}

/// Longest exchange told apart: 78 hours.
const LATEST_MAX_NS: u64 = (1 << 48) - 1;

impl<'a> Exchanges<'a> {
    /// Those of a flow whose key is `wide` or not.
    #[inline(always)]
    pub(crate) fn of(wide: bool, track: &'a Track, cold: &'a Cold) -> Exchanges<'a> {
        Exchanges { track, words: if wide { &cold.events_or_exchanges } else { &track.exchanges_or_key } }
    }

    pub(crate) fn copy(&self) -> ExchangesCopy {
        let [sum, number_and_latest, jitter] = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        let number = (number_and_latest >> u32::BITS) as u32;
        ExchangesCopy { number, sum, jitter: f64::from_bits(jitter) }
    }

    /// The latest one, ns.
    fn latest(&self) -> u64 {
        let low = self.words[1].load(Ordering::Relaxed) & u64::from(u32::MAX);
        u64::from(self.track.beside_marks()) << u32::BITS | low
    }

    /// Takes the exchange that a response ends at `at_ns`.
    pub(crate) fn end(&self, at_ns: u64) {
        let before = self.copy();
        let sample = at_ns.saturating_sub(self.track.asked_at.load(Ordering::Relaxed));
        let jitter =
            if before.number > 0 { next_jitter(before.jitter, sample, self.latest()) } else { before.jitter };
        let latest = sample.min(LATEST_MAX_NS);
        let number = u64::from(before.number.saturating_add(1));
        let [sum_word, number_and_latest, jitter_word] = self.words;
        sum_word.store(before.sum.saturating_add(sample), Ordering::Relaxed);
        number_and_latest.store(number << u32::BITS | latest & u64::from(u32::MAX), Ordering::Relaxed);
        jitter_word.store(jitter.to_bits(), Ordering::Relaxed);
        self.track.end_request((latest >> u32::BITS) as u16);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::connection::Marks;

    #[test]
    fn exchanges_and_marks_do_not_disturb_each_other() {
        for wide in [false, true] {
            let (track, cold) = (Track::default(), Cold::default());
            track.set_marks(Marks(Marks::ASKED | Marks::SND));
            // Five seconds, which takes 33 bits; and then 79 hours, which takes 49.
            let exchanges = Exchanges::of(wide, &track, &cold);
            track.asked_at.store(7, Ordering::Relaxed);
            exchanges.end(5_000_000_007);
            assert_eq!(track.marks(), Marks(Marks::SND));
            let first = ExchangesCopy { number: 1, sum: 5_000_000_000, jitter: 0.0 };
            assert_eq!((exchanges.copy(), exchanges.latest()), (first, 5_000_000_000));
            track.set_marks(track.marks().with(Marks::ASKED));
            assert_eq!((exchanges.copy(), exchanges.latest()), (first, 5_000_000_000));
            exchanges.end(284_400_000_000_007);
            let second = exchanges.copy();
            assert_eq!((second.number, exchanges.latest()), (2, LATEST_MAX_NS));
            assert_eq!(second.sum, 284_405_000_000_000);
        }
    }
}
