//! Changes of a session that stands, asked for by us: re-INVITE (RFC 3261 section 14.1), UPDATE (RFC 3311), refresh (RFC 4028), hold.
//! What the peer asks for is in `asked`.

use alloc::boxed::Box;
use sip_message::{Header, Message, Method};
use sip_transaction::{ClientTxId, Endpoint, Instant};

use super::{Call, CallState, Peer};
use crate::agent::client::{Final, Purpose};
use crate::agent::{UserAgentCore, status};
use crate::body::{self, Body};
use crate::codec::wire;
use crate::deadlines::Deadline;
use crate::dialog::{Damage, damage};
use crate::error::CommandError;
use crate::event::{CallEvent, Owner};
use crate::glare;
use crate::id::{CallHandle, DialogId};
use crate::offer_answer::{Meaning, Place};
use crate::origin::ExtraHeaders;

/// The request that carries a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Invite,
    Update,
    Prack,
}

impl Kind {
    pub(super) fn place(self) -> Place {
        match self {
            Kind::Invite => Place::Invite,
            Kind::Update => Place::Update,
            Kind::Prack => Place::Prack,
        }
    }

    pub(super) fn ok(self) -> Place {
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
    /// What answers that offer if the host does not.
    refusal: Option<Box<Body>>,
    /// Whether we held the peer and the peer held us when the re-INVITE went out, and the session there was then.
    before: (bool, bool),
    session: Option<Box<Body>>,
}

impl Change {
    /// What a re-INVITE that fails goes back to is what there is now.
    fn beginning_at(self, found: &Call) -> Self {
        if self.kind != Kind::Invite {
            return self;
        }
        Change { before: (found.local_hold, found.remote_hold), session: found.session.clone(), ..self }
    }

    /// Whether the ACK for its 2xx waits for the host's answer.
    pub(crate) fn awaits_host(&self) -> bool {
        self.awaiting.is_some()
    }
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
        self.begin_change(ep, call, None, new_change(Kind::Invite, body, headers))
    }

    /// Sends an UPDATE (RFC 3311): with an offer to change the session, early or confirmed, or without one to refresh
    /// it. An offer that [holds](crate::sdp::is_hold) puts the peer on hold as [`hold`](UserAgentCore::hold) does; of a call that is not accepted
    /// yet that is told with its acceptance.
    ///
    /// # Errors
    ///
    /// The call has no dialog yet, or several, of which [`update_early`](UserAgentCore::update_early) takes one; the peer does not allow UPDATE;
    /// another offer is pending.
    pub fn update(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        body: Option<Body>,
        headers: ExtraHeaders,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.begin_change(ep, call, None, new_change(Kind::Update, body, headers))
    }

