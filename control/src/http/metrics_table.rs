//! The table of metrics: a row is name, unit, help and where the figure is found. A new counter is a new row.

use prometheus_client::registry::Unit;

use super::control_plane::Figures;
use super::model::{DestinationLedger, PortStatus, StageLatency, WorkerStatus};

/// One metric.
pub struct Metric {
    /// The name without unit and without `_total`, which the text has behind it.
    pub name: &'static str,
    /// Unit of the value.
    pub unit: MetricUnit,
    /// Whether it only grows.
    pub kind: Kind,
    /// One sentence for the operator.
    pub help: &'static str,
    /// Takes the figures out.
    pub(super) samples: fn(&Figures, &mut Samples),
}

/// Whether a metric only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows from 0 at the start.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// Unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// None, or one that is in the name.
    None,
    /// Packets.
    Packets,
    /// Bytes.
    Bytes,
    /// Flows.
    Flows,
    /// Records.
    Records,
    /// Spans.
    Spans,
    /// Seconds.
    Seconds,
    /// A share of one.
    Ratio,
}

impl MetricUnit {
    pub(super) fn prometheus(self) -> Option<Unit> {
        let other = |name: &str| Some(Unit::Other(name.to_owned()));
        match self {
            MetricUnit::None => None,
            MetricUnit::Packets => other("packets"),
            MetricUnit::Bytes => Some(Unit::Bytes),
            MetricUnit::Flows => other("flows"),
            MetricUnit::Records => other("records"),
            MetricUnit::Spans => other("spans"),
            MetricUnit::Seconds => Some(Unit::Seconds),
            MetricUnit::Ratio => other("ratio"),
        }
    }
}

/// Names and values of labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The value of a sample.
pub(super) enum Value {
    Count(u64),
    Level(f64),
}

/// The samples of one metric.
#[derive(Default)]
pub(super) struct Samples(Vec<(Labels, Value)>);

