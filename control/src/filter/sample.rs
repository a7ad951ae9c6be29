//! One in so many flows, the same at every probe.
//!
//! A flow is in the sample of one in N where the hash of its 5-tuple is at most (2^64 - 1) / N. The hash is SipHash-2-4
//! under a key that never changes (not the seed of the run), over 37 bytes, all numbers big endian: lower and higher
//! address (16 each, IPv4 in the last four), lower and higher port (2 each), protocol. VLAN and tunnel are not part of it.
//! So probes on the way of one flow choose alike, and what is in a sample is in every larger one.

use flowtable::FlowKey;
use siphasher::sip::SipHasher24;

/// "tapspan" and "sample" in ASCII.
const KEY: (u64, u64) = (0x74_6170_7370_616e, 0x7361_6d70_6c65);
const INPUT_LEN: usize = 37;

/// Which flows are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The greatest hash that is in it.
    threshold: u64,
}

impl Sample {
    /// One in `rate` flows; 0 counts as 1, which is all.
    pub fn one_in(rate: u32) -> Sample {
        Sample { threshold: u64::MAX / u64::from(rate.max(1)) }
    }

    /// Whether the flow of `key` is in it; the same for both directions.
    pub fn has(self, key: &FlowKey) -> bool {
        SipHasher24::new_with_keys(KEY.0, KEY.1).hash(&input(key)) <= self.threshold
    }
}

fn input(key: &FlowKey) -> [u8; INPUT_LEN] {
    let mut bytes = [0; INPUT_LEN];
    bytes[0..16].copy_from_slice(&key.lo_address.to_be_bytes());
    bytes[16..32].copy_from_slice(&key.hi_address.to_be_bytes());
    bytes[32..34].copy_from_slice(&key.lo_port.to_be_bytes());
    bytes[34..36].copy_from_slice(&key.hi_port.to_be_bytes());
    bytes[36] = key.protocol;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowtable::{Direction, Endpoint, Family};

    fn key(flow: u32) -> FlowKey {
        let client = Endpoint { address: 0x0a00_0000 + u128::from(flow), port: 40_000 };
        let server = Endpoint { address: 0xc000_0201, port: 443 };
        FlowKey::canonical(Family::V4, 6, client, server).0
    }

    #[test]
    fn a_sample_is_about_its_share_of_the_flows_and_part_of_a_larger_one() {
        let chosen =
            |rate| (0..100_000).filter(|flow| Sample::one_in(rate).has(&key(*flow))).collect::<Vec<_>>();
        assert_eq!((chosen(0).len(), chosen(1).len()), (100_000, 100_000));
        let (tenth, hundredth) = (chosen(10), chosen(100));
        assert!((9_500..10_500).contains(&tenth.len()), "{} of 10,000", tenth.len());
        assert!((900..1_100).contains(&hundredth.len()), "{} of 1,000", hundredth.len());
        assert!(hundredth.iter().all(|flow| tenth.contains(flow)));
    }

    #[test]
    fn what_differs_between_probes_does_not_matter() {
        for flow in 0..1_000 {
            let seen = key(flow);
            let elsewhere = FlowKey { vlans: 7 << 12, tunnel: 42, one_way: Some(Direction::LoToHi), ..seen };
            assert_eq!(Sample::one_in(3).has(&seen), Sample::one_in(3).has(&elsewhere));
        }
    }

    #[test]
    fn the_hash_is_pinned_so_that_versions_choose_alike() {
        // As another implementation of SipHash chooses them.
        let chosen: Vec<_> = (0..64).filter(|flow| Sample::one_in(8).has(&key(*flow))).collect();
        assert_eq!(chosen, [5, 23, 40, 58, 60]);
    }
}
