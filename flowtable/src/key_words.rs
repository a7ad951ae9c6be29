//! A key in the words that hold it: two in the hot line, and where these are too few, three in the track line.

use crate::key::{Direction, Family, FlowKey, protocol};

/// Words of a key beside those in the hot line, where that has not room for all.
pub(crate) const KEPT: usize = 3;

/// Which keys take how many words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum KeyKind {
    /// IPv4 outside tunnels: the hot line has all.
    Narrow = 0,
    /// IPv6 outside tunnels: the track line has the rest.
    V6 = 1,
    /// IPv4 in a tunnel: likewise.
    V4InTunnel = 2,
    /// IPv6 in a tunnel: likewise, but for the tunnel, which the cold line has.
    V6InTunnel = 3,
}

impl KeyKind {
    /// In the order of the discriminants.
    pub(crate) const ALL: [KeyKind; 4] =
        [KeyKind::Narrow, KeyKind::V6, KeyKind::V4InTunnel, KeyKind::V6InTunnel];

    #[inline]
    pub(crate) fn of(key: &FlowKey) -> KeyKind {
        match (key.family, key.tunnel) {
            (Family::V4, 0) => KeyKind::Narrow,
            (Family::V6, 0) => KeyKind::V6,
            (Family::V4, _) => KeyKind::V4InTunnel,
            (Family::V6, _) => KeyKind::V6InTunnel,
        }
    }

    /// Whether the hot line has not room for all.
    #[inline(always)]
    pub(crate) fn is_wide(self) -> bool {
        self != KeyKind::Narrow
    }
}

/// A key as the hot line holds it. Of a narrow key that is all; of any other `hot[0]` is a fingerprint, see
/// [`crate::hash::KeyHasher::fingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyWords {
    pub(crate) hot: [u64; 2],
    pub(crate) kind: KeyKind,
}

const ONE_WAY_PORT_BIT: u64 = 1 << 15;

/// Ports, protocol and VLANs; for ICMP, whose port words stay below 256, bit 15 of a port marks a one-way type.
#[inline]
pub(crate) fn ports_word(key: &FlowKey) -> u64 {
    let word = u64::from(key.lo_port) << 48
        | u64::from(key.hi_port) << 32
        | u64::from(key.protocol) << 24
        | u64::from(key.vlans & 0x00ff_ffff);
    match key.one_way {
        None => word,
        Some(Direction::LoToHi) => word | ONE_WAY_PORT_BIT << 48,
        Some(Direction::HiToLo) => word | ONE_WAY_PORT_BIT << 32,
    }
}

/// The key with `ports` as its [`ports_word`].
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "fields narrower than the word")]
pub(crate) fn key_of(ports: u64, addresses: &Addresses) -> FlowKey {
    let protocol = protocol_of(ports);
    let (family, [lo_address, hi_address], tunnel) = addresses.unpacked();
    let mut key = FlowKey {
        lo_address,
        hi_address,
        lo_port: (ports >> 48) as u16,
        hi_port: (ports >> 32) as u16,
        protocol,
        family,
        one_way: None,
        vlans: ports as u32 & 0x00ff_ffff,
        tunnel,
    };
    if matches!(protocol, protocol::ICMP | protocol::ICMPV6) {
        let bit = ONE_WAY_PORT_BIT as u16;
        if key.lo_port & bit != 0 {
            key.one_way = Some(Direction::LoToHi);
        } else if key.hi_port & bit != 0 {
            key.one_way = Some(Direction::HiToLo);
        }
        key.lo_port &= !bit;
        key.hi_port &= !bit;
    }
    key
}

/// All of a key but its [`ports_word`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// [`FlowKey::tunnel`] where `kept` has not room for it, above eight bits of the kind.
    tunnel_and_kind: u64,
    /// Both addresses of a narrow key, the lower one in the upper half; of any other the lower half of the lower address.
    pub(crate) low: u64,
    /// What the track line has: of IPv6 the upper half of the lower address and both halves of the higher one; of IPv4 in a
    /// tunnel [`FlowKey::tunnel`], 0 and the higher address. Of a narrow key nothing.
    pub(crate) kept: [u64; KEPT],
}

