//! Ctrl-C and SIGTERM: once drains, twice stops at once.

use super::devices::small_capture;
use super::support::{Patience, Pcap, Receiver, Tapspan, folder};

#[test]
fn either_signal_drains_and_ends_with_0() {
    for signal in ["INT", "TERM"] {
        let receiver = Receiver::start();
        let probe =
            Tapspan::polling(["--port", "net_null0", "--export", &format!("grpc://{}", receiver.address)]);
        probe.running.signal(signal);
        let done = probe.running.finish().ok().balanced();
        assert!(done.stderr.contains("draining"), "{done:#?}");
    }
}

#[test]
fn a_second_signal_stops_a_drain_that_takes_long() {
    // Nobody listens there, and the grace outlasts any test.
    let flags = [
        "--export",
        "grpc://127.0.0.1:9",
        "--set",
        "export.shutdown_grace=1h",
        "--set",
        "export.retry_for=1h",
    ];
    let port = format!("net_pcap0,rx_pcap={}", small_capture().display());
    let probe = Tapspan::polling(flags.into_iter().chain(["--port", &port]));
    probe.endpoint().ledger_with(1);
    probe.running.signal("TERM");
    probe.line_with("draining");
    let patience = Patience::begin();
    probe.running.signal("TERM");
    let done = probe.running.finish();
    assert!(!done.status.success(), "{done:#?}");
    assert!(!patience.left().is_zero());
}

#[test]
fn a_drain_keeps_to_its_grace_however_many_flows_are_left() {
    const FLOWS: u32 = 20_000;
    let folder = folder();
    let path = folder.path().join("many.pcap");
    let mut many = Pcap::read(&small_capture()).expect("it is of the plain sort");
    let packet = many.packets.iter().find(|packet| packet[28..30] == [8, 0]).expect("it has IPv4").clone();
    many.packets = (0..FLOWS)
        .map(|flow| {
            let mut packet = packet.clone();
            packet[42..46].copy_from_slice(&(0x0a00_0000 + flow).to_be_bytes());
            packet
        })
        .collect();
    many.write(&path);
    // The queue holds a twentieth of the flows and nobody empties it; a grace for each chunk would outlast the test.
    let settings = ["export.shutdown_grace=3s", "export.retry_for=1h", "export.queue_size=1024"];
    let flags = settings.into_iter().flat_map(|setting| ["--set", setting]);
    let port = format!("net_pcap0,rx_pcap={}", path.display());
    let probe = Tapspan::polling(flags.chain(["--export", "grpc://127.0.0.1:9", "--port", &port]));
    probe.endpoint().ledger_with(FLOWS.into());
    probe.running.signal("TERM");
    let done = probe.running.finish().ok().balanced();
    assert!(done.stdout.contains("queue_full") && done.stdout.contains("shutdown"), "{done:#?}");
}
