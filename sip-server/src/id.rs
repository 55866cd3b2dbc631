//! The ids of this crate.

sip_transaction::declare_ids! {
    /// A REGISTER whose bindings have been asked for or are being stored: until it is answered.
    pub RegisterId = "r";
    /// A request that waits for a routing decision, and the response context it becomes.
    pub ProxyId = "p";
    /// A request that waits for contacts to redirect to.
    pub RedirectId = "d";
    /// A request that waits for the credentials of its user.
    pub AuthId = "a";
}
