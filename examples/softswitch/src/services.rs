//! What this server answers itself, as a user agent on the same endpoint: OPTIONS, the numbers to try a phone with (`echo` sends
//! media back, `busy` is 486, `ring` is 180 and nothing more), and the presence of its users.

use crate::config::Config;
use crate::location::Locations;
use crate::log::{clean, log};
use crate::presence::{MOST_SECONDS, PIDF, Presence, state};
use crate::sdp;
use sip_dialog::{
    Body, CallEvent, CallHandle, CommandError, Event as Told, Meaning, Progress, Reply, RequestEvent, Serves,
    SubscriptionEvent, SubscriptionId, UserAgentConfig, UserAgentCore,
};
use sip_message::headers::Event as EventValue;
use sip_message::{Capabilities, FaultKind, Header, Message, Method, ResponseBuilder, SipUri, StatusCode, Uri};
use sip_server::aor_key;
use sip_transaction::{Endpoint, Event, FlowId, Instant, Path, SendErrorKind, ServerTxId, Transport};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Calls at once; beyond, the numbers are busy.
const MAX_CALLS: usize = 10_000;
/// Watchers of presence, in each shard; beyond, they are asked to come back later.
const MAX_WATCHERS: usize = 100_000;
/// A call without a BYE is ended after this long, so that those of callers who vanished do not stay.
const LONGEST_CALL: Duration = Duration::from_secs(4 * 3600);

const METHODS: [&str; 10] =
    ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "INFO", "PRACK", "SUBSCRIBE", "PUBLISH"];
/// The extensions of the server itself, and those of the numbers it answers.
const OF_SERVER: [&str; 3] = ["path", "outbound", "gruu"];
const OF_NUMBERS: [&str; 8] = ["100rel", "timer", "replaces", "join", "norefersub", "tdialog", "199", "gruu"];
const BODIES: &str = "application/sdp";

/// The numbers this server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Echo,
    Busy,
    Ring,
}

/// Our side of an echo, as the origin line of its session description tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Echo {
    session: u32,
    version: u32,
}

/// The user agent of the server itself.
pub(crate) struct Services {
    /// Hosts whose users these numbers are, in lower case.
    names: Vec<String>,
    agent: UserAgentCore,
    echoes: HashMap<CallHandle, Echo>,
    sessions: u32,
    /// Whether presence is answered here, rather than by the phones.
    presence: Option<Arc<Presence>>,
    locations: Arc<Locations>,
    watchers: HashMap<String, BTreeSet<SubscriptionId>>,
    watched: HashMap<SubscriptionId, String>,
    /// When published states end.
    ends: BTreeSet<Instant>,
    /// Whose presence has changed, for the other shards.
    changed: Vec<String>,
}

impl Services {
    pub(crate) fn new(
        names: Vec<String>,
        config: &Config,
        listening: &[(Transport, SocketAddr)],
        (locations, presence): (Arc<Locations>, Arc<Presence>),
        seed: [u8; 32],
    ) -> Services {
        let contacts: Vec<_> = listening
            .iter()
            .map(|(transport, address)| (*transport, contact(config.advertise.as_deref(), *transport, *address)))
            .collect();
        let first = contacts.first().map_or_else(|| "<sip:echo@localhost>".into(), |(_, contact)| contact.clone());
        let mut agent = UserAgentConfig::new(first);
        agent.contacts = contacts;
        agent.product = concat!("softswitch/", env!("CARGO_PKG_VERSION")).into();
        agent.serves = Serves::Nothing;
        agent.unanswered = None;
        agent.call_length = Some(LONGEST_CALL);
        agent.limits.calls = Some(MAX_CALLS);
        agent.limits.subscriptions = Some(MAX_WATCHERS);
        if config.presence {
            agent.packages.push("presence".into());
        }
        Services {
            names,
            agent: UserAgentCore::new(Arc::new(agent), seed),
            echoes: HashMap::new(),
            sessions: u32::from_le_bytes([seed[0], seed[1], seed[2], 0]),
            presence: config.presence.then_some(presence),
            locations,
            watchers: HashMap::new(),
            watched: HashMap::new(),
            ends: BTreeSet::new(),
            changed: Vec::new(),
        }
    }

