//! The allocator: the system's, with settings by which freed memory returns to the operating system, and with a place
//! of their own for the buffers of connections.
//!
//! Only glibc's allocator needs the settings.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The size of a connection's buffers in bytes. actix makes two when it accepts a connection: one to read and one to
/// write.
const BUFFER: usize = 8 * 1024;
/// The maximum number of buffers with a place of their own. The system's allocator makes any more.
const MAX_BUFFERS: usize = 64 * 1024;
/// The number of free buffers that keep their memory for the next connections.
const MAX_WARM: usize = 64;

/// The system's allocator, except for the buffers of connections.
///
/// A client that waits for a message has used a part of one of its buffers. The system's allocator would make them of
/// memory that was used before, all of which belongs to the process: 16 KiB for each client. The buffers of this
/// allocator are pages of their own, and only the pages that are written to take memory: 4 KiB.
pub struct Allocator {
    /// The first buffer; the others follow. Null until the first is needed.
    start: AtomicPtr<u8>,
    free: Mutex<Free>,
}

/// The buffers that nobody uses, by their numbers.
struct Free {
    /// Whether the system does not give so many addresses.
    is_unavailable: bool,
    /// How many buffers were ever used.
    used: usize,
    /// The buffers that keep their memory.
    warm: Stack<MAX_WARM>,
    /// The buffers that were used before and take no memory.
    cold: Stack<MAX_BUFFERS>,
}

impl Allocator {
    /// Makes the allocator. It reserves nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            start: AtomicPtr::new(ptr::null_mut()),
            free: Mutex::new(Free {
                is_unavailable: false,
                used: 0,
                warm: Stack::new(),
                cold: Stack::new(),
            }),
        }
    }

    /// Returns a buffer, if there is one left.
    fn take(&self) -> Option<*mut u8> {
        let mut free = self.lock();
        if self.start.load(Ordering::Relaxed).is_null() {
            if free.is_unavailable {
                return None;
            }
            let start = reserve_buffers();
            free.is_unavailable = start.is_null();
            self.start.store(start, Ordering::Release);
        }
        let number = free.take()?;
        let start = self.start.load(Ordering::Relaxed);
        (!start.is_null()).then(|| start.wrapping_add(number * BUFFER))
    }

    /// Returns the number of the buffer at `address`, if it is one of ours.
    fn number(&self, address: *mut u8, layout: Layout) -> Option<usize> {
        let start = self.start.load(Ordering::Acquire);
        if !is_buffer(layout) || start.is_null() {
            return None;
        }
        let offset = address.addr().checked_sub(start.addr())?;
        (offset < MAX_BUFFERS * BUFFER).then_some(offset / BUFFER)
    }

    /// Takes back the buffer at `address`, which nobody uses any more.
    fn give_back(&self, number: usize, address: *mut u8) {
        if !self.lock().warm.push(number) {
            discard(address);
            self.lock().cold.push(number);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Allocator {
    fn default() -> Self {
        Self::new()
    }
}

impl Free {
    fn take(&mut self) -> Option<usize> {
        if let Some(number) = self.warm.pop().or_else(|| self.cold.pop()) {
            return Some(number);
        }
        let number = self.used;
        (number < MAX_BUFFERS).then(|| {
            self.used += 1;
            number
        })
    }
}

/// A stack of at most `N` numbers, which needs no allocator.
struct Stack<const N: usize> {
    numbers: [usize; N],
    length: usize,
}

impl<const N: usize> Stack<N> {
    const fn new() -> Self {
        Self {
            numbers: [0; N],
            length: 0,
        }
    }

    /// Adds a number. Returns `false` if the stack is full.
    fn push(&mut self, number: usize) -> bool {
        match self.numbers.get_mut(self.length) {
            Some(free) => {
                *free = number;
                self.length += 1;
                true
            }
            None => false,
        }
    }

    fn pop(&mut self) -> Option<usize> {
        self.length = self.length.checked_sub(1)?;
        self.numbers.get(self.length).copied()
    }
}

/// Returns whether an allocation may be a connection's buffer.
fn is_buffer(layout: Layout) -> bool {
    layout.size() == BUFFER && layout.align() == 1
}

/// Reserves the addresses of all buffers, which take no memory yet. Returns null if the system refuses.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe function reserves addresses")]
fn reserve_buffers() -> *mut u8 {
    let length = MAX_BUFFERS * BUFFER;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: it makes a new mapping, at addresses that the system chooses.
    let start = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return ptr::null_mut();
    }
    // SAFETY: it is the mapping just made. Without huge pages, it takes only the pages that are written to.
    unsafe { libc::madvise(start, length, libc::MADV_NOHUGEPAGE) };
    start.cast()
}

/// Returns the memory of a buffer to the system. Its content becomes zero when it is next used.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe function returns memory")]
fn discard(address: *mut u8) {
    // SAFETY: the buffer consists of whole pages of our mapping, and nobody uses it.
    unsafe { libc::madvise(address.cast(), BUFFER, libc::MADV_DONTNEED) };
}

/// Other systems have no such buffers.
#[cfg(not(target_os = "linux"))]
fn reserve_buffers() -> *mut u8 {
    ptr::null_mut()
}

#[cfg(not(target_os = "linux"))]
fn discard(_: *mut u8) {}

// SAFETY: every allocation is either the system allocator's or a buffer of our mapping, which is as large as its layout
// asks for and has one user at a time. `number` tells the two apart by their addresses.
#[expect(unsafe_code, reason = "an allocator cannot be made safely")]
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_buffer(layout)
            && let Some(buffer) = self.take()
        {
            return buffer;
        }
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        match self.number(address, layout) {
            Some(number) => self.give_back(number, address),
            // SAFETY: the caller's; `alloc` had this from the system's allocator.
            None => unsafe { System.dealloc(address, layout) },
        }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(number) = self.number(address, layout) else {
            // SAFETY: the caller's; `alloc` had this from the system's allocator.
            return unsafe { System.realloc(address, layout, size) };
        };
        // SAFETY: the caller's: `size` is not zero and not too large for the alignment, which is 1.
        let moved =
            unsafe { System.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both are as long, and the new one is nobody else's.
            unsafe { ptr::copy_nonoverlapping(address, moved, size.min(BUFFER)) };
            self.give_back(number, address);
        }
        moved
    }
}

