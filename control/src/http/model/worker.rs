//! A worker: its core, its queues, what it did.

use serde::Serialize;
use utoipa::ToSchema;

/// One worker on one core, with a flow table of its own.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct WorkerStatus {
    /// Number of the worker, from 0.
    pub id: u32,
    /// The core it is pinned to; absent where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<u32>,
    /// The queues it polls.
    pub queues: Vec<WorkerQueue>,
    /// Packets taken.
    pub packets: u64,
    /// Bytes of these, whole frames.
    pub bytes: u64,
    /// Polls that returned packets.
    pub bursts: u64,
    /// Polls that returned none.
    pub empty_polls: u64,
    /// Share of the time spent on packets rather than on empty polls, 0 to 1, over the last seconds; absent where it is not
    /// measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_ratio: Option<f64>,
    /// Flows in its table now.
    pub live_flows: u64,
    /// Flows its table can hold.
    pub capacity: u64,
    /// Flows opened.
    pub flows_opened: u64,
    /// Flows closed by a timeout, by their own end, or because the room was needed.
    pub flows_closed: u64,
    /// The part of these that was closed because the room was needed.
    pub flows_evicted: u64,
    /// Times a flow wanted a block of details (`flow.details`) when none was free: a tunnel, a lost segment or an event no span tells of.
    pub details_missing: u64,
}

/// A queue of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkerQueue {
    /// Name of the port.
    pub port: String,
    /// Number of the queue, from 0.
    pub queue: u16,
}
