//! Making a thread of the program known to DPDK, which gives it a cache in each mempool.

use std::marker::PhantomData;
use std::sync::Arc;

use super::eal::{Eal, Running};
use super::error::{DpdkError, Errno};

/// The calling thread is known to DPDK while this lives. Stays on its thread.
#[derive(Debug)]
pub struct WorkerThread {
    registered: bool,
    /// Unregistering needs EAL.
    _running: Arc<Running>,
    /// Unregistering must happen on the thread that registered: not `Send`.
    _stays: PhantomData<*const ()>,
}

impl Eal {
    /// Registers the calling thread. One that already is, such as the one that started EAL, stays as it is.
    ///
    /// Pin the thread first: DPDK takes its NUMA node from where it may run at this moment.
    ///
    /// # Errors
    /// [`DpdkError::Thread`] where `RTE_MAX_LCORE` threads are registered.
    pub fn register_worker_thread(&self) -> Result<WorkerThread, DpdkError> {
        // SAFETY: reads a thread-local integer; has no preconditions.
        if unsafe { dpdk_sys::tapspan_is_lcore() } != 0 {
            return Ok(WorkerThread { registered: false, _running: self.running(), _stays: PhantomData });
        }
        // SAFETY: EAL is up, as `self` exists, and this thread is not registered.
        if unsafe { dpdk_sys::rte_thread_register() } < 0 {
            return Err(DpdkError::Thread { errno: Errno::last(), limit: dpdk_sys::RTE_MAX_LCORE });
        }
        Ok(WorkerThread { registered: true, _running: self.running(), _stays: PhantomData })
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        if self.registered {
            // SAFETY: this thread registered itself, and the type is not Send, so this is that thread.
            unsafe { dpdk_sys::rte_thread_unregister() }
        }
    }
}
