//! `[log]`: what the program says about itself, on standard error.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::error::Fault;

/// The program's own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A level, or levels by module as `RUST_LOG` has them: `warn,tapspan::export=debug`.
    pub level: String,
    /// Text for people or JSON for machines.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogConfig {
    /// The filter of the level, or `None` where it cannot be read.
    ///
    /// A lone word must be a level: the filter's own syntax would take `inof` for the name of a module.
    pub fn filter(&self) -> Option<EnvFilter> {
        let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
        let words = self.level.split(',').map(str::trim);
        let all_known = words.filter(|word| !word.contains(['=', '['])).all(is_level);
        let filter = EnvFilter::builder().parse(&self.level).ok()?;
        all_known.then_some(filter)
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        let expected = "expected error, warn, info, debug, trace or off, or levels by module such as \"warn,tapspan=debug\"";
        match self.filter() {
            Some(_) => Ok(()),
            None => Err(Fault::new("log.level", format!("{:?}", self.level), expected)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_levels_by_module_are_taken_and_typing_errors_refused() {
        let with = |level: &str| LogConfig { level: level.to_owned(), ..LogConfig::default() }.check();
        for level in ["info", "WARN", "off", "warn,tapspan::export=debug", "tapspan=trace"] {
            assert_eq!(with(level), Ok(()), "{level}");
        }
        for level in ["", "inof", "warn,tapspan=debugg", "tapspan", "warn,,"] {
            assert!(with(level).is_err(), "{level}");
        }
    }
}
