//! Batches between the queue and the first attempt to send them: encoded here or on threads of their own, and held back
//! while a batch they must not overtake is under way.

use std::collections::VecDeque;
use std::io;

use tokio::task::JoinSet;

use super::destination::panicked;
use super::order::Order;
use super::press::Press;
use super::queue::Taken;
use super::transport::Batch;

/// The batches of one destination, numbered in their order.
pub(super) struct Line {
    /// Presses nobody uses.
    idle: Vec<Press>,
    /// Whether batches are pressed on threads of their own.
    on_threads: bool,
    pressing: JoinSet<(Press, u64, u64, io::Result<Batch>)>,
    waiting: VecDeque<Waiting>,
    /// `None` where one batch at a time is under way, and order comes by itself.
    order: Option<Order>,
    entered: u64,
    settled: u64,
    /// Most batches that are not settled.
    limit: u64,
}

/// A batch that was not sent yet.
struct Waiting {
    number: u64,
    /// It must not be sent before this one is settled.
    after: Option<u64>,
    /// `None` while it is being encoded.
    batch: Option<Batch>,
}

/// A batch that has been encoded, or could not be compressed.
pub(super) struct Pressed {
    pub(super) number: u64,
    pub(super) spans: u64,
    pub(super) outcome: io::Result<()>,
}

impl Line {
    /// `in_flight` batches may be under way at once, and one more may be made by each press that has a thread.
    pub(super) fn new(presses: Vec<Press>, in_flight: usize) -> Line {
        let on_threads = presses.len() > 1;
        let ahead = if on_threads { presses.len() } else { 0 };
        Line {
            idle: presses,
            on_threads,
            pressing: JoinSet::new(),
            waiting: VecDeque::new(),
            order: (in_flight + ahead > 1).then(Order::new),
            entered: 0,
            settled: 0,
            limit: (in_flight + ahead) as u64,
        }
    }

    /// Whether another batch may be taken from the queue.
    pub(super) fn has_room(&self) -> bool {
        self.entered - self.settled < self.limit && !self.idle.is_empty()
    }

    /// Whether every batch that entered is settled.
    pub(super) fn is_idle(&self) -> bool {
        self.entered == self.settled
    }

    /// Takes a batch, and encodes it where no thread is to do that. Only where there is room.
    pub(super) fn enter(&mut self, taken: Taken) -> Option<Pressed> {
        let number = self.entered;
        self.entered += 1;
        let after = self.order.as_mut().and_then(|order| order.enter(number, &taken));
        self.waiting.push_back(Waiting { number, after, batch: None });
        let mut press = self.idle.pop().expect("there is room");
        let spans = taken.spans();
        if self.on_threads {
            self.pressing.spawn_blocking(move || {
                let outcome = press.batch(&taken);
                (press, number, spans, outcome)
            });
            return None;
        }
        let outcome = press.batch(&taken);
        Some(self.keep(press, number, spans, outcome))
    }

    /// The next batch that a thread has encoded; `None` where none is at it.
    pub(super) async fn pressed(&mut self) -> Option<Pressed> {
        let (press, number, spans, outcome) =
            self.pressing.join_next().await?.unwrap_or_else(|error| panicked(error));
        Some(self.keep(press, number, spans, outcome))
    }

    fn keep(&mut self, press: Press, number: u64, spans: u64, outcome: io::Result<Batch>) -> Pressed {
        self.idle.push(press);
        let place = self.waiting.iter().position(|waiting| waiting.number == number);
        let place = place.expect("a batch waits until it is encoded");
        let outcome = outcome.map(|batch| self.waiting[place].batch = Some(batch));
        if outcome.is_err() {
            self.waiting.remove(place);
        }
        Pressed { number, spans, outcome }
    }

    /// The batch to send next, with its number, where it may be sent.
    pub(super) fn next(&mut self) -> Option<(u64, Batch)> {
        let first = self.waiting.front_mut()?;
        let order = self.order.as_ref();
        if first.after.zip(order).is_some_and(|(after, order)| order.is_open(after)) {
            return None;
        }
        let sent = (first.number, first.batch.take()?);
        self.waiting.pop_front();
        Some(sent)
    }

    /// A batch is taken by the destination, or lost.
    pub(super) fn settle(&mut self, number: u64) {
        self.settled += 1;
        if let Some(order) = &mut self.order {
            order.settle(number);
        }
    }
}
