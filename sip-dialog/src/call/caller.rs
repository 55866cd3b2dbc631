//! Calls that we begin: the INVITE, its early dialogs, the 2xx that wins and those that lose.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use sip_message::{DialogIds, Header, Message, Method, NameAddr, Uri};
use sip_transaction::{ClientTxId, Endpoint, Instant, Path};

use super::acked::{Acked, authorize};
use super::prack::Order;
use super::redirect::{harmless_headers, redirect_target};
use super::{Call, CallState, Entry, Role};
use crate::agent::client::{Final, Over, Purpose, send_ack};
use crate::agent::server::Served;
use crate::agent::{UserAgentCore, status};
use crate::body::{self, Body};
use crate::codec::wire;
use crate::deadlines::Deadline;
use crate::dialog::{Dialog, contact, echoes};
use crate::error::CommandError;
use crate::event::{CallEvent, EndCause, Owner};
use crate::id::{CallHandle, DialogId, SubscriptionId};
use crate::identity::Identity;
use crate::offer_answer::{Meaning, OfferAnswer, Place};
use crate::origin::{ExtraHeaders, Origin, takes_headers};
use crate::refer::Token;
use crate::session_timer::{Fields, SessionTimer, has_token};

/// An invitation to send.
///
/// ```
/// use sip_dialog::{Body, Invite, Origin};
/// let invite = Invite::new(Origin::new("Alice <sip:alice@atlanta.com>"), "sip:bob@biloxi.com")
///     .body(Body::sdp(&b"v=0\r\n"[..]))
///     .header("Subject", "lunch");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Invite {
    pub(crate) origin: Origin,
    pub(crate) target: String,
    pub(crate) to: Option<String>,
    pub(crate) body: Option<Body>,
    pub(crate) headers: ExtraHeaders,
    pub(crate) no_answer: Option<Duration>,
    pub(crate) require_reliable: bool,
    pub(crate) without_reliable: bool,
    pub(crate) prack_by_host: bool,
    pub(crate) refer: Option<SubscriptionId>,
    pub(crate) reports_dialog: bool,
    pub(crate) identity: Option<Identity>,
    insecure: bool,
    token: Option<Token>,
}

impl Invite {
    /// An invitation of whoever is at `target`, a URI.
    pub fn new(origin: Origin, target: impl Into<String>) -> Self {
        Invite {
            origin,
            target: target.into(),
            to: None,
            body: None,
            headers: ExtraHeaders::new(),
            no_answer: None,
            require_reliable: false,
            without_reliable: false,
            prack_by_host: false,
            refer: None,
            reports_dialog: false,
            identity: None,
            insecure: false,
            token: None,
        }
    }

    /// The value of To, if it is to be another than the target in brackets: a name and a URI. What stands behind them, such as the tag of a
    /// From that is called back, is left out.
    pub fn to(mut self, to: impl Into<String>) -> Self {
        self.to = Some(to.into());
        self
    }

    /// The offer. Without one the peer makes it.
    pub fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// Who the network is told we are, and whom not to tell (RFC 3325, RFC 3323).
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// How long to let it ring, instead of what is configured.
    pub fn no_answer(mut self, after: Duration) -> Self {
        self.no_answer = Some(after);
        self
    }

    /// Requires that provisional responses are sent reliably (RFC 3262).
    pub fn require_reliable(mut self) -> Self {
        self.require_reliable = true;
        self.without_reliable = false;
        self
    }

    /// Does not say that we take provisional responses that are sent reliably (RFC 3262): for who has nobody to answer an offer in one. The peer
    /// makes its offer in the 2xx then.
    pub fn without_reliable(mut self) -> Self {
        self.without_reliable = true;
        self.require_reliable = false;
        self
    }

    /// Leaves the PRACK for each reliable provisional response without an offer to the host, which sends it with
    /// [`prack`](UserAgentCore::prack): so that an offer may go with it (RFC 3262 section 5). What the host leaves alone for the
    /// configured [`answer`](crate::UserAgentConfig::answer) time is acknowledged for it.
    pub fn prack_by_host(mut self) -> Self {
        self.prack_by_host = true;
        self
    }

    /// A call to a URI that may have header fields in it, as one that was clicked on or sent in a message: Replaces, Join and others
    /// that harm nobody go along. `None` if the URI names nothing that can be called.
    ///
    /// ```
    /// use sip_dialog::{Invite, Origin};
    /// use sip_message::Uri;
    /// let uri = Uri::parse(b"sip:alice@192.0.2.1?Replaces=1%40a%3Bto-tag%3Dx%3Bfrom-tag%3Dy").unwrap();
    /// assert!(Invite::of_uri(Origin::new("<sip:carol@192.0.2.3>"), &uri).is_some());
    /// ```
    pub fn of_uri(origin: Origin, uri: &Uri<'_>) -> Option<Self> {
        let mut invite = Invite::new(origin, redirect_target(uri)?);
        for (name, value) in harmless_headers(uri)? {
            invite = invite.header(name, value);
        }
        Some(invite)
    }

