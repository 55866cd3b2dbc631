//! What an endpoint tells `tracing`. A test binary with this test alone: which places are traced is remembered for the whole
//! process, and another thread without a subscriber could be the first to come by.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]
#![allow(clippy::disallowed_types, reason = "a subscriber is shared between threads")]

#[path = "it/common/mod.rs"]
mod common;

use common::{Pair, request};
use sip_message::Method;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the message of each event.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl Visit for Kept {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl Subscriber for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn inputs_and_outputs_are_traced() {
    let kept = Kept::default();
    tracing::subscriber::with_default(kept.clone(), || {
        let mut pair = Pair::new().answer("OPTIONS", &[200]);
        pair.request(request(Method::Options));
        pair.finish();
    });
    let seen = kept.0.lock().unwrap();
    // Request out, in, to the user; answer out, in, to the user; two ends.
    let count = |what: &str| seen.iter().filter(|message| *message == what).count();
    assert_eq!((count("transmit"), count("datagram"), count("event")), (2, 2, 4), "{seen:?}");
}
