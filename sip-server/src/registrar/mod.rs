//! The registrar (RFC 3261 section 10.3, RFC 5626, 5627, 3327, 3608), as a core on an endpoint.
//!
//! Owns the answers to REGISTER, and the location table unless the bindings are kept elsewhere. Who may register what has
//! been decided before ([`DigestAuth`](crate::DigestAuth)); where a request goes is the proxy's to decide.

mod answer;
mod config;
mod locate;
mod push;
mod read;

pub use config::{Change, RegistrarConfig, RegistrarEvent};
pub use locate::Located;

use crate::id::RegisterId;
use crate::location::{
    Binding, Gruus, LocationTable, Record, Refusal, RegisterRefused, Registration, Store, StoreError, Update,
    plain_domain,
};
use crate::push::WakeTimes;
use crate::reply::reply_fields;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use answer::Answer;
use hashbrown::HashMap;
use read::Refused;
use sip_message::uri::SipUri;
use sip_message::{Header, Message, Method, StatusCode};
use sip_transaction::cores::{IdHash, Slab};
use sip_transaction::{Endpoint, Event, Instant, Path, ServerTxId};
use smallvec::SmallVec;

/// Addresses-of-record swept by one call of `handle_timeout`; the next call goes on.
const SWEPT_AT_ONCE: usize = 1024;

/// How often a change is thought out anew because somebody else changed the record meanwhile.
const ATTEMPTS: u8 = 4;

/// A REGISTER that waits for an external store.
struct Waiting {
    tx: ServerTxId,
    path: Path,
    message: Box<Message>,
    info: Option<String>,
    /// The bindings as they will be, when storing.
    bindings: Vec<Binding>,
    /// Those of them that this REGISTER has made or refreshed.
    fresh: Vec<Binding>,
    /// What to tell when they have been stored.
    changes: Vec<(Binding, Change)>,
    attempts: u8,
}

impl Waiting {
    fn asker(&self) -> Asker<'_> {
        Asker { tx: self.tx, path: &self.path, message: &self.message, info: self.info.as_deref() }
    }
}

/// A REGISTER to be answered.
struct Asker<'a> {
    tx: ServerTxId,
    path: &'a Path,
    message: &'a Message,
    info: Option<&'a str>,
}

enum Storage {
    Table(LocationTable),
    External,
}

/// A registrar for some domains.
pub struct Registrar {
    config: RegistrarConfig,
    storage: Storage,
    gruus: Gruus,
    waiting: Slab<RegisterId, Waiting>,
    waiting_by_tx: HashMap<ServerTxId, RegisterId, IdHash>,
    events: VecDeque<RegistrarEvent>,
    next_sweep: Option<Instant>,
    wake_times: WakeTimes,
    /// The table may have been changed by another hand: the wake-up times are to be found anew.
    wake_times_stale: bool,
    now: Instant,
}

impl Registrar {
    /// A registrar with bindings in a table of its own. Keys and random numbers come from `seed`, which nobody else may know.
    pub fn new(config: RegistrarConfig, seed: [u8; 32]) -> Self {
        let table = LocationTable::new(seed).with_max_aors(config.max_aors);
        Registrar::with_storage(config, &seed, Storage::Table(table))
    }

    /// A registrar that asks for bindings and writes them by events: [`RegistrarEvent::Lookup`], [`RegistrarEvent::Store`],
    /// [`RegistrarEvent::Expire`] and [`RegistrarEvent::FlowEnded`].
    pub fn with_external_store(config: RegistrarConfig, seed: [u8; 32]) -> Self {
        Registrar::with_storage(config, &seed, Storage::External)
    }

    fn with_storage(config: RegistrarConfig, seed: &[u8; 32], storage: Storage) -> Self {
        Registrar {
            config,
            storage,
            gruus: Gruus::new(seed),
            waiting: Slab::new(),
            waiting_by_tx: HashMap::with_hasher(IdHash),
            events: VecDeque::new(),
            next_sweep: None,
            wake_times: WakeTimes::default(),
            wake_times_stale: false,
            now: Instant::ZERO,
        }
    }

    /// The table of bindings; `None` if they are kept elsewhere.
    pub fn table(&self) -> Option<&LocationTable> {
        match &self.storage {
            Storage::Table(table) => Some(table),
            Storage::External => None,
        }
    }

    /// The table of bindings, to import some or to change them by hand; `None` if they are kept elsewhere. With
    /// [push notifications](RegistrarConfig::push) the next [`handle_timeout`](Registrar::handle_timeout), due at once, goes through all bindings
    /// for those to be refreshed by a wake-up.
    pub fn table_mut(&mut self) -> Option<&mut LocationTable> {
        match &mut self.storage {
            Storage::Table(table) => {
                self.wake_times_stale = !self.config.push.is_empty();
                Some(table)
            }
            Storage::External => None,
        }
    }