    /// Takes what is meant for the server itself, and gives the rest back. `known`: the sender of a request may use this server;
    /// `is_user`: whether there is a user of this name.
    pub(crate) fn handle(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: Event,
        known: impl Fn(ServerTxId, &Path) -> bool,
        is_user: impl Fn(&str) -> bool,
    ) -> Option<Event> {
        let event = self.agent.handle(endpoint, now, event)?;
        let Event::Request { tx, path, message } = event else { return Some(event) };
        if let Some(number) = self.number(&message) {
            self.called(endpoint, now, tx, path, message, number);
        } else if self.is_for_server(&message) {
            if !is_refused(endpoint, now, tx, &message, &OF_SERVER) {
                options(endpoint, now, tx, &message, &OF_SERVER);
            }
        } else if let Some(aor) = self.presentity(&message) {
            let user = aor.strip_prefix("sip:").and_then(|rest| rest.split('@').next()).unwrap_or_default();
            let plainly = |endpoint: &mut Endpoint, status| {
                answer(endpoint, now, tx, &message, status, |response| response);
            };
            if !known(tx, &path) {
                plainly(endpoint, StatusCode::FORBIDDEN);
            } else if !is_user(user) {
                plainly(endpoint, StatusCode::NOT_FOUND);
            } else if message.method() == Some(Method::Subscribe) {
                self.agent.take(endpoint, now, tx, path, message);
            } else {
                self.publish(endpoint, now, tx, &message, aor);
            }
        } else {
            return Some(Event::Request { tx, path, message });
        }
        None
    }

