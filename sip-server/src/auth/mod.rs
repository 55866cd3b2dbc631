//! Digest authentication as a server does it (RFC 3261 section 22, RFC 7616, RFC 8760), as a core on an endpoint.
//!
//! Owns challenges, nonces, the judgement of credentials, and who may act for which address-of-record. Keeps no
//! passwords: it is given H(user:realm:password), in a table or when it asks. Routes nothing.

mod budget;
mod nonce;

use crate::id::AuthId;
use crate::location::{aor_key, plain_domain};
use crate::reply::{reply_bare, reply_fields};
use crate::secret::{Mac, Random};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use budget::Budget;
use core::fmt::Write;
use core::net::SocketAddr;
use core::time::Duration;
use hashbrown::HashMap;
use nonce::{NONCE_CHARS, Nonces, Worth};
use sip_message::digest::{DigestAlgorithm, DigestInput, DigestSecret, HexDigest, NonceCount, Qop, userhash};
use sip_message::headers::{Credentials, DigestCredentials};
use sip_message::uri::SipUri;
use sip_message::{
    Header, HeaderError, Message, Method, NameAddr, ParamValue, StatusCode, Uri, ValueError, ValueFault,
};
use sip_transaction::cores::{HashKey, IdHash, Slab};
use sip_transaction::{Endpoint, Event, FlowId, Instant, Path, ServerTxId};
use smallvec::SmallVec;

//= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
//= type=exception
//= reason=a rule for clients
//# These credentials MUST NOT be cached across dialogs; however, if a UA is configured
//# with the realm of its local outbound proxy, when one exists, then the UA MAY cache
//# credentials for that realm across dialogs.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
//= type=exception
//= reason=Digest, the only scheme here, has realms
//# Note that if an authentication scheme that does not support realms is used in the
//# Proxy-Authorization header field, a proxy server MUST attempt to parse all Proxy-
//# Authorization header field values to determine whether one of them has what the
//# proxy server considers to be valid credentials.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
//= type=exception
//= reason=a rule for clients; a server that refused it would refuse more than it must
//# For SIP, the 'uri' MUST be enclosed in quotation marks.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
//= type=exception
//= reason=a rule for clients; a cnonce without qop is not read
//# RFC 2617 notes that a cnonce value MUST NOT be sent in an Authorization (and by
//# extension Proxy-Authorization) header field if no qop directive has been sent.
/// What a [`DigestAuth`] is told at construction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthConfig {
    /// The domains whose users are authenticated, in lower case. Empty: nobody is, and everything is handed on.
    pub domains: Vec<String>,
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
    //= type=exception
    //= reason=the operator chooses; the default is the domain name
    //# Operators of user agents or proxy servers that will authenticate received requests
    //# MUST adhere to the following guidelines for creation of a realm string for their
    //# server:
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
    //= type=exception
    //= reason=the operator chooses; the default is the domain name
    //# Realm strings MUST be globally unique.
    /// The realm of all of them; `None` if each domain is a realm of its own. RFC 3261 section 22.1 wants realms to be
    /// globally unique, as domain names are.
    pub realm: Option<String>,
    /// The algorithms to offer, best first, one challenge for each. SHA-256, then MD5 for those who know no other.
    pub algorithms: Vec<DigestAlgorithm>,
    /// Whether to offer `auth-int` besides `auth`. Off: a proxy on the way may change a body (RFC 3261 section 22.4
    /// leaves it optional).
    pub auth_int: bool,
    /// Whether credentials without `qop` are taken, as clients of RFC 2069 send them. A nonce is good once then. On.
    pub without_qop: bool,
    /// Whether the `uri` of the credentials must be equivalent to the Request-URI. Off: a proxy on the way may have
    /// changed that (RFC 3261 section 22.4 item 5).
    pub check_uri: bool,
    /// Whether REGISTER is challenged, with 401. On.
    pub registrations: bool,
    /// Whether other requests outside of dialogs are challenged, with 407, if From is of one of the domains. On.
    pub requests: bool,
    /// Whether requests within dialogs are challenged, too. Off.
    pub in_dialog: bool,
    /// Whether to ask by [`AuthEvent::Credentials`] for users who are not in the table. Off: they are refused.
    pub ask: bool,
    /// Whether a nonce is good only over the flow it was sent over. Off: flows change with the network.
    pub nonce_bound_to_flow: bool,
    /// Whether to say that user names may be hashed (`userhash`, RFC 7616 section 3.4.4), so that they are not seen on the way. Only users of the
    /// table are found by their hash. Off: the parameter is left out.
    pub userhash: bool,
    /// Whether those who hide who they are are challenged, too: whose From is of `anonymous.invalid` (RFC 3323 section 4.1.1.3). They are
    /// asked to prove that they are a user of the domain of their P-Preferred-Identity (RFC 3325), else of the first one. Off.
    pub anonymous: bool,
    /// How long a nonce may be used. From half of it on, successful answers carry another one (`nextnonce`). 5 minutes.
    pub nonce_lifetime: Duration,
    /// How many used nonces are remembered: about 60 bytes each. Beyond, the oldest become stale early. 200,000.
    pub used_nonces: usize,
    /// How many failures one source may have at once. 30.
    pub failures: u32,
    /// After how long one of them is forgiven. 10 seconds.
    pub forgive: Duration,
    /// How many requests may wait for [`DigestAuth::answer`]; those beyond are answered 503. 10,000.
    pub waiting: usize,
}

