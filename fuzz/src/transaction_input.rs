//! Any bytes on every kind of flow of an endpoint: no panic, no state that outlives the clock.
//!
//! The first byte says how the rest is cut: into datagrams, stream chunks or messages.

use crate::transaction_commands::{run_out, settle};
use sip_transaction::{Endpoint, EndpointConfig, Input, Instant, Transport};

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let mut config = EndpointConfig::default();
    config.stray_responses = cut & 128 != 0;
    let mut endpoint = Endpoint::new(config.into(), [1; 32]);
    let local = ([192, 0, 2, 1], 5060).into();
    let remote = ([192, 0, 2, 2], 5060).into();
    let socket = endpoint.bind(Transport::Udp, local).expect("a socket");
    let mut connections = Vec::new();
    for transport in Transport::ALL.into_iter().filter(|transport| transport.is_connected()) {
        let theirs = endpoint.accept(transport, local, remote).expect("a connection");
        let ours = endpoint.attach(transport, local, remote, Some("example.com")).expect("a connection");
        connections.extend([(transport, theirs), (transport, ours)]);
    }
    let len = usize::from(cut & 127).max(1);
    let chunks: Vec<&[u8]> = if cut & 127 == 0 { vec![data] } else { data.chunks(len * len).collect() };
    let now = Instant::ZERO;
    for bytes in chunks {
        let _ = endpoint.handle_input(now, Input::Datagram { flow: socket, remote, bytes });
        for &(transport, flow) in &connections {
            let stream = transport.is_stream();
            let input = if stream { Input::Stream { flow, bytes } } else { Input::Message { flow, bytes } };
            let _ = endpoint.handle_input(now, input);
        }
        settle(&mut endpoint, now);
    }
    run_out(&mut endpoint);
}
