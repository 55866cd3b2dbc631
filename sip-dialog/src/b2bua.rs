//! A back-to-back user agent: couples of calls, of which each passes on what happens in the other.
//!
//! Made of the commands of [`UserAgentCore`]. Offers and answers go through as they are, early media, re-INVITE, hold,
//! INFO, DTMF, CANCEL and BYE in both directions. Whether a REFER is done is the host's to say; [`B2bua::transfer`] does it.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use sip_message::{Message, Method, StatusCode};
use sip_transaction::{Endpoint, Instant};

use crate::agent::UserAgentCore;
use crate::body::Body;
use crate::call::CallState;
use crate::call::callee::{Progress, Reply};
use crate::call::caller::Invite;
use crate::error::CommandError;
use crate::event::{CallEvent, EndCause, Event};
use crate::id::{CallHandle, DialogId, SubscriptionId};
use crate::offer_answer::Meaning;
use crate::origin::ExtraHeaders;

/// The couples of one user agent.
///
/// On [`CallEvent::Incoming`], [`connect`](B2bua::connect) the call to another; hand every event to
/// [`handle`](B2bua::handle) from then on.
#[derive(Debug, Default)]
pub struct B2bua {
    other: BTreeMap<CallHandle, CallHandle>,
    /// The answers that the early dialogs of a call have given for good, in reliable responses, until it is accepted or over: to a caller without
    /// them they have not gone, and are owed in the 2xx.
    early: BTreeMap<CallHandle, Vec<(DialogId, Body)>>,
    /// Calls with a change under way that the other side asked for.
    passed: BTreeSet<CallHandle>,
    /// Transfers under way, by the call with whomever the far end is to go on with.
    moves: BTreeMap<CallHandle, Move>,
    /// The other calls that take part in one, each in one alone.
    parts: BTreeMap<CallHandle, CallHandle>,
}

/// A transfer under way.
#[derive(Debug)]
struct Move {
    /// Who asked for it is told how it goes.
    subscription: SubscriptionId,
    /// The call whose peer asked for it, as long as it lives.
    from: Option<CallHandle>,
    /// The other call of whoever asked, which the new couple replaces, as long as it lives.
    replaced: Option<CallHandle>,
    /// The one that goes on with the new call.
    stays: CallHandle,
    stage: Stage,
    /// The offer of the new peer that waits for its answer.
    offer: Option<Body>,
    /// Whether the report of success names the dialog of the new call, and the 2xx it is read from.
    reports_dialog: bool,
    accepted: Option<Box<Message>>,
}

/// How far the offer of the new peer has come; with the early dialog it was made in, if it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is none yet.
    Waiting,
    /// `stays` has it.
    Asked(Option<DialogId>),
    /// `stays` has answered it.
    Agreed(Option<DialogId>),
}

/// A session description as the other side gets it.
fn session_of(message: &Message) -> Option<Body> {
    if crate::body::carries_session(message) { Body::of(message) } else { None }
}

/// The status to refuse one call with when the other ended so.
fn status_of(cause: EndCause) -> StatusCode {
    match cause {
        EndCause::PeerRejected(code) | EndCause::Lost(code) => code,
        EndCause::TimedOut | EndCause::NoAnswer => crate::agent::status(480),
        EndCause::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        EndCause::PeerRedirected => crate::agent::status(480),
        _ => StatusCode::SERVER_INTERNAL_ERROR,
    }
}

impl B2bua {
    /// No couples yet.
    pub fn new() -> Self {
        B2bua::default()
    }

    /// Whether a call is one of a couple, or of a transfer under way.
    pub fn is_coupled(&self, call: CallHandle) -> bool {
        self.other.contains_key(&call) || self.is_moving(call)
    }

    /// Whether a call takes part in a transfer under way.
    fn is_moving(&self, call: CallHandle) -> bool {
        self.moves.contains_key(&call) || self.parts.contains_key(&call)
    }

    /// Whether there is no couple left.
    pub fn is_empty(&self) -> bool {
        self.other.is_empty() && self.moves.is_empty() && self.early.is_empty()
    }

