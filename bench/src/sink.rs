//! Where records go in a measurement: through the probe's own exporter, encoded as protobuf in its batches, to a
//! destination that takes everything and keeps nothing.

use std::time::Duration;

use bytes::Bytes;
use flowtable::{FlowRecord, RecordSink};
use tapspan::export::{
    Answer, Batch, BatchEncoder, ExportHandle, ExportSettings, Exporter, Format, Sending, Transport,
};
use tapspan::span::SpanEncoder;

use crate::encode;

/// Records handed over together, as in the probe.
const CHUNK_RECORDS: usize = 512;

/// Gathers records and offers them to an exporter; where its queue is full they are dropped and counted, as in the probe.
pub struct Sink {
    exporter: Exporter,
    handle: ExportHandle,
    chunk: Vec<FlowRecord>,
}

/// What became of the records so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkFigures {
    /// Records cut.
    pub records: u64,
    /// Of these, delivered as spans.
    pub delivered: u64,
    /// Of these, dropped as the queue was full.
    pub dropped: u64,
}

impl Sink {
    /// Starts the exporter's thread, where the calling one may run.
    ///
    /// # Errors
    /// Where there is no thread to be had.
    pub fn start() -> anyhow::Result<Sink> {
        // Never connected to: the transport below takes its place.
        let destination: ExportSettings = ExportSettings::new("grpc://localhost:4317".parse()?);
        let encoder = |format: Format| Box::new(Encoder(encode::encoder(span_format(format)))) as Box<_>;
        let exporter =
            Exporter::start_with(&[destination], encoder, |_| Ok(Box::new(Discard) as Box<dyn Transport>))?;
        Ok(Sink { handle: exporter.handle(), exporter, chunk: Vec::with_capacity(CHUNK_RECORDS) })
    }

    /// Hands over what was gathered.
    pub fn flush(&mut self) {
        if !self.chunk.is_empty() {
            let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_RECORDS));
            self.handle.offer(chunk);
        }
    }

    /// The figures as they are now.
    pub fn figures(&self) -> SinkFigures {
        let mut figures = SinkFigures::default();
        for books in self.handle.ledger() {
            figures.records += books.records;
            figures.delivered += books.delivered;
            figures.dropped += books.dropped.total();
        }
        figures
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.exporter.shutdown(Duration::ZERO);
    }
}

impl RecordSink for Sink {
    fn record(&mut self, record: FlowRecord) {
        self.chunk.push(record);
        if self.chunk.len() == CHUNK_RECORDS {
            self.flush();
        }
    }
}

struct Encoder(SpanEncoder);

impl BatchEncoder for Encoder {
    fn encode(&mut self, records: &[FlowRecord]) -> Bytes {
        self.0.encode(records)
    }
}

struct Discard;

impl Transport for Discard {
    fn send(&mut self, _batch: Batch) -> Sending<'_> {
        Box::pin(std::future::ready(Answer::Delivered))
    }
}

fn span_format(format: Format) -> tapspan::span::Format {
    match format {
        Format::Protobuf => tapspan::span::Format::Protobuf,
        Format::Json => tapspan::span::Format::Json,
        Format::Text => tapspan::span::Format::Text,
    }
}
