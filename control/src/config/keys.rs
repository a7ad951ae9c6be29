//! The names of all settings, and the translation of serde's complaints into [`ConfigError`]s that name them.

use serde_path_to_error::{Path as KeyPath, Segment};
use toml::{Table, Value};

use super::error::{ConfigError, Fault, Origin};
use super::export::{Compression, DestinationConfig, FileFormat};
use super::port::PortConfig;
use super::{Settings, units};

/// What serde found wrong with a tree of settings.
pub(super) struct Complaint {
    path: KeyPath,
    message: String,
}

impl Complaint {
    /// The keys and indices down to the value at fault, or to the unknown key.
    pub(super) fn path(&self) -> &KeyPath {
        &self.path
    }

    /// The error about it; `tree` is what was read, for the value.
    pub(super) fn into_error(self, origin: Origin, tree: &Table) -> ConfigError {
        let key = self.path.to_string();
        if self.message.starts_with("unknown field `") {
            // Behind the unknown key, serde puts every sibling between backticks.
            let siblings: Vec<&str> = self.message.split('`').skip(3).step_by(2).collect();
            let hint = hint(&key, &siblings);
            return ConfigError::UnknownKey { origin, key, hint };
        }
        let value = value_at(tree, &self.path).map(|value| shown(&key, value)).unwrap_or_default();
        let expected = match self.message.split_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None => self.message,
        };
        ConfigError::Value { origin, fault: Fault::new(key, value, expected.replace('\n', " ")) }
    }
}

/// Settings from a tree, without their ranges checked.
pub(super) fn decode(tree: Table) -> Result<Settings, Complaint> {
    serde_path_to_error::deserialize(Value::Table(tree)).map_err(|error| {
        let path = error.path().clone();
        Complaint { path, message: error.into_inner().message().to_owned() }
    })
}

/// Settings as a tree; every key that is set is in it.
pub(super) fn encode(settings: &Settings) -> Table {
    Table::try_from(settings)
        .expect("settings are tables, text, integers and booleans, all of which TOML has")
}

/// Every key there is, sorted by section; `[]` stands for an index.
pub(super) fn all() -> Vec<String> {
    let mut settings = Settings::default();
    settings.port.push(PortConfig::new("net_null0"));
    settings.export.destination.push(DestinationConfig {
        url: "stdout".to_owned(),
        headers: [(String::new(), String::new())].into(),
        timeout: Some(std::time::Duration::ZERO),
        compression: Some(Compression::None),
        format: Some(FileFormat::Json),
        ca_file: Some("".into()),
        cert_file: Some("".into()),
        key_file: Some("".into()),
    });
    let mut keys = Vec::new();
    collect("", &Value::Table(encode(&settings)), &mut keys);
    keys
}

fn collect(prefix: &str, value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Table(table) if !matches!(prefix, "resource.attributes" | "export.destination[].headers") => {
            let dot = if prefix.is_empty() { "" } else { "." };
            table.iter().for_each(|(key, value)| collect(&format!("{prefix}{dot}{key}"), value, keys));
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            items.iter().for_each(|item| collect(&format!("{prefix}[]"), item, keys));
        }
        _ => keys.push(prefix.to_owned()),
    }
}

/// "did you mean": a sibling spelt alike, the same name in another section, else all siblings.
fn hint(key: &str, siblings: &[&str]) -> String {
    let (section, unknown) = key.rsplit_once('.').unwrap_or(("", key));
    if let Some(near) = nearest(unknown, siblings.iter().copied()) {
        let dot = if section.is_empty() { "" } else { "." };
        return format!("did you mean {section}{dot}{near}?");
    }
    let all = all();
    let elsewhere = all.iter().find(|key| key.rsplit('.').next() == Some(unknown));
    match elsewhere {
        Some(key) => format!("did you mean {key}?"),
        None => format!("expected one of {}", siblings.join(", ")),
    }
}

/// The candidate that differs from `word` by the fewest letters, if by few enough to be a typing error.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Two letters changed places count as two changes.
    let most = (word.chars().count() / 3).max(2);
    let distance = |candidate: &'a str| (edit_distance(word, candidate), candidate);
    candidates.map(distance).filter(|(letters, _)| *letters <= most).min().map(|(_, candidate)| candidate)
}

/// Levenshtein distance in characters.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

fn value_at<'a>(tree: &'a Table, path: &KeyPath) -> Option<&'a Value> {
    let mut segments = path.iter();
    let Some(Segment::Map { key }) = segments.next() else { return None };
    segments.try_fold(tree.get(key)?, |value, segment| match segment {
        Segment::Map { key } => value.get(key.as_str()),
        Segment::Seq { index } => value.get(*index),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

/// The value as TOML has it, in one short line; values of headers are secrets and stay out.
fn shown(key: &str, value: &Value) -> String {
    const LONGEST: usize = 120;
    if key.contains("headers") || value.is_table() {
        return String::new();
    }
    let text = value.to_string().replace('\n', " ");
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

/// The text of a flag or variable as the type that stands at its key: a list is separated by commas, a table is `name=value` pairs.
pub(super) fn coerce(standing: &Value, text: &str) -> Value {
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    match standing {
        Value::Boolean(_) => {
            text.trim().parse().map_or_else(|_| Value::String(text.to_owned()), Value::Boolean)
        }
        Value::Array(_) => Value::Array(parts().map(number_or_text).collect()),
        Value::Table(_) => {
            let pair = |part: &str| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                (name.trim().to_owned(), Value::String(value.trim().to_owned()))
            };
            Value::Table(parts().map(pair).collect())
        }
        _ => Value::String(text.to_owned()),
    }
}

fn number_or_text(text: &str) -> Value {
    let number = units::parse_count(text).ok().and_then(|number| i64::try_from(number).ok());
    number.map_or_else(|| Value::String(text.to_owned()), Value::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters_put_in_left_out_and_changed() {
        assert_eq!(edit_distance("capacity", "capacity"), 0);
        assert_eq!(edit_distance("capcity", "capacity"), 1);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(
            nearest("actve_timeout", ["capacity", "active_timeout"].into_iter()),
            Some("active_timeout")
        );
        assert_eq!(nearest("colour", ["capacity", "active_timeout"].into_iter()), None);
    }

    #[test]
    fn the_list_of_keys_reaches_into_every_section() {
        let keys = all();
        for key in
            ["port[].device", "flow.idle_timeout.tcp", "export.destination[].key_file", "resource.attributes"]
        {
            assert!(keys.iter().any(|known| known == key), "{key} in {keys:?}");
        }
    }
}