    /// Sends an UPDATE as [`update`](UserAgentCore::update) does, in one of several early dialogs of a call that has forked. One at a time: the next
    /// waits until that has been answered, or its dialog is over.
    ///
    /// # Errors
    ///
    /// As [`update`](UserAgentCore::update); the dialog is none of that call.
    pub fn update_early(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        dialog: DialogId,
        body: Option<Body>,
        headers: ExtraHeaders,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.begin_change(ep, call, Some(dialog), new_change(Kind::Update, body, headers))
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
        self.begin_change(ep, call, None, change)
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
        self.begin_change(ep, call, None, change)
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
    fn begin_change(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        dialog: Option<DialogId>,
        change: Change,
    ) -> Result<(), CommandError> {
        let found = self.command_call(call)?;
        change.headers.without_contact()?;
        let dialog = match dialog {
            Some(dialog) => found.dialog_of(dialog),
            None => Self::change_dialog(found),
        };
        let dialog = dialog.ok_or(CommandError::WrongState)?;
        let in_time = match change.kind {
            Kind::Invite => found.state == CallState::Confirmed,
            _ => found.is_known() && !matches!(found.state, CallState::Cancelling | CallState::AwaitAnswer),
        };
        if !in_time || found.ending.is_some() {
            return Err(CommandError::WrongState);
        }
        // What has no offer may go beside an INVITE of the peer's: so it hears at once where we are.
        //= https://www.rfc-editor.org/rfc/rfc6141#section-4.8
        //# If the protocol allows a UA to use a target-refresh request at the
        //# point in time that the UA wishes to refresh its local target, the UA
        //# MUST use a target-refresh request instead of a response to refresh its
        //# local target.
        let beside = change.kind == Kind::Update && change.body.is_none();
        let asked = found.asked.as_ref().is_some_and(|asked| !(beside && asked.kind == Kind::Invite));
        if found.change.is_some() || asked || (found.unacked.is_some() && change.kind == Kind::Invite) {
            return Err(CommandError::Pending);
        }
        let change = change.beginning_at(found);
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
        let (mut oa, mut holding) = (entry.oa, entry.holding);
        if change.kind == Kind::Invite {
            if !oa.is_idle() {
                return Err(CommandError::Pending);
            }
            oa.begin_invite();
        }
        if let Some(body) = &change.body {
            let meaning = oa.sent(change.kind.place()).ok_or(CommandError::Pending)?;
            holding.said(meaning, &body.bytes);
            if let Some(hold) = change.hold {
                holding.meant(hold);
            }
        }
        let fields = entry.timer.request(&self.config.session_timer);
        let contact = entry.contact.clone();
        let method = if change.kind == Kind::Invite { Method::Invite } else { Method::Update };
        let Some(entry) = self.dialogs.get_mut(dialog) else { return Err(CommandError::Unknown) };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
        //# A UAC SHOULD include a Contact header field in any target refresh
        //# requests within a dialog, and unless there is a need to change it, the
        //# URI SHOULD be the same as used in previous requests within the dialog.
        let builder = entry.dialog.upcoming(method);
        let mut builder = change.headers.on_request(fields.on_request(self.dress_session(builder, &contact)));
        if let Some(body) = &change.body {
            builder = (**body).clone().on_request(builder);
        }
        let request = builder.build_boxed()?;
        let tx = self.send_in_dialog(ep, dialog, request, Purpose::Change(call, dialog))?;
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.oa = oa;
            entry.holding = holding;
            if change.kind == Kind::Invite {
                // Each INVITE has reliable responses numbered by themselves (RFC 3262 section 3).
                entry.rseq = 0;
                entry.unpracked = false;
            }
        }
        if let (Kind::Invite, Some(wait)) = (change.kind, self.config.no_answer) {
            self.deadlines.after(Deadline::NoAnswer(call), self.now, wait);
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
        if self.begin_change(ep, call, None, change).is_err() {
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
            let Some(entry) = self.dialogs.get_mut(dialog) else { return self.lose_again(ep, tx, &message) };
            let _ = entry.dialog.refresh_target(&message);
            let offer = entry.read_session(Place::InviteOk, &message) == Some(Meaning::Offer);
            let refusal = offer.then(|| body::refusal(&message)).flatten();
            return self.send_ack(ep, tx, dialog, cseq, refusal);
        };
        if change.awaiting.is_some() {
            return;
        }
        self.deadlines.clear(Deadline::NoAnswer(call));
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.2
        //# When a UAC receives a 2xx response to a target refresh request, it MUST
        //# replace the dialog's remote target URI with the URI from the Contact
        //# header field in that response, if present.
        let moved = entry.take_target(&message);
        entry.learn(&message, &mut self.heard);
        entry.learn_packages(&message);
        entry.unpracked = false;
        entry.timer.accepted(&message);
        let session = entry.read_session(Place::InviteOk, &message);
        self.settle_answer(call);
        self.arm_session(call);
        if session == Some(Meaning::Offer) {
            if let Some(change) = self.calls.get_mut(call).and_then(|found| found.change.as_mut()) {
                change.awaiting = Some(cseq);
                change.refusal = body::refusal(&message).map(Box::new);
            }
            let wait = self.config.answer;
            self.deadlines.after(Deadline::Answer(call), self.now, wait);
            self.call_event(call, CallEvent::Answered { message, session });
            return self.tell_moved(call, moved);
        }
        self.send_ack(ep, tx, dialog, cseq, None);
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.oa.failed(Place::Invite);
        }
        self.change_succeeded(call, message, session);
        self.tell_moved(call, moved);
        self.tell_move(ep, call);
    }

    /// Sends the ACK that waited for the host's answer to the offer in a 2xx, or refuses that. Whether there was one.
    pub(crate) fn acknowledge_change(&mut self, ep: &mut Endpoint, call: CallHandle, answer: Option<Body>) -> bool {
        let Some(found) = self.calls.get_mut(call) else { return false };
        let Some(dialog) = found.dialog else { return false };
        let Some(change) = found.change.as_ref() else { return false };
        let (Some(tx), Some(cseq)) = (change.tx, change.awaiting) else { return false };
        let refusal = found.change.take().and_then(|change| change.refusal);
        self.settle_answer(call);
        let answered = answer.is_some();
        self.send_ack(ep, tx, dialog, cseq, answer.or(refusal.map(|refusal| *refusal)));
        if answered {
            self.take_hold(call, dialog);
        }
        true
    }

