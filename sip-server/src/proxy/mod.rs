//! The proxy (RFC 3261 section 16, RFC 5393, 5626, 5658, 4320, 6026), as a core on an endpoint.
//!
//! Owns response contexts: which branches a request has, what they have answered, what goes back. `routing` prepares a
//! request, `forward` sends it on, `respond` brings the answers together. Where a request goes is decided by the host, by
//! one event; how a name becomes an address is the endpoint's to know. Never touches a body, never reads a line it need
//! not.

mod best;
pub(crate) mod contexts;
mod forward;
mod names;
mod push;
mod respond;
mod routing;
mod token;
mod trust;

pub use names::Advertised;
pub use trust::TrustDomain;

use crate::id::ProxyId;
use crate::push::PushTarget;
use crate::registrar::Located;
use crate::reply::reply;
use crate::secret::Random;
use crate::target::Target;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use best::Best;
use core::net::SocketAddr;
use core::time::Duration;
use hashbrown::HashMap;
use names::Names;
use push::{Asleep, Bucket};
use routing::{Rejected, Routing};
use sip_message::{Header, Message, Method, StatusCode};
use sip_transaction::cores::{HashKey, IdHash, Slab};
use sip_transaction::{ClientTxId, Endpoint, Event, Instant, Path, ServerTxId, Transport};
use smallvec::SmallVec;
use token::FlowTokens;

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.1
//= type=exception
//= reason=which requests are forwarded without transactions is the configuration of the whole proxy
//# Requests forwarded between different types of transports where the proxy's TU must
//# take an active role in ensuring reliable delivery on one of the transports MUST be
//# forwarded transaction statefully.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.2
//= type=exception
//= reason=the endpoint sends 100 (Trying) for each INVITE server transaction
//# The proxy core MUST behave as a UAS with respect to sending an immediate provisional
//# on that server transaction (such as 100 Trying) as described in Section 8.2.6.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=exception
//= reason=a maddr that is not this proxy's makes the endpoint send there; the host is asked as for any other target
//# If the Request-URI of the request contains an maddr parameter, the Request-URI MUST
//# be placed into the target set as the only target URI, and the proxy MUST proceed to
//# Section 16.6.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=exception
//= reason=a rule for user agents
//# Endpoints MUST NOT use a URI obtained from a Record-Route header field outside the
//# dialog in which it was provided.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=exception
//= reason=there is no such alternative: next hops are flows, Routes or Request-URIs
//# If the request has a Route header field, this alternative MUST NOT be used unless it
//# is known that next hop proxy is a loose router.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=exception
//= reason=there is no such policy: next hops are flows, Routes or Request-URIs
//# Such a policy MUST NOT be used if the proxy is not certain that the IP address,
//# port, and transport correspond to a server that is a loose router.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=exception
//= reason=the endpoint locates the target of a request with a SIPS Request-URI over TLS
//# Furthermore, if the Request-URI contains a SIPS URI, TLS MUST be used to communicate
//# with that proxy.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=exception
//= reason=the endpoint locates the target of a request with a SIPS Request-URI over TLS
//# Independently of which URI is being used as input to the procedures of [4], if the
//# Request-URI specifies a SIPS resource, the proxy MUST follow the procedures of [4]
//# as if the input URI were a SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=exception
//= reason=the endpoint tries the targets of RFC 3263 one after the other
//# As described in [4], the proxy MUST attempt to deliver the message to the first
//# tuple in that set, and proceed through the set in order until the delivery attempt
//# succeeds.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=exception
//= reason=the endpoint tries the targets of RFC 3263 one after the other, each in a transaction of its own
//# For each tuple attempted, the proxy MUST format the message as appropriate for the
//# tuple and send the request using a new client transaction as detailed in steps 8
//# through 10.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=exception
//= reason=the endpoint makes another branch for each further target
//# Thus, the branch parameter provided with the Via header field inserted in step 8
//# MUST be different for each attempt.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=exception
//= reason=the endpoint adds Content-Length to each message that has none
//# If the request will be sent to the next hop using a stream-based transport and the
//# copy contains no Content-Length header field, the proxy MUST insert one with the
//# correct value for the body of the request (see Section 20.14).
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=exception
//= reason=RFC 6026 section 8.9 withdrew it: stray responses are dropped unless the proxy is stateless
//# If none is found, the element MUST process the response (even if it is an
//# informational response) as a stateless proxy (described below).
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=exception
//= reason=the value is the endpoint's, and always the same
//# The timer MAY be reset to a different value, but this value MUST be greater than 3
//# minutes.
//= https://www.rfc-editor.org/rfc/rfc5626#section-5.4
//= type=exception
//= reason=keepalives are the endpoint's
//# All edge proxies compliant with this specification MUST implement support for STUN
//# NAT keep-alives on their SIP UDP ports as described in Section 8.
//= https://www.rfc-editor.org/rfc/rfc5626#section-5.4
//= type=exception
//= reason=keepalives are the endpoint's
//# When a server receives a double CRLF sequence between SIP messages on a connection-
//# oriented transport such as TCP or SCTP, it MUST immediately respond with a single
//# CRLF over the same connection.
/// What a [`Proxy`] is told at construction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyConfig {
    /// The domains it is responsible for, in lower case: requests for their users are routed by location or by the host, not
    /// by DNS.
    pub domains: Vec<String>,
    /// Its addresses as others are to reach it, one for each transport: for Record-Route and Path. Without one for a transport
    /// the local address of the flow is used, which must be reachable then.
    pub advertised: Vec<Advertised>,
    /// Further names it is known by in Route, whatever the port.
    pub aliases: Vec<String>,
    /// The extensions a client may require of it by Proxy-Require. None.
    pub proxy_extensions: Vec<String>,
    /// Whether to stay on the path of dialogs by Record-Route. On.
    pub record_route: bool,
    /// Whether it is an edge proxy (RFC 5626 section 5): adds itself, with a flow token, to the Path of REGISTERs that come
    /// from user agents directly. On.
    pub edge: bool,
    /// Whether to try the contacts of 3xx responses of its own domains' users, rather than to pass them back. Off.
    pub recurse: bool,
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
    //= type=exception
    //= reason=the choice is the host's, which is told so
    //# This choice MUST only rely on fields in the message and time-invariant properties of
    //# the server.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
    //= type=exception
    //= reason=the choice is the host's, which is told so
    //# In particular, a retransmitted request MUST be forwarded to the same destination
    //# each time it is processed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
    //= type=exception
    //= reason=the choice is the host's, which is told so
    //# Furthermore, CANCEL and non-Routed ACK requests MUST generate the same choice as
    //# their associated INVITE.
    /// The trust domain it is in (RFC 3325). With one, it takes asserted identities only from there, asserts who has proven to be somebody,
    /// and shows what is private only there. None: P-Asserted-Identity is a field like others.
    pub trust_domain: Option<TrustDomain>,
    /// Whether to forward without transactions (RFC 3261 section 16.11): to one target, without forking, for hosts that
    /// decide alike for each retransmission. The endpoint must be told to hand out stray responses. Off.
    pub stateless: bool,
    /// The most branches a request may have at once, here and further on (RFC 5393 section 5): 60.
    pub max_breadth: u32,
    /// Targets of one request, those from recursion included: 64. What is beyond is passed over.
    pub max_targets: usize,
    /// Requests being proxied: 500,000. Beyond, the answer is 503.
    pub max_contexts: usize,
    /// How long a request waits for a user agent that is being woken (RFC 8599): 20 seconds, less than a client waits for an answer.
    pub wake_within: Duration,
    /// Branches that may wait so: 10,000. Beyond, their user agents are unavailable.
    pub max_asleep: usize,
    /// Requests that may wait so for one user agent: 8. Beyond, it is unavailable.
    pub max_asleep_each: usize,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        ProxyConfig {
            domains: Vec::new(),
            advertised: Vec::new(),
            aliases: Vec::new(),
            proxy_extensions: Vec::new(),
            record_route: true,
            edge: true,
            recurse: false,
            trust_domain: None,
            stateless: false,
            max_breadth: 60,
            max_targets: 64,
            max_contexts: 500_000,
            wake_within: Duration::from_secs(20),
            max_asleep: 10_000,
            max_asleep_each: 8,
        }
    }
}

