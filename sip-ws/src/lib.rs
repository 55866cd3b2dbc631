//! WebSocket (RFC 6455, RFC 7692) and SIP over WebSocket (RFC 7118) as a sans-IO state machine.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
