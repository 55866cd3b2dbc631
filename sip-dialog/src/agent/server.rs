//! What comes in: the checks every request passes, whose it is, and the answers this core gives by itself.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use sip_message::headers::Token;
use sip_message::{Capabilities, DialogIds, Fault, FaultKind, Header, Message, Method, ResponseBuilder, StatusCode};
use sip_transaction::{Endpoint, Outcome, Path, ServerTxId};
use smallvec::SmallVec;

use super::{UserAgentCore, is_standalone, status};
use crate::call::callee::Reply;
use crate::codec::wire;
use crate::config::Reliable;
use crate::dialog::Order;
use crate::error::CommandError;
use crate::id::{CallHandle, DialogId, RequestId, SubscriptionId};

/// Whose a server transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// The INVITE that begins a call.
    Invite(CallHandle),
    /// A re-INVITE of the peer.
    Reinvite(CallHandle),
    /// An UPDATE or PRACK of the peer that waits for the host.
    Asked(CallHandle),
    /// A request the host is to answer.
    Request(RequestId),
    /// A SUBSCRIBE or REFER the host is to answer.
    Subscribe(SubscriptionId),
    /// It has been answered.
    Done,
}

/// A server transaction of this core's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) purpose: Served,
    /// Its key among the requests that may come a second time over another way; 0 if it has none.
    pub(crate) merge_key: u64,
}

/// Option tags that Require may name besides those of the host.
//= https://www.rfc-editor.org/rfc/rfc6228#section-11.2
//# When present in a Require or Proxy-Require header field of a request, it
//# indicates that the UAS, or proxies, MUST support the 199 response code.
const EXTENSIONS: [&str; 9] =
    ["100rel", "timer", "replaces", "join", "norefersub", "tdialog", "199", "gruu", "outbound"];

/// Body types that Require handling of: what a user agent of any kind meets.
const METHODS: [&str; 12] =
    ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE"];

impl UserAgentCore {
    /// Begins a response: Server is on it, the tag is the transaction's.
    pub(crate) fn response(
        &self,
        ep: &Endpoint,
        tx: ServerTxId,
        request: &Message,
        status: StatusCode,
    ) -> ResponseBuilder {
        self.tagged_response(ep, tx, request, status).lines(&self.server_line)
    }

    /// Begins a response with nothing on it but the transaction's tag.
    fn tagged_response(&self, ep: &Endpoint, tx: ServerTxId, request: &Message, status: StatusCode) -> ResponseBuilder {
        let builder = Message::response(request, status);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
        //# The same tag MUST be used for all responses to that request, both final
        //# and provisional (again excepting the 100 (Trying)).
        match ep.local_tag(tx) {
            Some(tag) => builder.to_tag(tag.as_str()),
            // The transaction is gone, and so will be the response.
            None => builder.to_tag("0"),
        }
    }

    /// Begins a response that makes a dialog: with the Record-Route of the request, our Contact, and the methods we take; if it `accepts`, with
    /// the extensions, too.
    pub(crate) fn dialog_response(
        &self,
        ep: &Endpoint,
        tx: ServerTxId,
        request: &Message,
        status: StatusCode,
        contact: &Arc<str>,
        accepts: bool,
    ) -> ResponseBuilder {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
        //# When a UAS responds to a request with a response that establishes a
        //# dialog (such as a 2xx to INVITE), the UAS MUST copy all Record-Route
        //# header field values from the request into the response (including the
        //# URIs, URI parameters, and any Record-Route header field parameters,
        //# whether they are known or unknown to the UAS) and MUST maintain the
        //# order of those values.
        let builder = self.tagged_response(ep, tx, request, status).copy_all(request, Header::RecordRoute);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
        //# The UAS MUST add a Contact header field to the response.
        match (self.own_contact(contact), accepts) {
            (Some(_), false) => builder.lines(&self.progress_lines),
            (Some(_), true) => builder.lines(&self.accept_lines),
            (None, _) => {
                let told = if accepts { &self.ability_lines } else { &self.allow_line };
                builder.lines(&self.server_line).text(Header::Contact, contact).lines(told)
            }
        }
    }

    /// Sends a response made from a builder. What cannot be built or sent is dropped: the transaction layer answers for it in
    /// time.
    pub(crate) fn finish(&mut self, ep: &mut Endpoint, tx: ServerTxId, builder: ResponseBuilder) -> bool {
        match builder.build() {
            Ok(response) => ep.respond(self.now, tx, response).is_ok(),
            Err(_) => false,
        }
    }

