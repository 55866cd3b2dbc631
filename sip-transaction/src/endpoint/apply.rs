//! Carrying out what the machines say: timers, retransmissions, ends.

use super::Endpoint;
use crate::cores::Id;
use crate::held::Held;
use crate::id::{ClientTxId, ServerTxId};
use crate::machine::{Actions, End, Set, Step, invite_client, invite_server, noninvite_client, noninvite_server};
use crate::output::{Event, FailCause, Outcome, Path, SendId};
use crate::timers::{Class, Timer, Which};
use crate::tx::{Flags, Machine};
use alloc::boxed::Box;
use bytes::Bytes;
use sip_message::{Message, StatusCode};

impl Endpoint {
    /// The class of durations of a timer that has fired `step` times.
    fn class_of(&self, timer: Timer, step: u8, server_noninvite: bool) -> Class {
        let timers = &self.config.timers;
        match timer {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
            //# When timer A fires 2*T1 seconds later, the request
            //# MUST be retransmitted again (assuming the client transaction is still
            //# in this state).
            //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
            //# This process MUST continue so that the request is
            //# retransmitted with intervals that double after each transmission.
            Timer::A => Class::t1(step),
            // MIN(2^n * T1, T2).
            Timer::E | Timer::G => {
                let grown = timers.t1.saturating_mul(1 << step.min(6));
                if grown >= timers.t2 { Class::T2 } else { Class::t1(step) }
            }
            Timer::B | Timer::F | Timer::H | Timer::J | Timer::L | Timer::M | Timer::Cancelled => Class::T1x64,
            Timer::I | Timer::K => Class::T4,
            Timer::C => Class::C,
            Timer::D => Class::D,
            Timer::Trying if server_noninvite => Class::UntilT2,
            Timer::Trying => Class::Trying,
            Timer::Answer if server_noninvite => Class::T1x64,
            Timer::Answer => Class::Answer,
            Timer::Connect | Timer::Resolve | Timer::Keepalive | Timer::Output => Class::Odd,
        }
    }

    #[inline(always)]
    fn set(&mut self, index: u32, which: Which, set: Set, step: u8, noninvite: bool) {
        match set {
            Set::Keep => {}
            Set::Clear => self.timers.clear(index, which),
            Set::Start(timer) => self.start_timer(index, which, timer, step, noninvite),
            Set::AtT2(timer) => self.set_timer(index, which, timer, Class::T2),
        }
    }

    #[inline(never)]
    fn start_timer(&mut self, index: u32, which: Which, timer: Timer, step: u8, noninvite: bool) {
        let class = self.class_of(timer, step, noninvite);
        self.set_timer(index, which, timer, class);
    }

    /// Sets the timers of a transaction that begins with this step.
    #[inline(always)]
    pub(super) fn set_timers(&mut self, index: u32, step: &Step<Machine>) {
        let noninvite = matches!(step.next, Ok(Machine::NonInviteServer(_)));
        self.set(index, Which::Retransmit, step.retransmit, 0, noninvite);
        self.set(index, Which::State, step.state, 0, noninvite);
    }

    /// Carries out one step of a machine. `cause` is why, if it fails.
    #[inline(always)]
    pub(super) fn apply(&mut self, index: u32, step: Step<Machine>, cause: Option<FailCause>) {
        let Step { next, retransmit, state, .. } = step;
        let machine = match next {
            Ok(machine) => machine,
            Err(end) => return self.end(index, end, cause),
        };
        let Some(tx) = self.txs.at_mut(index) else { return };
        tx.machine = machine;
        // Neither is ever sent again, nor acknowledged or cancelled by what stands in its request.
        if matches!(
            machine,
            Machine::InviteClient(invite_client::State::Accepted)
                | Machine::NonInviteClient(noninvite_client::State::Completed)
        ) {
            self.spare.give(core::mem::replace(&mut tx.message, Held::NOTHING));
        }
        let fired = tx.step;
        match retransmit {
            Set::Clear => tx.step = 0,
            Set::Start(timer) if timer != Timer::Trying => tx.step = fired.saturating_add(1),
            _ => {}
        }
        let noninvite = matches!(machine, Machine::NonInviteServer(_));
        self.set(index, Which::Retransmit, retransmit, fired, noninvite);
        self.set(index, Which::State, state, 0, noninvite);
    }

