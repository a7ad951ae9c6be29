//! What spans say beyond the convention: segments that show a connection's troubles, what a conversation failed at, sampling.

use flowtable::{NetworkError, TcpCounts};

use super::{Attribute, Level, Reads, RecordView};

const SEGMENTS: &str = "{segment}";

pub(super) static ATTRIBUTES: [Attribute; 10] = [
    segments(
        "flow.tcp.retransmissions",
        "TCP segments the source sent again in the record's window.",
        |view| to_destination(view, |counts| counts.retransmissions),
    ),
    segments(
        "flow.tcp.out_of_order",
        "TCP segments of the source that came after one sent later, in the record's window.",
        |view| to_destination(view, |counts| counts.out_of_order),
    ),
    segments(
        "flow.tcp.zero_windows",
        "TCP segments by which the source announced a window of 0 in the record's window.",
        |view| to_destination(view, |counts| counts.zero_windows),
    ),
    segments(
        "flow.tcp.duplicate_acks",
        "TCP acknowledgments of the source that repeat the one before, in the record's window.",
        |view| to_destination(view, |counts| counts.duplicate_acks),
    ),
    segments(
        "flow.reverse.tcp.retransmissions",
        "TCP segments the destination sent again in the record's window.",
        |view| to_source(view, |counts| counts.retransmissions),
    ),
    segments(
        "flow.reverse.tcp.out_of_order",
        "TCP segments of the destination that came after one sent later, in the record's window.",
        |view| to_source(view, |counts| counts.out_of_order),
    ),
    segments(
        "flow.reverse.tcp.zero_windows",
        "TCP segments by which the destination announced a window of 0 in the record's window.",
        |view| to_source(view, |counts| counts.zero_windows),
    ),
    segments(
        "flow.reverse.tcp.duplicate_acks",
        "TCP acknowledgments of the destination that repeat the one before, in the record's window.",
        |view| to_source(view, |counts| counts.duplicate_acks),
    ),
    Attribute::text(
        "error.type",
        Level::Recommended,
        "What the conversation failed at, on spans with status Error: `connection_refused`, `connection_reset`, \
         `timed_out`, `host_unreachable`, `network_unreachable`, `port_unreachable`, `ttl_exceeded` or \
         `fragmentation_needed`.",
        |view| view.record.error.map(NetworkError::as_str),
    )
    .reading(Reads::Failure),
    Attribute::long(
        "flow.sampling.rate",
        Level::Recommended,
        "One in so many flows is exported; left out where all are.",
        |view| view.settings.sampling_rate.map(i64::from),
    )
    .reading(Reads::Failure),
];

const fn segments(
    key: &'static str,
    doc: &'static str,
    get: fn(&RecordView<'_>) -> Option<i64>,
) -> Attribute {
    Attribute::long(key, Level::Recommended, doc, get).in_unit(SEGMENTS).reading(Reads::Segments)
}

#[inline]
fn to_destination(view: &RecordView<'_>, count: fn(&TcpCounts) -> u64) -> Option<i64> {
    view.record.tcp.as_ref().map(|tcp| super::long(count(&tcp.to_destination)))
}

#[inline]
fn to_source(view: &RecordView<'_>, count: fn(&TcpCounts) -> u64) -> Option<i64> {
    view.record.tcp.as_ref().map(|tcp| super::long(count(&tcp.to_source)))
}
