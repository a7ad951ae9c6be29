//! Encoded batches, read back with the types of opentelemetry-proto.
//!
//! `naive` builds the same request the slow way, from the same table; `by_hand` knows two records' spans by heart.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod by_hand;
mod naive;
mod records;

use std::collections::HashSet;
use std::sync::Arc;

use flowtable::FlowRecord;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::prelude::*;
use prost::Message;
use tapspan::span::attributes::{Reads, RecordView, attributes};
use tapspan::span::{Format, SpanEncoder, SpanSettings};

fn protobuf(settings: &SpanSettings, records: &[FlowRecord]) -> ExportTraceServiceRequest {
    let bytes = SpanEncoder::new(Arc::new(settings.clone()), Format::Protobuf).encode(records);
    let request = ExportTraceServiceRequest::decode(bytes.clone()).unwrap();
    assert_eq!(request.encoded_len(), bytes.len(), "no octet that prost would not write");
    request
}

fn json(settings: &SpanSettings, records: &[FlowRecord]) -> ExportTraceServiceRequest {
    let bytes = SpanEncoder::new(Arc::new(settings.clone()), Format::Json).encode(records);
    let line = std::str::from_utf8(&bytes).unwrap();
    assert_eq!(line.find('\n'), None, "one line; its end is the transport's");
    let mut request: ExportTraceServiceRequest = serde_json::from_str(line).unwrap();
    for span in request.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans)
    {
        assert!(span.status.is_some(), "the Collector writes an unset status as {{}}");
        span.status.take_if(|status| *status == Status::default());
    }
    request
}

fn spans(request: &ExportTraceServiceRequest) -> &[Span] {
    let [resource_spans] = &request.resource_spans[..] else { panic!("one resource") };
    let [scope_spans] = &resource_spans.scope_spans[..] else { panic!("one scope") };
    &scope_spans.spans
}

