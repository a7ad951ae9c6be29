//! What the export tests share: records, encoders, a transport the test answers for, and receivers on loopback.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its part")]
#![allow(unreachable_pub, reason = "a module of several binaries")]

pub mod receivers;

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use bytes::Bytes;
use flowtable::{
    Counters, Direction, EndReason, Endpoint as FlowEndpoint, Events, Family, FirstPacket, FlowKey,
    FlowRecord, Initiator, Nanos, protocol,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tapspan::export::{
    Answer, Batch, BatchEncoder, DestinationLedger, DropCause, Endpoint, ExportHandle, ExportSettings,
    Format, Retry, Sending, Transport,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Longest wait for something that must happen; only reached by a failing test.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// `count` records, numbered from `first`.
pub fn records(first: u32, count: u32) -> Vec<FlowRecord> {
    (first..first + count).map(record).collect()
}

fn record(number: u32) -> FlowRecord {
    let a = FlowEndpoint { address: 0x0a00_0001, port: 40_000 };
    let b = FlowEndpoint { address: 0x0a00_0002, port: 53 };
    let (key, forward) = FlowKey::canonical(Family::V4, protocol::UDP, a, b);
    assert_eq!(forward, Direction::LoToHi);
    FlowRecord {
        key,
        forward,
        initiator: Initiator::Source,
        first: FirstPacket::default(),
        flow_start: Nanos(1),
        start: Nanos(1),
        end: Nanos(2),
        number,
        end_reason: EndReason::IdleTimeout,
        tcp: None,
        to_destination: Counters::default(),
        to_source: Counters::default(),
        error: None,
        tunnel: None,
        events: Events::default(),
    }
}

/// The same with a flow for each.
pub fn records_of_flows(first: u32, count: u32) -> Vec<FlowRecord> {
    let apart = |record: FlowRecord| FlowRecord {
        key: FlowKey { lo_address: 0x0b00_0000 + u128::from(record.number), ..record.key },
        ..record
    };
    records(first, count).into_iter().map(apart).collect()
}

/// The names of the spans made from those records.
pub fn names(first: u32, count: u32) -> Vec<String> {
    (first..first + count).map(|number| format!("flow {number}")).collect()
}

pub fn request(records: &[FlowRecord]) -> ExportTraceServiceRequest {
    let spans = records
        .iter()
        .map(|record| Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: format!("flow {}", record.number),
            ..Span::default()
        })
        .collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }],
    }
}

pub fn names_in(request: &ExportTraceServiceRequest) -> Vec<String> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect()
}

pub fn names_in_protobuf(body: &[u8]) -> Vec<String> {
    names_in(&ExportTraceServiceRequest::decode(body).unwrap())
}

struct TestEncoder(Format);

impl BatchEncoder for TestEncoder {
    fn encode(&mut self, records: &[FlowRecord]) -> Bytes {
        match self.0 {
            Format::Protobuf => request(records).encode_to_vec().into(),
            Format::Json => serde_json::to_vec(&request(records)).unwrap().into(),
            Format::Text => {
                records.iter().map(|record| format!("flow {}\n", record.number)).collect::<String>().into()
            }
        }
    }
}

pub fn encoder(format: Format) -> Box<dyn BatchEncoder> {
    Box::new(TestEncoder(format))
}

/// Settings that retry without noticeable waits and send full batches only.
pub fn settings(url: &str, max_batch: usize) -> ExportSettings {
    let settings: ExportSettings = url.parse().unwrap();
    ExportSettings {
        max_batch,
        schedule_delay: None,
        retry: Retry {
            initial: Duration::from_millis(1),
            max_backoff: Duration::from_millis(2),
            ..Retry::default()
        },
        ..settings
    }
}

/// Settings of a destination behind a [`Scripted`] transport.
pub fn scripted_settings(name: &str, max_batch: usize, queue_capacity: usize) -> ExportSettings {
    let settings = settings("stdout", max_batch);
    ExportSettings { endpoint: Endpoint::File(PathBuf::from(name)), queue_capacity, ..settings }
}

/// One call of a scripted transport, waiting for the test's answer.
pub struct Call {
    pub batch: Batch,
    answer: oneshot::Sender<Answer>,
}

impl Call {
    pub fn names(&self) -> Vec<String> {
        // Scripted destinations are named as files, so they get JSON.
        names_in(&serde_json::from_slice(&self.batch.body).unwrap())
    }

    pub fn answer(self, answer: Answer) {
        self.answer.send(answer).expect("the exporter waits for the answer");
    }
}

/// A transport whose answers the test gives.
pub struct Scripted(Sender<Call>);

impl Transport for Scripted {
    fn send(&mut self, batch: Batch) -> Sending<'_> {
        let (answer, answered) = oneshot::channel();
        let sent = self.0.send(Call { batch, answer });
        Box::pin(async move {
            match sent {
                Ok(()) => answered.await.unwrap_or(Answer::Delivered),
                Err(_) => Answer::Refused("the test is over".into()),
            }
        })
    }

    fn another(&self) -> Option<Box<dyn Transport>> {
        Some(Box::new(Scripted(self.0.clone())))
    }
}

pub fn scripted() -> (Box<dyn Transport>, Receiver<Call>) {
    let (calls, received) = mpsc::channel();
    (Box::new(Scripted(calls)), received)
}

pub fn next<T>(received: &Receiver<T>) -> T {
    received.recv_timeout(PATIENCE).expect("the exporter makes the call")
}

/// The books of destination `index`, checked.
pub fn books(handle: &ExportHandle, index: usize) -> DestinationLedger {
    let books = handle.ledger().swap_remove(index);
    assert!(books.is_balanced(), "{books:?}");
    books
}

/// (records, delivered, waiting, dropped for any cause).
pub fn figures(books: &DestinationLedger) -> (u64, u64, u64, u64) {
    (books.records, books.delivered, books.waiting, books.dropped.total())
}

pub fn dropped(books: &DestinationLedger, cause: DropCause) -> u64 {
    let of_cause = books.dropped.of(cause);
    assert_eq!(books.dropped.total(), of_cause, "dropped for other causes too: {books:?}");
    of_cause
}

/// Waits for a state another thread brings about.
pub fn until(mut reached: impl FnMut() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < PATIENCE, "the state was not reached");
        std::thread::yield_now();
    }
}
