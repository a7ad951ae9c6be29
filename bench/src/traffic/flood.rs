//! A SYN flood: every packet the SYN of a connection nobody saw before, from an address that is not the sender's.

use dataplane::dpdk::Burst;
use flowtable::tcp_flag;

use super::{Traffic, each};
use crate::frames::{FRAME_LEN, Shape, Stamp};

/// Client addresses and ports: 48 bits, each combination once in 2^48 packets.
const CLIENT_MASK: u64 = (1 << 48) - 1;
/// Odd, so that multiplying by it modulo 2^48 gives every number once.
const SPREAD: u64 = 0x9e37_79b9_7f4b;
/// The server under attack. No other traffic here is with it.
const SERVER: (u32, u16) = (0xc000_0201, 443);

/// The flood.
#[derive(Clone, Debug, Default)]
pub struct Flood {
    next: u64,
}

impl Flood {
    /// The client of connection `number`.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "48 bits in their two parts")]
    fn stamp(number: u64) -> Stamp {
        let mixed = number.wrapping_mul(SPREAD) & CLIENT_MASK;
        // The upper bits are the better mixed ones, so that they are moved to where addresses differ.
        let mixed = (mixed ^ mixed >> 24).wrapping_mul(SPREAD) & CLIENT_MASK;
        Stamp::between(((mixed >> 16) as u32, mixed as u16), SERVER)
    }
}

impl Traffic for Flood {
    type Place = ();

    #[inline]
    fn press(&mut self, burst: &mut Burst) {
        let first = self.next;
        each(burst, |index, data| {
            let number = first + index as u64;
            #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
            Flood::stamp(number).press(number as u32, data);
        });
        self.next += burst.len() as u64;
    }

    #[inline]
    fn frame_len(&self, _index: usize) -> usize {
        FRAME_LEN
    }

    fn template(&self) -> Vec<u8> {
        Shape::Tcp.template(tcp_flag::SYN)
    }

    fn header_len(&self) -> usize {
        Shape::Tcp.header_len()
    }

    fn beside(&mut self) {}

    /// Connections that no table saw are as good as new ones.
    fn go_back(&mut self, (): ()) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_connections_of_a_flood_are_alike() {
        let seen: HashSet<_> = (0..100_000).map(|number| *Flood::stamp(number).octets()).collect();
        assert_eq!(seen.len(), 100_000);
    }
}
