//! The memory that the allocator holds for later.
//!
//! Only glibc's needs to be told; other C libraries do without.

/// The least bytes of one allocation that are the system's own again as soon as they are freed.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 1024 * 1024;

/// Lets large allocations go back to the system when they are freed. Call it once, at the start.
///
/// By itself, glibc does so only until the first was freed. From then on it keeps allocations of that
/// size for the thread that had them: the 19 MiB of a password's hash, for each thread that ever
/// computed one. (`mallopt(3)`, `M_MMAP_THRESHOLD`)
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no safe function sets it")]
pub fn map_large_allocations() {
    // SAFETY: it takes no pointers. What cannot be set stays as it was.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Gives memory that is free back to the system.
///
/// glibc keeps what a program has freed, for as long as something later in the same arena is still in
/// use: after a busy day the process would stay as large as in its busiest hour. Takes milliseconds, in
/// which the allocator is busy, so it is for after a large part was freed. (`malloc_trim(3)`)
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no safe function gives it back")]
pub fn return_free_memory() {
    // SAFETY: it takes no pointers, may be called from any thread, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Nothing, as large allocations go back to the system by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn map_large_allocations() {}

/// Nothing, as memory that is free goes back to the system by itself.
#[cfg(not(target_env = "gnu"))]
pub fn return_free_memory() {}
