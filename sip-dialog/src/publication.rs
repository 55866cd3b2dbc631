//! Publications.
use crate::agent::UserAgentCore;
use crate::agent::client::Final;
use crate::id::PublicationId;
use sip_transaction::Endpoint;
pub(crate) struct Publication {}
impl UserAgentCore {
    pub(crate) fn on_publish_due(&mut self, _ep: &mut Endpoint, _id: PublicationId) {}
    pub(crate) fn on_publish_done(&mut self, _ep: &mut Endpoint, _id: PublicationId, _outcome: Final) {}
}