    fn end(&mut self, index: u32, end: End, cause: Option<FailCause>) {
        let outcome = match end {
            End::Completed if self.txs.at(index).is_some_and(|tx| tx.flags.has(Flags::UNTIL_ACK)) => {
                Outcome::NotAcknowledged
            }
            End::Completed if self.txs.at(index).is_some_and(|tx| tx.flags.has(Flags::UNANSWERED)) => {
                Outcome::Unanswered
            }
            End::Completed => Outcome::Completed,
            End::TimedOut => Outcome::TimedOut,
            End::Failed => Outcome::Failed(cause.unwrap_or(FailCause::Unavailable)),
            End::Unanswered => Outcome::Unanswered,
            End::Cancelled => Outcome::Cancelled,
        };
        self.finish(index, outcome);
    }

    /// The one terminal event of a transaction; nothing of it is left after.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
    //# Once the transaction is in the "Terminated" state, it MUST be destroyed immediately.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //# The client transaction MUST be destroyed the instant it enters the "Terminated" state.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-6
    //# An element sending or receiving a 2xx to an INVITE transaction MUST NOT destroy any matching INVITE
    //# transaction state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //# The client transaction MUST be destroyed the instant it enters the
    //# "Terminated" state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //# Once the transaction is in the terminated state, it MUST be destroyed
    //# immediately.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //# Once the transaction is in the "Terminated" state, it MUST be
    //# destroyed immediately.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //# The server transaction MUST be destroyed the instant it enters the
    //# "Terminated" state.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
    //# Once the
    //# transaction is in the "Terminated" state, it MUST be destroyed
    //# immediately.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.7
    //# Once the transaction is in the "Terminated" state, it MUST be
    //# destroyed immediately.
    pub(super) fn finish(&mut self, index: u32, outcome: Outcome) {
        let Some(key) = self.txs.id_at(index) else { return };
        let Some(tx) = self.txs.at(index) else { return };
        let (machine, hidden, send) = (tx.machine, tx.flags.has(Flags::HIDDEN), SendId(tx.send));
        self.locator.forget(index);
        self.erase(index);
        match outcome {
            Outcome::TimedOut | Outcome::Unanswered | Outcome::NotAcknowledged => self.counters.timeouts += 1,
            Outcome::Failed(_) => self.counters.failures += 1,
            _ => {}
        }
        match machine {
            Machine::Sending => {
                if let Outcome::Failed(cause) = outcome {
                    self.emit(Event::SendFailed { send, cause });
                }
            }
            _ if hidden => {}
            _ if machine.is_client() => self.emit(Event::ClientEnded { tx: ClientTxId::from_key(key), outcome }),
            _ => self.emit(Event::ServerEnded { tx: ServerTxId::from_key(key), outcome }),
        }
    }

