//! Subscriptions to event packages (RFC 6665), at both ends, and what REFER's implicit ones share with them.
//!
//! ```text
//!  subscriber   subscribe ──► Asked ──2xx──► Asked ──NOTIFY──► Live ──NOTIFY terminated, 481, Timer N──► ended
//!                                               └─ unsubscribe ─► Leaving ─NOTIFY terminated, Timer N─► ended
//!  notifier     SUBSCRIBE ──► Asked ─accept─► Live ─ terminate, time runs out, Expires: 0, 481 ─► ended
//!                               └─ reject ─► ended
//! ```
//! A dialog may carry several of them, beside a call or without one.

mod notifier;

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;
use sip_message::headers::{DeltaSeconds, Event as EventValue, EventReason, RetryAfter, SubscriptionState, Substate};
use sip_message::{Header, Message, Method, StatusCode};
use sip_transaction::{Endpoint, Instant, Path, ServerTxId};

use crate::agent::client::{Final, Over, Purpose};
use crate::agent::{UserAgentCore, status};
use crate::auth::AuthContext;
use crate::body::Body;
use crate::call::Entry;
use crate::codec::wire;
use crate::deadlines::Deadline;
use crate::dialog::Dialog;
use crate::error::CommandError;
use crate::event::{Event, Owner, SubscriptionEnd, SubscriptionEvent};
use crate::id::{DialogId, SubscriptionId};
use crate::origin::{ExtraHeaders, Origin, takes_headers};

/// What a subscription lasts if the SUBSCRIBE does not say.
const DEFAULT_EXPIRES: u32 = 3600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Subscriber,
    Notifier,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The SUBSCRIBE or REFER is not answered by a NOTIFY, or not by the host.
    Asked,
    /// Accepted.
    Live,
    /// We have unsubscribed.
    Leaving,
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) side: Side,
    pub(crate) state: State,
    pub(crate) dialog: Option<DialogId>,
    /// The value of Event, `id` included.
    pub(crate) event: Box<str>,
    /// Seconds asked for, or granted.
    pub(crate) expires: u32,
    /// A notifier's: the most seconds that its host grants, if it has said so.
    pub(crate) most: Option<u32>,
    /// A subscriber's: when it ends, if it is not refreshed.
    pub(crate) until: Option<Instant>,
    /// What the request that began it has learned to show, until there is a dialog.
    auth: Option<Box<AuthContext>>,
    /// The subscriber's tag before there is a dialog, and the request that carries it, for dialogs that a NOTIFY makes.
    pub(crate) tag: Option<Box<str>>,
    pub(crate) request: Option<Box<Message>>,
    pub(crate) contact: alloc::sync::Arc<str>,
    pub(crate) pin: Option<Path>,
    accept: Option<Box<str>>,
    /// A notifier's: the request that waits for the host.
    pub(crate) asked: Option<ServerTxId>,
    pub(crate) pending: bool,
    /// A notifier's: the last state it told.
    pub(crate) last: Option<Box<Body>>,
    /// It came from a REFER.
    pub(crate) refer: bool,
    /// Nothing is to be told (RFC 4488).
    pub(crate) silent: bool,
}

/// A subscription to ask for.
///
/// ```
/// use sip_dialog::{Origin, Subscribe};
/// let mwi = Subscribe::new(Origin::new("<sip:alice@atlanta.com>"), "sip:alice@atlanta.com", "message-summary")
///     .accept("application/simple-message-summary")
///     .expires(600);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Subscribe {
    origin: Origin,
    target: String,
    event: String,
    expires: u32,
    accept: Option<String>,
    body: Option<Body>,
    headers: ExtraHeaders,
}

impl Subscribe {
    /// To the event package `event` (an Event value, with an `id` if need be) of whoever is at `target`, for an hour.
    pub fn new(origin: Origin, target: impl Into<String>, event: impl Into<String>) -> Self {
        Subscribe {
            origin,
            target: target.into(),
            event: event.into(),
            expires: DEFAULT_EXPIRES,
            accept: None,
            body: None,
            headers: ExtraHeaders::new(),
        }
    }

    /// For how many seconds; it is refreshed in time. 0 asks for the state once.
    pub fn expires(mut self, seconds: u32) -> Self {
        self.expires = seconds;
        self
    }

