//! What a store of bindings is to its registrar.

use super::Binding;
use alloc::vec::Vec;
use sip_transaction::{FlowId, Instant};

/// The bindings of one address-of-record, as a store has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Changes whenever the bindings do; 0 if there are none. A change is made against the version it was thought out
    /// for.
    pub version: u64,
    /// The bindings, none of them expired, in the order they were first made.
    pub bindings: Vec<Binding>,
}

/// Why bindings were not stored. Nothing has been stored then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The record has been changed since it was read: read it again and think again.
    #[error("the record has been changed since it was read")]
    Conflict,
    /// There is no room.
    #[error("the store is full")]
    Full,
    /// The store does not work.
    #[error("the store has failed")]
    Failed,
}

/// A store that answers at once: [`LocationTable`](super::LocationTable), or a database within the process.
///
/// A registrar does not need this trait: a store that answers later, or on another machine, answers the registrar's
/// events ([`RegistrarEvent`](crate::RegistrarEvent)). Whatever the way, [`store_conformance`](super::store_conformance) tells whether
/// a store keeps to the rules.
pub trait Store {
    /// The bindings of an address-of-record that last beyond `now`. `aor` is what [`aor_key`](crate::aor_key) gives.
    fn lookup(&mut self, aor: &str, now: Instant) -> Record;

    /// Replaces the bindings of `aor` by `bindings`, all of them or none, if its version is still `expected`. None at
    /// all removes the record.
    ///
    /// # Errors
    ///
    /// The version is not `expected`, there is no room, or the store has failed.
    fn store(&mut self, aor: &str, expected: u64, bindings: Vec<Binding>, now: Instant) -> Result<(), StoreError>;

    /// Removes the bindings that end at or before `now`, and gives each with its address-of-record to `gone`.
    fn expire(&mut self, now: Instant, gone: &mut dyn FnMut(&str, &Binding));

    /// Removes the bindings whose user agent is reached over `flow`, and gives each to `gone`. Those that can be woken
    /// ([`Binding::wakes`]) stay, without their flow.
    fn flow_ended(&mut self, flow: FlowId, gone: &mut dyn FnMut(&str, &Binding));
}
