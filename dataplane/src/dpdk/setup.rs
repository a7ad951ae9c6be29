//! From a device's name to a started port: attach, configure, queues, start.

use std::ffi::{CStr, CString};

use super::device::{Bus, DeviceSpec};
use super::eal::{Eal, numa_node};
use super::error::{DpdkError, Errno};
use super::kernel;
use super::log;
use super::machine;
use super::pool::{self, Pool};
use super::port::{ClaimedPort, PortConfig, PortInfo, Promiscuous, must_leave_promiscuous};
use super::refusal::{pci_problem, refusal};
use super::rss::{self, RssRequest, RssState};
use super::rx::MAX_BURST_U16;

/// Data room of a buffer that takes an ordinary frame, in bytes without headroom.
const ORDINARY_ROOM: u32 = dpdk_sys::RTE_MBUF_DEFAULT_DATAROOM;
/// Longest IP packet asked of a network card that is not told otherwise.
const JUMBO_MTU: u16 = 9600;
/// The MTU of Ethernet, RFC 894.
const ETHERNET_MTU: u16 = 1500;
/// Ethernet header, two VLAN tags and the frame check sequence.
const FRAME_OVERHEAD: u32 = 14 + 8 + 4;
/// Packets the rings of an AF_XDP socket hold beyond the receive ring: fill and completion.
const AF_XDP_RINGS: u32 = 2 * 2048;
/// Smallest pool: room for a few bursts beside a thread's cache.
const BUFFERS_MIN: u32 = 1024;
/// `SOCKET_ID_ANY`: no NUMA node.
const ANY_NODE: u32 = u32::MAX;
/// Descriptors of a transmit queue.
const TX_DESCRIPTORS: u16 = 512;

/// Finds the port of `device`, makes a virtual one, and claims it.
pub(super) fn attach(eal: &Eal, device: &DeviceSpec) -> Result<ClaimedPort, DpdkError> {
    let running = eal.running();
    let found = match (port_by_name(device.name()), device.bus()) {
        (Some(id), _) => id,
        (None, Bus::Pci) => return Err(pci_problem(device, log::cause_since(running.started_at()))),
        (None, Bus::Virtual) => probe(device)?,
    };
    if !running.claim(found) {
        return Err(DpdkError::DeviceBusy {
            device: device.to_string(),
            log: None,
            advice: "it is named twice".to_owned(),
        });
    }
    Ok(ClaimedPort {
        id: found,
        started: false,
        unclosable: false,
        leave_promiscuous: false,
        pool: None,
        running,
    })
}

fn port_by_name(name: &str) -> Option<u16> {
    let name = CString::new(name).ok()?;
    let mut id = 0;
    // SAFETY: EAL is up, as callers hold it; `name` and `id` outlive the call.
    let status = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) };
    Errno::check(status).ok().map(|()| id)
}

/// Makes a virtual device.
fn probe(device: &DeviceSpec) -> Result<u16, DpdkError> {
    if let Some(interface) = device.kernel_interface().filter(|name| !machine::interface_exists(name)) {
        return Err(DpdkError::UnknownDevice {
            device: device.to_string(),
            log: None,
            advice: format!("there is no interface {interface:?} here; `ip link` lists them"),
        });
    }
    if machine::interface_exists(device.name()) {
        let name = device.name();
        return Err(DpdkError::UnknownDevice {
            device: device.to_string(),
            log: None,
            advice: format!("it is an interface of the kernel: write net_af_packet0,iface={name}"),
        });
    }
    log::capture_bpf();
    let text = CString::new(kernel::with_ring(device).to_string()).expect("a DeviceSpec holds no zero byte");
    let before = log::mark();
    // SAFETY: EAL is up; `text` is a C string that outlives the call, which copies it.
    let status = unsafe { dpdk_sys::rte_dev_probe(text.as_ptr()) };
    Errno::check(status).map_err(|errno| refusal(device, "not made", errno, before))?;
    port_by_name(device.name())
        .ok_or_else(|| refusal(device, "made, but it is no port", Errno::ENODEV, before))
}

