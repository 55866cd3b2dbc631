//! A back-to-back user agent: couples of calls, of which each passes on what happens in the other.
//!
//! Made of the public commands of [`UserAgentCore`] alone. Offers and answers go through as they are, early media, re-INVITE, hold,
//! INFO, DTMF, CANCEL and BYE in both directions. Whether a REFER is done is the host's to say; [`B2bua::transfer`] does it.

use alloc::collections::BTreeMap;
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
use crate::id::{CallHandle, SubscriptionId};
use crate::offer_answer::Meaning;
use crate::origin::ExtraHeaders;

/// The couples of one user agent.
///
/// On [`CallEvent::Incoming`], [`connect`](B2bua::connect) the call to another; hand every event to
/// [`handle`](B2bua::handle) from then on.
#[derive(Debug, Default)]
pub struct B2bua {
    other: BTreeMap<CallHandle, CallHandle>,
    /// Calls made for a REFER, and what they are to change.
    moves: BTreeMap<CallHandle, Move>,
}

/// A transfer under way.
#[derive(Clone, Copy, Debug)]
struct Move {
    /// The call whose peer asked for it, as long as it lives.
    from: Option<CallHandle>,
    /// The one that goes on with the new call.
    stays: CallHandle,
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

    /// Whether a call is one of a couple.
    pub fn is_coupled(&self, call: CallHandle) -> bool {
        self.other.contains_key(&call) || self.moves.contains_key(&call)
    }

    /// Whether there is no couple left.
    pub fn is_empty(&self) -> bool {
        self.other.is_empty() && self.moves.is_empty()
    }

