//! Two workers on two queues of a port over one of them alone.

use super::{Lab, NotMeasured, open_null_port};
use crate::figures::Spread;
use crate::frames::{self, Shape};
use crate::lane::{Order, TableLane};
use crate::stage::{self, Cast, Counts};
use crate::traffic::Rounds;

/// Flows of each worker.
const FLOWS: u32 = 1_000_000;

/// Measures the first worker alone and both at once, in turn.
///
/// # Errors
/// Where the tables' memory is not to be had, or packets got lost.
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let plan = lab.plan;
    let cpus = lab.cpus.clone();
    if cpus.len() < 2 {
        return Ok(Some("there is one processor".to_owned()));
    }
    let free = cpus.iter().copied().find(|cpu| ![plan.worker_cpu, plan.control_cpu].contains(cpu));
    let second = free.unwrap_or(plan.control_cpu);
    let mut workers = Vec::new();
    for (cpu, ring) in
        [plan.worker_cpu, second].into_iter().zip(open_null_port(lab.eal, "net_null1", 2, plan.descriptors)?)
    {
        let traffic = Rounds::established(Shape::Tcp, &frames::at_random(FLOWS));
        let made = TableLane::make(&lab.plan.roomy(FLOWS), Shape::Tcp, frames::in_order(FLOWS), traffic)?;
        let mut cast = Cast::default();
        cast.add(made, Counts::All);
        workers.push((cpu, ring, cast));
    }
    let (_rings, rounds) = stage::perform(lab.eal, workers, |control| {
        control.open_all()?;
        control.turn_of(&[(0, 0), (1, 0)], Order::Work, plan.slice / 2)?;
        let mut rounds = Vec::new();
        for _ in 0..plan.runs {
            let alone = control.turn(0, Order::Work, plan.slice)?.mpps();
            let both = control.turn_of(&[(0, 0), (1, 0)], Order::Work, plan.slice)?;
            rounds.push([alone, both.iter().map(crate::lane::Slice::mpps).sum::<f64>()]);
        }
        Ok(rounds)
    })?;
    lab.figures.add_spread("rx_one_worker", Spread::of(rounds.iter().map(|[one, _]| *one)), "Mpps");
    lab.figures.add_spread("rx_two_workers", Spread::of(rounds.iter().map(|[_, two]| *two)), "Mpps");
    let ratio = Spread::of(rounds.iter().map(|[one, two]| two / one));
    lab.figures.add_spread("rx_two_workers_ratio", ratio, "ratio");
    if free.is_none() {
        println!(
            "  rx_two_workers_ratio: no two processors are free; the second worker shares {second} with sweeps and export"
        );
    }
    Ok(None)
}
