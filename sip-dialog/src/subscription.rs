//! Subscriptions.
use crate::agent::UserAgentCore;
use crate::agent::client::Final;
use crate::id::{DialogId, SubscriptionId};
use sip_message::Message;
use sip_transaction::{Endpoint, Path, ServerTxId};
pub(crate) struct Subscription {}
impl UserAgentCore {
    pub(crate) fn on_subscription_due(&mut self, _ep: &mut Endpoint, _id: SubscriptionId) {}
    pub(crate) fn on_no_notify(&mut self, _ep: &mut Endpoint, _id: SubscriptionId) {}
    pub(crate) fn on_subscribe_done(&mut self, _ep: &mut Endpoint, _id: SubscriptionId, _outcome: Final) {}
    pub(crate) fn on_notify_done(&mut self, _ep: &mut Endpoint, _id: SubscriptionId, _outcome: Final) {}
    pub(crate) fn on_subscribe(
        &mut self,
        _ep: &mut Endpoint,
        _tx: ServerTxId,
        _path: Path,
        _dialog: Option<DialogId>,
        _message: Message,
    ) {
    }
    pub(crate) fn on_notify(&mut self, _ep: &mut Endpoint, _tx: ServerTxId, _dialog: DialogId, _message: Message) {}
    pub(crate) fn on_notify_outside(&mut self, _ep: &mut Endpoint, _tx: ServerTxId, _path: Path, _message: Message) {}
    pub(crate) fn on_subscribe_gone(&mut self, _ep: &mut Endpoint, _id: SubscriptionId) {}
    pub(crate) fn dialog_lost_its_call(&mut self, _ep: &mut Endpoint, _dialog: DialogId) {}
}
