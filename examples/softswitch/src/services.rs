//! What this server answers itself, as a user agent on the same endpoint: OPTIONS, and the numbers to try a phone with:
//! `echo` (sends media back), `busy` (486) and `ring` (180, and nothing more).

use crate::sdp;
use sip_message::{Contact, Header, Message, Method, ResponseBuilder, StatusCode};
use sip_transaction::{Destination, Endpoint, Event, Instant, Outcome, Path, ServerTxId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Calls with `echo` at once; beyond, it is busy.
const MAX_CALLS: usize = 10_000;
/// A call without a BYE is forgotten after this long, so that those of callers who vanished do not stay.
const LONGEST_CALL: Duration = Duration::from_secs(4 * 3600);

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO";

/// The numbers this server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Echo,
    Busy,
    Ring,
}

/// A dialog with `echo`, by Call-ID and both tags.
type DialogKey = (String, String, String);

struct Call {
    /// The INVITE whose 2xx is being retransmitted until its ACK.
    unacknowledged: Option<ServerTxId>,
    began: Instant,
    /// CSeq of the last request of the caller.
    cseq: u32,
    version: u32,
    /// What a BYE needs.
    bye: Bye,
}

struct Bye {
    target: String,
    route: Vec<String>,
    from: String,
    to: String,
    path: Path,
}

/// The user agent of the server itself.
pub(crate) struct Services {
    /// Hosts whose users these numbers are, in lower case.
    names: Vec<String>,
    /// Advertised host, if there is one.
    advertised: Option<String>,
    calls: BTreeMap<DialogKey, Call>,
    by_invite: BTreeMap<ServerTxId, DialogKey>,
    ages: BTreeSet<(Instant, DialogKey)>,
    /// INVITEs that ring or wait for their end.
    ringing: BTreeMap<ServerTxId, Message>,
}

impl Services {
    pub(crate) fn new(names: Vec<String>, advertised: Option<String>) -> Services {
        Services {
            names,
            advertised,
            calls: BTreeMap::new(),
            by_invite: BTreeMap::new(),
            ages: BTreeSet::new(),
            ringing: BTreeMap::new(),
        }
    }

    /// Takes what is meant for the server itself, and gives the rest back.
    pub(crate) fn handle(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event) -> Option<Event> {
        match event {
            Event::Request { tx, path, message } => match self.number(&message) {
                Some(number) => {
                    self.request(endpoint, now, tx, path, &message, number);
                    None
                }
                None if self.is_for_server(&message) => {
                    options(endpoint, now, tx, &message);
                    None
                }
                None => Some(Event::Request { tx, path, message }),
            },
            Event::Ack { tx, path, message } => {
                let Some(call) = key(&message).and_then(|key| self.calls.get_mut(&key)) else {
                    return Some(Event::Ack { tx, path, message });
                };
                if let Some(invite) = call.unacknowledged.take() {
                    // Too late, if its transaction has ended meanwhile: nothing is being sent then.
                    let _ = endpoint.acknowledge(now, invite);
                    self.by_invite.remove(&invite);
                }
                None
            }
            Event::Cancel { tx, message } => {
                let Some(invite) = self.ringing.remove(&tx) else { return Some(Event::Cancel { tx, message }) };
                answer(endpoint, now, tx, &invite, StatusCode::REQUEST_TERMINATED, |response| response);
                None
            }
            Event::ServerEnded { tx, outcome } => {
                self.ringing.remove(&tx);
                if let Some(key) = self.by_invite.remove(&tx) {
                    if outcome == Outcome::NotAcknowledged {
                        self.hang_up(endpoint, now, &key);
                    }
                }
                Some(event)
            }
            event => Some(event),
        }
    }

    /// Forgets calls that have lasted too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some((began, key)) = self.ages.first().cloned() {
            if began + LONGEST_CALL > now {
                break;
            }
            self.forget(&key);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.ages.first().map(|(began, _)| *began + LONGEST_CALL)
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
    fn is_for_server(&self, message: &Message) -> bool {
        let uri = message.request_uri().and_then(Result::ok);
        let own = uri.as_ref().and_then(|uri| uri.as_sip());
        message.method() == Some(Method::Options)
            && own.is_some_and(|uri| uri.user().is_none() && self.is_own(uri.host_str()))
    }