    /// Answers a call that came in by placing another, with the same offer. `incoming` is the INVITE of the event, `invite` says whom to call as who;
    /// its body is that of the INVITE. Without an offer in that, and if the caller takes no reliable provisional responses, the callee is not told
    /// that we take them ([`Invite::without_reliable`]).
    ///
    /// # Errors
    ///
    /// As [`UserAgentCore::invite`]; the incoming call is left to the host.
    pub fn connect(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        incoming: &Message,
        invite: Invite,
    ) -> Result<CallHandle, CommandError> {
        let invite = match session_of(incoming) {
            Some(offer) => invite.body(offer),
            // An offer in a reliable response wants its answer in the PRACK; a caller who takes no such response has its first offer in the 2xx.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
            //# The initial offer MUST be in either an INVITE or, if not there, in the
            //# first reliable non-failure message from the UAS back to the UAC.
            None if !core.takes_reliable(call) => invite.without_reliable(),
            None => invite,
        };
        let outgoing = core.invite(ep, now, invite)?;
        self.couple(call, outgoing);
        Ok(outgoing)
    }

    /// Couples two calls that stand, such as those of a transfer that the host has made. Each leaves the couple it was in.
    pub fn couple(&mut self, one: CallHandle, two: CallHandle) {
        self.leave_couple(one);
        self.leave_couple(two);
        self.other.insert(one, two);
        self.other.insert(two, one);
    }

    /// Does what the peer of `call` asks for in a REFER ([`CallEvent::Refer`]): the far end goes on with whomever Refer-To names. `invite` says whom
    /// to call as who, as [`Invite::of_refer`] makes it; it has no offer, for that is the new peer's to make, and the far end's to answer. The
    /// REFER is accepted and reported on: with success once the far end has answered the new peer. `call` is hung up then; when the new call
    /// fails, or the far end does not take its offer, all is as before.
    ///
    /// A Refer-To that replaces another coupled call of ours needs no new call (`None` is returned): the far ends of both are coupled, and the
    /// calls of whoever asked are hung up.
    ///
    /// # Errors
    ///
    /// The call is not coupled, or takes part in a transfer already; the subscription is not that of a REFER that waits; or as
    /// [`UserAgentCore::invite`] and [`UserAgentCore::reinvite`]. The REFER is left to the host.
    #[allow(clippy::too_many_arguments, reason = "what the event has, and what to make of it")]
    pub fn transfer(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        subscription: SubscriptionId,
        refer: &Message,
        mut invite: Invite,
    ) -> Result<Option<CallHandle>, CommandError> {
        let stays = self.free_couple(call)?;
        let mut moved = Move {
            subscription,
            from: Some(call),
            replaced: None,
            stays,
            stage: Stage::Waiting,
            offer: None,
            reports_dialog: invite.reports_dialog,
            accepted: None,
        };
        if let Some(replaced) = core.refer_replaces(refer).filter(|replaced| *replaced != call) {
            if self.other.contains_key(&replaced) {
                let far = self.free_couple(replaced)?;
                if replaced == stays {
                    return Err(CommandError::WrongState);
                }
                core.reinvite(ep, now, far, None, ExtraHeaders::new())?;
                // If it fails, the offer that was asked for goes to whom `far` talks to: no harm.
                core.accept_refer(ep, now, subscription)?;
                moved.replaced = Some(replaced);
                self.begin_move(far, moved);
                return Ok(None);
            }
        }
        // The reports are ours: that the new peer has accepted is not all of it.
        invite.refer = None;
        let new = core.invite(ep, now, invite)?;
        if let Err(error) = core.accept_refer(ep, now, subscription) {
            let _ = core.hang_up(ep, now, new, None);
            return Err(error);
        }
        self.begin_move(new, moved);
        Ok(Some(new))
    }

    /// The other of a couple of which neither takes part in a transfer.
    fn free_couple(&self, call: CallHandle) -> Result<CallHandle, CommandError> {
        let other = *self.other.get(&call).ok_or(CommandError::WrongState)?;
        if self.is_moving(call) || self.is_moving(other) { Err(CommandError::WrongState) } else { Ok(other) }
    }

    fn begin_move(&mut self, new: CallHandle, moved: Move) {
        for part in [moved.from, moved.replaced, Some(moved.stays)].into_iter().flatten() {
            self.parts.insert(part, new);
        }
        self.moves.insert(new, moved);
    }

