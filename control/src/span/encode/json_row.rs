//! Attributes as OTLP/JSON `KeyValue`s, each with the comma that follows it.

use super::cursor::Cursor;
use super::pieces::Notation;
use crate::span::ShortText;
use crate::span::attributes::{Attribute, RecordView, Value};
use crate::span::in_place::{self, ROOM, Window};

/// Room for everything of a `KeyValue` in front of its value.
const HEAD_ROOM: usize = 80;
/// What follows a number or text, with the comma.
const END: [u8; 4] = *br#""}},"#;
const NUMBER: &[u8] = br#"{"intValue":""#;
const TEXT: &[u8] = br#"{"stringValue":""#;

/// Attributes in JSON.
#[derive(Debug)]
pub(super) struct Json;

/// A `KeyValue` up to its value.
#[derive(Debug)]
pub(super) struct Head {
    octets: [u8; HEAD_ROOM],
    len: u8,
}

impl Notation for Json {
    type Frame = Head;

    fn number_frame(key: &str) -> Option<Head> {
        Head::new(key, NUMBER)
    }

    fn text_frame(key: &str) -> Option<Head> {
        Head::new(key, TEXT)
    }

    #[inline]
    fn put_number(head: &Head, number: i64, out: &mut Cursor<'_>) -> Option<()> {
        head.put(|window| Some(in_place::signed(number, window)), out)
    }

    #[inline]
    fn put_text(
        head: &Head,
        write: impl FnOnce(&mut Window) -> Option<usize>,
        out: &mut Cursor<'_>,
    ) -> Option<()> {
        head.put(write, out)
    }

    fn put_row(attribute: &Attribute, view: &RecordView<'_>, buffer: &mut Vec<u8>) {
        if let Some(value) = attribute.value(view) {
            put_pair(attribute.key, &value, buffer);
            buffer.push(b',');
        }
    }
}

impl Head {
    /// `value` is what comes before the value. `None`: the key is too long.
    fn new(key: &str, value: &[u8]) -> Option<Head> {
        let mut octets = Vec::new();
        put_key(key, &mut octets);
        octets.extend_from_slice(value);
        let len = u8::try_from(octets.len()).ok()?;
        if octets.len() > HEAD_ROOM {
            return None;
        }
        octets.resize(HEAD_ROOM, 0);
        Some(Head { octets: octets.try_into().ok()?, len })
    }

    #[inline]
    fn put(&self, write: impl FnOnce(&mut Window) -> Option<usize>, out: &mut Cursor<'_>) -> Option<()> {
        let window: &mut [u8; HEAD_ROOM + ROOM + END.len()] = out.window()?;
        window[..HEAD_ROOM].copy_from_slice(&self.octets);
        let at = usize::from(self.len);
        let text = window[at..].first_chunk_mut().expect("a head is at most 80 octets");
        let Some(written) = write(text) else {
            return Some(());
        };
        let end = at + written;
        window[end..end + END.len()].copy_from_slice(&END);
        out.advance(end + END.len());
        Some(())
    }
}

/// Appends a `KeyValue` whose value is text.
pub(super) fn put_text_pair(key: &str, text: &str, buffer: &mut Vec<u8>) {
    put_key(key, buffer);
    put_string_value(text, buffer);
    buffer.push(b'}');
}

/// Appends `text` quoted and escaped.
pub(super) fn put_string(text: &str, buffer: &mut Vec<u8>) {
    serde_json::to_writer(buffer, text).expect("a Vec takes every write");
}

fn put_pair(key: &str, value: &Value<'_>, buffer: &mut Vec<u8>) {
    put_key(key, buffer);
    match value {
        Value::Text(text) => put_string_value(text.as_str(), buffer),
        Value::Long(number) => {
            buffer.extend_from_slice(NUMBER);
            buffer.extend_from_slice(ShortText::signed(*number).as_bytes());
            buffer.extend_from_slice(br#""}"#);
        }
        Value::List(list) => {
            buffer.extend_from_slice(br#"{"arrayValue":{"values":["#);
            for (place, text) in list.iter().enumerate() {
                if place > 0 {
                    buffer.push(b',');
                }
                put_string_value(text, buffer);
            }
            buffer.extend_from_slice(b"]}}");
        }
    }
    buffer.push(b'}');
}

/// Appends `{"key":KEY,"value":`; the value and a closing brace follow.
fn put_key(key: &str, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(br#"{"key":"#);
    put_string(key, buffer);
    buffer.extend_from_slice(br#","value":"#);
}

fn put_string_value(text: &str, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(br#"{"stringValue":"#);
    put_string(text, buffer);
    buffer.push(b'}');
}
