//! The telephone: what is done with each event of the user agent, with each key, and with the time.

mod calls;
mod setup;

use crate::media::Media;
use crate::net::{FromNet, Net, QUEUE};
use crate::options::{Command, Options};
use crate::report::{Report, Value};
use bytes::Bytes;
use hosting::Sent;
use setup::{both, contact, instance, way_out};
use sip_dialog::{
    Body, CallHandle, CommandError, Credentials, Event, Origin, OutgoingRequest, Output, Owner, Refer, Register,
    RegistrationEnd, RegistrationEvent, RegistrationId, Reply, RequestEvent, RequestId, Subscribe, SubscriptionEnd,
    SubscriptionEvent, SubscriptionId, Tone, UserAgent, UserAgentConfig, sipfrag_status,
};
use sip_message::{Header, Message, StatusCode};
use sip_transaction::{
    Answer, CloseCause, EndpointConfig, Event as Below, FlowId, Input, Instant, SendCause, Transmit, Transport, ladder,
};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// How long a run that is over waits for what the peer may still send.
const LINGER: Duration = Duration::from_millis(600);
/// How long a run that is to end waits for the peers to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long a tone lasts, as INFO says it.
const TONE: Duration = Duration::from_millis(160);

/// How it ended, as the exit code says it.
mod code {
    pub(super) const DONE: u8 = 0;
    pub(super) const TROUBLE: u8 = 1;
    pub(super) const REFUSED: u8 = 3;
    pub(super) const BUSY: u8 = 4;
    pub(super) const UNAUTHORIZED: u8 = 5;
    pub(super) const NO_ANSWER: u8 = 6;
    pub(super) const NOBODY: u8 = 7;
    pub(super) const LOST: u8 = 8;
}

/// Runs the telephone to its end: the exit code. An error is trouble on this host.
pub(crate) async fn run(options: Options, mut keys: mpsc::Receiver<String>) -> Result<u8, String> {
    if let Some(file) = &options.authorities {
        // Better told now than by a call that fails.
        hosting::connector(Some(file)).map_err(|error| format!("--authorities {error}"))?;
    }
    let (net, mut events) = Net::new(options.authorities.clone());
    let mut phone = Phone::new(options, net).await?;
    let mut listens = true;
    phone.begin().await;
    loop {
        phone.pump().await;
        if let Some(code) = phone.finished() {
            phone.farewell();
            return Ok(code);
        }
        let next = phone.next_timeout();
        tokio::select! {
            Some(event) = events.recv() => phone.on_net(event),
            line = keys.recv(), if listens => match line {
                Some(line) => phone.key(line.trim()).await,
                // Whoever gave us no keyboard may still want the call.
                None => listens = false,
            },
            _ = tokio::signal::ctrl_c() => phone.quit(),
            () = tokio::time::sleep_until(next.unwrap_or_else(std::time::Instant::now).into()), if next.is_some() => {
                phone.on_time();
            }
        }
    }
}

/// A call and its sound.
struct Call {
    number: u64,
    media: Media,
    peer: String,
    incoming: bool,
    /// An offer of the peer that waits for somebody to answer the call; `None` once answered.
    waiting: Option<Box<Message>>,
    answered: bool,
    /// Our hold, or its end, is on its way.
    turning: bool,
    /// And is to be turned back as soon as the peer has agreed.
    again: bool,
}

