//! Calls that come in: from the INVITE to the ACK.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::time::Duration;
use sip_message::headers::{DeltaSeconds, Join, Replaces};
use sip_message::{Header, Message, ResponseBuilder, StatusCode};
use sip_transaction::{Endpoint, Instant, Outcome, Path, ServerTxId};

use super::{Call, CallState, Entry, Peer, Role};
use crate::agent::server::Served;
use crate::agent::{UserAgentCore, status};
use crate::body::Body;
use crate::codec::wire;
use crate::config::Reliable;
use crate::deadlines::Deadline;
use crate::dialog::Dialog;
use crate::error::{CommandError, DialogError};
use crate::event::{CallEvent, EndCause};
use crate::id::{CallHandle, DialogId};
use crate::offer_answer::{Meaning, OfferAnswer, Place};
use crate::origin::{ExtraHeaders, takes_headers};
use crate::session_timer::{Fields, SessionTimer, has_token};

/// A provisional response to send.
#[derive(Clone, Debug)]
#[must_use]
pub struct Progress {
    pub(crate) status: StatusCode,
    pub(crate) body: Option<Body>,
    pub(crate) headers: ExtraHeaders,
    pub(crate) reliable: bool,
}

impl Progress {
    /// 180 (Ringing).
    pub fn ringing() -> Self {
        Progress { status: StatusCode::RINGING, body: None, headers: ExtraHeaders::new(), reliable: false }
    }

    /// Another status from 101 to 199.
    pub fn new(status: StatusCode) -> Self {
        Progress { status, ..Progress::ringing() }
    }

    /// Early media: the answer to the offer of the INVITE, or the offer if it had none. An offer goes out reliably by
    /// itself, to a peer that supports that.
    pub fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends it reliably (RFC 3262) if the peer supports that.
    pub fn reliable(mut self) -> Self {
        self.reliable = true;
        self
    }
}

/// What accepts a call, or refuses it.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Reply {
    pub(crate) body: Option<Body>,
    pub(crate) headers: ExtraHeaders,
}

impl Reply {
    /// Without body or header fields of the host's own.
    pub fn new() -> Self {
        Reply::default()
    }

    /// The body: of a 2xx the answer to the offer of the INVITE, or the offer if it had none.
    pub fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }
}

impl Reply {
    pub(crate) fn on_response(self, builder: ResponseBuilder) -> ResponseBuilder {
        let builder = self.headers.on_response(builder);
        match self.body {
            Some(body) => body.on_response(builder),
            None => builder,
        }
    }
}

takes_headers!(Progress, Reply);

/// What a callee keeps until its 2xx is acknowledged.
#[derive(Debug)]
pub(crate) struct Ringing {
    pub(crate) request: Box<Message>,
    pub(crate) cseq: u32,
    /// What the 2xx will say about session timers.
    timer: Fields,
    /// The peer wants, or can take, reliable provisional responses.
    pub(crate) require_reliable: bool,
    pub(crate) can_reliable: bool,
    /// The last reliable provisional response's number; 0 before the first.
    pub(crate) rseq: u32,
    /// The reliable provisional response that waits for its PRACK.
    pub(crate) pending: Option<super::prack::Pending>,
    pub(crate) queue: VecDeque<Progress>,
    /// The last provisional response, to send again every minute.
    last: Option<Box<Message>>,
    deferred: Option<Reply>,
    replaces: Option<CallHandle>,
    /// What the BYE is to say that waits for the ACK.
    pub(crate) farewell: Option<Box<Reply>>,
    /// A 199 is sent: the early dialog is over, though the INVITE is not.
    pub(crate) terminated: bool,
    /// The final response is sent.
    pub(crate) answered: bool,
    /// It went before the PRACK for the last reliable provisional response, which may still come.
    pub(crate) unpracked: bool,
}

impl Ringing {
    /// Whether the caller has been told anything yet: it knows the dialog then.
    pub(crate) fn has_progress(&self) -> bool {
        self.rseq > 0 || self.last.is_some()
    }
}

