//! One destination's task: batch, encode, send, retry, book. Destinations share the exporter's thread and nothing else.
//!
//! Several batches are under way at once where the destination takes several: while one is acknowledged the next is sent and
//! the one after it encoded. Batches are sent in their order, those that share a flow one after the other ([`super::order`]). Once
//! one fails no other is begun, and what has failed is tried again one at a time, oldest first, so that a receiver in trouble
//! has no more than one request to answer.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::health::Health;
use super::ledger::DropCause;
use super::line::{Line, Pressed};
use super::press::Press;
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
    /// Batches that were not sent yet.
    line: Line,
    /// Ways to the destination no batch is on.
    lanes: Vec<Box<dyn Transport>>,
    sending: JoinSet<Attempt>,
    /// Batches that failed, oldest first.
    failed: VecDeque<Sent>,
    /// When the first of them is tried again; `None` for at once.
    resume_at: Option<Instant>,
    /// The batch whose patience `backoff` counts.
    patience_of: Option<u64>,
    backoff: Backoff,
    health: Health,
    endpoint: Endpoint,
    queue_full_seen: u64,
    jitter: RandomState,
}

/// A batch on its way.
struct Sent {
    number: u64,
    batch: Batch,
    /// Attempts before this one.
    attempts: u32,
}

/// What became of one attempt.
struct Attempt {
    lane: Box<dyn Transport>,
    sent: Sent,
    answer: Answer,
    took: Duration,
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
        presses: Vec<Press>,
        transport: Box<dyn Transport>,
    ) -> Destination {
        let mut lanes = vec![transport];
        while lanes.len() < settings.in_flight
            && let Some(another) = lanes[0].another()
        {
            lanes.push(another);
        }
        Destination {
            consumer: Consumer::new(Arc::clone(&queue), settings.max_batch, settings.schedule_delay),
            line: Line::new(presses, lanes.len()),
            lanes,
            sending: JoinSet::new(),
            failed: VecDeque::new(),
            resume_at: None,
            patience_of: None,
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
        for lane in &mut self.lanes {
            lane.prepare().await;
        }
        let mut is_open = true;
        loop {
            self.send();
            if !is_open && self.line.is_idle() {
                return DropCause::Shutdown;
            }
            tokio::select! {
                taken = self.consumer.next_batch(), if is_open && self.line.has_room() => match taken {
                    Some(taken) => {
                        let pressed = self.line.enter(taken);
                        self.refuse_broken(pressed);
                        // The connection is served by this thread too.
                        tokio::task::yield_now().await;
                    }
                    None => is_open = false,
                },
                Some(pressed) = self.line.pressed() => self.refuse_broken(Some(pressed)),
                Some(attempt) = self.sending.join_next() => {
                    if let End::GivenUp = self.answered(attempt) {
                        return DropCause::RetriesExhausted;
                    }
                    self.report_overflow();
                }
                () = at(self.resume_at) => self.resume_at = None,
            }
        }
    }

    /// Begins what may be sent now.
    fn send(&mut self) {
        if !self.failed.is_empty() {
            if self.resume_at.is_none()
                && self.sending.is_empty()
                && let Some(sent) = self.failed.pop_front()
            {
                self.begin(sent);
            }
            return;
        }
        while !self.lanes.is_empty()
            && let Some((number, batch)) = self.line.next()
        {
            self.begin(Sent { number, batch, attempts: 0 });
        }
    }

    fn begin(&mut self, sent: Sent) {
        let mut lane = self.lanes.pop().expect("no more batches are under way than there are lanes");
        self.sending.spawn(async move {
            let began = Instant::now();
            let answer = lane.send(sent.batch.clone()).await;
            Attempt { lane, sent, answer, took: began.elapsed() }
        });
    }

    /// Books a batch that could not be made.
    fn refuse_broken(&mut self, pressed: Option<Pressed>) {
        if let Some(Pressed { number, spans, outcome: Err(error) }) = pressed {
            self.settle(number, spans, Answer::Refused(format!("cannot compress the request: {error}")));
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

    fn answered(&mut self, attempt: Result<Attempt, JoinError>) -> End {
        let Attempt { lane, sent, answer, took } = attempt.unwrap_or_else(|error| panicked(error));
        self.lanes.push(lane);
        self.queue.note_call(took, sent.attempts, answer.trouble());
        match answer {
            Answer::Retry { after, reason } => self.retry(sent, after, &reason),
            answer => {
                self.backoff.answered();
                self.settle(sent.number, sent.batch.spans, answer);
                End::Settled
            }
        }
    }

    fn retry(&mut self, sent: Sent, after: Option<Duration>, reason: &str) -> End {
        self.health.failing(reason);
        let now = Instant::now();
        let (number, spans, attempts) = (sent.number, sent.batch.spans, sent.attempts);
        let place = self.failed.partition_point(|other| other.number < number);
        self.failed.insert(place, Sent { attempts: attempts + 1, ..sent });
        if attempts == 0 && self.failed.len() > 1 {
            // Another one is waiting to be tried already; this one's turn comes when that has been answered.
            let asked = after.map(|after| now + after);
            self.resume_at = self.resume_at.max(asked);
            return End::Settled;
        }
        if self.patience_of.replace(number) != Some(number) {
            self.backoff.begin_batch();
        }
        let random = self.random(number, attempts);
        match self.backoff.pause(now, after, random) {
            Some(pause) => {
                self.resume_at = Some(now + pause);
                End::Settled
            }
            None => {
                self.failed.remove(place);
                self.exhausted(number, spans, reason)
            }
        }
    }

    /// Books an answer that ends a batch.
    fn settle(&mut self, number: u64, spans: u64, answer: Answer) {
        self.line.settle(number);
        match answer {
            Answer::Delivered => {
                self.queue.settle(spans, Settlement::Delivered { rejected: 0 });
                self.health.taking();
            }
            Answer::Partial { rejected, message } => {
                self.queue.settle(spans, Settlement::Delivered { rejected });
                self.health.taking();
                if rejected > 0 {
                    self.health.lost(rejected.min(spans), DropCause::Rejected.as_str(), &message);
                } else {
                    self.health.remark(&message);
                }
            }
            Answer::Refused(reason) | Answer::Retry { reason, .. } => {
                self.queue.settle(spans, Settlement::Dropped(DropCause::Rejected));
                self.health.lost(spans, DropCause::Rejected.as_str(), &reason);
            }
        }
    }

    fn exhausted(&mut self, number: u64, spans: u64, reason: &str) -> End {
        if self.backoff.gives_destination_up() {
            // Closing the queue books this batch together with everything behind it.
            self.health.given_up(reason);
            return End::GivenUp;
        }
        self.line.settle(number);
        self.queue.settle(spans, Settlement::Dropped(DropCause::RetriesExhausted));
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
    fn random(&self, number: u64, attempts: u32) -> f64 {
        const STEPS: u32 = 1 << 24;
        let step = self.jitter.hash_one((number, attempts)) % u64::from(STEPS);
        f64::from(u32::try_from(step).unwrap_or(0)) / f64::from(STEPS)
    }
}

/// Goes on with the panic of a task, which is a defect of this program.
pub(super) fn panicked(error: JoinError) -> ! {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => panic!("a task of the exporter was cancelled: {error}"),
    }
}

/// Ends at `instant`; never where there is none.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
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
