//! Requests of their own, in and out: MESSAGE (RFC 3428), OPTIONS (RFC 3261 section 11), and whatever the host knows.

use alloc::boxed::Box;
use alloc::string::String;
use sip_message::{Header, Message, Method, StatusCode};
use sip_transaction::{Endpoint, Instant, Outcome, ServerTxId};

use crate::agent::client::{Final, Purpose};
use crate::agent::server::Served;
use crate::agent::{ALLOW, UserAgentCore, status};
use crate::body::Body;
use crate::call::callee::Reply;
use crate::codec::wire;
use crate::error::CommandError;
use crate::event::{Event, RequestEvent};
use crate::id::{CallHandle, RequestId};
use crate::origin::{ExtraHeaders, Origin, takes_headers};

/// A request that stands for itself.
#[derive(Debug)]
pub(crate) struct Standalone {
    /// For one that came in: its transaction and itself.
    incoming: Option<(ServerTxId, Box<Message>)>,
}

impl Standalone {
    pub(crate) fn out() -> Self {
        Standalone { incoming: None }
    }
}

/// A request to send outside of any dialog.
///
/// ```
/// use sip_dialog::{Body, Origin, OutgoingRequest};
/// let alice = Origin::new("<sip:alice@atlanta.com>");
/// let hello = OutgoingRequest::message(alice, "sip:bob@biloxi.com", Body::new("text/plain", "Hello"));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct OutgoingRequest {
    pub(crate) origin: Origin,
    pub(crate) target: String,
    pub(crate) method: String,
    pub(crate) body: Option<Body>,
    pub(crate) headers: ExtraHeaders,
}

impl OutgoingRequest {
    /// A request of any method that makes no dialog.
    pub fn new(origin: Origin, method: Method<'_>, target: impl Into<String>) -> Self {
        OutgoingRequest {
            origin,
            target: target.into(),
            method: method.as_str().into(),
            body: None,
            headers: ExtraHeaders::new(),
        }
    }

    /// A MESSAGE (RFC 3428).
    //= https://www.rfc-editor.org/rfc/rfc3428#section-4
    //# All UACs which support the MESSAGE method MUST be prepared to send
    //# MESSAGE requests with a body of type text/plain.
    pub fn message(origin: Origin, target: impl Into<String>, body: Body) -> Self {
        OutgoingRequest::new(origin, Method::Message, target).body(body)
    }

    /// OPTIONS: what the peer can do (RFC 3261 section 11).
    pub fn options(origin: Origin, target: impl Into<String>) -> Self {
        OutgoingRequest::new(origin, Method::Options, target).header("Accept", "application/sdp")
    }

    /// Asks a registrar, the URI of a domain, which bindings the address-of-record of `origin` has: a REGISTER without Contact, which
    /// changes nothing. The Contact fields of the 200 list them.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.3
    //# If no Contact header field is present in a REGISTER request, the list of
    //# bindings is left unchanged.
    pub fn bindings(origin: Origin, registrar: impl Into<String>) -> Self {
        OutgoingRequest::new(origin, Method::Register, crate::registration::domain_of(registrar.into()))
    }

    /// The body.
    pub fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }
}

takes_headers!(OutgoingRequest);

impl UserAgentCore {
    /// Sends a request outside of any dialog. Its outcome comes as [`RequestEvent`]s with the id returned here.
    ///
    /// # Errors
    ///
    /// The method is one that has a command of its own; a MESSAGE has Contact; too many requests are pending; a value is malformed; the next hop
    /// cannot be reached.
    pub fn request(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        request: OutgoingRequest,
    ) -> Result<RequestId, CommandError> {
        self.advance(now);
        if self.config.limits.requests.is_some_and(|limit| self.requests.len() >= limit) {
            return Err(CommandError::Full);
        }
        let method = Method::parse(request.method.as_bytes()).ok_or(CommandError::NotSupported)?;
        // A REGISTER may ask here; those that bind are kept up, and have a command of their own.
        let asks = method == Method::Register && !request.headers.has(Header::Contact);
        if UserAgentCore::knows(method) && !matches!(method, Method::Message | Method::Options)
            || method == Method::Register && !asks
        {
            return Err(CommandError::NotSupported);
        }
        if method == Method::Message && request.headers.has(Header::Contact) {
            return Err(CommandError::HeaderNotAllowed);
        }
        let way = self.way_to(&request.origin, &request.target);
        let to = asks.then_some(request.origin.from.as_str());
        let (mut builder, _) = self.outside(method, &request.origin, &way, &request.target, to)?;
        //= https://www.rfc-editor.org/rfc/rfc3428#section-4
        //# MESSAGE requests do not initiate dialogs.  User Agents MUST NOT
        //# insert Contact header fields into MESSAGE requests.
        if method != Method::Message && !asks {
            builder = builder.header(Header::Contact, &way.contact).lines(&self.allow_line);
        }
        builder = request.headers.on_request(self.dress(builder));
        if let Some(body) = request.body {
            builder = body.on_request(builder);
        }
        let message = builder.build_boxed()?;
        let id = self.requests.insert(Standalone::out()).ok_or(CommandError::Full)?;
        match self.send(ep, message, way.over(), Purpose::Request(id), None, way.auth) {
            Ok(_) => Ok(id),
            Err(error) => {
                self.requests.remove(id);
                Err(error)
            }
        }
    }

