//! What happened in a flow, and what its network failed at: small codes that fit a word of the slot.

use crate::time::Nanos;

/// What an event of a span is called. The discriminants are those of the slot's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// A SYN without ACK.
    TcpSyn = 1,
    /// A SYN with ACK.
    TcpSynAck = 2,
    /// The handshake is complete.
    TcpEstablished = 3,
    /// A FIN.
    TcpFin = 4,
    /// A RST.
    TcpRst = 5,
    /// A segment sent again.
    TcpRetransmission = 6,
    /// A segment that came after one sent later.
    TcpOutOfOrder = 7,
    /// A receiver that has no room.
    TcpZeroWindow = 8,
    /// An ICMP error that quotes a packet of the flow.
    IcmpError = 9,
}

impl EventKind {
    /// Every kind, in the order of the discriminants.
    pub const ALL: [EventKind; 9] = [
        EventKind::TcpSyn,
        EventKind::TcpSynAck,
        EventKind::TcpEstablished,
        EventKind::TcpFin,
        EventKind::TcpRst,
        EventKind::TcpRetransmission,
        EventKind::TcpOutOfOrder,
        EventKind::TcpZeroWindow,
        EventKind::IcmpError,
    ];

    /// The event's name in a span.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::TcpSyn => "tcp.syn",
            EventKind::TcpSynAck => "tcp.syn_ack",
            EventKind::TcpEstablished => "tcp.established",
            EventKind::TcpFin => "tcp.fin",
            EventKind::TcpRst => "tcp.rst",
            EventKind::TcpRetransmission => "tcp.retransmission",
            EventKind::TcpOutOfOrder => "tcp.out_of_order",
            EventKind::TcpZeroWindow => "tcp.zero_window",
            EventKind::IcmpError => "icmp.error",
        }
    }
}

/// Which events flows remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventDetail {
    /// None.
    Off,
    /// Changes of state and failures: all but retransmissions and segments out of order.
    #[default]
    State,
    /// All.
    All,
}

impl EventDetail {
    /// Whether events of `kind` are remembered.
    #[inline]
    pub fn keeps(self, kind: EventKind) -> bool {
        match self {
            EventDetail::Off => false,
            EventDetail::State => !matches!(kind, EventKind::TcpRetransmission | EventKind::TcpOutOfOrder),
            EventDetail::All => true,
        }
    }
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When its packet was received.
    pub at: Nanos,
    /// What happened.
    pub kind: EventKind,
}

/// Why a conversation failed at the network. The discriminants are those of the slot's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum NetworkError {
    /// A RST answered the SYN.
    ConnectionRefused = 1,
    /// A RST after the connection was established.
    ConnectionReset = 2,
    /// A SYN without an answer.
    TimedOut = 3,
    /// ICMP says the host cannot be reached.
    HostUnreachable = 4,
    /// ICMP says the network cannot be reached.
    NetworkUnreachable = 5,
    /// ICMP says nobody listens.
    PortUnreachable = 6,
    /// ICMP says the packet passed too many routers, or its fragments did not come together in time.
    TtlExceeded = 7,
    /// ICMP says the packet is too big for a link on its way.
    FragmentationNeeded = 8,
}

impl NetworkError {
    /// Every error, in the order of the discriminants.
    pub const ALL: [NetworkError; 8] = [
        NetworkError::ConnectionRefused,
        NetworkError::ConnectionReset,
        NetworkError::TimedOut,
        NetworkError::HostUnreachable,
        NetworkError::NetworkUnreachable,
        NetworkError::PortUnreachable,
        NetworkError::TtlExceeded,
        NetworkError::FragmentationNeeded,
    ];

    /// The value of `error.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            NetworkError::ConnectionRefused => "connection_refused",
            NetworkError::ConnectionReset => "connection_reset",
            NetworkError::TimedOut => "timed_out",
            NetworkError::HostUnreachable => "host_unreachable",
            NetworkError::NetworkUnreachable => "network_unreachable",
            NetworkError::PortUnreachable => "port_unreachable",
            NetworkError::TtlExceeded => "ttl_exceeded",
            NetworkError::FragmentationNeeded => "fragmentation_needed",
        }
    }
}
