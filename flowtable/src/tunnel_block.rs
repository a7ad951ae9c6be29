//! A tunnel in a block of details: outer addresses in eight words, two of what is short, and five numbers.

use crate::details::Block;
use crate::key::{Direction, Endpoint, Family};
use crate::key_words::{halves, joined};
use crate::tunnel::{Tunnel, TunnelKind};

const SOURCE: usize = 0;
const DESTINATION: usize = 4;
/// [`TunnelKind`], outer protocol and family, an octet each; which numbers are there, a bit each; the way of the packet the
/// tunnel was read from; outer ports above.
const SHORT: usize = 8;
const NUMBERS: usize = 10;
const FAMILY_SHIFT: u32 = 16;
const THERE_SHIFT: u32 = 24;
const WAY_BIT: u64 = 1 << 31;

impl Block {
    /// The kind of tunnel kept here.
    pub(crate) fn tunnel_kind(&self) -> Option<TunnelKind> {
        kind_of(self.pair(SHORT))
    }

    /// Keeps `tunnel`, read from a packet that travels `way`.
    pub(crate) fn put_tunnel(&self, tunnel: &Tunnel, way: Direction) {
        self.put_address(SOURCE, tunnel.source.address);
        self.put_address(DESTINATION, tunnel.destination.address);
        let mut there = 0u64;
        for (place, number) in numbers(tunnel).into_iter().enumerate() {
            self.set_word(NUMBERS + place, number.unwrap_or(0));
            there |= u64::from(number.is_some()) << place;
        }
        let short = tunnel.kind as u64
            | u64::from(tunnel.protocol) << 8
            | (tunnel.family as u64) << FAMILY_SHIFT
            | there << THERE_SHIFT
            | if way == Direction::HiToLo { WAY_BIT } else { 0 }
            | u64::from(tunnel.source.port) << 32
            | u64::from(tunnel.destination.port) << 48;
        self.set_pair(SHORT, short);
    }

    /// Adds the numbers of `tunnel`, read from a packet that travels `way`, that are not known yet: WireGuard tells its indices
    /// in several messages.
    pub(crate) fn complete_tunnel(&self, tunnel: &Tunnel, way: Direction) {
        let mut short = self.pair(SHORT);
        let tunnel = if way == way_of(short) { *tunnel } else { tunnel.reversed() };
        for (place, number) in numbers(&tunnel).into_iter().enumerate() {
            if let Some(number) = number.filter(|_| short >> THERE_SHIFT >> place & 1 == 0) {
                self.set_word(NUMBERS + place, number);
                short |= 1 << THERE_SHIFT << place;
            }
        }
        self.set_pair(SHORT, short);
    }

    /// The tunnel, and the way of the packet it was read from.
    #[expect(clippy::cast_possible_truncation, reason = "unpacking fields narrower than the word")]
    pub(crate) fn tunnel(&self) -> Option<(Tunnel, Direction)> {
        let short = self.pair(SHORT);
        let kind = kind_of(short)?;
        let number =
            |place: usize| (short >> THERE_SHIFT >> place & 1 == 1).then(|| self.word(NUMBERS + place));
        let end = |at, port| Endpoint { address: self.address(at), port };
        let tunnel = Tunnel {
            kind,
            family: if (short >> FAMILY_SHIFT) as u8 == Family::V6 as u8 { Family::V6 } else { Family::V4 },
            protocol: (short >> 8) as u8,
            source: end(SOURCE, (short >> 32) as u16),
            destination: end(DESTINATION, (short >> 48) as u16),
            id: number(0),
            key: number(1),
            spi: number(2),
            sender_index: number(3),
            receiver_index: number(4),
        };
        Some((tunnel, way_of(short)))
    }

    fn address(&self, at: usize) -> u128 {
        joined(self.pair(at), self.pair(at + 2))
    }

    fn put_address(&self, at: usize, address: u128) {
        let [high, low] = halves(address);
        self.set_pair(at, high);
        self.set_pair(at + 2, low);
    }
}

fn numbers(tunnel: &Tunnel) -> [Option<u32>; 5] {
    [tunnel.id, tunnel.key, tunnel.spi, tunnel.sender_index, tunnel.receiver_index]
}

fn kind_of(short: u64) -> Option<TunnelKind> {
    let [code, ..] = short.to_le_bytes();
    code.checked_sub(1).and_then(|place| TunnelKind::ALL.get(usize::from(place))).copied()
}

fn way_of(short: u64) -> Direction {
    if short & WAY_BIT == 0 { Direction::LoToHi } else { Direction::HiToLo }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::details::{DetailsId, Kind};
    use proptest::prelude::*;

    prop_compose! {
        fn tunnels()(
            kind in 0usize..9, v6: bool, protocol: u8, source: (u128, u16), destination: (u128, u16),
            numbers: [Option<u32>; 5],
        ) -> Tunnel {
            let [id, key, spi, sender_index, receiver_index] = numbers;
            let end = |(address, port)| Endpoint { address, port };
            Tunnel {
                kind: TunnelKind::ALL[kind],
                family: if v6 { Family::V6 } else { Family::V4 },
                protocol, source: end(source), destination: end(destination),
                id, key, spi, sender_index, receiver_index,
            }
        }
    }

    proptest! {
        #[test]
        fn tunnels_survive_their_block(tunnel in tunnels(), back: bool) {
            let way = if back { Direction::HiToLo } else { Direction::LoToHi };
            let block = Block::default();
            block.put_tunnel(&tunnel, way);
            prop_assert_eq!(block.tunnel(), Some((tunnel, way)));
            block.complete_tunnel(&Tunnel { id: Some(1), key: Some(2), ..tunnel }, way);
            let (kept, _) = block.tunnel().unwrap();
            prop_assert_eq!((kept.id, kept.key), (tunnel.id.or(Some(1)), tunnel.key.or(Some(2))));
            block.complete_tunnel(&Tunnel { sender_index: Some(3), receiver_index: Some(4), ..tunnel }, way.flipped());
            let (kept, _) = block.tunnel().unwrap();
            let expected = (tunnel.sender_index.or(Some(4)), tunnel.receiver_index.or(Some(3)));
            prop_assert_eq!((kept.sender_index, kept.receiver_index), expected);
            block.begin(Kind::TUNNEL, DetailsId::NONE);
            prop_assert_eq!(block.tunnel(), None);
        }
    }
}
