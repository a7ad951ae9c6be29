//! Encapsulations: which of them are entered, and where the parser of each would hang.
//!
//! None is entered yet. What runs inside an IP packet (GRE, IP in IP, VXLAN, Geneve, GTP-U, AH) is a flow of the outer
//! headers; what stands between Ethernet and IP (MPLS, PPPoE) hides the IP header and is named as a reason. A tunnel is
//! one file here, `parse` as everywhere else, and one arm below or in the match over IP protocols in `wire/mod.rs`.

use super::{Reason, ethertype::number};

/// The reason for an encapsulation under IP that is known by its Ethernet type but not entered.
pub(super) fn not_entered(ethertype: u16) -> Option<Reason> {
    match ethertype {
        number::MPLS | number::MPLS_UPSTREAM => Some(Reason::Mpls),
        number::PPPOE_DISCOVERY | number::PPPOE_SESSION => Some(Reason::Pppoe),
        _ => None,
    }
}
