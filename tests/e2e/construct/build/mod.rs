//! Packets put together octet by octet from what the RFCs say, by nothing that the program parses them with.

mod ip;
mod upper;

pub(crate) use ip::{End, Ip, ethernet, in_session, labelled, tagged};
pub(crate) use upper::{Segment, TCP_LEN, echo, flag, icmp, icmp_error, udp};
