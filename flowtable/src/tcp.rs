//! The TCP connection as a bystander can follow it, RFC 9293 §3.3.2, seen from the initiator's endpoint.

/// State of the initiator's endpoint as inferred at the probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// Waiting for a connection request; an initiator is never seen here.
    Listen = 0,
    /// The initiator's SYN was seen.
    SynSent = 1,
    /// Both sides sent a SYN and neither was answered yet (simultaneous open).
    SynReceived = 2,
    /// The handshake is complete, or the flow was first seen in the middle.
    #[default]
    Established = 3,
    /// The initiator sent its FIN.
    FinWait1 = 4,
    /// The initiator's FIN was acknowledged.
    FinWait2 = 5,
    /// The responder sent its FIN first.
    CloseWait = 6,
    /// Both FINs crossed, neither acknowledged.
    Closing = 7,
    /// The initiator answered the responder's FIN with its own.
    LastAck = 8,
    /// Both FINs seen, the initiator closed first.
    TimeWait = 9,
    /// Closed after the responder's FIN, or reset.
    Closed = 10,
}

impl TcpState {
    /// Every state, in the order of the discriminants.
    pub const ALL: [TcpState; 11] = [
        TcpState::Listen,
        TcpState::SynSent,
        TcpState::SynReceived,
        TcpState::Established,
        TcpState::FinWait1,
        TcpState::FinWait2,
        TcpState::CloseWait,
        TcpState::Closing,
        TcpState::LastAck,
        TcpState::TimeWait,
        TcpState::Closed,
    ];

    /// The value of `flow.connection.state`.
    pub fn as_str(self) -> &'static str {
        match self {
            TcpState::Listen => "listen",
            TcpState::SynSent => "syn_sent",
            TcpState::SynReceived => "syn_received",
            TcpState::Established => "established",
            TcpState::FinWait1 => "fin_wait_1",
            TcpState::FinWait2 => "fin_wait_2",
            TcpState::CloseWait => "close_wait",
            TcpState::Closing => "closing",
            TcpState::LastAck => "last_ack",
            TcpState::TimeWait => "time_wait",
            TcpState::Closed => "closed",
        }
    }

    /// Whether the handshake is still under way.
    #[inline]
    pub fn is_opening(self) -> bool {
        matches!(self, TcpState::Listen | TcpState::SynSent | TcpState::SynReceived)
    }
}
