//! Deadlines: what is to happen when, by owner, so that an owner that ends leaves none behind.

use alloc::collections::BTreeMap;
use core::time::Duration;
use hashbrown::HashMap;
use sip_transaction::Instant;
use sip_transaction::cores::IdHash;

use crate::codec::wire;
use crate::event::Owner;
use crate::id::{CallHandle, PublicationId, RegistrationId, SubscriptionId};

/// What a deadline is for. Each owner has at most one of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Deadline {
    /// The invitation is not answered in time: the Expires of the INVITE, or the host's own patience.
    NoAnswer(CallHandle),
    /// The call has lasted as long as it may.
    CallLength(CallHandle),
    /// A provisional response is due so that proxies do not give up (RFC 3261 section 13.3.1.1).
    Progress(CallHandle),
    /// A reliable provisional response is sent again (RFC 3262 section 3).
    Reliable(CallHandle),
    /// A reliable provisional response was never acknowledged.
    ReliableLost(CallHandle),
    /// The session is to be refreshed (RFC 4028 section 7.2).
    Refresh(CallHandle),
    /// The session has run out (RFC 4028 section 10).
    SessionEnd(CallHandle),
    /// A re-INVITE that met another one is tried again (RFC 3261 section 14.1).
    Glare(CallHandle),
    /// The host has not answered an offer in an UPDATE, PRACK or re-INVITE, or in a 2xx.
    Answer(CallHandle),
    /// A registration is refreshed or tried again.
    Register(RegistrationId),
    /// A subscription is refreshed or tried again; for a notifier, it has run out.
    Subscribe(SubscriptionId),
    /// No NOTIFY came in time (RFC 6665 section 4.1.2.4).
    FirstNotify(SubscriptionId),
    /// A publication is refreshed or tried again.
    Publish(PublicationId),
    /// The host has not given the credentials it was asked for.
    Parked(Owner),
}

/// The deadlines of all owners.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    order: BTreeMap<(Instant, Deadline), ()>,
    /// When each of them is, by itself: never walked.
    at: HashMap<Deadline, Instant, IdHash>,
    /// How many there are of each kind: most kinds are seldom set, and all are cleared when an owner ends.
    of_kind: [usize; 14],
}

impl Deadline {
    const fn kind(self) -> usize {
        match self {
            Deadline::NoAnswer(_) => 0,
            Deadline::CallLength(_) => 1,
            Deadline::Progress(_) => 2,
            Deadline::Reliable(_) => 3,
            Deadline::ReliableLost(_) => 4,
            Deadline::Refresh(_) => 5,
            Deadline::SessionEnd(_) => 6,
            Deadline::Glare(_) => 7,
            Deadline::Answer(_) => 8,
            Deadline::Register(_) => 9,
            Deadline::Subscribe(_) => 10,
            Deadline::FirstNotify(_) => 11,
            Deadline::Publish(_) => 12,
            Deadline::Parked(_) => 13,
        }
    }
}

impl Deadlines {
    /// Sets a deadline; one of the same kind and owner is replaced.
    pub(crate) fn set(&mut self, deadline: Deadline, at: Instant) {
        match self.at.insert(deadline, at) {
            Some(old) => drop(self.order.remove(&(old, deadline))),
            None => self.of_kind[deadline.kind()] += 1,
        }
        self.order.insert((at, deadline), ());
    }

    pub(crate) fn after(&mut self, deadline: Deadline, now: Instant, delay: Duration) {
        self.set(deadline, now + delay);
    }

    #[inline]
    pub(crate) fn clear(&mut self, deadline: Deadline) {
        if self.of_kind[deadline.kind()] > 0 {
            self.remove(deadline);
        }
    }

    fn remove(&mut self, deadline: Deadline) {
        if let Some(at) = self.at.remove(&deadline) {
            self.of_kind[deadline.kind()] -= 1;
            self.order.remove(&(at, deadline));
        }
    }

    pub(crate) fn get(&self, deadline: Deadline) -> Option<Instant> {
        self.at.get(&deadline).copied()
    }

    pub(crate) fn clear_call(&mut self, call: CallHandle) {
        for deadline in [
            Deadline::NoAnswer(call),
            Deadline::CallLength(call),
            Deadline::Progress(call),
            Deadline::Reliable(call),
            Deadline::ReliableLost(call),
            Deadline::Refresh(call),
            Deadline::SessionEnd(call),
            Deadline::Glare(call),
            Deadline::Answer(call),
        ] {
            self.clear(deadline);
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first_key_value().map(|((at, _), ())| *at)
    }

    /// Takes the earliest deadline if it is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Deadline> {
        let (&(at, deadline), ()) = self.order.first_key_value()?;
        if at > now {
            return None;
        }
        self.clear(deadline);
        Some(deadline)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty() && self.at.is_empty()
    }
}

wire!(ids Deadline {
    NoAnswer(id) = 0, CallLength(id) = 1, Progress(id) = 2, Reliable(id) = 3, ReliableLost(id) = 4, Refresh(id) = 5,
    SessionEnd(id) = 6, Glare(id) = 7, Answer(id) = 8, Register(id) = 9, Subscribe(id) = 10, FirstNotify(id) = 11,
    Publish(id) = 12, Parked(owner) = 13,
});

impl Deadlines {
    /// All of them, the earliest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Instant, Deadline)> {
        self.order.keys().copied()
    }
}
