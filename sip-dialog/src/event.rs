//! What happened: the events of a user agent, each with the message that caused it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use sip_message::{Message, StatusCode};
use sip_transaction::FlowId;

use crate::codec::wire;
use crate::id::{CallHandle, DialogId, PublicationId, RegistrationId, RequestId, SubscriptionId};
use crate::offer_answer::Meaning;

/// What happened. Handed out by [`UserAgentCore::poll_event`](crate::UserAgentCore::poll_event).
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "a message is moved once or twice; a box would be one allocation for each"
)]
pub enum Event {
    /// Of a call.
    Call {
        /// The call.
        call: CallHandle,
        /// What happened.
        event: CallEvent,
    },
    /// Of a registration.
    Registration {
        /// The registration.
        registration: RegistrationId,
        /// What happened.
        event: RegistrationEvent,
    },
    /// Of a subscription.
    Subscription {
        /// The subscription.
        subscription: SubscriptionId,
        /// What happened.
        event: SubscriptionEvent,
    },
    /// Of a publication.
    Publication {
        /// The publication.
        publication: PublicationId,
        /// What happened.
        event: PublicationEvent,
    },
    /// Of a request of its own, sent or received.
    Request {
        /// The request.
        request: RequestId,
        /// What happened.
        event: RequestEvent,
    },
    /// A server wants credentials that are not known, or those known were refused. Answer with
    /// [`UserAgentCore::authenticate`](crate::UserAgentCore::authenticate); what was asked waits, and ends by itself if no answer comes
    /// in three times the configured [`answer`](crate::UserAgentConfig::answer) time: a person may have to be asked.
    Challenged {
        /// Whose request it was.
        owner: Owner,
        /// The realm to show to the user.
        realm: String,
        /// The 401 or 407.
        message: Box<Message>,
    },
    /// A server that has taken our credentials showed its own, and they were checked (RFC 7616 section 3.5). Only servers that are asked
    /// for a digest and choose to answer so do this.
    ServerShown {
        /// Whose request it answered.
        owner: Owner,
        /// The realm.
        realm: String,
        /// Whether it knows the secret.
        proof: crate::auth::ServerProof,
        /// The 2xx.
        message: Box<Message>,
    },
}

/// Whose request was challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Owner {
    /// A call's.
    Call(CallHandle),
    /// A registration's.
    Registration(RegistrationId),
    /// A subscription's.
    Subscription(SubscriptionId),
    /// A publication's.
    Publication(PublicationId),
    /// Its own.
    Request(RequestId),
}

