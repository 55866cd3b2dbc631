//! Changes of a session that stands: re-INVITE (RFC 3261 section 14), UPDATE (RFC 3311), refresh (RFC 4028), hold, and the
//! host's answers to offers.

use alloc::boxed::Box;
use sip_message::{Header, Message, Method, StatusCode};
use sip_transaction::{ClientTxId, Endpoint, Instant, Outcome, ServerTxId};

use super::callee::Reply;
use super::{Call, CallState, Peer};
use crate::agent::client::{Final, Purpose};
use crate::agent::server::Served;
use crate::agent::{UserAgentCore, status};
use crate::body::Body;
use crate::codec::wire;
use crate::deadlines::Deadline;
use crate::dialog::{Damage, damage};
use crate::error::CommandError;
use crate::event::{CallEvent, EndCause};
use crate::glare;
use crate::id::{CallHandle, DialogId};
use crate::offer_answer::{Glare, Meaning, Place};
use crate::origin::ExtraHeaders;
use crate::sdp;
use crate::session_timer::Fields;

/// The request that carries a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Invite,
    Update,
    Prack,
}

impl Kind {
    fn place(self) -> Place {
        match self {
            Kind::Invite => Place::Invite,
            Kind::Update => Place::Update,
            Kind::Prack => Place::Prack,
        }
    }

    fn ok(self) -> Place {
        match self {
            Kind::Invite => Place::InviteOk,
            Kind::Update => Place::UpdateOk,
            Kind::Prack => Place::PrackOk,
        }
    }
}

/// A re-INVITE or UPDATE of ours.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    /// The dialog it goes through; of a caller without an answer, one of the early ones.
    dialog: Option<DialogId>,
    /// `None` while it waits to be tried again.
    pub(crate) tx: Option<ClientTxId>,
    pub(crate) body: Option<Box<Body>>,
    headers: ExtraHeaders,
    /// What it does to the hold, if it succeeds.
    hold: Option<bool>,
    /// It only keeps the session alive.
    refresh: bool,
    tries: u8,
    /// The 2xx has an offer; its ACK, for this number, waits for the host's answer.
    awaiting: Option<u32>,
    /// What that offer does to the hold.
    offered: Halt,
}

/// What a session description says of hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Halt {
    /// Whoever wrote it holds the other.
    holds: bool,
    /// It leaves the other no choice but to send nothing either, which then says nothing of whether the other holds, too.
    forces: bool,
}

impl Halt {
    fn of(sdp: &[u8]) -> Self {
        let holds = sdp::is_hold(sdp);
        Halt { holds, forces: holds && memchr::memmem::find(sdp, b"a=sendonly").is_none() }
    }

    /// Whether whoever answers an offer like this with that holds the other; `None`: as before.
    fn answered(self, answer: Halt) -> Option<bool> {
        (!(answer.holds && self.forces)).then_some(answer.holds)
    }
}

impl Change {
    /// Whether the ACK for its 2xx waits for the host's answer.
    pub(crate) fn awaits_host(&self) -> bool {
        self.awaiting.is_some()
    }
}

