//! Virtual devices that need no wire: `net_pcap`, `net_null`, `net_ring`, `net_tap`, through the same program.

use std::path::PathBuf;
use std::process::Command;

use super::support::{
    Capture, Counts, Receiver, Tapspan, captures, eventually, folder, is_root, left_out, read_file,
    sent_by_tcpreplay,
};

/// A capture every test can use for a little traffic.
pub(crate) fn small_capture() -> PathBuf {
    plain("ipfixprobe/dns.pcap").path
}

fn plain(name: &str) -> Capture {
    captures().into_iter().find(|capture| capture.name == name).unwrap_or_else(|| panic!("no capture {name}"))
}

#[test]
fn the_packets_of_a_pcap_port_are_counted_as_those_of_the_file() {
    let folder = folder();
    for name in ["ipfixprobe/dns.pcap", "ipfixprobe/rtsp.pcap", "ipfixprobe/vlan.pcap"] {
        let capture = plain(name);
        let spans = folder.path().join(name.replace('/', "-"));
        let port = format!("net_pcap0,rx_pcap={}", capture.path.display());
        let export = format!("file:{}", spans.display());
        let probe = Tapspan::polling(["--port", &port, "--export", &export]);
        let ledger = probe.endpoint().ledger_with(capture.noted("packets"));
        assert_eq!(ledger["balanced"], true, "{ledger:#}");
        probe.drain();
        let expected = Counts::of_captures([&capture]);
        let differences = expected.differences(&Counts::of_spans(&read_file(&spans), &expected));
        assert!(differences.is_empty(), "{name}: {differences:#?}");
    }
}

#[test]
fn packets_of_a_null_port_are_in_no_flow_and_in_the_books() {
    const ENOUGH: u64 = 1_000_000;
    let receiver = Receiver::start();
    let export = format!("grpc://{}", receiver.address);
    let probe = Tapspan::polling(["--port", "net_null0,size=64", "--export", &export]);
    let ledger = probe.endpoint().ledger_with(ENOUGH);
    assert_eq!(ledger["in_flows"], 0, "{ledger:#}");
    probe.drain();
    assert!(receiver.spans().is_empty());
}

#[test]
fn a_ring_port_on_which_nothing_comes_is_polled_and_drained() {
    let receiver = Receiver::start();
    let export = format!("grpc://{}", receiver.address);
    let probe = Tapspan::polling(["--port", "net_ring0,name=loop", "--export", &export]);
    let endpoint = probe.endpoint();
    eventually("polls", || {
        let workers = endpoint.get("/api/v1/workers")?;
        if workers[0]["empty_polls"].as_u64() > Some(1000) { Ok(()) } else { Err(workers.to_string()) }
    });
    let ports = endpoint.get("/api/v1/ports").unwrap();
    assert_eq!((&ports[0]["name"], &ports[0]["driver"]), (&"loop".into(), &"net_ring".into()), "{ports:#}");
    assert_eq!(probe.drain().balanced().stdout.lines().next().unwrap().split_whitespace().last(), Some("0"));
}

#[test]
fn what_the_kernel_sends_to_a_tap_port_arrives_as_spans() {
    if !PathBuf::from("/dev/net/tun").exists() {
        return left_out("no /dev/net/tun: load the kernel module tun");
    }
    if Command::new("tcpreplay").arg("-V").output().is_err() || !is_root() {
        return left_out("a TAP port needs root and tcpreplay");
    }
    let tag = std::env::var("TAPSPAN_E2E_TAG").unwrap_or_default();
    let interface = format!("t{tag}{:x}tap", std::process::id() & 0xf_ffff);
    let receiver = Receiver::start();
    let port = format!("net_tap0,iface={interface}");
    let export = format!("grpc://{}", receiver.address);
    let probe = Tapspan::polling(["--port", &port, "--export", &export]);
    let capture = plain("ipfixprobe/dns.pcap");
    let mut tcpreplay = Command::new("tcpreplay");
    tcpreplay.args(["--quiet", "--pps=1000", "--intf1", &interface]).arg(&capture.path);
    let sent = sent_by_tcpreplay(tcpreplay);
    // The kernel adds packets of its own for IPv6, so at least these.
    probe.endpoint().ledger_with(sent);
    let expected = Counts::of_captures([&capture]);
    let endpoint = probe.endpoint();
    eventually("its flows", || {
        let (status, answer) = endpoint.ask("POST", "/api/v1/flush")?;
        let missing = expected.missing_in(&Counts::of_spans(&receiver.spans(), &expected));
        if missing.is_empty() {
            Ok(())
        } else {
            Err(format!("flush: {status} {answer}; {}", missing.join("\n")))
        }
    });
    probe.drain();
}