    /// How many requests wait for an external store.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether bindings of the domain of `uri` are kept here.
    pub fn is_responsible(&self, uri: &SipUri<'_>) -> bool {
        self.config.domains.iter().any(|domain| uri.has_host(domain))
    }

    /// Takes an event of the endpoint. `None`: it was a REGISTER for a domain of this registrar, and is being answered.
    pub fn handle(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event) -> Option<Event> {
        self.handle_with_info(endpoint, now, event, None)
    }

    /// Like [`handle`](Registrar::handle), with the value of an Authentication-Info for the answer: that of
    /// [`Identity::info`](crate::Identity::info).
    pub fn handle_with_info(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: Event,
        info: Option<&str>,
    ) -> Option<Event> {
        match self.takes(endpoint, now, &event, info, None) {
            true => None,
            false => self.keeps(endpoint, event, info),
        }
    }

    /// The rest of [`handle`](Registrar::handle): what waits for an external store is kept.
    pub(crate) fn keeps(&mut self, endpoint: &mut Endpoint, event: Event, info: Option<&str>) -> Option<Event> {
        match event {
            event if self.table().is_some() => Some(event),
            Event::Request { tx, path, message } if self.is_for(&message) => {
                let waiting = Waiting {
                    tx,
                    path,
                    message,
                    info: info.map(String::from),
                    bindings: Vec::new(),
                    fresh: Vec::new(),
                    changes: Vec::new(),
                    attempts: 0,
                };
                self.look_up(endpoint, waiting);
                None
            }
            event => Some(event),
        }
    }

