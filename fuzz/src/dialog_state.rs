//! Bytes that claim to be an exported state: refused, or taken in; never a panic, then or later.
//!
//! Input that begins with a byte of 0xff spoils a state that was exported: each three bytes behind it are a place, in two of them, and what
//! is turned over there. Any other input stands for all that follows name and version.

use sip_dialog::{Invite, Origin, Register, Subscribe, UserAgent, UserAgentConfig};
use sip_transaction::{FlowId, Instant, Transport};
use std::time::Duration;

fn agent() -> Option<(UserAgent, FlowId)> {
    let config = UserAgentConfig::new("<sip:1@192.0.2.1>");
    let mut agent = UserAgent::new(Default::default(), config.into(), [1; 32]);
    let flow = agent.parts().1.bind(Transport::Udp, ([192, 0, 2, 1], 5060).into()).ok()?;
    Some((agent, flow))
}

/// The state of a user agent that calls, registers and subscribes, or the name and version it begins with.
fn exported(busy: bool) -> Option<Vec<u8>> {
    let (mut agent, _) = agent()?;
    let (core, endpoint) = agent.parts();
    let now = Instant::ZERO;
    if busy {
        let (origin, peer) = (Origin::new("<sip:1@192.0.2.1>"), "sip:2@192.0.2.2");
        core.invite(endpoint, now, Invite::new(origin.clone(), peer)).ok()?;
        core.register(endpoint, now, Register::new(origin.clone(), "sip:192.0.2.2")).ok()?;
        core.subscribe(endpoint, now, Subscribe::new(origin, peer, "presence")).ok()?;
    }
    let mut state = core.export(now);
    if !busy {
        state.truncate(b"sip-dialog".len() + 1);
    }
    Some(state)
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let spoils = data.strip_prefix(&[0xff]);
    let Some(mut state) = exported(spoils.is_some()) else { return };
    match spoils {
        Some(edits) => {
            for edit in edits.chunks_exact(3) {
                let place = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % state.len();
                state[place] ^= edit[2];
            }
        }
        None => state.extend_from_slice(data),
    }
    let Some((mut agent, flow)) = agent() else { return };
    let (core, endpoint) = agent.parts();
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
