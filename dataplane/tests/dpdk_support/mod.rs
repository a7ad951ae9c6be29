//! What the DPDK tests share. One EAL a process, so one test a file.

#![allow(dead_code, reason = "every test file uses a part of it")]

use dataplane::dpdk::{Burst, Eal, EalOptions, Frame, HugePages, RxQueue};

/// Polls without a packet before a test gives up. Yields in between, so this is seconds, not a matter of luck.
const EMPTY_POLLS_MAX: usize = 2_000_000;

/// Starts DPDK on ordinary pages: works for any user and leaves the machine's huge pages to others.
pub(crate) fn eal() -> Eal {
    Eal::init(&EalOptions { huge_pages: HugePages::Never, memory_mib: 128, ..EalOptions::default() })
        .expect("DPDK starts on ordinary pages")
}

/// Receives `count` packets and shows each to `check` with its number.
pub(crate) fn receive(queue: &mut RxQueue, count: usize, mut check: impl FnMut(usize, Frame<'_>)) {
    let mut burst = Burst::new();
    let (mut seen, mut empty) = (0, 0);
    while seen < count {
        if queue.burst(&mut burst) == 0 {
            empty += 1;
            assert!(empty < EMPTY_POLLS_MAX, "{seen} of {count} packets came");
            std::thread::yield_now();
        }
        for frame in burst.frames() {
            check(seen, frame);
            seen += 1;
        }
    }
}

/// A frame of `length` bytes that no other `seed` gives.
pub(crate) fn pattern(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31) ^ seed.wrapping_mul(131)).to_le_bytes()[0]).collect()
}
