//! What is wrong with the settings, in one line: where it was set, the key, the value, and what would be right.

use std::fmt;
use std::path::PathBuf;

/// A setting that cannot be used. The program exits with 2 on it, see [`ConfigError::EXIT_CODE`].
///
/// Displays as one line without a line feed at its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key has a value it cannot have.
    #[error("{origin}: {fault}")]
    Value {
        /// Who set it.
        origin: Origin,
        /// What is wrong with it.
        fault: Fault,
    },
    /// There is no such key.
    #[error("{origin}: unknown key {key}; {hint}")]
    UnknownKey {
        /// Who set it.
        origin: Origin,
        /// The whole key, such as `flow.capcity`.
        key: String,
        /// The nearest key, or all keys of that section.
        hint: String,
    },
    /// The file is not TOML.
    #[error("{origin}: not valid TOML: {message}")]
    Syntax {
        /// The file and line.
        origin: Origin,
        /// What the parser says.
        message: String,
    },
    /// The file cannot be read.
    #[error("{path}: cannot read the settings: {cause}; give another file with --config or leave it out")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's answer.
        cause: String,
    },
}

impl ConfigError {
    /// Exit code of a program that was given bad settings; the same as for a bad command line.
    pub const EXIT_CODE: u8 = 2;

    /// The key at fault, where the error is about one.
    pub fn key(&self) -> Option<&str> {
        match self {
            ConfigError::Value { fault, .. } => Some(&fault.key),
            ConfigError::UnknownKey { key, .. } => Some(key),
            ConfigError::Syntax { .. } | ConfigError::Unreadable { .. } => None,
        }
    }
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of the settings file, counted from 1.
    File {
        /// The file as given.
        path: PathBuf,
        /// The line, where it is known.
        line: Option<usize>,
    },
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line, with its dashes.
    Flag(String),
    /// Several of them together.
    Combined,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Origin::File { path, line: None } => write!(f, "{}", path.display()),
            Origin::Variable(name) => write!(f, "environment variable {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
            Origin::Combined => f.write_str("settings"),
        }
    }
}

/// A key, its value and what the value should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The whole key, such as `flow.idle_timeout.tcp` or `port[1].device`.
    pub key: String,
    /// The value as TOML writes it; empty where there is none to show.
    pub value: String,
    /// What would be right, such as "expected 1 to 64".
    pub expected: String,
}

impl Fault {
    /// A fault of `key`, whose value shows as `value`.
    pub fn new(key: impl Into<String>, value: impl Into<String>, expected: impl Into<String>) -> Fault {
        Fault { key: key.into(), value: value.into(), expected: expected.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() {
            write!(f, "{}: {}", self.key, self.expected)
        } else {
            write!(f, "{} = {}: {}", self.key, self.value, self.expected)
        }
    }
}
