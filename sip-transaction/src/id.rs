//! The ids of this crate.

crate::declare_ids! {
    /// A client transaction: one request sent, until its [`ClientEnded`](crate::Event::ClientEnded).
    pub ClientTxId = "c";
    /// A server transaction: one request received, until its [`ServerEnded`](crate::Event::ServerEnded).
    pub ServerTxId = "s";
    /// A flow: one connection or one datagram socket.
    ///
    /// Minted by [`Endpoint::bind`](crate::Endpoint::bind) for datagram sockets, by
    /// [`Endpoint::accept`](crate::Endpoint::accept) for connections others have opened to the host, and by the endpoint
    /// itself with [`Event::Connect`](crate::Event::Connect). Many remotes share the flow of a datagram socket, so
    /// there a flow is told by the pair of `FlowId` and remote address: a [`Path`](crate::Path) has both.
    pub FlowId = "f";
    /// A DNS question asked by [`Event::Query`](crate::Event::Query).
    pub QueryId = "q";
}
