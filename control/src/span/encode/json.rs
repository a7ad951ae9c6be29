//! OTLP/JSON, one request a line, as the Collector's file exporter writes it: ids in lowercase hexadecimal, 64-bit integers
//! as strings, enums as numbers, names in camelCase. <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use flowtable::Events;

use super::{SCOPE_NAME, SCOPE_VERSION, SPAN_KIND_INTERNAL, STATUS_CODE_ERROR, span_name};
use crate::span::ShortText;
use crate::span::attributes::{Attribute, Getter, RecordView, Value};
use crate::span::identity::{SpanId, SpanIdentity, TraceId};
use crate::span::resource::Resource;
use crate::span::settings::SpanSettings;

const TAIL: &[u8] = b"]}]}]}";

/// What all batches have in common, encoded once.
#[derive(Debug)]
pub(super) struct JsonEncoder {
    /// Everything in front of the first span.
    head: Vec<u8>,
    /// The chosen attributes.
    rows: Vec<Row>,
}

/// An attribute with the part of its pair that never changes.
#[derive(Debug)]
struct Row {
    /// `{"key":KEY,"value":`, of a number also what stands before its digits.
    prefix: Vec<u8>,
    attribute: &'static Attribute,
}

impl JsonEncoder {
    pub(super) fn new(settings: &SpanSettings) -> JsonEncoder {
        JsonEncoder {
            head: head(&settings.resource),
            rows: settings.attributes.iter().map(Row::new).collect(),
        }
    }

    pub(super) fn encode<'a>(&self, views: impl Iterator<Item = RecordView<'a>>, line: &mut Vec<u8>) {
        line.extend_from_slice(&self.head);
        let mut comma = Comma::default();
        for view in views {
            comma.put(line);
            self.put_span(&view, line);
        }
        line.extend_from_slice(TAIL);
    }

    fn put_span(&self, view: &RecordView<'_>, line: &mut Vec<u8>) {
        let record = view.record;
        let identity = SpanIdentity::of(record, view.settings.identity_seed);
        line.push(b'{');
        put_ids(identity.trace, identity.span, line);
        line.extend_from_slice(br#","parentSpanId":"","name":""#);
        for piece in span_name(record.key.family, record.key.protocol) {
            line.extend_from_slice(piece.as_bytes());
        }
        line.extend_from_slice(br#"","kind":"#);
        line.extend_from_slice(ShortText::decimal(SPAN_KIND_INTERNAL).as_bytes());
        line.extend_from_slice(br#","startTimeUnixNano":""#);
        line.extend_from_slice(ShortText::decimal(record.start.0).as_bytes());
        line.extend_from_slice(br#"","endTimeUnixNano":""#);
        line.extend_from_slice(ShortText::decimal(record.end.0).as_bytes());
        line.extend_from_slice(br#"","attributes":["#);
        self.put_attributes(view, line);
        line.push(b']');
        put_events(&record.events, line);
        if let Some(previous) = identity.previous {
            line.extend_from_slice(br#","links":[{"#);
            put_ids(identity.trace, previous, line);
            line.extend_from_slice(b"}]");
        }
        line.extend_from_slice(br#","status":{"#);
        if record.error.is_some() {
            line.extend_from_slice(br#""code":"#);
            line.extend_from_slice(ShortText::decimal(STATUS_CODE_ERROR.into()).as_bytes());
        }
        line.extend_from_slice(b"}}");
    }

    fn put_attributes(&self, view: &RecordView<'_>, line: &mut Vec<u8>) {
        let mut comma = Comma::default();
        for Row { prefix, attribute } in &self.rows {
            if let Some(value) = attribute.value(view) {
                comma.put(line);
                line.extend_from_slice(prefix);
                put_value(&value, line);
            }
        }
    }
}

impl Row {
    fn new(attribute: &'static Attribute) -> Row {
        let mut prefix = Vec::new();
        put_key(attribute.key, &mut prefix);
        if matches!(attribute.getter, Getter::Long(_)) {
            prefix.extend_from_slice(br#"{"intValue":""#);
        }
        Row { prefix, attribute }
    }
}

/// Writes nothing before the first element of a list and a comma before every other.
#[derive(Default)]
struct Comma {
    begun: bool,
}

impl Comma {
    fn put(&mut self, line: &mut Vec<u8>) {
        if self.begun {
            line.push(b',');
        }
        self.begun = true;
    }
}

fn head(resource: &Resource) -> Vec<u8> {
    let mut head = br#"{"resourceSpans":[{"resource":{"attributes":["#.to_vec();
    let mut comma = Comma::default();
    for (key, value) in resource.attributes() {
        comma.put(&mut head);
        put_key(key, &mut head);
        put_string_value(value, &mut head);
        head.push(b'}');
    }
    head.extend_from_slice(br#"]},"scopeSpans":[{"scope":{"name":"#);
    put_string(SCOPE_NAME, &mut head);
    head.extend_from_slice(br#","version":"#);
    put_string(SCOPE_VERSION, &mut head);
    head.extend_from_slice(br#"},"spans":["#);
    head
}

fn put_events(events: &Events, line: &mut Vec<u8>) {
    if !events.kept.is_empty() {
        line.extend_from_slice(br#","events":["#);
        let mut comma = Comma::default();
        for event in &events.kept {
            comma.put(line);
            line.extend_from_slice(br#"{"timeUnixNano":""#);
            line.extend_from_slice(ShortText::decimal(event.at.0).as_bytes());
            line.extend_from_slice(br#"","name":""#);
            line.extend_from_slice(event.kind.as_str().as_bytes());
            line.extend_from_slice(br#""}"#);
        }
        line.push(b']');
    }
    if events.dropped > 0 {
        line.extend_from_slice(br#","droppedEventsCount":"#);
        line.extend_from_slice(ShortText::decimal(events.dropped.into()).as_bytes());
    }
}

/// Appends what follows the prefix of a row, with the closing brace of its pair.
fn put_value(value: &Value<'_>, line: &mut Vec<u8>) {
    match value {
        Value::Text(text) => put_string_value(text.as_str(), line),
        Value::Long(number) => {
            line.extend_from_slice(ShortText::signed(*number).as_bytes());
            line.extend_from_slice(br#""}"#);
        }
        Value::List(list) => {
            line.extend_from_slice(br#"{"arrayValue":{"values":["#);
            let mut comma = Comma::default();
            for text in list.iter() {
                comma.put(line);
                put_string_value(text, line);
            }
            line.extend_from_slice(b"]}}");
        }
    }
    line.push(b'}');
}

fn put_ids(trace: TraceId, span: SpanId, line: &mut Vec<u8>) {
    line.extend_from_slice(br#""traceId":""#);
    line.extend_from_slice(ShortText::hex(&trace.0).as_bytes());
    line.extend_from_slice(br#"","spanId":""#);
    line.extend_from_slice(ShortText::hex(&span.0).as_bytes());
    line.push(b'"');
}

/// Appends `{"key":KEY,"value":`; the value and a closing brace follow.
fn put_key(key: &str, line: &mut Vec<u8>) {
    line.extend_from_slice(br#"{"key":"#);
    put_string(key, line);
    line.extend_from_slice(br#","value":"#);
}

fn put_string_value(text: &str, line: &mut Vec<u8>) {
    line.extend_from_slice(br#"{"stringValue":"#);
    put_string(text, line);
    line.push(b'}');
}

/// Appends `text` quoted and escaped.
fn put_string(text: &str, line: &mut Vec<u8>) {
    serde_json::to_writer(line, text).expect("a Vec takes every write");
}
