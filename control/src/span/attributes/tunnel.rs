//! Tunnel attributes: the outermost encapsulation of the flow's packets, its ends oriented as the flow's. All opt-in.

use flowtable::{Endpoint, Tunnel, protocol};

use super::{Attribute, Level, RecordView};
use crate::span::in_place::{self, Window};
use crate::span::names;

pub(super) static ATTRIBUTES: [Attribute; 12] = [
    text(
        "tunnel.type",
        "Kind of the tunnel: `vxlan`, `geneve`, `gre`, `erspan`, `ipip`, `gtp`, `wireguard`, `ah` or `esp`.",
        |view| Some(tunnel(view)?.kind.as_str()),
    ),
    short("tunnel.source.address", "Outer IP address on the side of the flow's source.", |view, window| {
        tunnel(view).map(|tunnel| address(tunnel, tunnel.source, window))
    }),
    long(
        "tunnel.source.port",
        "Outer port on the side of the flow's source, where the outer protocol has ports.",
        |view| tunnel(view).filter(|tunnel| has_ports(tunnel)).map(|tunnel| tunnel.source.port.into()),
    ),
    short(
        "tunnel.destination.address",
        "Outer IP address on the side of the flow's destination.",
        |view, window| tunnel(view).map(|tunnel| address(tunnel, tunnel.destination, window)),
    ),
    long(
        "tunnel.destination.port",
        "Outer port on the side of the flow's destination, where the outer protocol has ports.",
        |view| tunnel(view).filter(|tunnel| has_ports(tunnel)).map(|tunnel| tunnel.destination.port.into()),
    ),
    text(
        "tunnel.network.transport",
        "Protocol of the outer IP header, as in `network.transport`: `udp` for VXLAN, `gre` for GRE.",
        |view| Some(names::transport(tunnel(view)?.protocol)),
    ),
    text("tunnel.network.type", "IP version of the outer header: `ipv4` or `ipv6`.", |view| {
        Some(names::network_type(tunnel(view)?.family))
    }),
    short(
        "tunnel.id",
        "Identifier of the tunnel in decimal: VNI, NVGRE virtual subnet, ERSPAN session or TEID.",
        |view, window| tunnel(view)?.id.map(|id| decimal(id, window)),
    ),
    short("tunnel.key", "GRE key in decimal.", |view, window| {
        tunnel(view)?.key.map(|key| decimal(key, window))
    }),
    long("tunnel.sender_index", "Sender index of a WireGuard handshake.", |view| {
        tunnel(view)?.sender_index.map(i64::from)
    }),
    long("tunnel.receiver_index", "Receiver index of a WireGuard message.", |view| {
        tunnel(view)?.receiver_index.map(i64::from)
    }),
    short(
        "tunnel.spi",
        "Security parameters index of AH or ESP: `0x` and eight hexadecimal digits.",
        |view, window| {
            let spi = tunnel(view)?.spi?;
            let [a, b, c, d] = spi.to_be_bytes();
            // The octet in front leaves two digits, of which the second becomes the x.
            let len = in_place::hex(&[0, a, b, c, d], window);
            window[1] = b'x';
            Some(len)
        },
    ),
];

const fn text(
    key: &'static str,
    doc: &'static str,
    get: for<'a> fn(&RecordView<'a>) -> Option<&'a str>,
) -> Attribute {
    Attribute::text(key, Level::OptIn, doc, get)
}

const fn short(
    key: &'static str,
    doc: &'static str,
    get: fn(&RecordView<'_>, &mut Window) -> Option<usize>,
) -> Attribute {
    Attribute::short(key, Level::OptIn, doc, get)
}

const fn long(key: &'static str, doc: &'static str, get: fn(&RecordView<'_>) -> Option<i64>) -> Attribute {
    Attribute::long(key, Level::OptIn, doc, get)
}

#[inline]
fn tunnel<'a>(view: &RecordView<'a>) -> Option<&'a Tunnel> {
    view.record.tunnel.as_deref()
}

fn address(tunnel: &Tunnel, end: Endpoint, window: &mut Window) -> usize {
    in_place::address_of(tunnel.family, end.address, window)
}

fn has_ports(tunnel: &Tunnel) -> bool {
    matches!(tunnel.protocol, protocol::TCP | protocol::UDP | protocol::SCTP)
}

fn decimal(number: u32, window: &mut Window) -> usize {
    in_place::decimal(number.into(), window)
}
