//! DPDK behind safe types: the EAL, ports, queues, pools and worker threads, each closed when dropped.
//!
//! The only part of the crate that sees the bindings. Raw pointers stay inside; order of tear-down is held by
//! reference counts: a [`Burst`] and a queue keep their [`Port`] open, a port keeps the [`Eal`] up.

#![expect(unsafe_code, reason = "this module is the safe side of the bindings")]

mod device;
mod eal;
mod error;
mod kernel;
mod log;
pub mod machine;
mod pool;
mod port;
mod refusal;
mod rss;
mod rx;
mod setup;
mod thread;
mod tx;

pub use device::{Bus, DeviceSpec};
pub use eal::{AttachedPort, Eal, EalOptions, HugePages, MemoryMode};
pub use error::{DpdkError, Errno};
pub use log::{LogLevel, set_log_sink};
pub use port::{Link, Port, PortConfig, PortInfo, PortStats, Promiscuous};
pub use rss::RssState;
pub use rx::{Burst, Frame, MAX_BURST, RxQueue};
pub use thread::WorkerThread;
pub use tx::TxQueue;
