//! `Server`: an endpoint with authentication, registrar and proxy on it, and the five verbs.
//!
//! Owns the order of the cores and a policy for where requests go. Adds nothing a host could not do with the cores.

use crate::auth::{AuthConfig, AuthEvent, DigestAuth};
use crate::id::{AuthId, ProxyId, RegisterId};
use crate::location::{Record, StoreError, is_unresolvable};
use crate::proxy::{Decision, NotWaiting, Proxy, ProxyConfig, ProxyEvent, RouteKind};
use crate::push::PushTarget;
use crate::registrar::{Located, Registrar, RegistrarConfig, RegistrarEvent};
use crate::secret::Mac;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use sip_message::digest::DigestSecret;
use sip_message::{Header, StatusCode, Uri};
use sip_transaction::{Endpoint, EndpointConfig, Event, Input, InputError, Instant, ServerTxId, Transmit};

/// What a [`Server`] is told at construction.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Transactions and transports.
    pub endpoint: EndpointConfig,
    /// Who must prove who they are. Without domains, nobody.
    pub auth: AuthConfig,
    /// Bindings.
    pub registrar: RegistrarConfig,
    /// Forwarding.
    pub proxy: ProxyConfig,
    /// Whether bindings are kept elsewhere, and asked for by events ([`Registrar::with_external_store`]). Then requests for local users are
    /// the host's to route.
    pub external_store: bool,
    /// Where requests go.
    pub policy: RoutePolicy,
}

impl ServerConfig {
    /// The configuration of a server for one domain: its users register and are called there, and prove who they are.
    pub fn for_domain(domain: &str) -> ServerConfig {
        let domain = domain.to_ascii_lowercase();
        let mut config = ServerConfig::default();
        config.auth.domains = vec![domain.clone()];
        config.registrar.domains = vec![domain.clone()];
        config.proxy.domains = vec![domain];
        config
    }
}

/// Who decides where requests go, and by what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoutePolicy {
    /// Requests for local users go where these have registered. Requests for other domains are relayed for those who have proven who
    /// they are, and refused to others with 403.
    #[default]
    Users,
    /// Like `Users`, but requests for other domains are relayed for everybody: for a closed network. On the open one this is
    /// an open relay.
    Open,
    /// The host: each request comes as [`ServerEvent::Proxy`] and is answered with [`Server::route`].
    Ask,
}

/// What a [`Server`] has to say. Handed out by [`Server::poll_event`].
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "an event is moved once; a box would be one allocation for each")]
pub enum ServerEvent {
    /// Something the endpoint wants or tells: connections to open and to close, names to resolve, keepalives, and whatever is of transactions
    /// the host has begun itself.
    Endpoint(Event),
    /// A secret is needed, or somebody failed to prove who they are.
    Auth(AuthEvent),
    /// A binding has come or gone, or an external store is asked.
    Registrar(RegistrarEvent),
    /// A request is to be routed, or has been answered.
    Proxy(ProxyEvent),
}

/// A registrar and proxy in one, with the five verbs.
///
/// ```
/// use sip_server::{Server, ServerConfig, ServerEvent};
/// use sip_transaction::{Event, Input, Instant, Transport};
///
/// let mut server = Server::new(ServerConfig::for_domain("example.com"), [7; 32]);
/// server.auth_mut().add_user_with_password("example.com", "alice", "secret");
/// let udp = server.endpoint_mut().bind(Transport::Udp, "192.0.2.1:5060".parse()?)?;
///
/// // The loop of a host: whatever comes in goes in, whatever waits is carried out, then sleep until the deadline.
/// let now = Instant::from_millis(0);
/// let register = b"REGISTER sip:example.com SIP/2.0\r\n\
///     Via: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKnashds7\r\n\
///     Max-Forwards: 70\r\n\
///     To: <sip:alice@example.com>\r\n\
///     From: <sip:alice@example.com>;tag=456248\r\n\
///     Call-ID: 843817637684230@998sdasdh09\r\n\
///     CSeq: 1826 REGISTER\r\n\
///     Contact: <sip:alice@192.0.2.4>\r\n\
///     Content-Length: 0\r\n\r\n";
/// let input = Input::Datagram { flow: udp, remote: "192.0.2.4:5060".parse()?, bytes: register };
/// server.handle_input(now, input)?;
/// while let Some(transmit) = server.poll_transmit() {
///     assert!(transmit.bytes.starts_with(b"SIP/2.0 401 Unauthorized\r\n"));
/// }
/// while let Some(event) = server.poll_event() {
///     match event {
///         ServerEvent::Endpoint(Event::Connect { .. }) => { /* open a connection */ }
///         ServerEvent::Endpoint(Event::Query { .. }) => { /* ask DNS */ }
///         ServerEvent::Endpoint(Event::FlowEnded { .. }) => { /* close the connection */ }
///         _ => {}
///     }
/// }
/// if let Some(deadline) = server.poll_timeout() {
///     server.handle_timeout(deadline);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    endpoint: Endpoint,
    auth: DigestAuth,
    registrar: Registrar,
    proxy: Proxy,
    policy: RoutePolicy,
    external_store: bool,
    events: VecDeque<ServerEvent>,
    now: Instant,
}

