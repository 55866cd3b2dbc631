//! What the network drives: anything with the five verbs.

use core::net::SocketAddr;
use sip_transaction::{
    CommandError, Endpoint, Event, FlowId, Input, InputError, Instant, QueryId, RecordKind, Transmit, Transport,
};

/// Something with the five verbs over an [`Endpoint`]: the endpoint itself, a user agent, a server.
pub trait Host {
    /// Its events.
    type Event;

    /// The verb of this name.
    ///
    /// # Errors
    ///
    /// The host's.
    fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), InputError>;
    /// The verb of this name.
    fn handle_timeout(&mut self, now: Instant);
    /// The verb of this name.
    fn poll_transmit(&mut self) -> Option<Transmit>;
    /// The verb of this name.
    fn poll_event(&mut self) -> Option<Self::Event>;
    /// The verb of this name.
    fn poll_timeout(&self) -> Option<Instant>;
    /// The endpoint inside, for its flows.
    fn endpoint(&mut self) -> &mut Endpoint;
    /// What an event wants of the network, if anything.
    fn wish(event: &Self::Event) -> Option<Wish>;

    /// Registers a datagram socket.
    ///
    /// # Errors
    ///
    /// The endpoint's.
    fn bind(&mut self, transport: Transport, local: SocketAddr) -> Result<FlowId, CommandError> {
        self.endpoint().bind(transport, local)
    }

    /// Registers a connection from elsewhere.
    ///
    /// # Errors
    ///
    /// The endpoint's.
    fn accept(&mut self, transport: Transport, local: SocketAddr, remote: SocketAddr) -> Result<FlowId, CommandError> {
        self.endpoint().accept(transport, local, remote)
    }
}

/// What a host wants of the network.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Open a connection.
    Connect {
        /// The flow it will be.
        flow: FlowId,
        /// The transport.
        transport: Transport,
        /// Where to.
        remote: SocketAddr,
        /// What the certificate must show.
        server_name: Option<String>,
    },
    /// Ask DNS.
    Query {
        /// The question's id.
        query: QueryId,
        /// The name.
        name: String,
        /// The kind of records.
        kind: RecordKind,
    },
    /// Close a connection.
    Close {
        /// Which.
        flow: FlowId,
    },
}

impl Wish {
    /// What an event of the endpoint wants.
    pub fn of(event: &Event) -> Option<Wish> {
        match event {
            Event::Connect { flow, transport, remote, server_name } => Some(Wish::Connect {
                flow: *flow,
                transport: *transport,
                remote: *remote,
                server_name: server_name.clone(),
            }),
            Event::Query { query, name, kind } => Some(Wish::Query { query: *query, name: name.clone(), kind: *kind }),
            Event::FlowEnded { flow, .. } => Some(Wish::Close { flow: *flow }),
            _ => None,
        }
    }
}

impl Host for Endpoint {
    type Event = Event;

    fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), InputError> {
        Endpoint::handle_input(self, now, input)
    }

    fn handle_timeout(&mut self, now: Instant) {
        Endpoint::handle_timeout(self, now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        Endpoint::poll_transmit(self)
    }

    fn poll_event(&mut self) -> Option<Event> {
        Endpoint::poll_event(self)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Endpoint::poll_timeout(self)
    }

    fn endpoint(&mut self) -> &mut Endpoint {
        self
    }

    fn wish(event: &Event) -> Option<Wish> {
        Wish::of(event)
    }
}
