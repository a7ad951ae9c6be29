//! Ids of traces and spans: a keyed hash of what a flow is, so that a replay gives the same ids on every machine.
//!
//! A flow is one trace, a record of it one span. Record n > 0 links to record n - 1.

use flowtable::{Direction, FlowKey, FlowRecord, Nanos};
use siphasher::sip::SipHasher13 as SipHash64;
use siphasher::sip128::SipHasher13 as SipHash128;

/// Second half of the hash key, so that a seed of 0 is a key like any other ("tapspan" in ASCII).
const KEY_TAIL: u64 = 0x74_6170_7370_616e;
const FLOW_IDENTITY_LEN: usize = 59;

/// A trace id as OTLP carries it; never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

/// A span id as OTLP carries it; never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(pub [u8; 8]);

/// The ids one span needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIdentity {
    /// Shared by all records of the flow.
    pub trace: TraceId,
    /// Of this record alone.
    pub span: SpanId,
    /// The record before, to link to; `None` for a flow's first record.
    pub previous: Option<SpanId>,
}

impl SpanIdentity {
    /// The ids of `record` under `seed`.
    pub fn of(record: &FlowRecord, seed: u64) -> SpanIdentity {
        let trace = trace_id(&record.key, record.flow_start, seed);
        let previous = record.number.checked_sub(1).map(|number| span_id(trace, number));
        SpanIdentity { trace, span: span_id(trace, record.number), previous }
    }
}

/// SipHash-1-3-128 of the flow's identity under (`seed`, a constant).
pub fn trace_id(key: &FlowKey, flow_start: Nanos, seed: u64) -> TraceId {
    let identity = flow_identity(key, flow_start);
    let hash = SipHash128::new_with_keys(seed, KEY_TAIL).hash(&identity.as_flattened()[..FLOW_IDENTITY_LEN]);
    let id = hash.as_u128().max(1);
    TraceId(id.to_be_bytes())
}

/// SipHash-1-3 of the record's number (4 bytes, big endian) under the trace id.
pub fn span_id(trace: TraceId, number: u32) -> SpanId {
    let hash = SipHash64::new_with_key(&trace.0).hash(&number.to_be_bytes());
    SpanId(hash.max(1).to_be_bytes())
}

/// The bytes that make a flow itself, all numbers big endian: lower and higher address (16 each, IPv4 in the last four),
/// lower and higher port (2 each), protocol, IP version, one-way direction (0 none, 1 lower to higher, 2 back), VLAN ids (4),
/// tunnel (8), start of the flow in ns (8); what follows does not count.
fn flow_identity(key: &FlowKey, flow_start: Nanos) -> [[u8; 8]; 8] {
    let one_way = match key.one_way {
        None => 0,
        Some(Direction::LoToHi) => 1,
        Some(Direction::HiToLo) => 2,
    };
    let FlowKey { lo_address, hi_address, lo_port, hi_port, protocol, family, vlans, tunnel, .. } = *key;
    let (vlans, start) = (u64::from(vlans), flow_start.0);
    let ends = u64::from(lo_port) << 48 | u64::from(hi_port) << 32;
    let kind = u64::from(protocol) << 24 | (family as u64) << 16 | one_way << 8;
    let [[lo_upper, lo_lower], [hi_upper, hi_lower]] = [lo_address, hi_address].map(halves);
    // In words, as it is hashed: what is stored in smaller pieces and loaded as one word has to wait for the stores.
    let words = [
        lo_upper,
        lo_lower,
        hi_upper,
        hi_lower,
        ends | kind | vlans >> 24,
        vlans << 40 | tunnel >> 24,
        tunnel << 40 | start >> 24,
        start << 40,
    ];
    words.map(u64::to_be_bytes)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowtable::{Endpoint, Family};
    use proptest::prelude::*;

    fn key() -> FlowKey {
        let a = Endpoint { address: 0x0a01_0105, port: 54_211 };
        let b = Endpoint { address: 0x0a01_020a, port: 80 };
        FlowKey::canonical(Family::V4, 6, a, b).0
    }

    #[test]
    fn every_part_of_the_identity_changes_the_trace() {
        let start = Nanos(1_727_149_620_000_000_000);
        let base = trace_id(&key(), start, 0);
        let others = [
            trace_id(&FlowKey { lo_address: 1, ..key() }, start, 0),
            trace_id(&FlowKey { hi_address: u128::MAX, ..key() }, start, 0),
            trace_id(&FlowKey { lo_port: 1, ..key() }, start, 0),
            trace_id(&FlowKey { hi_port: 1, ..key() }, start, 0),
            trace_id(&FlowKey { protocol: 17, ..key() }, start, 0),
            trace_id(&FlowKey { family: Family::V6, ..key() }, start, 0),
            trace_id(&FlowKey { one_way: Some(Direction::LoToHi), ..key() }, start, 0),
            trace_id(&FlowKey { one_way: Some(Direction::HiToLo), ..key() }, start, 0),
            trace_id(&FlowKey { vlans: 7 << 12, ..key() }, start, 0),
            trace_id(&FlowKey { tunnel: 1 << 32 | 42, ..key() }, start, 0),
            trace_id(&key(), Nanos(start.0 + 1), 0),
            trace_id(&key(), start, 1),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    #[test]
    fn spans_of_a_trace_differ_and_ids_are_pinned() {
        let trace = trace_id(&key(), Nanos(1_727_149_620_000_000_000), 0);
        assert_ne!(span_id(trace, 0), span_id(trace, 1));
        // As another implementation of SipHash gives them.
        assert_eq!(hex(&trace.0), "768323309c95cf2d652a308b33bab542");
        assert_eq!(hex(&span_id(trace, 0).0), "0ac7fbf2b2d7dc49");
    }

    proptest! {
        #[test]
        fn the_identity_is_the_bytes_of_its_parts(
            addresses: (u128, u128), ports: (u16, u16), protocol: u8, vlans: u32, tunnel: u64, start: u64,
            family in prop::sample::select(vec![Family::V4, Family::V6]), one_way in 0u8..3,
        ) {
            let key = FlowKey {
                lo_address: addresses.0, hi_address: addresses.1, lo_port: ports.0, hi_port: ports.1,
                protocol, family, vlans, tunnel,
                one_way: [None, Some(Direction::LoToHi), Some(Direction::HiToLo)][usize::from(one_way)],
            };
            let mut parts = Vec::new();
            parts.extend(addresses.0.to_be_bytes());
            parts.extend(addresses.1.to_be_bytes());
            parts.extend(ports.0.to_be_bytes());
            parts.extend(ports.1.to_be_bytes());
            parts.extend([protocol, if family == Family::V4 { 4 } else { 6 }, one_way]);
            parts.extend(vlans.to_be_bytes());
            parts.extend(tunnel.to_be_bytes());
            parts.extend(start.to_be_bytes());
            let identity = flow_identity(&key, Nanos(start));
            prop_assert_eq!(&identity.as_flattened()[..FLOW_IDENTITY_LEN], parts);
        }
    }

    fn hex(bytes: &[u8]) -> String {
        crate::span::ShortText::hex(bytes).as_str().to_owned()
    }
}