    fn is_own(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    fn number(&self, message: &Message) -> Option<Number> {
        let uri = message.request_uri()?.ok()?;
        let uri = uri.as_sip().filter(|uri| self.is_own(uri.host_str()))?;
        match uri.user()?.as_str() {
            "echo" => Some(Number::Echo),
            "busy" => Some(Number::Busy),
            "ring" => Some(Number::Ring),
            _ => None,
        }
    }

    /// An OPTIONS with a URI that has no user asks the server itself.
    pub(crate) fn is_for_server(&self, message: &Message) -> bool {
        if message.method() != Some(Method::Options) {
            return false;
        }
        let uri = message.request_uri().and_then(Result::ok);
        let own = uri.as_ref().and_then(|uri| uri.as_sip());
        // What a strict router sends has our Record-Route there, and the URI that is meant at the end of its Route: RFC 3261 section 16.4.
        let is_route = |uri: &SipUri<'_>| uri.lr() && message.has(Header::Route);
        own.is_some_and(|uri| uri.user().is_none() && self.is_own(uri.host_str()) && !is_route(uri))
    }

    /// The user of this server whose presence a request is about.
    fn presentity(&self, message: &Message) -> Option<String> {
        self.presence.as_ref()?;
        if in_dialog(message) {
            return None;
        }
        match message.method() {
            // Other packages are the phones' own.
            Some(Method::Subscribe) if is_presence(message) => {}
            Some(Method::Publish) => {}
            _ => return None,
        }
        let uri = message.request_uri()?.ok()?;
        let uri = uri.as_sip().filter(|uri| uri.user().is_some() && self.is_own(uri.host_str()))?;
        Some(self.locations.canonical(&aor_key(uri)))
    }

    fn called(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        tx: ServerTxId,
        path: Path,
        message: Box<Message>,
        number: Number,
    ) {
        let method = message.method();
        if method == Some(Method::Invite) && number != Number::Busy && !in_dialog(&message) {
            return self.agent.take(endpoint, now, tx, path, message);
        }
        if is_refused(endpoint, now, tx, &message, &OF_NUMBERS) {
            return;
        }
        let mut plainly = |status| answer(endpoint, now, tx, &message, status, |response| response);
        match method {
            _ if in_dialog(&message) => plainly(StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST),
            Some(Method::Options) => options(endpoint, now, tx, &message, &OF_NUMBERS),
            Some(Method::Invite) => plainly(StatusCode::BUSY_HERE),
            Some(Method::Cancel | Method::Bye) => plainly(StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST),
            _ => answer(endpoint, now, tx, &message, StatusCode::METHOD_NOT_ALLOWED, allowing),
        }
    }

    /// Does what the user agent asks for, until it asks for nothing more. `false`: it asked for nothing.
    pub(crate) fn settle(&mut self, endpoint: &mut Endpoint, now: Instant) -> bool {
        let mut busy = false;
        while let Some(event) = self.agent.poll_event() {
            busy = true;
            match event {
                Told::Call { call, event } => self.in_call(endpoint, now, call, event),
                Told::Subscription { subscription, event } => self.subscribed(endpoint, now, subscription, event),
                Told::Request { request, event: RequestEvent::Incoming { .. } } => {
                    // Stale if its sender has given it up.
                    let _ = self.agent.unknown_method(endpoint, now, request);
                }
                // A phone that wants to know who notifies it: this server has no password.
                Told::Challenged { owner, .. } => {
                    let _ = self.agent.authenticate(endpoint, now, owner, None);
                }
                _ => {}
            }
        }
        busy
    }

    fn in_call(&mut self, endpoint: &mut Endpoint, now: Instant, call: CallHandle, event: CallEvent) {
        // Each command below fails only if the call has ended meanwhile: its end is told next.
        match event {
            CallEvent::Incoming { message, .. } => match self.number(&message) {
                Some(Number::Echo) => {
                    self.sessions = self.sessions.wrapping_add(1);
                    let echo = Echo { session: self.sessions, version: 1 };
                    match session(&message, echo) {
                        Some(body) => {
                            self.echoes.insert(call, echo);
                            let _ = self.agent.accept(endpoint, now, call, Reply::new().body(body));
                        }
                        None => {
                            let _ = self.agent.reject(endpoint, now, call, StatusCode::NOT_ACCEPTABLE_HERE, warning());
                        }
                    }
                }
                _ => {
                    let rung = self.agent.progress(endpoint, now, call, Progress::ringing());
                    // Whoever makes no offer and wants this sent reliably has to find one in it (RFC 3262 section 5).
                    if rung == Err(CommandError::BodyNeeded) {
                        self.sessions = self.sessions.wrapping_add(1);
                        let offer = Body::sdp(sdp::silent_offer(self.sessions, 1));
                        let _ = self.agent.progress(endpoint, now, call, Progress::ringing().body(offer));
                    }
                }
            },
            CallEvent::Offer { message }
            | CallEvent::OfferWanted { message }
            | CallEvent::Acknowledged { message, session: Some(Meaning::Offer) } => {
                let Some(echo) = self.echoes.get_mut(&call) else {
                    // It only rings.
                    let _ = self.agent.refuse(endpoint, now, call, StatusCode::NOT_ACCEPTABLE_HERE, warning());
                    return;
                };
                // RFC 3264 section 8: the version of a description that changes is one more.
                echo.version = echo.version.wrapping_add(1);
                let body = session(&message, *echo);
                let _ = match body {
                    Some(body) => self.agent.answer(endpoint, now, call, body),
                    None => self.agent.refuse(endpoint, now, call, StatusCode::NOT_ACCEPTABLE_HERE, warning()),
                };
            }
            CallEvent::Refer { subscription, .. } => {
                let decline = StatusCode::new(603).unwrap_or(StatusCode::FORBIDDEN);
                let _ = self.agent.reject_subscription(endpoint, now, subscription, decline, Reply::new());
            }
            CallEvent::Ended { .. } => {
                self.echoes.remove(&call);
            }
            _ => {}
        }
    }

    fn subscribed(&mut self, endpoint: &mut Endpoint, now: Instant, id: SubscriptionId, event: SubscriptionEvent) {
        match event {
            SubscriptionEvent::Incoming { message, .. } => {
                let uri = message.request_uri().and_then(Result::ok);
                let Some(aor) = uri.as_ref().and_then(Uri::as_sip).map(|uri| self.locations.canonical(&aor_key(uri)))
                else {
                    let _ = self.agent.reject_subscription(endpoint, now, id, StatusCode::BAD_REQUEST, Reply::new());
                    return;
                };
                let body = self.presence_of(&aor, now);
                self.watch(id, aor);
                // Stale if its sender has given it up: the end is told next.
                let _ = self.agent.accept_subscription(endpoint, now, id, false, Some(MOST_SECONDS), Some(body));
            }
            SubscriptionEvent::Ended { .. } => {
                let Some(aor) = self.watched.remove(&id) else { return };
                if let Some(ids) = self.watchers.get_mut(&aor) {
                    ids.remove(&id);
                    if ids.is_empty() {
                        self.watchers.remove(&aor);
                    }
                }
                if let Some(presence) = &self.presence {
                    presence.watched(&aor, false);
                }
            }
            _ => {}
        }
    }

    fn watch(&mut self, id: SubscriptionId, aor: String) {
        if let Some(presence) = &self.presence {
            presence.watched(&aor, true);
        }
        self.watchers.entry(aor.clone()).or_default().insert(id);
        self.watched.insert(id, aor);
    }

    /// What watchers are told of somebody: what was published last, or else whether there is a registration.
    fn presence_of(&self, aor: &str, now: Instant) -> Body {
        let published = self.presence.as_ref().and_then(|presence| presence.of(aor, now));
        let body = published.unwrap_or_else(|| {
            let here = self.locations.lasts(aor, now).is_some();
            state(aor, here).into()
        });
        Body::new(PIDF, body)
    }

    /// PUBLISH of presence.
    fn publish(&mut self, endpoint: &mut Endpoint, now: Instant, tx: ServerTxId, message: &Message, aor: String) {
        let Some(presence) = self.presence.clone() else { return };
        // Everybody tells of themselves alone. Who they are has been checked.
        let from = message.from().ok().and_then(|from| from.uri().ok());
        let from = from.as_ref().and_then(|uri| match uri {
            Uri::Sip(uri) => Some(self.locations.canonical(&aor_key(uri))),
            _ => None,
        });
        if from.as_deref() != Some(aor.as_str()) {
            return answer(endpoint, now, tx, message, StatusCode::FORBIDDEN, |response| response);
        }
        let (end, changed) = presence.publish(endpoint, now, tx, message, &aor);
        self.ends.extend(end);
        for aor in changed {
            self.tell_of(endpoint, now, aor);
        }
    }

    /// Somebody's registrations have changed.
    pub(crate) fn registrations_changed(&mut self, endpoint: &mut Endpoint, now: Instant, aor: &str) {
        let Some(presence) = &self.presence else { return };
        if presence.has_watchers() {
            let aor = self.locations.canonical(aor);
            self.tell_of(endpoint, now, aor);
        }
    }

    fn tell_of(&mut self, endpoint: &mut Endpoint, now: Instant, aor: String) {
        if self.presence.as_ref().is_some_and(|presence| presence.is_watched(&aor)) {
            self.notify(endpoint, now, &aor);
            self.changed.push(aor);
        }
    }

    /// Those whose presence has changed since this was last asked.
    pub(crate) fn changed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.changed)
    }

    /// Tells the watchers of somebody, in this shard.
    pub(crate) fn notify(&mut self, endpoint: &mut Endpoint, now: Instant, aor: &str) {
        let Some(ids) = self.watchers.get(aor) else { return };
        let body = self.presence_of(aor, now);
        for &id in ids {
            if let Err(error) = self.agent.notify(endpoint, now, id, Some(body.clone())) {
                log!(Debug, "{} is not told to a watcher: {error}", clean(aor));
            }
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, endpoint: &mut Endpoint, now: Instant) {
        self.agent.handle_timeout(endpoint, now);
        if self.ends.first().is_some_and(|at| *at <= now) {
            self.ends.retain(|at| *at > now);
            let over = self.presence.as_ref().map(|presence| presence.expire(now)).unwrap_or_default();
            for aor in over {
                self.tell_of(endpoint, now, aor);
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let end = self.ends.first().copied();
        self.agent.poll_timeout().into_iter().chain(end).min()
    }

    /// Everything that goes on, as lines for another process.
    pub(crate) fn export(&self, now: Instant) -> Vec<String> {
        let mut lines = vec![format!("agent {}", hex(&self.agent.export(now)))];
        let mut echoes: Vec<_> = self.echoes.iter().collect();
        echoes.sort_unstable_by_key(|(call, _)| **call);
        lines.extend(
            echoes.into_iter().map(|(call, echo)| format!("echo {} {} {}", call.to_bits(), echo.session, echo.version)),
        );
        let mut watched: Vec<_> = self.watched.iter().collect();
        watched.sort_unstable();
        lines.extend(watched.into_iter().map(|(id, aor)| format!("watch {} {aor}", id.to_bits())));
        lines
    }

    /// Goes on with what [`export`](Services::export) told; `None` if that cannot be read.
    pub(crate) fn import(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        lines: &[String],
        flow_for: impl FnMut(&Path) -> Option<FlowId>,
    ) -> Option<()> {
        let agent = lines.iter().find_map(|line| line.strip_prefix("agent "))?;
        self.agent.import(endpoint, now, &unhex(agent)?, flow_for).ok()?;
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["echo", call, session, version] => {
                    let call = CallHandle::from_bits(call.parse().ok()?)?;
                    self.echoes.insert(call, Echo { session: session.parse().ok()?, version: version.parse().ok()? });
                }
                ["watch", id, aor] => self.watch(SubscriptionId::from_bits(id.parse().ok()?)?, aor.to_owned()),
                _ => {}
            }
        }
        Some(())
    }
}

