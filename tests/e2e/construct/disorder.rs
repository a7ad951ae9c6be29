//! Connections of which packets are lost, doubled and overtaken: what must hold whatever the probe sees.

use std::collections::BTreeMap;

use super::build::flag::{ACK, FIN, PSH, RST, SYN};
use super::expected::{Expected, Is};
use super::talk::{MS, TCP, Talk, client, server};
use super::tape::Tape;

const CONNECTIONS: u16 = 3_000;

/// xorshift, so that each run is the same.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// A segment: whether the client sends it, flags, sequence, acknowledgment, octets of payload.
type Step = (bool, u8, u32, u32, usize);

const WHOLE: [Step; 12] = [
    (true, SYN, 100, 0, 0),
    (false, SYN | ACK, 500, 101, 0),
    (true, ACK, 101, 501, 0),
    (true, ACK | PSH, 101, 501, 10),
    (true, ACK | PSH, 111, 501, 10),
    (false, ACK | PSH, 501, 121, 20),
    (true, ACK, 121, 521, 0),
    (true, ACK | PSH, 121, 521, 10),
    (false, ACK | PSH, 521, 131, 20),
    (true, ACK | FIN, 131, 541, 0),
    (false, ACK | FIN, 541, 132, 0),
    (true, ACK, 132, 542, 0),
];

/// The steps of one connection, some of them lost, doubled, overtaken, or the last a RST.
fn seen(chance: &mut Chance) -> Vec<Step> {
    let mut steps = WHOLE.to_vec();
    for _ in 0..chance.below(5) {
        let at = chance.below(steps.len());
        match chance.below(4) {
            0 => drop(steps.remove(at)),
            1 => steps.insert(at, steps[at]),
            2 => {
                let to = chance.below(steps.len());
                let step = steps.remove(at);
                steps.insert(to, step);
            }
            _ => steps.insert(at, (chance.below(2) == 0, RST, steps[at].2, 0, 0)),
        }
    }
    steps
}

fn connection(port: u16, steps: &[Step]) -> Talk {
    let mut talk = Talk::new(client().on_port(port), server(), TCP);
    for (place, (by_client, flags, sequence, acknowledgment, payload)) in (0..).zip(steps) {
        let at = place * 10 * MS + u64::from(port);
        if *by_client {
            talk.up(at, *flags, *sequence, *acknowledgment, *payload);
        } else {
            talk.down(at, *flags, *sequence, *acknowledgment, *payload);
        }
    }
    talk
}

fn number(span: &Expected, key: &str) -> u64 {
    match span.attributes.get(key) {
        Some(Is::Number(number)) => *number,
        None => 0,
        other => panic!("{other:?}"),
    }
}

/// The port of the client, whichever side the span takes for the source.
fn port(span: &Expected) -> u16 {
    let ports = ["source.port", "destination.port"].map(|key| number(span, key));
    u16::try_from(ports[0] + ports[1] - 443).unwrap()
}

#[test]
fn whatever_is_lost_or_overtaken_no_time_is_longer_than_its_flow_and_all_packets_are_counted() {
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let flows: BTreeMap<u16, Vec<Step>> = (0..CONNECTIONS).map(|n| (20_000 + n, seen(&mut chance))).collect();
    let talks: Vec<_> = flows.iter().map(|(port, steps)| connection(*port, steps)).collect();
    let mut packets = BTreeMap::<u16, u64>::new();
    for span in Tape::of(&talks).replayed(&[]).seen() {
        let steps = &flows[&port(&span)];
        let context = format!("{steps:?}\n{span:#?}");
        let lasted = span.end - span.start;
        for what in ["handshake.snd", "handshake.cnd", "svc"] {
            let key = format!("flow.tcp.{what}.latency");
            assert!(number(&span, &key) <= lasted, "{key}: {context}");
        }
        // The mean of the exchanges, and the client's side of the network.
        assert!(number(&span, "flow.tcp.rndtrip.latency") <= 2 * lasted, "{context}");
        for what in ["handshake.snd", "handshake.cnd", "svc", "rndtrip"] {
            assert!(number(&span, &format!("flow.tcp.{what}.jitter")) <= lasted, "{what}: {context}");
        }
        let window = number(&span, "flow.packets.delta") + number(&span, "flow.reverse.packets.delta");
        for way in ["flow", "flow.reverse"] {
            let troubles = ["retransmissions", "out_of_order", "duplicate_acks"]
                .map(|count| number(&span, &format!("{way}.tcp.{count}")));
            let packets = number(&span, &format!("{way}.packets.delta"));
            assert!(troubles.iter().sum::<u64>() <= packets, "{way}: {context}");
        }
        assert!(span.events.iter().all(|(at, _)| (span.start..=span.end).contains(at)), "{context}");
        assert!(span.events.is_sorted_by_key(|(at, _)| *at), "{context}");
        *packets.entry(port(&span)).or_default() += window;
    }
    let sent = |steps: &Vec<Step>| u64::try_from(steps.len()).unwrap();
    let sent: BTreeMap<_, _> = flows.iter().map(|(port, steps)| (*port, sent(steps))).collect();
    assert_eq!(packets, sent);
}
