//! Benchmarks of the sip-* crates with published peers beside them.