struct Phone {
    ua: UserAgent,
    epoch: std::time::Instant,
    options: Options,
    report: Report,
    net: Net,
    /// To send datagrams. Not tokio's: that refuses to before it has waited once, and the first message would be lost.
    socket: StdUdpSocket,
    /// The flow of the socket.
    datagrams: FlowId,
    sent: Sent,
    local: SocketAddr,
    legs: HashMap<FlowId, mpsc::Sender<Bytes>>,
    domain: String,
    calls: HashMap<CallHandle, Call>,
    /// The call the keys are for, last.
    order: Vec<CallHandle>,
    counted: u32,
    made: u64,
    registration: Option<RegistrationId>,
    subscription: Option<SubscriptionId>,
    request: Option<RequestId>,
    /// Transfers we asked for, and the calls they are of.
    transfers: HashMap<SubscriptionId, CallHandle>,
    /// Realms that our password has been tried for.
    tried: Vec<(Owner, String)>,
    begun: bool,
    code: Option<u8>,
    /// When to do something of our own.
    alarms: Vec<(std::time::Instant, Alarm)>,
    leaving: Option<std::time::Instant>,
    over: Option<std::time::Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alarm {
    HangUp(CallHandle),
    Turn(CallHandle),
    Quit,
}

impl Phone {
    async fn new(options: Options, net: Net) -> Result<Phone, String> {
        let seed = hosting::random_seed()?;
        let ip = match options.bind {
            Some((ip, _)) => ip,
            None => way_out(&options).await?,
        };
        let port = options.bind.map_or(0, |(_, port)| port);
        let taken = |error: std::io::Error| format!("cannot use {ip} port {port}: {error}");
        let (socket, listener) = both(ip, port).await.map_err(taken)?;
        let local = socket.local_addr().map_err(taken)?;
        let receiving = socket.try_clone().and_then(UdpSocket::from_std).map_err(taken)?;
        net.read_datagrams(Arc::new(receiving));
        net.accept(listener);
        let mut endpoint = EndpointConfig::default();
        endpoint.transports = match options.transport {
            Transport::Ws | Transport::Wss => vec![options.transport],
            _ => vec![Transport::Udp, Transport::Tcp, Transport::Tls],
        };
        endpoint.product = concat!("softphone/", env!("CARGO_PKG_VERSION")).into();
        let mut config = UserAgentConfig::new(contact(&options, local, &seed));
        config.product = endpoint.product.clone();
        let domain = options.domain(ip);
        let mut ua = UserAgent::new(Arc::new(endpoint), Arc::new(config), seed);
        if options.ladder {
            ua.parts().1.start_recording();
        }
        let datagrams = ua.parts().1.bind(Transport::Udp, local).map_err(|error| error.to_string())?;
        Ok(Phone {
            ua,
            epoch: std::time::Instant::now(),
            report: Report::new(options.json),
            options,
            net,
            socket,
            datagrams,
            sent: Sent::new(QUEUE),
            local,
            legs: HashMap::new(),
            domain,
            calls: HashMap::new(),
            order: Vec::new(),
            counted: 0,
            made: 0,
            registration: None,
            subscription: None,
            request: None,
            transfers: HashMap::new(),
            tried: Vec::new(),
            begun: false,
            code: None,
            alarms: Vec::new(),
            leaving: None,
            over: None,
        })
    }

    fn now(&self) -> Instant {
        Instant::from_std(self.epoch, std::time::Instant::now())
    }

    /// Our address.
    fn aor(&self) -> String {
        format!("sip:{}@{}", self.options.user, self.domain)
    }

    fn origin(&self) -> Origin {
        let from = match &self.options.display {
            Some(name) => format!("\"{}\" <{}>", name.replace(['"', '\\'], ""), self.aor()),
            None => format!("<{}>", self.aor()),
        };
        let mut origin = Origin::new(from);
        if let Some((host, port)) = &self.options.server {
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            let transport = self.options.transport.via().to_ascii_lowercase();
            origin = origin.route(format!("<sip:{host}{port};transport={transport};lr>"));
        }
        match self.registration {
            Some(registration) => origin.registration(registration),
            None => origin,
        }
    }

    /// What was typed as a URI.
    fn uri(&self, who: &str) -> String {
        crate::options::address(who, &self.domain)
    }

    fn end_with(&mut self, code: u8) {
        self.code.get_or_insert(code);
    }

    fn tell(&self, event: &str, values: &[(&str, Value<'_>)], text: &str) {
        self.report.tell(event, values, text);
    }

    /// A command that was not carried out: told, and true if it was.
    fn done<T>(&mut self, what: &str, result: Result<T, CommandError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.tell(
                    "failed",
                    &[("what", what.into()), ("why", (&error.to_string()).into())],
                    &format!("{what}: {error}"),
                );
                None
            }
        }
    }

