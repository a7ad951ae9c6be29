//! Packets and octets each way of every flow, summed from spans or counted by tshark, and the difference between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Capture, FlowSpan, some_of};

const PORTED: [u8; 3] = [6, 17, 132];
/// Stands for every protocol without ports but ICMP: tshark does not always say its number.
const OTHER: u8 = 255;

/// Protocol and both ends, the lower one first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair(u8, (IpAddr, u16), (IpAddr, u16));

/// Packets and octets from the lower end, packets and octets back.
type Amounts = [u64; 4];

/// What every flow amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    flows: BTreeMap<Pair, Amounts>,
    /// Whether flows are told apart by addresses and protocol alone.
    coarse: bool,
    /// Ends whose flows are not compared.
    excepted: Vec<IpAddr>,
}

impl Counts {
    /// What tshark counted in all of `captures` together.
    pub(crate) fn of_captures<'a>(captures: impl IntoIterator<Item = &'a Capture>) -> Counts {
        let mut counts = Counts::default();
        for capture in captures {
            counts.coarse |= ["fragments", "odd", "truncated"].iter().any(|what| capture.noted(what) > 0);
            let excepted = capture.excepted().filter(|address| !address.is_empty());
            counts.excepted.extend(excepted.map(|address| address.parse::<IpAddr>().expect("an address")));
            let flows = capture.expected["flows"].as_object().expect("counts are by flow");
            for (key, flow) in flows {
                let amount = |way: &str, place: usize| flow[way][place].as_u64().expect("a count");
                let [a, b] = ["a2b", "b2a"];
                let amounts = [amount(a, 0), amount(a, 1), amount(b, 0), amount(b, 1)];
                counts.add(tshark_key(key), amounts);
            }
        }
        if counts.coarse { counts.coarsely() } else { counts }
    }

    /// What spans say; like `other` as to ports.
    pub(crate) fn of_spans<'a>(spans: impl IntoIterator<Item = &'a FlowSpan>, other: &Counts) -> Counts {
        let mut counts = Counts { coarse: other.coarse, ..Counts::default() };
        for span in spans {
            let end = |side: &str| {
                let address: IpAddr = span.text(&format!("{side}.address")).parse().expect("an address");
                let port = u16::try_from(span.number(&format!("{side}.port"))).expect("a port");
                (address, port)
            };
            let [packets, back] = span.packets();
            let octets = span.number("flow.bytes.delta");
            let octets_back = span.number("flow.reverse.bytes.delta");
            let protocol = protocol(span.text("network.transport"));
            let key = (protocol, end("source"), end("destination"));
            counts.add(key, [packets, octets, back, octets_back]);
        }
        counts
    }

    pub(crate) fn flows(&self) -> usize {
        self.flows.len()
    }

    pub(crate) fn packets(&self) -> u64 {
        self.flows.values().map(|amounts| amounts[0] + amounts[2]).sum()
    }

    /// One line for each flow on which the two differ.
    pub(crate) fn differences(&self, spans: &Counts) -> Vec<String> {
        let keys: BTreeSet<_> = self.flows.keys().chain(spans.flows.keys()).collect();
        let excepted = |Pair(_, a, b): &Pair| [a.0, b.0].iter().any(|end| self.excepted.contains(end));
        keys.into_iter()
            .filter(|key| !excepted(key))
            .filter_map(|key| {
                let (expected, found) = (self.flows.get(key), spans.flows.get(key));
                (expected != found).then(|| format!("{key:?}: expected {expected:?}, spans say {found:?}"))
            })
            .collect()
    }

    /// The same, without flows that are in the spans alone.
    pub(crate) fn missing_in(&self, spans: &Counts) -> Vec<String> {
        let mut spans = spans.clone();
        spans.flows.retain(|key, _| self.flows.contains_key(key));
        self.differences(&spans)
    }

    fn add(&mut self, (protocol, a, b): (u8, (IpAddr, u16), (IpAddr, u16)), amounts: Amounts) {
        let ported = PORTED.contains(&protocol) && !self.coarse;
        let end = |(address, port)| if ported { (address, port) } else { (address, 0) };
        let folded = if PORTED.contains(&protocol) || [1, 58].contains(&protocol) { protocol } else { OTHER };
        let (a, b) = (end(a), end(b));
        let swapped = (number(a.0), a.1) > (number(b.0), b.1);
        let (key, [p, o, q, r]) =
            if swapped { (Pair(folded, b, a), rotated(amounts)) } else { (Pair(folded, a, b), amounts) };
        // To itself there is no first way.
        let amounts = if key.1 == key.2 { [p + q, o + r, 0, 0] } else { [p, o, q, r] };
        let sums = self.flows.entry(key).or_default();
        for (sum, amount) in sums.iter_mut().zip(amounts) {
            *sum += amount;
        }
    }

    fn coarsely(self) -> Counts {
        let mut counts = Counts { coarse: true, excepted: self.excepted, ..Counts::default() };
        for (Pair(protocol, a, b), amounts) in self.flows {
            counts.add((protocol, a, b), amounts);
        }
        counts
    }
}

/// What is other in the spans of `capture` than tshark counted.
pub(crate) fn spans_against_tshark(capture: &Capture, spans: &[FlowSpan]) -> Result<(), String> {
    let expected = Counts::of_captures([capture]);
    let differences = expected.differences(&Counts::of_spans(spans, &expected));
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("{}: {}", capture.name, some_of(&differences)))
}

fn rotated([p, o, q, r]: Amounts) -> Amounts {
    [q, r, p, o]
}

/// Addresses as numbers, as the counts sort them: an IPv4 address is below nearly every IPv6 one.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// `6|10.0.0.1|80|10.0.0.2|1024`; -1 is a protocol tshark did not name.
fn tshark_key(key: &str) -> (u8, (IpAddr, u16), (IpAddr, u16)) {
    let fields: Vec<&str> = key.split('|').collect();
    let [protocol, a, a_port, b, b_port] = fields[..] else { panic!("{key}") };
    let end =
        |address: &str, port: &str| (address.parse().expect("an address"), port.parse().expect("a port"));
    (protocol.parse().unwrap_or(OTHER), end(a, a_port), end(b, b_port))
}

fn protocol(transport: &str) -> u8 {
    match transport {
        "tcp" => 6,
        "udp" => 17,
        "sctp" => 132,
        "icmp" => 1,
        "icmpv6" => 58,
        other => other.parse().unwrap_or(OTHER),
    }
}
