//! What this core sends in client transactions: whose it is, trying again with credentials, and what came back.

use alloc::boxed::Box;
use alloc::sync::Arc;
use sip_message::{Header, HeaderName, Lines, Message, Method, RequestBuilder, ResponseBuilder, StatusCode};
use sip_transaction::{ClientTxId, Destination, Endpoint, Instant, Outcome, Path, SendErrorKind};

use super::sips::is_sips_value;
use super::way::is_sips;
use super::{RELIABLE, UserAgentCore, status};
use crate::auth::{AuthContext, Credentials, Verdict};
use crate::body;
use crate::call::CallState;
use crate::call::acked::Acked;
use crate::codec::wire;
use crate::deadlines::Deadline;
use crate::dialog::{Dialog, starts_loose};
use crate::error::CommandError;
use crate::event::{Event, Owner};
use crate::id::{CallHandle, DialogId, PublicationId, RegistrationId, RequestId, SubscriptionId};

/// Whose a client transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The INVITE that begins a call.
    Invite(CallHandle),
    /// A re-INVITE or UPDATE of ours.
    Change(CallHandle, DialogId),
    /// A PRACK, and whether it carries an offer of ours.
    Prack(CallHandle, DialogId, bool),
    /// BYE: the dialog goes when it is answered.
    Bye(DialogId),
    Info(RequestId, DialogId),
    Register(RegistrationId),
    /// SUBSCRIBE, or the REFER that subscribes implicitly.
    Subscribe(SubscriptionId),
    Notify(SubscriptionId),
    Publish(PublicationId),
    Request(RequestId),
    /// Nobody waits for it any more.
    Nobody,
}

impl Purpose {
    pub(crate) fn owner(self) -> Option<Owner> {
        match self {
            Purpose::Invite(call) | Purpose::Change(call, _) | Purpose::Prack(call, ..) => Some(Owner::Call(call)),
            Purpose::Info(request, _) | Purpose::Request(request) => Some(Owner::Request(request)),
            Purpose::Register(id) => Some(Owner::Registration(id)),
            Purpose::Subscribe(id) | Purpose::Notify(id) => Some(Owner::Subscription(id)),
            Purpose::Publish(id) => Some(Owner::Publication(id)),
            Purpose::Bye(_) | Purpose::Nobody => None,
        }
    }
}

/// A client transaction of this core's.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) purpose: Purpose,
    /// What was sent, until the final response; for an INVITE until the transaction ends.
    pub(crate) request: Option<Box<Message>>,
    /// The flow it goes over, if it is bound to one.
    pub(crate) pin: Option<Path>,
    /// The dialog whose CSeq a repetition takes, and whose credentials are shown.
    pub(crate) dialog: Option<DialogId>,
    /// The credentials of a request outside of a dialog.
    pub(crate) auth: Option<Box<AuthContext>>,
    pub(crate) rounds: u8,
    /// The highest number spent in any early dialog an INVITE has made: what loses a fork goes on from there.
    pub(crate) used: u32,
    /// The tags of the early dialogs that are over before the INVITE is: each with a semicolon behind it if it has had the exchange the INVITE asks
    /// for, and a comma.
    pub(crate) gone: Box<str>,
    pub(crate) answered: bool,
    /// Its Request-URI is a strict router's.
    pub(crate) strict: bool,
    /// What takes the place of an INVITE once its 2xx has an ACK. That of a re-INVITE stays beside it.
    pub(crate) acked: Option<Box<Acked>>,
}

impl Client {
    /// The Request-URI of an INVITE, and whether it has an offer.
    pub(crate) fn invitation(&self) -> Option<(&[u8], bool)> {
        if let Some(request) = &self.request {
            return Some((request.request_uri_bytes()?, body::carries_session(request)));
        }
        self.acked.as_ref().map(|acked| (acked.uri(), acked.offered()))
    }

