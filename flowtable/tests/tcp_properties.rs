//! The state machine under segments of all kinds: what may follow what, and what must never happen.
#![cfg(not(loom))]

mod packets;

use flowtable::{
    Burst, Endpoint, Family, FlowKey, FlowRecord, Nanos, NetworkError, Observer, Packet, TcpState, Tunnel,
    TunnelKind, table, tcp_flag,
};
use packets::{MS, Tcp, config, tcp};
use proptest::prelude::*;

const CLIENT: (u32, u16) = (10, 40_000);
const SERVER: (u32, u16) = (20, 443);

#[derive(Clone, Copy, Debug)]
struct Segment {
    up: bool,
    flags: u8,
    sequence: u32,
    acknowledgment: u32,
    payload: u32,
}

fn segments() -> impl Strategy<Value = Vec<Segment>> {
    let flags = prop_oneof![
        4 => Just(tcp_flag::ACK),
        2 => Just(tcp_flag::SYN),
        2 => Just(tcp_flag::SYN | tcp_flag::ACK),
        2 => Just(tcp_flag::FIN | tcp_flag::ACK),
        1 => Just(tcp_flag::RST),
        1 => any::<u8>(),
    ];
    // Numbers close to each other, so that segments meet, and around the end of sequence space.
    let number = || (0u32..16).prop_map(|n| n.wrapping_sub(8));
    let segment = (any::<bool>(), flags, number(), number(), 0u32..4).prop_map(
        |(up, flags, sequence, acknowledgment, payload)| Segment {
            up,
            flags,
            sequence,
            acknowledgment,
            payload,
        },
    );
    prop::collection::vec(segment, 1..60)
}

/// Segments mostly in sequence, as two endpoints with a little to say would send them, and odd ones between.
fn conversations() -> impl Strategy<Value = Vec<Segment>> {
    let odd = prop::option::weighted(0.1, (any::<u8>(), -20i32..20));
    let step = (any::<bool>(), 0u32..3, any::<bool>(), any::<bool>(), odd);
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let mut next = [u32::MAX - 10, 5];
        let mut segments = Vec::new();
        for (up, payload, push, acknowledges, odd) in steps {
            let (own, peer) = if up { (0, 1) } else { (1, 0) };
            let flags = tcp_flag::ACK | if push { tcp_flag::PSH } else { 0 };
            let (flags, moved) = odd.unwrap_or((flags, 0));
            let acknowledgment = if acknowledges { next[peer] } else { next[peer].wrapping_sub(1) };
            let sequence = next[own].wrapping_add_signed(moved);
            segments.push(Segment { up, flags, sequence, acknowledgment, payload });
            next[own] = next[own].wrapping_add(payload);
        }
        segments
    })
}

fn send(writer: &mut flowtable::Writer, (from, to): ((u32, u16), (u32, u16)), at_ms: u64, segment: &Segment) {
    let Segment { flags, sequence, acknowledgment, payload, .. } = *segment;
    writer.update_burst(&[tcp(from, to, at_ms, &Tcp { sequence, acknowledgment, payload, flags })]);
}

/// The records of `segments` sent between `client` and `server`, and the state after each.
fn played(
    segments: &[Segment],
    client: (u32, u16),
    server: (u32, u16),
) -> (Vec<FlowRecord>, Vec<Option<TcpState>>) {
    let (mut writer, mut sweeper) = table(&config(64)).expect("little memory");
    let observer: Observer = sweeper.observer();
    let mut states = Vec::new();
    for (at_ms, segment) in (0..).zip(segments) {
        let way = if segment.up { (client, server) } else { (server, client) };
        send(&mut writer, way, at_ms, segment);
        let mut state = None;
        observer.visit(|flow| state = flow.tcp_state);
        states.push(state);
    }
    let mut records = Vec::new();
    sweeper.flush(Nanos(1_000 * MS), &mut records);
    (records, states)
}

/// The states a connection may be in after `from`, by RFC 9293 §3.3.2 as far as a bystander can tell, without a RST or a
/// used port.
fn may_follow(from: TcpState) -> &'static [TcpState] {
    use TcpState::*;
    match from {
        Listen => &[],
        SynSent => &[SynSent, SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, TimeWait],
        SynReceived => &[SynReceived, Established, FinWait1, FinWait2, CloseWait, Closing, TimeWait],
        Established => &[Established, FinWait1, FinWait2, CloseWait, Closing, TimeWait],
        FinWait1 => &[FinWait1, FinWait2, Closing, TimeWait],
        FinWait2 => &[FinWait2, TimeWait],
        CloseWait => &[CloseWait, LastAck, Closed],
        Closing => &[Closing, TimeWait],
        LastAck => &[LastAck, Closed],
        TimeWait => &[TimeWait],
        Closed => &[Closed],
    }
}

/// The states that say of the other endpoint what `state` says of one.
fn of_the_other(state: TcpState) -> &'static [TcpState] {
    use TcpState::*;
    match state {
        FinWait1 | FinWait2 => &[CloseWait],
        CloseWait => &[FinWait1, FinWait2],
        LastAck | Closing => &[Closing, TimeWait],
        TimeWait => &[LastAck, Closed],
        Closed => &[Closed, TimeWait],
        _ => &[],
    }
}

