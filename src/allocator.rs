//! The memory that the allocator holds for later.

/// Gives memory that is free back to the system.
///
/// glibc keeps what a program has freed, for as long as something later in the same arena is still in
/// use: after a busy day the process would stay as large as in its busiest hour. Takes milliseconds, in
/// which the allocator is busy, so it is for after a large part was freed. Other C libraries do without.
/// (`malloc_trim(3)`)
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no safe function gives it back")]
pub fn give_back() {
    // SAFETY: it takes no pointers, may be called from any thread, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives memory that is free back to the system, which this C library does by itself.
#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}
