//! Changes of a session that the peer asks for: re-INVITE (RFC 3261 section 14.2), UPDATE (RFC 3311 section 5.2), and the host's answers
//! to offers, wherever they came. What we ask for is in `change`.

use alloc::boxed::Box;
use sip_message::{Header, Message, StatusCode};
use sip_transaction::{Endpoint, Instant, Outcome, ServerTxId};

use super::CallState;
use super::callee::Reply;
use super::change::Kind;
use crate::agent::server::Served;
use crate::agent::{UserAgentCore, status};
use crate::body::Body;
use crate::codec::wire;
use crate::deadlines::Deadline;
use crate::error::CommandError;
use crate::event::{CallEvent, EndCause};
use crate::id::{CallHandle, DialogId};
use crate::offer_answer::{Glare, Place};
use crate::origin::ExtraHeaders;
use crate::session_timer::Fields;

/// A 2xx of ours to a re-INVITE that waits for its ACK.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unacked {
    pub(crate) tx: ServerTxId,
    /// The number of the re-INVITE.
    pub(crate) cseq: u32,
    /// Another re-INVITE has come after it: whoever sent that is there, and its ACK is lost.
    pub(crate) overtaken: bool,
}

/// A request of the peer that waits for the host's answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) tx: ServerTxId,
    pub(crate) request: Box<Message>,
    pub(crate) timer: Fields,
}

impl UserAgentCore {
    /// The dialog of the request that waits for the host: with several early dialogs, the call does not say.
    pub(crate) fn dialog_of_asked(&self, call: CallHandle) -> Option<DialogId> {
        let dialog = self.dialog_of(&self.calls.get(call)?.asked.as_ref()?.request)?;
        (self.dialogs.get(dialog)?.call == Some(call)).then_some(dialog)
    }

    /// A re-INVITE came.
    pub(crate) fn on_reinvite(
        &mut self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        dialog: DialogId,
        call: CallHandle,
        message: Box<Message>,
    ) {
        let Some(found) = self.calls.get(call) else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
        //# A UAS that receives a second INVITE before it sends the final response
        //# to a first INVITE with a lower CSeq sequence number on the same dialog
        //# MUST return a 500 (Server Internal Error) response to the second INVITE
        //# and MUST include a Retry-After header field with a randomly chosen value
        //# of between 0 and 10 seconds.
        if found.asked.is_some() || matches!(found.state, CallState::Ringing | CallState::Accepting) {
            return self.reply_later(ep, tx, &message);
        }
        //= https://www.rfc-editor.org/rfc/rfc6141#section-5.4
        //# A UAS that accepts a target refresh within a re-INVITE and never
        //# receives an ACK request after having sent a final response to the
        //# re-INVITE SHOULD NOT terminate the dialog if the UA has received a
        //# new re-INVITE with a higher CSeq sequence number than the original
        //# one.
        if let Some(unacked) = self.calls.get_mut(call).and_then(|found| found.unacked.as_mut()) {
            unacked.overtaken = true;
        }
        self.yield_change(call);
        let Some(found) = self.calls.get(call) else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
        //# A UAS that receives an INVITE on a dialog while an INVITE it had sent on
        //# that dialog is in progress MUST return a 491 (Request Pending) response
        //# to the received INVITE.
        let ours = found.change.as_ref().is_some_and(|change| change.kind == Kind::Invite && change.tx.is_some());
        if ours || found.state != CallState::Confirmed && found.state != CallState::AwaitAck {
            return self.reply(ep, tx, &message, status(491));
        }
        self.receive_change(ep, tx, dialog, call, Kind::Invite, message);
    }

