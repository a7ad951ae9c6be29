//! What a parser tells the table about one packet. Plain data: no bytes of the packet itself.

use crate::event::NetworkError;
use crate::key::{Direction, FlowKey};
use crate::time::Nanos;

/// TCP header flags in wire order, FIN lowest (RFC 9293 §3.1, RFC 3168 for ECE and CWR).
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment number is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

/// The number of a port as the probe counts its ports, from 0 in the order of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

/// What one packet proves about who started the conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Nothing: data in the middle of a conversation, or a protocol without a beginning.
    #[default]
    Unknown,
    /// The sender started it: a SYN without ACK, an ICMP request.
    Source,
    /// The sender was called: a SYN with ACK, an ICMP reply.
    Destination,
}

impl Role {
    /// What the flags of a TCP segment prove.
    #[inline]
    pub fn of_tcp(flags: u8) -> Role {
        match (flags & tcp_flag::SYN != 0, flags & tcp_flag::ACK != 0) {
            (true, false) => Role::Source,
            (true, true) => Role::Destination,
            (false, _) => Role::Unknown,
        }
    }
}

/// The TCP header fields the table follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TcpSegment {
    // The first two in the order in which a little-endian machine has them in one word, so that they are moved as one.
    /// Acknowledgment number; meaningless without [`tcp_flag::ACK`].
    pub acknowledgment: u32,
    /// Sequence number.
    pub sequence: u32,
    /// Payload octets by the IP length, so also those a short capture cut off.
    pub payload: u32,
    /// Receive window as on the wire, not scaled.
    pub window: u16,
    /// Flags, see [`tcp_flag`].
    pub flags: u8,
}

/// Facts of a flow's first packet that later packets do not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstPacket {
    /// Source MAC address of the outermost Ethernet frame; `None` where the link layer has none.
    pub source_mac: Option<[u8; 6]>,
    /// Port the packet was received on.
    pub port: PortId,
    /// IPv4 TTL or IPv6 hop limit.
    pub ttl: u8,
    /// IPv4 TOS or IPv6 traffic class octet: DSCP in the upper six bits, ECN in the lower two.
    pub traffic_class: u8,
    /// IPv6 flow label, 20 bits; 0 for IPv4.
    pub flow_label: u32,
    /// ICMP or ICMPv6 type and code.
    pub icmp: Option<(u8, u8)>,
}

/// One parsed packet, ready for the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The flow it belongs to.
    pub key: FlowKey,
    /// Which way it travels.
    pub direction: Direction,
    /// When it was received, by its own clock.
    pub at: Nanos,
    /// Octets to count: IP octets, or the whole frame's where the operator asked for that.
    pub bytes: u32,
    /// What it proves about the flow's orientation.
    pub role: Role,
    /// The TCP header; all zero for other protocols.
    pub tcp: TcpSegment,
    /// Facts kept when this packet opens its flow.
    pub first: FirstPacket,
    /// Where its outermost tunnel is in the [`crate::Burst`], from 1; 0 outside tunnels.
    pub tunnel: u32,
}

/// What an ICMP error says of the flow whose packet it quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The flow of the quoted packet, in the VLAN and the tunnel of the error.
    pub key: FlowKey,
    /// What went wrong.
    pub error: NetworkError,
    /// When the error was received.
    pub at: Nanos,
}
