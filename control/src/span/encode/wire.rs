//! The protobuf wire format, <https://protobuf.dev/programming-guides/encoding/>, as far as spans need it.

/// Wire type of varint fields.
const VARINT: u8 = 0;
/// Wire type of fixed64 fields.
const I64: u8 = 1;
/// Wire type of strings, bytes and messages.
const LEN: u8 = 2;
/// Octets kept free for the length of a message that is written before its length is known: right from 128 to 16,383.
const RESERVED_LEN: usize = 2;

/// The tag of a varint field. Fields below 16 have one-octet tags.
pub(super) const fn varint_tag(field: u8) -> u8 {
    assert!(field < 16);
    field << 3 | VARINT
}

/// The tag of a fixed64 field.
pub(super) const fn fixed64_tag(field: u8) -> u8 {
    assert!(field < 16);
    field << 3 | I64
}

/// The tag of a string, bytes or message field.
pub(super) const fn len_tag(field: u8) -> u8 {
    assert!(field < 16);
    field << 3 | LEN
}

/// Octets `number` takes as a varint: 1 to 10.
#[inline]
pub(super) const fn varint_len(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Octets a length-delimited field with a one-octet tag takes.
#[inline]
pub(super) const fn field_len(content: usize) -> usize {
    1 + varint_len(content as u64) + content
}

/// Appends `number` as a varint.
#[inline]
pub(super) fn put_varint(buffer: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest > 0x7f {
        buffer.push(low_octet(rest) | 0x80);
        rest >>= 7;
    }
    buffer.push(low_octet(rest));
}

/// Appends tag, length and content of a length-delimited field.
#[inline]
pub(super) fn put_bytes(buffer: &mut Vec<u8>, tag: u8, content: &[u8]) {
    put_header(buffer, tag, content.len());
    buffer.extend_from_slice(content);
}

/// Appends tag and length of a length-delimited field whose content follows.
#[inline]
pub(super) fn put_header(buffer: &mut Vec<u8>, tag: u8, len: usize) {
    buffer.push(tag);
    put_varint(buffer, len as u64);
}

/// Appends a fixed64 field.
#[inline]
pub(super) fn put_fixed64(buffer: &mut Vec<u8>, tag: u8, number: u64) {
    buffer.push(tag);
    buffer.extend_from_slice(&number.to_le_bytes());
}

/// Appends a message of unknown length: tag, then what `write` appends, with its length put in front.
#[inline]
pub(super) fn put_message(buffer: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    buffer.push(tag);
    let length_at = buffer.len();
    buffer.extend_from_slice(&[0; RESERVED_LEN]);
    let content_at = buffer.len();
    write(buffer);
    let len = (buffer.len() - content_at) as u64;
    if varint_len(len) == RESERVED_LEN {
        buffer[length_at] = low_octet(len) | 0x80;
        buffer[length_at + 1] = low_octet(len >> 7);
        return;
    }
    let mut length = Vec::with_capacity(varint_len(len));
    put_varint(&mut length, len);
    buffer.splice(length_at..content_at, length);
}

#[expect(clippy::cast_possible_truncation, reason = "takes the lowest octet")]
#[inline]
const fn low_octet(number: u64) -> u8 {
    number as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_are_prosts(number: u64, shift in 0_u32..64) {
            let number = number >> shift;
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            put_varint(&mut ours, number);
            prost::encoding::encode_varint(number, &mut theirs);
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(varint_len(number), theirs.len());
        }
    }

    #[test]
    fn a_message_of_any_size_gets_the_shortest_length() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let content = vec![0xaa; len];
            let (mut ours, mut theirs) = (vec![1, 2, 3], vec![1, 2, 3]);
            put_message(&mut ours, len_tag(5), |buffer| buffer.extend_from_slice(&content));
            prost::encoding::bytes::encode(5, &content, &mut theirs);
            assert_eq!(ours, theirs);
        }
    }
}
