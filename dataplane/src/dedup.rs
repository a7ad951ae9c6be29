//! Packets seen twice: on both sides of a router, or on two ports a switch mirrors to.
//!
//! A packet is a repeat where the octets of its outermost IP packet, as captured, were seen before within the window: not
//! longer ago than its time, and among as many packets last taken in as it holds. The link layer does not count, nor do the
//! fields a router changes: TTL and header checksum of IPv4, hop limit of IPv6. A repeat does not itself enter the window,
//! so a packet sent again and again is taken in once a window.
//!
//! Packets are compared by a seeded hash of 64 bits. With a full window of 65,536 packets one packet in 2^48 is taken for
//! another's repeat by chance: at 30 million packets a second, one in four months. What cannot be told from a repeat is a
//! packet that was sent twice as it is; mostly those are acknowledgments without data of senders that leave the IPv4 id at 0.
//!
//! Never allocates after it is made and never reads a clock.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use flowtable::Nanos;

use crate::chains::Chains;
use crate::seeded;

/// Packets a window holds, at most.
pub const MAX_WINDOW_PACKETS: u32 = 1 << 16;
/// Sets these hashes apart from those of other tables.
const PURPOSE: u64 = 2;

const V4_HEADER: usize = 20;
const V4_TTL: usize = 8;
const V4_CHECKSUM: Range<usize> = 10..12;
const V6_HEADER: usize = 40;
const V6_HOP_LIMIT: usize = 7;

/// The window in which repeats are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupOptions {
    /// Its length, in ns of the packets' clock.
    pub window_ns: u64,
    /// Its length in packets, 1 to [`MAX_WINDOW_PACKETS`]; what is beyond counts as the nearest of these.
    pub packets: u32,
}

/// A packet in the window.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    hash: u64,
    at: Nanos,
    /// Whether it is found by its hash: not where the same packet was taken in again since.
    found: bool,
}

/// The packets last taken in.
#[derive(Debug)]
pub struct Dedup {
    window_ns: u64,
    /// A ring. Grows to its capacity, which was reserved.
    seen: Vec<Seen>,
    /// The place of the oldest in a full ring.
    oldest: usize,
    packets: usize,
    chains: Chains,
    hasher: ahash::RandomState,
    /// The latest time seen; ports are asked in turn, so packets may be stamped earlier.
    clock: Nanos,
}

impl Dedup {
    /// A window with no packet in it. `seed` keys the hash.
    pub fn new(options: DedupOptions, seed: u64) -> Dedup {
        let packets = options.packets.clamp(1, MAX_WINDOW_PACKETS);
        Dedup {
            window_ns: options.window_ns,
            seen: Vec::with_capacity(packets as usize),
            oldest: 0,
            packets: packets as usize,
            chains: Chains::new(packets),
            hasher: seeded::hasher(seed, PURPOSE),
            clock: Nanos(0),
        }
    }

    /// Whether `packet`, from its IP header on, was seen before within the window; it enters the window where not. What is no
    /// whole IP header is never a repeat.
    pub fn is_repeat(&mut self, packet: &[u8], at: Nanos) -> bool {
        let Some(hash) = self.hash(packet) else {
            return false;
        };
        self.clock = self.clock.max(at);
        if let Some(slot) = self.chains.find(hash, |slot| self.seen[slot as usize].hash == hash) {
            let seen = &mut self.seen[slot as usize];
            if self.clock.0 - seen.at.0 <= self.window_ns {
                return true;
            }
            // One entry a hash is found, so that a packet sent without end makes no long chain.
            seen.found = false;
            self.chains.remove(hash, slot);
        }
        self.enter(Seen { hash, at: self.clock, found: true });
        false
    }

    fn enter(&mut self, seen: Seen) {
        let slot = if self.seen.len() < self.packets {
            self.seen.push(seen);
            self.seen.len() - 1
        } else {
            let slot = self.oldest;
            self.oldest = (slot + 1) % self.packets;
            let left = std::mem::replace(&mut self.seen[slot], seen);
            if left.found {
                self.chains.remove(left.hash, number(slot));
            }
            slot
        };
        self.chains.insert(seen.hash, number(slot));
    }

