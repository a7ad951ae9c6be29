//! Encapsulations: which of them are entered, and where the parser of each would hang.
//!
//! None is entered yet. What runs inside an IP packet (GRE, IP in IP, VXLAN, Geneve, GTP-U, AH) is a flow of the outer
//! headers; what stands between Ethernet and IP (MPLS, PPPoE) hides the IP header and is named as a reason. A tunnel is
//! one file here, `parse` as everywhere else, and one arm below or in the match over IP protocols in `wire/mod.rs`.

use flowtable::TunnelKind;

use super::{Reason, ethertype::number};

/// UDP ports of one encapsulation, four at most; 0 where there are fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortList(pub [u16; 4]);

impl PortList {
    /// Whether `port` is one of them.
    #[inline]
    pub fn has(&self, port: u16) -> bool {
        port != 0 && self.0.contains(&port)
    }
}

/// Which encapsulations are entered, and where they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelOptions {
    /// Kinds that are recognised, a bit each at the place of [`TunnelKind`]'s discriminant. A packet of another kind is a
    /// flow of its outer headers, and nothing is said of the tunnel.
    pub kinds: u16,
    /// Whether MPLS labels are stepped over.
    pub mpls: bool,
    /// Whether PPPoE sessions are entered.
    pub pppoe: bool,
    /// UDP destination ports of VXLAN.
    pub vxlan_ports: PortList,
    /// UDP destination ports of Geneve.
    pub geneve_ports: PortList,
    /// UDP ports of GTP-U, of either side.
    pub gtp_ports: PortList,
    /// UDP ports of WireGuard, of either side.
    pub wireguard_ports: PortList,
}

impl Default for TunnelOptions {
    fn default() -> TunnelOptions {
        TunnelOptions {
            kinds: TunnelKind::ALL.into_iter().fold(0, |kinds, kind| kinds | 1 << kind as u8),
            mpls: true,
            pppoe: true,
            vxlan_ports: PortList([4_789, 0, 0, 0]),
            geneve_ports: PortList([6_081, 0, 0, 0]),
            gtp_ports: PortList([2_152, 0, 0, 0]),
            wireguard_ports: PortList([51_820, 0, 0, 0]),
        }
    }
}

impl TunnelOptions {
    /// Whether tunnels of `kind` are recognised.
    #[inline]
    pub fn enters(&self, kind: TunnelKind) -> bool {
        self.kinds & 1 << kind as u8 != 0
    }
}

/// The reason for an encapsulation under IP that is known by its Ethernet type but not entered.
pub(super) fn not_entered(ethertype: u16) -> Option<Reason> {
    match ethertype {
        number::MPLS | number::MPLS_UPSTREAM => Some(Reason::Mpls),
        number::PPPOE_DISCOVERY | number::PPPOE_SESSION => Some(Reason::Pppoe),
        _ => None,
    }
}