proptest! {
    #[test]
    fn a_connection_only_moves_on(segments in segments()) {
        let (_, states) = played(&segments, CLIENT, SERVER);
        for ((before, after), segment) in states.iter().zip(&states[1..]).zip(&segments[1..]) {
            let (Some(before), Some(after)) = (before, after) else { continue };
            let reset = segment.flags & tcp_flag::RST != 0;
            let anew = segment.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN;
            if reset {
                prop_assert_eq!(*after, TcpState::Closed);
            } else if !anew {
                // A SYN/ACK that comes late may tell that the other side began.
                let turned = segment.flags & tcp_flag::SYN != 0
                    && of_the_other(*before).iter().any(|other| may_follow(*other).contains(after));
                let allowed = may_follow(*before).contains(after) || turned;
                prop_assert!(allowed, "{:?} after {:?} by {:?}", after, before, segment);
            }
        }
    }

    /// Which of the two addresses sorts first must not matter to anything.
    #[test]
    fn a_connection_is_the_same_with_the_addresses_exchanged(segments in segments()) {
        let (one, states) = played(&segments, CLIENT, SERVER);
        let (other, other_states) = played(&segments, (SERVER.0, CLIENT.1), (CLIENT.0, SERVER.1));
        prop_assert_eq!(states, other_states);
        prop_assert_eq!(one.len(), other.len());
        for (one, other) in one.iter().zip(&other) {
            prop_assert_eq!(one.tcp, other.tcp);
            prop_assert_eq!((one.error, &one.events), (other.error, &other.events));
            prop_assert_eq!((one.to_destination, one.to_source), (other.to_destination, other.to_source));
            prop_assert_eq!((one.source().1, one.initiator), (other.source().1, other.initiator));
        }
    }

    /// A packet in WireGuard always goes the general way, as there may be more to tell of its tunnel; one outside goes the short way
    /// where it can.
    #[test]
    fn the_short_way_counts_as_the_general_one(segments in conversations(), v6: bool, id in 0u64..2) {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let sealed = Tunnel {
            kind: TunnelKind::Wireguard,
            family: Family::V4,
            protocol: 17,
            source: Endpoint { address: 1, port: 0 },
            destination: Endpoint { address: 2, port: 0 },
            id: None, key: None, spi: None, sender_index: None, receiver_index: None,
        };
        let records = [None, Some(sealed)].map(|tunnel| {
            let (mut writer, mut sweeper) = table(&config(64)).expect("little memory");
            let mut records = Vec::new();
            for (at_ms, segment) in (0..).zip(&segments) {
                let (from, to) = if segment.up { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
                let Segment { flags, sequence, acknowledgment, payload, .. } = *segment;
                let packet = tcp(from, to, at_ms, &Tcp { sequence, acknowledgment, payload, flags });
                let packet = Packet { key: FlowKey { family, tunnel: id, ..packet.key }, ..packet };
                let mut burst = Burst::with_capacity(1);
                match tunnel {
                    None => burst.push(packet),
                    Some(tunnel) => burst.push_in(tunnel, packet),
                }
                writer.update(&burst);
                if at_ms % 16 == 15 {
                    sweeper.flush(Nanos(at_ms * MS), &mut records);
                }
            }
            sweeper.flush(Nanos(1_000 * MS), &mut records);
            records.into_iter().map(|record| FlowRecord { tunnel: None, ..record }).collect::<Vec<_>>()
        });
        let [short, general] = records;
        prop_assert_eq!(short, general);
    }

    /// All that a record says of a connection hangs together, whatever was sent.
    #[test]
    fn what_a_record_says_hangs_together(segments in segments()) {
        let (records, _) = played(&segments, CLIENT, SERVER);
        for record in &records {
            let tcp = record.tcp.expect("TCP");
            let both = [(tcp.to_destination, record.to_destination), (tcp.to_source, record.to_source)];
            for (counts, counters) in both {
                let odd = counts.retransmissions + counts.out_of_order;
                prop_assert!(odd <= counters.packets_delta);
                prop_assert!(counts.duplicate_acks + counts.zero_windows <= counters.packets_delta);
            }
            prop_assert!(tcp.rndtrip.is_none() || tcp.svc.is_some());
            for timing in [tcp.handshake_snd, tcp.handshake_cnd, tcp.svc, tcp.rndtrip].into_iter().flatten() {
                prop_assert!(timing.latency_ns <= 2 * 60 * MS);
                prop_assert!(timing.jitter_ns.is_none_or(|jitter| jitter <= 60 * MS));
            }
            let reset = record.events.kept.iter().any(|event| event.kind.as_str() == "tcp.rst");
            let by_reset = matches!(
                record.error,
                Some(NetworkError::ConnectionRefused | NetworkError::ConnectionReset)
            );
            prop_assert!(!by_reset || reset || record.events.dropped > 0);
            prop_assert!(record.events.kept.is_sorted_by_key(|event| event.at));
            prop_assert!(record.events.kept.iter().all(|event| record.start <= event.at && event.at <= record.end));
        }
    }

    /// Segments of a transfer in any order, each at least once: as many octets are new as there are, the rest is counted.
    #[test]
    fn every_segment_of_a_transfer_is_new_once(
        order in prop::collection::vec(0u32..12, 0..30).prop_shuffle(), base: u32,
    ) {
        let mut order: Vec<u32> = (0..12).chain(order).collect();
        order.rotate_left(7);
        let segments: Vec<Segment> = std::iter::once(base)
            .chain(order.iter().map(|n| base.wrapping_add(1 + n * 10)))
            .enumerate()
            .map(|(at, sequence)| Segment {
                up: true,
                flags: if at == 0 { tcp_flag::SYN } else { tcp_flag::ACK },
                sequence,
                acknowledgment: 1,
                payload: if at == 0 { 0 } else { 10 },
            })
            .collect();
        let (records, _) = played(&segments, CLIENT, SERVER);
        let counts = records[0].tcp.expect("TCP").to_destination;
        // New in order, new out of order or late, or seen before: of a transfer of 12, at least the repeats are counted.
        let repeats = order.len() as u64 - 12;
        let odd = counts.retransmissions + counts.out_of_order;
        prop_assert!(odd >= repeats && odd < order.len() as u64, "{counts:?} of {order:?}");
    }
}
