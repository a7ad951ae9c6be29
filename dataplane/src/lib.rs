//! Packets to flow updates: parsers, packet sources and the poll-mode worker.
//!
//! Sees no span and no configuration file. Only `dpdk` sees the bindings.

mod chains;
pub mod clock;
pub mod dedup;
#[cfg(feature = "dpdk")]
pub mod dpdk;
pub mod filter;
pub mod fragments;
pub mod histogram;
pub mod intake;
pub mod ledger;
pub mod reason;
mod seeded;
pub mod source;
pub mod wire;
pub mod worker;