    fn end_move(&mut self, new: CallHandle) -> Option<Move> {
        let moved = self.moves.remove(&new)?;
        for part in [moved.from, moved.replaced, Some(moved.stays)].into_iter().flatten() {
            self.parts.remove(&part);
        }
        Some(moved)
    }

    /// An event of a call that takes part in the transfer to `new`. `false` if it is to be passed on in its couple.
    fn handle_move(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        (new, call): (CallHandle, CallHandle),
        event: &CallEvent,
    ) -> bool {
        let coupled = self.other.contains_key(&call);
        let Some(moved) = self.moves.get_mut(&new) else { return false };
        if matches!(event, CallEvent::Offer { .. } | CallEvent::OfferWanted { .. }) {
            // Of a session that is being moved, nothing else is negotiated.
            if coupled && moved.stage == Stage::Waiting {
                return false;
            }
            let _ = core.refuse(ep, now, call, crate::agent::status(491), Reply::new());
            return true;
        }
        if call == new {
            return self.new_in_move(core, ep, now, new, event);
        }
        if call == moved.stays {
            return self.stays_in_move(core, ep, now, new, event);
        }
        if !matches!(event, CallEvent::Ended { .. }) {
            return false;
        }
        // Whoever asked need not wait for it: who it talked to is kept.
        moved.from = moved.from.filter(|from| *from != call);
        moved.replaced = moved.replaced.filter(|replaced| *replaced != call);
        self.parts.remove(&call);
        if let Some(kept) = self.leave_couple(call) {
            // What that one asks for, nobody will answer.
            let _ = core.refuse(ep, now, kept, crate::agent::status(491), Reply::new());
        }
        true
    }

    /// A call leaves its couple, if it is in one: the other of it.
    fn leave_couple(&mut self, call: CallHandle) -> Option<CallHandle> {
        let other = self.other.remove(&call)?;
        self.other.remove(&other);
        self.early.remove(&call);
        self.early.remove(&other);
        Some(other)
    }

    /// An event of the call with the new peer: one that was made for the transfer, or one that stands and was asked for an offer.
    fn new_in_move(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        new: CallHandle,
        event: &CallEvent,
    ) -> bool {
        let Some(moved) = self.moves.get_mut(&new) else { return false };
        match event {
            CallEvent::Progress { dialog, message, session } => {
                if let Some(code) = message.status() {
                    let _ = core.report(ep, now, moved.subscription, code);
                }
                //= https://www.rfc-editor.org/rfc/rfc3262#section-5
                //# If the UAC receives a reliable provisional response with an offer (this
                //# would occur if the UAC sent an INVITE without an offer, in which case
                //# the first reliable provisional response will contain the offer), it MUST
                //# generate an answer in the PRACK.
                if *session == Some(Meaning::Offer) {
                    match dialog {
                        // The far end can talk but to one of several phones.
                        Some(other) if moved.stage != Stage::Waiting => {
                            let _ = core.hang_up_early(ep, now, new, *other, None);
                        }
                        _ => self.offered(core, ep, now, new, *dialog, session_of(message)),
                    }
                }
            }
            CallEvent::Accepted { dialog, message, session } => {
                moved.accepted = message.clone().filter(|_| moved.reports_dialog);
                match (session, moved.stage) {
                    (Some(Meaning::Offer), _) => {
                        let offer = message.as_ref().and_then(|message| session_of(message));
                        self.offered(core, ep, now, new, None, offer);
                    }
                    (_, Stage::Agreed(agreed)) if agreed == Some(*dialog) => self.settle(core, ep, now, new),
                    _ => self.fail(core, ep, now, new, StatusCode::NOT_ACCEPTABLE_HERE),
                }
            }
            CallEvent::Answered { message, session } => match (session, moved.stage) {
                (Some(Meaning::Offer), _) => self.offered(core, ep, now, new, None, session_of(message)),
                (_, Stage::Agreed(_)) => self.settle(core, ep, now, new),
                _ => self.fail(core, ep, now, new, StatusCode::NOT_ACCEPTABLE_HERE),
            },
            CallEvent::ChangeFailed { status, .. } => self.fail(core, ep, now, new, *status),
            CallEvent::Ended { cause, message, .. } => {
                core.report_end(ep, moved.subscription, *cause, message.as_deref());
                moved.offer = None;
                self.fail(core, ep, now, new, crate::agent::status(487));
                return false;
            }
            _ => return false,
        }
        true
    }