/// What every span must satisfy, whatever the record.
fn assert_sound(span: &Span) {
    assert!(span.trace_id.len() == 16 && span.trace_id.iter().any(|byte| *byte != 0));
    assert!(span.span_id.len() == 8 && span.span_id.iter().any(|byte| *byte != 0));
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    let mut keys = HashSet::new();
    for attribute in &span.attributes {
        assert!(keys.insert(&attribute.key), "{} stands twice", attribute.key);
        assert!(attribute.value.as_ref().is_some_and(|value| value.value.is_some()), "{}", attribute.key);
    }
    for required in tapspan::span::attributes::attributes() {
        if required.level == tapspan::span::attributes::Level::Required {
            assert!(keys.iter().any(|key| *key == required.key), "{} is missing", required.key);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn protobuf_and_json_say_what_prost_types_filled_by_hand_say(
        settings in records::settings(),
        batch in proptest::collection::vec(records::record(), 0..20),
    ) {
        let expected = naive::request(&settings, &batch);
        prop_assert_eq!(&protobuf(&settings, &batch), &expected);
        prop_assert_eq!(&json(&settings, &batch), &expected);
        for span in spans(&expected) {
            assert_sound(span);
        }
    }

    #[test]
    fn records_of_one_flow_share_the_trace_and_link_to_the_one_before(
        first in records::record(),
        count in 1_u32..6,
    ) {
        let records: Vec<_> = (0..count).map(|number| FlowRecord { number, ..first.clone() }).collect();
        let request = protobuf(&SpanSettings::default(), &records);
        let mut previous: Option<&Span> = None;
        let mut ids = HashSet::new();
        for span in spans(&request) {
            prop_assert!(ids.insert(&span.span_id));
            prop_assert!(span.parent_span_id.is_empty());
            match previous {
                None => prop_assert!(span.links.is_empty()),
                Some(before) => {
                    prop_assert_eq!(span.links.len(), 1);
                    prop_assert_eq!(&span.trace_id, &before.trace_id);
                    prop_assert_eq!(&span.links[0].trace_id, &before.trace_id);
                    prop_assert_eq!(&span.links[0].span_id, &before.span_id);
                }
            }
            previous = Some(span);
        }
    }

    #[test]
    fn an_attribute_depends_on_nothing_but_what_its_row_says_and_differs_only_where_that_does(
        settings in records::settings(),
        (one, other) in (records::record(), records::record()),
    ) {
        for attribute in attributes().filter(|attribute| attribute.reads != Reads::Record) {
            let facts = |record| attribute.reads.facts(record);
            let value = |record| attribute.value(&RecordView { record, settings: &settings });
            let grafted = records::grafted(attribute.reads, &one, &other);
            prop_assert_eq!(facts(&one), facts(&grafted));
            prop_assert_eq!(value(&one), value(&grafted), "{}", attribute.key);
            prop_assert_ne!(facts(&one), Some(u64::MAX));
            if value(&one) != value(&other) {
                prop_assert!(facts(&one).is_none() || facts(&one) != facts(&other), "{}", attribute.key);
            }
        }
    }

    #[test]
    fn what_is_remembered_of_earlier_records_changes_no_span(
        settings in records::settings(),
        parents in proptest::collection::vec(records::record(), 2..6),
        picks in proptest::collection::vec((0_usize..6, 0_usize..6, 0_usize..6), 1..60),
    ) {
        let parent = |pick: usize| &parents[pick % parents.len()];
        let kinds =
            [Reads::Outcome, Reads::Path, Reads::Header, Reads::Message, Reads::Segments, Reads::Failure];
        let children: Vec<_> = picks
            .iter()
            .map(|(from, to, kind)| records::grafted(kinds[*kind], parent(*from), parent(*to)))
            .collect();
        let expected = naive::request(&settings, &children);
        prop_assert_eq!(&protobuf(&settings, &children), &expected);
        prop_assert_eq!(&json(&settings, &children), &expected);
    }

    #[test]
    fn one_encoder_gives_the_same_bytes_for_the_same_records(
        settings in records::settings(),
        batch in proptest::collection::vec(records::record(), 1..8),
        other in proptest::collection::vec(records::record(), 0..8),
    ) {
        for format in [Format::Protobuf, Format::Json, Format::Text] {
            let mut encoder = SpanEncoder::new(Arc::new(settings.clone()), format);
            let before = encoder.encode(&batch);
            encoder.encode(&other);
            prop_assert_eq!(&encoder.encode(&batch), &before);
            prop_assert_eq!(encoder.format(), format);
        }
    }

    #[test]
    fn text_has_one_line_for_each_record(batch in proptest::collection::vec(records::record(), 0..8)) {
        let bytes = SpanEncoder::new(Arc::default(), Format::Text).encode(&batch);
        let text = std::str::from_utf8(&bytes).unwrap();
        prop_assert_eq!(text.lines().count(), batch.len());
        prop_assert!(text.is_empty() || text.ends_with('\n'));
    }
}

#[test]
fn another_seed_gives_other_ids_and_nothing_else() {
    let record = by_hand::tcp_record();
    let seeded = SpanSettings { identity_seed: 1, ..SpanSettings::default() };
    let (one, other) =
        (protobuf(&SpanSettings::default(), std::slice::from_ref(&record)), protobuf(&seeded, &[record]));
    let (one, other) = (&spans(&one)[0], &spans(&other)[0]);
    assert_ne!(one.trace_id, other.trace_id);
    assert_ne!(one.span_id, other.span_id);
    assert_eq!(one.attributes, other.attributes);
}

#[test]
fn spans_of_any_length_read_back_whole() {
    for name_len in [0, 100, 15_000, 16_384, 70_000, 3_000_000] {
        let mut settings = by_hand::settings();
        settings.interfaces[1].name = "x".repeat(name_len);
        let records = vec![by_hand::tcp_record(); 3];
        let expected = naive::request(&settings, &records);
        assert_eq!(protobuf(&settings, &records), expected);
        assert_eq!(json(&settings, &records), expected);
    }
}

#[test]
fn records_in_parts_give_what_they_give_together() {
    let records: Vec<_> = (0..9).map(|number| FlowRecord { number, ..by_hand::tcp_record() }).collect();
    for format in [Format::Protobuf, Format::Json, Format::Text] {
        let mut encoder = SpanEncoder::new(Arc::new(by_hand::settings()), format);
        let together = encoder.encode(&records);
        assert_eq!(encoder.encode_parts(&[&records[..2], &[], &records[2..]]), together);
    }
}

#[test]
fn a_large_batch_reads_back_whole() {
    let records: Vec<_> = (0..5000).map(|number| FlowRecord { number, ..by_hand::tcp_record() }).collect();
    let request = protobuf(&by_hand::settings(), &records);
    assert_eq!(spans(&request).len(), records.len());
}
