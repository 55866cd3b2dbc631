//! Calls: the INVITE usage of a dialog (RFC 3261 sections 13 to 15).
//!
//! ```text
//!  caller   invite ──► Calling ──1xx──► Calling ──2xx──► Confirmed ──► ended
//!                         │                    └─2xx with offer─► AwaitAnswer ─answer─► Confirmed
//!                         └─ hang_up ─► Cancelling ─ 487, or 2xx then ACK and BYE ─► ended
//!  callee   INVITE ──► Ringing ─accept─► AwaitAck ──ACK──► Confirmed ──► ended
//!                         │      └─ a reliable 1xx with session unacknowledged ─► Accepting ─PRACK─► AwaitAck
//!                         └─ reject, CANCEL, no PRACK ─► ended
//! ```
//! This module owns what both sides share; `caller` and `callee` begin calls, `change` changes them, `asked` lets the peer do so, and
//! `hold`, `prack`, `info`, `redirect` and `end` do what their names say; `acked` and `past` know what is over.

pub(crate) mod acked;
pub(crate) mod asked;
pub(crate) mod callee;
pub(crate) mod caller;
pub(crate) mod change;
pub(crate) mod end;
pub(crate) mod hold;
pub(crate) mod info;
pub(crate) mod past;
pub(crate) mod peer;
pub(crate) mod prack;
pub(crate) mod redirect;
pub(crate) mod survive;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sip_message::{Header, Message, StatusCode, Uri};
use sip_transaction::{ClientTxId, Endpoint, FlowId, Path, ServerTxId};
use smallvec::SmallVec;

use crate::agent::sips::{is_sips_value, schemed};
use crate::agent::{UserAgentCore, status};
use crate::auth::AuthContext;
use crate::body::Body;
use crate::codec::wire;
use crate::deadlines::Deadline;
use crate::dialog::Dialog;
use crate::error::CommandError;
use crate::event::{CallEvent, EndCause, Event, Owner};
use crate::id::{CallHandle, DialogId, SubscriptionId};
use crate::offer_answer::{Meaning, OfferAnswer, Place};
use crate::session_timer::SessionTimer;
use asked::{Asked, Unacked};
use callee::Ringing;
use caller::Calling;
use change::{Change, Kind};
use hold::Holding;
use peer::{Heard, Peer};

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
//= type=exception
//= reason=session descriptions are the host's, which makes and reads them
//# The Session Description Protocol (SDP) (RFC 2327 [1]) MUST be supported
//# by all user agents as a means to describe sessions, and its usage for
//# constructing offers and answers MUST follow the procedures defined in
//# [13].
//= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
//= type=exception
//= reason=the host compares session descriptions: each offer is handed to it
//# If a UA receives a re-INVITE for an existing dialog, it MUST check any
//# version identifiers in the session description or, if there are no
//# version identifiers, the content of the session description to see if it
//# has changed.
//= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
//= type=exception
//= reason=media are the host's
//# If the session description has changed, the UAS MUST adjust the session
//# parameters accordingly, possibly after asking the user for confirmation.
//= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
//= type=exception
//= reason=session descriptions are the host's
//# The UAS MUST ensure that the session description overlaps with its
//# previous session description in media formats, transports, or other
//# parameters that require support from the peer.
//= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
//= type=exception
//= reason=the host compares session descriptions: each offer is handed to it
//# If a UA receives an UPDATE for an existing dialog, it MUST check any
//# version identifiers in the session description or, if there are no
//# version identifiers, the content of the session description to see if it
//# has changed.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=exception
//= reason=no proxy is in this crate
//# Of course, unlike a UAS, when the proxy element receives a PRACK that
//# does not match any outstanding reliable provisional response, the PRACK
//# MUST be proxied.