    /// An UPDATE came.
    //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
    //# If the session description has changed, the UAS MUST adjust the session
    //# parameters accordingly and generate an answer in the 2xx response.
    //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
    //# However, unlike a re-INVITE, the UPDATE MUST be responded to promptly,
    //# and therefore the user cannot generally be prompted to approve the
    //# session changes.
    pub(crate) fn on_update(
        &mut self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        dialog: DialogId,
        call: CallHandle,
        message: Box<Message>,
    ) {
        // One without an offer may come while something else waits: it tells of a new Contact, or refreshes.
        let asked = self.calls.get(call).and_then(|found| found.asked.as_ref());
        let asked = asked.is_some_and(|asked| asked.kind == Kind::Update || crate::body::carries_session(&message));
        //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
        //# A UAS that receives an UPDATE before it has generated a final response
        //# to a previous UPDATE on the same dialog MUST return a 500 response to
        //# the new UPDATE, and MUST include a Retry-After header field with a
        //# randomly chosen value between 0 and 10 seconds.
        if asked {
            return self.reply_later(ep, tx, &message);
        }
        self.yield_change(call);
        self.receive_change(ep, tx, dialog, call, Kind::Update, message);
    }

    fn receive_change(
        &mut self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        dialog: DialogId,
        call: CallHandle,
        kind: Kind,
        message: Box<Message>,
    ) {
        let config = self.config.session_timer;
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        let timer = match entry.timer.received(&message, &config) {
            Ok(fields) => fields,
            Err(least) => {
                let builder = self.response(ep, tx, &message, status(422)).header(Header::MinSe, least);
                self.finish(ep, tx, builder);
                return;
            }
        };
        let carries = crate::body::carries_session(&message);
        if carries {
            match entry.oa.received(kind.place()) {
                Ok(meaning) => entry.holding.heard(meaning, message.body()),
                //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
                //# If an UPDATE is received that contains an offer, and the UAS has
                //# generated an offer (in an UPDATE, PRACK or INVITE) to which it has not
                //# yet received an answer, the UAS MUST reject the UPDATE with a 491
                //# response.
                Err(Glare::Ours) => return self.reply(ep, tx, &message, status(491)),
                //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
                //# Similarly, if an UPDATE is received that contains an offer, and the UAS
                //# has received an offer (in an UPDATE, PRACK, or INVITE) to which it has
                //# not yet generated an answer, the UAS MUST reject the UPDATE with a 500
                //# response, and MUST include a Retry-After header field with a randomly
                //# chosen value between 0 and 10 seconds.
                Err(Glare::Theirs) => return self.reply_later(ep, tx, &message),
            }
        } else if kind == Kind::Invite {
            if !entry.oa.is_idle() {
                return self.reply(ep, tx, &message, status(491));
            }
            entry.oa.begin_invite();
        }
        entry.learn(&message, &mut self.heard);
        let asked = Asked { kind, tx, request: message.clone(), timer };
        if !carries && kind == Kind::Update {
            // A refresh, or a new target: nothing to ask the host for.
            let _ = self.send_change_ok(ep, call, dialog, asked, None, ExtraHeaders::new());
            return;
        }
        let purpose = if kind == Kind::Invite { Served::Reinvite(call) } else { Served::Asked(call) };
        self.ask(call, asked, purpose);
        let event = if carries { CallEvent::Offer { message } } else { CallEvent::OfferWanted { message } };
        self.call_event(call, event);
    }

