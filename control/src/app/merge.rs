//! Several capture files as one stream in the order of time, as if one probe had seen both wires of a TAP.

use dataplane::source::capture::{CaptureError, CaptureReader, CapturedFrame};
use dataplane::wire::LinkType;
use flowtable::Nanos;

/// A frame, and the number of the file it comes from.
pub(super) struct MergedFrame<'a> {
    pub(super) file: usize,
    pub(super) link: LinkType,
    pub(super) at: Nanos,
    pub(super) data: &'a [u8],
    pub(super) wire_len: u32,
}

/// One file and its next frame, copied out so that the others can be asked.
struct Lane {
    reader: CaptureReader,
    head: Option<Head>,
    data: Vec<u8>,
}

struct Head {
    link: LinkType,
    at: Nanos,
    wire_len: u32,
}

/// Readers of capture files, merged. A single file is passed through without a copy.
pub(super) struct Merge {
    lanes: Vec<Lane>,
    faults: Vec<CaptureError>,
    /// The lane the last frame came from; its next frame is read when the one after is asked for.
    taken: Option<usize>,
}

impl Merge {
    pub(super) fn new(readers: Vec<CaptureReader>) -> Merge {
        let lanes = readers.into_iter().map(|reader| Lane { reader, head: None, data: Vec::new() }).collect();
        let mut merge = Merge { lanes, faults: Vec::new(), taken: None };
        if merge.lanes.len() > 1 {
            for at in 0..merge.lanes.len() {
                merge.advance(at);
            }
        }
        merge
    }

    /// The frame with the earliest time, of the first file where times are equal; `None` at the end of all files.
    ///
    /// A file that cannot be read on ends there; the others go on. See [`Merge::into_faults`].
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<MergedFrame<'_>> {
        if self.lanes.len() == 1 {
            return self.next_of_one();
        }
        self.next_of_several()
    }

    #[inline(never)]
    fn next_of_several(&mut self) -> Option<MergedFrame<'_>> {
        if let Some(at) = self.taken.take() {
            self.advance(at);
        }
        let earliest =
            self.lanes.iter().enumerate().filter_map(|(at, lane)| Some((lane.head.as_ref()?.at, at))).min();
        let (_, file) = earliest?;
        self.taken = Some(file);
        let lane = &self.lanes[file];
        let head = lane.head.as_ref()?;
        Some(MergedFrame { file, link: head.link, at: head.at, data: &lane.data, wire_len: head.wire_len })
    }

    #[inline(always)]
    fn next_of_one(&mut self) -> Option<MergedFrame<'_>> {
        if !self.faults.is_empty() {
            return None;
        }
        match self.lanes[0].reader.next() {
            Ok(frame) => frame.map(|CapturedFrame { link, at, data, wire_len, .. }| MergedFrame {
                file: 0,
                link,
                at,
                data,
                wire_len,
            }),
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    /// Octets read and octets there are, of all files whose size is known.
    pub(super) fn progress(&self) -> (u64, u64) {
        let sized =
            self.lanes.iter().filter_map(|lane| Some((lane.reader.bytes_read(), lane.reader.size()?)));
        sized.fold((0, 0), |(read, size), (r, s)| (read + r, size + s))
    }

    /// What could not be read, a fault for each file that ended early.
    pub(super) fn into_faults(self) -> Vec<CaptureError> {
        self.faults
    }

    fn advance(&mut self, at: usize) {
        let lane = &mut self.lanes[at];
        match lane.reader.next() {
            Ok(Some(frame)) => {
                lane.data.clear();
                lane.data.extend_from_slice(frame.data);
                lane.head = Some(Head { link: frame.link, at: frame.at, wire_len: frame.wire_len });
            }
            Ok(None) => lane.head = None,
            Err(fault) => {
                lane.head = None;
                self.faults.push(fault);
            }
        }
    }
}
