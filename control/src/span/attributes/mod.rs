//! The one table of attributes: what a span says, under which key, how binding it is, and how a record gives the value.
//!
//! An attribute is a row in the file of its group. Encoders, the reference page and the tests walk this table; nothing
//! else names an attribute. The convention's Kubernetes and application group is not there: a probe on the wire sees no pods.

mod extensions;
mod general;
mod l2_l4;
mod metrics;
mod performance;
mod reads;
mod reference;
mod selection;
mod tunnel;
mod value;

use flowtable::FlowRecord;

pub use reads::Reads;
pub use reference::reference;
pub use selection::{AttributeSelection, SelectionError};
pub use value::{Text, TextList, Value};

use super::ShortText;
use super::in_place::Window;
use super::settings::{Interface, SpanSettings};

/// Every group, in the order spans and the reference page have them.
pub static TABLE: [Group; 6] = [
    Group::of_convention("General Flow Attributes", &general::ATTRIBUTES),
    Group::of_convention("L2-L4 Attributes", &l2_l4::ATTRIBUTES),
    Group::of_convention("Flow Metrics", &metrics::ATTRIBUTES),
    Group::of_convention("Performance Metrics", &performance::ATTRIBUTES),
    Group::of_convention("Tunnel & Encapsulation Attributes", &tunnel::ATTRIBUTES),
    Group { title: "Extensions", is_of_convention: false, attributes: &extensions::ATTRIBUTES },
];

/// Attributes that belong together, as the convention groups them.
#[derive(Debug)]
pub struct Group {
    /// The convention's heading, or one like it.
    pub title: &'static str,
    /// Whether the convention has these attributes.
    pub is_of_convention: bool,
    /// The rows.
    pub attributes: &'static [Attribute],
}

/// One attribute a span can carry.
#[derive(Debug)]
pub struct Attribute {
    /// The key; unique in the table.
    pub key: &'static str,
    /// Unit in UCUM, as OpenTelemetry writes units; `None` for text, ids and codes.
    pub unit: Option<&'static str>,
    /// How binding the convention is.
    pub level: Level,
    /// What it says, in one sentence.
    pub doc: &'static str,
    /// How a record gives the value; its variant is the attribute's type.
    pub getter: Getter,
    /// What the getter looks at. A matter of speed alone: [`Reads::Record`] is right for every attribute.
    pub reads: Reads,
}

/// Reads an attribute's value; `None` is "this record does not have it", and the span leaves the attribute out.
#[derive(Clone, Copy, Debug)]
pub enum Getter {
    /// A `string` that somebody owns.
    Text(for<'a> fn(&RecordView<'a>) -> Option<&'a str>),
    /// A `string` of ASCII that is written where it is wanted: an address or an id. Gives its length.
    Short(fn(&RecordView<'_>, &mut Window) -> Option<usize>),
    /// A `long`.
    Long(fn(&RecordView<'_>) -> Option<i64>),
    /// A `string[]`.
    List(for<'a> fn(&RecordView<'a>) -> Option<TextList<'a>>),
}

/// OpenTelemetry's attribute requirement levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// On every span.
    Required,
    /// On every span of the named transport.
    Conditional(&'static str),
    /// On by default where the value is known.
    Recommended,
    /// Only where the operator asks for it.
    OptIn,
}

/// What a getter may look at.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// The record.
    pub record: &'a FlowRecord,
    /// Settings of the run.
    pub settings: &'a SpanSettings,
}

/// Every attribute, in table order.
pub fn attributes() -> impl Iterator<Item = &'static Attribute> {
    TABLE.iter().flat_map(|group| group.attributes)
}

impl Group {
    const fn of_convention(title: &'static str, attributes: &'static [Attribute]) -> Group {
        Group { title, is_of_convention: true, attributes }
    }
}

impl Attribute {
    /// The type as the convention writes it.
    pub fn type_name(&self) -> &'static str {
        match self.getter {
            Getter::Text(_) | Getter::Short(_) => "string",
            Getter::Long(_) => "long",
            Getter::List(_) => "string[]",
        }
    }

    /// The value for one record.
    pub fn value<'a>(&self, view: &RecordView<'a>) -> Option<Value<'a>> {
        match self.getter {
            Getter::Text(get) => get(view).map(|text| Value::Text(Text::Borrowed(text))),
            Getter::Short(get) => {
                let mut is_there = false;
                let text = ShortText::written(|window| {
                    let len = get(view, window);
                    is_there = len.is_some();
                    len.unwrap_or(0)
                });
                is_there.then_some(Value::Text(Text::Short(text)))
            }
            Getter::Long(get) => get(view).map(Value::Long),
            Getter::List(get) => get(view).map(Value::List),
        }
    }

    const fn text(
        key: &'static str,
        level: Level,
        doc: &'static str,
        get: for<'a> fn(&RecordView<'a>) -> Option<&'a str>,
    ) -> Attribute {
        Attribute { key, unit: None, level, doc, getter: Getter::Text(get), reads: Reads::Record }
    }

    const fn short(
        key: &'static str,
        level: Level,
        doc: &'static str,
        get: fn(&RecordView<'_>, &mut Window) -> Option<usize>,
    ) -> Attribute {
        Attribute { key, unit: None, level, doc, getter: Getter::Short(get), reads: Reads::Record }
    }

    const fn long(
        key: &'static str,
        level: Level,
        doc: &'static str,
        get: fn(&RecordView<'_>) -> Option<i64>,
    ) -> Attribute {
        Attribute { key, unit: None, level, doc, getter: Getter::Long(get), reads: Reads::Record }
    }

    const fn list(
        key: &'static str,
        level: Level,
        doc: &'static str,
        get: for<'a> fn(&RecordView<'a>) -> Option<TextList<'a>>,
    ) -> Attribute {
        Attribute { key, unit: None, level, doc, getter: Getter::List(get), reads: Reads::Record }
    }

    const fn in_unit(self, unit: &'static str) -> Attribute {
        Attribute { unit: Some(unit), ..self }
    }

    const fn reading(self, reads: Reads) -> Attribute {
        Attribute { reads, ..self }
    }
}

impl<'a> RecordView<'a> {
    /// The interface the flow's first packet came in on.
    pub fn interface(&self) -> Option<&'a Interface> {
        self.settings.interface(self.record.first.port)
    }
}

/// OTLP integers are signed; a count past 2^63 - 1 is held there.
#[inline]
fn long(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_twice_in_the_table() {
        let mut keys: Vec<_> = attributes().map(|attribute| attribute.key).collect();
        let rows = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), rows);
    }

    #[test]
    fn every_attribute_is_documented_in_one_sentence() {
        for attribute in attributes() {
            assert!(attribute.doc.ends_with('.') && attribute.doc.len() > 10, "{}", attribute.key);
        }
    }
}
