//! What the endpoint answers with. Units are in the names: `_s`, `_ns`, `_bytes`, `_mbps`; counters are since the start.

mod flow;
mod latency;
mod ledger;
mod port;
mod status;
mod timeouts;
mod timestamp;
mod worker;

pub use flow::{Flow, FlowCounters, FlowEnd, FlowList, Flushed};
pub use latency::{Latency, StageLatency};
pub use ledger::{DestinationLedger, Dropped, Ledger, NicLedger, NotInFlows, RecordLedger};
pub use port::{Duplex, Link, PortStatus, Rss};
pub use status::{Check, Health, Memory, Mode, Phase, Status};
pub use timeouts::{IdleTimeouts, IdleTimeoutsPatch, Timeouts, TimeoutsPatch};
pub use timestamp::Timestamp;
pub use worker::{WorkerQueue, WorkerStatus};