    /// Answers as the host has it. Whatever is wrong with that, nothing has been sent.
    pub(crate) fn answer_as(
        &self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        request: &Message,
        code: StatusCode,
        reply: Reply,
    ) -> Result<(), CommandError> {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.16
        //# Responses with this status code MUST contain a Require header field
        //# listing the required extensions.
        if code.code() == 421 && !reply.headers.has(Header::Require) {
            return Err(CommandError::BadStatus);
        }
        let response = reply.on_response(self.response(ep, tx, request, code)).build()?;
        ep.respond(self.now, tx, response).map_err(|error| error.kind)?;
        Ok(())
    }

    /// Answers with a status and nothing more, but for the Retry-After of a 503.
    pub(crate) fn reply(&mut self, ep: &mut Endpoint, tx: ServerTxId, request: &Message, status: StatusCode) {
        let product = self.config.product.as_str();
        let theirs = ep.config().product.as_str();
        if product.is_empty() || theirs == product {
            let _ = ep.reply(self.now, tx, request, status);
        } else if theirs.is_empty() {
            let _ = ep.reply_with(self.now, tx, request, status, &[(Header::Server, product)]);
        } else {
            let mut builder = self.response(ep, tx, request, status);
            if status == StatusCode::SERVICE_UNAVAILABLE {
                let (least, most) = ep.config().limits.retry_after;
                let range = most.saturating_sub(least).saturating_add(1).max(1);
                builder = builder.header(Header::RetryAfter, least.saturating_add(self.random() % range));
            }
            if !self.finish(ep, tx, builder) {
                // A field that is wrong is wrong in the response, too: a builder takes none, as it came it is what the peer can match.
                let _ = ep.reply(self.now, tx, request, status);
            }
        }
    }

    /// Answers 500 with a Retry-After between 0 and 10 seconds.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
    //# A UAS that receives a second INVITE before it sends the final response
    //# to a first INVITE with a lower CSeq sequence number on the same dialog
    //# MUST return a 500 (Server Internal Error) response to the second INVITE
    //# and MUST include a Retry-After header field with a randomly chosen value
    //# of between 0 and 10 seconds.
    //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
    //# A UAS that receives an UPDATE before it has generated a final response
    //# to a previous UPDATE on the same dialog MUST return a 500 response to
    //# the new UPDATE, and MUST include a Retry-After header field with a
    //# randomly chosen value between 0 and 10 seconds.
    pub(crate) fn reply_later(&mut self, ep: &mut Endpoint, tx: ServerTxId, request: &Message) {
        let seconds = self.random() % 11;
        let builder = self.response(ep, tx, request, StatusCode::SERVER_INTERNAL_ERROR);
        self.finish(ep, tx, builder.header(Header::RetryAfter, seconds));
    }

    pub(crate) fn serve(&mut self, tx: ServerTxId, purpose: Served) {
        self.servers
            .entry(tx)
            .and_modify(|server| server.purpose = purpose)
            .or_insert(Server { purpose, merge_key: 0 });
    }