    /// The value of Accept: the body types of the notifications.
    pub fn accept(mut self, types: impl Into<String>) -> Self {
        self.accept = Some(types.into());
        self
    }

    /// A body, such as a filter.
    pub fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }
}

takes_headers!(Subscribe);

/// What ends a subscription from the notifier's side (RFC 6665 section 4.1.3).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Termination {
    reason: Option<&'static str>,
    retry_after: Option<u32>,
    body: Option<Body>,
}

impl Termination {
    /// For a reason: `noresource`, `deactivated`, `rejected` and their kin.
    pub fn new(reason: EventReason<'static>) -> Self {
        Termination { reason: Some(reason.as_str()), retry_after: None, body: None }
    }

    /// When to subscribe again, in seconds.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The last state; without it the one told before is told again.
    pub fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }
}

impl Subscription {
    pub(crate) fn new(side: Side, event: &str, expires: u32, contact: alloc::sync::Arc<str>) -> Self {
        Subscription {
            side,
            state: State::Asked,
            dialog: None,
            event: event.into(),
            expires,
            most: None,
            until: None,
            auth: None,
            tag: None,
            request: None,
            contact,
            pin: None,
            accept: None,
            asked: None,
            pending: false,
            last: None,
            refer: false,
            silent: false,
        }
    }

    /// Whether a message's Event is this subscription's.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-8.2.1
    //# For the purposes of matching
    //# NOTIFY requests with SUBSCRIBE requests, the event-type portion of
    //# the "Event" header field is compared byte by byte, and the "id"
    //# parameter token (if present) is compared byte by byte.
    fn is(&self, message: &Message) -> bool {
        let own = <EventValue<'_> as sip_message::FieldValue<'_>>::parse_value(self.event.as_bytes());
        let (Ok(own), Ok(Some(theirs))) = (own, message.value::<EventValue<'_>>(Header::Event)) else { return false };
        if own.matches(&theirs).unwrap_or(false) {
            return true;
        }
        // RFC 3515 section 2.4.6: the id may be left out for the first REFER in a dialog.
        self.refer && theirs.event_type().as_str() == "refer" && theirs.id().ok().flatten().is_none()
    }
}

/// The seconds in Expires.
fn expires_of(message: &Message) -> Option<u32> {
    message.value::<DeltaSeconds>(Header::Expires).ok().flatten().map(|seconds| seconds.0)
}

/// How long before its end to refresh what lasts so long: a tenth of it, at least five seconds; of what lasts less, half.
fn margin_of(expires: u32) -> u32 {
    (expires / 10).max(5).min(expires / 2)
}

impl UserAgentCore {
    pub(crate) fn sub_event(&mut self, subscription: SubscriptionId, event: SubscriptionEvent) {
        self.emit(Event::Subscription { subscription, event });
    }

    pub(crate) fn sub_room(&self) -> bool {
        self.config.limits.subscriptions.is_none_or(|limit| self.subscriptions.len() < limit)
    }

    /// Subscribes. It is refreshed until it is ended; [`SubscriptionEvent`]s tell all.
    ///
    /// # Errors
    ///
    /// A value is malformed; there are too many subscriptions; the next hop cannot be reached.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.5.2
    //# Subscribers MUST NOT attempt to reuse dialogs whose remote target is a
    //# GRUU.
    pub fn subscribe(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        subscribe: Subscribe,
    ) -> Result<SubscriptionId, CommandError> {
        self.advance(now);
        if !self.sub_room() {
            return Err(CommandError::Full);
        }
        let way = self.way_to(&subscribe.origin, &subscribe.target);
        self.check_way(&way)?;
        subscribe.headers.without_contact()?;
        let (mut builder, tag) = self.outside(Method::Subscribe, &subscribe.origin, &way, &subscribe.target, None)?;
        //= https://www.rfc-editor.org/rfc/rfc6665#section-3.1.2
        //# Subscribers MUST include exactly one "Event" header field in SUBSCRIBE
        //# requests, indicating to which event or class of events they are
        //# subscribing.
        //= https://www.rfc-editor.org/rfc/rfc6665#section-3.1.1
        //# SUBSCRIBE requests SHOULD contain an "Expires" header field (defined in
        //# [RFC3261]).
        builder = self
            .dress_session(builder, &way.contact)
            .header(Header::Event, &subscribe.event)
            .header(Header::Expires, subscribe.expires);
        if let Some(accept) = &subscribe.accept {
            builder = builder.header(Header::Accept, accept);
        }
        builder = subscribe.headers.on_request(builder);
        if let Some(body) = subscribe.body {
            builder = body.on_request(builder);
        }
        let message = builder.build_boxed()?;
        let mut sub = Subscription::new(Side::Subscriber, &subscribe.event, subscribe.expires, way.contact.clone());
        sub.accept = subscribe.accept.map(String::into_boxed_str);
        self.send_subscribing(ep, sub, message, tag, way)
    }

