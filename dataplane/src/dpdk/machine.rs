//! What the machine has for a probe: huge pages, network cards and their drivers, processors, rights.
//!
//! Reads /sys and /proc alone; touches neither DPDK nor any setting.

use std::fs;
use std::path::Path;

/// The huge pages of one size on one NUMA node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HugePagePool {
    /// NUMA node.
    pub node: u16,
    /// Size of a page in KiB.
    pub page_kib: u64,
    /// Pages reserved.
    pub total: u64,
    /// Pages nobody uses.
    pub free: u64,
}

impl HugePagePool {
    /// Free memory in MiB.
    pub fn free_mib(&self) -> u64 {
        self.free.saturating_mul(self.page_kib) / 1024
    }
}

/// Who drives a network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A driver that hands the card to DPDK: `vfio-pci`, `uio_pci_generic`, `igb_uio`.
    Dpdk(String),
    /// A kernel driver that DPDK shares the card with: NVIDIA's and Microsoft's.
    Shared(String),
    /// A kernel driver that must let go first.
    Kernel(String),
    /// Nobody.
    Unbound,
}

impl Binding {
    fn of(driver: Option<String>) -> Binding {
        match driver {
            None => Binding::Unbound,
            Some(driver) => match driver.as_str() {
                "vfio-pci" | "uio_pci_generic" | "igb_uio" => Binding::Dpdk(driver),
                "mlx5_core" | "mlx4_core" | "mana" => Binding::Shared(driver),
                _ => Binding::Kernel(driver),
            },
        }
    }
}

/// A network card as the PCI bus knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciNetworkDevice {
    /// `dddd:bb:dd.f`.
    pub address: String,
    /// PCI vendor id.
    pub vendor: u16,
    /// PCI device id.
    pub device: u16,
    /// Who drives it.
    pub binding: Binding,
    /// NUMA node; `None` where the machine has none for it.
    pub numa_node: Option<u16>,
    /// Whether an IOMMU stands before it, which vfio-pci needs (or its no-IOMMU mode).
    pub iommu: bool,
    /// The kernel's interfaces on it.
    pub interfaces: Vec<String>,
}

/// Rights of this process, by Linux capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    effective: u64,
}

impl Rights {
    /// Packet sockets: `net_af_packet`, `net_pcap` on an interface.
    pub fn net_raw(self) -> bool {
        self.has(13)
    }

    /// Interfaces and XDP programs: `net_tap`, `net_af_xdp`.
    pub fn net_admin(self) -> bool {
        self.has(12)
    }

    /// Loading BPF programs; CAP_SYS_ADMIN stands for it as well.
    pub fn bpf(self) -> bool {
        self.has(39) || self.has(21)
    }

    /// Locking memory beyond the limit of the user.
    pub fn ipc_lock(self) -> bool {
        self.has(14)
    }

    fn has(self, bit: u32) -> bool {
        self.effective & (1 << bit) != 0
    }
}

/// Huge pages by node and size; empty where the kernel has none. Sizes without a reserved page are left out.
pub fn huge_pages() -> Vec<HugePagePool> {
    let mut pools: Vec<HugePagePool> = nodes(Path::new("/sys/devices/system/node"));
    if pools.is_empty() {
        pools = sizes(Path::new("/sys/kernel/mm/hugepages"), 0);
    }
    pools
}

fn nodes(root: &Path) -> Vec<HugePagePool> {
    let mut pools = Vec::new();
    for name in entries(root) {
        if let Some(node) = name.strip_prefix("node").and_then(|number| number.parse().ok()) {
            pools.extend(sizes(&root.join(&name).join("hugepages"), node));
        }
    }
    pools
}

fn sizes(root: &Path, node: u16) -> Vec<HugePagePool> {
    let mut pools = Vec::new();
    for name in entries(root) {
        let size = name.strip_prefix("hugepages-").and_then(|size| size.strip_suffix("kB"));
        let Some(page_kib) = size.and_then(|size| size.parse().ok()) else { continue };
        let total = number(&root.join(&name).join("nr_hugepages")).unwrap_or(0);
        let free = number(&root.join(&name).join("free_hugepages")).unwrap_or(0);
        if total > 0 {
            pools.push(HugePagePool { node, page_kib, total, free });
        }
    }
    pools
}

/// Every network card on the PCI bus, by address.
pub fn pci_network_devices() -> Vec<PciNetworkDevice> {
    pci_network_devices_at(Path::new("/sys/bus/pci/devices"))
}

/// The card at `address` (`dddd:bb:dd.f`), whatever its class; `None` where the slot is empty.
pub fn pci_device(address: &str) -> Option<PciNetworkDevice> {
    pci_device_at(Path::new("/sys/bus/pci/devices"), address)
}

