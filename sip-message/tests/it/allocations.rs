//! How often the parser and the reads allocate: never, but for messages with more than 24 header fields.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::counting::allocations;
use bytes::Bytes;
use sip_message::{Header, Message};

const MESSAGES: [(&str, &[u8], usize); 4] = [
    ("a", include_bytes!("../../../benches/data/a-invite-487.sip"), 0),
    ("b", include_bytes!("../../../benches/data/b-register-wss-563.sip"), 0),
    ("c", include_bytes!("../../../benches/data/c-ok-857.sip"), 0),
    ("d", include_bytes!("../../../benches/data/d-invite-5k.sip"), 1),
];

fn read(message: &Message) {
    let uri = message.request_uri().map(Result::unwrap);
    let from = message.from().unwrap();
    let to = message.to().unwrap();
    let _ = (from.uri().unwrap(), from.tag().unwrap(), to.uri().unwrap(), to.tag().unwrap(), uri);
    let _ = (message.call_id().unwrap(), message.cseq().unwrap(), message.max_forwards().unwrap());
    for via in message.vias() {
        let via = via.unwrap();
        let _ = (via.branch().unwrap(), via.sent_by().unwrap(), via.rport().unwrap(), via.received().unwrap());
    }
    for contact in message.contacts() {
        let contact = contact.unwrap();
        let _ = (contact.expires().unwrap(), contact.q().unwrap(), contact.reg_id().unwrap());
        let _ = contact.address().map(|address| address.uri().unwrap());
    }
    for route in message.routes().chain(message.record_routes()) {
        route.unwrap().uri().unwrap();
    }
}

#[test]
fn parsing_and_reading_do_not_allocate() {
    for (name, bytes, most) in MESSAGES {
        let bytes = Bytes::from_static(bytes);
        let count = allocations(|| {
            let message = Message::parse(bytes).unwrap();
            read(&message);
            for header in message.headers() {
                let _ = (header.name(), header.value());
            }
            let _ = (message.to_bytes(), message.body_bytes());
        });
        assert!(count <= most, "message {name}: {count} allocations");
    }
}

#[test]
fn forwarding_allocates_once() {
    for (name, bytes, most) in MESSAGES {
        let bytes = Bytes::from_static(bytes);
        let mut out = Vec::with_capacity(8192);
        let count = allocations(|| {
            let mut message = Message::parse(bytes).unwrap();
            if message.is_request() {
                message.push_via("SIP/2.0/UDP p1.example.com:5060;branch=z9hG4bK776asdhds87").unwrap();
                message.decrement_max_forwards().unwrap();
                message.push_record_route("<sip:p1.example.com;lr>").unwrap();
            } else {
                message.pop_via();
                message.set(Header::Server, "example").unwrap();
            }
            message.write_to(&mut out);
        });
        assert!(count <= most + 1, "message {name}: {count} allocations");
    }
}
