//! The registrar (RFC 3261 section 10.3, RFC 5626, 5627, 3327, 3608), as a core on an endpoint.
//!
//! Owns the answers to REGISTER, and the location table unless the bindings are kept elsewhere. Who may register what has
//! been decided before ([`DigestAuth`](crate::DigestAuth)); where a request goes is the proxy's to decide.

mod push;
mod read;

use crate::id::RegisterId;
use crate::location::{
    Binding, Expiry, Gruus, LocationTable, Record, Refusal, RegisterRefused, Registration, Store, StoreError, Update,
    is_unresolvable, latest, plain_domain,
};
use crate::push::{PushTarget, WakeTimes};
use crate::reply::reply_fields;
use crate::target::Target;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;
use hashbrown::HashMap;
use read::Refused;
use sip_message::headers::Date;
use sip_message::uri::SipUri;
use sip_message::{Header, Message, Method, StatusCode};
use sip_transaction::cores::{IdHash, Slab};
use sip_transaction::{Endpoint, Event, FlowId, Instant, Path, ServerTxId};
use smallvec::SmallVec;

/// Addresses-of-record swept by one call of `handle_timeout`; the next call goes on.
const SWEPT_AT_ONCE: usize = 1024;

/// How often a change is thought out anew because somebody else changed the record meanwhile.
const ATTEMPTS: u8 = 4;

//= https://www.rfc-editor.org/rfc/rfc5626#section-5.4
//= type=exception
//= reason=no flow is given up for want of keepalives: the host closes connections
//# The server MUST wait for an amount of time larger than the Flow-Timer in order to
//# have a grace period to account for transport delay.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=exception
//= reason=keepalives are the endpoint's
//# To be compliant with this specification, registrars that can receive SIP requests
//# directly from a UAC without intervening edge proxies MUST implement the same keep-
//# alive mechanisms as edge proxies (Section 5.4).
//= https://www.rfc-editor.org/rfc/rfc3327#section-6.1
//= type=exception
//= reason=S/MIME bodies are not read
//# Registrars receiving such as request MUST honor the Path extension only if support
//# is indicated in the protected header field.
/// What a [`Registrar`] is told at construction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistrarConfig {
    /// The domains it keeps bindings for, in lower case. REGISTERs for others are handed on.
    pub domains: Vec<String>,
    /// How long a binding lasts if the client does not say, in seconds: 3600.
    pub default_expires: u32,
    /// The least that a client may ask for, in seconds: 60. Below it the answer is 423, but an hour is never too short.
    pub min_expires: u32,
    /// The most that is granted, in seconds: 7200.
    pub max_expires: u32,
    /// Bindings of one address-of-record: 10. Beyond, the answer is 403.
    pub max_bindings: usize,
    /// Contact values in one request: 16. Beyond, the answer is 400.
    pub max_contacts: usize,
    /// Addresses-of-record in the embedded table: 1,000,000. Beyond, the answer is 503.
    pub max_aors: usize,
    /// The Service-Route to give to those who register (RFC 3608): name-addrs in order.
    pub service_route: Vec<String>,
    /// The Flow-Timer to give to those who register flows (RFC 5626), in seconds.
    pub flow_timer: Option<u32>,
    /// Whether to mint GRUUs for those who support them (RFC 5627). On.
    pub gruu: bool,
    /// Whether a Path is taken from clients that do not say they support it. Off: they are told by 420 (RFC 3327 section
    /// 5.3).
    pub path_without_support: bool,
    /// The Unix time, in seconds, at [`Instant::ZERO`]: for the Date of responses. Without it there is none.
    pub unix_epoch: Option<i64>,
    /// Whether refreshes are told by [`RegistrarEvent::Changed`], too, and not only bindings that come and go. Off.
    pub report_refreshes: bool,
    /// How many requests may wait for an external store: 10,000. Those beyond are answered 503.
    pub waiting: usize,
    /// The push notification services the host can ask to wake a user agent (RFC 8599), as `pn-provider` names them: `apns`, `fcm`,
    /// `webpush`. Clients that register with one of these are told so and are woken; those that name another one are answered 555. None: the
    /// parameters mean nothing.
    pub push: Vec<String>,
    /// How often an external store is asked to sweep what has ended: every 30 seconds.
    pub sweep: Duration,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        RegistrarConfig {
            domains: Vec::new(),
            default_expires: 3600,
            min_expires: 60,
            max_expires: 7200,
            max_bindings: 10,
            max_contacts: 16,
            max_aors: 1_000_000,
            service_route: Vec::new(),
            flow_timer: None,
            gruu: true,
            path_without_support: false,
            unix_epoch: None,
            report_refreshes: false,
            waiting: 10_000,
            push: Vec::new(),
            sweep: Duration::from_secs(30),
        }
    }
}

