//! Memory of the table: zeroed slabs on huge pages, touched at start or as they are used, prefetch, and the compare of ten
//! words at once. The crate's only unsafe code.
#![expect(unsafe_code, reason = "mapping memory, prefetching and vector instructions have no safe form")]

use std::ops::{Deref, DerefMut};

/// Types for which memory filled with zero bytes is a valid value.
///
/// # Safety
/// An all-zero bit pattern must be a valid, initialised value, and the type must not need dropping.
pub(crate) unsafe trait Zeroed: Default + Sized {}

/// The table's memory could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot take {bytes} bytes for the flow table: {source}; lower flow.capacity or free memory")]
pub struct MemoryError {
    /// Bytes asked for.
    pub bytes: usize,
    /// What the operating system answered.
    pub source: std::io::Error,
}

/// When the pages of a table's memory are taken from the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pages {
    /// All of them before the first packet, so that none meets a page fault.
    #[default]
    AtStart,
    /// Each when it is first written: where nobody waits for a packet, and flows may be few.
    WhenUsed,
}

/// A fixed array of zeros.
#[cfg(not(loom))]
pub(crate) struct Slab<T> {
    start: std::ptr::NonNull<T>,
    len: usize,
    mapped_bytes: usize,
}

#[cfg(not(any(loom, fuzzing)))]
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// A fuzzer makes small tables by the thousand.
#[cfg(all(fuzzing, not(loom)))]
const HUGE_PAGE_BYTES: usize = PAGE_BYTES;
#[cfg(not(loom))]
const PAGE_BYTES: usize = 4096;

#[cfg(not(loom))]
impl<T: Zeroed> Slab<T> {
    /// [`Slab::mapped`] with every page touched, so that no packet meets a page fault.
    ///
    /// # Errors
    /// [`MemoryError`] when the system has no room.
    pub(crate) fn zeroed(len: usize) -> Result<Self, MemoryError> {
        Slab::mapped(len, Pages::AtStart)
    }

    /// Maps `len` zeroed values, aligned to 2 MiB, on transparent huge pages where the kernel gives them.
    ///
    /// # Errors
    /// [`MemoryError`] when the system has no room.
    pub(crate) fn mapped(len: usize, pages: Pages) -> Result<Self, MemoryError> {
        let bytes = len.max(1).saturating_mul(size_of::<T>());
        let fail = |bytes| MemoryError { bytes, source: std::io::Error::last_os_error() };
        if bytes > isize::MAX as usize - 2 * HUGE_PAGE_BYTES {
            return Err(MemoryError { bytes, source: std::io::ErrorKind::OutOfMemory.into() });
        }
        let wanted = bytes.next_multiple_of(HUGE_PAGE_BYTES);
        // One huge page more, so that an aligned start lies inside.
        let length = wanted + HUGE_PAGE_BYTES;
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no existing memory.
        let raw = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if raw == libc::MAP_FAILED {
            return Err(fail(bytes));
        }
        let head = raw.align_offset(HUGE_PAGE_BYTES);
        // SAFETY: head < HUGE_PAGE_BYTES (alignment of a byte pointer), so the result lies inside the mapping.
        let aligned = unsafe { raw.cast::<u8>().add(head) };
        if head > 0 {
            // SAFETY: the range [raw, aligned) belongs to the mapping made above and nothing points into it.
            unsafe { libc::munmap(raw, head) };
        }
        let tail = length - head - wanted;
        // SAFETY: aligned + wanted is at most the end of the mapping.
        let end = unsafe { aligned.add(wanted) };
        if tail > 0 {
            // SAFETY: the range [end, end + tail) is the rest of the mapping and nothing points into it.
            unsafe { libc::munmap(end.cast(), tail) };
        }
        // SAFETY: the range was mapped above; the advice changes page sizes, not contents. A refusal is harmless.
        unsafe { libc::madvise(aligned.cast(), wanted, libc::MADV_HUGEPAGE) };
        let touched = if pages == Pages::AtStart { wanted } else { 0 };
        for offset in (0..touched).step_by(PAGE_BYTES) {
            // SAFETY: offset < wanted, inside the mapping.
            let page = unsafe { aligned.add(offset) };
            // SAFETY: the page is mapped writable and not yet shared; volatile so that the touch is not optimised away.
            unsafe { page.write_volatile(0) };
        }
        let start = std::ptr::NonNull::new(aligned.cast::<T>()).ok_or_else(|| fail(bytes))?;
        Ok(Slab { start, len, mapped_bytes: wanted })
    }

    /// Bytes this slab takes from the system.
    pub(crate) fn bytes(&self) -> usize {
        self.mapped_bytes
    }
}

#[cfg(not(loom))]
impl<T> Deref for Slab<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: start points to len values inside the mapping, aligned to 2 MiB, zeroed, which `Zeroed` says is valid.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

#[cfg(not(loom))]
impl<T> DerefMut for Slab<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; &mut self makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

#[cfg(not(loom))]
impl<T> Drop for Slab<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping of mapped_bytes at start is ours and no reference to it outlives self.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.mapped_bytes) };
    }
}

#[cfg(not(loom))]
// SAFETY: the slab owns its memory; sending it sends the values, which are Send.
unsafe impl<T: Send> Send for Slab<T> {}
#[cfg(not(loom))]
// SAFETY: shared access gives &T only, and T is Sync.
unsafe impl<T: Sync> Sync for Slab<T> {}