    /// The part of [`handle`](Registrar::handle) that keeps nothing of the event. Tells whether it was a REGISTER and has been answered. `to` is
    /// the URI of To, if it has been read already.
    pub(crate) fn takes<'e>(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &'e Event,
        info: Option<&str>,
        to: Option<SipUri<'e>>,
    ) -> bool {
        self.now = self.now.max(now);
        match event {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
            //# 1. The registrar inspects the Request-URI to determine whether it
            //# has access to bindings for the domain identified in the
            //# Request-URI.  If not, and if the server also acts as a proxy
            //# server, the server SHOULD forward the request to the addressed
            //# domain, following the general behavior for proxying messages
            //# described in Section 16.
            Event::Request { tx, path, message } if self.table().is_some() && self.is_for(message) => {
                self.register(endpoint, &Asker { tx: *tx, path, message, info }, to);
                return true;
            }
            Event::ServerEnded { tx, .. } => {
                if let Some(key) = self.waiting_by_tx.remove(tx) {
                    self.waiting.remove(key);
                }
            }
            //= https://www.rfc-editor.org/rfc/rfc5626#section-7
            //# If a proxy or registrar receives information from the network that
            //# indicates that no future messages will be delivered on a specific
            //# flow, then the proxy MUST invalidate all the bindings in the target
            //# set that use that flow (regardless of AOR).
            //= https://www.rfc-editor.org/rfc/rfc5626#section-7
            //# Similarly, if a proxy closes a file descriptor, it MUST invalidate all the bindings
            //# in the target set with flows that use that file descriptor.
            Event::FlowEnded { flow, .. } => {
                let events = &mut self.events;
                match &mut self.storage {
                    Storage::Table(table) => table.flow_ended(*flow, &mut tell(events, Change::FlowEnded)),
                    Storage::External => events.push_back(RegistrarEvent::FlowEnded { flow: *flow }),
                }
            }
            Event::KeepaliveFailed { path } => {
                if let Storage::Table(table) = &mut self.storage {
                    table.path_ended(path, &mut tell(&mut self.events, Change::FlowEnded));
                }
            }
            _ => {}
        }
        false
    }

    fn is_for(&self, message: &Message) -> bool {
        if message.method() != Some(Method::Register) {
            return false;
        }
        if message.request_uri_bytes().is_some_and(|uri| plain_domain(&self.config.domains, uri).is_some()) {
            return true;
        }
        let uri = message.request_uri().and_then(Result::ok);
        uri.is_some_and(|uri| uri.as_sip().is_some_and(|uri| self.is_responsible(uri)))
    }

    /// Removes what has ended. Without anything due it does nothing.
    pub fn handle_timeout(&mut self, _: &mut Endpoint, now: Instant) {
        self.now = self.now.max(now);
        self.wake_due(now);
        match &mut self.storage {
            Storage::Table(table) => table.sweep(now, SWEPT_AT_ONCE, &mut tell(&mut self.events, Change::Expired)),
            Storage::External => {
                if self.next_sweep.is_some_and(|at| at <= now) {
                    self.next_sweep = None;
                    self.events.push_back(RegistrarEvent::Expire { now });
                    self.next_sweep = Some(now + self.config.sweep);
                }
            }
        }
    }

    /// The next thing to say; `None` when all has been said. Changes with any other call that takes `&mut self`.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<RegistrarEvent> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Registrar::handle_timeout) next; the present while events wait to be polled. Changes with any call
    /// that takes `&mut self`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.events.is_empty() || self.wake_times_stale {
            return Some(self.now);
        }
        match &self.storage {
            Storage::Table(table) => [table.next_end(), self.wake_times.next()].into_iter().flatten().min(),
            Storage::External => self.next_sweep,
        }
    }

    /// Answers [`RegistrarEvent::Lookup`]. A stale id is passed over: its request has ended.
    pub fn found(&mut self, endpoint: &mut Endpoint, now: Instant, id: RegisterId, record: Record) {
        self.now = self.now.max(now);
        let Some(mut waiting) = self.waiting.remove(id) else { return };
        self.waiting_by_tx.remove(&waiting.tx);
        let mut bindings: SmallVec<[Binding; 1]> = record.bindings.into();
        let max = self.config.max_bindings;
        let planned = read::registration(&self.config, &waiting.path, &waiting.message, None).and_then(|read| {
            let update = Update::plan(&bindings, &read.registration, max, now)?;
            Ok((read.aor.into_owned(), update))
        });
        let (aor, update) = match planned {
            Ok(planned) => planned,
            Err(refused) => return self.refuse(endpoint, &waiting.asker(), refused),
        };
        if update.is_empty() {
            return self.accept(endpoint, &waiting.asker(), &aor, &bindings);
        }
        waiting.changes.clear();
        let refreshes = self.config.report_refreshes;
        update.each_change(&bindings, &mut |binding, change| {
            if change != Change::Refreshed || refreshes {
                waiting.changes.push((binding.clone(), change));
            }
        });
        waiting.fresh = match self.config.push.is_empty() {
            true => Vec::new(),
            false => update.put.iter().map(|(_, binding)| binding.clone()).collect(),
        };
        update.apply(&mut bindings);
        waiting.bindings = bindings.to_vec();
        let bindings = bindings.into_vec();
        self.wait(endpoint, waiting, |id| RegistrarEvent::Store { id, aor, expected: record.version, bindings });
    }

    /// Answers [`RegistrarEvent::Store`]. A stale id is passed over: its request has ended.
    pub fn stored(&mut self, endpoint: &mut Endpoint, now: Instant, id: RegisterId, result: Result<(), StoreError>) {
        self.now = self.now.max(now);
        let Some(mut waiting) = self.waiting.remove(id) else { return };
        self.waiting_by_tx.remove(&waiting.tx);
        let aor = match read::registration(&self.config, &waiting.path, &waiting.message, None) {
            Ok(read) => read.aor.into_owned(),
            Err(refused) => return self.refuse(endpoint, &waiting.asker(), refused),
        };
        match result {
            Ok(()) => {
                for (binding, change) in core::mem::take(&mut waiting.changes) {
                    self.events.push_back(RegistrarEvent::Changed { aor: aor.clone(), binding, change });
                }
                let bindings = core::mem::take(&mut waiting.bindings);
                self.accept(endpoint, &waiting.asker(), &aor, &bindings);
                self.note_awake(&aor, &waiting.fresh);
            }
            Err(StoreError::Conflict) if waiting.attempts < ATTEMPTS => {
                waiting.attempts += 1;
                self.wait(endpoint, waiting, |id| RegistrarEvent::Lookup { id, aor });
            }
            Err(StoreError::Full) => {
                self.refuse(endpoint, &waiting.asker(), Refused::status(StatusCode::SERVICE_UNAVAILABLE))
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
            //# If any one of them fails (for
            //# example, because the back-end database commit failed), the
            //# request MUST fail with a 500 (Server Error) response and all
            //# tentative binding updates MUST be removed.
            Err(_) => self.refuse(endpoint, &waiting.asker(), Refused::status(StatusCode::SERVER_INTERNAL_ERROR)),
        }
    }

    /// Answers the event if it asks for something of a store: for stores that answer at once. Gives all other events back.
    pub fn answer_with(
        &mut self,
        store: &mut impl Store,
        endpoint: &mut Endpoint,
        now: Instant,
        event: RegistrarEvent,
    ) -> Option<RegistrarEvent> {
        match event {
            RegistrarEvent::Lookup { id, aor } => {
                let record = store.lookup(&aor, now);
                self.found(endpoint, now, id, record);
            }
            RegistrarEvent::Store { id, aor, expected, bindings } => {
                let result = store.store(&aor, expected, bindings, now);
                self.stored(endpoint, now, id, result);
            }
            RegistrarEvent::Expire { now } => store.expire(now, &mut tell(&mut self.events, Change::Expired)),
            RegistrarEvent::FlowEnded { flow } => {
                store.flow_ended(flow, &mut tell(&mut self.events, Change::FlowEnded));
            }
            event @ (RegistrarEvent::Changed { .. } | RegistrarEvent::Awake { .. } | RegistrarEvent::Wake { .. }) => {
                return Some(event);
            }
        }
        None
    }

    // REGISTER.

    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# REGISTER requests MUST be processed by a registrar in the order that they are
    //# received.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# Each REGISTER message MUST be processed independently of any other registration or
    //# binding changes.
    fn register<'a>(&mut self, endpoint: &mut Endpoint, asker: &Asker<'a>, to: Option<SipUri<'a>>) {
        let now = self.now;
        let mut fresh: SmallVec<[Binding; 1]> = SmallVec::new();
        let push = !self.config.push.is_empty();
        let Storage::Table(table) = &mut self.storage else { return };
        let read = match read::registration(&self.config, asker.path, asker.message, to) {
            Ok(read) => read,
            Err(refused) => return self.refuse(endpoint, asker, refused),
        };
        let (events, refreshes) = (&mut self.events, self.config.report_refreshes);
        let seen = |binding: &Binding, change| {
            if push && matches!(change, Change::Registered | Change::Refreshed) {
                fresh.push(binding.clone());
            }
            if change != Change::Refreshed || refreshes {
                let (aor, binding) = (String::from(&*read.aor), binding.clone());
                events.push_back(RegistrarEvent::Changed { aor, binding, change });
            }
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# The binding updates MUST be committed (that is, made visible to
        //# the proxy or redirect server) if and only if all binding
        //# updates and additions succeed.
        match table.register(&read.aor, &read.registration, self.config.max_bindings, now, seen) {
            Ok(bindings) => {
                let answer = Answer { config: &self.config, gruus: &mut self.gruus, now };
                answer.send(endpoint, asker, &read.aor, bindings);
                if push {
                    self.note_awake(&read.aor, &fresh);
                }
            }
            Err(RegisterRefused::Rule(refusal)) => self.refuse(endpoint, asker, refusal.into()),
            Err(RegisterRefused::Full) => {
                self.refuse(endpoint, asker, Refused::status(StatusCode::SERVICE_UNAVAILABLE));
            }
        }
    }

    /// Asks the external store, if what is asked for can be at all.
    fn look_up(&mut self, endpoint: &mut Endpoint, waiting: Waiting) {
        // What the store has to sweep is counted from the first REGISTER on.
        self.next_sweep.get_or_insert(self.now + self.config.sweep);
        let aor =
            read::registration(&self.config, &waiting.path, &waiting.message, None).map(|read| read.aor.into_owned());
        match aor {
            Ok(aor) => self.wait(endpoint, waiting, |id| RegistrarEvent::Lookup { id, aor }),
            Err(refused) => self.refuse(endpoint, &waiting.asker(), refused),
        }
    }

    fn wait(&mut self, endpoint: &mut Endpoint, waiting: Waiting, event: impl FnOnce(RegisterId) -> RegistrarEvent) {
        let tx = waiting.tx;
        if self.waiting.len() >= self.config.waiting {
            return self.refuse(endpoint, &waiting.asker(), Refused::status(StatusCode::SERVICE_UNAVAILABLE));
        }
        let Some(key) = self.waiting.insert(waiting) else { return };
        self.waiting_by_tx.insert(tx, key);
        self.events.push_back(event(key));
    }

    fn accept(&mut self, endpoint: &mut Endpoint, asker: &Asker<'_>, aor: &str, bindings: &[Binding]) {
        let answer = Answer { config: &self.config, gruus: &mut self.gruus, now: self.now };
        answer.send(endpoint, asker, aor, bindings);
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# A registrar MUST not generate 6xx responses.
    fn refuse(&self, endpoint: &mut Endpoint, asker: &Asker<'_>, refused: Refused) {
        let fields: SmallVec<[(Header, &str); 1]> =
            refused.fields.iter().map(|(header, value)| (*header, value.as_str())).collect();
        reply_fields(endpoint, self.now, asker.tx, asker.message, refused.status, &fields);
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        match refusal {
            Refusal::OutOfOrder => Refused::status(StatusCode::SERVER_INTERNAL_ERROR),
            Refusal::TooMany => Refused::status(StatusCode::FORBIDDEN),
        }
    }
}

/// Tells of bindings that are gone.
fn tell(events: &mut VecDeque<RegistrarEvent>, change: Change) -> impl FnMut(&str, &Binding) + '_ {
    move |aor, binding| {
        events.push_back(RegistrarEvent::Changed { aor: aor.into(), binding: binding.clone(), change });
    }
}

impl core::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Registrar")
            .field("table", &self.table())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

/// A registration read from its message.
pub(crate) struct Read<'a> {
    pub(crate) aor: Cow<'a, str>,
    pub(crate) registration: Registration<'a>,
}
