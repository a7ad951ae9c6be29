//! A look at the live flows from any thread, without disturbing Writer or Sweeper: it reads what a sweep would read.

use crate::key::{Direction, FlowKey, protocol};
use crate::packet::FirstPacket;
use crate::slot::{Meta, SlotId, Snapshot};
use crate::sync::{Arc, AtomicU32, Ordering};
use crate::table::{REGION_SLOTS, Shared, TableStats};
use crate::tcp::TcpState;
use crate::time::Nanos;

/// A look at one live flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveFlow {
    /// The flow's canonical key.
    pub key: FlowKey,
    /// The canonical direction that is source to destination.
    pub forward: Direction,
    /// Facts of the first packet.
    pub first: FirstPacket,
    /// When the first packet was received.
    pub first_seen: Nanos,
    /// When the last packet so far was received.
    pub last_seen: Nanos,
    /// Packets so far, `[source to destination, destination to source]`.
    pub packets: [u64; 2],
    /// Octets so far, `[source to destination, destination to source]`.
    pub bytes: [u64; 2],
    /// State of the initiator's endpoint; `None` for protocols other than TCP.
    pub tcp_state: Option<TcpState>,
}

/// Reads the live flows of a table without disturbing Writer or Sweeper. Any number may exist.
#[derive(Clone)]
pub struct Observer {
    shared: Arc<Shared>,
}

impl Observer {
    pub(crate) fn new(shared: Arc<Shared>) -> Observer {
        Observer { shared }
    }

    /// Calls `visit` with each live flow. A flow the worker is busy with at that moment may be passed over.
    pub fn visit(&self, mut visit: impl FnMut(&LiveFlow)) {
        let live = |region: &AtomicU32| region.load(Ordering::Relaxed) > 0;
        let mut flow = Snapshot::blank();
        for (region, _) in self.shared.regions.iter().enumerate().filter(|(_, region)| live(region)) {
            let first = region * REGION_SLOTS;
            for at in first..(first + REGION_SLOTS).min(self.shared.busy.len()) {
                if !Meta(self.shared.busy[at].hot.meta.load(Ordering::Relaxed)).has(Meta::LIVE) {
                    continue;
                }
                #[expect(clippy::cast_possible_truncation, reason = "capacity is at most 2^31")]
                let copied = self.shared.lines(SlotId(at as u32)).snapshot(&mut flow, |_| ());
                if copied.is_some() && flow.meta.has(Meta::LIVE) {
                    visit(&LiveFlow::of(&flow));
                }
            }
        }
    }

    /// How full the table is and what happened in it.
    pub fn stats(&self) -> TableStats {
        self.shared.stats()
    }
}

impl LiveFlow {
    fn of(copy: &Snapshot) -> LiveFlow {
        let forward = copy.meta.forward();
        let by_side = |values: [u64; 2]| [values[forward as usize], values[forward.flipped() as usize]];
        LiveFlow {
            key: copy.key,
            forward,
            first: copy.first,
            first_seen: copy.first_seen,
            last_seen: copy.last_seen,
            packets: by_side(copy.packets),
            bytes: by_side(copy.bytes),
            tcp_state: (copy.key.protocol == protocol::TCP).then(|| copy.meta.state()),
        }
    }
}
