//! The request built from prost types, one plain step after the other: what the encoders must agree with.

use flowtable::{Family, FlowRecord};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use tapspan::span::attributes::{RecordView, Value};
use tapspan::span::identity::{span_id, trace_id};
use tapspan::span::{SpanSettings, names};

pub(crate) fn request(settings: &SpanSettings, records: &[FlowRecord]) -> ExportTraceServiceRequest {
    let attributes = settings.resource.attributes().map(|(key, value)| pair(key, string(value))).collect();
    let scope = InstrumentationScope {
        name: "tapspan".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = ScopeSpans {
        scope: Some(scope),
        spans: records.iter().map(|record| span(settings, record)).collect(),
        schema_url: String::new(),
    };
    let resource = Resource { attributes, ..Resource::default() };
    let resource_spans =
        ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], schema_url: String::new() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn span(settings: &SpanSettings, record: &FlowRecord) -> Span {
    let trace = trace_id(&record.key, record.flow_start, settings.identity_seed);
    let family = match record.key.family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    let links = match record.number {
        0 => Vec::new(),
        number => vec![Link {
            trace_id: trace.0.to_vec(),
            span_id: span_id(trace, number - 1).0.to_vec(),
            ..Link::default()
        }],
    };
    let view = RecordView { record, settings };
    let values = settings.attributes.iter().filter_map(|row| Some((row.key, row.value(&view)?)));
    let events = record.events.kept.iter().map(|event| Event {
        time_unix_nano: event.at.0,
        name: event.kind.as_str().to_owned(),
        ..Event::default()
    });
    let failed = |_| Status { code: StatusCode::Error.into(), ..Status::default() };
    Span {
        trace_id: trace.0.to_vec(),
        span_id: span_id(trace, record.number).0.to_vec(),
        name: format!("flow_{family}_{}", names::transport(record.key.protocol)),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: record.start.0,
        end_time_unix_nano: record.end.0,
        attributes: values.map(|(key, value)| pair(key, any(&value))).collect(),
        events: events.collect(),
        dropped_events_count: record.events.dropped,
        links,
        status: record.error.map(failed),
        ..Span::default()
    }
}

fn any(value: &Value<'_>) -> AnyValue {
    match value {
        Value::Text(text) => string(text.as_str()),
        Value::Long(number) => AnyValue { value: Some(Any::IntValue(*number)) },
        Value::List(list) => {
            let values = list.iter().map(string).collect();
            AnyValue { value: Some(Any::ArrayValue(ArrayValue { values })) }
        }
    }
}

fn string(text: &str) -> AnyValue {
    AnyValue { value: Some(Any::StringValue(text.to_owned())) }
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value) }
}
