//! Reliable provisional responses (RFC 3262), both ways.

use alloc::boxed::Box;
use core::time::Duration;
use sip_message::headers::Integer;
use sip_message::{Header, Message, Method, RAck};
use sip_transaction::{ClientTxId, Endpoint, Instant, ServerTxId};

use super::CallState;
use super::asked::Asked;
use super::callee::Progress;
use super::change::Kind;
use crate::agent::client::{Final, Purpose};
use crate::agent::server::Served;
use crate::agent::{UserAgentCore, status};
use crate::body::Body;
use crate::codec::wire;
use crate::deadlines::Deadline;
use crate::error::CommandError;
use crate::event::{CallEvent, EndCause};
use crate::id::{CallHandle, DialogId};
use crate::offer_answer::{Glare, Meaning, Place};
use crate::session_timer::has_token;

/// A reliable provisional response that waits for its PRACK.
#[derive(Debug)]
pub(crate) struct Pending {
    response: Box<Message>,
    interval: Duration,
    /// It carries a session description.
    pub(crate) session: bool,
}

/// What a provisional response is in the row of the reliable ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Unreliable,
    Next,
    Gap,
}

impl UserAgentCore {
    /// Where a provisional response that came in stands in the row.
    //= https://www.rfc-editor.org/rfc/rfc3262#section-4
    //# This sequence number MUST be maintained until a final response is
    //# received for the initial request.
    pub(crate) fn reliable_order(&mut self, dialog: DialogId, message: &Message) -> Order {
        //= https://www.rfc-editor.org/rfc/rfc3262#section-4
        //# If the response is a 100 (Trying) (as opposed to 101 to 199), this
        //# option tag MUST be ignored, and the procedures below MUST NOT be used.
        if !has_token(message, Header::Require, "100rel") {
            return Order::Unreliable;
        }
        let Some(rseq) = message.value::<Integer>(Header::RSeq).ok().flatten() else { return Order::Unreliable };
        let Some(entry) = self.dialogs.get_mut(dialog) else { return Order::Unreliable };
        //= https://www.rfc-editor.org/rfc/rfc3262#section-4
        //# Its value MUST be initialized to the RSeq header field in the first
        //# reliable provisional response received for the initial request.
        //= https://www.rfc-editor.org/rfc/rfc3262#section-4
        //# The UAC MUST maintain a sequence number that indicates the most recently
        //# received in-order reliable provisional response for the initial request.
        //= https://www.rfc-editor.org/rfc/rfc3262#section-4
        //# Once a reliable provisional response is received, retransmissions of
        //# that response MUST be discarded.
        //= https://www.rfc-editor.org/rfc/rfc3262#section-4
        //# As a result, if the UAC receives another reliable provisional response
        //# to the same request, and its RSeq value is not one higher than the value
        //# of the sequence number, that response MUST NOT be acknowledged with a
        //# PRACK, and MUST NOT be processed further by the UAC.
        // While one waits for the host's PRACK, the next is left to its retransmission.
        if entry.unpracked || entry.rseq != 0 && rseq.0 != entry.rseq.wrapping_add(1) {
            return Order::Gap;
        }
        entry.rseq = rseq.0;
        Order::Next
    }

    /// Sends the PRACK for a reliable provisional response.
    //= https://www.rfc-editor.org/rfc/rfc3262#section-4
    //# Assuming the response is to be transmitted reliably, the UAC MUST create
    //# a new request with method PRACK.
    pub(crate) fn send_prack(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        dialog: DialogId,
        response: &Message,
        answer: Option<Body>,
    ) {
        let Ok(cseq) = response.cseq() else { return };
        let _ = self.acknowledge_reliable(ep, call, dialog, cseq.number, answer);
    }

    /// Sends the PRACK that a call with [`prack_by_host`](crate::Invite::prack_by_host) waits for, with an offer of the host's or
    /// without one. The answer to the offer comes in the 2xx, as [`Answered`](CallEvent::Answered); if there is none,
    /// [`ChangeFailed`](CallEvent::ChangeFailed) says so.
    ///
    /// # Errors
    ///
    /// No reliable provisional response of that dialog waits for its PRACK, or it has an offer, which
    /// [`answer_early`](UserAgentCore::answer_early) answers; an offer is given before the first one has its answer.
    //= https://www.rfc-editor.org/rfc/rfc3262#section-5
    //# If the UAC receives a reliable provisional response with an answer, it
    //# MAY generate an additional offer in the PRACK.
    pub fn prack(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        dialog: DialogId,
        offer: Option<Body>,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let invite = self.unpracked(call, dialog, false)?;
        if offer.is_some() && !self.dialogs.get(dialog).is_some_and(|entry| entry.oa.may_send(Place::Prack)) {
            return Err(CommandError::Pending);
        }
        self.acknowledge_reliable(ep, call, dialog, invite, offer)
    }