/// Which side of the INVITE that began the call we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We called.
    Caller,
    /// We were called.
    Callee,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallState {
    /// The INVITE is sent; there is no final response.
    Calling,
    /// We gave up; the end of the INVITE is awaited.
    Cancelling,
    /// The 2xx has an offer; the ACK waits for the host's answer.
    AwaitAnswer,
    /// An INVITE was received; there is no final response.
    Ringing,
    /// The host accepted; the 2xx waits for a PRACK.
    Accepting,
    /// The 2xx is sent; the ACK is awaited.
    AwaitAck,
    /// The call stands.
    Confirmed,
}

/// A dialog and what hangs on it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) dialog: Dialog,
    /// The hash of our tag, by which it is found.
    pub(crate) spread: u64,
    pub(crate) call: Option<CallHandle>,
    pub(crate) subs: Vec<SubscriptionId>,
    pub(crate) pin: Option<Path>,
    /// The flow it is pinned to is gone.
    pub(crate) lost: bool,
    pub(crate) contact: Arc<str>,
    pub(crate) oa: OfferAnswer,
    pub(crate) holding: Holding,
    pub(crate) peer: Peer,
    pub(crate) timer: SessionTimer,
    /// The last reliable provisional response of the peer that was in order; 0 if there was none.
    pub(crate) rseq: u32,
    /// A reliable provisional response waits for its PRACK: the host's answer to the offer in it, or its offer, is to go with it.
    pub(crate) unpracked: bool,
    /// The session description of ours that a PRACK has put into force, until the call takes it: forks have each their own.
    pub(crate) session: Option<Box<Body>>,
    /// The Info Packages the peer has listed in Recv-Info; `None` if it never said.
    pub(crate) packages: Option<Box<str>>,
    pub(crate) auth: Option<Box<AuthContext>>,
    /// BYE is sent: only a crossing BYE is still answered.
    pub(crate) dying: bool,
    /// How often that BYE was said again.
    pub(crate) byes_again: u8,
    /// A REFER came in this dialog: the next ones need an id.
    pub(crate) referred: bool,
}

impl Entry {
    pub(crate) fn new(dialog: Dialog, contact: Arc<str>, pin: Option<Path>) -> Self {
        Entry {
            dialog,
            spread: 0,
            call: None,
            subs: Vec::new(),
            pin,
            lost: false,
            contact,
            oa: OfferAnswer::new(),
            holding: Holding::default(),
            peer: Peer::default(),
            timer: SessionTimer::default(),
            rseq: 0,
            unpracked: false,
            session: None,
            packages: None,
            auth: None,
            dying: false,
            byes_again: 0,
            referred: false,
        }
    }

    /// The flow to send over, if it is pinned to one that is there.
    pub(crate) fn pin(&self) -> Option<Path> {
        self.pin.filter(|_| !self.lost)
    }

    pub(crate) fn learn(&mut self, message: &Message, heard: &mut Heard) {
        self.peer.learn(message, heard);
    }

    /// Another Contact of ours, which is as secure as the one before.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.2
    //# When a target refresh occurs within a dialog (e.g., re-INVITE
    //# request, UPDATE request), the UAC MUST include a Contact header field
    //# with a SIPS URI if the original request used a SIPS Request-URI.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
    //# When a target refresh occurs within a dialog (e.g., re-INVITE
    //# request, UPDATE request), the UAS MUST include a Contact header field
    //# with a SIPS URI if the original request used a SIPS Request-URI.
    pub(crate) fn move_to(&mut self, contact: &Arc<str>) {
        let secure = self.dialog.is_secure() || is_sips_value(&self.contact);
        self.contact = schemed(contact, secure);
    }

    /// Takes the Contact of a message that refreshes the target. Whether it is another.
    //= https://www.rfc-editor.org/rfc/rfc6141#section-4.7
    //# If a UA receives a reliable provisional response or a 2xx response to
    //# a target-refresh request, the UA MUST replace the dialog's remote
    //# target URI with the URI from the Contact header field in that
    //# response, if present.
    //= https://www.rfc-editor.org/rfc/rfc6141#section-4.7
    //# If a UA receives an unreliable provisional response to a target-
    //# refresh request, the UA MUST NOT refresh the dialog's remote target.
    //= https://www.rfc-editor.org/rfc/rfc6141#section-4.2
    //# When a UAC receives a 2xx response to a target refresh request, it
    //# MUST replace the dialog's remote target URI with the URI from the
    //# Contact header field in that response, if present.
    pub(crate) fn take_target(&mut self, message: &Message) -> bool {
        self.dialog.refresh_target(message) == Ok(true)
    }

