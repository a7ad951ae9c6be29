//! A list of packets that is read in order, a burst at a time, over and over.

use std::sync::Arc;

/// The list, and how far it is read.
#[derive(Clone, Debug)]
pub(super) struct List<P> {
    packets: Arc<[P]>,
    place: Place,
}

/// How far a list is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    next: usize,
    round: u32,
}

impl<P> List<P> {
    /// `packets`, to be read from the first one on. The last ones, where they fill no burst, are never read.
    pub(super) fn of(packets: impl Into<Arc<[P]>>) -> List<P> {
        List { packets: packets.into(), place: Place::default() }
    }

    /// Packets of the list.
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    /// The next `count`, and how many times the list has come to its end before them. None where it is shorter than that.
    #[inline]
    pub(super) fn next(&mut self, count: usize) -> (&[P], u32) {
        if self.place.next + count > self.packets.len() {
            self.place = Place { next: 0, round: self.place.round.wrapping_add(1) };
        }
        let Place { next, round } = self.place;
        self.place.next += count;
        (self.packets.get(next..next + count).unwrap_or_default(), round)
    }

    /// Where it is, to come back to.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Goes on at `place`.
    pub(super) fn go_back(&mut self, place: Place) {
        self.place = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_begins_anew_where_no_whole_burst_is_left() {
        let mut list = List::of([1, 2, 3, 4, 5]);
        assert_eq!(list.next(2), (&[1, 2][..], 0));
        let place = list.place();
        assert_eq!(list.next(2), (&[3, 4][..], 0));
        assert_eq!(list.next(2), (&[1, 2][..], 1));
        list.go_back(place);
        assert_eq!(list.next(3), (&[3, 4, 5][..], 0));
        assert_eq!(list.next(1), (&[1][..], 1));
        assert_eq!(list.next(6).0, [0; 0]);
    }
}
