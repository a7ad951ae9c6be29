//! "Simple IMIX": 7 frames of 64 B, 4 of 594 B and 1 of 1,518 B, 361.8 B in the mean, frame check sequence included.
//! Each flow keeps to one size.

use dataplane::dpdk::{Burst, MAX_BURST};
use flowtable::tcp_flag;

use super::list::{List, Place};
use super::{OPENED_SEQUENCE, Traffic, each};
use crate::frames::{Shape, Stamp};
use crate::random::Random;

/// Frames on the wire, with their frame check sequence, and how many of twelve.
const SIZES: [(u16, usize); 3] = [(64, 7), (594, 4), (1518, 1)];
const OF: usize = 12;
const FCS_LEN: u16 = 4;
const ETHERNET_LEN: u16 = 14;
const IP_AND_TCP_LEN: u16 = 40;
const TOTAL_LENGTH_AT: usize = 16;
/// Mean octets of a frame on the wire: (7 * 64 + 4 * 594 + 1518) / 12.
pub const MEAN_FRAME: f64 = 4342.0 / 12.0;

/// The traffic.
#[derive(Clone, Debug)]
pub struct Imix {
    list: List<(Stamp, u8)>,
    /// Of the burst pressed last.
    lengths: [u16; MAX_BURST],
}

impl Imix {
    /// Segments of the connections of `stamps`, which are open.
    pub fn of(stamps: &[Stamp]) -> Imix {
        let whole = stamps.len() - stamps.len() % MAX_BURST;
        let sizes: Vec<u8> =
            (0..).zip(SIZES).flat_map(|(size, (_, count))| std::iter::repeat_n(size, count)).collect();
        // Every dozen has the whole mix, in random order.
        let mut random = Random(stamps.len() as u64);
        let mut dozen = sizes.clone();
        let packets = stamps[..whole].iter().enumerate().map(|(at, &stamp)| {
            if at % OF == 0 {
                random.shuffle(&mut dozen);
            }
            (stamp, dozen[at % OF])
        });
        Imix { list: List::of(packets.collect::<Vec<_>>()), lengths: [0; MAX_BURST] }
    }
}

impl Traffic for Imix {
    type Place = Place;

    #[inline]
    fn press(&mut self, burst: &mut Burst) {
        let (packets, round) = self.list.next(burst.len());
        // A flow keeps to its size, and has so much data each round.
        let sequences = SIZES.map(|(frame, _)| {
            let payload = u32::from(frame - FCS_LEN - ETHERNET_LEN - IP_AND_TCP_LEN);
            OPENED_SEQUENCE.wrapping_add(round.wrapping_mul(payload))
        });
        let lengths = &mut self.lengths;
        each(burst, |index, data| {
            let Some(&(stamp, size)) = packets.get(index) else { return };
            let size = usize::from(size) % SIZES.len();
            stamp.press(sequences[size], data);
            let length = SIZES[size].0 - FCS_LEN;
            if let Some(octets) = data.get_mut(TOTAL_LENGTH_AT..TOTAL_LENGTH_AT + 2) {
                octets.copy_from_slice(&(length - ETHERNET_LEN).to_be_bytes());
            }
            lengths[index % MAX_BURST] = length;
        });
    }

    #[inline]
    fn frame_len(&self, index: usize) -> usize {
        usize::from(self.lengths[index % MAX_BURST])
    }

    fn template(&self) -> Vec<u8> {
        Shape::Tcp.template(tcp_flag::ACK)
    }

    fn header_len(&self) -> usize {
        Shape::Tcp.header_len()
    }

    fn beside(&mut self) -> Place {
        self.list.place()
    }

    fn go_back(&mut self, place: Place) {
        self.list.go_back(place);
    }
}
