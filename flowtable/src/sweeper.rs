//! The control thread's half of the table: walks the slots and cuts records, without the worker noticing.
//!
//! For each slot it keeps a shadow of what has been exported; a record is the slot's totals less the shadow, so no counter
//! is ever reset and nothing falls between two records.

use crate::agenda::Agenda;
use crate::details::{DetailsCopy, DetailsId};
use crate::key_words::protocol_of;
use crate::mem::{MemoryError, Pages, Slab, prefetch};
use crate::observer::Observer;
use crate::record::{EndReason, RecordSink};
use crate::shadow::{DetailsShadow, NANOS_PER_MILLI, Shadow, millis};
use crate::slot::{Lines, Meta, SlotId, Snapshot};
use crate::sync::{Arc, Ordering};
use crate::table::{REGION_SLOTS, Retire, Shared, TableStats};
use crate::time::Nanos;
use crate::timeouts::Timeouts;

/// Fill of the table, in per mille, from which idle timeouts shrink, and by how many binary places: for flows of a single
/// packet, and for the others.
const PRESSURE: [(u64, u32, u32); 3] = [(980, 10, 3), (950, 5, 1), (900, 3, 0)];

/// Flows ahead of the one looked at whose lines are asked for.
const AHEAD: usize = 16;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Live flows looked at.
    pub live: u64,
    /// Records cut.
    pub records: u64,
    /// Packets in those records.
    pub packets: u64,
}

/// The one sweeper of a table.
pub struct Sweeper {
    shared: Arc<Shared>,
    shadows: Slab<Shadow>,
    details_shadows: Slab<DetailsShadow>,
    agenda: Agenda,
}

impl Sweeper {
    pub(crate) fn new(shared: Arc<Shared>, pages: Pages) -> Result<Self, MemoryError> {
        let shadows = Slab::mapped(shared.busy.len(), pages)?;
        let details_shadows = Slab::mapped(shared.details.len(), pages)?;
        let agenda = Agenda::of(shared.busy.len(), pages)?;
        Ok(Sweeper { shared, shadows, details_shadows, agenda })
    }

    /// Cuts every record that is due at `now` and asks the Writer to free flows that ended.
    pub fn sweep(&mut self, now: Nanos, timeouts: &Timeouts, sink: &mut impl RecordSink) -> SweepReport {
        let (single, other) = self.pressure();
        let rules = Rules { now, timeouts, single, other };
        let mut report = SweepReport::default();
        self.take_handovers(sink, &mut report);
        self.walk_due(&rules, sink, &mut report);
        report
    }

    /// Cuts a record of every live flow that has something to tell: [`EndReason::EndOfFlowDetected`] where it is closed
    /// and only lingers, else [`EndReason::ForcedEnd`]. The flows live on.
    pub fn flush(&mut self, now: Nanos, sink: &mut impl RecordSink) -> SweepReport {
        let mut report = SweepReport::default();
        let mut last = Snapshot::blank();
        self.take_handovers(sink, &mut report);
        for slot in (0..self.shadows.len()).map(slot_at) {
            if self.is_empty(slot.0 as usize / REGION_SLOTS) || !self.is_live(slot) {
                continue;
            }
            report.live += 1;
            if let Some(details) = self.snapshot(slot, &mut last, sink, &mut report) {
                let closed = last.meta.has(Meta::CLOSED);
                let reason = if closed { EndReason::EndOfFlowDetected } else { EndReason::ForcedEnd };
                let all = Last { flow: &last, details: details.as_deref() };
                self.cut(slot, &all, reason, now, sink, &mut report);
            }
        }
        report
    }

    /// Takes in the flows the Writer ended by itself. Worth calling often while the table is full.
    pub fn drain_handovers(&mut self, sink: &mut impl RecordSink) -> SweepReport {
        let mut report = SweepReport::default();
        self.take_handovers(sink, &mut report);
        report
    }

    /// Whether the Writer has ended flows that wait to be taken in.
    pub fn has_handovers(&self) -> bool {
        !self.shared.handover.is_empty()
    }

    /// Reads flows from any other thread.
    pub fn observer(&self) -> Observer {
        Observer::new(Arc::clone(&self.shared))
    }

    /// How full the table is and what happened in it.
    pub fn stats(&self) -> TableStats {
        self.shared.stats()
    }

