//! Two kinds of traffic that take turns on one worker: what the one is slower by. Random flows are the measure of both.

use super::{Lab, NotMeasured};
use crate::figures::Spread;
use crate::frames::{self, Shape};
use crate::lane::{Made, Order, TableLane};
use crate::stage::{Cast, Counts};
use crate::traffic::{Flood, Rounds, Traffic, colliding};

/// Flows of both.
const FLOWS: u32 = 1_000_000;

/// A SYN flood against a table that is full, over the traffic of `rx_64B_1M_flows`.
///
/// # Errors
/// Where the tables' memory is not to be had, or a packet is neither in a flow nor counted under "table full".
pub fn syn_flood(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    // Full from the beginning: the flows fill it, and the flood finds no free slot.
    let full = lab.plan.table(FLOWS);
    let flooded = TableLane::make(&full, Shape::Tcp, frames::in_order(FLOWS), Flood::default())?;
    let counters = std::sync::Arc::clone(&flooded.counters.steady);
    compare(lab, flooded, Counts::OrTableFull, "rx_synflood")?;
    lab.add_table_full("rx_synflood", &counters.read());
    Ok(None)
}

/// Flows that collide in the RSS hash and in unseeded ones, over the traffic of `rx_64B_1M_flows`.
///
/// # Errors
/// Where the tables' memory is not to be had, or packets got lost.
pub fn collisions(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let opening = colliding(FLOWS);
    let traffic = Rounds::established(Shape::Tcp, &frames::in_random_order(opening.clone()));
    let attacked = TableLane::make(&lab.plan.roomy(FLOWS), Shape::Tcp, opening, traffic)?;
    compare(lab, attacked, Counts::All, "rx_1M_colliding")?;
    Ok(None)
}

fn compare<T: Traffic + 'static>(
    lab: &mut Lab<'_>,
    rival: Made<T>,
    counts: Counts,
    name: &str,
) -> anyhow::Result<()> {
    let traffic = Rounds::established(Shape::Tcp, &frames::at_random(FLOWS));
    let base = TableLane::make(&lab.plan.roomy(FLOWS), Shape::Tcp, frames::in_order(FLOWS), traffic)?;
    let mut cast = Cast::default();
    let base = cast.add(base, Counts::All);
    let rival = cast.add(rival, counts);
    let plan = lab.plan;
    let rounds = lab.perform(cast, |control| {
        control.open_all()?;
        control.turn(base, Order::Work, plan.slice / 2)?;
        control.turn(rival, Order::Work, plan.slice / 2)?;
        let mut rounds = Vec::new();
        for _ in 0..plan.runs {
            let base = control.turn(base, Order::Work, plan.slice)?.mpps();
            rounds.push([base, control.turn(rival, Order::Work, plan.slice)?.mpps()]);
        }
        Ok(rounds)
    })?;
    lab.figures.add_spread(name, Spread::of(rounds.iter().map(|[_, rival]| *rival)), "Mpps");
    lab.figures.add_spread(&format!("{name}_base"), Spread::of(rounds.iter().map(|[base, _]| *base)), "Mpps");
    let ratio = Spread::of(rounds.iter().map(|[base, rival]| rival / base));
    lab.figures.add_spread(&format!("{name}_ratio"), ratio, "ratio");
    Ok(())
}
