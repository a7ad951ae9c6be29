//! Which octets of a datagram have come, as ranges that neither touch nor overlap.

/// Ranges kept of a datagram. A part that would need another is not noted, and its datagram never counts as complete.
const MAX_RANGES: usize = 16;

/// The octets that have come, and where the datagram ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coverage {
    /// Start and end, in rising order; the first `len` of them.
    ranges: [(u32, u32); MAX_RANGES],
    len: usize,
    /// The datagram's length, from the first part that said it is the last.
    end: Option<u32>,
}

impl Coverage {
    /// Notes a part of `length` octets at `offset`, and tells whether some of them had come before.
    pub(super) fn add(&mut self, offset: u32, length: u32, last: bool) -> bool {
        let (start, end) = (offset, offset.saturating_add(length));
        if last && self.end.is_none() {
            self.end = Some(end);
        }
        if length == 0 {
            return false;
        }
        let ranges = &self.ranges[..self.len];
        let low = ranges.iter().take_while(|range| range.1 < start).count();
        let high = ranges.iter().take_while(|range| range.0 <= end).count();
        let overlaps = ranges[low..high].iter().any(|range| range.0 < end && start < range.1);
        if low == high {
            self.insert(low, (start, end));
        } else {
            self.merge(low, high, (start, end));
        }
        overlaps
    }

    /// Whether every octet from the first to the last has come.
    pub(super) fn is_complete(&self) -> bool {
        let (start, covered) = self.ranges[0];
        self.len == 1 && start == 0 && self.end.is_some_and(|end| covered >= end)
    }

    fn insert(&mut self, at: usize, range: (u32, u32)) {
        if self.len < MAX_RANGES {
            self.ranges.copy_within(at..self.len, at + 1);
            self.ranges[at] = range;
            self.len += 1;
        }
    }

    /// Puts one range in the place of those from `low` to before `high`.
    fn merge(&mut self, low: usize, high: usize, (start, end): (u32, u32)) {
        let merged = (self.ranges[low].0.min(start), self.ranges[high - 1].1.max(end));
        self.ranges[low] = merged;
        self.ranges.copy_within(high..self.len, low + 1);
        self.len -= high - low - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn coverage_agrees_with_a_set_of_octets(parts in vec((0u32..60, 0u32..20), 0..24), last in 0usize..24) {
            let mut coverage = Coverage::default();
            let mut octets = [false; 80];
            let mut end = None;
            for (number, &(offset, length)) in parts.iter().enumerate() {
                let part = &mut octets[offset as usize..(offset + length) as usize];
                prop_assert_eq!(coverage.add(offset, length, number == last), part.contains(&true));
                part.fill(true);
                end = if number == last { Some((offset + length) as usize) } else { end };
                let covered = octets.iter().take_while(|octet| **octet).count();
                let whole = covered > 0
                    && !octets[covered..].contains(&true)
                    && end.is_some_and(|end| covered >= end);
                prop_assert_eq!(coverage.is_complete(), whole);
            }
        }
    }

    #[test]
    fn parts_beyond_the_bound_are_not_noted() {
        let mut coverage = Coverage::default();
        for part in 0..40 {
            assert!(!coverage.add(part * 16, 8, false));
        }
        assert_eq!(coverage.len, MAX_RANGES);
        assert!(coverage.add(0, 640, true));
        assert!(coverage.is_complete());
        assert!(!coverage.add(u32::MAX, u32::MAX, false), "lengths that do not fit are cut");
    }
}
