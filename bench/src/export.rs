//! Spans a second from the exporter's queue to the receiver's acknowledgment, and what that costs either side.
//!
//! The receiver speaks gRPC as far as it must: it reads each request to its end, counts its octets and acknowledges it. It
//! neither decompresses nor decodes. It has a core of its own where there are two, together with the thread that offers
//! records; the exporter has the other one. Its processor time stands beside the figure: where it is as long as the
//! measurement, the receiver is the limit. What the kernel does to bring octets over loopback is counted to the sender,
//! which runs the receiver's half of TCP too; [`loopback`] is that alone, without gRPC, encoder or exporter: what a span
//! costs the exporter at least.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use dataplane::clock::Stopwatch;
use flowtable::FlowRecord;
use http::{HeaderMap, HeaderValue, Response};
use tapspan::export::{BatchEncoder, Compression, Endpoint, ExportSettings, Exporter};
use tapspan::span::{Format, SpanEncoder};
use tokio::net::{TcpListener, TcpStream};

use crate::figures::Spread;
use crate::{encode, machine, records};

/// Records of one offer, as the sweep hands them over.
const CHUNK: usize = 512;
/// Different chunks offered in turn.
const CHUNKS: usize = 16;
/// Octets the receiver takes of a request, and of all on a connection, before it says that it has read them: what
/// grpc-go, and with it the Collector, grows to on a fast connection.
const WINDOW: u32 = 4 << 20;
/// Octets of a DATA frame at most, where the receiver does not ask for more.
const MAX_FRAME_LEN: f64 = 16_384.0;
/// The same with its header.
const FRAME_LEN: usize = 9 + 16_384;
/// A gRPC message of no octets: what says that all was taken.
const EMPTY_MESSAGE: &[u8] = &[0; 5];
/// Receivers are called so in a list of threads.
const RECEIVER: &str = "bench-receiver";
/// The thread that offers records, or sends octets.
const OFFERER: &str = "bench-offerer";
/// What the names of all of the exporter's threads begin with, of which the kernel keeps 15 characters.
const EXPORTER: [&str; 2] = ["tapspan-export", "tapspan-encode"];

/// What exporting came to.
#[derive(Clone, Copy, Debug)]
pub struct ExportFigures {
    /// Spans a second, from the first record offered to the last acknowledgment.
    pub spans_per_s: Spread,
    /// Octets of the gRPC messages, shared out; HTTP/2 adds 9 for every 16,384.
    pub bytes_per_span: f64,
    /// Processor time of all the exporter's threads for a span, ns, loopback's both halves included.
    pub exporter_ns_per_span: f64,
    /// Processor time of the receiver's thread for a span, ns.
    pub receiver_ns_per_span: f64,
    /// Whether receiver and exporter had a core each.
    pub own_cores: bool,
}

/// Exports `spans` spans to a new receiver, `runs` times, with the settings a destination has by default but for
/// `compression`, and as many `encoders`.
///
/// # Errors
/// Where the receiver or the exporter cannot start, or the books do not say that every span was delivered.
pub fn measure(compression: Compression, encoders: usize, runs: u32, spans: usize) -> Result<ExportFigures> {
    aside(|| exported(compression, encoders, runs, spans))
}

fn exported(compression: Compression, encoders: usize, runs: u32, spans: usize) -> Result<ExportFigures> {
    let chunks: Vec<Vec<FlowRecord>> =
        records::at_random(CHUNK * CHUNKS).chunks(CHUNK).map(<[FlowRecord]>::to_vec).collect();
    let cpus = machine::cpus();
    let (exporter_cpu, receiver_cpu) = (cpus[0], cpus[cpus.len() - 1]);
    let receiver = Receiver::start(receiver_cpu)?;
    let mut figures = Vec::new();
    let (mut exporter_ns, mut receiver_ns, mut sent) = (0, 0, 0);
    for _ in 0..runs {
        let settings = ExportSettings {
            compression,
            encoders,
            ..ExportSettings::new(Endpoint::Grpc { authority: receiver.address.to_string() })
        };
        // The exporter's threads begin where the thread is that makes them.
        machine::pin_to(exporter_cpu);
        let encoder = |_| -> Box<dyn BatchEncoder> { Box::new(Encoder(encode::encoder(Format::Protobuf))) };
        let exporter = Exporter::start(&[settings], encoder)?;
        machine::pin_to(receiver_cpu);
        let receiver_before = cpu_ns(&[RECEIVER]);
        let watch = Stopwatch::start();
        let handle = exporter.handle();
        let mut offered = 0;
        for chunk in chunks.iter().cycle().take(spans.div_ceil(CHUNK)) {
            handle.offer_blocking(chunk.clone());
            offered += chunk.len();
        }
        while handle.ledger()[0].waiting > 0 {
            handle.flush();
            std::thread::yield_now();
        }
        figures.push(per_second(offered, watch.elapsed_ns()));
        exporter_ns += cpu_ns(&EXPORTER);
        receiver_ns += cpu_ns(&[RECEIVER]) - receiver_before;
        sent += offered as u64;
        ensure!(exporter.shutdown(Duration::from_secs(10)).is_complete(), "spans were lost");
    }
    let share = |total: u64| per_second(usize::try_from(total).unwrap_or(usize::MAX), 1_000_000_000 * sent);
    Ok(ExportFigures {
        spans_per_s: Spread::of(figures),
        bytes_per_span: share(receiver.octets.load(Ordering::Relaxed)),
        exporter_ns_per_span: share(exporter_ns),
        receiver_ns_per_span: share(receiver_ns),
        own_cores: exporter_cpu != receiver_cpu,
    })
}