/// What a request asks of a proxy, by its Request-URI and Route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteKind {
    /// The Request-URI is of one of the proxy's domains or names the proxy by its address, or it is a telephone number: the host knows where it
    /// goes.
    Local,
    /// The Request-URI is of another domain, and no Route led here: whether to relay it is policy. A proxy that relays for anybody is
    /// an open relay.
    Foreign,
    /// A Route of this proxy led here: it is in a dialog that this proxy is on the path of, or comes from a user agent that has
    /// this proxy as its outbound one.
    Routed,
}

/// What a [`Proxy`] has to say. Handed out by [`Proxy::poll_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyEvent {
    /// Where is this request to go? Answer with [`Proxy::route`]; [`Proxy::request`] shows it.
    ///
    /// Requests within dialogs that come by a Record-Route of this proxy are forwarded without asking.
    RouteRequest {
        /// The request that waits.
        id: ProxyId,
        /// Its server transaction; `None` for an ACK, for a CANCEL of nothing known, and for a proxy without transactions.
        tx: Option<ServerTxId>,
        /// What it asks for.
        kind: RouteKind,
    },
    /// A user agent sleeps that a request is for: have the notification service wake it (RFC 8599 section 5.6.2). The request waits until
    /// it has registered ([`Proxy::awake`]), the push has failed ([`Proxy::wake_failed`]), or [`wake_within`](ProxyConfig::wake_within) is
    /// over. Other requests for it that come while this one waits ask no more: they wait for the same push.
    Wake {
        /// The request.
        id: ProxyId,
        /// Whom to wake, and by which service.
        push: PushTarget,
    },
    /// A request has had its final answer. The context may live on for a while, for retransmissions and late 2xx.
    Answered {
        /// The request.
        id: ProxyId,
        /// The status that was sent back.
        status: StatusCode,
    },
    /// Nothing is left of a request. Comes once for each that has been asked about.
    Ended {
        /// The request.
        id: ProxyId,
    },
}

