//! Calls that outlive their flow: pinned to a new one, and the peer told.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sip_message::{Method, StatusCode};
use sip_transaction::{Endpoint, FlowId, Instant, Path};
use smallvec::SmallVec;

use super::{CallState, Peer};
use crate::agent::sips::{is_sips_value, schemed};
use crate::agent::way::check_contact;
use crate::agent::{Bound, UserAgentCore};
use crate::error::CommandError;
use crate::event::CallEvent;
use crate::id::{CallHandle, DialogId, RegistrationId};
use crate::origin::ExtraHeaders;

impl UserAgentCore {
    /// Moves a call to another flow, and to another Contact if it changed with the flow; then tells the peer with a target refresh: UPDATE if the
    /// peer takes it, else a re-INVITE without offer, which asks the peer for one. Before the call stands, or while another change is under way,
    /// that waits until it can be done; who has not answered yet says it in the 2xx.
    ///
    /// To survive the loss of a flow, [`recover`](UserAgentCore::recover) does this for all that was on it.
    /// [`Answered`](crate::CallEvent::Answered) or [`ChangeFailed`](crate::CallEvent::ChangeFailed) tells how it went.
    ///
    /// # Errors
    ///
    /// The id is stale; `contact` is malformed.
    pub fn rebind(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        path: Option<Path>,
        contact: Option<String>,
    ) -> Result<(), CommandError> {
        self.advance(now);
        self.command_call(call)?;
        contact.as_deref().map_or(Ok(()), check_contact)?;
        for dialog in self.dialogs_of(call) {
            self.pin_dialog(dialog, path);
        }
        if let Some(calling) = self.calls.get_mut(call).and_then(|found| found.calling.as_mut()) {
            calling.pin = path;
        }
        if let Some(contact) = contact {
            self.set_contact(call, contact)?;
        }
        if let Some(found) = self.calls.get_mut(call) {
            found.untold = !matches!(found.state, CallState::Ringing | CallState::Accepting);
        }
        self.tell_move(ep, call);
        Ok(())
    }

    /// Tells the peer of a call that has moved, if it is to be told and can be now: to be called when something is through that may have
    /// kept it from being told. What cannot be sent at all is not tried again.
    pub(crate) fn tell_move(&mut self, ep: &mut Endpoint, call: CallHandle) {
        let Some(found) = self.calls.get(call) else { return };
        if !found.untold || found.state != CallState::Confirmed || found.ending.is_some() {
            return;
        }
        let update = self.entry_of(call).is_some_and(|(_, entry)| entry.peer.has(Peer::UPDATE));
        let told = if update {
            self.update(ep, self.now, call, None, ExtraHeaders::new())
        } else {
            self.reinvite(ep, self.now, call, None, ExtraHeaders::new())
        };
        if told == Err(CommandError::Pending) {
            return;
        }
        if let Some(found) = self.calls.get_mut(call) {
            found.untold = false;
        }
        if told.is_err() {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            self.call_event(call, CallEvent::ChangeFailed { message: None, status });
        }
    }

    /// Takes up on a new flow what was on one that is gone, in one operation (RFC 5626 section 4.5): the registration is made again over it, and
    /// each call and subscription of the lost flow is moved to it, to `contact` if that changed with the flow, and tells its peer. To be
    /// called when the host has opened the new flow; `lost` is that of [`FlowLost`](crate::CallEvent::FlowLost) and
    /// [`RegistrationEvent::FlowLost`](crate::RegistrationEvent::FlowLost), which came before. Returns the calls that were moved; how it went is told
    /// by their events and those of the registration.
    ///
    /// # Errors
    ///
    /// The registration is stale, is ending, or nothing can be sent over the new flow; `contact` is malformed. Nothing has been moved then.
    pub fn recover(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        lost: FlowId,
        path: Path,
        registration: Option<RegistrationId>,
        contact: Option<String>,
    ) -> Result<Vec<CallHandle>, CommandError> {
        self.advance(now);
        contact.as_deref().map_or(Ok(()), check_contact)?;
        if let Some(registration) = registration {
            self.rebind_registration(ep, now, registration, Some(path), contact.clone())?;
        }
        let mut moved = Vec::new();
        for bound in self.bound_to(lost) {
            let Bound::Dialog(dialog) = bound else { continue };
            let Some(entry) = self.dialogs.get_mut(dialog) else { continue };
            let (call, subs) = (entry.call, entry.subs.clone());
            if let Some(contact) = &contact {
                entry.move_to(&contact.as_str().into());
            }
            self.pin_dialog(dialog, Some(path));
            for sub in subs {
                self.rebind_subscription(ep, sub, path, contact.as_deref());
            }
            // Of several early dialogs the first has moved the call.
            let Some(call) = call.filter(|call| !moved.contains(call)) else { continue };
            moved.push(call);
            self.rebind(ep, now, call, Some(path), contact.clone())?;
        }
        Ok(moved)
    }

    /// Changes the Contact value of a call: the URI at which the peer reaches us, in angle brackets, with feature tags such as
    /// `isfocus` (RFC 4579) or `+sip.rendering="no"` (RFC 4235) behind it. The peer learns it with the next message that has a Contact:
    /// the answer to its INVITE, or a re-INVITE or UPDATE of ours.
    ///
    /// # Errors
    ///
    /// The id is stale; the value is malformed.
    //= https://www.rfc-editor.org/rfc/rfc3311#section-5.1
    //# If a UA uses an UPDATE request or response to modify the remote target
    //# while an INVITE transaction is in progress, and it is a UAS for that
    //# INVITE transaction, it MUST place the same value into the Contact header
    //# field of the 2xx to the INVITE that it placed into the UPDATE request or
    //# response.
    pub fn set_contact(&mut self, call: CallHandle, contact: impl Into<String>) -> Result<(), CommandError> {
        self.command_call(call)?;
        let contact = contact.into();
        check_contact(&contact)?;
        let contact: Arc<str> = contact.into();
        for dialog in self.dialogs_of(call) {
            if let Some(entry) = self.dialogs.get_mut(dialog) {
                entry.move_to(&contact);
            }
        }
        if let Some(calling) = self.calls.get_mut(call).and_then(|found| found.calling.as_mut()) {
            calling.contact = schemed(&contact, is_sips_value(&calling.contact));
        }
        Ok(())
    }

    fn dialogs_of(&self, call: CallHandle) -> SmallVec<[DialogId; 4]> {
        let found = self.calls.get(call);
        found.map_or_else(SmallVec::new, |found| found.dialog.iter().chain(&found.early).copied().collect())
    }

    /// Whether requests of this method may be sent in a call by the host: those that calls are made of have commands of their
    /// own.
    pub fn may_send_in_call(method: Method<'_>) -> bool {
        matches!(method, Method::Info | Method::Message | Method::Options | Method::Other(_))
    }
}
