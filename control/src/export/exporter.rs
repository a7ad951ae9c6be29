//! The exporter: its thread, its destinations, and the handle the sweep threads hold.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use flowtable::FlowRecord;
use hdrhistogram::Histogram;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::error;

use super::BatchEncoder;
use super::destination::{Deadline, Destination};
use super::grpc::{GrpcTransport, Security};
use super::http::HttpTransport;
use super::ledger::{DestinationLedger, FinalLedger};
use super::press::Press;
use super::queue::{Patience, Queue};
use super::settings::{Endpoint, ExportSettings, Format, SettingError};
use super::transport::Transport;
use super::writer;

/// Name of the exporter's thread, and of those that encode and write for it.
const THREAD_NAME: &str = "tapspan-export";

/// Why the exporter cannot start. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A destination cannot be used as it is set.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// No thread, no poller or no memory to compress in to be had.
    #[error("cannot start the exporter thread: {0}")]
    Thread(#[from] io::Error),
}

/// The running exporter. Dropping it without [`Exporter::shutdown`] ends it at once.
pub struct Exporter {
    handle: ExportHandle,
    deadline: watch::Sender<Option<Instant>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Offers records to every destination. Cheap to clone; any thread may hold one.
#[derive(Clone)]
pub struct ExportHandle {
    queues: Arc<[Arc<Queue>]>,
}

impl Exporter {
    /// Starts the exporter's thread, with one task for each of `destinations`.
    ///
    /// Files are created and TLS files read here, so that what can be known to be wrong is said at once. A collector
    /// that cannot be reached is not an error: records wait for it.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub fn start(
        destinations: &[ExportSettings],
        encoder: impl FnMut(Format) -> Box<dyn BatchEncoder>,
    ) -> Result<Exporter, StartError> {
        Exporter::start_with(destinations, encoder, transport)
    }

