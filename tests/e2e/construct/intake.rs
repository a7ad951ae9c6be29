//! What is looked at and what is exported: duplicates, filters, samples, and the rows of the ledger that say so.

use super::build::flag::ACK;
use super::build::{End, Ip, ethernet, frame, icmp, in_session, labelled, tagged, udp};
use super::expected::{Expected, Is};
use super::talk::{ICMP, MS, S, TCP, Talk, UDP, US, Way, client, server};
use super::tape::{Replayed, Tape};

const DEDUP: [&str; 2] = ["--set", "flow.dedup=500us,64"];

/// A datagram at `at`, as a router passes it on: in another VLAN, from another MAC address, with a lower TTL.
fn passed_on(at: u64) -> Talk {
    let mut talk = Talk::udp().wrapped(|packet, _| {
        let router = End { mac: 0x99, ..client() };
        tagged(&ethernet(router, server(), packet), 0x8100, 7)
    });
    talk.header.ttl = 63;
    talk.datagram(at, Way::Up, 100);
    talk
}

#[test]
fn a_packet_seen_twice_within_the_window_counts_once() {
    for (after, repeats) in [(0, 1), (US, 1), (500 * US, 1), (500 * US + 1, 0), (S, 0)] {
        let mut once = Talk::udp();
        once.datagram(0, Way::Up, 100);
        let again = passed_on(after);
        let replayed = Tape::of([&once, &again]).replayed(&DEDUP);
        let mut spans = vec![once.span("")];
        if repeats == 0 {
            spans.push(again.span("").set("network.interface.mac", "02:00:00:00:00:99"));
        }
        replayed.gives(spans);
        ledger(&replayed, 2, 2 - repeats, &[("ip duplicate", repeats)]);
    }
}

#[test]
fn the_window_for_duplicates_holds_as_many_packets_as_is_set() {
    for (between, repeats) in [(63, 1), (64, 0)] {
        let mut once = Talk::udp();
        once.datagram(0, Way::Up, 100);
        let mut others = Talk::udp();
        others.source.port = 50_000;
        // Each of another length, so that none is another's copy.
        (0..between).for_each(|n| others.datagram(US, Way::Up, n));
        let mut again = Talk::udp();
        again.datagram(2 * US, Way::Up, 100);
        let replayed = Tape::of([&once, &others, &again]).replayed(&DEDUP);
        let counted = u64::try_from(between).unwrap() + 2 - repeats;
        ledger(&replayed, counted + repeats, counted, &[("ip duplicate", repeats)]);
        let mut both = Talk::udp();
        both.datagram(0, Way::Up, 100);
        if repeats == 0 {
            both.datagram(2 * US, Way::Up, 100);
        }
        replayed.gives([both.span(""), others.span("")]);
    }
}

#[test]
fn what_differs_in_one_octet_or_way_is_no_duplicate() {
    let mut talk = Talk::udp();
    talk.datagram(0, Way::Up, 100);
    talk.datagram(US, Way::Up, 101);
    talk.datagram(2 * US, Way::Down, 100);
    talk.header.class = 4;
    talk.datagram(3 * US, Way::Up, 100);
    talk.header.id = 9;
    talk.datagram(4 * US, Way::Up, 100);
    let replayed = Tape::of([&talk]).replayed(&DEDUP);
    talk.header.class = 0;
    replayed.gives([talk.span("")]);
    ledger(&replayed, 5, 5, &[("ip duplicate", 0)]);
}

#[test]
fn without_the_setting_every_packet_counts() {
    let mut talk = Talk::udp();
    (0..10).for_each(|n| talk.datagram(n * US, Way::Up, 100));
    let replayed = Tape::of([&talk]).replayed(&[]);
    replayed.gives([talk.span("")]);
    ledger(&replayed, 10, 10, &[("ip duplicate", 0)]);
}

/// Panics unless `packets` were received, `in_flows` of them counted, and the others under `rows`.
fn ledger(replayed: &Replayed, packets: u64, in_flows: u64, rows: &[(&str, u64)]) {
    let printed = ["packets received", "in flows", "not in flows"].map(|row| replayed.row(row));
    assert_eq!(printed, [packets, in_flows, packets - in_flows], "{}", replayed.finished.stdout);
    for (row, expected) in rows {
        assert_eq!(replayed.row(row), *expected, "{row}: {}", replayed.finished.stdout);
    }
}

/// A flow of UDP to each of three ports, and one of TCP; each a packet there and a packet back.
fn several() -> [Talk; 4] {
    let udp = [53, 123, 5_060].map(|port| {
        let mut talk = Talk::new(client(), server().on_port(port), UDP);
        talk.datagram(u64::from(port) * MS, Way::Up, 100);
        talk.datagram(u64::from(port) * MS + US, Way::Down, 200);
        talk
    });
    let mut tcp = Talk::tcp();
    tcp.up(0, ACK, 100, 500, 10);
    tcp.down(S, ACK, 500, 110, 20);
    let [a, b, c] = udp;
    [a, b, c, tcp]
}