/// Configures the port with its queues, starts it, and reads back what it became.
pub(super) fn start(
    claimed: &mut ClaimedPort,
    device: &DeviceSpec,
    config: &PortConfig,
) -> Result<PortInfo, DpdkError> {
    let before = log::mark();
    let refused = |operation: &'static str| move |errno: Errno| refusal(device, operation, errno, before);
    let id = claimed.id;
    let info = device_info(id).map_err(refused("its description cannot be read"))?;
    let driver = driver_name(&info);
    let rx_queues = config.rx_queues.clamp(1, info.max_rx_queues.max(1));
    let config = &PortConfig { rx_queues, ..*config };

    let frames = FrameSizes::choose(device, config, &info);
    let Configured { tx_queues, rss } =
        configure(id, config, &info, frames, device.bus()).map_err(refused("configuration"))?;
    let (rx_descriptors, tx_descriptors) =
        adjust_descriptors(id, config.rx_descriptors).map_err(refused("descriptors"))?;
    let queues = Queues { rx: rx_queues, rx_descriptors, tx: tx_queues, tx_descriptors };
    let mbufs = config.mbufs.unwrap_or_else(|| queues.buffers_wanted(&driver));
    let numa_node = numa_node(id);
    let pool = Pool::new(&device.to_string(), id, mbufs, frames.room, numa_node)?;
    let pool = claimed.pool.insert(pool);
    queues.set_up(id, numa_node, pool).map_err(|errno| {
        // The driver frees its memory area when a socket fails, and once more when the port is closed.
        claimed.unclosable = driver == "net_af_xdp";
        refused("queues")(errno)
    })?;
    // SAFETY: the port is configured and all its queues are set up.
    Errno::check(unsafe { dpdk_sys::rte_eth_dev_start(id) }).map_err(refused("start"))?;
    claimed.started = true;

    let promiscuous = if config.promiscuous { enter_promiscuous(claimed, device) } else { Promiscuous::Off };
    let rss = if rx_queues == 1 { RssState::SingleQueue } else { rss::settle(id, &driver, rss) };
    Ok(PortInfo {
        id,
        device: device.clone(),
        driver,
        numa_node,
        mac: mac(id),
        mtu: kernel::mtu(device).or_else(|| mtu(id)).unwrap_or(ETHERNET_MTU),
        rx_queues,
        rx_queues_max: info.max_rx_queues,
        rx_descriptors,
        segment_bytes: frames.room,
        mbufs,
        rss,
        promiscuous,
        kernel_interface_index: (info.if_index != 0).then_some(info.if_index),
        notes: kernel::notes(device, rx_queues),
    })
}

/// How long frames may be, and how they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrameSizes {
    /// 0 leaves it to the device.
    mtu: u16,
    /// Data room of a buffer in bytes, without headroom.
    room: u16,
    /// Whether a long frame is spread over several buffers.
    scatter: bool,
}

impl FrameSizes {
    fn choose(device: &DeviceSpec, config: &PortConfig, info: &dpdk_sys::rte_eth_dev_info) -> FrameSizes {
        let device_max = if info.max_mtu == 0 { ETHERNET_MTU } else { info.max_mtu };
        let mtu = match (config.mtu, device.bus()) {
            (Some(mtu), _) => mtu,
            (None, Bus::Pci) => device_max.min(JUMBO_MTU),
            (None, Bus::Virtual) => 0,
        };
        let can_scatter = info.rx_offload_capa & dpdk_sys::TAPSPAN_RX_OFFLOAD_SCATTER != 0;
        FrameSizes::fit(mtu, can_scatter, kernel::room_wanted(&kernel::with_ring(device)))
    }

    fn fit(mtu: u16, can_scatter: bool, room_wanted: u32) -> FrameSizes {
        let longest = u32::from(mtu) + FRAME_OVERHEAD;
        let scatter = longest > ORDINARY_ROOM && can_scatter;
        let room = if scatter { ORDINARY_ROOM } else { longest.max(ORDINARY_ROOM) };
        let room = room.max(room_wanted).next_multiple_of(64);
        // DPDK keeps the data room with its headroom in 16 bits.
        let most = u32::from(u16::MAX) - dpdk_sys::RTE_PKTMBUF_HEADROOM;
        FrameSizes { mtu, room: u16::try_from(room.min(most)).unwrap_or(u16::MAX), scatter }
    }
}

