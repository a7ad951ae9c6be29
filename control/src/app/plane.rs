//! The running program as the control endpoint sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use dataplane::clock::{Clock, Stopwatch, UtcClock};
use dataplane::dpdk::{Eal, Port, Promiscuous, RssState};
use dataplane::ledger::{WorkerCounters, WorkerFigures};
use flowtable::{Nanos, Observer};
use hdrhistogram::Histogram;

use super::outlet::RecordBooks;
use super::sweep::SweepControl;
use super::{live_flows, report};
use crate::export::ExportHandle;
use crate::http::model::{
    Check, Duplex, FlowList, Flushed, Health, Latency, Ledger, Link, Memory, Mode, NicLedger, Phase,
    PortStatus, Rss, StageLatency, Status, Timeouts, TimeoutsPatch, Timestamp, WorkerQueue, WorkerStatus,
};
use crate::http::query::FlowQuery;
use crate::http::{ControlPlane, Refusal};

/// Longest time a request waits for a sweep.
const FLUSH_PATIENCE: Duration = Duration::from_secs(10);
/// Longest service time told apart, ns.
const LONGEST_NS: u64 = 1 << 40;
const NS_PER_SECOND: u64 = 1_000_000_000;
const MAC_LEN: usize = 6;

/// A port under the name spans give it.
pub(super) struct NamedPort {
    pub(super) name: String,
    pub(super) device: String,
    pub(super) port: Port,
}

/// A worker as others may look at it.
pub(super) struct WorkerView {
    pub(super) core: u16,
    pub(super) queues: Vec<WorkerQueue>,
    pub(super) counters: Arc<WorkerCounters>,
    pub(super) observer: Observer,
}

/// Everything the endpoint tells.
pub(super) struct Plane {
    pub(super) clock: UtcClock,
    pub(super) started: Nanos,
    pub(super) uptime: Stopwatch,
    pub(super) phase: AtomicU8,
    pub(super) memory: Memory,
    pub(super) notes: Vec<String>,
    pub(super) ports: Vec<NamedPort>,
    pub(super) workers: Vec<WorkerView>,
    pub(super) sweep: Arc<SweepControl>,
    pub(super) books: RecordBooks,
    pub(super) export: ExportHandle,
}

impl Plane {
    /// From here on the program is in `phase`.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        let phases = [Phase::Starting, Phase::Running, Phase::Draining];
        phases
            .into_iter()
            .find(|phase| *phase as u8 == self.phase.load(Ordering::Relaxed))
            .unwrap_or(Phase::Draining)
    }

    fn figures_total(&self) -> WorkerFigures {
        self.workers.iter().fold(WorkerFigures::default(), |sum, worker| sum.plus(&worker.counters.read()))
    }

    fn nic(&self) -> NicLedger {
        let stats = self.ports.iter().filter_map(|named| named.port.stats());
        stats.fold(NicLedger::default(), |sum, stats| NicLedger {
            missed: sum.missed + stats.rx_missed,
            errors: sum.errors + stats.rx_errors,
            no_buffer: sum.no_buffer + stats.rx_no_buffer,
        })
    }
}