    /// The call a REFER asks for: that of the URI in Refer-To, as [`of_uri`](Invite::of_uri) makes it, and Referred-By goes along, with the
    /// signed token in the body of the REFER that it names (RFC 3892 section 4): the INVITE then has a multipart body. `None` if Refer-To names
    /// nothing that can be called. Add [`for_refer`](Invite::for_refer) to report on it.
    //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.2
    //# If approval is granted, the UA MUST contact the resource identified by
    //# the URI in the Refer-To header field value as discussed in Section
    //# 2.4.3.
    pub fn of_refer(origin: Origin, refer: &Message) -> Option<Self> {
        let value = refer.value::<NameAddr<'_>>(Header::ReferTo).ok()??;
        let mut invite = Invite::of_uri(origin, &value.uri().ok()?)?;
        if let Some(by) = refer.field(Header::ReferredBy).and_then(|by| core::str::from_utf8(by).ok()) {
            //= https://www.rfc-editor.org/rfc/rfc3892#section-2.2
            //# A UA accepting a REFER request (a referee) to a SIP URI (using either
            //# the sip: or sips: scheme) MUST copy any Referred-By header field value
            //# and token into the referenced request without modification.
            invite = invite.header("Referred-By", by);
            invite.token = Token::of(refer);
        }
        Some(invite)
    }

    /// Reports the progress of this call to whoever sent the REFER of this subscription, which was accepted.
    pub fn for_refer(mut self, refer: SubscriptionId) -> Self {
        self.refer = Some(refer);
        self
    }

    /// Allows a call to a SIP URI that a REFER within secure URIs asks for: whoever was asked has agreed that what was secure goes on
    /// insecurely.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.3
    //# If that initial dialog was
    //# established using SIPS, then the UAC MUST NOT establish a new one
    //# using SIP, unless there is an explicit authorization given by the
    //# recipient of the REFER request.
    pub fn allow_insecure(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// Names the dialog of this call in the report of its success, so that whoever sent the REFER can fetch the far end back with
    /// [`sipfrag_replaces`](crate::sipfrag_replaces). For those who trust each other: whoever knows it can take over the call.
    pub fn reporting_dialog(mut self) -> Self {
        self.reports_dialog = true;
        self
    }
}

takes_headers!(Invite);

/// A To tag, beside the dialog it is of.
type Tag = smallvec::SmallVec<[u8; 48]>;

/// What a caller keeps until the call is confirmed.
#[derive(Debug)]
pub(crate) struct Calling {
    oa: OfferAnswer,
    pub(crate) contact: Arc<str>,
    pub(crate) pin: Option<Path>,
    timer: SessionTimer,
    /// How often a 422 has made the interval longer.
    longer: u8,
    /// Where 3xx responses have sent us, to a new target or through a proxy, and where we have been.
    pub(super) targets: VecDeque<(String, bool)>,
    pub(super) seen: Vec<String>,
    /// The first Route is that of a proxy a 305 has sent us through.
    pub(super) through: bool,
    /// The Route as it was before a redirection to a SIPS URI made it secure.
    pub(super) plain_routes: Option<String>,
    /// The header fields that the URI it went to has put in place of others, with these.
    pub(super) replaced: Vec<(String, Option<String>)>,
    /// The number of the INVITE whose 2xx waits for the answer.
    pub(crate) cseq: u32,
    /// What answers the offer in that 2xx if the host does not.
    refusal: Option<Box<Body>>,
    /// The host sends the PRACKs.
    prack_by_host: bool,
    /// The tags of the early dialogs we have hung up on, as many as there may be forks: what comes from them begins no new ones.
    hung_up: VecDeque<Box<str>>,
}

impl Calling {
    fn hung_up_on(&self, tag: &[u8]) -> bool {
        self.hung_up.iter().any(|known| known.as_bytes() == tag)
    }