    /// Whether the early dialog with this tag is over; if so, whether it had its exchange.
    pub(crate) fn has_gone(&self, tag: &[u8]) -> Option<bool> {
        if self.gone.is_empty() {
            return None;
        }
        let tags = self.gone.split(',').filter(|gone| !gone.is_empty());
        tags.map(|gone| gone.strip_suffix(';').map_or((gone, false), |gone| (gone, true)))
            .find(|(gone, _)| gone.as_bytes() == tag)
            .map(|(_, settled)| settled)
    }
}

/// How a request leaves: over the flow it is bound to, or by its route.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Over {
    pub(crate) pin: Option<Path>,
    /// The first of the route set is a strict router, whose URI is in the Request-URI. Behind it the rest of the message looks
    /// like any other: what stands first in Route may well have `lr`.
    pub(crate) strict: bool,
}

/// A request that waits for credentials.
#[derive(Debug)]
pub(crate) struct Parked {
    tx: ClientTxId,
    client: Box<Client>,
    response: Box<Message>,
}

/// The final outcome of a request, as its owner is told.
pub(crate) struct Final {
    /// The request that was answered.
    pub(crate) request: Option<Box<Message>>,
    /// The response; `None` if there was none.
    pub(crate) response: Option<Box<Message>>,
    /// Its status, or the one to act by.
    pub(crate) status: StatusCode,
    /// The credentials, back from a request outside of a dialog.
    pub(crate) auth: Option<Box<AuthContext>>,
    /// The transaction could not reach anybody.
    pub(crate) unreachable: bool,
    /// Where the response came from.
    pub(crate) path: Option<Path>,
    /// The Request-URI was a strict router's.
    pub(crate) strict: bool,
    /// The highest number spent in any early dialog it has made.
    pub(crate) used: u32,
}

impl UserAgentCore {
    /// Sends a request in a client transaction.
    pub(crate) fn send(
        &mut self,
        ep: &mut Endpoint,
        mut message: Box<Message>,
        over: Over,
        purpose: Purpose,
        dialog: Option<DialogId>,
        mut auth: Option<Box<AuthContext>>,
    ) -> Result<ClientTxId, CommandError> {
        let cnonce = (self.has_credentials(dialog, auth.as_deref())).then(|| self.token());
        let context = match dialog.and_then(|id| self.dialogs.get_mut(id)) {
            Some(entry) => entry.auth.as_deref_mut(),
            None => auth.as_deref_mut(),
        };
        if let (Some(context), Some(cnonce)) = (context, cnonce) {
            context.begin();
            context.apply(&mut message, &cnonce)?;
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
        //# When the UAC creates a request, it MUST insert a Via into that request.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
        //# The protocol name and protocol version in the header field MUST be SIP
        //# and 2.0, respectively.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
        //# The Via header field value MUST contain a branch parameter.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
        //# The branch parameter value MUST be unique across space and time for all
        //# requests sent by the UA.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
        //# The branch ID inserted by an element compliant with this specification
        //# MUST always begin with the characters "z9hG4bK".
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.2
        //# Unless there is local policy specifying otherwise, the destination MUST
        //# be determined by applying the DNS procedures described in [4] as
        //# follows.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
        //# Finally, once the new request has been constructed, it is sent using a
        //# new client transaction, and therefore MUST have a new branch ID in the
        //# top Via field as discussed in Section 8.1.1.7.
        let tx = match (ep.request_ref(self.now, &message, destination(over, &message)), dialog) {
            // The flow of a dialog has just ended; nobody has told us yet. The dialog has a route set all the same.
            (Err(SendErrorKind::UnknownFlow(_)), Some(_)) => {
                ep.request_ref(self.now, &message, destination(Over { pin: None, ..over }, &message))?
            }
            (sent, _) => sent?,
        };
        let client = Client {
            purpose,
            request: Some(message),
            pin: over.pin,
            dialog,
            auth,
            rounds: 0,
            used: 0,
            gone: Box::default(),
            answered: false,
            strict: over.strict,
            acked: None,
        };
        self.clients.insert(tx, client);
        Ok(tx)
    }

    fn has_credentials(&self, dialog: Option<DialogId>, auth: Option<&AuthContext>) -> bool {
        let of_dialog = dialog.and_then(|id| self.dialogs.get(id)).and_then(|entry| entry.auth.as_deref());
        of_dialog.or(auth).is_some_and(|context| !context.is_empty())
    }

    /// A number is spent in a dialog: where that is an early one, its INVITE keeps it in mind.
    fn note_used(&mut self, dialog: DialogId, used: u32) {
        let Some(entry) = self.dialogs.get(dialog) else { return };
        let early = entry.call.and_then(|call| self.calls.get(call)).filter(|call| call.calling.is_some());
        if let Some(invite) = early.and_then(|call| call.client).and_then(|tx| self.clients.get_mut(&tx)) {
            invite.used = invite.used.max(used);
        }
    }

    /// Sends a request in a dialog, over the dialog's flow, and spends the number it has: the [upcoming](Dialog::upcoming) one.
    pub(crate) fn send_in_dialog(
        &mut self,
        ep: &mut Endpoint,
        dialog: DialogId,
        message: Box<Message>,
        purpose: Purpose,
    ) -> Result<ClientTxId, CommandError> {
        let entry = self.dialogs.get(dialog).ok_or(CommandError::Unknown)?;
        let over = Over::of(entry.pin(), &entry.dialog);
        let tx = self.send(ep, message, over, purpose, Some(dialog), None)?;
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            let used = entry.dialog.next_cseq();
            self.note_used(dialog, used);
        }
        Ok(tx)
    }