/// What a [`Registrar`] has to say. Handed out by [`Registrar::poll_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrarEvent {
    /// A binding has come or gone.
    Changed {
        /// The address-of-record, as [`aor_key`](crate::aor_key) has it.
        aor: String,
        /// The binding, as it is or was.
        binding: Binding,
        /// What happened.
        change: Change,
    },
    /// A user agent that takes push notifications has registered, perhaps because it has been woken: to be handed to
    /// [`Proxy::awake`](crate::Proxy::awake).
    Awake {
        /// The address-of-record.
        aor: String,
        /// The binding it has made or refreshed.
        binding: Binding,
    },
    /// A binding is about to end whose user agent sleeps: have the notification service wake it, so that it registers (RFC 8599 section
    /// 5.5). Only with the embedded table.
    Wake {
        /// The address-of-record.
        aor: String,
        /// Whom to wake, and by which service.
        push: PushTarget,
    },
    /// External store: read this record and answer with [`Registrar::found`].
    Lookup {
        /// The REGISTER that waits.
        id: RegisterId,
        /// The address-of-record.
        aor: String,
    },
    /// External store: replace the bindings of this record, all or none, if its version is still the expected one, and answer with
    /// [`Registrar::stored`].
    Store {
        /// The REGISTER that waits.
        id: RegisterId,
        /// The address-of-record.
        aor: String,
        /// The version the change was thought out for.
        expected: u64,
        /// The bindings. None at all: remove the record.
        bindings: Vec<Binding>,
    },
    /// External store: remove what has ended by this time. No answer is needed.
    Expire {
        /// The time.
        now: Instant,
    },
    /// External store: remove the bindings whose user agent is reached over this flow, but for those that can be woken
    /// ([`Binding::wakes`]): these lose the flow only. No answer is needed.
    FlowEnded {
        /// The flow.
        flow: FlowId,
    },
}

/// What happened to a binding: the events of RFC 3680 section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is new.
    Registered,
    /// It has been refreshed.
    Refreshed,
    /// Its client has removed it.
    Unregistered,
    /// Its time is over.
    Expired,
    /// The flow to its client is over.
    FlowEnded,
}

