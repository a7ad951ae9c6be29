//! One destination's task: batch, encode, send, retry, book. Destinations share the exporter's thread and nothing else.

use std::hash::{BuildHasher, RandomState};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::BatchEncoder;
use super::health::Health;
use super::ledger::DropCause;
use super::queue::{Consumer, Queue, Settlement};
use super::retry::Backoff;
use super::settings::{Endpoint, ExportSettings};
use super::transport::{Answer, Batch, Transport};

/// Longest time the first look at a destination may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// When the grace of the shutdown ends; `None` before there is one.
pub(super) type Deadline = watch::Receiver<Option<Instant>>;

/// How a batch ended.
enum End {
    Settled,
    /// Nothing more is to be sent.
    GivenUp,
}

pub(super) struct Destination {
    queue: Arc<Queue>,
    consumer: Consumer,
    encoder: Box<dyn BatchEncoder>,
    transport: Box<dyn Transport>,
    backoff: Backoff,
    health: Health,
    endpoint: Endpoint,
    queue_full_seen: u64,
    jitter: RandomState,
}

/// Closes the books also when the task panics, so that no offer waits for ever.
struct CloseOnDrop {
    queue: Arc<Queue>,
    cause: DropCause,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.queue.close(self.cause);
    }
}

impl Destination {
    pub(super) fn new(
        queue: Arc<Queue>,
        settings: &ExportSettings,
        encoder: Box<dyn BatchEncoder>,
        transport: Box<dyn Transport>,
    ) -> Destination {
        Destination {
            consumer: Consumer::new(Arc::clone(&queue), settings.max_batch, settings.schedule_delay),
            encoder,
            transport,
            backoff: Backoff::new(settings.retry),
            health: Health::new(queue.name()),
            endpoint: settings.endpoint.clone(),
            queue,
            queue_full_seen: 0,
            jitter: RandomState::new(),
        }
    }

    /// Runs until the queue is drained, the deadline has passed or the destination is given up.
    pub(super) async fn run(mut self, deadline: Deadline) {
        let mut closing = CloseOnDrop { queue: Arc::clone(&self.queue), cause: DropCause::Internal };
        closing.cause = tokio::select! {
            cause = self.pump() => cause,
            () = passed(deadline) => DropCause::Shutdown,
        };
        let left = self.queue.ledger().waiting;
        if left > 0 {
            self.health.lost(left, closing.cause.as_str(), "the destination was closed with spans waiting");
        }
    }

    async fn pump(&mut self) -> DropCause {
        self.look().await;
        let mut number: u64 = 0;
        loop {
            let Some(records) = self.consumer.next_batch().await else {
                return DropCause::Shutdown;
            };
            let batch = Batch { spans: records.len() as u64, body: self.encoder.encode(records) };
            if let End::GivenUp = self.deliver(batch, number).await {
                return DropCause::RetriesExhausted;
            }
            self.report_overflow();
            number += 1;
        }
    }

    /// Says in the log whether there is somebody listening, before the first batch depends on it.
    async fn look(&mut self) {
        let endpoint = self.endpoint.clone();
        if endpoint.host_port().is_none() {
            return;
        }
        let probing = tokio::task::spawn_blocking(move || probe(&endpoint, PROBE_TIMEOUT));
        // Resolving a name has no time limit of its own.
        let reason = match tokio::time::timeout(PROBE_TIMEOUT, probing).await {
            Ok(Ok(Ok(()))) => return self.health.reachable(),
            Ok(Ok(Err(reason))) => reason,
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => format!("no connection within {} s", PROBE_TIMEOUT.as_secs()),
        };
        self.queue.note_error(&reason);
        self.health.failing(&reason);
    }

    async fn deliver(&mut self, batch: Batch, number: u64) -> End {
        self.backoff.begin_batch();
        let mut attempt = 0;
        loop {
            let answer = self.attempt(&batch, attempt).await;
            let Answer::Retry { after, reason } = answer else {
                self.backoff.answered();
                self.book(batch.spans, answer);
                return End::Settled;
            };
            self.health.failing(&reason);
            self.report_overflow();
            let random = self.random(number, attempt);
            match self.backoff.pause(Instant::now(), after, random) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return self.exhausted(batch.spans, &reason),
            }
            attempt += 1;
        }
    }

    async fn attempt(&mut self, batch: &Batch, attempt: u32) -> Answer {
        let began = Instant::now();
        let answer = self.transport.send(batch.clone()).await;
        let took = began.elapsed();
        self.queue.note_call(took, attempt, answer.trouble());
        answer
    }

    /// Books an answer that ends a batch.
    fn book(&mut self, spans: u64, answer: Answer) {
        match answer {
            Answer::Delivered => {
                self.queue.settle(Settlement::Delivered { rejected: 0 });
                self.health.taking();
            }
            Answer::Partial { rejected, message } => {
                self.queue.settle(Settlement::Delivered { rejected });
                self.health.taking();
                if rejected > 0 {
                    self.health.lost(rejected.min(spans), DropCause::Rejected.as_str(), &message);
                } else {
                    self.health.remark(&message);
                }
            }
            Answer::Refused(reason) | Answer::Retry { reason, .. } => {
                self.queue.settle(Settlement::Dropped(DropCause::Rejected));
                self.health.lost(spans, DropCause::Rejected.as_str(), &reason);
            }
        }
    }

    fn exhausted(&mut self, spans: u64, reason: &str) -> End {
        if self.backoff.gives_destination_up() {
            // Closing the queue books this batch together with everything behind it.
            self.health.given_up(reason);
            return End::GivenUp;
        }
        self.queue.settle(Settlement::Dropped(DropCause::RetriesExhausted));
        self.health.lost(spans, DropCause::RetriesExhausted.as_str(), reason);
        End::Settled
    }

    /// The sweep threads only count what finds no room; the log entry is written here.
    fn report_overflow(&mut self) {
        let queue_full = self.queue.ledger().dropped.of(DropCause::QueueFull);
        self.health.overflowed(queue_full - self.queue_full_seen);
        self.queue_full_seen = queue_full;
    }

    /// Uniform in 0..1, different on every probe.
    fn random(&self, number: u64, attempt: u32) -> f64 {
        const STEPS: u32 = 1 << 24;
        let step = self.jitter.hash_one((number, attempt)) % u64::from(STEPS);
        f64::from(u32::try_from(step).unwrap_or(0)) / f64::from(STEPS)
    }
}

/// Whether something accepts connections at `endpoint`; files and standard output always pass. Blocks up to `timeout`
/// for each address of the host, plus the time the name takes to resolve.
///
/// # Errors
/// One line that says what the operating system said.
pub fn probe(endpoint: &Endpoint, timeout: Duration) -> Result<(), String> {
    let Some((host, port)) = endpoint.host_port() else {
        return Ok(());
    };
    let addresses = (host.as_str(), port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    let mut reason = format!("{host}: no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(_) => return Ok(()),
            Err(error) => reason = format!("{address}: {error}"),
        }
    }
    Err(reason)
}

/// Ends when the deadline, once there is one, has passed; a new one that is earlier counts at once.
async fn passed(mut deadline: Deadline) {
    loop {
        let at = *deadline.borrow_and_update();
        let changed = async {
            if deadline.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        match at {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => return,
                () = changed => {}
            },
            None => changed.await,
        }
    }
}
