//! Records to bytes: each batch is one OTLP `ExportTraceServiceRequest`, or readable lines.
//!
//! Every span has kind INTERNAL, the record's window, and no parent; a flow's later records link to the one before. Status
//! is Error without a message where the record has a failure, which `error.type` names, else Unset.

mod json;
mod protobuf;
mod text;
mod wire;

use std::sync::Arc;

use bytes::Bytes;
use flowtable::FlowRecord;

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
    /// Size of the largest batch so far: what the next buffer starts with.
    largest: usize,
}

#[derive(Debug)]
enum Prepared {
    Protobuf(ProtobufEncoder),
    Json(JsonEncoder),
    Text,
}

impl SpanEncoder {
    /// Prepares what all batches have in common.
    pub fn new(settings: Arc<SpanSettings>, format: Format) -> SpanEncoder {
        let prepared = match format {
            Format::Protobuf => Prepared::Protobuf(ProtobufEncoder::new(&settings)),
            Format::Json => Prepared::Json(JsonEncoder::new(&settings)),
            Format::Text => Prepared::Text,
        };
        SpanEncoder { settings, prepared, largest: 0 }
    }

    /// The format of this encoder's batches.
    pub fn format(&self) -> Format {
        match self.prepared {
            Prepared::Protobuf(_) => Format::Protobuf,
            Prepared::Json(_) => Format::Json,
            Prepared::Text => Format::Text,
        }
    }

    /// One batch: a span for each of `records`, in their order. Allocates one buffer.
    ///
    /// The same records under the same settings give the same bytes.
    pub fn encode(&mut self, records: &[FlowRecord]) -> Bytes {
        let mut buffer = Vec::with_capacity(self.largest);
        let views = records.iter().map(|record| RecordView { record, settings: &self.settings });
        let skip = match &self.prepared {
            Prepared::Protobuf(encoder) => encoder.encode(views, &mut buffer),
            Prepared::Json(encoder) => {
                encoder.encode(views, &mut buffer);
                0
            }
            Prepared::Text => {
                text::encode(views, &mut buffer);
                0
            }
        };
        self.largest = self.largest.max(buffer.len());
        Bytes::from(buffer).slice(skip..)
    }
}

/// The span's name, `flow_<network.type>_<network.transport>`, in pieces.
fn span_name(record: &FlowRecord) -> [&'static str; 4] {
    ["flow_", names::network_type(record.key.family), "_", names::transport(record.key.protocol)]
}
