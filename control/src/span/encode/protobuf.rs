//! `ExportTraceServiceRequest` in the protobuf wire format, straight from records (opentelemetry-proto, `trace.proto`).
//!
//! Spans are written in place into a buffer of an earlier batch. Whatever is the same on all spans, or on all of a kind, is
//! copied; only the values between are worked out for each record, and the span's length is filled in last.

use bytes::Bytes;
use flowtable::{Event, Events, Family, FlowRecord};

use super::buffers::Buffers;
use super::cursor::Cursor;
use super::pieces::{self, Piece};
use super::protobuf_row::{ANY_STRING, KEY_VALUE_KEY, KEY_VALUE_VALUE, Protobuf};
use super::wire::{
    field_len, fixed64_tag, len_tag, put_bytes, put_header, put_message, put_varint, varint_len, varint_tag,
};
use super::{SCOPE_NAME, SCOPE_VERSION, SPAN_KIND_INTERNAL, STATUS_CODE_ERROR, span_name};
use crate::span::attributes::RecordView;
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
const SPAN_EVENTS: u8 = len_tag(11);
const SPAN_DROPPED_EVENTS: u8 = varint_tag(12);
const SPAN_LINKS: u8 = len_tag(13);
const SPAN_STATUS: u8 = len_tag(15);
const EVENT_TIME: u8 = fixed64_tag(1);
const EVENT_NAME: u8 = len_tag(2);
const STATUS_CODE: u8 = varint_tag(3);
const LINK_TRACE_ID: u8 = len_tag(1);
const LINK_SPAN_ID: u8 = len_tag(2);

/// A tag and the longest varint.
const MAX_HEADER_LEN: usize = 1 + 10;
/// A trace id and a span id with their headers.
const IDS_LEN: usize = 2 + 16 + 2 + 8;
const LINK_HEADER: [u8; 2] = [SPAN_LINKS, 28];
/// A fixed64 field with its tag.
const FIXED64_LEN: usize = 1 + 8;
/// Start and end of a span without the tag of the start, which comes with the name.
const TIMES_LEN: usize = 8 + FIXED64_LEN;
/// `Span.status` of a span whose conversation failed.
const ERROR_STATUS: [u8; 4] = [SPAN_STATUS, 2, STATUS_CODE, STATUS_CODE_ERROR];
/// Octets kept free for the length of a span: right from 128 to 16,383.
const RESERVED_LEN: usize = 2;
/// Room for the longest name with its tags, "flow_ipv6_isis over ipv4" being one of the longest.
const NAME_ROOM: usize = 40;

/// What all batches have in common, encoded once.
#[derive(Debug)]
pub(super) struct ProtobufEncoder {
    /// `ResourceSpans.resource` with tag and length.
    resource: Vec<u8>,
    /// `ScopeSpans.scope` with tag and length.
    scope: Vec<u8>,
    /// By protocol, those of IPv4 before those of IPv6.
    names: Vec<Name>,
    pieces: Vec<Piece<Protobuf>>,
    buffers: Buffers,
    /// For what nothing is prepared.
    scratch: Vec<u8>,
}

/// Name and kind of a span, with the tag of what follows.
#[derive(Debug)]
struct Name {
    octets: [u8; NAME_ROOM],
    len: u8,
}

impl ProtobufEncoder {
    pub(super) fn new(settings: &SpanSettings) -> ProtobufEncoder {
        let of = |family| (0..=u8::MAX).map(move |protocol| Name::new(family, protocol));
        ProtobufEncoder {
            resource: resource(&settings.resource),
            scope: scope(),
            names: of(Family::V4).chain(of(Family::V6)).collect(),
            pieces: pieces::prepare(&settings.attributes),
            buffers: Buffers::default(),
            scratch: Vec::new(),
        }
    }

