//! Traffic, sources and figures for measuring tapspan. No part of the probe.

pub mod capture;
pub mod encode;
pub mod export;
pub mod figures;
pub mod frames;
pub mod machine;
pub mod ndr;
pub mod packets;
pub mod random;
pub mod records;

#[cfg(feature = "dpdk")]
pub mod away;
#[cfg(feature = "dpdk")]
pub mod capacity;
#[cfg(feature = "dpdk")]
pub mod lane;
#[cfg(feature = "dpdk")]
pub mod measure;
#[cfg(feature = "dpdk")]
pub mod nic;
#[cfg(feature = "dpdk")]
pub mod plot;
#[cfg(feature = "dpdk")]
pub mod report;
#[cfg(feature = "dpdk")]
pub mod scenarios;
#[cfg(feature = "dpdk")]
pub mod sink;
#[cfg(feature = "dpdk")]
pub mod stage;
#[cfg(feature = "dpdk")]
pub mod stamped;
#[cfg(feature = "dpdk")]
pub mod traffic;
