//! Two or more telephones on a virtual network.
#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at a mistake")]

mod relay;

use sim::{Host, Network, NodeId, Wish};
use sip_dialog::{
    Body, CallEvent, CallHandle, CommandError, Credentials, EndCause, Event, Invite, Origin, Output, Progress, Reply,
    UserAgent, UserAgentConfig, UserAgentCore,
};
use sip_message::{Message, ResponseBuilder, StatusCode};
use sip_transaction::{
    ClientTxId, Destination, Endpoint, EndpointConfig, Event as Below, FlowId, Input, InputError, Instant, ServerTxId,
    Transmit, Transport,
};
use std::sync::Arc;
use std::time::Duration;

pub use relay::Relay;

pub const OFFER: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
pub const ANSWER: &[u8] =
    b"v=0\r\no=- 2 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";

pub fn offer() -> Body {
    Body::sdp(OFFER)
}

pub fn answer() -> Body {
    Body::sdp(ANSWER)
}

pub fn status(code: u16) -> StatusCode {
    StatusCode::new(code).unwrap()
}

/// What the network drives: a user agent, or an endpoint that a test answers for by hand.
pub enum Phone {
    Agent(Box<UserAgent>),
    /// A user agent of which all that it says and hears is kept, in the order it does.
    Taped(Box<UserAgent>, Vec<Heard>),
    Raw(Box<Endpoint>),
    Relay(Box<Relay>),
}

/// What a taped telephone heard, or said.
pub struct Heard {
    pub at: Instant,
    /// It said it.
    pub own: bool,
    pub bytes: bytes::Bytes,
}

impl Phone {
    pub fn agent(&mut self) -> &mut UserAgent {
        match self {
            Phone::Agent(agent) | Phone::Taped(agent, _) => agent,
            Phone::Raw(_) | Phone::Relay(_) => panic!("no user agent"),
        }
    }
}

impl Host for Phone {
    type Event = Output;

    fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), InputError> {
        match self {
            Phone::Agent(agent) => agent.handle_input(now, input),
            Phone::Taped(agent, tape) => {
                if let Input::Datagram { bytes, .. } = &input {
                    tape.push(Heard { at: now, own: false, bytes: bytes::Bytes::copy_from_slice(bytes) });
                }
                agent.handle_input(now, input)
            }
            Phone::Raw(endpoint) => endpoint.handle_input(now, input),
            Phone::Relay(relay) => {
                let taken = relay.endpoint.handle_input(now, input);
                relay.work(now);
                taken
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Phone::Agent(agent) | Phone::Taped(agent, _) => agent.handle_timeout(now),
            Phone::Raw(endpoint) => endpoint.handle_timeout(now),
            Phone::Relay(relay) => {
                relay.endpoint.handle_timeout(now);
                relay.give_up(now);
            }
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Phone::Agent(agent) => agent.poll_transmit(),
            Phone::Taped(agent, tape) => agent.poll_transmit().inspect(|sent| {
                // A command is a little later than what was heard before it.
                let at = tape.last().map_or(Instant::ZERO, |last| last.at);
                tape.push(Heard { at, own: true, bytes: sent.bytes.clone() });
            }),
            Phone::Raw(endpoint) => endpoint.poll_transmit(),
            Phone::Relay(relay) => relay.endpoint.poll_transmit(),
        }
    }

    fn poll_event(&mut self) -> Option<Output> {
        match self {
            Phone::Agent(agent) | Phone::Taped(agent, _) => agent.poll_event(),
            Phone::Raw(endpoint) => endpoint.poll_event().map(Output::Endpoint),
            Phone::Relay(relay) => relay.events.pop_front().map(Output::Endpoint),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Phone::Agent(agent) | Phone::Taped(agent, _) => agent.poll_timeout(),
            Phone::Raw(endpoint) => endpoint.poll_timeout(),
            Phone::Relay(relay) => relay.poll_timeout(),
        }
    }

    fn endpoint(&mut self) -> &mut Endpoint {
        match self {
            Phone::Agent(agent) | Phone::Taped(agent, _) => agent.parts().1,
            Phone::Raw(endpoint) => endpoint,
            Phone::Relay(relay) => &mut relay.endpoint,
        }
    }

    fn wish(event: &Output) -> Option<Wish> {
        match event {
            Output::Endpoint(event) => Wish::of(event),
            Output::UserAgent(_) => None,
        }
    }
}

