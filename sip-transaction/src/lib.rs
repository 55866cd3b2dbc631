//! SIP transactions, transport rules and target location (RFC 3261, 6026, 3263) as a sans-IO endpoint.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
