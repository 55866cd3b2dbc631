//! The core of a user agent: its tables, and which part an event belongs to.
//!
//! Owns the tables of dialogs, calls, registrations, subscriptions, publications and requests, and the map from transactions to
//! them. What each of these does lies in its own module; sending and retrying in `client`, answering in `server`.

mod all;
pub(crate) mod client;
pub(crate) mod server;
pub(crate) mod sips;
pub(crate) mod way;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{BuildHasher as _, Hasher as _};
use hashbrown::{HashMap, HashTable};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sip_message::{DialogIds, Header, Lines, Message, Method, StatusCode};
use sip_transaction::cores::{HashKey, Id as _, IdHash, Key, Slab};
use sip_transaction::{ClientTxId, Endpoint, Event as Below, FlowId, Instant, Outcome, Path, ServerTxId, Transport};

use crate::auth::Keyring;
use crate::call::past::PastDialogs;
use crate::call::peer::Heard;
use crate::call::{Call, Entry};
use crate::config::{Serves, UserAgentConfig};
use crate::deadlines::{Deadline, Deadlines};
use crate::event::{Event, Owner};
use crate::id::{CallHandle, DialogId, PublicationId, RegistrationId, RequestId, SubscriptionId};
use crate::publication::Publication;
use crate::registration::Registration;
use crate::request::Standalone;
use crate::subscription::Subscription;
use client::{Client, Parked};
use server::Server;

pub(crate) type IdMap<K, V> = HashMap<K, V, IdHash>;

/// What is bound to a flow. Registrations first: they are looked for by flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bound {
    Registration(RegistrationId),
    Dialog(DialogId),
}

/// A user agent without an endpoint: calls, registrations, subscriptions and all else, borrowing an
/// [`Endpoint`] beside other cores.
///
/// Hand it each event of the endpoint with [`handle`](UserAgentCore::handle), and the time with
/// [`handle_timeout`](UserAgentCore::handle_timeout). For an endpoint of its own see [`UserAgent`](crate::UserAgent).
pub struct UserAgentCore {
    pub(crate) config: Arc<UserAgentConfig>,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) now: Instant,
    pub(crate) hash_key: HashKey,
    pub(crate) contact: Arc<str>,
    pub(crate) contact_line: Lines,
    pub(crate) contacts: Vec<(Transport, Arc<str>)>,
    /// Lines of our own: User-Agent, that with Supported, Server, Allow, and that with Supported.
    pub(crate) agent_line: Lines,
    pub(crate) request_lines: Lines,
    pub(crate) server_line: Lines,
    pub(crate) allow_line: Lines,
    pub(crate) ability_lines: Lines,
    /// What makes a dialog has together with our Contact: requests, responses, and 2xx.
    pub(crate) session_lines: Lines,
    pub(crate) progress_lines: Lines,
    pub(crate) accept_lines: Lines,
    /// The Info Packages we take, in INVITE and its responses.
    pub(crate) packages_line: Lines,
    pub(crate) supported: String,
    pub(crate) calls: Slab<CallHandle, Call>,
    pub(crate) dialogs: Slab<DialogId, Entry>,
    index: HashTable<DialogId>,
    pub(crate) registrations: Slab<RegistrationId, Registration>,
    pub(crate) subscriptions: Slab<SubscriptionId, Subscription>,
    /// Our tags in SUBSCRIBE and REFER requests whose NOTIFY may come before any dialog.
    pub(crate) subscribing: BTreeMap<Box<str>, SubscriptionId>,
    pub(crate) publications: Slab<PublicationId, Publication>,
    pub(crate) requests: Slab<RequestId, Standalone>,
    pub(crate) clients: IdMap<ClientTxId, Client>,
    pub(crate) servers: IdMap<ServerTxId, Server>,
    pub(crate) merged: IdMap<u64, ServerTxId>,
    pub(crate) flows: BTreeMap<(FlowId, Bound), ()>,
    pub(crate) deadlines: Deadlines,
    pub(crate) past: PastDialogs,
    pub(crate) heard: Heard,
    pub(crate) events: VecDeque<Event>,
    pub(crate) keyring: Keyring,
    pub(crate) parked: BTreeMap<Owner, Parked>,
}