/// What happened at one telephone.
pub struct Happened {
    pub at: Instant,
    pub node: NodeId,
    pub event: Event,
}

/// A network of telephones, and all that happened on it.
pub struct World {
    pub net: Network<Phone>,
    pub log: Vec<Happened>,
    pub below: Vec<(NodeId, Below)>,
    read: usize,
    read_below: usize,
    sockets: Vec<(NodeId, FlowId)>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        World {
            net: Network::new(seed),
            log: Vec::new(),
            below: Vec::new(),
            read: 0,
            read_below: 0,
            sockets: Vec::new(),
        }
    }

    /// A telephone at `192.0.2.n` on UDP port 5060.
    pub fn phone(&mut self, n: u8) -> NodeId {
        self.phone_with(n, |_| {})
    }

    pub fn phone_with(&mut self, n: u8, change: impl FnOnce(&mut UserAgentConfig)) -> NodeId {
        self.phone_on(n, EndpointConfig::default(), change)
    }

    /// A telephone on an endpoint with this configuration.
    pub fn phone_on(&mut self, n: u8, below: EndpointConfig, change: impl FnOnce(&mut UserAgentConfig)) -> NodeId {
        self.phone_as(n, below, change, Phone::Agent)
    }

    /// A telephone of which all that it says and hears is kept.
    pub fn taped(&mut self, n: u8, change: impl FnOnce(&mut UserAgentConfig)) -> NodeId {
        self.phone_as(n, EndpointConfig::default(), change, |agent| Phone::Taped(agent, Vec::new()))
    }

    /// What a taped telephone has said and heard.
    pub fn tape(&mut self, node: NodeId) -> Vec<Heard> {
        match self.net.host(node) {
            Phone::Taped(_, tape) => std::mem::take(tape),
            _ => panic!("not taped"),
        }
    }

    fn phone_as(
        &mut self,
        n: u8,
        below: EndpointConfig,
        change: impl FnOnce(&mut UserAgentConfig),
        phone: impl FnOnce(Box<UserAgent>) -> Phone,
    ) -> NodeId {
        let ip = format!("192.0.2.{n}");
        let mut config = UserAgentConfig::new(format!("<sip:{n}@{ip}>"));
        config.session_timer.interval = None;
        change(&mut config);
        let ua = UserAgent::new(Arc::new(below), Arc::new(config), [n; 32]);
        let node = self.net.add(&ip, phone(Box::new(ua)));
        let socket = self.net.bind(node, Transport::Udp, 5060);
        self.sockets.push((node, socket));
        node
    }

    /// The socket of a telephone.
    pub fn flow_of(&self, node: NodeId) -> FlowId {
        self.sockets.iter().find(|(of, _)| *of == node).map(|(_, socket)| *socket).unwrap()
    }

    /// An endpoint at `192.0.2.n` on UDP port 5060 that the test answers for.
    pub fn raw(&mut self, n: u8) -> NodeId {
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), [n; 32]);
        let node = self.net.add(&format!("192.0.2.{n}"), Phone::Raw(Box::new(endpoint)));
        self.net.bind(node, Transport::Udp, 5060);
        node
    }

    /// A proxy at `192.0.2.n` on UDP port 5060.
    pub fn relay(&mut self, n: u8) -> NodeId {
        let node = self.net.add(&format!("192.0.2.{n}"), Phone::Relay(Box::new(Relay::new(n))));
        self.net.bind(node, Transport::Udp, 5060);
        node
    }

    /// Says where a proxy looks for a user.
    pub fn place(&mut self, relay: NodeId, user: &str, places: &[(&str, Option<Duration>)]) {
        let places = places.iter().map(|(uri, patience)| ((*uri).to_owned(), *patience)).collect();
        self.relay_at(relay).places.insert(user.to_owned(), places);
    }

    pub fn relay_at(&mut self, node: NodeId) -> &mut Relay {
        match self.net.host(node) {
            Phone::Relay(relay) => relay,
            _ => panic!("no proxy"),
        }
    }

    /// Checks what was sent, message by message: `F1 1>9 INVITE` is the first, from `192.0.2.1` to `192.0.2.9`. The numbers are
    /// those of the RFC, for who reads, and not looked at.
    #[track_caller]
    pub fn went(&self, flow: &str) {
        let mut words = flow.split_whitespace().filter(|word| !is_number(word));
        let mut wanted = Vec::new();
        while let (Some(hop), Some(what)) = (words.next(), words.next()) {
            wanted.push(format!("{hop} {what}"));
        }
        let sent = self.sent();
        let same = sent.iter().zip(&wanted).take_while(|(sent, wanted)| sent == wanted).count();
        assert!(
            sent == wanted,
            "message {same}: {:?} in the place of {:?}\n{}\n{}",
            sent.get(same),
            wanted.get(same),
            sent.join("  "),
            self.ladder()
        );
    }

    /// The next request that comes to a raw endpoint.
    #[track_caller]
    pub fn request_at(&mut self, raw: NodeId) -> (ServerTxId, Message) {
        loop {
            while self.read_below < self.below.len() {
                let (node, event) = &self.below[self.read_below];
                self.read_below += 1;
                if let (true, Below::Request { tx, message, .. }) = (*node == raw, event) {
                    return (*tx, Message::clone(message));
                }
            }
            match self.net.next_event() {
                Some((node, output)) => self.note(node, output),
                None => panic!("no request came:\n{}", self.ladder()),
            }
        }
    }

    /// Answers at a raw endpoint; `change` completes the response.
    pub fn respond(
        &mut self,
        raw: NodeId,
        tx: ServerTxId,
        request: &Message,
        code: u16,
        change: impl FnOnce(ResponseBuilder) -> ResponseBuilder,
    ) {
        let now = self.net.now();
        let response = change(Message::response(request, status(code))).to_tag("raw").build().unwrap();
        self.net.host(raw).endpoint().respond(now, tx, response).unwrap();
    }

    /// A request that a raw endpoint sends.
    pub fn send(&mut self, raw: NodeId, request: Message) -> ClientTxId {
        let now = self.net.now();
        self.net.host(raw).endpoint().request(now, request, Destination::route()).unwrap()
    }

    /// The status of the final response to such a request.
    #[track_caller]
    pub fn final_of(&mut self, raw: NodeId, tx: ClientTxId) -> Message {
        loop {
            for (node, event) in &self.below {
                if let Below::Response { tx: of, message, .. } = event {
                    if *node == raw && *of == tx && message.status().unwrap().is_final() {
                        return Message::clone(message);
                    }
                }
            }
            match self.net.next_event() {
                Some((node, output)) => self.note(node, output),
                None => panic!("no response came:\n{}", self.ladder()),
            }
        }
    }

    pub fn now(&self) -> Instant {
        self.net.now()
    }

    /// Gives a command to a telephone.
    pub fn tell<T>(
        &mut self,
        node: NodeId,
        command: impl FnOnce(&mut UserAgentCore, &mut Endpoint, Instant) -> T,
    ) -> T {
        let now = self.net.now();
        let (core, endpoint) = self.net.host(node).agent().parts();
        command(core, endpoint, now)
    }

    /// Calls `192.0.2.to` from `192.0.2.from` with an offer.
    pub fn call(&mut self, from: NodeId, me: u8, to: u8) -> CallHandle {
        self.invite(from, invite(me, to).body(offer()))
    }

    pub fn invite(&mut self, from: NodeId, invite: Invite) -> CallHandle {
        self.tell(from, |core, ep, now| core.invite(ep, now, invite)).unwrap()
    }

    pub fn hang_up(&mut self, node: NodeId, call: CallHandle) {
        self.tell(node, |core, ep, now| core.hang_up(ep, now, call, None)).unwrap();
    }

    pub fn accept(&mut self, node: NodeId, call: CallHandle) -> Result<(), CommandError> {
        self.tell(node, |core, ep, now| core.accept(ep, now, call, Reply::new().body(answer())))
    }

    fn note(&mut self, node: NodeId, output: Output) {
        let at = self.net.now();
        match output {
            Output::UserAgent(event) => self.log.push(Happened { at, node, event }),
            Output::Endpoint(event) => self.below.push((node, event)),
        }
    }

    /// Runs until something happens at `node` that `wanted` takes; what happened before that is passed over.
    #[track_caller]
    pub fn until<T>(&mut self, node: NodeId, wanted: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            while let Some(happened) = self.log.get(self.read) {
                self.read += 1;
                if happened.node == node {
                    if let Some(found) = wanted(&happened.event) {
                        return found;
                    }
                }
            }
            match self.net.next_event() {
                Some((node, output)) => self.note(node, output),
                None => panic!("it never happened; the run so far:\n{}", self.ladder()),
            }
        }
    }

    /// Like [`until`](World::until) for an event of a call.
    #[track_caller]
    pub fn until_call<T>(&mut self, node: NodeId, call: CallHandle, wanted: impl Fn(&CallEvent) -> Option<T>) -> T {
        self.until(node, |event| match event {
            Event::Call { call: of, event } if *of == call => wanted(event),
            _ => None,
        })
    }

    /// The call that comes in at `node` next.
    #[track_caller]
    pub fn incoming(&mut self, node: NodeId) -> CallHandle {
        self.until(node, |event| match event {
            Event::Call { call, event: CallEvent::Incoming { .. } } => Some(*call),
            _ => None,
        })
    }

    /// The next offer that comes to anybody.
    #[track_caller]
    pub fn until_any_offer(&mut self) -> (NodeId, CallHandle) {
        loop {
            while let Some(happened) = self.log.get(self.read) {
                self.read += 1;
                if let Event::Call { call, event: CallEvent::Offer { .. } } = happened.event {
                    return (happened.node, call);
                }
            }
            match self.net.next_event() {
                Some((node, output)) => self.note(node, output),
                None => panic!("no offer came:\n{}", self.ladder()),
            }
        }
    }

    /// Looks at all that has happened once more: [`until`](World::until) begins at the beginning.
    pub fn rewind(&mut self) {
        self.read = 0;
    }

    #[track_caller]
    pub fn until_confirmed(&mut self, node: NodeId, call: CallHandle) {
        self.until_call(node, call, |event| matches!(event, CallEvent::Confirmed { .. }).then_some(()));
    }

    /// The end of a call: looked for among all that has happened, then waited for.
    #[track_caller]
    pub fn end_of(&mut self, node: NodeId, call: CallHandle) -> EndCause {
        self.rewind();
        self.until_call(node, call, |event| match event {
            CallEvent::Ended { cause, .. } => Some(*cause),
            _ => None,
        })
    }

    /// Runs for a while.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.net.now() + time;
        while let Some((node, output)) = self.net.next_event_before(end) {
            self.note(node, output);
        }
    }

    /// A call that stands: made by `a`, accepted by `b`.
    #[track_caller]
    pub fn established(&mut self, a: NodeId, b: NodeId, me: u8, to: u8) -> (CallHandle, CallHandle) {
        let ours = self.call(a, me, to);
        let theirs = self.incoming(b);
        self.accept(b, theirs).unwrap();
        self.until_confirmed(b, theirs);
        (ours, theirs)
    }

    /// Runs to the end of everything and checks that nothing is left, and that each id had exactly one end.
    #[track_caller]
    pub fn finish(mut self) {
        while let Some((node, output)) = self.net.next_event() {
            self.note(node, output);
        }
        for node in self.net.nodes().collect::<Vec<_>>() {
            let (Phone::Agent(agent) | Phone::Taped(agent, _)) = self.net.host(node) else { continue };
            let (idle, census, live) = (agent.is_idle(), agent.census(), agent.endpoint().transactions());
            assert!(idle, "left at {node:?}: {census}transactions: {live}\n{}", self.ladder());
        }
        let mut ended = std::collections::BTreeMap::new();
        for Happened { node, event, .. } in &self.log {
            let (key, over) = match event {
                Event::Call { call, event } => (format!("{node:?} {call}"), matches!(event, CallEvent::Ended { .. })),
                Event::Subscription { subscription, event } => {
                    (format!("{node:?} {subscription}"), matches!(event, sip_dialog::SubscriptionEvent::Ended { .. }))
                }
                Event::Registration { registration, event } => {
                    (format!("{node:?} {registration}"), matches!(event, sip_dialog::RegistrationEvent::Ended { .. }))
                }
                Event::Publication { publication, event } => {
                    (format!("{node:?} {publication}"), matches!(event, sip_dialog::PublicationEvent::Ended { .. }))
                }
                Event::Request { request, event } => {
                    (format!("{node:?} {request}"), matches!(event, sip_dialog::RequestEvent::Ended { .. }))
                }
                _ => continue,
            };
            let was = ended.entry(key.clone()).or_insert(false);
            assert!(!*was, "{key}: an event after its end: {event:?}");
            *was = over;
        }
        for (key, over) in ended {
            assert!(over, "{key} never ended\n{}", self.ladder());
        }
    }

    /// What was sent, as `from>to what`, retransmissions included.
    pub fn sent(&self) -> Vec<String> {
        let last = |at: std::net::SocketAddr| at.ip().to_string().rsplit('.').next().unwrap_or_default().to_owned();
        self.net.trace().iter().map(|sent| format!("{}>{} {}", last(sent.from), last(sent.to), sent.what())).collect()
    }

    /// The messages that were sent.
    pub fn messages(&self) -> Vec<Message> {
        self.net.trace().iter().filter_map(|sent| Message::parse(sent.bytes.clone()).ok()).collect()
    }

    /// The last message sent whose start line begins so.
    #[track_caller]
    pub fn last(&self, title: &str) -> Message {
        let found = self.net.trace().iter().rev().find(|sent| sent.title().starts_with(title));
        Message::parse(found.unwrap_or_else(|| panic!("no {title} was sent:\n{}", self.ladder())).bytes.clone())
            .unwrap()
    }

    pub fn ladder(&self) -> String {
        sim::ladder(self.net.trace())
    }
}

