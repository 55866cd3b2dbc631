//! How calls end: CANCEL, BYE, and the crossings of both.

use alloc::boxed::Box;
use alloc::string::String;
use sip_message::{BuildError, Header, HeaderName, Lines, Message, Method, RequestBuilder, StatusCode};
use sip_transaction::{Endpoint, Instant, ServerTxId};

use super::CallState;
use super::callee::Reply;
use super::change::Kind;
use crate::agent::client::{Final, Purpose, renumber};
use crate::agent::{UserAgentCore, status};
use crate::deadlines::Deadline;
use crate::error::CommandError;
use crate::event::{CallEvent, EndCause, Owner};
use crate::id::{CallHandle, DialogId};

/// How often a BYE is said again that another request has overtaken.
const BYES_AGAIN: u8 = 2;

/// The Reason of an end.
fn farewell(reason: Option<&str>) -> Reply {
    match reason {
        Some(reason) => Reply::new().header(Header::Reason.as_str(), reason),
        None => Reply::new(),
    }
}

impl UserAgentCore {
    /// Ends a call, whatever its state: CANCEL before an answer, 603 to an invitation, BYE once it stands. `reason` is the value of a
    /// Reason field (RFC 3326), such as `SIP;cause=200;text="Call completed elsewhere"`.
    ///
    /// The call's [`Ended`](CallEvent::Ended) follows at once where that is possible. A cancelled call ends with the end of its INVITE, which may
    /// still be accepted: it then gets ACK and BYE. A call we accepted ends when its ACK has come, since BYE must not
    /// go before.
    ///
    /// # Errors
    ///
    /// The id is stale; the call is ending already; `reason` is malformed.
    pub fn hang_up(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        reason: Option<&str>,
    ) -> Result<(), CommandError> {
        self.hang_up_with(ep, now, call, farewell(reason))
    }

    /// Ends a call as [`hang_up`](UserAgentCore::hang_up) does, with header fields and a body of the host's in the BYE or the refusal. A CANCEL
    /// takes but the Reason of them.
    ///
    /// # Errors
    ///
    /// As [`hang_up`](UserAgentCore::hang_up).
    pub fn hang_up_with(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        reply: Reply,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let found = self.command_call(call)?;
        if found.ending.is_some() {
            return Err(CommandError::WrongState);
        }
        // What cannot be said must not leave the call half ended. Other states say it at once, or not at all.
        match (found.state, found.dialog.and_then(|dialog| self.dialogs.get(dialog))) {
            (CallState::AwaitAck, Some(entry)) => {
                self.with_farewell(entry.dialog.upcoming(Method::Bye), reply.clone())?;
            }
            (CallState::Calling, _) => {
                let mut trial = Lines::new();
                for (name, value) in reply.headers.iter() {
                    trial.push(name, value)?;
                }
            }
            _ => {}
        }
        let cause = match found.state {
            CallState::Calling | CallState::Cancelling => EndCause::Cancelled,
            CallState::Ringing => EndCause::Rejected(status(603)),
            _ => EndCause::HungUp,
        };
        self.finish_call_with(ep, call, cause, reply)
    }

    /// Hangs up on one of the early dialogs of a call that has forked, with a BYE; the others go on ringing. To give up all of them,
    /// [`hang_up`](UserAgentCore::hang_up). If the one that is left accepts in spite of it, it gets ACK and another BYE, and the
    /// call is over.
    ///
    /// # Errors
    ///
    /// The dialog is not an early one of that call; the call was not made by us; `reason` is malformed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-15
    //# The caller's UA MAY send a BYE for either confirmed or early dialogs,
    //# and the callee's UA MAY send a BYE on confirmed dialogs, but MUST NOT
    //# send a BYE on early dialogs.
    pub fn hang_up_early(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        dialog: DialogId,
        reason: Option<&str>,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let found = self.command_call(call)?;
        if found.state != CallState::Calling || !found.early.contains(&dialog) {
            return Err(CommandError::WrongState);
        }
        let entry = self.dialogs.get_mut(dialog).ok_or(CommandError::Unknown)?;
        let mut builder = entry.dialog.upcoming(Method::Bye);
        if let Some(reason) = reason {
            builder = builder.header(Header::Reason, reason);
        }
        let bye = self.dress(builder).build_boxed()?;
        self.send_in_dialog(ep, dialog, bye, Purpose::Bye(dialog))?;
        self.note_gone(call, dialog);
        self.leave_fork(ep, call, dialog);
        self.remember(ep, dialog, None);
        let Some(entry) = self.dialogs.get_mut(dialog) else { return Ok(()) };
        entry.dying = true;
        entry.call = None;
        // The dialog goes with the answer to the BYE; what the fork still sends must not bring it back.
        let forks = self.config.limits.forks;
        if let Some(calling) = self.calls.get_mut(call).and_then(|found| found.calling.as_mut()) {
            calling.hang_up_on(entry.dialog.remote_tag(), forks);
        }
        Ok(())
    }

