//! The four transaction machines of RFC 3261 section 17, with RFC 6026 and RFC 4320.
//!
//! Pure functions from a state and what happened to the next state and what is to be done. They own the rules and
//! nothing else: no bytes, no ids, no clock.

pub(crate) mod invite_client;
pub(crate) mod invite_server;
pub(crate) mod noninvite_client;
pub(crate) mod noninvite_server;
#[cfg(test)]
mod tests;

use crate::timers::Timer;
use core::fmt;

/// What is to be done besides changing the state.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Actions(u8);

impl Actions {
    pub(crate) const NONE: Actions = Actions(0);
    /// Client: send the request again. Server: send what the transaction user gave.
    pub(crate) const SEND: Actions = Actions(1);
    /// Give what came to the transaction user.
    pub(crate) const PASS: Actions = Actions(2);
    /// Client: send an ACK for what came.
    pub(crate) const ACK: Actions = Actions(4);
    /// Server: send the last response again.
    pub(crate) const RESEND: Actions = Actions(8);
    /// Server: make a 100 (Trying) and send it.
    pub(crate) const TRYING: Actions = Actions(16);
    /// Tell the transaction user that sending failed, though the transaction goes on.
    pub(crate) const INFORM: Actions = Actions(32);

    pub(crate) const fn and(self, other: Actions) -> Actions {
        Actions(self.0 | other.0)
    }

    pub(crate) const fn has(self, other: Actions) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["send", "pass", "ack", "resend", "trying", "inform"];
        let mut first = true;
        for (bit, name) in names.iter().enumerate() {
            if self.0 & 1 << bit != 0 {
                if !first {
                    f.write_str("+")?;
                }
                f.write_str(name)?;
                first = false;
            }
        }
        if first { f.write_str("-") } else { Ok(()) }
    }
}

/// What becomes of one of the two timers of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Set {
    /// Nothing.
    Keep,
    /// It is cleared.
    Clear,
    /// It is set: the duration goes with its name and, for A, E and G, how often it fired.
    Start(Timer),
    /// Timer E or G from now on at T2.
    AtT2(Timer),
}

/// How a machine ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Completed,
    TimedOut,
    Failed,
    Unanswered,
    Cancelled,
}

/// What a machine makes of what happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step<S> {
    pub(crate) next: Result<S, End>,
    pub(crate) actions: Actions,
    pub(crate) retransmit: Set,
    pub(crate) state: Set,
}

impl<S> Step<S> {
    /// The same step of something that holds the state.
    pub(crate) fn map<T>(self, f: impl FnOnce(S) -> T) -> Step<T> {
        Step { next: self.next.map(f), actions: self.actions, retransmit: self.retransmit, state: self.state }
    }

    /// Nothing happens.
    pub(crate) const fn stay(state: S) -> Self {
        Step { next: Ok(state), actions: Actions::NONE, retransmit: Set::Keep, state: Set::Keep }
    }

    /// Goes to another state, with both timers cleared.
    pub(crate) const fn to(state: S) -> Self {
        Step { next: Ok(state), actions: Actions::NONE, retransmit: Set::Clear, state: Set::Clear }
    }

    pub(crate) const fn end(end: End) -> Self {
        Step { next: Err(end), actions: Actions::NONE, retransmit: Set::Clear, state: Set::Clear }
    }

    pub(crate) const fn with(mut self, actions: Actions) -> Self {
        self.actions = self.actions.and(actions);
        self
    }

    pub(crate) const fn retransmit(mut self, set: Set) -> Self {
        self.retransmit = set;
        self
    }

    pub(crate) const fn state_timer(mut self, set: Set) -> Self {
        self.state = set;
        self
    }
}

/// The class of a status code, as far as the machines tell them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    /// 1xx
    Provisional,
    /// 2xx
    Success,
    /// 3xx to 6xx
    Failure,
}

impl Status {
    pub(crate) fn of(status: sip_message::StatusCode) -> Status {
        match status.code() {
            ..=199 => Status::Provisional,
            200..=299 => Status::Success,
            _ => Status::Failure,
        }
    }
}