    /// A timer of a transaction fired.
    pub(super) fn on_timer(&mut self, index: u32, timer: Timer) {
        let Some(tx) = self.txs.at(index) else { return };
        let reliable = tx.transport.is_reliable();
        match tx.machine {
            Machine::InviteClient(state) => {
                let step = invite_client::on(state, invite_client::Occurrence::Timer(timer), reliable);
                if timer == Timer::B && !tx.flags.has(Flags::HEARD) && self.fail_over(index, None) {
                    return;
                }
                self.client_step(index, step.map(Machine::InviteClient), None);
            }
            Machine::NonInviteClient(state) => {
                let step = noninvite_client::on(state, noninvite_client::Occurrence::Timer(timer), reliable);
                if timer == Timer::F && !tx.flags.has(Flags::HEARD) && self.fail_over(index, None) {
                    return;
                }
                self.client_step(index, step.map(Machine::NonInviteClient), None);
            }
            Machine::InviteServer(_) if timer == Timer::Answer => self.answer_for_user(index),
            Machine::InviteServer(state) => {
                let step = invite_server::on(state, invite_server::Occurrence::Timer(timer), reliable);
                self.server_step(index, step.map(Machine::InviteServer), None);
            }
            Machine::NonInviteServer(state) => {
                let step = noninvite_server::on(state, noninvite_server::Occurrence::Timer(timer), reliable);
                self.usual_server_step(index, step.map(Machine::NonInviteServer), None);
            }
            Machine::Locating { .. } | Machine::Sending => {}
        }
    }

    /// A step of a client machine that no response led to.
    pub(super) fn client_step(&mut self, index: u32, step: Step<Machine>, cause: Option<FailCause>) {
        if step.actions.has(Actions::SEND) {
            if self.txs.at(index).is_some_and(|tx| tx.step > 0) {
                self.counters.retransmissions += 1;
            }
            self.send_request(index, None);
        }
        if step.actions.has(Actions::INFORM) {
            if let Some(key) = self.txs.id_at(index) {
                self.emit(Event::TimerC { tx: ClientTxId::from_key(key) });
            }
        }
        self.apply(index, step, cause);
    }

    /// A step of a client machine that a response led to.
    #[inline]
    pub(super) fn response_step(&mut self, index: u32, step: Step<Machine>, path: Path, message: Box<Message>) {
        if step.actions.has(Actions::ACK) {
            self.send_ack(index, &message);
        }
        if step.actions.has(Actions::PASS) {
            let hidden = self.txs.at(index).is_some_and(|tx| tx.flags.has(Flags::HIDDEN));
            if let Some(key) = self.txs.id_at(index).filter(|_| !hidden) {
                self.emit(Event::Response { tx: ClientTxId::from_key(key), path, message });
            }
        } else if step.actions == Actions::NONE {
            self.counters.absorbed += 1;
        }
        self.apply(index, step, None);
    }

    /// A step of a server machine.
    pub(super) fn server_step(&mut self, index: u32, step: Step<Machine>, cause: Option<FailCause>) {
        self.usual_server_step(index, step, cause);
    }

    /// The same where most steps are taken.
    #[inline(always)]
    pub(super) fn usual_server_step(&mut self, index: u32, step: Step<Machine>, cause: Option<FailCause>) {
        self.responding_step(index, step, cause, &mut None);
    }

    /// The same with a response that has just been made, to be sent.
    #[inline(always)]
    pub(super) fn responding_step(
        &mut self,
        index: u32,
        step: Step<Machine>,
        cause: Option<FailCause>,
        made: &mut Option<Bytes>,
    ) {
        if step.actions.has(Actions::TRYING) {
            *made = self.make_response(index, StatusCode::TRYING);
        }
        if step.actions.has(Actions::RESEND) {
            self.counters.retransmissions += 1;
            self.send_response(index, &mut None);
        } else if step.actions.has(Actions::SEND) || step.actions.has(Actions::TRYING) {
            self.send_response(index, made);
        }
        if step.actions.has(Actions::INFORM) {
            if let Some(key) = self.txs.id_at(index) {
                self.emit(Event::ResponseFailed { tx: ServerTxId::from_key(key) });
            }
        }
        self.apply(index, step, cause);
    }

    /// Answers an INVITE its user has left alone for too long.
    fn answer_for_user(&mut self, index: u32) {
        if let Some(tx) = self.txs.at_mut(index) {
            tx.flags.set(Flags::UNANSWERED);
        }
        let mut made = self.make_response(index, StatusCode::REQUEST_TIMEOUT);
        self.server_respond(index, crate::machine::Status::Failure, &mut made);
    }
}