/// What happened to a call. [`Ended`](CallEvent::Ended) comes exactly once and last.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CallEvent {
    /// Somebody calls. Answer with `progress`, `accept`, `reject` or `redirect`.
    Incoming {
        /// The INVITE.
        message: Box<Message>,
        /// It has an offer; without one, the first offer is ours, and `accept` needs it.
        offer: bool,
        /// The call it is to take the place of (RFC 3891): accepting it ends that one.
        replaces: Option<CallHandle>,
        /// The call it asks to join (RFC 3911).
        joins: Option<CallHandle>,
    },
    /// A provisional response: the call makes progress at the peer, or at one of several.
    Progress {
        /// The early dialog; `None` for a response without a To tag.
        dialog: Option<DialogId>,
        /// The response.
        message: Box<Message>,
        /// What its session description is, if it has one. For an [`Offer`](Meaning::Offer), answer it with `answer`.
        session: Option<Meaning>,
    },
    /// One of several early dialogs is over before the call is (RFC 6228).
    ForkEnded {
        /// The dialog.
        dialog: DialogId,
        /// The 199.
        message: Box<Message>,
    },
    /// The call is accepted: the 2xx was received, or sent.
    Accepted {
        /// The dialog of the call.
        dialog: DialogId,
        /// The 2xx, if it was received.
        message: Option<Box<Message>>,
        /// What its session description is, if it has one. For an [`Offer`](Meaning::Offer), answer it with `answer`: the ACK
        /// waits for it.
        session: Option<Meaning>,
    },
    /// The ACK was sent or received: the call stands.
    Confirmed {
        /// The ACK, if it was received.
        message: Option<Box<Message>>,
        /// What its session description is, if it has one.
        session: Option<Meaning>,
    },
    /// The PRACK for a reliable provisional response came.
    Acknowledged {
        /// The PRACK.
        message: Box<Message>,
        /// What its session description is, if it has one. For an [`Offer`](Meaning::Offer), answer it with `answer`.
        session: Option<Meaning>,
    },
    /// The peer offers a change of the session, in a re-INVITE or UPDATE. Answer with `answer` or `refuse`.
    Offer {
        /// The request.
        message: Box<Message>,
    },
    /// The peer asks for an offer, by a re-INVITE without one. Give it with `answer`, or `refuse`.
    OfferWanted {
        /// The re-INVITE.
        message: Box<Message>,
    },
    /// The peer took back the re-INVITE that waited for an answer: it needs none any more.
    OfferWithdrawn {
        /// The CANCEL.
        message: Box<Message>,
    },
    /// The peer answered an offer of ours, in a 2xx, ACK or PRACK after the call was accepted. For the answer to a re-INVITE without offer it
    /// is an [`Offer`](Meaning::Offer): answer it with `answer`.
    Answered {
        /// The message that carries the answer, or that agreed to a change without one.
        message: Box<Message>,
        /// What its session description is, if it has one.
        session: Option<Meaning>,
    },
    /// A change of ours was refused or failed: the session is as it was before.
    ChangeFailed {
        /// The final response; `None` if there was none.
        message: Option<Box<Message>>,
        /// Its status, or the one to act by if there was none.
        status: StatusCode,
    },
    /// The call went on hold or was taken back: agreed by both sides.
    Hold {
        /// Whether the peer did it.
        by_peer: bool,
        /// Whether it is on hold now.
        held: bool,
    },
    /// The peer sent DTMF in an INFO; it has been answered 200.
    Dtmf {
        /// What was pressed.
        tone: crate::dtmf::Tone,
        /// For how long, if it was said.
        duration: Option<Duration>,
        /// The INFO.
        message: Box<Message>,
    },
    /// The peer sent an INFO of an accepted package, or without one (RFC 6086); it has been answered 200.
    Info {
        /// The INFO.
        message: Box<Message>,
    },
    /// The peer asks to transfer the call (RFC 3515). Answer with `accept_refer` or `reject_subscription`.
    Refer {
        /// The subscription that would report on it.
        subscription: SubscriptionId,
        /// The REFER.
        message: Box<Message>,
    },
    /// The call was answered 3xx; it is tried there next if the configuration says so, else it ends.
    Redirected {
        /// The 3xx.
        message: Box<Message>,
        /// The contacts to try, best first.
        targets: Vec<String>,
    },
    /// The session was refreshed (RFC 4028).
    Refreshed,
    /// A re-INVITE or UPDATE of the peer's, or its 2xx or reliable provisional response to one of ours, had another Contact: what goes to the
    /// peer goes there from now on. The [dialog](crate::UserAgentCore::dialog) has it.
    PeerMoved,
    /// The flow the call was pinned to is gone. It goes on by its route set; see
    /// [`UserAgentCore::rebind`](crate::UserAgentCore::rebind).
    FlowLost {
        /// The flow.
        flow: FlowId,
    },
    /// The call is over and its id stale.
    Ended {
        /// Why.
        cause: EndCause,
        /// Whether it had been accepted.
        accepted: bool,
        /// The message that ended it, if one did.
        message: Option<Box<Message>>,
    },
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndCause {
    /// We hung up.
    HungUp,
    /// The peer hung up.
    PeerHungUp,
    /// We gave up before it was answered.
    Cancelled,
    /// The peer gave up before we answered.
    PeerCancelled,
    /// We refused it.
    Rejected(StatusCode),
    /// It was refused, or failed on its way.
    PeerRejected(StatusCode),
    /// We sent it elsewhere.
    Redirected,
    /// The peer sent it elsewhere, and it was not followed.
    PeerRedirected,
    /// Nobody answered in the time that was set.
    NoAnswer,
    /// No response came.
    TimedOut,
    /// The peer could not be reached.
    Unreachable,
    /// No ACK came for our 2xx.
    NotAcknowledged,
    /// No PRACK came for a reliable provisional response.
    NotPracked,
    /// The session was not refreshed in time (RFC 4028).
    SessionExpired,
    /// It lasted as long as it may.
    TooLong,
    /// Another call took its place (RFC 3891).
    Replaced,
    /// The peer no longer knows the call: this status came for a request in it.
    Lost(StatusCode),
    /// An offer was not answered in time by the host.
    NoSession,
    /// The peer's messages could not make a call: no Contact, or malformed.
    Malformed,
    /// No credentials were given, or they were refused.
    Unauthorized,
}

/// What happened to a registration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RegistrationEvent {
    /// Registered, for the first time or again after a failure.
    Registered {
        /// The 200.
        message: Box<Message>,
        /// How long it is good for.
        expires: Duration,
    },
    /// Refreshed in time.
    Refreshed {
        /// The 200.
        message: Box<Message>,
        /// How long it is good for.
        expires: Duration,
    },
    /// Not registered at the moment; it is tried again after `retry`.
    Failed {
        /// The response; `None` if there was none.
        message: Option<Box<Message>>,
        /// Its status, or the one to act by if there was none.
        status: StatusCode,
        /// How long until the next attempt.
        retry: Duration,
    },
    /// The flow it was made over is gone; it is made again over another.
    FlowLost {
        /// The flow.
        flow: FlowId,
    },
    /// The registrar did not take Outbound (RFC 5626 section 4.2.1): one plain binding remains.
    NoOutbound {
        /// The 200 without `outbound` in Require, or the 439.
        message: Box<Message>,
    },
    /// It is over and its id stale.
    Ended {
        /// Why.
        cause: RegistrationEnd,
        /// The message that ended it, if one did.
        message: Option<Box<Message>>,
    },
}

