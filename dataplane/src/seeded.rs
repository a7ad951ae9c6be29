//! Seeded hashers for the tables of the intake: without the seed nobody can aim at one bucket.

/// A hasher for the table that goes by `purpose`, so that no two tables share their hashes. The same seed gives the same hashes
/// within one build.
pub(crate) fn hasher(seed: u64, purpose: u64) -> ahash::RandomState {
    // Steps of a SplitMix64 sequence: four well-mixed words of one seed.
    let word = |step: u64| {
        let mut z = seed.wrapping_add((purpose << 8 | step).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    };
    ahash::RandomState::with_seeds(word(1), word(2), word(3), word(4))
}
