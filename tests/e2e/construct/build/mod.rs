//! Packets put together octet by octet from what the RFCs say, by nothing that the program parses them with.

mod ip;
mod upper;

pub(crate) use ip::{End, Ip, ethernet};
pub(crate) use upper::{Segment, echo, flag, icmp, udp};
