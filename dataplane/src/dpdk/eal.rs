//! The EAL: started once in a process, cleaned up when the last port and thread are gone.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::device::{Bus, DeviceSpec};
use super::error::{DpdkError, Errno};
use super::log::{self, LogLevel};
use super::machine::{self, Binding};

/// EAL can be started once; a failed start counts, as DPDK cannot take one back.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Whether packet buffers live on huge pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// On huge pages where enough are free, on ordinary ones otherwise.
    #[default]
    Auto,
    /// On huge pages, or not at all.
    Require,
    /// On ordinary pages. PCI devices need huge pages or an IOMMU.
    Never,
}

/// How to start the EAL.
#[derive(Clone, Debug)]
pub struct EalOptions {
    /// Every device that will be opened. PCI devices not named here, or held by the kernel, stay untouched.
    pub devices: Vec<DeviceSpec>,
    /// Processors the starting thread and DPDK's own threads stay on; all allowed ones where empty.
    pub control_cpus: Vec<u16>,
    /// Where packet buffers live.
    pub huge_pages: HugePages,
    /// Memory wanted for packet buffers, in MiB: what must be free on huge pages for `Auto` to use them, and the size
    /// of the arena on ordinary pages, which is taken as it is touched.
    pub memory_mib: u32,
    /// Further EAL arguments, split as a shell would: they come last, so they win.
    pub extra_arguments: String,
    /// The least important lines DPDK logs.
    pub log_level: LogLevel,
}

impl Default for EalOptions {
    fn default() -> Self {
        EalOptions {
            devices: Vec::new(),
            control_cpus: Vec::new(),
            huge_pages: HugePages::Auto,
            memory_mib: 256,
            extra_arguments: String::new(),
            log_level: LogLevel::Warning,
        }
    }
}

/// What packet buffers live on, and why. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryMode {
    /// Huge pages.
    HugePages {
        /// Free at start, in MiB.
        free_mib: u64,
    },
    /// Ordinary pages, `--no-huge`.
    OrdinaryPages {
        /// Size of the arena in MiB.
        arena_mib: u32,
        /// Free on huge pages at start, in MiB.
        free_mib: u64,
    },
    /// The operator's EAL arguments say.
    ByArguments,
}

impl fmt::Display for MemoryMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryMode::HugePages { free_mib } => write!(f, "huge pages, {free_mib} MiB free at start"),
            MemoryMode::OrdinaryPages { arena_mib, free_mib } => write!(
                f,
                "ordinary pages (--no-huge), {arena_mib} MiB, as {free_mib} MiB of huge pages are free; \
                 `scripts/hugepages.sh` reserves some"
            ),
            MemoryMode::ByArguments => f.write_str("as the EAL arguments say"),
        }
    }
}

/// One port DPDK has, opened or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedPort {
    /// DPDK's number of the port.
    pub id: u16,
    /// Its device name.
    pub name: String,
    /// NUMA node; `None` where it has none.
    pub numa_node: Option<u16>,
}

/// The running EAL. Dropping it cleans up once the last port, queue, burst and thread that holds on to it is gone.
#[derive(Debug)]
pub struct Eal {
    running: Arc<Running>,
    memory: MemoryMode,
}

/// What ports and threads hold on to.
#[derive(Debug)]
pub(super) struct Running {
    /// Ports that are open, by DPDK's number.
    open: Mutex<BTreeSet<u16>>,
    /// A driver is in a state in which closing its port crashes: the process ends without clean-up.
    abandoned: AtomicBool,
    /// Where the log of the start begins: why a PCI device is missing stands there.
    started_at: log::Mark,
}

