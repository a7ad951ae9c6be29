//! Capture files: pcap and pcapng, gzip or not, as a stream of frames.
//!
//! Reads forward only and holds one buffer of fixed size, whatever the length of the file. Everything read before a
//! fault is delivered first.

mod input;
mod pcap;
mod pcapng;

use crate::wire::link::{LinkType, UnsupportedLink};
use flowtable::Nanos;
use input::Input;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Octets of one packet beyond which a length is taken for damage; what libpcap allows.
pub const MAX_PACKET: u32 = 262_144;

/// One packet of a capture. Valid until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedFrame<'a> {
    /// What the frame begins with.
    pub link: LinkType,
    /// Number of the interface within its section of a pcapng file; 0 in a pcap file.
    pub interface: u32,
    /// When it was captured; the time of the packet before it where a pcapng file gives none.
    pub at: Nanos,
    /// The octets captured.
    pub data: &'a [u8],
    /// How many octets there were on the wire, never fewer than were captured.
    pub wire_len: u32,
}

/// Why a capture cannot be read, or not to its end. The message names the file and says what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened or read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The capture.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file does not begin as a capture does.
    #[error("{}: not a capture file: {what}", path.display())]
    NotACapture {
        /// The capture.
        path: PathBuf,
        /// How it begins instead.
        what: String,
    },
    /// The file ends inside a packet or block.
    #[error("{}: cut short: ends inside the {what} that begins at octet {offset}", path.display())]
    Truncated {
        /// The capture.
        path: PathBuf,
        /// What was not complete.
        what: &'static str,
        /// Where it begins, in octets of the uncompressed file.
        offset: u64,
    },
    /// A packet of a link layer that is not read.
    #[error("{}: {link}", path.display())]
    UnsupportedLink {
        /// The capture.
        path: PathBuf,
        /// The link type in question.
        link: UnsupportedLink,
    },
    /// A header or block breaks the rules of the format.
    #[error("{}: damaged at octet {offset}: {what}", path.display())]
    BadBlock {
        /// The capture.
        path: PathBuf,
        /// Where the block begins, in octets of the uncompressed file.
        offset: u64,
        /// The rule that is broken.
        what: String,
    },
    /// The compressed data is damaged or cut short.
    #[error("{}: gzip data damaged after {offset} uncompressed octets: {error}", path.display())]
    Gzip {
        /// The capture.
        path: PathBuf,
        /// How many uncompressed octets could be had.
        offset: u64,
        /// What the decoder says.
        error: io::Error,
    },
}

/// A fault before it is given the name of its file.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    NotACapture(String),
    Truncated { what: &'static str, offset: u64 },
    UnsupportedLink(UnsupportedLink),
    BadBlock { offset: u64, what: String },
    Gzip { offset: u64, error: io::Error },
}

impl Fault {
    #[cold]
    fn of(self, path: &Path) -> CaptureError {
        let path = path.to_path_buf();
        match self {
            Fault::Io(error) => CaptureError::Io { path, error },
            Fault::NotACapture(what) => CaptureError::NotACapture { path, what },
            Fault::Truncated { what, offset } => CaptureError::Truncated { path, what, offset },
            Fault::UnsupportedLink(link) => CaptureError::UnsupportedLink { path, link },
            Fault::BadBlock { offset, what } => CaptureError::BadBlock { path, offset, what },
            Fault::Gzip { offset, error } => CaptureError::Gzip { path, offset, error },
        }
    }
}

/// Reads the packets of one capture in the order of the file.
pub struct CaptureReader {
    path: PathBuf,
    size: Option<u64>,
    input: Input,
    format: Format,
}

enum Format {
    Pcap(pcap::Pcap),
    Pcapng(pcapng::Pcapng),
}

impl CaptureReader {
    /// Opens the capture at `path` and reads its header.
    ///
    /// # Errors
    /// [`CaptureError`] where the file cannot be read, is no capture, or a pcap file of a link type that is not read.
    pub fn open(path: impl AsRef<Path>) -> Result<CaptureReader, CaptureError> {
        let path = path.as_ref();
        let opened = File::open(path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        let (file, metadata) = opened.map_err(|error| Fault::Io(error).of(path))?;
        let mut reader = CaptureReader::new(path, file)?;
        reader.size = metadata.is_file().then_some(metadata.len());
        Ok(reader)
    }

    /// Reads a capture from `source`, which errors call `name`.
    ///
    /// # Errors
    /// As [`CaptureReader::open`].
    pub fn new(
        name: impl AsRef<Path>,
        source: impl Read + Send + 'static,
    ) -> Result<CaptureReader, CaptureError> {
        let path = name.as_ref().to_path_buf();
        let start = |source| -> Result<(Input, Format), Fault> {
            let mut input = Input::new(source)?;
            let format = Format::detect(&mut input)?;
            Ok((input, format))
        };
        match start(Box::new(source)) {
            Ok((input, format)) => Ok(CaptureReader { path, size: None, input, format }),
            Err(fault) => Err(fault.of(&path)),
        }
    }

    /// The next packet; `None` at the end of the file.
    ///
    /// # Errors
    /// [`CaptureError`] where the rest of the file cannot be read. Asking on after an error gives no more packets worth
    /// having.
    #[inline(always)]
    #[expect(
        clippy::should_implement_trait,
        reason = "a frame borrows the reader, which no Iterator can say"
    )]
    pub fn next(&mut self) -> Result<Option<CapturedFrame<'_>>, CaptureError> {
        // A frame stays in registers where it is made and used in one function.
        match &mut self.format {
            Format::Pcap(pcap) => match pcap.next(&mut self.input) {
                Ok(frame) => Ok(frame),
                Err(fault) => Err(fault.of(&self.path)),
            },
            Format::Pcapng(pcapng) => pcapng.next(&mut self.input).map_err(|fault| fault.of(&self.path)),
        }
    }

    /// Octets of the file, compressed or not; `None` where it is no regular file.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Octets of the file read so far, to be held against [`CaptureReader::size`].
    pub fn bytes_read(&self) -> u64 {
        self.input.bytes_read()
    }

    /// The file as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Format {
    fn detect(input: &mut Input) -> Result<Format, Fault> {
        let Some(&magic) = input.peek::<4>()? else {
            return Err(Fault::NotACapture("it is shorter than 4 octets".into()));
        };
        if u32::from_be_bytes(magic) == pcapng::SECTION_HEADER {
            return Ok(Format::Pcapng(pcapng::Pcapng::default()));
        }
        match pcap::Pcap::open(input, magic)? {
            Some(pcap) => Ok(Format::Pcap(pcap)),
            None => Err(Fault::NotACapture(format!("it begins with {:08x}", u32::from_be_bytes(magic)))),
        }
    }
}

/// The byte order a file or section was written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ByteOrder {
    #[default]
    Little,
    Big,
}

impl ByteOrder {
    #[inline]
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// `length` as a count of octets in memory, if a packet may be that long.
#[inline]
fn packet_length(length: u32, offset: u64) -> Result<usize, Fault> {
    if length > MAX_PACKET {
        return Err(too_long(length, offset));
    }
    Ok(length as usize)
}

#[cold]
fn too_long(length: u32, offset: u64) -> Fault {
    Fault::BadBlock { offset, what: format!("a packet of {length} octets, more than {MAX_PACKET}") }
}