/// Why a registration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegistrationEnd {
    /// It was removed, as asked.
    Removed,
    /// The registrar refused it for good.
    Refused(StatusCode),
    /// No credentials were given, or they were refused.
    Unauthorized,
    /// The request could not be sent at all.
    Unsendable,
}

/// What happened to a subscription, at either end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SubscriptionEvent {
    /// Somebody subscribes. Answer with `accept_subscription` or `reject_subscription`.
    Incoming {
        /// The SUBSCRIBE.
        message: Box<Message>,
        /// How long it is to be for.
        expires: Duration,
    },
    /// The subscriber refreshed it, and it has been answered 200: send the state with `notify`.
    Refreshed {
        /// The SUBSCRIBE.
        message: Box<Message>,
        /// How long it is for from now on: what the SUBSCRIBE asks for, or less if `accept_subscription` has granted less.
        expires: Duration,
    },
    /// Our SUBSCRIBE or REFER was accepted. A REFER whose 2xx says that there will be no reports ends as
    /// [`Suppressed`](SubscriptionEnd::Suppressed) instead.
    Accepted {
        /// The 2xx.
        message: Box<Message>,
        /// How long the notifier has granted it, which may be less than what was asked for; a NOTIFY may say less again. `None` after a
        /// REFER: the first NOTIFY says it.
        expires: Option<Duration>,
    },
    /// The notifier told the state; it has been answered 200.
    Notify {
        /// The NOTIFY.
        message: Box<Message>,
        /// Whether the subscription waits for approval.
        pending: bool,
    },
    /// The subscriber answered a NOTIFY of ours.
    Notified {
        /// The 2xx.
        message: Box<Message>,
    },
    /// A fork of our SUBSCRIBE made another subscription (RFC 6665 section 4.4.1).
    Forked {
        /// The new subscription.
        subscription: SubscriptionId,
    },
    /// It is over and its id stale.
    Ended {
        /// Why.
        cause: SubscriptionEnd,
        /// The message that ended it, if one did.
        message: Option<Box<Message>>,
    },
}

/// Why a subscription ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// We ended it.
    Unsubscribed,
    /// The notifier ended it: the reason is in Subscription-State.
    Terminated {
        /// How long to wait before subscribing again; `None`: do not.
        retry: Option<Duration>,
    },
    /// It was refused.
    Refused(StatusCode),
    /// It was not refreshed in time, or no NOTIFY came.
    Expired,
    /// The subscriber ended it.
    PeerUnsubscribed,
    /// We refused it.
    Rejected(StatusCode),
    /// The peer no longer knows it, or does not answer.
    Lost(StatusCode),
    /// No subscription was made: the peer took the REFER without one (RFC 4488).
    Suppressed,
    /// No credentials were given, or they were refused.
    Unauthorized,
}

/// What happened to a publication.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PublicationEvent {
    /// Published.
    Published {
        /// The 200.
        message: Box<Message>,
        /// How long it is good for.
        expires: Duration,
    },
    /// It is over and its id stale.
    Ended {
        /// Why.
        cause: PublicationEnd,
        /// The message that ended it, if one did.
        message: Option<Box<Message>>,
    },
}

/// Why a publication ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublicationEnd {
    /// It was removed, as asked.
    Removed,
    /// It was refused, or there was no answer.
    Refused(StatusCode),
    /// No credentials were given, or they were refused.
    Unauthorized,
}

/// What happened to a request of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RequestEvent {
    /// A request came in. Answer it with `respond`.
    Incoming {
        /// The request.
        message: Box<Message>,
        /// The call it came in, if it came in one.
        call: Option<CallHandle>,
    },
    /// A provisional response other than 100.
    Provisional {
        /// The response.
        message: Box<Message>,
    },
    /// It is over and its id stale.
    Ended {
        /// The final response that was received; `None` if there was none, and for requests that came in.
        message: Option<Box<Message>>,
        /// The final status, received or sent, or the one to act by if there was none.
        status: StatusCode,
    },
}

wire!(ids Owner { Call(id) = 0, Registration(id) = 1, Subscription(id) = 2, Publication(id) = 3, Request(id) = 4 });

wire!(ids EndCause {
    HungUp() = 0, PeerHungUp() = 1, Cancelled() = 2, PeerCancelled() = 3, Rejected(code) = 4, PeerRejected(code) = 5,
    Redirected() = 6, PeerRedirected() = 7, NoAnswer() = 8, TimedOut() = 9, Unreachable() = 10, NotAcknowledged() = 11,
    NotPracked() = 12, SessionExpired() = 13, TooLong() = 14, Replaced() = 15, Lost(code) = 16, NoSession() = 17,
    Malformed() = 18, Unauthorized() = 19,
});
