//! Flows: sockets and connections, how they begin and end, and how one is found for a target.

use super::{Chore, Endpoint};
use crate::cores::{HashKey, NIL};
use crate::destination::Target;
use crate::error::{CommandError, InputError};
use crate::flow::{Flow, FlowState};
use crate::id::FlowId;
use crate::input::CloseCause;
use crate::output::{Event, FailCause, Path, SendToken};
use crate::record::Argument;
use crate::time::Instant;
use crate::transport::Transport;
use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use bytes::Bytes;
use core::hash::{BuildHasher as _, Hasher as _};
use core::net::{IpAddr, SocketAddr};
use hashbrown::HashTable;
use sip_message::StreamDecoder;

/// Connections by transport and remote address. Several may share one.
pub(crate) struct Connections {
    table: HashTable<(u64, Transport, SocketAddr, FlowId)>,
    hash: HashKey,
}

impl Connections {
    pub(crate) fn new(hash: HashKey) -> Self {
        Connections { table: HashTable::new(), hash }
    }

    fn hash(&self, transport: Transport, address: SocketAddr) -> u64 {
        let mut hash = self.hash.build_hasher();
        hash.write(&[transport as u8]);
        match address.ip() {
            IpAddr::V4(ip) => hash.write(&ip.octets()),
            IpAddr::V6(ip) => hash.write(&ip.octets()),
        }
        hash.write(&address.port().to_le_bytes());
        hash.finish()
    }

    fn insert(&mut self, transport: Transport, address: SocketAddr, flow: FlowId) {
        let hash = self.hash(transport, address);
        self.table.insert_unique(hash, (hash, transport, address, flow), |&(hash, ..)| hash);
    }

    fn remove(&mut self, transport: Transport, address: SocketAddr, flow: FlowId) {
        let hash = self.hash(transport, address);
        if let Ok(entry) = self.table.find_entry(hash, |entry| *entry == (hash, transport, address, flow)) {
            entry.remove();
        }
    }

    fn find(&self, transport: Transport, address: SocketAddr, fits: impl Fn(FlowId) -> bool) -> Option<FlowId> {
        let hash = self.hash(transport, address);
        self.table
            .find(hash, |&(_, on, at, flow)| on == transport && at == address && fits(flow))
            .map(|&(.., flow)| flow)
    }
}

/// The datagram sockets in the order they were bound: those of IPv4, and those of IPv6. A host has a few; among the flows, of which it may have a
/// million, they would have to be looked for.
#[derive(Debug, Default)]
pub(crate) struct Sockets([Vec<(Transport, FlowId)>; 2]);

impl Sockets {
    /// The first that can send to `address`.
    pub(super) fn first(&self, transport: Transport, address: SocketAddr) -> Option<FlowId> {
        let [v4, v6] = &self.0;
        let family = if address.is_ipv4() { v4 } else { v6 };
        family.iter().find(|(on, _)| *on == transport).map(|&(_, id)| id)
    }

