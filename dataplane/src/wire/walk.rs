//! From the outermost IP packet inwards: one level an IP packet, until no tunnel leads further.

use super::{
    Anomaly, Beside, ByteCount, Fragment, Ip, Network, ParseOptions, Payload, Received, TunnelOptions, Upper,
    ethertype, link, tunnel,
};
use flowtable::{Direction, Endpoint, FirstPacket, FlowKey, Packet, protocol};
use tunnel::Inner;

/// Tunnels entered one in another; a packet nested deeper is a flow of the last header reached. An authentication header
/// counts as one, beside the tunnel it authenticates.
const MAX_TUNNELS: usize = 4;

/// What keeps equal 5-tuples apart, see [`FlowKey`].
#[derive(Clone, Copy)]
pub(super) struct Around {
    pub vlans: u32,
    pub tunnel: u64,
}

/// One IP packet on the way inwards.
pub(super) struct Level<'a> {
    pub ip: Ip,
    pub upper: Upper<'a>,
    pub around: Around,
    /// What was wrong here, or else further out.
    pub anomaly: Option<Anomaly>,
    /// Whether the packet goes on in another fragment, so that its lengths may run beyond what is here.
    continued: bool,
}

impl<'a> Level<'a> {
    /// The outermost IP packet.
    pub(super) fn outermost(ip: Ip, upper: Upper<'a>, around: Around) -> Level<'a> {
        Level { ip, upper, around, anomaly: ip.anomaly.or(upper.anomaly), continued: ip.part.is_some() }
    }

    /// The packet `inner` of a tunnel in this one, where there is one that can be read.
    fn inside(&self, inner: Inner<'a>, options: &ParseOptions, tunnel: u64) -> Option<Level<'a>> {
        let (ip, payload) = match inner {
            Inner::NextHeader(protocol, payload) => self.ip.behind(protocol, payload),
            Inner::Typed(ethertype, payload) if ethertype::is_type(ethertype) => {
                packet_of_type(ethertype, payload, options)?
            }
            Inner::Typed(..) | Inner::Sealed => return None,
            Inner::Frame(payload) => {
                let (header, rest) = link::ethernet::parse(payload.bytes).ok()?;
                packet_of_type(header.ethertype, payload.behind(rest), options)?
            }
            Inner::Ip(payload) => Ip::parse_inner(Network::of(payload.bytes)?, payload)?,
            Inner::Ppp(payload) => {
                let (header, rest) = link::ppp::parse(payload.bytes).ok()?;
                Ip::parse_inner(header.network, payload.behind(rest))?
            }
        };
        let upper = Upper::parse(&ip, payload);
        let here = ip.anomaly.filter(|&anomaly| !(self.continued && is_length(anomaly)));
        Some(Level {
            ip,
            upper,
            around: Around { tunnel, ..self.around },
            anomaly: self.anomaly.or(here).or(upper.anomaly),
            continued: self.continued || ip.part.is_some(),
        })
    }

    /// The flow of this packet itself and its way in it.
    #[inline]
    pub(super) fn flow(&self) -> (FlowKey, Direction) {
        flow(&self.ip, &self.upper, self.around)
    }
}

/// Whether there is nothing to be found in a packet or told beside it.
#[inline]
pub(super) fn is_plain(ip: &Ip, upper: &Upper<'_>, options: &TunnelOptions) -> bool {
    ip.part.is_none() && !has_quotes(ip.protocol) && !tunnel::is_possible(ip, upper, options)
}

/// What the table is told of a packet.
#[inline(always)]
pub(super) fn packet(
    ip: &Ip,
    upper: &Upper<'_>,
    around: Around,
    received: &Received,
    count: ByteCount,
) -> Packet {
    let (key, direction) = flow(ip, upper, around);
    Packet {
        key,
        direction,
        at: received.at,
        bytes: match count {
            ByteCount::Ip => ip.octets,
            ByteCount::Frame => received.octets,
        },
        role: upper.role,
        tcp: upper.tcp,
        first: FirstPacket {
            source_mac: received.source_mac,
            port: received.port,
            ttl: ip.ttl,
            traffic_class: ip.traffic_class,
            flow_label: ip.flow_label,
            icmp: upper.icmp,
        },
        tunnel: 0,
    }
}

/// The flow of a packet and its way in it.
#[inline]
pub(super) fn flow(ip: &Ip, upper: &Upper<'_>, around: Around) -> (FlowKey, Direction) {
    let source = Endpoint { address: ip.source, port: upper.source_port };
    let destination = Endpoint { address: ip.destination, port: upper.destination_port };
    let (mut key, direction) = FlowKey::canonical(ip.family, ip.protocol, source, destination);
    key.one_way = if upper.one_way { Some(direction) } else { None };
    key.vlans = around.vlans;
    key.tunnel = around.tunnel;
    (key, direction)
}

/// Follows tunnels from `level` to the innermost IP packet that can be read, and writes the outermost tunnel and the
/// innermost fragment met.
pub(super) fn innermost<'a>(mut level: Level<'a>, options: &ParseOptions, beside: &mut Beside) -> Level<'a> {
    beside.fragment = Fragment::of(&level);
    beside.tunnel = None;
    for _ in 0..MAX_TUNNELS {
        let Some(found) = tunnel::find(&level, &options.tunnels) else { break };
        let outermost = *beside.tunnel.get_or_insert_with(|| found.tunnel(&level));
        let word = if options.key_tunnel { outermost.key_word() } else { 0 };
        let Some(inner) = level.inside(found.inner, options, word) else { break };
        level = inner;
        beside.fragment = Fragment::of(&level).or(beside.fragment);
    }
    level
}

/// The IP packet an Ethernet type leads to.
fn packet_of_type<'a>(
    ethertype: u16,
    payload: Payload<'a>,
    options: &ParseOptions,
) -> Option<(Ip, Payload<'a>)> {
    let found = ethertype::walk(ethertype, payload.bytes, &options.tunnels).ok()?;
    Ip::parse_inner(found.network, payload.behind(found.rest))
}

/// Whether messages of `number` quote packets.
#[inline]
fn has_quotes(number: u8) -> bool {
    matches!(number, protocol::ICMP | protocol::ICMPV6)
}

fn is_length(anomaly: Anomaly) -> bool {
    matches!(anomaly, Anomaly::Ipv4BeyondFrame | Anomaly::Ipv6BeyondFrame)
}