    /// A request that is this core's.
    pub(crate) fn on_request(&mut self, ep: &mut Endpoint, tx: ServerTxId, path: Path, message: Box<Message>) {
        self.serve(tx, Served::Done);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.1
        //# Once a request is authenticated (or authentication is skipped), the UAS
        //# MUST inspect the method of the request.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2
        //# If a UAS does not understand a header field in a request (that is, the
        //# header field is not defined in this specification or in any supported
        //# extension), the server MUST ignore that header field and continue
        //# processing the message.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2
        //# If a request is accepted, all state changes associated with it MUST be
        //# performed.
        let Some(method) = message.method() else { return };
        // No state is changed by a request that is refused here.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2
        //# If it is rejected, all state changes MUST NOT be performed.
        if let Err(status) = self.check(ep, tx, &message) {
            if let Some(status) = status {
                self.reply(ep, tx, &message, status);
            }
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc3891#section-3
        //# If more than one Replaces header field is present in an INVITE, or if a
        //# Replaces header field is present in a request other than INVITE, the UAS
        //# MUST reject the request with a 400 Bad Request response.
        if method != Method::Invite && (message.has(Header::Replaces) || message.has(Header::Join)) {
            return self.reply(ep, tx, &message, StatusCode::BAD_REQUEST);
        }
        let Ok(ids) = message.dialog_ids() else {
            return self.reply(ep, tx, &message, StatusCode::BAD_REQUEST);
        };
        // One that matches comes from the transaction layer as an event of its own.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
        //# If the UAS did not find a matching transaction for the CANCEL
        //# according to the procedure above, it SHOULD respond to the CANCEL
        //# with a 481 (Call Leg/Transaction Does Not Exist).
        if method == Method::Cancel {
            return self.reply(ep, tx, &message, status(481));
        }
        if ids.to_tag.is_some() {
            match self.dialog_of_ids(&ids) {
                Some(dialog) => self.in_dialog(ep, tx, path, dialog, message),
                None if method == Method::Notify => self.on_notify_outside(ep, tx, path, message),
                //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
                //# If the UAS wishes to reject the request because it does not wish to
                //# recreate the dialog, it MUST respond to the request with a 481
                //# (Call/Transaction Does Not Exist) status code and pass that to the
                //# server transaction.
                //= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
                //# If the BYE does not match an existing dialog, the UAS core SHOULD
                //# generate a 481 (Call/Transaction Does Not Exist) response and pass that
                //# to the server transaction.
                None if method == Method::Prack => self.on_late_prack(ep, tx, message),
                None => self.reply(ep, tx, &message, status(481)),
            }
            return;
        }
        if self.refused_scheme(ep, tx, &message) {
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.2
        //# If the request has no tag in the To header field, the UAS core MUST
        //# check the request against ongoing transactions.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.2
        //# If the From tag, Call-ID, and CSeq exactly match those associated with
        //# an ongoing transaction, but the request does not match that transaction
        //# (based on the matching rules in Section 17.2.3), the UAS core SHOULD
        //# generate a 482 (Loop Detected) response and pass it to the server
        //# transaction.
        let key = self.merge_key(&message, &ids);
        if self.merged.contains_key(&key) {
            return self.reply(ep, tx, &message, status(482));
        }
        self.merged.insert(key, tx);
        if let Some(server) = self.servers.get_mut(&tx) {
            server.merge_key = key;
        }
        if self.config.limits.queued_events.is_some_and(|limit| self.events.len() >= limit) {
            return self.reply(ep, tx, &message, StatusCode::SERVICE_UNAVAILABLE);
        }
        match method {
            Method::Invite => self.on_invite(ep, tx, path, message),
            Method::Subscribe => self.on_subscribe(ep, tx, path, None, message),
            Method::Refer => self.on_refer(ep, tx, path, None, message),
            Method::Notify => self.on_notify_outside(ep, tx, path, message),
            Method::Options => self.on_options(ep, tx, message),
            // Outside of a dialog these mean nothing.
            Method::Bye | Method::Update | Method::Prack | Method::Info => {
                self.reply(ep, tx, &message, status(481));
            }
            _ => self.on_standalone(ep, tx, message, None),
        }
    }

    fn merge_key(&self, message: &Message, ids: &DialogIds<'_>) -> u64 {
        let cseq = message.cseq().map_or((0, ""), |cseq| (cseq.number, cseq.method.as_str()));
        // The number is less than a word, so that small bytes in it end no part.
        let key = self.hash(&[ids.call_id, ids.from_tag.unwrap_or_default(), &cseq.0.to_be_bytes(), cseq.1.as_bytes()]);
        key.max(1)
    }

    /// The extensions we take.
    fn extensions(&self) -> SmallVec<[&str; 16]> {
        let mut extensions: SmallVec<[&str; 16]> = SmallVec::from_slice(&EXTENSIONS);
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        //# If the UAS is unwilling to do so, it MUST reject the initial request
        //# with a 420 (Bad Extension) and include an Unsupported header field
        //# containing the option tag 100rel.
        if self.config.reliable == Reliable::Never {
            extensions.retain(|tag| *tag != "100rel");
        }
        extensions.extend(self.config.extensions.iter().map(String::as_str));
        extensions
    }

    /// What is wrong with a request, by what this core takes.
    fn fault_of(&self, message: &Message) -> Option<Fault> {
        // Most ask for nothing, and then it does not matter what there is.
        let extensions = if message.has(Header::Require) { self.extensions() } else { SmallVec::new() };
        let types: SmallVec<[&str; 8]> = match message.has(Header::ContentType) {
            true => self.config.accept.iter().map(String::as_str).collect(),
            false => SmallVec::new(),
        };
        let accepts = Capabilities {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.2
            //# All SIP implementations MUST support the SIP URI scheme.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.2
            //# Any implementation that supports TLS MUST support the SIPS URI scheme.
            schemes: &["sip", "sips", "tel", "urn"],
            // Methods the host may know are left to it where it takes everything.
            methods: None,
            extensions: &extensions,
            proxy_extensions: None,
            content_types: &types,
            ..Capabilities::COMMON
        };
        message.check_semantics(&accepts).err()
    }

    /// The checks of RFC 3261 section 8.2. `Err(None)`: it has been answered.
    fn check(&mut self, ep: &mut Endpoint, tx: ServerTxId, message: &Message) -> Result<(), Option<StatusCode>> {
        let Some(fault) = self.fault_of(message) else {
            if self.speaks(message) {
                return Ok(());
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.3
            //# If the request contained content with languages not understood by the
            //# UAS, the response MUST contain an Accept-Language header field
            //# indicating the languages understood by the UAS.
            let builder = self.response(ep, tx, message, status(415));
            let builder = builder.header(Header::AcceptLanguage, self.config.languages.join(", "));
            self.finish(ep, tx, builder);
            return Err(None);
        };
        let Some(owed) = fault.status else { return Err(None) };
        let mut builder = self.response(ep, tx, message, owed);
        match fault.kind {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.15
            //# The server MUST include a list of the unsupported extensions in an
            //# Unsupported header field in the response.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
            //# The UAS MUST add an Unsupported header field, and list in it those
            //# options it does not understand amongst those in the Require header field
            //# of the request.
            FaultKind::Extension => {
                let (mut unknown, extensions) = (String::new(), self.extensions());
                for tag in message.values::<Token<'_>>(Header::Require).filter_map(Result::ok) {
                    if !extensions.iter().any(|known| tag == *known) {
                        if !unknown.is_empty() {
                            unknown.push_str(", ");
                        }
                        unknown.push_str(&tag.to_string());
                    }
                }
                builder = builder.header(Header::Unsupported, unknown);
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.6
            //# The response MUST include an Allow header field containing a list of
            //# valid methods for the indicated address.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.1
            //# The UAS MUST also add an Allow header field to the 405 (Method Not
            //# Allowed) response.
            FaultKind::MethodNotAllowed => builder = builder.lines(&self.allow_line),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.3
            //# If the request contained content encodings not understood by the UAS,
            //# the response MUST contain an Accept-Encoding header field listing the
            //# encodings understood by the UAS.
            FaultKind::ContentEncoding => builder = builder.header(Header::AcceptEncoding, "identity"),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.13
            //# The server MUST return a list of acceptable formats using the Accept,
            //# Accept-Encoding, or Accept-Language header field, depending on the
            //# specific problem with the content.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.3
            //# The response MUST contain an Accept header field listing the types of
            //# all bodies it understands, in the event the request contained bodies of
            //# types not supported by the UAS.
            FaultKind::ContentType => builder = builder.header(Header::Accept, self.config.accept.join(", ")),
            _ => return Err(Some(owed)),
        }
        self.finish(ep, tx, builder);
        Err(None)
    }

    /// Whether the body of a request is in a language that is understood, or need not be.
    fn speaks(&self, message: &Message) -> bool {
        let known = &self.config.languages;
        if known.is_empty() || message.body().is_empty() || !message.has(Header::ContentLanguage) {
            return true;
        }
        let optional = message
            .field(Header::ContentDisposition)
            .is_some_and(|value| value.to_ascii_lowercase().windows(17).any(|part| part == b"handling=optional"));
        let understood = |tag: Token<'_>| {
            known.iter().any(|range| {
                let tag = tag.as_str();
                let below = tag.get(range.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
                range == "*" || below && tag.get(..range.len()).is_some_and(|head| head.eq_ignore_ascii_case(range))
            })
        };
        optional || message.values::<Token<'_>>(Header::ContentLanguage).filter_map(Result::ok).any(understood)
    }

    /// A request in one of our dialogs.
    fn in_dialog(&mut self, ep: &mut Endpoint, tx: ServerTxId, path: Path, dialog: DialogId, message: Box<Message>) {
        let Some(method) = message.method() else { return };
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        match entry.dialog.receive(&message) {
            Ok(Order::Next) => {}
            Ok(Order::Late) => return self.reply(ep, tx, &message, StatusCode::SERVER_INTERNAL_ERROR),
            Err(_) => return self.reply(ep, tx, &message, StatusCode::BAD_REQUEST),
        }
        let (call, dying) = (entry.call, entry.dying);
        // BYE ends the call of a dialog, and not the subscriptions in it (RFC 5057 section 4.2).
        let beside = matches!(method, Method::Notify | Method::Subscribe) && !entry.subs.is_empty();
        //= https://www.rfc-editor.org/rfc/rfc6228#section-7
        //# If such a request is received by a UA, it MUST act in the same way as if
        //# it had received the request after sending the final non-2xx response to
        //# the INVITE request, as specified in RFC 3261.
        let ringing = call.and_then(|call| self.calls.get(call)).and_then(|found| found.ringing.as_ref());
        let terminated = ringing.is_some_and(|ringing| ringing.terminated);
        // After that a PRACK may still come for what was sent before (RFC 3262 section 3).
        let late = method == Method::Prack;
        if (dying && method != Method::Bye || terminated) && !late && !beside {
            return self.reply(ep, tx, &message, status(481));
        }
        match (method, call) {
            (Method::Bye, _) => self.on_bye(ep, tx, dialog, call, message),
            (Method::Invite, Some(call)) => self.on_reinvite(ep, tx, dialog, call, message),
            (Method::Update, Some(call)) => self.on_update(ep, tx, dialog, call, message),
            (Method::Prack, Some(call)) => self.on_prack(ep, tx, dialog, call, message),
            (Method::Info, Some(call)) => self.on_info(ep, tx, call, message),
            (Method::Subscribe, _) => self.on_subscribe(ep, tx, path, Some(dialog), message),
            (Method::Notify, _) => self.on_notify(ep, tx, dialog, message),
            (Method::Refer, _) => self.on_refer(ep, tx, path, Some(dialog), message),
            (Method::Options, _) => self.on_options(ep, tx, message),
            (Method::Prack, None) => self.on_late_prack(ep, tx, message),
            (Method::Invite | Method::Update | Method::Info, None) => {
                self.reply(ep, tx, &message, status(481));
            }
            (method, call) if is_standalone(method) => self.on_standalone(ep, tx, message, call),
            _ => {
                let builder = self.response(ep, tx, &message, StatusCode::METHOD_NOT_ALLOWED);
                self.finish(ep, tx, builder.lines(&self.allow_line));
            }
        }
    }

    /// OPTIONS: answered as an INVITE would be (RFC 3261 section 11.2).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-11.2
    //# Allow, Accept, Accept-Encoding, Accept-Language, and Supported header
    //# fields SHOULD be present in a 200 (OK) response to an OPTIONS request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-11
    //# All UAs MUST support the OPTIONS method.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-11.2
    //# The response code chosen MUST be the same that would have been chosen
    //# had the request been an INVITE.
    fn on_options(&mut self, ep: &mut Endpoint, tx: ServerTxId, message: Box<Message>) {
        let full = self.config.limits.calls.is_some_and(|limit| self.calls.len() >= limit);
        let code = if full { StatusCode::BUSY_HERE } else { StatusCode::OK };
        let languages = &self.config.languages;
        let mut builder = self
            .response(ep, tx, &message, code)
            .lines(&self.allow_line)
            .header(Header::Accept, self.config.accept.join(", "))
            .header(Header::AcceptEncoding, "identity")
            .header(Header::AcceptLanguage, if languages.is_empty() { "*".into() } else { languages.join(", ") })
            .header(Header::Supported, &self.supported)
            .header(Header::Contact, &self.contact);
        if !self.config.info_packages.is_empty() {
            builder = builder.lines(&self.packages_line);
        }
        self.finish(ep, tx, builder);
    }

    /// A server transaction is over.
    pub(crate) fn on_served(&mut self, ep: &mut Endpoint, tx: ServerTxId, purpose: Served, outcome: Outcome) {
        match purpose {
            Served::Invite(call) => self.on_invite_served(ep, tx, call, outcome),
            Served::Reinvite(call) => self.on_reinvite_served(ep, tx, call, outcome),
            Served::Asked(call) => self.on_asked_gone(ep, call, tx),
            Served::Request(id) => self.on_request_gone(id, outcome),
            Served::Subscribe(id) => self.on_subscribe_gone(ep, id),
            Served::Done => {}
        }
    }

    /// The methods this crate knows; the host's own come as requests of their own.
    pub(crate) fn knows(method: Method<'_>) -> bool {
        METHODS.contains(&method.as_str())
    }
}

wire!(ids Served { Invite(call) = 0, Reinvite(call) = 1, Asked(call) = 2, Request(id) = 3, Subscribe(id) = 4, Done() = 5 });
wire!(struct Server { purpose, merge_key });
