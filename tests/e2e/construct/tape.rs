//! Conversations written to a capture file of nanoseconds, replayed, and their spans held against what they must be.

use std::fs;
use std::path::Path;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::build::End;
use super::expected::{Expected, Is};
use super::talk::{BASE, Talk, UDP, Way};
use crate::support::{Finished, folder, read_file, replay};

/// pcap with times in nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
const ETHERNET: u32 = 1;
const SNAPLEN: u32 = 1 << 18;
/// Everything a span can say.
const FLAGS: [&str; 4] = ["--set", "span.include=tunnel.*", "--set", "span.events=all"];
/// Sends what only moves the capture's clock on.
const CLOCK: &str = "192.0.2.1";

/// The frames of one capture file, in the order of their times.
#[derive(Default)]
pub(crate) struct Tape {
    frames: Vec<(u64, Vec<u8>)>,
    snaplen: Option<usize>,
}

/// What a replay came to.
pub(crate) struct Replayed {
    pub(crate) finished: Finished,
    spans: Vec<Span>,
}

impl Tape {
    pub(crate) fn of<'a>(talks: impl IntoIterator<Item = &'a Talk>) -> Tape {
        let mut tape = Tape::default();
        for talk in talks {
            tape.frames.extend(talk.frames().map(|(at, frame)| (at, frame.to_vec())));
        }
        tape.frames.sort_by_key(|(at, _)| *at);
        tape
    }

    /// The same with a packet of another flow at `at`, whose span is not looked at.
    pub(crate) fn and_later(mut self, at: u64) -> Tape {
        let port = |number| End::new(CLOCK, number, 0xcc);
        let mut clock = Talk::new(port(1), port(2), UDP);
        clock.datagram(at, Way::Up, 0);
        self.frames.extend(clock.frames().map(|(at, frame)| (at, frame.to_vec())));
        self.frames.sort_by_key(|(at, _)| *at);
        self
    }

    /// The same with a frame at `at` that is of no conversation.
    pub(crate) fn and_frame(mut self, at: u64, frame: &[u8]) -> Tape {
        self.frames.push((BASE + at, frame.to_vec()));
        self
    }

    /// Adds the frames of `talk` in the order they were sent, whatever their times.
    pub(crate) fn append_unsorted(&mut self, talk: &Talk) {
        self.frames.extend(talk.frames().map(|(at, frame)| (at, frame.to_vec())));
    }

    /// The same with only the first octets of each frame captured.
    pub(crate) fn cut_to(self, snaplen: usize) -> Tape {
        Tape { snaplen: Some(snaplen), ..self }
    }

    fn write(&self, path: &Path) {
        let header = [MAGIC, 0x0004_0002, 0, 0, SNAPLEN, ETHERNET];
        let mut file: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        for (at, frame) in &self.frames {
            let captured = &frame[..self.snaplen.unwrap_or(frame.len()).min(frame.len())];
            let length = |octets: &[u8]| u64::try_from(octets.len()).expect("it is short");
            for number in [at / 1_000_000_000, at % 1_000_000_000, length(captured), length(frame)] {
                file.extend(u32::try_from(number).expect("it fits its field").to_le_bytes());
            }
            file.extend(captured);
        }
        fs::write(path, file).expect("the folder is ours");
    }

    /// Replays it as `capture.pcap`, with all that spans can say.
    pub(crate) fn replayed(&self, flags: &[&str]) -> Replayed {
        let folder = folder();
        let (capture, spans) = (folder.path().join("capture.pcap"), folder.path().join("spans"));
        self.write(&capture);
        let finished = replay(&[&capture], &spans, &[&FLAGS, flags].concat()).ok().balanced();
        assert!(finished.complaints().is_empty(), "{finished:#?}");
        // Held to what every span must be.
        read_file(&spans);
        Replayed { finished, spans: spans_of(&spans) }
    }
}

