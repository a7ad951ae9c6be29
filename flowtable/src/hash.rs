//! The seeded hash of a key: a few multiplications, and without the seeds nobody can aim at a bucket.

use crate::index::KeyHash;
use crate::key::FlowKey;
use crate::key_words::{Addresses, KEPT, KeyWords, halves, ports_word};

/// Hashes keys for the index, and wide keys to the fingerprint kept in the hot line.
#[derive(Clone)]
pub(crate) struct KeyHasher {
    /// One for each word of a key in the hot line, and a factor for what their product is folded to.
    bucket: [u64; 3],
    /// One for each word of [`KeyHasher::mask`].
    mask: [u64; KEPT + 1],
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
            // An even factor would lose bits.
            bucket: [word(1), word(2), word(3) | 1],
            mask: [word(5), word(6), word(7), word(8)],
        }
    }

    /// The first word of a wide key in the hot line, which stands for all that does not fit there: the lower half of the lower
    /// address under [`KeyHasher::mask`], so that the slot need not keep that half a second time. Of `addresses` with this word in
    /// the place of `low` it gives back `low`.
    #[inline(always)]
    pub(crate) fn fingerprint(&self, addresses: &Addresses) -> u64 {
        addresses.low ^ self.mask(addresses)
    }

    /// A hash of all that `addresses` have beside `low`: two folded products, which do not wait for each other.
    #[inline(always)]
    fn mask(&self, addresses: &Addresses) -> u64 {
        let [first, second, third, fourth] = addresses.masking();
        let [a, b, c, d] = self.mask;
        folded(first ^ a, second ^ b) ^ folded(third ^ c, fourth ^ d)
    }

    #[inline]
    pub(crate) fn words(&self, key: &FlowKey) -> KeyWords {
        let addresses = Addresses::of(key);
        let first = if addresses.kind().is_wide() { self.fingerprint(&addresses) } else { addresses.low };
        KeyWords { hot: [first, ports_word(key)], kind: addresses.kind() }
    }

    /// The folded product of both words, as in ahash, which keys that an attacker chooses meet in only by chance, and a product
    /// modulo 2^64 that spreads it over the upper half. ahash folds a second product and rotates twice: 1 to 2 ns more a packet.
    #[inline]
    pub(crate) fn hash(&self, words: [u64; 2]) -> KeyHash {
        let [first, second, factor] = self.bucket;
        KeyHash(folded(words[0] ^ first, words[1] ^ second).wrapping_mul(factor))
    }
}

