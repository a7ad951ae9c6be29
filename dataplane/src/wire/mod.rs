//! Bytes of a frame to a [`Packet`]: link layer, VLAN tags, IP, tunnels in it, transport.
//!
//! One file a protocol, all of one shape: the header's length, a struct of its fields, and `parse`, which checks once
//! and gives the fields and the bytes that follow. Knows no table and no source. Never allocates, never panics, never
//! reads a clock; every loop is bounded by a named constant.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod ethertype;
mod fast;
mod fragment;
mod icmp;
mod icmpv6;
mod ip;
mod ipv4;
mod ipv6;
pub mod link;
mod llc;
mod payload;
mod pbb;
mod quote;
mod sctp;
mod tcp;
mod tunnel;
mod udp;
mod upper;
mod vlan;
mod walk;

use flowtable::{Burst, Nanos, Packet, PortId, Quote, Tunnel};

use ip::{Ip, Network};
use payload::Payload;
use upper::Upper;
use walk::{Around, Level};

pub use crate::reason::{Anomaly, Reason};
pub use fragment::Fragment;
pub use link::LinkType;
pub use tunnel::{PortList, TunnelOptions};

/// Which octets a flow counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteCount {
    /// IP octets: IPv4 total length, IPv6 payload length + 40. Padding does not count.
    #[default]
    Ip,
    /// The whole frame as it was on the wire.
    Frame,
}

/// What the operator decides about parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// Whether VLAN ids keep flows apart.
    pub key_vlan: bool,
    /// Whether the id of the outermost tunnel keeps flows apart.
    pub key_tunnel: bool,
    /// Which octets a flow counts.
    pub count: ByteCount,
    /// Which encapsulations are entered.
    pub tunnels: TunnelOptions,
}

impl Default for ParseOptions {
    fn default() -> ParseOptions {
        ParseOptions {
            key_vlan: true,
            key_tunnel: true,
            count: ByteCount::Ip,
            tunnels: TunnelOptions::default(),
        }
    }
}

/// A packet that belongs to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What the table is told.
    pub packet: Packet,
    /// What was wrong behind the IP header, where something was.
    pub anomaly: Option<Anomaly>,
    /// Whether there is more to know, in the [`Beside`] handed to [`parse`].
    pub beside: bool,
}

/// What only some packets have. After any other packet it is what an earlier one left, see [`Parsed::beside`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// The outermost encapsulation.
    pub tunnel: Option<Tunnel>,
    /// The innermost fragment on the way to the packet.
    pub fragment: Option<Fragment>,
    /// What an ICMP error says of another flow.
    pub quote: Option<Quote>,
}

/// Adds to `burst` the packet of a frame in which there is nothing but what most frames have; `false` of all others, of which
/// [`parse`] has to say what they are, and where there is no room without growing. Where both give a packet, it is the same.
/// `wire_len` is never less than the octets of `frame`.
#[inline(always)]
pub fn push_plain(
    link: LinkType,
    frame: &[u8],
    wire_len: u32,
    at: Nanos,
    port: PortId,
    options: &ParseOptions,
    burst: &mut Burst,
) -> bool {
    link == LinkType::Ethernet && fast::push(frame, wire_len, at, port, options, burst)
}

/// Parses one frame of any link layer, protocol and kind of damage. The flow is that of the innermost IP packet that can be
/// read.
///
/// `frame` are the octets captured, `wire_len` how many there were on the wire; a frame cut short by the capture counts
/// with the length its IP header gives. Where the transport header is cut short, the ports are still taken if they can
/// be read; where they cannot, and for later fragments and protocols without ports, the packet is of the port-0 flow of
/// its protocol.
///
/// A [`Parsed`] is 144 octets: look at it where it lies (`Ok(ref parsed)`), for a move costs half as much as
/// the parsing.
///
/// # Errors
/// The [`Reason`] the packet is in no flow.
#[inline(never)]
pub fn parse(
    link: LinkType,
    frame: &[u8],
    wire_len: u32,
    at: Nanos,
    port: PortId,
    options: &ParseOptions,
    beside: &mut Beside,
) -> Result<Parsed, Reason> {
    let framed = link::parse(link, frame, &options.tunnels)?;
    let wire_len = wire_len.max(octets(frame));
    let whole = Payload { bytes: frame, octets: wire_len };
    let (ip, payload) = Ip::parse(framed.network, whole.behind(framed.rest))?;
    let upper = Upper::parse(&ip, payload);
    let around = Around { vlans: if options.key_vlan { framed.vlans } else { 0 }, tunnel: 0 };
    let received = Received { at, port, source_mac: framed.source_mac, octets: wire_len };
    if walk::is_plain(&ip, &upper, &options.tunnels) {
        let packet = walk::packet(&ip, &upper, around, &received, options.count);
        return Ok(Parsed { packet, anomaly: ip.anomaly.or(upper.anomaly), beside: false });
    }
    Ok(parse_further(Level::outermost(ip, upper, around), &received, options, beside))
}

/// The rest of [`parse`] for a packet in which there may be another one, or which is a fragment.
///
/// Out of line, so that a plain packet is never gathered into a [`Level`]: copying one costs a quarter of the parsing.
#[inline(never)]
fn parse_further(
    outermost: Level<'_>,
    received: &Received,
    options: &ParseOptions,
    beside: &mut Beside,
) -> Parsed {
    let level = walk::innermost(outermost, options, beside);
    beside.quote = quote::parse(&level, received.at);
    Parsed {
        packet: walk::packet(&level.ip, &level.upper, level.around, received, options.count),
        anomaly: level.anomaly,
        beside: beside.tunnel.is_some() || beside.fragment.is_some() || beside.quote.is_some(),
    }
}

/// What is told of a packet whichever of its headers makes the flow.
struct Received {
    at: Nanos,
    port: PortId,
    source_mac: Option<[u8; 6]>,
    /// Of the whole frame on the wire.
    octets: u32,
}

/// The length of `bytes` as the width lengths have on the wire.
#[inline]
fn octets(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The first `length` octets of `bytes`, or all of them where there are fewer.
#[inline]
fn up_to(bytes: &[u8], length: u32) -> &[u8] {
    usize::try_from(length).ok().and_then(|length| bytes.get(..length)).unwrap_or(bytes)
}

/// The outermost IP packet of a frame, from its header to the end of what was captured; `None` where there is none to be found.
pub(crate) fn ip_of<'a>(link: LinkType, frame: &'a [u8], tunnels: &TunnelOptions) -> Option<&'a [u8]> {
    link::parse(link, frame, tunnels).ok().map(|framed| framed.rest)
}