    /// Starts what the command line asks for.
    async fn begin(&mut self) {
        let local = self.local.to_string();
        self.tell("listening", &[("address", (&local).into())], &format!("listening on {local}"));
        if !self.options.registers() {
            self.act().await;
            return;
        }
        let now = self.now();
        let mut register = Register::new(self.origin(), format!("sip:{}", self.domain)).expires(self.options.expires);
        if self.options.transport != Transport::Udp {
            // Requests come back over the connection (RFC 5626).
            register = register.instance(instance(&self.aor(), self.local), Some(1));
        }
        let (core, endpoint) = self.ua.parts();
        let registered = core.register(endpoint, now, register);
        match self.done("register", registered) {
            Some(id) => self.registration = Some(id),
            None => self.end_with(code::TROUBLE),
        }
    }

    /// Does the rest of what it asks for: at once, or once registered.
    async fn act(&mut self) {
        self.begun = true;
        let now = self.now();
        match self.options.command.clone() {
            Command::Register | Command::Answer => {}
            Command::Call(who) => {
                if self.call(&who).await.is_none() {
                    self.end_with(code::TROUBLE);
                }
            }
            Command::Message(who, text) => {
                let body = Body::new("text/plain;charset=UTF-8", text);
                self.ask(OutgoingRequest::message(self.origin(), self.uri(&who), body));
            }
            Command::Options(who) => self.ask(OutgoingRequest::options(self.origin(), self.uri(&who))),
            Command::Subscribe(who) => {
                let subscribe = Subscribe::new(self.origin(), self.uri(&who), &self.options.event);
                let subscribe = subscribe.expires(self.options.expires);
                let (core, endpoint) = self.ua.parts();
                let subscribed = core.subscribe(endpoint, now, subscribe);
                match self.done("subscribe", subscribed) {
                    Some(id) => self.subscription = Some(id),
                    None => self.end_with(code::TROUBLE),
                }
            }
        }
        let stays = !matches!(self.options.command, Command::Call(_));
        if let (Some(stay), true) = (self.options.stay, stays && self.options.command != Command::Answer) {
            self.alarms.push((std::time::Instant::now() + stay, Alarm::Quit));
        }
    }

    fn ask(&mut self, request: OutgoingRequest) {
        let now = self.now();
        let (core, endpoint) = self.ua.parts();
        let sent = core.request(endpoint, now, request);
        match self.done("send", sent) {
            Some(id) => self.request = Some(id),
            None => self.end_with(code::TROUBLE),
        }
    }

    /// The call the keys are for.
    fn current(&self) -> Option<CallHandle> {
        self.order.last().copied()
    }

    fn number(&self, call: CallHandle) -> u64 {
        self.calls.get(&call).map_or(0, |call| call.number)
    }

    /// Carries out all that the user agent wants, until it wants nothing more.
    async fn pump(&mut self) {
        loop {
            while let Some(output) = self.ua.poll_event() {
                match output {
                    Output::UserAgent(event) => self.happened(event).await,
                    Output::Endpoint(event) => self.below(event),
                }
            }
            while let Some(transmit) = self.ua.poll_transmit() {
                self.send(transmit);
            }
            let now = self.now();
            if self.ua.poll_timeout().is_none_or(|at| at > now) {
                return;
            }
            self.ua.handle_timeout(now);
        }
    }

    fn input(&mut self, input: Input<'_>) {
        let now = self.now();
        // What is wrong with it is counted and answered below.
        let _ = self.ua.handle_input(now, input);
    }