    /// Sends the request that begins a subscription outside of a dialog: SUBSCRIBE or REFER.
    pub(crate) fn send_subscribing(
        &mut self,
        ep: &mut Endpoint,
        mut sub: Subscription,
        message: Box<Message>,
        tag: crate::agent::RandomToken,
        way: crate::agent::way::Way,
    ) -> Result<SubscriptionId, CommandError> {
        sub.tag = Some((*tag).into());
        sub.request = Some(message.clone());
        sub.pin = way.path;
        let id = self.subscriptions.insert(sub).ok_or(CommandError::Full)?;
        if let Err(error) = self.send(ep, message, way.over(), Purpose::Subscribe(id), None, way.auth) {
            self.subscriptions.remove(id);
            return Err(error);
        }
        self.subscribing.insert((*tag).into(), id);
        self.start_timer_n(ep, id);
        Ok(id)
    }

    /// Timer N (RFC 6665 section 4.1.2.4).
    pub(crate) fn start_timer_n(&mut self, ep: &Endpoint, id: SubscriptionId) {
        let wait = ep.config().timers.t1.saturating_mul(64);
        self.deadlines.after(Deadline::FirstNotify(id), self.now, wait);
    }

    /// Ends a subscription of ours, or one we notify of, with what its side does: a SUBSCRIBE for 0 seconds, or a last NOTIFY
    /// with `noresource`.
    ///
    /// # Errors
    ///
    /// The id is stale; it waits for the host's own answer; it is ending already.
    pub fn unsubscribe(&mut self, ep: &mut Endpoint, now: Instant, id: SubscriptionId) -> Result<(), CommandError> {
        self.advance(now);
        let sub = self.subscriptions.get_mut(id).ok_or(CommandError::Unknown)?;
        match (sub.side, sub.state) {
            (Side::Notifier, State::Live) => self.terminate(ep, now, id, Termination::new(EventReason::Noresource)),
            (Side::Notifier, _) | (_, State::Leaving) => Err(CommandError::WrongState),
            (Side::Subscriber, State::Asked) => {
                // Without a dialog there is nobody to tell: what comes is answered 481, which ends it there, too.
                if sub.dialog.is_none() || self.unpark(Owner::Subscription(id)) {
                    self.end_sub(id, SubscriptionEnd::Unsubscribed, None);
                    return Ok(());
                }
                self.send_resubscribe(ep, id, 0)?;
                self.leaving(ep, id);
                Ok(())
            }
            (Side::Subscriber, State::Live) => {
                self.send_resubscribe(ep, id, 0)?;
                self.leaving(ep, id);
                Ok(())
            }
        }
    }

    fn leaving(&mut self, ep: &Endpoint, id: SubscriptionId) {
        if let Some(sub) = self.subscriptions.get_mut(id) {
            sub.state = State::Leaving;
        }
        self.deadlines.clear(Deadline::Subscribe(id));
        self.start_timer_n(ep, id);
    }

    /// SUBSCRIBE in the dialog.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.5.2
    //# When a subscriber refreshes the subscription timer, the SUBSCRIBE
    //# request MUST contain the same "Event" header field "id" parameter as was
    //# present in the SUBSCRIBE request that created the subscription.
    fn send_resubscribe(&mut self, ep: &mut Endpoint, id: SubscriptionId, expires: u32) -> Result<(), CommandError> {
        let Some(sub) = self.subscriptions.get(id) else { return Err(CommandError::Unknown) };
        let dialog = sub.dialog.ok_or(CommandError::WrongState)?;
        let (event, accept, contact) = (sub.event.clone(), sub.accept.clone(), sub.contact.clone());
        let entry = self.dialogs.get(dialog).ok_or(CommandError::WrongState)?;
        let builder = entry.dialog.upcoming(Method::Subscribe);
        let mut builder = self
            .dress(builder)
            .header(Header::Contact, contact)
            .header(Header::Event, event)
            .header(Header::Expires, expires);
        if let Some(accept) = accept {
            builder = builder.header(Header::Accept, accept);
        }
        let message = builder.build_boxed()?;
        self.send_in_dialog(ep, dialog, message, Purpose::Subscribe(id))?;
        Ok(())
    }

