//! SIP messages: a zero-copy parser, lazy typed headers, URIs, builders, in-place edits and stream framing.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