    /// Keeps the tag of an early dialog that is hung up on; of more than `most` the oldest goes.
    pub(crate) fn hang_up_on(&mut self, tag: &str, most: usize) {
        while !self.hung_up.is_empty() && self.hung_up.len() >= most {
            self.hung_up.pop_front();
        }
        self.hung_up.push_back(tag.into());
    }
}

/// A URI without its headers; what is no SIP URI has none.
pub(crate) fn without_headers(target: &str) -> &str {
    if !target.contains('?') {
        return target;
    }
    match Uri::parse(target.as_bytes()) {
        Ok(Uri::Sip(uri)) => uri.without_headers(),
        _ => target,
    }
}

impl UserAgentCore {
    /// Calls somebody. What becomes of it is told by [`CallEvent`]s with the id returned here.
    ///
    /// # Errors
    ///
    /// A value is malformed, the next hop cannot be reached, or there are too many calls; it is made for a REFER and less secure than that
    /// ([`allow_insecure`](Invite::allow_insecure)).
    pub fn invite(&mut self, ep: &mut Endpoint, now: Instant, invite: Invite) -> Result<CallHandle, CommandError> {
        self.advance(now);
        if self.config.limits.calls.is_some_and(|limit| self.calls.len() >= limit) {
            return Err(CommandError::Full);
        }
        self.check_derived(&invite)?;
        let way = self.way_to(&invite.origin, &invite.target);
        self.check_way(&way)?;
        invite.headers.without_contact()?;
        let timer = SessionTimer::default();
        let fields = timer.request(&self.config.session_timer);
        let (mut builder, _) =
            self.outside(Method::Invite, &invite.origin, &way, &invite.target, invite.to.as_deref())?;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.8
        //# The Contact header field MUST be present and contain exactly one SIP or
        //# SIPS URI in any request that can result in the establishment of a
        //# dialog.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
        //# When a UAC sends a request that can establish a dialog (such as an
        //# INVITE) it MUST provide a SIP or SIPS URI with global scope (i.e., the
        //# same SIP URI can be used in messages outside this dialog) in the Contact
        //# header field of the request.
        builder = match invite.without_reliable {
            true => self.dress_unreliable(builder, &way.contact),
            false => self.dress_session(builder, &way.contact),
        };
        builder = fields.on_request(builder);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.9
        //# If the UAC wishes to insist that a UAS understand an extension that the
        //# UAC will apply to the request in order to process the request, it MUST
        //# insert a Require header field into the request listing the option tag
        //# for that extension.
        //= https://www.rfc-editor.org/rfc/rfc3262#section-4
        //# A Require header with the value 100rel MUST NOT be present in any
        //# requests excepting INVITE, although extensions to SIP may allow its
        //# usage with other request methods.
        if invite.require_reliable {
            builder = builder.header(Header::Require, "100rel");
        }
        let wait = invite.no_answer.or(self.config.no_answer);
        //= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.3
        //# The sender of an initial INVITE request MUST include a Recv-Info header
        //# field in the initial INVITE request, even if the sender is not willing
        //# to receive INFO requests associated with any Info Package.
        builder = builder.lines(&self.packages_line);
        if let Some(identity) = &invite.identity {
            builder = identity.on_request(builder, self.config.trusted);
        }
        builder = invite.headers.on_request(builder);
        let mut oa = OfferAnswer::new();
        oa.begin_invite();
        let session = invite.body.clone().map(Box::new);
        if session.is_some() {
            oa.sent(Place::Invite);
        }
        let body = match invite.token {
            Some(token) => Some(token.beside(invite.body)?),
            None => invite.body,
        };
        if let Some(body) = body {
            builder = body.on_request(builder);
        }
        let message = builder.build_boxed()?;
        let mut call = Call::new(Role::Caller, CallState::Calling);
        let over = way.over();
        call.session = session;
        call.report = invite.refer;
        call.reports_dialog = invite.reports_dialog;
        call.calling = Some(Box::new(Calling {
            oa,
            contact: way.contact,
            pin: way.path,
            timer,
            longer: 0,
            targets: VecDeque::new(),
            seen: Vec::new(),
            through: false,
            plain_routes: None,
            replaced: Vec::new(),
            cseq: 0,
            refusal: None,
            prack_by_host: invite.prack_by_host,
            hung_up: VecDeque::new(),
        }));
        let id = self.calls.insert(call).ok_or(CommandError::Full)?;
        match self.send(ep, message, over, Purpose::Invite(id), None, way.auth) {
            Ok(tx) => {
                if let Some(call) = self.calls.get_mut(id) {
                    call.client = Some(tx);
                }
                if let Some(wait) = wait {
                    self.deadlines.after(Deadline::NoAnswer(id), self.now, wait);
                }
                Ok(id)
            }
            Err(error) => {
                self.calls.remove(id);
                Err(error)
            }
        }
    }

    /// Whether a call that is made for a REFER is as secure as that was.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.3
    //# If that initial dialog was
    //# established using SIPS, then the UAC MUST NOT establish a new one
    //# using SIP, unless there is an explicit authorization given by the
    //# recipient of the REFER request.
    fn check_derived(&self, invite: &Invite) -> Result<(), CommandError> {
        let Some(sub) = invite.refer.filter(|_| !invite.insecure).and_then(|id| self.subscriptions.get(id)) else {
            return Ok(());
        };
        let secure = sub.dialog.and_then(|id| self.dialogs.get(id)).is_some_and(|entry| entry.dialog.is_secure());
        let plain = invite.target.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:"));
        if secure && plain { Err(CommandError::Insecure) } else { Ok(()) }
    }

