//! Packets put together octet by octet from what the RFCs say, by nothing that the program parses them with.

mod encapsulation;
mod ip;
mod upper;

pub(crate) use encapsulation::{
    ah, erspan_i, erspan_ii, erspan_iii, esp, geneve, gre, gre_with_key, gtp, nvgre, vxlan, wireguard,
};
pub(crate) use ip::{End, Ip, ethernet, ethertype, frame, in_session, labelled, tagged};
pub(crate) use upper::{Segment, TCP_LEN, echo, flag, icmp, icmp_error, udp};
