//! REFER (RFC 3515): transfer of calls (RFC 5589), as transferor and as transferee, with and without the implicit
//! subscription (RFC 4488), Referred-By (RFC 3892).
//!
//! The transferor's [`SubscriptionId`] tells how the transfer goes: each NOTIFY has a status line, which [`sipfrag_status`] reads. The
//! transferee accepts a REFER, makes the call with [`Invite::of_refer`](crate::Invite::of_refer) and
//! [`for_refer`](crate::Invite::for_refer), and this module reports on that call by itself.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use sip_message::body::{BodyPart, MultipartBody, MultipartBuilder};
use sip_message::headers::{ReferSub, ReferredBy, Replaces, TargetDialog};
use sip_message::{BuildError, FieldValue as _, Header, HeaderName, Message, Method, NameAddr, StatusCode};
use sip_transaction::{Endpoint, Instant, Path, ServerTxId};

use crate::agent::UserAgentCore;
use crate::agent::client::Purpose;
use crate::agent::status;
use crate::body::Body;
use crate::call::CallState;
use crate::call::caller::without_headers;
use crate::call::peer::Peer;
use crate::deadlines::Deadline;
use crate::error::CommandError;
use crate::event::{CallEvent, EndCause, SubscriptionEnd, SubscriptionEvent};
use crate::id::{CallHandle, DialogId, SubscriptionId};
use crate::origin::{ExtraHeaders, Origin, takes_headers};
use crate::subscription::{Side, State, Subscription, Termination};

/// How long reports on a referred call may take, in seconds.
const REPORT: u32 = 300;
/// How many parts of a body are looked at for a token.
const PARTS: usize = 16;

/// A REFER to send.
#[derive(Clone, Debug)]
#[must_use]
pub struct Refer {
    to: String,
    referred_by: Option<String>,
    suppress: bool,
    headers: ExtraHeaders,
    body: Option<Body>,
}

impl Refer {
    /// Asks the peer to call `to`, a URI.
    pub fn new(to: impl Into<String>) -> Self {
        Refer { to: to.into(), referred_by: None, suppress: false, headers: ExtraHeaders::new(), body: None }
    }

    /// The value of Referred-By: who asks, for the target to see (RFC 3892).
    pub fn referred_by(mut self, value: impl Into<String>) -> Self {
        self.referred_by = Some(value.into());
        self
    }

    /// Asks for no reports (RFC 4488).
    pub fn without_reports(mut self) -> Self {
        self.suppress = true;
        self
    }

    /// The body: a multipart with the Referred-By token that the value of Referred-By names (RFC 3892 section 4), whose making is the
    /// host's.
    pub fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    fn on(&self, builder: sip_message::RequestBuilder) -> sip_message::RequestBuilder {
        //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.1
        //# A REFER request MUST contain exactly one Refer-To header field value.
        let mut builder = builder.header(Header::ReferTo, format!("<{}>", self.to));
        //= https://www.rfc-editor.org/rfc/rfc3892#section-2.1
        //# A REFER request MUST NOT contain more than one Referred-By header field
        //# value.
        if let Some(by) = &self.referred_by {
            builder = builder.header(Header::ReferredBy, by);
        }
        if self.suppress {
            builder = builder.header(Header::ReferSub, "false");
        }
        builder = self.headers.on_request(builder);
        match &self.body {
            Some(body) => body.clone().on_request(builder),
            None => builder,
        }
    }
}

takes_headers!(Refer);

/// The token that Referred-By names: a part of the body of the REFER, which goes into the body of the INVITE as it is.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    content_type: String,
    fields: Vec<(String, String)>,
    bytes: bytes::Bytes,
}

