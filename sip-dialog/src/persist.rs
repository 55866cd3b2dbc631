//! State that can leave: all calls, registrations, subscriptions and the rest as bytes, and back, so that a user agent goes on in another
//! process while its calls ring, stand or change.

use alloc::vec::Vec;
use core::num::NonZeroU32;
use sip_transaction::cores::{HashKey, Id, Slab};
use sip_transaction::{Endpoint, FlowId, ImportError, Instant, Path};

use crate::agent::{Bound, UserAgentCore};
use crate::codec::{Reader, Wire, Writer};

const MAGIC: &[u8] = b"sip-dialog";
const VERSION: u8 = 13;
/// Places each table may have in an import, whatever the limits: bytes made up cost no more memory than that.
const PLACES: usize = 1 << 20;

fn write_slab<I: Id + Wire, T: Wire>(slab: &Slab<I, T>, out: &mut Writer) {
    slab.horizon().get().write(out);
    (slab.len() as u32).write(out);
    for (id, value) in slab.iter() {
        id.write(out);
        value.write(out);
    }
}

fn read_slab<I: Id + Wire, T: Wire>(input: &mut Reader<'_>, most: u32) -> Option<Slab<I, T>> {
    let horizon = NonZeroU32::new(u32::read(input)?)?;
    Slab::restore(<Vec<(I, T)>>::read(input)?, horizon, most)
}

impl UserAgentCore {
    /// Everything there is, as bytes for [`import`](UserAgentCore::import) of another core with the same configuration. Times are
    /// relative to `now`; ids stay valid. Credentials and nonces stay behind: add credentials to the other core. Queued events are
    /// not part of it: drain them first.
    ///
    /// The transactions are the endpoint's: [`Endpoint::export`] at the same time.
    pub fn export(&self, now: Instant) -> Vec<u8> {
        let now = self.now.max(now);
        let mut out = Writer::new(MAGIC, VERSION);
        out.raw(&self.hash_key.to_bytes());
        write_slab(&self.calls, &mut out);
        write_slab(&self.dialogs, &mut out);
        write_slab(&self.registrations, &mut out);
        write_slab(&self.subscriptions, &mut out);
        write_slab(&self.publications, &mut out);
        write_slab(&self.requests, &mut out);
        self.subscribing.clone().into_iter().collect::<Vec<_>>().write(&mut out);
        // The order of a hash map must not show.
        let mut clients: Vec<_> = self.client_ids();
        clients.sort_unstable();
        (clients.len() as u32).write(&mut out);
        for id in clients {
            id.write(&mut out);
            if let Some(client) = self.clients.get(&id) {
                client.write(&mut out);
            }
        }
        let mut servers: Vec<_> = self.server_ids();
        servers.sort_unstable();
        (servers.len() as u32).write(&mut out);
        for id in servers {
            id.write(&mut out);
            if let Some(server) = self.servers.get(&id) {
                server.write(&mut out);
            }
        }
        (self.parked.len() as u32).write(&mut out);
        for (owner, parked) in &self.parked {
            owner.write(&mut out);
            parked.write(&mut out);
        }
        let until = |(id, sub): (_, &crate::subscription::Subscription)| Some((id, sub.until?.since(now)));
        self.subscriptions.iter().filter_map(until).collect::<Vec<_>>().write(&mut out);
        let deadlines: Vec<_> = self.deadlines.iter().map(|(at, deadline)| (at.since(now), deadline)).collect();
        deadlines.write(&mut out);
        out.finish()
    }

    /// Goes on with what another core has exported, which must not go on itself. The seed of this core and of its endpoint must be
    /// another than theirs, or the tags and branches of both repeat. `ep` has imported the transactions of the other's
    /// endpoint. `flow_for` is asked for each flow something is bound to, as in [`Endpoint::import`]: `None` if there is
    /// none in its place, and what was bound to it goes on without, as when a flow ends.
    ///
    /// # Errors
    ///
    /// The bytes cannot be read, or this core is in use.
    pub fn import(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        bytes: &[u8],
        mut flow_for: impl FnMut(&Path) -> Option<FlowId>,
    ) -> Result<(), ImportError> {
        if !self.is_idle() {
            return Err(ImportError::NotEmpty);
        }
        let mut new_path = |old: &Path| {
            let flow = flow_for(old)?;
            let path = ep.flow_path(flow)?;
            // A socket has many remotes: the old one is still it.
            let remote = if path.transport.is_connected() { path.remote } else { old.remote };
            Some(Path { flow, remote, ..path })
        };
        let mut input = Reader::new(bytes, MAGIC, VERSION, &mut new_path)?;
        self.advance(now);
        match self.read_all(&mut input) {
            Some(()) if input.is_empty() => {
                for (path, interval) in self.registrations.iter().filter_map(|(_, found)| found.keepalive()) {
                    let _ = ep.keep_alive(now, path.flow, Some(path.remote), Some(interval));
                }
                Ok(())
            }
            _ => {
                self.clear();
                Err(ImportError::Malformed)
            }
        }
    }

    fn read_all(&mut self, input: &mut Reader<'_>) -> Option<()> {
        self.hash_key = HashKey::new(input.array()?);
        let limits = &self.config.limits;
        let most = [limits.calls, limits.subscriptions, limits.requests].into_iter().flatten().fold(PLACES, usize::max);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        self.calls = read_slab(input, most)?;
        self.dialogs = read_slab(input, most)?;
        self.registrations = read_slab(input, most)?;
        self.subscriptions = read_slab(input, most)?;
        self.publications = read_slab(input, most)?;
        self.requests = read_slab(input, most)?;
        self.subscribing = Vec::read(input)?.into_iter().collect();
        self.clients = Vec::read(input)?.into_iter().collect();
        self.servers = Vec::read(input)?.into_iter().collect();
        self.parked = Vec::read(input)?.into_iter().collect();
        for (id, left) in <Vec<(_, core::time::Duration)>>::read(input)? {
            self.subscriptions.get_mut(id)?.until = Some(self.now + left);
        }
        for (left, deadline) in <Vec<(core::time::Duration, _)>>::read(input)? {
            self.deadlines.set(deadline, self.now + left);
        }
        self.rebuild();
        Some(())
    }

    /// Makes again what follows from the rest: the index of dialogs, what is bound to which flow, and the keys of merged
    /// requests.
    fn rebuild(&mut self) {
        let dialogs: Vec<_> = self.dialogs.iter().map(|(id, entry)| (id, entry.pin)).collect();
        for (id, pin) in dialogs {
            self.index_dialog(id);
            if let Some(path) = pin {
                self.flows.insert((path.flow, Bound::Dialog(id)), ());
            }
        }
        let registrations: Vec<_> = self.registrations.iter().map(|(id, _)| id).collect();
        for id in registrations {
            if let Some(flow) = self.registrations.get_mut(id).and_then(|found| found.rebound()) {
                self.flows.insert((flow, Bound::Registration(id)), ());
            }
        }
        for id in self.server_ids() {
            if let Some(key) = self.servers.get(&id).map(|server| server.merge_key).filter(|key| *key != 0) {
                self.merged.insert(key, id);
            }
        }
    }
}
