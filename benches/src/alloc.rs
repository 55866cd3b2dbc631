//! The counting global allocator of this crate.
//!
//! It counts only while somebody measures, so that timed rounds pay one relaxed load per allocation and nothing else.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

static COUNTING: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

impl Counting {
    fn note(&self, asked: usize, given_back: usize) {
        if COUNTING.load(Relaxed) {
            if asked > 0 {
                CALLS.fetch_add(1, Relaxed);
                BYTES.fetch_add(asked as u64, Relaxed);
            }
            LIVE.fetch_add(asked as i64 - given_back as i64, Relaxed);
        }
    }
}

// SAFETY: every call goes to the system allocator with its arguments unchanged; the counters touch no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.note(layout.size(), 0);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.note(layout.size(), 0);
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        self.note(new_size, layout.size());
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        self.note(0, layout.size());
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// What was asked of the allocator while something was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocations {
    /// Calls of `alloc`, `alloc_zeroed` and `realloc`.
    pub calls: u64,
    /// Bytes asked for by those calls.
    pub bytes: u64,
    /// Bytes still held at the end, less those given back that were held before.
    pub live: i64,
}

/// Runs `work` and tells what all threads together asked of the allocator meanwhile.
///
/// What `work` returns is still alive when [`Allocations::live`] is taken: return what is to be weighed. Measurements
/// do not nest, and two at the same time count into one another.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Allocations) {
    let before = (CALLS.load(Relaxed), BYTES.load(Relaxed), LIVE.load(Relaxed));
    COUNTING.store(true, Relaxed);
    let result = work();
    COUNTING.store(false, Relaxed);
    let counted = Allocations {
        calls: CALLS.load(Relaxed) - before.0,
        bytes: BYTES.load(Relaxed) - before.1,
        live: LIVE.load(Relaxed) - before.2,
    };
    (result, counted)
}
