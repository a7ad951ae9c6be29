//! Where packets come from.

#[cfg(feature = "dpdk")]
pub mod port;