impl Eal {
    /// Starts DPDK: no telemetry, no files left behind, no PCI scan unless a PCI device is named.
    ///
    /// EAL prints on its own, so stdout and stderr of the process are turned away while it starts.
    ///
    /// # Errors
    /// [`DpdkError::AlreadyInitialised`] on the second call in a process; otherwise what EAL said and what to do.
    pub fn init(options: &EalOptions) -> Result<Eal, DpdkError> {
        let (words, memory) = arguments(options)?;
        // Relaxed: the flag guards nothing but itself; swap lets exactly one caller through.
        if STARTED.swap(true, Ordering::Relaxed) {
            return Err(DpdkError::AlreadyInitialised);
        }
        log::capture().map_err(|errno| DpdkError::Eal {
            errno,
            log: None,
            advice: "the log of DPDK cannot be captured".to_owned(),
        })?;
        let before = log::mark();
        let started = log::hold_while(|| start(&words));
        remove_runtime_folder();
        started.map_err(|errno| eal_error(errno, log::cause_since(before), &memory))?;
        Ok(Eal {
            running: Arc::new(Running {
                open: Mutex::new(BTreeSet::new()),
                abandoned: AtomicBool::new(false),
                started_at: before,
            }),
            memory,
        })
    }

    /// What packet buffers live on, to be told in one line.
    pub fn memory_mode(&self) -> &MemoryMode {
        &self.memory
    }

    /// The release of DPDK that runs, as it names itself: `DPDK 22.11.11`.
    pub fn version() -> &'static str {
        // SAFETY: returns a constant string; has no preconditions.
        let text = unsafe { dpdk_sys::rte_version() };
        // SAFETY: `text` is a zero-terminated string that lives as long as the program.
        let text = unsafe { CStr::from_ptr(text) };
        text.to_str().unwrap_or("DPDK")
    }

    /// How many ports DPDK has attached.
    pub fn port_count(&self) -> u16 {
        // SAFETY: EAL is up, as `self` exists.
        unsafe { dpdk_sys::rte_eth_dev_count_avail() }
    }

    /// Every port DPDK has attached, opened or not.
    pub fn ports(&self) -> Vec<AttachedPort> {
        let count = usize::from(self.port_count());
        let mut ports = Vec::with_capacity(count);
        let mut next = 0;
        while ports.len() < count {
            // SAFETY: EAL is up, as `self` exists; any number may be asked.
            let id = unsafe { dpdk_sys::rte_eth_find_next(next) };
            let Some(name) = port_name(id) else { break };
            ports.push(AttachedPort { id, name, numa_node: numa_node(id) });
            next = id + 1;
        }
        ports
    }

    pub(super) fn running(&self) -> Arc<Running> {
        Arc::clone(&self.running)
    }
}

impl Running {
    /// Notes that port `id` is open; false where it was already.
    pub(super) fn claim(&self, id: u16) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id)
    }

    /// Gives up clean-up at the end, for the sake of a port that cannot be closed.
    pub(super) fn abandon(&self) {
        // Relaxed: read in drop alone, which the last Arc's own Release and Acquire order after this.
        self.abandoned.store(true, Ordering::Relaxed);
    }

    pub(super) fn started_at(&self) -> log::Mark {
        self.started_at
    }

    /// Notes that port `id` is closed.
    pub(super) fn release(&self, id: u16) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if *self.abandoned.get_mut() {
            return;
        }
        // SAFETY: EAL was started, and once only. Ports, queues, bursts and threads hold an Arc of `self`, so none is
        // left. The result tells nothing that could be acted on.
        let _ = unsafe { dpdk_sys::rte_eal_cleanup() };
    }
}

/// Takes away the folder EAL makes for itself below /run; nothing is in it unless the operator's arguments put it there.
fn remove_runtime_folder() {
    // SAFETY: returns a string of EAL's own, empty before it knows one; has no preconditions.
    let folder = unsafe { dpdk_sys::rte_eal_get_runtime_dir() };
    if folder.is_null() {
        return;
    }
    // SAFETY: not null, zero-terminated, and changed by nothing but rte_eal_init, which has returned.
    let folder = unsafe { CStr::from_ptr(folder) };
    // Fails where it is not empty or was never made: both are fine.
    let _ = std::fs::remove_dir(folder.to_string_lossy().as_ref());
}

/// The device name of port `id`; `None` where there is no such port.
fn port_name(id: u16) -> Option<String> {
    let mut name: [c_char; dpdk_sys::RTE_ETH_NAME_MAX_LEN as usize] =
        [0; dpdk_sys::RTE_ETH_NAME_MAX_LEN as usize];
    // SAFETY: `name` has the RTE_ETH_NAME_MAX_LEN bytes the call may write; an unknown id is refused.
    if unsafe { dpdk_sys::rte_eth_dev_get_name_by_port(id, name.as_mut_ptr()) } < 0 {
        return None;
    }
    // SAFETY: the call succeeded and wrote a zero-terminated string into the array.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) };
    Some(name.to_string_lossy().into_owned())
}