impl Default for AuthConfig {
    fn default() -> Self {
        AuthConfig {
            domains: Vec::new(),
            realm: None,
            algorithms: vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
            auth_int: false,
            without_qop: true,
            check_uri: false,
            registrations: true,
            requests: true,
            in_dialog: false,
            ask: false,
            nonce_bound_to_flow: false,
            userhash: false,
            anonymous: false,
            nonce_lifetime: Duration::from_secs(300),
            used_nonces: 200_000,
            failures: 30,
            forgive: Duration::from_secs(10),
            waiting: 10_000,
        }
    }
}

/// Who sent a request, as far as that has been proven.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The user name, as in the credentials.
    pub user: Box<str>,
    /// The realm it is known in.
    pub realm: Arc<str>,
    /// Whether the flow has been trusted ([`DigestAuth::trust_flow`]), rather than credentials been checked.
    pub by_flow: bool,
    /// The value of Authentication-Info for a 2xx to the request: the next nonce, when the one that was used ages.
    pub info: Option<Box<str>>,
}

/// What a [`DigestAuth`] has to say. Handed out by [`DigestAuth::poll_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthEvent {
    /// A secret is needed: answer with [`DigestAuth::answer`].
    Credentials {
        /// The request that waits.
        id: AuthId,
        /// The user name.
        user: String,
        /// The realm.
        realm: String,
        /// The algorithm the secret must be for.
        algorithm: DigestAlgorithm,
    },
    /// Somebody failed. One event for each failure: for logs, and for those who keep such sources out.
    Failed {
        /// Where the request came from.
        source: SocketAddr,
        /// The user name that was claimed.
        user: String,
        /// The realm.
        realm: String,
        /// Why.
        cause: AuthFailure,
    },
}

