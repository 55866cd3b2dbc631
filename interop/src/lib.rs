//! Tests of the sip-* crates against real peers.
