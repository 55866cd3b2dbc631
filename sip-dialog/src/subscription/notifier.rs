//! The notifier's side: SUBSCRIBE taken or refused, NOTIFY sent, and what ends a subscription here.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::time::Duration;
use sip_message::headers::Event as EventValue;
use sip_message::{Header, Message, Method, ResponseBuilder, StatusCode};
use sip_transaction::{Endpoint, Instant, Path, ServerTxId};

use super::{DEFAULT_EXPIRES, Side, State, Subscription, Termination, expires_of, text_of};
use crate::agent::client::{Final, Purpose};
use crate::agent::server::Served;
use crate::agent::{UserAgentCore, status};
use crate::body::Body;
use crate::call::Entry;
use crate::call::callee::Reply;
use crate::deadlines::Deadline;
use crate::dialog::Dialog;
use crate::error::CommandError;
use crate::event::{SubscriptionEnd, SubscriptionEvent};
use crate::id::{DialogId, SubscriptionId};

impl UserAgentCore {
    /// A SUBSCRIBE: a new subscription, or news of one there is.
    pub(crate) fn on_subscribe(
        &mut self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        path: Path,
        dialog: Option<DialogId>,
        message: Box<Message>,
    ) {
        let Ok(Some(event)) = message.value::<EventValue<'_>>(Header::Event) else {
            //= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.3
            //# If a notifier does not support PINT, it SHOULD return 489 (Bad Event) to
            //# any SUBSCRIBE requests without an "Event" header field.
            return self.bad_event(ep, tx, &message);
        };
        let package = event.event_type().as_str();
        let expires = expires_of(&message).unwrap_or(DEFAULT_EXPIRES);
        if let Some(dialog) = dialog {
            let subs = self.dialogs.get(dialog).map(|entry| entry.subs.clone()).unwrap_or_default();
            let known = subs.into_iter().find(|id| {
                self.subscriptions.get(*id).is_some_and(|sub| sub.side == Side::Notifier && sub.is(&message))
            });
            if let Some(id) = known {
                return self.resubscribed(ep, tx, id, expires, message);
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.4
        //# If a SUBSCRIBE request for event refer is received for a subscription
        //# that does not already exist, it MUST be rejected with a 403.
        if package == "refer" {
            return self.reply(ep, tx, &message, StatusCode::FORBIDDEN);
        }
        if !self.config.packages.iter().any(|known| known == package) {
            return self.bad_event(ep, tx, &message);
        }
        let value = text_of(&message, Header::Event);
        let sub = Subscription::new(Side::Notifier, &value, expires, self.contact_to(path, &message));
        if let Some(id) = self.keep_asked(ep, tx, path, dialog, &message, sub) {
            let expires = Duration::from_secs(u64::from(expires));
            self.sub_event(id, SubscriptionEvent::Incoming { message, expires });
        }
    }

    /// Keeps what a SUBSCRIBE or REFER asks for until the host has answered it. `None`: it has been refused.
    pub(crate) fn keep_asked(
        &mut self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        path: Path,
        dialog: Option<DialogId>,
        message: &Message,
        mut sub: Subscription,
    ) -> Option<SubscriptionId> {
        let makes_dialog = dialog.is_some() || Dialog::from_request(message, "x", false).is_ok();
        let refusal = match (makes_dialog, self.sub_room()) {
            (false, _) => Some(StatusCode::BAD_REQUEST),
            (_, false) => Some(StatusCode::SERVICE_UNAVAILABLE),
            _ => None,
        };
        if let Some(code) = refusal {
            self.reply(ep, tx, message, code);
            return None;
        }
        sub.dialog = dialog;
        sub.asked = Some(tx);
        sub.pin = Self::pin_for(path, message);
        sub.request = Some(Box::new(message.clone()));
        let Some(id) = self.subscriptions.insert(sub) else {
            self.reply(ep, tx, message, StatusCode::SERVICE_UNAVAILABLE);
            return None;
        };
        if let Some(entry) = dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
            entry.subs.push(id);
        }
        self.serve(tx, Served::Subscribe(id));
        Some(id)
    }