/// loom's atomics cannot be mapped; the model gets a plain vector.
#[cfg(loom)]
pub(crate) struct Slab<T>(Vec<T>);

#[cfg(loom)]
impl<T: Zeroed> Slab<T> {
    pub(crate) fn zeroed(len: usize) -> Result<Self, MemoryError> {
        Ok(Slab((0..len).map(|_| T::default()).collect()))
    }

    pub(crate) fn mapped(len: usize, _: Pages) -> Result<Self, MemoryError> {
        Slab::zeroed(len)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.len() * size_of::<T>()
    }
}

#[cfg(loom)]
impl<T> Deref for Slab<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

#[cfg(loom)]
impl<T> DerefMut for Slab<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// Caches of a core, by how close they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// The closest.
    First,
    /// The one behind it.
    Second,
}

/// Asks the core to bring the line of `value` close, to be written soon. Never faults.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    prefetch_into(value, Cache::First);
}

/// The same, as close as `cache`, which is to be known when this is compiled.
#[inline(always)]
pub fn prefetch_into<T>(value: &T, cache: Cache) {
    let address = std::ptr::from_ref(value);
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    match cache {
        // SAFETY: a prefetch reads nothing architecturally and never faults, whatever the address.
        Cache::First => unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast::<i8>());
        },
        // SAFETY: as above.
        Cache::Second => unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(address.cast::<i8>());
        },
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    match cache {
        // SAFETY: PRFM is a hint; it never faults and touches no register or flag that Rust relies on.
        Cache::First => unsafe {
            std::arch::asm!("prfm pstl1keep, [{}]", in(reg) address, options(nostack, readonly, preserves_flags));
        },
        // SAFETY: as above.
        Cache::Second => unsafe {
            std::arch::asm!("prfm pstl2keep, [{}]", in(reg) address, options(nostack, readonly, preserves_flags));
        },
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = (address, cache);
}

/// Words that [`lanes_equal`] compares at once.
pub(crate) const LANES: usize = 10;

/// The lanes that hold `wanted`, one bit a lane.
#[inline(always)]
pub(crate) fn lanes_equal(lanes: [u16; LANES], wanted: u16) -> u32 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64 as simd;
        let [a, b, c, d, e, f, g, h, ..] = lanes.map(u16::cast_signed);
        let [.., i, j] = lanes.map(u32::from);
        // SAFETY: this instruction and those below are SSE2, which is part of x86-64; they work on values, not on memory.
        let first = unsafe { simd::_mm_set_epi16(h, g, f, e, d, c, b, a) };
        // The two words that are left, and zeros, whose lanes the mask below leaves out.
        // SAFETY: as above.
        let last = unsafe { simd::_mm_cvtsi32_si128((i | j << 16).cast_signed()) };
        // SAFETY: as above.
        let wanted = unsafe { simd::_mm_set1_epi16(wanted.cast_signed()) };
        // SAFETY: as above.
        let first = unsafe { simd::_mm_cmpeq_epi16(first, wanted) };
        // SAFETY: as above.
        let last = unsafe { simd::_mm_cmpeq_epi16(last, wanted) };
        // SAFETY: as above.
        let octets = unsafe { simd::_mm_packs_epi16(first, last) };
        // SAFETY: as above.
        unsafe { simd::_mm_movemask_epi8(octets) }.cast_unsigned() & ((1 << LANES) - 1)
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    lanes.iter().enumerate().fold(0, |found, (lane, &held)| found | u32::from(held == wanted) << lane)
}

macro_rules! zeroed {
    ($($type:ty),* $(,)?) => {$(
        // SAFETY: made of integers and atomics of integers only; zero is a valid value of each and none needs dropping.
        unsafe impl Zeroed for $type {}
    )*};
}
zeroed!(
    crate::slot::Busy,
    crate::slot::Quiet,
    crate::details::Block,
    crate::index::Bucket,
    crate::shadow::Shadow,
    crate::shadow::DetailsShadow,
    u8,
    u32,
);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn slab_is_zeroed_aligned_and_writable() {
        let mut slab: Slab<u32> = Slab::zeroed(1_000).unwrap();
        assert_eq!(slab.len(), 1_000);
        assert!(slab.iter().all(|&word| word == 0));
        assert_eq!(slab.as_ptr().addr() % HUGE_PAGE_BYTES, 0);
        assert_eq!(slab.bytes(), HUGE_PAGE_BYTES);
        slab[999] = 7;
        assert_eq!(slab[999], 7);
    }

    #[test]
    fn a_slab_is_zeroed_before_its_pages_are_touched_too() {
        let mut slab: Slab<u32> = Slab::mapped(1 << 20, Pages::WhenUsed).unwrap();
        assert!(slab.iter().all(|&word| word == 0));
        slab[(1 << 20) - 1] = 7;
        assert_eq!(slab[(1 << 20) - 1], 7);
        assert_eq!(slab.bytes(), 4 << 20);
    }

    #[test]
    fn more_than_the_address_space_is_a_clear_error() {
        let error = Slab::<u32>::zeroed(usize::MAX / 8).err().unwrap().to_string();
        assert!(error.contains("flow.capacity"), "{error}");
    }
}