    /// A subscription goes on over another flow: the notifier is told by a refresh, the subscriber by a NOTIFY of the last state.
    pub(crate) fn rebind_subscription(
        &mut self,
        ep: &mut Endpoint,
        id: SubscriptionId,
        path: Path,
        contact: Option<&str>,
    ) {
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        sub.pin = Some(path);
        if let Some(contact) = contact {
            sub.contact = contact.into();
        }
        // A REFER's is over soon, and says what it has to say by itself.
        match (sub.side, sub.state) {
            _ if sub.refer => {}
            (Side::Subscriber, State::Live) => {
                let expires = sub.expires;
                let _ = self.send_resubscribe(ep, id, expires);
            }
            (Side::Notifier, State::Live) => {
                let last = sub.last.as_deref().cloned();
                let _ = self.send_notify(ep, id, last, None);
            }
            _ => {}
        }
    }

    /// The end of a subscription: it leaves all tables.
    pub(crate) fn end_sub(&mut self, id: SubscriptionId, cause: SubscriptionEnd, message: Option<Box<Message>>) {
        let Some(sub) = self.subscriptions.remove(id) else { return };
        self.deadlines.clear(Deadline::Subscribe(id));
        self.deadlines.clear(Deadline::FirstNotify(id));
        self.unpark(Owner::Subscription(id));
        if let Some(tag) = &sub.tag {
            if self.subscribing.get(tag) == Some(&id) {
                self.subscribing.remove(tag);
            }
        }
        if let Some(dialog) = sub.dialog {
            if let Some(entry) = self.dialogs.get_mut(dialog) {
                entry.subs.retain(|other| *other != id);
                if entry.subs.is_empty() && entry.call.is_none() && !entry.dying {
                    self.remove_dialog(dialog);
                }
            }
        }
        self.sub_event(id, SubscriptionEvent::Ended { cause, message });
    }

