//! Why a device said no, and what to do: from errno, the driver's log, and the state of the machine.

use super::device::{Bus, DeviceSpec};
use super::error::{DpdkError, Errno};
use super::log::{self, Mark};
use super::machine::{self, Binding};

/// The virtual devices the program is made for.
const DRIVERS: &str = "net_af_xdp, net_af_packet, net_pcap, net_tap, net_ring, net_null";

/// Why `device` refused `operation`, as far as errno, log and machine tell.
pub(super) fn refusal(device: &DeviceSpec, operation: &'static str, errno: Errno, before: Mark) -> DpdkError {
    let log = log::cause_since(before);
    let name = device.to_string();
    let denied = errno == Errno::EACCES || log.as_deref().is_some_and(log::is_denial);
    if let Some(advice) = missing_right(device).or_else(|| denied.then(|| "run as root".to_owned())) {
        return DpdkError::NotPermitted { object: format!("device {name}"), log, advice };
    }
    if !DRIVERS.split(", ").any(|driver| device.name().starts_with(driver)) && device.bus() == Bus::Virtual {
        let advice = format!("write a PCI address (0000:01:00.0) or one of {DRIVERS} with a number");
        return DpdkError::UnknownDevice { device: name, log, advice };
    }
    match errno {
        Errno::EBUSY | Errno::EEXIST => {
            let advice = "stop what holds it, or choose another queue or device".to_owned();
            DpdkError::DeviceBusy { device: name, log, advice }
        }
        _ => DpdkError::Device { device: name, operation, errno, log, advice: advice_for(device) },
    }
}

/// What to look at first when a device of this kind says no.
fn advice_for(device: &DeviceSpec) -> String {
    let name = device.name();
    let advice = if name.starts_with("net_pcap") {
        "write rx_pcap=FILE (must be readable and not empty) or rx_iface=INTERFACE"
    } else if name.starts_with("net_af_packet") {
        "write iface=INTERFACE,qpairs=QUEUES"
    } else if name.starts_with("net_af_xdp") {
        "write iface=INTERFACE,start_queue=0,queue_count=QUEUES; the interface must be able to do XDP, have these queues, \
         and no other program hold them; net_af_packet works on any"
    } else {
        ""
    };
    advice.to_owned()
}

/// The right a virtual device needs and this process lacks.
fn missing_right(device: &DeviceSpec) -> Option<String> {
    let rights = machine::rights();
    let name = device.name();
    let missing = if name.starts_with("net_af_packet") && !rights.net_raw() {
        "CAP_NET_RAW"
    } else if name.starts_with("net_af_xdp") && !(rights.net_admin() && rights.net_raw() && rights.bpf()) {
        "CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF"
    } else if name.starts_with("net_tap") && !rights.net_admin() {
        "CAP_NET_ADMIN"
    } else if name.starts_with("net_pcap") && device.argument("rx_iface").is_some() && !rights.net_raw() {
        "CAP_NET_RAW"
    } else {
        return None;
    };
    Some(format!("run as root, or grant {missing}"))
}

/// Why a PCI device that was allowed at start is no port.
pub(super) fn pci_problem(device: &DeviceSpec, log: Option<String>) -> DpdkError {
    let name = device.to_string();
    let address = device.name();
    let Some(card) = machine::pci_device(address) else {
        let cards: Vec<String> =
            machine::pci_network_devices().into_iter().map(|card| card.address).collect();
        let advice = if cards.is_empty() {
            "this machine has no network cards on the PCI bus: use net_af_packet0,iface=INTERFACE".to_owned()
        } else {
            format!("network cards here: {}", cards.join(" "))
        };
        return DpdkError::UnknownDevice { device: name, log, advice };
    };
    let advice = match card.binding {
        Binding::Kernel(driver) => {
            format!("it belongs to the kernel's driver {driver}: `scripts/bind-nic.sh {address} vfio-pci`")
        }
        Binding::Unbound => format!("no driver holds it: `scripts/bind-nic.sh {address} vfio-pci`"),
        Binding::Dpdk(driver) => {
            format!(
                "{driver} holds it: another process may use it, or this DPDK has no driver for {:04x}:{:04x}",
                card.vendor, card.device
            )
        }
        Binding::Shared(driver) => format!("{driver} holds it: install DPDK's driver and rdma-core for it"),
    };
    DpdkError::UnknownDevice { device: name, log, advice }
}