impl Samples {
    fn count<const N: usize>(&mut self, labels: [(&'static str, &str); N], count: u64) {
        self.push(labels, Value::Count(count));
    }

    fn level<const N: usize>(&mut self, labels: [(&'static str, &str); N], level: f64) {
        self.push(labels, Value::Level(level));
    }

    /// A whole number that goes up and down; above 2^53 the last digits are lost.
    #[expect(clippy::cast_precision_loss, reason = "the text format has floating point numbers for gauges")]
    fn whole<const N: usize>(&mut self, labels: [(&'static str, &str); N], level: u64) {
        self.level(labels, level as f64);
    }

    fn push<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: Value) {
        self.0.push((labels.map(|(name, value)| (name, value.to_owned())).into(), value));
    }

    pub(super) fn into_rows(self) -> Vec<(Labels, Value)> {
        self.0
    }
}

fn ports(figures: &Figures, samples: &mut Samples, count: fn(&PortStatus) -> u64) {
    figures.ports.iter().for_each(|port| samples.count([("port", &port.name)], count(port)));
}

fn workers(figures: &Figures, samples: &mut Samples, count: fn(&WorkerStatus) -> u64) {
    figures
        .workers
        .iter()
        .for_each(|worker| samples.count([("worker", &worker.id.to_string())], count(worker)));
}

fn destinations(figures: &Figures, samples: &mut Samples, sample: fn(&DestinationLedger, &mut Samples)) {
    figures.ledger.records.destinations.iter().for_each(|books| sample(books, samples));
}

fn stages(figures: &Figures) -> [(&'static str, &StageLatency); 3] {
    let latency = &figures.latency;
    [("burst", &latency.burst), ("sweep", &latency.sweep), ("export", &latency.export)]
}

const fn counter(
    name: &'static str,
    unit: MetricUnit,
    help: &'static str,
    samples: fn(&Figures, &mut Samples),
) -> Metric {
    Metric { name, unit, kind: Kind::Counter, help, samples }
}

const fn gauge(
    name: &'static str,
    unit: MetricUnit,
    help: &'static str,
    samples: fn(&Figures, &mut Samples),
) -> Metric {
    Metric { name, unit, kind: Kind::Gauge, help, samples }
}

/// All metrics, in the order of the text.
pub const METRICS: &[Metric] = &[
    gauge("tapspan_build_info", MetricUnit::None, "Always 1; the version is a label.", |f, s| {
        s.whole([("version", &f.status.version)], 1);
    }),
    gauge("tapspan_uptime", MetricUnit::Seconds, "Time since the start.", |f, s| {
        s.whole([], f.status.uptime_s);
    }),
    gauge(
        "tapspan_table_memory",
        MetricUnit::Bytes,
        "Memory of all flow tables, taken at the start.",
        |f, s| {
            s.whole([], f.status.memory.flow_tables_bytes);
        },
    ),
    counter("tapspan_port_rx", MetricUnit::Packets, "Packets the port delivered.", |f, s| {
        ports(f, s, |port| port.rx_packets);
    }),
    counter("tapspan_port_rx", MetricUnit::Bytes, "Bytes the port delivered.", |f, s| {
        ports(f, s, |port| port.rx_bytes);
    }),
    counter(
        "tapspan_port_rx_missed",
        MetricUnit::Packets,
        "Packets the port dropped because no descriptor was free.",
        |f, s| ports(f, s, |port| port.rx_missed),
    ),
    counter("tapspan_port_rx_error", MetricUnit::Packets, "Packets the port refused as damaged.", |f, s| {
        ports(f, s, |port| port.rx_errors);
    }),
    counter("tapspan_port_rx_nombuf", MetricUnit::None, "Times no packet buffer was free.", |f, s| {
        ports(f, s, |port| port.rx_nombuf);
    }),
    gauge("tapspan_port_link_up", MetricUnit::None, "1 where the port has a link, else 0.", |f, s| {
        f.ports.iter().for_each(|port| s.whole([("port", &port.name)], u64::from(port.link.up)));
    }),
    counter("tapspan_worker_rx", MetricUnit::Packets, "Packets the worker took.", |f, s| {
        workers(f, s, |worker| worker.packets);
    }),
    counter("tapspan_worker_rx", MetricUnit::Bytes, "Bytes of the packets the worker took.", |f, s| {
        workers(f, s, |worker| worker.bytes);
    }),
    counter("tapspan_worker_bursts", MetricUnit::None, "Polls that returned packets.", |f, s| {
        workers(f, s, |worker| worker.bursts);
    }),
    counter("tapspan_worker_empty_polls", MetricUnit::None, "Polls that returned no packet.", |f, s| {
        workers(f, s, |worker| worker.empty_polls);
    }),
    gauge("tapspan_worker_busy", MetricUnit::Ratio, "Share of the time spent on packets.", |f, s| {
        for worker in &f.workers {
            if let Some(ratio) = worker.busy_ratio {
                s.level([("worker", &worker.id.to_string())], ratio);
            }
        }
    }),
    gauge("tapspan_table_live", MetricUnit::Flows, "Flows in the worker's table.", |f, s| {
        f.workers.iter().for_each(|worker| s.whole([("worker", &worker.id.to_string())], worker.live_flows));
    }),
    gauge("tapspan_table_capacity", MetricUnit::Flows, "Flows the worker's table can hold.", |f, s| {
        f.workers.iter().for_each(|worker| s.whole([("worker", &worker.id.to_string())], worker.capacity));
    }),
    counter("tapspan_table_opened", MetricUnit::Flows, "Flows opened.", |f, s| {
        workers(f, s, |worker| worker.flows_opened);
    }),
    counter("tapspan_table_closed", MetricUnit::Flows, "Flows closed, for any reason.", |f, s| {
        workers(f, s, |worker| worker.flows_closed);
    }),
    counter(
        "tapspan_table_evicted",
        MetricUnit::Flows,
        "Flows closed because the room was needed.",
        |f, s| {
            workers(f, s, |worker| worker.flows_evicted);
        },
    ),
    counter(
        "tapspan_table_details_missing",
        MetricUnit::None,
        "Times a flow wanted a block of details when none was free; raise flow.details.",
        |f, s| workers(f, s, |worker| worker.details_missing),
    ),
    counter("tapspan_ledger_rx", MetricUnit::Packets, "Packets delivered by all ports.", |f, s| {
        s.count([], f.ledger.rx_packets);
    }),
    counter("tapspan_ledger_in_flows", MetricUnit::Packets, "Packets counted in a flow.", |f, s| {
        s.count([], f.ledger.in_flows);
    }),
    counter(
        "tapspan_ledger_not_in_flows",
        MetricUnit::Packets,
        "Packets not in a flow, by reason.",
        |f, s| {
            for row in f.ledger.not_in_flows.iter().filter(|row| !row.is_level()) {
                s.count([("layer", &row.layer), ("reason", &row.reason)], row.packets);
            }
        },
    ),
    gauge(
        "tapspan_ledger_fragments_waiting",
        MetricUnit::Packets,
        "Fragments waiting for the first part of their datagram, not yet in a flow.",
        |f, s| s.whole([], f.ledger.fragments_waiting()),
    ),
    counter(
        "tapspan_ledger_anomalies",
        MetricUnit::Packets,
        "Odd packets that are in a flow, by kind.",
        |f, s| {
            for row in &f.ledger.anomalies {
                s.count([("layer", &row.layer), ("reason", &row.reason)], row.packets);
            }
        },
    ),
    gauge(
        "tapspan_ledger_balanced",
        MetricUnit::None,
        "1 where every packet and record is accounted for.",
        |f, s| {
            s.whole([], u64::from(f.ledger.balanced));
        },
    ),
    counter("tapspan_sweep_cut", MetricUnit::Records, "Records cut.", |f, s| {
        s.count([], f.ledger.records.cut);
    }),
    counter(
        "tapspan_sweep_filtered",
        MetricUnit::Records,
        "Records left out because a condition of the record filter does not hold.",
        |f, s| s.count([], f.ledger.records.filtered),
    ),
    counter(
        "tapspan_sweep_sampled_out",
        MetricUnit::Records,
        "Records left out because their flow is not in the sample.",
        |f, s| s.count([], f.ledger.records.sampled_out),
    ),
    counter("tapspan_export_delivered", MetricUnit::Spans, "Spans the destination acknowledged.", |f, s| {
        destinations(f, s, |books, s| s.count([("destination", &books.destination)], books.delivered));
    }),
    gauge("tapspan_export_waiting", MetricUnit::Records, "Records waiting for the destination.", |f, s| {
        destinations(f, s, |books, s| s.whole([("destination", &books.destination)], books.waiting));
    }),
    counter(
        "tapspan_export_dropped",
        MetricUnit::Spans,
        "Spans that will not be delivered, by cause.",
        |f, s| {
            destinations(f, s, |books, s| {
                for row in &books.dropped {
                    s.count([("destination", &books.destination), ("cause", &row.cause)], row.spans);
                }
            });
        },
    ),
    counter(
        "tapspan_latency_measurements",
        MetricUnit::None,
        "Measurements behind the quantiles.",
        |f, s| {
            stages(f).into_iter().for_each(|(stage, latency)| s.count([("stage", stage)], latency.count));
        },
    ),
    gauge(
        "tapspan_latency",
        MetricUnit::Seconds,
        "Quantiles of the time a stage takes; 1 is the longest.",
        |f, s| {
            for (stage, latency) in stages(f) {
                for (quantile, ns) in latency.quantiles() {
                    s.level(
                        [("stage", stage), ("quantile", quantile)],
                        std::time::Duration::from_nanos(ns).as_secs_f64(),
                    );
                }
            }
        },
    ),
];