    /// SUBSCRIBE or REFER was answered.
    pub(crate) fn on_subscribe_done(&mut self, ep: &mut Endpoint, id: SubscriptionId, outcome: Final) {
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        let Final { request, response, status: code, auth, strict, .. } = outcome;
        //= https://www.rfc-editor.org/rfc/rfc6665#section-8.3.1
        //# Implementations conformant with the current specification MUST treat an
        //# incoming 202 response as identical to a 200 response and MUST NOT
        //# generate 202 response codes to SUBSCRIBE or NOTIFY requests.
        if let (true, Some(response)) = (code.is_success(), response.clone()) {
            if let (Some(request), true) = (request, sub.request.is_some()) {
                // The one that was accepted: its number is the dialog's.
                sub.request = Some(request);
            }
            // A NOTIFY may have made the dialog before.
            match sub.dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
                Some(entry) if entry.auth.is_none() => entry.auth = auth,
                Some(_) => {}
                None => sub.auth = auth,
            }
            if sub.refer {
                return self.on_refer_accepted(id, response);
            }
            // The dialog comes with the NOTIFY; the time runs from now.
            let granted = expires_of(&response).unwrap_or(sub.expires);
            //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.2
            //# If the subscriber receives a success response to the SUBSCRIBE request
            //# that indicates that no NOTIFY request will be generated -- such as the
            //# 204 response defined for use with the optional extension described in
            //# [RFC5839] -- then it MUST cancel Timer N.
            if code.code() == 204 {
                return self.end_sub(id, SubscriptionEnd::Suppressed, Some(response));
            }
            let (leaving, dialog) = (sub.state == State::Leaving, sub.dialog);
            let expires = if leaving { Duration::ZERO } else { Duration::from_secs(u64::from(granted)) };
            if !leaving {
                sub.expires = granted.max(1);
                if granted > 0 {
                    self.lasts(id, granted);
                }
            }
            if let Some(entry) = dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
                let _ = entry.dialog.refresh_target(&response);
            }
            return self.sub_event(id, SubscriptionEvent::Accepted { message: response, expires: Some(expires) });
        }
        let state = sub.state;
        // 423: longer, then.
        if code.code() == 423 && state != State::Leaving {
            let least = response
                .as_ref()
                .and_then(|response| response.value::<DeltaSeconds>(Header::MinExpires).ok().flatten())
                .map_or(0, |seconds| seconds.0);
            if least > sub.expires {
                // At least twice as long: whoever always wants more gets it in 32 rounds.
                let least = least.max(sub.expires.saturating_mul(2));
                sub.expires = least;
                let again = match (sub.dialog, request) {
                    (Some(_), _) => self.send_resubscribe(ep, id, least).is_ok(),
                    (None, Some(mut request)) => {
                        let over = Over { pin: sub.pin, strict };
                        request.set(Header::Expires, least).is_ok()
                            && self.resend(ep, request, 0, over, Purpose::Subscribe(id), auth).is_ok()
                    }
                    _ => false,
                };
                if again {
                    return;
                }
            }
        }
        let cause = match state {
            State::Leaving => SubscriptionEnd::Unsubscribed,
            _ if matches!(code.code(), 401 | 407) => SubscriptionEnd::Unauthorized,
            State::Asked => SubscriptionEnd::Refused(code),
            //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.2
            //# If a SUBSCRIBE request to refresh a subscription receives a 404, 405,
            //# 410, 416, 480-485, 489, 501, or 604 response, the subscriber MUST
            //# consider the subscription terminated.
            State::Live => match code.code() {
                404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604 => SubscriptionEnd::Lost(code),
                //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.2
                //# If a SUBSCRIBE request to refresh a subscription fails with any error
                //# code other than those listed above, the original subscription is still
                //# considered valid for the duration of the most recently known "Expires"
                //# value as negotiated by the most recent successful SUBSCRIBE transaction,
                //# or as communicated by a NOTIFY request in its "Subscription-State"
                //# header field "expires" parameter.
                _ => {
                    let told = response.as_ref().and_then(|response| {
                        let after = response.value::<RetryAfter<'_>>(Header::RetryAfter).ok().flatten()?;
                        Some(after.seconds())
                    });
                    return self.refresh_later(id, told.unwrap_or(1), response);
                }
            },
        };
        self.end_sub(id, cause, response);
    }

    /// A refresh has failed, which says nothing of the subscription: another attempt half way to its end, but not before so many seconds.
    /// At its end it is over.
    fn refresh_later(&mut self, id: SubscriptionId, seconds: u32, response: Option<Box<Message>>) {
        let Some(sub) = self.subscriptions.get(id) else { return };
        let left = sub.until.map_or(Duration::ZERO, |until| until.since(self.now));
        if left.is_zero() {
            return self.end_sub(id, SubscriptionEnd::Expired, response);
        }
        let wait = (left / 2).max(Duration::from_secs(u64::from(seconds))).min(left);
        self.deadlines.after(Deadline::Subscribe(id), self.now, wait);
    }

    /// Time to refresh, or, for a notifier, time is up.
    pub(crate) fn on_subscription_due(&mut self, ep: &mut Endpoint, id: SubscriptionId) {
        let Some(sub) = self.subscriptions.get(id) else { return };
        match sub.side {
            Side::Subscriber => {
                let expires = sub.expires;
                if self.send_resubscribe(ep, id, expires).is_err() {
                    self.refresh_later(id, 1, None);
                }
            }
            //= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.2
            //# If the value of the "Subscription-State" header field is "active" or
            //# "pending", the notifier MUST also include in the "Subscription-State"
            //# header field an "expires" parameter that indicates the time remaining on
            //# the subscription.
            Side::Notifier => {
                let termination = Termination { reason: Some("timeout"), ..Termination::default() };
                self.finish_notifier(ep, id, termination, SubscriptionEnd::Expired);
            }
        }
    }

    /// Timer N: no NOTIFY came.
    pub(crate) fn on_no_notify(&mut self, _ep: &mut Endpoint, id: SubscriptionId) {
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        match sub.state {
            State::Asked => self.end_sub(id, SubscriptionEnd::Expired, None),
            State::Leaving => self.end_sub(id, SubscriptionEnd::Unsubscribed, None),
            //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.4
            //# After the expiration of Timer N, the subscriber SHOULD reject any such
            //# NOTIFY requests that would otherwise establish a new dialog usage with a
            //# 481 (Subscription does not exist) response code.
            State::Live => {
                sub.request = None;
                if let Some(tag) = sub.tag.take() {
                    self.subscribing.remove(&tag);
                }
            }
        }
    }

    /// A NOTIFY that matches no dialog: the first of a subscription, or of another fork of it.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.4
    //# Due to the potential for out-of-order messages, packet loss, and
    //# forking, the subscriber MUST be prepared to receive NOTIFY requests
    //# before the SUBSCRIBE transaction has completed.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.4
    //# The subscriber MUST therefore be prepared to receive NOTIFY requests
    //# with "From:" tags that differ from the "To:" tag received in the
    //# SUBSCRIBE 200-class response.
    //= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.4
    //# Analogous to the case for SUBSCRIBE described in that document, the
    //# agent that issued the REFER MUST be prepared to receive a NOTIFY before
    //# the REFER transaction completes.
    pub(crate) fn on_notify_outside(&mut self, ep: &mut Endpoint, tx: ServerTxId, _path: Path, message: Box<Message>) {
        let tag = message.to().ok().and_then(|to| to.tag().ok().flatten()).unwrap_or_default();
        let known = self.subscribing.get(tag).copied();
        let sub = known.and_then(|id| self.subscriptions.get(id)).filter(|sub| {
            let same = sub.request.as_ref().and_then(|request| request.call_id().ok()) == message.call_id().ok();
            same && sub.is(&message)
        });
        let (Some(id), Some(sub)) = (known, sub) else {
            //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
            //# Upon receiving a NOTIFY request, the subscriber should check that it
            //# matches at least one of its outstanding subscriptions; if not, it MUST
            //# return a 481 (Subscription does not exist) response unless another 400-
            //# or 500-class response is more appropriate.
            return self.reply(ep, tx, &message, status(481));
        };
        let Some(request) = sub.request.as_ref() else { return self.reply(ep, tx, &message, status(481)) };
        // One that says nothing of the state makes no dialog, and no fork.
        if !matches!(message.value::<SubscriptionState<'_>>(Header::SubscriptionState), Ok(Some(_))) {
            return self.reply(ep, tx, &message, StatusCode::BAD_REQUEST);
        }
        let Ok(dialog) = Dialog::from_notify(request, &message) else {
            return self.reply(ep, tx, &message, StatusCode::BAD_REQUEST);
        };
        let mut entry = Entry::new(dialog, sub.contact.clone(), sub.pin);
        entry.auth = sub.auth.clone();
        let target = if sub.dialog.is_none() {
            id
        } else {
            // Another fork: a subscription of its own.
            if !self.sub_room() {
                return self.reply(ep, tx, &message, status(481));
            }
            let mut fork = Subscription::new(Side::Subscriber, &sub.event, sub.expires, sub.contact.clone());
            fork.accept = sub.accept.clone();
            fork.pin = sub.pin;
            fork.refer = sub.refer;
            let Some(fork) = self.subscriptions.insert(fork) else {
                return self.reply(ep, tx, &message, status(481));
            };
            self.sub_event(id, SubscriptionEvent::Forked { subscription: fork });
            fork
        };
        entry.subs.push(target);
        let Some(dialog) = self.insert_dialog(entry) else {
            return self.reply(ep, tx, &message, StatusCode::SERVER_INTERNAL_ERROR);
        };
        if let Some(sub) = self.subscriptions.get_mut(target) {
            sub.dialog = Some(dialog);
        }
        self.take_notify(ep, tx, target, message);
    }

    /// A NOTIFY in a dialog.
    pub(crate) fn on_notify(&mut self, ep: &mut Endpoint, tx: ServerTxId, dialog: DialogId, message: Box<Message>) {
        let subs = self.dialogs.get(dialog).map(|entry| entry.subs.clone()).unwrap_or_default();
        let found = subs
            .into_iter()
            .find(|id| self.subscriptions.get(*id).is_some_and(|sub| sub.side == Side::Subscriber && sub.is(&message)));
        match found {
            Some(id) => {
                if let Some(entry) = self.dialogs.get_mut(dialog) {
                    let _ = entry.dialog.refresh_target(&message);
                }
                self.take_notify(ep, tx, id, message);
            }
            None => self.reply(ep, tx, &message, status(481)),
        }
    }

    fn take_notify(&mut self, ep: &mut Endpoint, tx: ServerTxId, id: SubscriptionId, message: Box<Message>) {
        //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
        //# NOTIFY requests MUST contain "Subscription-State" header fields that
        //# indicate the status of the subscription.
        let Ok(Some(value)) = message.value::<SubscriptionState<'_>>(Header::SubscriptionState) else {
            return self.reply(ep, tx, &message, StatusCode::BAD_REQUEST);
        };
        let pending = value.state() == Substate::Pending;
        let over = value.state() == Substate::Terminated;
        let left = value.expires().ok().flatten();
        let retry = retry_of(&value);
        self.reply(ep, tx, &message, StatusCode::OK);
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        let leaving = sub.state == State::Leaving;
        if sub.state == State::Asked {
            sub.state = State::Live;
        }
        let forks = sub.tag.is_some();
        self.sub_event(id, SubscriptionEvent::Notify { message: message.clone(), pending });
        //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
        //# If the "Subscription-State" value is "terminated", the subscriber MUST
        //# consider the subscription terminated.
        //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
        //# The "expires" parameter has no semantics for "terminated" -- notifiers
        //# SHOULD NOT include an "expires" parameter on a "Subscription-State"
        //# header field with a value of "terminated", and subscribers MUST ignore
        //# any such parameter, if present.
        //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
        //# In particular, subscribers MUST NOT wait for a user response before
        //# returning a final response to a NOTIFY request.
        if over {
            let cause = if leaving { SubscriptionEnd::Unsubscribed } else { SubscriptionEnd::Terminated { retry } };
            return self.end_sub(id, cause, Some(message));
        }
        if leaving {
            return;
        }
        // With a tag kept, Timer N still bounds how long other forks may come.
        if !forks {
            self.deadlines.clear(Deadline::FirstNotify(id));
        }
        //= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
        //# If the header field also contains an "expires" parameter, the subscriber
        //# SHOULD take it as the authoritative subscription duration and adjust
        //# accordingly.
        if let (Some(left), Some(sub)) = (left, self.subscriptions.get_mut(id)) {
            sub.expires = left.max(1);
            self.lasts(id, left.max(1));
        } else if self.deadlines.get(Deadline::Subscribe(id)).is_none() {
            let expires = self.subscriptions.get(id).map_or(DEFAULT_EXPIRES, |sub| sub.expires.max(1));
            self.lasts(id, expires);
        }
    }

    /// A subscription of ours lasts for so many seconds from now on.
    fn lasts(&mut self, id: SubscriptionId, seconds: u32) {
        let seconds_of = |seconds: u32| Duration::from_secs(u64::from(seconds));
        if let Some(sub) = self.subscriptions.get_mut(id) {
            sub.until = Some(self.now + seconds_of(seconds));
        }
        self.deadlines.after(Deadline::Subscribe(id), self.now, seconds_of(seconds - margin_of(seconds)));
    }
}