/// Where a request goes: the answer to [`ProxyEvent::RouteRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// To these: those with a higher q before those with a lower one, those with the same q at once. None: 480.
    Targets(Vec<Target>),
    /// To where its Route or Request-URI says, unchanged.
    Relay,
    /// Nowhere: it is answered with this status and these fields.
    Reject {
        /// The status.
        status: StatusCode,
        /// Fields for the answer.
        fields: Vec<(Header, String)>,
    },
}

impl Decision {
    /// A rejection with nothing but a status.
    pub fn reject(status: StatusCode) -> Decision {
        Decision::Reject { status, fields: Vec::new() }
    }
}

impl From<Located> for Decision {
    /// What RFC 3261 section 16.5 says of what the location service has found.
    fn from(located: Located) -> Decision {
        match located {
            Located::Targets(targets) => Decision::Targets(targets),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
            //# If the target set remains empty after applying all of the above, the
            //# proxy MUST return an error response, which SHOULD be the 480
            //# (Temporarily Unavailable) response.
            Located::Unavailable => Decision::reject(StatusCode::TEMPORARILY_UNAVAILABLE),
            //= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
            //# If the proxy needs to reject the request for that reason, the proxy
            //# MUST reject it with a 480 (Temporarily Unavailable) response.
            //= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
            //# In
            //# this case, the proxy SHOULD include a Warning header with warn-code
            //# 380 "SIPS Not Allowed".
            Located::NotSecure => Decision::Reject {
                status: StatusCode::TEMPORARILY_UNAVAILABLE,
                fields: vec![(Header::Warning, "380 - \"SIPS Not Allowed\"".into())],
            },
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
            //# If the Request-URI indicates a resource at this proxy that does not
            //# exist, the proxy MUST return a 404 (Not Found) response.
            Located::NotFound => Decision::reject(StatusCode::NOT_FOUND),
        }
    }
}

/// The id is stale, or the request has been routed already. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such request waits to be routed")]
pub struct NotWaiting;