    /// An event of the call that is to go on with the new one.
    fn stays_in_move(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        new: CallHandle,
        event: &CallEvent,
    ) -> bool {
        let Some(moved) = self.moves.get_mut(&new) else { return false };
        let asked = match moved.stage {
            Stage::Asked(dialog) => Some(dialog),
            _ => None,
        };
        match (event, asked) {
            (
                CallEvent::Answered { message, session: Some(Meaning::Answer) }
                | CallEvent::Progress { message, session: Some(Meaning::Answer), .. },
                Some(dialog),
            ) => {
                moved.stage = Stage::Agreed(dialog);
                moved.offer = None;
                let answered = match (session_of(message), dialog) {
                    (Some(answer), Some(dialog)) => core.answer_early(ep, now, new, dialog, answer),
                    (Some(answer), None) => core.answer(ep, now, new, answer),
                    (None, _) => Err(CommandError::BodyNeeded),
                };
                match (answered, dialog) {
                    (Ok(()), None) => self.settle(core, ep, now, new),
                    // The early dialog is to become a call yet.
                    (Ok(()), Some(_)) => {}
                    (Err(_), _) => self.fail(core, ep, now, new, StatusCode::SERVER_INTERNAL_ERROR),
                }
            }
            (CallEvent::Answered { .. }, Some(_)) => {
                self.not_taken(core, ep, now, new, StatusCode::NOT_ACCEPTABLE_HERE);
            }
            (CallEvent::ChangeFailed { status, .. }, Some(_)) => self.not_taken(core, ep, now, new, *status),
            (CallEvent::Progress { .. }, Some(_)) => {}
            (CallEvent::Ended { .. }, _) => {
                self.fail(core, ep, now, new, crate::agent::status(487));
                return false;
            }
            _ => return false,
        }
        true
    }

    /// The new peer has made its offer: `stays` gets it.
    #[allow(clippy::too_many_arguments, reason = "an offer, and where it was made")]
    fn offered(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        new: CallHandle,
        dialog: Option<DialogId>,
        offer: Option<Body>,
    ) {
        let Some(moved) = self.moves.get_mut(&new) else { return };
        moved.offer = offer.clone();
        let asked = match offer {
            Some(offer) => core.reinvite(ep, now, moved.stays, Some(offer), ExtraHeaders::new()),
            None => Err(CommandError::BodyNeeded),
        };
        match asked {
            Ok(()) => moved.stage = Stage::Asked(dialog),
            Err(error) => self.fail(core, ep, now, new, refusal(&error)),
        }
    }

    /// `stays` has refused the offer: its session is as before.
    fn not_taken(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        new: CallHandle,
        code: StatusCode,
    ) {
        if let Some(moved) = self.moves.get_mut(&new) {
            moved.stage = Stage::Waiting;
        }
        self.fail(core, ep, now, new, code);
    }

    /// The new couple talks: whoever asked for it is told, and let go.
    fn settle(&mut self, core: &mut UserAgentCore, ep: &mut Endpoint, now: Instant, new: CallHandle) {
        let Some(moved) = self.end_move(new) else { return };
        let _ = core.report_on(ep, now, moved.subscription, StatusCode::OK, moved.accepted.as_deref());
        self.couple(moved.stays, new);
        for gone in [moved.from, moved.replaced].into_iter().flatten() {
            let _ = core.hang_up(ep, now, gone, None);
        }
    }

    /// A transfer came to nothing: those who asked are told, and whoever has nobody left to talk to is hung up on.
    fn fail(&mut self, core: &mut UserAgentCore, ep: &mut Endpoint, now: Instant, new: CallHandle, code: StatusCode) {
        let Some(moved) = self.end_move(new) else { return };
        let _ = core.report(ep, now, moved.subscription, code);
        let kept = match (moved.replaced, moved.offer) {
            (None, _) => false,
            (Some(_), None) => moved.stage == Stage::Waiting,
            // What it has offered, it has offered to whom it talks to.
            (Some(replaced), Some(offer)) => core.reinvite(ep, now, replaced, Some(offer), ExtraHeaders::new()).is_ok(),
        };
        if !kept {
            let _ = core.hang_up(ep, now, new, None);
        }
        if moved.from.is_none() {
            let _ = core.hang_up(ep, now, moved.stays, None);
            return;
        }
        match moved.stage {
            Stage::Waiting => {}
            // Its answer comes too late for the new peer.
            Stage::Asked(_) => {
                self.passed.insert(moved.stays);
            }
            Stage::Agreed(_) => rejoin(core, ep, now, moved.stays),
        }
    }