    /// Ends a call for `cause`, and says `reason`.
    pub(crate) fn finish_call(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        cause: EndCause,
        reason: Option<&str>,
    ) -> Result<(), CommandError> {
        self.finish_call_with(ep, call, cause, farewell(reason))
    }

    /// Ends a call for `cause`, by what its state allows.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-15
    //# A UA MUST NOT send a BYE outside of a dialog.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-15
    //# The caller's UA MAY send a BYE for either confirmed or early dialogs,
    //# and the callee's UA MAY send a BYE on confirmed dialogs, but MUST NOT
    //# send a BYE on early dialogs.
    pub(crate) fn finish_call_with(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        cause: EndCause,
        reply: Reply,
    ) -> Result<(), CommandError> {
        let state = self.command_call(call)?.state;
        // Without its INVITE there is nothing to cancel. What waits in an early dialog of it is another matter.
        let parked = self.parked_of(Owner::Call(call));
        if state == CallState::Calling && matches!(parked, Some(Purpose::Invite(_))) {
            self.end_call(ep, call, cause, None);
            return Ok(());
        }
        let Some(found) = self.calls.get_mut(call) else { return Err(CommandError::Unknown) };
        match state {
            CallState::Calling => {
                let Some(tx) = found.client else { return Err(CommandError::WrongState) };
                // Other errors say that its end is on its way in the endpoint's events, or that it is cancelled already.
                //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
                //# However, the method part of the CSeq header field MUST have a value of
                //# CANCEL.
                //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
                //# The CANCEL request MUST NOT contain any Require or Proxy-Require header
                //# fields.
                //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
                //# The destination address, port, and transport for the CANCEL MUST be
                //# identical to those used to send the original request.
                let mut headers = reply.headers.iter();
                let reason = headers.find(|(name, _)| HeaderName::from(*name) == HeaderName::Known(Header::Reason));
                if ep.cancel(self.now, tx, reason.map(|(_, value)| value))
                    == Err(sip_transaction::CommandError::Malformed)
                {
                    return Err(CommandError::WrongState);
                }
                if let Some(found) = self.calls.get_mut(call) {
                    found.state = CallState::Cancelling;
                    found.ending = Some(cause);
                }
                self.unpark(Owner::Call(call));
                self.deadlines.clear(Deadline::NoAnswer(call));
                Ok(())
            }
            CallState::Cancelling => {
                found.ending.get_or_insert(cause);
                Ok(())
            }
            CallState::Ringing | CallState::Accepting => {
                let code = match cause {
                    EndCause::Rejected(code) => code,
                    EndCause::NotPracked => status(504),
                    _ => status(480),
                };
                if let (Some(tx), Some(ringing)) = (found.server, found.ringing.as_ref()) {
                    let request = ringing.request.clone();
                    let response = reply.on_response(self.response(ep, tx, &request, code)).build()?;
                    let _ = ep.respond(self.now, tx, response);
                    self.mark_answered(call);
                }
                self.end_call(ep, call, cause, None);
                Ok(())
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-15
            //# However, the callee's UA MUST NOT send a BYE on a confirmed dialog until
            //# it has received an ACK for its 2xx response or until the server
            //# transaction times out.
            CallState::AwaitAck => {
                if found.ending.is_none() {
                    found.ending = Some(cause);
                    if let Some(ringing) = &mut found.ringing {
                        ringing.farewell = Some(Box::new(reply));
                    }
                }
                Ok(())
            }
            CallState::AwaitAnswer | CallState::Confirmed => self.bye(ep, call, cause, reply),
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.1
    //# The UAC MUST consider the session terminated (and therefore stop sending
    //# or listening for media) as soon as the BYE request is passed to the
    //# client transaction.
    fn bye(&mut self, ep: &mut Endpoint, call: CallHandle, cause: EndCause, reply: Reply) -> Result<(), CommandError> {
        let asked = self.calls.get(call).and_then(|found| found.asked.as_ref());
        let asked = asked.filter(|asked| asked.kind != Kind::Prack).map(|asked| asked.request.clone());
        let Some((dialog, entry)) = self.entry_of(call) else {
            self.end_call(ep, call, cause, None);
            return Ok(());
        };
        // Whoever has told of another Contact, in a re-INVITE the host has not answered, is to be found there.
        //= https://www.rfc-editor.org/rfc/rfc6141#section-4.6
        //# On sending a reliable provisional response or a 2xx response to the
        //# target-refresh request, or a request to the new remote target, the UA
        //# MUST replace the dialog's remote target URI with the URI from the
        //# Contact header field in the target-refresh request.
        let moved = asked.and_then(|asked| {
            let mut moved = entry.dialog.clone();
            (moved.refresh_target(&asked) == Ok(true)).then_some(moved)
        });
        let bye = match moved {
            Some(moved) => {
                let bye = self.with_farewell(moved.upcoming(Method::Bye), reply)?;
                if let Some(entry) = self.dialogs.get_mut(dialog) {
                    entry.dialog = moved;
                }
                bye
            }
            None => {
                let builder = entry.dialog.upcoming(Method::Bye);
                self.with_farewell(builder, reply)?
            }
        };
        self.acknowledge_owed(ep, call);
        self.send_bye(ep, dialog, bye);
        self.end_call(ep, call, cause, None);
        Ok(())
    }

    /// A 2xx to an INVITE of ours that waits for our answer gets its ACK, which takes nothing of the offer: the call is to end.
    pub(crate) fn acknowledge_owed(&mut self, ep: &mut Endpoint, call: CallHandle) {
        match self.calls.get(call) {
            Some(found) if found.state == CallState::AwaitAnswer => self.acknowledge(ep, call, None),
            Some(found) if found.change.is_some() => drop(self.acknowledge_change(ep, call, None)),
            _ => {}
        }
    }

    fn with_farewell(&self, builder: RequestBuilder, reply: Reply) -> Result<Box<Message>, BuildError> {
        let builder = reply.headers.on_request(self.dress(builder));
        match reply.body {
            Some(body) => body.on_request(builder).build_boxed(),
            None => builder.build_boxed(),
        }
    }

    fn send_bye(&mut self, ep: &mut Endpoint, dialog: DialogId, bye: Box<Message>) {
        let sent = self.send_in_dialog(ep, dialog, bye, Purpose::Bye(dialog)).is_ok();
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.dying = sent;
        }
    }

    /// The BYE is answered, or never will be: the dialog goes.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.1
    //# If the response for the BYE is a 481 (Call/Transaction Does Not Exist)
    //# or a 408 (Request Timeout) or no response at all is received for the BYE
    //# (that is, a timeout is returned by the client transaction), the UAC MUST
    //# consider the session and the dialog terminated.
    pub(crate) fn on_bye_done(&mut self, ep: &mut Endpoint, dialog: DialogId, mut outcome: Final) {
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        entry.dying = false;
        // A request of a subscription in the dialog has overtaken the BYE, which came too late with its lower number (RFC 3261 section
        // 12.2.2): the peer still has the call.
        if let (500, Some(mut bye)) = (outcome.status.code(), outcome.request.take()) {
            let overtaken = bye.cseq().is_ok_and(|cseq| cseq.number < entry.dialog.local_cseq());
            if outcome.response.is_some() && overtaken && entry.byes_again < BYES_AGAIN {
                entry.byes_again += 1;
                if renumber(&mut bye, entry.dialog.upcoming_cseq()).is_ok() {
                    self.send_bye(ep, dialog, bye);
                }
                let Some(entry) = self.dialogs.get(dialog) else { return };
                if entry.dying {
                    return;
                }
            }
        }
        let Some(entry) = self.dialogs.get(dialog) else { return };
        if entry.call.is_none() && entry.subs.is_empty() {
            self.remove_dialog(dialog);
        }
    }

    /// BYE came.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
    //# A UAS core receiving a BYE request for an existing dialog MUST follow
    //# the procedures of Section 12.2.2 to process the request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
    //# Whether or not it ends its participation on the session, the UAS core
    //# MUST generate a 2xx response to the BYE, and MUST pass that to the
    //# server transaction for transmission.
    pub(crate) fn on_bye(
        &mut self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        dialog: DialogId,
        call: Option<CallHandle>,
        message: Box<Message>,
    ) {
        let dying = self.dialogs.get(dialog).is_some_and(|entry| entry.dying);
        let Some(call) = call else {
            // Both hung up at once: ours is on its way, theirs is answered all the same.
            let code = if dying { StatusCode::OK } else { status(481) };
            return self.reply(ep, tx, &message, code);
        };
        self.reply(ep, tx, &message, StatusCode::OK);
        let Some(found) = self.calls.get(call) else { return };
        if found.dialog == Some(dialog) {
            self.acknowledge_owed(ep, call);
            // A caller may hang up before its ACK has come, or before we have answered.
            return self.end_call(ep, call, EndCause::PeerHungUp, Some(message));
        }
        // One of several early dialogs: the others go on.
        self.drop_early(ep, call, dialog);
        self.call_event(call, CallEvent::ForkEnded { dialog, message });
    }

    /// The peer lost the call, or does not answer any more.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.2
    //# If the response for a request within a dialog is a 481 (Call/Transaction
    //# Does Not Exist) or a 408 (Request Timeout), the UAC SHOULD terminate the
    //# dialog.
    pub(crate) fn lose_call(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        code: StatusCode,
        message: Option<Box<Message>>,
    ) {
        self.acknowledge_owed(ep, call);
        let Some((dialog, entry)) = self.entry_of(call) else { return };
        // After a 481 there is nobody to hear a BYE.
        if code.code() != 481 {
            let builder = entry.dialog.upcoming(Method::Bye);
            if let Ok(bye) = self.dress(builder).build_boxed() {
                self.send_bye(ep, dialog, bye);
            }
        }
        self.end_call(ep, call, EndCause::Lost(code), message);
    }

    /// The host has not answered an offer in time.
    pub(crate) fn on_answer_late(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let Some(found) = self.calls.get(call) else { return };
        let asked = found.asked.is_some();
        if asked {
            //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
            //# If the UAS cannot change the session parameters without prompting the
            //# user, it SHOULD reject the request with a 504 response.
            let _ = self.refuse(ep, self.now, call, status(504), Reply::new());
        }
        let Some(found) = self.calls.get(call) else { return };
        match found.state {
            CallState::AwaitAnswer => {
                let _ = self.finish_call(ep, call, EndCause::NoSession, None);
            }
            // The last of those that wait has set the deadline: all of them have had their time.
            CallState::Calling => {
                if !self.prack_for_host(ep, call) {
                    let _ = self.finish_call(ep, call, EndCause::NoSession, None);
                }
            }
            _ if asked => {}
            _ => {
                let unpracked = found.dialog.is_some_and(|dialog| self.unpracked(call, dialog, true).is_ok());
                if unpracked || self.acknowledge_change(ep, call, None) {
                    let _ = self.finish_call(ep, call, EndCause::NoSession, None);
                }
            }
        }
    }

    /// The value of a Reason field for a status (RFC 3326).
    pub fn reason(code: StatusCode) -> String {
        alloc::format!("SIP;cause={};text=\"{}\"", code.code(), code.reason())
    }
}
