//! DPDK's log as the program's own. Held back while ports are opened: where one cannot be, the error says why in one line,
//! and what led to it is for whoever asks for debug lines.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dataplane::dpdk::{LogLevel, set_log_sink};
use tracing::{debug, error, info, warn};

/// Lines held back at most; EAL and a driver say some ten.
const LINES_HELD: usize = 256;
/// EAL warns of each size of huge pages the machine could have and has not.
const HARMLESS: &str = "EAL: No free ";

static HELD: Mutex<Option<Vec<(LogLevel, String)>>> = Mutex::new(None);

/// Takes DPDK's lines from now on, and holds them back.
pub(super) fn start() {
    *held() = Some(Vec::new());
    set_log_sink(take);
}

/// Lets go of what was held back; lines go out as they come from now on.
pub(super) fn release() {
    let lines = held().take();
    for (level, line) in lines.unwrap_or_default() {
        log(level, &line);
    }
}

fn held() -> MutexGuard<'static, Option<Vec<(LogLevel, String)>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(level: LogLevel, line: &str) {
    match &mut *held() {
        Some(lines) if lines.len() < LINES_HELD => {
            debug!(target: "dpdk", "{line}");
            lines.push((level, line.to_owned()));
        }
        Some(_) => debug!(target: "dpdk", "{line}"),
        None => log(level, line),
    }
}

fn log(level: LogLevel, line: &str) {
    match level {
        LogLevel::Error => error!(target: "dpdk", "{line}"),
        LogLevel::Warning if line.starts_with(HARMLESS) => debug!(target: "dpdk", "{line}"),
        LogLevel::Warning => warn!(target: "dpdk", "{line}"),
        LogLevel::Notice => info!(target: "dpdk", "{line}"),
        LogLevel::Info | LogLevel::Debug => debug!(target: "dpdk", "{line}"),
    }
}
