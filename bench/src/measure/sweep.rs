//! How long a sweep that looks at each of a million live flows takes, as one in four does, and what the worker pays for being swept.
//!
//! A sweep takes a small part of the time from one to the next. Turns with sweeps and turns without differ by less than any two
//! turns do on a machine with other guests, so the worker's rate during a sweep is compared with its rate before and after it in
//! the same turn, and the difference spread over the time from sweep to sweep. What a sweep leaves behind in the caches is not in it.

#![expect(clippy::cast_precision_loss, reason = "ns and packets, far below 2^52")]

use anyhow::ensure;

use super::{Lab, NotMeasured};
use crate::figures::Spread;
use crate::frames::{self, Shape};
use crate::lane::{Order, Slice, TableLane};
use crate::stage::{Cast, Counts, SWEEP_EVERY, Swept};
use crate::traffic::Rounds;

/// Flows taking turns.
const FLOWS: u32 = 1_000_000;
/// Turns a run, each of one sweep or more, one of which at least looks at all flows: a flow is left alone for 2 s.
const TURNS: u32 = 5;

/// A turn, and the sweeps in it.
type Turn = (Slice, Vec<Swept>);

/// Measures the worker during sweeps and between them.
///
/// # Errors
/// Where the table's memory is not to be had, or packets got lost.
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let traffic = Rounds::established(Shape::Tcp, &frames::at_random(FLOWS));
    let made = TableLane::make(&lab.plan.roomy(FLOWS), Shape::Tcp, frames::in_order(FLOWS), traffic)?;
    let mut cast = Cast::default();
    let lane = cast.add(made, Counts::All);
    let plan = lab.plan;
    let slice = plan.slice.max(SWEEP_EVERY);
    let runs: Vec<Vec<Turn>> = lab.perform(cast, |control| {
        control.open_all()?;
        control.turn(lane, Order::Work, slice / 2)?;
        let mut turn = || -> anyhow::Result<Turn> {
            control.sweeps.clear();
            let worked = control.turn(lane, Order::Work, slice)?;
            Ok((worked, std::mem::take(&mut control.sweeps)))
        };
        (0..plan.runs).map(|_| (0..TURNS).map(|_| turn()).collect()).collect()
    })?;
    let all = |swept: &&Swept| swept.looked_at >= u64::from(FLOWS);
    let sweeps = runs.iter().flatten().flat_map(|(_, sweeps)| sweeps);
    let sweeps_ms: Vec<f64> = sweeps.filter(all).map(|swept| swept.ns as f64 / 1e6).collect();
    ensure!(!sweeps_ms.is_empty(), "no sweep looked at all flows");
    let figures = &mut lab.figures;
    figures.add_spread("sweep_1M_ms", Spread::of(sweeps_ms), "ms");
    figures.add_spread("sweep_cost", Spread::of(runs.iter().map(|turns| cost(turns) * 100.0)), "%");
    figures.add_spread("sweep_slower", Spread::of(runs.iter().map(|turns| slower(turns) * 100.0)), "%");
    Ok(None)
}

/// The share of its rate between sweeps that the worker lost during those of `turns`.
fn slower(turns: &[Turn]) -> f64 {
    let (mut counted, mut expected) = (0.0, 0.0);
    for (worked, sweeps) in turns {
        let ns: u64 = sweeps.iter().map(|swept| swept.ns).sum();
        let packets: u64 = sweeps.iter().map(|swept| swept.packets).sum();
        let between =
            worked.packets.saturating_sub(packets) as f64 / worked.ns.saturating_sub(ns).max(1) as f64;
        counted += packets as f64;
        expected += ns as f64 * between;
    }
    1.0 - counted / expected
}

/// Time a packet with sweeps such as those of `turns`, over that without, less 1.
fn cost(turns: &[Turn]) -> f64 {
    let sweeps = || turns.iter().flat_map(|(_, sweeps)| sweeps);
    let ns: u64 = sweeps().map(|swept| swept.ns).sum();
    let share = ns as f64 / sweeps().count() as f64 / SWEEP_EVERY.as_nanos() as f64;
    1.0 / (1.0 - share * slower(turns)) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(packets: u64, ns: u64, sweeps: &[(u64, u64)]) -> Turn {
        let sweeps = sweeps.iter().map(|&(packets, ns)| Swept { ns, packets, looked_at: 0 });
        (Slice { packets, ns, ..Slice::default() }, sweeps.collect())
    }

    /// By hand: between sweeps 80 packets in 8 ns, and 40 in 8 ns. The rates would have brought 20 and 10 packets in the time of
    /// the sweeps; 15 came.
    #[test]
    fn the_rate_of_a_sweep_is_compared_with_that_between_sweeps_of_its_turn() {
        let turns = [turn(91, 10, &[(4, 1), (7, 1)]), turn(44, 10, &[(4, 2)])];
        assert!((slower(&turns) - 0.5).abs() < 1e-12, "{}", slower(&turns));
    }

    /// By hand: 50 ms every 500 ms at half the rate leave 0.95 of the packets.
    #[test]
    fn a_sweep_costs_by_the_share_of_time_it_takes() {
        let turns = [turn(10_500, 1_100_000_000, &[(250, 50_000_000), (250, 50_000_000)])];
        assert!((cost(&turns) - (1.0 / 0.95 - 1.0)).abs() < 1e-12, "{}", cost(&turns));
    }
}
