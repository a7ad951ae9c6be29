//! One module for each family of measurements; `scenarios` says which row is measured by which.

pub mod away;
pub mod churn;
pub mod export;
pub mod limits;
pub mod memory;
pub mod peers;
pub mod replay;
pub mod ring;
pub mod rivals;
pub mod rx;
pub mod sweep;
pub mod tcp_cost;
pub mod two_workers;

use std::path::PathBuf;
use std::time::Duration;

use dataplane::dpdk::{Eal, Port, PortConfig};
use dataplane::ledger::WorkerFigures;
use dataplane::reason::Reason;

use flowtable::{Prefetching, TableConfig};

use crate::figures::Figures;
use crate::lane::SEED;
use crate::stage::{self, Cast, Control};
use crate::stamped::BufferRing;

/// Packet buffers of the port for each queue.
pub const MBUFS: u32 = 8_192;
/// Octets of a buffer's frame: those of the longest there is. Nothing is copied, so that length costs nothing.
pub const DEVICE_FRAME_LEN: usize = 1_514;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds; each measures everything once.
    pub runs: u32,
    /// How long each measurement takes.
    pub slice: Duration,
    /// The worker's processor.
    pub worker_cpu: usize,
    /// The processor of everything else.
    pub control_cpu: usize,
    /// Leaves out all but the worker, so that a profiler sees nothing else.
    pub worker_only: bool,
    /// Buffers going round, as the descriptors of a receive ring.
    pub descriptors: u16,
    /// How tables ask for their lines.
    pub prefetching: Prefetching,
}

impl Plan {
    /// A table with room for `capacity` flows.
    pub fn table(&self, capacity: u32) -> TableConfig {
        TableConfig { capacity, seed: SEED, prefetching: self.prefetching, ..TableConfig::default() }
    }

    /// A table of `flows` with a fifth of room to spare, as an operator would.
    pub fn roomy(&self, flows: u32) -> TableConfig {
        self.table((flows / 4 * 5).max(1 << 12))
    }
}

/// What measurements share.
pub struct Lab<'a> {
    /// DPDK.
    pub eal: &'a Eal,
    /// How to measure.
    pub plan: Plan,
    /// Processors this program may use, lowest first.
    pub cpus: Vec<usize>,
    /// What was measured.
    pub figures: Figures,
    /// The largest share of a turn that a worker with a processor of its own waited for it.
    pub waited: f64,
    /// Where large files go for a while.
    pub scratch: PathBuf,
    /// The buffers of the port, away while a worker has them.
    ring: Option<BufferRing>,
}

/// Why something was not measured, where that is no failure.
pub type NotMeasured = Option<String>;

impl<'a> Lab<'a> {
    /// Adds to the row `name` the share of its packets that found no room, of those in `counted`.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn add_table_full(&mut self, name: &str, counted: &WorkerFigures) {
        let full = counted.not_in_flows[Reason::TableFull.index()];
        let share = full as f64 / counted.packets.max(1) as f64;
        self.figures.add(&format!("{name}_table_full"), share, "ratio");
    }

    /// Opens the virtual port that packets come from.
    ///
    /// # Errors
    /// Where DPDK has no memory for it.
    pub fn open(eal: &'a Eal, plan: Plan, cpus: Vec<usize>, scratch: PathBuf) -> anyhow::Result<Lab<'a>> {
        let mut rings = open_null_port(eal, "net_null0", 1, plan.descriptors)?;
        Ok(Lab { eal, plan, cpus, figures: Figures::default(), waited: 0.0, scratch, ring: rings.pop() })
    }

    /// Runs `direct` with one worker that has the tables of `cast`.
    ///
    /// # Errors
    /// See [`stage::perform`].
    pub fn perform<R>(
        &mut self,
        cast: Cast,
        direct: impl FnOnce(&mut Control<'_>) -> anyhow::Result<R>,
    ) -> anyhow::Result<R> {
        let ring = self.ring.take().expect("it is put back after each measurement");
        let workers = vec![(self.plan.worker_cpu, ring, cast)];
        let (mut rings, (result, waited)) = stage::perform(self.eal, workers, |control| {
            let result = direct(control)?;
            Ok((result, control.waited))
        })?;
        self.waited = self.waited.max(waited);
        self.ring = rings.pop();
        Ok(result)
    }
}

/// The buffers of each queue of a `net_null` port with `queues`.
///
/// # Errors
/// Where DPDK has no memory for it.
pub fn open_null_port(
    eal: &Eal,
    name: &str,
    queues: u16,
    descriptors: u16,
) -> anyhow::Result<Vec<BufferRing>> {
    let device = format!("{name},size={DEVICE_FRAME_LEN}").parse()?;
    let mbufs = Some(MBUFS * u32::from(queues));
    let mut port =
        Port::open(eal, &device, &PortConfig { mbufs, rx_queues: queues, ..PortConfig::default() })?;
    let rings = (0..queues).filter_map(|queue| port.take_rx_queue(queue));
    Ok(rings.map(|queue| BufferRing::new(queue, usize::from(descriptors))).collect())
}
