//! Flow metrics: packets and octets each way, in the record's window (delta) and since the flow's start (total).

use super::{Attribute, Level, long};

const BYTES: &str = "By";
const PACKETS: &str = "{packet}";

pub(super) static ATTRIBUTES: [Attribute; 8] = [
    Attribute::long(
        "flow.bytes.total",
        Level::Recommended,
        "IP octets from source to destination since the flow's start.",
        |view| Some(long(view.record.to_destination.bytes_total)),
    )
    .in_unit(BYTES),
    Attribute::long(
        "flow.bytes.delta",
        Level::Required,
        "IP octets from source to destination in the record's window.",
        |view| Some(long(view.record.to_destination.bytes_delta)),
    )
    .in_unit(BYTES),
    Attribute::long(
        "flow.packets.total",
        Level::Recommended,
        "Packets from source to destination since the flow's start.",
        |view| Some(long(view.record.to_destination.packets_total)),
    )
    .in_unit(PACKETS),
    Attribute::long(
        "flow.packets.delta",
        Level::Required,
        "Packets from source to destination in the record's window.",
        |view| Some(long(view.record.to_destination.packets_delta)),
    )
    .in_unit(PACKETS),
    Attribute::long(
        "flow.reverse.bytes.total",
        Level::Required,
        "IP octets from destination to source since the flow's start.",
        |view| Some(long(view.record.to_source.bytes_total)),
    )
    .in_unit(BYTES),
    Attribute::long(
        "flow.reverse.bytes.delta",
        Level::Required,
        "IP octets from destination to source in the record's window.",
        |view| Some(long(view.record.to_source.bytes_delta)),
    )
    .in_unit(BYTES),
    Attribute::long(
        "flow.reverse.packets.total",
        Level::Required,
        "Packets from destination to source since the flow's start.",
        |view| Some(long(view.record.to_source.packets_total)),
    )
    .in_unit(PACKETS),
    Attribute::long(
        "flow.reverse.packets.delta",
        Level::Required,
        "Packets from destination to source in the record's window.",
        |view| Some(long(view.record.to_source.packets_delta)),
    )
    .in_unit(PACKETS),
];