    /// Sends the 2xx to a SUBSCRIBE or REFER, and makes the dialog if it does.
    pub(crate) fn accept_asked(
        &mut self,
        ep: &mut Endpoint,
        id: SubscriptionId,
        refer: bool,
        code: StatusCode,
        complete: impl FnOnce(ResponseBuilder) -> ResponseBuilder,
    ) -> Result<(), CommandError> {
        let sub = self.subscriptions.get(id).ok_or(CommandError::Unknown)?;
        let (Some(tx), Some(request), true) = (sub.asked, sub.request.as_ref(), sub.refer == refer) else {
            return Err(CommandError::WrongState);
        };
        let tag = ep.local_tag(tx).ok_or(CommandError::Unknown)?;
        let builder = self.dialog_response(ep, tx, request, code, &sub.contact, false);
        let response = complete(builder).build()?;
        let entry = match sub.dialog {
            Some(_) => None,
            None => {
                let dialog = Dialog::from_request(request, tag.as_str(), false)?;
                let mut entry = Entry::new(dialog, sub.contact.clone(), sub.pin);
                entry.subs.push(id);
                entry.referred = refer;
                Some(entry)
            }
        };
        ep.respond(self.now, tx, response).map_err(|error| error.kind)?;
        self.serve(tx, Served::Done);
        let made = match entry {
            Some(entry) => Some(self.insert_dialog(entry).ok_or(CommandError::Full)?),
            None => None,
        };
        if let Some(sub) = self.subscriptions.get_mut(id) {
            sub.dialog = sub.dialog.or(made);
            sub.state = State::Live;
            sub.asked = None;
            sub.request = None;
        }
        Ok(())
    }

    fn bad_event(&mut self, ep: &mut Endpoint, tx: ServerTxId, message: &Message) {
        let mut builder = self.response(ep, tx, message, status(489));
        if !self.config.packages.is_empty() {
            builder = builder.header(Header::AllowEvents, self.config.packages.join(", "));
        }
        self.finish(ep, tx, builder);
    }

