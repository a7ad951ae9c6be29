//! Where packets come from.

pub mod capture;
#[cfg(feature = "dpdk")]
pub mod port;