    /// The early dialog a response belongs to: the one that is known, or a new one.
    fn early_dialog(
        &mut self,
        tx: ClientTxId,
        call: CallHandle,
        path: Path,
        known: Option<DialogId>,
        (message, ids): (&Message, Option<&DialogIds<'_>>),
    ) -> Option<DialogId> {
        if let Some(known) = known {
            return (self.dialogs.get(known)?.call == Some(call)).then_some(known);
        }
        let (client, ids) = (self.clients.get(&tx)?, ids?);
        if client.request.as_ref().is_some_and(|request| !echoes(request, message, ids)) {
            return None;
        }
        let (uri, _) = client.invitation()?;
        let found = self.calls.get(call)?;
        // The one that accepts takes the place of all the others.
        let accepts = message.status().is_some_and(|status| status.is_success());
        if !accepts && found.early.len() >= self.config.limits.forks {
            return None;
        }
        let calling = found.calling.as_ref()?;
        let mut dialog = Dialog::answered(uri, message, ids).ok()?;
        // One that is over already, and comes back: its numbers go on.
        if client.has_gone(dialog.remote_tag_bytes()).is_some() {
            dialog.set_local_cseq(client.used);
        }
        let pin = calling.pin.or_else(|| Self::pin_of_response(path, &dialog));
        let mut entry = Entry::new(dialog, calling.contact.clone(), pin);
        entry.oa = calling.oa;
        if let Some(offer) = &found.session {
            entry.holding.said(Meaning::Offer, &offer.bytes);
        }
        entry.timer = calling.timer;
        entry.call = Some(call);
        entry.auth = self.clients.get(&tx)?.auth.clone();
        let id = self.insert_dialog(entry)?;
        if let Some(found) = self.calls.get_mut(call) {
            found.early.push(id);
        }
        Some(id)
    }

    /// The dialog a response belongs to, if it is known.
    fn dialog_of_response(&self, ids: &DialogIds<'_>) -> Option<DialogId> {
        self.find_dialog(ids.call_id, ids.from_tag?, ids.to_tag?)
    }

    /// A provisional response other than 100.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.2
    //# A UAC MUST treat any provisional response different than 100 that it
    //# does not recognize as 183 (Session Progress).
    pub(crate) fn on_progress(
        &mut self,
        ep: &mut Endpoint,
        tx: ClientTxId,
        call: CallHandle,
        path: Path,
        message: Box<Message>,
    ) {
        let Some(found) = self.calls.get(call) else { return };
        if found.client != Some(tx) || !matches!(found.state, CallState::Calling | CallState::Cancelling) {
            return;
        }
        let status = message.status().map_or(0, |status| status.code());
        //= https://www.rfc-editor.org/rfc/rfc3262#section-4
        //# The provisional response MUST establish a dialog if one is not yet
        //# created.
        let ids = message.dialog_ids().ok();
        let known = ids.and_then(|ids| self.dialog_of_response(&ids));
        let tag = ids.and_then(|ids| ids.to_tag).unwrap_or_default();
        if found.calling.as_ref().is_some_and(|calling| calling.hung_up_on(tag)) {
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc6228#section-4
        //# If a UAC receives an unreliably sent 199 response on a dialog that has
        //# not previously been established (this can happen if a 199 response
        //# reaches the client before the 18x response that would establish the
        //# early dialog) it SHALL discard the 199 response.
        if status == 199 && known.is_none() && !has_token(&message, Header::Require, "100rel") {
            return;
        }
        let dialog = self.early_dialog(tx, call, path, known, (&message, ids.as_ref()));
        let (mut session, mut moved) = (None, false);
        if let Some(dialog) = dialog {
            let reliable = match self.reliable_order(dialog, &message) {
                Order::Gap => return,
                Order::Unreliable => false,
                Order::Next => true,
            };
            if status == 199 {
                //= https://www.rfc-editor.org/rfc/rfc6228#section-4
                //# If a UAC receives a reliably sent 199 response on a dialog that has not
                //# previously been created, it MUST acknowledge the 199 response, as
                //# described in RFC 3262 [RFC3262].
                if reliable {
                    self.send_prack(ep, call, dialog, &message, None);
                }
                //= https://www.rfc-editor.org/rfc/rfc6228#section-7
                //# A UAC that receives a 199 response for an early dialog MUST NOT send any
                //# further requests on that dialog, except for requests that acknowledge
                //# reliable responses.
                self.drop_early(ep, call, dialog);
                if known.is_some() {
                    self.call_event(call, CallEvent::ForkEnded { dialog, message });
                }
                return;
            }
            let by_host = self.calls.get(call).and_then(|found| found.calling.as_ref());
            let by_host = by_host.is_some_and(|calling| calling.prack_by_host);
            if let Some(entry) = self.dialogs.get_mut(dialog) {
                entry.learn(&message, &mut self.heard);
                entry.learn_packages(&message);
                moved = reliable && known.is_some() && entry.take_target(&message);
                session = entry.read_session(if reliable { Place::Reliable } else { Place::Provisional }, &message);
                // One that is not reliable says nothing of the one that waits.
                if reliable {
                    entry.unpracked = by_host || session == Some(Meaning::Offer);
                    if entry.unpracked {
                        // The answer goes into the PRACK, or an offer: it waits for the host.
                        let wait = self.config.answer;
                        self.deadlines.after(Deadline::Answer(call), self.now, wait);
                    } else {
                        self.send_prack(ep, call, dialog, &message, None);
                    }
                }
            }
        }
        self.report_progress(ep, call, &message);
        self.call_event(call, CallEvent::Progress { dialog, message, session });
        self.tell_moved(call, moved);
    }

    /// Sends the ACK again if the 2xx with this tag has had one.
    pub(crate) fn acknowledged(&mut self, ep: &mut Endpoint, tx: ClientTxId, tag: &[u8]) -> bool {
        let Some(client) = self.clients.get(&tx) else { return false };
        let Some((ack, over)) = client.acked.as_ref().and_then(|acked| acked.ack(tag)) else { return false };
        send_ack(ep, self.now, &ack, over);
        true
    }

    /// One of several early dialogs is over: the others go on.
    //= https://www.rfc-editor.org/rfc/rfc6228#section-4
    //# If multiple usages [RFC5057] are used within an early dialog, and it is
    //# not clear which dialog usage the 199 response terminates, SIP entities
    //# that keep dialog state SHALL NOT release resources associated with the
    //# early dialog when they receive the 199 response.
    pub(crate) fn drop_early(&mut self, ep: &mut Endpoint, call: CallHandle, dialog: DialogId) {
        self.note_gone(call, dialog);
        self.leave_fork(ep, call, dialog);
        self.remember(ep, dialog, None);
        self.release_dialog(dialog, call);
    }

    /// The INVITE is refused, and sent again: its early dialogs are over.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.3
    //# All early dialogs are considered terminated upon reception of the non-
    //# 2xx final response.
    pub(crate) fn drop_all_early(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let early = self.calls.get_mut(call).map(|found| core::mem::take(&mut found.early)).unwrap_or_default();
        for dialog in early {
            self.leave_fork(ep, call, dialog);
            self.remember(ep, dialog, None);
            self.release_dialog(dialog, call);
        }
    }

    /// The call goes on without one of its early dialogs, and nothing that was to come from the host for that one is waited for.
    pub(crate) fn leave_fork(&mut self, ep: &mut Endpoint, call: CallHandle, dialog: DialogId) {
        let Some(found) = self.calls.get_mut(call) else { return };
        found.early.retain(|early| *early != dialog);
        if self.dialog_of_asked(call) == Some(dialog) {
            if let Some(asked) = self.calls.get_mut(call).and_then(|found| found.asked.take()) {
                self.reply(ep, asked.tx, &asked.request, status(487));
                self.serve(asked.tx, Served::Done);
            }
        }
        self.drop_change(call, dialog);
        // What waits for credentials in it is of no use any more, and must not keep the place of what the others say.
        let owner = Owner::Call(call);
        if let Some(Purpose::Change(_, of) | Purpose::Prack(_, of, _)) = self.parked_of(owner) {
            if of == dialog {
                self.unpark(owner);
            }
        }
        self.settle_answer(call);
    }

    /// Keeps the tag of an early dialog that is over before its INVITE is, and whether it has had the offer that INVITE left to it: what its 2xx
    /// says of the session, should one come, is none then.
    pub(crate) fn note_gone(&mut self, call: CallHandle, dialog: DialogId) {
        let Some(entry) = self.dialogs.get(dialog) else { return };
        let tx = self.calls.get(call).and_then(|found| found.client);
        let Some(client) = tx.and_then(|tx| self.clients.get_mut(&tx)) else { return };
        if client.gone.matches(',').count() < self.config.limits.forks {
            let settled = if entry.oa.invite_needs_body() { "" } else { ";" };
            client.gone = alloc::format!("{}{}{settled},", client.gone, entry.dialog.remote_tag()).into();
        }
    }

    /// A 2xx to the INVITE of a call, or of one that is over.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
    //# The UAC core MUST generate an ACK request for each 2xx received from the
    //# transaction layer.
    pub(crate) fn on_accepted(
        &mut self,
        ep: &mut Endpoint,
        tx: ClientTxId,
        call: CallHandle,
        path: Path,
        message: Box<Message>,
    ) {
        let ids = message.dialog_ids().ok();
        let tag = ids.and_then(|ids| ids.to_tag).unwrap_or_default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
        //# The ACK MUST be passed to the client transport every time a
        //# retransmission of the 2xx final response that triggered the ACK arrives.
        if self.acknowledged(ep, tx, tag) {
            return;
        }
        let (state, own) = match self.calls.get(call) {
            Some(found) if found.client == Some(tx) => (found.state, found.dialog),
            _ => return self.lose(ep, tx, path, message),
        };
        if let Some(own) = own {
            let same = self.dialogs.get(own).is_some_and(|entry| entry.dialog.remote_tag_bytes() == tag);
            // The 2xx again, before the host has answered its offer.
            if !same {
                self.lose(ep, tx, path, message);
            }
            return;
        }
        // One we have hung up on, early, accepts all the same.
        let calling = self.calls.get(call).and_then(|found| found.calling.as_ref());
        let dying = calling.is_some_and(|calling| calling.hung_up_on(tag));
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
        //# If, after acknowledging any 2xx response to an INVITE, the UAC does not
        //# want to continue with that dialog, then the UAC MUST terminate the
        //# dialog by sending a BYE request as described in Section 15.
        if state == CallState::Cancelling || dying {
            self.lose(ep, tx, path, message.clone());
            let cause = self.calls.get(call).and_then(|found| found.ending).unwrap_or(EndCause::Cancelled);
            return self.end_call(ep, call, cause, Some(message));
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
        //# Otherwise, a new dialog in the "confirmed" state MUST be constructed
        //# using the procedures of Section 12.1.2.
        let known = ids.and_then(|ids| self.dialog_of_response(&ids));
        let dialog = self.early_dialog(tx, call, path, known, (&message, ids.as_ref()));
        let confirmed = match dialog.and_then(|id| self.dialogs.get_mut(id)) {
            Some(entry) => entry.dialog.confirm(&message).is_ok() && message.has(Header::Contact),
            None => false,
        };
        let (Some(dialog), true) = (dialog, confirmed) else {
            self.lose(ep, tx, path, message.clone());
            return self.end_call(ep, call, EndCause::Malformed, Some(message));
        };
        let Some(found) = self.calls.get_mut(call) else { return };
        found.dialog = Some(dialog);
        found.accepted = true;
        let early = core::mem::take(&mut found.early);
        let cseq = message.cseq().map_or(0, |cseq| cseq.number);
        if let Some(calling) = &mut found.calling {
            calling.cseq = cseq;
        }
        // The losers of the fork: should one of them accept too, it gets ACK and BYE.
        for other in early.into_iter().filter(|early| *early != dialog) {
            self.drop_early(ep, call, other);
        }
        self.deadlines.clear(Deadline::NoAnswer(call));
        let auth = self.clients.get_mut(&tx).and_then(|client| client.auth.clone());
        let (mut session, mut answered) = (None, None);
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.learn(&message, &mut self.heard);
            entry.learn_packages(&message);
            entry.dialog.set_local_cseq(cseq);
            entry.unpracked = false;
            answered = entry.session.take();
            entry.auth = auth.filter(|auth| !auth.is_empty()).or(entry.auth.take());
            //= https://www.rfc-editor.org/rfc/rfc4028#section-7.2
            //# If it does, the UAC MUST look for the Session-Expires header field to
            //# process the response.
            entry.timer.accepted(&message);
            session = entry.read_session(Place::InviteOk, &message);
            if session.is_none() {
                // No answer where one is due: there is no session, but there is a call, which the host may end.
                entry.oa.failed(Place::Invite);
            }
        }
        if let (Some(body), Some(found)) = (answered, self.calls.get_mut(call)) {
            found.session = Some(body);
        }
        self.settle_answer(call);
        self.report_progress(ep, call, &message);
        let refusal = (session == Some(Meaning::Offer)).then(|| body::refusal(&message)).flatten();
        self.call_event(call, CallEvent::Accepted { dialog, message: Some(message), session });
        self.take_hold(call, dialog);
        if let Some(length) = self.config.call_length {
            self.deadlines.after(Deadline::CallLength(call), self.now, length);
        }
        if session == Some(Meaning::Offer) {
            if let Some(found) = self.calls.get_mut(call) {
                found.state = CallState::AwaitAnswer;
                if let Some(calling) = &mut found.calling {
                    calling.refusal = refusal.map(Box::new);
                }
            }
            let wait = self.config.answer;
            return self.deadlines.after(Deadline::Answer(call), self.now, wait);
        }
        self.acknowledge(ep, call, None);
        self.tell_move(ep, call);
    }

    /// Sends the ACK for the 2xx that won, with the answer if it had an offer: the call is confirmed. Without an answer of the host's the offer
    /// is refused.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
    //# If the offer in the 2xx response is not acceptable, the UAC core MUST
    //# generate a valid answer in the ACK and then send a BYE immediately.
    pub(crate) fn acknowledge(&mut self, ep: &mut Endpoint, call: CallHandle, answer: Option<Body>) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let (Some(tx), Some(dialog)) = (found.client, found.dialog) else { return };
        let (cseq, refusal) = found.calling.take().map_or((0, None), |calling| (calling.cseq, calling.refusal));
        found.state = CallState::Confirmed;
        self.send_ack(ep, tx, dialog, cseq, answer.or(refusal.map(|refusal| *refusal)));
        self.arm_session(call);
        self.call_event(call, CallEvent::Confirmed { message: None, session: None });
        self.take_hold(call, dialog);
    }

    /// Builds, sends and keeps the ACK for a 2xx in a dialog.
    pub(crate) fn send_ack(
        &mut self,
        ep: &mut Endpoint,
        tx: ClientTxId,
        dialog: DialogId,
        cseq: u32,
        answer: Option<Body>,
    ) {
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        let mut builder = entry.dialog.ack(cseq);
        let over = Over::of(entry.pin(), &entry.dialog);
        let tag: Tag = entry.dialog.remote_tag_bytes().into();
        if let Some(body) = answer {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
            //# If the 2xx contains an offer (based on the rules above), the ACK MUST
            //# carry an answer in its body.
            if let Some(meaning) = entry.oa.sent(Place::Ack) {
                entry.holding.said(meaning, &body.bytes);
                builder = body.on_request(builder);
            }
        } else {
            entry.oa.failed(Place::InviteOk);
        }
        self.finish_ack(ep, tx, &tag, builder, over);
    }

    fn finish_ack(
        &mut self,
        ep: &mut Endpoint,
        tx: ClientTxId,
        tag: &[u8],
        mut builder: sip_message::RequestBuilder,
        over: Over,
    ) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
        //# An ACK request for a 2xx response MUST contain only those Require and
        //# Proxy-Require values that were present in the initial request.
        builder = builder.lines(&self.agent_line);
        let forks = self.config.limits.forks;
        let Some(client) = self.clients.get_mut(&tx) else { return };
        let builder = match (&client.acked, &client.request) {
            // The one that won, and those that lost: who answers once more under other names is not listened to.
            (Some(acked), _) if acked.len() > forks => return,
            (Some(acked), _) => acked.authorize(builder),
            (None, Some(invite)) => authorize(builder, invite),
            (None, None) => return,
        };
        let Ok(ack) = builder.build_boxed() else { return };
        send_ack(ep, self.now, &ack, over);
        match (&mut client.acked, &client.request) {
            (Some(acked), _) => acked.keep(tag, &ack, over),
            (none, Some(invite)) => *none = Acked::new(invite, tag, &ack, over).map(Box::new),
            (None, None) => {}
        }
        if client.acked.is_some() && matches!(client.purpose, Purpose::Invite(_)) {
            client.request = None;
        }
    }