    pub(crate) fn on_request_provisional(&mut self, id: RequestId, message: Box<Message>) {
        if self.requests.contains(id) {
            self.emit(Event::Request { request: id, event: RequestEvent::Provisional { message } });
        }
    }

    pub(crate) fn on_request_done(&mut self, id: RequestId, outcome: Final) {
        if self.requests.remove(id).is_some() {
            let event = RequestEvent::Ended { message: outcome.response, status: outcome.status };
            self.emit(Event::Request { request: id, event });
        }
    }

    /// A request that is the host's to answer.
    pub(crate) fn on_standalone(
        &mut self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        message: Box<Message>,
        call: Option<CallHandle>,
    ) {
        if self.config.limits.requests.is_some_and(|limit| self.requests.len() >= limit) {
            return self.reply(ep, tx, &message, StatusCode::SERVICE_UNAVAILABLE);
        }
        let standalone = Standalone { incoming: Some((tx, message.clone())) };
        let Some(id) = self.requests.insert(standalone) else {
            return self.reply(ep, tx, &message, StatusCode::SERVICE_UNAVAILABLE);
        };
        self.serve(tx, Served::Request(id));
        self.emit(Event::Request { request: id, event: RequestEvent::Incoming { message, call } });
    }

    /// Answers a request that came in: with a final status; the id is stale after that.
    ///
    /// A method the host does not know is answered with [`unknown_method`](UserAgentCore::unknown_method).
    ///
    /// # Errors
    ///
    /// The id is stale or of a request that was sent; the status is provisional; a value is malformed; a 2xx to MESSAGE has a body or
    /// Contact.
    pub fn respond(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: RequestId,
        code: StatusCode,
        reply: Reply,
    ) -> Result<(), CommandError> {
        self.advance(now);
        if !code.is_final() {
            return Err(CommandError::BadStatus);
        }
        let found = self.requests.get(id).ok_or(CommandError::Unknown)?;
        let Some((tx, request)) = &found.incoming else { return Err(CommandError::WrongState) };
        let tx = *tx;
        //= https://www.rfc-editor.org/rfc/rfc3428#section-7
        //# A 2xx response to a MESSAGE request MUST NOT contain a body.
        if code.is_success() && reply.body.is_some() && request.method() == Some(Method::Message) {
            return Err(CommandError::BodyNotAllowed);
        }
        //= https://www.rfc-editor.org/rfc/rfc3428#section-7
        //# A UAS MUST NOT insert a Contact header field into a 2xx response.
        if code.is_success() && reply.headers.has(Header::Contact) && request.method() == Some(Method::Message) {
            return Err(CommandError::HeaderNotAllowed);
        }
        self.answer_as(ep, tx, request, code, reply)?;
        self.requests.remove(id);
        self.serve(tx, Served::Done);
        self.emit(Event::Request { request: id, event: RequestEvent::Ended { message: None, status: code } });
        Ok(())
    }

    /// Answers a request whose method the host does not serve, with Allow: 405, or 501 if it is none this crate has ever heard of.
    ///
    /// # Errors
    ///
    /// As [`respond`](UserAgentCore::respond).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.1
    //# If the UAS recognizes but does not support the method of a request, it
    //# MUST generate a 405 (Method Not Allowed) response.
    pub fn unknown_method(&mut self, ep: &mut Endpoint, now: Instant, id: RequestId) -> Result<(), CommandError> {
        let asked = self.requests.get(id).and_then(|found| found.incoming.as_ref()?.1.method());
        //= https://www.rfc-editor.org/rfc/rfc3261#section-21.5.2
        //# This is the appropriate response when a UAS does not recognize the
        //# request method and is not capable of supporting it for any user.
        let code = match asked {
            Some(Method::Other(_)) => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        self.respond(ep, now, id, code, Reply::new().header("Allow", ALLOW))
    }

    /// The transaction of a request that waits for the host ended.
    pub(crate) fn on_request_gone(&mut self, id: RequestId, outcome: Outcome) {
        if self.requests.remove(id).is_some() {
            let status = if outcome == Outcome::Unanswered { status(408) } else { status(503) };
            self.emit(Event::Request { request: id, event: RequestEvent::Ended { message: None, status } });
        }
    }
}

wire!(struct Standalone { incoming });
