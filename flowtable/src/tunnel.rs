//! An encapsulation as a flow tells of it: the outermost one of the flow's packets, in the terms of `tunnel.*`.

use crate::key::{Endpoint, Family, protocol};

/// The kinds of encapsulation a flow can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TunnelKind {
    /// Generic routing encapsulation, RFC 2784 and RFC 2890; NVGRE (RFC 7637) too.
    Gre = 1,
    /// Encapsulated remote SPAN, types I to III (draft-foschiano-erspan).
    Erspan = 2,
    /// IP in IP in all four forms, RFC 2003, RFC 2473 and RFC 4213.
    Ipip = 3,
    /// VXLAN, RFC 7348, and its generic protocol extension.
    Vxlan = 4,
    /// Geneve, RFC 8926.
    Geneve = 5,
    /// GTP-U, 3GPP TS 29.281.
    Gtp = 6,
    /// IP authentication header, RFC 4302.
    Ah = 7,
    /// IP encapsulating security payload, RFC 4303; never entered.
    Esp = 8,
    /// WireGuard; never entered.
    Wireguard = 9,
}

impl TunnelKind {
    /// Every kind, in the order of the discriminants.
    pub const ALL: [TunnelKind; 9] = [
        TunnelKind::Gre,
        TunnelKind::Erspan,
        TunnelKind::Ipip,
        TunnelKind::Vxlan,
        TunnelKind::Geneve,
        TunnelKind::Gtp,
        TunnelKind::Ah,
        TunnelKind::Esp,
        TunnelKind::Wireguard,
    ];

    /// The value of `tunnel.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            TunnelKind::Gre => "gre",
            TunnelKind::Erspan => "erspan",
            TunnelKind::Ipip => "ipip",
            TunnelKind::Vxlan => "vxlan",
            TunnelKind::Geneve => "geneve",
            TunnelKind::Gtp => "gtp",
            TunnelKind::Ah => "ah",
            TunnelKind::Esp => "esp",
            TunnelKind::Wireguard => "wireguard",
        }
    }

    /// Whether the packet inside can be read. Where it cannot, the flow is that of the outer headers.
    pub fn is_opaque(self) -> bool {
        matches!(self, TunnelKind::Esp | TunnelKind::Wireguard)
    }
}

/// The outermost encapsulation of a packet. Numbers are `None` where the header does not carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// What it is.
    pub kind: TunnelKind,
    /// IP version of the outer header.
    pub family: Family,
    /// IP protocol number in the outer header: 17 for VXLAN, 47 for GRE.
    pub protocol: u8,
    /// The outer source: of this packet in a burst, of the flow in a record. Port 0 for protocols without ports.
    pub source: Endpoint,
    /// The outer destination, likewise.
    pub destination: Endpoint,
    /// VNI (24 bits), NVGRE virtual subnet (24 bits), ERSPAN session (10 bits) or TEID.
    pub id: Option<u32>,
    /// The GRE key.
    pub key: Option<u32>,
    /// Security parameters index of AH or ESP.
    pub spi: Option<u32>,
    /// Index of a WireGuard message's sender: in a record, of the flow's source.
    pub sender_index: Option<u32>,
    /// Index of a WireGuard message's receiver: in a record, of the flow's destination.
    pub receiver_index: Option<u32>,
}

impl Tunnel {
    /// The same tunnel as a packet the other way has it.
    #[must_use]
    pub fn reversed(self) -> Tunnel {
        Tunnel {
            source: self.destination,
            destination: self.source,
            sender_index: self.receiver_index,
            receiver_index: self.sender_index,
            ..self
        }
    }

    /// What keeps the flows of different tunnels apart, see [`crate::FlowKey::tunnel`]: the kind in the upper 32 bits, the
    /// id or else the key in the lower ones. 0 for a tunnel that is not entered.
    pub fn key_word(&self) -> u64 {
        if self.kind.is_opaque() {
            return 0;
        }
        u64::from(self.kind as u8) << 32 | u64::from(self.id.or(self.key).unwrap_or(0))
    }
}

/// VXLAN in UDP in IPv4 as its headers have it, which is all that is written of it for a packet of a flow whose tunnel is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainVxlan {
    /// Outer addresses, the source's in the upper half.
    pub addresses: u64,
    /// Outer ports, likewise.
    pub ports: u32,
    /// VXLAN network identifier, 24 bits.
    pub vni: u32,
}

impl PlainVxlan {
    /// [`Tunnel::key_word`] of this.
    #[inline(always)]
    pub(crate) fn key_word(self) -> u64 {
        (TunnelKind::Vxlan as u64) << 32 | u64::from(self.vni)
    }
}

impl From<PlainVxlan> for Tunnel {
    fn from(plain: PlainVxlan) -> Tunnel {
        let PlainVxlan { addresses, ports, vni } = plain;
        let [source, destination] = [addresses >> 32, addresses & u64::from(u32::MAX)].map(u128::from);
        let [s0, s1, d0, d1] = ports.to_be_bytes();
        Tunnel {
            kind: TunnelKind::Vxlan,
            family: Family::V4,
            protocol: protocol::UDP,
            source: Endpoint { address: source, port: u16::from_be_bytes([s0, s1]) },
            destination: Endpoint { address: destination, port: u16::from_be_bytes([d0, d1]) },
            id: Some(vni),
            key: None,
            spi: None,
            sender_index: None,
            receiver_index: None,
        }
    }
}
