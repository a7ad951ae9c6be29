//! Packets a second of one worker, for a number of flows and a family of frames, beside its ceiling: the same port and
//! burst loop with headers read and the table taken out.

use std::time::Duration;

use flowtable::TableConfig;

use super::{Lab, NotMeasured, Plan};
use crate::figures::{Figures, Spread};
use crate::frames::{self, Shape};
use crate::lane::{Made, Order, TableLane};
use crate::stage::{Control, Counts};
use crate::traffic::{Imix, MEAN_IMIX_FRAME, Rounds, Traffic, Zipf};

/// What passes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each flow once a round, in random order and direction.
    Random(Shape),
    /// Few flows have most packets.
    Zipf,
    /// Frames of three sizes.
    Imix,
}

/// A family at one number of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// What its figures begin with.
    pub name: &'static str,
    /// Flows taking turns.
    pub flows: u32,
    /// What passes by.
    pub kind: Kind,
}

/// Preamble, start of frame and gap between frames on Ethernet, in octets.
const LINE_OVERHEAD: f64 = 20.0;

/// Measures `family`.
///
/// # Errors
/// Where the table's memory is not to be had, or packets got lost.
pub fn measure(lab: &mut Lab<'_>, family: &Family) -> anyhow::Result<NotMeasured> {
    let Family { flows, kind, .. } = *family;
    let rounds = match kind {
        Kind::Random(shape) => {
            // A tunnel is among the details of a flow, which every flow then wants.
            let details = if shape == Shape::Vxlan { flows } else { TableConfig::default().details };
            let config = TableConfig { details, ..lab.plan.roomy(flows) };
            let traffic = Rounds::established(shape, &frames::at_random(flows));
            run(lab, TableLane::make(&config, shape, frames::in_order(flows), traffic)?)?
        }
        Kind::Zipf => {
            let traffic = Zipf::of(&frames::at_random(flows));
            run(lab, TableLane::make(&lab.plan.roomy(flows), Shape::Tcp, frames::in_order(flows), traffic)?)?
        }
        Kind::Imix => {
            let traffic = Imix::of(&frames::at_random(flows));
            run(lab, TableLane::make(&lab.plan.roomy(flows), Shape::Tcp, frames::in_order(flows), traffic)?)?
        }
    };
    add(&mut lab.figures, family, &rounds);
    Ok(None)
}

/// One round: Mpps of the ceiling, the parser and the worker, and the share of its time the worker waited.
struct Round {
    ceiling: f64,
    parsed: f64,
    worker: f64,
    waited: f64,
}

struct Measured {
    rounds: Vec<Round>,
    open_ns: f64,
}

fn run<T: Traffic + 'static>(lab: &mut Lab<'_>, made: Made<T>) -> anyhow::Result<Measured> {
    let plan = lab.plan;
    let mut cast = crate::stage::Cast::default();
    let lane = cast.add(made, Counts::All);
    lab.perform(cast, |control| {
        let opening = control.open_all()?.remove(0);
        control.turn(lane, Order::Work, plan.slice / 2)?;
        let rounds = (0..plan.runs).map(|_| round(control, lane, &plan)).collect::<anyhow::Result<_>>()?;
        Ok(Measured { rounds, open_ns: opening.ns_per_packet() })
    })
}

fn round(control: &mut Control<'_>, lane: usize, plan: &Plan) -> anyhow::Result<Round> {
    let beside = if plan.worker_only { Duration::ZERO } else { plan.slice / 2 };
    let ceiling = control.turn(lane, Order::Ceiling, beside)?.mpps();
    let parsed = control.turn(lane, Order::Parse, beside)?.mpps();
    let worker = control.turn(lane, Order::Work, plan.slice)?;
    Ok(Round { ceiling, parsed, worker: worker.mpps(), waited: worker.waited() })
}

fn add(figures: &mut Figures, family: &Family, all: &Measured) {
    let name = family.name;
    let spread = |value: fn(&Round) -> f64| Spread::of(all.rounds.iter().map(value));
    figures.add_spread(name, spread(|round| round.worker), "Mpps");
    figures.add_spread(&format!("{name}_ceiling"), spread(|round| round.ceiling), "Mpps");
    figures.add_spread(&format!("{name}_parsed"), spread(|round| round.parsed), "Mpps");
    figures.add_spread(&format!("{name}_ratio"), spread(|round| round.worker / round.ceiling), "ratio");
    figures.add_spread(&format!("{name}_waited"), spread(|round| round.waited), "ratio");
    figures.add(&format!("{name}_open_ns"), all.open_ns, "ns");
    if family.kind == Kind::Imix {
        let gbps = |overhead: f64| {
            let bits = (MEAN_IMIX_FRAME + overhead) * 8.0;
            Spread::of(all.rounds.iter().map(|round| round.worker * bits / 1e3))
        };
        figures.add_spread(&format!("{name}_gbps"), gbps(0.0), "Gbit/s");
        figures.add_spread(&format!("{name}_line_gbps"), gbps(LINE_OVERHEAD), "Gbit/s");
    }
}
