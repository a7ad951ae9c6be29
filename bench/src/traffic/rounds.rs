//! Flows that take turns: each once in a round, with its next segment.

use dataplane::dpdk::{Burst, MAX_BURST};
use flowtable::tcp_flag;

use super::list::{List, Place};
use super::{INITIAL_SEQUENCE, OPENED_SEQUENCE, SYN_LEN, Traffic, each};
use crate::frames::{PAYLOAD_LEN, Shape, Stamp};

/// The traffic.
#[derive(Clone, Debug)]
pub struct Rounds {
    shape: Shape,
    flags: u8,
    frame_len: usize,
    list: List<Stamp>,
    /// Sequence number of the packets of the first round.
    sequence: u32,
}

impl Rounds {
    fn new(shape: Shape, flags: u8, stamps: &[Stamp], sequence: u32) -> Rounds {
        // The last ones would not fill a burst.
        let whole = stamps.len() - stamps.len() % MAX_BURST;
        let frame_len = shape.template(flags).len();
        Rounds { shape, flags, frame_len, list: List::of(&stamps[..whole]), sequence }
    }

    /// Segments of connections that are open; a list that is no whole number of bursts loses its end.
    pub fn established(shape: Shape, stamps: &[Stamp]) -> Rounds {
        Rounds::new(shape, tcp_flag::ACK, stamps, OPENED_SEQUENCE)
    }

    /// The SYN of each of `stamps`.
    pub fn syns(shape: Shape, stamps: &[Stamp]) -> Rounds {
        Rounds::new(shape, tcp_flag::SYN, stamps, INITIAL_SEQUENCE)
    }

    /// What comes after [`Rounds::syns`]: an ACK with a little data, which makes each an established connection.
    pub fn first_acks(shape: Shape, stamps: &[Stamp]) -> Rounds {
        Rounds::new(shape, tcp_flag::ACK, stamps, INITIAL_SEQUENCE + SYN_LEN)
    }

    /// Polls until every packet of the list has come once.
    pub fn polls_a_round(&self) -> usize {
        self.list.len() / MAX_BURST
    }
}

impl Traffic for Rounds {
    type Place = Place;

    #[inline]
    fn press(&mut self, burst: &mut Burst) {
        let (stamps, round) = self.list.next(burst.len());
        let sequence = self.sequence.wrapping_add(round.wrapping_mul(PAYLOAD_LEN));
        let shape = self.shape;
        // One loop a family: the choice is made once a burst.
        match shape {
            Shape::Tcp => press_all(stamps, burst, |stamp, data| Shape::Tcp.press(stamp, sequence, data)),
            Shape::Udp => press_all(stamps, burst, |stamp, data| Shape::Udp.press(stamp, sequence, data)),
            _ => press_all(stamps, burst, |stamp, data| shape.press(stamp, sequence, data)),
        }
    }

    #[inline]
    fn frame_len(&self, _index: usize) -> usize {
        self.frame_len
    }

    fn template(&self) -> Vec<u8> {
        self.shape.template(self.flags)
    }

    fn header_len(&self) -> usize {
        self.shape.header_len()
    }

    fn beside(&mut self) -> Place {
        self.list.place()
    }

    fn go_back(&mut self, place: Place) {
        self.list.go_back(place);
    }
}

#[inline]
fn press_all(stamps: &[Stamp], burst: &mut Burst, mut press: impl FnMut(&Stamp, &mut [u8])) {
    each(burst, |index, data| {
        if let Some(stamp) = stamps.get(index) {
            press(stamp, data);
        }
    });
}
