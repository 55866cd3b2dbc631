//! The published peer whose transactions can be driven like ours: without sockets, with time handed in.
//!
//! sipx-sip leaves timers to its host, so a host's queue stands beside it: one for the one duration there is, the cheapest that
//! does. Other published stacks run transactions as tasks over sockets or channels of their runtime; a figure of those would be
//! the runtime's.

use super::{Kind, Template, request_text};
use bytes::Bytes;
use sipx_sip::message::{Header, Response};
use sipx_sip::name::HeaderName;
use sipx_sip::parser::{Limits, parse_datagram};
use sipx_sip::transaction::{Dispatch, Output, Reliability, Timer, Timers, TransactionKey, TransactionLayer, TuEvent};
use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

/// sipx-sip as non-INVITE UAS.
pub(super) struct SipxUas {
    layer: TransactionLayer,
    timers: VecDeque<(Duration, TransactionKey, Timer)>,
    now: Duration,
    step: Duration,
    request: Template,
    limits: Limits,
    pub(super) sent: usize,
}

impl SipxUas {
    pub(super) fn new(live: usize) -> Self {
        let mut run = SipxUas {
            layer: TransactionLayer::new(Timers::default()),
            timers: VecDeque::new(),
            now: Duration::ZERO,
            step: Kind::Uas.life() / live as u32,
            request: Template::new(request_text("OPTIONS", "")),
            limits: Limits::datagram(),
            sent: 0,
        };
        for _ in 0..live + live / 4 {
            run.one();
        }
        run
    }

    pub(super) fn live(&self) -> usize {
        self.layer.len().1
    }

    /// One transaction more, one less.
    pub(super) fn one(&mut self) {
        self.now += self.step;
        let bytes = Bytes::copy_from_slice(self.request.next());
        let message = parse_datagram(bytes, &self.limits).expect("it is well formed");
        let Dispatch::Created { key, outputs } = self.layer.receive(message, Reliability::Unreliable) else {
            panic!("a new transaction");
        };
        for output in outputs {
            if let Output::ToTu(event) = output {
                if let TuEvent::Request(request) = *event {
                    let response = answer(&request.headers).expect("a response");
                    let outputs = self.layer.send_response(&key, response);
                    self.carry_out(&key, outputs);
                }
            }
        }
        while self.timers.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((_, key, timer)) = self.timers.pop_front() else { break };
            black_box(self.layer.on_timer(&key, timer));
        }
    }

    fn carry_out(&mut self, key: &TransactionKey, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send(message) => self.sent = black_box(message.to_bytes()).len(),
                Output::SetTimer { timer, after } => self.timers.push_back((self.now + after, key.clone(), timer)),
                _ => {}
            }
        }
    }
}

/// 200 (OK), with what RFC 3261 section 8.2.6 wants copied.
fn answer(request: &sipx_sip::message::Headers) -> Option<Response> {
    let mut response = Response::new(sipx_sip::message::StatusCode::new(200)?, &b"OK"[..]);
    for name in [HeaderName::Via, HeaderName::From] {
        request.get_all(&name).for_each(|header| response.headers.push(header.clone()));
    }
    let mut to = request.get(&HeaderName::To)?.raw_value().to_vec();
    to.extend_from_slice(b";tag=8321234356");
    response.headers.push(Header::build(HeaderName::To, to).ok()?);
    for name in [HeaderName::CallId, HeaderName::CSeq] {
        request.get_all(&name).for_each(|header| response.headers.push(header.clone()));
    }
    response.headers.push(Header::build(HeaderName::ContentLength, &b"0"[..]).ok()?);
    Some(response)
}
