//! A conversation as it is sent, which keeps its own account of what went either way.
//!
//! Times are ns since [`BASE`]. What a record must say of packets, octets, flags and times is summed up from the account.

use std::ops::Range;

use super::build::{End, Ip, Segment, echo, ethernet, flag, udp};
use super::expected::{Expected, Flow};

pub(crate) const US: u64 = 1_000;
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const S: u64 = 1_000_000_000;
/// The time 0 of all tests, in ns since 1970.
pub(crate) const BASE: u64 = 1_700_000_000 * S;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;

/// Whose packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Source to destination.
    Up,
    /// Back.
    Down,
}

impl Way {
    pub(crate) fn turned(self) -> Way {
        if self == Way::Up { Way::Down } else { Way::Up }
    }
}

/// A packet as it was sent.
struct Sent {
    at: u64,
    way: Way,
    octets: u64,
    flags: u8,
    frame: Vec<u8>,
}

/// What becomes of an IP packet on its way.
type Wrap = Box<dyn Fn(&[u8], Way) -> Vec<u8>>;

/// A conversation between two ends.
pub(crate) struct Talk {
    pub(crate) source: End,
    pub(crate) destination: End,
    protocol: u8,
    /// What all IP headers have in common.
    pub(crate) header: Ip,
    /// The window all segments announce from now on.
    pub(crate) window: u16,
    wrap: Wrap,
    sent: Vec<Sent>,
}

pub(crate) fn client() -> End {
    End::new("10.1.0.10", 40_000, 0x0a)
}

pub(crate) fn server() -> End {
    End::new("10.2.0.20", 443, 0x0b)
}

pub(crate) fn client_v6() -> End {
    End::new("2001:db8:1::10", 40_000, 0x0a)
}

pub(crate) fn server_v6() -> End {
    End::new("2001:db8:2::20", 443, 0x0b)
}

impl Talk {
    pub(crate) fn new(source: End, destination: End, protocol: u8) -> Talk {
        Talk {
            source,
            destination,
            protocol,
            header: Ip::new(source, destination, protocol),
            window: 1_000,
            wrap: Box::new(move |packet, way| match way {
                Way::Up => ethernet(source, destination, packet),
                Way::Down => ethernet(destination, source, packet),
            }),
            sent: Vec::new(),
        }
    }

    pub(crate) fn tcp() -> Talk {
        Talk::new(client(), server(), TCP)
    }

    /// Both orders of the addresses, which the program keeps sorted.
    pub(crate) fn tcp_both_orders() -> [Talk; 2] {
        let (low, high) = (client(), server());
        [Talk::tcp(), Talk::new(End { port: 40_000, ..high }, End { port: 443, ..low }, TCP)]
    }

    pub(crate) fn udp() -> Talk {
        Talk::new(client(), server().on_port(53), UDP)
    }

    /// The same, with each IP packet made a frame by `wrap`.
    pub(crate) fn wrapped(self, wrap: impl Fn(&[u8], Way) -> Vec<u8> + 'static) -> Talk {
        Talk { wrap: Box::new(wrap), ..self }
    }

    fn ends(&self, way: Way) -> (End, End) {
        match way {
            Way::Up => (self.source, self.destination),
            Way::Down => (self.destination, self.source),
        }
    }

    /// The IP header of a packet.
    pub(crate) fn ip(&self, way: Way) -> Ip {
        let (from, to) = self.ends(way);
        Ip { source: from.address, destination: to.address, ..self.header }
    }

    /// Sends an IP packet as it is.
    pub(crate) fn packet(&mut self, at: u64, way: Way, packet: &[u8], flags: u8) {
        let octets = u64::try_from(packet.len()).expect("it is short");
        let frame = (self.wrap)(packet, way);
        self.sent.push(Sent { at: BASE + at, way, octets, flags, frame });
    }

    /// Sends `packet` from the source in the place of all that was sent before.
    pub(crate) fn sends_only(mut self, at: u64, packet: &[u8]) -> Talk {
        self.sent.clear();
        self.packet(at, Way::Up, packet, 0);
        self
    }

