//! All that lives, to look at and to end.

use alloc::vec::Vec;
use sip_message::StatusCode;
use sip_transaction::{Endpoint, Instant};

use super::UserAgentCore;
use crate::call::callee::Reply;
use crate::error::CommandError;
use crate::event::SubscriptionEnd;
use crate::id::{CallHandle, PublicationId, RegistrationId, SubscriptionId};

impl UserAgentCore {
    /// The calls that live.
    pub fn live_calls(&self) -> impl Iterator<Item = CallHandle> {
        self.calls.iter().map(|(id, _)| id)
    }

    /// The registrations that are kept up.
    pub fn live_registrations(&self) -> impl Iterator<Item = RegistrationId> {
        self.registrations.iter().map(|(id, _)| id)
    }

    /// The subscriptions that live, of either side.
    pub fn live_subscriptions(&self) -> impl Iterator<Item = SubscriptionId> {
        self.subscriptions.iter().map(|(id, _)| id)
    }

    /// The publications that are kept up.
    pub fn live_publications(&self) -> impl Iterator<Item = PublicationId> {
        self.publications.iter().map(|(id, _)| id)
    }

    /// Ends everything, as a telephone that is switched off does: hangs up all calls, ends all subscriptions, removes what is published and
    /// registered, and answers 503 to requests that wait for the host. Each id gets its end as always; when
    /// [`is_idle`](UserAgentCore::is_idle) says so, nothing is left. What comes in meanwhile is the host's to refuse.
    pub fn end_all(&mut self, ep: &mut Endpoint, now: Instant) {
        // What cannot be ended now is ending already.
        for call in self.live_calls().collect::<Vec<_>>() {
            let _ = self.hang_up(ep, now, call, None);
        }
        for id in self.live_subscriptions().collect::<Vec<_>>() {
            match self.unsubscribe(ep, now, id) {
                Ok(()) => {}
                Err(CommandError::WrongState) => {
                    let _ = self.reject_subscription(ep, now, id, StatusCode::SERVICE_UNAVAILABLE, Reply::new());
                }
                // Nobody can be told.
                Err(_) => self.end_sub(id, SubscriptionEnd::Unsubscribed, None),
            }
        }
        for id in self.live_publications().collect::<Vec<_>>() {
            let _ = self.unpublish(ep, now, id);
        }
        for id in self.live_registrations().collect::<Vec<_>>() {
            let _ = self.unregister(ep, now, id, false);
        }
        for id in self.requests.iter().map(|(id, _)| id).collect::<Vec<_>>() {
            let _ = self.respond(ep, now, id, StatusCode::SERVICE_UNAVAILABLE, Reply::new());
        }
    }
}
