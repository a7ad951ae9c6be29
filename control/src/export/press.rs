//! Records to the bytes that leave: encoded, and compressed as the destination's settings say.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;
use flowtable::FlowRecord;
use zstd::zstd_safe::CParameter;

use super::BatchEncoder;
use super::queue::Taken;
use super::settings::Compression;
use super::transport::Batch;

/// Spans are alike, so that higher levels cost several times as much for a fifth of the octets.
const GZIP_LEVEL: u32 = 1;
/// The level before 1 takes three quarters of its time for a twentieth more octets.
const ZSTD_LEVEL: i32 = -1;
/// Places of the table that finds repetitions, as a power of two: 16 kB, which stay in the first-level cache. The level's own
/// table is twice as large, and takes a twentieth more time for a hundredth fewer octets.
const ZSTD_TABLE: CParameter = CParameter::HashLog(12);

/// An encoder and a compressor. One thread at a time uses it.
pub(super) struct Press {
    encoder: Box<dyn BatchEncoder>,
    compressor: Compressor,
}

enum Compressor {
    None,
    Gzip,
    Zstd { context: zstd::bulk::Compressor<'static>, room: Vec<u8> },
}

impl Press {
    pub(super) fn new(encoder: Box<dyn BatchEncoder>, compression: Compression) -> io::Result<Press> {
        let compressor = match compression {
            Compression::None => Compressor::None,
            Compression::Gzip => Compressor::Gzip,
            Compression::Zstd => {
                let mut context = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
                context.set_parameter(ZSTD_TABLE)?;
                Compressor::Zstd { context, room: Vec::new() }
            }
        };
        Ok(Press { encoder, compressor })
    }

    /// The batch made of `taken`, or why it cannot be compressed.
    pub(super) fn batch(&mut self, taken: &Taken) -> io::Result<Batch> {
        let parts: Vec<&[FlowRecord]> = taken.parts().collect();
        let body = self.encoder.encode_parts(&parts);
        Ok(Batch { body: self.compressor.compressed(body)?, spans: taken.spans() })
    }
}

impl Compressor {
    fn compressed(&mut self, body: Bytes) -> io::Result<Bytes> {
        match self {
            Compressor::None => Ok(body),
            Compressor::Gzip => {
                let room = Vec::with_capacity(body.len() / 4);
                let mut encoder = GzEncoder::new(room, flate2::Compression::new(GZIP_LEVEL));
                encoder.write_all(&body)?;
                Ok(encoder.finish()?.into())
            }
            Compressor::Zstd { context, room } => {
                // Kept from batch to batch; what leaves is a fraction of it.
                room.clear();
                room.reserve(zstd::zstd_safe::compress_bound(body.len()));
                context.compress_to_buffer(&body, room)?;
                Ok(Bytes::copy_from_slice(room))
            }
        }
    }
}
