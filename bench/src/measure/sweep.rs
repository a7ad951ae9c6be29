//! How long a sweep of a million live flows takes, and what the worker pays for being swept.

use super::{Lab, NotMeasured};
use crate::figures::Spread;
use crate::frames::{self, Shape};
use crate::lane::{Order, TableLane, roomy};
use crate::stage::{Cast, Counts};
use crate::traffic::Rounds;

/// Flows taking turns.
const FLOWS: u32 = 1_000_000;

/// Measures the worker with sweeps and without, in turn.
///
/// # Errors
/// Where the table's memory is not to be had, or packets got lost.
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let traffic = Rounds::established(Shape::Tcp, &frames::at_random(FLOWS));
    let made = TableLane::make(&roomy(FLOWS), Shape::Tcp, frames::in_order(FLOWS), traffic)?;
    let mut cast = Cast::default();
    let lane = cast.add(made, Counts::All);
    let plan = lab.plan;
    let (rounds, sweeps_ms) = lab.perform(cast, |control| {
        control.open_all()?;
        control.turn(lane, Order::Work, plan.slice / 2)?;
        control.sweeps_ms.clear();
        let mut rounds = Vec::new();
        for round in 0..plan.runs {
            // Whichever comes first has an advantage, if any: each does in turn.
            let mut mpps = [0.0; 2];
            let order = if round % 2 == 0 { [false, true] } else { [true, false] };
            for sweeping in order {
                control.sweeping = sweeping;
                mpps[usize::from(sweeping)] = control.turn(lane, Order::Work, plan.slice)?.mpps();
            }
            rounds.push(mpps);
        }
        Ok((rounds, std::mem::take(&mut control.sweeps_ms)))
    })?;
    lab.figures.add_spread("sweep_1M_ms", Spread::of(sweeps_ms), "ms");
    let cost = rounds.iter().map(|[without, with]| (without / with - 1.0) * 100.0);
    lab.figures.add_spread("sweep_cost", Spread::of(cost), "%");
    Ok(None)
}
