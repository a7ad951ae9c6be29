//! Memory in lines of 64 octets, on huge pages as the flow table's, and pointer chases through it: each line says where the next
//! one is, so that an access begins when the one before has ended.

use std::hint::black_box;
use std::io;

use memmap2::MmapMut;

use crate::random::Random;

/// Octets of a line.
pub const LINE_LEN: usize = 64;
/// Octets of a page as a processor without huge pages sees it.
const PAGE_LEN: usize = 4_096;
/// Lines of such a page.
pub const LINES_A_PAGE: u32 = 64;
const _: () = assert!(LINES_A_PAGE as usize * LINE_LEN == PAGE_LEN);
const HUGE_PAGE_LEN: usize = 2 << 20;
/// Octets of a link from a line to the next.
const LINK_LEN: usize = 4;

/// A line.
pub type Line = [u8; LINE_LEN];

/// Lines of zeros, every page touched.
#[derive(Debug)]
pub struct Lines {
    mapping: MmapMut,
    /// Where in the mapping the first huge page begins.
    start: usize,
    len: usize,
}

impl Lines {
    /// `count` lines, aligned to 2 MiB, on transparent huge pages where the kernel gives them.
    ///
    /// # Errors
    /// Where the system has no room.
    pub fn zeroed(count: usize) -> io::Result<Lines> {
        let len = count * LINE_LEN;
        let mut mapping = MmapMut::map_anon(len + HUGE_PAGE_LEN)?;
        // A refusal is harmless: the pages are small ones then.
        #[cfg(target_os = "linux")]
        let _ = mapping.advise(memmap2::Advice::HugePage);
        let start = mapping.as_ptr().align_offset(HUGE_PAGE_LEN);
        for page in mapping[start..start + len].chunks_mut(PAGE_LEN) {
            page[0] = black_box(0);
        }
        Ok(Lines { mapping, start, len })
    }

    /// All of them.
    pub fn all(&self) -> &[Line] {
        self.mapping[self.start..self.start + self.len].as_chunks().0
    }

    /// All of them, to be written.
    pub fn all_mut(&mut self) -> &mut [Line] {
        self.mapping[self.start..self.start + self.len].as_chunks_mut().0
    }
}

/// A walk over some of the lines in random order, which comes back to each when it has seen all others.
///
/// A link is one of the 16 words of a line: as many chases share memory.
#[derive(Debug)]
pub struct Chase {
    word: usize,
    at: u32,
}

impl Chase {
    /// A chase by word `word` of one line, chosen at random, of every `stride`, `count` in all.
    ///
    /// # Panics
    /// Where there are not as many lines or words.
    pub fn through(lines: &mut [Line], word: usize, count: u32, stride: u32) -> Chase {
        let mut random = Random(u64::from(count));
        #[expect(clippy::cast_possible_truncation, reason = "below `stride`")]
        let mut places: Vec<u32> =
            (0..count).map(|part| part * stride + random.below(u64::from(stride)) as u32).collect();
        random.shuffle(&mut places);
        let following = places.iter().cycle().skip(1);
        for (&place, &next) in places.iter().zip(following) {
            lines[place as usize].as_chunks_mut::<LINK_LEN>().0[word] = next.to_le_bytes();
        }
        Chase { word, at: places.first().copied().unwrap_or(0) }
    }

    /// Goes `steps` lines on. Gives where it is then.
    pub fn walk(&mut self, lines: &[Line], steps: u32) -> u32 {
        let word = self.word;
        for _ in 0..steps {
            self.at = u32::from_le_bytes(lines[self.at as usize].as_chunks::<LINK_LEN>().0[word]);
        }
        black_box(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Where `chase` comes by in `steps` single steps.
    fn seen(chase: &mut Chase, lines: &[Line], steps: u32) -> Vec<u32> {
        (0..steps).map(|_| chase.walk(lines, 1)).collect()
    }

    #[test]
    fn a_chase_comes_by_every_line_before_it_comes_back() {
        let mut lines = Lines::zeroed(1_000).unwrap();
        let mut chase = Chase::through(lines.all_mut(), 3, 1_000, 1);
        let round = seen(&mut chase, lines.all(), 1_000);
        assert_eq!(round.iter().collect::<HashSet<_>>().len(), 1_000);
        assert_eq!(seen(&mut chase, lines.all(), 1_000), round);
        let neighbours = round.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
        assert!(neighbours < 20, "{neighbours} of 1,000, and one is expected");
    }

    #[test]
    fn one_line_of_every_page_is_met_and_not_always_the_same() {
        let (pages, all) = (500, 500 * LINES_A_PAGE);
        let mut lines = Lines::zeroed(all as usize).unwrap();
        let mut chase = Chase::through(lines.all_mut(), 0, pages, LINES_A_PAGE);
        let round = seen(&mut chase, lines.all(), pages);
        let parts = |part: fn(&u32) -> u32| round.iter().map(part).collect::<HashSet<u32>>().len();
        assert_eq!(parts(|line| line / LINES_A_PAGE), 500);
        assert_eq!(parts(|line| line % LINES_A_PAGE), 64);
    }

    #[test]
    fn chases_by_different_words_do_not_meet() {
        let mut lines = Lines::zeroed(256).unwrap();
        let mut few = Chase::through(lines.all_mut(), 0, 64, 1);
        let before = seen(&mut few, lines.all(), 64);
        let mut all = Chase::through(lines.all_mut(), 15, 256, 1);
        assert_eq!(seen(&mut all, lines.all(), 256).iter().collect::<HashSet<_>>().len(), 256);
        assert_eq!(seen(&mut few, lines.all(), 64), before);
    }

    #[test]
    fn lines_are_zeroed_and_begin_on_a_huge_page() {
        let mut lines = Lines::zeroed(100).unwrap();
        assert_eq!((lines.all().len(), lines.all().as_ptr().addr() % HUGE_PAGE_LEN), (100, 0));
        assert!(lines.all().iter().flatten().all(|&octet| octet == 0));
        lines.all_mut()[99][63] = 7;
        assert_eq!(lines.all()[99][63], 7);
    }
}
