//! The process as a whole, and whether it is well.

use serde::Serialize;
use utoipa::ToSchema;

use super::Timestamp;

/// The process as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Status {
    /// Version of tapspan.
    pub version: String,
    /// What it was started for.
    pub mode: Mode,
    /// How far it is.
    pub phase: Phase,
    /// When it was started.
    pub started_at: Timestamp,
    /// Seconds since then.
    pub uptime_s: u64,
    /// Memory of the flow tables and the packet buffers.
    pub memory: Memory,
    /// Version of DPDK; absent where packets come from files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpdk: Option<String>,
    /// Packets a second over the last seconds, all ports.
    pub packets_per_second: f64,
    /// Live flows, all workers.
    pub live_flows: u64,
    /// Flows all tables can hold.
    pub capacity: u64,
    /// One line each: what the operator should know, such as a port without symmetric RSS.
    pub notes: Vec<String>,
}

/// What the process was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Receiving from ports.
    Live,
    /// Reading capture files.
    Replay,
}

/// How far the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Ports, tables and exporter are being set up.
    Starting,
    /// Packets are processed.
    Running,
    /// No more packets are taken; what was counted is being exported.
    Draining,
}

/// Where the big pieces of memory come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Memory {
    /// Whether DPDK's memory is in huge pages.
    pub huge_pages: bool,
    /// The same in words, with the size of the pages.
    pub detail: String,
    /// Bytes of all flow tables, taken at start.
    pub flow_tables_bytes: u64,
}

/// Whether the process is well, with one line for each thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// Whether every check is.
    pub ok: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// Its name, such as `worker 0` or `sweeper`.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

impl Health {
    /// Well where all of `checks` are.
    pub fn of(checks: Vec<Check>) -> Health {
        Health { ok: checks.iter().all(|check| check.ok), checks }
    }
}
