//! A port: opened, configured and started in one step; stopped and closed when its last handle is dropped.

use std::sync::Arc;

use super::device::DeviceSpec;
use super::eal::{Eal, Running};
use super::error::{DpdkError, Errno};
use super::kernel::PacketSockets;
use super::machine;
use super::pool::Pool;
use super::rss::RssState;
use super::rx::{Burst, RxQueue};
use super::setup;
use super::tx::TxQueue;

/// Bursts thrown away from each queue at start, at most: more than the ring of a packet socket holds.
const DISCARD_BURSTS: usize = 1 << 12;

/// How a port is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Receive queues wanted, at least 1; a device that has fewer gives what it has, see [`PortInfo::rx_queues`].
    pub rx_queues: u16,
    /// Transmit queues to use; 0 for a probe. Devices that insist on some get them regardless.
    pub tx_queues: u16,
    /// Descriptors of each receive queue: packets that wait while the worker is busy. Adjusted to what the device has.
    pub rx_descriptors: u16,
    /// Whether to ask for packets for others too.
    pub promiscuous: bool,
    /// Longest IP packet to accept, in bytes. `None`: jumbo frames as far as a network card can; virtual devices keep
    /// the MTU of what they stand on.
    pub mtu: Option<u16>,
    /// Packet buffers. `None`: as many as queues, descriptors and bursts can hold.
    pub mbufs: Option<u32>,
}

impl Default for PortConfig {
    fn default() -> Self {
        PortConfig {
            rx_queues: 1,
            tx_queues: 0,
            rx_descriptors: 2048,
            promiscuous: true,
            mtu: None,
            mbufs: None,
        }
    }
}

/// Whether packets for others are received too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promiscuous {
    /// They are.
    On,
    /// They are not, as nobody asked for them.
    Off,
    /// The device cannot say or do that, and gave this reason; virtual devices receive everything anyhow.
    Unsupported(Errno),
}

/// What a port is, fixed while it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// DPDK's number of the port.
    pub id: u16,
    /// The device as the operator wrote it.
    pub device: DeviceSpec,
    /// DPDK driver, as `net_ixgbe`.
    pub driver: String,
    /// NUMA node; `None` where it has none.
    pub numa_node: Option<u16>,
    /// Hardware address; `None` where the device gives none.
    pub mac: Option<[u8; 6]>,
    /// Longest IP packet accepted, in bytes.
    pub mtu: u16,
    /// Receive queues in use.
    pub rx_queues: u16,
    /// Receive queues there could be.
    pub rx_queues_max: u16,
    /// Descriptors of each receive queue.
    pub rx_descriptors: u16,
    /// Bytes of a packet that come in one piece and get parsed.
    pub segment_bytes: u16,
    /// Packet buffers of the port.
    pub mbufs: u32,
    /// How packets spread over the queues.
    pub rss: RssState,
    /// Whether packets for others are received too.
    pub promiscuous: Promiscuous,
    /// The kernel's number of the interface the device stands on, where it does.
    pub kernel_interface_index: Option<u32>,
    /// What the operator should know, as packets this port cannot see; each a sentence.
    pub notes: Vec<String>,
}

/// The link of a port, without waiting for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether there is one.
    pub up: bool,
    /// In Mbit/s; `None` where unknown.
    pub speed_mbps: Option<u32>,
    /// Both ways at once.
    pub full_duplex: bool,
}

/// Counters of a port since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Packets received by the program.
    pub rx_packets: u64,
    /// Bytes in them.
    pub rx_bytes: u64,
    /// Packets the device dropped because no descriptor was free: the worker was too slow.
    pub rx_missed: u64,
    /// Packets the device found broken.
    pub rx_errors: u64,
    /// Times no packet buffer was left.
    pub rx_no_buffer: u64,
    /// Packets sent.
    pub tx_packets: u64,
}

/// An open and started port. Stays open while it, or a queue or burst of it, lives.
#[derive(Debug)]
pub struct Port {
    open: Arc<OpenPort>,
    info: PortInfo,
    rx_taken: Vec<bool>,
    tx_taken: Vec<bool>,
}

/// What queues and bursts hold on to.
#[derive(Debug)]
pub(super) struct OpenPort {
    claimed: ClaimedPort,
    sockets: PacketSockets,
}

/// A port this process uses; closed, and free to be claimed again, when dropped.
#[derive(Debug)]
pub(super) struct ClaimedPort {
    pub(super) id: u16,
    pub(super) started: bool,
    /// The driver would crash if the port were closed, so it stays as it is until the process ends.
    pub(super) unclosable: bool,
    /// Promiscuous mode to be taken back: the kernel's interface would keep it.
    pub(super) leave_promiscuous: bool,
    /// Dropped after the port is closed: its queues hold buffers of the pool. Set before it is started.
    pub(super) pool: Option<Pool>,
    /// Dropped last: closing a port and freeing a pool need EAL.
    pub(super) running: Arc<Running>,
}

