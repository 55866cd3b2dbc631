//! Digest authentication as a server does it (RFC 3261 section 22, RFC 7616, RFC 8760), as a core on an endpoint.
//!
//! Owns challenges, nonces, the judgement of credentials, and who may act for which address-of-record. Keeps no
//! passwords: it is given H(user:realm:password), in a table or when it asks. Routes nothing.

mod budget;
mod challenge;
mod claim;
mod config;
mod identity;
mod nonce;

pub use config::{AuthConfig, AuthEvent, AuthFailure, Identity};

use crate::id::AuthId;
use crate::location::plain_domain;
use crate::reply::reply_bare;
use crate::secret::{Mac, Random};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use budget::Budget;
use claim::Claim;
use hashbrown::HashMap;
use identity::{NotTheirs, is_anonymous};
use nonce::{NONCE_CHARS, Nonces, Worth};
use sip_message::digest::{DigestAlgorithm, DigestSecret, HexDigest, Qop, userhash};
use sip_message::uri::SipUri;
use sip_message::{Message, Method, StatusCode};
use sip_transaction::cores::{HashKey, IdHash, Slab};
use sip_transaction::{Endpoint, Event, FlowId, Instant, Path, ServerTxId};
use smallvec::SmallVec;

/// What a request needs.
#[derive(Clone, Copy)]
pub(crate) struct Demand {
    /// 407 and not 401.
    proxy: bool,
    /// Which of the domains it is of, and so which realm.
    domain: usize,
}

/// A request that waits for the secret of its user.
struct Waiting {
    tx: ServerTxId,
    path: Path,
    message: Box<Message>,
}

/// Who a request has been proven to be of, while it is at hand: most requests are answered before anybody asks.
pub(crate) enum Proven<'a> {
    /// By credentials.
    Digest {
        user: Cow<'a, str>,
        /// Which of the domains.
        domain: usize,
        /// The value of Authentication-Info for a 2xx.
        info: Option<Box<str>>,
        /// For whom it acts, as the request says.
        acts_for: Option<SipUri<'a>>,
    },
    /// By the flow it came over.
    Flow(FlowId),
}

impl Proven<'_> {
    pub(crate) fn info(&self) -> Option<&str> {
        match self {
            Proven::Digest { info, .. } => info.as_deref(),
            Proven::Flow(_) => None,
        }
    }

    pub(crate) fn acts_for(&self) -> Option<SipUri<'_>> {
        match self {
            Proven::Digest { acts_for, .. } => *acts_for,
            Proven::Flow(_) => None,
        }
    }
}

/// Why a request does not pass.
pub(crate) enum Verdict {
    Challenge { demand: Demand, stale: bool },
    Refused(StatusCode),
    Ask { user: String, demand: Demand, algorithm: DigestAlgorithm },
}

/// What is known of the realm of a domain.
struct Realm {
    name: Arc<str>,
    /// The key of its nonces.
    key: Mac,
    /// By algorithm, H(A2) of a REGISTER for the domain: its Request-URI is the same for all (RFC 3261 section 10.2).
    registers: SmallVec<[(DigestAlgorithm, HexDigest); 2]>,
}

/// The secret of a user, or what is known instead.
enum Secret {
    Known(DigestSecret),
    /// There is no such user. The digest is computed all the same.
    Unknown(DigestSecret),
    Ask,
}

/// Digest authentication for a registrar, a proxy, or both.
///
/// Requests it has no quarrel with are handed on by [`handle`](DigestAuth::handle); the others are answered.
pub struct DigestAuth {
    config: AuthConfig,
    /// That of each domain.
    realms: Vec<Realm>,
    nonces: Nonces,
    budget: Budget,
    /// By realm, a NUL and the user name.
    users: HashMap<Box<[u8]>, SmallVec<[DigestSecret; 2]>, HashKey>,
    /// The names of users by their hashes.
    hashed: HashMap<Box<[u8]>, Box<str>, HashKey>,
    /// Address-of-record, realm and user: who may act for more than their own.
    grants: BTreeSet<(String, String, String)>,
    /// For users there are not: one for each algorithm, made once, as the secrets of users are.
    decoys: Vec<DigestSecret>,
    waiting: Slab<AuthId, Waiting>,
    waiting_by_tx: HashMap<ServerTxId, AuthId, IdHash>,
    identities: HashMap<ServerTxId, Identity, IdHash>,
    trusted: BTreeMap<FlowId, Identity>,
    events: VecDeque<AuthEvent>,
}

