//! Who can be reached where: one table for all shards, and what makes it outlive the process.
//!
//! Each shard has ids of its own for a connection. In the table stands an id that is the same for all; [`FlowMap`]
//! translates at the edge.

pub(crate) mod record;
pub(crate) mod redis;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use crate::link::ConnId;
use sip_message::uri::SipUri;
use sip_server::{Binding, BindingParts, LocationTable, Record, Store, StoreError};
use sip_transaction::{FlowId, Instant, Path};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The bindings of this process.
pub(crate) struct Locations {
    table: Mutex<LocationTable>,
    /// The names of this server: users of each are the same users.
    domains: Vec<String>,
    /// Told of every change, to write it down.
    journal: Option<Box<dyn Journal>>,
}

/// Something that writes changes down.
pub(crate) trait Journal: Send + Sync {
    /// The bindings of `aor` are these now. Must not wait.
    fn changed(&self, aor: &str, bindings: &[Binding], now: Instant);

    /// Waits until everything is written.
    fn flush(&self);
}

/// The connections and sockets of a shard, by the ids that all shards share.
#[derive(Debug, Default)]
pub(crate) struct FlowMap {
    to_local: HashMap<FlowId, FlowId>,
    to_shared: HashMap<FlowId, FlowId>,
}

/// The shared id of a connection.
pub(crate) fn shared_conn(conn: ConnId) -> Option<FlowId> {
    let bits = conn.to_bits();
    FlowId::from_bits(((bits >> 32) + 1) << 32 | (bits & 0xffff_ffff))
}

/// The shared id of a datagram socket. No connection gets there: it is of the last generation that ids can have.
pub(crate) fn shared_socket(socket: usize) -> Option<FlowId> {
    FlowId::from_bits(0x7fff_ffff << 32 | socket as u64)
}

impl FlowMap {
    pub(crate) fn insert(&mut self, shared: Option<FlowId>, local: FlowId) {
        if let Some(shared) = shared {
            self.to_local.insert(shared, local);
            self.to_shared.insert(local, shared);
        }
    }

    pub(crate) fn remove(&mut self, local: FlowId) {
        if let Some(shared) = self.to_shared.remove(&local) {
            self.to_local.remove(&shared);
        }
    }

    /// The binding with its flow translated; `None` if that flow is not known.
    fn translate(map: &HashMap<FlowId, FlowId>, binding: &Binding) -> Option<Binding> {
        let parts = binding.parts();
        let Some(path) = parts.received else { return Some(binding.clone()) };
        let flow = *map.get(&path.flow)?;
        if flow == path.flow {
            return Some(binding.clone());
        }
        Some(Binding::new(&BindingParts { received: Some(Path { flow, ..path }), ..parts }))
    }
}

impl Locations {
    pub(crate) fn new(seed: [u8; 32], domains: Vec<String>, journal: Option<Box<dyn Journal>>) -> Locations {
        Locations { table: Mutex::new(LocationTable::new(seed)), domains, journal }
    }

    fn table(&self) -> MutexGuard<'_, LocationTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bindings there are.
    pub(crate) fn len(&self) -> usize {
        self.table().len()
    }

    /// An address-of-record as all shards and nodes call it: with the first of this server's names in the place of any of
    /// them, and of any of its ports.
    pub(crate) fn canonical(&self, aor: &str) -> String {
        let Some((user, place)) = aor.rsplit_once('@') else { return aor.to_owned() };
        let host = match place.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => place,
        };
        match self.domains.first() {
            Some(first) if self.domains.iter().any(|domain| domain == host) => format!("{user}@{first}"),
            _ => aor.to_owned(),
        }
    }

    /// The first of this server's names.
    pub(crate) fn domain(&self) -> &str {
        self.domains.first().map_or("localhost", String::as_str)
    }

    /// The table as a shard sees it.
    pub(crate) fn seen_by<'a>(&'a self, flows: &'a FlowMap) -> View<'a> {
        View { locations: self, flows }
    }

    /// Everything in the table, with shared flow ids.
    pub(crate) fn all(&self) -> Vec<(String, Vec<Binding>)> {
        self.table().iter().map(|(aor, bindings)| (aor.to_owned(), bindings.to_vec())).collect()
    }

    /// How long the last binding of an address-of-record will last; `None` if it has none.
    pub(crate) fn lasts(&self, aor: &str, now: Instant) -> Option<Duration> {
        self.table().bindings(aor, now).map(|binding| binding.expires_in(now)).max()
    }

    /// Adds bindings with shared flow ids to the table.
    pub(crate) fn import(&self, aor: &str, bindings: Vec<Binding>, now: Instant) -> Result<(), StoreError> {
        let mut table = self.table();
        let mut record = table.lookup(aor, now);
        record.bindings.extend(bindings);
        table.store(aor, record.version, record.bindings, now)
    }

    /// Waits until everything is written down that is to be.
    pub(crate) fn flush(&self) {
        if let Some(journal) = &self.journal {
            journal.flush();
        }
    }
}

/// The table as one shard sees it: with its own ids for flows.
pub(crate) struct View<'a> {
    locations: &'a Locations,
    flows: &'a FlowMap,
}