    /// A SUBSCRIBE for a subscription there is: refreshed, or ended.
    fn resubscribed(
        &mut self,
        ep: &mut Endpoint,
        tx: ServerTxId,
        id: SubscriptionId,
        expires: u32,
        message: Box<Message>,
    ) {
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        if sub.state != State::Live {
            return self.reply_later(ep, tx, &message);
        }
        //= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.1.4
        //# As with the initial subscription, the server MAY shorten the amount of
        //# time until expiration but MUST NOT increase it.
        let expires = sub.most.map_or(expires, |most| expires.min(most));
        sub.expires = expires;
        let (contact, dialog) = (sub.contact.clone(), sub.dialog);
        if let Some(entry) = dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
            let _ = entry.dialog.refresh_target(&message);
        }
        let builder = self.response(ep, tx, &message, StatusCode::OK);
        self.finish(ep, tx, builder.header(Header::Expires, expires).header(Header::Contact, contact));
        if expires == 0 {
            let termination = Termination { reason: Some("timeout"), ..Termination::default() };
            return self.finish_notifier(ep, id, termination, SubscriptionEnd::PeerUnsubscribed);
        }
        let time = Duration::from_secs(u64::from(expires));
        self.deadlines.after(Deadline::Subscribe(id), self.now, time);
        self.sub_event(id, SubscriptionEvent::Refreshed { message, expires: time });
        // Each SUBSCRIBE is answered by the state at once; the host may send a newer one after.
        let last = self.subscriptions.get(id).and_then(|sub| sub.last.clone());
        let _ = self.send_notify(ep, id, last.map(|body| *body), None);
    }

    /// Accepts a subscription: 200, and the state at once in a NOTIFY.
    ///
    /// `pending` says that somebody must still approve of it; [`notify`](UserAgentCore::notify) makes it active. `expires` shortens
    /// what was asked for, in seconds; so it does for each refresh ([`SubscriptionEvent::Refreshed`]).
    ///
    /// # Errors
    ///
    /// The id is stale, or of a subscription that does not wait for this; a value is malformed.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-3.1.1
    //# 200-class responses to SUBSCRIBE requests also MUST contain an "Expires"
    //# header field.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.1
    //# Notifiers MUST NOT create subscriptions except upon receipt of a
    //# SUBSCRIBE request.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.1.1
    //# The "Expires" values present in SUBSCRIBE 200-class responses behave in
    //# the same way as they do in REGISTER responses: the server MAY shorten
    //# the interval but MUST NOT lengthen it.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.1.2
    //# Upon successfully accepting or refreshing a subscription, notifiers MUST
    //# send a NOTIFY request immediately to communicate the current resource
    //# state to the subscriber.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.2
    //# When a SUBSCRIBE request is answered with a 200-class response, the
    //# notifier MUST immediately construct and send a NOTIFY request to the
    //# subscriber.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-8.3.1
    //# Implementations conformant with the current specification MUST treat an
    //# incoming 202 response as identical to a 200 response and MUST NOT
    //# generate 202 response codes to SUBSCRIBE or NOTIFY requests.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-8.3.1
    //# Implementations compliant with the present document MUST NOT send a 202
    //# response to a SUBSCRIBE request and will send an alternate success
    //# response (such as 200) in its stead.
    pub fn accept_subscription(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: SubscriptionId,
        pending: bool,
        expires: Option<u32>,
        body: Option<Body>,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let sub = self.subscriptions.get(id).ok_or(CommandError::Unknown)?;
        //= https://www.rfc-editor.org/rfc/rfc6665#section-3.1.1
        //# The period of time in the response MAY be shorter but MUST NOT be longer
        //# than specified in the request.
        body.as_ref().map_or(Ok(()), Body::check)?;
        let granted = expires.unwrap_or(sub.expires).min(sub.expires);
        self.accept_asked(ep, id, false, StatusCode::OK, |builder| builder.header(Header::Expires, granted))?;
        if let Some(sub) = self.subscriptions.get_mut(id) {
            sub.expires = granted;
            sub.most = expires;
            sub.pending = pending;
        }
        if granted == 0 {
            let termination = Termination { reason: Some("timeout"), retry_after: None, body };
            self.finish_notifier(ep, id, termination, SubscriptionEnd::Expired);
            return Ok(());
        }
        self.deadlines.after(Deadline::Subscribe(id), self.now, Duration::from_secs(u64::from(granted)));
        self.first_notify(ep, id, body);
        Ok(())
    }

    /// The NOTIFY owed for a 2xx, which cannot be taken back: what cannot be sent ends the subscription, as what is not answered does.
    pub(crate) fn first_notify(&mut self, ep: &mut Endpoint, id: SubscriptionId, body: Option<Body>) {
        if self.send_notify(ep, id, body, None).is_err() {
            self.end_sub(id, SubscriptionEnd::Lost(status(503)), None);
        }
    }

    /// Refuses a subscription that came in.
    ///
    /// # Errors
    ///
    /// The id is stale, or of a subscription that does not wait for this; the status is none that refuses.
    pub fn reject_subscription(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: SubscriptionId,
        code: StatusCode,
        reply: Reply,
    ) -> Result<(), CommandError> {
        self.advance(now);
        if code.code() < 300 {
            return Err(CommandError::BadStatus);
        }
        let sub = self.subscriptions.get(id).ok_or(CommandError::Unknown)?;
        let (Some(tx), Some(request)) = (sub.asked, sub.request.as_ref()) else { return Err(CommandError::WrongState) };
        self.answer_as(ep, tx, request, code, reply)?;
        self.serve(tx, Served::Done);
        self.end_sub(id, SubscriptionEnd::Rejected(code), None);
        Ok(())
    }

    /// The transaction of a SUBSCRIBE or REFER that waits for the host ended.
    pub(crate) fn on_subscribe_gone(&mut self, _ep: &mut Endpoint, id: SubscriptionId) {
        if self.subscriptions.get(id).is_some_and(|sub| sub.asked.is_some()) {
            self.end_sub(id, SubscriptionEnd::Rejected(status(408)), None);
        }
    }

    /// Tells the state: sends a NOTIFY. A pending subscription becomes active.
    ///
    /// # Errors
    ///
    /// The id is stale or a subscriber's; it is not accepted yet; a value is malformed.
    pub fn notify(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: SubscriptionId,
        body: Option<Body>,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let sub = self.subscriptions.get_mut(id).ok_or(CommandError::Unknown)?;
        if sub.side != Side::Notifier || sub.state != State::Live {
            return Err(CommandError::WrongState);
        }
        let pending = core::mem::replace(&mut sub.pending, false);
        let sent = self.send_notify(ep, id, body, None);
        if let (Err(_), Some(sub)) = (&sent, self.subscriptions.get_mut(id)) {
            sub.pending = pending;
        }
        sent
    }

    /// Ends a subscription that we notify of, with a last NOTIFY.
    ///
    /// # Errors
    ///
    /// As [`notify`](UserAgentCore::notify); nothing has ended then.
    pub fn terminate(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: SubscriptionId,
        termination: Termination,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let sub = self.subscriptions.get(id).ok_or(CommandError::Unknown)?;
        if sub.side != Side::Notifier || sub.state != State::Live {
            return Err(CommandError::WrongState);
        }
        let body = termination.body.clone().or_else(|| sub.last.as_deref().cloned());
        self.send_notify(ep, id, body, Some(&termination))?;
        self.end_sub(id, SubscriptionEnd::Unsubscribed, None);
        Ok(())
    }

    pub(crate) fn finish_notifier(
        &mut self,
        ep: &mut Endpoint,
        id: SubscriptionId,
        termination: Termination,
        cause: SubscriptionEnd,
    ) {
        let last = self.subscriptions.get(id).and_then(|sub| sub.last.clone()).map(|body| *body);
        let body = termination.body.clone().or(last);
        let _ = self.send_notify(ep, id, body, Some(&termination));
        self.end_sub(id, cause, None);
    }

    /// Sends a NOTIFY with the state of the subscription, or its end.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.5.2
    //# If an "id" parameter is present in the SUBSCRIBE request used to
    //# establish a subscription, that "id" parameter MUST also be present in
    //# all corresponding NOTIFY requests.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-3.2.1
    //# The package name in the "Event" header field MUST match the "Event"
    //# header field in the corresponding SUBSCRIBE request.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-3.2.1
    //# As in SUBSCRIBE requests, NOTIFY request "Event" header fields MUST
    //# contain a single event package name for which a notification is being
    //# generated.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.2
    //# NOTIFY requests MUST contain a "Subscription-State" header field with a
    //# value of "active", "pending", or "terminated".
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.2
    //# The notifier MAY use this mechanism to shorten a subscription; however,
    //# this mechanism MUST NOT be used to lengthen a subscription.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-8.2.1
    //# It MUST NOT appear in any other SIP requests and MUST NOT appear in
    //# responses.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-8.2.3
    //# They MUST NOT appear in other SIP requests or responses.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-B.6
    //# Changed strength of including of "expires" in a NOTIFY from "SHOULD" to
    //# "MUST" in Section 4.2.2.
    pub(crate) fn send_notify(
        &mut self,
        ep: &mut Endpoint,
        id: SubscriptionId,
        body: Option<Body>,
        end: Option<&Termination>,
    ) -> Result<(), CommandError> {
        let left = self.deadlines.get(Deadline::Subscribe(id)).map_or(0, |at| at.since(self.now).as_secs());
        let Some(sub) = self.subscriptions.get_mut(id) else { return Err(CommandError::Unknown) };
        if sub.silent {
            return Ok(());
        }
        let dialog = sub.dialog.ok_or(CommandError::WrongState)?;
        let mut state = match end {
            Some(_) => String::from("terminated"),
            None if sub.pending => format!("pending;expires={left}"),
            None => format!("active;expires={left}"),
        };
        if let Some(end) = end {
            if let Some(reason) = end.reason {
                state.push_str(";reason=");
                state.push_str(reason);
            }
            if let Some(seconds) = end.retry_after {
                state.push_str(&format!(";retry-after={seconds}"));
            }
        }
        let (event, contact) = (sub.event.clone(), sub.contact.clone());
        let entry = self.dialogs.get(dialog).ok_or(CommandError::WrongState)?;
        let builder = entry.dialog.upcoming(Method::Notify);
        let mut builder = self
            .dress(builder)
            .header(Header::Contact, contact)
            .header(Header::Event, event)
            .header(Header::SubscriptionState, state);
        let last = body.clone().filter(|_| end.is_none());
        if let Some(body) = body {
            builder = body.on_request(builder);
        }
        let message = builder.build_boxed()?;
        let purpose = if end.is_some() { Purpose::Nobody } else { Purpose::Notify(id) };
        self.send_in_dialog(ep, dialog, message, purpose)?;
        if let (Some(last), Some(sub)) = (last, self.subscriptions.get_mut(id)) {
            sub.last = Some(Box::new(last));
        }
        Ok(())
    }

    /// A NOTIFY of ours was answered.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.2
    //# If the NOTIFY transaction fails due to the receipt of a 404, 405, 410,
    //# 416, 480-485, 489, 501, or 604 response to the NOTIFY request, the
    //# notifier MUST remove the corresponding subscription.
    pub(crate) fn on_notify_done(&mut self, _ep: &mut Endpoint, id: SubscriptionId, outcome: Final) {
        let Some(sub) = self.subscriptions.get(id) else { return };
        if sub.state == State::Asked {
            return;
        }
        let code = outcome.status;
        match outcome.response {
            Some(message) if code.is_success() => self.sub_event(id, SubscriptionEvent::Notified { message }),
            // RFC 6665 section 4.2.2: no answer at all ends it, and so do these, with 408 among them (RFC 5057 section 5.1 note 4).
            response
                if response.is_none()
                    || matches!(code.code(), 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604) =>
            {
                self.end_sub(id, SubscriptionEnd::Lost(code), response);
            }
            _ => {}
        }
    }
}
