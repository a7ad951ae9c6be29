//! Conversations that are to open no flow: the probe's own export. Set by any thread at any time, asked by the Writer only
//! for packets of no live flow.

use crate::key::{Endpoint, Family, FlowKey};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::version::Version;

/// Conversations excluded at once, at most.
#[cfg(not(loom))]
pub const MAX_EXCLUSIONS: usize = 32;
/// Not part of what is modelled.
#[cfg(loom)]
pub const MAX_EXCLUSIONS: usize = 1;
const WORDS: usize = 6;

/// All conversations of one protocol between an address and an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// IP version of both.
    pub family: Family,
    /// IP protocol number.
    pub protocol: u8,
    /// The one side, on any port.
    pub address: u128,
    /// The other side.
    pub endpoint: Endpoint,
}

impl Exclusion {
    fn covers(&self, key: &FlowKey) -> bool {
        let lo = Endpoint { address: key.lo_address, port: key.lo_port };
        let hi = Endpoint { address: key.hi_address, port: key.hi_port };
        let between = |one: Endpoint, other: Endpoint| one.address == self.address && other == self.endpoint;
        key.family == self.family && key.protocol == self.protocol && (between(lo, hi) || between(hi, lo))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
    fn words(&self) -> [u64; WORDS] {
        let halves = |address: u128| [(address >> 64) as u64, address as u64];
        let [a, b] = halves(self.address);
        let [c, d] = halves(self.endpoint.address);
        [a, b, c, d, u64::from(self.endpoint.port), u64::from(self.protocol) << 8 | self.family as u64]
    }

    #[expect(clippy::cast_possible_truncation, reason = "unpacking fields narrower than the word")]
    fn of([a, b, c, d, port, kinds]: [u64; WORDS]) -> Exclusion {
        let joined = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        Exclusion {
            family: if kinds as u8 == Family::V6 as u8 { Family::V6 } else { Family::V4 },
            protocol: (kinds >> 8) as u8,
            address: joined(a, b),
            endpoint: Endpoint { address: joined(c, d), port: port as u16 },
        }
    }
}

/// The conversations excluded now. One thread sets them; Writers read them without waiting.
#[derive(Debug)]
pub struct Exclusions {
    version: Version,
    len: AtomicU32,
    words: [[AtomicU64; WORDS]; MAX_EXCLUSIONS],
}

impl Default for Exclusions {
    fn default() -> Exclusions {
        Exclusions {
            version: Version::default(),
            len: AtomicU32::new(0),
            words: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
        }
    }
}

impl Exclusions {
    /// Replaces all of them; of more than [`MAX_EXCLUSIONS`] the first. To be called by one thread at a time.
    pub fn set(&self, exclusions: &[Exclusion]) {
        let exclusions = &exclusions[..exclusions.len().min(MAX_EXCLUSIONS)];
        self.version.update(|| {
            for (words, exclusion) in self.words.iter().zip(exclusions) {
                for (word, value) in words.iter().zip(exclusion.words()) {
                    word.store(value, Ordering::Relaxed);
                }
            }
            #[expect(clippy::cast_possible_truncation, reason = "at most MAX_EXCLUSIONS")]
            self.len.store(exclusions.len() as u32, Ordering::Relaxed);
        });
    }

    /// Whether packets with `key`, which is asked for where there are any exclusions, are to open no flow. While these are being
    /// replaced, none covers anything.
    pub(crate) fn covers(&self, key: impl FnOnce() -> FlowKey) -> bool {
        // A stale length only costs or saves a look at the list.
        if self.len.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let key = key();
        let look = || {
            let len = (self.len.load(Ordering::Relaxed) as usize).min(MAX_EXCLUSIONS);
            let word = |word: &AtomicU64| word.load(Ordering::Relaxed);
            self.words[..len]
                .iter()
                .any(|words| Exclusion::of(std::array::from_fn(|at| word(&words[at]))).covers(&key))
        };
        self.version.read(look).is_some_and(|(covered, _)| covered)
    }
}