    /// The same with other ways to the destinations than their URLs say.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub fn start_with(
        destinations: &[ExportSettings],
        mut encoder: impl FnMut(Format) -> Box<dyn BatchEncoder>,
        mut transport: impl FnMut(&ExportSettings) -> Result<Box<dyn Transport>, SettingError>,
    ) -> Result<Exporter, StartError> {
        refuse_twice(destinations)?;
        let runtime = Builder::new_current_thread().enable_all().thread_name(THREAD_NAME).build()?;
        let guard = runtime.enter();
        let mut queues = Vec::with_capacity(destinations.len());
        let mut tasks = Vec::with_capacity(destinations.len());
        for settings in destinations {
            settings.validate()?;
            let queue = Arc::new(Queue::new(settings.endpoint.to_string(), settings.queue_capacity));
            let press = |_| Press::new(encoder(settings.format()), settings.body_compression());
            let presses = (0..settings.encoders).map(press).collect::<Result<Vec<_>, _>>()?;
            tasks.push(Destination::new(Arc::clone(&queue), settings, presses, transport(settings)?));
            queues.push(queue);
        }
        drop(guard);
        let (deadline, watch) = watch::channel(None);
        let thread = std::thread::Builder::new()
            .name(THREAD_NAME.into())
            .spawn(move || run(runtime, tasks, &watch))?;
        Ok(Exporter {
            handle: ExportHandle { queues: queues.into() },
            deadline,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// A handle for a thread that cuts records.
    pub fn handle(&self) -> ExportHandle {
        self.handle.clone()
    }

    /// Sends what is waiting and ends; what has not left when `grace` is over is dropped as
    /// [`DropCause::Shutdown`](super::DropCause::Shutdown). Records offered from now on are dropped the same way.
    ///
    /// `Duration::MAX` waits for as long as retries last. May be called again, also from another thread while the first
    /// call is waiting: the earliest deadline counts, and every call returns the same ledger.
    pub fn shutdown(&self, grace: Duration) -> FinalLedger {
        for queue in &*self.handle.queues {
            queue.drain();
        }
        if let Some(at) = Instant::now().checked_add(grace) {
            self.deadline.send_if_modified(|deadline| {
                let earlier = deadline.is_none_or(|current| at < current);
                if earlier {
                    *deadline = Some(at);
                }
                earlier
            });
        }
        // Held while joining, so that every caller returns after the end.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            error!("the exporter thread panicked");
        }
        FinalLedger { destinations: self.handle.ledger() }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shutdown(Duration::ZERO);
    }
}

impl ExportHandle {
    /// Hands `records` to every destination; where a queue is full the rest is dropped and counted there. Never blocks.
    pub fn offer(&self, records: Vec<FlowRecord>) {
        if records.is_empty() {
            return;
        }
        let records = Arc::new(records);
        for queue in &*self.queues {
            queue.offer(&records);
        }
    }

    /// Hands `records` to every destination and waits for room, so that nothing is dropped here: for replay. Ends
    /// also when a destination is given up or the exporter shut down; what it would not take is counted there.
    pub fn offer_blocking(&self, records: Vec<FlowRecord>) {
        self.offer_waiting(records, Patience::Forever);
    }

    /// As [`ExportHandle::offer_blocking`], for `limit` at most; then the rest is dropped as a full queue would: for
    /// the last sweep before a shutdown.
    pub fn offer_within(&self, records: Vec<FlowRecord>, limit: Duration) {
        let patience = Instant::now().checked_add(limit).map_or(Patience::Forever, Patience::Until);
        self.offer_waiting(records, patience);
    }

    fn offer_waiting(&self, records: Vec<FlowRecord>, patience: Patience) {
        if records.is_empty() {
            return;
        }
        let records = Arc::new(records);
        for queue in &*self.queues {
            queue.offer_waiting(&records, patience);
        }
    }

    /// Asks every destination to send what is queued without waiting for a full batch. Returns at once.
    pub fn flush(&self) {
        for queue in &*self.queues {
            queue.flush();
        }
    }

    /// The books of every destination, in the order they were configured; each is consistent in itself.
    pub fn ledger(&self) -> Vec<DestinationLedger> {
        self.queues.iter().map(|queue| queue.ledger()).collect()
    }

    /// Destination and duration of its export calls so far, in ns.
    pub fn latency_ns(&self) -> Vec<(String, Histogram<u64>)> {
        self.queues.iter().map(|queue| (queue.name().to_owned(), queue.latency_ns())).collect()
    }
}

/// The exporter's thread.
fn run(runtime: Runtime, tasks: Vec<Destination>, deadline: &Deadline) {
    runtime.block_on(async {
        let mut running = JoinSet::new();
        for task in tasks {
            running.spawn(task.run(deadline.clone()));
        }
        while let Some(ended) = running.join_next().await {
            if let Err(failure) = ended {
                error!(%failure, "a destination of the exporter failed and is closed");
            }
        }
    });
    // Not waiting for a write that hangs.
    runtime.shutdown_background();
}

fn transport(settings: &ExportSettings) -> Result<Box<dyn Transport>, SettingError> {
    Ok(match &settings.endpoint {
        Endpoint::Grpc { authority } => Box::new(GrpcTransport::new(authority, Security::Clear, settings)?),
        Endpoint::Grpcs { authority } => Box::new(GrpcTransport::new(authority, Security::Tls, settings)?),
        Endpoint::Http { url } => Box::new(HttpTransport::new(url, settings)?),
        Endpoint::File(path) => Box::new(writer::file(path, settings.file_format)?),
        Endpoint::Stdout => Box::new(writer::stdout()),
    })
}

/// Two writers of one file would overwrite each other.
fn refuse_twice(destinations: &[ExportSettings]) -> Result<(), SettingError> {
    for (index, settings) in destinations.iter().enumerate() {
        if destinations[..index].iter().any(|other| other.endpoint == settings.endpoint) {
            return Err(SettingError::new(
                "export",
                settings.endpoint.to_string(),
                "name each destination once",
            ));
        }
    }
    Ok(())
}
