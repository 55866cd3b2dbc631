//! Registrations.
use crate::agent::UserAgentCore;
use crate::agent::client::Final;
use crate::auth::AuthContext;
use crate::id::RegistrationId;
use alloc::boxed::Box;
use alloc::sync::Arc;
use sip_transaction::{Endpoint, FlowId, Path};
pub(crate) struct Registration {}
impl Registration {
    pub(crate) fn dialog_contact(&self) -> Arc<str> {
        "".into()
    }
    pub(crate) fn service_route(&self) -> &str {
        ""
    }
    pub(crate) fn path(&self) -> Option<Path> {
        None
    }
    pub(crate) fn credentials(&self) -> Option<Box<AuthContext>> {
        None
    }
}
impl UserAgentCore {
    pub(crate) fn on_register_due(&mut self, _ep: &mut Endpoint, _id: RegistrationId) {}
    pub(crate) fn on_flow_stable(&mut self, _id: RegistrationId) {}
    pub(crate) fn on_registration_flow_lost(&mut self, _ep: &mut Endpoint, _id: RegistrationId, _flow: FlowId) {}
    pub(crate) fn on_register_done(&mut self, _ep: &mut Endpoint, _id: RegistrationId, _outcome: Final) {}
}
