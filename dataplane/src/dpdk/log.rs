//! The log of EAL and drivers: handed on to the program's own logging, the latest lines kept for error messages.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::error::Errno;

/// How many lines are kept for error messages.
const LINES_KEPT: usize = 64;

/// Importance of a line, by `RTE_LOG_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum LogLevel {
    /// Emergency, alert, critical or error.
    Error = 4,
    /// Something works less well than it could.
    Warning = 5,
    /// Normal but worth a line.
    Notice = 6,
    /// Informational.
    Info = 7,
    /// For whoever looks for a fault.
    Debug = 8,
}

impl LogLevel {
    fn from_dpdk(level: u32) -> LogLevel {
        match level {
            0..=4 => LogLevel::Error,
            5 => LogLevel::Warning,
            6 => LogLevel::Notice,
            7 => LogLevel::Info,
            _ => LogLevel::Debug,
        }
    }
}

type Sink = fn(LogLevel, &str);

static SINK: OnceLock<Sink> = OnceLock::new();
static RECENT: Mutex<Recent> = Mutex::new(Recent { lines: VecDeque::new(), seen: 0, held: false });

struct Recent {
    lines: VecDeque<(LogLevel, String)>,
    /// Lines ever logged; the number of the line after the last kept one.
    seen: u64,
    /// Lines wait, as the sink might write to a stream that is turned elsewhere.
    held: bool,
}

impl Recent {
    fn since(&self, mark: Mark) -> impl Iterator<Item = &(LogLevel, String)> {
        let fresh = usize::try_from(self.seen.saturating_sub(mark.0)).unwrap_or(usize::MAX);
        self.lines.iter().skip(self.lines.len().saturating_sub(fresh))
    }
}

fn recent() -> MutexGuard<'static, Recent> {
    // Nothing is left half done under the lock, so a panic of another thread does no harm.
    RECENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives every further line of EAL and drivers to `sink`, without its newline; the first call in a process counts.
///
/// Called on whichever thread logs. `sink` must not call into DPDK.
pub fn set_log_sink(sink: fn(LogLevel, &str)) {
    // A second sink is a second caller's wish for the same lines; the first one keeps them.
    let _ = SINK.set(sink);
}

/// A point in the log, to ask later what was logged after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(u64);

/// The end of the log now.
pub(super) fn mark() -> Mark {
    Mark(recent().seen)
}

/// Behind it libbpf gives the kernel's own words for why an XDP program was refused, as a warning.
const KERNELS_WORDS: &str = "Kernel error message: ";

/// What the kernel said since `mark`; else the first error, which is the cause: those after it are its consequences, as
/// are EAL's last words.
pub(super) fn cause_since(mark: Mark) -> Option<String> {
    let recent = recent();
    let kernels_words = recent.since(mark).find_map(|(_, line)| line.split_once(KERNELS_WORDS));
    if let Some((_, words)) = kernels_words {
        return Some(words.to_owned());
    }
    let errors = recent.since(mark).filter(|(level, _)| *level == LogLevel::Error).map(|(_, line)| line);
    let last_words = |line: &&String| line.contains("FATAL:") || line.contains("Invalid 'command line'");
    let (consequences, causes): (Vec<_>, Vec<_>) = errors.partition(last_words);
    causes.first().or(consequences.first()).map(|line| (*line).clone())
}

/// Whether a line tells of a missing permission.
pub(super) fn is_denial(line: &str) -> bool {
    line.contains("Permission denied") || line.contains("not permitted")
}

/// Runs `start`, keeping lines from the sink until it is done.
pub(super) fn hold_while<T>(start: impl FnOnce() -> T) -> T {
    let before = mark();
    recent().held = true;
    let result = start();
    let lines: Vec<_> = {
        let mut recent = recent();
        recent.held = false;
        recent.since(before).cloned().collect()
    };
    if let Some(sink) = SINK.get() {
        for (level, line) in &lines {
            sink(*level, line);
        }
    }
    result
}

/// Turns the log of DPDK into calls of [`receive`]. Call before EAL starts.
pub(super) fn capture() -> Result<(), Errno> {
    // SAFETY: `receive` has the type the shim calls, lives as long as the program and does not unwind.
    Errno::check(unsafe { dpdk_sys::tapspan_log_to(Some(receive)) })
}

/// The same for what libbpf and libxdp print, where the AF_XDP driver has loaded them.
pub(super) fn capture_bpf() {
    // SAFETY: `capture` was called before, as EAL is up; the functions it sets live as long as the program.
    unsafe { dpdk_sys::tapspan_log_bpf() }
}

extern "C" fn receive(level: u32, text: *const u8, length: usize) {
    if text.is_null() {
        return;
    }
    // SAFETY: the C library hands `length` readable bytes at `text`, which stay while the call lasts.
    let text = unsafe { std::slice::from_raw_parts(text, length) };
    let level = LogLevel::from_dpdk(level);
    for line in String::from_utf8_lossy(text).lines() {
        accept(level, line.trim_end());
    }
}

fn accept(level: LogLevel, line: &str) {
    if line.is_empty() {
        return;
    }
    let held = {
        let mut recent = recent();
        if recent.lines.len() == LINES_KEPT {
            recent.lines.pop_front();
        }
        recent.lines.push_back((level, line.to_owned()));
        recent.seen += 1;
        recent.held
    };
    if held {
        return;
    }
    if let Some(sink) = SINK.get() {
        sink(level, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_the_first_error_after_the_mark() {
        accept(LogLevel::Error, "old");
        let start = mark();
        assert_eq!(cause_since(start), None);
        accept(LogLevel::Warning, "hm");
        accept(LogLevel::Error, "EAL: FATAL: no");
        assert_eq!(cause_since(start).as_deref(), Some("EAL: FATAL: no"));
        accept(LogLevel::Error, "cause");
        accept(LogLevel::Error, "consequence");
        assert_eq!(cause_since(start).as_deref(), Some("cause"));
        accept(LogLevel::Warning, "libbpf: Kernel error message: veth: Peer MTU is too large to set XDP");
        assert_eq!(cause_since(start).as_deref(), Some("veth: Peer MTU is too large to set XDP"));
        for _ in 0..2 * LINES_KEPT {
            accept(LogLevel::Info, "noise");
        }
        assert_eq!(cause_since(start), None);
    }
}