/// One request and its branches: the response context of RFC 3261 section 16.7.
pub(crate) struct Context {
    /// `None`: forwarded without a transaction.
    tx: Option<ServerTxId>,
    path: Path,
    routing: Routing,
    stage: Stage,
    invite: bool,
    cancelled: bool,
    /// The server transaction is over.
    server_ended: bool,
    /// Whether the host knows of it.
    told: bool,
    /// As received, route preprocessed. Gone when no branch can follow.
    request: Option<Box<Message>>,
    /// Targets not yet tried, those with the highest q first.
    queue: VecDeque<Target>,
    /// The q of the branches that were started last.
    group: u16,
    /// Targets there have been.
    targets: u32,
    branches: SmallVec<[Branch; 1]>,
    best: Option<Box<Best>>,
    /// Instances that have answered for themselves: no other flow to them is tried.
    answered: Vec<String>,
    /// The URIs tried, for recursion.
    tried: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// For a routing decision.
    Waiting,
    /// Branches are on their way.
    Forking,
    /// A 6xx has come: nothing new, but the others may still accept.
    Closing,
    /// A final response has gone back.
    Answered,
}

/// One client transaction of a context.
struct Branch {
    /// `None` when the transaction is over.
    tx: Option<ClientTxId>,
    state: BranchProgress,
    breadth: u32,
    instance: Box<str>,
    /// It waits for its user agent to wake.
    asleep: Option<Box<Asleep>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BranchProgress {
    Calling,
    Proceeding,
    /// It has its final response.
    Done,
}

impl Context {
    /// Whether it is a CANCEL, which has its server transaction only for an answer if it goes nowhere.
    fn is_cancel(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.method() == Some(Method::Cancel))
    }

    fn pending(&self) -> usize {
        self.branches.iter().filter(|branch| branch.state != BranchProgress::Done).count()
    }

    /// The Max-Breadth that branches without a final response hold.
    fn breadth_out(&self) -> u32 {
        let pending = self.branches.iter().filter(|branch| branch.state != BranchProgress::Done);
        pending.fold(0, |sum, branch| sum.saturating_add(branch.breadth))
    }
}

/// A proxy.
pub struct Proxy {
    pub(crate) config: ProxyConfig,
    names: Names,
    tokens: FlowTokens,
    pub(crate) loop_key: HashKey,
    random: Random,
    pub(crate) contexts: Slab<ProxyId, Context>,
    by_server: HashMap<ServerTxId, ProxyId, IdHash>,
    by_client: HashMap<ClientTxId, ProxyId, IdHash>,
    bucket: Bucket,
    events: VecDeque<ProxyEvent>,
    pub(crate) now: Instant,
}

impl Proxy {
    /// A proxy without requests. Keys and branches come from `seed`, which nobody else may know.
    pub fn new(config: ProxyConfig, seed: [u8; 32]) -> Self {
        let mut random = Random::new(&seed, "proxy");
        Proxy {
            names: Names::new(config.advertised.clone(), config.aliases.clone(), config.domains.clone()),
            tokens: FlowTokens::new(&seed),
            loop_key: random.hash_key(),
            random,
            contexts: Slab::new(),
            by_server: HashMap::with_hasher(IdHash),
            by_client: HashMap::with_hasher(IdHash),
            bucket: Bucket::default(),
            events: VecDeque::new(),
            now: Instant::ZERO,
            config,
        }
    }

    /// Tells of a local address this proxy is reached at, for Record-Route and Path where none is
    /// [`advertised`](ProxyConfig::advertised). Those that requests come to are noted by themselves.
    pub fn note_local(&mut self, transport: Transport, local: SocketAddr) {
        self.names.note(transport, local);
    }

    /// Takes an event of the endpoint. `None`: it was of a request this proxy forwards.
    pub fn handle(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event) -> Option<Event> {
        self.handle_asserted(endpoint, now, event, None)
    }