/// What a device was brought to accept.
struct Configured {
    tx_queues: u16,
    /// The request for symmetric RSS, where it took it.
    rss: Option<RssRequest>,
}

/// Configures the port. Some devices insist on as many transmit as receive queues, some refuse RSS settings.
fn configure(
    id: u16,
    config: &PortConfig,
    info: &dpdk_sys::rte_eth_dev_info,
    frames: FrameSizes,
    bus: Bus,
) -> Result<Configured, Errno> {
    let rx_queues = config.rx_queues;
    let paired = rx_queues.max(config.tx_queues).min(info.max_tx_queues);
    // Virtual devices are the ones that insist; a card would spend memory on queues nobody uses.
    let tries = match bus {
        Bus::Virtual => [paired, config.tx_queues],
        Bus::Pci => [config.tx_queues, paired],
    };
    let mut request = RssRequest::new(info, rx_queues);
    let mut last = Errno::EINVAL;
    for rss in [true, false] {
        for tx_queues in tries {
            let mut conf = dpdk_sys::rte_eth_conf::default();
            conf.rxmode.mtu = u32::from(frames.mtu);
            if frames.scatter {
                conf.rxmode.offloads |= dpdk_sys::TAPSPAN_RX_OFFLOAD_SCATTER;
            }
            conf.txmode.offloads = info.tx_offload_capa & dpdk_sys::TAPSPAN_TX_OFFLOAD_MULTI_SEGS;
            if let Some(request) = request.as_mut().filter(|_| rss) {
                conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
                request.fill(&mut conf.rx_adv_conf.rss_conf);
            }
            // SAFETY: EAL is up, the port is claimed and stopped; `conf` and the key it may point to outlive the call,
            // which copies both.
            let status =
                unsafe { dpdk_sys::rte_eth_dev_configure(id, rx_queues, tx_queues, &raw const conf) };
            match Errno::check(status) {
                Ok(()) => return Ok(Configured { tx_queues, rss: request.filter(|_| rss) }),
                Err(errno) => last = errno,
            }
        }
    }
    Err(last)
}

/// The descriptors the device allows for a receive and a transmit queue, near to what is wanted.
fn adjust_descriptors(id: u16, wanted: u16) -> Result<(u16, u16), Errno> {
    let (mut rx, mut tx) = (wanted.max(64), TX_DESCRIPTORS);
    // SAFETY: the port is claimed; both numbers outlive the call.
    let status = unsafe { dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(id, &raw mut rx, &raw mut tx) };
    Errno::check(status).map(|()| (rx, tx))
}

/// The queues of a port, with the descriptors of each.
#[derive(Clone, Copy, Debug)]
struct Queues {
    rx: u16,
    rx_descriptors: u16,
    tx: u16,
    tx_descriptors: u16,
}

impl Queues {
    /// Buffers that queues, bursts and the caches of their threads can hold at once.
    fn buffers_wanted(self, driver: &str) -> u32 {
        let waiting = match driver {
            "net_af_xdp" => u32::from(self.rx_descriptors) + AF_XDP_RINGS,
            // Packets wait in the kernel's ring and are copied when received.
            "net_af_packet" => 0,
            _ => u32::from(self.rx_descriptors),
        };
        // A cache is flushed when it holds half as much again as its size.
        let each_rx = waiting + 2 * u32::from(MAX_BURST_U16) + pool::CACHE * 3 / 2;
        let wanted = u32::from(self.rx) * each_rx + u32::from(self.tx) * u32::from(self.tx_descriptors);
        // A mempool is smallest with a power of two less one.
        wanted.next_power_of_two().max(BUFFERS_MIN) - 1
    }

