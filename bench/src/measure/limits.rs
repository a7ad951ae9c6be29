//! What the machine itself takes, on the worker's processor: an access to memory that waits for the one before, by how much memory
//! there is; the memory of a packet at several numbers of flows; and as much work as a packet is, alone and together with its memory.

use std::hint::black_box;
use std::time::Duration;

use dataplane::clock::Stopwatch;
use flowtable::duration_ns;

use super::{Lab, NotMeasured, Plan};
use crate::figures::Spread;
use crate::lines::{Chase, LINE_LEN, LINES_A_PAGE, Lines};
use crate::lookup::{Memory, Passing, Work};
use crate::machine;

const MIB: u32 = 1 << 20;
#[expect(clippy::cast_possible_truncation, reason = "64")]
const LINES_A_MIB: u32 = MIB / LINE_LEN as u32;
/// Memory that is walked through.
const CHASED_MIB: u32 = 1_024;
/// Lines, and of how many in a row one is. A quarter of the lines of 1 GiB are on all of its pages, and far more than caches
/// hold.
const CHASES: [(&str, u32, u32); 6] = [
    ("limit_chase_1MiB_ns", LINES_A_MIB, 1),
    ("limit_chase_16MiB_ns", 16 * LINES_A_MIB, 1),
    ("limit_chase_128MiB_ns", 128 * LINES_A_MIB, 1),
    ("limit_chase_1GiB_ns", CHASED_MIB * LINES_A_MIB / 4, 4),
    ("limit_chase_pages_ns", 1 << 16, LINES_A_PAGE),
    ("limit_chase_lines_ns", 1 << 16, 1),
];
const LOOKUPS: [(&str, u32); 4] = [
    ("limit_lookup_10k_ns", 10_000),
    ("limit_lookup_64k_ns", 64_000),
    ("limit_lookup_1M_ns", 1_000_000),
    ("limit_lookup_10M_ns", 10_000_000),
];
const LARGEST: u32 = 10_000_000;
/// The lookups that are also measured together with work.
const WITH_WORK: usize = 2;
/// Accesses before the clock is started: all lines of 16 MiB, so that what fits a cache is there.
const WARM_UP: u32 = 16 * LINES_A_MIB;
/// Accesses or packets between two looks at the clock.
const BATCH: u32 = 1 << 13;
/// A slice is divided by this: nothing here varies as much as a worker, and there are many of them.
const SHARE: u32 = 8;

/// Measures each in turn.
///
/// # Errors
/// Where the memory is not to be had.
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    machine::pin_to(lab.plan.worker_cpu);
    let measured = chases(&lab.plan).and_then(|chased| Ok((chased, lookups(&lab.plan)?)));
    machine::pin_to(lab.plan.control_cpu);
    let (chased, looked_up) = measured?;
    for (name, ns) in chased.into_iter().chain(looked_up) {
        lab.figures.add_spread(name, Spread::of(ns), "ns");
    }
    Ok(None)
}

/// The times of a row in all rounds.
type Times = (&'static str, Vec<f64>);

/// Names without times yet.
fn rows(names: impl IntoIterator<Item = &'static str>) -> Vec<Times> {
    names.into_iter().map(|name| (name, Vec::new())).collect()
}

fn chases(plan: &Plan) -> anyhow::Result<Vec<Times>> {
    let mut lines = Lines::zeroed((CHASED_MIB * LINES_A_MIB) as usize)?;
    let mut chases: Vec<Chase> = (CHASES.iter().enumerate())
        .map(|(word, &(_, count, stride))| Chase::through(lines.all_mut(), word, count, stride))
        .collect();
    let mut rows = rows(CHASES.map(|(name, ..)| name));
    for _ in 0..plan.runs {
        for ((_, times), chase) in rows.iter_mut().zip(&mut chases) {
            times.push(ns_each(plan.slice / SHARE, |count| {
                chase.walk(lines.all(), count);
            }));
        }
    }
    Ok(rows)
}

fn lookups(plan: &Plan) -> anyhow::Result<Vec<Times>> {
    let mut memory = Memory::of(LARGEST)?;
    let mut passing = LOOKUPS.map(|(_, flows)| Passing::of(flows, plan.prefetching));
    let mut rows = rows(LOOKUPS.map(|(name, _)| name));
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    let mut work = Work::default();
    let slice = plan.slice / SHARE;
    for _ in 0..plan.runs {
        for ((_, times), passing) in rows.iter_mut().zip(&mut passing) {
            times.push(ns_each(slice, |count| passing.pass(&mut memory, count, || {})));
        }
        alone.push(ns_each(slice, |count| (0..count).for_each(|_| work.packet())));
        together.push(ns_each(slice, |count| {
            passing[WITH_WORK].pass(&mut memory, count, || work.packet());
        }));
    }
    rows.push(("limit_work_ns", alone));
    rows.push(("limit_lookup_work_1M_ns", together));
    Ok(rows)
}

/// Nanoseconds of each of what `work` does so many of, after [`WARM_UP`] of them for `slice`.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ns_each(slice: Duration, mut work: impl FnMut(u32)) -> f64 {
    work(WARM_UP);
    let mut done = 0u64;
    let watch = Stopwatch::start();
    loop {
        work(black_box(BATCH));
        done += u64::from(BATCH);
        let ns = watch.elapsed_ns();
        if ns >= duration_ns(slice) {
            return ns as f64 / done as f64;
        }
    }
}
