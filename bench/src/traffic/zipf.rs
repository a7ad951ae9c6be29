//! Flows of which few carry most: the chance of the k-th busiest is proportional to 1/k (Zipf's law, s = 1).

use dataplane::dpdk::{Burst, MAX_BURST};
use flowtable::tcp_flag;

use super::list::{List, Place};
use super::{OPENED_SEQUENCE, Traffic, each};
use crate::frames::{FRAME_LEN, PAYLOAD_LEN, Shape, Stamp};
use crate::random::Random;

/// Packets of the list for each flow.
const PACKETS_A_FLOW: usize = 4;

/// The traffic.
#[derive(Clone, Debug)]
pub struct Zipf {
    list: List<Segment>,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    stamp: Stamp,
    /// Segments of the flow before this one in a round.
    before: u32,
    /// Segments of the flow in a round.
    of: u32,
}

impl Zipf {
    /// Segments of the connections of `stamps`, which are open; their order is that of their business.
    pub fn of(stamps: &[Stamp]) -> Zipf {
        let flows = drawn(stamps.len(), stamps.len() * PACKETS_A_FLOW / MAX_BURST * MAX_BURST);
        let mut of = vec![0; stamps.len()];
        let mut packets: Vec<Segment> = flows
            .iter()
            .map(|&flow| {
                of[flow] += 1;
                Segment { stamp: stamps[flow], before: of[flow] - 1, of: 0 }
            })
            .collect();
        for (packet, &flow) in packets.iter_mut().zip(&flows) {
            packet.of = of[flow];
        }
        Zipf { list: List::of(packets) }
    }
}

/// `count` draws from `flows` flows, each by its place from the busiest on.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of flows, far below 2^52 and not negative"
)]
fn drawn(flows: usize, count: usize) -> Vec<usize> {
    // The distribution's inverse, up to a constant: the sum of 1/k up to n grows as ln n.
    let span = (flows as f64 + 1.0).ln();
    let mut random = Random(flows as u64);
    let unit = |word: u64| (word >> 11) as f64 / (1u64 << 53) as f64;
    (0..count).map(|_| ((unit(random.word()) * span).exp() as usize - 1).min(flows - 1)).collect()
}

impl Traffic for Zipf {
    type Place = Place;

    #[inline]
    fn press(&mut self, burst: &mut Burst) {
        let (packets, round) = self.list.next(burst.len());
        each(burst, |index, data| {
            if let Some(Segment { stamp, before, of }) = packets.get(index) {
                let segments = round.wrapping_mul(*of).wrapping_add(*before);
                stamp.press(OPENED_SEQUENCE.wrapping_add(segments.wrapping_mul(PAYLOAD_LEN)), data);
            }
        });
    }

    #[inline]
    fn frame_len(&self, _index: usize) -> usize {
        FRAME_LEN
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

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: the busiest of 1,000 flows has 1/1 of H(1000) = 7.485, 13.4 %; the logarithm taken for the sum gives it
    /// ln 2 / ln 1001 = 10.0 %, and the ten busiest ln 11 / ln 1001 = 34.7 %.
    #[test]
    fn few_flows_have_most_packets() {
        let flows = drawn(1_000, 100_000);
        let share = |limit: usize| flows.iter().filter(|&&flow| flow < limit).count() / 100;
        assert!((95..=106).contains(&share(1)), "{}", share(1));
        assert!((337..=357).contains(&share(10)), "{}", share(10));
        assert_eq!(share(1_000), 1_000);
    }
}
