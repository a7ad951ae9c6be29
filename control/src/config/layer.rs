//! What lies over the file: the environment and the flags, one setting at a time.
//!
//! Every setting that is not in an array of tables has a variable: `TAPSPAN_` and its key in capitals, `.` as `_`.
//! `TAPSPAN_PORTS` and `TAPSPAN_EXPORT` are lists separated by blanks, because devices contain commas.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::error::{ConfigError, Fault, Origin};
use super::export::DestinationConfig;
use super::log::LogConfig;
use super::port::PortConfig;
use super::{Settings, keys};

const PREFIX: &str = "TAPSPAN_";
/// Names the file itself; read by the command line.
const CONFIG_VARIABLE: &str = "TAPSPAN_CONFIG";
/// Not `TAPSPAN_PORT`: Kubernetes sets that one in every pod beside a service called tapspan.
const PORTS_VARIABLE: &str = "TAPSPAN_PORTS";
const EXPORT_VARIABLE: &str = "TAPSPAN_EXPORT";
/// The variable that Rust programs share; `TAPSPAN_LOG_LEVEL` goes over it. Set for all of them, so no reason to stop.
const RUST_LOG: &str = "RUST_LOG";

const PORT_KEY: &str = "port";
const DESTINATION_KEY: &str = "export.destination";
const ATTRIBUTES_PREFIX: &str = "resource.attributes.";

/// One setting that replaces what stood before.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Who sets it.
    pub origin: Origin,
    /// The whole key, such as `flow.capacity`.
    pub key: String,
    /// To what.
    pub value: Given,
}

/// A value as it was given.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// Text, read as the setting's type: lists are separated by commas.
    Text(String),
    /// All ports, instead of the file's.
    Ports(Vec<PortConfig>),
    /// All destinations by URL, instead of the file's.
    Destinations(Vec<String>),
}

impl Override {
    /// Sets `key` to `text`, as the flag `flag` asks.
    pub fn flag(flag: &str, key: &str, text: impl Into<String>) -> Override {
        Override {
            origin: Origin::Flag(flag.to_owned()),
            key: key.to_owned(),
            value: Given::Text(text.into()),
        }
    }

    /// `settings` with this one replaced and checked.
    ///
    /// # Errors
    /// Where there is no such key, or it cannot have the value.
    pub(super) fn apply(&self, settings: &Settings) -> Result<Settings, ConfigError> {
        let changed = match &self.value {
            Given::Ports(ports) => Settings { port: ports.clone(), ..settings.clone() },
            Given::Destinations(urls) => with_destinations(settings, urls.iter().map(String::as_str)),
            Given::Text(text) if self.key == PORT_KEY => {
                let at = |fault| ConfigError::Value { origin: self.origin.clone(), fault };
                Settings { port: ports_from(text).map_err(at)?, ..settings.clone() }
            }
            Given::Text(text) if self.key == DESTINATION_KEY => {
                with_destinations(settings, text.split_whitespace())
            }
            Given::Text(text) => self.apply_text(settings, text)?,
        };
        changed.check().map_err(|fault| ConfigError::Value { origin: self.origin.clone(), fault })?;
        Ok(changed)
    }

    fn apply_text(&self, settings: &Settings, text: &str) -> Result<Settings, ConfigError> {
        let mut tree = keys::encode(settings);
        let place = place(&mut tree, &self.key).ok_or_else(|| self.unknown_key())?;
        *place = keys::coerce(place, text);
        keys::decode(tree.clone()).map_err(|complaint| complaint.into_error(self.origin.clone(), &tree))
    }

    fn unknown_key(&self) -> ConfigError {
        let known = keys::all();
        let settable = || known.iter().map(String::as_str).filter(|key| !key.contains('['));
        let name = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let hint = keys::nearest(&self.key, settable())
            .or_else(|| settable().find(|key| name(key) == name(&self.key)))
            .map_or_else(
                || "see tapspan.example.toml for all keys".to_owned(),
                |near| format!("did you mean {near}?"),
            );
        ConfigError::UnknownKey { origin: self.origin.clone(), key: self.key.clone(), hint }
    }
}

/// Where `key` stands in the tree; a new place for an attribute of the resource.
fn place<'a>(tree: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    if let Some(name) = key.strip_prefix(ATTRIBUTES_PREFIX) {
        let attributes = tree.get_mut("resource")?.get_mut("attributes")?.as_table_mut()?;
        return Some(attributes.entry(name).or_insert_with(|| Value::String(String::new())));
    }
    let known = keys::all();
    if !known.iter().any(|known| known == key) {
        return None;
    }
    let mut steps = key.split('.');
    let first = tree.get_mut(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get_mut(step))
}

/// The settings that `environment` makes, in the order of their names, and a line about each `TAPSPAN_` variable that
/// makes none. Empty variables count as not set.
pub(super) fn from_environment(
    environment: impl IntoIterator<Item = (String, String)>,
) -> (Vec<Override>, Vec<String>) {
    let keys: BTreeMap<String, String> =
        keys::all().into_iter().filter(|key| !key.contains('[')).map(|key| (variable(&key), key)).collect();
    let mut given: Vec<(String, String)> =
        environment.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    given.sort();
    let mut settings = Vec::new();
    let mut warnings = Vec::new();
    for (name, text) in given {
        let key = match name.as_str() {
            RUST_LOG if !is_level(&text) => {
                warnings.push(format!(
                    "environment variable {RUST_LOG}={text} is not understood and is passed over"
                ));
                continue;
            }
            RUST_LOG => "log.level",
            PORTS_VARIABLE => PORT_KEY,
            EXPORT_VARIABLE => DESTINATION_KEY,
            _ => match keys.get(&name) {
                Some(key) => key,
                None if name.starts_with(PREFIX) && name != CONFIG_VARIABLE => {
                    warnings.push(unknown_variable(&name, keys.keys().map(String::as_str)));
                    continue;
                }
                None => continue,
            },
        };
        settings.push(Override {
            origin: Origin::Variable(name),
            key: key.to_owned(),
            value: Given::Text(text),
        });
    }
    (settings, warnings)
}

fn is_level(text: &str) -> bool {
    LogConfig { level: text.to_owned(), ..LogConfig::default() }.filter().is_some()
}

/// The variable that sets `key`.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn unknown_variable<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let hint = keys::nearest(name, known.chain([PORTS_VARIABLE, EXPORT_VARIABLE]));
    let hint = hint.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    format!("environment variable {name} is none of tapspan's settings and is passed over{hint}")
}

fn with_destinations<'a>(settings: &Settings, urls: impl Iterator<Item = &'a str>) -> Settings {
    let mut changed = settings.clone();
    changed.export.destination = urls.map(DestinationConfig::new).collect();
    changed
}

fn ports_from(text: &str) -> Result<Vec<PortConfig>, Fault> {
    let port = |part: &str| part.parse().map_err(|expected: String| Fault::new(PORT_KEY, "", expected));
    text.split_whitespace().map(port).collect()
}
