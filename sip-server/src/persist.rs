//! State that can leave: bindings and response contexts as bytes and back, so that a node can be replaced while calls are being set
//! up.
//!
//! Times are relative, ids stay valid, flows are told by their addresses and looked for anew. A binding or target whose flow has no
//! successor goes as when a flow ends.

use crate::codec::{self, Reader, Writer};
use crate::id::ProxyId;
use crate::location::{Binding, BindingParts, LocationTable, Store};
use crate::proxy::{Proxy, contexts};
use crate::server::Server;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use sip_transaction::cores::{self, HashKey, Slab};
use sip_transaction::{Endpoint, FlowId, ImportError, Instant, Path};

const VERSION: u8 = 2;
const BINDINGS: &[u8] = b"sip-server bindings";
const CONTEXTS: &[u8] = b"sip-server contexts";
const SERVER: &[u8] = b"sip-server state";

impl LocationTable {
    /// All bindings that last beyond `now`, as bytes for [`import`](LocationTable::import).
    pub fn export(&self, now: Instant) -> Vec<u8> {
        let mut out = Writer::new(BINDINGS, VERSION);
        for (aor, bindings) in self.iter() {
            for binding in bindings.iter().filter(|binding| binding.expires() > now) {
                let parts = binding.parts();
                out.text(aor);
                for text in [parts.contact, parts.params, parts.path, parts.instance, parts.call_id] {
                    out.text(text);
                }
                out.u32(parts.reg_id);
                out.u16(parts.q);
                out.u32(parts.cseq);
                out.duration(now - parts.registered);
                out.option(Some(parts.expires).filter(|&at| at != Instant::MAX), |out, at| out.duration(at - now));
                out.option(parts.received, Writer::path);
                out.bool(parts.wakes);
            }
        }
        out.finish()
    }

    /// Takes in bindings that another table has exported. Those of an address-of-record take the place of what there is
    /// of it. `flow_for` is asked for each flow that a binding came over, which carries the old addresses; a binding whose flow has no
    /// successor is left out, as when a flow ends. Gives back how many came.
    ///
    /// # Errors
    ///
    /// The bytes cannot be read: nothing has changed. [`ImportError::NotEmpty`] if there is no room for all: those that there was room for
    /// are there.
    pub fn import(
        &mut self,
        now: Instant,
        bytes: &[u8],
        mut flow_for: impl FnMut(&Path) -> Option<FlowId>,
    ) -> Result<usize, ImportError> {
        let mut input = Reader::new(bytes, BINDINGS, VERSION, &mut flow_for)?;
        let mut records: Vec<(&str, Vec<Binding>)> = Vec::new();
        while !input.is_empty() {
            let (aor, binding) = read_binding(&mut input, now).ok_or(ImportError::Malformed)?;
            match records.last_mut() {
                Some((last, bindings)) if *last == aor => bindings.extend(binding),
                _ => records.push((aor, binding.into_iter().collect())),
            }
        }
        let mut count = 0;
        for (aor, bindings) in records {
            let expected = self.lookup(aor, now).version;
            count += bindings.len();
            self.store(aor, expected, bindings, now).map_err(|_| ImportError::NotEmpty)?;
        }
        Ok(count)
    }
}

fn read_binding<'a>(input: &mut Reader<'a>, now: Instant) -> Option<(&'a str, Option<Binding>)> {
    let aor = input.text()?;
    let (contact, params, path) = (input.text()?, input.text()?, input.text()?);
    let (instance, call_id) = (input.text()?, input.text()?);
    let (reg_id, q, cseq) = (input.u32()?, input.u16()?, input.u32()?);
    let (age, left) = (input.u64()?, input.option(Reader::duration)?);
    let received = input.option(codec::path)?;
    let wakes = input.bool()?;
    let received = match received {
        None => None,
        Some(Ok(path)) => Some(path),
        // Its flow has no successor, but it can be woken without.
        Some(Err(_)) if wakes => None,
        Some(Err(_)) => return Some((aor, None)),
    };
    let binding = Binding::new(&BindingParts {
        contact,
        params,
        path,
        instance,
        reg_id,
        q,
        call_id,
        cseq,
        registered: Instant::from_micros(now.as_micros().saturating_sub(age)),
        expires: left.map_or(Instant::MAX, |left| now + left),
        received,
        wakes,
    });
    Some((aor, Some(binding)))
}

