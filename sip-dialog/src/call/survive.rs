//! Calls that outlive their flow: pinned to a new one, and the peer told.

use alloc::string::String;
use alloc::sync::Arc;
use sip_message::Method;
use sip_transaction::{Endpoint, Instant, Path};

use super::{CallState, Peer};
use crate::agent::UserAgentCore;
use crate::error::CommandError;
use crate::id::{CallHandle, DialogId};
use crate::origin::ExtraHeaders;

impl UserAgentCore {
    /// Moves a call to another flow, and to another Contact if it changed with the flow; then tells the peer with a target refresh: UPDATE if the
    /// peer takes it, else a re-INVITE without offer, which asks the peer for one.
    ///
    /// The way to survive the loss of a flow: open a new one, [`rebind_registration`](UserAgentCore::rebind_registration) on it, and
    /// this for each call that said [`FlowLost`](crate::CallEvent::FlowLost).
    /// [`Answered`](crate::CallEvent::Answered) or [`ChangeFailed`](crate::CallEvent::ChangeFailed) tells how it went.
    ///
    /// # Errors
    ///
    /// The id is stale. [`CommandError::Pending`]: moved, but another change is under way, so that the peer is not told yet.
    pub fn rebind(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        path: Option<Path>,
        contact: Option<String>,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let found = self.command_call(call)?;
        let state = found.state;
        let dialogs: smallvec::SmallVec<[DialogId; 4]> = found.dialog.iter().chain(&found.early).copied().collect();
        let contact: Option<Arc<str>> = contact.map(|contact| contact.as_str().into());
        for dialog in &dialogs {
            self.pin_dialog(*dialog, path);
            if let (Some(entry), Some(contact)) = (self.dialogs.get_mut(*dialog), &contact) {
                entry.contact = contact.clone();
            }
        }
        if let Some(calling) = self.calls.get_mut(call).and_then(|found| found.calling.as_mut()) {
            calling.pin = path;
            if let Some(contact) = contact {
                calling.contact = contact;
            }
        }
        if state != CallState::Confirmed {
            return Ok(());
        }
        let update = self.entry_of(call).is_some_and(|(_, entry)| entry.peer.has(Peer::UPDATE));
        if update {
            self.update(ep, now, call, None, ExtraHeaders::new())
        } else {
            self.reinvite(ep, now, call, None, ExtraHeaders::new())
        }
    }

    /// Whether requests of this method may be sent in a call by the host: those that calls are made of have commands of their
    /// own.
    pub fn may_send_in_call(method: Method<'_>) -> bool {
        matches!(method, Method::Info | Method::Message | Method::Options | Method::Other(_))
    }
}
