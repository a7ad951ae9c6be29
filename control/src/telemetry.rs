//! The program's own log: `tracing` events to standard error, as text or JSON.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Starts the log for the whole process. A second call, as in tests, changes nothing.
///
/// `colours_wanted` is for what the operator says (`NO_COLOR`); they are used only where standard error is a terminal.
pub fn init(config: &LogConfig, colours_wanted: bool) {
    let filter = config.filter().unwrap_or_else(|| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_target(false);
    // Only fails where a log is already set up.
    let _already_set = match config.format {
        LogFormat::Text => builder.with_ansi(colours_wanted && stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_target(true).try_init(),
    };
}