impl Token {
    //= https://www.rfc-editor.org/rfc/rfc3892#section-3
    //# The double-quotes surrounding the
    //# sip-clean-msg-id MUST be replaced with left and right angle brackets
    //# to derive the Content-ID used in the message's MIME body.
    // A part with a field that cannot be written again as it is makes none: it would not be what was signed.
    pub(crate) fn of(refer: &Message) -> Option<Self> {
        let by = refer.value::<ReferredBy<'_>>(Header::ReferredBy).ok()??;
        let cid = format!("<{}>", by.cid().ok()??);
        let whole = refer.whole_body()?;
        let is = |part: &BodyPart<'_>| part.field("Content-ID") == Some(cid.as_bytes());
        let part = match is(&whole) {
            true => whole,
            false => whole.multipart().ok()??.take(PARTS).filter_map(Result::ok).find(is)?,
        };
        let text = |value: &[u8]| core::str::from_utf8(value).ok().map(String::from);
        let mut fields: Vec<_> = part
            .fields()
            .filter(|field| field.name() != HeaderName::Known(Header::ContentType))
            .map(|field| Some((String::from(field.name_as_written()), text(field.value())?)))
            .collect::<Option<_>>()?;
        if fields.is_empty() {
            fields.push((String::from("Content-ID"), cid.clone()));
        }
        let content_type = text(part.field(Header::ContentType)?)?;
        Some(Token { content_type, fields, bytes: bytes::Bytes::copy_from_slice(part.body()) })
    }

    /// The body of the INVITE: the host's, if it has one, and the token.
    pub(crate) fn beside(self, body: Option<Body>) -> Result<Body, BuildError> {
        let mut parts = MultipartBuilder::mixed();
        if let Some(Body { content_type, disposition, bytes }) = body {
            parts = parts.part(content_type, bytes);
            if let Some(disposition) = disposition {
                parts = parts.field(Header::ContentDisposition, disposition);
            }
        }
        parts = parts.part(self.content_type, self.bytes);
        for (name, value) in &self.fields {
            parts = parts.field(name.as_str(), value);
        }
        let MultipartBody { content_type, body } = parts.build()?;
        Ok(Body::new(content_type, body))
    }
}

/// The status in a report on a transfer: that of the status line a `message/sipfrag` body begins with.
///
/// ```
/// let status = sip_dialog::sipfrag_status(b"SIP/2.0 180 Ringing\r\n").map(|status| status.code());
/// assert_eq!(status, Some(180));
/// ```
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.5
//# The body of a NOTIFY MUST begin with a SIP Response Status-Line as
//# defined in [1].
pub fn sipfrag_status(body: &[u8]) -> Option<StatusCode> {
    let code = body.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
    core::str::from_utf8(code).ok()?.parse().ok().and_then(StatusCode::new)
}

/// The value of a Replaces field that takes the place of the transferee in the call it was asked to make, from a report that names
/// that call ([`reporting_dialog`](crate::Invite::reporting_dialog)): for an INVITE to the URI that comes with it, the Contact of the
/// far end. `None` if the report does not name it, or tells of no success.
///
/// This is how a call that was parked, or sent to listen to music, is fetched back (RFC 5359 sections 2.3 and 2.15).
pub fn sipfrag_replaces(body: &[u8]) -> Option<(String, String)> {
    sipfrag_status(body).filter(|status| status.is_success())?;
    let fragment = Message::parse(bytes::Bytes::copy_from_slice(body)).ok()?;
    let (from, to) = (fragment.from().ok()?, fragment.to().ok()?);
    let (from, to) = (from.tag().ok()??, to.tag().ok()??);
    let contact = fragment.contacts().next()?.ok()?;
    let uri = core::str::from_utf8(contact.address()?.uri_bytes()).ok()?;
    Some((String::from(uri), format!("{};to-tag={to};from-tag={from}", fragment.call_id().ok()?)))
}

//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.4
//# Each NOTIFY MUST contain a body of type "message/sipfrag" [3].
fn sipfrag(code: StatusCode, dialog: Option<&Message>) -> Body {
    let mut out = format!("SIP/2.0 {} {}\r\n", code.code(), code.reason());
    for header in [Header::From, Header::To, Header::CallId, Header::CSeq, Header::Contact] {
        if let Some(value) = dialog.and_then(|message| message.field(header)) {
            let _ = write!(out, "{}: {}\r\n", header.as_str(), String::from_utf8_lossy(value));
        }
    }
    if dialog.is_some() {
        out.push_str("\r\n");
    }
    Body::new("message/sipfrag;version=2.0", out)
}