/// Processor time to send the octets of a span over a plain connection on loopback, in the frames of HTTP/2, ns: `runs` times
/// for `spans` spans of `bytes_per_span`. The reader has the other core, as the receiver has.
///
/// # Errors
/// Where there is no connection to be had.
pub fn loopback(bytes_per_span: f64, runs: u32, spans: u32) -> Result<Spread> {
    aside(|| sent_plainly(bytes_per_span, runs, spans))
}

fn sent_plainly(bytes_per_span: f64, runs: u32, spans: u32) -> Result<Spread> {
    let cpus = machine::cpus();
    let (sender_cpu, reader_cpu) = (cpus[0], cpus[cpus.len() - 1]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mut sender = std::net::TcpStream::connect(listener.local_addr()?)?;
    sender.set_nodelay(true)?;
    let (mut reader, _) = listener.accept()?;
    let read = move || {
        machine::pin_to(reader_cpu);
        let mut room = vec![0; 1 << 18];
        while reader.read(&mut room).is_ok_and(|len| len > 0) {}
    };
    let thread = std::thread::Builder::new().name(RECEIVER.into()).spawn(read)?;
    machine::pin_to(sender_cpu);
    let frame = vec![0x5a; FRAME_LEN];
    let frames = (f64::from(spans) * bytes_per_span / MAX_FRAME_LEN).ceil();
    let mut figures = Vec::new();
    for _ in 0..runs {
        let before = own_cpu_ns();
        let mut sent = 0.0;
        while sent < frames {
            sender.write_all(&frame)?;
            sent += 1.0;
        }
        figures.push(1.0 / per_second(spans as usize, own_cpu_ns() - before) * 1e9);
    }
    drop(sender);
    drop(thread.join());
    Ok(Spread::of(figures))
}

/// Does `work` on a thread of its own, which keeps the processors it is pinned to for itself: the caller, and what it measures
/// next, has all it had.
fn aside<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().name(OFFERER.into()).spawn_scoped(scope, work)?;
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Processor time of the calling thread, ns; 0 where the kernel does not count it.
fn own_cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_second(count: usize, elapsed_ns: u64) -> f64 {
    count as f64 * 1e9 / elapsed_ns as f64
}

/// Processor time of this process's threads whose names begin so, in ns; 0 where the kernel does not count it.
fn cpu_ns(names: &[&str]) -> u64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter(|task| {
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            names.iter().any(|begin| name.starts_with(begin))
        })
        .filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum()
}

struct Encoder(SpanEncoder);

impl BatchEncoder for Encoder {
    fn encode(&mut self, records: &[FlowRecord]) -> Bytes {
        self.0.encode(records)
    }

    fn encode_parts(&mut self, parts: &[&[FlowRecord]]) -> Bytes {
        self.0.encode_parts(parts)
    }
}

/// The receiver's thread, which ends when this is dropped.
struct Receiver {
    address: SocketAddr,
    /// Octets of messages so far. Read when all of them are acknowledged, so no ordering is needed.
    octets: Arc<AtomicU64>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    fn start(cpu: usize) -> Result<Receiver> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let octets = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let counter = Arc::clone(&octets);
        let serve = move || {
            machine::pin_to(cpu);
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, counter) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name(RECEIVER.into()).spawn(serve).context(RECEIVER)?;
        Ok(Receiver { address, octets, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Takes connections for ever. One that breaks ends by itself: the exporter's look at the start sends nothing.
async fn accept(listener: TcpListener, octets: Arc<AtomicU64>) {
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(serve(connection, Arc::clone(&octets)));
    }
}

async fn serve(connection: TcpStream, octets: Arc<AtomicU64>) -> Result<(), h2::Error> {
    let mut settings = h2::server::Builder::new();
    settings.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
    let mut connection = settings.handshake::<_, Bytes>(connection).await?;
    while let Some(request) = connection.accept().await {
        let (request, answer) = request?;
        tokio::spawn(discard(request.into_body(), answer, Arc::clone(&octets)));
    }
    Ok(())
}

/// Reads a request to its end and acknowledges it.
async fn discard(
    mut body: h2::RecvStream,
    mut answer: h2::server::SendResponse<Bytes>,
    octets: Arc<AtomicU64>,
) -> Result<(), h2::Error> {
    while let Some(data) = body.data().await {
        let len = data?.len();
        octets.fetch_add(len as u64, Ordering::Relaxed);
        body.flow_control().release_capacity(len)?;
    }
    let mut head = Response::new(());
    head.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let mut stream = answer.send_response(head, false)?;
    stream.send_data(Bytes::from_static(EMPTY_MESSAGE), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}