/// Both halves of a product on each other.
#[inline(always)]
fn folded(a: u64, b: u64) -> u64 {
    let [high, low] = halves(u128::from(a) * u128::from(b));
    high ^ low
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::index::Index;
    use crate::key::{Endpoint, Family, protocol};
    use crate::slot::SlotId;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// Address and port of both ends of a flow.
    type Ends = [(u32, u16); 2];

    /// Flows of the attack, in a table with a fifth more room.
    const FLOWS: u32 = 1_000_000;

    /// The Toeplitz hash a network card chooses queues by ("RSS hashing functions", Microsoft), of an IPv4 4-tuple.
    fn rss(rss_key: &[u8], [source, destination]: Ends) -> u32 {
        let mut input = Vec::new();
        [source.0, destination.0].iter().for_each(|address| input.extend(address.to_be_bytes()));
        [source.1, destination.1].iter().for_each(|port| input.extend(port.to_be_bytes()));
        let bit = |octets: &[u8], at: usize| u32::from(octets[at / 8] >> (7 - at % 8) & 1);
        let window = |at: usize| (at..at + 32).fold(0, |window, at| window << 1 | bit(rss_key, at));
        (0..96).filter(|&at| bit(&input, at) == 1).fold(0, |hash, at| hash ^ window(at))
    }

    /// Flows whose addresses or ports go up in steps, as those of scans, of address pools and of ports taken in turn do: products of
    /// such numbers go up in steps too.
    fn in_steps() -> [fn(u32) -> Ends; 6] {
        [
            |number| [(0x0a00_0000 + number, 40_000), (0xc000_0201, 443)],
            |number| [(0xc633_6401, 40_000), (number.rotate_left(12), 443)],
            |number| [(0x0a00_0001 + (number >> 15), 0x8000 | (number & 0x7fff) as u16), (0xc000_0201, 443)],
            |number| [(0x0a00_0001, (number & 0xffff) as u16), (0xc000_0201 + (number >> 16), 53)],
            |number| [(0x0a00_0000 + number, (number & 0xffff) as u16), (0xc000_0000 + number, 443)],
            |number| [(0x0a00_0000 + (number >> 10), 443), (0xc000_0000 + ((number & 0x3ff) << 10), 443)],
        ]
    }

    /// Clients of one server that choose their ports so that all 16-bit words of the 4-tuple always give the same sum
    /// modulo 2: the symmetric key 0x6d5a repeated makes one RSS hash of that.
    fn attackers() -> impl Iterator<Item = Ends> {
        (0..FLOWS).map(|number| {
            let client = 0x0a00_0000 | number;
            let [high, low] =
                [client >> 16, client & 0xffff].map(|word| u16::try_from(word).expect("16 bits"));
            [(client, high ^ low ^ 0x5555), (0xc000_0201, 443)]
        })
    }

    /// The same of wide keys: addresses that go up in either half, and tunnels that do.
    fn wide_in_steps() -> [fn(u32) -> FlowKey; 4] {
        const SERVER: u128 = 0x2001_0db8_0000_0001_0000_0000_0000_0001;
        [
            |number| wide(0, SERVER + u128::from(number)),
            |number| wide(0, SERVER + (u128::from(number) << 64)),
            |number| wide(0, SERVER ^ u128::from(number.rotate_left(12)) << 80),
            |number| FlowKey {
                family: Family::V4,
                ..wide(4 << 32 | u64::from(number >> 4), u128::from(number & 15))
            },
        ]
    }

    /// A key in `tunnel` with `address` at one end.
    fn wide(tunnel: u64, address: u128) -> FlowKey {
        let [client, server] =
            [(address, 40_000), (77, 443)].map(|(address, port)| Endpoint { address, port });
        let (key, _) = FlowKey::canonical(Family::V6, protocol::TCP, client, server);
        FlowKey { tunnel, ..key }
    }

    fn key_of([client, server]: Ends) -> FlowKey {
        let [client, server] =
            [client, server].map(|(address, port)| Endpoint { address: address.into(), port });
        FlowKey::canonical(Family::V4, protocol::TCP, client, server).0
    }

    /// Entries that are not in their home bucket, and entries that share home bucket and tag with another one.
    fn crowded(seed: u64, keys: impl Iterator<Item = FlowKey>) -> (usize, usize) {
        let hasher = KeyHasher::new(seed);
        let mut index = Index::new(FLOWS as usize / 5 * 6).expect("memory for the index");
        let mut seen = HashSet::new();
        for (slot, key) in (0..).zip(keys) {
            let hash = hasher.hash(hasher.words(&key).hot);
            assert!(index.insert(hash, SlotId(slot)), "there is room for flow {slot}");
            seen.insert(index.place_and_tag(hash));
        }
        (index.displaced(), FLOWS as usize - seen.len())
    }

    proptest! {
        /// No part of a wide key is left out, and no two keys that differ in the lower half of an address alone ever meet.
        #[test]
        fn each_bit_of_a_wide_key_decides_its_first_word(
            seed: u64, lo: u128, hi: u128, v6: bool, tunnel in prop_oneof![Just(0), 1u64..1 << 40], bit in 0u32..296,
            other: u64,
        ) {
            let hasher = KeyHasher::new(seed);
            let first_word = |hasher: &KeyHasher, key: &FlowKey| hasher.words(key).hot[0];
            let family = if v6 { Family::V6 } else { Family::V4 };
            let (mask, tunnel) = if v6 { (u128::MAX, tunnel) } else { (u128::from(u32::MAX), tunnel.max(1)) };
            let end = |address| Endpoint { address: address & mask, port: 1 };
            let (key, _) = FlowKey::canonical(family, protocol::UDP, end(lo), end(hi));
            let key = FlowKey { tunnel, ..key };
            let mut changed = key;
            match bit {
                0..128 => changed.lo_address ^= 1 << bit & mask,
                128..256 => changed.hi_address ^= 1 << (bit - 128) & mask,
                _ => changed.tunnel ^= 1 << (bit - 256),
            }
            let first = first_word(&hasher, &key);
            prop_assert_eq!(first == first_word(&hasher, &changed), key == changed);
            let moved = FlowKey { lo_address: key.lo_address ^ u128::from(other) & mask, ..key };
            prop_assert_eq!(first_word(&hasher, &moved), first ^ other & halves(mask)[1]);
            prop_assert_ne!(first, first_word(&KeyHasher::new(!seed), &key));
            let narrowed = FlowKey { lo_address: key.lo_address & 0xffff_ffff, hi_address: key.hi_address & 0xffff_ffff, ..key };
            let of_family = |family| first_word(&hasher, &FlowKey { family, ..narrowed });
            prop_assert_ne!(of_family(Family::V4), of_family(Family::V6));
        }
    }

    #[test]
    fn the_rss_hash_of_these_tests_is_the_cards() {
        // The first two rows of the verification suite for IPv4 with TCP, and the key it is for.
        let key = [
            0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
            0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
            0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
        ];
        let end = |address: [u8; 4], port| (u32::from_be_bytes(address), port);
        let first = [end([66, 9, 149, 187], 2_794), end([161, 142, 100, 80], 1_766)];
        let second = [end([199, 92, 111, 2], 14_230), end([65, 69, 140, 83], 4_739)];
        assert_eq!((rss(&key, first), rss(&key, second)), (0x51cc_c178, 0xc626_b0ea));
    }

    #[test]
    fn a_million_keys_of_one_rss_hash_crowd_no_bucket() {
        let symmetric = [0x6d, 0x5a].repeat(20);
        let wanted = rss(&symmetric, attackers().next().unwrap());
        assert!(attackers().step_by(997).all(|ends| rss(&symmetric, ends) == wanted));
        // 1,000,000 entries in 200,000 buckets of ten: by Poisson with a mean of 5, 0.02219 entries a bucket find no room at
        // home, which is 4,438, and some find none where they are passed on to either.
        for seed in [1, 2] {
            let (displaced, ambiguous) = crowded(seed, attackers().map(key_of));
            assert!((4_000..5_300).contains(&displaced), "{displaced} entries away from home");
            // Each has 5 others in its bucket, of which one in 65,535 has its tag: 38 pairs.
            assert!(ambiguous < 80, "{ambiguous} entries with the place and tag of another");
        }
    }

    #[test]
    fn keys_in_steps_crowd_no_bucket_either() {
        // As many away from home as in the test before, where keys are as good as random; fewer would be no fault.
        let narrow = in_steps().map(|flow| (0..FLOWS).map(flow).map(key_of).collect::<Vec<_>>());
        let wide = wide_in_steps().map(|flow| (0..FLOWS).map(flow).collect());
        for (seed, keys) in (1..).zip(narrow.into_iter().chain(wide)) {
            let (displaced, ambiguous) = crowded(seed, keys.into_iter());
            assert!(displaced < 5_300, "set {seed}: {displaced} entries away from home");
            assert!(ambiguous < 80, "set {seed}: {ambiguous} entries with the place and tag of another");
        }
    }
}
