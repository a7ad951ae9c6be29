//! The ledger: where every packet and every record went. Whatever does not add up is a defect of this program.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

/// Where every packet and every record went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ledger {
    /// Packets the ports delivered.
    pub rx_packets: u64,
    /// Packets counted in a flow.
    pub in_flows: u64,
    /// Packets not in a flow, by layer and reason; reasons without packets are left out. All only grow but `fragment`
    /// `waiting`: those will be in a flow when the first part of their datagram has come, or 30 s have passed.
    pub not_in_flows: Vec<NotInFlows>,
    /// Packets that are in a flow but were odd in a way worth counting, by layer and kind.
    pub anomalies: Vec<NotInFlows>,
    /// What the ports lost before the probe could see it; not part of `rx_packets`.
    pub nic: NicLedger,
    /// Records, and the spans made from them.
    pub records: RecordLedger,
    /// Whether `rx_packets` is `in_flows` and all of `not_in_flows`, and every record is accounted for: left out by the
    /// filter or the sample, or at every destination.
    pub balanced: bool,
}

/// Packets of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NotInFlows {
    /// Protocol layer, such as `ipv4`.
    pub layer: String,
    /// What was wrong, such as `truncated`.
    pub reason: String,
    /// Packets.
    pub packets: u64,
}

impl NotInFlows {
    /// The row of the fragments that wait for the first part of their datagram.
    pub fn fragments_waiting(packets: u64) -> NotInFlows {
        NotInFlows { layer: "fragment".into(), reason: "waiting".into(), packets }
    }

    /// Whether the row goes up and down.
    pub fn is_level(&self) -> bool {
        self.layer == "fragment" && self.reason == "waiting"
    }
}

/// What the ports lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct NicLedger {
    /// Packets dropped because no descriptor was free.
    pub missed: u64,
    /// Packets refused as damaged.
    pub errors: u64,
    /// Times no packet buffer was free.
    pub no_buffer: u64,
}

/// Where the records went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordLedger {
    /// Records cut.
    pub cut: u64,
    /// Of these, left out because a condition of the record filter does not hold.
    pub filtered: u64,
    /// Of these, left out because their flow is not in the sample.
    pub sampled_out: u64,
    /// The others for each destination; every record goes to all of them.
    pub destinations: Vec<DestinationLedger>,
}

/// Where the records for one destination went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DestinationLedger {
    /// Its URL, without credentials.
    pub destination: String,
    /// Records handed to it.
    pub records: u64,
    /// Spans it acknowledged.
    pub delivered: u64,
    /// Records waiting or on their way.
    pub waiting: u64,
    /// Spans dropped, by cause; causes without spans are left out.
    pub dropped: Vec<Dropped>,
    /// Why the last request failed; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// Spans dropped for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Dropped {
    /// The cause, such as `queue_full`.
    pub cause: String,
    /// Spans.
    pub spans: u64,
}

impl Ledger {
    /// Adds everything up. Rows without packets are left out.
    pub fn new(
        rx_packets: u64,
        in_flows: u64,
        not_in_flows: Vec<NotInFlows>,
        anomalies: Vec<NotInFlows>,
        nic: NicLedger,
        records: RecordLedger,
    ) -> Ledger {
        let seen = |rows: Vec<NotInFlows>| rows.into_iter().filter(|row| row.packets > 0).collect();
        let mut ledger = Ledger {
            rx_packets,
            in_flows,
            not_in_flows: seen(not_in_flows),
            anomalies: seen(anomalies),
            nic,
            records,
            balanced: false,
        };
        ledger.balanced =
            rx_packets == in_flows + ledger.not_in_flows_total() && ledger.records.is_balanced();
        ledger
    }

    /// Fragments that wait for the first part of their datagram; part of what is not in a flow.
    pub fn fragments_waiting(&self) -> u64 {
        self.not_in_flows.iter().filter(|row| row.is_level()).map(|row| row.packets).sum()
    }

    /// Packets not in a flow, for any reason.
    pub fn not_in_flows_total(&self) -> u64 {
        self.not_in_flows.iter().map(|row| row.packets).sum()
    }
}

