//! Attributes as protobuf `KeyValue`s.

use super::cursor::Cursor;
use super::pieces::Notation;
use super::wire::{
    field_len, len_tag, put_bytes, put_header, put_varint, varint_len, varint_tag, write_varint,
};
use crate::span::attributes::{Attribute, RecordView, TextList, Value};
use crate::span::in_place::{ROOM, Window};

const SPAN_ATTRIBUTES: u8 = len_tag(9);
pub(super) const KEY_VALUE_KEY: u8 = len_tag(1);
pub(super) const KEY_VALUE_VALUE: u8 = len_tag(2);
pub(super) const ANY_STRING: u8 = len_tag(1);
const ANY_INT: u8 = varint_tag(3);
const ANY_ARRAY: u8 = len_tag(5);
const ARRAY_VALUES: u8 = len_tag(1);

/// Room for everything of a `KeyValue` in front of its value.
const HEAD_ROOM: usize = 48;
/// Longest key that leaves room for the rest of a head.
const MAX_KEY_LEN: usize = HEAD_ROOM - 8;
/// What a number takes behind its head at most.
const NUMBER_ROOM: usize = 16;

/// Attributes in protobuf.
#[derive(Debug)]
pub(super) struct Protobuf;

/// A `KeyValue` up to its value, with the lengths as they are for a value of no octets.
#[derive(Debug)]
pub(super) struct Head {
    octets: [u8; HEAD_ROOM],
    len: u8,
    /// Octets of the `KeyValue`.
    key_value_len: u8,
}

impl Notation for Protobuf {
    type Frame = Head;

    fn number_frame(key: &str) -> Option<Head> {
        Head::new(key, &[ANY_INT])
    }

    fn text_frame(key: &str) -> Option<Head> {
        Head::new(key, &[ANY_STRING, 0])
    }

    #[inline]
    fn put_number(head: &Head, number: i64, out: &mut Cursor<'_>) -> Option<()> {
        head.put_number(number.cast_unsigned(), out)
    }

    #[inline]
    fn put_text(
        head: &Head,
        write: impl FnOnce(&mut Window) -> Option<usize>,
        out: &mut Cursor<'_>,
    ) -> Option<()> {
        head.put_text(write, out)
    }

    fn put_row(attribute: &Attribute, view: &RecordView<'_>, buffer: &mut Vec<u8>) {
        put(attribute, view, buffer);
    }
}

impl Head {
    /// `value` is what of the `AnyValue` comes before the value: its tag, and the length of text. `None`: the key is too long.
    fn new(key: &str, value: &[u8]) -> Option<Head> {
        if key.len() > MAX_KEY_LEN {
            return None;
        }
        let mut octets = vec![SPAN_ATTRIBUTES, 0];
        put_bytes(&mut octets, KEY_VALUE_KEY, key.as_bytes());
        put_bytes(&mut octets, KEY_VALUE_VALUE, value);
        let len = u8::try_from(octets.len()).expect("keys are at most 40 octets here");
        octets.resize(HEAD_ROOM, 0);
        let octets = octets.try_into().expect("that is its length");
        Some(Head { octets, len, key_value_len: len - 2 })
    }

    #[inline]
    fn put_number(&self, number: u64, out: &mut Cursor<'_>) -> Option<()> {
        let window: &mut [u8; HEAD_ROOM + NUMBER_ROOM] = out.window()?;
        window[..HEAD_ROOM].copy_from_slice(&self.octets);
        let at = usize::from(self.len);
        let number_room = window[at..].first_chunk_mut().expect("a head is at most 48 octets");
        let len = write_varint(number, number_room);
        window[1] = self.key_value_len + len;
        // The tag stands between.
        window[at - 2] = 1 + len;
        out.advance(at + usize::from(len));
        Some(())
    }

    #[inline]
    fn put_text(&self, write: impl FnOnce(&mut Window) -> Option<usize>, out: &mut Cursor<'_>) -> Option<()> {
        let window: &mut [u8; HEAD_ROOM + ROOM] = out.window()?;
        window[..HEAD_ROOM].copy_from_slice(&self.octets);
        let at = usize::from(self.len);
        let text = window[at..].first_chunk_mut().expect("a head is at most 48 octets");
        let Some(written) = write(text) else {
            return Some(());
        };
        let len = u8::try_from(written).expect("a window has 48 octets");
        window[1] = self.key_value_len + len;
        window[at - 3] = 2 + len;
        window[at - 1] = len;
        out.advance(at + written);
        Some(())
    }
}

/// Appends the attribute, if the record has it, from whatever value the table gives.
fn put(attribute: &Attribute, view: &RecordView<'_>, buffer: &mut Vec<u8>) {
    match attribute.value(view) {
        None => {}
        Some(Value::Text(text)) => {
            let text = text.as_bytes();
            put_key(attribute.key, field_len(text.len()), buffer);
            put_bytes(buffer, ANY_STRING, text);
        }
        Some(Value::Long(number)) => {
            let number = number.cast_unsigned();
            put_key(attribute.key, 1 + varint_len(number), buffer);
            buffer.push(ANY_INT);
            put_varint(buffer, number);
        }
        Some(Value::List(list)) => put_list(attribute.key, list, buffer),
    }
}

fn put_list(key: &str, list: TextList<'_>, buffer: &mut Vec<u8>) {
    let array_len = list.iter().map(|text| field_len(field_len(text.len()))).sum();
    put_key(key, field_len(array_len), buffer);
    put_header(buffer, ANY_ARRAY, array_len);
    for text in list.iter() {
        put_header(buffer, ARRAY_VALUES, field_len(text.len()));
        put_bytes(buffer, ANY_STRING, text.as_bytes());
    }
}

/// Appends everything of the `KeyValue` up to its `AnyValue`, which takes `value_len` octets.
fn put_key(key: &str, value_len: usize, buffer: &mut Vec<u8>) {
    put_header(buffer, SPAN_ATTRIBUTES, field_len(key.len()) + field_len(value_len));
    put_bytes(buffer, KEY_VALUE_KEY, key.as_bytes());
    put_header(buffer, KEY_VALUE_VALUE, value_len);
}
