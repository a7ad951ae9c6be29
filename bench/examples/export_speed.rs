//! Spans a second from queue to acknowledgment: `cargo run --release -p bench --no-default-features --example export_speed`.
//!
//! Arguments: encoders, runs and spans a run, 1, 5 and 200,000 where they are not given.

use anyhow::Result;
use bench::export::{self, ExportFigures};
use tapspan::export::Compression;

fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u32>());
    let mut number = |default| numbers.next().transpose().map(|number| number.unwrap_or(default));
    let (encoders, runs, spans) = (number(1)?, number(5)?, number(200_000)?);
    for (name, compression) in
        [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)]
    {
        let figures = export::measure(compression, encoders as usize, runs, spans as usize)?;
        print(name, &figures);
        let alone = export::loopback(figures.bytes_per_span, runs, spans)?;
        println!("    of which loopback alone: {:.0} ({:.0} to {:.0})", alone.median, alone.min, alone.max);
    }
    Ok(())
}

fn print(name: &str, figures: &ExportFigures) {
    let spans = figures.spans_per_s;
    let cores = if figures.own_cores { "a core each" } else { "one core for both" };
    println!(
        "{name}: {:.0} spans/s ({:.0} to {:.0}), {:.0} octets a span; ns a span: exporter {:.0}, receiver {:.0}; {cores}",
        spans.median,
        spans.min,
        spans.max,
        figures.bytes_per_span,
        figures.exporter_ns_per_span,
        figures.receiver_ns_per_span,
    );
}