    /// Sends the 2xx to a re-INVITE, UPDATE or PRACK. The state it brings about is taken over only if that works.
    fn send_change_ok(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        dialog: DialogId,
        asked: Asked,
        body: Option<Body>,
        headers: ExtraHeaders,
    ) -> Result<(), (CommandError, Box<Asked>)> {
        let Some(entry) = self.dialogs.get(dialog) else { return Err((CommandError::Unknown, Box::new(asked))) };
        let (mut oa, mut holding) = (entry.oa, entry.holding);
        let mut builder = self.response(ep, asked.tx, &asked.request, StatusCode::OK);
        if asked.kind != Kind::Prack {
            builder = self.with_contact(builder, &entry.contact).lines(&self.ability_lines);
            builder = asked.timer.on_response(builder);
            builder = self.tell_packages(builder, &asked.request);
        }
        builder = headers.on_response(builder);
        let session = body.clone();
        if let Some(body) = body {
            let Some(meaning) = oa.sent(asked.kind.ok()) else {
                return Err((CommandError::BodyNotAllowed, Box::new(asked)));
            };
            holding.said(meaning, &body.bytes);
            builder = body.on_response(builder);
        }
        let response = match builder.build() {
            Ok(response) => response,
            Err(error) => return Err((error.into(), Box::new(asked))),
        };
        let sent = match asked.kind {
            Kind::Invite => ep.respond_until_ack(self.now, asked.tx, response),
            _ => ep.respond(self.now, asked.tx, response),
        };
        if let Err(error) = sent {
            return Err((error.kind.into(), Box::new(asked)));
        }
        let mut moved = false;
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.oa = oa;
            entry.holding = holding;
            if asked.kind != Kind::Prack {
                entry.timer.answered(&asked.timer);
                //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
                //# When a UAS receives a target refresh request, it MUST replace the
                //# dialog's remote target URI with the URI from the Contact header field in
                //# that request, if present.
                //= https://www.rfc-editor.org/rfc/rfc6141#section-4.2
                //# When a UAS receives a target refresh request, it MUST replace the
                //# dialog's remote target URI with the URI from the Contact header
                //# field in that request, if present.
                //= https://www.rfc-editor.org/rfc/rfc6141#section-4.6
                //# On sending a reliable provisional response or a 2xx response to the
                //# target-refresh request, or a request to the new remote target, the UA
                //# MUST replace the dialog's remote target URI with the URI from the
                //# Contact header field in the target-refresh request.
                //= https://www.rfc-editor.org/rfc/rfc6141#section-4.6
                //# If instead of sending a reliable provisional response or a 2xx
                //# response to the target-refresh request, or a request to the new
                //# target, the UA generates an error response to the target-refresh
                //# request, the UA MUST NOT update its dialog's remote target.
                moved = entry.take_target(&asked.request);
                // Not before: of a request that is refused, nothing holds.
                //= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.4
                //# If the receiver of a request that contains a Recv-Info header field
                //# rejects the request, both the sender and receiver of the request MUST
                //# roll back to the set of Info Packages that was used before the request
                //# was sent.
                entry.learn_packages(&asked.request);
            }
        }
        if let Some(found) = self.calls.get_mut(call) {
            if asked.kind == Kind::Invite {
                let cseq = asked.request.cseq().ok();
                let unacked = cseq.map(|cseq| Unacked { tx: asked.tx, cseq: cseq.number, overtaken: false });
                // Whoever sends another INVITE has had the 2xx to the one before, though its ACK is late or lost.
                if let Some(before) = core::mem::replace(&mut found.unacked, unacked) {
                    let _ = ep.acknowledge(self.now, before.tx);
                }
            }
        }
        if let Some(session) = session {
            self.keep_session(call, dialog, session);
        }
        if asked.kind == Kind::Update {
            self.serve(asked.tx, Served::Done);
        }
        if asked.kind != Kind::Prack {
            self.arm_session(call);
            if asked.timer.expires.is_some() && !crate::body::carries_session(&asked.request) {
                self.call_event(call, CallEvent::Refreshed);
            }
        }
        self.tell_moved(call, moved);
        self.take_hold(call, dialog);
        Ok(())
    }

    /// Answers the offer that is pending, or makes the one that was asked for: in the 2xx to a re-INVITE, UPDATE or PRACK, in the ACK for a 2xx, or
    /// in the PRACK for a reliable provisional response, wherever it came.
    ///
    /// # Errors
    ///
    /// Nothing waits for a session description of ours; with several early dialogs waiting, use
    /// [`answer_early`](UserAgentCore::answer_early).
    pub fn answer(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        body: Body,
    ) -> Result<(), CommandError> {
        self.answer_with(ep, now, call, body, ExtraHeaders::new())
    }

    /// Answers as [`answer`](UserAgentCore::answer) does, with header fields of the host's in the 2xx. An ACK or PRACK that takes the answer has
    /// none.
    ///
    /// # Errors
    ///
    /// As [`answer`](UserAgentCore::answer); a header field is malformed, or it is Contact ([`set_contact`](UserAgentCore::set_contact)).
    pub fn answer_with(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        body: Body,
        headers: ExtraHeaders,
    ) -> Result<(), CommandError> {
        self.advance(now);
        headers.without_contact()?;
        let asked_in = self.dialog_of_asked(call);
        let found = self.calls.get_mut(call).ok_or(CommandError::Unknown)?;
        if let (Some(dialog), Some(asked)) = (asked_in, found.asked.take()) {
            return match self.send_change_ok(ep, call, dialog, *asked, Some(body), headers) {
                Ok(()) => {
                    self.settle_answer(call);
                    self.after_prack(ep, call, dialog);
                    self.tell_move(ep, call);
                    Ok(())
                }
                Err((error, asked)) => {
                    if let Some(found) = self.calls.get_mut(call) {
                        found.asked = Some(asked);
                    }
                    Err(error)
                }
            };
        }
        let (state, dialog) = (found.state, found.dialog);
        match state {
            CallState::AwaitAnswer => {
                self.deadlines.clear(Deadline::Answer(call));
                found.session = Some(Box::new(body.clone()));
                self.acknowledge(ep, call, Some(body));
                self.tell_move(ep, call);
                Ok(())
            }
            CallState::Calling => {
                let early = found.early.clone();
                let mut waiting = early.into_iter().filter(|id| self.unpracked(call, *id, true).is_ok());
                match (waiting.next(), waiting.next()) {
                    (Some(dialog), None) => self.answer_early(ep, now, call, dialog, body),
                    _ => Err(CommandError::WrongState),
                }
            }
            _ => match dialog.filter(|dialog| self.unpracked(call, *dialog, true).is_ok()) {
                Some(dialog) => self.answer_early(ep, now, call, dialog, body),
                None if self.acknowledge_change(ep, call, Some(body)) => {
                    self.tell_move(ep, call);
                    Ok(())
                }
                None => Err(CommandError::WrongState),
            },
        }
    }

    /// Answers the offer in a reliable provisional response of one early dialog, in the PRACK.
    ///
    /// # Errors
    ///
    /// That dialog has no offer waiting.
    pub fn answer_early(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        dialog: DialogId,
        body: Body,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let invite = self.unpracked(call, dialog, true)?;
        self.acknowledge_reliable(ep, call, dialog, invite, Some(body))
    }

    /// Refuses the offer that is pending, in a re-INVITE, UPDATE or PRACK: with 488 if it cannot be met. The session stays as it
    /// was.
    ///
    /// # Errors
    ///
    /// Nothing is pending that can be refused; the status is none that refuses.
    pub fn refuse(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        code: StatusCode,
        reply: Reply,
    ) -> Result<(), CommandError> {
        self.advance(now);
        if code.code() < 300 {
            return Err(CommandError::BadStatus);
        }
        let found = self.calls.get(call).ok_or(CommandError::Unknown)?;
        let dialog = self.dialog_of_asked(call).ok_or(CommandError::WrongState)?;
        let asked = found.asked.as_ref().ok_or(CommandError::WrongState)?;
        let (tx, kind) = (asked.tx, asked.kind);
        self.answer_as(ep, tx, &asked.request, code, reply)?;
        self.drop_asked(call, dialog, kind);
        self.serve(tx, Served::Done);
        self.after_prack(ep, call, dialog);
        self.tell_move(ep, call);
        Ok(())
    }

    fn drop_asked(&mut self, call: CallHandle, dialog: DialogId, kind: Kind) {
        if let Some(found) = self.calls.get_mut(call) {
            found.asked = None;
        }
        self.settle_answer(call);
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.oa.failed(kind.place());
        }
    }

    /// The peer took its re-INVITE back.
    pub(crate) fn on_asked_cancelled(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        tx: ServerTxId,
        message: Box<Message>,
    ) {
        let Some(found) = self.calls.get(call) else { return };
        let Some(dialog) = found.dialog else { return };
        let Some(asked) = found.asked.as_ref().filter(|asked| asked.tx == tx) else { return };
        let request = asked.request.clone();
        self.reply(ep, tx, &request, status(487));
        self.drop_asked(call, dialog, Kind::Invite);
        self.serve(tx, Served::Done);
        self.call_event(call, CallEvent::OfferWithdrawn { message });
        self.tell_move(ep, call);
    }

    /// The transaction of a request that waited for the host ended without it.
    pub(crate) fn on_asked_gone(&mut self, ep: &mut Endpoint, call: CallHandle, tx: ServerTxId) {
        let Some(found) = self.calls.get(call) else { return };
        let Some(dialog) = self.dialog_of_asked(call) else { return };
        if let Some(kind) = found.asked.as_ref().filter(|asked| asked.tx == tx).map(|asked| asked.kind) {
            self.drop_asked(call, dialog, kind);
            self.after_prack(ep, call, dialog);
            self.tell_move(ep, call);
        }
    }

    /// The ACK for a 2xx of ours to a re-INVITE.
    pub(crate) fn on_reinvite_acked(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        dialog: DialogId,
        message: Box<Message>,
    ) {
        // A re-INVITE may have overtaken it: the exchange that is under way then is that one's.
        let newer = self.calls.get(call).and_then(|found| found.asked.as_ref());
        let newer = newer.is_some_and(|asked| asked.kind == Kind::Invite);
        let session = self.dialogs.get_mut(dialog).filter(|_| !newer).and_then(|entry| {
            let session = entry.read_session(Place::Ack, &message);
            // An answer that is due and not there: the offer lapses.
            entry.oa.failed(Place::Invite);
            session
        });
        if session.is_some() {
            self.call_event(call, CallEvent::Answered { message, session });
            self.take_hold(call, dialog);
        }
        self.tell_move(ep, call);
    }

    /// A re-INVITE transaction of the peer's ended.
    pub(crate) fn on_reinvite_served(&mut self, ep: &mut Endpoint, tx: ServerTxId, call: CallHandle, outcome: Outcome) {
        self.on_asked_gone(ep, call, tx);
        let Some(found) = self.calls.get_mut(call) else { return };
        if found.unacked.is_some_and(|unacked| unacked.tx == tx) {
            let overtaken = found.unacked.take().is_some_and(|unacked| unacked.overtaken);
            let dialog = found.dialog;
            //= https://www.rfc-editor.org/rfc/rfc6141#section-5.4
            //# A UAS that accepts a target refresh within a re-INVITE and never
            //# receives an ACK request after having sent a final response to the
            //# re-INVITE SHOULD NOT terminate the dialog if the UA has received a
            //# new re-INVITE with a higher CSeq sequence number than the original
            //# one.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
            //# If a UAS generates a 2xx response and never receives an ACK, it SHOULD
            //# generate a BYE to terminate the dialog.
            if outcome == Outcome::NotAcknowledged && overtaken {
                // An offer in it lapses: nothing could be offered beside it.
                let entry = dialog.and_then(|id| self.dialogs.get_mut(id));
                if let Some(entry) = entry.filter(|entry| entry.oa.local_offer() == Some(Place::InviteOk)) {
                    entry.oa.failed(Place::Invite);
                }
                self.tell_move(ep, call);
            } else if outcome == Outcome::NotAcknowledged {
                let _ = self.finish_call(ep, call, EndCause::NotAcknowledged, None);
            }
        }
    }
}

wire!(struct Unacked { tx, cseq, overtaken });
wire!(struct Asked { kind, tx, request, timer });