    fn on_net(&mut self, event: FromNet) {
        match event {
            FromNet::Datagram { remote, bytes } => {
                self.input(Input::Datagram { flow: self.datagrams, remote, bytes: &bytes });
            }
            FromNet::Undelivered(datagram) if datagram.cause == SendCause::Transient => {}
            FromNet::Undelivered(datagram) => {
                let lost = self.sent.lost(&datagram);
                if !lost.is_empty() {
                    let remote = datagram.remote.to_string();
                    self.tell("not delivered", &[("to", (&remote).into())], &format!("nobody at {remote}"));
                }
                for token in lost {
                    self.input(Input::SendFailed { token, cause: datagram.cause });
                }
            }
            FromNet::Accepted { stream, remote } => {
                let Ok(local) = stream.local_addr() else { return };
                if let Ok(flow) = self.ua.parts().1.accept(Transport::Tcp, local, remote) {
                    let outlet = self.net.carry(flow, stream);
                    self.legs.insert(flow, outlet);
                }
            }
            FromNet::Opened { flow, local, outlet } => {
                self.legs.insert(flow, outlet);
                self.input(Input::FlowOpened { flow, local });
            }
            FromNet::Stream { flow, bytes } => self.input(Input::Stream { flow, bytes: &bytes }),
            FromNet::Message { flow, bytes } => self.input(Input::Message { flow, bytes: &bytes }),
            FromNet::Closed { flow, cause } => {
                self.legs.remove(&flow);
                if matches!(cause, CloseCause::Refused | CloseCause::Untrusted | CloseCause::ConnectTimeout) {
                    let why = format!("{cause:?}").to_ascii_lowercase();
                    self.tell("not connected", &[("why", (&why).into())], &format!("cannot connect: {why}"));
                }
                self.input(Input::FlowClosed { flow, cause });
            }
            FromNet::Resolved { query, records } => {
                let answer = records.as_deref().map_or(Answer::Failed, Answer::Records);
                self.input(Input::Resolved { query, answer });
            }
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let Transmit { flow, remote, bytes, token, .. } = transmit;
        if flow == self.datagrams {
            let blocks = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
            let sent = self.socket.send_to(&bytes, remote);
            // It may have failed for a datagram that was sent before (`keep_undelivered`): then it does so once.
            let sent = if sent.as_ref().is_err_and(|error| !blocks(error)) {
                self.socket.send_to(&bytes, remote)
            } else {
                sent
            };
            let Some(token) = token else { return };
            match sent {
                // A full buffer is a loss like any other: it is sent again. What the system refuses is told.
                Err(error) if !blocks(&error) => self.input(Input::SendFailed { token, cause: SendCause::Unreachable }),
                _ => self.sent.note(remote, token, &bytes),
            }
        } else if let Some(outlet) = self.legs.get(&flow) {
            if outlet.try_send(bytes).is_err() {
                // It does not read, or is gone.
                self.legs.remove(&flow);
                self.input(Input::FlowClosed { flow, cause: CloseCause::Local });
            }
        }
    }

    fn below(&mut self, event: Below) {
        match event {
            Below::Connect { flow, transport, remote, server_name } => match hosting::random_seed() {
                Ok(seed) => self.net.connect(flow, transport, remote, server_name, seed),
                Err(_) => self.input(Input::FlowClosed { flow, cause: CloseCause::Refused }),
            },
            Below::Query { query, name, kind } => {
                let out = self.net.sender();
                let id = hosting::random_seed().map_or(0, |seed| u16::from_le_bytes([seed[0], seed[1]]));
                tokio::spawn(async move {
                    let records = hosting::resolve(&name, kind, id).await;
                    // Whoever waits for it has gone with the telephone.
                    let _ = out.send(FromNet::Resolved { query, records }).await;
                });
            }
            Below::FlowEnded { flow, .. } => {
                // What was written to it before it ended.
                while let Some(transmit) = self.ua.poll_transmit() {
                    self.send(transmit);
                }
                self.legs.remove(&flow);
            }
            _ => {}
        }
    }

    async fn happened(&mut self, event: Event) {
        match event {
            Event::Call { call, event } => self.in_call(call, event).await,
            Event::Registration { event, .. } => self.registered(event).await,
            Event::Subscription { subscription, event } => self.subscribed(subscription, event),
            Event::Request { request, event } => self.requested(request, event),
            Event::Challenged { owner, realm, .. } => self.challenged(owner, realm),
            _ => {}
        }
    }

    fn challenged(&mut self, owner: Owner, realm: String) {
        let tried = self.tried.contains(&(owner, realm.clone()));
        let credentials = match (&self.options.password, tried) {
            (Some(password), false) => Some(Credentials::password(&realm, &self.options.user, password)),
            _ => None,
        };
        if credentials.is_none() {
            let why = if tried { "the password is wrong" } else { "a password is needed: --user NAME:PASSWORD" };
            self.tell("unauthorized", &[("realm", (&realm).into())], &format!("{realm}: {why}"));
        }
        self.tried.push((owner, realm));
        let now = self.now();
        let (core, endpoint) = self.ua.parts();
        // Stale if it has ended meanwhile.
        let _ = core.authenticate(endpoint, now, owner, credentials);
    }

    async fn registered(&mut self, event: RegistrationEvent) {
        match event {
            RegistrationEvent::Registered { expires, .. } => {
                let (aor, seconds) = (self.aor(), expires.as_secs());
                let values = [("as", Value::from(&aor)), ("seconds", seconds.into())];
                self.tell("registered", &values, &format!("registered as {aor} for {seconds} s"));
                if !self.begun {
                    self.act().await;
                }
            }
            RegistrationEvent::Refreshed { expires, .. } => {
                let seconds = expires.as_secs();
                self.tell("refreshed", &[("seconds", seconds.into())], &format!("registered again for {seconds} s"));
            }
            RegistrationEvent::Failed { status, retry, .. } => {
                let status = status.code();
                let values = [("status", Value::from(u64::from(status))), ("retry", retry.as_secs().into())];
                let again = retry.as_secs();
                if self.begun {
                    self.tell("not registered", &values, &format!("not registered: {status}; again in {again} s"));
                } else {
                    // A person at the command line would rather know than wait.
                    self.tell("not registered", &values, &format!("not registered: {status}"));
                    self.end_with(code_of(status));
                }
            }
            RegistrationEvent::FlowLost { .. } => self.tell("connection lost", &[], "the connection is lost"),
            RegistrationEvent::Ended { cause, .. } => {
                self.registration = None;
                match cause {
                    RegistrationEnd::Removed => self.tell("unregistered", &[], "unregistered"),
                    RegistrationEnd::Refused(status) => {
                        let status = status.code();
                        let values = [("status", Value::from(u64::from(status)))];
                        self.tell("not registered", &values, &format!("not registered: {status}"));
                        self.end_with(code_of(status));
                    }
                    RegistrationEnd::Unauthorized => {
                        self.tell("not registered", &[("status", 401.into())], "not registered: not authorized");
                        self.end_with(code::UNAUTHORIZED);
                    }
                    _ => {
                        self.tell("not registered", &[], "not registered: the server cannot be reached");
                        self.end_with(code::NOBODY);
                    }
                }
            }
            _ => {}
        }
    }

    fn requested(&mut self, request: RequestId, event: RequestEvent) {
        let now = self.now();
        match event {
            RequestEvent::Incoming { message, .. } => {
                let from = peer(&message);
                let is_message = message.method() == Some(sip_message::Method::Message);
                if is_message {
                    let text = String::from_utf8_lossy(message.body()).into_owned();
                    let values = [("from", Value::from(&from)), ("text", (&text).into())];
                    self.tell("message", &values, &format!("{from} writes: {text}"));
                }
                let (core, endpoint) = self.ua.parts();
                // Stale if it has ended meanwhile.
                let _ = if is_message {
                    core.respond(endpoint, now, request, StatusCode::OK, Reply::new())
                } else {
                    core.unknown_method(endpoint, now, request)
                };
            }
            RequestEvent::Ended { message, status } if self.request == Some(request) => {
                self.request = None;
                let status = status.code();
                let mut values = vec![("status", Value::from(u64::from(status)))];
                let allow = message.as_ref().and_then(|message| text(message, Header::Allow));
                let agent = message
                    .as_ref()
                    .and_then(|message| text(message, Header::UserAgent).or_else(|| text(message, Header::Server)));
                // Without a message nobody has said it: the request has not arrived.
                let outcome = match (status, &message) {
                    (..300, _) => "done",
                    (408, None) => "no answer",
                    (_, None) => "not reached",
                    _ => "refused",
                };
                let mut line = outcome.to_owned();
                line.push_str(&format!(": {status}"));
                for (name, value) in [("allow", &allow), ("product", &agent)] {
                    if let Some(value) = value {
                        values.push((name, value.into()));
                        line.push_str(&format!("\n  {name}: {value}"));
                    }
                }
                self.tell(if status < 300 { "done" } else { "refused" }, &values, &line);
                self.end_with(code_of(status));
            }
            _ => {}
        }
    }

    fn subscribed(&mut self, id: SubscriptionId, event: SubscriptionEvent) {
        let transfer = self.transfers.get(&id).copied();
        match event {
            SubscriptionEvent::Accepted { .. } if transfer.is_none() => {
                self.tell("subscribed", &[], "subscribed");
            }
            SubscriptionEvent::Notify { message, pending } => {
                let body = String::from_utf8_lossy(message.body()).into_owned();
                if let Some(call) = transfer {
                    if let Some(status) = sipfrag_status(message.body()) {
                        self.transfer_report(call, status);
                    }
                    return;
                }
                let state = if pending { "pending" } else { "active" };
                let values = [("state", Value::from(state)), ("body", (&body).into())];
                self.tell("notify", &values, &format!("notified ({state}): {body}"));
            }
            SubscriptionEvent::Incoming { .. } => {
                // A REFER out of the blue: nobody here decides about calls but whoever types.
                let now = self.now();
                let (core, endpoint) = self.ua.parts();
                let _ = core.reject_subscription(endpoint, now, id, StatusCode::FORBIDDEN, Reply::new());
            }
            SubscriptionEvent::Ended { cause, .. } => {
                if self.transfers.remove(&id).is_some() {
                    if let (SubscriptionEnd::Refused(status), Some(call)) = (cause, transfer) {
                        self.transfer_report(call, status);
                    }
                    return;
                }
                if self.subscription != Some(id) {
                    return;
                }
                self.subscription = None;
                let (text, code) = match cause {
                    SubscriptionEnd::Unsubscribed => ("unsubscribed".to_owned(), code::DONE),
                    SubscriptionEnd::Terminated { .. } => ("ended by the other side".to_owned(), code::DONE),
                    SubscriptionEnd::Refused(status) => (format!("refused: {}", status.code()), code_of(status.code())),
                    SubscriptionEnd::Unauthorized => ("not authorized".to_owned(), code::UNAUTHORIZED),
                    SubscriptionEnd::Expired => ("no answer".to_owned(), code::NO_ANSWER),
                    _ => ("lost".to_owned(), code::LOST),
                };
                self.tell("subscription ended", &[("why", (&text).into())], &format!("subscription {text}"));
                self.end_with(code);
            }
            _ => {}
        }
    }

    async fn key(&mut self, line: &str) {
        let now = self.now();
        let (key, rest) = line.split_once(' ').map_or((line, ""), |(key, rest)| (key, rest.trim()));
        match (key, self.current()) {
            ("", _) => {}
            ("?", _) => {
                let keys = crate::options::HELP.split("\n\n").find(|part| part.starts_with("While it runs"));
                self.tell("keys", &[], keys.unwrap_or_default());
            }
            ("q", _) => self.quit(),
            ("a", Some(call)) => self.answer(call),
            ("b" | "e", Some(call)) => self.hang_up(call),
            ("h", Some(call)) => self.turn(call),
            ("d", Some(call)) => {
                for tone in rest.chars().filter_map(Tone::new) {
                    let (core, endpoint) = self.ua.parts();
                    let sent = core.dtmf(endpoint, now, call, tone, TONE);
                    self.done("send the tone", sent);
                }
            }
            ("t", Some(call)) if !rest.is_empty() => {
                let refer = Refer::new(self.uri(rest)).referred_by(format!("<{}>", self.aor()));
                let (core, endpoint) = self.ua.parts();
                let sent = core.refer(endpoint, now, call, refer);
                if let Some(id) = self.done("transfer", sent) {
                    self.transfers.insert(id, call);
                }
            }
            ("c", current) if !rest.is_empty() => {
                if let Some(call) = current {
                    if self.calls.get(&call).is_some_and(|kept| !kept.media.is_held()) {
                        self.turn(call);
                    }
                }
                self.call(rest).await;
            }
            ("j", Some(second)) => match self.order.iter().rev().nth(1).copied() {
                Some(first) => {
                    let (core, endpoint) = self.ua.parts();
                    let sent = core.transfer_to(endpoint, now, first, second);
                    if let Some(id) = self.done("connect both", sent) {
                        self.transfers.insert(id, first);
                    }
                }
                None => self.tell("failed", &[("what", "connect both".into())], "there is one call only"),
            },
            ("a" | "b" | "e" | "h" | "d" | "t" | "j", None) => {
                self.tell("failed", &[("what", key.into())], "there is no call");
            }
            _ => self.tell("failed", &[("what", key.into())], "? lists the keys"),
        }
    }

    /// Ends everything in good order. Asked twice, at once.
    fn quit(&mut self) {
        if self.leaving.is_some() {
            self.over = Some(std::time::Instant::now() - LINGER);
        }
        let waiting = matches!(self.options.command, Command::Call(_) | Command::Message(..) | Command::Options(_));
        if self.calls.is_empty() && waiting && self.code.is_none() {
            self.end_with(code::NO_ANSWER);
        } else if !waiting || self.calls.values().any(|call| call.answered) {
            self.end_with(code::DONE);
        }
        self.leave();
    }

    fn leave(&mut self) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(std::time::Instant::now() + GOODBYE);
        let now = self.now();
        for call in self.order.clone() {
            self.hang_up(call);
        }
        let (core, endpoint) = self.ua.parts();
        if let Some(id) = self.subscription {
            // Stale if it has just ended.
            let _ = core.unsubscribe(endpoint, now, id);
        }
        if let Some(id) = self.registration {
            let _ = core.unregister(endpoint, now, id, false);
        }
    }

