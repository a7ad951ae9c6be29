//! The settings file: TOML, unknown keys refused, errors with their line.

use std::path::Path;

use serde_path_to_error::Segment;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table};

use super::error::{ConfigError, Origin};
use super::{Settings, keys};

/// Reads and checks `path`.
pub(super) fn read(path: &Path) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.display().to_string(),
        cause: error.to_string(),
    })?;
    parse(&text, path)
}

/// Checks `text` as the content of `path`.
pub(super) fn parse(text: &str, path: &Path) -> Result<Settings, ConfigError> {
    let origin = |line| Origin::File { path: path.to_owned(), line };
    let tree: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
        origin: origin(error.span().map(|span| line_at(text, span.start))),
        message: error.message().replace('\n', ", "),
    })?;
    let settings = keys::decode(tree.clone()).map_err(|complaint| {
        let steps: Vec<Step> = complaint.path().iter().filter_map(step).collect();
        complaint.into_error(origin(line_of(text, &steps)), &tree)
    })?;
    settings.check().map_err(|fault| {
        let steps = steps_of(&fault.key);
        ConfigError::Value { origin: origin(line_of(text, &steps)), fault }
    })?;
    Ok(settings)
}

/// One step down the tree.
enum Step {
    Key(String),
    Index(usize),
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// The steps of a key such as `port[1].device`, as the checks write it.
fn steps_of(key: &str) -> Vec<Step> {
    key.split(['.', '[', ']'])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_or_else(|_| Step::Key(part.to_owned()), Step::Index))
        .collect()
}

/// The line, from 1, of the last of `steps` that is in the text.
fn line_of(text: &str, steps: &[Step]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = Some(document.get_ref());
    let mut array = None;
    let mut start = None;
    for step in steps {
        let value: &Spanned<DeValue<'_>> = match step {
            Step::Key(key) => {
                let Some((spelt, value)) = table.and_then(|table| table.get_key_value(key.as_str())) else {
                    break;
                };
                start = Some(spelt.span().start);
                value
            }
            Step::Index(index) => {
                let Some(value) = array.and_then(|array: &toml::de::DeArray<'_>| array.get(*index)) else {
                    break;
                };
                start = Some(value.span().start);
                value
            }
        };
        table = value.get_ref().as_table();
        array = value.get_ref().as_array();
    }
    start.map(|start| line_at(text, start))
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
