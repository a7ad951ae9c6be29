//! Tunnel attributes: the outermost encapsulation of the flow's packets, its ends oriented as the flow's. All opt-in.

use flowtable::{Endpoint, Tunnel, protocol};

use super::{Attribute, Level, RecordView, Text};
use crate::span::{ShortText, names};

pub(super) static ATTRIBUTES: [Attribute; 12] = [
    text(
        "tunnel.type",
        "Kind of the tunnel: `vxlan`, `geneve`, `gre`, `erspan`, `ipip`, `gtp`, `wireguard`, `ah` or `esp`.",
        |view| Some(Text::Borrowed(tunnel(view)?.kind.as_str())),
    ),
    text("tunnel.source.address", "Outer IP address on the side of the flow's source.", |view| {
        tunnel(view).map(|tunnel| address(tunnel, tunnel.source))
    }),
    long(
        "tunnel.source.port",
        "Outer port on the side of the flow's source, where the outer protocol has ports.",
        |view| tunnel(view).filter(|tunnel| has_ports(tunnel)).map(|tunnel| tunnel.source.port.into()),
    ),
    text("tunnel.destination.address", "Outer IP address on the side of the flow's destination.", |view| {
        tunnel(view).map(|tunnel| address(tunnel, tunnel.destination))
    }),
    long(
        "tunnel.destination.port",
        "Outer port on the side of the flow's destination, where the outer protocol has ports.",
        |view| tunnel(view).filter(|tunnel| has_ports(tunnel)).map(|tunnel| tunnel.destination.port.into()),
    ),
    text(
        "tunnel.network.transport",
        "Protocol of the outer IP header, as in `network.transport`: `udp` for VXLAN, `gre` for GRE.",
        |view| Some(Text::Borrowed(names::transport(tunnel(view)?.protocol))),
    ),
    text("tunnel.network.type", "IP version of the outer header: `ipv4` or `ipv6`.", |view| {
        Some(Text::Borrowed(names::network_type(tunnel(view)?.family)))
    }),
    text(
        "tunnel.id",
        "Identifier of the tunnel in decimal: VNI, NVGRE virtual subnet, ERSPAN session or TEID.",
        |view| tunnel(view)?.id.map(decimal),
    ),
    text("tunnel.key", "GRE key in decimal.", |view| tunnel(view)?.key.map(decimal)),
    long("tunnel.sender_index", "Sender index of a WireGuard handshake.", |view| {
        tunnel(view)?.sender_index.map(i64::from)
    }),
    long("tunnel.receiver_index", "Receiver index of a WireGuard message.", |view| {
        tunnel(view)?.receiver_index.map(i64::from)
    }),
    text(
        "tunnel.spi",
        "Security parameters index of AH or ESP: `0x` and eight hexadecimal digits.",
        |view| {
            let spi = ShortText::hex(&tunnel(view)?.spi?.to_be_bytes());
            Some(Text::Short(ShortText::ascii(&[b"0x", spi.as_bytes()])))
        },
    ),
];

const fn text(
    key: &'static str,
    doc: &'static str,
    get: for<'a> fn(&RecordView<'a>) -> Option<Text<'a>>,
) -> Attribute {
    Attribute::text(key, Level::OptIn, doc, get)
}

const fn long(key: &'static str, doc: &'static str, get: fn(&RecordView<'_>) -> Option<i64>) -> Attribute {
    Attribute::long(key, Level::OptIn, doc, get)
}

#[inline]
fn tunnel<'a>(view: &RecordView<'a>) -> Option<&'a Tunnel> {
    view.record.tunnel.as_deref()
}

fn address(tunnel: &Tunnel, end: Endpoint) -> Text<'static> {
    Text::Short(ShortText::address_of(tunnel.family, end.address))
}

fn has_ports(tunnel: &Tunnel) -> bool {
    matches!(tunnel.protocol, protocol::TCP | protocol::UDP | protocol::SCTP)
}

fn decimal(number: u32) -> Text<'static> {
    Text::Short(ShortText::decimal(number.into()))
}
