//! Spans for the eye: one line each, the same columns in the same order.
//!
//! ```text
//! 2024-09-24T04:27:00.000000Z +60.000s ipv4 tcp 10.1.1.5:54211 -> 10.1.2.10:80 10 pkts 1024 B / 8 pkts 4096 B established active_timeout SYN,PSH,ACK #0 eth0 1:LQU9…
//! ```
//! Start of the window in UTC and its length; the endpoints, source first, the arrow pointing away from the initiator; what
//! went source to destination / back in the window; TCP state, or ICMP message; why the record was cut; TCP flags; where there
//! are any, segments sent again (`retransmitted 3/0`), what the conversation failed at (`error connection_reset`) and the
//! tunnel with its id (`in vxlan 42`); the record's number; the interface; Community ID.

use std::fmt::{self, Display, Write};
use std::net::IpAddr;

use flowtable::{Counters, FlowRecord, Initiator, Nanos};

use crate::span::ShortText;
use crate::span::attributes::{RecordView, TextList};
use crate::span::community_id::community_id;
use crate::span::names;

const SECOND_NS: u64 = 1_000_000_000;
const SECONDS_A_DAY: u64 = 86_400;

pub(super) fn encode<'a>(views: impl Iterator<Item = RecordView<'a>>, buffer: &mut Vec<u8>) {
    let mut line = String::new();
    for view in views {
        line.clear();
        write_line(&mut line, &view).expect("a String takes every write");
        buffer.extend_from_slice(line.as_bytes());
    }
}

fn write_line(line: &mut String, view: &RecordView<'_>) -> fmt::Result {
    let record = view.record;
    let length = record.end.since(record.start);
    write!(line, "{} ", Utc(record.start))?;
    write!(line, "+{}.{:03}s ", length / SECOND_NS, length % SECOND_NS / 1_000_000)?;
    let (family, transport) = (names::network_type(record.key.family), names::transport(record.key.protocol));
    write!(line, "{family} {transport} ")?;
    write_endpoints(line, record)?;
    write!(line, " {} / {}", Amount(&record.to_destination), Amount(&record.to_source))?;
    if let Some(tcp) = &record.tcp {
        write!(line, " {}", tcp.state.as_str())?;
    }
    write_icmp(line, record)?;
    write!(line, " {}", record.end_reason.as_str())?;
    if let Some(tcp) = &record.tcp {
        write_flags(line, tcp.flags)?;
    }
    write_troubles(line, record)?;
    write_tunnel(line, record)?;
    write!(line, " #{}", record.number)?;
    if let Some(interface) = view.interface() {
        write!(line, " {}", interface.name)?;
    }
    writeln!(line, " {}", community_id(&record.key, view.settings.community_id_seed))
}

fn write_endpoints(line: &mut String, record: &FlowRecord) -> fmt::Result {
    let arrow = match record.initiator {
        Initiator::Source => "->",
        Initiator::Destination => "<-",
    };
    let ((source, source_port), (destination, destination_port)) = (record.source(), record.destination());
    if record.first.icmp.is_some() || (source_port, destination_port) == (0, 0) {
        let (source, destination) = (ShortText::address(source), ShortText::address(destination));
        return write!(line, "{source} {arrow} {destination}");
    }
    write_endpoint(line, source, source_port)?;
    write!(line, " {arrow} ")?;
    write_endpoint(line, destination, destination_port)
}

fn write_endpoint(line: &mut String, address: IpAddr, port: u16) -> fmt::Result {
    match address {
        IpAddr::V4(_) => write!(line, "{}:{port}", ShortText::address(address)),
        IpAddr::V6(_) => write!(line, "[{}]:{port}", ShortText::address(address)),
    }
}

fn write_icmp(line: &mut String, record: &FlowRecord) -> fmt::Result {
    let Some((message, code)) = record.first.icmp else {
        return Ok(());
    };
    match names::icmp_type(record.key.protocol, message) {
        Some(name) => write!(line, " {name}")?,
        None => write!(line, " type {message}")?,
    }
    match names::icmp_code(record.key.protocol, message, code) {
        Some(name) => write!(line, ":{name}"),
        None if code == 0 => Ok(()),
        None => write!(line, ":{code}"),
    }
}

fn write_flags(line: &mut String, flags: u8) -> fmt::Result {
    let tags = TextList { names: &names::TCP_FLAGS, chosen: flags.into() };
    for (place, tag) in tags.iter().enumerate() {
        line.push(if place == 0 { ' ' } else { ',' });
        line.push_str(tag);
    }
    Ok(())
}

fn write_troubles(line: &mut String, record: &FlowRecord) -> fmt::Result {
    if let Some(tcp) = &record.tcp {
        let again = (tcp.to_destination.retransmissions, tcp.to_source.retransmissions);
        if again != (0, 0) {
            write!(line, " retransmitted {}/{}", again.0, again.1)?;
        }
    }
    match record.error {
        Some(error) => write!(line, " error {}", error.as_str()),
        None => Ok(()),
    }
}

fn write_tunnel(line: &mut String, record: &FlowRecord) -> fmt::Result {
    let Some(tunnel) = &record.tunnel else {
        return Ok(());
    };
    write!(line, " in {}", tunnel.kind.as_str())?;
    match tunnel.id.or(tunnel.key) {
        Some(id) => write!(line, " {id}"),
        None => Ok(()),
    }
}

/// Packets and octets of one direction's window.
struct Amount<'a>(&'a Counters);

impl Display for Amount<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pkts {} B", self.0.packets_delta, self.0.bytes_delta)
    }
}

/// An instant in RFC 3339, UTC, with microseconds.
struct Utc(Nanos);

impl Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.0 / SECOND_NS, self.0.0 % SECOND_NS / 1000);
        let (year, month, day) = civil_date(seconds / SECONDS_A_DAY);
        let of_day = seconds % SECONDS_A_DAY;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Counts in years that begin in March, so that a leap day is a year's last (Howard Hinnant, `civil_from_days`).
fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_utc() {
        let known = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_727_152_020_000_001_999, "2024-09-24T04:27:00.000001Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551Z"),
        ];
        for (instant, text) in known {
            assert_eq!(Utc(Nanos(instant)).to_string(), text);
        }
    }
}