fn spans_of_several() -> (Tape, [Expected; 4]) {
    let talks = several();
    let [a, b, c, tcp] = &talks;
    let spans = [a.span(""), b.span(""), c.span(""), tcp.span("established").time("svc", S, None)];
    (Tape::of(&talks), spans)
}

#[test]
fn a_capture_filter_leaves_packets_out() {
    let cases: [(&str, &[usize]); 5] = [
        ("", &[0, 1, 2, 3]),
        ("udp", &[0, 1, 2]),
        ("udp port 53 or tcp port 443", &[0, 3]),
        ("host 10.1.0.10 and not udp", &[3]),
        ("host 10.1.0.11", &[]),
    ];
    for (filter, kept) in cases {
        let (tape, spans) = spans_of_several();
        let filter = format!("filter.capture={filter}");
        let replayed = tape.replayed(&["--set", &filter]);
        let kept_packets = 2 * u64::try_from(kept.len()).unwrap();
        replayed.gives(kept.iter().map(|place| spans[*place].clone()));
        ledger(&replayed, 8, kept_packets, &[("filter capture", 8 - kept_packets)]);
    }
}

#[test]
fn a_capture_filter_that_looks_at_one_way_leaves_the_other_out() {
    let mut talk = Talk::udp();
    talk.datagram(0, Way::Up, 100);
    let one_way = talk.span("");
    talk.datagram(MS, Way::Down, 200);
    let replayed = Tape::of([&talk]).replayed(&["--set", "filter.capture=dst port 53"]);
    replayed.gives([one_way]);
    ledger(&replayed, 2, 1, &[("filter capture", 1)]);
}

#[test]
fn a_record_filter_leaves_records_out_that_are_counted_all_the_same() {
    let cases: [(&[&str], &[usize]); 9] = [
        (&["ports=53"], &[0]),
        (&["ports=53,443"], &[0, 3]),
        (&["exclude_ports=123"], &[0, 2, 3]),
        (&["transports=tcp"], &[3]),
        (&["transports=17", "ports=5060"], &[2]),
        (&["addresses=10.2.0.0/16"], &[0, 1, 2, 3]),
        (&["exclude_addresses=10.1.0.10"], &[]),
        (&["min_packets=3"], &[]),
        // 20 + 8 + 100 and 20 + 8 + 200 octets of UDP; TCP has less.
        (&["min_bytes=356"], &[0, 1, 2]),
    ];
    for (settings, kept) in cases {
        let (tape, spans) = spans_of_several();
        let settings: Vec<_> = settings.iter().map(|setting| format!("filter.record.{setting}")).collect();
        let flags: Vec<_> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let replayed = tape.replayed(&flags);
        replayed.gives(kept.iter().map(|place| spans[*place].clone()));
        ledger(&replayed, 8, 8, &[]);
        let kept = u64::try_from(kept.len()).unwrap();
        let rows = ["records cut", "filtered", "delivered"].map(|row| replayed.row(row));
        assert_eq!(rows, [4, 4 - kept, kept], "{settings:?}");
    }
}

#[test]
fn records_can_be_chosen_by_why_they_were_cut() {
    let mut idle = Talk::udp();
    idle.datagram(0, Way::Up, 100);
    let mut live = Talk::udp();
    live.source.port = 50_000;
    live.datagram(39 * S, Way::Up, 100);
    for (reason, told) in [("idle_timeout", &idle), ("forced_end", &live)] {
        let setting = format!("filter.record.end_reasons={reason}");
        let replayed = Tape::of([&idle, &live]).replayed(&["--set", &setting]);
        replayed.gives([told.span("").ends_by(reason)]);
        assert_eq!((replayed.row("records cut"), replayed.row("filtered")), (2, 1));
    }
}

/// Flows that differ in their ports alone.
fn many() -> Vec<Talk> {
    let flow = |n: u16| {
        let mut talk = Talk::new(client().on_port(20_000 + n), server().on_port(53), UDP);
        talk.datagram(u64::from(n) * US, Way::Up, 100);
        talk
    };
    (0..600).map(flow).collect()
}

/// The source ports of the flows in the sample of one in `rate`.
fn sampled(talks: &[Talk], rate: u64, seed: &str) -> Vec<u64> {
    let (sample, seed) = (format!("filter.sample={rate}"), format!("flow.seed={seed}"));
    let replayed = Tape::of(talks).replayed(&["--set", &sample, "--set", &seed]);
    let mut ports = Vec::new();
    for span in replayed.seen() {
        let Is::Number(port) = span.attributes["source.port"] else { panic!("{span:?}") };
        let talk = &talks[usize::try_from(port).unwrap() - 20_000];
        let expected = talk.span("").set("flow.sampling.rate", rate);
        assert!(expected.differences(&span).is_empty(), "{:#?}", expected.differences(&span));
        ports.push(port);
    }
    let (all, chosen) = (u64::try_from(talks.len()).unwrap(), u64::try_from(ports.len()).unwrap());
    let rows = ["records cut", "sampled out", "delivered"].map(|row| replayed.row(row));
    assert_eq!(rows, [all, all - chosen, chosen]);
    ledger(&replayed, all, all, &[]);
    ports.sort_unstable();
    ports
}