    /// Takes the Info Packages the peer lists, if it does.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
    //# Due to the possibility of forking, the UA that sends the initial INVITE
    //# request MUST be prepared to receive INFO requests from multiple remote
    //# UAs during the early dialog phase.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
    //# In addition, the UA MUST be prepared to receive different Recv-Info
    //# header field values from different remote UAs.
    pub(crate) fn learn_packages(&mut self, message: &Message) {
        if message.has(Header::RecvInfo) {
            let mut list = alloc::string::String::new();
            let values = message.fields(Header::RecvInfo).flat_map(|field| field.split(|&b| b == b','));
            let names = values.map(|value| value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii());
            for name in names.filter(|name| !name.is_empty()) {
                list.push_str(core::str::from_utf8(name).unwrap_or_default());
                list.push(',');
            }
            self.packages = Some(list.into());
        }
    }

    /// What the session description of a message is, if it has one.
    pub(crate) fn read_session(&mut self, place: Place, message: &Message) -> Option<Meaning> {
        if !crate::body::carries_session(message) {
            return None;
        }
        match self.oa.received(place) {
            Ok(Meaning::Nothing) | Err(_) => None,
            Ok(meaning) => {
                self.holding.heard(meaning, message.body());
                Some(meaning)
            }
        }
    }
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) role: Role,
    pub(crate) state: CallState,
    /// The dialog of the call; of a caller, once a 2xx has chosen it.
    pub(crate) dialog: Option<DialogId>,
    /// The early dialogs of a caller.
    pub(crate) early: SmallVec<[DialogId; 1]>,
    /// The INVITE of a caller, until its transaction ends.
    pub(crate) client: Option<ClientTxId>,
    /// The INVITE of a callee, until its ACK.
    pub(crate) server: Option<ServerTxId>,
    pub(crate) calling: Option<Box<Calling>>,
    pub(crate) ringing: Option<Box<Ringing>>,
    /// Our re-INVITE or UPDATE in progress.
    pub(crate) change: Option<Box<Change>>,
    /// Theirs, waiting for the host.
    pub(crate) asked: Option<Box<Asked>>,
    /// A 2xx to a re-INVITE that waits for its ACK.
    pub(crate) unacked: Option<Unacked>,
    /// Why the call is to end as soon as that is possible.
    pub(crate) ending: Option<EndCause>,
    pub(crate) accepted: bool,
    pub(crate) local_hold: bool,
    pub(crate) remote_hold: bool,
    /// The subscription that reports on this call: it was made for a REFER.
    pub(crate) report: Option<SubscriptionId>,
    /// Whether the report of its success names its dialog.
    pub(crate) reports_dialog: bool,
    /// The call has moved to another flow or Contact, and the peer does not know: it is told when the call stands and nothing else is under
    /// way.
    pub(crate) untold: bool,
    /// The last session description we sent, while a refresh may need it.
    pub(crate) session: Option<Box<Body>>,
}

impl Call {
    pub(crate) fn new(role: Role, state: CallState) -> Self {
        Call {
            role,
            state,
            dialog: None,
            early: SmallVec::new(),
            client: None,
            server: None,
            calling: None,
            ringing: None,
            change: None,
            asked: None,
            unacked: None,
            ending: None,
            accepted: false,
            local_hold: false,
            remote_hold: false,
            report: None,
            reports_dialog: false,
            untold: false,
            session: None,
        }
    }
}

impl Call {
    /// The offer of our re-INVITE has its answer: it is the session now.
    pub(crate) fn keep_offered(&mut self) {
        if let Some(body) = self.change.as_ref().and_then(|change| change.body.clone()) {
            self.session = Some(body);
        }
    }

