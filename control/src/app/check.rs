//! `tapspan check`: the settings, the machine and the destinations, and what to do about each finding.

use std::fmt;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use dataplane::wire::LinkType;

use super::{AppError, intake, spans};
use crate::cli::RunArgs;
use crate::config::Settings;
use crate::export;

/// Longest wait for a collector to take a connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
/// Clock sources the vDSO reads without a system call.
const FAST_CLOCKS: [&str; 3] = ["tsc", "kvm-clock", "arch_sys_counter"];

/// How a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As it should be.
    Good,
    /// Works, but not as well as it could.
    Note,
    /// Will not work.
    Bad,
}

/// One thing looked at.
struct Finding {
    verdict: Verdict,
    what: &'static str,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Good => "ok  ",
            Verdict::Note => "note",
            Verdict::Bad => "BAD ",
        };
        write!(f, "{mark}  {:<14} {}", self.what, self.text)
    }
}

fn finding(verdict: Verdict, what: &'static str, text: impl Into<String>) -> Finding {
    Finding { verdict, what, text: text.into() }
}

/// Prints every finding. The exit code is 1 where something will not work.
pub(super) fn run(args: &RunArgs) -> Result<ExitCode, AppError> {
    let settings = super::load(args.shared.config.as_deref(), &args.overrides())?.settings;
    intake::options(&settings, &[LinkType::Ethernet])?;
    let mut findings = vec![finding(Verdict::Good, "settings", "can all be used")];
    findings.push(clock());
    findings.push(tables(&settings));
    findings.extend(destinations(&settings)?);
    #[cfg(feature = "dpdk")]
    findings.extend(machine::findings(&settings)?);
    for finding in &findings {
        println!("{finding}");
    }
    let bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count();
    let notes = findings.iter().filter(|finding| finding.verdict == Verdict::Note).count();
    println!("{bad} in the way, {notes} to look at");
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn clock() -> Finding {
    let source = fs::read_to_string(CLOCKSOURCE).unwrap_or_default();
    let source = source.trim();
    if FAST_CLOCKS.contains(&source) {
        finding(Verdict::Good, "clock", format!("{source}, read without a system call"))
    } else if source.is_empty() {
        finding(
            Verdict::Note,
            "clock",
            format!("{CLOCKSOURCE} cannot be read; time may cost a system call a burst"),
        )
    } else {
        let advice = "boot with clocksource=tsc if the processor's TSC is invariant";
        finding(Verdict::Note, "clock", format!("{source} costs a system call a burst; {advice}"))
    }
}

fn tables(settings: &Settings) -> Finding {
    const BYTES_PER_FLOW: u64 = flowtable::BYTES_PER_FLOW as u64;
    const BYTES_PER_DETAILS: u64 = flowtable::BYTES_PER_DETAILS as u64;
    let workers = match &settings.worker.lcores {
        crate::config::Lcores::Auto => 1,
        crate::config::Lcores::List(cores) => cores.len() as u64,
    };
    let flows = u64::from(settings.flow.capacity) * BYTES_PER_FLOW;
    let bytes = (flows + u64::from(settings.flow.details()) * BYTES_PER_DETAILS) * workers;
    let text = format!(
        "{workers} x {} flows take {} MiB of memory",
        settings.flow.capacity,
        bytes.div_ceil(1 << 20)
    );
    match available_bytes() {
        Some(available) if bytes > available => finding(
            Verdict::Bad,
            "flow tables",
            format!("{text}, {} MiB are available; lower flow.capacity", available >> 20),
        ),
        _ => finding(Verdict::Good, "flow tables", text),
    }
}

/// `MemAvailable` of `/proc/meminfo`.
fn available_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

fn destinations(settings: &Settings) -> Result<Vec<Finding>, AppError> {
    let destinations = spans::destinations(&settings.export, super::DEFAULT_EXPORT)?;
    let look = |settings: &export::ExportSettings| {
        let name = settings.endpoint.to_string();
        match export::probe(&settings.endpoint, PROBE_TIMEOUT) {
            Ok(()) => finding(Verdict::Good, "export", format!("{name} can be reached")),
            Err(why) => finding(
                Verdict::Note,
                "export",
                format!("{name}: {why}; spans wait and are retried until it runs"),
            ),
        }
    };
    Ok(destinations.iter().map(look).collect())
}

/// Huge pages, drivers, nodes and RSS: what only DPDK can tell.
#[cfg(feature = "dpdk")]
mod machine {
    use dataplane::dpdk::machine::{self, Binding};
    use dataplane::dpdk::{Bus, DeviceSpec, Port, RssState};

    use super::{Finding, Verdict, finding};
    use crate::app::cores::{self, Cores};
    use crate::app::{AppError, live};
    use crate::config::Settings;

    pub(super) fn findings(settings: &Settings) -> Result<Vec<Finding>, AppError> {
        let mut findings = vec![huge_pages()];
        let cores = Cores::choose(&settings.worker.lcores, &machine::allowed_cpus())?;
        findings.push(core_finding(&cores));
        if settings.port.is_empty() {
            findings.push(finding(Verdict::Note, "ports", "none named; give one with --port"));
            findings.extend(candidates());
            return Ok(findings);
        }
        let devices = live::devices(settings)?;
        findings.extend(devices.iter().filter_map(binding));
        match live::start_eal(settings, &cores) {
            Ok(eal) => {
                for (config, device) in settings.port.iter().zip(&devices) {
                    let port = Port::open(&eal, device, &live::port_config(config, &cores));
                    findings.extend(port_findings(&config.name, port, &cores));
                }
            }
            Err(error) => findings.push(finding(Verdict::Bad, "DPDK", error.to_string())),
        }
        Ok(findings)
    }

    fn huge_pages() -> Finding {
        let pools = machine::huge_pages();
        let free: u64 = pools.iter().map(machine::HugePagePool::free_mib).sum();
        if free > 0 {
            return finding(Verdict::Good, "huge pages", format!("{free} MiB free"));
        }
        finding(
            Verdict::Note,
            "huge pages",
            "none free: PCI ports need them, virtual ones are slower without; reserve some with scripts/hugepages.sh 512",
        )
    }

    fn core_finding(cores: &Cores) -> Finding {
        let text = format!("workers on {:?}, everything else on {:?}", cores.workers, cores.control);
        if cores.are_shared() {
            let advice = "leave one core to sweep and export with --lcores";
            return finding(Verdict::Note, "cores", format!("{text}: shared; {advice}"));
        }
        finding(Verdict::Good, "cores", text)
    }

    /// Network cards that could be named.
    fn candidates() -> Vec<Finding> {
        let describe = |card: machine::PciNetworkDevice| {
            let interfaces = card.interfaces.join(", ");
            let text = match card.binding {
                Binding::Dpdk(driver) => {
                    format!("{} is bound to {driver}, ready for --port {0}", card.address)
                }
                Binding::Shared(driver) => {
                    format!("{} works with its kernel driver {driver}: --port {0}", card.address)
                }
                Binding::Kernel(driver) => format!(
                    "{} ({interfaces}) belongs to the kernel's {driver}: give it to DPDK with scripts/bind-nic.sh {0} \
                     vfio-pci, or use --port net_af_packet0,iface=NAME",
                    card.address
                ),
                Binding::Unbound => {
                    format!("{} has no driver: scripts/bind-nic.sh {0} vfio-pci", card.address)
                }
            };
            finding(Verdict::Note, "network card", text)
        };
        machine::pci_network_devices().into_iter().map(describe).collect()
    }

    fn binding(device: &DeviceSpec) -> Option<Finding> {
        if device.bus() != Bus::Pci {
            return None;
        }
        let Some(card) = machine::pci_device(device.name()) else {
            let text = format!("{device}: there is no such card; `tapspan check` without ports lists them");
            return Some(finding(Verdict::Bad, "driver", text));
        };
        Some(match card.binding {
            Binding::Dpdk(driver) if driver == "vfio-pci" && !card.iommu => finding(
                Verdict::Note,
                "driver",
                format!("{device}: vfio-pci without an IOMMU; boot with intel_iommu=on or amd_iommu=on"),
            ),
            Binding::Dpdk(driver) | Binding::Shared(driver) => {
                finding(Verdict::Good, "driver", format!("{device}: {driver}"))
            }
            Binding::Kernel(driver) => finding(
                Verdict::Bad,
                "driver",
                format!("{device}: belongs to the kernel's {driver}; scripts/bind-nic.sh {device} vfio-pci"),
            ),
            Binding::Unbound => finding(
                Verdict::Bad,
                "driver",
                format!("{device}: none; scripts/bind-nic.sh {device} vfio-pci"),
            ),
        })
    }

    fn port_findings(
        name: &str,
        port: Result<Port, dataplane::dpdk::DpdkError>,
        cores: &Cores,
    ) -> Vec<Finding> {
        let port = match port {
            Ok(port) => port,
            Err(error) => return vec![finding(Verdict::Bad, "port", error.to_string())],
        };
        let info = port.info();
        let mut findings = vec![finding(Verdict::Good, "port", format!("{name}: {} opens", info.device))];
        findings
            .extend(info.notes.iter().map(|note| finding(Verdict::Note, "port", format!("{name}: {note}"))));
        let rss = match &info.rss {
            RssState::Asymmetric(_) => Verdict::Note,
            RssState::SingleQueue | RssState::Symmetric(_) => Verdict::Good,
        };
        findings.push(finding(rss, "RSS", format!("{name}: {}", info.rss)));
        for core in &cores.workers {
            let far = info.numa_node.zip(cores::numa_node(*core)).filter(|(near, node)| near != node);
            if let Some((near, node)) = far {
                let text = format!(
                    "{name} is on node {near}, core {core} on node {node}; choose near cores with --lcores"
                );
                findings.push(finding(Verdict::Note, "NUMA", text));
            }
        }
        if port.link().is_some_and(|link| !link.up) {
            findings.push(finding(
                Verdict::Note,
                "link",
                format!("{name}: down; look at the cable and the TAP"),
            ));
        }
        findings
    }
}
