//! `[span]`: what spans carry.

use flowtable::EventDetail;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::keys;
use crate::span::AttributeSelection;
use crate::span::attributes::{SelectionError, attributes};

/// What spans carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpanConfig {
    /// Which events flows remember.
    pub events: EventLevel,
    /// Attributes to add, by key or as `prefix.*`: the opt-in ones.
    pub include: Vec<String>,
    /// Attributes to leave out, likewise; goes over `include`.
    pub exclude: Vec<String>,
}

/// Which events spans carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventLevel {
    /// None.
    Off,
    /// Changes of state and failures.
    #[default]
    State,
    /// Retransmissions and segments out of order too.
    All,
}

impl EventLevel {
    /// As the flow table takes it.
    pub fn detail(self) -> EventDetail {
        match self {
            EventLevel::Off => EventDetail::Off,
            EventLevel::State => EventDetail::State,
            EventLevel::All => EventDetail::All,
        }
    }
}

impl SpanConfig {
    /// The attributes spans carry.
    ///
    /// # Errors
    /// The first key there is none of, and the first that cannot be left out.
    pub fn selection(&self) -> Result<AttributeSelection, Fault> {
        let mut selection = AttributeSelection::default();
        for key in &self.include {
            selection.include(key).map_err(|error| fault("span.include", key, &error))?;
        }
        for key in &self.exclude {
            selection.exclude(key).map_err(|error| fault("span.exclude", key, &error))?;
        }
        Ok(selection)
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        self.selection().map(drop)
    }
}

fn fault(setting: &str, key: &str, error: &SelectionError) -> Fault {
    let prefix = format!("{key}.");
    let near = || keys::nearest(key, attributes().map(|attribute| attribute.key)).map(str::to_owned);
    let group = attributes().any(|attribute| attribute.key.starts_with(&prefix)).then(|| format!("{key}.*"));
    let hint = match error {
        SelectionError::Unknown(_) => group.or_else(near),
        SelectionError::Required(_) => None,
    };
    let hint = hint.map_or_else(String::new, |hint| format!("; did you mean {hint}?"));
    Fault::new(setting, format!("{key:?}"), format!("{error}{hint}"))
}