    fn on_time(&mut self) {
        let moment = std::time::Instant::now();
        let due: Vec<Alarm> = self.alarms.extract_due(moment);
        for alarm in due {
            match alarm {
                Alarm::HangUp(call) => self.hang_up(call),
                Alarm::Turn(call) => self.turn(call),
                Alarm::Quit => self.quit(),
            }
        }
        let now = self.now();
        self.ua.handle_timeout(now);
    }

    fn next_timeout(&self) -> Option<std::time::Instant> {
        let own = self.alarms.iter().map(|(at, _)| *at);
        let ends = self.over.map(|at| at + LINGER).into_iter().chain(self.leaving);
        own.chain(ends).chain(self.ua.poll_timeout().and_then(|at| at.to_std(self.epoch))).min()
    }

    /// The exit code, once all is said.
    fn finished(&mut self) -> Option<u8> {
        if self.code.is_some() {
            self.leave();
        }
        let patience = self.leaving?;
        let left = !self.calls.is_empty() || self.registration.is_some() || self.subscription.is_some();
        let moment = std::time::Instant::now();
        if !left && self.over.is_none() {
            self.over = Some(moment);
        }
        // What was said last is still on its way, and the peer may ask for it again.
        let quiet = self.over.is_some_and(|at| moment >= at + LINGER);
        (quiet || moment >= patience).then(|| self.code.unwrap_or(code::NO_ANSWER))
    }