    /// Like [`handle`](Proxy::handle), with the identity of the sender of a request that it has proven: what
    /// [`DigestAuth::asserted_identity`](crate::DigestAuth::asserted_identity) gives. It goes into the request, if there is a
    /// [trust domain](ProxyConfig::trust_domain).
    pub fn handle_asserted(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: Event,
        asserted: Option<&str>,
    ) -> Option<Event> {
        self.now = self.now.max(now);
        if let Event::Request { path, .. } | Event::Ack { path, .. } = &event {
            self.note_local(path.transport, path.local);
        }
        match event {
            Event::Request { tx, path, message } => self.on_request(endpoint, Some(tx), path, message, asserted),
            Event::Ack { path, message, .. } => self.on_request(endpoint, None, path, message, None),
            Event::Cancel { tx, message } => {
                let Some(key) = self.by_server.get(&tx).copied() else { return Some(Event::Cancel { tx, message }) };
                self.cancel(endpoint, key, &message);
            }
            Event::Response { tx, path, mut message } => {
                let Some(key) = self.by_client.get(&tx).copied() else {
                    return Some(Event::Response { tx, path, message });
                };
                if let Some(to) = self.contexts.get(key).map(|context| context.path) {
                    self.guard_response(&mut message, &path, &to);
                }
                self.on_response(endpoint, key, tx, message);
            }
            Event::StrayResponse { path, message } if !self.config.stateless => {
                return Some(Event::StrayResponse { path, message });
            }
            Event::StrayResponse { path, message } => self.pass_back(endpoint, &path, message),
            Event::ClientEnded { tx, outcome } => {
                let Some(key) = self.by_client.remove(&tx) else { return Some(Event::ClientEnded { tx, outcome }) };
                self.on_client_ended(endpoint, key, tx, outcome);
            }
            Event::ServerEnded { tx, outcome } => {
                let Some(key) = self.by_server.remove(&tx) else { return Some(Event::ServerEnded { tx, outcome }) };
                self.on_server_ended(endpoint, key, outcome);
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.8
            //# If timer C should fire, the proxy MUST either reset the timer with any value it
            //# chooses, or terminate the client transaction.
            Event::TimerC { tx } => {
                if !self.by_client.contains_key(&tx) {
                    return Some(Event::TimerC { tx });
                }
                //= https://www.rfc-editor.org/rfc/rfc3261#section-16.8
                //# If the
                //# client transaction has received a provisional response, the proxy
                //# MUST generate a CANCEL request matching that transaction.
                //= https://www.rfc-editor.org/rfc/rfc3261#section-16.8
                //= type=exception
                //= reason=timer B ends such a transaction long before
                //# If the client transaction has not received a provisional response, the proxy MUST
                //# behave as if the transaction received a 408 (Request Timeout) response.
                // Without one, timer B has ended it before.
                let _ = endpoint.cancel(now, tx, None);
            }
            Event::ResponseFailed { tx } if self.by_server.contains_key(&tx) => {}
            event => return Some(event),
        }
        None
    }

    /// Answers [`ProxyEvent::RouteRequest`].
    ///
    /// # Errors
    ///
    /// The id is stale, as when the caller has given up meanwhile, or the request has been routed.
    pub fn route(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        id: ProxyId,
        decision: Decision,
    ) -> Result<(), NotWaiting> {
        self.now = self.now.max(now);
        let context = self.contexts.get_mut(id).filter(|context| context.stage == Stage::Waiting);
        let context = context.ok_or(NotWaiting)?;
        match decision {
            Decision::Targets(targets) if targets.is_empty() => {
                self.reject(endpoint, id, StatusCode::TEMPORARILY_UNAVAILABLE.into());
            }
            Decision::Targets(targets) => self.start(endpoint, id, targets),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
            //# If the domain of the Request-URI indicates a domain this element is not responsible
            //# for, the Request-URI MUST be placed into the target set as the only target, and the
            //# element MUST proceed to the task of Request Forwarding (Section 16.6).
            Decision::Relay => {
                let uri = context.request.as_ref().and_then(|request| request.request_uri_bytes());
                let uri = String::from_utf8_lossy(uri.unwrap_or_default()).into_owned();
                let mut target = Target::new(uri);
                target.flow = context.routing.flow;
                self.start(endpoint, id, vec![target]);
            }
            Decision::Reject { status, fields } => self.reject(endpoint, id, Rejected { status, fields }),
        }
        Ok(())
    }

    /// Tells the host nothing more of a request: somebody else decides.
    pub(crate) fn keep_quiet(&mut self, id: ProxyId) {
        if let Some(context) = self.contexts.get_mut(id) {
            context.told = false;
        }
    }

    /// The request that waits to be routed, its route preprocessed: Routes of this proxy are off. `None` for a stale id, and
    /// when no more branches can follow.
    pub fn request(&self, id: ProxyId) -> Option<&Message> {
        self.contexts.get(id)?.request.as_deref()
    }

    /// Where that request came from; `None` for a stale id.
    pub fn path(&self, id: ProxyId) -> Option<Path> {
        self.contexts.get(id).map(|context| context.path)
    }

    /// The next thing to say; `None` when all has been said. Changes with any other call that takes `&mut self`.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ProxyEvent> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Proxy::handle_timeout) next: the present while events wait to be polled, else when a user agent has not
    /// woken in time. All other timers of a proxy are the endpoint's. Changes with any call that takes `&mut self`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.events.is_empty() { self.bucket.next() } else { Some(self.now) }
    }

