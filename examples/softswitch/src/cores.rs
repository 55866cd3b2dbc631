//! What is done with SIP: who may do what, registrations, this server's own numbers, and where everything else goes. Each
//! event of the endpoint passes the cores in that order until one takes it.

use crate::config::{Config, Route};
use crate::location::redis::Directory;
use crate::location::{FlowMap, Locations};
use crate::log::{clean, log};
use crate::presence::Presence;
use crate::services::{Services, answer, hex, in_dialog, unhex};
use crate::users::Users;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use sip_message::uri::SipUri;
use sip_message::{Header, Message, Method, StatusCode, Uri};
use sip_server::{
    Advertised, AuthConfig, AuthEvent, Change, Decision, DigestAuth, Located, Proxy, ProxyConfig, ProxyEvent, ProxyId,
    Registrar, RegistrarConfig, RegistrarEvent, RouteKind, Store as _, Target, aor_key, is_unresolvable,
};
use sip_transaction::{Endpoint, Event, FlowId, Instant, Path, ServerTxId, Transport};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Everything this server is called: its domains, the addresses it listens on, and the name it goes by.
pub(crate) fn names(config: &Config, listening: &[(Transport, SocketAddr)]) -> Vec<String> {
    let mut names = config.domains.clone();
    let mut add = |name: String| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    config.advertise.iter().for_each(|host| add(host.to_ascii_lowercase()));
    for (_, address) in listening {
        match address.ip() {
            ip if ip.is_unspecified() => {}
            IpAddr::V4(ip) => add(ip.to_string()),
            IpAddr::V6(ip) => add(format!("[{ip}]")),
        }
    }
    names
}

/// The cores of one shard.
pub(crate) struct Cores {
    auth: DigestAuth,
    registrar: Registrar,
    services: Services,
    proxy: Proxy,
    /// Ids of flows, as the location table has them.
    pub(crate) flows: FlowMap,
    locations: Arc<Locations>,
    /// Who is at other nodes.
    directory: Option<Directory>,
    /// Which shard this is.
    shard: usize,
    /// With the realms of each name.
    users: HashMap<String, Vec<String>>,
    /// Without users, those on this machine may do anything.
    open: bool,
    redirect: bool,
    /// Those with the longest prefix first.
    routes: Vec<Route>,
    /// Where this server listens: other ports of its addresses are other servers.
    listening: HashSet<SocketAddr>,
    /// Requests for which other nodes are being asked, and whether their senders are known.
    asked: HashMap<ProxyId, bool>,
    /// No new work is taken.
    stopped: bool,
    pub(crate) registrations: u64,
    pub(crate) refused_credentials: u64,
}

impl Cores {
    pub(crate) fn new(
        shard: usize,
        config: &Config,
        listening: &[(Transport, SocketAddr)],
        (locations, directory, presence): (Arc<Locations>, Option<Directory>, Arc<Presence>),
        users: &Users,
        (seed, identity): ([u8; 32], [u8; 32]),
        unix_epoch: Option<i64>,
    ) -> Cores {
        let names = names(config, listening);
        let mut auth = AuthConfig::default();
        if !config.is_open() {
            auth.domains.clone_from(&names);
            auth.realm = Some(config.realm().to_owned());
        }
        auth.algorithms.clone_from(&config.digest);
        let mut registrar = RegistrarConfig::default();
        registrar.domains.clone_from(&names);
        registrar.unix_epoch = unix_epoch;
        registrar.over_connection = config.over_connection;
        let mut proxy = ProxyConfig::default();
        proxy.domains.clone_from(&names);
        // All of them, so that Record-Route names the side of a transport that no request has come over yet, too.
        for transport in Transport::ALL {
            let Some((_, address)) = listening.iter().find(|(on, _)| *on == transport) else { continue };
            let host = match (&config.advertise, address.ip()) {
                (Some(host), _) => host.clone(),
                (None, IpAddr::V4(ip)) => ip.to_string(),
                (None, IpAddr::V6(ip)) => format!("[{ip}]"),
            };
            proxy.advertised.push(Advertised { transport, host, port: Some(address.port()) });
        }
        let mut routes = config.routes.clone();
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
        let mut cores = Cores {
            auth: DigestAuth::new(auth, seed),
            registrar: Registrar::with_external_store(registrar, identity),
            services: Services::new(names, config, listening, (locations.clone(), presence), agent_seed(seed)),
            proxy: Proxy::new(proxy, identity),
            flows: FlowMap::default(),
            locations,
            directory,
            shard,
            users: HashMap::new(),
            open: config.is_open(),
            redirect: config.redirect,
            routes,
            listening: listening.iter().map(|(_, address)| *address).collect(),
            asked: HashMap::new(),
            stopped: false,
            registrations: 0,
            refused_credentials: 0,
        };
        cores.set_users(users);
        cores
    }

