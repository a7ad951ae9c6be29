//! Flows that take turns: each once in a round, with its next segment.

use std::sync::Arc;

use dataplane::dpdk::{Burst, MAX_BURST};
use flowtable::tcp_flag;

use super::{INITIAL_SEQUENCE, OPENED_SEQUENCE, SYN_LEN, Traffic, each};
use crate::frames::{PAYLOAD_LEN, Shape, Stamp};

/// A list of packets that is read in order, over and over.
#[derive(Clone, Debug)]
pub struct Rounds {
    shape: Shape,
    flags: u8,
    frame_len: usize,
    stamps: Arc<[Stamp]>,
    place: Place,
}

/// How far a list is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    next: usize,
    /// Sequence number of the packets of this round.
    sequence: u32,
}

impl Rounds {
    fn new(shape: Shape, flags: u8, stamps: &[Stamp], sequence: u32) -> Rounds {
        // The last ones would not fill a burst.
        let whole = stamps.len() - stamps.len() % MAX_BURST;
        let frame_len = shape.template(flags).len();
        let stamps = stamps.iter().take(whole).copied().collect();
        Rounds { shape, flags, frame_len, stamps, place: Place { next: 0, sequence } }
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
        self.stamps.len() / MAX_BURST
    }
}

impl Traffic for Rounds {
    type Place = Place;

    #[inline]
    fn press(&mut self, burst: &mut Burst) {
        if self.place.next + burst.len() > self.stamps.len() {
            self.place = Place { next: 0, sequence: self.place.sequence.wrapping_add(PAYLOAD_LEN) };
        }
        let Place { next, sequence } = self.place;
        let Some(stamps) = self.stamps.get(next..next + burst.len()) else { return };
        self.place.next += burst.len();
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
        self.place
    }

    fn go_back(&mut self, place: Place) {
        self.place = place;
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
