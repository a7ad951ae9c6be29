//! Ids of traces and spans: a keyed hash of what a flow is, so that a replay gives the same ids on every machine.
//!
//! A flow is one trace, a record of it one span. Record n > 0 links to record n - 1.

use flowtable::{Direction, FlowKey, FlowRecord, Nanos};
use siphasher::sip::SipHasher24 as SipHash64;
use siphasher::sip128::SipHasher24 as SipHash128;

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

/// SipHash-2-4-128 of the flow's identity under (`seed`, a constant).
pub fn trace_id(key: &FlowKey, flow_start: Nanos, seed: u64) -> TraceId {
    let hash = SipHash128::new_with_keys(seed, KEY_TAIL).hash(&flow_identity(key, flow_start));
    let id = hash.as_u128().max(1);
    TraceId(id.to_be_bytes())
}

/// SipHash-2-4 of the record's number (4 bytes, big endian) under the trace id.
pub fn span_id(trace: TraceId, number: u32) -> SpanId {
    let hash = SipHash64::new_with_key(&trace.0).hash(&number.to_be_bytes());
    SpanId(hash.max(1).to_be_bytes())
}

/// The bytes that make a flow itself, all numbers big endian: lower and higher address (16 each, IPv4 in the last four),
/// lower and higher port (2 each), protocol, IP version, one-way direction (0 none, 1 lower to higher, 2 back), VLAN ids (4),
/// tunnel (8), start of the flow in ns (8).
fn flow_identity(key: &FlowKey, flow_start: Nanos) -> [u8; FLOW_IDENTITY_LEN] {
    let one_way = match key.one_way {
        None => 0,
        Some(Direction::LoToHi) => 1,
        Some(Direction::HiToLo) => 2,
    };
    let mut bytes = [0; FLOW_IDENTITY_LEN];
    bytes[0..16].copy_from_slice(&key.lo_address.to_be_bytes());
    bytes[16..32].copy_from_slice(&key.hi_address.to_be_bytes());
    bytes[32..34].copy_from_slice(&key.lo_port.to_be_bytes());
    bytes[34..36].copy_from_slice(&key.hi_port.to_be_bytes());
    bytes[36] = key.protocol;
    bytes[37] = key.family as u8;
    bytes[38] = one_way;
    bytes[39..43].copy_from_slice(&key.vlans.to_be_bytes());
    bytes[43..51].copy_from_slice(&key.tunnel.to_be_bytes());
    bytes[51..59].copy_from_slice(&flow_start.0.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowtable::{Endpoint, Family};

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
        assert_eq!(hex(&trace.0), "1baac0238aa6e546dd5947ad8e117623");
        assert_eq!(hex(&span_id(trace, 0).0), "ab1a18336acd7539");
    }

    fn hex(bytes: &[u8]) -> String {
        crate::span::ShortText::hex(bytes).as_str().to_owned()
    }
}
