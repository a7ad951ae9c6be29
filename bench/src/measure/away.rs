//! The longest a worker is away from its ring, with a million flows, sweeps and export; and the longest a loop that does
//! nothing but read the clock is away from it, on the same processor for the same time.

use super::{Lab, NotMeasured};
use crate::figures::Spread;
use crate::frames::{self, Shape};
use crate::lane::{Order, Slice, TableLane};
use crate::stage::{Cast, Counts};
use crate::traffic::Rounds;

/// Flows taking turns.
const FLOWS: u32 = 1_000_000;
/// A gap of the bare loop from which it counts as taken away, in ns: a thousand reads of the clock.
const TAKEN_NS: u64 = 20_000;

/// Measures the two in turn.
///
/// # Errors
/// Where the table's memory is not to be had, or packets got lost.
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let traffic = Rounds::established(Shape::Tcp, &frames::at_random(FLOWS));
    let made = TableLane::make(&lab.plan.roomy(FLOWS), Shape::Tcp, frames::in_order(FLOWS), traffic)?;
    let mut cast = Cast::default();
    let lane = cast.add(made, Counts::All);
    let plan = lab.plan;
    let rounds = lab.perform(cast, |control| {
        control.open_all()?;
        control.turn(lane, Order::Work, plan.slice / 2)?;
        let mut rounds = Vec::new();
        for _ in 0..plan.runs {
            let bare = control.turn(lane, Order::Bare, plan.slice * 2)?;
            rounds.push([bare, control.turn(lane, Order::WorkTimed, plan.slice * 2)?]);
        }
        Ok(rounds)
    })?;
    let of =
        |which: usize, value: fn(&Slice) -> f64| Spread::of(rounds.iter().map(|round| value(&round[which])));
    let figures = &mut lab.figures;
    figures.add_spread("burst_p999_us", of(1, |slice| at_quantile_us(slice, 0.999)), "us");
    figures.add_spread("burst_p9999_us", of(1, |slice| at_quantile_us(slice, 0.9999)), "us");
    figures.add_worst("burst_max_us", of(1, longest_us), "us");
    figures.add_worst("burst_waited_us", of(1, waited_us), "us");
    figures.add_worst("burst_bare_loop_max_us", of(0, longest_us), "us");
    figures.add_spread("burst_bare_loop_taken", of(0, taken), "ratio");
    Ok(None)
}

#[expect(clippy::cast_precision_loss, reason = "ns, far below 2^52")]
fn at_quantile_us(slice: &Slice, quantile: f64) -> f64 {
    slice.away.as_ref().map_or(f64::NAN, |away| away.value_at_quantile(quantile) as f64 / 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "ns, far below 2^52")]
fn longest_us(slice: &Slice) -> f64 {
    slice.away.as_ref().map_or(f64::NAN, |away| away.max() as f64 / 1e3)
}

/// How long the kernel had others run on the worker's processor, all pauses of the turn together: no longer pause is theirs.
#[expect(clippy::cast_precision_loss, reason = "ns, far below 2^52")]
fn waited_us(slice: &Slice) -> f64 {
    slice.waited_ns as f64 / 1e3
}

/// Share of the time that gaps of [`TAKEN_NS`] and more made up.
#[expect(clippy::cast_precision_loss, reason = "ns, far below 2^52")]
fn taken(slice: &Slice) -> f64 {
    let gaps = slice.away.iter().flat_map(|away| away.iter_recorded());
    let long = gaps.filter(|gap| gap.value_iterated_to() >= TAKEN_NS);
    let ns: u64 = long.map(|gap| gap.value_iterated_to() * gap.count_at_value()).sum();
    ns as f64 / slice.ns.max(1) as f64
}