/// The NUMA node of port `id`; `None` where it has none, as virtual devices.
pub(super) fn numa_node(id: u16) -> Option<u16> {
    // SAFETY: takes any number; -1 for an unknown port or a port on no node.
    u16::try_from(unsafe { dpdk_sys::rte_eth_dev_socket_id(id) }).ok()
}

fn start(words: &[CString]) -> Result<(), Errno> {
    // EAL keeps pointers into its arguments, and starts once: they stay for the life of the process.
    let mut pointers: Vec<*mut c_char> =
        words.iter().map(|word| word.clone().into_raw()).chain([std::ptr::null_mut()]).collect();
    let count = c_int::try_from(words.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `pointers` holds `count` C strings that are never freed, and a null after them; EAL reorders the array,
    // which is ours and mutable. Called once in the process, as STARTED is swapped before.
    let parsed = unsafe { dpdk_sys::tapspan_eal_init(count, pointers.as_mut_ptr()) };
    if parsed < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// The words EAL is started with, and what they mean for memory.
fn arguments(options: &EalOptions) -> Result<(Vec<CString>, MemoryMode), DpdkError> {
    let extra = split(&options.extra_arguments)?;
    let mut words = vec![
        "tapspan".to_owned(),
        format!("--file-prefix=tapspan-{}", std::process::id()),
        "--no-telemetry".to_owned(),
        format!("--log-level=*:{}", options.log_level as u32),
    ];
    if !names(&extra, &["-l", "-c", "--lcores"]) {
        // Lcore 0 floats over these processors: without the @ EAL would pin this thread, and all it makes, to one.
        words.push(format!("--lcores=0@({})", cpu_list(&options.control_cpus)));
    }
    let mut pci = options.devices.iter().filter(|device| is_for_dpdk(device)).peekable();
    if pci.peek().is_none() && !names(&extra, &["-a", "--allow", "-b", "--block"]) {
        words.push("--no-pci".to_owned());
    }
    for device in pci {
        words.push("-a".to_owned());
        words.push(device.to_string());
    }
    let memory = if names(&extra, &["--no-huge", "-m", "--socket-mem", "--huge-dir", "--legacy-mem"]) {
        MemoryMode::ByArguments
    } else {
        memory_mode(options)
    };
    match memory {
        MemoryMode::HugePages { .. } => words.push("--in-memory".to_owned()),
        // EAL refuses --in-memory on ordinary pages; without shared configuration it leaves no files either.
        MemoryMode::OrdinaryPages { arena_mib, .. } => {
            words.extend(["--no-shconf", "--no-huge", "-m"].map(str::to_owned));
            words.push(arena_mib.to_string());
        }
        MemoryMode::ByArguments => words.push("--no-shconf".to_owned()),
    }
    words.extend(extra);
    let words = words
        .into_iter()
        .map(|word| {
            CString::new(word).map_err(|_| DpdkError::BadArguments {
                arguments: options.extra_arguments.clone(),
                problem: "an argument has no zero byte".to_owned(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((words, memory))
}

/// Whether EAL may look at a PCI device. A card that belongs to the kernel, perhaps the one this machine is reached by,
/// is not shown to DPDK's drivers, some of which would try.
fn is_for_dpdk(device: &DeviceSpec) -> bool {
    device.bus() == Bus::Pci
        && machine::pci_device(device.name()).is_none_or(|card| !matches!(card.binding, Binding::Kernel(_)))
}

fn memory_mode(options: &EalOptions) -> MemoryMode {
    let free_mib = machine::huge_pages().iter().map(machine::HugePagePool::free_mib).sum();
    let enough = free_mib >= u64::from(options.memory_mib.max(1));
    match options.huge_pages {
        HugePages::Require => MemoryMode::HugePages { free_mib },
        HugePages::Auto if enough => MemoryMode::HugePages { free_mib },
        HugePages::Auto | HugePages::Never => {
            MemoryMode::OrdinaryPages { arena_mib: options.memory_mib.max(64), free_mib }
        }
    }
}

/// `cpus` as EAL takes a set of processors; those this process may use where `cpus` is empty.
fn cpu_list(cpus: &[u16]) -> String {
    let mut cpus = if cpus.is_empty() { machine::allowed_cpus() } else { cpus.to_vec() };
    // EAL refuses numbers from RTE_MAX_LCORE on.
    cpus.retain(|cpu| u32::from(*cpu) < dpdk_sys::RTE_MAX_LCORE);
    if cpus.is_empty() {
        cpus.push(0);
    }
    cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Whether one of `options` is among the operator's `words`, as `--key value` or `--key=value`.
fn names(words: &[String], options: &[&str]) -> bool {
    words.iter().any(|word| {
        let key = word.split_once('=').map_or(word.as_str(), |(key, _)| key);
        options.contains(&key)
    })
}

/// Splits as a shell does: blanks separate, quotes of both kinds and a backslash protect.
fn split(text: &str) -> Result<Vec<String>, DpdkError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    let unfinished =
        |problem: &str| DpdkError::BadArguments { arguments: text.to_owned(), problem: problem.to_owned() };
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next =
                    characters.next().ok_or_else(|| unfinished("nothing follows the last backslash"))?;
                word.get_or_insert_default().push(next);
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err(unfinished("a quote is not closed"));
    }
    words.extend(word);
    Ok(words)
}

fn eal_error(errno: Errno, log: Option<String>, memory: &MemoryMode) -> DpdkError {
    let denied = errno == Errno::EACCES || log.as_deref().is_some_and(log::is_denial);
    let advice = match (errno, memory) {
        _ if denied => {
            let advice = "run as root, or give the huge pages and devices to this user".to_owned();
            return DpdkError::NotPermitted { object: "DPDK".to_owned(), log, advice };
        }
        (_, MemoryMode::HugePages { free_mib }) if *free_mib == 0 => {
            "no huge pages are free: reserve some with scripts/hugepages.sh 512"
        }
        (Errno::ENOMEM, _) => "reserve more huge pages with scripts/hugepages.sh 512",
        _ => "look at the EAL arguments, and at `tapspan check`",
    };
    DpdkError::Eal { errno, log, advice: advice.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(options: &EalOptions) -> Vec<String> {
        let (words, _) = arguments(options).unwrap();
        words.iter().map(|word| word.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn no_pci_bus_is_scanned_unless_a_pci_device_is_named() {
        let mut options = EalOptions { huge_pages: HugePages::Never, ..EalOptions::default() };
        options.devices = vec!["net_null0".parse().unwrap()];
        assert!(words(&options).contains(&"--no-pci".to_owned()));
        options.devices.push("01:00.0,x=1".parse().unwrap());
        let words = words(&options);
        assert!(!words.contains(&"--no-pci".to_owned()));
        assert!(words.windows(2).any(|pair| pair == ["-a", "0000:01:00.0,x=1"]));
    }

    #[test]
    fn the_operators_arguments_come_last_and_replace_ours() {
        let options = EalOptions {
            extra_arguments: "-l 1 --no-huge -m 99".to_owned(),
            control_cpus: vec![0],
            ..EalOptions::default()
        };
        let words = words(&options);
        assert!(words.ends_with(&["-l", "1", "--no-huge", "-m", "99"].map(str::to_owned)));
        assert!(!words.iter().any(|word| word.starts_with("--lcores")));
        assert_eq!(words.iter().filter(|word| *word == "--no-huge").count(), 1);
    }

    #[test]
    fn arguments_are_split_as_a_shell_does() {
        assert_eq!(split(r#" a "b c"  'd "e' f\ g "" "#).unwrap(), ["a", "b c", "d \"e", "f g", ""]);
        assert!(split("'open").is_err());
        assert!(split("end\\").is_err());
    }

    #[test]
    fn the_main_lcore_floats_over_the_control_cpus() {
        assert_eq!(cpu_list(&[0, 3, 4000]), "0,3");
        assert!(!cpu_list(&[]).is_empty());
    }
}