    /// Sends what goes behind the IP header.
    pub(crate) fn send(&mut self, at: u64, way: Way, upper: &[u8]) {
        let packet = self.ip(way).packet(upper);
        self.packet(at, way, &packet, 0);
    }

    pub(crate) fn segment(&mut self, at: u64, way: Way, segment: Segment) {
        let (from, to) = self.ends(way);
        let packet = self.ip(way).packet(&segment.octets(from.port, to.port));
        self.packet(at, way, &packet, segment.flags);
    }

    /// Source to destination: flags, sequence, acknowledgment, octets of payload.
    pub(crate) fn up(&mut self, at: u64, flags: u8, sequence: u32, acknowledgment: u32, payload: usize) {
        let window = self.window;
        self.segment(at, Way::Up, Segment { flags, sequence, acknowledgment, payload, window });
    }

    /// Destination to source.
    pub(crate) fn down(&mut self, at: u64, flags: u8, sequence: u32, acknowledgment: u32, payload: usize) {
        let window = self.window;
        self.segment(at, Way::Down, Segment { flags, sequence, acknowledgment, payload, window });
    }

    /// SYN at 0, SYN/ACK at 30, ACK at 40 ms; both sides begin at 100 and 500.
    pub(crate) fn handshake(&mut self) {
        self.up(0, flag::SYN, 100, 0, 0);
        self.down(30 * MS, flag::SYN | flag::ACK, 500, 101, 0);
        self.up(40 * MS, flag::ACK, 101, 501, 0);
    }

    pub(crate) fn datagram(&mut self, at: u64, way: Way, payload: usize) {
        let (from, to) = self.ends(way);
        self.send(at, way, &udp(from.port, to.port, &vec![b'd'; payload]));
    }

    pub(crate) fn echo(&mut self, at: u64, way: Way, kind: u8, octets: usize) {
        self.send(at, way, &echo(kind, octets));
    }

    pub(crate) fn frames(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.sent.iter().map(|sent| (sent.at, sent.frame.as_slice()))
    }

    /// The IP packet sent as the `place`-th, where it went over plain Ethernet.
    pub(crate) fn ip_packet(&self, place: usize) -> &[u8] {
        &self.sent[place].frame[14..]
    }

    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    /// The span of the whole conversation as one record, cut at the end of the capture. The state is that of a TCP flow.
    pub(crate) fn span(&self, state: &'static str) -> Expected {
        self.record(0..self.sent.len(), state)
    }

    /// The span of the record that has the packets `range` in its window.
    pub(crate) fn record(&self, range: Range<usize>, state: &'static str) -> Expected {
        let latest = |packets: &[Sent]| packets.iter().map(|sent| sent.at).max();
        let flow = Flow { source: self.source, destination: self.destination, protocol: self.protocol };
        let mut span = Expected::of(flow, &self.header);
        span.start = latest(&self.sent[..range.start]).unwrap_or(self.sent[0].at);
        span.end = latest(&self.sent[..range.end]).expect("a record has packets");
        span.linked = range.start > 0;
        for (way, prefix) in [(Way::Up, "flow"), (Way::Down, "flow.reverse")] {
            let both = [("delta", range.clone()), ("total", 0..range.end)];
            for (suffix, packets) in both {
                let of_way = || self.sent[packets.clone()].iter().filter(|sent| sent.way == way);
                let count = u64::try_from(of_way().count()).expect("there are few");
                span = span.set(&format!("{prefix}.packets.{suffix}"), count);
                span = span
                    .set(&format!("{prefix}.bytes.{suffix}"), of_way().map(|sent| sent.octets).sum::<u64>());
            }
        }
        let first = self.ends(self.sent[0].way).0;
        span = span.set("network.interface.mac", first.mac_text());
        if self.protocol == TCP {
            let flags = self.sent[range].iter().fold(0, |flags, sent| flags | sent.flags);
            span = span.set("flow.connection.state", state).flags(flags);
        }
        span
    }
}