impl View<'_> {
    /// The bindings whose contact is this URI, of a host that no DNS knows: a browser.
    pub(crate) fn at(&self, uri: &SipUri<'_>, now: Instant) -> Vec<Binding> {
        let table = self.locations.table();
        table.bindings_at(uri, now).filter_map(|b| FlowMap::translate(&self.flows.to_local, b)).collect()
    }

    fn note(&self, aor: &str, table: &LocationTable, now: Instant) {
        if let Some(journal) = &self.locations.journal {
            let bindings: Vec<Binding> = table.bindings(aor, now).cloned().collect();
            journal.changed(aor, &bindings, now);
        }
    }
}

impl Store for View<'_> {
    fn lookup(&mut self, aor: &str, now: Instant) -> Record {
        let Record { version, bindings } = self.locations.table().lookup(&self.locations.canonical(aor), now);
        let bindings = bindings.iter().filter_map(|b| FlowMap::translate(&self.flows.to_local, b)).collect();
        Record { version, bindings }
    }

    fn store(&mut self, aor: &str, expected: u64, bindings: Vec<Binding>, now: Instant) -> Result<(), StoreError> {
        let aor = self.locations.canonical(aor);
        let shared = bindings.iter().filter_map(|b| FlowMap::translate(&self.flows.to_shared, b)).collect();
        let mut table = self.locations.table();
        table.store(&aor, expected, shared, now)?;
        self.note(&aor, &table, now);
        Ok(())
    }

    fn expire(&mut self, now: Instant, gone: &mut dyn FnMut(&str, &Binding)) {
        let mut changed = Vec::new();
        let mut table = self.locations.table();
        table.expire(now, &mut |aor, binding| {
            changed.push(aor.to_owned());
            gone(aor, binding);
        });
        changed.dedup();
        changed.iter().for_each(|aor| self.note(aor, &table, now));
    }

    fn flow_ended(&mut self, flow: FlowId, gone: &mut dyn FnMut(&str, &Binding)) {
        let Some(&shared) = self.flows.to_shared.get(&flow) else { return };
        let mut changed = Vec::new();
        let mut table = self.locations.table();
        table.flow_ended(shared, &mut |aor, binding| {
            changed.push(aor.to_owned());
            gone(aor, binding);
        });
        // What is left has not ended by the time of the last change, which is all the journal needs.
        changed.iter().for_each(|aor| self.note(aor, &table, Instant::ZERO));
    }
}

#[cfg(test)]
mod conformance;

#[cfg(test)]
mod tests {
    use super::*;
    use sip_transaction::Transport;

    fn flow(n: u64) -> FlowId {
        FlowId::from_bits(1 << 32 | n).unwrap()
    }

    fn binding(contact: &str, on: FlowId) -> Binding {
        let address = "127.0.0.1:5060".parse().unwrap();
        let path = Path { flow: on, transport: Transport::Ws, local: address, remote: address };
        let expires = Instant::ZERO + Duration::from_secs(60);
        Binding::new(&BindingParts { contact, received: Some(path), expires, ..BindingParts::default() })
    }

    #[test]
    fn shards_share_bindings_and_translate_flows() {
        let names = ["localhost", "127.0.0.1"].map(String::from).to_vec();
        let locations = Locations::new([1; 32], names, None);
        let shared = shared_conn(ConnId::next());
        let (mut one, mut two) = (FlowMap::default(), FlowMap::default());
        one.insert(shared, flow(3));
        two.insert(shared, flow(8));
        let stored =
            locations.seen_by(&one).store("sip:a@127.0.0.1", 0, vec![binding("sip:x", flow(3))], Instant::ZERO);
        assert_eq!(stored, Ok(()));
        // The other shard finds the same connection by its own id, and the user under the server's other name.
        let found = locations.seen_by(&two).lookup("sip:a@localhost", Instant::ZERO).bindings;
        assert_eq!(found[0].received().map(|path| path.flow), Some(flow(8)));
        // A shard that does not know the connection cannot use it.
        assert!(locations.seen_by(&FlowMap::default()).lookup("sip:a@localhost", Instant::ZERO).bindings.is_empty());
        locations.seen_by(&two).flow_ended(flow(8), &mut |_, _| {});
        assert_eq!(locations.len(), 0);
    }

    #[test]
    fn every_name_and_port_of_the_server_is_the_same() {
        let names = ["ex.com", "127.0.0.1", "[::1]"].map(String::from).to_vec();
        let locations = Locations::new([1; 32], names, None);
        for aor in ["sip:a@ex.com", "sip:a@127.0.0.1", "sip:a@127.0.0.1:5060", "sip:a@[::1]", "sip:a@[::1]:5060"] {
            assert_eq!(locations.canonical(aor), "sip:a@ex.com", "{aor}");
        }
        for aor in ["sip:a@ex.org", "sip:a@ex.org:5060", "sip:ex.com", "sip:a@127.0.0.11"] {
            assert_eq!(locations.canonical(aor), aor);
        }
    }

    #[test]
    fn sockets_and_connections_have_different_ids() {
        assert_ne!(shared_socket(1), shared_conn(ConnId::next()));
        assert!(shared_socket(0).is_some());
    }
}