    /// Puts these users in the place of those there were.
    pub(crate) fn set_users(&mut self, users: &Users) {
        for (name, realms) in self.users.drain() {
            for realm in realms {
                self.auth.remove_user(&realm, &name);
            }
        }
        for (realm, name, secret) in &users.list {
            self.auth.add_user(realm, name, *secret);
            self.users.entry(name.clone()).or_default().push(realm.clone());
        }
    }

    /// From now on only what belongs to something under way is taken.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Passes an event of the endpoint from core to core.
    pub(crate) fn handle(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event) {
        if let Event::Request { tx, path, message } = &event {
            let new = !in_dialog(message);
            let refused = if self.stopped && new {
                Some(StatusCode::SERVICE_UNAVAILABLE)
            } else if self.open && new && message.method() == Some(Method::Register) && !path.remote.ip().is_loopback()
            {
                Some(StatusCode::FORBIDDEN)
            } else {
                None
            };
            if let Some(status) = refused {
                return answer(endpoint, now, *tx, message, status, |response| match status {
                    StatusCode::SERVICE_UNAVAILABLE => response.header(Header::RetryAfter, 5),
                    _ => response,
                });
            }
        }
        // Another node has let it in already; or it asks whether the server lives, which is no secret.
        let event = match &event {
            Event::Request { message, .. } if self.is_from_node(message) || self.services.is_for_server(message) => {
                event
            }
            _ => match self.auth.handle(endpoint, now, event) {
                Some(event) => event,
                None => return,
            },
        };
        let info = match &event {
            Event::Request { tx, .. } => self.auth.identity(*tx).and_then(|identity| identity.info.clone()),
            _ => None,
        };
        let Some(event) = self.registrar.handle_with_info(endpoint, now, event, info.as_deref()) else { return };
        let (auth, users, open) = (&self.auth, &self.users, self.open);
        let known = |tx, path: &Path| auth.identity(tx).is_some() || open && path.remote.ip().is_loopback();
        let is_user = |name: &str| open || users.contains_key(name);
        let Some(event) = self.services.handle(endpoint, now, event, known, is_user) else { return };
        // What nobody wants needs no answer: requests are all the proxy's.
        self.proxy.handle(endpoint, now, event);
    }

    /// Answers what the cores ask for, until they ask for nothing more.
    pub(crate) fn settle(&mut self, endpoint: &mut Endpoint, now: Instant) {
        loop {
            let mut idle = true;
            while let Some(event) = self.auth.poll_event() {
                idle = false;
                self.told_by_auth(event);
            }
            while let Some(event) = self.registrar.poll_event() {
                idle = false;
                let mut view = self.locations.seen_by(&self.flows);
                if let Some(RegistrarEvent::Changed { aor, binding, change }) =
                    self.registrar.answer_with(&mut view, endpoint, now, event)
                {
                    if change == Change::Registered {
                        self.registrations += 1;
                    }
                    log!(Info, "{change:?}: {} at {}", clean(&aor), clean(binding.contact()));
                    self.services.registrations_changed(endpoint, now, &aor);
                }
            }
            while let Some(event) = self.proxy.poll_event() {
                idle = false;
                match event {
                    ProxyEvent::RouteRequest { id, tx, kind } => {
                        if let Some(decision) = self.decide(now, id, tx, kind) {
                            // Stale if the caller has given up meanwhile.
                            let _ = self.proxy.route(endpoint, now, id, decision);
                        }
                    }
                    ProxyEvent::Ended { id } => drop(self.asked.remove(&id)),
                    _ => {}
                }
            }
            idle &= !self.services.settle(endpoint, now);
            if idle {
                break;
            }
        }
    }

    fn told_by_auth(&mut self, event: AuthEvent) {
        if let AuthEvent::Failed { source, user, cause, .. } = event {
            self.refused_credentials += 1;
            log!(Warn, "{source} as {:?}: {cause:?}", clean(&user));
        }
    }

