//! Refer.
use crate::agent::UserAgentCore;
use crate::error::CommandError;
use crate::event::EndCause;
use crate::id::{CallHandle, DialogId, SubscriptionId};
use sip_message::{Message, RequestBuilder};
use sip_transaction::{Endpoint, Path, ServerTxId};
impl UserAgentCore {
    pub(crate) fn on_refer(
        &mut self,
        _ep: &mut Endpoint,
        _tx: ServerTxId,
        _path: Path,
        _dialog: Option<DialogId>,
        _message: Message,
    ) {
    }
    pub(crate) fn refer_fields(
        &self,
        _id: SubscriptionId,
        builder: RequestBuilder,
    ) -> Result<RequestBuilder, CommandError> {
        Ok(builder)
    }
    pub(crate) fn refer_begun(&mut self, _id: SubscriptionId, _call: CallHandle) {}
    pub(crate) fn report_progress(&mut self, _ep: &mut Endpoint, _call: CallHandle, _message: &Message) {}
    pub(crate) fn report_confirmed(&mut self, _ep: &mut Endpoint, _call: CallHandle) {}
    pub(crate) fn report_end(
        &mut self,
        _ep: &mut Endpoint,
        _id: SubscriptionId,
        _cause: EndCause,
        _message: Option<&Message>,
    ) {
    }
}