/// A 2xx of ours to a re-INVITE that waits for its ACK.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unacked {
    pub(crate) tx: ServerTxId,
    /// The number of the re-INVITE.
    pub(crate) cseq: u32,
    /// What the offer in it does to the hold, if it has one.
    pub(crate) offered: Halt,
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
    /// Sends a re-INVITE: with an offer, or without one to ask the peer for it.
    ///
    /// The outcome is told by [`Answered`](CallEvent::Answered) or [`ChangeFailed`](CallEvent::ChangeFailed). A 491 is
    /// tried again by itself.
    ///
    /// # Errors
    ///
    /// The call does not stand; another offer or INVITE is pending, ours or theirs.
    pub fn reinvite(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        body: Option<Body>,
        headers: ExtraHeaders,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.begin_change(ep, call, new_change(Kind::Invite, body, headers))
    }

    /// Sends an UPDATE (RFC 3311): with an offer to change the session, early or confirmed, or without one to refresh
    /// it. An offer that [holds](crate::sdp::is_hold) puts the peer on hold as [`hold`](UserAgentCore::hold) does.
    ///
    /// # Errors
    ///
    /// The call has no dialog yet; the peer does not allow UPDATE; another offer is pending.
    pub fn update(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        body: Option<Body>,
        headers: ExtraHeaders,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.begin_change(ep, call, new_change(Kind::Update, body, headers))
    }

    /// Puts the peer on hold with a re-INVITE whose offer the host made, as with
    /// [`sdp::with_direction`](crate::sdp::with_direction). The call counts as held when the peer has agreed:
    /// [`Hold`](CallEvent::Hold) tells.
    ///
    /// # Errors
    ///
    /// As [`reinvite`](UserAgentCore::reinvite).
    pub fn hold(&mut self, ep: &mut Endpoint, now: Instant, call: CallHandle, offer: Body) -> Result<(), CommandError> {
        self.advance(now);
        let mut change = new_change(Kind::Invite, Some(offer), ExtraHeaders::new());
        change.hold = Some(true);
        self.begin_change(ep, call, change)
    }

    /// Takes the peer back from hold, with an offer of the host's.
    ///
    /// # Errors
    ///
    /// As [`reinvite`](UserAgentCore::reinvite).
    pub fn resume(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        offer: Body,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let mut change = new_change(Kind::Invite, Some(offer), ExtraHeaders::new());
        change.hold = Some(false);
        self.begin_change(ep, call, change)
    }

    /// The dialog of the request that waits for the host: with several early dialogs, the call does not say.
    pub(crate) fn dialog_of_asked(&self, call: CallHandle) -> Option<DialogId> {
        let dialog = self.dialog_of(&self.calls.get(call)?.asked.as_ref()?.request)?;
        (self.dialogs.get(dialog)?.call == Some(call)).then_some(dialog)
    }

    /// The dialog a change of the call goes through.
    fn change_dialog(found: &Call) -> Option<DialogId> {
        match (found.dialog, found.early.as_slice()) {
            (Some(dialog), _) => Some(dialog),
            (None, [only]) => Some(*only),
            _ => None,
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
    //# Note that a UAC MUST NOT initiate a new INVITE transaction within a
    //# dialog while another INVITE transaction is in progress in either
    //# direction.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
    //# If there is an ongoing INVITE client transaction, the TU MUST wait until
    //# the transaction reaches the completed or terminated state before
    //# initiating the new INVITE.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
    //# If there is an ongoing INVITE server transaction, the TU MUST wait until
    //# the transaction reaches the confirmed or terminated state before
    //# initiating the new INVITE.
    fn begin_change(&mut self, ep: &mut Endpoint, call: CallHandle, change: Change) -> Result<(), CommandError> {
        let found = self.command_call(call)?;
        let dialog = Self::change_dialog(found).ok_or(CommandError::WrongState)?;
        let in_time = match change.kind {
            Kind::Invite => found.state == CallState::Confirmed,
            _ => found.is_known() && !matches!(found.state, CallState::Cancelling | CallState::AwaitAnswer),
        };
        if !in_time || found.ending.is_some() {
            return Err(CommandError::WrongState);
        }
        if found.change.is_some() || found.asked.is_some() || (found.unacked.is_some() && change.kind == Kind::Invite) {
            return Err(CommandError::Pending);
        }
        let tx = self.send_change(ep, call, dialog, &change)?;
        if let Some(found) = self.calls.get_mut(call) {
            found.change = Some(Box::new(Change { dialog: Some(dialog), tx: Some(tx), ..change }));
        }
        Ok(())
    }

    fn send_change(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        dialog: DialogId,
        change: &Change,
    ) -> Result<ClientTxId, CommandError> {
        let Some(entry) = self.dialogs.get(dialog) else { return Err(CommandError::Unknown) };
        if change.kind == Kind::Update && !entry.peer.has(Peer::UPDATE) {
            return Err(CommandError::NotSupported);
        }
        let mut oa = entry.oa;
        if change.kind == Kind::Invite {
            if !oa.is_idle() {
                return Err(CommandError::Pending);
            }
            oa.begin_invite();
        }
        if change.body.is_some() {
            oa.sent(change.kind.place()).ok_or(CommandError::Pending)?;
        }
        let fields = entry.timer.request(&self.config.session_timer);
        let contact = entry.contact.clone();
        let method = if change.kind == Kind::Invite { Method::Invite } else { Method::Update };
        let Some(entry) = self.dialogs.get_mut(dialog) else { return Err(CommandError::Unknown) };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
        //# A UAC SHOULD include a Contact header field in any target refresh
        //# requests within a dialog, and unless there is a need to change it, the
        //# URI SHOULD be the same as used in previous requests within the dialog.
        let builder = entry.dialog.request(method);
        let mut builder = change.headers.on_request(fields.on_request(self.dress_session(builder, &contact)));
        if let Some(body) = &change.body {
            builder = (**body).clone().on_request(builder);
        }
        let request = builder.build()?;
        let tx = self.send_in_dialog(ep, dialog, request, Purpose::Change(call, dialog))?;
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.oa = oa;
            if change.kind == Kind::Invite {
                // Each INVITE has reliable responses numbered by themselves (RFC 3262 section 3).
                entry.rseq = 0;
                entry.unpracked = false;
            }
        }
        if let Some(found) = self.calls.get_mut(call).filter(|found| found.state == CallState::Confirmed) {
            // Its Contact is the one there is now.
            found.untold = false;
        }
        Ok(tx)
    }

    /// The session is half through: refreshes it, by UPDATE if the peer takes that, else by a re-INVITE with the last session
    /// description.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
    //# If a UAC knows that its peer supports the UPDATE method, it is
    //# RECOMMENDED that UPDATE be used instead of a re-INVITE.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
    //# It is RECOMMENDED that the UPDATE request not contain an offer [4], but
    //# a re-INVITE SHOULD contain one, even if the details of the session have
    //# not changed.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
    //# The values of Supported, Require, and Proxy-Require used in the initial
    //# Session refresh request MUST be used.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
    //# In that case, the offer MUST indicate that it has not changed.
    pub(crate) fn on_refresh_due(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let Some(found) = self.calls.get(call) else { return };
        let session = found.session.clone();
        let Some((_, entry)) = self.entry_of(call) else { return };
        let update = entry.peer.has(Peer::UPDATE);
        let mut change = new_change(if update { Kind::Update } else { Kind::Invite }, None, ExtraHeaders::new());
        change.refresh = true;
        if !update {
            change.body = session;
        }
        if self.begin_change(ep, call, change).is_err() {
            // Something else is under way, which may refresh the session itself.
            self.deadlines.after(Deadline::Refresh(call), self.now, core::time::Duration::from_secs(2));
        }
    }

    /// A 2xx to a re-INVITE of ours, which may be over for the call.
    pub(crate) fn on_reinvite_accepted(
        &mut self,
        ep: &mut Endpoint,
        tx: ClientTxId,
        purpose: Purpose,
        message: Box<Message>,
    ) {
        let tag = message.dialog_ids().ok().and_then(|ids| ids.to_tag).unwrap_or_default();
        if self.acknowledged(ep, tx, tag) {
            return;
        }
        let Purpose::Change(call, dialog) = purpose else { return };
        let cseq = message.cseq().map_or(0, |cseq| cseq.number);
        let ours = self.calls.get(call).and_then(|found| found.change.as_ref());
        let Some(change) = ours.filter(|change| change.tx == Some(tx)) else {
            // The call has ended meanwhile; the 2xx still needs its ACK, or the peer repeats it for half a minute.
            return self.send_ack(ep, tx, dialog, cseq, None);
        };
        if change.awaiting.is_some() {
            return;
        }
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.2
        //# When a UAC receives a 2xx response to a target refresh request, it MUST
        //# replace the dialog's remote target URI with the URI from the Contact
        //# header field in that response, if present.
        let _ = entry.dialog.refresh_target(&message);
        entry.learn(&message);
        entry.learn_packages(&message);
        entry.unpracked = false;
        entry.timer.accepted(&message);
        let session = entry.read_session(Place::InviteOk, &message);
        self.settle_answer(call);
        self.arm_session(call);
        if session == Some(Meaning::Offer) {
            if let Some(change) = self.calls.get_mut(call).and_then(|found| found.change.as_mut()) {
                change.awaiting = Some(cseq);
                change.offered = Halt::of(message.body());
            }
            let wait = self.config.answer;
            self.deadlines.after(Deadline::Answer(call), self.now, wait);
            return self.call_event(call, CallEvent::Answered { message, session });
        }
        self.send_ack(ep, tx, dialog, cseq, None);
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.oa.failed(Place::Invite);
        }
        self.change_succeeded(call, message, session);
        self.tell_move(ep, call);
    }

    /// Sends the ACK that waited for the host's answer to the offer in a 2xx. Whether there was one.
    pub(crate) fn acknowledge_change(&mut self, ep: &mut Endpoint, call: CallHandle, answer: Option<Body>) -> bool {
        let Some(found) = self.calls.get_mut(call) else { return false };
        let Some(dialog) = found.dialog else { return false };
        let Some(change) = found.change.as_ref() else { return false };
        let (Some(tx), Some(cseq)) = (change.tx, change.awaiting) else { return false };
        let offered = change.offered;
        found.change = None;
        self.settle_answer(call);
        let answered = answer.as_ref().map(|answer| Halt::of(&answer.bytes));
        self.send_ack(ep, tx, dialog, cseq, answer);
        if let Some(answered) = answered {
            self.note_hold(call, offered.answered(answered), Some(offered.holds));
        }
        true
    }

    fn change_succeeded(&mut self, call: CallHandle, message: Box<Message>, session: Option<Meaning>) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let Some(change) = found.change.take() else { return };
        // What was asked for holds only now that the peer has agreed.
        let (mut ours, mut theirs) = (None, None);
        if let (Some(body), Some(Meaning::Answer)) = (&change.body, session) {
            let offered = Halt::of(&body.bytes);
            ours = Some(offered.holds);
            theirs = offered.answered(Halt::of(message.body()));
        }
        let ours = change.hold.or(ours);
        let refresh = change.refresh;
        if let (Some(body), Some(dialog), true) = (change.body, change.dialog, session.is_some()) {
            self.keep_session(call, dialog, *body);
        }
        self.arm_session(call);
        if refresh {
            self.call_event(call, CallEvent::Refreshed);
        } else {
            self.call_event(call, CallEvent::Answered { message, session });
        }
        self.note_hold(call, ours, theirs);
    }

    /// Takes over what an exchange has said of hold, where it has.
    fn note_hold(&mut self, call: CallHandle, ours: Option<bool>, theirs: Option<bool>) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let ours = ours.filter(|held| *held != found.local_hold);
        let theirs = theirs.filter(|held| *held != found.remote_hold);
        found.local_hold = ours.unwrap_or(found.local_hold);
        found.remote_hold = theirs.unwrap_or(found.remote_hold);
        for (by_peer, held) in [(false, ours), (true, theirs)] {
            if let Some(held) = held {
                self.call_event(call, CallEvent::Hold { by_peer, held });
            }
        }
    }

    /// An UPDATE of ours is answered, or a re-INVITE has failed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
    //# If a UA receives a non-2xx final response to a re-INVITE, the session
    //# parameters MUST remain unchanged, as if no re-INVITE had been issued.
    //= https://www.rfc-editor.org/rfc/rfc3311#section-5.3
    //# If a UA receives a non-2xx final response to a UPDATE, the session
    //# parameters MUST remain unchanged, as if no UPDATE had been issued.
    pub(crate) fn on_change_done(&mut self, ep: &mut Endpoint, call: CallHandle, dialog: DialogId, outcome: Final) {
        let kind = match self.calls.get(call).and_then(|found| found.change.as_ref()) {
            Some(change) => change.kind,
            None => return,
        };
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        let code = outcome.status;
        if let (true, Some(response)) = (code.is_success(), &outcome.response) {
            let _ = entry.dialog.refresh_target(response);
            entry.learn(response);
            if response.has(Header::SessionExpires) || entry.timer.agreed().is_some() {
                entry.timer.accepted(response);
            }
            let session = entry.read_session(Place::UpdateOk, response);
            entry.oa.failed(Place::Update);
            let response = response.clone();
            self.change_succeeded(call, response, session);
            return self.tell_move(ep, call);
        }
        entry.oa.failed(kind.place());
        if kind == Kind::Invite {
            // With it goes what was to be said to its provisional responses.
            entry.unpracked = false;
        }
        let again = match (code.code(), &outcome.response) {
            (422, Some(response)) => entry.timer.too_small(response),
            _ => false,
        };
        let owner = entry.dialog.is_initiator();
        self.settle_answer(call);
        let random = self.random();
        let rounds = self.config.limits.glare_rounds;
        let Some(change) = self.calls.get_mut(call).and_then(|found| found.change.as_mut()) else { return };
        change.tx = None;
        change.tries += 1;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
        //# If a UAC receives a 491 response to a re-INVITE, it SHOULD start a timer
        //# with a value T chosen as follows:
        //= https://www.rfc-editor.org/rfc/rfc3311#section-5.3
        //# If a UAC receives a 491 response to a UPDATE, it SHOULD start a timer
        //# with a value T chosen as follows:
        if (code.code() == 491 || again) && change.tries <= rounds {
            let delay = if again { core::time::Duration::ZERO } else { glare::delay(owner, random) };
            return self.deadlines.after(Deadline::Glare(call), self.now, delay);
        }
        let refresh = change.refresh;
        if let Some(found) = self.calls.get_mut(call) {
            found.change = None;
        }
        //= https://www.rfc-editor.org/rfc/rfc4028#section-10
        //# If the session refresh request does not generate a 2xx response (and, as
        //# a result, the session is not refreshed), and a response other than 408
        //# or 481 is received, the UAC SHOULD follow the rules specific to that
        //# response code and retry if possible.
        let fatal =
            damage(code, true) != Damage::Transaction && !(matches!(code.code(), 405 | 501) && kind == Kind::Update);
        if fatal && self.calls.get(call).is_some_and(|found| found.state == CallState::Confirmed) {
            return self.lose_call(ep, call, code, outcome.response);
        }
        if refresh {
            // Another attempt before the session runs out, if there is time for one.
            self.deadlines.after(Deadline::Refresh(call), self.now, core::time::Duration::from_secs(30));
        }
        self.call_event(call, CallEvent::ChangeFailed { message: outcome.response, status: code });
        self.tell_move(ep, call);
    }

    /// An early dialog is over: the change that was to go through it is not answered any more.
    pub(crate) fn drop_change(&mut self, call: CallHandle, dialog: DialogId) {
        let change = self.calls.get_mut(call).map(|found| &mut found.change);
        let Some(change) = change.and_then(|change| change.take_if(|change| change.dialog == Some(dialog))) else {
            return;
        };
        if let Some(tx) = change.tx {
            self.disown(tx);
        }
        self.deadlines.clear(Deadline::Glare(call));
        self.call_event(call, CallEvent::ChangeFailed { message: None, status: status(481) });
    }

    /// The wait after a 491 is over: the change is tried again.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
    //# When the timer fires, the UAC SHOULD attempt the re-INVITE once more, if
    //# it still desires for that session modification to take place.
    pub(crate) fn on_glare_over(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let busy = found.asked.is_some() || found.unacked.is_some();
        let Some(mut change) = found.change.take() else { return };
        let Some(dialog) = change.dialog else { return };
        let sent = if busy { Err(CommandError::Pending) } else { self.send_change(ep, call, dialog, &change) };
        match sent {
            Ok(tx) => change.tx = Some(tx),
            Err(CommandError::Pending) if change.tries < self.config.limits.glare_rounds => {
                // Theirs is not through yet.
                change.tries += 1;
                self.deadlines.after(Deadline::Glare(call), self.now, core::time::Duration::from_secs(2));
            }
            Err(_) => {
                let status = status(491);
                self.call_event(call, CallEvent::ChangeFailed { message: None, status });
                return self.tell_move(ep, call);
            }
        }
        if let Some(found) = self.calls.get_mut(call) {
            found.change = Some(change);
        }
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
        let asked = self.calls.get(call).is_some_and(|found| found.asked.is_some());
        //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
        //# A UAS that receives an UPDATE before it has generated a final response
        //# to a previous UPDATE on the same dialog MUST return a 500 response to
        //# the new UPDATE, and MUST include a Retry-After header field with a
        //# randomly chosen value between 0 and 10 seconds.
        if asked {
            return self.reply_later(ep, tx, &message);
        }
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
                Ok(_) => {}
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
        entry.learn(&message);
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
        let mut oa = entry.oa;
        let mut builder = self.response(ep, asked.tx, &asked.request, StatusCode::OK);
        if asked.kind != Kind::Prack {
            builder = self.with_contact(builder, &entry.contact).lines(&self.ability_lines);
            builder = asked.timer.on_response(builder);
            builder = self.tell_packages(builder, &asked.request);
        }
        builder = headers.on_response(builder);
        let session = body.clone();
        if let Some(body) = body {
            if oa.sent(asked.kind.ok()).is_none() {
                return Err((CommandError::BodyNotAllowed, Box::new(asked)));
            }
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
        let said = session.as_ref().map(|session| Halt::of(&session.bytes));
        let (ours, theirs) = match (offered_hold(&asked.request), said) {
            (Some(offered), said) => (said.and_then(|said| offered.answered(said)), Some(offered.holds)),
            // An offer of ours, whose answer comes in the ACK.
            (None, said) => (said.map(|said| said.holds), None),
        };
        let mut moved = false;
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.oa = oa;
            if asked.kind != Kind::Prack {
                entry.timer.answered(&asked.timer);
                //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
                //# When a UAS receives a target refresh request, it MUST replace the
                //# dialog's remote target URI with the URI from the Contact header field in
                //# that request, if present.
                moved = entry.dialog.refresh_target(&asked.request) == Ok(true);
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
                let offered = said.unwrap_or_default();
                let unacked = cseq.map(|cseq| Unacked { tx: asked.tx, cseq: cseq.number, offered });
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
        if moved {
            self.call_event(call, CallEvent::PeerMoved);
        }
        self.note_hold(call, ours, theirs);
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
    /// As [`answer`](UserAgentCore::answer); a header field is malformed.
    pub fn answer_with(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        body: Body,
        headers: ExtraHeaders,
    ) -> Result<(), CommandError> {
        self.advance(now);
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
        let response = reply.on_response(self.response(ep, asked.tx, &asked.request, code)).build()?;
        let (tx, kind) = (asked.tx, asked.kind);
        ep.respond(self.now, tx, response).map_err(|error| error.kind)?;
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
        offered: Halt,
        message: Box<Message>,
    ) {
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        let session = entry.read_session(Place::Ack, &message);
        // An answer that is due and not there: the offer lapses.
        entry.oa.failed(Place::Invite);
        if session.is_some() {
            let theirs = offered.answered(Halt::of(message.body()));
            self.call_event(call, CallEvent::Answered { message, session });
            self.note_hold(call, None, theirs);
        }
        self.tell_move(ep, call);
    }

    /// A re-INVITE transaction of the peer's ended.
    pub(crate) fn on_reinvite_served(&mut self, ep: &mut Endpoint, tx: ServerTxId, call: CallHandle, outcome: Outcome) {
        self.on_asked_gone(ep, call, tx);
        let Some(found) = self.calls.get_mut(call) else { return };
        if found.unacked.is_some_and(|unacked| unacked.tx == tx) {
            found.unacked = None;
            //= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
            //# If a UAS generates a 2xx response and never receives an ACK, it SHOULD
            //# generate a BYE to terminate the dialog.
            if outcome == Outcome::NotAcknowledged {
                let _ = self.finish_call(ep, call, EndCause::NotAcknowledged, None);
            }
        }
    }
}

fn new_change(kind: Kind, body: Option<Body>, headers: ExtraHeaders) -> Change {
    Change {
        kind,
        dialog: None,
        tx: None,
        body: body.map(Box::new),
        headers,
        hold: None,
        refresh: false,
        tries: 0,
        awaiting: None,
        offered: Halt::default(),
    }
}

/// What the offer in a request says of hold; `None` if it has none.
fn offered_hold(request: &Message) -> Option<Halt> {
    crate::body::carries_session(request).then(|| Halt::of(request.body()))
}

wire!(
    enum Kind {
        Invite = 0,
        Update = 1,
        Prack = 2,
    }
);
wire!(struct Change { kind, dialog, tx, body, headers, hold, refresh, tries, awaiting, offered });
wire!(struct Unacked { tx, cseq, offered });
wire!(struct Halt { holds, forces });
wire!(struct Asked { kind, tx, request, timer });