/// Bytes as text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that [`hex`] wrote.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}

/// How peers reach this server over a transport.
fn contact(advertised: Option<&str>, transport: Transport, local: SocketAddr) -> String {
    let host = match advertised {
        Some(host) => format!("{host}:{}", local.port()),
        None => local.to_string(),
    };
    let name = transport.via().to_ascii_lowercase();
    match transport.is_secure() {
        true => format!("<sips:echo@{host};transport={}>", if transport.is_websocket() { "ws" } else { "tcp" }),
        false => format!("<sip:echo@{host};transport={name}>"),
    }
}

fn warning() -> Reply {
    Reply::new().header("Warning", "304 softswitch \"echo mirrors plain RTP only\"")
}

/// Our side of the session: an answer, or an offer if there was none.
fn session(message: &Message, echo: Echo) -> Option<Body> {
    if message.body().is_empty() {
        return Some(Body::sdp(sdp::silent_offer(echo.session, echo.version)));
    }
    let kind = message.field(Header::ContentType)?;
    let kind = kind.split(|&byte| byte == b';').next()?.trim_ascii();
    if !kind.eq_ignore_ascii_case(b"application/sdp") {
        return None;
    }
    sdp::mirror(std::str::from_utf8(message.body()).ok()?, echo.session, echo.version).map(Body::sdp)
}