impl core::fmt::Debug for UserAgentCore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UserAgentCore")
            .field("calls", &self.calls.len())
            .field("dialogs", &self.dialogs.len())
            .field("registrations", &self.registrations.len())
            .field("subscriptions", &self.subscriptions.len())
            .finish_non_exhaustive()
    }
}

/// How many deadlines one call of `handle_timeout` works off.
const DEADLINES_AT_ONCE: usize = 256;

impl UserAgentCore {
    /// A core with this configuration. All randomness, such as tags and Call-IDs, comes from the seed: give each core
    /// another one, from a source nobody can guess.
    pub fn new(config: Arc<UserAgentConfig>, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        let hash_key = HashKey::new(key);
        let mut supported = String::from(if config.reliable == crate::config::Reliable::Never { "" } else { RELIABLE });
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.9
        //# The option tags listed MUST only refer to extensions defined in
        //# standards-track RFCs.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.9
        //# As with the Supported header field, the option tags in the Require and
        //# Proxy-Require header fields MUST only refer to extensions defined in
        //# standards-track RFCs.
        //= https://www.rfc-editor.org/rfc/rfc3262#section-4
        //# If the UAC does not wish to insist on usage of reliable provisional
        //# responses, but merely indicate that it supports them if the UAS needs to
        //# send one, a Supported header MUST be included in the request with the
        //# option tag 100rel.
        //= https://www.rfc-editor.org/rfc/rfc3891#section-6.2
        //# UAs which support the Replaces header MUST include the "replaces" option
        //# tag in a Supported header field.
        //= https://www.rfc-editor.org/rfc/rfc6228#section-4
        //# When a UAC sends an initial dialog initiation request, and if it is
        //# willing to receive 199 responses, it MUST insert a "199" option-tag in
        //# the Supported header field [RFC3261] of the request.
        supported.push_str("timer, replaces, join, norefersub, tdialog, 199, gruu");
        for extension in &config.extensions {
            supported.push_str(", ");
            supported.push_str(extension);
        }
        // What no header field can hold is left out.
        let line = |header, value: &str| {
            let mut lines = Lines::new();
            let _ = lines.push(header, value);
            lines
        };
        let product = |header| if config.product.is_empty() { Lines::new() } else { line(header, &config.product) };
        let mut allow_line = line(Header::Allow, ALLOW);
        //= https://www.rfc-editor.org/rfc/rfc6665#section-4.4.4
        //# Any user agent that can act as a notifier for one or more event
        //# packages SHOULD include an appropriate "Allow-Events" header field
        //# indicating all supported events in all methods which initiate dialogs
        //# and their responses (such as INVITE) and OPTIONS responses.
        //= https://www.rfc-editor.org/rfc/rfc6665#section-4.4.4
        //# The "Allow-Events" header field, if present, MUST include a
        //# comprehensive and inclusive list of tokens that indicates the event
        //# packages for which the user agent can act as a notifier.
        if !config.packages.is_empty() {
            let _ = allow_line.push(Header::AllowEvents, config.packages.join(", "));
        }
        let mut ability_lines = allow_line.clone();
        let _ = ability_lines.push(Header::Supported, &supported);
        //= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.2
        //# If a UA is not willing to receive INFO requests for any Info Packages,
        //# during dialog establishment or later during the invite dialog usage, the
        //# UA MUST indicate this by including an empty Recv-Info header field.
        //= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.2
        //# A UA that supports the Info Package mechanism MUST indicate, using the
        //# Recv-Info header field, the set of Info Packages for which it is willing
        //# to receive INFO requests for a specific session.
        //= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.2
        //# A UA MUST use the Recv-Info header field in order to indicate that it
        //# supports the Info Package mechanism.
        let packages_line = line(Header::RecvInfo, &config.info_packages.join(", "));
        let agent_line = product(Header::UserAgent);
        let mut request_lines = agent_line.clone();
        let _ = request_lines.push(Header::Supported, &supported);
        let server_line = product(Header::Server);
        let contact_line = line(Header::Contact, &config.contact);
        let joined = |parts: [&Lines; 3]| {
            let mut lines = Lines::new();
            parts.into_iter().for_each(|part| lines.append(part));
            lines
        };
        UserAgentCore {
            session_lines: joined([&request_lines, &contact_line, &allow_line]),
            progress_lines: joined([&server_line, &contact_line, &allow_line]),
            accept_lines: joined([&server_line, &contact_line, &ability_lines]),
            agent_line,
            request_lines,
            server_line,
            allow_line,
            ability_lines,
            packages_line,
            contact: config.contact.as_str().into(),
            contact_line,
            contacts: config.contacts.iter().map(|(on, contact)| (*on, contact.as_str().into())).collect(),
            config,
            rng,
            now: Instant::ZERO,
            hash_key,
            supported,
            calls: Slab::new(),
            dialogs: Slab::new(),
            index: HashTable::new(),
            registrations: Slab::new(),
            subscriptions: Slab::new(),
            subscribing: BTreeMap::new(),
            publications: Slab::new(),
            requests: Slab::new(),
            clients: IdMap::default(),
            servers: IdMap::default(),
            merged: IdMap::default(),
            flows: BTreeMap::new(),
            deadlines: Deadlines::default(),
            past: PastDialogs::default(),
            heard: Heard::default(),
            events: VecDeque::new(),
            keyring: Keyring::default(),
            parked: BTreeMap::new(),
        }
    }

