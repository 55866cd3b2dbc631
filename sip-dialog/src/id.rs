//! The ids of this crate.

sip_transaction::declare_ids! {
    /// A call: one invitation sent or received, with all the dialogs it makes, until its
    /// [`Ended`](crate::CallEvent::Ended).
    pub CallHandle = "call";
    /// A dialog (RFC 3261 section 12), early or confirmed.
    pub DialogId = "dialog";
    /// A registration that is kept up, until its [`Ended`](crate::RegistrationEvent::Ended).
    pub RegistrationId = "reg";
    /// A subscription, as subscriber or as notifier, until its [`Ended`](crate::SubscriptionEvent::Ended).
    pub SubscriptionId = "sub";
    /// Event state that is published and kept up, until its [`Ended`](crate::PublicationEvent::Ended).
    pub PublicationId = "pub";
    /// A request of its own, sent or received: MESSAGE, OPTIONS, INFO and others, until its
    /// [`Ended`](crate::RequestEvent::Ended).
    pub RequestId = "req";
}
