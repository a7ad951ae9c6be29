//! What of a record decides an attribute's value, so that encoders need not work it out for every record again.

use flowtable::{FlowRecord, TcpCounts};

/// The part of a record that decides a value together with the settings, and nothing else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Anything: values that hardly repeat, such as addresses and counters.
    Record,
    /// Initiator, TCP state and end reason.
    Outcome,
    /// Protocol, IP version and port of the probe.
    Path,
    /// Traffic class and time to live of the first packet.
    Header,
    /// Protocol, ICMP type and code, TCP flags.
    Message,
    /// How many TCP segments were in trouble.
    Segments,
    /// What the conversation failed at. Also for values of the settings alone.
    Failure,
}

/// Counts up to this are told apart by [`Reads::Segments`]; nearly all are 0.
const MAX_SEGMENTS: u64 = 0x7f;

impl Reads {
    /// That part as one number, never `u64::MAX`: records with the same number have the same value. `None` where the part
    /// does not fit, and from [`Reads::Record`].
    #[inline]
    pub fn facts(self, record: &FlowRecord) -> Option<u64> {
        match self {
            Reads::Record => None,
            Reads::Outcome => {
                let state = record.tcp.as_ref().map_or(0, |tcp| tcp.state as u64 + 1);
                Some(record.initiator as u64 | (record.end_reason as u64) << 8 | state << 16)
            }
            Reads::Path => {
                let (key, port) = (&record.key, record.first.port.0);
                Some(u64::from(key.protocol) | (key.family as u64) << 8 | u64::from(port) << 16)
            }
            Reads::Header => Some(u64::from(record.first.traffic_class) | u64::from(record.first.ttl) << 8),
            Reads::Message => {
                let icmp = record.first.icmp.map_or(0, |(message, code)| {
                    1 | u64::from(message) << 8 | u64::from(code) << 16 | u64::from(record.key.protocol) << 24
                });
                let flags = record.tcp.as_ref().map_or(0, |tcp| 1 | u64::from(tcp.flags) << 8);
                Some(icmp | flags << 32)
            }
            Reads::Segments => match &record.tcp {
                None => Some(0),
                Some(tcp) => segments(&tcp.to_destination, &tcp.to_source),
            },
            Reads::Failure => Some(record.error.map_or(0, |error| error as u64)),
        }
    }
}

/// Seven bits a count, and one for "there are counts".
#[inline]
fn segments(to_destination: &TcpCounts, to_source: &TcpCounts) -> Option<u64> {
    let (mut facts, mut all) = (1, 0);
    for counts in [to_destination, to_source] {
        let TcpCounts { retransmissions, out_of_order, duplicate_acks, zero_windows } = *counts;
        for count in [retransmissions, out_of_order, duplicate_acks, zero_windows] {
            facts = facts << 7 | count & MAX_SEGMENTS;
            all |= count;
        }
    }
    (all <= MAX_SEGMENTS).then_some(facts)
}
