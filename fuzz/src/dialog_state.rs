//! Bytes that claim to be an exported state: refused, or taken in; never a panic, then or later.

use sip_dialog::{UserAgent, UserAgentConfig};
use sip_transaction::{Instant, Transport};
use std::time::Duration;

/// Runs the target.
pub fn run(data: &[u8]) {
    let config = UserAgentConfig::new("<sip:1@192.0.2.1>");
    let mut agent = UserAgent::new(Default::default(), config.into(), [1; 32]);
    let (core, endpoint) = agent.parts();
    let Ok(flow) = endpoint.bind(Transport::Udp, ([192, 0, 2, 1], 5060).into()) else { return };
    // The name and version that exports of today have: others are refused for that alone.
    let mut state = core.export(Instant::ZERO);
    state.truncate(b"sip-dialog".len() + 1);
    state.extend_from_slice(data);
    if core.import(endpoint, Instant::ZERO, &state, |_| Some(flow)).is_err() {
        assert!(core.is_idle(), "what is refused changes nothing");
        return;
    }
    for second in 0..100 {
        agent.handle_timeout(Instant::ZERO + Duration::from_secs(second * 40));
        while agent.poll_event().is_some() {}
        while agent.poll_transmit().is_some() {}
    }
}
