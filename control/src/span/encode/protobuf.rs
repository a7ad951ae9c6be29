//! `ExportTraceServiceRequest` in the protobuf wire format, straight from records (opentelemetry-proto, `trace.proto`).
//!
//! Nothing is built in between and nothing is allocated per span: the lengths of nested messages are computed from the
//! values, and only the span's own length is filled in afterwards.

use flowtable::{Event, Events};

use super::wire::{
    field_len, fixed64_tag, len_tag, put_bytes, put_fixed64, put_header, put_message, put_varint, varint_len,
    varint_tag,
};
use super::{SCOPE_NAME, SCOPE_VERSION, SPAN_KIND_INTERNAL, STATUS_CODE_ERROR, span_name};
use crate::span::attributes::{Attribute, Getter, RecordView, TextList};
use crate::span::identity::{SpanId, SpanIdentity, TraceId};
use crate::span::resource::Resource;
use crate::span::settings::SpanSettings;

const REQUEST_RESOURCE_SPANS: u8 = len_tag(1);
const RESOURCE_SPANS_RESOURCE: u8 = len_tag(1);
const RESOURCE_SPANS_SCOPE_SPANS: u8 = len_tag(2);
const RESOURCE_ATTRIBUTES: u8 = len_tag(1);
const SCOPE_SPANS_SCOPE: u8 = len_tag(1);
const SCOPE_SPANS_SPANS: u8 = len_tag(2);
const SCOPE_FIELD_NAME: u8 = len_tag(1);
const SCOPE_FIELD_VERSION: u8 = len_tag(2);
const SPAN_TRACE_ID: u8 = len_tag(1);
const SPAN_SPAN_ID: u8 = len_tag(2);
const SPAN_NAME: u8 = len_tag(5);
const SPAN_KIND: u8 = varint_tag(6);
const SPAN_START: u8 = fixed64_tag(7);
const SPAN_END: u8 = fixed64_tag(8);
const SPAN_ATTRIBUTES: u8 = len_tag(9);
const SPAN_EVENTS: u8 = len_tag(11);
const SPAN_DROPPED_EVENTS: u8 = varint_tag(12);
const SPAN_LINKS: u8 = len_tag(13);
const SPAN_STATUS: u8 = len_tag(15);
const EVENT_TIME: u8 = fixed64_tag(1);
const EVENT_NAME: u8 = len_tag(2);
const STATUS_CODE: u8 = varint_tag(3);
const LINK_TRACE_ID: u8 = len_tag(1);
const LINK_SPAN_ID: u8 = len_tag(2);
const KEY_VALUE_KEY: u8 = len_tag(1);
const KEY_VALUE_VALUE: u8 = len_tag(2);
const ANY_STRING: u8 = len_tag(1);
const ANY_INT: u8 = varint_tag(3);
const ANY_ARRAY: u8 = len_tag(5);
const ARRAY_VALUES: u8 = len_tag(1);

/// A tag and the longest varint.
const MAX_HEADER_LEN: usize = 1 + 10;
const LINK_LEN: usize = field_len(16) + field_len(8);
/// A fixed64 field with its tag.
const FIXED64_LEN: usize = 1 + 8;
/// `Span.status` of a span whose conversation failed.
const ERROR_STATUS: [u8; 4] = [SPAN_STATUS, 2, STATUS_CODE, STATUS_CODE_ERROR];
/// Numbers below are one octet as varints.
const ONE_OCTET: u64 = 0x80;

/// What all batches have in common, encoded once.
#[derive(Debug)]
pub(super) struct ProtobufEncoder {
    /// `ResourceSpans.resource` with tag and length.
    resource: Vec<u8>,
    /// `ScopeSpans.scope` with tag and length.
    scope: Vec<u8>,
    /// The chosen attributes.
    rows: Vec<Row>,
}

/// An attribute with the part of its `KeyValue` that never changes.
#[derive(Debug)]
struct Row {
    /// `KeyValue.key` with tag and length, and the tag of `KeyValue.value`.
    prefix: Vec<u8>,
    /// The whole `KeyValue` of a number of one octet, with its tag and length, up to that octet: most numbers are small.
    one_octet: Vec<u8>,
    getter: Getter,
}

impl ProtobufEncoder {
    pub(super) fn new(settings: &SpanSettings) -> ProtobufEncoder {
        ProtobufEncoder {
            resource: resource(&settings.resource),
            scope: scope(),
            rows: settings.attributes.iter().map(Row::new).collect(),
        }
    }