fn spans_of(path: &Path) -> Vec<Span> {
    let text = fs::read_to_string(path).expect("it was written");
    let requests = text.lines().map(|line| {
        serde_json::from_str::<ExportTraceServiceRequest>(line)
            .unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    let resources = requests.flat_map(|request| request.resource_spans);
    resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

impl Replayed {
    /// Panics unless the spans are `expected`, all of them and nothing else, in any order.
    pub(crate) fn gives(&self, expected: impl IntoIterator<Item = Expected>) {
        let mut seen = self.seen();
        let mut expected: Vec<_> = expected.into_iter().collect();
        let order = |span: &Expected| (span.start, span.end, span.attributes["flow.community_id"].clone());
        let key = |span: &Expected| match order(span) {
            (start, end, Is::Text(id)) => (start, end, id),
            other => panic!("{other:?}"),
        };
        seen.sort_by_key(key);
        expected.sort_by_key(key);
        let told = expected.iter().zip(&seen).enumerate().filter_map(|(place, (expected, seen))| {
            let lines = expected.differences(seen);
            (!lines.is_empty()).then(|| format!("span {place} ({}):\n{}", seen.name, lines.join("\n")))
        });
        let told: Vec<_> = told.collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
        assert_eq!(expected.len(), seen.len(), "spans: {:#?}", &seen[expected.len().min(seen.len())..]);
    }

    /// The spans but that of the clock.
    pub(crate) fn seen(&self) -> Vec<Expected> {
        let seen = self.spans.iter().map(|span| self.read(span));
        seen.filter(|span| span.attributes.get("source.address") != Some(&CLOCK.into())).collect()
    }

    /// The number in a row of the printed ledger; 0 where there is no such row.
    pub(crate) fn row(&self, name: &str) -> u64 {
        let rows = self.finished.stdout.lines().filter_map(|line| line.rsplit_once(' '));
        let mut found = rows.filter(|(row, _)| row.trim() == name).map(|(_, number)| number);
        found.next().map_or(0, |number| number.parse().expect("a number ends each row"))
    }

    fn read(&self, span: &Span) -> Expected {
        let name = |span: &Span| span.name.clone();
        assert_eq!(span.kind, 1, "INTERNAL: {span:?}");
        assert!(span.parent_span_id.is_empty() && span.trace_state.is_empty(), "{span:?}");
        let status = span.status.clone().unwrap_or_default();
        assert!(matches!(status.code, 0 | 2) && status.message.is_empty(), "{status:?}");
        assert!(span.events.iter().all(|event| event.attributes.is_empty()), "{span:?}");
        let attributes = span.attributes.iter().map(|attribute| {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
            (attribute.key.clone(), value_of(value.expect("it has a value")))
        });
        Expected {
            name: name(span),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            attributes: attributes.collect(),
            events: span.events.iter().map(|event| (event.time_unix_nano, event.name.clone())).collect(),
            dropped_events: span.dropped_events_count,
            is_error: status.code == 2,
            linked: self.is_linked(span),
        }
    }

    /// Whether `span` links to the record before it: of its trace, and over where this one begins.
    fn is_linked(&self, span: &Span) -> bool {
        let of_trace = || self.spans.iter().filter(|other| other.trace_id == span.trace_id);
        let Some(link) = span.links.first() else {
            let first = of_trace().filter(|other| other.links.is_empty()).count();
            assert_eq!(first, 1, "two flows in one trace: {span:?}");
            return false;
        };
        let before = of_trace().find(|other| other.span_id == link.span_id);
        let before = before.unwrap_or_else(|| panic!("no span for the link of {span:?}"));
        assert_eq!(span.links.len(), 1, "{span:?}");
        assert_eq!(link.trace_id, span.trace_id, "{span:?}");
        assert_eq!(before.end_time_unix_nano, span.start_time_unix_nano, "{span:?}");
        true
    }
}

fn value_of(value: &Value) -> Is {
    match value {
        Value::StringValue(text) => Is::Text(text.clone()),
        Value::IntValue(number) => Is::Number(u64::try_from(*number).expect("nothing is negative")),
        Value::ArrayValue(list) => {
            let texts = list.values.iter().map(|value| match value.value.as_ref().map(value_of) {
                Some(Is::Text(text)) => text,
                other => panic!("{other:?}"),
            });
            Is::List(texts.collect())
        }
        other => panic!("{other:?}"),
    }
}

/// Replays one conversation, and holds its one span against `expected`.
pub(crate) fn gives(talk: &Talk, expected: Expected) {
    Tape::of([talk]).replayed(&[]).gives([expected]);
}