/// Why somebody was refused. The one refused learns less: an unknown user and a wrong password look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthFailure {
    /// There is no such user.
    UnknownUser,
    /// The digest is wrong.
    WrongPassword,
    /// The source has failed too often of late.
    Budget,
    /// The user is who they say, but may not act for that address-of-record.
    Identity,
}

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
        let host = uri.as_sip()?.host_str();
        if proxy && config.anonymous && is_anonymous(&uri) {
            let domain = self.preferred(message).map_or(0, |(domain, _)| domain);
            return (domain < config.domains.len()).then_some(Demand { proxy, domain });
        }
        let domain = config.domains.iter().position(|domain| domain.eq_ignore_ascii_case(host))?;
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

    /// The one who sent the request is known: may they?
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# If
    //# the authenticated user is not authorized to modify bindings,
    //# the registrar MUST return a 403 (Forbidden) and skip the
    //# remaining steps.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22
    //# Once the originator has been identified, the recipient of
    //# the request SHOULD ascertain whether or not this user is authorized
    //# to make the request in question.
    fn may_send<'m>(&self, message: &'m Message, user: &str, realm: &str) -> Result<Option<SipUri<'m>>, NotTheirs> {
        let address = match message.method() {
            Some(Method::Register) => message.to(),
            _ => message.from(),
        };
        let uri = address.map_err(|_| NotTheirs)?.uri().map_err(|_| NotTheirs)?;
        let sip = uri.as_sip().copied();
        let allowed =
            sip.is_some_and(|uri| self.permits(user, realm, &uri)) || self.config.anonymous && is_anonymous(&uri);
        if allowed { Ok(sip) } else { Err(NotTheirs) }
    }

    /// The P-Preferred-Identity of a request that is of one of the domains, and which of them.
    fn preferred<'a>(&self, message: &'a Message) -> Option<(usize, NameAddr<'a>)> {
        let domains = &self.config.domains;
        message.p_preferred_identity().flatten().find_map(|address| {
            let uri = address.uri().ok()?;
            let host = uri.as_sip()?.host_str();
            Some((domains.iter().position(|domain| domain.eq_ignore_ascii_case(host))?, address))
        })
    }

    /// The identity to assert of the sender of a request who has proven to be somebody (RFC 3325 section 5), as a name-addr: what it prefers
    /// among what it may act for, else what From says, else its user name in its realm. It is the address-of-record alone, without parameters
    /// and headers. `None` if nothing has been proven.
    //= https://www.rfc-editor.org/rfc/rfc3325#section-6
    //# If such a
    //# hint does not correspond to any valid identity known to the proxy for
    //# that user, the proxy can add a P-Asserted-Identity header of its own
    //# construction
    pub fn asserted_identity(&self, tx: ServerTxId, message: &Message) -> Option<String> {
        let identity = self.identities.get(&tx)?;
        let preferred = self.preferred(message).map(|(_, address)| address);
        let claimed = preferred.into_iter().chain(message.from().ok());
        let proven = claimed.filter_map(|address| address.uri().ok()?.as_sip().copied());
        let mut own = proven.filter(|uri| self.permits(&identity.user, &identity.realm, uri));
        // Who it is has been proven. What the client's URI says beyond that is its own word, which nobody vouches for.
        let proven = own.find(|uri| uri.password().is_none()).map(|uri| uri.address_of_record());
        Some(match proven {
            Some(address) => alloc::format!("<{address}>"),
            None if identity.user.contains('@') => alloc::format!("<sip:{}>", identity.user),
            None => alloc::format!("<sip:{}@{}>", identity.user, identity.realm),
        })
    }

    /// Whether somebody may act for an address-of-record: their own, in each domain of their realm, or one granted.
    fn permits(&self, name: &str, realm: &str, uri: &SipUri<'_>) -> bool {
        let host = uri.host_str();
        let in_realm = match &self.config.realm {
            Some(_) => self.config.domains.iter().any(|domain| domain.eq_ignore_ascii_case(host)),
            None => realm.eq_ignore_ascii_case(host),
        };
        let own = uri.user().is_some_and(|user| match name.split_once('@') {
            Some((local, domain)) => user.eq_text(local) && domain.eq_ignore_ascii_case(host),
            None => user.eq_text(name),
        });
        let granted = || (aor_key(uri), String::from(realm), String::from(name));
        in_realm && own || self.grants.contains(&granted())
    }

    fn failed(&mut self, path: &Path, user: &str, domain: usize, cause: AuthFailure) {
        // Nobody has to poll these: they must not pile up.
        const KEPT: usize = 1024;
        if self.events.len() < KEPT {
            let realm = self.realm(domain).into();
            self.events.push_back(AuthEvent::Failed { source: path.remote, user: user.into(), realm, cause });
        }
    }

    /// The credentials for this server among those of the request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
    //# When multiple proxies are used in a chain, a Proxy-Authorization
    //# header field value MUST NOT be consumed by any proxy whose realm does
    //# not match the "realm" parameter specified in that value.
    fn claim<'a>(&self, message: &'a Message, demand: Demand) -> Result<Option<Claim<'a>>, HeaderError> {
        let realm = self.realm(demand.domain);
        let header = if demand.proxy { Header::ProxyAuthorization } else { Header::Authorization };
        // Most often the first field holds the credentials meant, alone; what does not is gone through value by value.
        if let Ok(Some(given)) =
            message.value::<Credentials<'a>>(header).map(|first| first.and_then(|c| c.digest().ok()?))
        {
            if given.realm.is_some_and(|given| *given.unquoted() == *realm.as_bytes()) {
                if let Ok(Some(claim)) = self.claim_of(&given) {
                    return Ok(Some(claim));
                }
            }
        }
        for credentials in message.values::<Credentials<'a>>(header) {
            let of_value = |error: ValueError| HeaderError { header, offset: error.offset, fault: Some(error.kind) };
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22
            //# Servers MUST NOT accept credentials
            //# using the "Basic" authorization scheme, and servers also MUST NOT
            //# challenge with "Basic".
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
            //# Note, however, that SIP servers MUST NOT accept or request Basic authentication.
            //= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
            //# SIP clients and servers MUST NOT accept or request Basic authentication.
            let Some(given) = credentials?.digest().map_err(of_value)? else { continue };
            if given.realm.is_none_or(|given| *given.unquoted() != *realm.as_bytes()) {
                continue;
            }
            if let Some(claim) = self.claim_of(&given).map_err(of_value)? {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }

    /// `None` if these credentials cannot be right: an algorithm or protection that was not offered, parts that are missing.
    fn claim_of<'a>(&self, given: &DigestCredentials<'a>) -> Result<Option<Claim<'a>>, ValueError> {
        let algorithm = match given.algorithm {
            Some(token) => DigestAlgorithm::parse(token.as_str()),
            None => Some(DigestAlgorithm::Md5),
        };
        let Some(algorithm) = algorithm.filter(|algorithm| self.config.algorithms.contains(algorithm)) else {
            return Ok(None);
        };
        //= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
        //# A UAS MUST be able to properly handle a "qop" parameter received in an
        //# Authorization/Proxy-Authorization header field, and a UAC MUST be able to properly
        //# handle a "qop" parameter received in WWW-Authenticate and Proxy-Authenticate header
        //# fields.
        let qop = match given.qop {
            Some(token) => match Qop::parse(token.as_str()) {
                Some(Qop::AuthInt) if !self.config.auth_int => return Ok(None),
                Some(qop) => Some(qop),
                None => return Ok(None),
            },
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
            //# SIP servers supporting RFC 2617 MUST ensure they
            //# are backwards compatible with RFC 2069.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
            //# These mechanisms MUST be used by a server to determine if the client supports the
            //# new mechanisms in RFC 2617 that were not specified in RFC 2069.
            None if self.config.without_qop => None,
            None => return Ok(None),
        };
        let text = |value: Option<ParamValue<'a>>| value.map(ParamValue::without_quotes);
        let (count, nc) = match (qop, given.nc) {
            (None, _) => (None, &b""[..]),
            (Some(_), None) => return Ok(None),
            (Some(_), Some(nc)) => {
                let count =
                    NonceCount::parse(nc.as_bytes()).ok_or(ValueError { kind: ValueFault::Number, offset: 0 })?;
                (Some(count), nc.as_bytes())
            }
        };
        let cnonce = text(given.cnonce);
        if cnonce.is_none() && (qop.is_some() || algorithm.is_session()) {
            return Ok(None);
        }
        let user = text(given.username).and_then(|user| core::str::from_utf8(user).ok());
        match (user, text(given.nonce), text(given.uri), given.response) {
            (Some(user), Some(nonce), Some(uri), Some(response)) if !user.is_empty() => {
                let (cnonce, response) = (cnonce.unwrap_or_default(), response.as_bytes());
                // RFC 7616 section 3.4.4.
                let hashed = given.userhash && self.config.userhash;
                let name = if hashed { self.hashed.get(user.to_ascii_lowercase().as_bytes()) } else { None };
                let user = name.map_or(Cow::Borrowed(user), |name| Cow::Owned(String::from(&**name)));
                Ok(Some(Claim { algorithm, qop, user, hashed, nonce, uri, nc, count, cnonce, response }))
            }
            _ => Ok(None),
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

    /// Answers 401 or 407, with a challenge for each algorithm.
    #[allow(clippy::too_many_arguments, reason = "the parts of one event")]
    fn challenge(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        tx: ServerTxId,
        path: &Path,
        message: &Message,
        demand: Demand,
        stale: bool,
    ) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.2
        //# The WWW-Authenticate response-header field MUST be included in 401
        //# (Unauthorized) response messages.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
        //# The proxy MUST populate the 407
        //# (Proxy Authentication Required) message with a Proxy-Authenticate
        //# header field value applicable to the proxy for the requested
        //# resource.
        let (status, header) = match demand.proxy {
            true => (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Header::ProxyAuthenticate),
            false => (StatusCode::UNAUTHORIZED, Header::WwwAuthenticate),
        };
        let peer = self.peer(path);
        let Some(Realm { name: realm, key, .. }) = self.realms.get(demand.domain) else { return };
        //= https://www.rfc-editor.org/rfc/rfc8760#section-2.3
        //# If the UAS challenges the originator using multiple WWW-Authenticate/
        //# Proxy-Authenticate header fields with the same realm, then each of these header fields
        //# MUST use a different digest algorithm.
        //= https://www.rfc-editor.org/rfc/rfc8760#section-2.3
        //# The UAS MUST add these header fields to the response in the order in which it would
        //# prefer to see them used, starting with the most preferred algorithm at the top.
        //= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
        //# A UAS MUST always send a "qop" parameter in WWW-Authenticate and Proxy-Authenticate
        //# header field values, and a UAC MUST send the "qop" parameter in any resulting
        //# authorization header field.
        let mut values: SmallVec<[String; 2]> = SmallVec::new();
        for algorithm in &self.config.algorithms {
            let mut value = String::with_capacity(96 + realm.len() + NONCE_CHARS);
            value.push_str("Digest realm=\"");
            for c in realm.chars() {
                if matches!(c, '"' | '\\') {
                    value.push('\\');
                }
                value.push(c);
            }
            value.push_str("\", nonce=\"");
            self.nonces.write(&mut value, now, key, &peer);
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
            //# However, servers MUST always
            //# send a "qop" parameter in WWW-Authenticate and Proxy-Authenticate
            //# header field values.
            let qop = if self.config.auth_int { "auth,auth-int" } else { "auth" };
            let _ = write!(value, "\", algorithm={algorithm}, qop=\"{qop}\"");
            if self.config.userhash {
                value.push_str(", userhash=true");
            }
            if stale {
                value.push_str(", stale=true");
            }
            values.push(value);
        }
        let fields: SmallVec<[(Header, &str); 2]> = values.iter().map(|value| (header, value.as_str())).collect();
        reply_fields(endpoint, now, tx, message, status, &fields);
    }
}

