//! A probe whose export goes over the very wire it watches: its own connection opens no flow, everything else on the wire
//! does, also between the same two machines.

use super::support::{Capture, Counts, FlowSpan, Receiver, Tapspan, Veth, captures, eventually};

const MTU: u16 = 1500;

/// What applications say on the wire beside the probe.
fn application() -> Capture {
    let named = |capture: &Capture| capture.name == "ipfixprobe/dns.pcap";
    captures().into_iter().find(named).expect("it is there")
}

/// Runs a probe in the namespace at the far end of a wire, with receiver and applications at the near one; gives all
/// spans, whether each was the export's own, and the books it closed with. `None` where no wire can be laid.
fn watched(flags: &[&str]) -> Option<(Vec<FlowSpan>, Vec<FlowSpan>, String)> {
    let wire = Veth::lay(1, MTU)?;
    let (near, far) = wire.connect();
    let receiver = Receiver::start_at(near);
    let (device, http) = (format!("net_af_packet0,iface={}", wire.far()), format!("{far}:0"));
    let export = format!("grpc://{}", receiver.address);
    let own = ["--http", &http, "--port", &device, "--export", &export];
    let probe = Tapspan::polling_in(wire.namespace(), own.iter().chain(flags));
    let endpoint = probe.endpoint();
    let application = application();
    wire.send_to_far(&[&application.path]);
    let expected = Counts::of_captures([&application]);
    let is_own = |span: &FlowSpan| {
        let ends = [("source.address", "source.port"), ("destination.address", "destination.port")];
        ends.iter().any(|(address, port)| {
            span.text(address) == near.to_string() && span.number(port) == u64::from(receiver.address.port())
        })
    };
    // Every flush is an export, and every export is on the wire.
    let mut exports = 0;
    eventually("spans of the applications, and exports", || {
        endpoint.ask("POST", "/api/v1/flush")?;
        let spans = receiver.spans();
        let missing = expected.missing_in(&Counts::of_spans(&spans, &expected));
        exports += 1;
        if missing.is_empty() && exports > 3 { Ok(()) } else { Err(missing.join("\n")) }
    });
    let books = probe.drain().stdout;
    // The control endpoint is on the same wire and between the same addresses.
    let spans = receiver.spans();
    let asked = |span: &FlowSpan| span.number("destination.port") == u64::from(endpoint.address.port());
    assert!(spans.iter().any(asked), "no flow of the control endpoint");
    let (own, others) = spans.into_iter().partition(is_own);
    Some((own, others, books))
}

/// Packets in the row of the probe's own export.
fn counted_as_own(books: &str) -> u64 {
    let row = books.lines().find_map(|line| line.trim().strip_prefix("own export"));
    row.map_or(0, |packets| packets.trim().replace(',', "").parse().expect("a number"))
}

#[test]
fn the_export_of_a_probe_that_sees_itself_is_no_flow_and_counted_as_its_own() {
    let Some((own, others, books)) = watched(&[]) else { return };
    assert!(own.is_empty(), "{own:#?}\n{books}");
    assert!(!others.is_empty());
    // At least a handshake, a request and its answer.
    assert!(counted_as_own(&books) > 5, "{books}");
}

#[test]
fn with_the_setting_the_export_is_a_flow_like_others() {
    let Some((own, others, books)) = watched(&["--set", "flow.own_traffic=true"]) else { return };
    let both_ways = |span: &FlowSpan| span.packets().iter().all(|packets| *packets > 0);
    assert!(own.iter().any(both_ways), "{own:#?}\n{books}");
    assert!(!others.is_empty());
    assert_eq!(counted_as_own(&books), 0, "{books}");
}
