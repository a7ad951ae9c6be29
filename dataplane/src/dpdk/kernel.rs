//! Ports over an interface of the kernel, `net_af_packet` and `net_af_xdp`: what their drivers leave to be done.

use std::sync::atomic::{AtomicU64, Ordering};

use super::device::DeviceSpec;
use super::machine;

/// Packet sockets a port can have, one for each queue.
const SOCKETS_MAX: usize = 64;
/// Receive ring of a packet socket in bytes, where memory may be locked; as much again goes to the transmit ring.
/// The driver's own 512 slots overflow in 35 us of 10 GbE, or whenever the worker is not scheduled.
const RING_BYTES: u32 = 16 << 20;
/// The same under the usual limit of 8 MiB locked memory.
const RING_BYTES_LIMITED: u32 = 2 << 20;
/// Smallest slot of a ring in bytes, and the largest a packet buffer can take.
const SLOT_MIN: u32 = 2048;
const SLOT_MAX: u32 = 32 << 10;
/// Memory of a ring comes in blocks of this size, in bytes.
const BLOCK: u32 = 64 << 10;
/// Headers of a slot, Ethernet and two VLAN tags, in bytes.
const SLOT_OVERHEAD: u32 = 128;
/// What the kernel keeps free before a frame in an AF_XDP buffer, `XDP_PACKET_HEADROOM`, in bytes.
const AF_XDP_HEADROOM: u32 = 256;
/// An AF_XDP buffer must fit into a page with the headers of mbuf and mempool: what is left, in bytes.
const AF_XDP_ROOM_MAX: u32 = 3712;
/// Longest frame such a buffer takes, in bytes.
const AF_XDP_FRAME_MAX: u32 = AF_XDP_ROOM_MAX - AF_XDP_HEADROOM;
/// Ethernet header, two VLAN tags and the frame check sequence.
const FRAME_OVERHEAD: u32 = 14 + 8 + 4;

/// `device` with a ring that fits the interface, where it is a packet socket and the operator did not choose.
pub(super) fn with_ring(device: &DeviceSpec) -> DeviceSpec {
    let chosen = ["blocksz", "framesz", "framecnt"].iter().any(|key| device.argument(key).is_some());
    let Some(interface) = device.kernel_interface() else { return device.clone() };
    if !device.name().starts_with("net_af_packet") || chosen {
        return device.clone();
    }
    let mtu = machine::interface_mtu(interface).unwrap_or(1500);
    let ring = if machine::rights().ipc_lock() { RING_BYTES } else { RING_BYTES_LIMITED };
    device.with(&ring_arguments(mtu, ring))
}

fn ring_arguments(mtu: u32, ring: u32) -> String {
    let slot = mtu.saturating_add(SLOT_OVERHEAD).clamp(SLOT_MIN, SLOT_MAX).next_power_of_two();
    format!("blocksz={BLOCK},framesz={slot},framecnt={}", ring / slot)
}

/// Data room a buffer needs for what the driver copies or maps into it, in bytes; 0 where it does not matter.
pub(super) fn room_wanted(device: &DeviceSpec) -> u32 {
    if device.name().starts_with("net_af_xdp") {
        let mtu = device.kernel_interface().and_then(machine::interface_mtu).unwrap_or(0);
        return mtu.saturating_add(FRAME_OVERHEAD + AF_XDP_HEADROOM).min(AF_XDP_ROOM_MAX);
    }
    // A packet socket copies whole slots.
    device.argument("framesz").and_then(|size| size.parse().ok()).unwrap_or(0)
}

/// The MTU of the interface, which DPDK does not ask for; held at 65,535.
pub(super) fn mtu(device: &DeviceSpec) -> Option<u16> {
    let mtu = device.kernel_interface().and_then(machine::interface_mtu)?;
    Some(u16::try_from(mtu).unwrap_or(u16::MAX))
}

/// What the operator should know about a port like this; each a sentence.
pub(super) fn notes(device: &DeviceSpec, rx_queues: u16) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(interface) = device.kernel_interface() else { return notes };
    if device.name().starts_with("net_af_xdp") {
        let there = machine::interface_rx_queues(interface);
        if there > usize::from(rx_queues) {
            notes.push(format!(
                "{interface} has {there} receive queues and this port takes {rx_queues}: packets of the others are \
                 not seen; take them all, or make it one with `ethtool -L {interface} combined 1`"
            ));
        }
        let mtu = machine::interface_mtu(interface).unwrap_or(0);
        if mtu.saturating_add(FRAME_OVERHEAD) > AF_XDP_FRAME_MAX {
            notes.push(format!(
                "{interface} has an MTU of {mtu}: AF_XDP drops frames longer than {AF_XDP_FRAME_MAX} bytes, which \
                 count as missed"
            ));
        }
    }
    notes
}

/// The packet sockets of a port, for the drops the driver of DPDK 22.11 does not report.
///
/// Reading sets the kernel's counter back, so a drop is counted once, here or by a driver that reads it too.
#[derive(Debug, Default)]
pub(super) struct PacketSockets {
    fds: Vec<i32>,
    drops: AtomicU64,
}

impl PacketSockets {
    /// Those of `driver` on interface number `ifindex`; none for other drivers.
    pub(super) fn of(driver: &str, ifindex: Option<u32>) -> PacketSockets {
        let Some(ifindex) = ifindex.filter(|_| driver == "net_af_packet") else {
            return PacketSockets::default();
        };
        let mut fds = [0; SOCKETS_MAX];
        let max = u32::try_from(fds.len()).unwrap_or(0);
        // SAFETY: `fds` has the `max` entries the call may write.
        let found = unsafe { dpdk_sys::tapspan_packet_sockets(ifindex, fds.as_mut_ptr(), max) };
        let found = fds.iter().take(found as usize).copied().collect();
        PacketSockets { fds: found, drops: AtomicU64::new(0) }
    }

    /// Whether there are any, so that their rings may hold packets from before they were bound to their interface.
    pub(super) fn are_there(&self) -> bool {
        !self.fds.is_empty()
    }

    /// Forgets the drops so far.
    pub(super) fn reset(&self) {
        self.drops();
        // Relaxed: a sum that nothing else depends on.
        self.drops.store(0, Ordering::Relaxed);
    }

    /// Packets dropped since the port was opened because a ring was full.
    pub(super) fn drops(&self) -> u64 {
        for fd in &self.fds {
            // SAFETY: takes any number; the driver keeps these open until the port is stopped.
            let fresh = unsafe { dpdk_sys::tapspan_packet_socket_drops(*fd) };
            // Relaxed: a sum that nothing else depends on.
            self.drops.fetch_add(u64::from(fresh), Ordering::Relaxed);
        }
        self.drops.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_takes_a_frame_of_the_interface_and_the_ring_has_its_size() {
        assert_eq!(ring_arguments(1500, 16 << 20), "blocksz=65536,framesz=2048,framecnt=8192");
        assert_eq!(ring_arguments(3000, 16 << 20), "blocksz=65536,framesz=4096,framecnt=4096");
        assert_eq!(ring_arguments(65_536, 2 << 20), "blocksz=65536,framesz=32768,framecnt=64");
    }

    #[test]
    fn a_ring_the_operator_chose_is_left_alone() {
        let spec: DeviceSpec = "net_af_packet0,iface=lo,framecnt=64".parse().unwrap();
        assert_eq!(with_ring(&spec), spec);
        let spec: DeviceSpec = "net_null0".parse().unwrap();
        assert_eq!(with_ring(&spec), spec);
        assert!(with_ring(&"net_af_packet0,iface=lo".parse().unwrap()).to_string().contains("framesz="));
    }
}
