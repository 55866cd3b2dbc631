//! The proxy of the flows of RFC 3665 and RFC 5359: stays on the route, tries one place after another, and says 181 if it is to.
//! It forwards what it is given in good order; it judges nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sip_message::{Header, Message, Method};
use sip_transaction::{ClientTxId, Destination, Endpoint, EndpointConfig, Event as Below, Instant, ServerTxId};

use super::status;

/// Where a user is looked for: a URI, and how long it may ring there.
pub type Place = (String, Option<Duration>);

/// An INVITE or another request that is being forwarded.
struct Forward {
    server: ServerTxId,
    client: Option<ClientTxId>,
    request: Message,
    left: VecDeque<Place>,
    give_up: Option<Instant>,
    tried: bool,
}

pub struct Relay {
    pub endpoint: Endpoint,
    own: String,
    /// By which names it knows itself, besides its address.
    pub names: Vec<String>,
    /// Users, and the places where they are tried, one after the other; others are called where their URI says.
    pub places: BTreeMap<String, Vec<Place>>,
    /// Whether the caller is told that its call is forwarded.
    pub says_forwarded: bool,
    /// The realm for which credentials are asked.
    pub realm: Option<String>,
    /// Whether it stays on the route of dialogs.
    pub records: bool,
    forwards: Vec<Forward>,
    pub events: VecDeque<Below>,
}

impl Relay {
    pub fn new(n: u8) -> Self {
        Relay {
            endpoint: Endpoint::new(Arc::new(EndpointConfig::default()), [n; 32]),
            own: format!("192.0.2.{n}"),
            names: Vec::new(),
            places: BTreeMap::new(),
            says_forwarded: false,
            realm: None,
            records: true,
            forwards: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Does what is to be done about what happened.
    pub fn work(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Below::Request { tx, message, .. } => self.on_request(now, tx, *message),
                Below::Response { tx, message, .. } => self.on_response(now, tx, *message),
                Below::Ack { message, .. } => {
                    let message = self.onward(*message);
                    let _ = self.endpoint.send(now, message, Destination::route());
                }
                Below::Cancel { tx, .. } => {
                    if let Some(forward) = self.forwards.iter_mut().find(|forward| forward.server == tx) {
                        forward.left.clear();
                        if let Some(client) = forward.client {
                            let _ = self.endpoint.cancel(now, client, None);
                        }
                    }
                }
                // Nobody answered, or nobody could be reached: the next place, or the end.
                Below::ClientEnded { tx, .. } => {
                    if let Some(at) = self.forwards.iter().position(|forward| forward.client == Some(tx)) {
                        let request = &self.forwards[at].request;
                        let failed = Message::response(request, status(480)).to_tag("relay").build().unwrap();
                        self.ended_here(now, at, failed);
                    }
                }
                Below::ServerEnded { tx, .. } => self.forwards.retain(|forward| forward.server != tx),
                other => self.events.push_back(other),
            }
        }
    }

    /// What has rung long enough is given up.
    pub fn give_up(&mut self, now: Instant) {
        for forward in &mut self.forwards {
            if forward.give_up.is_some_and(|at| at <= now) {
                forward.give_up = None;
                if let Some(client) = forward.client {
                    let _ = self.endpoint.cancel(now, client, None);
                }
            }
        }
        self.work(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = self.forwards.iter().filter_map(|forward| forward.give_up).min();
        [own, self.endpoint.poll_timeout()].into_iter().flatten().min()
    }

    /// The message as it goes on: without us on its route.
    fn onward(&self, mut message: Message) -> Message {
        let ours = match message.routes().next() {
            Some(Ok(route)) => {
                let uri = String::from_utf8_lossy(route.uri_bytes()).into_owned();
                uri.contains(&self.own) || self.names.iter().any(|name| uri.contains(name))
            }
            _ => false,
        };
        if ours {
            message.pop_route();
        }
        message.set(Header::MaxForwards, 69).unwrap();
        message
    }

    fn on_request(&mut self, now: Instant, tx: ServerTxId, message: Message) {
        let inside = message.to().unwrap().tag().unwrap().is_some();
        if let Some(realm) = self.realm.as_ref().filter(|realm| !inside && !shows(&message, realm)) {
            let challenge = format!("Digest realm=\"{realm}\", nonce=\"n\", qop=\"auth\"");
            let response = Message::response(&message, status(407))
                .to_tag("relay")
                .header(Header::ProxyAuthenticate, challenge)
                .build()
                .unwrap();
            self.endpoint.respond(now, tx, response).unwrap();
            return;
        }
        let mut request = self.onward(message);
        let mut left = VecDeque::new();
        if !inside {
            if self.records {
                request.push_record_route(format!("<sip:{};lr>", self.own)).unwrap();
            }
            let uri = request.request_uri().unwrap().unwrap().as_str().to_owned();
            let user = uri.trim_start_matches("sip:").split('@').next().unwrap_or_default();
            if request.has(Header::Route) {
                left.push_back((uri, None));
            } else {
                left.extend(self.places.get(user).cloned().unwrap_or_else(|| vec![(uri, None)]));
            }
        } else {
            let uri = request.request_uri().unwrap().unwrap().as_str().to_owned();
            left.push_back((uri, None));
        }
        if request.method() == Some(Method::Invite) && !inside {
            let trying = Message::response(&request, status(100)).build().unwrap();
            self.endpoint.respond(now, tx, trying).unwrap();
        }
        self.forwards.push(Forward { server: tx, client: None, request, left, give_up: None, tried: false });
        self.next(now, self.forwards.len() - 1);
    }

    fn next(&mut self, now: Instant, at: usize) {
        let forward = &mut self.forwards[at];
        let Some((place, patience)) = forward.left.pop_front() else { return };
        let to_another = forward.request.request_uri_bytes().is_none_or(|uri| uri != place.as_bytes());
        if self.says_forwarded && (forward.tried || to_another && forward.left.is_empty()) {
            let told = Message::response(&forward.request, status(181)).to_tag("relay").build().unwrap();
            self.endpoint.respond(now, forward.server, told).unwrap();
        }
        forward.tried = true;
        let mut request = forward.request.clone();
        request.set_request_uri(&place).unwrap();
        forward.give_up = patience.map(|patience| now + patience);
        forward.client = self.endpoint.request(now, request, Destination::route()).ok();
    }

    fn on_response(&mut self, now: Instant, tx: ClientTxId, mut message: Message) {
        let Some(at) = self.forwards.iter().position(|forward| forward.client == Some(tx)) else { return };
        message.pop_via();
        let code = message.status().unwrap();
        match code.code() {
            100 => {}
            101..=299 => {
                if code.is_success() {
                    self.forwards[at].give_up = None;
                }
                let _ = self.endpoint.respond(now, self.forwards[at].server, message);
            }
            _ => self.ended_here(now, at, message),
        }
    }

    fn ended_here(&mut self, now: Instant, at: usize, response: Message) {
        self.forwards[at].give_up = None;
        self.forwards[at].client = None;
        if self.forwards[at].left.is_empty() {
            let _ = self.endpoint.respond(now, self.forwards[at].server, response);
        } else {
            self.next(now, at);
        }
    }
}

/// Whether a request shows credentials for a realm.
fn shows(request: &Message, realm: &str) -> bool {
    let realm = format!("realm=\"{realm}\"");
    request
        .fields(Header::ProxyAuthorization)
        .any(|value| value.windows(realm.len()).any(|part| part == realm.as_bytes()))
}
