//! How a large table had better ask for the lines of its packets: what was measured of processors, by what they call themselves.
//!
//! How many prefetches may be under way at once, and where they had better go, is the processor's. A core that has more than it
//! takes waits for each of them; where it takes many, those of a whole burst wait together.

use std::str::FromStr;

use crate::mem::Cache;
use crate::writer::MAX_BURST;

/// The order of prefetches a processor does best with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefetching {
    /// For eight packets at once. AMD's cores before Zen 5 lose with more, and nothing is known to lose with as many.
    ByEights,
    /// For a whole burst, to the first cache: AMD's Zen 5.
    ByBursts,
    /// For a whole burst: buckets to the first cache, lines of slots to the second, and once more [`Prefetching::CLOSER_AHEAD`] packets
    /// before they are counted in. Intel's, whose first cache has no room for them all to wait in.
    ByBurstsTwice,
}

/// CPUID's name of a maker, and the family from which on its cores take prefetches by the burst.
const INTEL: &[u8; 12] = b"GenuineIntel";
const AMD: &[u8; 12] = b"AuthenticAMD";
const ZEN_5: u32 = 0x1a;

impl Prefetching {
    /// All there are.
    pub const ALL: [Prefetching; 3] =
        [Prefetching::ByEights, Prefetching::ByBursts, Prefetching::ByBurstsTwice];
    /// Packets of a group in [`Prefetching::ByEights`]: eight buckets and sixteen lines of slots asked for at once.
    pub(crate) const EIGHT: usize = 8;
    /// Packets ahead of the one being counted whose lines are asked for once more, where they came as close as the second cache
    /// only.
    pub const CLOSER_AHEAD: usize = 6;

    /// That of the processor at hand.
    pub fn here() -> Prefetching {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        let (maker, signature) = {
            let id = std::arch::x86_64::__cpuid(0);
            ([id.ebx, id.edx, id.ecx], std::arch::x86_64::__cpuid(1).eax)
        };
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let (maker, signature) = ([0; 3], 0);
        Prefetching::of(maker.map(u32::to_le_bytes).as_flattened(), signature)
    }

    /// That of a processor with this name of its maker and this signature.
    fn of(maker: &[u8], signature: u32) -> Prefetching {
        if maker == INTEL {
            Prefetching::ByBurstsTwice
        } else if maker == AMD && family(signature) >= ZEN_5 {
            Prefetching::ByBursts
        } else {
            Prefetching::ByEights
        }
    }

    /// What it is called in settings.
    pub fn name(self) -> &'static str {
        match self {
            Prefetching::ByEights => "eights",
            Prefetching::ByBursts => "bursts",
            Prefetching::ByBurstsTwice => "bursts-twice",
        }
    }

    /// Packets whose lines are asked for at once.
    pub fn packets(self) -> usize {
        match self {
            Prefetching::ByEights => Prefetching::EIGHT,
            Prefetching::ByBursts | Prefetching::ByBurstsTwice => MAX_BURST,
        }
    }

    /// Where lines of slots go to first.
    pub fn cache(self) -> Cache {
        match self {
            Prefetching::ByEights | Prefetching::ByBursts => Cache::First,
            Prefetching::ByBurstsTwice => Cache::Second,
        }
    }

    /// Slots from which on a table is large, so that this pays. Groups of eight lose with 13 thousand and gain with 80 thousand, whole
    /// bursts gain there on Intel's cores and lose on Zen 5.
    pub(crate) fn large_table(self) -> usize {
        match self {
            Prefetching::ByEights | Prefetching::ByBurstsTwice => 1 << 16,
            Prefetching::ByBursts => 1 << 17,
        }
    }
}

/// What is no name of any [`Prefetching`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected \"eights\", \"bursts\" or \"bursts-twice\"")]
pub struct UnknownPrefetching;

impl FromStr for Prefetching {
    type Err = UnknownPrefetching;

    fn from_str(name: &str) -> Result<Prefetching, UnknownPrefetching> {
        Prefetching::ALL.into_iter().find(|known| known.name() == name).ok_or(UnknownPrefetching)
    }
}

/// The family in the signature that CPUID gives of a processor: the extended one is added where the other has all bits set.
fn family(signature: u32) -> u32 {
    const ALL_SET: u32 = 0xf;
    match signature >> 8 & 0xf {
        ALL_SET => ALL_SET + (signature >> 20 & 0xff),
        family => family,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Signatures of a Sapphire Rapids, a Milan and a Turin, as their makers publish them.
    #[test]
    fn a_processor_is_known_by_maker_and_family() {
        let prefetching = |maker: &[u8], signature| Prefetching::of(maker, signature);
        assert_eq!(prefetching(b"GenuineIntel", 0x0008_06f8), Prefetching::ByBurstsTwice);
        assert_eq!(prefetching(b"AuthenticAMD", 0x00a0_0f11), Prefetching::ByEights);
        assert_eq!(prefetching(b"AuthenticAMD", 0x00b0_0f21), Prefetching::ByBursts);
        assert_eq!(prefetching(b"HygonGenuine", 0x00b0_0f21), Prefetching::ByEights);
    }

    #[test]
    fn each_is_known_by_its_name() {
        assert_eq!("bursts-twice".parse(), Ok(Prefetching::ByBurstsTwice));
        let unknown = "sixteens".parse::<Prefetching>().unwrap_err().to_string();
        for prefetching in Prefetching::ALL {
            assert_eq!(prefetching.name().parse(), Ok(prefetching));
            assert!(unknown.contains(&format!("{:?}", prefetching.name())), "{unknown}");
        }
    }

    /// The kernel asks the processor as well.
    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
    fn the_processor_at_hand_is_known_as_the_kernel_knows_it() {
        let told = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let value = |key: &str| {
            let line = told.lines().find(|line| line.split(':').next().unwrap().trim() == key).unwrap();
            line.split(':').nth(1).unwrap().trim()
        };
        let expected = match (value("vendor_id"), value("cpu family").parse::<u32>().unwrap()) {
            ("GenuineIntel", _) => Prefetching::ByBurstsTwice,
            ("AuthenticAMD", 26..) => Prefetching::ByBursts,
            _ => Prefetching::ByEights,
        };
        assert_eq!(Prefetching::here(), expected);
    }
}