    /// The number of the INVITE whose reliable provisional response waits for the host: for its answer to the offer in it, or for
    /// what else goes into the PRACK.
    pub(crate) fn unpracked(&self, call: CallHandle, dialog: DialogId, answer: bool) -> Result<u32, CommandError> {
        let found = self.command_call(call)?;
        let waits = self.dialogs.get(dialog).is_some_and(|entry| {
            let offered = entry.oa.remote_offer() == Some(Place::Reliable);
            entry.unpracked && entry.call == Some(call) && offered == answer
        });
        if !waits {
            return Err(CommandError::WrongState);
        }
        // An UPDATE of ours may be under way beside the INVITE.
        let change = found.change.as_ref().filter(|change| change.kind == Kind::Invite);
        let tx = change.and_then(|change| change.tx).or(found.client);
        let request = tx.and_then(|tx| self.clients.get(&tx)).and_then(|client| client.request.as_ref());
        let cseq = request.and_then(|request| request.cseq().ok()).ok_or(CommandError::WrongState)?;
        Ok(cseq.number)
    }

    /// The host has left reliable provisional responses without their PRACKs: they get ones without an offer. `false` if there is
    /// one whose offer only the host could answer.
    pub(crate) fn prack_for_host(&mut self, ep: &mut Endpoint, call: CallHandle) -> bool {
        let Some(found) = self.calls.get(call) else { return true };
        let mut done = true;
        for dialog in found.early.clone() {
            if let Ok(invite) = self.unpracked(call, dialog, false) {
                let _ = self.acknowledge_reliable(ep, call, dialog, invite, None);
            }
            done &= self.unpracked(call, dialog, true).is_err();
        }
        done
    }

    /// A provisional response to a re-INVITE of ours.
    //= https://www.rfc-editor.org/rfc/rfc3262#section-4
    //# If a provisional response is received for an initial request, and that
    //# response contains a Require header field containing the option tag
    //# 100rel, the response is to be sent reliably.
    pub(crate) fn on_change_progress(
        &mut self,
        ep: &mut Endpoint,
        tx: ClientTxId,
        call: CallHandle,
        dialog: DialogId,
        message: Box<Message>,
    ) {
        let ours = self.calls.get(call).and_then(|found| found.change.as_ref());
        if ours.is_none_or(|change| change.tx != Some(tx) || change.kind != Kind::Invite) {
            return;
        }
        let reliable = match self.reliable_order(dialog, &message) {
            Order::Gap => return,
            Order::Unreliable => false,
            Order::Next => true,
        };
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        let moved = reliable && entry.take_target(&message);
        let session = entry.read_session(if reliable { Place::Reliable } else { Place::Provisional }, &message);
        if reliable {
            entry.unpracked = session == Some(Meaning::Offer);
            if entry.unpracked {
                let wait = self.config.answer;
                self.deadlines.after(Deadline::Answer(call), self.now, wait);
            } else {
                self.send_prack(ep, call, dialog, &message, None);
            }
        }
        if session == Some(Meaning::Answer) {
            if let Some(found) = self.calls.get_mut(call) {
                found.keep_offered();
            }
        }
        self.call_event(call, CallEvent::Progress { dialog: Some(dialog), message, session });
        self.tell_moved(call, moved);
        self.take_hold(call, dialog);
    }

