//! A command-line SIP user agent built from the sip-* crates.

fn main() {}