/// What [`Registrar::locate`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// Contacts, best first. Of one instance without `reg-id`s the one last refreshed comes first.
    Targets(Vec<Target>),
    /// There is such a URI, but nothing to reach it by now: 480.
    Unavailable,
    /// The URI is of a `sips:` resource that is registered by `sip:` contacts only: 480 with Warning 380 (RFC 5630 section 5.3).
    NotSecure,
    /// There is no such URI: 404.
    NotFound,
}

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
        self.config.domains.iter().any(|domain| domain.eq_ignore_ascii_case(uri.host_str()))
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
    pub(crate) fn takes(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
        info: Option<&str>,
        to: Option<SipUri<'_>>,
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
            Ok((read.aor, update))
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
        update.each_change(&bindings, |binding, change| {
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
            Ok(read) => read.aor,
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

    /// The contacts a request for `uri` can be sent to, from the table of this registrar: [`Located::NotFound`] without
    /// one.
    ///
    /// `uri` may be an address-of-record, a GRUU, or the contact of a user agent that no DNS would find
    /// ([`LocationTable::bindings_at`]).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.1
    //# The only requirement is that a registrar for some domain MUST be able to
    //# read and write data to the location service, and a proxy or a redirect
    //# server for that domain MUST be capable of reading that same data.
    pub fn locate(&self, uri: &SipUri<'_>, now: Instant) -> Located {
        let Some(table) = self.table() else { return Located::NotFound };
        if is_unresolvable(uri) && !self.is_responsible(uri) {
            return self.locate_among(uri, table.bindings_at(uri, now));
        }
        let aor = self.record_of(uri);
        match aor {
            Some(aor) => self.locate_among(uri, table.bindings(&aor, now)),
            None => Located::NotFound,
        }
    }

    /// The key of the record in which the bindings of `uri`, an address-of-record or a GRUU, are; `None` if it is
    /// a GRUU that is not of this registrar. For external stores.
    pub fn record_of(&self, uri: &SipUri<'_>) -> Option<String> {
        match self.gruus.read(uri) {
            None => Some(crate::location::aor_key(uri)),
            Some(target) => target.map(|target| target.aor),
        }
    }

    /// The targets for `uri` among the bindings of its record.
    pub fn locate_among<'b>(&self, uri: &SipUri<'_>, bindings: impl IntoIterator<Item = &'b Binding>) -> Located {
        let gruu = match self.gruus.read(uri) {
            //= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
            //# If it contains the "gr" URI
            //# parameter but is not equivalent, based on URI comparison, to a
            //# currently valid GRUU within the domain, it SHOULD be rejected with a
            //# 404 (Not Found) response; this is the same behavior a proxy would
            //# exhibit for any other URI within the domain that is not valid.
            Some(None) => return Located::NotFound,
            Some(gruu) => gruu,
            None => None,
        };
        let mut found: SmallVec<[&Binding; 4]> = bindings.into_iter().collect();
        if let Some(gruu) = &gruu {
            self.gruus.retain_bound(gruu, &mut found);
        }
        if found.is_empty() {
            return match &gruu {
                Some(gruu) if !Gruus::is_public(gruu) => Located::NotFound,
                //= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
                //# If there are no registered contacts bound to the GRUU, the server
                //# MUST return a 480 (Temporarily Unavailable) response.
                _ => Located::Unavailable,
            };
        }
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
        //# Specifically,
        //# when a proxy receives a request with a SIPS Request-URI, the proxy
        //# MUST only forward or retarget the request to a SIPS Request-URI.
        if uri.is_sips() {
            found.retain(|binding| binding.is_sips());
            if found.is_empty() {
                return Located::NotSecure;
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
        //# The proxy MUST select the most recently refreshed
        //# contact.
        found.sort_by_key(|binding| core::cmp::Reverse((binding.q(), binding.registered())));
        // Who sleeps is woken by a REGISTER for the record the binding is of.
        let is_record = !is_unresolvable(uri) || self.is_responsible(uri);
        let sleeps = is_record && found.iter().any(|binding| binding.wakes());
        let aor = if sleeps { self.record_of(uri) } else { None };
        let target = |binding: &Binding| {
            let mut target = Target::of_binding(binding);
            if let Some(aor) = aor.as_ref().filter(|_| target.asleep) {
                target.aor.clone_from(aor);
            }
            target
        };
        Located::Targets(found.into_iter().map(target).collect())
    }

    // REGISTER.

    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# REGISTER requests MUST be processed by a registrar in the order that they are
    //# received.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# Each REGISTER message MUST be processed independently of any other registration or
    //# binding changes.
    fn register(&mut self, endpoint: &mut Endpoint, asker: &Asker<'_>, to: Option<SipUri<'_>>) {
        let now = self.now;
        let mut fresh: SmallVec<[Binding; 1]> = SmallVec::new();
        let push = !self.config.push.is_empty();
        let Storage::Table(table) = &mut self.storage else { return };
        let read = match read::registration(&self.config, asker.path, asker.message, to) {
            Ok(read) => read,
            Err(refused) => return self.refuse(endpoint, asker, refused),
        };
        let (events, refreshes) = (&mut self.events, self.config.report_refreshes);
        let seen = |current: &[Binding], update: &Update| {
            if push {
                fresh.extend(update.put.iter().map(|(_, binding)| binding.clone()));
            }
            update.each_change(current, |binding, change| {
                if change != Change::Refreshed || refreshes {
                    let (aor, binding) = (read.aor.clone(), binding.clone());
                    events.push_back(RegistrarEvent::Changed { aor, binding, change });
                }
            });
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
        let aor = read::registration(&self.config, &waiting.path, &waiting.message, None).map(|read| read.aor);
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

/// The 200 to a REGISTER.
struct Answer<'a> {
    config: &'a RegistrarConfig,
    gruus: &'a mut Gruus,
    now: Instant,
}

impl Answer<'_> {
    fn send(self, endpoint: &mut Endpoint, asker: &Asker<'_>, aor: &str, bindings: &[Binding]) {
        let Answer { config, gruus, now } = self;
        let message = asker.message;
        let gruu = config.gruu && message.supports("gruu");
        let caps = push::feature_caps(config, message);
        // What is written for this answer alone stands in one text.
        let mut text = String::with_capacity(96 * bindings.len().min(16));
        let mut contacts: SmallVec<[usize; 4]> = SmallVec::new();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# The response MUST
        //# contain Contact header field values enumerating all current
        //# bindings.  Each Contact value MUST feature an "expires"
        //# parameter indicating its expiration interval chosen by the
        //# registrar.
        let mut temporary: SmallVec<[(&Binding, String); 1]> = SmallVec::new();
        for binding in bindings.iter().filter(|binding| binding.expires() > now) {
            write_contact(&mut text, binding, now);
            if gruu && !binding.instance().is_empty() {
                //= https://www.rfc-editor.org/rfc/rfc5627#section-5.2
                //# The value of the "temp-gruu" parameter is
                //# a quoted string, and MUST contain the most recently created temporary
                //# GRUU for that AOR and instance ID.
                let live = bindings.iter().filter(|binding| binding.expires() > now);
                let last = latest(live, binding).unwrap_or(binding);
                let made = temporary.iter().position(|&(of, _)| core::ptr::eq(of, last)).unwrap_or_else(|| {
                    let mut uri = String::new();
                    gruus.write_temporary(&mut uri, aor, last);
                    temporary.push((last, uri));
                    temporary.len() - 1
                });
                write_gruus(&mut text, aor, binding, temporary.get(made).map_or("", |(_, uri)| uri));
            }
            contacts.push(text.len());
        }
        let contacts_end = text.len();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# The response SHOULD include a Date header field.
        let unix = config.unix_epoch.map(|epoch| epoch + (now.as_micros() / 1_000_000) as i64);
        if let Some(date) = unix.and_then(Date::from_unix) {
            let _ = write!(text, "{date}");
        }
        let date_end = text.len();
        //= https://www.rfc-editor.org/rfc/rfc5626#section-6
        //# If the Contact header did not contain a "reg-id" Contact header field parameter or
        //# if that parameter was ignored (as described above), the registrar MUST NOT include
        //# the outbound option-tag in the Require header field of its response.
        let outbound = message.supports("outbound") && read::registers_flow(message);
        if let Some(seconds) = config.flow_timer.filter(|_| outbound) {
            let _ = write!(text, "{seconds}");
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# Registrars MUST ignore the Record-Route header field if it is
        //# included in a REGISTER request.  Registrars MUST NOT include a
        //# Record-Route header field in any response to a REGISTER request.
        let path: SmallVec<[Cow<'_, str>; 2]> = message.fields(Header::Path).map(read::unfolded).collect();
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let mut fields: SmallVec<[(Header, &str); 8]> = SmallVec::new();
        let mut from = 0;
        for to in contacts {
            fields.push((Header::Contact, part(from, to)));
            from = to;
        }
        // The Path goes back: RFC 3327 section 5.3.
        fields.extend(path.iter().map(|path| (Header::Path, &**path)));
        fields.extend(caps.iter().map(|caps| (Header::FeatureCaps, caps.as_str())));
        fields.extend(config.service_route.iter().map(|route| (Header::ServiceRoute, route.as_str())));
        if outbound {
            //= https://www.rfc-editor.org/rfc/rfc5626#section-6
            //# Provided that the UAC had included an outbound
            //# option-tag (defined in Section 11.4) in a Supported header field
            //# value in the REGISTER request, the registrar MUST include the
            //# outbound option-tag in a Require header field value in its response
            //# to that REGISTER request.
            fields.push((Header::Require, "outbound"));
            if date_end < text.len() {
                fields.push((Header::FlowTimer, part(date_end, text.len())));
            }
        }
        fields.push((Header::Supported, "path, outbound"));
        fields.extend(asker.info.map(|info| (Header::AuthenticationInfo, info)));
        if contacts_end < date_end {
            fields.push((Header::Date, part(contacts_end, date_end)));
        }
        reply_fields(endpoint, now, asker.tx, message, StatusCode::OK, &fields);
    }
}

fn write_contact(line: &mut String, binding: &Binding, now: Instant) {
    // A second that has begun counts: a client that refreshes in time is never told 0.
    let left = binding.expires_in(now);
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    line.push('<');
    line.push_str(binding.contact());
    line.push('>');
    line.push_str(binding.params());
    if binding.q() < 1000 {
        let _ = write!(line, ";q=0.{:03}", binding.q());
    }
    line.push_str(";expires=");
    push_number(line, seconds);
}

/// Appends a number in decimal.
fn push_number(out: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        from -= 1;
        if number == 0 {
            break;
        }
    }
    out.push_str(digits.get(from..).and_then(|digits| core::str::from_utf8(digits).ok()).unwrap_or("0"));
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-5.2
//# If the REGISTER request contained a Supported header
//# field that included the "gruu" option tag, and the registrar has at
//# least one temporary GRUU assigned to the instance ID and AOR, the
//# registrar MUST add a "temp-gruu" Contact header field parameter to
//# that Contact header field.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.2
//# In addition, if the registrar has
//# a public GRUU assigned to the instance ID and AOR (and the client
//# supports GRUUs), the registrar MUST add a "pub-gruu" Contact header
//# field parameter to that Contact header field.
//= https://www.rfc-editor.org/rfc/rfc5627#section-7
//# The quoted strings for temp-gruu and pub-gruu MUST contain a SIP URI.
fn write_gruus(line: &mut String, aor: &str, binding: &Binding, temporary: &str) {
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.2.1
    //# If the Contact header field in the REGISTER request contains a
    //# SIP URI, the registrar MUST return the SIP version of the GRUU.  If
    //# the Contact header field in the REGISTER request contains a SIPS URI,
    //# the registrar MUST return the SIPS version of the GRUU.
    let mut uri = String::new();
    Gruus::write_public(&mut uri, aor, binding.instance());
    let _ = write!(line, ";pub-gruu=\"{}\"", Scheme(&uri, binding.is_sips()));
    let _ = write!(line, ";temp-gruu=\"{}\"", Scheme(temporary, binding.is_sips()));
}

/// A `sip:` URI with that scheme or with `sips:`.
struct Scheme<'a>(&'a str, bool);

impl core::fmt::Display for Scheme<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0.strip_prefix("sip:") {
            Some(rest) if self.1 => write!(f, "sips:{rest}"),
            _ => f.write_str(self.0),
        }
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

impl RegistrarConfig {
    fn expiry(&self) -> Expiry {
        Expiry { default: self.default_expires, min: self.min_expires, max: self.max_expires }
    }
}

/// A registration read from its message.
pub(crate) struct Read<'a> {
    pub(crate) aor: String,
    pub(crate) registration: Registration<'a>,
}
