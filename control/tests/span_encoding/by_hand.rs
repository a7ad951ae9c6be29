//! Two records whose spans are written down by hand, attribute by attribute.

use flowtable::{
    Counters, Direction, EndReason, Endpoint, Event, EventKind, Events, Family, FirstPacket, FlowKey,
    FlowRecord, Initiator, Nanos, NetworkError, PortId, TcpCounts, TcpRecord, TcpState, Timing, Tunnel,
    TunnelKind, protocol, tcp_flag,
};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::net::Ipv6Addr;
use std::sync::Arc;
use tapspan::span::{Format, Interface, SpanEncoder, SpanSettings};

/// Second record of an HTTPS connection, 10.1.1.5:54211 to 10.1.2.10:443, seen from the SYN on.
pub(crate) fn tcp_record() -> FlowRecord {
    let client = Endpoint { address: 0x0a01_0105, port: 54_211 };
    let server = Endpoint { address: 0x0a01_020a, port: 443 };
    let (key, forward) = FlowKey::canonical(Family::V4, protocol::TCP, client, server);
    FlowRecord {
        key,
        forward,
        initiator: Initiator::Source,
        first: FirstPacket {
            source_mac: Some([0x00, 0x1b, 0x21, 0xab, 0xcd, 0xef]),
            port: PortId(1),
            ttl: 64,
            traffic_class: 46 << 2 | 0b10,
            flow_label: 0,
            icmp: None,
        },
        flow_start: Nanos(1_727_152_020_000_000_000),
        start: Nanos(1_727_152_080_000_000_000),
        end: Nanos(1_727_152_139_998_000_000),
        number: 1,
        end_reason: EndReason::ActiveTimeout,
        tcp: Some(TcpRecord {
            state: TcpState::Established,
            flags: tcp_flag::ACK | tcp_flag::PSH | tcp_flag::SYN,
            ..TcpRecord::default()
        }),
        to_destination: Counters {
            packets_delta: 10,
            bytes_delta: 1024,
            packets_total: 25,
            bytes_total: 70_000,
        },
        to_source: Counters {
            packets_delta: 0,
            bytes_delta: 0,
            packets_total: 5_000_000_000,
            bytes_total: u64::MAX,
        },
        error: None,
        tunnel: None,
        events: Events::default(),
    }
}

/// The same connection inside VXLAN, slow and then reset.
fn reset_record() -> FlowRecord {
    let timing = |latency_ns| Some(Timing { latency_ns, jitter_ns: None });
    let record = tcp_record();
    let tcp = TcpRecord {
        state: TcpState::Closed,
        flags: tcp_flag::ACK | tcp_flag::RST,
        handshake_snd: timing(1_500_000),
        handshake_cnd: timing(0),
        svc: Some(Timing { latency_ns: 20_000_000, jitter_ns: Some(128) }),
        rndtrip: None,
        to_destination: TcpCounts { retransmissions: 3, zero_windows: 1, ..TcpCounts::default() },
        to_source: TcpCounts { out_of_order: 200, duplicate_acks: 2, ..TcpCounts::default() },
    };
    let events = vec![
        Event { at: Nanos(1_727_152_080_500_000_000), kind: EventKind::TcpZeroWindow },
        Event { at: Nanos(1_727_152_139_998_000_000), kind: EventKind::TcpRst },
    ];
    FlowRecord {
        end_reason: EndReason::EndOfFlowDetected,
        tcp: Some(tcp),
        error: Some(NetworkError::ConnectionReset),
        tunnel: Some(Box::new(vxlan())),
        events: Events { kept: events, dropped: 5 },
        ..record
    }
}

fn vxlan() -> Tunnel {
    Tunnel {
        kind: TunnelKind::Vxlan,
        family: Family::V4,
        protocol: protocol::UDP,
        source: Endpoint { address: 0xc000_0201, port: 51_000 },
        destination: Endpoint { address: 0xc000_0202, port: 4_789 },
        id: Some(42),
        key: None,
        spi: None,
        sender_index: None,
        receiver_index: None,
    }
}