    /// A 2xx nobody wants: ACK, then BYE. An offer in it is answered all the same, with nothing taken.
    fn lose(&mut self, ep: &mut Endpoint, tx: ClientTxId, path: Path, mut message: Box<Message>) {
        let Some(client) = self.clients.get(&tx) else { return };
        let Some((uri, offered)) = client.invitation() else { return };
        if client.acked.as_ref().is_some_and(|acked| acked.len() >= self.config.limits.forks) {
            return;
        }
        if !matches!(contact(&message, None), Ok(Some(_))) {
            // Nothing tells where its sender is but the way it came: back to the target of the INVITE.
            let uri = core::str::from_utf8(uri).unwrap_or_default();
            let _ = message.set(Header::Contact, alloc::format!("<{uri}>"));
        }
        let answered = |message: &Message| Dialog::answered(uri, message, &message.dialog_ids().ok()?).ok();
        // Routes that cannot be read are no reason to leave it without its ACK.
        let dialog = answered(&message).or_else(|| {
            message.remove(Header::RecordRoute);
            answered(&message)
        });
        let Some(mut dialog) = dialog else { return };
        let over = Over::of(client.pin.or_else(|| Self::pin_of_response(path, &dialog)), &dialog);
        let (auth, used) = (client.auth.clone(), client.used);
        let cseq = dialog.local_cseq();
        dialog.set_local_cseq(used);
        let tag: Tag = dialog.remote_tag_bytes().into();
        // Without an offer in the INVITE it is in the 2xx, unless a reliable response before that had it.
        let known = self.find_dialog(dialog.call_id().as_bytes(), dialog.local_tag_bytes(), &tag);
        let open = match known.and_then(|known| self.dialogs.get(known)) {
            Some(entry) => entry.oa.invite_needs_body(),
            None => client.has_gone(dialog.remote_tag_bytes()) != Some(true),
        };
        let mut ack = dialog.ack(cseq);
        if let Some(refusal) = owed_refusal(offered, &message).filter(|_| open) {
            ack = refusal.on_request(ack);
        }
        self.finish_ack(ep, tx, &tag, ack, over);
        let bye = self.dress(dialog.request(Method::Bye));
        if let Ok(bye) = bye.build_boxed() {
            let _ = self.send(ep, bye, over, Purpose::Nobody, None, auth);
        }
    }

