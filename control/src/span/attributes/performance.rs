//! Performance metrics: what the probe measured of a TCP connection's latencies since the flow's start.
//!
//! A latency that was not observed is left out, and so is the jitter of a single sample: 0 is a measurement.

use flowtable::{TcpRecord, Timing};

use super::{Attribute, Level, RecordView};

/// How the keys begin that tell of exchanges of requests and responses.
pub(super) const EXCHANGES: [&str; 2] = ["flow.tcp.svc.", "flow.tcp.rndtrip."];

const NANOSECONDS: &str = "ns";

pub(super) static ATTRIBUTES: [Attribute; 8] = [
    time(
        "flow.tcp.handshake.snd.latency",
        "From the SYN to the SYN/ACK that answers it: the network between probe and responder, there and back.",
        |view| latency(view, |tcp| tcp.handshake_snd),
    ),
    time(
        "flow.tcp.handshake.snd.jitter",
        "Jitter (RFC 3550 §6.4.1) of that latency, where there was more than one handshake.",
        |view| jitter(view, |tcp| tcp.handshake_snd),
    ),
    time(
        "flow.tcp.handshake.cnd.latency",
        "From the SYN/ACK to the ACK that answers it: the network between probe and initiator, there and back.",
        |view| latency(view, |tcp| tcp.handshake_cnd),
    ),
    time(
        "flow.tcp.handshake.cnd.jitter",
        "Jitter (RFC 3550 §6.4.1) of that latency, where there was more than one handshake.",
        |view| jitter(view, |tcp| tcp.handshake_cnd),
    ),
    time(
        "flow.tcp.svc.latency",
        "Mean time the service takes from request to response, less the network between probe and responder.",
        |view| latency(view, |tcp| tcp.svc),
    ),
    time("flow.tcp.svc.jitter", "Jitter (RFC 3550 §6.4.1) of that time over successive exchanges.", |view| {
        jitter(view, |tcp| tcp.svc)
    }),
    time(
        "flow.tcp.rndtrip.latency",
        "Mean time from request to response as the initiator sees it, with both networks.",
        |view| latency(view, |tcp| tcp.rndtrip),
    ),
    time(
        "flow.tcp.rndtrip.jitter",
        "Jitter (RFC 3550 §6.4.1) of that time over successive exchanges.",
        |view| jitter(view, |tcp| tcp.rndtrip),
    ),
];

const fn time(key: &'static str, doc: &'static str, get: fn(&RecordView<'_>) -> Option<i64>) -> Attribute {
    Attribute::long(key, Level::Recommended, doc, get).in_unit(NANOSECONDS)
}

#[inline]
fn latency(view: &RecordView<'_>, timing: fn(&TcpRecord) -> Option<Timing>) -> Option<i64> {
    timing(view.record.tcp.as_ref()?).map(|timing| super::long(timing.latency_ns))
}

#[inline]
fn jitter(view: &RecordView<'_>, timing: fn(&TcpRecord) -> Option<Timing>) -> Option<i64> {
    timing(view.record.tcp.as_ref()?)?.jitter_ns.map(super::long)
}