impl Port {
    /// Finds or makes the device, configures, starts it and asks for everything that passes by.
    ///
    /// # Errors
    /// One line with the device, what it refused and what to do about it.
    pub fn open(eal: &Eal, device: &DeviceSpec, config: &PortConfig) -> Result<Port, DpdkError> {
        let mut claimed = setup::attach(eal, device)?;
        let info = setup::start(&mut claimed, device, config)?;
        let sockets = PacketSockets::of(&info.driver, info.kernel_interface_index);
        let tx_taken = vec![false; usize::from(config.tx_queues)];
        let rx_taken = vec![false; usize::from(info.rx_queues)];
        let open = Arc::new(OpenPort { claimed, sockets });
        if open.sockets.are_there() {
            discard_waiting(&open, info.rx_queues);
        }
        Ok(Port { open, info, rx_taken, tx_taken })
    }

    /// What the port is.
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// The handle of receive queue `queue`; `None` where there is no such queue or its handle was taken before.
    pub fn take_rx_queue(&mut self, queue: u16) -> Option<RxQueue> {
        take(&mut self.rx_taken, queue).then(|| RxQueue::new(Arc::clone(&self.open), queue))
    }

    /// The handle of transmit queue `queue`; `None` where none was asked for or its handle was taken before.
    pub fn take_tx_queue(&mut self, queue: u16) -> Option<TxQueue> {
        take(&mut self.tx_taken, queue).then(|| TxQueue::new(Arc::clone(&self.open), queue))
    }

    /// The link as it is now; `None` where the device does not tell.
    pub fn link(&self) -> Option<Link> {
        let mut link = dpdk_sys::tapspan_link::default();
        // SAFETY: the port is open; `link` outlives the call.
        let status = unsafe { dpdk_sys::tapspan_link_nowait(self.open.id(), &raw mut link) };
        Errno::check(status).ok()?;
        Some(Link {
            up: link.up != 0,
            speed_mbps: (link.speed_mbps != u32::MAX).then_some(link.speed_mbps),
            full_duplex: link.full_duplex != 0,
        })
    }

    /// The counters as they are now; `None` where the device does not count. May be called while workers poll.
    pub fn stats(&self) -> Option<PortStats> {
        let mut stats = dpdk_sys::rte_eth_stats::default();
        // SAFETY: the port is open; `stats` outlives the call.
        let status = unsafe { dpdk_sys::rte_eth_stats_get(self.open.id(), &raw mut stats) };
        Errno::check(status).ok()?;
        Some(PortStats {
            rx_packets: stats.ipackets,
            rx_bytes: stats.ibytes,
            rx_missed: stats.imissed + self.open.sockets.drops(),
            rx_errors: stats.ierrors,
            rx_no_buffer: stats.rx_nombuf,
            tx_packets: stats.opackets,
        })
    }

    /// Packet buffers nobody holds at this moment.
    pub fn buffers_available(&self) -> u32 {
        self.open.pool().available()
    }
}

/// Empties the queues of a port over packet sockets and restarts its counters.
///
/// The driver makes its sockets for all interfaces, binds them some 30 ms later, and joins those of several queues later
/// still: what their rings took in until then is other interfaces' traffic, or in every queue.
fn discard_waiting(open: &Arc<OpenPort>, rx_queues: u16) {
    let mut burst = Burst::new();
    for queue in 0..rx_queues {
        let mut receiver = RxQueue::new(Arc::clone(open), queue);
        for _ in 0..DISCARD_BURSTS {
            if receiver.burst(&mut burst) == 0 {
                break;
            }
        }
    }
    burst.free();
    open.sockets.reset();
    // SAFETY: the port is open. A driver that cannot do it keeps its counters, which only makes them larger.
    let _ = unsafe { dpdk_sys::rte_eth_stats_reset(open.id()) };
}

impl OpenPort {
    #[inline]
    pub(super) fn id(&self) -> u16 {
        self.claimed.id
    }

    pub(super) fn pool(&self) -> &Pool {
        self.claimed.pool.as_ref().expect("start() made it, and nothing but drop takes it away")
    }
}

impl Drop for ClaimedPort {
    fn drop(&mut self) {
        if self.unclosable {
            self.running.abandon();
            // What is left of the port may point into it.
            std::mem::forget(self.pool.take());
            return;
        }
        // Results are ignored: there is nobody to tell, and nothing else to try.
        if self.leave_promiscuous {
            // SAFETY: the port is open.
            let _ = unsafe { dpdk_sys::rte_eth_promiscuous_disable(self.id) };
        }
        if self.started {
            // SAFETY: the port was started, and no queue handle is left that could poll it.
            let _ = unsafe { dpdk_sys::rte_eth_dev_stop(self.id) };
        }
        // SAFETY: the port is stopped, and closed once: this is its only claim.
        let _ = unsafe { dpdk_sys::rte_eth_dev_close(self.id) };
        self.running.release(self.id);
    }
}

/// Marks entry `queue` as taken; false where it was, or does not exist.
fn take(taken: &mut [bool], queue: u16) -> bool {
    taken.get_mut(usize::from(queue)).is_some_and(|taken| !std::mem::replace(taken, true))
}

/// Whether the kernel's interface under `device` would stay promiscuous after us, though it was not before.
pub(super) fn must_leave_promiscuous(device: &DeviceSpec) -> bool {
    device.kernel_interface().is_none_or(|name| !machine::interface_is_promiscuous(name))
}