impl DigestAuth {
    /// A core without users. All that is random comes from `seed`, which nobody else may know, and which must be another one
    /// after a restart with another epoch: nonces are proven with it.
    pub fn new(mut config: AuthConfig, seed: [u8; 32]) -> Self {
        let mut offered = Vec::new();
        config.algorithms.retain(|algorithm| {
            let first = !offered.contains(algorithm);
            offered.push(*algorithm);
            first
        });
        let mut random = Random::new(&seed, "digest");
        let lifetime = u32::try_from(config.nonce_lifetime.as_secs()).unwrap_or(u32::MAX);
        let nonces = Nonces::new(&seed, lifetime, config.used_nonces);
        let realm = |domain: &String| {
            let name = config.realm.as_ref().unwrap_or(domain).as_str();
            let uri = alloc::format!("sip:{domain}");
            let of = |algorithm: &DigestAlgorithm| (*algorithm, algorithm.request(b"REGISTER", uri.as_bytes()));
            let registers = config.algorithms.iter().map(of).collect();
            Realm { name: Arc::from(name), key: nonces.realm(name), registers }
        };
        let decoy = random.tag();
        let of = |algorithm: &DigestAlgorithm| DigestSecret::new(*algorithm, b"", decoy.as_bytes(), b"");
        let decoys = config.algorithms.iter().map(of).collect();
        DigestAuth {
            realms: config.domains.iter().map(realm).collect(),
            nonces,
            budget: Budget::new(&seed, config.failures, config.forgive),
            users: HashMap::with_hasher(random.hash_key()),
            hashed: HashMap::with_hasher(random.hash_key()),
            grants: BTreeSet::new(),
            decoys,
            waiting: Slab::new(),
            waiting_by_tx: HashMap::with_hasher(IdHash),
            identities: HashMap::with_hasher(IdHash),
            trusted: BTreeMap::new(),
            events: VecDeque::new(),
            config,
        }
    }

    /// Adds a user, or a secret for another algorithm. A secret for an algorithm serves its `-sess` form, too.
    pub fn add_user(&mut self, realm: &str, user: &str, secret: DigestSecret) {
        if self.config.userhash {
            let hash = userhash(secret.algorithm(), user.as_bytes(), realm.as_bytes());
            self.hashed.insert(hash.as_bytes().into(), user.into());
        }
        let secrets = self.users.entry(user_key(realm, user).as_slice().into()).or_default();
        secrets.retain(|old| family(old.algorithm()) != family(secret.algorithm()));
        secrets.push(secret);
    }

    /// Adds a user with a password: a secret for each algorithm offered. The password is not kept.
    pub fn add_user_with_password(&mut self, realm: &str, user: &str, password: &str) {
        for algorithm in self.config.algorithms.clone() {
            let secret = DigestSecret::new(algorithm, user.as_bytes(), realm.as_bytes(), password.as_bytes());
            self.add_user(realm, user, secret);
        }
    }

    /// Removes a user; tells whether there was one.
    pub fn remove_user(&mut self, realm: &str, user: &str) -> bool {
        let secrets = self.users.remove(user_key(realm, user).as_slice());
        for secret in secrets.iter().flatten() {
            self.hashed.remove(userhash(secret.algorithm(), user.as_bytes(), realm.as_bytes()).as_bytes());
        }
        secrets.is_some()
    }

    /// Lets `user` act for an address-of-record that is not their own: register it, and call in its name.
    pub fn grant(&mut self, realm: &str, user: &str, aor: &str) {
        self.grants.insert((aor.into(), realm.into(), user.into()));
    }

    /// Takes back what [`grant`](DigestAuth::grant) gave; tells whether there was such a grant.
    pub fn revoke(&mut self, realm: &str, user: &str, aor: &str) -> bool {
        self.grants.remove(&(aor.into(), realm.into(), user.into()))
    }

    /// Trusts everything that comes over a connection to be of `user`: somebody who has proven that in the handshake, by a cookie or
    /// token with the WebSocket upgrade (RFC 7118 section 7), or by a TLS certificate. Until the flow ends.
    pub fn trust_flow(&mut self, flow: FlowId, realm: &str, user: &str) {
        let identity = Identity { user: user.into(), realm: realm.into(), by_flow: true, info: None };
        self.trusted.insert(flow, identity);
    }

    /// Who sent the request of this transaction, from when [`handle`](DigestAuth::handle) handed it on to the end of the
    /// transaction.
    pub fn identity(&self, tx: ServerTxId) -> Option<&Identity> {
        self.identities.get(&tx)
    }

