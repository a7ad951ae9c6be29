//! The flow record: what the table says about a flow, or a stretch of it. One record becomes one span.

use std::net::IpAddr;

use crate::event::{Event, NetworkError};
use crate::key::{Direction, Endpoint, FlowKey};
use crate::packet::FirstPacket;
use crate::tcp::TcpState;
use crate::time::Nanos;
use crate::tunnel::Tunnel;

/// Why a record was cut. The discriminants are IPFIX `flowEndReason` (RFC 5102 §5.11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EndReason {
    /// No packet for the idle timeout of the protocol.
    IdleTimeout = 1,
    /// The flow lives on; the record covers the active timeout.
    ActiveTimeout = 2,
    /// The conversation ended by itself: both FINs acknowledged, or a RST.
    EndOfFlowDetected = 3,
    /// The operator or the shutdown asked for it.
    ForcedEnd = 4,
    /// The table needed the room.
    LackOfResources = 5,
}

impl EndReason {
    /// Every reason, in IPFIX order.
    pub const ALL: [EndReason; 5] = [
        EndReason::IdleTimeout,
        EndReason::ActiveTimeout,
        EndReason::EndOfFlowDetected,
        EndReason::ForcedEnd,
        EndReason::LackOfResources,
    ];

    /// The value of `flow.end_reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::IdleTimeout => "idle_timeout",
            EndReason::ActiveTimeout => "active_timeout",
            EndReason::EndOfFlowDetected => "end_of_flow_detected",
            EndReason::ForcedEnd => "forced_end",
            EndReason::LackOfResources => "lack_of_resources",
        }
    }
}

/// Which side of a flow started the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The source of the flow.
    Source,
    /// The destination of the flow.
    Destination,
}

impl Initiator {
    /// The value of `flow.initiator`.
    pub fn as_str(self) -> &'static str {
        match self {
            Initiator::Source => "source",
            Initiator::Destination => "destination",
        }
    }
}

/// Counters of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets in this record's window.
    pub packets_delta: u64,
    /// Octets in this record's window.
    pub bytes_delta: u64,
    /// Packets since the flow's start.
    pub packets_total: u64,
    /// Octets since the flow's start.
    pub bytes_total: u64,
}

/// A latency measured at the probe, since the flow's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The first sample of a handshake, the mean of all samples of an exchange, ns.
    pub latency_ns: u64,
    /// RFC 3550 §6.4.1 over successive samples, ns; from the second sample on.
    pub jitter_ns: Option<u64>,
}

/// What one direction's TCP segments went through in the record's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounts {
    /// Segments sent again.
    pub retransmissions: u64,
    /// Segments that came after one sent later.
    pub out_of_order: u64,
    /// ACKs that repeat the one before.
    pub duplicate_acks: u64,
    /// Segments that announce a window of 0.
    pub zero_windows: u64,
}

/// What a record says about a TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpRecord {
    /// State of the initiator's endpoint when the record was cut.
    pub state: TcpState,
    /// All flags seen both ways in the record's window, see [`crate::packet::tcp_flag`].
    pub flags: u8,
    /// From a SYN to the SYN/ACK that answers it: the network between probe and responder, there and back.
    pub handshake_snd: Option<Timing>,
    /// From a SYN/ACK to the ACK that answers it: the network between probe and initiator, there and back.
    pub handshake_cnd: Option<Timing>,
    /// From request to response, less the responder's network.
    pub svc: Option<Timing>,
    /// From request to response, with the initiator's network.
    pub rndtrip: Option<Timing>,
    /// Source to destination.
    pub to_destination: TcpCounts,
    /// Destination to source.
    pub to_source: TcpCounts,
}

/// The events of a record's window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// In the order of their packets, [`Events::MAX`] at most.
    pub kept: Vec<Event>,
    /// How many more there were.
    pub dropped: u32,
}

impl Events {
    /// Events a record has at most.
    pub const MAX: usize = 32;
}

/// One cut record of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// The flow's canonical key.
    pub key: FlowKey,
    /// The canonical direction that is source to destination; the same in all records of a flow.
    pub forward: Direction,
    /// Who started the conversation.
    pub initiator: Initiator,
    /// Facts of the flow's first packet.
    pub first: FirstPacket,
    /// When the flow's first packet was received; part of the flow's identity.
    pub flow_start: Nanos,
    /// Start of the window: the flow's first packet, or the end of the record before.
    pub start: Nanos,
    /// End of the window: its last packet. Never before `start`.
    pub end: Nanos,
    /// Number of the record within its flow, from 0.
    pub number: u32,
    /// Why it was cut.
    pub end_reason: EndReason,
    /// TCP state and flags; `None` for other protocols.
    pub tcp: Option<TcpRecord>,
    /// Source to destination.
    pub to_destination: Counters,
    /// Destination to source.
    pub to_source: Counters,
    /// What the conversation failed at, if it failed by the time the record was cut.
    pub error: Option<NetworkError>,
    /// The outermost tunnel of the flow, its ends oriented as the flow's.
    pub tunnel: Option<Box<Tunnel>>,
    /// What happened in the window.
    pub events: Events,
}

impl FlowRecord {
    /// The source endpoint as it stood in the packets.
    pub fn source(&self) -> (IpAddr, u16) {
        self.endpoint(self.key.sender(self.forward))
    }

    /// The destination endpoint as it stood in the packets.
    pub fn destination(&self) -> (IpAddr, u16) {
        self.endpoint(self.key.sender(self.forward.flipped()))
    }

    fn endpoint(&self, end: Endpoint) -> (IpAddr, u16) {
        (self.key.ip(end.address), end.port)
    }
}

/// Takes the records a sweep cuts.
pub trait RecordSink {
    /// Called once for each record, on the sweeper's thread; must not block.
    fn record(&mut self, record: FlowRecord);
}

impl RecordSink for Vec<FlowRecord> {
    fn record(&mut self, record: FlowRecord) {
        self.push(record);
    }
}