/// A port unreachable of an unnamed interface, sent from the endpoint that sorts higher.
fn icmpv6_record() -> FlowRecord {
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().to_bits();
    let router = Endpoint { address: address("fe80::200:86ff:fe05:80da"), port: 1 };
    let host = Endpoint { address: address("2001:db8::1"), port: 4 };
    let (key, forward) = FlowKey::canonical(Family::V6, protocol::ICMPV6, router, host);
    assert_eq!(forward, Direction::HiToLo);
    FlowRecord {
        key: FlowKey { one_way: Some(forward), ..key },
        forward,
        initiator: Initiator::Source,
        first: FirstPacket {
            source_mac: None,
            port: PortId(7),
            ttl: 255,
            traffic_class: 63 << 2 | 0b01,
            flow_label: 0xf_ffff,
            icmp: Some((1, 4)),
        },
        flow_start: Nanos(1),
        start: Nanos(1),
        end: Nanos(1),
        number: 0,
        end_reason: EndReason::ForcedEnd,
        tcp: None,
        to_destination: Counters { packets_delta: 1, bytes_delta: 96, packets_total: 1, bytes_total: 96 },
        to_source: Counters::default(),
        error: None,
        tunnel: None,
        events: Events::default(),
    }
}

pub(crate) fn settings() -> SpanSettings {
    let eth0 = Interface { name: "eth0".to_owned(), index: Some(2) };
    let capture = Interface { name: "left \"tap\"".to_owned(), index: None };
    SpanSettings { interfaces: vec![eth0, capture], ..SpanSettings::default() }
}

/// Attributes as `key=value` lines; long values bare, text quoted, lists in brackets.
fn lines(span: &Span) -> Vec<String> {
    span.attributes.iter().map(|pair| format!("{}={}", pair.key, shown(pair.value.as_ref()))).collect()
}

fn shown(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()).unwrap() {
        Any::StringValue(text) => format!("'{text}'"),
        Any::IntValue(number) => number.to_string(),
        Any::ArrayValue(list) => {
            let values: Vec<_> = list.values.iter().map(|value| shown(Some(value))).collect();
            format!("[{}]", values.join(" "))
        }
        other => panic!("{other:?} is no type of the convention"),
    }
}

#[test]
fn a_tcp_record_gives_these_attributes() {
    let request = super::protobuf(&settings(), &[tcp_record()]);
    let [span] = super::spans(&request) else { panic!("one span") };
    assert_eq!((span.name.as_str(), span.kind), ("flow_ipv4_tcp", 1));
    assert_eq!(span.start_time_unix_nano, 1_727_152_080_000_000_000);
    assert_eq!(span.end_time_unix_nano, 1_727_152_139_998_000_000);
    assert_eq!((span.links.len(), span.events.len(), span.status.as_ref()), (1, 0, None));
    let expected = [
        "flow.community_id='1:TCnUq3vyBNLsowPAhhodxLlTEyY='",
        "flow.initiator='source'",
        "flow.connection.state='established'",
        "flow.end_reason='active_timeout'",
        "source.address='10.1.1.5'",
        "source.port=54211",
        "destination.address='10.1.2.10'",
        "destination.port=443",
        "network.transport='tcp'",
        "network.type='ipv4'",
        "network.interface.name='left \"tap\"'",
        "network.interface.mac='00:1b:21:ab:cd:ef'",
        "flow.ip.dscp.id=46",
        "flow.ip.dscp.name='ef'",
        "flow.ip.ecn.id=2",
        "flow.ip.ecn.name='ect(0)'",
        "flow.ip.ttl=64",
        "flow.tcp.flags.bits=26",
        "flow.tcp.flags.tags=['SYN' 'PSH' 'ACK']",
        "flow.bytes.total=70000",
        "flow.bytes.delta=1024",
        "flow.packets.total=25",
        "flow.packets.delta=10",
        "flow.reverse.bytes.total=9223372036854775807",
        "flow.reverse.bytes.delta=0",
        "flow.reverse.packets.total=5000000000",
        "flow.reverse.packets.delta=0",
        "flow.tcp.retransmissions=0",
        "flow.tcp.out_of_order=0",
        "flow.tcp.zero_windows=0",
        "flow.tcp.duplicate_acks=0",
        "flow.reverse.tcp.retransmissions=0",
        "flow.reverse.tcp.out_of_order=0",
        "flow.reverse.tcp.zero_windows=0",
        "flow.reverse.tcp.duplicate_acks=0",
    ];
    assert_eq!(lines(span), expected);
}

