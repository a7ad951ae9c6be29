//! The flow table of one worker: fixed in size, one [`Writer`], one [`Sweeper`], no locks.
//!
//! Pure: sees no packet bytes, does no I/O, reads no clock, knows nothing of DPDK.

mod key;
mod packet;
mod record;
mod tcp;
mod time;
mod timeouts;

pub use key::{Direction, Endpoint, Family, FlowKey, protocol};
pub use packet::{FirstPacket, Packet, PortId, Role, TcpSegment, tcp_flag};
pub use record::{Counters, EndReason, FlowRecord, Initiator, RecordSink, TcpRecord};
pub use tcp::TcpState;
pub use time::{Nanos, duration_ns};
pub use timeouts::Timeouts;
