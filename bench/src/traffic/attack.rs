//! Flows chosen to hurt: all with one RSS hash, and one value of what a table without a seed might hash by.
//!
//! All three hashes are linear over the bits of the key (exclusive or of parts that depend on one bit each), so that keys
//! which agree in them are the sums of the vectors of a null space, found by elimination.

use crate::frames::Stamp;

/// Bits of a key: two addresses, two ports.
const BITS: usize = 96;
/// What every port is told to spread by: the key that repeats every 16 bits and is the same for both directions.
const RSS_KEY: [u8; 2] = [0x6d, 0x5a];
/// CRC32C, bit-reversed: what the CRC32 instruction computes.
const CRC32C: u32 = 0x82f6_3b78;
/// The base all keys are added to, so that the client's address sorts before the server's.
const BASE: u128 = 1 << 63;
/// The first bits of both addresses, which stay as the base has them.
const FIXED: u128 = 1 << 95 | 1 << 63;

/// Client to server of `count` flows that have one RSS hash, one exclusive or and one CRC32C.
///
/// # Panics
/// Where there are fewer, which is above 2^29.
pub fn colliding(count: u32) -> Vec<Stamp> {
    let basis = null_space(|bit| {
        let key = 1u128 << bit;
        u128::from(rss(key)) << 64
            | u128::from(fold(key)) << 32
            | u128::from(crc32c(key))
            | (key & FIXED) << 32 & 1 << 127
            | u128::from(key & FIXED == 1 << 63) << 126
    });
    assert!(u64::from(count) <= 1 << basis.len().min(32), "as many sums");
    (0..count)
        .map(|number| {
            let chosen = basis.iter().enumerate().filter(|(at, _)| *at < 32 && number >> at & 1 == 1);
            stamp(chosen.fold(BASE, |key, (_, vector)| key ^ vector))
        })
        .collect()
}

/// A key: source address, destination address, source port, destination port, from the upper bits down.
#[expect(clippy::cast_possible_truncation, reason = "the parts of 96 bits")]
fn stamp(key: u128) -> Stamp {
    Stamp::between(((key >> 64) as u32, (key >> 16) as u16), ((key >> 32) as u32, key as u16))
}

/// The Toeplitz hash of a network card, as every port is configured.
fn rss(key: u128) -> u32 {
    let octets = &key.to_be_bytes()[4..];
    (0..BITS).filter(|bit| octets[bit / 8] >> (7 - bit % 8) & 1 == 1).fold(0, |hash, bit| {
        let window = (0..5).fold(0u64, |window, at| window << 8 | u64::from(RSS_KEY[(bit / 8 + at) % 2]));
        #[expect(clippy::cast_possible_truncation, reason = "32 bits of the key from `bit` on")]
        let window = (window >> (8 - bit % 8)) as u32;
        hash ^ window
    })
}

/// Exclusive or of the addresses and both ports together.
#[expect(clippy::cast_possible_truncation, reason = "the parts of 96 bits")]
fn fold(key: u128) -> u32 {
    (key >> 64) as u32 ^ (key >> 32) as u32 ^ key as u32
}

/// CRC32C of the addresses and the ports as two words, from 0 as without a seed.
fn crc32c(key: u128) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the parts of 96 bits")]
    let words = [(key >> 32) as u64, (key as u32).into()];
    words.iter().flat_map(|word| word.to_le_bytes()).fold(0, |crc, octet| {
        (0..8).fold(crc ^ u32::from(octet), |crc, _| crc >> 1 ^ if crc & 1 == 1 { CRC32C } else { 0 })
    })
}

/// A basis of the keys whose `hash`, linear and given by its value for each bit, is 0: elimination over single bits.
fn null_space(hash: impl Fn(usize) -> u128) -> Vec<u128> {
    let mut rows: Vec<(u128, u128)> = (0..BITS).map(|bit| (hash(bit), 1 << bit)).collect();
    for bit in 0..u128::BITS {
        let Some(at) = rows.iter().position(|(value, _)| value >> bit & 1 == 1) else { continue };
        let (pivot, keys) = rows.swap_remove(at);
        for (value, key) in rows.iter_mut().filter(|(value, _)| value >> bit & 1 == 1) {
            *value ^= pivot;
            *key ^= keys;
        }
    }
    rows.into_iter().map(|(_, key)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn key(stamp: &Stamp) -> u128 {
        stamp.octets().iter().fold(0, |key, &octet| key << 8 | u128::from(octet))
    }

    #[test]
    fn the_keys_are_many_and_agree_in_every_hash() {
        let stamps = colliding(1 << 16);
        let keys: HashSet<u128> = stamps.iter().map(key).collect();
        assert_eq!(keys.len(), 1 << 16);
        for key in keys {
            assert_eq!((rss(key), fold(key), crc32c(key)), (rss(BASE), fold(BASE), crc32c(BASE)));
            assert!(key >> 64 < key >> 32 & 0xffff_ffff, "the client sorts first: {key:024x}");
        }
    }

    /// Known answer: CRC32C of 16 octets of which one bit differs from those of another message differs by the same as for
    /// any other pair; the register of "123456789" from 0xffffffff is the check value 0xe3069283 of the algorithm.
    #[test]
    fn the_polynomial_is_that_of_crc32c() {
        let crc = b"123456789".iter().fold(u32::MAX, |crc, octet| {
            (0..8).fold(crc ^ u32::from(*octet), |crc, _| crc >> 1 ^ if crc & 1 == 1 { CRC32C } else { 0 })
        });
        assert_eq!(!crc, 0xe306_9283);
    }

    /// The example of Microsoft's RSS specification uses another key; with one that repeats every 16 bits the hash is that of
    /// the exclusive or of the key's 16-bit parts, and both directions have the same.
    #[test]
    fn the_rss_hash_is_the_same_for_both_directions() {
        let one: u128 = 0x0a00_0001_c000_0201_8123_01bb;
        let back: u128 = 0xc000_0201_0a00_0001_01bb_8123;
        assert_eq!(rss(one), rss(back));
        assert_ne!(rss(one), rss(one ^ 1));
    }
}
