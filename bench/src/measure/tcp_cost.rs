//! What it costs to follow TCP: the time a packet of request/response traffic takes, over that of the same packets where the
//! latencies of requests and responses are not tracked, and over that of datagrams, of which nothing is followed.
//!
//! Datagrams are the same list of packets, addresses, ports, lengths and order, as UDP. Parsing the two differs as well, so that
//! both are parsed without a table beside it, and the datagrams' time in the table is put on top of TCP's parsing. All of TCP is in
//! that difference: the state of the connection, its sequence and its losses, as well as its latencies.

use flowtable::TableConfig;

use super::{Lab, NotMeasured};
use crate::figures::Spread;
use crate::frames::{self, Shape};
use crate::lane::{Order, TableLane};
use crate::stage::{Cast, Counts};
use crate::traffic::{EXCHANGE_FLOWS, Exchanges};

/// One round, in ns a packet.
struct Round {
    tcp: f64,
    tcp_untimed: f64,
    tcp_parsed: f64,
    udp: f64,
    udp_parsed: f64,
}

impl Round {
    /// Of the latencies of requests and responses.
    fn latencies(&self) -> f64 {
        self.tcp / self.tcp_untimed
    }

    /// Of all that is followed.
    fn all(&self) -> f64 {
        self.tcp / (self.tcp_parsed + self.udp - self.udp_parsed)
    }
}

/// Measures the five in turn.
///
/// # Errors
/// Where the tables' memory is not to be had, or packets got lost.
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let segments = Exchanges::segments();
    let datagrams = segments.as_datagrams();
    let config = lab.plan.roomy(EXCHANGE_FLOWS);
    let untimed = TableConfig { exchanges: false, ..config.clone() };
    let opening = || frames::in_order(EXCHANGE_FLOWS);
    let mut cast = Cast::default();
    let tcp = TableLane::make(&config, Shape::Tcp, opening(), segments.clone())?;
    let tcp = cast.add(tcp, Counts::All);
    let tcp_untimed = cast.add(TableLane::make(&untimed, Shape::Tcp, opening(), segments)?, Counts::All);
    let udp = cast.add(TableLane::make(&config, Shape::Udp, opening(), datagrams)?, Counts::All);
    let plan = lab.plan;
    let rounds: Vec<Round> = lab.perform(cast, |control| {
        control.open_all()?;
        for lane in [tcp, tcp_untimed, udp] {
            control.turn(lane, Order::Work, plan.slice / 2)?;
        }
        let mut ns = |lane, order, slice| -> anyhow::Result<f64> {
            Ok(control.turn(lane, order, slice)?.ns_per_packet())
        };
        let mut rounds = Vec::new();
        for _ in 0..plan.runs {
            rounds.push(Round {
                tcp_parsed: ns(tcp, Order::Parse, plan.slice / 2)?,
                udp_parsed: ns(udp, Order::Parse, plan.slice / 2)?,
                tcp: ns(tcp, Order::Work, plan.slice)?,
                tcp_untimed: ns(tcp_untimed, Order::Work, plan.slice)?,
                udp: ns(udp, Order::Work, plan.slice)?,
            });
        }
        Ok(rounds)
    })?;
    let spread = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value));
    lab.figures.add_spread("tcp_metrics_cost", spread(Round::latencies), "ratio");
    lab.figures.add_spread("tcp_followed_cost", spread(Round::all), "ratio");
    lab.figures.add_spread("tcp_metrics_tcp_ns", spread(|round| round.tcp), "ns");
    lab.figures.add_spread("tcp_metrics_untimed_ns", spread(|round| round.tcp_untimed), "ns");
    lab.figures.add_spread("tcp_metrics_tcp_parsed_ns", spread(|round| round.tcp_parsed), "ns");
    lab.figures.add_spread("tcp_metrics_udp_ns", spread(|round| round.udp), "ns");
    lab.figures.add_spread("tcp_metrics_udp_parsed_ns", spread(|round| round.udp_parsed), "ns");
    Ok(None)
}
