//! Ctrl-C and SIGTERM: once drains, twice stops at once.

use super::devices::small_capture;
use super::support::{Patience, Receiver, Tapspan};

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