impl ControlPlane for Plane {
    fn status(&self) -> Status {
        let tables = self.workers.iter().map(|worker| worker.observer.stats());
        let (live, capacity) =
            tables.fold((0, 0), |(live, all), table| (live + table.live, all + table.capacity));
        let uptime_ns = self.uptime.elapsed_ns();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            mode: Mode::Live,
            phase: self.phase(),
            started_at: Timestamp(self.started),
            uptime_s: uptime_ns / NS_PER_SECOND,
            memory: self.memory.clone(),
            dpdk: Some(Eal::version().to_owned()),
            packets_per_second: self.sweep.packets_per_second(),
            live_flows: live,
            capacity,
            notes: self.notes.clone(),
        }
    }

    fn ports(&self) -> Vec<PortStatus> {
        (0..).zip(&self.ports).map(|(id, named)| port_status(id, named)).collect()
    }

    fn workers(&self) -> Vec<WorkerStatus> {
        (0..).zip(&self.workers).map(|(id, worker)| worker_status(id, worker)).collect()
    }

    fn ledger(&self) -> Ledger {
        report::ledger(&self.figures_total(), self.nic(), self.books.read())
    }

    fn flows(&self, query: &FlowQuery) -> Result<FlowList, Refusal> {
        Ok(live_flows::list(self.workers.iter().map(|worker| &worker.observer), query, self.clock.now()))
    }

    fn latency(&self) -> Latency {
        let mut burst = Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("bounds and digits are in range");
        for worker in &self.workers {
            let service = &worker.counters.service_ns;
            for (ns, count) in service.counts() {
                burst.saturating_record_n(ns.min(service.max()), count);
            }
        }
        let mut export: Option<Histogram<u64>> = None;
        for (_, histogram) in self.export.latency_ns() {
            match &mut export {
                Some(sum) => sum.add(histogram).expect("all have the same bounds"),
                None => export = Some(histogram),
            }
        }
        Latency {
            burst: StageLatency::of(&burst),
            sweep: StageLatency::of(&self.sweep.durations_ns()),
            export: export.as_ref().map(StageLatency::of).unwrap_or_default(),
        }
    }

    fn timeouts(&self) -> Timeouts {
        self.sweep.timeouts().into()
    }

    fn set_timeouts(&self, patch: &TimeoutsPatch) -> Result<Timeouts, Refusal> {
        Ok(self.sweep.change(|timeouts| patch.apply(timeouts)).into())
    }

    fn flush(&self) -> Result<Flushed, Refusal> {
        let refusal = || {
            Refusal::Unavailable("no sweep could be made now: the program is stopping or very busy".into())
        };
        self.sweep.flush(FLUSH_PATIENCE).map(|records| Flushed { records }).ok_or_else(refusal)
    }

    fn liveness(&self) -> Health {
        let sweeping = self.sweep.is_alive();
        Health::of(vec![Check {
            name: "sweep".into(),
            ok: sweeping,
            detail: format!(
                "{} sweeps, the last one ended {} ms ago",
                self.sweep.sweeps(),
                self.sweep.idle_ms()
            ),
        }])
    }

    fn readiness(&self) -> Health {
        let phase = self.phase();
        let polled: u64 = self.workers.iter().map(|worker| worker.counters.polls()).sum();
        let checks = vec![
            Check {
                name: "phase".into(),
                ok: phase == Phase::Running,
                detail: format!("{phase:?}").to_lowercase(),
            },
            Check { name: "workers".into(), ok: polled > 0, detail: format!("{polled} polls so far") },
        ];
        Health::of(checks)
    }
}

fn port_status(id: u16, named: &NamedPort) -> PortStatus {
    let info = named.port.info();
    let link = named.port.link();
    let stats = named.port.stats().unwrap_or_default();
    PortStatus {
        id,
        name: named.name.clone(),
        device: named.device.clone(),
        driver: info.driver.clone(),
        mac: info.mac.map(mac_text),
        numa_node: info.numa_node.map(u32::from),
        link: Link {
            up: link.is_some_and(|link| link.up),
            speed_mbps: link.and_then(|link| link.speed_mbps),
            duplex: link.map(|link| if link.full_duplex { Duplex::Full } else { Duplex::Half }),
        },
        promiscuous: info.promiscuous == Promiscuous::On,
        rss: Rss { symmetric: !matches!(info.rss, RssState::Asymmetric(_)), detail: info.rss.to_string() },
        queues: info.rx_queues,
        rx_packets: stats.rx_packets,
        rx_bytes: stats.rx_bytes,
        rx_missed: stats.rx_missed,
        rx_errors: stats.rx_errors,
        rx_nombuf: stats.rx_no_buffer,
    }
}

fn worker_status(id: u32, worker: &WorkerView) -> WorkerStatus {
    let figures = worker.counters.read();
    let table = worker.observer.stats();
    let polls = worker.counters.polls();
    let busy = figures.bursts as f64 / polls.max(1) as f64;
    WorkerStatus {
        id,
        core: Some(worker.core.into()),
        queues: worker.queues.clone(),
        packets: figures.packets,
        bytes: figures.bytes,
        bursts: figures.bursts,
        empty_polls: polls.saturating_sub(figures.bursts),
        busy_ratio: (polls > 0).then_some(busy.min(1.0)),
        live_flows: table.live,
        capacity: table.capacity,
        flows_opened: table.opened,
        flows_closed: table.freed + table.reused,
        flows_evicted: table.evicted,
        details_missing: table.details_missing,
    }
}

fn mac_text(mac: [u8; MAC_LEN]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}