    /// A 2xx to a re-INVITE whose dialog is gone: the BYE was answered before. The ACK takes the way of the re-INVITE.
    pub(crate) fn lose_again(&mut self, ep: &mut Endpoint, tx: ClientTxId, message: &Message) {
        let Some(client) = self.clients.get(&tx) else { return };
        let (Some(request), Ok(ids), Ok(cseq)) = (&client.request, message.dialog_ids(), message.cseq()) else {
            return;
        };
        let over = Over { pin: client.pin, strict: client.strict };
        let target = contact(message, None).ok().flatten().filter(|_| !client.strict);
        let tag = ids.to_tag.unwrap_or_default();
        let ack = match (&target, request.request_uri_bytes().map(core::str::from_utf8)) {
            (Some(target), _) => Message::request_to(Method::Ack, target),
            (None, Some(Ok(uri))) => Message::request(Method::Ack, uri),
            _ => return,
        };
        let mut ack = ack.cseq(cseq.number).copy_all(request, Header::Route);
        for header in [Header::From, Header::To, Header::CallId] {
            ack = ack.copy_all(request, header);
        }
        if let Some(refusal) = owed_refusal(body::carries_session(request), message) {
            ack = refusal.on_request(ack);
        }
        self.finish_ack(ep, tx, tag, ack, over);
    }