/// When to subscribe again after the notifier has ended a subscription; `None`: do not.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
//# deactivated: The subscription has been terminated, but the subscriber
//# SHOULD retry immediately with a new subscription.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
//# probation: The subscription has been terminated, but the client SHOULD
//# retry at some later time (as long as the resource's state is still
//# relevant to the client at that time).
fn retry_of(value: &SubscriptionState<'_>) -> Option<Duration> {
    let after = value.retry_after().ok().flatten().map(|seconds| Duration::from_secs(u64::from(seconds)));
    match value.reason().ok().flatten() {
        Some(EventReason::Rejected | EventReason::Noresource | EventReason::Invariant) => None,
        Some(EventReason::Deactivated | EventReason::Timeout) => Some(Duration::ZERO),
        Some(EventReason::Probation | EventReason::Giveup) => Some(after.unwrap_or(Duration::from_secs(60))),
        _ => Some(after.unwrap_or(Duration::ZERO)),
    }
}

/// The value of a header field as text.
pub(crate) fn text_of(message: &Message, header: Header) -> String {
    message.field(header).and_then(|value| core::str::from_utf8(value).ok()).unwrap_or_default().into()
}

wire!(
    enum Side {
        Subscriber = 0,
        Notifier = 1,
    }
);
wire!(
    enum State {
        Asked = 0,
        Live = 1,
        Leaving = 2,
    }
);
wire!(struct Subscription {
    side, state, dialog, event, expires, most, tag, request, contact, accept, asked, pending, last, refer, silent,
} skip { auth, until } pin { pin });