    fn farewell(&mut self) {
        if let Some(recording) = self.ua.parts().1.take_recording() {
            self.report.draw(&ladder(&recording));
        }
    }
}

/// Takes what is due.
trait Due {
    fn extract_due(&mut self, moment: std::time::Instant) -> Vec<Alarm>;
}

impl Due for Vec<(std::time::Instant, Alarm)> {
    fn extract_due(&mut self, moment: std::time::Instant) -> Vec<Alarm> {
        let due = self.iter().filter(|(at, _)| *at <= moment).map(|(_, alarm)| *alarm).collect();
        self.retain(|(at, _)| *at > moment);
        due
    }
}

fn code_of(status: u16) -> u8 {
    match status {
        200..=299 => code::DONE,
        401 | 403 | 407 => code::UNAUTHORIZED,
        404 | 410 | 430 | 480 | 484 | 502..=504 | 604 => code::NOBODY,
        408 | 487 => code::NO_ANSWER,
        486 | 600 => code::BUSY,
        _ => code::REFUSED,
    }
}

fn text(message: &Message, header: Header) -> Option<String> {
    message.field(header).map(|value| String::from_utf8_lossy(value).trim().to_owned())
}

/// Who sent a request.
fn peer(message: &Message) -> String {
    message.from().map_or_else(|_| "somebody".into(), |from| String::from_utf8_lossy(from.uri_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_is_a_uuid_and_stays() {
        let at = |port| instance("sip:alice@example.com", SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(at(5060), at(5060));
        assert_ne!(at(5060), at(5061));
        assert_eq!(at(5060).len(), "urn:uuid:".len() + 36);
    }

    #[test]
    fn the_exit_code_tells_how_it_went() {
        let codes = [200, 401, 404, 408, 486, 488, 503].map(code_of);
        assert_eq!(codes, [0, 5, 7, 6, 4, 3, 7]);
    }
}
