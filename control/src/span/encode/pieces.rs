//! The chosen attributes, prepared: each as the octets that are the same on every span, with a place for the value, and
//! those whose values repeat as stretches that are written once for each combination of values and copied from then on.

use std::fmt::Debug;

use super::cursor::{BLOCK_LEN, Block, Cursor};
use crate::span::attributes::{Attribute, AttributeSelection, Getter, Reads, RecordView};
use crate::span::in_place::Window;

/// Combinations of values a stretch remembers; of two that share a place the later one stays.
const REMEMBERED: usize = 1 << u8::BITS;
/// 2^64 over the golden ratio: spreads facts over places (Knuth, TAOCP vol. 3 §6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// No record has these facts, see [`Reads::facts`].
const NO_FACTS: u64 = u64::MAX;

/// How one format writes attributes.
pub(super) trait Notation {
    /// The octets around a value, which are the same on every span.
    type Frame: Debug;

    /// Those around a number; `None` where nothing can be prepared for such a key.
    fn number_frame(key: &str) -> Option<Self::Frame>;
    /// Those around text; `None` where nothing can be prepared for such a key.
    fn text_frame(key: &str) -> Option<Self::Frame>;
    /// Writes an attribute that is a number. `None`: there is no room.
    fn put_number(frame: &Self::Frame, number: i64, out: &mut Cursor<'_>) -> Option<()>;
    /// Writes an attribute that is text, if `write` writes any: ASCII that needs no escapes. `None`: there is no room.
    fn put_text(
        frame: &Self::Frame,
        write: impl FnOnce(&mut Window) -> Option<usize>,
        out: &mut Cursor<'_>,
    ) -> Option<()>;
    /// Appends any attribute, if the record has it.
    fn put_row(attribute: &Attribute, view: &RecordView<'_>, buffer: &mut Vec<u8>);
}

/// Attributes as they are written.
#[derive(Debug)]
pub(super) enum Piece<N: Notation> {
    /// Numbers next to each other.
    Numbers(Vec<Number<N::Frame>>),
    Text {
        frame: N::Frame,
        get: fn(&RecordView<'_>, &mut Window) -> Option<usize>,
    },
    Stretch(Stretch),
    Other(&'static Attribute),
}

/// An attribute that is a number.
#[derive(Debug)]
pub(super) struct Number<F> {
    frame: F,
    get: fn(&RecordView<'_>) -> Option<i64>,
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
    blocks: Vec<Block>,
    /// Octets in `blocks`, the last of which need not be full.
    len: usize,
}

/// The chosen attributes in table order.
pub(super) fn prepare<N: Notation>(selection: &AttributeSelection) -> Vec<Piece<N>> {
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

impl<N: Notation> Piece<N> {
    fn new(attribute: &'static Attribute) -> Piece<N> {
        if attribute.reads != Reads::Record {
            return Piece::Stretch(Stretch::new(attribute));
        }
        let prepared = match attribute.getter {
            Getter::Long(get) => {
                N::number_frame(attribute.key).map(|frame| Piece::Numbers(vec![Number { frame, get }]))
            }
            Getter::Short(get) => N::text_frame(attribute.key).map(|frame| Piece::Text { frame, get }),
            Getter::Text(_) | Getter::List(_) => None,
        };
        prepared.unwrap_or(Piece::Other(attribute))
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
                for Number { frame, get } in &*numbers {
                    if let Some(number) = get(view) {
                        N::put_number(frame, number, out)?;
                    }
                }
                Some(())
            }
            Piece::Text { frame, get } => N::put_text(frame, |window| get(view, window), out),
            Piece::Stretch(stretch) => match stretch.remembered::<N>(view) {
                Some(Remembered { blocks, len, .. }) => out.put_blocks(blocks, *len),
                None => put_rows::<N>(&stretch.rows, view, out, scratch),
            },
            Piece::Other(attribute) => put_rows::<N>(&[attribute], view, out, scratch),
        }
    }
}

/// Writes attributes nothing is prepared for.
#[cold]
fn put_rows<N: Notation>(
    rows: &[&'static Attribute],
    view: &RecordView<'_>,
    out: &mut Cursor<'_>,
    scratch: &mut Vec<u8>,
) -> Option<()> {
    scratch.clear();
    for attribute in rows {
        N::put_row(attribute, view, scratch);
    }
    out.put(scratch)
}

impl Stretch {
    fn new(first: &'static Attribute) -> Stretch {
        let nothing = |_| Remembered { facts: NO_FACTS, blocks: Vec::new(), len: 0 };
        let remembered = Box::new(std::array::from_fn(nothing));
        Stretch { reads: first.reads, rows: vec![first], remembered }
    }

    /// The stretch for this record; `None` where its facts are not to be had.
    #[inline]
    fn remembered<N: Notation>(&mut self, view: &RecordView<'_>) -> Option<&Remembered> {
        let facts = self.reads.facts(view.record)?;
        let [.., place] = facts.wrapping_mul(SPREAD).to_le_bytes();
        let remembered = &mut self.remembered[usize::from(place)];
        if remembered.facts != facts {
            remembered.learn::<N>(facts, &self.rows, view);
        }
        Some(remembered)
    }
}

impl Remembered {
    #[cold]
    fn learn<N: Notation>(&mut self, facts: u64, rows: &[&'static Attribute], view: &RecordView<'_>) {
        let mut octets = Vec::new();
        for attribute in rows {
            N::put_row(attribute, view, &mut octets);
        }
        (self.facts, self.len) = (facts, octets.len());
        octets.resize(octets.len().next_multiple_of(BLOCK_LEN), 0);
        self.blocks = octets.as_chunks().0.to_vec();
    }
}
