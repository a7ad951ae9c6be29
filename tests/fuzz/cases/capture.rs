//! Any octets as a capture file: reading comes to an end, whatever is read is what the file says, and how the octets come in
//! makes no difference.
//!
//! The input is the file.

use std::io::{self, Cursor, Read, Write};

use dataplane::source::capture::{CaptureReader, MAX_PACKET};
use dataplane::wire::LinkType;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Frames looked at, at most: gzip makes many of few octets.
const MAX_FRAMES: usize = 2_048;
/// Files that are compressed once more to be read again, at most this long.
const MAX_COMPRESSED_AGAIN: usize = 2_048;

/// What a file gave: its frames, and how it ended where that was no end of file.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    frames: Vec<Frame>,
    error: Option<String>,
}

/// A frame: link layer, interface, time, octets captured and on the wire, and a sum of the octets.
type Frame = (LinkType, u32, u64, usize, u32, u64);

pub(crate) fn run(file: &[u8]) {
    let gzip = file.starts_with(&[0x1f, 0x8b]);
    let whole = read(Cursor::new(file.to_vec()), file.len());
    let dribble = read(Dribble { file: file.to_vec(), at: 0, calls: 0 }, file.len());
    // The decoder keeps back what it made of the piece in which it finds damage, and pieces are not the same.
    let damaged = gzip && whole.error.is_some();
    if damaged && dribble.error.is_some() {
        assert!(
            is_start(&whole, &dribble) || is_start(&dribble, &whole),
            "damage takes frames from the end alone"
        );
    } else {
        assert_eq!(dribble, whole, "short reads make no difference");
    }
    if whole.frames.is_empty() {
        return;
    }
    let half = &file[..file.len() / 2];
    let cut = read(Cursor::new(half.to_vec()), half.len());
    assert!(
        is_start(&cut, &whole) || damaged && is_start(&whole, &cut),
        "a file cut short gives what is before the cut"
    );
    if file.len() <= MAX_COMPRESSED_AGAIN && !gzip {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        let packed = encoder.write_all(file).and_then(|()| encoder.finish());
        let packed = packed.expect("a vector takes any octets");
        let length = packed.len();
        assert_eq!(read(Cursor::new(packed), length), whole, "compression makes no difference");
    }
}

fn is_start(less: &Seen, more: &Seen) -> bool {
    more.frames.starts_with(&less.frames)
}

fn read(source: impl Read + Send + 'static, length: usize) -> Seen {
    let mut frames = Vec::new();
    let mut reader = match CaptureReader::new("input", source) {
        Ok(reader) => reader,
        Err(error) => return Seen { frames, error: Some(error.to_string()) },
    };
    let error = loop {
        match reader.next() {
            Ok(Some(frame)) => {
                assert!(frame.data.len() <= MAX_PACKET as usize);
                assert!(frame.wire_len as usize >= frame.data.len());
                let sum = frame.data.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, &octet| {
                    (sum ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
                });
                let (captured, wire_len) = (frame.data.len(), frame.wire_len);
                frames.push((frame.link, frame.interface, frame.at.0, captured, wire_len, sum));
            }
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
        if frames.len() == MAX_FRAMES {
            break None;
        }
    };
    assert!(reader.bytes_read() <= length as u64);
    Seen { frames, error }
}

/// A source that gives a few octets at a time, and is interrupted now and then.
struct Dribble {
    file: Vec<u8>,
    at: usize,
    calls: usize,
}

impl Read for Dribble {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let step = (1 + self.calls % 61).min(into.len()).min(self.file.len() - self.at);
        into[..step].copy_from_slice(&self.file[self.at..self.at + step]);
        self.at += step;
        Ok(step)
    }
}
