//! The protobuf wire format, <https://protobuf.dev/programming-guides/encoding/>, as far as spans need it.

/// Wire type of varint fields.
const VARINT: u8 = 0;
/// Wire type of fixed64 fields.
const I64: u8 = 1;
/// Wire type of strings, bytes and messages.
const LEN: u8 = 2;
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
    let last_bit = 63 - (number | 1).leading_zeros() as usize;
    // A seventh, and one: for numbers below 64 nine sixty-fourths are as good.
    (9 * last_bit + 73) >> 6
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

/// Appends a message: tag, the length of what `write` appends, and that.
pub(super) fn put_message(buffer: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    write(&mut content);
    put_bytes(buffer, tag, &content);
}

/// Octets [`write_varint`] wants to have before it.
const VARINT_ROOM: usize = 16;
/// Numbers below are at most eight octets as varints.
const EIGHT_OCTETS: u64 = 1 << 56;

/// The bit of every octet of a varint but the last, which says that one follows, by the varint's length.
const FOLLOWS: [u64; VARINT_ROOM] = follows();

/// Writes `number` as a varint; gives its length. What stands behind it is not part of it.
#[inline]
pub(super) fn write_varint(number: u64, out: &mut [u8; VARINT_ROOM]) -> u8 {
    if number >= EIGHT_OCTETS {
        return write_long_varint(number, out);
    }
    let len = varint_len(number);
    let follows = FOLLOWS[len % VARINT_ROOM];
    out[..8].copy_from_slice(&(in_sevens(number) | follows).to_le_bytes());
    low_octet(len as u64)
}

#[cold]
fn write_long_varint(number: u64, out: &mut [u8; VARINT_ROOM]) -> u8 {
    let mut octets = Vec::with_capacity(VARINT_ROOM);
    put_varint(&mut octets, number);
    out[..octets.len()].copy_from_slice(&octets);
    low_octet(octets.len() as u64)
}

/// The lower 56 bits of `number`, seven to an octet: two halves, four quarters, eight octets.
#[inline]
const fn in_sevens(number: u64) -> u64 {
    let halves = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let quarters = halves & 0x0000_3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1
}

const fn follows() -> [u64; VARINT_ROOM] {
    let mut table = [0; VARINT_ROOM];
    let mut len = 2;
    while len <= 8 {
        table[len] = table[len - 1] << 8 | 0x80;
        len += 1;
    }
    table
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
            let mut room = [0xaa; VARINT_ROOM];
            let len = usize::from(write_varint(number, &mut room));
            prop_assert_eq!(&room[..len], &theirs);
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