    /// Takes an event of the endpoint if it is this core's, and hands it on if not. Events about flows are looked at and
    /// handed on: others may be bound to the flow, too.
    #[must_use]
    pub fn handle(&mut self, ep: &mut Endpoint, now: Instant, event: Below) -> Option<Below> {
        self.advance(now);
        match event {
            Below::Request { tx, path, message } => {
                if !self.claims(&message) {
                    return Some(Below::Request { tx, path, message });
                }
                self.on_request(ep, tx, path, message);
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
            //# These header fields MUST be ignored if they are present in these
            //# requests.
            Below::Ack { tx, path, message } => match self.dialog_of(&message) {
                Some(dialog) => self.on_ack(ep, dialog, message),
                // The dialog of an ACK may be gone: the transaction tells whose it was. One with a To tag that is not the call's, which
                // has the INVITE's branch, acknowledges nothing that was sent here.
                None if tx.is_some_and(|tx| self.servers.contains_key(&tx)) => {
                    if let Some(tx) = tx.filter(|tx| !self.serves_call(*tx)) {
                        let _ = ep.acknowledge(self.now, tx);
                    }
                }
                None => return Some(Below::Ack { tx, path, message }),
            },
            Below::Cancel { tx, message } => {
                if !self.servers.contains_key(&tx) {
                    return Some(Below::Cancel { tx, message });
                }
                self.on_cancel(ep, tx, message);
            }
            Below::Response { tx, path, message } => {
                if !self.clients.contains_key(&tx) {
                    return Some(Below::Response { tx, path, message });
                }
                self.on_response(ep, tx, path, message);
            }
            Below::ClientEnded { tx, outcome } => match self.clients.remove(&tx) {
                Some(client) => self.on_client_ended(ep, tx, client, outcome),
                None => return Some(Below::ClientEnded { tx, outcome }),
            },
            Below::ServerEnded { tx, outcome } => match self.servers.remove(&tx) {
                Some(server) => self.on_server_ended(ep, tx, server, outcome),
                None => return Some(Below::ServerEnded { tx, outcome }),
            },
            // Of a re-INVITE whose call is over.
            Below::TimerC { tx } if self.clients.contains_key(&tx) => {
                let _ = ep.cancel(self.now, tx, None);
            }
            Below::ResponseFailed { tx } if self.servers.contains_key(&tx) => {}
            Below::FlowEnded { flow, cause } => {
                self.on_flow_ended(ep, flow);
                return Some(Below::FlowEnded { flow, cause });
            }
            Below::KeepaliveFailed { path } => {
                self.on_flow_ended(ep, path.flow);
                return Some(Below::KeepaliveFailed { path });
            }
            Below::KeepaliveAnswered { path, mapped } => {
                self.on_keepalive_answered(path.flow);
                return Some(Below::KeepaliveAnswered { path, mapped });
            }
            other => return Some(other),
        }
        None
    }

    /// Takes a request outside of any dialog, whatever [`serves`](UserAgentConfig::serves) says: for hosts that route between several
    /// cores themselves.
    pub fn take(&mut self, ep: &mut Endpoint, now: Instant, tx: ServerTxId, path: Path, message: Box<Message>) {
        self.advance(now);
        self.on_request(ep, tx, path, message);
    }

    /// Does what is due. Calls before that are no-ops.
    pub fn handle_timeout(&mut self, ep: &mut Endpoint, now: Instant) {
        self.advance(now);
        for _ in 0..DEADLINES_AT_ONCE {
            let Some(deadline) = self.deadlines.pop(self.now) else { break };
            self.on_deadline(ep, deadline);
        }
        self.past.forget(self.now);
    }

    /// The next event; `None` when there is none.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](UserAgentCore::handle_timeout) next; "now" while an event waits. May change with every
    /// call that changes something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.events.is_empty() {
            return Some(self.now);
        }
        self.deadlines.next().into_iter().chain(self.past.next()).min()
    }

    /// Whether nothing is left of anything: no call, dialog, registration, subscription, request, transaction, deadline or event, and
    /// no PRACK that may still come for a call that is over.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.dialogs.is_empty()
            && self.index.is_empty()
            && self.registrations.is_empty()
            && self.subscriptions.is_empty()
            && self.subscribing.is_empty()
            && self.publications.is_empty()
            && self.requests.is_empty()
            && self.clients.is_empty()
            && self.servers.is_empty()
            && self.merged.is_empty()
            && self.flows.is_empty()
            && self.deadlines.is_empty()
            && self.past.len() == 0
            && self.events.is_empty()
            && self.parked.is_empty()
    }

    /// What is in the tables, for tests and logs: one line for each that is not empty.
    pub fn census(&self) -> String {
        let counts = [
            ("calls", self.calls.len()),
            ("dialogs", self.dialogs.len()),
            ("index", self.index.len()),
            ("registrations", self.registrations.len()),
            ("subscriptions", self.subscriptions.len()),
            ("subscribing", self.subscribing.len()),
            ("publications", self.publications.len()),
            ("requests", self.requests.len()),
            ("clients", self.clients.len()),
            ("servers", self.servers.len()),
            ("merged", self.merged.len()),
            ("flows", self.flows.len()),
            ("deadlines", usize::from(!self.deadlines.is_empty())),
            ("awaited PRACKs", self.past.len()),
            ("events", self.events.len()),
            ("parked", self.parked.len()),
        ];
        let mut out = String::new();
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            out.push_str(&format!("{name}: {count}\n"));
        }
        out
    }

    /// The configuration.
    pub fn config(&self) -> &UserAgentConfig {
        &self.config
    }

    /// Live calls.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(crate) fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// A token nobody can guess: tags and Call-IDs.
    pub(crate) fn token(&mut self) -> RandomToken {
        let bits = self.rng.next_u64();
        RandomToken(core::array::from_fn(|n| b"0123456789abcdef"[(bits >> (60 - 4 * n)) as usize & 15]))
    }

    pub(crate) fn random(&mut self) -> u32 {
        self.rng.next_u32()
    }

    /// A keyed hash of texts, some of them a peer's. Whoever has control characters in one may be taken for himself with another: what is found
    /// is compared, or tells of nobody else.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut hash = self.hash_key.build_hasher();
        parts.iter().for_each(|part| hash.part(part));
        hash.finish()
    }

    /// Puts a dialog into the tables.
    pub(crate) fn insert_dialog(&mut self, entry: Entry) -> Option<DialogId> {
        let pin = entry.pin.map(|path| path.flow);
        let id = self.dialogs.insert(entry)?;
        self.index_dialog(id);
        if let Some(flow) = pin {
            self.flows.insert((flow, Bound::Dialog(id)), ());
        }
        Some(id)
    }

    /// Puts a dialog that is in its table into the index.
    pub(crate) fn index_dialog(&mut self, id: DialogId) {
        let Some(entry) = self.dialogs.get_mut(id) else { return };
        let spread = spread(entry.dialog.local_tag_bytes());
        entry.spread = spread;
        let dialogs = &self.dialogs;
        self.index.insert_unique(spread, id, |id| dialogs.get(*id).map_or(0, |entry| entry.spread));
    }

    /// The transactions that something waits for, in no order.
    #[allow(clippy::disallowed_methods, reason = "the caller puts them in order")]
    pub(crate) fn client_ids(&self) -> Vec<ClientTxId> {
        self.clients.keys().copied().collect()
    }

    /// The transactions that are served, in no order.
    #[allow(clippy::disallowed_methods, reason = "the caller puts them in order")]
    pub(crate) fn server_ids(&self) -> Vec<ServerTxId> {
        self.servers.keys().copied().collect()
    }

    /// Empties all tables.
    pub(crate) fn clear(&mut self) {
        let seed = self.rng.get_seed();
        let now = self.now;
        *self = UserAgentCore::new(self.config.clone(), seed);
        self.now = now;
    }

    /// Takes a dialog out of the tables.
    pub(crate) fn remove_dialog(&mut self, id: DialogId) -> Option<Entry> {
        if let Ok(found) = self.index.find_entry(self.dialogs.get(id)?.spread, |other| *other == id) {
            found.remove();
        }
        let entry = self.dialogs.remove(id)?;
        if let Some(path) = entry.pin {
            self.flows.remove(&(path.flow, Bound::Dialog(id)));
        }
        Some(entry)
    }

    /// Pins a dialog to another flow, or to none.
    pub(crate) fn pin_dialog(&mut self, id: DialogId, path: Option<Path>) {
        let Some(entry) = self.dialogs.get_mut(id) else { return };
        entry.lost = false;
        if let Some(old) = core::mem::replace(&mut entry.pin, path) {
            self.flows.remove(&(old.flow, Bound::Dialog(id)));
        }
        if let Some(path) = path {
            self.flows.insert((path.flow, Bound::Dialog(id)), ());
        }
    }

    pub(crate) fn find_dialog(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> Option<DialogId> {
        let hash = spread(local_tag);
        let is = |id: &DialogId| {
            self.dialogs.get(*id).is_some_and(|entry| entry.dialog.is_bytes(call_id, local_tag, remote_tag))
        };
        self.index.find(hash, is).copied()
    }

    /// The dialog a request that came in belongs to.
    pub(crate) fn dialog_of(&self, request: &Message) -> Option<DialogId> {
        self.dialog_of_ids(&request.dialog_ids().ok()?)
    }

    pub(crate) fn dialog_of_ids(&self, ids: &DialogIds<'_>) -> Option<DialogId> {
        self.find_dialog(ids.call_id, ids.to_tag?, ids.from_tag.unwrap_or_default())
    }

    /// Whether a request is this core's to answer.
    fn claims(&self, message: &Message) -> bool {
        if self.config.serves == Serves::Everything {
            return true;
        }
        let Ok(to) = message.to() else { return false };
        if let Ok(Some(tag)) = to.tag() {
            return self.dialog_of(message).is_some()
                || self.subscribing.contains_key(tag)
                || self.awaits_late(message);
        }
        match &self.config.serves {
            Serves::Everything => true,
            Serves::Nothing => false,
            Serves::Users(users) => {
                let uri = message.request_uri().and_then(Result::ok);
                let user = uri.as_ref().and_then(|uri| uri.as_sip()).and_then(|uri| uri.user());
                user.is_some_and(|user| users.iter().any(|known| user.eq_text(known)))
            }
        }
    }

    fn on_server_ended(&mut self, ep: &mut Endpoint, tx: ServerTxId, server: Server, outcome: Outcome) {
        if server.merge_key != 0 {
            self.merged.remove(&server.merge_key);
        }
        self.on_served(ep, tx, server.purpose, outcome);
    }

    fn on_deadline(&mut self, ep: &mut Endpoint, deadline: Deadline) {
        match deadline {
            Deadline::NoAnswer(call)
            | Deadline::CallLength(call)
            | Deadline::Progress(call)
            | Deadline::Reliable(call)
            | Deadline::ReliableLost(call)
            | Deadline::Refresh(call)
            | Deadline::SessionEnd(call)
            | Deadline::Glare(call)
            | Deadline::Answer(call) => self.on_call_deadline(ep, call, deadline),
            Deadline::Register(id) => self.on_register_due(ep, id),
            Deadline::Subscribe(id) => self.on_subscription_due(ep, id),
            Deadline::FirstNotify(id) => self.on_no_notify(ep, id),
            Deadline::Publish(id) => self.on_publish_due(ep, id),
            Deadline::Parked(owner) => self.on_parked_too_long(ep, owner),
        }
    }

    /// A flow ended: what is bound to it goes on without.
    fn on_flow_ended(&mut self, ep: &mut Endpoint, flow: FlowId) {
        for bound in self.bound_to(flow) {
            match bound {
                Bound::Registration(id) => {
                    self.flows.remove(&(flow, bound));
                    self.on_registration_flow_lost(ep, id, flow);
                }
                // It stays in the table, to be found again when another flow takes the place of this one.
                Bound::Dialog(id) => self.on_dialog_flow_lost(id, flow),
            }
        }
    }

    /// What is bound to a flow, or was before it ended.
    pub(crate) fn bound_to(&self, flow: FlowId) -> Vec<Bound> {
        let first = (flow, Bound::Registration(RegistrationId::from_key(Key::FIRST)));
        self.flows.range(first..).map_while(|(&(of, bound), ())| (of == flow).then_some(bound)).collect()
    }
}

