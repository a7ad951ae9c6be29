//! The packet buffers of one port, on its NUMA node.

use std::ffi::CString;
use std::ptr::NonNull;

use super::error::{DpdkError, Errno};

/// Buffers each registered thread may keep for itself. DPDK's upper limit is 512.
pub(super) const CACHE: u32 = 256;

/// A mempool of mbufs; freed when dropped.
#[derive(Debug)]
pub(super) struct Pool {
    raw: NonNull<dpdk_sys::rte_mempool>,
}

// SAFETY: a mempool may be used from any thread at once (DPDK programmer's guide, "Mempool Library"); freeing it is
// done by Drop alone, which has it exclusively.
unsafe impl Send for Pool {}
// SAFETY: as above; `&Pool` gives nothing but the pointer to DPDK calls that are safe from any thread.
unsafe impl Sync for Pool {}

impl Pool {
    /// Allocates `mbufs` buffers with `data_room` bytes each (without headroom) on NUMA node `node`, or on any.
    pub(super) fn new(
        device: &str,
        port: u16,
        mbufs: u32,
        data_room: u16,
        node: Option<u16>,
    ) -> Result<Pool, DpdkError> {
        let name = CString::new(format!("tapspan_port{port}")).expect("digits and letters hold no zero byte");
        let headroom = u16::try_from(dpdk_sys::RTE_PKTMBUF_HEADROOM).unwrap_or(128);
        let room = data_room.saturating_add(headroom);
        let socket = node.map_or(-1, i32::from);
        // SAFETY: `name` is a C string that outlives the call, which copies it; EAL is up because the caller holds it.
        let raw = unsafe { dpdk_sys::rte_pktmbuf_pool_create(name.as_ptr(), mbufs, CACHE, 0, room, socket) };
        NonNull::new(raw).map(|raw| Pool { raw }).ok_or_else(|| DpdkError::NoBuffers {
            device: device.to_owned(),
            mbufs,
            bytes: room,
            errno: Errno::last(),
            advice: "reserve more huge pages (scripts/hugepages.sh 512), or use fewer queues or descriptors"
                .to_owned(),
        })
    }

    /// The pool as DPDK calls take it; valid while `self` lives.
    pub(super) fn as_ptr(&self) -> *mut dpdk_sys::rte_mempool {
        self.raw.as_ptr()
    }

    /// Buffers that are neither in a queue, a burst nor a thread's cache.
    pub(super) fn available(&self) -> u32 {
        // SAFETY: `raw` came from rte_pktmbuf_pool_create and is freed only by Drop.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.raw.as_ptr()) }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: made by rte_pktmbuf_pool_create and freed once, here. Whoever holds mbufs of it (queues, bursts)
        // also holds the port that owns the pool, so none is left; the port is closed before its fields are dropped.
        unsafe { dpdk_sys::rte_mempool_free(self.raw.as_ptr()) }
    }
}