    /// Goes through the live flows whose time has come.
    fn walk_due<S: RecordSink>(&mut self, rules: &Rules, sink: &mut S, report: &mut SweepReport) {
        self.agenda.begin(rules.now, rules.timeouts, rules.single > 0 || rules.other > 0);
        let mut places = [0; REGION_SLOTS];
        let mut chosen = Chosen::default();
        let mut last = Snapshot::blank();
        for region in 0..self.shared.regions.len() {
            if self.is_empty(region) {
                continue;
            }
            let due = self.agenda.due(region, &mut places);
            let at = |place: u16| region * REGION_SLOTS + usize::from(place);
            for number in 0..due {
                if let Some(&ahead) = places[..due].get(number + AHEAD) {
                    prefetch(&self.shared.busy[at(ahead)].hot);
                    prefetch(&self.shadows[at(ahead)]);
                }
                let slot = slot_at(at(places[number]));
                if self.look(slot, rules, report)
                    && let Some(earlier) = chosen.put(slot)
                {
                    self.consider(earlier, &mut last, rules, sink, report);
                }
            }
        }
        for slot in chosen.left() {
            self.consider(slot, &mut last, rules, sink, report);
        }
    }

    /// Whether no flow of the region is live. Its lines, which may never have been touched, are left alone.
    fn is_empty(&self, region: usize) -> bool {
        self.shared.regions[region].load(Ordering::Relaxed) == 0
    }

    fn is_live(&self, slot: SlotId) -> bool {
        Meta(self.shared.busy[slot.0 as usize].hot.meta.load(Ordering::Relaxed)).has(Meta::LIVE)
    }

    /// A look at the hot line. Whether a record may be due: then the lines that tells are asked for.
    fn look(&mut self, slot: SlotId, rules: &Rules, report: &mut SweepReport) -> bool {
        let at = slot.0 as usize;
        if !self.is_live(slot) {
            // A flow that opens here lasts for the shortest timeout.
            self.agenda.put_off(at, Nanos(u64::MAX));
            return false;
        }
        report.live += 1;
        if let Some(earliest) = self.goes_on_until(slot, rules) {
            self.agenda.put_off(at, earliest);
            return false;
        }
        self.agenda.keep(at);
        let Lines { track, conn, cold, .. } = self.shared.lines(slot);
        prefetch(track);
        prefetch(conn);
        prefetch(cold);
        true
    }

    /// Cuts a record of the flow if one is due, and has it freed if it has come to its end. `last` is room for its copy.
    fn consider(
        &mut self,
        slot: SlotId,
        last: &mut Snapshot,
        rules: &Rules,
        sink: &mut impl RecordSink,
        report: &mut SweepReport,
    ) {
        let at = slot.0 as usize;
        let Some(details) = self.snapshot(slot, last, sink, report) else {
            return;
        };
        let closed = last.meta.has(Meta::CLOSED) && rules.has_lingered(last.connection.closed_at);
        let end = if closed { Some(EndReason::EndOfFlowDetected) } else { rules.end(&Glance::of(last)) };
        let all = Last { flow: last, details: details.as_deref() };
        match end {
            Some(reason) => {
                self.cut(slot, &all, reason, rules.now, sink, report);
                // A full mailbox keeps the flow until the next sweep; its shadow already holds all there is.
                let _ = self.shared.retire.put(Retire::of(slot, last));
            }
            None if rules.active(self.shadows[at].cut_ms()) || self.shadows[at].is_full(last.packets) => {
                self.cut(slot, &all, EndReason::ActiveTimeout, rules.now, sink, report);
            }
            None => {}
        }
    }

    /// The earliest time at which a record of the flow may be due, as its hot line and shadow tell it; `None` where one may be due
    /// now.
    fn goes_on_until(&self, slot: SlotId, rules: &Rules) -> Option<Nanos> {
        let at = slot.0 as usize;
        let hot = &self.shared.busy[at].hot;
        let glance = Glance {
            meta: Meta(hot.meta.load(Ordering::Relaxed)),
            last_seen: Nanos(hot.last_seen.load(Ordering::Relaxed)),
            protocol: protocol_of(hot.key[1].load(Ordering::Relaxed)),
            packets: hot.packets.each_ref().map(|packets| packets.load(Ordering::Relaxed)),
        };
        let shadow = &self.shadows[at];
        let known = shadow.generation() == glance.meta.generation();
        // Written before the mark that it is closed, and once. What was there before may be read all the same: it leads to the
        // copy, or to the next look.
        let closed_at = || self.shared.quiet[at].conn.closed_at();
        let closed = glance.meta.has(Meta::CLOSED).then(closed_at);
        let due = rules.active(shadow.cut_ms()) || shadow.is_full(glance.packets);
        if !known || due || closed.is_some_and(|at| rules.has_lingered(at)) || rules.end(&glance).is_some() {
            return None;
        }
        Some(rules.earliest(&glance, shadow.cut_ms(), closed))
    }