    /// The INVITE failed for good: refused, not answered, not sent.
    pub(crate) fn on_invite_failed(&mut self, ep: &mut Endpoint, call: CallHandle, mut outcome: Final) {
        let Some(found) = self.calls.get(call) else { return };
        let (state, ending) = (found.state, found.ending);
        self.drop_all_early(ep, call);
        if state == CallState::Cancelling {
            return self.end_call(ep, call, ending.unwrap_or(EndCause::Cancelled), outcome.response);
        }
        if let Some(response) = &outcome.response {
            let follow = match response.status().map_or(0, |status| status.code()) {
                422 => self.ask_longer(call, &mut outcome),
                300..=399 => {
                    let asked = outcome.request.as_ref().and_then(|request| request.request_uri_bytes());
                    self.redirected(call, response.clone(), asked.unwrap_or_default())
                }
                400..=599 => self.has_next_target(call),
                _ => false,
            };
            if follow && self.try_again(ep, call, &mut outcome) {
                return;
            }
        } else if self.has_next_target(call) && self.try_again(ep, call, &mut outcome) {
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.2
        //# A UAC MUST treat any final response it does not recognize as being
        //# equivalent to the x00 response code of that class, and MUST be able to
        //# process the x00 response code for all classes.
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
        //# Upon receiving a 416 response or a 480 (Temporarily Unavailable)
        //# response with a Warning header with warn-code 380 "SIPS Not Allowed",
        //# a UAC MUST NOT re-attempt the request by automatically replacing the
        //# SIPS scheme with a SIP scheme as described in [RFC3261], Section
        //# 8.1.3.5, as it would be a security vulnerability.
        let cause = Self::refusal(outcome.status, outcome.response.is_some(), outcome.unreachable);
        self.end_call(ep, call, cause, outcome.response);
    }

    /// 422: the interval was too small. Asks for what it takes.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.3
    //# If the response to a session refresh request is a 422 (Session Interval
    //# Too Small) response message, then the UAC MAY retry the request.
    fn ask_longer(&mut self, call: CallHandle, outcome: &mut Final) -> bool {
        let (config, rounds) = (self.config.session_timer, self.config.limits.glare_rounds);
        let Some(calling) = self.calls.get_mut(call).and_then(|found| found.calling.as_mut()) else { return false };
        let (Some(response), Some(request)) = (&outcome.response, &mut outcome.request) else { return false };
        // Whoever always wants more gets no more.
        if calling.longer >= rounds || !calling.timer.too_small(response) {
            return false;
        }
        calling.longer += 1;
        calling.timer.request(&config).set_on(request).is_ok()
    }

    /// It has rung long enough.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
    //# If the time indicated in the Expires header field is reached and no
    //# final answer for the INVITE has been received, the UAC core SHOULD
    //# generate a CANCEL request for the INVITE, as per Section 9.
    pub(crate) fn on_no_answer(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let Some(found) = self.calls.get(call) else { return };
        match found.role {
            _ if found.state == CallState::Confirmed => self.give_up_change(ep, call),
            Role::Caller => {
                let _ = self.finish_call(ep, call, EndCause::NoAnswer, Some("SIP;cause=408;text=\"No answer\""));
            }
            Role::Callee => self.not_answered(ep, call),
        }
    }
}

/// What refuses the offer in a 2xx to an INVITE without one.
fn owed_refusal(offered: bool, message: &Message) -> Option<Body> {
    let offer = !offered && body::carries_session(message);
    offer.then(|| body::refusal(message)).flatten()
}

impl Fields {
    /// Adds Session-Expires and Min-SE to a request.
    pub(crate) fn on_request(&self, mut builder: sip_message::RequestBuilder) -> sip_message::RequestBuilder {
        if let Some((interval, refresher)) = self.expires {
            builder = match refresher {
                Some(refresher) => {
                    let value = alloc::format!("{interval};refresher={}", refresher.as_str());
                    builder.header(Header::SessionExpires, value)
                }
                None => builder.header(Header::SessionExpires, interval),
            };
        }
        match self.min_se {
            Some(min_se) => builder.header(Header::MinSe, min_se),
            None => builder,
        }
    }