    /// Adds the fields that every request of this core has but ACK and REGISTER: User-Agent and Supported.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.1
    //# A UAC that supports the session timer extension defined here MUST
    //# include a Supported header field in each request (except ACK), listing
    //# the option tag 'timer' [2].
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.1
    //# It MUST do so even if the UAC is not requesting usage of the session
    //# timer for this session.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.1
    //# The Supported header field containing 'timer' MUST still be included,
    //# even if the Require or Proxy-Require header fields are present
    //# containing 'timer'.
    pub(crate) fn dress(&self, builder: RequestBuilder) -> RequestBuilder {
        builder.lines(&self.request_lines)
    }

    /// Adds Contact, Allow and Supported.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
    //# An Allow header field (Section 20.5) SHOULD be present in the INVITE.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
    //# A Supported header field (Section 20.37) SHOULD be present in the
    //# INVITE.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.9
    //# If the UAC supports extensions to SIP that can be applied by the server
    //# to the response, the UAC SHOULD include a Supported header field in the
    //# request listing the option tags (Section 19.2) for those extensions.
    //= https://www.rfc-editor.org/rfc/rfc3262#section-4
    //# The UAC SHOULD include this in all INVITE requests.
    pub(crate) fn dress_session(&self, builder: RequestBuilder, contact: &Arc<str>) -> RequestBuilder {
        match self.own_contact(contact) {
            Some(_) => builder.lines(&self.session_lines),
            None => self.dress_contact(self.dress(builder), contact),
        }
    }

    /// As [`dress_session`](UserAgentCore::dress_session), with a Supported that has no 100rel.
    pub(crate) fn dress_unreliable(&self, builder: RequestBuilder, contact: &Arc<str>) -> RequestBuilder {
        let builder =
            builder.lines(&self.agent_line).header(Header::Supported, self.supported.trim_start_matches(RELIABLE));
        self.dress_contact(builder, contact)
    }

    fn dress_contact(&self, builder: RequestBuilder, contact: &Arc<str>) -> RequestBuilder {
        let builder = match self.own_contact(contact) {
            Some(line) => builder.lines(line),
            None => builder.text(Header::Contact, contact),
        };
        builder.lines(&self.allow_line)
    }

    /// Contact of a response that keeps a dialog.
    pub(crate) fn with_contact(&self, builder: ResponseBuilder, contact: &Arc<str>) -> ResponseBuilder {
        match self.own_contact(contact) {
            Some(line) => builder.lines(line),
            None => builder.text(Header::Contact, contact),
        }
    }