/// The size in bytes from which an allocation returns to the system as soon as it is freed.
#[cfg(target_env = "gnu")]
const MMAP_THRESHOLD: libc::c_int = 1024 * 1024;

/// Makes large allocations return to the system when they are freed. Called once, at startup.
///
/// By default, glibc raises this threshold when the first large allocation is freed. From then on it keeps
/// such allocations for the thread that freed them: 19 MiB for each thread that ever hashed a password.
/// (`mallopt(3)`, `M_MMAP_THRESHOLD`)
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no safe function sets it")]
pub fn set_mmap_threshold() {
    // SAFETY: it takes no pointers, and a failure leaves the setting unchanged.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    }
}

/// Returns free memory to the system.
///
/// glibc keeps freed memory as long as something later in the same arena is still in use, so the process would
/// stay as large as in its busiest hour. Takes milliseconds and blocks the allocator meanwhile, so call it only
/// after much memory was freed. (`malloc_trim(3)`)
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no safe function gives it back")]
pub fn return_free_memory() {
    // SAFETY: it takes no pointers, may be called from any thread, and touches no memory in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Does nothing: other allocators return large allocations to the system by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn set_mmap_threshold() {}

/// Does nothing: other allocators return free memory to the system by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn return_free_memory() {}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "allocators are called directly")]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::array::<u8>(size).unwrap()
    }

    /// Returns whether all bytes of a buffer have this value.
    fn is_all(buffer: *mut u8, value: u8) -> bool {
        // SAFETY: the buffer is in use, and was written to or is zero.
        let bytes = unsafe { std::slice::from_raw_parts(buffer, BUFFER) };
        bytes.iter().all(|byte| *byte == value)
    }

    #[test]
    fn each_buffer_has_one_user_and_gives_its_memory_back() {
        static ALLOCATOR: Allocator = Allocator::new();
        let buffers: Vec<*mut u8> = (0..2 * MAX_WARM)
            .map(|_| {
                // SAFETY: the size is not zero.
                let buffer = unsafe { ALLOCATOR.alloc(layout(BUFFER)) };
                assert!(ALLOCATOR.number(buffer, layout(BUFFER)).is_some());
                assert!(is_all(buffer, 0));
                // SAFETY: it was just allocated.
                unsafe { buffer.write_bytes(1, BUFFER) };
                buffer
            })
            .collect();
        assert!(buffers.iter().all(|buffer| is_all(*buffer, 1)));
        for buffer in &buffers {
            // SAFETY: nobody uses it any more.
            unsafe { ALLOCATOR.dealloc(*buffer, layout(BUFFER)) };
        }

        // SAFETY: the size is not zero.
        let again = buffers
            .iter()
            .map(|_| unsafe { ALLOCATOR.alloc(layout(BUFFER)) });
        let again: Vec<*mut u8> = again.collect();

        let fresh = again.iter().filter(|buffer| is_all(**buffer, 0));
        assert_eq!(fresh.count(), MAX_WARM);
        let (mut before, mut after) = (buffers, again);
        before.sort_unstable();
        after.sort_unstable();
        assert_eq!(before, after);
    }

    #[test]
    fn a_buffer_that_grows_or_shrinks_keeps_its_bytes() {
        static ALLOCATOR: Allocator = Allocator::new();
        for size in [BUFFER / 2, 2 * BUFFER] {
            // SAFETY: the sizes are not zero, and each allocation is written to before it is read.
            unsafe {
                let buffer = ALLOCATOR.alloc(layout(BUFFER));
                buffer.write_bytes(7, BUFFER);

                let moved = ALLOCATOR.realloc(buffer, layout(BUFFER), size);

                let kept = std::slice::from_raw_parts(moved, size.min(BUFFER));
                assert!(kept.iter().all(|byte| *byte == 7));
                assert!(ALLOCATOR.number(moved, layout(size)).is_none());
                ALLOCATOR.dealloc(moved, layout(size));
            }
        }
    }

    #[test]
    fn what_is_no_buffer_comes_from_the_system() {
        static ALLOCATOR: Allocator = Allocator::new();
        for size in [1, BUFFER - 1, BUFFER + 1] {
            // SAFETY: the size is not zero.
            unsafe {
                let other = ALLOCATOR.alloc(layout(size));
                assert!(ALLOCATOR.number(other, layout(size)).is_none());
                ALLOCATOR.dealloc(other, layout(size));
            }
        }
    }
}
