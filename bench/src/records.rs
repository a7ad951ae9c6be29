//! Flow records such as a sweep cuts them, with values that repeat where they do in traffic.
//!
//! Under the default selection a span of TCP has 42 attributes in IPv4 and 43 in IPv6, one of UDP 25 and 26: 40.8 in the
//! mean. That is every attribute of the convention that a TCP connection has, but the jitter of handshakes, of which there
//! is one, and `error.type`; tunnels, ICMP and sampling have none.

use flowtable::{
    Counters, EndReason, Endpoint, Events, Family, FirstPacket, FlowKey, FlowRecord, Initiator, Nanos,
    PortId, TcpCounts, TcpRecord, TcpState, Timing, protocol, tcp_flag,
};

use crate::random::Random;

/// 2024-09-24, in ns since 1970.
const BEGIN_NS: u64 = 1_727_152_020_000_000_000;
const MINUTE_NS: u64 = 60_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;
/// Times to live of senders 0 to 20 hops away.
const TTLS: [u8; 8] = [64, 63, 57, 52, 128, 127, 116, 255];

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
            ttl: TTLS[place(random, TTLS.len())],
            traffic_class: if random.below(8) == 0 { 46 << 2 } else { 0 },
            flow_label: if family == Family::V6 { below_2_20(random) } else { 0 },
            icmp: None,
        },
        flow_start: Nanos(start),
        start: Nanos(start),
        end: Nanos(start + random.below(MINUTE_NS)),
        number: u32::from(random.below(3) > 0),
        end_reason: EndReason::ALL[place(random, 3)],
        tcp: (protocol == protocol::TCP).then(|| tcp(random)),
        to_destination: counters(random),
        to_source: counters(random),
        error: None,
        tunnel: None,
        events: Events::default(),
    }
}

/// A connection with exchanges; one in eight lost segments.
fn tcp(random: &mut Random) -> TcpRecord {
    let (state, flags) = match random.below(4) {
        0 => (TcpState::TimeWait, tcp_flag::FIN | tcp_flag::PSH | tcp_flag::ACK),
        1 => (TcpState::Closed, tcp_flag::SYN | tcp_flag::RST | tcp_flag::ACK),
        _ => (TcpState::Established, tcp_flag::SYN | tcp_flag::PSH | tcp_flag::ACK),
    };
    let mut timing = |jitter: bool| {
        let latency_ns = random.below(50 * MILLISECOND_NS);
        Some(Timing { latency_ns, jitter_ns: jitter.then(|| random.below(MILLISECOND_NS)) })
    };
    let (handshake_snd, handshake_cnd, svc, rndtrip) =
        (timing(false), timing(false), timing(true), timing(true));
    let retransmissions = if random.below(8) == 0 { random.below(4) } else { 0 };
    TcpRecord {
        state,
        flags,
        handshake_snd,
        handshake_cnd,
        svc,
        rndtrip,
        to_destination: TcpCounts { retransmissions, ..TcpCounts::default() },
        to_source: TcpCounts::default(),
    }
}

/// Below `end`.
fn place(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).expect("below a usize")
}

fn below_2_20(random: &mut Random) -> u32 {
    u32::try_from(random.below(1 << 20)).expect("below 2^20")
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
