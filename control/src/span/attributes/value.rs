//! Values of attributes: borrowed or on the stack, so that a span costs no allocation per attribute.

use crate::span::ShortText;

/// The value of one attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A `string`.
    Text(Text<'a>),
    /// A `long`.
    Long(i64),
    /// A `string[]`.
    List(TextList<'a>),
}

/// Text that somebody else owns, or that is short enough to carry along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// A standard name, or text of the settings.
    Borrowed(&'a str),
    /// An address or an id.
    Short(ShortText),
}

impl Text<'_> {
    /// The text as UTF-8 bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Text::Borrowed(text) => text.as_bytes(),
            Text::Short(text) => text.as_bytes(),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Short(text) => text.as_str(),
        }
    }
}

/// A choice out of at most 64 names, in the order of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextList<'a> {
    /// What there is to choose from.
    pub names: &'a [&'a str],
    /// Bit i set: `names[i]` is in the list. Bits past the last name mean nothing.
    pub chosen: u64,
}

impl<'a> TextList<'a> {
    /// The chosen names.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let chosen = self.chosen;
        self.names
            .iter()
            .take(64)
            .enumerate()
            .filter(move |(place, _)| chosen >> place & 1 == 1)
            .map(|(_, name)| *name)
    }
}