    pub(crate) fn handle_timeout(&mut self, endpoint: &mut Endpoint, now: Instant) {
        self.registrar.handle_timeout(endpoint, now);
        self.services.handle_timeout(endpoint, now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let times = [self.registrar.poll_timeout(), self.services.poll_timeout(), self.proxy.poll_timeout()];
        times.into_iter().flatten().min()
    }

    /// Those whose presence has changed since this was last asked: other shards may have watchers of theirs.
    pub(crate) fn presence_changed(&mut self) -> Vec<String> {
        self.services.changed()
    }

    /// The presence of somebody has changed, by what another shard did.
    pub(crate) fn notify(&mut self, endpoint: &mut Endpoint, now: Instant, aor: &str) {
        self.services.notify(endpoint, now, aor);
    }

    /// What is being forwarded, and the calls and subscriptions of the server itself, as lines for another process.
    pub(crate) fn export(&self, endpoint: &Endpoint, now: Instant) -> Vec<String> {
        let mut lines = self.services.export(now);
        lines.push(format!("proxy {}", hex(&self.proxy.export(endpoint))));
        lines
    }

    /// Goes on with those of another process; `None` if they cannot be read.
    pub(crate) fn import(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        lines: &[String],
        mut flow_for: impl FnMut(&Path) -> Option<FlowId>,
    ) -> Option<()> {
        let proxy = lines.iter().find_map(|line| unhex(line.strip_prefix("proxy ")?))?;
        self.proxy.import(now, &proxy, &mut flow_for).ok()?;
        self.services.import(endpoint, now, lines, flow_for)
    }

    /// Where a request goes; `None` while other nodes are being asked.
    fn decide(&mut self, now: Instant, id: ProxyId, tx: Option<ServerTxId>, kind: RouteKind) -> Option<Decision> {
        let refuse = Decision::reject(StatusCode::FORBIDDEN);
        let (Some(request), Some(path)) = (self.proxy.request(id), self.proxy.path(id)) else { return Some(refuse) };
        let from_node = self.is_from_node(request);
        // Who may use this server to reach others: its users. An ACK belongs to what was let through before.
        let known = match tx {
            Some(tx) => from_node || self.auth.identity(tx).is_some() || self.open && path.remote.ip().is_loopback(),
            None => true,
        };
        if let Some(Ok(Uri::Sip(uri))) = request.request_uri() {
            if kind != RouteKind::Local && is_unresolvable(&uri) && !request.has(Header::Route) {
                // A browser's own address, as a peer has been told it: it is connected here or nowhere.
                let bindings = self.locations.seen_by(&self.flows).at(&uri, now);
                return Some(self.registrar.locate_among(&uri, &bindings).into());
            }
        }
        let abroad = if known { Decision::Relay } else { refuse };
        if kind != RouteKind::Local {
            return Some(abroad);
        }
        let uri = match request.request_uri() {
            Some(Ok(Uri::Sip(uri))) => uri,
            Some(Ok(_)) => return Some(Decision::reject(StatusCode::UNSUPPORTED_URI_SCHEME)),
            _ => return Some(Decision::reject(StatusCode::BAD_REQUEST)),
        };
        if self.is_another_server(&uri) {
            // A phone on this machine, most likely, in a dialog that came by Record-Route: as with any other host, such requests
            // were let in when the dialog was made.
            return Some(if in_dialog(request) { Decision::Relay } else { abroad });
        }
        if uri.user().is_none() {
            return Some(Decision::reject(StatusCode::NOT_FOUND));
        }
        if let Some(directory) = self.directory.as_ref().filter(|_| !from_node) {
            let aor = self.locations.canonical(&aor_key(&uri));
            if directory.ask(self.shard, id, aor) {
                self.asked.insert(id, known);
                return None;
            }
        }
        Some(self.locate(now, &uri, known, &[]))
    }

    /// The other nodes at which somebody is have been found.
    pub(crate) fn elsewhere(&mut self, endpoint: &mut Endpoint, now: Instant, id: ProxyId, nodes: &[String]) {
        let Some(known) = self.asked.remove(&id) else { return };
        let decision = match self.proxy.request(id).map(|request| (request, request.request_uri())) {
            Some((request, Some(Ok(Uri::Sip(uri))))) => {
                let targets: Vec<Target> = nodes.iter().filter_map(|node| self.at_node(node, &uri, request)).collect();
                self.locate(now, &uri, known, &targets)
            }
            _ => Decision::reject(StatusCode::BAD_REQUEST),
        };
        // Stale if the caller has given up meanwhile.
        let _ = self.proxy.route(endpoint, now, id, decision);
    }

    /// The same user at another node: the request goes there, marked as let in here.
    fn at_node(&self, node: &str, uri: &SipUri<'_>, request: &Message) -> Option<Target> {
        let proof = self.proof(request)?;
        let user = uri.user()?;
        let domain = self.locations.domain();
        let scheme = uri.scheme();
        Some(
            Target::new(format!("{scheme}:{}@{domain};node={proof}", user.as_str())).with_route(format!("<{node};lr>")),
        )
    }

    /// What one node shows to another: nobody else can make it, and it is good for one call only.
    fn proof(&self, request: &Message) -> Option<String> {
        let secret = self.directory.as_ref()?.secret()?;
        let from = request.from().ok()?.tag().ok()??;
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).ok()?;
        for part in [request.call_id().ok()?, from] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Some(mac.finalize().into_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    fn is_from_node(&self, request: &Message) -> bool {
        if self.directory.is_none() {
            return false;
        }
        let Some(Ok(Uri::Sip(uri))) = request.request_uri() else { return false };
        let shown = uri.params().get("node").and_then(|param| param.value);
        match (shown, self.proof(request)) {
            (Some(shown), Some(proof)) => {
                let (shown, proof) = (shown.as_str().as_bytes(), proof.as_bytes());
                shown.len() == proof.len() && shown.iter().zip(proof).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
            }
            _ => false,
        }
    }

    /// Where a user of this server is: here, at `elsewhere`, or behind a route.
    fn locate(&self, now: Instant, uri: &SipUri<'_>, known: bool, elsewhere: &[Target]) -> Decision {
        let record = self.locations.seen_by(&self.flows).lookup(&aor_key(uri), now);
        let mut located = self.registrar.locate_among(uri, &record.bindings);
        if !elsewhere.is_empty() {
            located = match located {
                Located::Targets(mut targets) => {
                    targets.extend_from_slice(elsewhere);
                    Located::Targets(targets)
                }
                _ => Located::Targets(elsewhere.to_vec()),
            };
        }
        match located {
            Located::Targets(targets) if self.redirect && elsewhere.is_empty() => redirect(&targets),
            Located::Unavailable if record.bindings.is_empty() => {
                let user = uri.user();
                let user = user.as_ref().map_or("", |user| user.as_str());
                match self.routes.iter().find(|route| user.starts_with(&route.prefix)) {
                    Some(route) if known => Decision::Targets(vec![Target::new(routed(route, user))]),
                    Some(_) => Decision::reject(StatusCode::FORBIDDEN),
                    None => Located::Unavailable.into(),
                }
            }
            located => located.into(),
        }
    }

    /// Whether a URI with one of this server's addresses is of another server beside it.
    fn is_another_server(&self, uri: &SipUri<'_>) -> bool {
        let (Some(ip), Some(port)) = (uri.host().ip(), uri.port()) else { return false };
        let on = |ip| self.listening.contains(&SocketAddr::new(ip, port));
        let wildcard: IpAddr = match ip {
            IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        !on(ip) && !on(wildcard)
    }
}

/// The URI of a route, with the user that was called unless it has one of its own.
fn routed(route: &Route, user: &str) -> String {
    let uri = &route.uri;
    let has_user = Uri::parse(uri.as_bytes()).is_ok_and(|uri| uri.as_sip().is_some_and(|uri| uri.user().is_some()));
    match uri.split_once(':') {
        Some((scheme, rest)) if !has_user => format!("{scheme}:{user}@{rest}"),
        _ => uri.clone(),
    }
}

fn redirect(targets: &[Target]) -> Decision {
    let contacts = targets.iter().map(|target| {
        let (whole, thousandths) = (target.q / 1000, target.q % 1000);
        (Header::Contact, format!("<{}>;q={whole}.{thousandths:03}", target.uri))
    });
    Decision::Reject { status: StatusCode::MOVED_TEMPORARILY, fields: contacts.collect() }
}

/// A seed for the user agent beside those for the rest: no two may have the same.
fn agent_seed(seed: [u8; 32]) -> [u8; 32] {
    let mut own = Sha256::new();
    own.update(b"user agent");
    own.update(seed);
    own.finalize().into()
}
