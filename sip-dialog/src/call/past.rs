//! What is known of dialogs whose call has ended, until nothing can come for them any more: which reliable provisional response still waits for
//! its PRACK, and that an INVITE wants to replace what is over.
//!
//! Owns the tables of such dialogs, which go by a keyed hash of their ids. Never brings one back.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use sip_message::{Header, Message, Method, RAck, StatusCode};
use sip_transaction::{Endpoint, Instant, ServerTxId};

use super::callee::Ringing;
use crate::agent::{IdMap, UserAgentCore, status};
use crate::body;
use crate::id::DialogId;
use crate::offer_answer::{Meaning, OfferAnswer, Place};

/// A reliable provisional response that was not acknowledged when the final one went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unpracked {
    rseq: u32,
    cseq: u32,
    oa: OfferAnswer,
}

/// The dialogs that are over.
#[derive(Debug, Default)]
pub(crate) struct PastDialogs {
    /// Each at the place that its hash says, with the time until which it counts: the later one takes the place of the earlier. That costs each
    /// call next to nothing, and there is nothing to clear away.
    over: Vec<(u64, Instant)>,
    /// Those whose PRACK is still to come.
    unpracked: IdMap<u64, (Instant, Unpracked)>,
    /// When each of these is forgotten, the earliest first: all are kept for the same time.
    order: VecDeque<(Instant, u64)>,
}

impl PastDialogs {
    /// How many still wait for a PRACK.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// When [`forget`](PastDialogs::forget) has something to do.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.front().map(|(until, _)| *until)
    }

    /// Forgets those whose time is over.
    pub(crate) fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
    }

    fn place(&self, ids: u64) -> usize {
        ((u128::from(ids) * self.over.len() as u128) >> 64) as usize
    }

    fn insert(&mut self, ids: u64, until: Instant, most: usize) {
        if self.over.is_empty() {
            self.over.resize(most, (0, Instant::ZERO));
        }
        let place = self.place(ids);
        if let Some(over) = self.over.get_mut(place) {
            *over = (ids, until);
        }
    }

    fn is_over(&self, ids: u64, now: Instant) -> bool {
        self.over.get(self.place(ids)).is_some_and(|(held, until)| *held == ids && *until > now)
    }

    fn await_prack(&mut self, ids: u64, until: Instant, unpracked: Unpracked, most: usize) {
        if self.order.len() >= most {
            self.forget_first();
        }
        self.order.push_back((until, ids));
        self.unpracked.insert(ids, (until, unpracked));
    }

    /// The PRACK has come: nothing more does.
    fn take(&mut self, ids: u64) -> Option<OfferAnswer> {
        let (until, Unpracked { oa, .. }) = self.unpracked.remove(&ids)?;
        let first = self.order.partition_point(|(at, _)| *at < until);
        let place = self.order.iter().skip(first).position(|entry| *entry == (until, ids));
        if let Some(place) = place {
            self.order.remove(first + place);
        }
        Some(oa)
    }

    fn forget_first(&mut self) {
        let Some((until, ids)) = self.order.pop_front() else { return };
        // One that was put in again stays until its second time.
        if self.unpracked.get(&ids).is_some_and(|(held, _)| *held <= until) {
            self.unpracked.remove(&ids);
        }
    }
}

impl UserAgentCore {
    /// The reliable provisional response of a callee that waits for its PRACK while the final response goes, or is gone.
    pub(crate) fn unpracked_of(&self, ringing: &Ringing, dialog: DialogId) -> Option<Unpracked> {
        let oa = self.dialogs.get(dialog)?.oa;
        let waits = ringing.pending.is_some() || ringing.unpracked;
        waits.then_some(Unpracked { rseq: ringing.rseq, cseq: ringing.cseq, oa })
    }

    /// Remembers a dialog whose call ends, for as long as the peer may go on sending what it began to: 64*T1.
    pub(crate) fn remember(&mut self, ep: &Endpoint, dialog: DialogId, unpracked: Option<Unpracked>) {
        let most = self.config.limits.past_dialogs;
        let Some(entry) = self.dialogs.get(dialog).filter(|_| most > 0) else { return };
        let ids = self.hash(&entry.dialog.ids());
        let until = self.now + ep.config().timers.t1.saturating_mul(64);
        self.past.insert(ids, until, most);
        if let Some(unpracked) = unpracked {
            self.past.await_prack(ids, until, unpracked, most);
        }
    }

    /// Whether these are the ids of a dialog that has ended not long ago.
    pub(crate) fn is_past(&self, call_id: &str, local_tag: &str, remote_tag: &str) -> bool {
        let ids = [call_id.as_bytes(), local_tag.as_bytes(), remote_tag.as_bytes()];
        self.past.is_over(self.hash(&ids), self.now)
    }

    fn unpracked_by(&self, prack: &Message) -> Option<u64> {
        if self.past.len() == 0 {
            return None;
        }
        let ids = prack.dialog_ids().ok()?;
        let key = self.hash(&[ids.call_id, ids.to_tag?, ids.from_tag.unwrap_or_default()]);
        let (_, waits) = self.past.unpracked.get(&key).filter(|(until, _)| *until > self.now)?;
        let rack = prack.value::<RAck<'_>>(Header::RAck).ok().flatten()?;
        let same = rack.rseq == waits.rseq && rack.cseq.number == waits.cseq && rack.cseq.method == Method::Invite;
        same.then_some(key)
    }

    /// Whether a request is a PRACK that is still owed its 2xx.
    pub(crate) fn awaits_late(&self, request: &Message) -> bool {
        request.method() == Some(Method::Prack) && self.unpracked_by(request).is_some()
    }

    /// The offer and answer of an INVITE that is answered for good, if this is the PRACK for what was sent before; once.
    pub(crate) fn take_late(&mut self, prack: &Message) -> Option<OfferAnswer> {
        let key = self.unpracked_by(prack)?;
        self.past.take(key)
    }

    /// A PRACK came for a call that is over.
    //= https://www.rfc-editor.org/rfc/rfc3262#section-3
    //# If the UAS does send a final response when reliable responses are still
    //# unacknowledged, it SHOULD NOT continue to retransmit the unacknowledged
    //# reliable provisional responses, but it MUST be prepared to process PRACK
    //# requests for those outstanding responses.
    pub(crate) fn on_late_prack(&mut self, ep: &mut Endpoint, tx: ServerTxId, message: Box<Message>) {
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# If a PRACK request is received by the UA core that does not match any
        //# unacknowledged reliable provisional response, the UAS MUST respond to
        //# the PRACK with a 481 response.
        let Some(mut oa) = self.take_late(&message) else { return self.reply(ep, tx, &message, status(481)) };
        let offers = body::carries_session(&message) && oa.received(Place::Prack) == Ok(Meaning::Offer);
        //= https://www.rfc-editor.org/rfc/rfc3262#section-5
        //# If the UAS receives a PRACK with an offer, it MUST place the answer in
        //# the 2xx to the PRACK.
        // Nobody is there to take what is offered, and nothing is taken of it.
        match body::refusal(&message).filter(|_| offers) {
            Some(answer) => {
                let builder = self.response(ep, tx, &message, StatusCode::OK);
                self.finish(ep, tx, answer.on_response(builder));
            }
            None => self.reply(ep, tx, &message, StatusCode::OK),
        }
    }
}