    /// The line of Contact that was checked when the core was made, if that is the one.
    pub(crate) fn own_contact(&self, contact: &Arc<str>) -> Option<&Lines> {
        (Arc::ptr_eq(contact, &self.contact) && !self.contact_line.is_empty()).then_some(&self.contact_line)
    }

    pub(crate) fn on_response(&mut self, ep: &mut Endpoint, tx: ClientTxId, path: Path, message: Box<Message>) {
        let Some(status) = message.status() else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.2
        //# A UAC MUST be able to process 100 and 183 responses.
        if status.code() == 100 {
            return;
        }
        let Some(client) = self.clients.get_mut(&tx) else { return };
        let purpose = client.purpose;
        if status.is_provisional() {
            match purpose {
                Purpose::Invite(call) => self.on_progress(ep, tx, call, path, message),
                Purpose::Change(call, dialog) => self.on_change_progress(ep, tx, call, dialog, message),
                Purpose::Request(id) => self.on_request_provisional(id, message),
                _ => {}
            }
            return;
        }
        let challenged = matches!(status.code(), 401 | 407) && !client.answered;
        if challenged && self.answer_challenge(ep, tx, &message) {
            if let Purpose::Invite(call) = purpose {
                self.drop_all_early(ep, call);
            }
            return;
        }
        let Some(client) = self.clients.get_mut(&tx) else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.3
        //# Subsequent final responses (which would only arrive under error
        //# conditions) MUST be ignored.
        let first = !core::mem::replace(&mut client.answered, true);
        if status.is_success() {
            if first {
                self.keep_nonce(tx, &message);
            }
            if let Purpose::Invite(call) = purpose {
                return self.on_accepted(ep, tx, call, path, message);
            }
            if let Purpose::Change(_, _) | Purpose::Nobody = purpose {
                if message.cseq().is_ok_and(|cseq| cseq.method == Method::Invite) {
                    return self.on_reinvite_accepted(ep, tx, purpose, message);
                }
            }
        }
        if !first {
            return;
        }
        let Some(client) = self.clients.get_mut(&tx) else { return };
        let (request, auth, strict, used) = (client.request.take(), client.auth.take(), client.strict, client.used);
        let path = Some(path);
        let outcome = Final { request, response: Some(message), status, auth, unreachable: false, path, strict, used };
        self.deliver(ep, tx, purpose, outcome);
    }

