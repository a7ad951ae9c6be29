//! What following TCP costs: the time a packet of request/response traffic takes, over that of the same packets where
//! nothing is followed.
//!
//! Nothing switches the following off, so that the comparison is with datagrams: the same list of packets, addresses,
//! ports, lengths and order, as UDP. Parsing the two differs as well, so that both are parsed without a table beside it,
//! and the datagrams' time in the table is put on top of TCP's parsing. All of TCP is in the difference: the state of the
//! connection, its sequence and its losses, as well as its latencies.

use super::{Lab, NotMeasured};
use crate::figures::Spread;
use crate::frames::{self, Shape};
use crate::lane::{Order, TableLane, roomy};
use crate::stage::{Cast, Counts};
use crate::traffic::{EXCHANGE_FLOWS, Exchanges};

/// One round, in ns a packet.
struct Round {
    tcp: f64,
    tcp_parsed: f64,
    udp: f64,
    udp_parsed: f64,
}

impl Round {
    fn cost(&self) -> f64 {
        self.tcp / (self.tcp_parsed + self.udp - self.udp_parsed)
    }
}

/// Measures the four in turn.
///
/// # Errors
/// Where the tables' memory is not to be had, or packets got lost.
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let segments = Exchanges::segments();
    let datagrams = segments.as_datagrams();
    let config = roomy(EXCHANGE_FLOWS);
    let opening = frames::in_order(EXCHANGE_FLOWS);
    let mut cast = Cast::default();
    let tcp = cast.add(TableLane::make(&config, Shape::Tcp, opening.clone(), segments)?, Counts::All);
    let udp = cast.add(TableLane::make(&config, Shape::Udp, opening, datagrams)?, Counts::All);
    let plan = lab.plan;
    let rounds: Vec<Round> = lab.perform(cast, |control| {
        control.open_all()?;
        control.turn(tcp, Order::Work, plan.slice / 2)?;
        control.turn(udp, Order::Work, plan.slice / 2)?;
        let mut ns = |lane, order, slice| -> anyhow::Result<f64> {
            Ok(control.turn(lane, order, slice)?.ns_per_packet())
        };
        let mut rounds = Vec::new();
        for _ in 0..plan.runs {
            rounds.push(Round {
                tcp_parsed: ns(tcp, Order::Parse, plan.slice / 2)?,
                udp_parsed: ns(udp, Order::Parse, plan.slice / 2)?,
                tcp: ns(tcp, Order::Work, plan.slice)?,
                udp: ns(udp, Order::Work, plan.slice)?,
            });
        }
        Ok(rounds)
    })?;
    let spread = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value));
    lab.figures.add_spread("tcp_metrics_cost", spread(Round::cost), "ratio");
    lab.figures.add_spread("tcp_metrics_tcp_ns", spread(|round| round.tcp), "ns");
    lab.figures.add_spread("tcp_metrics_tcp_parsed_ns", spread(|round| round.tcp_parsed), "ns");
    lab.figures.add_spread("tcp_metrics_udp_ns", spread(|round| round.udp), "ns");
    lab.figures.add_spread("tcp_metrics_udp_parsed_ns", spread(|round| round.udp_parsed), "ns");
    Ok(None)
}
