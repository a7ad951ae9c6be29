//! What goes wrong with DPDK, in one line each: the object, what failed, and what to do.

use std::fmt;

use thiserror::Error;

/// An error number of the operating system, or of DPDK above 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub(super) const EPERM: Errno = Errno(1);
    pub(super) const ENOMEM: Errno = Errno(12);
    pub(super) const EACCES: Errno = Errno(13);
    pub(super) const EBUSY: Errno = Errno(16);
    pub(super) const EEXIST: Errno = Errno(17);
    pub(super) const ENODEV: Errno = Errno(19);
    pub(super) const EINVAL: Errno = Errno(22);

    /// The error of the last DPDK call on this thread that reports through `rte_errno`.
    pub(super) fn last() -> Errno {
        // SAFETY: reads a thread-local integer; has no preconditions.
        Errno(unsafe { dpdk_sys::tapspan_errno() })
    }

    /// The result of a DPDK call that returns 0 (or more) or a negative errno.
    pub(super) fn check(status: i32) -> Result<(), Errno> {
        if status >= 0 { Ok(()) } else { Err(Errno(status.saturating_neg())) }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // Drivers return -1 for whatever they do not name; it is EPERM by accident.
            Errno::EPERM => f.write_str("refused, without an error number"),
            Errno(number) => std::io::Error::from_raw_os_error(number).fmt(f),
        }
    }
}

/// Why a DPDK port cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DpdkError {
    /// EAL can be started once in the life of a process.
    #[error("DPDK was already started in this process, and can be started only once")]
    AlreadyInitialised,
    /// The operator's EAL arguments cannot be split into words.
    #[error("EAL arguments {arguments:?}: {problem}")]
    BadArguments {
        /// As given.
        arguments: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// EAL did not start.
    #[error("DPDK did not start: {errno}{}; {advice}", detail(log.as_ref()))]
    Eal {
        /// What `rte_eal_init` said.
        errno: Errno,
        /// The first error EAL logged.
        log: Option<String>,
        /// What to do.
        advice: String,
    },
    /// The text names no device.
    #[error("device {device:?}: {problem}")]
    BadDevice {
        /// As given.
        device: String,
        /// What would be right.
        problem: String,
    },
    /// There is no such device, or no driver that takes it.
    #[error("device {device}: not found{}; {advice}", detail(log.as_ref()))]
    UnknownDevice {
        /// The device.
        device: String,
        /// The first error the driver logged.
        log: Option<String>,
        /// What to do.
        advice: String,
    },
    /// Somebody uses the device already: this process or another one.
    #[error("device {device}: in use already{}; {advice}", detail(log.as_ref()))]
    DeviceBusy {
        /// The device.
        device: String,
        /// The first error the driver logged.
        log: Option<String>,
        /// What to do.
        advice: String,
    },
    /// This user may not do it.
    #[error("{object}: no permission{}; {advice}", detail(log.as_ref()))]
    NotPermitted {
        /// The device, or "DPDK".
        object: String,
        /// The first error logged.
        log: Option<String>,
        /// What to do.
        advice: String,
    },
    /// No memory for packet buffers.
    #[error("device {device}: no memory for {mbufs} packet buffers of {bytes} bytes: {errno}; {advice}")]
    NoBuffers {
        /// The device.
        device: String,
        /// Buffers asked for.
        mbufs: u32,
        /// Data room of each, in bytes.
        bytes: u16,
        /// What DPDK said.
        errno: Errno,
        /// What to do.
        advice: String,
    },
    /// Any other refusal of a device.
    #[error("device {device}: {operation}: {errno}{}{}", detail(log.as_ref()), and_then(advice))]
    Device {
        /// The device.
        device: String,
        /// What was tried.
        operation: &'static str,
        /// What the driver said.
        errno: Errno,
        /// The first error the driver logged.
        log: Option<String>,
        /// What to do; empty where nothing better than the message is known.
        advice: String,
    },
    /// A thread could not be made known to DPDK.
    #[error("worker thread: not registered with DPDK: {errno}; at most {limit} threads can be")]
    Thread {
        /// What DPDK said.
        errno: Errno,
        /// `RTE_MAX_LCORE` of this DPDK.
        limit: u32,
    },
}

fn detail(log: Option<&String>) -> String {
    log.map_or_else(String::new, |line| format!(" ({line})"))
}

fn and_then(advice: &str) -> String {
    if advice.is_empty() { String::new() } else { format!("; {advice}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_object_errno_log_and_advice_in_one_line() {
        let error = DpdkError::Device {
            device: "net_x0".to_owned(),
            operation: "start",
            errno: Errno::EINVAL,
            log: Some("PMD: no".to_owned()),
            advice: "do this".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "device net_x0: start: Invalid argument (os error 22) (PMD: no); do this"
        );
    }

    #[test]
    fn a_negative_status_is_its_errno() {
        assert_eq!(Errno::check(-16), Err(Errno::EBUSY));
        assert_eq!(Errno::check(3), Ok(()));
    }
}