#[test]
fn a_sample_has_the_same_flows_whatever_the_seed_and_those_of_a_smaller_one() {
    let talks = many();
    let third = sampled(&talks, 3, "0");
    assert_eq!(third, sampled(&talks, 3, "12345"));
    let ninth = sampled(&talks, 9, "7");
    assert!(ninth.iter().all(|port| third.contains(port)));
    // 600 / 3 and 600 / 9, within five standard deviations.
    assert!((142..=258).contains(&third.len()), "{}", third.len());
    assert!((28..=106).contains(&ninth.len()), "{}", ninth.len());
}

/// A frame and the row it is counted in.
fn in_no_flow() -> Vec<(&'static str, Vec<u8>)> {
    let packet = Ip::new(client(), server(), UDP).packet(&udp(1, 2, &[0; 30]));
    let with = |at: usize, octet: u8| {
        let mut packet = packet.clone();
        packet[at] = octet;
        frame(client(), server(), 0x0800, &packet)
    };
    let typed = |ethertype, payload: &[u8]| frame(client(), server(), ethertype, payload);
    vec![
        ("ethernet arp", typed(0x0806, &[0; 28])),
        ("ethernet other_ethertype", typed(0x88cc, &[0; 50])),
        ("ethernet truncated", vec![2; 13]),
        ("ethernet llc", typed(38, &[[0x42, 0x42, 3].as_slice(), &[0; 35]].concat())),
        ("vlan truncated", typed(0x8100, &[0])),
        ("mpls truncated", typed(0x8847, &[0, 1, 0])),
        ("pppoe discovery", typed(0x8863, &[0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0])),
        ("ipv4 truncated", typed(0x0800, &packet[..19])),
        ("ipv4 bad_version", with(0, 0x55)),
        ("ipv4 bad_header_length", with(0, 0x44)),
        ("ipv4 bad_total_length", with(3, 19)),
        ("ipv6 truncated", typed(0x86dd, &[0x60; 39])),
        ("ipv6 bad_version", typed(0x86dd, &packet)),
    ]
}

#[test]
fn a_frame_that_is_in_no_flow_is_in_exactly_one_row() {
    let frames = in_no_flow();
    let mut talk = Talk::udp();
    talk.datagram(0, Way::Up, 10);
    for (row, frame) in &frames {
        let alone = Tape::of([&talk]).and_frame(MS, frame).replayed(&[]);
        alone.gives([talk.span("")]);
        ledger(&alone, 2, 1, &[(row, 1)]);
    }
    let all = frames.iter().fold(Tape::of([&talk]), |tape, (_, frame)| tape.and_frame(MS, frame));
    let rows: Vec<_> = frames.iter().map(|(row, _)| (*row, 1)).collect();
    let many = u64::try_from(frames.len()).unwrap();
    ledger(&all.replayed(&[]), many + 1, 1, &rows);
}

#[test]
fn what_is_switched_off_below_ip_is_in_a_row_of_its_own() {
    let packet = Ip::new(client(), server(), UDP).packet(&udp(1, 2, &[0; 30]));
    let plain = ethernet(client(), server(), &packet);
    let cases = [("mpls", labelled(&plain, &[16])), ("pppoe", in_session(&plain, 7))];
    for (below, frame) in cases {
        let off = format!("tunnel.off={below}");
        let replayed = Tape::default().and_frame(0, &frame).replayed(&["--set", &off]);
        replayed.gives([]);
        ledger(&replayed, 1, 0, &[(&format!("{below} not_decapsulated"), 1)]);
    }
}

#[test]
fn what_is_wrong_behind_ip_is_noted_beside_the_flow() {
    let ports_only = [0x9c, 0x40, 0, 53];
    // The protocol, what is behind IP, the row, and whether the ports can be read.
    let cases: [(u8, Vec<u8>, &str, bool); 5] = [
        (UDP, ports_only.to_vec(), "odd: udp truncated", true),
        (UDP, [&ports_only[..], &[0, 99, 0, 0]].concat(), "odd: udp bad_length", true),
        (UDP, vec![1, 2, 3], "odd: udp truncated", false),
        (TCP, [&ports_only[..], &[0; 9]].concat(), "odd: tcp truncated", true),
        (ICMP, icmp(8, 0, &[])[..3].to_vec(), "odd: icmp truncated", false),
    ];
    for (protocol, upper, row, has_ports) in cases {
        let (from, to) = if has_ports { (40_000, 53) } else { (0, 0) };
        let mut talk = Talk::new(client().on_port(from), server().on_port(to), protocol);
        talk.send(0, Way::Up, &upper);
        let replayed = Tape::of([&talk]).replayed(&[]);
        replayed.gives([talk.span("established")]);
        ledger(&replayed, 1, 1, &[(row, 1)]);
    }
}