    fn request(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        tx: ServerTxId,
        path: Path,
        message: &Message,
        number: Number,
    ) {
        let mut plainly = |status| answer(endpoint, now, tx, message, status, |response| response);
        let in_dialog = message.to().is_ok_and(|to| to.tag().is_ok_and(|tag| tag.is_some()));
        match (message.method(), number) {
            (Some(Method::Options), _) if !in_dialog => options(endpoint, now, tx, message),
            (Some(Method::Invite), Number::Busy) => plainly(StatusCode::BUSY_HERE),
            (Some(Method::Invite), Number::Ring) if !in_dialog => {
                plainly(StatusCode::RINGING);
                self.ringing.insert(tx, message.clone());
            }
            (Some(Method::Invite), Number::Echo) if !in_dialog => self.accept(endpoint, now, tx, path, message),
            (_, Number::Echo) if in_dialog => self.within(endpoint, now, tx, path, message),
            (Some(Method::Cancel | Method::Ack | Method::Bye), _) => {
                plainly(StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST)
            }
            _ => answer(endpoint, now, tx, message, StatusCode::METHOD_NOT_ALLOWED, |response| {
                response.header(Header::Allow, ALLOW)
            }),
        }
    }

    fn accept(&mut self, endpoint: &mut Endpoint, now: Instant, tx: ServerTxId, path: Path, message: &Message) {
        let Some(session) = session(message, 1) else {
            return answer(endpoint, now, tx, message, StatusCode::NOT_ACCEPTABLE_HERE, |response| {
                response.header(Header::Warning, "304 softswitch \"echo mirrors plain RTP only\"")
            });
        };
        if self.calls.len() >= MAX_CALLS {
            return answer(endpoint, now, tx, message, StatusCode::BUSY_HERE, |response| response);
        }
        let tag = endpoint.local_tag(tx).map(|tag| tag.as_str().to_owned());
        let (Some(tag), Some(bye)) = (tag, bye(message, path)) else {
            return answer(endpoint, now, tx, message, StatusCode::BAD_REQUEST, |response| response);
        };
        let Some((call_id, remote, _)) = dialog_ids(message) else { return };
        if !self.confirm(endpoint, now, tx, path, message, session) {
            return;
        }
        let key = (call_id, remote, tag.clone());
        let cseq = message.cseq().map_or(0, |cseq| cseq.number);
        let bye = Bye { from: format!("{};tag={tag}", bye.from), ..bye };
        self.ages.insert((now, key.clone()));
        self.by_invite.insert(tx, key.clone());
        self.calls.insert(key, Call { unacknowledged: Some(tx), began: now, cseq, version: 1, bye });
    }

    /// Accepts an INVITE with a 200 that is sent until its ACK comes.
    fn confirm(
        &self,
        endpoint: &mut Endpoint,
        now: Instant,
        tx: ServerTxId,
        path: Path,
        message: &Message,
        session: String,
    ) -> bool {
        let Some(tag) = endpoint.local_tag(tx) else { return false };
        let response = Message::response(message, StatusCode::OK)
            .to_tag(tag.as_str())
            .copy_all(message, Header::RecordRoute)
            .header(Header::Contact, self.contact(path.local, path))
            .header(Header::Allow, ALLOW)
            .body("application/sdp", session)
            .build();
        let sent = response.is_ok_and(|response| endpoint.respond_until_ack(now, tx, response).is_ok());
        if !sent {
            answer(endpoint, now, tx, message, StatusCode::BAD_REQUEST, |response| response);
        }
        sent
    }

    fn within(&mut self, endpoint: &mut Endpoint, now: Instant, tx: ServerTxId, path: Path, message: &Message) {
        let gone = StatusCode::CALL_TRANSACTION_DOES_NOT_EXIST;
        let Some(key) = key(message) else { return answer(endpoint, now, tx, message, gone, |response| response) };
        let Some(call) = self.calls.get_mut(&key) else {
            return answer(endpoint, now, tx, message, gone, |response| response);
        };
        let cseq = message.cseq().map_or(0, |cseq| cseq.number);
        if cseq <= call.cseq {
            return answer(endpoint, now, tx, message, StatusCode::SERVER_INTERNAL_ERROR, |response| response);
        }
        call.cseq = cseq;
        match message.method() {
            Some(Method::Bye) => {
                answer(endpoint, now, tx, message, StatusCode::OK, |response| response);
                self.forget(&key);
            }
            Some(Method::Invite) if call.unacknowledged.is_some() => {
                answer(endpoint, now, tx, message, StatusCode::REQUEST_PENDING, |response| response);
            }
            Some(Method::Invite) => {
                call.version += 1;
                let Some(session) = session(message, call.version) else {
                    return answer(endpoint, now, tx, message, StatusCode::NOT_ACCEPTABLE_HERE, |response| response);
                };
                if self.confirm(endpoint, now, tx, path, message, session) {
                    self.by_invite.insert(tx, key.clone());
                    if let Some(call) = self.calls.get_mut(&key) {
                        call.unacknowledged = Some(tx);
                    }
                }
            }
            Some(Method::Update) if !message.body().is_empty() => {
                call.version += 1;
                let Some(session) = session(message, call.version) else {
                    return answer(endpoint, now, tx, message, StatusCode::NOT_ACCEPTABLE_HERE, |response| response);
                };
                let contact = self.contact(path.local, path);
                answer(endpoint, now, tx, message, StatusCode::OK, |response| {
                    response.header(Header::Contact, contact).body("application/sdp", session)
                });
            }
            Some(Method::Options) => options(endpoint, now, tx, message),
            Some(Method::Update | Method::Info) => {
                answer(endpoint, now, tx, message, StatusCode::OK, |response| response);
            }
            _ => answer(endpoint, now, tx, message, StatusCode::METHOD_NOT_ALLOWED, |response| {
                response.header(Header::Allow, ALLOW)
            }),
        }
    }