    /// The dialog the host has chosen, if it is one of this call's.
    pub(crate) fn dialog_of(&self, chosen: DialogId) -> Option<DialogId> {
        self.dialog.iter().chain(&self.early).copied().find(|dialog| *dialog == chosen)
    }

    /// Whether the peer is sure to know the dialog: a request of ours in it makes sense.
    ///
    /// Of a callee that is told by a PRACK or ACK; whatever else it sent may be lost.
    pub(crate) fn is_known(&self) -> bool {
        match (self.role, self.state) {
            (_, CallState::Confirmed) | (Role::Caller, _) => true,
            (Role::Callee, CallState::Ringing) => self
                .ringing
                .as_ref()
                .is_some_and(|ringing| ringing.rseq > 0 && ringing.pending.is_none() && !ringing.terminated),
            (Role::Callee, _) => false,
        }
    }
}

/// What can be asked about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallInfo {
    /// Which side we are.
    pub role: Role,
    /// How far it has come.
    pub state: CallState,
    /// Its dialog; for a caller, once it is chosen.
    pub dialog: Option<DialogId>,
    /// Whether we hold the peer.
    pub on_hold: bool,
    /// Whether the peer holds us.
    pub held: bool,
}

impl UserAgentCore {
    /// A look at a call; `None` for a stale id.
    pub fn call(&self, call: CallHandle) -> Option<CallInfo> {
        let found = self.calls.get(call)?;
        Some(CallInfo {
            role: found.role,
            state: found.state,
            dialog: found.dialog,
            on_hold: found.local_hold,
            held: found.remote_hold,
        })
    }

    /// A dialog: its ids, targets and numbers; `None` for a stale id.
    pub fn dialog(&self, dialog: DialogId) -> Option<&Dialog> {
        self.dialogs.get(dialog).map(|entry| &entry.dialog)
    }

    /// The flow a dialog is pinned to, if it is.
    pub fn dialog_path(&self, dialog: DialogId) -> Option<Path> {
        self.dialogs.get(dialog)?.pin()
    }

    /// The call of a dialog.
    pub fn call_of(&self, dialog: DialogId) -> Option<CallHandle> {
        self.dialogs.get(dialog)?.call
    }

    /// Says that the peer of a call is somewhere else, if it has moved.
    pub(crate) fn tell_moved(&mut self, call: CallHandle, moved: bool) {
        if moved {
            self.call_event(call, CallEvent::PeerMoved);
        }
    }

    pub(crate) fn call_event(&mut self, call: CallHandle, event: CallEvent) {
        self.emit(Event::Call { call, event });
    }

    /// The entry of the dialog of a call.
    pub(crate) fn entry_of(&mut self, call: CallHandle) -> Option<(DialogId, &mut Entry)> {
        let dialog = self.calls.get(call)?.dialog?;
        self.dialogs.get_mut(dialog).map(|entry| (dialog, entry))
    }

    /// Sets the deadlines the session timer asks for.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-9
    //# If UA wishes to continue with the session beyond the session expiration,
    //# it MUST generate a refresh before the session expiration.
    pub(crate) fn arm_session(&mut self, call: CallHandle) {
        let Some((_, entry)) = self.entry_of(call) else { return };
        let timer = entry.timer;
        let update = entry.peer.has(Peer::UPDATE);
        let (refresh, end) = (timer.refresh_after(), timer.ends_after());
        for (deadline, delay) in [(Deadline::Refresh(call), refresh), (Deadline::SessionEnd(call), end)] {
            match delay {
                Some(delay) => self.deadlines.after(deadline, self.now, delay),
                None => self.deadlines.clear(deadline),
            }
        }
        // A refresh by UPDATE needs no session description; only one by re-INVITE does.
        if update || refresh.is_none() {
            if let Some(found) = self.calls.get_mut(call) {
                found.session = None;
            }
        }
    }