/// The Event value of the reports on the REFER of this number.
fn numbered(number: u32) -> String {
    format!("refer;id={number}")
}

/// Escapes what may not stand in a header of a URI.
fn escaped(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' | b'~' | b'*' => {
                out.push(char::from(byte))
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
}

impl UserAgentCore {
    /// Asks the peer of a call to call somebody else: a transfer when the call is then hung up (RFC 5589). How it goes is told by the
    /// events of the subscription returned here.
    ///
    /// # Errors
    ///
    /// The call does not stand; there are too many subscriptions; a value is malformed.
    pub fn refer(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        refer: Refer,
    ) -> Result<SubscriptionId, CommandError> {
        self.advance(now);
        refer.headers.without_contact()?;
        let found = self.command_call(call)?;
        let (CallState::Confirmed, Some(dialog)) = (found.state, found.dialog) else {
            return Err(CommandError::WrongState);
        };
        if !self.sub_room() {
            return Err(CommandError::Full);
        }
        let Some(entry) = self.dialogs.get_mut(dialog) else { return Err(CommandError::Unknown) };
        let contact = entry.contact.clone();
        //= https://www.rfc-editor.org/rfc/rfc3515#section-2
        //# REFERs occurring inside an existing dialog MUST follow the
        //# Route/Record-Route logic of that dialog.
        let builder = entry.dialog.upcoming(Method::Refer);
        let number = entry.dialog.upcoming_cseq();
        //= https://www.rfc-editor.org/rfc/rfc3515#section-2
        //# REFER creates a dialog, and MAY be Record-Routed, hence MUST contain a
        //# single Contact header field value.
        let builder = refer.on(self.dress_session(builder, &contact));
        let message = builder.build_boxed()?;
        let mut sub = Subscription::new(Side::Subscriber, &numbered(number), REPORT, contact);
        //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.6
        //# A SUBSCRIBE sent to refresh or terminate this subscription MUST contain
        //# this id parameter.
        sub.refer = true;
        sub.dialog = Some(dialog);
        let id = self.subscriptions.insert(sub).ok_or(CommandError::Full)?;
        if let Err(error) = self.send_in_dialog(ep, dialog, message, Purpose::Subscribe(id)) {
            self.subscriptions.remove(id);
            return Err(error);
        }
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.subs.push(id);
        }
        self.start_timer_n(ep, id);
        Ok(id)
    }

    /// A REFER of ours goes out again under another number: its reports are named by that one (RFC 3515 section 2.4.6).
    pub(crate) fn refer_numbered(&mut self, id: SubscriptionId, number: u32) {
        if let Some(sub) = self.subscriptions.get_mut(id).filter(|sub| sub.event.contains(';')) {
            sub.event = numbered(number).into();
        }
    }

    /// Asks whoever is at `target`, outside of any call, to call somebody.
    ///
    /// # Errors
    ///
    /// There are too many subscriptions; a value is malformed; the next hop cannot be reached.
    pub fn refer_outside(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        origin: &Origin,
        target: &str,
        refer: Refer,
    ) -> Result<SubscriptionId, CommandError> {
        self.advance(now);
        if !self.sub_room() {
            return Err(CommandError::Full);
        }
        let way = self.way_to(origin, target);
        self.check_way(&way)?;
        refer.headers.without_contact()?;
        let (builder, tag) = self.outside(Method::Refer, origin, &way, target, None)?;
        let message = refer.on(self.dress_session(builder, &way.contact)).build_boxed()?;
        let mut sub = Subscription::new(Side::Subscriber, "refer", REPORT, way.contact.clone());
        sub.refer = true;
        self.send_subscribing(ep, sub, message, tag, way)
    }

    /// The Refer-To URI for an attended transfer: the peer of `call`, with a Replaces that takes that call over (RFC 3891). `None` if the
    /// call does not stand, or its peer does not support Replaces.
    pub fn attended_target(&self, call: CallHandle) -> Option<String> {
        let target = self.dialog(self.call(call)?.dialog?)?.remote_target();
        self.with_replaces(call, target)
    }

    /// The same at another URI of the peer, such as its address-of-record, for when its Contact leads nowhere from outside of the
    /// call: the request that comes of it requires `replaces`, so that no other user agent of the peer takes it (RFC 5589 section 7.5).
    pub fn attended_target_at(&self, call: CallHandle, uri: &str) -> Option<String> {
        Some(self.with_replaces(call, uri)? + "&Require=replaces")
    }

    fn with_replaces(&self, call: CallHandle, target: &str) -> Option<String> {
        let found = self.calls.get(call)?;
        let entry = self.dialogs.get(found.dialog?)?;
        if found.state != CallState::Confirmed || !entry.peer.has(Peer::REPLACES) {
            return None;
        }
        let dialog = &entry.dialog;
        let mut out = String::from(without_headers(target));
        out.push_str("?Replaces=");
        // As the peer sees it: to-tag is its own.
        escaped(dialog.call_id(), &mut out);
        out.push_str("%3Bto-tag%3D");
        escaped(dialog.remote_tag(), &mut out);
        out.push_str("%3Bfrom-tag%3D");
        escaped(dialog.local_tag(), &mut out);
        Some(out)
    }

    /// The value of a Target-Dialog field that names the dialog of a call to its peer (RFC 4538): whoever may ask things of the peer in the
    /// call may then ask them outside of it, as with [`refer_outside`](UserAgentCore::refer_outside).
    //= https://www.rfc-editor.org/rfc/rfc4538#section-3
    //# The "remote-tag" header field parameter MUST be
    //# present and MUST contain the tag that would be viewed as the remote
    pub fn target_dialog(&self, call: CallHandle) -> Option<String> {
        let dialog = self.dialog(self.call(call)?.dialog?)?;
        let (ours, theirs) = (dialog.local_tag(), dialog.remote_tag());
        Some(format!("{};remote-tag={ours};local-tag={theirs}", dialog.call_id()))
    }

    /// The call whose dialog a request outside of it names in Target-Dialog (RFC 4538): its sender is the peer of that call, or has it from the
    /// peer.
    //= https://www.rfc-editor.org/rfc/rfc4538#section-4
    //# If the dialog identifiers don't match, or if they don't contain both
    //# a "remote-tag" and "local-tag" parameter, the header field MUST be
    //# ignored, and authorization MAY be determined by other means.
    pub fn target_call(&self, request: &Message) -> Option<CallHandle> {
        let value = request.value::<TargetDialog<'_>>(Header::TargetDialog).ok()??;
        let (local, remote) = (value.local_tag().ok()??, value.remote_tag().ok()??);
        self.call_of(self.find_dialog(value.call_id().as_bytes(), local.as_bytes(), remote.as_bytes())?)
    }

    /// The call of ours that the Refer-To of a REFER asks the new call to replace, if it is one: the sender has both.
    pub(crate) fn refer_replaces(&self, refer: &Message) -> Option<CallHandle> {
        let target = refer.value::<NameAddr<'_>>(Header::ReferTo).ok()??.uri().ok()?;
        let value = target.as_sip()?.headers().get("Replaces")?.decoded_str()?;
        let replaces = Replaces::parse_value(value.as_bytes()).ok()?;
        let (ours, theirs) = (replaces.to_tag().ok()?.as_bytes(), replaces.from_tag().ok()?.as_bytes());
        self.call_of(self.find_dialog(replaces.call_id().as_bytes(), ours, theirs)?)
    }

    /// Transfers the peer of `call` to the peer of `other`: a REFER whose target replaces the call with `other` (RFC 5589 section
    /// 7). Hang both up when the reports say 200.
    ///
    /// # Errors
    ///
    /// One of the calls does not stand, or the peer of `other` does not support Replaces.
    pub fn transfer_to(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        other: CallHandle,
    ) -> Result<SubscriptionId, CommandError> {
        self.command_call(other)?;
        let target = self.attended_target(other).ok_or(CommandError::NotSupported)?;
        self.refer(ep, now, call, Refer::new(target))
    }

    /// Our REFER was accepted.
    pub(crate) fn on_refer_accepted(&mut self, id: SubscriptionId, response: Box<Message>) {
        let value = response.value::<ReferSub<'_>>(Header::ReferSub).ok().flatten();
        if value.is_some_and(|value| !value.wanted()) {
            return self.end_sub(id, SubscriptionEnd::Suppressed, Some(response));
        }
        self.sub_event(id, SubscriptionEvent::Accepted { message: response, expires: None });
    }

    /// REFER came.
    pub(crate) fn on_refer(
        &mut self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        path: Path,
        dialog: Option<DialogId>,
        message: Box<Message>,
    ) {
        //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.2
        //# An agent responding to a REFER method MUST return a 400 (Bad Request) if
        //# the request contained zero or more than one Refer-To header field
        //# values.
        let mut targets = message.values::<NameAddr<'_>>(Header::ReferTo);
        let one = matches!((targets.next(), targets.next()), (Some(Ok(_)), None));
        //= https://www.rfc-editor.org/rfc/rfc3892#section-2.1
        //# A REFER request MUST NOT contain more than one Referred-By header field
        //# value.
        let by = message.value::<ReferredBy<'_>>(Header::ReferredBy);
        let whole = by.is_ok_and(|by| by.is_none_or(|by| by.uri().is_ok() && by.params().all(|param| param.is_ok())));
        if !one || !whole {
            return self.reply(ep, tx, &message, StatusCode::BAD_REQUEST);
        }
        let number = message.cseq().map_or(0, |cseq| cseq.number);
        let call = dialog.and_then(|id| self.dialogs.get(id)).and_then(|entry| entry.call);
        //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.6
        //# Thus, for the second and subsequent REFER requests a UA receives in a
        //# given dialog, it MUST include an id parameter[2] in the Event header
        //# field of each NOTIFY containing the sequence number (the number from the
        //# CSeq header field value) of the REFER this NOTIFY is associated with.
        let event = match dialog.and_then(|id| self.dialogs.get_mut(id)) {
            Some(entry) => {
                let more = core::mem::replace(&mut entry.referred, true);
                if more { numbered(number) } else { String::from("refer") }
            }
            None => String::from("refer"),
        };
        let contact = match dialog.and_then(|id| self.dialogs.get(id)) {
            Some(entry) => entry.contact.clone(),
            None => self.contact_to(path, &message),
        };
        let mut sub = Subscription::new(Side::Notifier, &event, REPORT, contact);
        sub.refer = true;
        sub.silent =
            message.value::<ReferSub<'_>>(Header::ReferSub).ok().flatten().is_some_and(|value| !value.wanted());
        let Some(id) = self.keep_asked(ep, tx, path, dialog, &message, sub) else { return };
        match call {
            Some(call) => self.call_event(call, CallEvent::Refer { subscription: id, message }),
            None => {
                let expires = core::time::Duration::from_secs(u64::from(REPORT));
                self.sub_event(id, SubscriptionEvent::Incoming { message, expires });
            }
        }
    }

    /// Accepts a REFER: 202, and a first report of 100 unless none are wanted. Make the call next, with
    /// [`for_refer`](crate::Invite::for_refer), which reports by itself; or report with [`report`](UserAgentCore::report).
    ///
    /// # Errors
    ///
    /// The id is stale, or of a subscription that is no REFER waiting for an answer.
    //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.2
    //# If a REFER request is accepted (that is, a 2xx class response is
    //# returned), the recipient MUST create a subscription and send
    //# notifications of the status of the refer as described in Section 2.4.4.
    pub fn accept_refer(&mut self, ep: &mut Endpoint, now: Instant, id: SubscriptionId) -> Result<(), CommandError> {
        self.advance(now);
        let silent = self.subscriptions.get(id).ok_or(CommandError::Unknown)?.silent;
        //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.2
        //# If no final response has been generated according to the rules above,
        //# the UA MUST return a 202 Accepted response before the REFER transaction
        //# expires.
        self.accept_asked(ep, id, true, StatusCode::ACCEPTED, |builder| {
            //= https://www.rfc-editor.org/rfc/rfc4488#section-4
            //# If the REFER-Recipient supports the extension and is willing to process
            //# the REFER transaction without establishing an implicit subscription, it
            //# MUST insert the "Refer-Sub" header field set to "false" in the 2xx
            //# response to the REFER-Issuer.
            if silent { builder.header(Header::ReferSub, "false") } else { builder }
        })?;
        let wait = core::time::Duration::from_secs(u64::from(REPORT));
        self.deadlines.after(Deadline::Subscribe(id), self.now, wait);
        self.first_notify(ep, id, Some(sipfrag(StatusCode::TRYING, None)));
        Ok(())
    }

    /// Reports on a referred action that is no call of this core's: a provisional status, or a final one, which ends
    /// the subscription.
    ///
    /// # Errors
    ///
    /// The id is stale, or no REFER that was accepted.
    pub fn report(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: SubscriptionId,
        code: StatusCode,
    ) -> Result<(), CommandError> {
        self.report_on(ep, now, id, code, None)
    }

    /// Reports as [`report`](UserAgentCore::report) does, and names the dialog of this response.
    pub(crate) fn report_on(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: SubscriptionId,
        code: StatusCode,
        dialog: Option<&Message>,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let sub = self.subscriptions.get(id).ok_or(CommandError::Unknown)?;
        if !sub.refer || sub.side != Side::Notifier || sub.state != State::Live {
            return Err(CommandError::WrongState);
        }
        self.tell(ep, id, code, dialog);
        Ok(())
    }

    //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.4
    //# The NOTIFY mechanism defined in [2] MUST be used to inform the agent
    //# sending the REFER of the status of the reference.
    //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.4
    //# Each NOTIFY MUST contain an Event header field with a value of refer and
    //# possibly an id parameter (see Section 2.4.6).
    //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.5
    //# Each NOTIFY MUST contain a body of type "message/sipfrag" [3].
    fn tell(&mut self, ep: &mut Endpoint, id: SubscriptionId, code: StatusCode, dialog: Option<&Message>) {
        if code.is_provisional() {
            let _ = self.send_notify(ep, id, Some(sipfrag(code, None)), None);
        } else {
            //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.7
            //# The final NOTIFY sent in response to a REFER MUST indicate the
            //# subscription has been "terminated" with a reason of "noresource".
            let end = Termination::new(sip_message::headers::EventReason::Noresource).body(sipfrag(code, dialog));
            self.finish_notifier(ep, id, end, SubscriptionEnd::Unsubscribed);
        }
    }

    /// A response to the INVITE of a call that is made for a REFER.
    pub(crate) fn report_progress(&mut self, ep: &mut Endpoint, call: CallHandle, message: &Message) {
        let report = self.calls.get(call).and_then(|found| found.report);
        let (Some(id), Some(code)) = (report, message.status()) else { return };
        if code.is_success() {
            if let Some(found) = self.calls.get_mut(call) {
                found.report = None;
            }
        }
        if self.subscriptions.get(id).is_some_and(|sub| sub.refer && sub.state == State::Live) {
            let named = self.calls.get(call).is_some_and(|found| found.reports_dialog);
            self.tell(ep, id, code, Some(message).filter(|_| named));
        }
    }

    /// A call that was made for a REFER ended before it was accepted.
    pub(crate) fn report_end(
        &mut self,
        ep: &mut Endpoint,
        id: SubscriptionId,
        cause: EndCause,
        message: Option<&Message>,
    ) {
        if !self.subscriptions.get(id).is_some_and(|sub| sub.refer && sub.state == State::Live) {
            return;
        }
        let code = match (message.and_then(Message::status), cause) {
            (Some(code), _) if code.is_final() => code,
            (_, EndCause::PeerRejected(code)) => code,
            (_, EndCause::TimedOut | EndCause::NoAnswer) => status(408),
            (_, EndCause::Cancelled | EndCause::HungUp) => status(487),
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        self.tell(ep, id, code, None);
    }
}