    /// How many requests are being proxied, those that linger after their answer included.
    pub fn contexts(&self) -> usize {
        self.contexts.len()
    }

    /// Whether nothing is left of any request.
    pub fn is_idle(&self) -> bool {
        self.contexts.is_empty()
            && self.by_server.is_empty()
            && self.by_client.is_empty()
            && self.bucket.is_empty()
            && self.events.is_empty()
    }

    /// From now on flow tokens are made with a key from `seed`. Those made before are good until the next rotation: rotate no more often
    /// than dialogs last.
    pub fn rotate_flow_tokens(&mut self, seed: [u8; 32]) {
        self.tokens.rotate(&seed);
    }

    fn on_request(
        &mut self,
        endpoint: &mut Endpoint,
        tx: Option<ServerTxId>,
        path: Path,
        mut message: Box<Message>,
        asserted: Option<&str>,
    ) {
        self.take_identity(&mut message, &path, asserted);
        let rules = routing::Context {
            config: &self.config,
            names: &self.names,
            tokens: &self.tokens,
            loop_key: self.loop_key,
            endpoint,
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.2
        //# For all new requests, including any with unknown methods, an element intending to
        //# proxy the request MUST:
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# A stateless proxy MUST validate a request as described in Section 16.3
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# A stateless proxy MUST follow the request processing steps described in Sections
        //# 16.4 through 16.5 with the following exception:
        let prepared = rules.prepare(&mut message, &path);
        let method = message.method();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# Stateless proxies MUST NOT perform special processing for CANCEL requests.
        let routing = match prepared {
            Ok(routing) => routing,
            Err(rejected) => {
                if let Some(tx) = tx {
                    self.answer(endpoint, tx, &message, &rejected);
                }
                return;
            }
        };
        if self.contexts.len() >= self.config.max_contexts {
            if let Some(tx) = tx {
                let fields = vec![(Header::RetryAfter, String::from("5"))];
                self.answer(endpoint, tx, &message, &Rejected { status: StatusCode::SERVICE_UNAVAILABLE, fields });
            }
            return;
        }
        let invite = method == Some(Method::Invite);
        // ACK has no transaction; all requests of a stateless proxy give theirs up, and a CANCEL does when it is sent on.
        let kept = tx.filter(|_| !self.config.stateless);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# Furthermore, when handling a request statelessly, an element MUST NOT generate its
        //# own 100 (Trying) or any other provisional response.
        if let (Some(tx), None) = (tx, kept) {
            let _ = endpoint.abandon(self.now, tx);
        }
        let context = Context {
            tx: kept,
            path,
            routing,
            stage: Stage::Waiting,
            invite,
            cancelled: false,
            server_ended: kept.is_none(),
            told: false,
            request: Some(message),
            queue: VecDeque::new(),
            group: u16::MAX,
            targets: 0,
            branches: SmallVec::new(),
            best: None,
            answered: Vec::new(),
            tried: Vec::new(),
        };
        let Some(id) = self.contexts.insert(context) else { return };
        if let Some(tx) = kept {
            self.by_server.insert(tx, id);
        }
        if self.goes_without_asking(id) {
            let _ = self.route(endpoint, self.now, id, Decision::Relay);
        } else {
            if let Some(context) = self.contexts.get_mut(id) {
                context.told = true;
            }
            self.ask(id);
        }
    }

    /// Asks the host where a request goes.
    pub(super) fn ask(&mut self, id: ProxyId) {
        let Some(context) = self.contexts.get(id) else { return };
        let tx = context.tx.filter(|_| !context.is_cancel());
        self.events.push_back(ProxyEvent::RouteRequest { id, tx, kind: context.routing.kind });
    }

    /// Whether a Record-Route or Path of this proxy led the request here, so that its way is known.
    fn goes_without_asking(&self, key: ProxyId) -> bool {
        let Some(context) = self.contexts.get(key) else { return false };
        let in_dialog = || {
            let request = context.request.as_ref();
            request.is_some_and(|request| matches!(request.to().map(|to| to.tag()), Ok(Ok(Some(_)))))
        };
        context.routing.kind == RouteKind::Routed && (context.routing.flow.is_some() || in_dialog())
    }

    /// Answers a request that is not forwarded.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.1
    //# When responding directly to a request, the element is playing the role of a UAS and
    //# MUST behave as described in Section 8.2.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
    //# If any of these checks fail, the element MUST behave as a user agent server (see
    //# Section 8.2) and respond with an error code.
    fn answer(&self, endpoint: &mut Endpoint, tx: ServerTxId, message: &Message, rejected: &Rejected) {
        reply(endpoint, self.now, tx, message, rejected.status, |mut response| {
            for (header, value) in &rejected.fields {
                response = response.header(*header, value);
            }
            response
        });
    }

    /// Answers a context that has no branches.
    fn reject(&mut self, endpoint: &mut Endpoint, key: ProxyId, rejected: Rejected) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        context.stage = Stage::Answered;
        let (tx, path, tag) = (context.tx, context.path, crate::secret::digits(context.routing.loop_hash));
        match (tx, context.request.take()) {
            (Some(tx), Some(request)) => {
                self.answer(endpoint, tx, &request, &rejected);
                self.tell_answered(key, rejected.status);
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.7
            //# A stateless UAS MUST ignore ACK requests.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.7
            //# A stateless UAS MUST ignore CANCEL requests.
            (None, Some(request)) if !matches!(request.method(), Some(Method::Ack | Method::Cancel)) => {
                //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.7
                //# To header tags MUST be generated for responses in a stateless manner -
                //# in a manner that will generate the same tag for the same request
                //# consistently.
                //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.7
                //# A stateless UAS MUST NOT retransmit responses.
                let tag = core::str::from_utf8(&tag).unwrap_or_default();
                let response = Message::response(&request, rejected.status).to_tag(tag);
                let fields = rejected.fields.iter();
                let response = fields.fold(response, |response, (header, value)| response.header(*header, value));
                if let Ok(response) = response.build() {
                    let _ = endpoint.respond_stateless(self.now, path, response);
                }
            }
            _ => {}
        }
        self.settle(key);
    }

    /// Lets go of what a context needs no more, and of the context when nothing of it is left.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //# The proxy MUST maintain the response context until all of its associated
    //# transactions have been terminated, even after forwarding a final
    //# response.
    fn settle(&mut self, key: ProxyId) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        if context.stage == Stage::Answered {
            self.forget_asleep(key);
        }
        let Some(context) = self.contexts.get_mut(key) else { return };
        if context.stage == Stage::Answered {
            context.request = None;
            context.best = None;
            context.queue = VecDeque::new();
            context.answered = Vec::new();
            context.tried = Vec::new();
        }
        let over = context.server_ended && context.stage == Stage::Answered;
        if over && context.branches.iter().all(|branch| branch.tx.is_none()) {
            let told = context.told;
            self.contexts.remove(key);
            if told {
                self.events.push_back(ProxyEvent::Ended { id: key });
            }
        }
    }
}

impl core::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Proxy").field("contexts", &self.contexts.len()).finish_non_exhaustive()
    }
}
