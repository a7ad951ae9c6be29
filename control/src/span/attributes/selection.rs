//! Which attributes spans carry.

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
    /// No attribute has that key.
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
    /// Adds the attribute `key`.
    ///
    /// # Errors
    /// Where the table has no such key.
    pub fn include(&mut self, key: &str) -> Result<(), SelectionError> {
        let (row, _) = find(key)?;
        self.chosen[row] = true;
        Ok(())
    }

    /// Leaves the attribute `key` out.
    ///
    /// # Errors
    /// Where the table has no such key, or the attribute is required.
    pub fn exclude(&mut self, key: &str) -> Result<(), SelectionError> {
        let (row, attribute) = find(key)?;
        match attribute.level {
            Level::Required | Level::Conditional(_) => Err(SelectionError::Required(attribute.key)),
            Level::Recommended | Level::OptIn => {
                self.chosen[row] = false;
                Ok(())
            }
        }
    }

    /// The chosen attributes in table order.
    pub fn iter(&self) -> impl Iterator<Item = &'static Attribute> {
        attributes().zip(&self.chosen).filter(|(_, chosen)| **chosen).map(|(attribute, _)| attribute)
    }
}

fn find(key: &str) -> Result<(usize, &'static Attribute), SelectionError> {
    let found = attributes().enumerate().find(|(_, attribute)| attribute.key == key);
    found.ok_or_else(|| SelectionError::Unknown(key.to_owned()))
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
        assert_eq!(selection.include("flow.colour"), Err(SelectionError::Unknown("flow.colour".to_owned())));
        assert_eq!(selection, AttributeSelection::default());
    }
}
