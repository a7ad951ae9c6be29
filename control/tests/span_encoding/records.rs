//! Arbitrary records and settings.

use flowtable::{
    Counters, Direction, EndReason, Endpoint, Event, EventKind, Events, Family, FirstPacket, FlowKey,
    FlowRecord, Initiator, Nanos, NetworkError, PortId, TcpCounts, TcpRecord, TcpState, Timing, Tunnel,
    TunnelKind, protocol,
};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use tapspan::span::attributes::{Level, Reads, attributes};
use tapspan::span::{AttributeSelection, HostFacts, Interface, Resource, ResourceSources, SpanSettings};

pub(crate) fn settings() -> impl Strategy<Value = SpanSettings> {
    let seeds = (any::<u64>(), any::<u16>());
    let interfaces = proptest::collection::vec(interface(), 0..3);
    (seeds, interfaces, selection(), option::of(any::<u32>()), resource()).prop_map(
        |((identity_seed, community_id_seed), interfaces, attributes, sampling_rate, resource)| {
            SpanSettings { identity_seed, community_id_seed, interfaces, attributes, sampling_rate, resource }
        },
    )
}

/// `to` with the part of `from` that `reads` names, and nothing else of it.
pub(crate) fn grafted(reads: Reads, from: &FlowRecord, to: &FlowRecord) -> FlowRecord {
    let FlowRecord { key, first, initiator, end_reason, tcp, error, .. } = from.clone();
    let of_tcp = |take: fn(&TcpRecord, &TcpRecord) -> TcpRecord| {
        let to = to.tcp.unwrap_or_default();
        tcp.map(|from| take(&from, &to))
    };
    match reads {
        Reads::Record => from.clone(),
        Reads::Outcome => {
            let tcp = of_tcp(|from, to| TcpRecord { state: from.state, ..*to });
            FlowRecord { initiator, end_reason, tcp, ..to.clone() }
        }
        Reads::Path => FlowRecord {
            key: FlowKey { protocol: key.protocol, family: key.family, ..to.key },
            first: FirstPacket { port: first.port, ..to.first },
            ..to.clone()
        },
        Reads::Header => {
            let FirstPacket { ttl, traffic_class, .. } = first;
            FlowRecord { first: FirstPacket { ttl, traffic_class, ..to.first }, ..to.clone() }
        }
        Reads::Message => FlowRecord {
            key: FlowKey { protocol: key.protocol, ..to.key },
            first: FirstPacket { icmp: first.icmp, ..to.first },
            tcp: of_tcp(|from, to| TcpRecord { flags: from.flags, ..*to }),
            ..to.clone()
        },
        Reads::Segments => {
            let tcp = of_tcp(|from, to| TcpRecord {
                to_destination: from.to_destination,
                to_source: from.to_source,
                ..*to
            });
            FlowRecord { tcp, ..to.clone() }
        }
        Reads::Failure => FlowRecord { error, ..to.clone() },
    }
}

pub(crate) fn record() -> impl Strategy<Value = FlowRecord> {
    let times = (any::<u64>(), any::<u32>(), any::<u32>());
    let ends = (select(&[Direction::LoToHi, Direction::HiToLo][..]), select(&EndReason::ALL[..]));
    let initiator = select(&[Initiator::Source, Initiator::Destination][..]);
    (
        key(),
        ends,
        initiator,
        first_packet(),
        times,
        prop_oneof![Just(0), any::<u32>()],
        tcp(),
        (counters(), counters()),
        (option::of(select(&NetworkError::ALL[..])), option::of(tunnel()), events()),
    )
        .prop_map(|(key, ends, initiator, first, times, number, tcp, (out, back), extras)| {
            let ((forward, end_reason), (error, tunnel, events)) = (ends, extras);
            let flow_start = Nanos(times.0);
            let start = Nanos(times.0.saturating_add(times.1.into()));
            FlowRecord {
                key,
                forward,
                initiator,
                first: FirstPacket { icmp: first.icmp.filter(|_| is_icmp(key.protocol)), ..first },
                flow_start,
                start,
                end: Nanos(start.0.saturating_add(times.2.into())),
                number,
                end_reason,
                tcp: (key.protocol == protocol::TCP).then_some(tcp),
                to_destination: out,
                to_source: back,
                error,
                tunnel: tunnel.map(Box::new),
                events,
            }
        })
}

fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, protocol::ICMP | protocol::ICMPV6)
}

fn key() -> impl Strategy<Value = FlowKey> {
    let protocols = prop_oneof![select(&[1_u8, 6, 6, 6, 17, 58, 132][..]), any::<u8>()];
    let tags = (any::<u32>(), any::<u64>(), option::of(Just(Direction::LoToHi)));
    (any::<bool>(), protocols, endpoint(), endpoint(), tags).prop_map(
        |(is_v6, protocol, source, destination, (vlans, tunnel, one_way))| {
            let (family, mask) = if is_v6 { (Family::V6, u128::MAX) } else { (Family::V4, u32::MAX.into()) };
            let cut = |end: Endpoint| Endpoint { address: end.address & mask, ..end };
            let (key, _) = FlowKey::canonical(family, protocol, cut(source), cut(destination));
            FlowKey { vlans, tunnel, one_way, ..key }
        },
    )
}