    pub(crate) fn on_client_ended(&mut self, ep: &mut Endpoint, tx: ClientTxId, client: Client, outcome: Outcome) {
        // Of an answered one it says that an ACK, or what came after the answer, went nowhere: the call stands all the same.
        //= https://www.rfc-editor.org/rfc/rfc6141#section-5.3
        //# A UAC that accepts a target refresh within a re-INVITE MUST ignore
        //# transport and timeout errors when generating an ACK request for a
        //# non-2xx final response.
        if client.answered {
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.2
        //# A UAC SHOULD also terminate a dialog if no response at all is received
        //# for the request (the client transaction would inform the TU about the
        //# timeout.)
        let unreachable = matches!(outcome, Outcome::Failed(_));
        let status = outcome.status().unwrap_or(status(408));
        let Client { purpose, request, auth, strict, used, .. } = client;
        let outcome = Final { request, response: None, status, auth, unreachable, path: None, strict, used };
        self.deliver(ep, tx, purpose, outcome);
    }

    /// Tells the owner of a request how it ended.
    fn deliver(&mut self, ep: &mut Endpoint, tx: ClientTxId, purpose: Purpose, outcome: Final) {
        match purpose {
            Purpose::Invite(call) => self.on_invite_failed(ep, call, outcome),
            Purpose::Change(call, dialog) => self.on_change_done(ep, call, dialog, outcome),
            Purpose::Prack(call, dialog, true) => self.on_prack_done(call, dialog, outcome),
            Purpose::Bye(dialog) => self.on_bye_done(ep, dialog, outcome),
            Purpose::Info(request, dialog) => self.on_info_done(ep, request, dialog, outcome),
            Purpose::Register(id) => self.on_register_done(ep, id, tx, outcome),
            Purpose::Subscribe(id) => self.on_subscribe_done(ep, id, outcome),
            Purpose::Notify(id) => self.on_notify_done(ep, id, outcome),
            Purpose::Publish(id) => self.on_publish_done(ep, id, outcome),
            Purpose::Request(id) => self.on_request_done(id, outcome),
            Purpose::Prack(_, _, false) | Purpose::Nobody => {}
        }
    }

    /// A 401 or 407: sends the request again if its challenges can be answered, or parks it until the host gives credentials.
    /// `false` if the response is to be taken for final.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.5
    //# If a 401 (Unauthorized) or 407 (Proxy Authentication Required) response
    //# is received, the UAC SHOULD follow the authorization procedures of
    //# Section 22.2 and Section 22.3 to retry the request with credentials.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.2
    //# When the originating UAC receives the 401 (Unauthorized), it SHOULD, if
    //# it is able, re-originate the request with the proper credentials.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.8
    //# This code is similar to 401 (Unauthorized), but indicates that the
    //# client MUST first authenticate itself with the proxy.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
    //# When the originating UAC receives the 407 (Proxy Authentication
    //# Required) it SHOULD, if it is able, re-originate the request with the
    //# proper credentials.
    fn answer_challenge(&mut self, ep: &mut Endpoint, tx: ClientTxId, response: &Message) -> bool {
        let Some(client) = self.clients.get_mut(&tx) else { return false };
        let purpose = client.purpose;
        let Some(request) = client.request.as_deref() else { return false };
        if client.rounds >= self.config.limits.auth_rounds {
            return false;
        }
        // What nobody waits for is not worth another round, except a BYE and the last NOTIFY of a subscription: the peer must hear of it.
        if purpose == Purpose::Nobody && !matches!(request.method(), Some(Method::Bye | Method::Notify)) {
            return false;
        }
        // Nor is a call that we have given up meanwhile: another INVITE would ring on.
        if let Purpose::Invite(call) = purpose {
            if self.calls.get(call).is_none_or(|found| found.state == CallState::Cancelling) {
                return false;
            }
        }
        let Some(client) = self.clients.get_mut(&tx) else { return false };
        let rounds = client.rounds + 1;
        let mut moved = Box::new(Client {
            purpose,
            request: client.request.take(),
            pin: client.pin,
            dialog: client.dialog,
            auth: client.auth.take(),
            rounds,
            used: client.used,
            gone: Box::default(),
            answered: false,
            strict: client.strict,
            acked: None,
        });
        client.purpose = Purpose::Nobody;
        client.answered = true;
        match self.challenge_verdict(&mut moved, response) {
            Verdict::Retry => match self.retry(ep, moved) {
                Ok(()) => true,
                Err(moved) => self.restore(tx, *moved),
            },
            // The host that has left is not asked, nor is its removal kept waiting.
            Verdict::Ask(_) if matches!(purpose, Purpose::Register(id) if self.removal_waits(id)) => {
                self.restore(tx, *moved)
            }
            Verdict::Ask(realm) => match purpose.owner() {
                // One request of an owner waits at a time: the INVITE of a call before what was said in its early dialogs.
                Some(owner)
                    if self.parked.len() < 10_000
                        && (matches!(purpose, Purpose::Invite(_)) || !self.parked.contains_key(&owner)) =>
                {
                    if let Some(Parked { tx, client, response }) = self.parked.remove(&owner) {
                        self.give_up(ep, tx, *client, response);
                    }
                    self.parked.insert(owner, Parked { tx, client: moved, response: Box::new(response.clone()) });
                    self.deadlines.after(Deadline::Parked(owner), self.now, self.config.answer.saturating_mul(3));
                    self.emit(Event::Challenged { owner, realm, message: Box::new(response.clone()) });
                    true
                }
                _ => self.restore(tx, *moved),
            },
            Verdict::Refuse => self.restore(tx, *moved),
        }
    }

    fn restore(&mut self, tx: ClientTxId, moved: Client) -> bool {
        if let Some(client) = self.clients.get_mut(&tx) {
            *client = moved;
        }
        false
    }

    fn challenge_verdict(&mut self, client: &mut Client, response: &Message) -> Verdict {
        let keyring = &self.keyring;
        match client.dialog.and_then(|id| self.dialogs.get_mut(id)) {
            Some(entry) => entry.auth.get_or_insert_default().challenged(response, keyring),
            None => client.auth.get_or_insert_default().challenged(response, keyring),
        }
    }

    /// Sends a request again, numbered anew and with credentials.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.2
    //# When a UAC resubmits a request with its credentials after receiving a
    //# 401 (Unauthorized) or 407 (Proxy Authentication Required) response, it
    //# MUST increment the CSeq header field value as it would normally when
    //# sending an updated request.
    fn retry(&mut self, ep: &mut Endpoint, mut client: Box<Client>) -> Result<(), Box<Client>> {
        // Whose dialog is gone meanwhile has no number to go on with; but the last NOTIFY of a subscription is worth another round.
        let gone = client.dialog.is_some_and(|id| !self.dialogs.contains(id));
        let Some(mut message) = client.request.take() else { return Err(client) };
        if gone && message.method() != Some(Method::Notify) {
            client.request = Some(message);
            return Err(client);
        }
        let kept = message.clone();
        let number = match client.dialog.and_then(|id| self.dialogs.get_mut(id)) {
            Some(entry) => entry.dialog.next_cseq(),
            // Beyond those of the early dialogs it has made: a peer may take the same tag again.
            None => message.cseq().map_or(1, |cseq| cseq.number.max(client.used).saturating_add(1)),
        };
        let cnonce = self.token();
        let context = match client.dialog.and_then(|id| self.dialogs.get_mut(id)) {
            Some(entry) => entry.auth.as_deref_mut(),
            None => client.auth.as_deref_mut(),
        };
        let applied = renumber(&mut message, number).and_then(|()| match context {
            Some(context) => context.apply(&mut message, &cnonce),
            None => Ok(()),
        });
        let over = Over { pin: client.pin, strict: client.strict };
        let sent = match applied {
            Ok(()) => ep.request_ref(self.now, &message, destination(over, &message)).ok(),
            Err(_) => None,
        };
        let Some(tx) = sent else {
            client.request = Some(kept);
            return Err(client);
        };
        if let (Purpose::Subscribe(id), Some(Method::Refer)) = (client.purpose, message.method()) {
            self.refer_numbered(id, number);
        }
        client.request = Some(message);
        if let Some(dialog) = client.dialog {
            self.note_used(dialog, number);
        }
        self.moved(client.purpose, tx, number);
        self.clients.insert(tx, *client);
        Ok(())
    }

    /// Sends a failed request again in another form, such as to another target. `used` is the highest number spent for it so far.
    pub(crate) fn resend(
        &mut self,
        ep: &mut Endpoint,
        mut message: Box<Message>,
        used: u32,
        over: Over,
        purpose: Purpose,
        mut auth: Option<Box<AuthContext>>,
    ) -> Result<ClientTxId, CommandError> {
        let number = message.cseq().map_or(1, |cseq| cseq.number.max(used).saturating_add(1));
        renumber(&mut message, number)?;
        if let Some(context) = auth.as_deref_mut().filter(|context| !context.is_empty()) {
            let cnonce = self.token();
            context.begin();
            context.apply(&mut message, &cnonce)?;
        }
        let tx = ep.request_ref(self.now, &message, destination(over, &message))?;
        let client = Client {
            purpose,
            request: Some(message),
            pin: over.pin,
            dialog: None,
            auth,
            rounds: 0,
            used: 0,
            gone: Box::default(),
            answered: false,
            strict: over.strict,
            acked: None,
        };
        self.clients.insert(tx, client);
        Ok(tx)
    }

    /// The request of an owner runs in another transaction now.
    fn moved(&mut self, purpose: Purpose, tx: ClientTxId, number: u32) {
        match purpose {
            Purpose::Invite(call) => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.client = Some(tx);
                }
            }
            Purpose::Change(call, dialog) => {
                if let Some(change) = self.calls.get_mut(call).and_then(|call| call.change.as_mut()) {
                    change.tx = Some(tx);
                }
                if let Some(entry) = self.dialogs.get_mut(dialog) {
                    // Its reliable responses are numbered by themselves, and none waits yet.
                    entry.rseq = 0;
                    entry.unpracked = false;
                }
                self.settle_answer(call);
            }
            Purpose::Register(id) => self.register_numbered(id, number, tx),
            _ => {}
        }
    }

    fn keep_nonce(&mut self, tx: ClientTxId, message: &Message) {
        let Some(client) = self.clients.get_mut(&tx) else { return };
        let context = match client.dialog.and_then(|id| self.dialogs.get_mut(id)) {
            Some(entry) => entry.auth.as_deref_mut(),
            None => client.auth.as_deref_mut(),
        };
        let Some(context) = context else { return };
        let shown = context.accepted(client.request.as_deref(), message);
        let Some(owner) = client.purpose.owner() else { return };
        for (realm, proof) in shown {
            self.emit(Event::ServerShown { owner, realm, proof, message: Box::new(message.clone()) });
        }
    }

    /// Adds credentials; challenges from now on are answered with them. See [`authenticate`](UserAgentCore::authenticate)
    /// for a challenge that waits.
    pub fn add_credentials(&mut self, credentials: Credentials) {
        self.keyring.insert(credentials);
    }

    /// Forgets the credentials of a realm.
    pub fn remove_credentials(&mut self, realm: &str) {
        self.keyring.remove(realm);
    }

    /// Answers an [`Event::Challenged`]: with credentials, which are kept, or with `None` to give up; the request then ends as refused.
    ///
    /// # Errors
    ///
    /// Nothing of that owner waits for credentials.
    pub fn authenticate(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        owner: Owner,
        credentials: Option<Credentials>,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let Parked { tx, mut client, response } = self.parked.remove(&owner).ok_or(CommandError::Unknown)?;
        self.deadlines.clear(Deadline::Parked(owner));
        let given = credentials.is_some();
        if let Some(credentials) = credentials {
            self.keyring.insert(credentials);
        }
        if given && self.challenge_verdict(&mut client, &response) == Verdict::Retry {
            if self.resume_change(client.purpose) {
                return Ok(());
            }
            match self.retry(ep, client) {
                Ok(()) => return Ok(()),
                Err(back) => client = back,
            }
        }
        self.give_up(ep, tx, *client, response);
        Ok(())
    }

    pub(crate) fn on_parked_too_long(&mut self, ep: &mut Endpoint, owner: Owner) {
        if let Some(Parked { tx, client, response }) = self.parked.remove(&owner) {
            self.give_up(ep, tx, *client, response);
        }
    }

    fn give_up(&mut self, ep: &mut Endpoint, tx: ClientTxId, client: Client, response: Box<Message>) {
        let status = response.status().unwrap_or(StatusCode::UNAUTHORIZED);
        let outcome = Final {
            request: client.request,
            response: Some(response),
            status,
            auth: client.auth,
            unreachable: false,
            path: None,
            strict: client.strict,
            used: client.used,
        };
        self.deliver(ep, tx, client.purpose, outcome);
    }

    /// What it is of this owner's that waits for credentials.
    pub(crate) fn parked_of(&self, owner: Owner) -> Option<Purpose> {
        self.parked.get(&owner).map(|parked| parked.client.purpose)
    }

    /// Takes back a request of an owner that waits for credentials: the owner has no more use for it.
    pub(crate) fn unpark(&mut self, owner: Owner) -> bool {
        self.deadlines.clear(Deadline::Parked(owner));
        self.parked.remove(&owner).is_some()
    }

    /// Drops what a client transaction would tell; it runs to its end by itself.
    pub(crate) fn disown(&mut self, tx: ClientTxId) {
        if let Some(client) = self.clients.get_mut(&tx) {
            client.purpose = Purpose::Nobody;
        }
    }
}