    /// Sets up all queues of configured port `id` on NUMA node `node`, receiving into `pool`.
    fn set_up(self, id: u16, node: Option<u16>, pool: &Pool) -> Result<(), Errno> {
        let socket = node.map_or(ANY_NODE, u32::from);
        for queue in 0..self.rx {
            // SAFETY: the port is configured with this queue and stopped; a null configuration asks for the defaults;
            // the pool outlives the port, as both are owned by the same ClaimedPort, which closes the port first.
            Errno::check(unsafe {
                dpdk_sys::rte_eth_rx_queue_setup(
                    id,
                    queue,
                    self.rx_descriptors,
                    socket,
                    std::ptr::null(),
                    pool.as_ptr(),
                )
            })?;
        }
        for queue in 0..self.tx {
            // SAFETY: the port is configured with this queue and stopped; null asks for the defaults.
            Errno::check(unsafe {
                dpdk_sys::rte_eth_tx_queue_setup(id, queue, self.tx_descriptors, socket, std::ptr::null())
            })?;
        }
        Ok(())
    }
}

fn enter_promiscuous(claimed: &mut ClaimedPort, device: &DeviceSpec) -> Promiscuous {
    let leave = must_leave_promiscuous(device);
    // SAFETY: the port is claimed and started.
    match Errno::check(unsafe { dpdk_sys::rte_eth_promiscuous_enable(claimed.id) }) {
        Ok(()) => {
            claimed.leave_promiscuous = leave;
            Promiscuous::On
        }
        Err(errno) => Promiscuous::Unsupported(errno),
    }
}

fn device_info(id: u16) -> Result<dpdk_sys::rte_eth_dev_info, Errno> {
    let mut info = dpdk_sys::rte_eth_dev_info::default();
    // SAFETY: the port is claimed; `info` outlives the call.
    Errno::check(unsafe { dpdk_sys::rte_eth_dev_info_get(id, &raw mut info) }).map(|()| info)
}

fn driver_name(info: &dpdk_sys::rte_eth_dev_info) -> String {
    if info.driver_name.is_null() {
        return "unknown".to_owned();
    }
    // SAFETY: not null, and a constant string of the driver, which is never unloaded.
    let name = unsafe { CStr::from_ptr(info.driver_name) };
    name.to_string_lossy().into_owned()
}

fn mac(id: u16) -> Option<[u8; 6]> {
    let mut address = dpdk_sys::rte_ether_addr::default();
    // SAFETY: the port is claimed; `address` outlives the call.
    Errno::check(unsafe { dpdk_sys::rte_eth_macaddr_get(id, &raw mut address) }).ok()?;
    (address.addr_bytes != [0; 6]).then_some(address.addr_bytes)
}

fn mtu(id: u16) -> Option<u16> {
    let mut mtu = 0;
    // SAFETY: the port is claimed; `mtu` outlives the call.
    Errno::check(unsafe { dpdk_sys::rte_eth_dev_get_mtu(id, &raw mut mtu) }).ok().map(|()| mtu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jumbo_frame_is_scattered_where_the_device_can_and_gets_a_big_buffer_where_not() {
        assert_eq!(FrameSizes::fit(1500, true, 0), FrameSizes { mtu: 1500, room: 2048, scatter: false });
        assert_eq!(FrameSizes::fit(9000, true, 0), FrameSizes { mtu: 9000, room: 2048, scatter: true });
        assert_eq!(FrameSizes::fit(9000, false, 0), FrameSizes { mtu: 9000, room: 9088, scatter: false });
        assert_eq!(FrameSizes::fit(0, false, 16_384).room, 16_384);
        assert_eq!(FrameSizes::fit(65_535, false, 0).room, u16::MAX - 128);
    }

    #[test]
    fn a_pool_holds_what_queues_bursts_and_caches_can() {
        let one = Queues { rx: 1, rx_descriptors: 2048, tx: 0, tx_descriptors: 512 };
        assert_eq!(one.buffers_wanted("net_ixgbe"), 4095);
        assert_eq!(one.buffers_wanted("net_af_packet"), 1023);
        assert!(Queues { rx: 2, ..one }.buffers_wanted("net_af_xdp") >= 2 * (2048 + AF_XDP_RINGS));
    }
}
