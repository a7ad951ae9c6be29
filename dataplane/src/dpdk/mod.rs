//! DPDK behind safe types.