    fn of(&mut self, address: SocketAddr) -> &mut Vec<(Transport, FlowId)> {
        let [v4, v6] = &mut self.0;
        if address.is_ipv4() { v4 } else { v6 }
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-18
//= type=exception
//= reason=the host owns the connections; the endpoint never ends one that works
//# It is RECOMMENDED that connections be kept open for some implementation-defined duration after the
//# last message was sent or received over that connection.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18
//= type=exception
//= reason=the host owns the connections; the endpoint never ends one that works
//# This duration SHOULD at least equal the longest amount of time the element would need in order to
//# bring a transaction from instantiation to the terminated state.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
//= type=exception
//= reason=which sockets to open and how long to keep them is the host's choice: the endpoint takes responses on any of its flows
//# To handle this case, the transport layer MUST also be prepared to receive an incoming connection on
//# the source IP address from which the request was sent and port number in the "sent-by" field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
//= type=exception
//= reason=which sockets to open and how long to keep them is the host's choice: the endpoint takes responses on any of its flows
//# It also MUST be prepared to receive incoming connections on any address and port that would be
//# selected by a server based on the procedures described in Section 5 of [4].
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
//= type=exception
//= reason=which sockets to open and how long to keep them is the host's choice: the endpoint takes responses on any of its flows
//# For unreliable unicast transports, the client transport MUST be prepared to receive responses on the
//# source IP address from which the request is sent (as responses are sent back to the source address)
//# and the port number in the "sent-by" field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
//= type=exception
//= reason=which sockets to open and how long to keep them is the host's choice: the endpoint takes responses on any of its flows
//# The client MUST be prepared to receive responses on any address and port that would be selected by a
//# server based on the procedures described in Section 5 of [4].
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
//= type=exception
//= reason=which sockets to open and how long to keep them is the host's choice: the endpoint takes responses on any of its flows
//# For multicast, the client transport MUST be prepared to receive responses on the same multicast
//# group and port to which the request is sent (that is, it needs to be a member of the multicast group
//# it sent the request to.)
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
//= type=exception
//= reason=which sockets to open and how long to keep them is the host's choice: the endpoint takes responses on any of its flows
//# A server SHOULD be prepared to receive requests on any IP address, port and transport combination
//# that can be the result of a DNS lookup on a SIP or SIPS URI [4] that is handed out for the purposes
//# of communicating with that server.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
//= type=exception
//= reason=which sockets to open and how long to keep them is the host's choice: the endpoint takes responses on any of its flows
//# It is also RECOMMENDED that a server listen for requests on the default SIP ports (5060 for TCP and
//# UDP, 5061 for TLS over TCP) on all public interfaces.
//= https://www.rfc-editor.org/rfc/rfc3581#section-3
//= type=exception
//= reason=which sockets to open and how long to keep them is the host's choice: the endpoint takes responses on any of its flows
//# When the client sends the request, if the request is sent using UDP, the client MUST be prepared to
//# receive the response on the same IP address and port it used to populate the source IP address and
//# source port of the request.
//= https://www.rfc-editor.org/rfc/rfc3581#section-3
//= type=exception
//= reason=which sockets to open and how long to keep them is the host's choice: the endpoint takes responses on any of its flows
//# For backwards compatibility, the client MUST still be prepared to receive a response on the port
//# indicated in the sent-by field of the topmost Via header field value, as specified in Section 18.1.1
//# of SIP [1].
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
//= type=exception
//= reason=the name is the host's to know: EndpointConfig::sent_by
//# The usage of an FQDN is RECOMMENDED.
impl Endpoint {
    /// Registers a datagram socket; the flow id is for its [`Input::Datagram`](crate::Input::Datagram)s.
    ///
    /// Bind to a concrete address, or give a name in [`sent_by`](crate::EndpointConfig::sent_by): what stands here goes into
    /// Via.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
    //= type=exception
    //= reason=which addresses and ports to listen on is the host's choice; the endpoint takes any number of sockets and connections
    //# For any port and interface that a server listens on for UDP, it
    //# MUST listen on that same port and interface for TCP.
    ///
    /// # Errors
    ///
    /// [`CommandError::Full`] at the limit of flows.
    pub fn bind(&mut self, transport: Transport, local: SocketAddr) -> Result<FlowId, CommandError> {
        if self.is_recording() {
            let arguments =
                [("transport", Argument::Text(transport.via().into())), ("local", Argument::Text(local.to_string()))];
            self.note(self.now, "bind", arguments);
        }
        if transport.is_connected() {
            return Err(CommandError::WrongFlowKind);
        }
        let mut flow = Flow::new(transport, FlowState::Socket, local, unspecified(local));
        flow.set_sent_by(&self.sent_by(transport, local, false));
        self.add_flow(flow).ok_or(CommandError::Full)
    }

    /// Registers a connection that a peer has opened to this host.
    ///
    /// # Errors
    ///
    /// [`CommandError::Full`] at the limit of flows: close it.
    pub fn accept(
        &mut self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<FlowId, CommandError> {
        if self.is_recording() {
            let transport = ("transport", Argument::Text(transport.via().into()));
            let local = ("local", Argument::Text(local.to_string()));
            self.note(self.now, "accept", [transport, local, ("remote", Argument::Text(remote.to_string()))]);
        }
        if !transport.is_connected() {
            return Err(CommandError::WrongFlowKind);
        }
        let mut flow = Flow::new(transport, FlowState::Open, local, remote);
        flow.set_sent_by(&self.sent_by(transport, local, false));
        let id = self.add_flow(flow).ok_or(CommandError::Full)?;
        self.know(id, remote);
        Ok(id)
    }

    /// Registers a connection that the host has opened of its own accord, such as one WebSocket to a server.
    ///
    /// Requests to `remote`, and to the domain `server_name` over TLS, use it.
    ///
    /// # Errors
    ///
    /// [`CommandError::Full`] at the limit of flows.
    pub fn attach(
        &mut self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        server_name: Option<&str>,
    ) -> Result<FlowId, CommandError> {
        if self.is_recording() {
            let transport = ("transport", Argument::Text(transport.via().into()));
            let local = ("local", Argument::Text(local.to_string()));
            let name = server_name.map_or(Argument::None, |name| Argument::Text(name.into()));
            let remote = ("remote", Argument::Text(remote.to_string()));
            self.note(self.now, "attach", [transport, local, remote, ("name", name)]);
        }
        if !transport.is_connected() {
            return Err(CommandError::WrongFlowKind);
        }
        let mut flow = Flow::new(transport, FlowState::Open, local, remote);
        flow.set_sent_by(&self.sent_by(transport, local, true));
        flow.outgoing = true;
        flow.server_name = server_name.map(Into::into);
        let id = self.add_flow(flow).ok_or(CommandError::Full)?;
        self.know(id, remote);
        Ok(id)
    }

    /// Opens a connection to a target now, rather than with the first request: [`Event::Connect`] follows, unless there
    /// is such a connection already.
    ///
    /// # Errors
    ///
    /// [`CommandError::Full`] at the limit of flows, or [`CommandError::WrongFlowKind`] for a datagram transport.
    pub fn connect(&mut self, now: Instant, target: &Target) -> Result<FlowId, CommandError> {
        if self.is_recording() {
            self.note(now, "connect", [("target", Argument::Target(target))]);
        }
        self.advance(now);
        if !target.transport.is_connected() {
            return Err(CommandError::WrongFlowKind);
        }
        self.flow_to(target).ok_or(CommandError::Full)
    }

    /// Ends a flow: whatever is bound to it fails, and [`Event::FlowEnded`] tells the host to close it.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unknown`] if the id is stale.
    pub fn close(&mut self, now: Instant, flow: FlowId) -> Result<(), CommandError> {
        if self.is_recording() {
            self.note(now, "close", [("flow", Argument::Number(flow.to_bits()))]);
        }
        self.advance(now);
        if self.flows.get(flow).is_none() {
            return Err(CommandError::Unknown);
        }
        self.end_flow(flow, CloseCause::Local);
        Ok(())
    }

    /// Tells that the host has authenticated the peer of a connection by its TLS certificate, and as which SIP domains
    /// ([`names::domains`](crate::names::domains)). From now on the peer may ask by `alias` in its Via that requests to these domains go over the
    /// connection (RFC 5923).
    ///
    /// # Errors
    ///
    /// [`CommandError::Unknown`] if the id is stale.
    pub fn set_identities<'a>(
        &mut self,
        flow: FlowId,
        domains: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), CommandError> {
        let plain = |domain: &str| domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
        let identities: Vec<_> = domains.into_iter().map(plain).collect();
        if self.is_recording() {
            let domains = Argument::Text(identities.join(" "));
            self.note(self.now, "identities", [("flow", Argument::Number(flow.to_bits())), ("domains", domains)]);
        }
        self.flows.get_mut(flow).ok_or(CommandError::Unknown)?.identities = identities;
        Ok(())
    }

    /// The transport and addresses of a flow; `None` if it has ended. The remote of a socket is unspecified.
    pub fn flow_path(&self, flow: FlowId) -> Option<Path> {
        let on = self.flows.get(flow)?;
        self.path_of(flow, on.remote)
    }

    /// Whether a flow can send now, rather than when it opens.
    pub fn is_open(&self, flow: FlowId) -> bool {
        self.flows.get(flow).is_some_and(|on| on.state != FlowState::Connecting)
    }

    /// What Via has as sent-by for requests over a flow; Contact and Record-Route can take it too.
    pub fn flow_sent_by(&self, flow: FlowId) -> Option<&str> {
        self.flows.get(flow).map(|on| on.sent_by())
    }

    fn add_flow(&mut self, flow: Flow) -> Option<FlowId> {
        if self.config.limits.flows.is_some_and(|limit| self.flows.len() >= limit) {
            return None;
        }
        let (transport, local, socket) = (flow.transport, flow.local, flow.state == FlowState::Socket);
        let id = self.flows.insert(flow)?;
        if socket {
            self.sockets.of(local).push((transport, id));
        }
        Some(id)
    }

    /// Lets requests to `address` find the connection.
    fn know(&mut self, flow: FlowId, address: SocketAddr) {
        let Some(on) = self.flows.get_mut(flow) else { return };
        if !on.known_as.contains(&address) && on.known_as.len() < 4 {
            on.known_as.push(address);
            self.connections.insert(on.transport, address, flow);
        }
    }

    /// RFC 5923 section 6: a peer that asked for `alias` is reached over the connection at the port of its sent-by.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
    //# If the sent-by production of the Via header field contains a port,
    //# the server MUST use it as a destination port.  Otherwise, the default
    //# port is the destination port.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-9.2
    //# If the client does not
    //# present a certificate, the server MUST proceed as if the "alias"
    //# header field parameter was not present in the topmost Via header.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-9.2
    //# In this case, the server MUST NOT update the alias table.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.4
    //# If the client does not present a certificate, the client MUST NOT be
    //# considered authenticated.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
    //# Servers MUST follow the authentication steps outlined in Section 9.2
    //# to authenticate the connection before forming an alias.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
    //# If the server
    //# chooses not to honor an aliased connection, the server MUST allow the
    //# request to proceed as though the "alias" header field parameter was
    //# not present in the topmost Via header.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
    //# The server, if it decides to reuse the connection, MUST cache in the
    //# alias table the identity (or identities) of the client as they appear
    //# in the X.509 certificate subjectAlternativeName extension field.
    // The identities are the flow's, and the table leads to the flow.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-9.3
    //# Virtual servers MUST only perform connection reuse for TLS
    //# connections; virtual servers MUST NOT perform connection reuse for
    //# other connection-oriented transports.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-9.3
    //= type=exception
    //= reason=all requests of an endpoint are on behalf of one domain; a host with a certificate for each of several has an endpoint for each
    //# P1 MUST NOT open a connection on behalf of one
    //# domain and reuse it to send a new request on behalf of another
    //# domain.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-9.2
    //= type=exception
    //= reason=TLS is the host's; what it has found in the certificate it tells by set_identities
    //# A TLS server conformant to this specification MUST ask for a client
    //# certificate;
    pub(super) fn know_alias(&mut self, path: &Path, port: u16) {
        let allowed = self.flows.get(path.flow).is_some_and(|on| !on.identities.is_empty() && !on.outgoing);
        if allowed && path.transport == Transport::Tls {
            self.know(path.flow, SocketAddr::new(path.remote.ip(), port));
        }
    }

    /// A flow to send to `target` over: a socket, an open connection, or one that is asked for now.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.3
    //= type=exception
    //= reason=the host has compared the certificate when it opened the connection (names::identifies); it is used again for that domain alone
    //# For TLS protocols, there MUST also be a match between the host
    //# production in the next hop and one of the URIs contained in the
    //# subjectAltName in the peer certificate.
    pub(super) fn flow_to(&mut self, target: &Target) -> Option<FlowId> {
        if !target.transport.is_connected() {
            return self.sockets.first(target.transport, target.address);
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
        //# If a request is destined to an IP address, port, and transport to
        //# which an existing connection is open, it is RECOMMENDED that this
        //# connection be used to send the request
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
        //# Clients MUST be prepared for the case that the connection no longer
        //# exists when they are ready to send a subsequent request over it.  In
        //# such a case, a new connection MUST be opened to the resolved address
        //# and the alias table updated accordingly.
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
        //# In such a case,
        //# the server MUST open a new connection to the resolved address and the
        //# alias table updated accordingly.
        let flows = &self.flows;
        let found = self.connections.find(target.transport, target.address, |id| {
            flows.get(id).is_some_and(|on| {
                // A connection opened for one domain is not one to another: RFC 5922 section 7.3.
                //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
                //# 2.  The URI used for RFC3263 server resolution matches one of the
                //# identities stored in the alias table row corresponding to that
                //# resolved address.
                //= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
                //# The URI used for RFC3263 server resolution matches one of the
                //# identities stored in the alias table row corresponding to that
                //# resolved address.
                match &target.server_name {
                    _ if !target.transport.is_secure() => true,
                    name if on.outgoing => on.server_name == *name,
                    Some(name) => on.identities.contains(name),
                    None => false,
                }
            })
        });
        if found.is_some() {
            return found;
        }
        let mut flow = Flow::new(target.transport, FlowState::Connecting, unspecified(target.address), target.address);
        flow.outgoing = true;
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
        //# Clients MUST authenticate the connection before forming an alias;
        // The host opens it only if the certificate shows this name.
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
        //# Once
        //# the server has been authenticated, the client MUST cache, in the
        //# alias table, the identity (or identities) of the server as determined
        //# in Section 7.1 of RFC 5922 [RFC5922].
        // Of its names the one that was asked for.
        flow.server_name.clone_from(&target.server_name);
        flow.connect_at = self.now + self.config.timers.connect;
        let at = flow.connect_at;
        let id = self.add_flow(flow)?;
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
        //# The client MUST also populate
        //# the destination IP address, port, and transport of the server in the
        //# alias table; these fields are retrieved from executing RFC3263 server
        //# resolution process on the next-hop URI.
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
        //# And finally, the client MUST
        //# populate the alias descriptor field with the connection handle (or
        //# identifier) used to connect to the server.
        self.know(id, target.address);
        self.add_chore(at, Chore::Connect(id));
        self.emit(Event::Connect {
            flow: id,
            transport: target.transport,
            remote: target.address,
            server_name: target.server_name.clone(),
        });
        Some(id)
    }

    /// Sends over a flow, now or when it opens. `false` if it cannot.
    pub(super) fn send_over(
        &mut self,
        flow: FlowId,
        remote: SocketAddr,
        bytes: Bytes,
        ttl: Option<u8>,
        token: Option<SendToken>,
    ) -> bool {
        let limit = self.config.limits.connecting_bytes;
        let Some(on) = self.flows.get_mut(flow) else { return false };
        if on.state == FlowState::Connecting {
            if limit.is_some_and(|limit| on.queued + bytes.len() > limit) {
                return false;
            }
            on.queued += bytes.len();
            on.queue.push_back((bytes, token));
            return true;
        }
        self.transmit(flow, remote, bytes, ttl, token);
        true
    }

    pub(super) fn flow_opened(&mut self, flow: FlowId, local: SocketAddr) -> Result<(), InputError> {
        let on = self.flows.get(flow).ok_or(InputError::UnknownFlow)?;
        if on.state != FlowState::Connecting {
            return Err(InputError::WrongFlowKind);
        }
        let (transport, outgoing, at) = (on.transport, on.outgoing, on.connect_at);
        let sent_by = self.sent_by(transport, local, outgoing);
        self.drop_chore(at, Chore::Connect(flow));
        let Some(on) = self.flows.get_mut(flow) else { return Err(InputError::UnknownFlow) };
        on.state = FlowState::Open;
        on.local = local;
        on.set_sent_by(&sent_by);
        on.queued = 0;
        let (remote, head, queue) = (on.remote, on.head, core::mem::take(&mut on.queue));
        for (bytes, token) in queue {
            self.transmit(flow, remote, bytes, None, token);
        }
        // Those that wait, in the order they came: the list has the last first.
        let mut waiting = Vec::new();
        let mut index = head;
        while let Some(tx) = self.txs.at(index) {
            waiting.push(index);
            index = tx.next;
        }
        for index in waiting.into_iter().rev() {
            self.launch(index);
        }
        Ok(())
    }

    /// Ends a flow and tells everything bound to it.
    pub(super) fn end_flow(&mut self, flow: FlowId, cause: CloseCause) {
        let Some(on) = self.flows.remove(flow) else { return };
        if on.state == FlowState::Socket {
            self.sockets.of(on.local).retain(|&(_, id)| id != flow);
        }
        for address in &on.known_as {
            self.connections.remove(on.transport, *address, flow);
        }
        if on.state == FlowState::Connecting {
            self.drop_chore(on.connect_at, Chore::Connect(flow));
        }
        if let Some(keepalive) = on.keepalive {
            self.drop_chore(keepalive.at, Chore::Keepalive(flow));
        }
        self.stun.forget_flow(flow);
        self.emit(Event::FlowEnded { flow, cause });
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.3
        //# Before closing a TLS connection, the
        //# initiator of the closure MUST either wait for any outstanding SIP
        //# transactions to complete, or explicitly abandon them.
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.3
        //# The receiver of the closure alert MUST NOT start any new
        //# SIP transactions after the receipt of the closure alert.
        // Nothing finds the flow any more.
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.3
        //= type=exception
        //= reason=what comes for a flow that has ended is refused by handle_input; the alerts are the host's TLS layer's
        //# After the initiator of the close has sent a closure alert, it MUST
        //# discard any TLS messages until it has received a similar alert from
        //# its peer.
        let mut bound = Vec::new();
        let mut index = on.head;
        while let Some(tx) = self.txs.at_mut(index) {
            bound.push(index);
            index = core::mem::replace(&mut tx.next, NIL);
            tx.prev = NIL;
            tx.flow = None;
        }
        for index in bound.into_iter().rev() {
            self.lost_flow(index, FailCause::Flow(cause));
        }
    }

    /// The decoder of a stream flow.
    pub(super) fn decoder(&mut self, flow: FlowId) -> Option<&mut StreamDecoder> {
        let parser = &self.config.parser;
        let on = self.flows.get_mut(flow)?;
        Some(on.decoder.get_or_insert_with(|| Box::new(StreamDecoder::new(parser.clone()))))
    }
}

/// The unspecified address of the same family.
pub(crate) fn unspecified(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0),
        SocketAddr::V6(_) => SocketAddr::new(IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED), 0),
    }
}