/// Whether a session description in a provisional response is an offer: an INVITE without one is answered so, and reliably only.
fn offers_reliably(oa: &OfferAnswer) -> bool {
    !oa.may_send(Place::Provisional) && oa.may_send(Place::Reliable)
}

/// A dialog that an INVITE names, judged by RFC 3891 section 3.
fn named(
    core: &UserAgentCore,
    call_id: &str,
    to_tag: &str,
    from_tag: &str,
    early_only: bool,
) -> Result<CallHandle, StatusCode> {
    let dialog = core.find_dialog(call_id.as_bytes(), to_tag.as_bytes(), from_tag.as_bytes());
    let entry = dialog.and_then(|dialog| core.dialogs.get(dialog));
    //= https://www.rfc-editor.org/rfc/rfc3891#section-3
    //# If the Replaces header field matches a dialog which has already
    //# terminated, the UA SHOULD decline the request with a 603 Declined
    //# response.
    // One that is being ended here is not wanted any more, either.
    let call = entry.and_then(|entry| entry.call);
    let ending = call.and_then(|call| core.calls.get(call)).is_some_and(|found| found.ending.is_some());
    if ending || call.is_none() && core.is_past(call_id, to_tag, from_tag) {
        return Err(status(603));
    }
    //= https://www.rfc-editor.org/rfc/rfc3891#section-3
    //# Likewise, if the Replaces header field matches a dialog which was not
    //# created with an INVITE, the UAS MUST reject the request with a 481
    //# response.
    //= https://www.rfc-editor.org/rfc/rfc3891#section-3
    //# If no match is found, the UAS rejects the INVITE and returns a 481
    //# Call/Transaction Does Not Exist response.
    let call = call.ok_or(status(481))?;
    let found = core.calls.get(call).ok_or(status(481))?;
    let early = !found.accepted;
    if early_only && !early {
        return Err(StatusCode::BUSY_HERE);
    }
    // RFC 3891 section 3: an early dialog that somebody else began is not there to be replaced.
    if early && found.role == Role::Callee {
        return Err(status(481));
    }
    Ok(call)
}

