//! What a span must say: every attribute it has, and all else of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::build::{End, Ip};
use super::talk::{BASE, ICMP, ICMPV6, TCP, UDP};

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    Number(u64),
    Text(String),
    List(Vec<String>),
}

impl From<u64> for Is {
    fn from(number: u64) -> Is {
        Is::Number(number)
    }
}

impl From<&str> for Is {
    fn from(text: &str) -> Is {
        Is::Text(text.to_owned())
    }
}

impl From<String> for Is {
    fn from(text: String) -> Is {
        Is::Text(text)
    }
}

/// A span, as it must be or as it was read. Times are ns since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, Is>,
    pub(crate) events: Vec<(u64, String)>,
    pub(crate) dropped_events: u32,
    pub(crate) is_error: bool,
    /// Whether it links to the record before it.
    pub(crate) linked: bool,
}

/// The 5-tuple, source first.
#[derive(Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) source: End,
    pub(crate) destination: End,
    pub(crate) protocol: u8,
}

const FLAGS: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
const TCP_COUNTS: [&str; 4] = ["retransmissions", "out_of_order", "zero_windows", "duplicate_acks"];

fn transport(protocol: u8) -> &'static str {
    match protocol {
        ICMP => "icmp",
        TCP => "tcp",
        UDP => "udp",
        4 => "ipv4",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        ICMPV6 => "icmpv6",
        132 => "sctp",
        other => panic!("no test has {other}"),
    }
}

impl Expected {
    /// What a span says of a flow whose first packet has `header`, where nothing more is known.
    pub(crate) fn of(flow: Flow, header: &Ip) -> Expected {
        let Flow { source, destination, protocol } = flow;
        let family = if source.is_v4() { "ipv4" } else { "ipv6" };
        let span = Expected {
            name: format!("flow_{family}_{}", transport(protocol)),
            start: 0,
            end: 0,
            attributes: BTreeMap::new(),
            events: Vec::new(),
            dropped_events: 0,
            is_error: false,
            linked: false,
        };
        let span = span
            .set("flow.community_id", community_id(flow, false))
            .set("flow.initiator", "source")
            .set("flow.end_reason", "forced_end")
            .set("source.address", source.address.to_string())
            .set("source.port", u64::from(source.port))
            .set("destination.address", destination.address.to_string())
            .set("destination.port", u64::from(destination.port))
            .set("network.transport", transport(protocol))
            .set("network.type", family)
            .set("network.interface.name", "capture.pcap")
            .set("flow.ip.dscp.id", u64::from(header.class >> 2))
            .set("flow.ip.dscp.name", "cs0")
            .set("flow.ip.ecn.id", u64::from(header.class & 3))
            .set("flow.ip.ecn.name", "not-ect")
            .set("flow.ip.ttl", u64::from(header.ttl));
        let span =
            if source.is_v4() { span } else { span.set("flow.ip.flow_label", u64::from(header.label)) };
        if protocol == TCP { span.without_troubles() } else { span }
    }

    fn without_troubles(mut self) -> Expected {
        for count in TCP_COUNTS {
            self = self.set(&format!("flow.tcp.{count}"), 0).set(&format!("flow.reverse.tcp.{count}"), 0);
        }
        self
    }

    pub(crate) fn set(mut self, key: &str, value: impl Into<Is>) -> Expected {
        self.attributes.insert(key.to_owned(), value.into());
        self
    }

    /// The same without an attribute it would have.
    pub(crate) fn without(mut self, key: &str) -> Expected {
        assert!(self.attributes.remove(key).is_some(), "{key}");
        self
    }

    pub(crate) fn ends_by(self, reason: &str) -> Expected {
        self.set("flow.end_reason", reason)
    }

    pub(crate) fn flags(mut self, flags: u8) -> Expected {
        let tags = FLAGS.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
        let tags = tags.map(|(_, tag)| (*tag).to_owned()).collect();
        self.attributes.insert("flow.tcp.flags.tags".to_owned(), Is::List(tags));
        self.set("flow.tcp.flags.bits", u64::from(flags))
    }

