//! How much memory each stage holds, and how much there is.
//!
//! Stages run side by side in one process, so the system cannot tell their memory apart. The allocator can: every thread that works for a
//! stage has the stage's [`Account`], and what it allocates is put down there.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Bytes that a thread allocates or frees before it puts them down, so that threads seldom write to the same place.
const BATCH: i64 = 64 << 10;

/// Memory of one stage.
#[derive(Debug, Default)]
pub struct Account {
    held: AtomicI64,
    most: AtomicI64,
}

thread_local! {
    // Neither needs to be made or dropped, which would allocate inside the allocator.
    static ACCOUNT: Cell<Option<&'static Account>> = const { Cell::new(None) };
    static PENDING: Cell<i64> = const { Cell::new(0) };
}

/// Whether some allocation went through [`Counting`].
static COUNTED: AtomicBool = AtomicBool::new(false);

impl Account {
    /// A new account. It stays for as long as the program: a thread might still free what it allocated for the stage.
    pub(super) fn open() -> &'static Self {
        Box::leak(Box::default())
    }

    /// Has this thread's allocations put down here from now on.
    pub(super) fn charge_thread(&'static self) {
        ACCOUNT.set(Some(self));
        PENDING.set(0);
    }

    /// The most that was held at once, in bytes, up to 64 KiB a thread; none if the program's allocator keeps no account.
    pub(super) fn most(&self) -> Option<u64> {
        let most = self.most.load(Ordering::Relaxed).max(0);
        COUNTED.load(Ordering::Relaxed).then_some(most as u64)
    }

    fn put_down(&self, bytes: i64) {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.most.fetch_max(held, Ordering::Relaxed);
    }
}

fn count(bytes: i64) {
    let Some(account) = ACCOUNT.get() else { return };
    let pending = PENDING.get() + bytes;
    if pending.abs() < BATCH {
        PENDING.set(pending);
        return;
    }
    PENDING.set(0);
    COUNTED.store(true, Ordering::Relaxed);
    account.put_down(pending);
}

/// An allocator that keeps account of what each stage holds. A program that wants to know makes it its global allocator:
///
/// ```
/// use std::alloc::System;
///
/// #[global_allocator]
/// static ALLOCATOR: standin_bench::executor::Counting<System> = standin_bench::executor::Counting(System);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting<A>(pub A);

// SAFETY: every call is handed on unchanged; counting neither allocates nor unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { self.0.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { self.0.realloc(memory, layout, size) }
    }
}

/// Memory that could be used now, in bytes, where the system tells (Linux): what is free or can be freed, but no more than this
/// process's control group may still have.
pub fn available_bytes() -> Option<u64> {
    let free = available_in(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    let of_group =
        |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    let group = of_group("memory.max").map(|most| most.saturating_sub(of_group("memory.current").unwrap_or(0)));
    Some(group.map_or(free, |group| group.min(free)))
}

/// Reads `MemAvailable:   23456 kB` of `proc_meminfo(5)`; the unit is always 1024 bytes.
fn available_in(information: &str) -> Option<u64> {
    let line = information.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::alloc::System;
    use std::thread;

    use super::*;

    /// Allocates through [`Counting`] without being the program's allocator.
    fn hold(bytes: usize) -> (*mut u8, Layout) {
        let layout = Layout::from_size_align(bytes, 8).unwrap();
        // SAFETY: the size is not zero.
        (unsafe { Counting(System).alloc(layout) }, layout)
    }

    fn release((memory, layout): (*mut u8, Layout)) {
        // SAFETY: it was allocated by `hold` with this layout.
        unsafe { Counting(System).dealloc(memory, layout) }
    }

    #[test]
    fn an_account_knows_the_most_that_its_threads_held_at_once() {
        let (first, second) = (Account::open(), Account::open());
        thread::scope(|scope| {
            scope.spawn(|| {
                first.charge_thread();
                release(hold(10 << 20));
                release(hold(30 << 20));
            });
            scope.spawn(|| {
                second.charge_thread();
                let kept = [hold(20 << 20), hold(5 << 20)];
                kept.into_iter().for_each(release);
            });
        });
        assert_eq!((first.most(), second.most()), (Some(30 << 20), Some(25 << 20)));
    }

    #[test]
    fn many_small_pieces_add_up() {
        let account = Account::open();
        thread::scope(|scope| {
            scope.spawn(|| {
                account.charge_thread();
                let pieces: Vec<_> = (0..10_000).map(|_| hold(1_000)).collect();
                pieces.into_iter().for_each(release);
            });
        });
        let most = account.most().unwrap();
        assert!(most <= 10_000_000 && most + BATCH as u64 > 10_000_000, "{most}");
    }

    #[test]
    fn free_memory_is_read_in_bytes() {
        assert_eq!(available_in("MemTotal: 9 kB\nMemAvailable:    5120 kB\n"), Some(5120 * 1024));
        assert_eq!(available_in("MemTotal: 9 kB\n"), None);
        if cfg!(target_os = "linux") {
            assert!(available_bytes() > Some(1 << 20));
        }
    }
}
