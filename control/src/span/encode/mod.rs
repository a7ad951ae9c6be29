//! Records to bytes: each batch is one OTLP `ExportTraceServiceRequest`, or readable lines.
//!
//! Every span has kind INTERNAL, the record's window, and no parent; a flow's later records link to the one before. Status
//! is Error without a message where the record has a failure, which `error.type` names, else Unset.

mod buffers;
mod cursor;
mod json;
mod json_row;
mod pieces;
mod protobuf;
mod protobuf_row;
mod text;
mod wire;

use std::sync::Arc;

use bytes::Bytes;
use flowtable::{Family, FlowRecord};

use self::json::JsonEncoder;
use self::protobuf::ProtobufEncoder;
use super::settings::SpanSettings;
use super::{RecordView, names};

/// `SpanKind.SPAN_KIND_INTERNAL` of `trace.proto`.
const SPAN_KIND_INTERNAL: u64 = 1;
/// `StatusCode.STATUS_CODE_ERROR` of `trace.proto`.
const STATUS_CODE_ERROR: u8 = 2;
const SCOPE_NAME: &str = env!("CARGO_PKG_NAME");
const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the bytes of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// An `ExportTraceServiceRequest` in protobuf, for OTLP/gRPC and OTLP/HTTP.
    Protobuf,
    /// The same in OTLP/JSON, on one line without its end.
    Json,
    /// One readable line for each span.
    Text,
}

/// Encodes batches of records. Belongs to one thread; keeps what all batches have in common.
#[derive(Debug)]
pub struct SpanEncoder {
    settings: Arc<SpanSettings>,
    prepared: Prepared,
    largest: Largest,
}

#[derive(Debug)]
enum Prepared {
    Protobuf(Box<ProtobufEncoder>),
    Json(Box<JsonEncoder>),
    Text,
}

impl SpanEncoder {
    /// Prepares what all batches have in common.
    pub fn new(settings: Arc<SpanSettings>, format: Format) -> SpanEncoder {
        let prepared = match format {
            Format::Protobuf => Prepared::Protobuf(Box::new(ProtobufEncoder::new(&settings))),
            Format::Json => Prepared::Json(Box::new(JsonEncoder::new(&settings))),
            Format::Text => Prepared::Text,
        };
        SpanEncoder { settings, prepared, largest: Largest::default() }
    }

    /// The format of this encoder's batches.
    pub fn format(&self) -> Format {
        match self.prepared {
            Prepared::Protobuf(_) => Format::Protobuf,
            Prepared::Json(_) => Format::Json,
            Prepared::Text => Format::Text,
        }
    }

    /// One batch: a span for each of `records`, in their order.
    ///
    /// The same records under the same settings give the same bytes.
    pub fn encode(&mut self, records: &[FlowRecord]) -> Bytes {
        self.encode_parts(&[records])
    }

    /// The same for records that do not lie together: those of each part in turn.
    pub fn encode_parts(&mut self, parts: &[&[FlowRecord]]) -> Bytes {
        let records = parts.iter().flat_map(|part| part.iter());
        let views = records.map(|record| RecordView { record, settings: &self.settings });
        match &mut self.prepared {
            Prepared::Protobuf(encoder) => encoder.encode(views),
            Prepared::Json(encoder) => encoder.encode(views),
            Prepared::Text => self.largest.with(|buffer| text::encode(views, buffer)),
        }
    }
}

/// Size of the largest batch so far: what the next buffer starts with.
#[derive(Debug, Default)]
struct Largest(usize);

impl Largest {
    fn with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let mut buffer = Vec::with_capacity(self.0);
        write(&mut buffer);
        self.0 = self.0.max(buffer.len());
        Bytes::from(buffer)
    }
}

/// The span's name, `flow_<network.type>_<network.transport>`, in pieces.
fn span_name(family: Family, protocol: u8) -> [&'static str; 4] {
    ["flow_", names::network_type(family), "_", names::transport(protocol)]
}
