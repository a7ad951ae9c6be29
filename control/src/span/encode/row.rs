//! One attribute as a protobuf `KeyValue`, from whatever value the table gives: the way that is right for every attribute.

use super::wire::{field_len, len_tag, put_bytes, put_header, put_varint, varint_len, varint_tag};
use crate::span::attributes::{Attribute, RecordView, TextList, Value};

pub(super) const SPAN_ATTRIBUTES: u8 = len_tag(9);
pub(super) const KEY_VALUE_KEY: u8 = len_tag(1);
pub(super) const KEY_VALUE_VALUE: u8 = len_tag(2);
pub(super) const ANY_STRING: u8 = len_tag(1);
pub(super) const ANY_INT: u8 = varint_tag(3);
const ANY_ARRAY: u8 = len_tag(5);
const ARRAY_VALUES: u8 = len_tag(1);

/// Appends the attribute, if the record has it.
pub(super) fn put(attribute: &Attribute, view: &RecordView<'_>, buffer: &mut Vec<u8>) {
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
