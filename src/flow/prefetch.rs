//! Asking for cache lines before they are needed. A hint: it changes no result, and other processors than x86-64 go
//! without.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for the lines of an item; nothing where there is none.
#[inline]
pub(super) fn prefetch<T>(items: &[T], index: usize) {
    (0..size_of::<T>().div_ceil(LINE)).for_each(|line| prefetch_line_of(items, index, line));
}

/// Asks for one line of an item; nothing where there is none.
#[inline]
pub(super) fn prefetch_line_of<T>(items: &[T], index: usize, line: usize) {
    if let Some(item) = items.get(index) {
        prefetch_line(std::ptr::from_ref(item).cast(), line * LINE);
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "the instruction is behind an intrinsic that takes a pointer")]
fn prefetch_line(item: *const u8, offset: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: PREFETCHT0 (Intel SDM volume 2, PREFETCHh) reads nothing that the program can see and never faults,
    // whatever the address; `wrapping_add` makes no claim about it either.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(item.wrapping_add(offset).cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch_line(_: *const u8, _: usize) {}
