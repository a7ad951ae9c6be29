//! Spans a second one core encodes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use dataplane::clock::Stopwatch;
use flowtable::duration_ns;
use tapspan::span::{Format, HostFacts, Interface, Resource, ResourceSources, SpanEncoder, SpanSettings};

use crate::figures::Spread;
use crate::records;

/// Records of a batch, as the exporter gathers them.
pub const BATCH: usize = 512;
/// Batches gone through in turn, so that no address or counter is met twice in a row.
const BATCHES: usize = 16;

/// An encoder of a probe with one interface and a known host, all attributes of the default selection.
pub fn encoder(format: Format) -> SpanEncoder {
    let host = HostFacts { name: Some("probe7".to_owned()), id: Some("0123456789abcdef".repeat(2)) };
    let sources = ResourceSources { host: Some(&host), instance: "tap", ..ResourceSources::default() };
    let settings = SpanSettings {
        interfaces: vec![Interface { name: "eth0".to_owned(), index: Some(2) }],
        resource: Resource::new(&sources).expect("no environment is read"),
        ..SpanSettings::default()
    };
    SpanEncoder::new(Arc::new(settings), format)
}

/// What encoding came to.
#[derive(Clone, Copy, Debug)]
pub struct EncodeFigures {
    /// Spans a second.
    pub spans_per_s: Spread,
    /// Octets a span, the batch's common part shared out.
    pub bytes_per_span: f64,
}

/// Encodes random records to protobuf on the calling thread, `runs` times for `slice`.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub fn measure(runs: u32, slice: Duration) -> EncodeFigures {
    let records = records::at_random(BATCH * BATCHES);
    let mut encoder = encoder(Format::Protobuf);
    let octets: usize = records.chunks(BATCH).map(|batch| encoder.encode(batch).len()).sum();
    let mut run = || {
        let watch = Stopwatch::start();
        let mut spans = 0;
        while watch.elapsed_ns() < duration_ns(slice) {
            for batch in records.chunks(BATCH) {
                black_box(encoder.encode(black_box(batch)));
                spans += batch.len();
            }
        }
        spans as f64 * 1e9 / watch.elapsed_ns() as f64
    };
    EncodeFigures {
        spans_per_s: Spread::of((0..runs).map(|_| run())),
        bytes_per_span: octets as f64 / records.len() as f64,
    }
}
