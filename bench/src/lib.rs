//! Traffic, sources and figures for measuring tapspan. No part of the probe.

pub mod encode;
pub mod export;
pub mod figures;
pub mod frames;
pub mod machine;
pub mod packets;
pub mod random;
pub mod records;
#[cfg(feature = "dpdk")]
pub mod rx;
#[cfg(feature = "dpdk")]
pub mod stamped;