    /// Sends a PRACK for the last reliable provisional response of a dialog.
    pub(crate) fn acknowledge_reliable(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        dialog: DialogId,
        invite: u32,
        body: Option<Body>,
    ) -> Result<(), CommandError> {
        let Some(entry) = self.dialogs.get_mut(dialog) else { return Err(CommandError::Unknown) };
        let rack = alloc::format!("{} {invite} INVITE", entry.rseq);
        let (mut oa, mut holding) = (entry.oa, entry.holding);
        let mut builder = entry.dialog.upcoming(Method::Prack).header(Header::RAck, rack);
        let (mut answer, mut offers) = (None, false);
        if let Some(body) = body {
            //= https://www.rfc-editor.org/rfc/rfc3262#section-5
            //# If the UAC receives a reliable provisional response with an offer (this
            //# would occur if the UAC sent an INVITE without an offer, in which case
            //# the first reliable provisional response will contain the offer), it MUST
            //# generate an answer in the PRACK.
            let meaning = oa.sent(Place::Prack).ok_or(CommandError::BodyNotAllowed)?;
            holding.said(meaning, &body.bytes);
            offers = meaning == Meaning::Offer;
            answer = (!offers).then(|| body.clone());
            builder = body.on_request(builder);
        }
        let prack = self.dress(builder).build_boxed()?;
        self.send_in_dialog(ep, dialog, prack, Purpose::Prack(call, dialog, offers))?;
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.oa = oa;
            entry.holding = holding;
            entry.unpracked = false;
        }
        if let Some(answer) = answer {
            self.keep_session(call, dialog, answer);
        }
        self.take_hold(call, dialog);
        self.settle_answer(call);
        Ok(())
    }

    /// A PRACK of ours with an offer in it was answered. Of the others there is nothing to tell.
    pub(crate) fn on_prack_done(&mut self, call: CallHandle, dialog: DialogId, outcome: Final) {
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        let offered = entry.oa.local_offer() == Some(Place::Prack);
        if let (true, Some(response)) = (outcome.status.is_success(), &outcome.response) {
            if let Some(session) = entry.read_session(Place::PrackOk, response) {
                let message = response.clone();
                if let Some(body) = outcome.request.as_deref().and_then(Body::of) {
                    self.keep_session(call, dialog, body);
                }
                self.call_event(call, CallEvent::Answered { message, session: Some(session) });
                return self.take_hold(call, dialog);
            }
        }
        // Without a 2xx the provisional response is lost; the final one of the INVITE decides what becomes of the call.
        entry.oa.failed(Place::Prack);
        if offered {
            let event = CallEvent::ChangeFailed { message: outcome.response, status: outcome.status };
            self.call_event(call, event);
        }
    }

    /// Sends a provisional response reliably.
    //= https://www.rfc-editor.org/rfc/rfc3262#section-3
    //# In addition, it MUST contain a Require header field containing the
    //# option tag 100rel, and MUST include an RSeq header field.
    pub(crate) fn send_reliable(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        tx: ServerTxId,
        dialog: DialogId,
        progress: Progress,
    ) -> Result<(), CommandError> {
        let random = self.random();
        let Some(ringing) = self.calls.get(call).and_then(|found| found.ringing.as_ref()) else {
            return Err(CommandError::WrongState);
        };
        let Some(entry) = self.dialogs.get(dialog) else { return Err(CommandError::Unknown) };
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# The value of the header field for the first reliable provisional
        //# response in a transaction MUST be between 1 and 2**31 - 1.
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# The value of the RSeq in each subsequent reliable provisional response
        //# for the same request MUST be greater by exactly one.
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# RSeq numbers MUST NOT wrap around.
        let rseq = if ringing.rseq == 0 { 1 + random % 0x3fff_ffff } else { ringing.rseq.saturating_add(1) };
        let (mut oa, mut holding) = (entry.oa, entry.holding);
        let session = progress.body.is_some();
        if let Some(body) = &progress.body {
            let meaning = oa.sent(Place::Reliable).ok_or(CommandError::BodyNotAllowed)?;
            holding.said(meaning, &body.bytes);
        } else if oa.invite_needs_body() && ringing.rseq == 0 {
            //= https://www.rfc-editor.org/rfc/rfc3262#section-5
            //# Similarly, if a reliable provisional response is the first reliable
            //# message sent back to the UAC, and the INVITE did not contain an offer,
            //# one MUST appear in that reliable provisional response.
            return Err(CommandError::BodyNeeded);
        }
        let request = &ringing.request;
        let mut builder = self
            .dialog_response(ep, tx, request, progress.status, &entry.contact, false)
            .header(Header::Require, "100rel")
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.4
            //# The needed extension(s) MUST be included in a Require header field in
            //# the response.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.4
            //# Any extensions applied to a non-421 response MUST be listed in a Require
            //# header field included in the response.
            .header(Header::RSeq, rseq);
        builder = self.tell_packages(builder, request);
        builder = progress.headers.on_response(builder);
        if let Some(body) = progress.body {
            builder = body.on_response(builder);
        }
        let response = builder.build_boxed()?;
        ep.respond_ref(self.now, tx, &response)?;
        let t1 = ep.config().timers.t1;
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.oa = oa;
            entry.holding = holding;
        }
        if let Some(ringing) = self.calls.get_mut(call).and_then(|found| found.ringing.as_mut()) {
            ringing.rseq = rseq;
            ringing.terminated |= response.status().is_some_and(|status| status.code() == 199);
            ringing.pending = Some(Pending { response, interval: t1, session });
        }
        self.deadlines.clear(Deadline::Progress(call));
        self.deadlines.after(Deadline::Reliable(call), self.now, t1);
        self.deadlines.after(Deadline::ReliableLost(call), self.now, t1.saturating_mul(64));
        Ok(())
    }

    /// The reliable provisional response is sent again, at doubling intervals.
    pub(crate) fn on_reliable_due(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let (Some(tx), Some(ringing)) = (found.server, found.ringing.as_mut()) else { return };
        let Some(pending) = ringing.pending.as_mut() else { return };
        pending.interval = pending.interval.saturating_mul(2);
        let _ = ep.respond_ref(self.now, tx, &pending.response);
        self.deadlines.after(Deadline::Reliable(call), self.now, pending.interval);
    }

    //= https://www.rfc-editor.org/rfc/rfc3262#section-3
    //# If a reliable provisional response is retransmitted for 64*T1 seconds
    //# without reception of a corresponding PRACK, the UAS SHOULD reject the
    //# original request with a 5xx response.
    pub(crate) fn on_reliable_lost(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let _ = self.finish_call(ep, call, EndCause::NotPracked, None);
    }

    /// PRACK came.
    pub(crate) fn on_prack(
        &mut self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        dialog: DialogId,
        call: CallHandle,
        message: Box<Message>,
    ) {
        let rack = message.value::<RAck<'_>>(Header::RAck).ok().flatten();
        let matches = |core: &Self| {
            let ringing = core.calls.get(call)?.ringing.as_ref()?;
            let rack = rack?;
            let same =
                rack.rseq == ringing.rseq && rack.cseq.number == ringing.cseq && rack.cseq.method == Method::Invite;
            // After a final response the PRACK is still answered, though nothing waits for it; once, as before.
            (same && (ringing.pending.is_some() || ringing.unpracked)).then_some(())
        };
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# If a PRACK request is received by the UA core that does not match any
        //# unacknowledged reliable provisional response, the UAS MUST respond to
        //# the PRACK with a 481 response.
        if matches(self).is_none() && !self.awaits_late(&message) {
            return self.reply(ep, tx, &message, status(481));
        }
        let mut session = None;
        if crate::body::carries_session(&message) {
            let Some(entry) = self.dialogs.get_mut(dialog) else { return };
            match entry.oa.received(Place::Prack) {
                Ok(Meaning::Nothing) => {}
                Ok(meaning) => {
                    entry.holding.heard(meaning, message.body());
                    session = Some(meaning);
                }
                Err(Glare::Ours) => return self.reply(ep, tx, &message, status(491)),
                Err(Glare::Theirs) => return self.reply_later(ep, tx, &message),
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# It SHOULD cease retransmissions of the reliable provisional response,
        //# and MUST remove it from the list of unacknowledged provisional
        //# responses.
        self.deadlines.clear(Deadline::Reliable(call));
        self.deadlines.clear(Deadline::ReliableLost(call));
        if let Some(ringing) = self.calls.get_mut(call).and_then(|found| found.ringing.as_mut()) {
            ringing.pending = None;
            ringing.unpracked = false;
        }
        // The ACK may have come before it, and the 2xx be done with.
        self.take_late(&message);
        if session == Some(Meaning::Offer) {
            //= https://www.rfc-editor.org/rfc/rfc3262#section-5
            //# If the UAS receives a PRACK with an offer, it MUST place the answer in
            //# the 2xx to the PRACK.
            let asked = Asked { kind: Kind::Prack, tx, request: message.clone(), timer: Default::default() };
            self.ask(call, asked, Served::Asked(call));
        } else {
            //= https://www.rfc-editor.org/rfc/rfc3262#section-3
            //# If the PRACK does match an unacknowledged reliable provisional response,
            //# it MUST be responded to with a 2xx response.
            self.reply(ep, tx, &message, sip_message::StatusCode::OK);
        }
        self.call_event(call, CallEvent::Acknowledged { message, session });
        self.after_prack(ep, call, dialog);
    }

    /// What waited for the PRACK, or for the host to answer an offer beside it, goes out: the next reliable response, or the 2xx.
    pub(crate) fn after_prack(&mut self, ep: &mut Endpoint, call: CallHandle, dialog: DialogId) {
        let Some(found) = self.calls.get_mut(call) else { return };
        if found.asked.is_some() {
            return;
        }
        let (state, server) = (found.state, found.server);
        let Some(ringing) = found.ringing.as_mut().filter(|ringing| ringing.pending.is_none()) else { return };
        if state == CallState::Accepting {
            // A queue would only delay the final response (RFC 3262 section 3).
            ringing.queue.clear();
            return self.accept_deferred(ep, call);
        }
        if let (Some(tx), Some(next)) = (server, ringing.queue.pop_front()) {
            // One that cannot go out any more, such as a second session description, is left out.
            if self.send_reliable(ep, call, tx, dialog, next).is_err() {
                self.after_prack(ep, call, dialog);
            }
        } else if ringing.require_reliable {
            self.deadlines.after(Deadline::Progress(call), self.now, Duration::from_secs(150));
        }
    }

    /// Keeps a request that the host must answer.
    pub(crate) fn ask(&mut self, call: CallHandle, asked: Asked, purpose: Served) {
        self.serve(asked.tx, purpose);
        if let Some(found) = self.calls.get_mut(call) {
            found.asked = Some(Box::new(asked));
        }
        let wait = self.config.answer;
        self.deadlines.after(Deadline::Answer(call), self.now, wait);
    }
}

wire!(struct Pending { response, interval, session });