impl Over {
    /// As the requests of a dialog go: its remote target is in the Request-URI, or it is that of a strict router.
    pub(crate) fn of(pin: Option<Path>, dialog: &Dialog) -> Self {
        Over { pin, strict: !starts_loose(dialog.route_set()) }
    }
}

/// Sends the ACK for a 2xx over the flow of its dialog, or by its route set if that flow has just ended. If that fails too, it is
/// as if the ACK were lost: the next 2xx asks for it again.
pub(crate) fn send_ack(ep: &mut Endpoint, now: Instant, ack: &Message, over: Over) {
    if let Err(SendErrorKind::UnknownFlow(_)) = ep.send_ref(now, ack, destination(over, ack)) {
        let _ = ep.send_ref(now, ack, destination(Over { pin: None, ..over }, ack));
    }
}

/// Over a flow, or by Route and Request-URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.2
//# If the first element in the route set indicated a strict router
//# (resulting in forming the request as described in Section 12.2.1.1), the
//# procedures MUST be applied to the Request-URI of the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.2
//# Independent of which URI is used as input to the procedures of [4], if
//# the Request-URI specifies a SIPS resource, the UAC MUST follow the
//# procedures of [4] as if the input URI were a SIPS URI.
fn destination(over: Over, message: &Message) -> Destination {
    let uri = message.request_uri_bytes();
    if let Some(path) = over.pin {
        // A WebSocket may have its TLS from a gateway in front of us; UDP and TCP have none.
        let safe = path.transport.is_secure() || path.transport.is_websocket();
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
        //# If the route is not empty and the Route header field
        //# entry is a SIPS URI without the lr parameter, the UAC MUST send the
        //# request over TLS using a SIPS Request-URI corresponding to the
        //# topmost entry in the route set.
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
        //# When the UAC is using a SIP Request-URI, if the route set is not
        //# empty and the topmost Route header field entry is a SIPS URI with the
        //# lr parameter, the UAC MUST send the request over TLS (using a SIP
        //# Request-URI).
        let secure = || {
            let top = message.field(Header::Route).and_then(|routes| core::str::from_utf8(routes).ok());
            uri.is_some_and(is_sips) || top.is_some_and(is_sips_value)
        };
        if safe || !secure() {
            return Destination::path(path);
        }
    }
    match uri.filter(|_| over.strict).and_then(|uri| core::str::from_utf8(uri).ok()) {
        Some(uri) => Destination::next_hop(uri),
        None => Destination::route(),
    }
}

/// Writes another sequence number into a request.
pub(crate) fn renumber(message: &mut Message, number: u32) -> Result<(), sip_message::BuildError> {
    let cseq = match message.method() {
        Some(method) => alloc::format!("{number} {}", method.as_str()),
        None => return Ok(()),
    };
    message.set(HeaderName::Known(Header::CSeq), cseq)
}

wire!(ids Purpose {
    Invite(call) = 0,
    Change(call, dialog) = 1,
    Prack(call, dialog, offers) = 2,
    Bye(dialog) = 3,
    Info(request, dialog) = 4,
    Register(id) = 5,
    Subscribe(id) = 6,
    Notify(id) = 7,
    Publish(id) = 8,
    Request(id) = 9,
    Nobody() = 10,
});
wire!(struct Client { purpose, request, dialog, rounds, used, gone, answered, strict, acked } skip { auth } pin { pin });
wire!(struct Over { strict } pin { pin });
wire!(struct Parked { tx, client, response });