    /// The caller never acknowledged: RFC 3261 section 13.3.1.4 wants the session ended.
    fn hang_up(&mut self, endpoint: &mut Endpoint, now: Instant, key: &DialogKey) {
        let Some(call) = self.forget(key) else { return };
        let Bye { target, route, from, to, path } = call.bye;
        let mut request = Message::request(Method::Bye, target)
            .header(Header::MaxForwards, 70)
            .header(Header::From, from)
            .header(Header::To, to)
            .header(Header::CallId, &key.0)
            .header(Header::CSeq, "1 BYE");
        for value in &route {
            request = request.header(Header::Route, value);
        }
        if let Ok(request) = request.build() {
            let to = if path.transport.is_connected() { Destination::flow(path.flow) } else { Destination::route() };
            // If it cannot be sent, the caller is gone: as it seemed.
            let _ = endpoint.request(now, request, to);
        }
    }

    fn forget(&mut self, key: &DialogKey) -> Option<Call> {
        let call = self.calls.remove(key)?;
        self.ages.remove(&(call.began, key.clone()));
        Some(call)
    }

    fn contact(&self, local: SocketAddr, path: Path) -> String {
        let transport = path.transport.via().to_ascii_lowercase();
        let host = match &self.advertised {
            Some(host) => format!("{host}:{}", local.port()),
            None => local.to_string(),
        };
        match path.transport.is_secure() {
            true => format!("<sips:echo@{host};transport={}>", if transport == "wss" { "ws" } else { "tcp" }),
            false => format!("<sip:echo@{host};transport={transport}>"),
        }
    }
}

/// Our side of the session: an answer, or an offer if there was none.
fn session(message: &Message, version: u32) -> Option<String> {
    if message.body().is_empty() {
        return Some(sdp::silent_offer(version));
    }
    let kind = message.field(Header::ContentType)?;
    let kind = kind.split(|&byte| byte == b';').next()?.trim_ascii();
    if !kind.eq_ignore_ascii_case(b"application/sdp") {
        return None;
    }
    sdp::mirror(std::str::from_utf8(message.body()).ok()?, version)
}

/// Call-ID, the caller's tag, and ours if there is one.
fn dialog_ids(message: &Message) -> Option<(String, String, Option<String>)> {
    let call_id = message.call_id().ok()?.to_owned();
    let remote = message.from().ok()?.tag().ok()?.unwrap_or_default().to_owned();
    let local = message.to().ok()?.tag().ok()?.map(str::to_owned);
    Some((call_id, remote, local))
}

fn key(message: &Message) -> Option<DialogKey> {
    let (call_id, remote, local) = dialog_ids(message)?;
    Some((call_id, remote, local?))
}

fn bye(message: &Message, path: Path) -> Option<Bye> {
    let text = |header| Some(std::str::from_utf8(message.field(header)?).ok()?.to_owned());
    let contact = message.contacts().next()?.ok()?;
    let Contact::Address(contact) = contact else { return None };
    let target = contact.uri().ok()?.as_str().to_owned();
    let routes = message.record_routes().filter_map(Result::ok);
    let route = routes.map(|value| format!("<{}>", String::from_utf8_lossy(value.uri_bytes()))).collect();
    Some(Bye { target, route, from: text(Header::To)?, to: text(Header::From)?, path })
}

fn options(endpoint: &mut Endpoint, now: Instant, tx: ServerTxId, message: &Message) {
    answer(endpoint, now, tx, message, StatusCode::OK, |response| {
        response
            .header(Header::Allow, ALLOW)
            .header(Header::Accept, "application/sdp")
            .header(Header::Supported, "path, outbound, gruu")
    });
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
    match add(start()).build().or_else(|_| start().build()) {
        // Refused only if the transaction is over: then nothing is owed.
        Ok(response) => drop(endpoint.respond(now, tx, response)),
        Err(_) => drop(endpoint.abandon(now, tx)),
    }
}