/// The call that comes in next rings.
#[track_caller]
pub fn rung(world: &mut World, node: NodeId) -> CallHandle {
    let call = world.incoming(node);
    world.tell(node, |core, ep, now| core.progress(ep, now, call, Progress::ringing())).unwrap();
    call
}

/// The call that comes in next rings and is answered.
#[track_caller]
pub fn picked_up(world: &mut World, node: NodeId) -> CallHandle {
    let call = rung(world, node);
    settle(world);
    world.accept(node, call).unwrap();
    world.until_confirmed(node, call);
    call
}

/// What has been sent arrives, and is answered.
pub fn settle(world: &mut World) {
    world.run_for(Duration::from_millis(150));
}

/// Whether this is the number of a message, such as `F12`.
fn is_number(word: &str) -> bool {
    word.strip_prefix('F').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

/// An invitation from `192.0.2.me` to `192.0.2.to`.
pub fn invite(me: u8, to: u8) -> Invite {
    Invite::new(origin(me), format!("sip:{to}@192.0.2.{to}"))
}

pub fn origin(me: u8) -> Origin {
    Origin::new(format!("<sip:{me}@192.0.2.{me}>"))
}

pub fn password(realm: &str) -> Credentials {
    Credentials::password(realm, "alice", "secret")
}
