//! A key in the words that hold it: in the hot line, and beside it.

use crate::key::{Direction, Family, FlowKey, protocol};

/// A key as the slot holds it.
///
/// Narrow (IPv4 outside tunnels): everything is in `hot`. Wide: `hot[0]` is a fingerprint, and what it takes to turn that back
/// into half an address is in the cold line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyWords {
    pub(crate) hot: [u64; 2],
    pub(crate) wide: bool,
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

/// The key with `ports` as its [`ports_word`], and `wide` beside it.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "fields narrower than the word")]
pub(crate) fn key_of(ports: u64, wide: &WideKey) -> FlowKey {
    let WideKey { lo_address, hi_address, tunnel, family } = *wide;
    let protocol = protocol_of(ports);
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
pub(crate) struct WideKey {
    pub(crate) lo_address: u128,
    pub(crate) hi_address: u128,
    /// As [`FlowKey::tunnel`].
    pub(crate) tunnel: u64,
    pub(crate) family: Family,
}

impl WideKey {
    #[inline(always)]
    pub(crate) fn of(key: &FlowKey) -> WideKey {
        let FlowKey { lo_address, hi_address, tunnel, family, .. } = *key;
        WideKey { lo_address, hi_address, tunnel, family }
    }

    /// That of a narrow key with [`narrow_addresses`].
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    pub(crate) fn narrow(addresses: u64) -> WideKey {
        WideKey {
            lo_address: u128::from(addresses >> 32),
            hi_address: u128::from(addresses as u32),
            tunnel: 0,
            family: Family::V4,
        }
    }
}

/// The protocol in a [`ports_word`].
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "one field of the word")]
pub(crate) fn protocol_of(ports_word: u64) -> u8 {
    (ports_word >> 24) as u8
}

#[inline]
pub(crate) fn is_narrow(key: &FlowKey) -> bool {
    key.family == Family::V4 && key.tunnel == 0
}

/// Both IPv4 addresses of a narrow key in one word.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "an IPv4 address lives in the low 32 bits")]
pub(crate) fn narrow_addresses(key: &FlowKey) -> u64 {
    u64::from(key.lo_address as u32) << 32 | u64::from(key.hi_address as u32)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
pub(crate) fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}

pub(crate) fn joined(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}
