//! Packets on a wire become spans in a receiver, through DPDK ports on the kernel's interfaces.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use super::support::{
    Capture, Counts, FlowSpan, Pcap, Receiver, Rotel, Tapspan, Veth, captures, folder, read_file,
    spans_against_tshark,
};

/// Longest frame that is sent: what an AF_XDP program on a veth pair takes, and what fits into one packet buffer.
const LONGEST: usize = 1500;
/// A wire wider than any frame, and not too wide for XDP.
const MTU: u16 = 3400;
/// Shortest frame the kernel takes from tcpreplay: an Ethernet header.
const SHORTEST: usize = 14;
const MOST_PACKETS: usize = 400;

/// Captures that arrive on an Ethernet wire as they are.
fn traffic() -> Vec<Capture> {
    let sendable = |capture: &Capture| {
        capture.is_plain()
            && Pcap::read(&capture.path).is_some_and(|pcap| {
                let lengths = pcap.packets.len() <= MOST_PACKETS && pcap.longest() <= LONGEST;
                lengths && pcap.packets.iter().all(|packet| packet.len() >= 16 + SHORTEST)
            })
    };
    let found: Vec<_> = captures().into_iter().filter(sendable).step_by(3).take(24).collect();
    assert!(found.len() >= 8, "{} captures for a wire", found.len());
    found
}

#[expect(clippy::disallowed_methods, reason = "spans of live packets carry the time of the machine")]
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}

/// Sends all traffic to a probe on `device`, waits until it is counted, drains, and gives what was sent.
fn watch(veth: &Veth, device: &str, export: &[String]) -> Counts {
    let traffic = traffic();
    let files: Vec<&Path> = traffic.iter().map(|capture| capture.path.as_path()).collect();
    let mut flags = vec!["--port".to_owned(), device.replace("IFACE", &veth.probe)];
    flags.extend(export.iter().flat_map(|url| ["--export".to_owned(), url.clone()]));
    let probe = Tapspan::polling(&flags);
    let endpoint = probe.endpoint();
    let sent = veth.send(&files);
    let ledger = endpoint.ledger_with(sent);
    assert_eq!(ledger["rx_packets"], sent, "other than was sent: {ledger:#}");
    assert_eq!(ledger["balanced"], true, "{ledger:#}");
    let expected = Counts::of_captures(&traffic);
    assert_eq!(ledger["in_flows"], expected.packets(), "{ledger:#}");
    let flows = endpoint.get("/api/v1/flows?limit=1000").unwrap();
    assert!(flows["live"].as_u64() > Some(0), "{flows:#}");
    let done = probe.drain();
    assert!(done.complaints().is_empty(), "{done:#?}");
    expected
}

fn strict(device: &str) {
    let Some(veth) = Veth::lay(1, MTU) else { return };
    let receiver = Receiver::start();
    let before = now_ns();
    let expected = watch(&veth, device, &[format!("grpc://{}", receiver.address)]);
    let spans = receiver.spans_of(&expected);
    let after = now_ns();
    let in_time = |span: &FlowSpan| before <= span.start && span.end <= after;
    assert!(spans.iter().all(in_time), "times are those of the machine");
    let named = |span: &FlowSpan| span.text("network.interface.name") == device.split(',').next().unwrap();
    assert!(spans.iter().all(named), "{:?}", spans[0]);
}

#[test]
fn packets_of_an_af_packet_port_are_the_spans_a_strict_receiver_gets() {
    strict("net_af_packet0,iface=IFACE");
}

#[test]
fn packets_of_an_af_xdp_port_are_the_spans_a_strict_receiver_gets() {
    strict("net_af_xdp0,iface=IFACE");
}

/// Captures in tunnels or in fragments, as Ethernet frames that are whole.
fn wrapped() -> Vec<Capture> {
    const WRAPPED: [&str; 8] = [
        "arkime/gtp-u.pcap",
        "zeek/erspanII.pcap",
        "zeek/fragmented-3.pcap",
        "zeek/geneve.pcap",
        "zeek/gre-sample.pcap",
        "zeek/ipv6-http-atomic-frag.pcap",
        "zeek/pppoe-over-qinq.pcap",
        "zeek/vxlan.pcap",
    ];
    let found: Vec<_> =
        captures().into_iter().filter(|capture| WRAPPED.contains(&capture.name.as_str())).collect();
    assert_eq!(found.len(), WRAPPED.len());
    found
}