    /// Makes `last` a consistent copy of a live slot, with the shadow made ready for the flow in it. Gives its details.
    fn snapshot(
        &mut self,
        slot: SlotId,
        last: &mut Snapshot,
        sink: &mut impl RecordSink,
        report: &mut SweepReport,
    ) -> Option<Option<Box<DetailsCopy>>> {
        let shared = &self.shared;
        // Boxed: few flows have details, and half a kilobyte of room for them would be moved with every copy.
        let details = shared.lines(slot).snapshot(last, |flow| shared.details(flow.details).map(Box::new))?;
        let at = slot.0 as usize;
        if last.meta.generation() != self.shadows[at].generation() {
            // The flow before this one may wait in the mailbox; it was put there before this one was published, and
            // needs the shadow that is about to be replaced.
            self.take_handovers(sink, report);
            if last.meta.generation() == self.shadows[at].generation() {
                // The flow of this copy was handed over meanwhile, with all there was to tell.
                return None;
            }
            self.shadows[at] = Shadow::begin(last);
        }
        last.meta.has(Meta::LIVE).then_some(details)
    }

    fn take_handovers(&mut self, sink: &mut impl RecordSink, report: &mut SweepReport) {
        while let Some(handover) = self.shared.handover.take() {
            let at = handover.slot.0 as usize;
            if self.shadows[at].generation() != handover.last.meta.generation() {
                self.shadows[at] = Shadow::begin(&handover.last);
            }
            let ended = handover.last.last_seen;
            let id = handover.last.details;
            // The Writer has let go of the blocks and waits for their return.
            let details = self.shared.details(id);
            let all = Last { flow: &handover.last, details: details.as_ref() };
            self.cut(handover.slot, &all, handover.reason, ended, sink, report);
            if id != DetailsId::NONE {
                let sent = self.shared.returned.put(id);
                debug_assert!(sent.is_ok(), "there is room for every block");
            }
        }
    }

    /// Exports what is new since the last record; nothing where nothing is.
    fn cut(
        &mut self,
        slot: SlotId,
        last: &Last<'_>,
        reason: EndReason,
        now: Nanos,
        sink: &mut impl RecordSink,
        report: &mut SweepReport,
    ) {
        let shadow = &mut self.shadows[slot.0 as usize];
        shadow.begin_window(now);
        if shadow.has_all(last.flow.packets) {
            return;
        }
        let counts = last.details.and_then(|details| details.counts);
        let counted = counts.and_then(|(place, _)| self.details_shadows.get_mut(place));
        let record = shadow.record(last, reason, counted);
        report.records += 1;
        report.packets += record.to_destination.packets_delta + record.to_source.packets_delta;
        sink.record(record);
    }

    fn pressure(&self) -> (u32, u32) {
        let fill =
            u64::from(self.shared.tallies.live.load(Ordering::Relaxed)) * 1_000 / self.shadows.len() as u64;
        PRESSURE
            .iter()
            .find(|(from, _, _)| fill >= *from)
            .map_or((0, 0), |&(_, single, other)| (single, other))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "capacity is at most 2^31")]
fn slot_at(place: usize) -> SlotId {
    SlotId(place as u32)
}

/// Flows to be considered, in the order they were chosen, each some time after.
struct Chosen {
    slots: [SlotId; Chosen::AHEAD],
    count: usize,
}

impl Chosen {
    /// Flows whose lines are under way at once.
    const AHEAD: usize = 8;

    /// Puts one behind the others. Gives the one whose turn it is, if all places were taken.
    fn put(&mut self, slot: SlotId) -> Option<SlotId> {
        let place = self.count % Chosen::AHEAD;
        let earlier = std::mem::replace(&mut self.slots[place], slot);
        self.count += 1;
        (self.count > Chosen::AHEAD).then_some(earlier)
    }

    /// Those that are left.
    fn left(&self) -> impl Iterator<Item = SlotId> {
        let (slots, count) = (self.slots, self.count);
        (count.saturating_sub(Chosen::AHEAD)..count).map(move |number| slots[number % Chosen::AHEAD])
    }
}

impl Default for Chosen {
    fn default() -> Chosen {
        Chosen { slots: [SlotId(0); Chosen::AHEAD], count: 0 }
    }
}

/// The last copy of a flow.
pub(crate) struct Last<'a> {
    pub(crate) flow: &'a Snapshot,
    pub(crate) details: Option<&'a DetailsCopy>,
}

/// What a look at the hot line tells; each word for itself, not of one moment.
struct Glance {
    meta: Meta,
    last_seen: Nanos,
    protocol: u8,
    packets: [u64; 2],
}

impl Glance {
    fn of(last: &Snapshot) -> Glance {
        Glance {
            meta: last.meta,
            last_seen: last.last_seen,
            protocol: last.key.protocol,
            packets: last.packets,
        }
    }
}