    /// The call is over: takes it out of the tables and says so. Its transactions run to their ends by themselves.
    pub(crate) fn end_call(
        &mut self,
        ep: &mut Endpoint,
        call: CallHandle,
        cause: EndCause,
        message: Option<Box<Message>>,
    ) {
        let Some(mut found) = self.calls.remove(call) else { return };
        self.deadlines.clear_call(call);
        self.unpark(Owner::Call(call));
        //= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
        //# The UAS MUST still respond to any pending requests received for that
        //# dialog.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
        //# It is RECOMMENDED that a 487 (Request Terminated) response be generated
        //# to those pending requests.
        let ringing = found.ringing.take();
        let unpracked = match (&ringing, found.dialog) {
            (Some(ringing), Some(dialog)) => self.unpracked_of(ringing, dialog),
            _ => None,
        };
        // Of a dialog that nothing told the caller about there is nothing to remember.
        let known = found.accepted || ringing.as_ref().is_none_or(|ringing| ringing.has_progress());
        if let (Some(tx), Some(ringing)) = (found.server, ringing) {
            if matches!(found.state, CallState::Ringing | CallState::Accepting) && !ringing.answered {
                self.reply(ep, tx, &ringing.request, status(487));
            }
            self.serve(tx, crate::agent::server::Served::Done);
        }
        if let Some(asked) = found.asked.take() {
            self.reply(ep, asked.tx, &asked.request, status(487));
            self.serve(asked.tx, crate::agent::server::Served::Done);
        }
        // The peer owes a re-INVITE that is under way its 487. One that never comes must not keep the transaction for ever.
        if let Some(tx) =
            found.change.as_ref().filter(|change| change.kind == Kind::Invite).and_then(|change| change.tx)
        {
            let _ = ep.arm_timer_c(self.now, tx);
        }
        for dialog in core::mem::take(&mut found.early) {
            self.remember(ep, dialog, None);
            self.release_dialog(dialog, call);
        }
        if let Some(dialog) = found.dialog {
            if known {
                self.remember(ep, dialog, unpracked);
            }
            self.release_dialog(dialog, call);
        }
        if let Some(report) = found.report {
            self.report_end(ep, report, cause, message.as_deref());
        }
        self.call_event(call, CallEvent::Ended { cause, accepted: found.accepted, message });
    }

    /// The call no longer uses the dialog; without another use it goes.
    pub(crate) fn release_dialog(&mut self, dialog: DialogId, call: CallHandle) {
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        if entry.call == Some(call) {
            entry.call = None;
        }
        if entry.call.is_none() && entry.subs.is_empty() && !entry.dying {
            self.remove_dialog(dialog);
        }
    }

    /// The final status of a call that was refused.
    pub(crate) fn refusal(code: StatusCode, answered: bool, unreachable: bool) -> EndCause {
        match code.code() {
            _ if unreachable => EndCause::Unreachable,
            401 | 407 => EndCause::Unauthorized,
            408 if !answered => EndCause::TimedOut,
            300..=399 => EndCause::PeerRedirected,
            _ => EndCause::PeerRejected(code),
        }
    }

    pub(crate) fn on_dialog_flow_lost(&mut self, dialog: DialogId, flow: FlowId) {
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        if core::mem::replace(&mut entry.lost, true) {
            return;
        }
        if let Some(call) = entry.call {
            self.call_event(call, CallEvent::FlowLost { flow });
        }
    }

    /// The flow to keep a dialog on that a request began: the connection it came over, if the one at its other end is the
    /// peer itself or a proxy that asked to stay on the route.
    pub(crate) fn pin_for(path: Path, message: &Message) -> Option<Path> {
        let stays = || message.has(Header::RecordRoute) || message.vias().count() == 1;
        (path.transport.is_connected() && stays()).then_some(path)
    }

