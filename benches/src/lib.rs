//! Benchmarks of the sip-* crates with published peers beside them.
//!
//! Two front ends share the workloads: `cargo run --release -p benches [--features peers] -- GROUP...` compares
//! libraries and prints ratios to a floor measured in the same run; `cargo bench -p benches --features criterion`
//! is criterion on ours alone, for watching one change.
//!
//! # Adding to a group
//!
//! A group is one module with `pub fn run(report: &mut Report)`, listed in [`GROUPS`]. Inside:
//!
//! ```
//! use benches::report::{Contender, Effort, Format, Report};
//!
//! fn run(report: &mut Report) {
//!     let text = "a line\nanother\n";
//!     report.heading("ratio to memchr");
//!     // The first contender is the floor. Each closure is one operation; what it returns is dropped in its time.
//!     report.compare("two lines", "scan", &mut [
//!         Contender::new("memchr", || memchr::memchr_iter(b'\n', text.as_bytes()).count()),
//!         Contender::new("std", || text.lines().count()),
//!     ]);
//!     // Memory: return what is to be weighed, and see what it holds.
//!     let (kept, counted) = benches::alloc::measure(|| vec![0_u8; 512]);
//!     report.figure("vec of 512", "memory", "std", counted.live as f64, "bytes", None);
//!     drop(kept);
//! }
//! run(&mut Report::new("example", Format::Tsv, Effort::QUICK));
//! ```
//!
//! - [`Contender::timed`](report::Contender::timed) is for operations with a preparation that must not count.
//! - A workload too long for [`Effort::QUICK`](report::Effort::QUICK) asks
//!   [`report.effort().is_quick()`](report::Effort::is_quick) and shortens itself.
//! - Peers are optional dependencies of feature `peers`: put their contenders behind `#[cfg(feature = "peers")]`, so
//!   that `cargo test --workspace` never builds them.
//! - What a criterion bench measures too belongs in [`workloads`].

pub mod alloc;
pub mod dialog;
pub mod instructions;
pub mod message;
pub mod report;
pub mod server;
pub mod softswitch;
pub mod transaction;
pub mod workloads;
pub mod ws;

use report::Report;

/// One group of benchmarks.
pub type Group = fn(&mut Report);

/// All groups by name, in the order in which `all` runs them.
pub const GROUPS: [(&str, Group); 6] = [
    ("message", message::run),
    ("ws", ws::run),
    ("transaction", transaction::run),
    ("dialog", dialog::run),
    ("server", server::run),
    ("softswitch", softswitch::run),
];