impl Proxy {
    /// All response contexts, as bytes for [`import`](Proxy::import) of another proxy. Their transactions are the endpoint's to export
    /// ([`Endpoint::export`]), at the same moment. Queued events are not part of it: drain them first.
    ///
    /// The bytes hold a secret, the key of loop detection: keep them as you keep the seed.
    pub fn export(&self, endpoint: &Endpoint) -> Vec<u8> {
        let mut out = Writer::new(CONTEXTS, VERSION);
        out.raw(&self.loop_key.to_bytes());
        out.u32(self.contexts.horizon().get());
        out.u32(self.contexts.len() as u32);
        for (id, context) in self.contexts.iter() {
            out.u64(id.to_bits());
            contexts::write(&mut out, endpoint, context);
        }
        out.finish()
    }

    /// Goes on with the requests that another proxy has exported, which must not go on itself. The endpoint has imported the transactions
    /// of the other's ([`Endpoint::import`]). `flow_for` is asked for each flow, as there. Requests that wait to be routed are asked about
    /// again. Flow tokens are good only if both proxies have one seed and the flows the same ids, as sockets have that are bound in
    /// the same order.
    ///
    /// # Errors
    ///
    /// The bytes cannot be read, or this proxy has requests of its own. Nothing has changed.
    pub fn import(
        &mut self,
        now: Instant,
        bytes: &[u8],
        mut flow_for: impl FnMut(&Path) -> Option<FlowId>,
    ) -> Result<(), ImportError> {
        if !self.contexts.is_empty() {
            return Err(ImportError::NotEmpty);
        }
        let input = Reader::new(bytes, CONTEXTS, VERSION, &mut flow_for)?;
        let most = u32::try_from(self.config.max_contexts).unwrap_or(u32::MAX).max(1 << 16);
        let (loop_key, contexts) = read_contexts(input, most).ok_or(ImportError::Malformed)?;
        self.now = self.now.max(now);
        (self.loop_key, self.contexts) = (loop_key, contexts);
        self.adopt();
        Ok(())
    }
}

type Contexts = Slab<ProxyId, contexts::Kept>;

fn read_contexts(mut input: Reader<'_>, most: u32) -> Option<(HashKey, Contexts)> {
    let loop_key = HashKey::new(input.array()?);
    let horizon = NonZeroU32::new(input.u32()?)?;
    let entries = input.each(|input| Some((ProxyId::from_bits(input.u64()?)?, contexts::read(input)?)))?;
    let contexts = Slab::restore(entries, horizon, most)?;
    input.finish().map(|()| (loop_key, contexts))
}

impl Server {
    /// Transactions, bindings and response contexts, as bytes for [`import`](Server::import) of another server. Drain transmits and events
    /// first. Requests that wait for credentials or for an external store are not part of it: they are left to the retransmissions of their
    /// clients.
    ///
    /// The bytes hold secrets: keep them as you keep the seed.
    pub fn export(&self, now: Instant) -> Vec<u8> {
        let mut out = Writer::new(SERVER, VERSION);
        out.bytes(&self.endpoint().export(now));
        out.option(self.registrar().table(), |out, table| out.bytes(&table.export(now)));
        out.bytes(&self.proxy().export(self.endpoint()));
        out.finish()
    }

    /// Goes on where another server has stopped: one with the same configuration and the same seed, which must not go on itself. `flow_for`
    /// is asked for each of its flows: a socket bound to the same address, or a connection handed over.
    ///
    /// # Errors
    ///
    /// The bytes cannot be read, or this server has requests of its own. What follows from it then is undefined but safe: make a new
    /// server.
    pub fn import(
        &mut self,
        now: Instant,
        bytes: &[u8],
        mut flow_for: impl FnMut(&Path) -> Option<FlowId>,
    ) -> Result<(), ImportError> {
        let mut input = cores::Reader::new(bytes, SERVER, VERSION, ())?;
        let parts = (input.bytes(), input.option(cores::Reader::bytes), input.bytes());
        let (Some(transactions), Some(bindings), Some(contexts)) = parts else { return Err(ImportError::Malformed) };
        let (endpoint, registrar, proxy) = self.parts_mut();
        endpoint.import(now, transactions, &mut flow_for)?;
        if let (Some(bindings), Some(table)) = (bindings, registrar.table_mut()) {
            table.import(now, bindings, &mut flow_for)?;
        }
        proxy.import(now, contexts, &mut flow_for)?;
        self.drain(now);
        Ok(())
    }
}