fn is_presence(message: &Message) -> bool {
    let event = message.value::<EventValue<'_>>(Header::Event).ok().flatten();
    event.is_some_and(|event| event.event_type().as_str() == "presence")
}

/// Whether a request belongs to a dialog.
pub(crate) fn in_dialog(message: &Message) -> bool {
    message.to().is_ok_and(|to| to.tag().is_ok_and(|tag| tag.is_some()))
}

fn options(endpoint: &mut Endpoint, now: Instant, tx: ServerTxId, message: &Message, extensions: &[&str]) {
    answer(endpoint, now, tx, message, StatusCode::OK, |response| {
        allowing(response).header(Header::Accept, BODIES).header(Header::Supported, extensions.join(", "))
    });
}

fn allowing(response: ResponseBuilder) -> ResponseBuilder {
    response.header(Header::Allow, METHODS.join(", "))
}

/// Inspects a request that is answered here as a user agent server does (RFC 3261 section 8.2), and answers it if something is wrong.
fn is_refused(endpoint: &mut Endpoint, now: Instant, tx: ServerTxId, message: &Message, extensions: &[&str]) -> bool {
    let accepts = Capabilities {
        schemes: &["sip", "sips"],
        methods: Some(&METHODS),
        extensions,
        proxy_extensions: None,
        content_types: &[BODIES],
        content_encodings: &[],
    };
    let Err(fault) = message.check_semantics(&accepts) else { return false };
    let status = fault.status.unwrap_or(StatusCode::BAD_REQUEST);
    answer(endpoint, now, tx, message, status, |response| match fault.kind {
        FaultKind::Extension => {
            let asked = message.require().flatten();
            let unknown = asked.filter(|tag| !extensions.iter().any(|known| tag == known));
            let unknown: Vec<_> = unknown.map(|tag| tag.to_string()).collect();
            response.header(Header::Unsupported, unknown.join(", "))
        }
        FaultKind::MethodNotAllowed => allowing(response),
        FaultKind::ContentType => response.header(Header::Accept, BODIES),
        FaultKind::ContentEncoding => response.header(Header::AcceptEncoding, "identity"),
        _ => response,
    });
    true
}

/// Answers, with what `add` adds if that can be built.
pub(crate) fn answer(
    endpoint: &mut Endpoint,
    now: Instant,
    tx: ServerTxId,
    request: &Message,
    status: StatusCode,
    add: impl FnOnce(ResponseBuilder) -> ResponseBuilder,
) {
    let Some(tag) = endpoint.local_tag(tx) else { return };
    let start = || Message::response(request, status).to_tag(tag.as_str());
    let answered = match add(start()).build().or_else(|_| start().build()) {
        Ok(response) => endpoint.respond(now, tx, response).map_err(|error| error.kind),
        Err(_) => Err(SendErrorKind::Malformed),
    };
    // The request lacks what every response repeats, or its CSeq names another method. Else the transaction is over: nothing is owed.
    if matches!(answered, Err(SendErrorKind::Malformed | SendErrorKind::Mismatched)) {
        let _ = endpoint.reply(now, tx, request, status);
    }
}
