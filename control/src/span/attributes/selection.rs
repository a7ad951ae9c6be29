//! Which attributes spans carry.

use super::performance::EXCHANGES;
use super::{Attribute, Level, attributes};

/// A choice out of the table; by default everything but the opt-in attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeSelection {
    /// One entry for each attribute, in table order.
    chosen: Vec<bool>,
}

/// A choice the table does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No attribute has that key, or one that begins so.
    #[error("no attribute is called `{0}`; `tapspan attributes` lists them")]
    Unknown(String),
    /// The convention wants it on every span it applies to.
    #[error("attribute `{0}` is required and cannot be left out")]
    Required(&'static str),
}

impl Default for AttributeSelection {
    fn default() -> Self {
        AttributeSelection { chosen: attributes().map(|attribute| attribute.level != Level::OptIn).collect() }
    }
}

impl AttributeSelection {
    /// Adds the attribute `key`, or with `prefix.*` all whose keys begin with `prefix.`.
    ///
    /// # Errors
    /// Where the table has no such key.
    pub fn include(&mut self, key: &str) -> Result<(), SelectionError> {
        self.choose(key, |_| true)
    }

    /// Leaves the attribute `key` out, or with `prefix.*` all whose keys begin with `prefix.` but the required ones.
    ///
    /// # Errors
    /// Where the table has no such key, or none that is not required.
    pub fn exclude(&mut self, key: &str) -> Result<(), SelectionError> {
        let required =
            |attribute: &Attribute| matches!(attribute.level, Level::Required | Level::Conditional(_));
        if let Some(first) = matching(key).next()
            && matching(key).all(|(_, attribute)| required(attribute))
        {
            return Err(SelectionError::Required(first.1.key));
        }
        self.choose(key, required)
    }

    /// What `choice` says becomes of every attribute `key` stands for.
    fn choose(&mut self, key: &str, choice: impl Fn(&Attribute) -> bool) -> Result<(), SelectionError> {
        let mut found = false;
        for (row, attribute) in matching(key) {
            self.chosen[row] = choice(attribute);
            found = true;
        }
        if found { Ok(()) } else { Err(SelectionError::Unknown(key.to_owned())) }
    }

    /// Whether any of them tells of exchanges of requests and responses.
    pub fn has_exchanges(&self) -> bool {
        self.iter().any(|attribute| EXCHANGES.iter().any(|prefix| attribute.key.starts_with(prefix)))
    }

    /// The chosen attributes in table order.
    pub fn iter(&self) -> impl Iterator<Item = &'static Attribute> {
        attributes().zip(&self.chosen).filter(|(_, chosen)| **chosen).map(|(attribute, _)| attribute)
    }
}

/// The attributes `key` stands for, with their places in the table.
fn matching(key: &str) -> impl Iterator<Item = (usize, &'static Attribute)> {
    let prefix = key.strip_suffix('*').filter(|prefix| prefix.ends_with('.'));
    attributes().enumerate().filter(move |(_, attribute)| match prefix {
        Some(prefix) => attribute.key.starts_with(prefix),
        None => attribute.key == key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(selection: &AttributeSelection) -> Vec<&'static str> {
        selection.iter().map(|attribute| attribute.key).collect()
    }

    #[test]
    fn recommended_attributes_can_be_left_out_and_taken_back() {
        let mut selection = AttributeSelection::default();
        selection.exclude("flow.ip.ttl").unwrap();
        assert!(!keys(&selection).contains(&"flow.ip.ttl"));
        selection.include("flow.ip.ttl").unwrap();
        assert_eq!(selection, AttributeSelection::default());
    }

    #[test]
    fn required_and_unknown_attributes_are_refused_by_name() {
        let mut selection = AttributeSelection::default();
        for key in ["flow.community_id", "flow.connection.state"] {
            assert_eq!(selection.exclude(key), Err(SelectionError::Required(key)));
        }
        for key in ["flow.colour", "colour.*", "*", "tunnel*", ""] {
            assert_eq!(selection.include(key), Err(SelectionError::Unknown(key.to_owned())));
        }
        assert_eq!(selection, AttributeSelection::default());
    }

    #[test]
    fn exchanges_are_told_of_until_the_last_of_their_attributes_is_left_out() {
        let mut selection = AttributeSelection::default();
        for key in ["flow.tcp.svc.latency", "flow.tcp.svc.jitter", "flow.tcp.rndtrip.*"] {
            assert!(selection.has_exchanges(), "before {key}");
            selection.exclude(key).unwrap();
        }
        assert!(!selection.has_exchanges());
        assert!(keys(&selection).contains(&"flow.tcp.handshake.snd.latency"));
    }

    #[test]
    fn a_star_stands_for_all_keys_that_begin_so() {
        let mut selection = AttributeSelection::default();
        assert!(!keys(&selection).contains(&"tunnel.spi"), "opt-in");
        selection.include("tunnel.*").unwrap();
        assert_eq!(keys(&selection).iter().filter(|key| key.starts_with("tunnel.")).count(), 12);
        selection.exclude("tunnel.network.*").unwrap();
        assert_eq!(keys(&selection).iter().filter(|key| key.starts_with("tunnel.")).count(), 10);
        selection.exclude("flow.reverse.*").unwrap();
        assert!(!keys(&selection).contains(&"flow.reverse.tcp.retransmissions"));
        assert!(keys(&selection).contains(&"flow.reverse.bytes.total"), "required, so it stays");
        assert!(matches!(selection.exclude("flow.connection.*"), Err(SelectionError::Required(_))));
    }
}
