//! A program of fixed figures, the endpoint before it, and a client of a few lines.

#![expect(clippy::unwrap_used, reason = "a failure in here is a failed test")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use flowtable::{Endpoint as KeyEnd, Family, FlowKey, Nanos, protocol};
use serde_json::Value;
use tapspan::http::model::{
    Check, DestinationLedger, Dropped, Duplex, Flow, FlowCounters, FlowEnd, FlowList, Flushed, Health,
    Latency, Ledger, Link, Memory, Mode, NicLedger, NotInFlows, Phase, PortStatus, RecordLedger, Rss,
    StageLatency, Status, Timeouts, TimeoutsPatch, Timestamp, WorkerQueue, WorkerStatus,
};
use tapspan::http::query::{FlowFigures, FlowQuery, Top};
use tapspan::http::{ControlPlane, Refusal, listen, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Three flows, one port, one worker.
pub(crate) struct FixedPlane {
    timeouts: Mutex<flowtable::Timeouts>,
    ready: Mutex<bool>,
    latency: tokio::sync::Mutex<()>,
}

impl Default for FixedPlane {
    fn default() -> FixedPlane {
        FixedPlane {
            timeouts: Mutex::default(),
            ready: Mutex::new(true),
            latency: tokio::sync::Mutex::default(),
        }
    }
}

impl FixedPlane {
    pub(crate) fn set_ready(&self, ready: bool) {
        *self.ready.lock().unwrap() = ready;
    }

    /// Lets `latency` wait until the guard is dropped.
    pub(crate) async fn hold_latency(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.latency.lock().await
    }

    fn is_ready(&self) -> bool {
        *self.ready.lock().unwrap()
    }
}

/// Last byte of the source address, source port, bytes, packets, first seen.
const FLOWS: [(u8, u16, u64, u64, u64); 3] =
    [(1, 1001, 100, 30, 1), (2, 1002, 200, 20, 3), (3, 1003, 300, 10, 2)];
const SERVER: [u8; 4] = [192, 0, 2, 1];

impl ControlPlane for FixedPlane {
    fn status(&self) -> Status {
        Status {
            version: "0.1.0".into(),
            mode: Mode::Live,
            phase: Phase::Running,
            started_at: Timestamp(Nanos(1_769_860_800_000_000_001)),
            uptime_s: 60,
            memory: Memory { huge_pages: false, detail: "4 KiB pages".into(), flow_tables_bytes: 1_000_000 },
            dpdk: Some("22.11.5".into()),
            packets_per_second: 16.5,
            live_flows: 3,
            capacity: 1000,
            notes: vec![],
        }
    }

    fn ports(&self) -> Vec<PortStatus> {
        vec![PortStatus {
            id: 0,
            name: "uplink".into(),
            device: "net_af_packet0,iface=eth1".into(),
            driver: "net_af_packet".into(),
            mac: Some("02:00:00:00:00:01".into()),
            numa_node: None,
            link: Link { up: true, speed_mbps: Some(10_000), duplex: Some(Duplex::Full) },
            promiscuous: true,
            rss: Rss { symmetric: true, detail: "one queue".into() },
            queues: 1,
            rx_packets: 1000,
            rx_bytes: 64_000,
            rx_missed: 5,
            rx_errors: 0,
            rx_nombuf: 0,
        }]
    }

    fn workers(&self) -> Vec<WorkerStatus> {
        vec![WorkerStatus {
            id: 0,
            core: Some(2),
            queues: vec![WorkerQueue { port: "uplink".into(), queue: 0 }],
            packets: 1000,
            bytes: 64_000,
            bursts: 100,
            empty_polls: 900,
            busy_ratio: Some(0.25),
            live_flows: 3,
            capacity: 1000,
            flows_opened: 10,
            flows_closed: 7,
            flows_evicted: 0,
            details_missing: 0,
        }]
    }

    fn ledger(&self) -> Ledger {
        let truncated = NotInFlows { layer: "ipv4".into(), reason: "truncated".into(), packets: 10 };
        let destination = DestinationLedger {
            destination: r#"file:a"b\c"#.into(),
            records: 7,
            delivered: 4,
            waiting: 2,
            dropped: vec![Dropped { cause: "queue_full".into(), spans: 1 }],
            last_error: None,
        };
        let nic = NicLedger { missed: 5, errors: 0, no_buffer: 0 };
        let records = RecordLedger { cut: 10, filtered: 1, sampled_out: 2, destinations: vec![destination] };
        Ledger::new(1000, 990, vec![truncated], vec![], nic, records)
    }

    fn flows(&self, query: &FlowQuery) -> Result<FlowList, Refusal> {
        let mut top = Top::new(query.limit);
        for (last, port, bytes, packets, first_seen_ns) in FLOWS {
            let near = KeyEnd { address: u32::from_be_bytes([10, 0, 0, last]).into(), port };
            let far = KeyEnd { address: u32::from_be_bytes(SERVER).into(), port: 443 };
            let (key, _) = FlowKey::canonical(Family::V4, protocol::TCP, near, far);
            if query.filter.matches(&key) {
                let figures = FlowFigures { bytes, packets, first_seen_ns, last_seen_ns: 10 };
                top.offer(query.sort.rank(&figures), || flow(&key, near, far, figures));
            }
        }
        Ok(FlowList { live: 3, matched: top.offered(), flows: top.into_sorted() })
    }

    fn latency(&self) -> Latency {
        let _held = self.latency.blocking_lock();
        let burst = StageLatency {
            count: 100,
            p50_ns: 1000,
            p90_ns: 2000,
            p99_ns: 3000,
            p999_ns: 4000,
            p9999_ns: 5000,
            max_ns: 6000,
        };
        Latency { burst, ..Latency::default() }
    }

    fn timeouts(&self) -> Timeouts {
        (*self.timeouts.lock().unwrap()).into()
    }

    fn set_timeouts(&self, patch: &TimeoutsPatch) -> Result<Timeouts, Refusal> {
        let mut timeouts = self.timeouts.lock().unwrap();
        *timeouts = patch.apply(*timeouts);
        Ok((*timeouts).into())
    }

    fn flush(&self) -> Result<Flushed, Refusal> {
        if self.is_ready() {
            Ok(Flushed { records: 3 })
        } else {
            Err(Refusal::Unavailable("stopping".into()))
        }
    }

    fn liveness(&self) -> Health {
        Health::of(vec![Check { name: "worker 0".into(), ok: true, detail: "polling".into() }])
    }

    fn readiness(&self) -> Health {
        Health::of(vec![Check { name: "ports".into(), ok: self.is_ready(), detail: "one of one".into() }])
    }
}

fn flow(key: &FlowKey, source: KeyEnd, destination: KeyEnd, figures: FlowFigures) -> Flow {
    Flow {
        source: FlowEnd { address: key.ip(source.address), port: source.port },
        destination: FlowEnd { address: key.ip(destination.address), port: destination.port },
        transport: "tcp".into(),
        vlans: vec![],
        forward: FlowCounters { packets: figures.packets, bytes: figures.bytes },
        reverse: FlowCounters::default(),
        first_seen: Timestamp(Nanos(figures.first_seen_ns)),
        last_seen: Timestamp(Nanos(figures.last_seen_ns)),
        age_ns: 10,
        idle_ns: 0,
        state: Some("established".into()),
        worker: 0,
    }
}

/// The endpoint on a free port of loopback.
pub(crate) struct Endpoint {
    pub(crate) plane: Arc<FixedPlane>,
    pub(crate) address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Endpoint {
    pub(crate) async fn start() -> Endpoint {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let plane = Arc::new(FixedPlane::default());
        let (shutdown, stopped) = oneshot::channel::<()>();
        let served: Arc<dyn ControlPlane> = plane.clone();
        let server = tokio::spawn(serve(listener, served, async {
            let _dropped = stopped.await;
        }));
        Endpoint { plane, address, shutdown, server }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.server.await.unwrap().unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], None).await
    }

    pub(crate) async fn patch(&self, body: &str) -> Answer {
        self.request("PATCH", "/api/v1/timeouts", &[], Some(body)).await
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        request(self.address, method, path, headers, body).await
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// One request on a connection of its own; a body is JSON unless a header says otherwise.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    let own = [("host", address.to_string()), ("content-type", "application/json".to_owned())];
    let given = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let missing = own.into_iter().filter(|(name, _)| headers.iter().all(|(given, _)| given != name));
    for (name, value) in given.chain(missing) {
        head += &format!("{name}: {value}\r\n");
    }
    let body = body.unwrap_or_default();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.into()));
    Answer { status, text: text.into(), headers: headers.collect() }
}