struct Rules<'a> {
    now: Nanos,
    timeouts: &'a Timeouts,
    single: u32,
    other: u32,
}

impl Rules<'_> {
    /// Why a flow that nobody closed has come to its end, if it has.
    fn end(&self, glance: &Glance) -> Option<EndReason> {
        let idle = self.timeouts.idle_ns(glance.protocol, glance.meta.state());
        let silent = self.now.since(glance.last_seen);
        let [lo_to_hi, hi_to_lo] = glance.packets;
        let shrink = if lo_to_hi + hi_to_lo <= 1 { self.single } else { self.other };
        if silent >= idle {
            Some(EndReason::IdleTimeout)
        } else if shrink > 0 && silent >= idle >> shrink {
            Some(EndReason::LackOfResources)
        } else {
            None
        }
    }

    /// Whether a flow that was closed at `at` has waited long enough for packets after its end.
    fn has_lingered(&self, at: Nanos) -> bool {
        self.now.since(at) >= self.timeouts.close_linger_ns
    }

    /// When a record of a flow may be due if nothing changes: never later than by the other functions here.
    fn earliest(&self, glance: &Glance, cut_ms: u32, closed_at: Option<Nanos>) -> Nanos {
        let idle = self.timeouts.idle_ns(glance.protocol, glance.meta.state());
        let ends = glance.last_seen.0.saturating_add(idle);
        let lingers = closed_at.map_or(u64::MAX, |at| at.0.saturating_add(self.timeouts.close_linger_ns));
        // Windows are told in whole milliseconds.
        let active = self.timeouts.active_ns.saturating_sub(self.lasted_ns(cut_ms) + NANOS_PER_MILLI);
        Nanos(ends.min(lingers).min(self.now.0.saturating_add(active)))
    }

    /// Whether a window that began at `cut_ms` has lasted for the active timeout.
    fn active(&self, cut_ms: u32) -> bool {
        self.lasted_ns(cut_ms) >= self.timeouts.active_ns
    }

    /// How long a window that began at `cut_ms` has lasted.
    fn lasted_ns(&self, cut_ms: u32) -> u64 {
        // The sweeper's clock may lag behind a packet's: a window from the future has lasted for 0 ms.
        let lasted = millis(self.now).wrapping_sub(cut_ms).cast_signed().max(0);
        u64::from(lasted.unsigned_abs()) * NANOS_PER_MILLI
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::key::{Endpoint, Family, FlowKey, protocol};
    use crate::packet::{FirstPacket, Packet, Role, TcpSegment};
    use crate::record::FlowRecord;
    use crate::table::{TableConfig, table};

    /// Packets nobody has the time to send: what the Writer would have counted is put in its place.
    #[test]
    fn a_window_of_2_to_the_31_packets_is_cut_before_its_time() {
        let (mut writer, mut sweeper) =
            table(&TableConfig { capacity: 4, ..TableConfig::default() }).unwrap();
        let end = |port| Endpoint { address: 1, port };
        let (key, direction) = FlowKey::canonical(Family::V4, protocol::UDP, end(1), end(2));
        writer.update_burst(&[Packet {
            key,
            direction,
            at: Nanos(0),
            bytes: 100,
            role: Role::Unknown,
            tcp: TcpSegment::default(),
            first: FirstPacket::default(),
            tunnel: 0,
        }]);
        let mut now = 0;
        let mut sent = |packets: [u64; 2]| {
            let hot = &sweeper.shared.busy[0].hot;
            hot.packets.iter().zip(packets).for_each(|(word, total)| word.store(total, Ordering::Relaxed));
            let mut records: Vec<FlowRecord> = Vec::new();
            now += 2_000_000_000;
            sweeper.sweep(Nanos(now), &Timeouts::default(), &mut records);
            records.first().map(|record| {
                let new = [record.to_destination.packets_delta, record.to_source.packets_delta];
                (record.end_reason, new)
            })
        };
        let (half, quarter) = (1 << 31, 1 << 30);
        assert_eq!(sent([1, 0]), None);
        assert_eq!(sent([half - 1, 0]), None);
        assert_eq!(sent([half, 0]), Some((EndReason::ActiveTimeout, [half, 0])));
        assert_eq!(sent([half + quarter, quarter - 1]), None);
        assert_eq!(sent([half + quarter, quarter]), Some((EndReason::ActiveTimeout, [quarter, quarter])));
        assert_eq!(sent([half * 2, half]), Some((EndReason::ActiveTimeout, [quarter, half - quarter])));
        assert_eq!(sent([half * 2, half]), None);
    }
}
