//! Settings of the allocator, so that freed memory returns to the operating system.
//!
//! Only glibc's allocator needs them.

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
