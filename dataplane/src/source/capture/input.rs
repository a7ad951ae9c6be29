//! The octets of a capture file, decompressed, through one buffer of fixed size.

use super::Fault;
use flate2::read::MultiGzDecoder;
use std::io::{self, Cursor, Read};

/// Octets of the buffer, and so the longest block that can be looked at in one piece.
pub(super) const BUFFER_LEN: usize = 512 * 1024;

/// Octets asked of the decoder at a time: where it finds damage, it keeps back what it made of that piece.
const GZIP_PIECE_LEN: usize = 32 * 1024;

/// Octets asked of a plain file at a time, where no more are wanted in one piece: few enough to be still in the second-level
/// cache, beside what the table has there, when they are looked at.
const PLAIN_PIECE_LEN: usize = 64 * 1024;

/// First octets of a gzip file, RFC 1952 §2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A reader that counts what it reads.
struct Counted {
    source: Box<dyn Read + Send>,
    octets: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let octets = self.source.read(into)?;
        self.octets += octets as u64;
        Ok(octets)
    }
}

enum Source {
    Plain(Counted),
    Gzip(Box<MultiGzDecoder<Counted>>),
}

pub(super) struct Input {
    source: Source,
    buffer: Box<[u8]>,
    /// What is buffered and not yet taken: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Offset of `start` in the uncompressed file.
    offset: u64,
}

impl Input {
    /// Looks at the first octets of `source` and decompresses it where they are those of gzip.
    pub(super) fn new(mut source: Box<dyn Read + Send>) -> Result<Input, Fault> {
        let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
        source.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic).map_err(Fault::Io)?;
        let gzip = magic == GZIP_MAGIC;
        let counted = Counted { source: Box::new(Cursor::new(magic).chain(source)), octets: 0 };
        let source = match gzip {
            true => Source::Gzip(Box::new(MultiGzDecoder::new(counted))),
            false => Source::Plain(counted),
        };
        let buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        Ok(Input { source, buffer, start: 0, end: 0, offset: 0 })
    }

    /// Where in the uncompressed file the next octet stands.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Octets of the file as it lies on disk that were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        match &self.source {
            Source::Plain(counted) => counted.octets,
            Source::Gzip(decoder) => decoder.get_ref().octets,
        }
    }

    /// Whether nothing is left.
    pub(super) fn at_end(&mut self) -> Result<bool, Fault> {
        Ok(!self.buffered(1)?)
    }

    /// The next `N` octets, left in place; `None` where the file ends before.
    #[inline(always)]
    pub(super) fn peek<const N: usize>(&mut self) -> Result<Option<&[u8; N]>, Fault> {
        if !self.buffered(N)? {
            return Ok(None);
        }
        Ok(self.buffer[self.start..self.end].first_chunk())
    }

    /// The next `length` octets, taken; `None` where the file ends before.
    #[inline(always)]
    pub(super) fn take(&mut self, length: usize) -> Result<Option<&[u8]>, Fault> {
        if !self.buffered(length)? {
            return Ok(None);
        }
        let start = self.start;
        self.start += length;
        self.offset += length as u64;
        Ok(Some(&self.buffer[start..self.start]))
    }

    /// Passes over `length` octets, however many; `false` where the file ends before.
    pub(super) fn skip(&mut self, length: u64) -> Result<bool, Fault> {
        let mut left = length;
        while left > 0 {
            if self.at_end()? {
                return Ok(false);
            }
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(self.end - self.start);
            self.start += step;
            self.offset += step as u64;
            left -= step as u64;
        }
        Ok(true)
    }

    /// Makes `length` octets available in one piece, if there are as many.
    #[inline(always)]
    fn buffered(&mut self, length: usize) -> Result<bool, Fault> {
        if self.end - self.start >= length { Ok(true) } else { self.fill(length) }
    }

    #[cold]
    fn fill(&mut self, length: usize) -> Result<bool, Fault> {
        debug_assert!(length <= BUFFER_LEN, "callers bound what they ask for");
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < length {
            let free = &mut self.buffer[self.end..];
            let read = match &mut self.source {
                Source::Plain(plain) => {
                    let piece = free.len().min(PLAIN_PIECE_LEN.max(length - self.end));
                    plain.read(&mut free[..piece])
                }
                Source::Gzip(decoder) => {
                    let piece = free.len().min(GZIP_PIECE_LEN);
                    decoder.read(&mut free[..piece])
                }
            };
            match read {
                Ok(0) => return Ok(false),
                Ok(octets) => self.end += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(error)),
            }
        }
        Ok(true)
    }

    fn fault(&self, error: io::Error) -> Fault {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let damaged = matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof);
        match &self.source {
            Source::Gzip(_) if damaged => {
                Fault::Gzip { offset: self.offset + (self.end - self.start) as u64, error }
            }
            _ => Fault::Io(error),
        }
    }
}