    /// Passes on what happened in one call to the other. `true` if the event was of a couple and needs nothing more; events that
    /// do are those of REFER, and what only informs.
    pub fn handle(&mut self, core: &mut UserAgentCore, ep: &mut Endpoint, now: Instant, event: &Event) -> bool {
        let Event::Call { call, event } = event else { return false };
        if matches!(event, CallEvent::Refer { .. } | CallEvent::Incoming { .. } | CallEvent::FlowLost { .. }) {
            return false;
        }
        let moving = self.parts.get(call).or_else(|| self.moves.contains_key(call).then_some(call)).copied();
        let handled = moving.is_some_and(|new| self.handle_move(core, ep, now, (new, *call), event));
        handled || self.pass_on(core, ep, now, *call, event) || moving.is_some()
    }

    /// Passes on what happened in one call of a couple to the other.
    fn pass_on(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        event: &CallEvent,
    ) -> bool {
        let over =
            matches!(event, CallEvent::Answered { .. } | CallEvent::ChangeFailed { .. } | CallEvent::Ended { .. });
        let passed = if over { self.passed.remove(&call) } else { self.passed.contains(&call) };
        let Some(other) = self.other.get(&call).copied() else { return false };
        match event {
            CallEvent::Progress { dialog, message, session } => {
                let Some(code) = message.status() else { return false };
                let rings = core.call(other).is_some_and(|info| info.state == CallState::Ringing);
                if let (true, Some(dialog), Some(Meaning::Answer), Some(body)) =
                    (rings, dialog, session, session_of(message))
                {
                    let early = self.early.entry(call).or_default();
                    // There are as many as the call has early dialogs, not as many as it has had.
                    early.retain(|(of, _)| core.dialogs.contains(*of));
                    early.push((*dialog, body));
                }
                let mut progress = Progress::new(code);
                if let (Some(_), Some(body)) = (session, session_of(message)) {
                    progress = progress.body(body);
                }
                if matches!(session, Some(Meaning::Answer | Meaning::Offer)) {
                    progress = progress.reliable();
                }
                // Where early media cannot go through, the ring still can. In a call that stands it is the answer to a change.
                if core.progress(ep, now, other, progress).is_err()
                    && core.progress(ep, now, other, Progress::new(code)).is_err()
                {
                    if let (Some(meaning), Some(body)) = (session, session_of(message)) {
                        self.pass_session(core, ep, now, (call, other), (*meaning, body), passed);
                    }
                }
            }
            CallEvent::Accepted { dialog, message: Some(message), .. } => {
                let early = self.early.remove(&call).unwrap_or_default();
                let early = early.into_iter().find_map(|(of, body)| (of == *dialog).then_some(body));
                let reply = match session_of(message).or(early) {
                    Some(body) => Reply::new().body(body),
                    None => Reply::new(),
                };
                // An answer that went through early does not go again.
                let accepted = match core.accept(ep, now, other, reply) {
                    Err(CommandError::BodyNotAllowed) => core.accept(ep, now, other, Reply::new()),
                    other => other,
                };
                if accepted.is_err() {
                    let _ = core.hang_up(ep, now, call, None);
                }
            }
            // The answer to an offer that came with the 200, in the ACK or a PRACK.
            CallEvent::Confirmed { message: Some(message), session: Some(Meaning::Answer) }
            | CallEvent::Acknowledged { message, session: Some(Meaning::Answer) } => {
                if let Some(body) = session_of(message) {
                    let _ = core.answer(ep, now, other, body);
                }
            }
            CallEvent::Answered { message, session: Some(meaning) } => {
                if let Some(body) = session_of(message) {
                    self.pass_session(core, ep, now, (call, other), (*meaning, body), passed);
                }
            }
            // A change that was agreed to without an answer.
            CallEvent::Answered { session: None, .. } if passed => {
                let _ = core.refuse(ep, now, other, StatusCode::NOT_ACCEPTABLE_HERE, Reply::new());
            }
            // It went to the other side at once and cannot be taken back there. Its answer comes late: see `pass_session`.
            CallEvent::OfferWithdrawn { .. } => {}
            CallEvent::Acknowledged { session: Some(_), .. } => {
                // An offer in a PRACK has no way to the other side that all of them know.
                let _ = core.refuse(ep, now, call, StatusCode::NOT_ACCEPTABLE_HERE, Reply::new());
            }
            CallEvent::Offer { message } => self.pass_change(core, ep, now, (call, other), session_of(message)),
            CallEvent::OfferWanted { .. } => self.pass_change(core, ep, now, (call, other), None),
            CallEvent::ChangeFailed { status, .. } => {
                let refused = core.refuse(ep, now, other, *status, Reply::new());
                // What a 2xx there has offered cannot be refused but with a BYE.
                if refused.is_err() && core.call(other).is_some_and(|info| info.state == CallState::AwaitAnswer) {
                    let _ = core.hang_up(ep, now, other, None);
                }
            }
            CallEvent::Dtmf { tone, duration, .. } => {
                let duration = duration.unwrap_or(core::time::Duration::from_millis(100));
                let _ = core.dtmf(ep, now, other, *tone, duration);
            }
            CallEvent::Info { message } => {
                let _ = core.request_in_call(ep, now, other, Method::Info, Body::of(message), ExtraHeaders::new());
            }
            CallEvent::Ended { cause, .. } => {
                self.leave_couple(call);
                if core.reject(ep, now, other, status_of(*cause), Reply::new()).is_err() {
                    let _ = core.hang_up(ep, now, other, None);
                }
            }
            _ => {}
        }
        true
    }

