//! The ledger in the words of the endpoint, whoever asks: HTTP, the shutdown, the end of a replay.

use dataplane::ledger::WorkerFigures;
use dataplane::reason::{Anomaly, Reason};

use super::outlet::RecordTally;
use crate::export;
use crate::http::model::{DestinationLedger, Dropped, Ledger, NicLedger, NotInFlows, RecordLedger};

/// Puts the books of packets and records together.
pub(super) fn ledger(
    figures: &WorkerFigures,
    nic: NicLedger,
    (tally, destinations): (RecordTally, Vec<export::DestinationLedger>),
) -> Ledger {
    let reason = |reason: &Reason| NotInFlows {
        layer: reason.layer().into(),
        reason: reason.reason().into(),
        packets: figures.not_in_flows[reason.index()],
    };
    let anomaly = |anomaly: &Anomaly| NotInFlows {
        layer: anomaly.layer().into(),
        reason: anomaly.reason().into(),
        packets: figures.anomalies[anomaly.index()],
    };
    let records = RecordLedger {
        cut: tally.cut,
        filtered: tally.filtered,
        sampled_out: tally.sampled_out,
        destinations: destinations.into_iter().map(destination).collect(),
    };
    let waiting = NotInFlows::fragments_waiting(figures.held);
    let not_in_flows = Reason::ALL.iter().map(reason).chain([waiting]).collect();
    let anomalies = Anomaly::ALL.iter().map(anomaly).collect();
    Ledger::new(figures.packets, figures.in_flows, not_in_flows, anomalies, nic, records)
}

fn destination(books: export::DestinationLedger) -> DestinationLedger {
    let dropped = books
        .dropped
        .iter()
        .filter(|(_, spans)| *spans > 0)
        .map(|(cause, spans)| Dropped { cause: cause.as_str().into(), spans })
        .collect();
    DestinationLedger {
        destination: books.destination,
        records: books.records,
        delivered: books.delivered,
        waiting: books.waiting,
        dropped,
        last_error: books.last_error.map(|error| error.text),
    }
}

/// Prints a report for people: on standard output, or beside it where that carries spans.
pub(super) fn print(text: &str, stdout_has_spans: bool) {
    use std::io::Write;
    // Whoever closed the stream does not want the report.
    let _ = if stdout_has_spans {
        writeln!(std::io::stderr(), "{text}")
    } else {
        writeln!(std::io::stdout(), "{text}")
    };
}
