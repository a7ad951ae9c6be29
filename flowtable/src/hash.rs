//! The seeded hash of a key. ahash's folded multiply: a few multiplications, and without the seeds nobody can aim at a bucket.

use std::hash::{BuildHasher, Hasher};

use crate::index::KeyHash;
use crate::key::FlowKey;
use crate::slot::{KeyWords, is_narrow, narrow_addresses, ports_word};

/// Hashes keys for the index, and wide keys to the fingerprint kept in the hot line.
#[derive(Clone)]
pub(crate) struct KeyHasher {
    bucket: ahash::RandomState,
    fingerprint: ahash::RandomState,
}

impl KeyHasher {
    /// The same seed gives the same hashes within one build.
    pub(crate) fn new(seed: u64) -> Self {
        // Steps of a SplitMix64 sequence: eight well-mixed words of one seed.
        let word = |step: u64| {
            let mut z = seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        };
        KeyHasher {
            bucket: ahash::RandomState::with_seeds(word(1), word(2), word(3), word(4)),
            fingerprint: ahash::RandomState::with_seeds(word(5), word(6), word(7), word(8)),
        }
    }

    /// The first word of a wide key in the hot line, which stands for all that does not fit there.
    #[inline]
    pub(crate) fn fingerprint(&self, key: &FlowKey) -> u64 {
        let mut hasher = self.fingerprint.build_hasher();
        hasher.write_u128(key.lo_address);
        hasher.write_u128(key.hi_address);
        hasher.write_u64(key.tunnel ^ key.family as u64);
        hasher.finish()
    }

    #[inline]
    pub(crate) fn words(&self, key: &FlowKey) -> KeyWords {
        let wide = !is_narrow(key);
        let first = if wide { self.fingerprint(key) } else { narrow_addresses(key) };
        KeyWords { hot: [first, ports_word(key)], wide }
    }

    #[inline]
    pub(crate) fn hash(&self, words: [u64; 2]) -> KeyHash {
        let mut hasher = self.bucket.build_hasher();
        hasher.write_u64(words[0]);
        hasher.write_u64(words[1]);
        KeyHash(hasher.finish())
    }
}