    /// Takes an event of the endpoint. `None`: it was a request, and it has been challenged, refused or put aside.
    pub fn handle(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event) -> Option<Event> {
        match self.inspect(now, &event) {
            Ok(proven) => {
                self.identify(&event, proven);
                Some(event)
            }
            Err(verdict) => {
                self.deny(endpoint, now, event, verdict);
                None
            }
        }
    }

    /// Looks at an event where it lies: most pass, and a message is not moved for that.
    ///
    /// # Errors
    ///
    /// It does not pass: [`deny`](Self::deny) it.
    pub(crate) fn inspect<'e>(&mut self, now: Instant, event: &'e Event) -> Result<Option<Proven<'e>>, Verdict> {
        match event {
            Event::Request { path, message, .. } => return self.judge(now, path, message, None),
            Event::ServerEnded { tx, .. } => {
                self.identities.remove(tx);
                if let Some(key) = self.waiting_by_tx.remove(tx) {
                    self.waiting.remove(key);
                }
            }
            Event::FlowEnded { flow, .. } => {
                self.trusted.remove(flow);
            }
            _ => {}
        }
        Ok(None)
    }

    /// Remembers who the request of this event has been proven to be of, until its transaction ends.
    pub(crate) fn identify(&mut self, event: &Event, proven: Option<Proven<'_>>) {
        let (Event::Request { tx, .. }, Some(proven)) = (event, proven) else { return };
        let identity = match proven {
            Proven::Digest { user, domain, info, .. } => {
                let Some(realm) = self.realms.get(domain) else { return };
                Identity { user: user.into(), realm: realm.name.clone(), by_flow: false, info }
            }
            Proven::Flow(flow) => match self.trusted.get(&flow) {
                Some(identity) => identity.clone(),
                None => return,
            },
        };
        self.identities.insert(*tx, identity);
    }

    /// Answers [`AuthEvent::Credentials`]: the secret, or `None` if there is no such user. Gives the request back if it
    /// has passed, to be handed to the next core. A stale id is nobody's: `None`.
    pub fn answer(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        id: AuthId,
        secret: Option<DigestSecret>,
    ) -> Option<Event> {
        let Waiting { tx, path, message } = self.waiting.remove(id)?;
        self.waiting_by_tx.remove(&tx);
        let event = Event::Request { tx, path, message };
        let Event::Request { path, message, .. } = &event else { return None };
        match self.judge(now, path, message, Some(secret)) {
            Ok(proven) => {
                self.identify(&event, proven);
                Some(event)
            }
            Err(verdict) => {
                self.deny(endpoint, now, event, verdict);
                None
            }
        }
    }

    /// The next thing to say; `None` when all has been said. Changes with [`handle`](DigestAuth::handle) and
    /// [`answer`](DigestAuth::answer).
    #[must_use]
    pub fn poll_event(&mut self) -> Option<AuthEvent> {
        self.events.pop_front()
    }

    /// How many requests wait for the secret of their user, how many have an identity, and how many used nonces are remembered.
    pub fn load(&self) -> (usize, usize, usize) {
        (self.waiting.len(), self.identities.len(), self.nonces.used())
    }

    /// Does what a verdict on a request asks for that did not let it pass.
    pub(crate) fn deny(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event, verdict: Verdict) {
        let Event::Request { tx, path, message } = event else { return };
        match verdict {
            Verdict::Challenge { demand, stale } => self.challenge(endpoint, now, tx, &path, &message, demand, stale),
            Verdict::Refused(status) => reply_bare(endpoint, now, tx, &message, status),
            Verdict::Ask { user, demand, algorithm } => {
                if self.waiting.len() >= self.config.waiting {
                    return reply_bare(endpoint, now, tx, &message, StatusCode::SERVICE_UNAVAILABLE);
                }
                if let Some(key) = self.waiting.insert(Waiting { tx, path, message }) {
                    self.waiting_by_tx.insert(tx, key);
                    let realm = String::from(self.realm(demand.domain));
                    self.events.push_back(AuthEvent::Credentials { id: key, user, realm, algorithm });
                }
            }
        }
    }

    fn realm(&self, domain: usize) -> &str {
        self.realms.get(domain).map_or("", |realm| &realm.name)
    }

    /// Whether a request is to be authenticated, and how.
    fn demand(&self, message: &Message) -> Option<Demand> {
        let config = &self.config;
        if config.domains.is_empty() {
            return None;
        }
        let proxy = match message.method()? {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
            //# Servers MUST NOT attempt to challenge an ACK.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
            //# Although the CANCEL method does take a response (a 2xx), servers
            //# MUST NOT attempt to challenge CANCEL requests since these requests
            //# cannot be resubmitted.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
            //# For this reason, any credentials in the INVITE that were accepted by a server MUST
            //# be accepted by that server for the ACK.
            Method::Ack | Method::Cancel => return None,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
            //# A registrar SHOULD authenticate the UAC.
            Method::Register if config.registrations => false,
            Method::Register => return None,
            _ if !config.requests => return None,
            _ if !config.in_dialog && matches!(message.to().map(|to| to.tag()), Ok(Ok(Some(_)))) => return None,
            _ => true,
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
        //# Additionally, registrars and redirect servers MAY make use of
        //# 401 (Unauthorized) responses for authentication, but proxies MUST
        //# NOT, and instead MAY use the 407 (Proxy Authentication Required)
        let plain = message.request_uri_bytes().filter(|_| !proxy);
        if let Some(domain) = plain.and_then(|uri| plain_domain(&config.domains, uri)) {
            return Some(Demand { proxy, domain });
        }
        let uri = if proxy { message.from().ok()?.uri().ok()? } else { message.request_uri()?.ok()? };
        let sip = uri.as_sip()?;
        if proxy && config.anonymous && is_anonymous(&uri) {
            let domain = self.preferred(message).map_or(0, |(domain, _)| domain);
            return (domain < config.domains.len()).then_some(Demand { proxy, domain });
        }
        let domain = config.domains.iter().position(|domain| sip.has_host(domain))?;
        Some(Demand { proxy, domain })
    }

    fn judge<'m>(
        &mut self,
        now: Instant,
        path: &Path,
        message: &'m Message,
        given: Option<Option<DigestSecret>>,
    ) -> Result<Option<Proven<'m>>, Verdict> {
        let Some(demand) = self.demand(message) else { return Ok(None) };
        let domain = demand.domain;
        if let Some(identity) = self.trusted.get(&path.flow).filter(|trusted| *trusted.realm == *self.realm(domain)) {
            if self.may_send(message, &identity.user, &identity.realm).is_ok() {
                return Ok(Some(Proven::Flow(path.flow)));
            }
            let user = identity.user.clone();
            return Err(self.not_theirs(path, &user, domain));
        }
        let source = path.remote.ip();
        if !self.budget.allows(source, now) {
            self.failed(path, "", domain, AuthFailure::Budget);
            return Err(Verdict::Refused(StatusCode::FORBIDDEN));
        }
        let claim = match self.claim(message, demand) {
            Ok(Some(claim)) => claim,
            Ok(None) => return Err(Verdict::Challenge { demand, stale: false }),
            Err(_) => return Err(Verdict::Refused(StatusCode::BAD_REQUEST)),
        };
        //= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
        //# Therefore, in SIP, a UAS MUST check if the Request-URI in the
        //# Authorization/Proxy-Authorization header field value corresponds to a user for whom
        //# the UAS is willing to accept forwarded or direct requests; however, it MAY still
        //# accept it if the two fields are not equivalent.
        if self.config.check_uri && !claim.is_for(message) {
            return Err(Verdict::Refused(StatusCode::BAD_REQUEST));
        }
        let secret = match given {
            Some(Some(secret)) => Secret::Known(secret),
            Some(None) => Secret::Unknown(self.decoy(claim.algorithm)),
            None => self.secret(&claim, self.realm(domain)),
        };
        let (secret, known) = match secret {
            Secret::Known(secret) => (secret, true),
            Secret::Unknown(secret) => (secret, false),
            Secret::Ask => {
                let user = claim.user.into_owned();
                return Err(Verdict::Ask { user, demand, algorithm: claim.algorithm });
            }
        };
        // The algorithm is the client's choice among those offered, the secret one of that family.
        let right =
            self.is_right(&secret, &claim, message, domain) && family(secret.algorithm()) == family(claim.algorithm);
        if !(right && known) {
            self.budget.failed(source, now);
            let cause = if known { AuthFailure::WrongPassword } else { AuthFailure::UnknownUser };
            self.failed(path, &claim.user, domain, cause);
            return Err(Verdict::Challenge { demand, stale: false });
        }
        let peer = self.peer(path);
        let Some(Realm { key, .. }) = self.realms.get(domain) else {
            return Err(Verdict::Refused(StatusCode::SERVER_INTERNAL_ERROR));
        };
        // If not, the password is right, only the nonce will not do: RFC 7616 section 3.3.
        let Some(worth) = self.nonces.use_up(claim.nonce, claim.count, now, domain, key, &peer) else {
            return Err(Verdict::Challenge { demand, stale: true });
        };
        let mut info = None;
        if worth == Worth::Aging {
            let mut text = String::with_capacity(16 + NONCE_CHARS);
            text.push_str("nextnonce=\"");
            self.nonces.write(&mut text, now, key, &peer);
            text.push('"');
            info = Some(text.into());
        }
        match self.may_send(message, &claim.user, self.realm(domain)) {
            Ok(acts_for) => Ok(Some(Proven::Digest { user: claim.user, domain, info, acts_for })),
            Err(NotTheirs) => Err(self.not_theirs(path, &claim.user, domain)),
        }
    }

    /// Whether the digest of a claim is that of the secret.
    fn is_right(&self, secret: &DigestSecret, claim: &Claim<'_>, message: &Message, domain: usize) -> bool {
        let input = claim.input(message);
        let registers = claim.qop != Some(Qop::AuthInt)
            && message.method() == Some(Method::Register)
            && plain_domain(&self.config.domains, claim.uri) == Some(domain);
        let realm = self.realms.get(domain).filter(|_| registers);
        let known = |realm: &Realm| {
            let request = realm.registers.iter().find(|(algorithm, _)| *algorithm == secret.algorithm());
            request.map(|(_, request)| *request)
        };
        match realm.and_then(known) {
            Some(request) => secret.verify_request(&input, &request, claim.response),
            None => secret.verify(&input, claim.response),
        }
    }

    /// The one who sent the request is known, but may not.
    fn not_theirs(&mut self, path: &Path, user: &str, domain: usize) -> Verdict {
        self.failed(path, user, domain, AuthFailure::Identity);
        Verdict::Refused(StatusCode::FORBIDDEN)
    }

    fn failed(&mut self, path: &Path, user: &str, domain: usize, cause: AuthFailure) {
        // Nobody has to poll these: they must not pile up.
        const KEPT: usize = 1024;
        if self.events.len() < KEPT {
            let realm = self.realm(domain).into();
            self.events.push_back(AuthEvent::Failed { source: path.remote, user: user.into(), realm, cause });
        }
    }

    fn secret(&self, claim: &Claim<'_>, realm: &str) -> Secret {
        match self.users.get(user_key(realm, &claim.user).as_slice()) {
            Some(secrets) => {
                let fits = |secret: &&DigestSecret| family(secret.algorithm()) == family(claim.algorithm);
                let found = secrets.iter().find(fits).and_then(|secret| match secret.algorithm() == claim.algorithm {
                    true => Some(*secret),
                    // The same digits serve the `-sess` form.
                    false => DigestSecret::from_hex(claim.algorithm, secret.reveal().as_bytes()),
                });
                found.map_or_else(|| Secret::Unknown(self.decoy(claim.algorithm)), Secret::Known)
            }
            None if self.config.ask && !claim.hashed => Secret::Ask,
            // An unknown user costs what a known one does, and is answered alike.
            None => Secret::Unknown(self.decoy(claim.algorithm)),
        }
    }

    fn decoy(&self, algorithm: DigestAlgorithm) -> DigestSecret {
        let made = self.decoys.iter().find(|secret| secret.algorithm() == algorithm).copied();
        made.unwrap_or_else(|| DigestSecret::new(algorithm, b"", b"", b""))
    }

    fn peer(&self, path: &Path) -> SmallVec<[u8; 32]> {
        let mut peer = SmallVec::new();
        if self.config.nonce_bound_to_flow {
            peer.extend_from_slice(&path.flow.to_bits().to_be_bytes());
            match path.remote.ip() {
                core::net::IpAddr::V4(ip) => peer.extend_from_slice(&ip.octets()),
                core::net::IpAddr::V6(ip) => peer.extend_from_slice(&ip.octets()),
            }
        }
        peer
    }
}

fn user_key(realm: &str, user: &str) -> SmallVec<[u8; 64]> {
    let mut key = SmallVec::from_slice(realm.as_bytes());
    key.push(0);
    key.extend_from_slice(user.as_bytes());
    key
}

/// The algorithm without `-sess`: its secrets serve both.
fn family(algorithm: DigestAlgorithm) -> DigestAlgorithm {
    match algorithm {
        DigestAlgorithm::Md5Sess => DigestAlgorithm::Md5,
        DigestAlgorithm::Sha256Sess => DigestAlgorithm::Sha256,
        DigestAlgorithm::Sha512Trunc256Sess => DigestAlgorithm::Sha512Trunc256,
        algorithm => algorithm,
    }
}