    /// Appends the request to the empty `buffer`; it begins at the offset returned.
    ///
    /// The outer lengths are known last, so room for the longest possible head is left in front of the spans.
    pub(super) fn encode<'a>(
        &self,
        views: impl Iterator<Item = RecordView<'a>>,
        buffer: &mut Vec<u8>,
    ) -> usize {
        let room = 2 * MAX_HEADER_LEN + self.resource.len() + self.scope.len();
        buffer.resize(room, 0);
        for view in views {
            put_message(buffer, SCOPE_SPANS_SPANS, |buffer| self.put_span(&view, buffer));
        }
        let head = self.head(buffer.len() - room);
        let start = room - head.len();
        buffer[start..room].copy_from_slice(&head);
        start
    }

    /// Everything in front of the first span, given the octets of all spans.
    fn head(&self, spans_len: usize) -> Vec<u8> {
        let scope_spans_len = self.scope.len() + spans_len;
        let resource_spans_len = self.resource.len() + field_len(scope_spans_len);
        let mut head = Vec::new();
        put_header(&mut head, REQUEST_RESOURCE_SPANS, resource_spans_len);
        head.extend_from_slice(&self.resource);
        put_header(&mut head, RESOURCE_SPANS_SCOPE_SPANS, scope_spans_len);
        head.extend_from_slice(&self.scope);
        head
    }

    fn put_span(&self, view: &RecordView<'_>, buffer: &mut Vec<u8>) {
        let record = view.record;
        let identity = SpanIdentity::of(record, view.settings.identity_seed);
        put_bytes(buffer, SPAN_TRACE_ID, &identity.trace.0);
        put_bytes(buffer, SPAN_SPAN_ID, &identity.span.0);
        let name = span_name(record);
        put_header(buffer, SPAN_NAME, name.iter().map(|piece| piece.len()).sum());
        for piece in name {
            buffer.extend_from_slice(piece.as_bytes());
        }
        buffer.push(SPAN_KIND);
        put_varint(buffer, SPAN_KIND_INTERNAL);
        put_fixed64(buffer, SPAN_START, record.start.0);
        put_fixed64(buffer, SPAN_END, record.end.0);
        for row in &self.rows {
            row.put(view, buffer);
        }
        put_events(&record.events, buffer);
        if let Some(previous) = identity.previous {
            put_link(identity.trace, previous, buffer);
        }
        if record.error.is_some() {
            buffer.extend_from_slice(&ERROR_STATUS);
        }
    }
}

impl Row {
    fn new(attribute: &Attribute) -> Row {
        let mut prefix = Vec::new();
        put_bytes(&mut prefix, KEY_VALUE_KEY, attribute.key.as_bytes());
        prefix.push(KEY_VALUE_VALUE);
        let mut row = Row { prefix, one_octet: Vec::new(), getter: attribute.getter };
        let mut one_octet = Vec::new();
        row.put_key(2, &mut one_octet);
        one_octet.push(ANY_INT);
        row.one_octet = one_octet;
        row
    }

    /// Appends the attribute, if the record has it.
    #[inline]
    fn put(&self, view: &RecordView<'_>, buffer: &mut Vec<u8>) {
        match self.getter {
            Getter::Text(get) => {
                // Borrowed, not moved: copying a value just written in smaller pieces waits for those stores.
                if let Some(text) = &get(view) {
                    let text = text.as_bytes();
                    self.put_key(field_len(text.len()), buffer);
                    put_bytes(buffer, ANY_STRING, text);
                }
            }
            Getter::Long(get) => {
                if let Some(number) = get(view) {
                    self.put_long(number.cast_unsigned(), buffer);
                }
            }
            Getter::List(get) => {
                if let Some(list) = get(view) {
                    self.put_list(list, buffer);
                }
            }
        }
    }

    #[inline]
    fn put_long(&self, number: u64, buffer: &mut Vec<u8>) {
        if number < ONE_OCTET {
            buffer.extend_from_slice(&self.one_octet);
        } else {
            self.put_key(1 + varint_len(number), buffer);
            buffer.push(ANY_INT);
        }
        put_varint(buffer, number);
    }

    fn put_list(&self, list: TextList<'_>, buffer: &mut Vec<u8>) {
        let array_len = list.iter().map(|text| field_len(field_len(text.len()))).sum();
        self.put_key(field_len(array_len), buffer);
        put_header(buffer, ANY_ARRAY, array_len);
        for text in list.iter() {
            put_header(buffer, ARRAY_VALUES, field_len(text.len()));
            put_bytes(buffer, ANY_STRING, text.as_bytes());
        }
    }

    /// Appends everything of the `KeyValue` up to its `AnyValue`, which takes `value_len` octets.
    #[inline]
    fn put_key(&self, value_len: usize, buffer: &mut Vec<u8>) {
        let key_value_len = self.prefix.len() + varint_len(value_len as u64) + value_len;
        put_header(buffer, SPAN_ATTRIBUTES, key_value_len);
        buffer.extend_from_slice(&self.prefix);
        put_varint(buffer, value_len as u64);
    }
}

fn put_events(events: &Events, buffer: &mut Vec<u8>) {
    for Event { at, kind } in &events.kept {
        let name = kind.as_str().as_bytes();
        put_header(buffer, SPAN_EVENTS, FIXED64_LEN + field_len(name.len()));
        put_fixed64(buffer, EVENT_TIME, at.0);
        put_bytes(buffer, EVENT_NAME, name);
    }
    if events.dropped > 0 {
        buffer.push(SPAN_DROPPED_EVENTS);
        put_varint(buffer, events.dropped.into());
    }
}

fn put_link(trace: TraceId, span: SpanId, buffer: &mut Vec<u8>) {
    put_header(buffer, SPAN_LINKS, LINK_LEN);
    put_bytes(buffer, LINK_TRACE_ID, &trace.0);
    put_bytes(buffer, LINK_SPAN_ID, &span.0);
}

fn resource(resource: &Resource) -> Vec<u8> {
    let mut message = Vec::new();
    put_message(&mut message, RESOURCE_SPANS_RESOURCE, |message| {
        for (key, value) in resource.attributes() {
            put_message(message, RESOURCE_ATTRIBUTES, |pair| {
                put_bytes(pair, KEY_VALUE_KEY, key.as_bytes());
                put_message(pair, KEY_VALUE_VALUE, |any| put_bytes(any, ANY_STRING, value.as_bytes()));
            });
        }
    });
    message
}

fn scope() -> Vec<u8> {
    let mut message = Vec::new();
    put_message(&mut message, SCOPE_SPANS_SCOPE, |scope| {
        put_bytes(scope, SCOPE_FIELD_NAME, SCOPE_NAME.as_bytes());
        put_bytes(scope, SCOPE_FIELD_VERSION, SCOPE_VERSION.as_bytes());
    });
    message
}