    /// One request.
    ///
    /// The outer lengths are known last, so room for the longest possible head is left in front of the spans.
    pub(super) fn encode<'a>(&mut self, views: impl Iterator<Item = RecordView<'a>>) -> Bytes {
        let room = 2 * MAX_HEADER_LEN + self.resource.len() + self.scope.len();
        let mut draft = self.buffers.draft(room);
        for view in views {
            draft.put(|out| self.put_span(&view, out));
        }
        let head = self.head(draft.len() - room);
        let start = room - head.len();
        draft.written()[start..room].copy_from_slice(&head);
        draft.finish(start)
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

    /// Writes one span; gives its length. `None`: there is no room for it.
    fn put_span(&mut self, view: &RecordView<'_>, out: &mut [u8]) -> Option<usize> {
        let record = view.record;
        let mut cursor = Cursor::new(out);
        cursor.advance(1 + RESERVED_LEN);
        let identity = SpanIdentity::of(record, view.settings.identity_seed);
        put_ids([SPAN_TRACE_ID, SPAN_SPAN_ID], identity.trace, identity.span, &mut cursor)?;
        self.put_name_and_times(record, &mut cursor)?;
        for piece in &mut self.pieces {
            piece.put(view, &mut cursor, &mut self.scratch)?;
        }
        if !record.events.kept.is_empty() || record.events.dropped > 0 {
            put_events(&record.events, &mut cursor, &mut self.scratch)?;
        }
        if let Some(previous) = identity.previous {
            cursor.put(&LINK_HEADER)?;
            put_ids([LINK_TRACE_ID, LINK_SPAN_ID], identity.trace, previous, &mut cursor)?;
        }
        if record.error.is_some() {
            cursor.put(&ERROR_STATUS)?;
        }
        let end = cursor.written();
        close(out, end)
    }

    #[inline]
    fn put_name_and_times(&self, record: &FlowRecord, cursor: &mut Cursor<'_>) -> Option<()> {
        let of_family = match record.key.family {
            Family::V4 => 0,
            Family::V6 => 256,
        };
        let name = &self.names[of_family + usize::from(record.key.protocol)];
        *cursor.window()? = name.octets;
        cursor.advance(name.len.into());
        let window: &mut [u8; TIMES_LEN] = cursor.window()?;
        window[..8].copy_from_slice(&record.start.0.to_le_bytes());
        window[8] = SPAN_END;
        window[9..].copy_from_slice(&record.end.0.to_le_bytes());
        cursor.advance(TIMES_LEN);
        Some(())
    }
}

impl Name {
    fn new(family: Family, protocol: u8) -> Name {
        let mut octets = Vec::new();
        put_bytes(&mut octets, SPAN_NAME, span_name(family, protocol).concat().as_bytes());
        octets.push(SPAN_KIND);
        put_varint(&mut octets, SPAN_KIND_INTERNAL);
        octets.push(SPAN_START);
        let len = u8::try_from(octets.len()).expect("keywords are short");
        octets.resize(NAME_ROOM, 0);
        Name { octets: octets.try_into().expect("no keyword is longer than 28 characters"), len }
    }
}

#[inline]
fn put_ids(tags: [u8; 2], trace: TraceId, span: SpanId, cursor: &mut Cursor<'_>) -> Option<()> {
    let window: &mut [u8; IDS_LEN] = cursor.window()?;
    [window[0], window[1]] = [tags[0], 16];
    window[2..18].copy_from_slice(&trace.0);
    [window[18], window[19]] = [tags[1], 8];
    window[20..].copy_from_slice(&span.0);
    cursor.advance(IDS_LEN);
    Some(())
}

/// Puts tag and length in front of a span that ends at `end`; gives its length with them.
#[inline]
fn close(out: &mut [u8], end: usize) -> Option<usize> {
    let begin = 1 + RESERVED_LEN;
    let len = end - begin;
    out[0] = SCOPE_SPANS_SPANS;
    if varint_len(len as u64) == RESERVED_LEN {
        let [low, high] = [len & 0x7f | 0x80, len >> 7].map(|octet| octet.to_le_bytes()[0]);
        (out[1], out[2]) = (low, high);
        return Some(end);
    }
    close_unusual(out, begin, end)
}

/// The same for a span so short or so long that its length takes other than the octets reserved for it.
#[cold]
fn close_unusual(out: &mut [u8], begin: usize, end: usize) -> Option<usize> {
    let mut header = Vec::new();
    put_header(&mut header, SCOPE_SPANS_SPANS, end - begin);
    let moved = header.len() + end - begin;
    if moved > out.len() {
        return None;
    }
    out.copy_within(begin..end, header.len());
    out[..header.len()].copy_from_slice(&header);
    Some(moved)
}

#[cold]
fn put_events(events: &Events, cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Option<()> {
    scratch.clear();
    for Event { at, kind } in &events.kept {
        let name = kind.as_str().as_bytes();
        put_header(scratch, SPAN_EVENTS, FIXED64_LEN + field_len(name.len()));
        scratch.push(EVENT_TIME);
        scratch.extend_from_slice(&at.0.to_le_bytes());
        put_bytes(scratch, EVENT_NAME, name);
    }
    if events.dropped > 0 {
        scratch.push(SPAN_DROPPED_EVENTS);
        put_varint(scratch, events.dropped.into());
    }
    cursor.put(scratch)
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
