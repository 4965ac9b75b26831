//! Memory that was freed, given back to the system.
//!
//! The allocator keeps a page that was freed unless it lies at the end of its heap, and what lives longer than a
//! connection lies between the pages of many. Other allocators kept as much (`benches/websockets.py`).

use std::time::Duration;

use crate::error::Result;

/// Between two looks at how many connections are open.
const LOOK: Duration = Duration::from_secs(1);

/// Connections that must have closed since pages were given back: some megabytes of buffers. Fewer are not worth a walk
/// through all heaps, and a server with as many comings as goings is left alone.
const CLOSED: usize = 64;

/// Gives pages back after many connections have closed. `open` tells how many are open.
pub(super) async fn keep_giving_back(open: impl Fn() -> usize) -> Result<()> {
    let mut looks = tokio::time::interval(LOOK);
    let mut most = 0;
    loop {
        looks.tick().await;
        let now = open();
        most = most.max(now);
        if most - now >= CLOSED {
            most = now;
            // It holds a heap's lock while it walks through it.
            drop(tokio::task::spawn_blocking(give_back).await);
        }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library has no safe form of it")]
fn give_back() {
    // SAFETY: takes no pointer, locks each heap by itself and touches only what was freed.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries have no call for it.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}