fn pci_network_devices_at(root: &Path) -> Vec<PciNetworkDevice> {
    entries(root)
        .iter()
        .filter(|address| {
            text(&root.join(address).join("class")).is_some_and(|class| class.starts_with("0x02"))
        })
        .filter_map(|address| pci_device_at(root, address))
        .collect()
}

fn pci_device_at(root: &Path, address: &str) -> Option<PciNetworkDevice> {
    let folder = root.join(address);
    if !folder.is_dir() {
        return None;
    }
    let id = |name: &str| {
        let text = text(&folder.join(name))?;
        u16::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    let driver = fs::read_link(folder.join("driver")).ok();
    let driver = driver.and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()));
    let mut interfaces = entries(&folder.join("net"));
    // A virtio card keeps its interface one folder deeper.
    for child in entries(&folder).iter().filter(|name| name.starts_with("virtio")) {
        interfaces.extend(entries(&folder.join(child).join("net")));
    }
    Some(PciNetworkDevice {
        address: address.to_owned(),
        vendor: id("vendor").unwrap_or(0),
        device: id("device").unwrap_or(0),
        binding: Binding::of(driver),
        numa_node: text(&folder.join("numa_node")).and_then(|node| node.parse().ok()),
        iommu: folder.join("iommu_group").exists(),
        interfaces,
    })
}

/// Processors this process may run on.
pub fn allowed_cpus() -> Vec<u16> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse_cpu_list(field(&status, "Cpus_allowed_list:").unwrap_or("0"))
}

/// What this process may do.
pub fn rights() -> Rights {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = field(&status, "CapEff:").and_then(|text| u64::from_str_radix(text, 16).ok());
    Rights { effective: effective.unwrap_or(0) }
}

/// Whether the kernel has an interface of this name.
pub fn interface_exists(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && Path::new("/sys/class/net").join(name).exists()
}

/// Whether interface `name` is promiscuous; false where there is none.
pub fn interface_is_promiscuous(name: &str) -> bool {
    const IFF_PROMISC: u64 = 0x100;
    let flags = text(&Path::new("/sys/class/net").join(name).join("flags"));
    let flags = flags.and_then(|flags| u64::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
    flags.is_some_and(|flags| flags & IFF_PROMISC != 0)
}

/// The MTU of interface `name` in bytes; `None` where there is none.
pub fn interface_mtu(name: &str) -> Option<u32> {
    text(&Path::new("/sys/class/net").join(name).join("mtu"))?.parse().ok()
}

/// How many receive queues interface `name` has; 0 where there is none.
pub fn interface_rx_queues(name: &str) -> usize {
    let queues = entries(&Path::new("/sys/class/net").join(name).join("queues"));
    queues.iter().filter(|queue| queue.starts_with("rx-")).count()
}

fn parse_cpu_list(list: &str) -> Vec<u16> {
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            cpus.extend(first..=last);
        }
    }
    cpus
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn number(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// Names in a folder, sorted; empty where it cannot be read.
fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_read_as_the_kernel_writes_them() {
        assert_eq!(parse_cpu_list("0-2,5,7-8"), [0, 1, 2, 5, 7, 8]);
        assert!(!allowed_cpus().is_empty());
    }

    #[test]
    fn huge_pages_are_counted_by_node_and_size() {
        let root = tempfile::tempdir().unwrap();
        let pool = root.path().join("node1/hugepages/hugepages-2048kB");
        fs::create_dir_all(&pool).unwrap();
        fs::write(pool.join("nr_hugepages"), "512\n").unwrap();
        fs::write(pool.join("free_hugepages"), "500\n").unwrap();
        let pools = nodes(root.path());
        assert_eq!(pools, [HugePagePool { node: 1, page_kib: 2048, total: 512, free: 500 }]);
        assert_eq!(pools[0].free_mib(), 1000);
    }

    #[test]
    fn only_network_cards_are_listed_with_their_driver() {
        let root = tempfile::tempdir().unwrap();
        for (address, class) in [("0000:01:00.0", "0x020000"), ("0000:02:00.0", "0x010802")] {
            let folder = root.path().join(address);
            fs::create_dir_all(folder.join("net/eth7")).unwrap();
            fs::write(folder.join("class"), class).unwrap();
            fs::write(folder.join("vendor"), "0x8086\n").unwrap();
            fs::write(folder.join("numa_node"), "-1\n").unwrap();
            std::os::unix::fs::symlink("/sys/bus/pci/drivers/ixgbe", folder.join("driver")).unwrap();
        }
        let cards = pci_network_devices_at(root.path());
        assert_eq!(cards.len(), 1);
        assert_eq!(cards[0].binding, Binding::Kernel("ixgbe".to_owned()));
        assert_eq!((cards[0].vendor, cards[0].numa_node), (0x8086, None));
        assert_eq!(cards[0].interfaces, ["eth7"]);
    }
}