    /// The hash of all that counts of a packet.
    fn hash(&self, packet: &[u8]) -> Option<u64> {
        match packet.first()? >> 4 {
            4 => {
                let mut header: [u8; V4_HEADER] = *packet.first_chunk()?;
                let length = u16::from_be_bytes([header[2], header[3]]);
                header[V4_TTL] = 0;
                header[V4_CHECKSUM].fill(0);
                Some(self.hash_of(&header, packet, usize::from(length)))
            }
            6 => {
                let mut header: [u8; V6_HEADER] = *packet.first_chunk()?;
                let length = u16::from_be_bytes([header[4], header[5]]);
                header[V6_HOP_LIMIT] = 0;
                Some(self.hash_of(&header, packet, V6_HEADER + usize::from(length)))
            }
            _ => None,
        }
    }

    /// Hashes `header` in the place of the first octets of `packet`, and what follows them up to `length`, behind which there
    /// is only padding of the link layer.
    fn hash_of(&self, header: &[u8], packet: &[u8], length: usize) -> u64 {
        let rest = packet.get(header.len()..length.min(packet.len())).unwrap_or_default();
        let mut hasher = self.hasher.build_hasher();
        hasher.write(header);
        hasher.write(rest);
        hasher.finish()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a ring has at most MAX_WINDOW_PACKETS slots")]
fn number(slot: usize) -> u32 {
    slot as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert_eq, proptest};

    fn v4(id: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 24, 0, id, 0, 0, 64, 17, 1, 2, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([1, 2, 3, 4]);
        packet
    }

    fn dedup(window_ns: u64, packets: u32) -> Dedup {
        Dedup::new(DedupOptions { window_ns, packets }, 1)
    }

    fn changed(mut packet: Vec<u8>, octet: usize) -> Vec<u8> {
        packet[octet] ^= 0x55;
        packet
    }

    #[test]
    fn what_a_router_changes_does_not_make_another_packet() {
        let mut window = dedup(100, 64);
        assert!(!window.is_repeat(&v4(1), Nanos(1)));
        for octet in [8, 10, 11] {
            assert!(window.is_repeat(&changed(v4(1), octet), Nanos(2)), "octet {octet}");
        }
        for octet in [1, 5, 9, 12, 19, 20, 23] {
            assert!(!window.is_repeat(&changed(v4(1), octet), Nanos(2)), "octet {octet}");
        }
        let v6 = [&[0x60, 0, 0, 0, 0, 4, 17, 64][..], &[9; 36]].concat();
        assert!(!window.is_repeat(&v6, Nanos(3)));
        assert!(window.is_repeat(&changed(v6.clone(), 7), Nanos(4)));
        assert!(!window.is_repeat(&changed(v6, 6), Nanos(4)));
    }

    #[test]
    fn padding_behind_the_packet_does_not_count_and_octets_cut_off_do() {
        let mut window = dedup(100, 64);
        assert!(!window.is_repeat(&v4(1), Nanos(1)));
        assert!(window.is_repeat(&[v4(1), vec![0; 22]].concat(), Nanos(1)));
        assert!(!window.is_repeat(&v4(1)[..22], Nanos(1)));
        for cut in [&[][..], &[0x45; 19], &[0x60; 39], &[0x55; 60]] {
            assert!(!window.is_repeat(cut, Nanos(1)) && !window.is_repeat(cut, Nanos(1)));
        }
    }

    #[test]
    fn a_packet_that_is_sent_without_end_is_taken_in_once_a_window() {
        let mut window = dedup(10, 4);
        let taken: Vec<_> = (0..40).filter(|at| !window.is_repeat(&v4(1), Nanos(*at))).collect();
        assert_eq!(taken, [0, 11, 22, 33]);
    }

    proptest! {
        #[test]
        fn the_window_is_exact_in_time_and_packets(
            packets in vec((0u8..12, 0u64..40), 0..200),
            window_ns in 0u64..60,
            size in 0u32..8,
        ) {
            let mut window = dedup(window_ns, size);
            let mut taken: Vec<(u8, u64)> = Vec::new();
            let mut now = 0;
            for (number, (id, jitter)) in (0u64..).zip(packets) {
                let at = number * 5 + jitter;
                now = now.max(at);
                let last = &taken[taken.len().saturating_sub(size.max(1) as usize)..];
                let repeat = last.iter().any(|seen| seen.0 == id && now - seen.1 <= window_ns);
                prop_assert_eq!(window.is_repeat(&v4(id), Nanos(at)), repeat);
                if !repeat {
                    taken.push((id, now));
                }
            }
        }
    }
}
