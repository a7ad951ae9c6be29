//! A port: what it is, whether it has a link, what it received.

use serde::Serialize;
use utoipa::ToSchema;

/// A port packets are received on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PortStatus {
    /// Number of the port, from 0 in the order of the settings.
    pub id: u16,
    /// What spans call it.
    pub name: String,
    /// What DPDK calls it.
    pub device: String,
    /// The driver in charge, such as `net_ixgbe`.
    pub driver: String,
    /// MAC address, lower case with colons; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// NUMA node it is attached to; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u32>,
    /// The link.
    pub link: Link,
    /// Whether frames not addressed to the port are received.
    pub promiscuous: bool,
    /// How packets are spread over queues.
    pub rss: Rss,
    /// Receive queues.
    pub queues: u16,
    /// Packets delivered to the probe.
    pub rx_packets: u64,
    /// Bytes of these, as the driver counts them.
    pub rx_bytes: u64,
    /// Packets the port dropped because no descriptor was free: the probe was too slow.
    pub rx_missed: u64,
    /// Packets the port refused as damaged.
    pub rx_errors: u64,
    /// Times no packet buffer was free.
    pub rx_nombuf: u64,
}

/// The state of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Link {
    /// Whether there is a signal.
    pub up: bool,
    /// Speed in Mbit/s; absent where not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_mbps: Option<u32>,
    /// Duplex; absent where not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplex: Option<Duplex>,
}

/// Whether a link sends and receives at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Duplex {
    /// One way at a time.
    Half,
    /// Both ways at once.
    Full,
}

/// How a port spreads packets over its queues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rss {
    /// Whether both directions of a conversation come to the same queue, as read back from the port. True for a single queue.
    pub symmetric: bool,
    /// The same in words: the hash, or why there is none.
    pub detail: String,
}
