//! SIP registrar, location service, proxy and redirect server as sans-IO cores.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