    /// Latency and jitter of `what`, such as `handshake.snd`.
    pub(crate) fn time(self, what: &str, latency: u64, jitter: Option<u64>) -> Expected {
        let span = self.set(&format!("flow.tcp.{what}.latency"), latency);
        match jitter {
            Some(jitter) => span.set(&format!("flow.tcp.{what}.jitter"), jitter),
            None => span,
        }
    }

    /// Latencies of the handshake, without jitter.
    pub(crate) fn handshake(self, snd: u64, cnd: u64) -> Expected {
        self.time("handshake.snd", snd, None).time("handshake.cnd", cnd, None)
    }

    /// Events at times since [`BASE`].
    pub(crate) fn events(mut self, events: &[(u64, &str)]) -> Expected {
        self.events.extend(events.iter().map(|(at, name)| (BASE + at, (*name).to_owned())));
        self
    }

    pub(crate) fn error(mut self, kind: &str) -> Expected {
        self.is_error = true;
        self.set("error.type", kind)
    }

    /// For a message that nobody answers: the ends are hashed as they are.
    pub(crate) fn one_way(self, flow: Flow) -> Expected {
        self.set("flow.community_id", community_id(flow, true))
    }

    /// What is other in `seen`, a line each; empty where nothing is.
    pub(crate) fn differences(&self, seen: &Expected) -> Vec<String> {
        let mut lines = Vec::new();
        let mut compare = |what: &str, expected: String, seen: String| {
            if expected != seen {
                lines.push(format!("  {what}: expected {expected}, is {seen}"));
            }
        };
        compare("name", self.name.clone(), seen.name.clone());
        let since = |at: u64| format!("{} ns", i128::from(at) - i128::from(BASE));
        compare("start", since(self.start), since(seen.start));
        compare("end", since(self.end), since(seen.end));
        compare("is an error", self.is_error.to_string(), seen.is_error.to_string());
        compare("linked", self.linked.to_string(), seen.linked.to_string());
        compare("events dropped", self.dropped_events.to_string(), seen.dropped_events.to_string());
        let events = |span: &Expected| {
            let told = span.events.iter().map(|(at, name)| format!("{} {name}", since(*at)));
            told.collect::<Vec<_>>().join(", ")
        };
        compare("events", events(self), events(seen));
        let keys: std::collections::BTreeSet<_> =
            self.attributes.keys().chain(seen.attributes.keys()).collect();
        for key in keys {
            let of = |span: &Expected| {
                span.attributes.get(key).map_or_else(|| "absent".to_owned(), |is| format!("{is:?}"))
            };
            compare(key, of(self), of(seen));
        }
        lines
    }
}

/// The same flow told from its other end, as where the destination was heard first and nothing else tells who is who.
pub(crate) fn turned(mut span: Expected) -> Expected {
    let turn = |key: &str| {
        let pairs = [("source.", "destination."), ("flow.reverse.", "flow.")];
        for (one, other) in pairs {
            if let Some(rest) = key.strip_prefix(one) {
                return format!("{other}{rest}");
            }
            if let Some(rest) = key.strip_prefix(other).filter(|rest| is_of_a_way(other, rest)) {
                return format!("{one}{rest}");
            }
        }
        key.to_owned()
    };
    span.attributes =
        std::mem::take(&mut span.attributes).into_iter().map(|(key, is)| (turn(&key), is)).collect();
    span
}

/// Whether the attribute `prefix` + `rest` is there once for each way.
fn is_of_a_way(prefix: &str, rest: &str) -> bool {
    let counted = ["bytes.", "packets."].iter().any(|kind| rest.starts_with(kind));
    prefix != "flow." || counted || rest.strip_prefix("tcp.").is_some_and(|count| TCP_COUNTS.contains(&count))
}

/// Community ID v1 as its specification has it: the lower end first, but for a message without an answer.
fn community_id(flow: Flow, one_way: bool) -> String {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut ends = [flow.source, flow.destination].map(|end| (octets(end.address), end.port));
    if !one_way {
        ends.sort();
    }
    let [(first, first_port), (second, second_port)] = ends;
    let mut input = [&[0, 0], &first[..], &second, &[flow.protocol, 0]].concat();
    if matches!(flow.protocol, ICMP | TCP | UDP | ICMPV6 | 132) {
        input.extend([first_port, second_port].map(u16::to_be_bytes).concat());
    }
    format!("1:{}", STANDARD.encode(Sha1::digest(&input)))
}
