//! Group `ws`. WebSocket: frames decoded and encoded, handshakes.

use crate::report::Report;

/// Runs the group.
pub fn run(_report: &mut Report) {}
