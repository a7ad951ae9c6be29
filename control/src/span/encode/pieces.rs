//! The chosen attributes, prepared: each as the octets that are the same on every span, with a place for the value, and
//! those whose values repeat as stretches that are written once for each combination of values and copied from then on.

use super::row::{self, ANY_INT, ANY_STRING, KEY_VALUE_KEY, KEY_VALUE_VALUE, SPAN_ATTRIBUTES};
use super::wire::{Cursor, put_bytes};
use crate::span::attributes::{Attribute, AttributeSelection, Getter, Reads, RecordView};
use crate::span::in_place::{ROOM, Window};

/// Room for everything of a `KeyValue` in front of its value.
const HEAD_ROOM: usize = 48;
/// Longest key that leaves room for the rest of a head.
const MAX_KEY_LEN: usize = HEAD_ROOM - 8;
/// What a number takes behind its head at most.
const NUMBER_ROOM: usize = 16;
/// Combinations of values a stretch remembers; of two that share a place the later one stays.
const REMEMBERED: usize = 1 << u8::BITS;
/// 2^64 over the golden ratio: spreads facts over places (Knuth, TAOCP vol. 3 §6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// No record has these facts, see [`Reads::facts`].
const NO_FACTS: u64 = u64::MAX;

/// Attributes as they are written.
#[derive(Debug)]
pub(super) enum Piece {
    /// Numbers next to each other.
    Numbers(Vec<Number>),
    Text {
        head: Head,
        get: fn(&RecordView<'_>, &mut Window) -> Option<usize>,
    },
    Stretch(Stretch),
    Other(&'static Attribute),
}

/// An attribute that is a number.
#[derive(Debug)]
pub(super) struct Number {
    head: Head,
    get: fn(&RecordView<'_>) -> Option<i64>,
}

/// A `KeyValue` up to its value, with the lengths as they are for a value of no octets.
#[derive(Debug)]
pub(super) struct Head {
    octets: [u8; HEAD_ROOM],
    len: u8,
    /// Octets of the `KeyValue`.
    key_value_len: u8,
}

/// Attributes next to each other that read the same part of a record.
#[derive(Debug)]
pub(super) struct Stretch {
    reads: Reads,
    rows: Vec<&'static Attribute>,
    /// By one octet of the facts, spread.
    remembered: Box<[Remembered; REMEMBERED]>,
}

/// What a stretch is where the records' facts are these.
#[derive(Debug)]
struct Remembered {
    facts: u64,
    octets: Vec<u8>,
}

/// The chosen attributes in table order.
pub(super) fn prepare(selection: &AttributeSelection) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for attribute in selection.iter() {
        let piece = Piece::new(attribute);
        match (pieces.last_mut(), piece) {
            (Some(Piece::Stretch(before)), Piece::Stretch(one)) if before.reads == one.reads => {
                before.rows.extend(one.rows);
            }
            (Some(Piece::Numbers(before)), Piece::Numbers(one)) => before.extend(one),
            (_, piece) => pieces.push(piece),
        }
    }
    pieces
}

impl Piece {
    fn new(attribute: &'static Attribute) -> Piece {
        if attribute.reads != Reads::Record {
            return Piece::Stretch(Stretch::new(attribute));
        }
        if attribute.key.len() > MAX_KEY_LEN {
            return Piece::Other(attribute);
        }
        match attribute.getter {
            Getter::Long(get) => {
                Piece::Numbers(vec![Number { head: Head::new(attribute.key, &[ANY_INT]), get }])
            }
            Getter::Short(get) => Piece::Text { head: Head::new(attribute.key, &[ANY_STRING, 0]), get },
            Getter::Text(_) | Getter::List(_) => Piece::Other(attribute),
        }
    }

    /// Writes the attributes the record has. `None`: there is no room.
    #[inline]
    pub(super) fn put(
        &mut self,
        view: &RecordView<'_>,
        out: &mut Cursor<'_>,
        scratch: &mut Vec<u8>,
    ) -> Option<()> {
        match self {
            Piece::Numbers(numbers) => {
                for Number { head, get } in &*numbers {
                    if let Some(number) = get(view) {
                        head.put_number(number.cast_unsigned(), out)?;
                    }
                }
                Some(())
            }
            Piece::Text { head, get } => head.put_text(|window| get(view, window), out),
            Piece::Stretch(stretch) => match stretch.octets(view) {
                Some(octets) => out.put(octets),
                None => put_rows(&stretch.rows, view, out, scratch),
            },
            Piece::Other(attribute) => put_rows(&[attribute], view, out, scratch),
        }
    }
}

/// Writes attributes nothing is prepared for.
#[cold]
fn put_rows(
    rows: &[&'static Attribute],
    view: &RecordView<'_>,
    out: &mut Cursor<'_>,
    scratch: &mut Vec<u8>,
) -> Option<()> {
    scratch.clear();
    for attribute in rows {
        row::put(attribute, view, scratch);
    }
    out.put(scratch)
}

impl Head {
    /// `value` is what of the `AnyValue` comes before the value: its tag, and the length of text.
    fn new(key: &str, value: &[u8]) -> Head {
        let mut octets = vec![SPAN_ATTRIBUTES, 0];
        put_bytes(&mut octets, KEY_VALUE_KEY, key.as_bytes());
        put_bytes(&mut octets, KEY_VALUE_VALUE, value);
        let len = u8::try_from(octets.len()).expect("keys are at most 40 octets here");
        octets.resize(HEAD_ROOM, 0);
        let octets = octets.try_into().expect("that is its length");
        Head { octets, len, key_value_len: len - 2 }
    }

    #[inline]
    fn put_number(&self, number: u64, out: &mut Cursor<'_>) -> Option<()> {
        let window: &mut [u8; HEAD_ROOM + NUMBER_ROOM] = out.window()?;
        window[..HEAD_ROOM].copy_from_slice(&self.octets);
        let at = usize::from(self.len);
        let number_room = window[at..].first_chunk_mut().expect("a head is at most 48 octets");
        let len = super::wire::write_varint(number, number_room);
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

impl Stretch {
    fn new(first: &'static Attribute) -> Stretch {
        let nothing = |_| Remembered { facts: NO_FACTS, octets: Vec::new() };
        let remembered = Box::new(std::array::from_fn(nothing));
        Stretch { reads: first.reads, rows: vec![first], remembered }
    }

    /// The stretch for this record; `None` where its facts are not to be had.
    #[inline]
    fn octets(&mut self, view: &RecordView<'_>) -> Option<&[u8]> {
        let facts = self.reads.facts(view.record)?;
        let [.., place] = facts.wrapping_mul(SPREAD).to_le_bytes();
        let remembered = &mut self.remembered[usize::from(place)];
        if remembered.facts != facts {
            remembered.learn(facts, &self.rows, view);
        }
        Some(&remembered.octets)
    }
}

impl Remembered {
    #[cold]
    fn learn(&mut self, facts: u64, rows: &[&'static Attribute], view: &RecordView<'_>) {
        self.facts = facts;
        self.octets.clear();
        for attribute in rows {
            row::put(attribute, view, &mut self.octets);
        }
    }
}