/// The lines of `record`'s span that begin with one of `prefixes`, with the tunnel's attributes chosen.
fn lines_of(record: &FlowRecord, prefixes: &[&str]) -> Vec<String> {
    let mut settings = settings();
    settings.attributes.include("tunnel.*").unwrap();
    let request = super::protobuf(&settings, std::slice::from_ref(record));
    let lines = lines(&super::spans(&request)[0]);
    lines.into_iter().filter(|line| prefixes.iter().any(|prefix| line.starts_with(prefix))).collect()
}

#[test]
fn a_failed_connection_says_what_it_failed_at_and_what_went_before() {
    let request = super::protobuf(&settings(), &[reset_record()]);
    let [span] = super::spans(&request) else { panic!("one span") };
    let status = span.status.as_ref().map(|status| (status.code, status.message.as_str()));
    assert_eq!(status, Some((2, "")));
    let events: Vec<_> =
        span.events.iter().map(|event| (event.time_unix_nano, event.name.as_str())).collect();
    assert_eq!(
        events,
        [(1_727_152_080_500_000_000, "tcp.zero_window"), (1_727_152_139_998_000_000, "tcp.rst")]
    );
    assert_eq!(span.dropped_events_count, 5);
    assert!(!span.attributes.iter().any(|pair| pair.key.starts_with("tunnel.")), "opt-in");
    let prefixes = ["error.", "flow.tcp.handshake", "flow.tcp.svc", "flow.tcp.rndtrip", "flow.sampling"];
    let expected = [
        "flow.tcp.handshake.snd.latency=1500000",
        "flow.tcp.handshake.cnd.latency=0",
        "flow.tcp.svc.latency=20000000",
        "flow.tcp.svc.jitter=128",
        "error.type='connection_reset'",
    ];
    assert_eq!(lines_of(&reset_record(), &prefixes), expected);
    let counts = lines_of(&reset_record(), &["flow.tcp.zero", "flow.reverse.tcp."]);
    let expected = [
        "flow.tcp.zero_windows=1",
        "flow.reverse.tcp.retransmissions=0",
        "flow.reverse.tcp.out_of_order=200",
        "flow.reverse.tcp.zero_windows=0",
        "flow.reverse.tcp.duplicate_acks=2",
    ];
    assert_eq!(counts, expected);
}

#[test]
fn a_tunnel_is_told_where_the_operator_asks_for_it() {
    let expected = [
        "tunnel.type='vxlan'",
        "tunnel.source.address='192.0.2.1'",
        "tunnel.source.port=51000",
        "tunnel.destination.address='192.0.2.2'",
        "tunnel.destination.port=4789",
        "tunnel.network.transport='udp'",
        "tunnel.network.type='ipv4'",
        "tunnel.id='42'",
    ];
    assert_eq!(lines_of(&reset_record(), &["tunnel."]), expected);
    let esp = Tunnel {
        kind: TunnelKind::Esp,
        family: Family::V6,
        protocol: 50,
        id: None,
        key: Some(7),
        spi: Some(0xbeef),
        sender_index: Some(u32::MAX),
        receiver_index: Some(0),
        source: Endpoint { address: 1, port: 0 },
        ..vxlan()
    };
    let record = FlowRecord { tunnel: Some(Box::new(esp)), ..tcp_record() };
    let expected = [
        "tunnel.type='esp'",
        "tunnel.source.address='::1'",
        "tunnel.destination.address='::c000:202'",
        "tunnel.network.transport='esp'",
        "tunnel.network.type='ipv6'",
        "tunnel.key='7'",
        "tunnel.sender_index=4294967295",
        "tunnel.receiver_index=0",
        "tunnel.spi='0x0000beef'",
    ];
    assert_eq!(lines_of(&record, &["tunnel."]), expected);
}

#[test]
fn sampling_is_told_where_it_is_on() {
    let settings = SpanSettings { sampling_rate: Some(64), ..settings() };
    let request = super::protobuf(&settings, &[tcp_record()]);
    assert!(lines(&super::spans(&request)[0]).contains(&"flow.sampling.rate=64".to_owned()));
}

