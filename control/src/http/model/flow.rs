//! Live flows.

use serde::Serialize;
use utoipa::ToSchema;

use super::Timestamp;

/// Some of the live flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FlowList {
    /// Live flows in all tables.
    pub live: u64,
    /// The part of these that the filter lets through.
    pub matched: u64,
    /// The first of these in the order asked for.
    pub flows: Vec<Flow>,
}

/// A live flow. Counters are since its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Flow {
    /// Where it comes from.
    pub source: FlowEnd,
    /// Where it goes to.
    pub destination: FlowEnd,
    /// Lower-case IANA keyword, such as `tcp`; the number as text where IANA has none.
    pub transport: String,
    /// VLAN ids, outer first; empty where untagged.
    pub vlans: Vec<u16>,
    /// Source to destination.
    pub forward: FlowCounters,
    /// Destination to source.
    pub reverse: FlowCounters,
    /// Receive time of its first packet.
    pub first_seen: Timestamp,
    /// Receive time of its latest packet.
    pub last_seen: Timestamp,
    /// Nanoseconds since the first packet.
    pub age_ns: u64,
    /// Nanoseconds since the latest packet.
    pub idle_ns: u64,
    /// State of a TCP connection, such as `established`; absent for other protocols.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The worker whose table it is in.
    pub worker: u32,
}

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FlowEnd {
    /// IPv4 or IPv6 address.
    #[schema(value_type = String, example = "192.0.2.1")]
    pub address: std::net::IpAddr,
    /// Port; for ICMP what Community ID uses; 0 for protocols without ports.
    pub port: u16,
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FlowCounters {
    /// Packets.
    pub packets: u64,
    /// Octets, IP or whole frames as `flow.bytes` says.
    pub bytes: u64,
}

/// Answer to a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Flushed {
    /// Records cut by it. Flows live on; flows without packets since their last record get none.
    pub records: u64,
}