impl UserAgentCore {
    /// The call that Replaces or Join names.
    fn named_call(&self, message: &Message) -> Result<(Option<CallHandle>, Option<CallHandle>), StatusCode> {
        let (replaces, joins) = (message.fields(Header::Replaces).count(), message.fields(Header::Join).count());
        //= https://www.rfc-editor.org/rfc/rfc3891#section-3
        //# If more than one Replaces header field is present in an INVITE, or if a
        //# Replaces header field is present in a request other than INVITE, the UAS
        //# MUST reject the request with a 400 Bad Request response.
        // The requests other than INVITE are refused where all requests come in.
        //= https://www.rfc-editor.org/rfc/rfc3891#section-3
        //# If both a Replaces header field and another header field with
        //# contradictory semantics are present in a request, the request MUST be
        //# rejected with a 400 "Bad Request" response.
        if replaces > 1 || joins > 1 || replaces + joins > 1 {
            return Err(StatusCode::BAD_REQUEST);
        }
        let bad = |_| StatusCode::BAD_REQUEST;
        if let Some(value) = message.value::<Replaces<'_>>(Header::Replaces).map_err(bad)? {
            let bad = |_| StatusCode::BAD_REQUEST;
            let early_only = value.is_early_only().map_err(bad)?;
            let call =
                named(self, value.call_id(), value.to_tag().map_err(bad)?, value.from_tag().map_err(bad)?, early_only)?;
            return Ok((Some(call), None));
        }
        if let Some(value) = message.value::<Join<'_>>(Header::Join).map_err(bad)? {
            let bad = |_| StatusCode::BAD_REQUEST;
            let call =
                named(self, value.call_id(), value.to_tag().map_err(bad)?, value.from_tag().map_err(bad)?, false)?;
            return Ok((None, Some(call)));
        }
        Ok((None, None))
    }

    /// An INVITE outside of any dialog.
    pub(crate) fn on_invite(&mut self, ep: &mut Endpoint, tx: ServerTxId, path: Path, message: Box<Message>) {
        if self.config.limits.calls.is_some_and(|limit| self.calls.len() >= limit) {
            return self.reply(ep, tx, &message, StatusCode::BUSY_HERE);
        }
        let (replaces, joins) = match self.named_call(&message) {
            Ok(named) => named,
            Err(owed) => return self.reply(ep, tx, &message, owed),
        };
        let mut timer = SessionTimer::default();
        let fields = match timer.received(&message, &self.config.session_timer) {
            Ok(fields) => fields,
            Err(least) => {
                //= https://www.rfc-editor.org/rfc/rfc4028#section-6
                //# The 422 response MUST contain a Min-SE header field with the minimum
                //# timer for that server.
                //= https://www.rfc-editor.org/rfc/rfc4028#section-5
                //# The Min-SE header field MUST NOT be used in responses except for those
                //# with a 422 response code.
                let builder = self.response(ep, tx, &message, status(422)).header(Header::MinSe, least);
                self.finish(ep, tx, builder);
                return;
            }
        };
        let Some(tag) = ep.local_tag(tx) else { return };
        let dialog = match Dialog::from_request(&message, tag.as_str(), true) {
            Ok(dialog) => dialog,
            Err(DialogError::NoContact | DialogError::Malformed) => {
                return self.reply(ep, tx, &message, StatusCode::BAD_REQUEST);
            }
        };
        let mut entry = Entry::new(dialog, self.contact_to(path, &message), Self::pin_for(path, &message));
        entry.learn(&message, &mut self.heard);
        entry.learn_packages(&message);
        entry.timer = timer;
        entry.oa.begin_invite();
        let offer = entry.read_session(Place::Invite, &message) == Some(Meaning::Offer);
        let cseq = entry.dialog.remote_cseq().unwrap_or(0);
        let can_reliable = entry.peer.has(Peer::RELIABLE) && self.config.reliable != Reliable::Never;
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# The UAS MUST send any non-100 provisional response reliably if the
        //# initial request contained a Require header field with the option tag
        //# 100rel.
        //= https://www.rfc-editor.org/rfc/rfc3262#section-8.1
        //# When present in a Require header in a request, it indicates that the UAS
        //# MUST send all provisional responses reliably.
        let require_reliable = has_token(&message, Header::Require, "100rel");
        let mut call = Call::new(Role::Callee, CallState::Ringing);
        call.server = Some(tx);
        call.ringing = Some(Box::new(Ringing {
            request: message.clone(),
            cseq,
            timer: fields,
            require_reliable,
            can_reliable: can_reliable || require_reliable,
            rseq: 0,
            pending: None,
            queue: VecDeque::new(),
            last: None,
            deferred: None,
            replaces,
            farewell: None,
            terminated: false,
            answered: false,
            unpracked: false,
        }));
        let Some(id) = self.calls.insert(call) else {
            return self.reply(ep, tx, &message, StatusCode::SERVICE_UNAVAILABLE);
        };
        entry.call = Some(id);
        let dialog = self.insert_dialog(entry);
        if let Some(call) = self.calls.get_mut(id) {
            call.dialog = dialog;
        }
        self.serve(tx, Served::Invite(id));
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1
        //# If the invitation expires before the UAS has generated a final response,
        //# a 487 (Request Terminated) response SHOULD be generated.
        let expires = message.value::<DeltaSeconds>(Header::Expires).ok().flatten();
        let expires = expires.map(|seconds| Duration::from_secs(u64::from(seconds.0)));
        if let Some(wait) = [expires, self.config.unanswered].into_iter().flatten().min() {
            self.deadlines.after(Deadline::NoAnswer(id), self.now, wait);
        }
        self.call_event(id, CallEvent::Incoming { message, offer, replaces, joins });
    }

    /// Whether the caller takes provisional responses that are sent reliably.
    pub(crate) fn takes_reliable(&self, call: CallHandle) -> bool {
        let ringing = self.calls.get(call).and_then(|found| found.ringing.as_ref());
        ringing.is_some_and(|ringing| ringing.can_reliable)
    }

    fn ringing_call(&mut self, call: CallHandle) -> Result<(ServerTxId, DialogId), CommandError> {
        let found = self.command_call(call)?;
        match (found.state, found.server, found.dialog) {
            (CallState::Ringing, Some(tx), Some(dialog)) => Ok((tx, dialog)),
            _ => Err(CommandError::WrongState),
        }
    }

    /// Tells the caller how far the call is: 180, 183 and their kin.
    ///
    /// # Errors
    ///
    /// The call is not ringing here; the status is not from 101 to 199, or is 199 without a Reason field or for a peer that does not
    /// support it (RFC 6228); a session description was given that cannot go out there, or none with the first reliable response to an
    /// INVITE without an offer, which must have ours;
    /// too many reliable responses wait for their PRACK.
    pub fn progress(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        progress: Progress,
    ) -> Result<(), CommandError> {
        self.advance(now);
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# A UAS MUST NOT send new reliable provisional responses (as opposed to
        //# retransmissions of unacknowledged ones) after sending a final response
        //# to a request.
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# However, it MUST NOT attempt to do so for any request that contains a
        //# tag in the To field.
        let (tx, dialog) = self.ringing_call(call)?;
        progress.headers.without_contact()?;
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# A UAS MUST NOT attempt to send a 100 (Trying) response reliably.
        if !progress.status.is_provisional() || progress.status.code() == 100 {
            return Err(CommandError::BadStatus);
        }
        //= https://www.rfc-editor.org/rfc/rfc6228#section-5
        //# If the Supported header field of an initial dialog initiation request
        //# does not contain a "199" option-tag, the UAC MUST NOT send a 199
        //# response on any early dialog associated with the request.
        //= https://www.rfc-editor.org/rfc/rfc6228#section-5
        //# When a UAS generates a 199 response, the response MUST contain a To
        //# header field tag parameter [RFC3261], in order for other entities to
        //# identify the early dialog that has been terminated.
        //= https://www.rfc-editor.org/rfc/rfc6228#section-5
        //# The UAS MUST also insert a Reason header field [RFC3326] that contains a
        //# response code describing the reason why the early dialog was terminated.
        if progress.status.code() == 199 {
            let request = self.calls.get(call).and_then(|found| found.ringing.as_ref()).map(|ringing| &ringing.request);
            if !request.is_some_and(|request| has_token(request, Header::Supported, "199")) {
                return Err(CommandError::NotSupported);
            }
            if !progress.headers.has(Header::Reason) {
                return Err(CommandError::BadStatus);
            }
        }
        let limit = self.config.limits.reliable_queue;
        let always = self.config.reliable == Reliable::Always;
        let Some(ringing) = self.calls.get_mut(call).and_then(|found| found.ringing.as_mut()) else {
            return Err(CommandError::WrongState);
        };
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# If the request did not include either a Supported or Require header
        //# field indicating this feature, the UAS MUST NOT send the provisional
        //# response reliably.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.4
        //# A UAS that wishes to apply some extension when generating the response
        //# MUST NOT do so unless support for that extension is indicated in the
        //# Supported header field in the request.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.4
        //# Of course, the server MUST NOT apply extensions not listed in the
        //# Supported header field in the request.
        let offers =
            progress.body.is_some() && self.dialogs.get(dialog).is_some_and(|entry| offers_reliably(&entry.oa));
        let reliable = ringing.require_reliable || (ringing.can_reliable && (progress.reliable || always || offers));
        if reliable {
            //= https://www.rfc-editor.org/rfc/rfc3262#section-3
            //# The UAS MUST NOT send a second reliable provisional response until the
            //# first is acknowledged.
            //= https://www.rfc-editor.org/rfc/rfc3262#section-3
            //# After the first, it is RECOMMENDED that the UAS not send an additional
            //# reliable provisional response until the previous is acknowledged.
            if ringing.pending.is_some() {
                if ringing.queue.len() >= limit {
                    return Err(CommandError::Full);
                }
                ringing.queue.push_back(progress);
                return Ok(());
            }
            return self.send_reliable(ep, call, tx, dialog, progress);
        }
        let Some(entry) = self.dialogs.get(dialog) else { return Err(CommandError::Unknown) };
        // An offer must go out reliably, and the answer binds only then: this is a preview.
        if progress.body.is_some() && !entry.oa.may_send(Place::Provisional) {
            return Err(CommandError::BodyNotAllowed);
        }
        let Some(ringing) = self.calls.get(call).and_then(|found| found.ringing.as_ref()) else {
            return Err(CommandError::WrongState);
        };
        let request = &ringing.request;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.1
        //# Each of these MUST indicate the same dialog ID.
        let mut builder = self.dialog_response(ep, tx, request, progress.status, &entry.contact, false);
        builder = progress.headers.on_response(builder);
        if let Some(body) = progress.body {
            builder = body.on_response(builder);
        }
        let response = builder.build_boxed()?;
        ep.respond_ref(self.now, tx, &response)?;
        if let Some(ringing) = self.calls.get_mut(call).and_then(|found| found.ringing.as_mut()) {
            ringing.terminated |= response.status().is_some_and(|status| status.code() == 199);
            ringing.last = Some(response);
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.1
        //# To prevent cancellation, the UAS MUST send a non-100 provisional
        //# response at every minute, to handle the possibility of lost provisional
        //# responses.
        self.deadlines.after(Deadline::Progress(call), self.now, Duration::from_secs(60));
        Ok(())
    }

    pub(crate) fn on_progress_due(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let Some(found) = self.calls.get(call) else { return };
        let (CallState::Ringing, Some(tx)) = (found.state, found.server) else { return };
        let Some(ringing) = found.ringing.as_ref() else { return };
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# As a more efficient alternative, the UAS can send the response reliably,
        //# in which case the UAS SHOULD send provisional responses once every two
        //# and a half minutes.
        if ringing.require_reliable && ringing.pending.is_none() && ringing.rseq > 0 {
            if let Some(dialog) = found.dialog {
                let _ = self.send_reliable(ep, call, tx, dialog, Progress::new(StatusCode::SESSION_PROGRESS));
            }
            return;
        }
        if let Some(last) = &ringing.last {
            let _ = ep.respond_ref(self.now, tx, last);
            self.deadlines.after(Deadline::Progress(call), self.now, Duration::from_secs(60));
        }
    }

    /// Accepts the call with a 200.
    ///
    /// While a reliable provisional response with a session description is unacknowledged, the 200 waits for its PRACK.
    ///
    /// # Errors
    ///
    /// The call is not ringing here; the 200 needs a session description (the answer, or the offer if the INVITE had
    /// none), or must not have another one.
    pub fn accept(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        reply: Reply,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let (_, dialog) = self.ringing_call(call)?;
        reply.headers.without_contact()?;
        let Some(entry) = self.dialogs.get(dialog) else { return Err(CommandError::Unknown) };
        let may = entry.oa.may_send(Place::InviteOk);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.4
        //# If the INVITE request contained an offer, and the UAS had not yet sent
        //# an answer, the 2xx MUST contain an answer.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.4
        //# If the INVITE did not contain an offer, the 2xx MUST contain an offer if
        //# the UAS had not yet sent an offer.
        match (&reply.body, may) {
            (None, true) => return Err(CommandError::BodyNeeded),
            (Some(_), false) => return Err(CommandError::BodyNotAllowed),
            _ => {}
        }
        let Some(found) = self.calls.get_mut(call) else { return Err(CommandError::Unknown) };
        let Some(ringing) = found.ringing.as_mut() else { return Err(CommandError::WrongState) };
        //= https://www.rfc-editor.org/rfc/rfc3262#section-5
        //# If the UAS had placed a session description in any reliable provisional
        //# response that is unacknowledged when the INVITE is accepted, the UAS
        //# MUST delay sending the 2xx until the provisional response is
        //# acknowledged.
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# In that case, it MUST NOT send a final response until those provisional
        //# responses are acknowledged.
        if ringing.pending.as_ref().is_some_and(|pending| pending.session) {
            // What cannot be said must be told now.
            reply.headers.check()?;
            reply.body.as_ref().map_or(Ok(()), Body::check)?;
            ringing.deferred = Some(reply);
            found.state = CallState::Accepting;
            return Ok(());
        }
        self.send_accept(ep, call, reply)
    }

    /// The PRACK a 2xx waited for has come.
    pub(crate) fn accept_deferred(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let Some(ringing) = found.ringing.as_mut() else { return };
        let Some(reply) = ringing.deferred.take() else { return };
        if self.send_accept(ep, call, reply).is_err() {
            self.end_call(ep, call, EndCause::NoSession, None);
        }
    }

    fn send_accept(&mut self, ep: &mut Endpoint, call: CallHandle, reply: Reply) -> Result<(), CommandError> {
        let Some(found) = self.calls.get(call) else { return Err(CommandError::Unknown) };
        let (Some(tx), Some(dialog), Some(ringing)) = (found.server, found.dialog, found.ringing.as_ref()) else {
            return Err(CommandError::WrongState);
        };
        let request = &ringing.request;
        let fields = ringing.timer;
        let Some(entry) = self.dialogs.get(dialog) else { return Err(CommandError::Unknown) };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.4
        //# A 2xx response to an INVITE SHOULD contain the Allow header field and
        //# the Supported header field, and MAY contain the Accept header field.
        let mut builder = self.dialog_response(ep, tx, request, StatusCode::OK, &entry.contact, true);
        builder = fields.on_response(builder);
        builder = self.tell_packages(builder, request);
        builder = reply.headers.on_response(builder);
        let (mut oa, mut holding) = (entry.oa, entry.holding);
        let mut session = None;
        if let Some(body) = reply.body {
            let meaning = oa.sent(Place::InviteOk).ok_or(CommandError::BodyNotAllowed)?;
            holding.said(meaning, &body.bytes);
            session = Some(Box::new(body.clone()));
            builder = body.on_response(builder);
        }
        let response = builder.build()?;
        ep.respond_until_ack(self.now, tx, response).map_err(|error| error.kind)?;
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.oa = oa;
            entry.holding = holding;
            entry.timer.answered(&fields);
            entry.dialog.confirm_local();
        }
        let mut replaces = None;
        if let Some(found) = self.calls.get_mut(call) {
            found.state = CallState::AwaitAck;
            found.accepted = true;
            found.session = session.or(found.session.take());
            if let Some(ringing) = &mut found.ringing {
                ringing.answered = true;
                //= https://www.rfc-editor.org/rfc/rfc3262#section-3
                //# If the UAS does send a final response when reliable responses are still
                //# unacknowledged, it SHOULD NOT continue to retransmit the unacknowledged
                //# reliable provisional responses, but it MUST be prepared to process PRACK
                //# requests for those outstanding responses.
                ringing.unpracked = ringing.pending.take().is_some();
                ringing.queue.clear();
                replaces = ringing.replaces.take();
            }
        }
        for deadline in
            [Deadline::NoAnswer(call), Deadline::Progress(call), Deadline::Reliable(call), Deadline::ReliableLost(call)]
        {
            self.deadlines.clear(deadline);
        }
        // An UPDATE of the peer may still wait for the host.
        self.settle_answer(call);
        if let Some(length) = self.config.call_length {
            self.deadlines.after(Deadline::CallLength(call), self.now, length);
        }
        self.arm_session(call);
        self.call_event(call, CallEvent::Accepted { dialog, message: None, session: None });
        self.take_hold(call, dialog);
        //= https://www.rfc-editor.org/rfc/rfc3891#section-3
        //# If the UA cannot accept the new INVITE (for example: it cannot establish
        //# required QoS or keying, or it has incompatible media), the UA MUST
        //# return an appropriate error response and MUST leave the matched dialog
        //# unchanged.
        if let Some(old) = replaces {
            let _ = self.finish_call(ep, old, EndCause::Replaced, None);
        }
        Ok(())
    }

    /// Refuses the call with a final status from 300 to 699. For 3xx, give the new places in Contact fields.
    ///
    /// # Errors
    ///
    /// The call is not ringing here, or the status is none that refuses.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.2
    //# A 300 (Multiple Choices), 301 (Moved Permanently) or 302 (Moved
    //# Temporarily) response SHOULD contain a Contact header field containing
    //# one or more URIs of new addresses to be tried.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.3
    //# A UAS rejecting an offer contained in an INVITE SHOULD return a 488 (Not
    //# Acceptable Here) response.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-21.3.4
    //# 305 (Use Proxy) responses MUST only be generated by UASs.
    pub fn reject(
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
        let (tx, _) = self.ringing_call(call)?;
        let Some(ringing) = self.calls.get(call).and_then(|found| found.ringing.as_ref()) else {
            return Err(CommandError::WrongState);
        };
        self.answer_as(ep, tx, &ringing.request, code, reply)?;
        self.mark_answered(call);
        let cause = if code.is_redirection() { EndCause::Redirected } else { EndCause::Rejected(code) };
        self.end_call(ep, call, cause, None);
        Ok(())
    }

    pub(crate) fn mark_answered(&mut self, call: CallHandle) {
        if let Some(ringing) = self.calls.get_mut(call).and_then(|found| found.ringing.as_mut()) {
            ringing.answered = true;
        }
    }

    /// Nobody answered here.
    pub(crate) fn not_answered(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let Some(found) = self.calls.get(call) else { return };
        let (CallState::Ringing, Some(tx), Some(ringing)) = (found.state, found.server, found.ringing.as_ref()) else {
            return;
        };
        let request = ringing.request.clone();
        let code = if request.has(Header::Expires) { status(487) } else { status(480) };
        self.reply(ep, tx, &request, code);
        self.mark_answered(call);
        self.end_call(ep, call, EndCause::NoAnswer, None);
    }

    /// The caller gave up, or takes a re-INVITE back.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
    //# If the original request was an INVITE, the UAS SHOULD immediately
    //# respond to the INVITE with a 487 (Request Terminated).
    pub(crate) fn on_cancel(&mut self, ep: &mut Endpoint, tx: ServerTxId, message: Box<Message>) {
        let Some(server) = self.servers.get(&tx) else { return };
        match server.purpose {
            Served::Invite(call) if self.calls.contains(call) => {
                // The 487 is given by the end of the call.
                self.end_call(ep, call, EndCause::PeerCancelled, Some(message));
            }
            Served::Reinvite(call) => self.on_asked_cancelled(ep, call, tx, message),
            // The transaction layer has answered it.
            //= https://www.rfc-editor.org/rfc/rfc6665#section-4.6
            //# If a User Agent Server (UAS) receives a CANCEL request that matches a
            //# known SUBSCRIBE or NOTIFY transaction, it MUST respond to the CANCEL
            //# request, but otherwise ignore it.
            //= https://www.rfc-editor.org/rfc/rfc6665#section-4.6
            //# In particular, the CANCEL request MUST NOT affect processing of the
            //# SUBSCRIBE or NOTIFY request in any way.
            _ => {}
        }
    }

    /// The INVITE transaction of a callee ended.
    pub(crate) fn on_invite_served(&mut self, ep: &mut Endpoint, tx: ServerTxId, call: CallHandle, outcome: Outcome) {
        let Some(found) = self.calls.get_mut(call) else { return };
        if found.server != Some(tx) {
            return;
        }
        match outcome {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.4
            //# If the server retransmits the 2xx response for 64*T1 seconds without
            //# receiving an ACK, the dialog is confirmed, but the session SHOULD be
            //# terminated.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-15
            //# However, the callee's UA MUST NOT send a BYE on a confirmed dialog until
            //# it has received an ACK for its 2xx response or until the server
            //# transaction times out.
            _ if found.state == CallState::AwaitAck => {
                found.server = None;
                let farewell =
                    found.ringing.take().and_then(|ringing| ringing.farewell).map_or_else(Reply::new, |reply| *reply);
                found.state = CallState::Confirmed;
                let cause = found.ending.unwrap_or(EndCause::NotAcknowledged);
                let _ = self.finish_call_with(ep, call, cause, farewell);
            }
            // The transaction layer answered for a host that never did, or lost the flow of the caller.
            _ if matches!(found.state, CallState::Ringing | CallState::Accepting) => {
                self.mark_answered(call);
                let cause =
                    if matches!(outcome, Outcome::Failed(_)) { EndCause::Unreachable } else { EndCause::NoAnswer };
                self.end_call(ep, call, cause, None);
            }
            _ => found.server = None,
        }
    }

    /// Whether this is the INVITE of a call that lives.
    pub(crate) fn serves_call(&self, tx: ServerTxId) -> bool {
        self.servers.get(&tx).is_some_and(|server| match server.purpose {
            Served::Invite(call) | Served::Reinvite(call) => self.calls.contains(call),
            _ => false,
        })
    }

    /// An ACK for a 2xx in one of our dialogs.
    pub(crate) fn on_ack(&mut self, ep: &mut Endpoint, dialog: DialogId, message: Box<Message>) {
        let Some(entry) = self.dialogs.get(dialog) else { return };
        let (Some(call), Ok(cseq)) = (entry.call, message.cseq()) else { return };
        let number = cseq.number;
        let Some(found) = self.calls.get_mut(call) else { return };
        if let Some(unacked) = found.unacked.take_if(|unacked| unacked.cseq == number) {
            let _ = ep.acknowledge(self.now, unacked.tx);
            return self.on_reinvite_acked(ep, call, dialog, message);
        }
        let expected = found.ringing.as_ref().map(|ringing| ringing.cseq);
        let (CallState::AwaitAck, Some(tx)) = (found.state, found.server) else { return };
        if expected != Some(number) {
            return;
        }
        found.server = None;
        let ringing = found.ringing.take();
        found.state = CallState::Confirmed;
        let ending = found.ending;
        // A re-INVITE may have overtaken it: the offer that is pending then is that one's.
        let overtaken = found.unacked.is_some() || found.asked.is_some();
        let _ = ep.acknowledge(self.now, tx);
        // The ACK may have overtaken a PRACK.
        if let Some(unpracked) = ringing.as_ref().and_then(|ringing| self.unpracked_of(ringing, dialog)) {
            self.remember(ep, dialog, Some(unpracked));
        }
        let session = self.dialogs.get_mut(dialog).filter(|_| !overtaken).and_then(|entry| {
            let session = entry.read_session(Place::Ack, &message);
            // An answer that is due and not there: the offer lapses.
            entry.oa.failed(Place::Invite);
            session
        });
        self.call_event(call, CallEvent::Confirmed { message: Some(message), session });
        self.take_hold(call, dialog);
        if let Some(cause) = ending {
            let farewell = ringing.and_then(|ringing| ringing.farewell);
            let _ = self.finish_call_with(ep, call, cause, farewell.map_or_else(Reply::new, |reply| *reply));
        }
        self.tell_move(ep, call);
    }
}

wire!(struct Progress { status, body, headers, reliable });
wire!(struct Reply { body, headers });
wire!(struct Ringing {
    request, cseq, timer, require_reliable, can_reliable, rseq, pending, queue, last, deferred, replaces, farewell,
    terminated, answered, unpracked,
});