/// Addresses with runs of zeros are common, as they are on the wire.
fn endpoint() -> impl Strategy<Value = Endpoint> {
    (any::<u128>(), 0_u32..128, any::<u16>())
        .prop_map(|(bits, shift, port)| Endpoint { address: bits >> shift, port })
}

fn first_packet() -> impl Strategy<Value = FirstPacket> {
    (
        option::of(any::<[u8; 6]>()),
        0_u16..4,
        any::<u8>(),
        any::<u8>(),
        0_u32..1 << 20,
        option::of((0_u8..170, 0_u8..20)),
    )
        .prop_map(|(source_mac, port, ttl, traffic_class, flow_label, icmp)| FirstPacket {
            source_mac,
            port: PortId(port),
            ttl,
            traffic_class,
            flow_label,
            icmp,
        })
}

fn tcp() -> impl Strategy<Value = TcpRecord> {
    let timings = (timing(), timing(), timing(), timing());
    (select(&TcpState::ALL[..]), any::<u8>(), timings, tcp_counts(), tcp_counts()).prop_map(
        |(state, flags, (handshake_snd, handshake_cnd, svc, rndtrip), to_destination, to_source)| TcpRecord {
            state,
            flags,
            handshake_snd,
            handshake_cnd,
            svc,
            rndtrip,
            to_destination,
            to_source,
        },
    )
}

fn timing() -> impl Strategy<Value = Option<Timing>> {
    let timing = (any::<u64>(), 0_u32..64, option::of(any::<u64>()));
    option::of(timing).prop_map(|timing| {
        let (bits, shift, jitter_ns) = timing?;
        Some(Timing { latency_ns: bits >> shift, jitter_ns })
    })
}

fn tcp_counts() -> impl Strategy<Value = TcpCounts> {
    let count = || prop_oneof![3 => 0_u64..200, 1 => any::<u64>()];
    (count(), count(), count(), count()).prop_map(
        |(retransmissions, out_of_order, duplicate_acks, zero_windows)| TcpCounts {
            retransmissions,
            out_of_order,
            duplicate_acks,
            zero_windows,
        },
    )
}

fn tunnel() -> impl Strategy<Value = Tunnel> {
    let number = || option::of(any::<u32>());
    let header = (any::<bool>(), prop_oneof![select(&[17_u8, 47, 50][..]), any::<u8>()]);
    let numbers = (number(), number(), number(), number(), number());
    (select(&TunnelKind::ALL[..]), header, endpoint(), endpoint(), numbers).prop_map(
        |(kind, (is_v6, protocol), source, destination, numbers)| {
            let (id, key, spi, sender_index, receiver_index) = numbers;
            let family = if is_v6 { Family::V6 } else { Family::V4 };
            Tunnel { kind, family, protocol, source, destination, id, key, spi, sender_index, receiver_index }
        },
    )
}

fn events() -> impl Strategy<Value = Events> {
    let event =
        (any::<u64>(), select(&EventKind::ALL[..])).prop_map(|(at, kind)| Event { at: Nanos(at), kind });
    let kept =
        prop_oneof![Just(Vec::new()).boxed(), proptest::collection::vec(event, 0..=Events::MAX).boxed()];
    (kept, prop_oneof![Just(0), any::<u32>()]).prop_map(|(kept, dropped)| Events { kept, dropped })
}

fn counters() -> impl Strategy<Value = Counters> {
    let count = || (any::<u64>(), 0_u32..64).prop_map(|(bits, shift)| bits >> shift);
    (count(), count(), count(), count()).prop_map(
        |(packets_delta, bytes_delta, packets_total, bytes_total)| Counters {
            packets_delta,
            bytes_delta,
            packets_total,
            bytes_total,
        },
    )
}

fn interface() -> impl Strategy<Value = Interface> {
    ("\\PC{0,200}", option::of(any::<u32>())).prop_map(|(name, index)| Interface { name, index })
}

/// Any choice the table allows.
fn selection() -> impl Strategy<Value = AttributeSelection> {
    proptest::collection::vec(any::<bool>(), attributes().count()).prop_map(|chosen| {
        let mut selection = AttributeSelection::default();
        for (attribute, chosen) in attributes().zip(chosen) {
            match attribute.level {
                Level::Required | Level::Conditional(_) => {}
                _ if chosen => selection.include(attribute.key).unwrap(),
                _ => selection.exclude(attribute.key).unwrap(),
            }
        }
        selection
    })
}

fn resource() -> impl Strategy<Value = Resource> {
    proptest::collection::vec(("[a-z.]{1,12}", any::<String>()), 0..4).prop_map(|settings| {
        let host = HostFacts { name: Some("probe7".to_owned()), id: None };
        let sources =
            ResourceSources { host: Some(&host), settings: &settings, ..ResourceSources::default() };
        Resource::new(&sources).unwrap()
    })
}
