//! Spans a second from the exporter's queue to the receiver's acknowledgment, by compression.

use tapspan::export::Compression;

use super::{Lab, NotMeasured};
use crate::export;

/// Spans of one run: a good second where the mark is missed.
const SPANS: usize = 400_000;
/// Encoder threads: the mark is for an exporter on one core.
const ENCODERS: usize = 1;

/// Measures each compression in turn.
///
/// # Errors
/// Where receiver or exporter cannot start, or spans were lost.
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let cases = [
        ("export", Compression::None),
        ("export_zstd", Compression::Zstd),
        ("export_gzip", Compression::Gzip),
    ];
    for (name, compression) in cases {
        let figures = export::measure(compression, ENCODERS, lab.plan.runs, SPANS)?;
        lab.figures.add_spread(&format!("{name}_spans_per_s"), figures.spans_per_s, "spans/s");
        let bytes = if compression == Compression::None { "export_plain" } else { name };
        lab.figures.add(&format!("{bytes}_bytes_per_span"), figures.bytes_per_span, "B");
        lab.figures.add(&format!("{name}_exporter_ns_per_span"), figures.exporter_ns_per_span, "ns");
        lab.figures.add(&format!("{name}_receiver_ns_per_span"), figures.receiver_ns_per_span, "ns");
        if compression == Compression::Zstd {
            lab.figures.add("export_bytes_per_span", figures.bytes_per_span, "B");
        }
    }
    crate::machine::pin_to(lab.plan.control_cpu);
    Ok(None)
}
