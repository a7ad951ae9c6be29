//! Spans a second of each format on one core: `cargo run --release --no-default-features --example encode_speed`.
//!
//! Batches of 512 records of 64 flows, nine in ten TCP, half of them IPv6, with every attribute of the default selection.
//! The best of five rounds counts; other work on the machine only ever makes a round slower.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flowtable::{
    Counters, EndReason, Endpoint, Events, Family, FirstPacket, FlowKey, FlowRecord, Initiator, Nanos,
    PortId, TcpRecord, TcpState, protocol,
};
use tapspan::span::{Format, HostFacts, Interface, Resource, ResourceSources, SpanEncoder, SpanSettings};

const BATCH: u32 = 512;
const ROUNDS: u32 = 5;
const ROUND: Duration = Duration::from_millis(400);

fn main() {
    let settings = Arc::new(settings());
    let records: Vec<_> = (0..BATCH).map(record).collect();
    for format in [Format::Protobuf, Format::Json, Format::Text] {
        let mut encoder = SpanEncoder::new(Arc::clone(&settings), format);
        let octets = encoder.encode(&records).len();
        let best = (0..ROUNDS).map(|_| spans_a_second(&mut encoder, &records)).fold(0.0, f64::max);
        println!("{format:?}: {:.0} spans/s, {} octets a span", best, octets / records.len());
    }
}

#[expect(clippy::disallowed_methods, reason = "measures wall time")]
fn spans_a_second(encoder: &mut SpanEncoder, records: &[FlowRecord]) -> f64 {
    let began = Instant::now();
    let mut spans = 0_u32;
    while began.elapsed() < ROUND {
        std::hint::black_box(encoder.encode(std::hint::black_box(records)));
        spans += BATCH;
    }
    f64::from(spans) / began.elapsed().as_secs_f64()
}

fn settings() -> SpanSettings {
    let host = HostFacts { name: Some("probe7".to_owned()), id: Some("0123456789abcdef".repeat(2)) };
    let sources = ResourceSources { host: Some(&host), instance: "tap", ..ResourceSources::default() };
    SpanSettings {
        interfaces: vec![Interface { name: "eth0".to_owned(), index: Some(2) }],
        resource: Resource::new(&sources).expect("no environment is read"),
        ..SpanSettings::default()
    }
}

fn record(place: u32) -> FlowRecord {
    let flow = place % 64;
    let (family, network) = match flow % 2 {
        0 => (Family::V4, 0x0a00_0000),
        _ => (Family::V6, 0x2001_0db8_0000_0000_0a5c_0000_0000_0000),
    };
    let protocol = if flow % 10 == 9 { protocol::UDP } else { protocol::TCP };
    let client = Endpoint { address: network + u128::from(flow) * 257, port: 40_000 };
    let server = Endpoint { address: network + 0x00aa_bb01, port: 443 };
    let (key, forward) = FlowKey::canonical(family, protocol, client, server);
    let start = 1_727_152_020_000_000_000 + u64::from(place) * 1_000_003;
    let counters =
        Counters { packets_delta: 120, bytes_delta: 90_000, packets_total: 4000, bytes_total: 3_000_000 };
    FlowRecord {
        key,
        forward,
        initiator: Initiator::Source,
        first: FirstPacket {
            source_mac: Some([0x00, 0x1b, 0x21, 0xab, 0xcd, 0xef]),
            port: PortId(0),
            ttl: 64,
            traffic_class: 0,
            flow_label: 0x1_2345,
            icmp: None,
        },
        flow_start: Nanos(start),
        start: Nanos(start),
        end: Nanos(start + 60_000_000_000),
        number: place / 64,
        end_reason: EndReason::ActiveTimeout,
        tcp: (protocol == protocol::TCP).then_some(TcpRecord {
            state: TcpState::Established,
            flags: 0x1a,
            ..TcpRecord::default()
        }),
        to_destination: counters,
        to_source: counters,
        error: None,
        tunnel: None,
        events: Events::default(),
    }
}