impl Addresses {
    const KIND_BITS: u32 = 8;

    /// Those of a key of `kind`, with [`FlowKey::tunnel`] where `kept` has not room for it, else 0.
    #[inline(always)]
    pub(crate) const fn new(kind: KeyKind, low: u64, kept: [u64; KEPT], tunnel: u64) -> Addresses {
        Addresses { tunnel_and_kind: tunnel << Addresses::KIND_BITS | kind as u64, low, kept }
    }

    #[inline(always)]
    pub(crate) fn kind(&self) -> KeyKind {
        KeyKind::ALL[(self.tunnel_and_kind & 0xff) as usize % KeyKind::ALL.len()]
    }

    /// [`FlowKey::tunnel`] where `kept` has not room for it, else 0.
    #[inline(always)]
    pub(crate) fn tunnel(&self) -> u64 {
        self.tunnel_and_kind >> Addresses::KIND_BITS
    }

    /// All but `low`.
    #[inline(always)]
    pub(crate) fn masking(&self) -> [u64; KEPT + 1] {
        let [first, second, third] = self.kept;
        [first, second, third, self.tunnel_and_kind]
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "an IPv4 address lives in the low 32 bits")]
    pub(crate) fn of(key: &FlowKey) -> Addresses {
        let FlowKey { lo_address, hi_address, tunnel, .. } = *key;
        let in_ipv4 = || u64::from(lo_address as u32) << 32 | u64::from(hi_address as u32);
        match KeyKind::of(key) {
            KeyKind::Narrow => Addresses::narrow(in_ipv4()),
            KeyKind::V4InTunnel => Addresses::in_tunnel(in_ipv4(), tunnel),
            kind => {
                let Addresses { low, kept, .. } = Addresses::of_ipv6(lo_address, hi_address);
                Addresses::new(kind, low, kept, tunnel)
            }
        }
    }

    /// Those of a narrow key.
    #[inline]
    pub(crate) const fn narrow(addresses: u64) -> Addresses {
        Addresses::new(KeyKind::Narrow, addresses, [0; KEPT], 0)
    }

    /// Those of IPv4, the lower one in the upper half, in a tunnel.
    #[inline(always)]
    pub(crate) fn in_tunnel(addresses: u64, tunnel: u64) -> Addresses {
        let kept = [tunnel, 0, addresses & u64::from(u32::MAX)];
        Addresses::new(KeyKind::V4InTunnel, addresses >> 32, kept, 0)
    }

    /// Those of IPv6 outside tunnels.
    #[inline(always)]
    pub(crate) fn of_ipv6(lower: u128, higher: u128) -> Addresses {
        let ([lo_high, low], [hi_high, hi_low]) = (halves(lower), halves(higher));
        Addresses::new(KeyKind::V6, low, [lo_high, hi_high, hi_low], 0)
    }

    /// Family, both addresses, and [`FlowKey::tunnel`].
    #[inline]
    fn unpacked(&self) -> (Family, [u128; 2], u64) {
        let Addresses { low, kept: [first, second, third], .. } = *self;
        match self.kind() {
            KeyKind::Narrow => (Family::V4, [low >> 32, low & u64::from(u32::MAX)].map(u128::from), 0),
            KeyKind::V4InTunnel => (Family::V4, [low, third].map(u128::from), first),
            KeyKind::V6 | KeyKind::V6InTunnel => {
                (Family::V6, [joined(first, low), joined(second, third)], self.tunnel())
            }
        }
    }
}

/// The protocol in a [`ports_word`].
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "one field of the word")]
pub(crate) fn protocol_of(ports_word: u64) -> u8 {
    (ports_word >> 24) as u8
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
#[inline(always)]
pub(crate) fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}

#[inline(always)]
pub(crate) fn joined(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}
