//! Flows that come and go while others go on: opened, closed or idle, swept, encoded, exported and freed.

use std::time::Duration;

use flowtable::Timeouts;

use super::{Lab, NotMeasured};
use crate::figures::Spread;
use crate::frames::{self, Shape};
use crate::lane::{Order, TableLane};
use crate::random::Random;
use crate::stage::{Cast, Counts};
use crate::traffic::Churn;

/// Idle timeout of TCP: short, so that a measurement sees flows end by it; long enough for every flow that goes on to get a
/// packet before, at a million a second and more with ten million flows.
const IDLE: Duration = Duration::from_secs(10);
/// How long it takes until as many flows end as begin: the idle timeout and two sweeps.
const SETTLING: Duration = Duration::from_secs(12);
/// Flows that have ended and are not yet freed, in seconds' worth of new ones: of eight one for the idle timeout, the others
/// for the two seconds they linger, and all until they are swept, 3.75 in the mean.
const ENDED_SECONDS: u32 = 4;
/// Least length of a slice: several sweeps.
const SLICE_LEAST: Duration = Duration::from_secs(2);
/// Share of the wanted rate of new flows below which the figure says so.
const RATE_LEAST: f64 = 0.97;

/// Flows and how many of them are new each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What its figures begin with.
    pub name: &'static str,
    /// Flows taking turns.
    pub flows: u32,
    /// New flows a second.
    pub new_per_second: u32,
}

/// What a slice came to.
struct Round {
    mpps: f64,
    new_per_second: f64,
    exported: f64,
    live: f64,
    allocations: u64,
}

/// Measures `rate`.
///
/// # Errors
/// Where the table's memory is not to be had, or a packet is neither in a flow nor counted under "table full".
pub fn measure(lab: &mut Lab<'_>, rate: &Rate) -> anyhow::Result<NotMeasured> {
    let Rate { flows, new_per_second, .. } = *rate;
    let plan = lab.plan;
    // A fifth of room beside the flows that go on and those that wait to be freed.
    let all = flows + new_per_second * ENDED_SECONDS;
    let config = plan.table(all / 5 * 6);
    let mut numbers: Vec<u32> = (0..flows).collect();
    Random(u64::from(flows)).shuffle(&mut numbers);
    let traffic = Churn::of(&numbers, new_per_second);
    let made = TableLane::make(&config, Shape::Tcp, frames::in_order(flows), traffic)?;
    let counters = std::sync::Arc::clone(&made.counters.steady);
    let mut cast = Cast::default();
    // Where the control core cannot keep up the table fills, and what finds no room is counted.
    let lane = cast.add(made, Counts::OrTableFull);
    let slice = plan.slice.max(SLICE_LEAST);
    let rounds = lab.perform(cast, |control| {
        control.open_all()?;
        control.timeouts = Timeouts { tcp_ns: flowtable::duration_ns(IDLE), ..Timeouts::default() };
        control.turn(lane, Order::Work, SETTLING)?;
        let mut rounds = Vec::new();
        for _ in 0..plan.runs {
            let (table, sink) = (control.table(0, lane), control.sink.figures());
            let worked = control.turn(lane, Order::Work, slice)?;
            let (after, sunk) = (control.table(0, lane), control.sink.figures());
            rounds.push(round(
                &worked,
                after.opened - table.opened,
                after.live,
                [sunk.delivered - sink.delivered, sunk.records - sink.records],
            ));
        }
        Ok(rounds)
    })?;
    add(lab, rate, &rounds);
    lab.add_table_full(rate.name, &counters.read());
    Ok(None)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn round(worked: &crate::lane::Slice, opened: u64, live: u64, [delivered, records]: [u64; 2]) -> Round {
    Round {
        mpps: worked.mpps(),
        new_per_second: opened as f64 * 1e9 / worked.ns.max(1) as f64,
        exported: delivered as f64 / records.max(1) as f64,
        live: live as f64,
        allocations: worked.allocations,
    }
}

fn add(lab: &mut Lab<'_>, rate: &Rate, rounds: &[Round]) {
    let name = rate.name;
    let spread = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value));
    let reached = spread(|round| round.new_per_second);
    lab.figures.add_spread(name, spread(|round| round.mpps), "Mpps");
    lab.figures.add_spread(&format!("{name}_opened"), reached, "flows/s");
    lab.figures.add_spread(&format!("{name}_delivered"), spread(|round| round.exported), "ratio");
    lab.figures.add(&format!("{name}_live"), spread(|round| round.live).median, "flows");
    let allocations: u64 = rounds.iter().map(|round| round.allocations).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few, if any")]
    lab.figures.add(&format!("{name}_allocs"), allocations as f64, "allocations");
    if reached.median < RATE_LEAST * f64::from(rate.new_per_second) {
        println!("  {name}: {:.0} new flows/s reached, not {}", reached.median, rate.new_per_second);
    }
}

/// The allocations of the worker's thread while flows come and go, which takes every way through the table.
///
/// # Errors
/// See [`measure`].
pub fn allocations(lab: &mut Lab<'_>, rate: &Rate) -> anyhow::Result<NotMeasured> {
    let name = format!("{}_allocs", rate.name);
    if lab.figures.value(&name).is_none() {
        measure(lab, rate)?;
    }
    let count = lab.figures.value(&name).unwrap_or(f64::NAN);
    lab.figures.add("worker_allocs", count, "allocations");
    Ok(None)
}