    /// Answers a call that came in by placing another, with the same offer. `incoming` is the INVITE of the event, `invite` says whom to call as who;
    /// its body is that of the INVITE.
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
            None => invite,
        };
        let outgoing = core.invite(ep, now, invite)?;
        self.couple(call, outgoing);
        Ok(outgoing)
    }

    /// Couples two calls that stand, such as those of a transfer that the host has made.
    pub fn couple(&mut self, one: CallHandle, two: CallHandle) {
        self.other.insert(one, two);
        self.other.insert(two, one);
    }

    /// Does what the peer of `call` asks for in a REFER ([`CallEvent::Refer`]): the far end goes on with whomever Refer-To names. `invite` says whom
    /// to call as who, as [`Invite::of_refer`] makes it; it has no offer, for that is the new peer's to make, and the far end's to answer. The
    /// REFER is accepted and reported on. When the new call is accepted, `call` is hung up; when it fails, all is as before.
    ///
    /// A Refer-To that replaces another coupled call of ours needs no new call (`None` is returned): the far ends of both are coupled, and the
    /// calls of whoever asked are hung up.
    ///
    /// # Errors
    ///
    /// The call is not coupled, the subscription is not that of a REFER that waits, or as [`UserAgentCore::invite`]; the REFER is left to the host.
    #[allow(clippy::too_many_arguments, reason = "what the event has, and what to make of it")]
    pub fn transfer(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        subscription: SubscriptionId,
        refer: &Message,
        invite: Invite,
    ) -> Result<Option<CallHandle>, CommandError> {
        let stays = *self.other.get(&call).ok_or(CommandError::WrongState)?;
        if let Some(replaced) = core.refer_replaces(refer).filter(|replaced| *replaced != call) {
            if let Some(far) = self.other.get(&replaced).copied() {
                core.accept_refer(ep, now, subscription)?;
                core.reinvite(ep, now, stays, None, ExtraHeaders::new())?;
                for gone in [call, replaced] {
                    self.other.remove(&gone);
                }
                self.couple(stays, far);
                let _ = core.report(ep, now, subscription, StatusCode::OK);
                for gone in [call, replaced] {
                    let _ = core.hang_up(ep, now, gone, None);
                }
                return Ok(None);
            }
        }
        let new = core.invite(ep, now, invite.for_refer(subscription))?;
        if let Err(error) = core.accept_refer(ep, now, subscription) {
            let _ = core.hang_up(ep, now, new, None);
            return Err(error);
        }
        self.moves.insert(new, Move { from: Some(call), stays });
        Ok(Some(new))
    }

    /// An event of a call that was made for a REFER.
    fn handle_move(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        (call, moved): (CallHandle, Move),
        event: &CallEvent,
    ) {
        match event {
            CallEvent::Accepted { message: Some(message), session, .. } => {
                self.moves.remove(&call);
                let offer = session.filter(|session| *session == Meaning::Offer).and_then(|_| session_of(message));
                let asked = match offer {
                    Some(offer) => core.reinvite(ep, now, moved.stays, Some(offer), ExtraHeaders::new()),
                    None => Err(CommandError::BodyNeeded),
                };
                if asked.is_err() {
                    let _ = core.hang_up(ep, now, call, None);
                    return self.forsaken(core, ep, now, moved);
                }
                if let Some(from) = moved.from {
                    self.other.remove(&from);
                    let _ = core.hang_up(ep, now, from, None);
                }
                self.couple(moved.stays, call);
            }
            CallEvent::Ended { .. } => {
                self.moves.remove(&call);
                self.forsaken(core, ep, now, moved);
            }
            _ => {}
        }
    }

    /// A transfer came to nothing: whoever has nobody left to talk to is hung up on.
    fn forsaken(&mut self, core: &mut UserAgentCore, ep: &mut Endpoint, now: Instant, moved: Move) {
        if moved.from.is_none() {
            let _ = core.hang_up(ep, now, moved.stays, None);
        }
    }

    /// A call that is part of a transfer under way ended. Whether its couple is taken care of by that.
    fn ended_in_move(&mut self, core: &mut UserAgentCore, ep: &mut Endpoint, now: Instant, call: CallHandle) -> bool {
        let mut kept = false;
        for (new, moved) in &mut self.moves {
            if moved.from == Some(call) {
                // Whoever asked need not wait for it.
                moved.from = None;
                self.other.remove(&call);
                self.other.remove(&moved.stays);
                kept = true;
            } else if moved.stays == call {
                let _ = core.hang_up(ep, now, *new, None);
            }
        }
        kept
    }

    /// Passes on what happened in one call to the other. `true` if the event was of a couple and needs nothing more; events that
    /// do are those of REFER, and what only informs.
    pub fn handle(&mut self, core: &mut UserAgentCore, ep: &mut Endpoint, now: Instant, event: &Event) -> bool {
        let Event::Call { call, event } = event else { return false };
        if let Some(moved) = self.moves.get(call).copied() {
            self.handle_move(core, ep, now, (*call, moved), event);
            return true;
        }
        if matches!(event, CallEvent::Ended { .. }) && self.ended_in_move(core, ep, now, *call) {
            return true;
        }
        let Some(other) = self.other.get(call).copied() else { return false };
        match event {
            CallEvent::Progress { message, session, .. } => {
                let Some(code) = message.status() else { return false };
                let mut progress = Progress::new(code);
                if let (Some(_), Some(body)) = (session, session_of(message)) {
                    progress = progress.body(body);
                }
                if matches!(session, Some(Meaning::Answer | Meaning::Offer)) {
                    progress = progress.reliable();
                }
                // Where early media cannot go through, the ring still can.
                if core.progress(ep, now, other, progress).is_err() {
                    let _ = core.progress(ep, now, other, Progress::new(code));
                }
            }
            CallEvent::Accepted { message: Some(message), .. } => {
                let reply = match session_of(message) {
                    Some(body) => Reply::new().body(body),
                    None => Reply::new(),
                };
                // An answer that went through early does not go again.
                let accepted = match core.accept(ep, now, other, reply) {
                    Err(CommandError::BodyNotAllowed) => core.accept(ep, now, other, Reply::new()),
                    other => other,
                };
                if accepted.is_err() {
                    let _ = core.hang_up(ep, now, *call, None);
                }
            }
            // The answer to an offer that came with the 200, in the ACK or a PRACK.
            CallEvent::Confirmed { message: Some(message), session: Some(Meaning::Answer) }
            | CallEvent::Acknowledged { message, session: Some(Meaning::Answer) }
            | CallEvent::Answered { message, session: Some(_) } => {
                if let Some(body) = session_of(message) {
                    // An offer that nobody there has asked for is made there.
                    if core.answer(ep, now, other, body.clone()).is_err() {
                        let _ = core.reinvite(ep, now, other, Some(body), ExtraHeaders::new());
                    }
                }
            }
            CallEvent::Acknowledged { session: Some(_), .. } => {
                // An offer in a PRACK has no way to the other side that all of them know.
                let _ = core.refuse(ep, now, *call, StatusCode::NOT_ACCEPTABLE_HERE, Reply::new());
            }
            CallEvent::Offer { message } => {
                if let Err(error) = core.reinvite(ep, now, other, session_of(message), ExtraHeaders::new()) {
                    let _ = core.refuse(ep, now, *call, refusal(&error), Reply::new());
                }
            }
            CallEvent::OfferWanted { .. } => {
                if let Err(error) = core.reinvite(ep, now, other, None, ExtraHeaders::new()) {
                    let _ = core.refuse(ep, now, *call, refusal(&error), Reply::new());
                }
            }
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
                self.other.remove(call);
                self.other.remove(&other);
                if core.reject(ep, now, other, status_of(*cause), Reply::new()).is_err() {
                    let _ = core.hang_up(ep, now, other, None);
                }
            }
            CallEvent::Refer { .. } | CallEvent::Incoming { .. } | CallEvent::FlowLost { .. } => return false,
            _ => {}
        }
        true
    }

    /// The couples, for a look.
    pub fn couples(&self) -> Vec<(CallHandle, CallHandle)> {
        self.other.iter().filter(|(one, two)| one < two).map(|(one, two)| (*one, *two)).collect()
    }
}

/// What to refuse an offer with that the other call could not take.
fn refusal(error: &CommandError) -> StatusCode {
    match error {
        CommandError::Pending | CommandError::WrongState => crate::agent::status(491),
        _ => StatusCode::NOT_ACCEPTABLE_HERE,
    }
}
