//! The two wires of a TAP: a conversation whose directions come in on different ports is one record.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::support::{Counts, FlowSpan, Pcap, Receiver, Tapspan, Veth, by_direction, captures, folder};

/// Conversations with packets both ways, each tuple used once.
const CAPTURES: [&str; 4] =
    ["ipfixprobe/dns.pcap", "ipfixprobe/ntp.pcap", "ipfixprobe/rtsp.pcap", "arkime/diameter_synthetic.pcap"];

struct Split {
    expected: Counts,
    packets: u64,
    there: PathBuf,
    back: PathBuf,
}

fn split(name: &str, folder: &std::path::Path) -> Split {
    let capture = captures().into_iter().find(|capture| capture.name == name).expect("it is there");
    let pcap = Pcap::read(&capture.path).expect("an Ethernet capture");
    let (there, back) = by_direction(&pcap);
    assert!(!there.packets.is_empty() && !back.packets.is_empty(), "{name} goes both ways");
    let split = Split {
        expected: Counts::of_captures([&capture]),
        packets: capture.noted("packets"),
        there: folder.join("there.pcap"),
        back: folder.join("back.pcap"),
    };
    there.write(&split.there);
    back.write(&split.back);
    split
}

/// Panics unless every conversation is one span with what went both ways.
fn one_record_each(name: &str, expected: &Counts, spans: &[FlowSpan]) {
    let mut ids = BTreeMap::<&str, usize>::new();
    spans.iter().for_each(|span| *ids.entry(span.text("flow.community_id")).or_default() += 1);
    let twice: Vec<_> = ids.iter().filter(|(_, spans)| **spans > 1).collect();
    assert!(twice.is_empty(), "{name}: more than one span for {twice:?}");
    assert_eq!(spans.len(), expected.flows(), "{name}");
    assert!(spans.iter().any(|span| span.packets().iter().all(|packets| *packets > 0)), "{name}");
}

#[test]
fn directions_on_two_ports_are_one_record() {
    for name in CAPTURES {
        let folder = folder();
        let split = split(name, folder.path());
        let receiver = Receiver::start();
        let there = format!("net_pcap0,rx_pcap={},name=east", split.there.display());
        let back = format!("net_pcap1,rx_pcap={},name=west", split.back.display());
        let export = format!("grpc://{}", receiver.address);
        let probe = Tapspan::polling(["--port", &there, "--port", &back, "--export", &export]);
        let ledger = probe.endpoint().ledger_with(split.packets);
        assert_eq!(ledger["rx_packets"], split.packets, "{ledger:#}");
        probe.drain();
        one_record_each(name, &split.expected, &receiver.spans_of(&split.expected));
    }
}

#[test]
fn directions_on_two_wires_with_two_queues_each_are_one_record() {
    let (Some(east), Some(west)) = (Veth::lay(1, 3400), Veth::lay(1, 3400)) else { return };
    for name in CAPTURES {
        let folder = folder();
        let split = split(name, folder.path());
        let receiver = Receiver::start();
        let port = |number: u8, veth: &Veth| format!("net_af_packet{number},iface={},qpairs=2", veth.probe);
        let (there, back) = (port(0, &east), port(1, &west));
        let export = format!("grpc://{}", receiver.address);
        let flags = ["--port", &there, "--port", &back, "--lcores", "0,1", "--export", &export];
        let probe = Tapspan::polling(flags);
        let sent = east.send(&[&split.there]) + west.send(&[&split.back]);
        assert_eq!(sent, split.packets);
        let ledger = probe.endpoint().ledger_with(sent);
        assert_eq!(ledger["rx_packets"], sent, "other than was sent: {ledger:#}");
        probe.drain();
        one_record_each(name, &split.expected, &receiver.spans_of(&split.expected));
    }
}