impl Server {
    /// A server without flows. All that is random in it comes from `seed`, which nobody else may know.
    pub fn new(config: ServerConfig, seed: [u8; 32]) -> Self {
        let part = |label: &str| Mac::derive(&seed, label).of(&[]);
        let registrar = match config.external_store {
            false => Registrar::new(config.registrar, part("registrar")),
            true => Registrar::with_external_store(config.registrar, part("registrar")),
        };
        Server {
            endpoint: Endpoint::new(Arc::new(config.endpoint), part("endpoint")),
            auth: DigestAuth::new(config.auth, part("auth")),
            registrar,
            proxy: Proxy::new(config.proxy, part("proxy")),
            policy: config.policy,
            external_store: config.external_store,
            events: VecDeque::new(),
            now: Instant::ZERO,
        }
    }

    /// Takes in one datagram, one chunk of a stream, one fact ([`Endpoint::handle_input`]), and does all that follows.
    ///
    /// # Errors
    ///
    /// The input could not be attributed to anything; nothing need be done.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), InputError> {
        let result = self.endpoint.handle_input(now, input);
        self.drain(now);
        result
    }

    /// Carries out what is due. Without anything due it does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.registrar.handle_timeout(&mut self.endpoint, now);
        self.proxy.handle_timeout(&mut self.endpoint, now);
        self.drain(now);
    }

    /// The next bytes to send; `None` when all have been taken. Changes with any other call that takes `&mut self`.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.endpoint.poll_transmit()
    }

    /// The next event; `None` when all have been taken. Changes with any other call that takes `&mut self`.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Server::handle_timeout) next; `None` if nothing is ever due. The present while output waits to be
    /// polled. Changes with any call that takes `&mut self`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.events.is_empty() {
            return Some(self.now);
        }
        [self.endpoint.poll_timeout(), self.registrar.poll_timeout(), self.proxy.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Answers [`ProxyEvent::RouteRequest`].
    ///
    /// # Errors
    ///
    /// No such request waits to be routed.
    pub fn route(&mut self, now: Instant, id: ProxyId, decision: Decision) -> Result<(), NotWaiting> {
        let result = self.proxy.route(&mut self.endpoint, now, id, decision);
        self.drain(now);
        result
    }

    /// A push that [`ProxyEvent::Wake`] asked for could not be sent ([`Proxy::wake_failed`]).
    pub fn wake_failed(&mut self, now: Instant, push: &PushTarget) {
        self.proxy.wake_failed(&mut self.endpoint, now, push);
        self.drain(now);
    }

    /// What [`RoutePolicy::Users`] would decide of a request that waits to be routed; `None` for a stale id.
    pub fn default_decision(
        &self,
        now: Instant,
        id: ProxyId,
        tx: Option<ServerTxId>,
        kind: RouteKind,
    ) -> Option<Decision> {
        let request = self.proxy.request(id)?;
        let uri = request.request_uri();
        // The contact of a user of ours that DNS knows nothing of is found here or nowhere.
        let unresolvable =
            !request.has(Header::Route) && matches!(&uri, Some(Ok(Uri::Sip(uri))) if is_unresolvable(uri));
        if kind == RouteKind::Local || unresolvable {
            return Some(match uri {
                Some(Ok(Uri::Sip(uri))) if !self.external_store => self.registrar.locate(&uri, now).into(),
                _ => Decision::from(Located::NotFound),
            });
        }
        let known = tx.is_some_and(|tx| self.auth.identity(tx).is_some());
        Some(match known || self.policy == RoutePolicy::Open {
            true => Decision::Relay,
            false => Decision::reject(StatusCode::FORBIDDEN),
        })
    }

    /// Answers [`AuthEvent::Credentials`]: the secret, or `None` if there is no such user.
    pub fn answer_credentials(&mut self, now: Instant, id: AuthId, secret: Option<DigestSecret>) {
        if let Some(event) = self.auth.answer(&mut self.endpoint, now, id, secret) {
            let info = match &event {
                Event::Request { tx, .. } => self.auth.identity(*tx).and_then(|identity| identity.info.as_deref()),
                _ => None,
            };
            if self.registrar.takes(&mut self.endpoint, now, &event, info, None) {
                self.note_local(&event);
            } else {
                self.pass_on(now, event);
            }
        }
        self.drain(now);
    }

    /// Answers [`RegistrarEvent::Lookup`].
    pub fn found(&mut self, now: Instant, id: RegisterId, record: Record) {
        self.registrar.found(&mut self.endpoint, now, id, record);
        self.drain(now);
    }

    /// Answers [`RegistrarEvent::Store`].
    pub fn stored(&mut self, now: Instant, id: RegisterId, result: Result<(), StoreError>) {
        self.registrar.stored(&mut self.endpoint, now, id, result);
        self.drain(now);
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The endpoint, for its flows. What a call on it queues is carried out with the next input.
    pub fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// Users and their identities.
    pub fn auth(&self) -> &DigestAuth {
        &self.auth
    }

    /// Users and their identities, to add and to remove some.
    pub fn auth_mut(&mut self) -> &mut DigestAuth {
        &mut self.auth
    }

    /// The bindings.
    pub fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// The bindings, to change them by hand.
    pub fn registrar_mut(&mut self) -> &mut Registrar {
        &mut self.registrar
    }

    /// The requests being proxied.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The requests being proxied, to rotate keys.
    pub fn proxy_mut(&mut self) -> &mut Proxy {
        &mut self.proxy
    }

    /// Whether nothing is left of any request: bindings do not count.
    pub fn is_idle(&self) -> bool {
        let (waiting, identities, _) = self.auth.load();
        self.endpoint.is_idle()
            && self.proxy.is_idle()
            && self.registrar.waiting() == 0
            && waiting == 0
            && identities == 0
            && self.events.is_empty()
    }

    /// The cores whose state can leave.
    pub(crate) fn parts_mut(&mut self) -> (&mut Endpoint, &mut Registrar, &mut Proxy) {
        (&mut self.endpoint, &mut self.registrar, &mut self.proxy)
    }

    /// Does all that the endpoint's events ask for.
    pub(crate) fn drain(&mut self, now: Instant) {
        self.now = self.now.max(now);
        loop {
            while let Some(event) = self.endpoint.poll_event() {
                self.take(now, event);
            }
            while let Some(event) = self.registrar.poll_event() {
                match event {
                    RegistrarEvent::Awake { aor, binding } => self.proxy.awake(&mut self.endpoint, now, &aor, &binding),
                    event => self.events.push_back(ServerEvent::Registrar(event)),
                }
            }
            self.route_waiting(now);
            // What was decided may have failed at once, which is an event again.
            match self.endpoint.poll_event() {
                Some(event) => self.take(now, event),
                None => break,
            }
        }
        while let Some(event) = self.auth.poll_event() {
            self.events.push_back(ServerEvent::Auth(event));
        }
    }

    #[inline]
    fn take(&mut self, now: Instant, event: Event) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
        //# If an element requires credentials before forwarding a request, the request MUST be
        //# inspected as described in Section 22.3.
        let proven = match self.auth.inspect(now, &event) {
            Ok(proven) => proven,
            Err(verdict) => return self.auth.deny(&mut self.endpoint, now, event, verdict),
        };
        let info = proven.as_ref().and_then(|proven| proven.info());
        let to = proven.as_ref().and_then(|proven| proven.acts_for());
        if self.registrar.takes(&mut self.endpoint, now, &event, info, to) {
            // It has been answered: who sent it is asked no more.
            return self.note_local(&event);
        }
        self.auth.identify(&event, proven);
        self.pass_on(now, event);
    }

    fn note_local(&mut self, event: &Event) {
        if let Event::Request { path, .. } = event {
            self.proxy.note_local(path.transport, path.local);
        }
    }

    /// Hands an event that authentication has let pass, and that the table of bindings does not answer, to the others.
    fn pass_on(&mut self, now: Instant, event: Event) {
        self.note_local(&event);
        let info = match &event {
            Event::Request { tx, .. } => self.auth.identity(*tx).and_then(|identity| identity.info.as_deref()),
            _ => None,
        };
        let rest = match self.external_store {
            true => self.registrar.keeps(&mut self.endpoint, event, info),
            false => Some(event),
        };
        let asserted = match &rest {
            Some(Event::Request { tx, message, .. }) if self.proxy.config.trust_domain.is_some() => {
                self.auth.asserted_identity(*tx, message)
            }
            _ => None,
        };
        let asserted = asserted.as_deref();
        let rest = rest.and_then(|event| self.proxy.handle_asserted(&mut self.endpoint, now, event, asserted));
        match rest {
            // Answered by one of the cores: nobody else has to know.
            None | Some(Event::ServerEnded { .. }) => {}
            Some(event) => self.events.push_back(ServerEvent::Endpoint(event)),
        }
    }

    fn route_waiting(&mut self, now: Instant) {
        while let Some(event) = self.proxy.poll_event() {
            let ProxyEvent::RouteRequest { id, tx, kind } = event else {
                self.events.push_back(ServerEvent::Proxy(event));
                continue;
            };
            let local_elsewhere = self.external_store && kind == RouteKind::Local;
            if self.policy == RoutePolicy::Ask || local_elsewhere {
                self.events.push_back(ServerEvent::Proxy(event));
                continue;
            }
            if let Some(decision) = self.default_decision(now, id, tx, kind) {
                // The host has not been asked, so it is told no more. It waits, or there would be no decision.
                self.proxy.keep_quiet(id);
                let _ = self.proxy.route(&mut self.endpoint, now, id, decision);
            }
        }
    }
}

impl core::fmt::Debug for Server {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Server")
            .field("endpoint", &self.endpoint)
            .field("registrar", &self.registrar)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}
