//! SIP dialogs and user-agent logic: calls, registrations, subscriptions, transfer, authentication; sans-IO.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
