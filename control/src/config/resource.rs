//! `[resource]`: what the operator adds to the resource of every span.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::Fault;

/// Most attributes the operator may add.
const MAX_ATTRIBUTES: usize = 64;

/// Attributes of the resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceConfig {
    /// Name and value; they replace what the program finds out itself, `service.name` too.
    pub attributes: BTreeMap<String, String>,
}

impl ResourceConfig {
    pub(super) fn check(&self) -> Result<(), Fault> {
        let key = "resource.attributes";
        if self.attributes.len() > MAX_ATTRIBUTES {
            let number = format!("{} attributes", self.attributes.len());
            return Err(Fault::new(key, number, format!("expected at most {MAX_ATTRIBUTES}")));
        }
        match self.attributes.keys().find(|name| name.trim().is_empty()) {
            Some(name) => Err(Fault::new(key, format!("{name:?}"), "expected a name for each attribute")),
            None => Ok(()),
        }
    }
}