    /// Adds Session-Expires, and Require if it is owed, to a 2xx.
    pub(crate) fn on_response(&self, builder: sip_message::ResponseBuilder) -> sip_message::ResponseBuilder {
        let Some((interval, Some(refresher))) = self.expires else { return builder };
        let value = alloc::format!("{interval};refresher={}", refresher.as_str());
        let builder = builder.header(Header::SessionExpires, value);
        if self.required { builder.header(Header::Require, "timer") } else { builder }
    }

    /// Replaces Session-Expires and Min-SE in a request.
    pub(crate) fn set_on(&self, request: &mut Message) -> Result<(), sip_message::BuildError> {
        if let Some((interval, _)) = self.expires {
            request.set(Header::SessionExpires, interval)?;
        }
        if let Some(min_se) = self.min_se {
            request.set(Header::MinSe, min_se)?;
        }
        Ok(())
    }
}

wire!(struct Calling {
    oa, contact, timer, longer, targets, seen, through, plain_routes, replaced, cseq, refusal, prack_by_host, hung_up,
} pin { pin });

#[cfg(test)]
mod tests {
    use super::without_headers;

    #[test]
    fn headers_are_left_out_and_users_are_whole() {
        for (target, left) in [
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com"),
            ("sip:bob@biloxi.com;x=y?Subject=hi", "sip:bob@biloxi.com;x=y"),
            ("sip:who?@biloxi.com?Subject=hi", "sip:who?@biloxi.com"),
            ("sip:who?@biloxi.com", "sip:who?@biloxi.com"),
        ] {
            assert_eq!(without_headers(target), left);
        }
    }
}
