//! Attributes of layers 2 to 4: the endpoints, and the header fields of the flow's first packet.

use super::{Attribute, Level, Reads, TextList};
use crate::span::{in_place, names};
use flowtable::Family;

pub(super) static ATTRIBUTES: [Attribute; 21] = [
    Attribute::short("source.address", Level::Required, "IP address of the source.", |view, window| {
        Some(in_place::address(view.record.source().0, window))
    }),
    Attribute::long(
        "source.port",
        Level::Required,
        "Port of the source; for ICMP what Community ID uses in its place; 0 for protocols without ports.",
        |view| Some(view.record.source().1.into()),
    ),
    Attribute::short(
        "destination.address",
        Level::Required,
        "IP address of the destination.",
        |view, window| Some(in_place::address(view.record.destination().0, window)),
    ),
    Attribute::long(
        "destination.port",
        Level::Required,
        "Port of the destination; for ICMP what Community ID uses in its place; 0 for protocols without ports.",
        |view| Some(view.record.destination().1.into()),
    ),
    Attribute::text(
        "network.transport",
        Level::Required,
        "Lowercase IANA keyword of the IP protocol (`icmpv6` for IPv6-ICMP), the number where there is none.",
        |view| Some(names::transport(view.record.key.protocol)),
    )
    .reading(Reads::Path),
    Attribute::text("network.type", Level::Required, "IP version of the flow: `ipv4` or `ipv6`.", |view| {
        Some(names::network_type(view.record.key.family))
    })
    .reading(Reads::Path),
    Attribute::long(
        "network.interface.index",
        Level::Recommended,
        "Index of the interface the first packet came in on: the kernel's, or DPDK's port number where the kernel has none.",
        |view| view.interface()?.index.map(i64::from),
    )
    .reading(Reads::Path),
    Attribute::text(
        "network.interface.name",
        Level::Recommended,
        "Name of the interface the first packet came in on.",
        |view| {
            let name = view.interface()?.name.as_str();
            (!name.is_empty()).then_some(name)
        },
    )
    .reading(Reads::Path),
    Attribute::short(
        "network.interface.mac",
        Level::Recommended,
        "Source MAC address of the first packet, lowercase, separated by colons.",
        |view, window| view.record.first.source_mac.map(|mac| in_place::mac(mac, window)),
    ),
    Attribute::long(
        "flow.ip.dscp.id",
        Level::Recommended,
        "Differentiated services codepoint of the first packet (RFC 2474).",
        |view| Some(i64::from(view.record.first.traffic_class >> 2)),
    )
    .reading(Reads::Header),
    Attribute::text(
        "flow.ip.dscp.name",
        Level::Recommended,
        "Lowercase name of that codepoint in the IANA registry: `cs0` to `cs7`, `af11` to `af43`, `ef`, `voice-admit`, `le`.",
        |view| names::dscp(view.record.first.traffic_class >> 2),
    )
    .reading(Reads::Header),
    Attribute::long(
        "flow.ip.ecn.id",
        Level::Recommended,
        "Explicit congestion notification codepoint of the first packet (RFC 3168).",
        |view| Some(i64::from(view.record.first.traffic_class & 0b11)),
    )
    .reading(Reads::Header),
    Attribute::text(
        "flow.ip.ecn.name",
        Level::Recommended,
        "Lowercase name of that codepoint in RFC 3168: `not-ect`, `ect(1)`, `ect(0)` or `ce`.",
        |view| Some(names::ecn(view.record.first.traffic_class)),
    )
    .reading(Reads::Header),
    Attribute::long(
        "flow.ip.ttl",
        Level::Recommended,
        "Time to live (IPv4) or hop limit (IPv6) of the first packet.",
        |view| Some(view.record.first.ttl.into()),
    )
    .reading(Reads::Header),
    Attribute::long(
        "flow.ip.flow_label",
        Level::Recommended,
        "Flow label of the first packet; IPv6 only.",
        |view| (view.record.key.family == Family::V6).then(|| view.record.first.flow_label.into()),
    ),
    Attribute::long(
        "flow.icmp.type.id",
        Level::Recommended,
        "Type of the first ICMP or ICMPv6 message.",
        |view| view.record.first.icmp.map(|(message, _)| message.into()),
    )
    .reading(Reads::Message),
    Attribute::text(
        "flow.icmp.type.name",
        Level::Recommended,
        "Name of that type in the IANA registry, in lowercase with underscores.",
        |view| {
            let (message, _) = view.record.first.icmp?;
            names::icmp_type(view.record.key.protocol, message)
        },
    )
    .reading(Reads::Message),
    Attribute::long(
        "flow.icmp.code.id",
        Level::Recommended,
        "Code of the first ICMP or ICMPv6 message.",
        |view| view.record.first.icmp.map(|(_, code)| code.into()),
    )
    .reading(Reads::Message),
    Attribute::text(
        "flow.icmp.code.name",
        Level::Recommended,
        "Name of that code in the IANA registry, in lowercase with underscores.",
        |view| {
            let (message, code) = view.record.first.icmp?;
            names::icmp_code(view.record.key.protocol, message, code)
        },
    )
    .reading(Reads::Message),
    Attribute::long(
        "flow.tcp.flags.bits",
        Level::Recommended,
        "All TCP flags seen both ways in the record's window, FIN in bit 0.",
        |view| view.record.tcp.as_ref().map(|tcp| tcp.flags.into()),
    )
    .reading(Reads::Message),
    Attribute::list(
        "flow.tcp.flags.tags",
        Level::Recommended,
        "Names of those flags in bit order from FIN.",
        |view| {
            view.record
                .tcp
                .as_ref()
                .map(|tcp| TextList { names: &names::TCP_FLAGS, chosen: tcp.flags.into() })
        },
    )
    .reading(Reads::Message),
];
