//! Flow spans as the generated code of OTLP reads them, held to what every span must be.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// A span that passed all checks.
#[derive(Clone, Debug)]
pub(crate) struct FlowSpan {
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) trace_id: Vec<u8>,
    pub(crate) span_id: Vec<u8>,
    attributes: BTreeMap<String, Value>,
}

impl FlowSpan {
    pub(crate) fn text(&self, key: &str) -> &str {
        match self.attributes.get(key) {
            Some(Value::StringValue(text)) => text,
            other => panic!("{key} of {} is {other:?}", self.name),
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.attributes.contains_key(key)
    }

    /// Every attribute and its type, as the convention calls types.
    pub(crate) fn types(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let kind = |value: &Value| match value {
            Value::StringValue(_) => "string",
            Value::IntValue(_) => "long",
            Value::ArrayValue(_) => "string[]",
            _ => "none of the convention",
        };
        self.attributes.iter().map(move |(key, value)| (key.as_str(), kind(value)))
    }

    /// The values of a list; none where it is absent.
    pub(crate) fn texts(&self, key: &str) -> Vec<&str> {
        let Some(Value::ArrayValue(list)) = self.attributes.get(key) else { return Vec::new() };
        let values = list.values.iter().map(|value| match &value.value {
            Some(Value::StringValue(text)) => text.as_str(),
            other => panic!("{key} of {} has {other:?}", self.name),
        });
        values.collect()
    }

    /// 0 where it is absent.
    pub(crate) fn number(&self, key: &str) -> u64 {
        match self.attributes.get(key) {
            Some(Value::IntValue(number)) => {
                u64::try_from(*number).expect("counts and ports are not negative")
            }
            None => 0,
            other => panic!("{key} of {} is {other:?}", self.name),
        }
    }

    /// Packets forward and back in its window.
    pub(crate) fn packets(&self) -> [u64; 2] {
        [self.number("flow.packets.delta"), self.number("flow.reverse.packets.delta")]
    }

    fn checked(span: &Span) -> Result<FlowSpan, String> {
        let wrong = |what: String| Err(format!("span {}: {what}", span.name));
        if span.trace_id.len() != 16 || span.trace_id.iter().all(|byte| *byte == 0) {
            return wrong(format!("trace id {:?}", span.trace_id));
        }
        if span.span_id.len() != 8 || span.span_id.iter().all(|byte| *byte == 0) {
            return wrong(format!("span id {:?}", span.span_id));
        }
        if span.start_time_unix_nano > span.end_time_unix_nano {
            return wrong(format!("from {} to {}", span.start_time_unix_nano, span.end_time_unix_nano));
        }
        // SPAN_KIND_INTERNAL
        if span.kind != 1 || !span.name.starts_with("flow_") {
            return wrong(format!("kind {}", span.kind));
        }
        let mut attributes = BTreeMap::new();
        for attribute in &span.attributes {
            let Some(AnyValue { value: Some(value) }) = &attribute.value else {
                return wrong(format!("{} has no value", attribute.key));
            };
            if attributes.insert(attribute.key.clone(), value.clone()).is_some() {
                return wrong(format!("{} twice", attribute.key));
            }
        }
        let flow = FlowSpan {
            name: span.name.clone(),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            trace_id: span.trace_id.clone(),
            span_id: span.span_id.clone(),
            attributes,
        };
        match missing(&flow) {
            Some(key) => wrong(format!("no {key}")),
            None => Ok(flow),
        }
    }
}

/// The first attribute the convention requires of every flow that `span` has not.
fn missing(span: &FlowSpan) -> Option<&'static str> {
    const TABLE: &str = include_str!("../../spec/attributes.csv");
    let required = TABLE.lines().filter_map(|line| {
        let mut columns = line.split(',');
        let (key, _type, level) = (columns.next()?, columns.next()?, columns.next()?);
        let wanted = level == "required" || (level == "conditional:tcp" && span.name.contains("tcp"));
        wanted.then_some(key)
    });
    let mut required = required;
    required.find(|key| !span.attributes.contains_key(*key))
}

/// The spans of a request; what is wrong with the first that is not as it must be.
pub(crate) fn checked(request: &ExportTraceServiceRequest) -> Result<Vec<FlowSpan>, String> {
    let mut spans = Vec::new();
    for resource in &request.resource_spans {
        let has = |key: &str| {
            let attributes = resource.resource.iter().flat_map(|resource| &resource.attributes);
            attributes.into_iter().any(|attribute| attribute.key == key)
        };
        if let Some(key) = ["service.name", "service.instance.id"].iter().find(|key| !has(key)) {
            return Err(format!("the resource has no {key}"));
        }
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                spans.push(FlowSpan::checked(span)?);
            }
        }
    }
    Ok(spans)
}

/// Every request of a file of OTLP/JSON lines.
pub(crate) fn json_requests(path: &Path) -> Vec<ExportTraceServiceRequest> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Every request of a file of OTLP protobuf, each behind its length.
pub(crate) fn protobuf_requests(path: &Path) -> Vec<ExportTraceServiceRequest> {
    let file = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut rest, mut requests) = (file.as_slice(), Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (request, next) = behind.split_at(u32::from_be_bytes(*length) as usize);
        requests.push(ExportTraceServiceRequest::decode(request).expect("a request"));
        rest = next;
    }
    assert!(rest.is_empty(), "{rest:?} at the end");
    requests
}

/// Every span of a file of OTLP/JSON lines, checked; all span ids differ.
pub(crate) fn read_file(path: &Path) -> Vec<FlowSpan> {
    let mut spans = Vec::new();
    for request in json_requests(path) {
        spans.extend(checked(&request).unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display())));
    }
    distinct(&spans);
    spans
}

/// Panics where two spans have the same id.
pub(crate) fn distinct(spans: &[FlowSpan]) {
    let ids: std::collections::HashSet<_> =
        spans.iter().map(|span| (&span.trace_id, &span.span_id)).collect();
    assert_eq!(ids.len(), spans.len(), "two spans have the same id");
}