#[test]
fn tunnels_and_fragments_on_a_port_are_the_spans_of_a_replay() {
    let folder = folder();
    for capture in wrapped() {
        let spans = folder.path().join(capture.name.replace('/', "-"));
        let port = format!("net_pcap0,rx_pcap={}", capture.path.display());
        let export = format!("file:{}", spans.display());
        let probe = Tapspan::polling(["--port", &port, "--export", &export]);
        let ledger = probe.endpoint().ledger_with(capture.noted("packets"));
        assert_eq!(ledger["rx_packets"], capture.noted("packets"), "{}: {ledger:#}", capture.name);
        probe.drain();
        spans_against_tshark(&capture, &read_file(&spans)).unwrap();
    }
}

/// On AF_XDP: the kernel gives `net_af_packet` no fragments of IPv4, as the driver has them put together first.
#[test]
fn tunnels_and_fragments_on_a_wire_are_the_spans_a_strict_receiver_gets() {
    let Some(veth) = Veth::lay(1, MTU) else { return };
    let receiver = Receiver::start();
    let wrapped = wrapped();
    let export = format!("grpc://{}", receiver.address);
    let port = format!("net_af_xdp0,iface={}", veth.probe);
    let probe = Tapspan::polling(["--port", &port, "--export", &export]);
    let sent = veth.send(&wrapped.iter().map(|capture| capture.path.as_path()).collect::<Vec<_>>());
    let ledger = probe.endpoint().ledger_with(sent);
    assert_eq!(ledger["rx_packets"], sent, "other than was sent: {ledger:#}");
    probe.drain();
    receiver.spans_of(&Counts::of_captures(&wrapped));
}

/// One probe for both protocols: every span must come through the collector twice.
#[test]
fn a_collector_others_wrote_takes_the_spans_over_grpc_and_over_http() {
    let Some(veth) = Veth::lay(1, MTU) else { return };
    let (by_grpc, by_http) = (Receiver::start(), Receiver::start());
    let Some(grpc) = Rotel::start(by_grpc.address) else { return };
    let Some(http) = Rotel::start(by_http.address) else { return };
    let export = [format!("grpc://{}", grpc.grpc), format!("http://{}", http.http)];
    let expected = watch(&veth, "net_af_packet0,iface=IFACE", &export);
    by_grpc.spans_of(&expected);
    by_http.spans_of(&expected);
}

/// The kernel gives a packet socket the packets of every interface until it is bound to one.
#[test]
fn packets_of_other_interfaces_are_not_received() {
    let Some(veth) = Veth::lay(1, MTU) else { return };
    let chatter = [Chatter::start(), Chatter::start()];
    let receiver = Receiver::start();
    let port = format!("net_af_packet0,iface={}", veth.probe);
    let probe = Tapspan::polling(["--port", &port, "--export", &format!("grpc://{}", receiver.address)]);
    drop(chatter);
    let traffic: Vec<_> = traffic().into_iter().take(2).collect();
    let sent = veth.send(&traffic.iter().map(|capture| capture.path.as_path()).collect::<Vec<_>>());
    let ledger = probe.endpoint().ledger_with(sent);
    assert_eq!(ledger["rx_packets"], sent, "other than was sent: {ledger:#}");
    probe.drain();
    receiver.spans_of(&Counts::of_captures(&traffic));
}

/// Datagrams on the loopback interface, without a pause, until this goes.
struct Chatter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Chatter {
    fn start() -> Chatter {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let itself = socket.local_addr().expect("it is bound");
        let talk = move || {
            while !stopped.load(Ordering::Relaxed) {
                socket.send_to(b"not for the probe", itself).expect("loopback takes it");
                std::thread::yield_now();
            }
        };
        let thread =
            std::thread::Builder::new().name("chatter".into()).spawn(talk).expect("a thread can be started");
        Chatter { stop, thread: Some(thread) }
    }
}

impl Drop for Chatter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panics only where the machine has no loopback, and has said so.
            let _ = thread.join();
        }
    }
}

#[test]
fn two_queues_of_one_interface_are_two_workers_and_no_packet_is_lost() {
    let Some(veth) = Veth::lay(1, MTU) else { return };
    let receiver = Receiver::start();
    let traffic: Vec<_> = traffic().into_iter().take(8).collect();
    let files: Vec<&Path> = traffic.iter().map(|capture| capture.path.as_path()).collect();
    let port = format!("net_af_packet0,iface={},qpairs=2", veth.probe);
    let export = format!("grpc://{}", receiver.address);
    let probe = Tapspan::polling(["--port", &port, "--lcores", "0,1", "--export", &export]);
    let sent = veth.send(&files);
    probe.endpoint().ledger_with(sent);
    let workers = probe.endpoint().get("/api/v1/workers").unwrap();
    assert_eq!(workers.as_array().map(Vec::len), Some(2), "{workers:#}");
    probe.drain();
    receiver.spans_of(&Counts::of_captures(&traffic));
}
