//! A SIP server on UDP, TCP, TLS, WS and WSS with a web page: registrar and proxy built from the sip-* crates.

fn main() {}