    /// Asks the other side for the change that this one asks for.
    fn pass_change(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        (call, other): (CallHandle, CallHandle),
        offer: Option<Body>,
    ) {
        match core.reinvite(ep, now, other, offer, ExtraHeaders::new()) {
            Ok(()) => {
                self.passed.insert(other);
            }
            Err(error) => {
                let _ = core.refuse(ep, now, call, refusal(&error), Reply::new());
            }
        }
    }

    /// Passes on what `call` has said to a change of its session; `passed`: one that the other side asked for.
    #[allow(clippy::too_many_arguments, reason = "a session description, and whose")]
    fn pass_session(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        (call, other): (CallHandle, CallHandle),
        (meaning, body): (Meaning, Body),
        passed: bool,
    ) {
        if !matches!(meaning, Meaning::Offer | Meaning::Answer) || core.answer(ep, now, other, body.clone()).is_ok() {
            return;
        }
        match meaning {
            // An offer that nobody there has asked for is made there.
            Meaning::Offer => {
                let _ = core.reinvite(ep, now, other, Some(body), ExtraHeaders::new());
            }
            // Whoever asked has taken it back, or had to be refused in the meantime.
            _ if passed => rejoin(core, ep, now, call),
            // A change of the host's own.
            _ => {}
        }
    }

    /// The couples, for a look; one that is still to be, when whoever asked for it has hung up, among them.
    pub fn couples(&self) -> Vec<(CallHandle, CallHandle)> {
        let standing = self.other.iter().filter(|(one, two)| one < two).map(|(one, two)| (*one, *two));
        let coming = self.moves.iter().filter(|(_, moved)| moved.from.is_none());
        standing.chain(coming.map(|(new, moved)| (*new.min(&moved.stays), *new.max(&moved.stays)))).collect()
    }
}

/// One side of a couple has a session that the other knows nothing of: it makes an offer, which the other answers.
fn rejoin(core: &mut UserAgentCore, ep: &mut Endpoint, now: Instant, call: CallHandle) {
    let _ = core.reinvite(ep, now, call, None, ExtraHeaders::new());
}

/// What to refuse an offer with that the other call could not take.
fn refusal(error: &CommandError) -> StatusCode {
    match error {
        CommandError::Pending | CommandError::WrongState => crate::agent::status(491),
        _ => StatusCode::NOT_ACCEPTABLE_HERE,
    }
}