/// Sixteen hexadecimal digits that nobody can guess.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RandomToken([u8; 16]);

impl core::ops::Deref for RandomToken {
    type Target = str;

    fn deref(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Spreads dialogs by their local tags. Those are drawn on this side, at random: nobody can choose some that fall together, and whoever
/// looks for others than there are finds none.
fn spread(tag: &[u8]) -> u64 {
    let mut hash = IdHash.build_hasher();
    let mut rest = tag;
    while let Some((word, after)) = rest.split_first_chunk() {
        hash.write_u64(u64::from_le_bytes(*word));
        rest = after;
    }
    if !rest.is_empty() {
        hash.write_u64(rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
    }
    hash.finish()
}

/// What stands first in Supported, unless reliable provisional responses are not.
pub(crate) const RELIABLE: &str = "100rel, ";

/// The methods this crate answers, as Allow has them.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.1
//# A UA that supports INVITE MUST also support ACK, CANCEL and BYE.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.5
//# All methods, including ACK and CANCEL, understood by the UA MUST be
//# included in the list of methods in the Allow header field, when present.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.1
//# The Allow header field MUST list the set of methods supported by the UAS
//# generating the message.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY, SUBSCRIBE, MESSAGE";

/// Whether a method may stand in a dialog of a call without the host having to know it.
pub(crate) fn is_standalone(method: Method<'_>) -> bool {
    matches!(method, Method::Message | Method::Options | Method::Other(_) | Method::Publish | Method::Register)
}

/// A status that is known to be valid.
pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::new(code).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR)
}
