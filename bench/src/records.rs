//! Flow records such as a sweep cuts them, with values that repeat nowhere.

use flowtable::{
    Counters, EndReason, Endpoint, Events, Family, FirstPacket, FlowKey, FlowRecord, Initiator, Nanos,
    PortId, TcpRecord, TcpState, protocol,
};

use crate::random::Random;

/// 2024-09-24, in ns since 1970.
const BEGIN_NS: u64 = 1_727_152_020_000_000_000;
const MINUTE_NS: u64 = 60_000_000_000;

/// `count` records: half of them IPv6, nine in ten TCP, a third of the flows' first.
pub fn at_random(count: usize) -> Vec<FlowRecord> {
    let mut random = Random(count as u64);
    (0..count).map(|_| record(&mut random)).collect()
}

fn record(random: &mut Random) -> FlowRecord {
    let family = if random.below(2) == 0 { Family::V4 } else { Family::V6 };
    let protocol = if random.below(10) == 0 { protocol::UDP } else { protocol::TCP };
    let (client, server) = (endpoint(random, family, 1 << 15), endpoint(random, family, 0));
    let (key, forward) = FlowKey::canonical(family, protocol, client, server);
    let start = BEGIN_NS + random.below(1 << 40);
    let [_, _, mac @ ..] = random.word().to_be_bytes();
    FlowRecord {
        key,
        forward,
        initiator: Initiator::Source,
        first: FirstPacket {
            source_mac: Some(mac),
            port: PortId(0),
            ttl: 64,
            traffic_class: 0,
            flow_label: if family == Family::V6 { 0x1_2345 } else { 0 },
            icmp: None,
        },
        flow_start: Nanos(start),
        start: Nanos(start),
        end: Nanos(start + random.below(MINUTE_NS)),
        number: u32::from(random.below(3) > 0),
        end_reason: EndReason::ActiveTimeout,
        tcp: (protocol == protocol::TCP).then_some(TcpRecord {
            state: TcpState::Established,
            flags: 0x1a,
            ..TcpRecord::default()
        }),
        to_destination: counters(random),
        to_source: counters(random),
        error: None,
        tunnel: None,
        events: Events::default(),
    }
}

fn endpoint(random: &mut Random, family: Family, port_bit: u16) -> Endpoint {
    let address = match family {
        Family::V4 => 0x0a00_0000 | u128::from(random.below(1 << 24)),
        Family::V6 => 0x2001_0db8 << 96 | u128::from(random.word()),
    };
    let port = u16::try_from(random.below(1 << 15)).expect("below 2^15");
    Endpoint { address, port: port | port_bit }
}

fn counters(random: &mut Random) -> Counters {
    let packets = random.below(1 << 14) + 1;
    Counters {
        packets_delta: packets,
        bytes_delta: packets * 700,
        packets_total: packets + random.below(1 << 20),
        bytes_total: packets * 700 + random.below(1 << 30),
    }
}