/// Somebody known acts for somebody else.
struct NotTheirs;

/// The credentials of a request, read.
struct Claim<'a> {
    algorithm: DigestAlgorithm,
    qop: Option<Qop>,
    user: Cow<'a, str>,
    /// The user name was sent as a hash.
    hashed: bool,
    nonce: &'a [u8],
    uri: &'a [u8],
    nc: &'a [u8],
    count: Option<u32>,
    cnonce: &'a [u8],
    response: &'a [u8],
}

impl<'a> Claim<'a> {
    /// Whether the credentials were made for this Request-URI.
    fn is_for(&self, message: &Message) -> bool {
        let Some(asked) = message.request_uri_bytes() else { return false };
        let equivalent = |(a, b): (Uri<'_>, Uri<'_>)| a.equivalent(&b);
        asked == self.uri || Uri::parse(asked).ok().zip(Uri::parse(self.uri).ok()).is_some_and(equivalent)
    }

    fn input(&self, message: &'a Message) -> DigestInput<'a> {
        let method = message.method().map_or(&b""[..], |method| method.as_str().as_bytes());
        DigestInput {
            method,
            uri: self.uri,
            nonce: self.nonce,
            qop: self.qop,
            nc: self.nc,
            cnonce: self.cnonce,
            body: message.body(),
        }
    }
}

/// Whether a From says no more than that somebody wants to be nobody.
fn is_anonymous(uri: &Uri<'_>) -> bool {
    uri.as_sip().is_some_and(|uri| uri.host_str().eq_ignore_ascii_case("anonymous.invalid"))
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
