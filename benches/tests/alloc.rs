//! The counting allocator counts calls, bytes and what is kept. A program of its own: the harness of other tests allocates beside them.

use benches::alloc::measure;

fn main() {
    let (kept, counted) = measure(|| {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(100)));
        Vec::<u8>::with_capacity(1000)
    });
    assert_eq!((counted.calls, counted.bytes, counted.live), (2, 1100, 1000), "{counted:?}");
    drop(kept);
}
