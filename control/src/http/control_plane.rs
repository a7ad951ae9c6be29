//! What the endpoint asks of the program behind it.

use super::model::{
    FlowList, Flushed, Health, Latency, Ledger, PortStatus, Status, Timeouts, TimeoutsPatch, WorkerStatus,
};
use super::query::FlowQuery;

/// The program behind the endpoint.
///
/// Calls come from threads that may block, never from a worker's; several may come at once. None may disturb a worker.
pub trait ControlPlane: Send + Sync {
    /// The process as a whole.
    fn status(&self) -> Status;

    /// The ports, in the order of the settings.
    fn ports(&self) -> Vec<PortStatus>;

    /// The workers, by number.
    fn workers(&self) -> Vec<WorkerStatus>;

    /// Where every packet and record went.
    fn ledger(&self) -> Ledger;

    /// Live flows, filtered, ordered and cut to length as `query` says, see [`Top`](super::query::Top).
    ///
    /// # Errors
    /// Where the tables cannot be read now.
    fn flows(&self, query: &FlowQuery) -> Result<FlowList, Refusal>;

    /// How long the stages take.
    fn latency(&self) -> Latency;

    /// The timeouts in force from the next sweep on.
    fn timeouts(&self) -> Timeouts;

    /// Changes timeouts from the next sweep on, and gives them all back. The ranges are checked already.
    ///
    /// # Errors
    /// Where they cannot be changed now.
    fn set_timeouts(&self, patch: &TimeoutsPatch) -> Result<Timeouts, Refusal>;

    /// Cuts records of all live flows now, and waits for the sweep that does it.
    ///
    /// # Errors
    /// Where no sweep can be made now.
    fn flush(&self) -> Result<Flushed, Refusal>;

    /// Whether the threads of the program are alive. Where not, it should be started anew.
    fn liveness(&self) -> Health;

    /// Whether packets are being processed.
    fn readiness(&self) -> Health;

    /// All figures at once, for `/metrics`.
    fn figures(&self) -> Figures {
        Figures {
            status: self.status(),
            ports: self.ports(),
            workers: self.workers(),
            ledger: self.ledger(),
            latency: self.latency(),
        }
    }
}

/// What `/metrics` is made from.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The process as a whole.
    pub status: Status,
    /// The ports.
    pub ports: Vec<PortStatus>,
    /// The workers.
    pub workers: Vec<WorkerStatus>,
    /// Where every packet and record went.
    pub ledger: Ledger,
    /// How long the stages take.
    pub latency: Latency,
}

/// Why the program does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not now: it is starting, stopping or busy. Asking again later may help. Answered with 503.
    #[error("{0}")]
    Unavailable(String),
}