    /// The flow to keep a dialog on that a response to our request began: the connection the response came over, if that leads
    /// to the first hop of the dialog. A proxy on the route set is that hop, whatever name it goes by there: on WebSocket or
    /// behind NAT its URI need not be one to connect to. Without a route set the hop is the peer's Contact.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.3
    //# For protocols that don't use TLS, if the UAC has an existing flow to
    //# this IP address, and port with the correct protocol, then the UAC
    //# MUST use the existing connection.
    pub(crate) fn pin_of_response(path: Path, dialog: &Dialog) -> Option<Path> {
        if !path.transport.is_connected() {
            return None;
        }
        let leads = !dialog.route_set().is_empty() || {
            let target = Uri::parse(dialog.remote_target().as_bytes()).ok();
            let host = target.as_ref().and_then(|uri| uri.as_sip()).map(|uri| uri.host());
            // A name under `invalid` is that of a peer nobody can connect to (RFC 7118 section 5).
            let nowhere = |name: &str| name.rsplit('.').next().is_some_and(|top| top.eq_ignore_ascii_case("invalid"));
            host.is_some_and(|host| host.ip() == Some(path.remote.ip()) || host.domain().is_some_and(nowhere))
        };
        leads.then_some(path)
    }

    /// A session description of ours in a dialog is in force: what a refresh by re-INVITE repeats.
    pub(crate) fn keep_session(&mut self, call: CallHandle, dialog: DialogId, body: Body) {
        let Some(found) = self.calls.get_mut(call) else { return };
        if found.dialog == Some(dialog) {
            found.session = Some(Box::new(body));
        } else if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.session = Some(Box::new(body));
        }
    }

    /// Takes back the deadline for the host once nothing of the call waits for it. Several early dialogs may, and share it.
    pub(crate) fn settle_answer(&mut self, call: CallHandle) {
        let waits = self.calls.get(call).is_some_and(|found| {
            found.asked.is_some()
                || found.state == CallState::AwaitAnswer
                || found.change.as_ref().is_some_and(|change| change.awaits_host())
                || found.early.iter().chain(&found.dialog).any(|id| self.dialogs.get(*id).is_some_and(|e| e.unpracked))
        });
        if !waits {
            self.deadlines.clear(Deadline::Answer(call));
        }
    }

    pub(crate) fn command_call(&self, call: CallHandle) -> Result<&Call, CommandError> {
        self.calls.get(call).ok_or(CommandError::Unknown)
    }

    pub(crate) fn on_call_deadline(&mut self, ep: &mut Endpoint, call: CallHandle, deadline: Deadline) {
        if !self.calls.contains(call) {
            return;
        }
        match deadline {
            Deadline::NoAnswer(_) => self.on_no_answer(ep, call),
            Deadline::CallLength(_) => {
                let _ = self.finish_call(ep, call, EndCause::TooLong, None);
            }
            Deadline::Progress(_) => self.on_progress_due(ep, call),
            Deadline::Reliable(_) => self.on_reliable_due(ep, call),
            Deadline::ReliableLost(_) => self.on_reliable_lost(ep, call),
            Deadline::Refresh(_) => self.on_refresh_due(ep, call),
            //= https://www.rfc-editor.org/rfc/rfc4028#section-10
            //# Similarly, if the side not performing refreshes does not receive a
            //# session refresh request before the session expiration, it SHOULD send a
            //# BYE to terminate the session, slightly before the session expiration.
            Deadline::SessionEnd(_) => {
                let _ = self.finish_call(ep, call, EndCause::SessionExpired, None);
            }
            Deadline::Glare(_) => self.on_glare_over(ep, call),
            Deadline::Answer(_) => self.on_answer_late(ep, call),
            _ => {}
        }
    }
}

wire!(
    enum Role {
        Caller = 0,
        Callee = 1,
    }
);
wire!(
    enum CallState {
        Calling = 0,
        Cancelling = 1,
        AwaitAnswer = 2,
        Ringing = 3,
        Accepting = 4,
        AwaitAck = 5,
        Confirmed = 6,
    }
);
wire!(struct Entry {
    dialog, call, subs, contact, oa, holding, peer, timer, rseq, unpracked, session, packages, dying, byes_again, referred,
} skip { auth, lost, spread } pin { pin });
wire!(struct Call {
    role, state, dialog, early, client, server, calling, ringing, change, asked, unacked, ending, accepted, local_hold,
    remote_hold, report, reports_dialog, untold, session,
});
