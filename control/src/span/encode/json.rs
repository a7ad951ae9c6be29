//! OTLP/JSON, one request a line, as the Collector's file exporter writes it: ids in lowercase hexadecimal, 64-bit integers
//! as strings, enums as numbers, names in camelCase. <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>
//!
//! Written in place and prepared as the protobuf is. Every element of a list is written with the comma that follows it, and
//! the last comma of a list taken back.

use bytes::Bytes;
use flowtable::{Event, Events, Family, FlowRecord};

use super::buffers::Buffers;
use super::cursor::Cursor;
use super::json_row::{Json, put_string, put_text_pair};
use super::pieces::{self, Piece};
use super::{SCOPE_NAME, SCOPE_VERSION, SPAN_KIND_INTERNAL, STATUS_CODE_ERROR, span_name};
use crate::span::attributes::RecordView;
use crate::span::identity::{SpanId, SpanIdentity, TraceId};
use crate::span::in_place::{self, ROOM};
use crate::span::resource::Resource;
use crate::span::settings::SpanSettings;

const TAIL: &[u8] = b"]}]}]}";
const TRACE_ID: &[u8; 11] = br#""traceId":""#;
const SPAN_ID: &[u8; 12] = br#"","spanId":""#;
const TRACE_ID_AT: usize = TRACE_ID.len();
const SPAN_ID_KEY_AT: usize = TRACE_ID_AT + 32;
const SPAN_ID_AT: usize = SPAN_ID_KEY_AT + SPAN_ID.len();
/// Both ids with their keys, without the quote that ends the second.
const IDS_LEN: usize = SPAN_ID_AT + 16;

/// What all batches have in common, encoded once.
#[derive(Debug)]
pub(super) struct JsonEncoder {
    /// Everything in front of the first span.
    head: Vec<u8>,
    /// Everything between a span's id and the digits of its start, by protocol, those of IPv4 before those of IPv6.
    names: Vec<Vec<u8>>,
    pieces: Vec<Piece<Json>>,
    /// End of a span that has no error, and of one that has.
    status: [Vec<u8>; 2],
    buffers: Buffers,
    /// For what nothing is prepared.
    scratch: Vec<u8>,
}

impl JsonEncoder {
    pub(super) fn new(settings: &SpanSettings) -> JsonEncoder {
        let of = |family| (0..=u8::MAX).map(move |protocol| name(family, protocol));
        JsonEncoder {
            head: head(&settings.resource),
            names: of(Family::V4).chain(of(Family::V6)).collect(),
            pieces: pieces::prepare(&settings.attributes),
            status: [
                br#","status":{}},"#.to_vec(),
                format!(r#","status":{{"code":{STATUS_CODE_ERROR}}}}},"#).into_bytes(),
            ],
            buffers: Buffers::default(),
            scratch: Vec::new(),
        }
    }

    /// One request on one line, without its end.
    pub(super) fn encode<'a>(&mut self, views: impl Iterator<Item = RecordView<'a>>) -> Bytes {
        let mut draft = self.buffers.draft(self.head.len());
        draft.written().copy_from_slice(&self.head);
        for view in views {
            draft.put(|out| self.put_span(&view, out));
        }
        if draft.len() > self.head.len() {
            draft.take_back(1);
        }
        draft.put(|out| {
            out.get_mut(..TAIL.len())?.copy_from_slice(TAIL);
            Some(TAIL.len())
        });
        draft.finish(0)
    }