#[test]
fn an_icmpv6_record_gives_these_attributes() {
    let settings = SpanSettings { community_id_seed: 7, ..settings() };
    let request = super::protobuf(&settings, &[icmpv6_record()]);
    let [span] = super::spans(&request) else { panic!("one span") };
    assert_eq!((span.name.as_str(), span.kind, span.links.len()), ("flow_ipv6_icmpv6", 1, 0));
    let expected = [
        "flow.community_id='1:UQyHExMVWlQ67AvE6wLlNtrJOTU='",
        "flow.initiator='source'",
        "flow.end_reason='forced_end'",
        "source.address='fe80::200:86ff:fe05:80da'",
        "source.port=1",
        "destination.address='2001:db8::1'",
        "destination.port=4",
        "network.transport='icmpv6'",
        "network.type='ipv6'",
        "flow.ip.dscp.id=63",
        "flow.ip.ecn.id=1",
        "flow.ip.ecn.name='ect(1)'",
        "flow.ip.ttl=255",
        "flow.ip.flow_label=1048575",
        "flow.icmp.type.id=1",
        "flow.icmp.type.name='destination_unreachable'",
        "flow.icmp.code.id=4",
        "flow.icmp.code.name='port_unreachable'",
        "flow.bytes.total=96",
        "flow.bytes.delta=96",
        "flow.packets.total=1",
        "flow.packets.delta=1",
        "flow.reverse.bytes.total=0",
        "flow.reverse.bytes.delta=0",
        "flow.reverse.packets.total=0",
        "flow.reverse.packets.delta=0",
    ];
    assert_eq!(lines(span), expected);
}

#[test]
fn the_json_line_is_written_as_the_collectors_file_exporter_writes_it() {
    let bytes = SpanEncoder::new(Arc::new(settings()), Format::Json).encode(&[tcp_record()]);
    let line = std::str::from_utf8(&bytes).unwrap();
    let head = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[]}},"scopeSpans":[{{"scope":{{"name":"tapspan","version":"{}"}},"spans":[{{"traceId":""#,
        env!("CARGO_PKG_VERSION")
    );
    assert!(line.starts_with(&head), "{line}");
    for part in [
        r#","parentSpanId":"","name":"flow_ipv4_tcp","kind":1,"startTimeUnixNano":"1727152080000000000","endTimeUnixNano":"1727152139998000000","attributes":[{"key":"flow.community_id","value":{"stringValue":"1:"#,
        r#"{"key":"network.interface.name","value":{"stringValue":"left \"tap\""}}"#,
        r#"{"key":"source.port","value":{"intValue":"54211"}}"#,
        r#"{"arrayValue":{"values":[{"stringValue":"SYN"},{"stringValue":"PSH"},{"stringValue":"ACK"}]}}"#,
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(line.ends_with("\"}],\"status\":{}}]}]}]}"), "{line}");
    let bytes = SpanEncoder::new(Arc::new(settings()), Format::Json).encode(&[reset_record()]);
    let line = std::str::from_utf8(&bytes).unwrap();
    let events = r#"],"events":[{"timeUnixNano":"1727152080500000000","name":"tcp.zero_window"},{"timeUnixNano":"1727152139998000000","name":"tcp.rst"}],"droppedEventsCount":5,"links":["#;
    assert!(line.contains(events) && line.contains(r#"}],"status":{"code":2}}"#), "{line}");
}

#[test]
fn the_text_line_is_readable() {
    let text = |record| {
        let bytes = SpanEncoder::new(Arc::new(settings()), Format::Text).encode(&[record]);
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    assert_eq!(
        text(tcp_record()),
        "2024-09-24T04:28:00.000000Z +59.998s ipv4 tcp 10.1.1.5:54211 -> 10.1.2.10:443 10 pkts 1024 B / 0 pkts 0 B \
         established active_timeout SYN,PSH,ACK #1 left \"tap\" 1:TCnUq3vyBNLsowPAhhodxLlTEyY=\n"
    );
    let reset = text(reset_record());
    let middle =
        " closed end_of_flow_detected RST,ACK retransmitted 3/0 error connection_reset in vxlan 42 #1 ";
    assert!(reset.contains(middle), "{reset}");
    let icmpv6 = text(FlowRecord { initiator: Initiator::Destination, ..icmpv6_record() });
    let expected = "1970-01-01T00:00:00.000000Z +0.000s ipv6 icmpv6 fe80::200:86ff:fe05:80da <- 2001:db8::1 \
                    1 pkts 96 B / 0 pkts 0 B destination_unreachable:port_unreachable forced_end #0 1:";
    assert!(icmpv6.starts_with(expected), "{icmpv6}");
}