impl RecordLedger {
    /// Whether every destination was handed every record that was not left out, and knows where each is.
    pub fn is_balanced(&self) -> bool {
        let left_out = self.filtered + self.sampled_out;
        self.destinations.iter().all(|books| left_out + books.records == self.cut && books.is_balanced())
    }
}

impl DestinationLedger {
    /// Spans dropped for any cause.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|row| row.spans).sum()
    }

    /// Whether every record is delivered, waiting or dropped.
    pub fn is_balanced(&self) -> bool {
        self.records == self.delivered + self.waiting + self.dropped_total()
    }
}

/// Several lines for people, without a line feed at the end.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, indent: usize, name: &str, number: u64| {
            writeln!(f, "{:indent$}{name:<width$} {number:>16}", "", width = 36 - indent)
        };
        line(f, 0, "packets received", self.rx_packets)?;
        line(f, 2, "in flows", self.in_flows)?;
        line(f, 2, "not in flows", self.not_in_flows_total())?;
        for row in &self.not_in_flows {
            line(f, 4, &format!("{} {}", row.layer, row.reason), row.packets)?;
        }
        for row in &self.anomalies {
            line(f, 2, &format!("odd: {} {}", row.layer, row.reason), row.packets)?;
        }
        line(f, 0, "missed by the ports", self.nic.missed)?;
        line(f, 0, "records cut", self.records.cut)?;
        for (what, records) in
            [("filtered", self.records.filtered), ("sampled out", self.records.sampled_out)]
        {
            if records > 0 {
                line(f, 2, what, records)?;
            }
        }
        for books in &self.records.destinations {
            writeln!(f, "  to {}", books.destination)?;
            line(f, 4, "delivered", books.delivered)?;
            line(f, 4, "waiting", books.waiting)?;
            for row in &books.dropped {
                line(f, 4, &format!("dropped: {}", row.cause), row.spans)?;
            }
        }
        f.write_str(if self.balanced { "ledger balanced" } else { "LEDGER NOT BALANCED" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(cut: u64) -> RecordLedger {
        let dropped = vec![Dropped { cause: "queue_full".into(), spans: 1 }];
        let destination = DestinationLedger {
            destination: "stdout".into(),
            records: 10,
            delivered: 7,
            waiting: 2,
            dropped,
            last_error: None,
        };
        RecordLedger { cut, filtered: 2, sampled_out: 3, destinations: vec![destination] }
    }

    fn arp(packets: u64) -> NotInFlows {
        NotInFlows { layer: "ethernet".into(), reason: "not_ip".into(), packets }
    }

    #[test]
    fn a_ledger_balances_only_when_packets_and_records_add_up() {
        let nic = NicLedger::default();
        assert!(Ledger::new(5, 3, vec![arp(2), arp(0)], vec![], nic, books(15)).balanced);
        assert!(!Ledger::new(5, 3, vec![arp(1)], vec![], nic, books(15)).balanced);
        assert!(!Ledger::new(5, 3, vec![arp(2)], vec![], nic, books(16)).balanced);
    }

    #[test]
    fn fragments_that_wait_are_in_the_balance_as_a_row_of_their_own() {
        let rows = vec![arp(2), NotInFlows::fragments_waiting(4)];
        let ledger = Ledger::new(9, 3, rows, vec![], NicLedger::default(), RecordLedger::default());
        assert!(ledger.balanced);
        assert_eq!(ledger.fragments_waiting(), 4);
        assert!(ledger.to_string().contains("fragment waiting"));
    }

    #[test]
    fn the_printed_ledger_names_each_row_and_the_verdict() {
        let text = Ledger::new(5, 3, vec![arp(2)], vec![], NicLedger::default(), books(15)).to_string();
        for row in [
            "ethernet not_ip",
            "to stdout",
            "dropped: queue_full",
            "filtered",
            "sampled out",
            "ledger balanced",
        ] {
            assert!(text.contains(row), "{text}");
        }
    }
}