    /// Writes one span and a comma; gives their length. `None`: there is no room for it.
    fn put_span(&mut self, view: &RecordView<'_>, out: &mut [u8]) -> Option<usize> {
        let record = view.record;
        let mut cursor = Cursor::new(out);
        let identity = SpanIdentity::of(record, view.settings.identity_seed);
        cursor.put(b"{")?;
        put_ids(identity.trace, identity.span, &mut cursor)?;
        cursor.put(&self.names[name_place(record)])?;
        put_decimal(record.start.0, &mut cursor)?;
        cursor.put(br#"","endTimeUnixNano":""#)?;
        put_decimal(record.end.0, &mut cursor)?;
        cursor.put(br#"","attributes":["#)?;
        let before = cursor.written();
        for piece in &mut self.pieces {
            piece.put(view, &mut cursor, &mut self.scratch)?;
        }
        close_list(before, &mut cursor)?;
        put_events(&record.events, &mut cursor)?;
        if let Some(previous) = identity.previous {
            cursor.put(br#","links":[{"#)?;
            put_ids(identity.trace, previous, &mut cursor)?;
            cursor.put(br#""}]"#)?;
        }
        cursor.put(&self.status[usize::from(record.error.is_some())])?;
        Some(cursor.written())
    }
}

/// Ends a list whose elements begin at `before`.
#[inline]
fn close_list(before: usize, cursor: &mut Cursor<'_>) -> Option<()> {
    if cursor.written() > before {
        cursor.take_back(1);
    }
    cursor.put(b"]")
}

fn put_events(events: &Events, cursor: &mut Cursor<'_>) -> Option<()> {
    if !events.kept.is_empty() {
        cursor.put(br#","events":["#)?;
        let before = cursor.written();
        for Event { at, kind } in &events.kept {
            cursor.put(br#"{"timeUnixNano":""#)?;
            put_decimal(at.0, cursor)?;
            cursor.put(br#"","name":""#)?;
            cursor.put(kind.as_str().as_bytes())?;
            cursor.put(br#""},"#)?;
        }
        close_list(before, cursor)?;
    }
    if events.dropped > 0 {
        cursor.put(br#","droppedEventsCount":"#)?;
        put_decimal(events.dropped.into(), cursor)?;
    }
    Some(())
}

#[inline]
fn put_decimal(number: u64, cursor: &mut Cursor<'_>) -> Option<()> {
    let len = in_place::decimal(number, cursor.window()?);
    cursor.advance(len);
    Some(())
}

#[inline]
fn put_ids(trace: TraceId, span: SpanId, cursor: &mut Cursor<'_>) -> Option<()> {
    let window: &mut [u8; SPAN_ID_AT + ROOM] = cursor.window()?;
    window[..TRACE_ID_AT].copy_from_slice(TRACE_ID);
    in_place::hex(&trace.0, window[TRACE_ID_AT..].first_chunk_mut()?);
    window[SPAN_ID_KEY_AT..SPAN_ID_AT].copy_from_slice(SPAN_ID);
    in_place::hex(&span.0, window[SPAN_ID_AT..].first_chunk_mut()?);
    cursor.advance(IDS_LEN);
    Some(())
}

fn name_place(record: &FlowRecord) -> usize {
    let of_family = match record.key.family {
        Family::V4 => 0,
        Family::V6 => 256,
    };
    of_family + usize::from(record.key.protocol)
}

fn name(family: Family, protocol: u8) -> Vec<u8> {
    let name = span_name(family, protocol).concat();
    format!(r#"","parentSpanId":"","name":"{name}","kind":{SPAN_KIND_INTERNAL},"startTimeUnixNano":""#)
        .into_bytes()
}

fn head(resource: &Resource) -> Vec<u8> {
    let mut head = br#"{"resourceSpans":[{"resource":{"attributes":["#.to_vec();
    for (place, (key, value)) in resource.attributes().enumerate() {
        if place > 0 {
            head.push(b',');
        }
        put_text_pair(key, value, &mut head);
    }
    head.extend_from_slice(br#"]},"scopeSpans":[{"scope":{"name":"#);
    put_string(SCOPE_NAME, &mut head);
    head.extend_from_slice(br#","version":"#);
    put_string(SCOPE_VERSION, &mut head);
    head.extend_from_slice(br#"},"spans":["#);
    head
}