    /// The peer has taken a re-INVITE and says neither yes nor no: it is cancelled, and the call goes on as it was.
    pub(crate) fn give_up_change(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let change = self.calls.get(call).and_then(|found| found.change.as_ref());
        let reinvite = change.filter(|change| change.kind == Kind::Invite && change.awaiting.is_none());
        if let Some(tx) = reinvite.and_then(|change| change.tx) {
            let _ = ep.cancel(self.now, tx, None);
        }
    }

    fn change_succeeded(&mut self, call: CallHandle, message: Box<Message>, session: Option<Meaning>) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let Some(change) = found.change.take() else { return };
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
        if let Some(dialog) = change.dialog {
            self.take_hold(call, dialog);
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
        let (kind, under_way) = match self.calls.get(call).and_then(|found| found.change.as_ref()) {
            Some(change) => (change.kind, change.tx.is_some()),
            None => return,
        };
        if kind == Kind::Invite {
            self.deadlines.clear(Deadline::NoAnswer(call));
        }
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        let code = outcome.status;
        if let (true, Some(response)) = (code.is_success(), &outcome.response) {
            let moved = entry.take_target(response);
            entry.learn(response, &mut self.heard);
            if response.has(Header::SessionExpires) || entry.timer.agreed().is_some() {
                entry.timer.accepted(response);
            }
            let session = entry.read_session(Place::UpdateOk, response);
            entry.oa.failed(Place::Update);
            let response = response.clone();
            self.change_succeeded(call, response, session);
            self.tell_moved(call, moved);
            return self.tell_move(ep, call);
        }
        if under_way {
            self.undo_change(call, dialog, kind);
        }
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
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

    /// A change of ours has failed: all is as if it had not been asked for.
    fn undo_change(&mut self, call: CallHandle, dialog: DialogId, kind: Kind) {
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        entry.oa.failed(kind.place());
        if kind == Kind::Invite {
            // With it goes what was to be said to its provisional responses.
            entry.unpracked = false;
            self.roll_back(call);
        }
    }

    /// The peer asks for a change. One of ours that waits for credentials is not in progress: its transaction has ended with the challenge. It
    /// stands back, and is asked for anew when there are credentials.
    pub(super) fn yield_change(&mut self, call: CallHandle) {
        let Some(Purpose::Change(_, dialog)) = self.parked_of(Owner::Call(call)) else { return };
        let change = self.calls.get_mut(call).and_then(|found| found.change.as_mut());
        let Some(change) = change.filter(|change| change.tx.is_some()) else { return };
        change.tx = None;
        let kind = change.kind;
        self.deadlines.clear(Deadline::NoAnswer(call));
        self.undo_change(call, dialog, kind);
        self.settle_answer(call);
    }

    /// There are credentials for what waited for them. Whether it was a change that has stood back for one of the peer's: that goes out anew, when
    /// theirs is through.
    pub(crate) fn resume_change(&mut self, purpose: Purpose) -> bool {
        let Purpose::Change(call, _) = purpose else { return false };
        let change = self.calls.get(call).and_then(|found| found.change.as_ref());
        let yielded = change.is_some_and(|change| change.tx.is_none());
        if yielded {
            self.deadlines.after(Deadline::Glare(call), self.now, core::time::Duration::ZERO);
        }
        yielded
    }

    /// A re-INVITE has failed: what its reliable responses, and other requests meanwhile, have changed is as it was before.
    fn roll_back(&mut self, call: CallHandle) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let Some(change) = found.change.as_mut() else { return };
        let (ours, theirs) = change.before;
        if found.session.is_some() {
            found.session = change.session.take();
        }
        self.note_hold(call, Some(ours), Some(theirs));
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
        let Some(change) = found.change.take() else { return };
        let Some(dialog) = change.dialog else { return };
        let mut change = Box::new(change.beginning_at(found));
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
        refusal: None,
        before: (false, false),
        session: None,
    }
}

wire!(
    enum Kind {
        Invite = 0,
        Update = 1,
        Prack = 2,
    }
);
wire!(struct Change { kind, dialog, tx, body, headers, hold, refresh, tries, awaiting, refusal, before, session });
