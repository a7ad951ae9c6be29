//! The flow table of one worker: fixed in size, one [`Writer`], one [`Sweeper`], no locks.
//!
//! Pure: sees no packet bytes, does no I/O, reads no clock, knows nothing of DPDK.

mod agenda;
mod brief;
mod burst;
mod cold;
mod connection;
mod details;
mod event;
mod events;
mod exchanges;
mod exclusions;
mod flow;
mod free_blocks;
mod free_slots;
mod handshake;
mod hash;
mod index;
mod key;
mod key_words;
mod mem;
mod observer;
mod orientation;
mod packet;
mod plain;
mod prefetching;
mod record;
mod sequence;
mod shadow;
mod slot;
mod sweeper;
mod sync;
mod table;
mod tcp;
mod time;
mod timeouts;
mod timing;
mod tunnel;
mod tunnel_block;
mod version;
mod writer;

pub use brief::{Brief, PlainPacket, Rest};
pub use burst::{Burst, Place, WholePlace};
pub use event::{Event, EventDetail, EventKind, NetworkError};
pub use exclusions::{Exclusion, Exclusions, MAX_EXCLUSIONS};
pub use key::{Direction, Endpoint, Family, FlowKey, protocol};
pub use mem::{Cache, MemoryError, Pages, prefetch, prefetch_into};
pub use observer::{LiveFlow, Observer};
pub use packet::{FirstPacket, Packet, PortId, Quote, Role, TcpSegment, tcp_flag};
pub use prefetching::{Prefetching, UnknownPrefetching};
pub use record::{
    Counters, EndReason, Events, FlowRecord, Initiator, RecordSink, TcpCounts, TcpRecord, Timing,
};
pub use sweeper::{SweepReport, Sweeper};
pub use table::{BYTES_PER_DETAILS, BYTES_PER_FLOW, TableConfig, TableStats, table};
pub use tcp::TcpState;
pub use time::{Nanos, duration_ns};
pub use timeouts::Timeouts;
pub use tunnel::{PlainVxlan, Tunnel, TunnelKind};
pub use version::Version;
pub use writer::{BurstOutcome, MAX_BURST, Writer};
