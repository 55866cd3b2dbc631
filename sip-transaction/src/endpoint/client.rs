//! Client transactions, and what is sent without one: from the command to the target, from the response to the user.

use super::Endpoint;
use crate::config::EndpointConfig;
use crate::cores::{Id, Key};
use crate::destination::{Destination, Target, To, Wanted};
use crate::error::{CommandError, InputError, SendError, SendErrorKind};
use crate::flow::{Flow, FlowState};
use crate::held::Held;
use crate::id::{ClientTxId, FlowId};
use crate::input::{CloseCause, SendCause};
use crate::locate::Located;
use crate::machine::{Status, invite_client, noninvite_client};
use crate::matching::{OwnTag, method_of};
use crate::output::{Event, FailCause, Outcome, Path, SendId, SendToken};
use crate::record::Argument;
use crate::time::Instant;
use crate::timers::{Class, Timer, Which};
use crate::transport::Transport;
use crate::tx::{Flags, Machine, Tx};
use crate::wire::{self, Branch};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytes::Bytes;
use core::net::SocketAddr;
use rand_chacha::rand_core::RngCore;
use sip_message::{Header, Message, Method, StatusCode};

/// Marks the token of something sent without a transaction.
pub(super) const SEND_TOKEN: u64 = 1 << 63;

/// Where to, as far as a command can tell at once.
enum Plan {
    Flow(FlowId, SocketAddr),
    Targets(VecDeque<Target>),
    /// What needs no look-up, and has no alternative.
    Target(Target),
    Locate(Wanted),
}

impl Endpoint {
    /// Sends a request in a client transaction of its own. The endpoint puts a Via on top, and Content-Length if it is missing;
    /// all else is the message's.
    ///
    /// Responses come as [`Event::Response`], the end as [`Event::ClientEnded`], both with the id returned here.
    ///
    /// # Errors
    ///
    /// [`SendError`] hands the message back: it is no request, or an ACK (see [`send`](Endpoint::send)); its CSeq
    /// is missing or names another method; its destination cannot be; a limit is reached.
    pub fn request(&mut self, now: Instant, message: Message, to: Destination) -> Result<ClientTxId, SendError> {
        self.request_ref(now, &message, to).map_err(|kind| SendError::new(kind, message))
    }

    /// As [`request`](Endpoint::request), for a user that keeps the message: to send it again with credentials, say. It is copied only
    /// where it has to wait, for the name of its target to be resolved or for a connection.
    ///
    /// # Errors
    ///
    /// As [`request`](Endpoint::request).
    pub fn request_ref(
        &mut self,
        now: Instant,
        message: &Message,
        to: Destination,
    ) -> Result<ClientTxId, SendErrorKind> {
        if self.is_recording() {
            self.note(now, "request", [("to", Argument::Destination(&to)), ("message", Argument::Message(message))]);
        }
        self.advance(now);
        let invite = match check_request(message)? {
            Method::Ack => return Err(SendErrorKind::WrongKind),
            method => method == Method::Invite,
        };
        let Destination { to, branch } = to;
        let plan = self.plan(message, to)?;
        let key = self.start(Machine::Locating { invite }, 0, message, plan, branch)?;
        self.counters.client_transactions += 1;
        Ok(ClientTxId::from_key(key))
    }

    /// Sends a request without a transaction: the ACK for a 2xx, or what a stateless proxy forwards. It is sent once. If it
    /// cannot be, [`Event::SendFailed`] tells.
    ///
    /// # Errors
    ///
    /// As [`request`](Endpoint::request).
    pub fn send(&mut self, now: Instant, message: Message, to: Destination) -> Result<SendId, SendError> {
        self.send_ref(now, &message, to).map_err(|kind| SendError::new(kind, message))
    }

    /// As [`send`](Endpoint::send), for a user that keeps the message, as [`request_ref`](Endpoint::request_ref) is of
    /// [`request`](Endpoint::request).
    ///
    /// # Errors
    ///
    /// As [`request`](Endpoint::request).
    pub fn send_ref(&mut self, now: Instant, message: &Message, to: Destination) -> Result<SendId, SendErrorKind> {
        if self.is_recording() {
            self.note(now, "send", [("to", Argument::Destination(&to)), ("message", Argument::Message(message))]);
        }
        self.advance(now);
        check_request(message)?;
        let send = SendId(self.new_send_id());
        let Destination { to, branch } = to;
        let plan = self.plan(message, to)?;
        match self.way_of(&plan, message, branch.as_deref()) {
            Some((flow, remote)) => {
                let made = Branch::new(self.draw_branch());
                let Some(on) = self.flows.get(flow) else { return Err(SendErrorKind::UnknownFlow(flow)) };
                let branch = branch.as_deref().map_or(made.as_bytes(), str::as_bytes);
                let (bytes, ttl) = with_via(&self.config, on, remote, None, branch, message);
                self.transmit(flow, remote, bytes, ttl, Some(SendToken(SEND_TOKEN | send.0)));
            }
            // It waits where transactions wait.
            None => {
                self.start(Machine::Sending, send.0, message, plan, branch)?;
            }
        }
        Ok(send)
    }

    /// Over which flow and to where something can be sent at once, if it can be.
    fn way_of(&self, plan: &Plan, message: &Message, branch: Option<&str>) -> Option<(FlowId, SocketAddr)> {
        let (flow, remote) = match plan {
            Plan::Flow(flow, remote) => (*flow, *remote),
            Plan::Target(target) if !target.transport.is_connected() => {
                let larger = self.larger_transport(branch.map_or(0, str::len), message, target).is_some();
                let flow = self.sockets.first(target.transport, target.address).filter(|_| !larger)?;
                (flow, target.address)
            }
            _ => return None,
        };
        let on = self.flows.get(flow)?;
        (on.state != FlowState::Connecting).then_some((flow, remote))
    }

    /// Cancels an INVITE (RFC 3261 section 9.1). `reason` is the value of a Reason field (RFC 3326), if there is to be one.
    ///
    /// Before the first provisional response the CANCEL waits for it; the INVITE may still be accepted. What becomes of the
    /// INVITE is told by its own events: most often a 487.
    ///
    /// # Errors
    ///
    /// The id is stale, the transaction is none of an INVITE, it has its final response, or it has been cancelled already.
    pub fn cancel(&mut self, now: Instant, tx: ClientTxId, reason: Option<&str>) -> Result<(), CommandError> {
        if self.is_recording() {
            let reason = reason.map_or(Argument::None, |reason| Argument::Text(reason.into()));
            self.note(now, "cancel", [("tx", Argument::Number(tx.to_bits())), ("reason", reason)]);
        }
        self.advance(now);
        let index = tx.key().index();
        if reason.is_some_and(|reason| reason.bytes().any(|b| b < b' ' || b == 0x7f)) {
            return Err(CommandError::Malformed);
        }
        let found =
            self.txs.get_mut(tx.key()).filter(|tx| !tx.flags.has(Flags::HIDDEN)).ok_or(CommandError::Unknown)?;
        if found.flags.has(Flags::CANCEL_WAITS) || found.flags.has(Flags::CANCELLED) {
            return Err(CommandError::Already);
        }
        match found.machine {
            // Nothing has left yet.
            Machine::Locating { invite: true } => {
                self.finish(index, Outcome::Cancelled);
                Ok(())
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
            //# If no provisional response has been received, the CANCEL request MUST
            //# NOT be sent; rather, the client MUST wait for the arrival of a
            //# provisional response before sending the request.
            Machine::InviteClient(invite_client::State::Calling) => {
                found.flags.set(Flags::CANCEL_WAITS);
                if let Some(reason) = reason {
                    found.more().reason = Some(reason.into());
                }
                Ok(())
            }
            Machine::InviteClient(invite_client::State::Proceeding) => {
                self.send_cancel(index, reason);
                Ok(())
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
            //# If the original request has
            //# generated a final response, the CANCEL SHOULD NOT be sent, as it is
            //# an effective no-op, since CANCEL has no effect on requests that have
            //# already generated a final response.
            Machine::InviteClient(_) => Err(CommandError::TooLate),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
            //# A CANCEL request SHOULD NOT be sent to cancel a request other than
            //# INVITE.
            _ => Err(CommandError::NotInvite),
        }
    }

    /// Starts Timer C, or starts it anew, on an INVITE a proxy has sent on: [`Event::TimerC`] comes when it fires. Provisional responses
    /// other than 100 start it anew by themselves. Until the first of any kind Timer B runs in its place, which is shorter and ends the
    /// transaction as the 408 of RFC 3261 section 16.8 would.
    ///
    /// # Errors
    ///
    /// The id is stale, the transaction is none of an INVITE, or it has its final response.
    pub fn arm_timer_c(&mut self, now: Instant, tx: ClientTxId) -> Result<(), CommandError> {
        if self.is_recording() {
            self.note(now, "timer-c", [("tx", Argument::Number(tx.to_bits()))]);
        }
        self.advance(now);
        let found =
            self.txs.get_mut(tx.key()).filter(|tx| !tx.flags.has(Flags::HIDDEN)).ok_or(CommandError::Unknown)?;
        match found.machine {
            Machine::Locating { invite: true } | Machine::InviteClient(invite_client::State::Calling) => {
                found.flags.set(Flags::TIMER_C);
                Ok(())
            }
            Machine::InviteClient(invite_client::State::Proceeding) => {
                found.flags.set(Flags::TIMER_C);
                if !found.flags.has(Flags::CANCELLED) {
                    self.set_timer(tx.key().index(), Which::State, Timer::C, Class::C);
                }
                Ok(())
            }
            Machine::InviteClient(_) => Err(CommandError::TooLate),
            _ => Err(CommandError::NotInvite),
        }
    }

    /// Over which flow and between which addresses a client transaction runs; `None` before it has a connection, and for a stale
    /// id.
    pub fn client_path(&self, tx: ClientTxId) -> Option<Path> {
        let found = self.txs.get(tx.key()).filter(|tx| tx.machine.is_client())?;
        self.path_of(found.flow?, found.remote)
    }

    #[inline]
    fn start(
        &mut self,
        machine: Machine,
        send: u64,
        message: &Message,
        plan: Plan,
        branch: Option<Box<str>>,
    ) -> Result<Key, SendErrorKind> {
        let mut tx = Tx::new(machine);
        tx.send = send;
        if branch.is_some() {
            tx.more().branch = branch;
        }
        let key = self.insert(tx).ok_or(SendErrorKind::Full)?;
        match plan {
            Plan::Flow(flow, remote) => {
                if let Some(tx) = self.txs.at_mut(key.index()) {
                    tx.flags.set(Flags::PINNED);
                    tx.remote = remote;
                }
                self.link(key.index(), flow);
                self.launch_or_wait(key.index(), message);
            }
            Plan::Targets(targets) => self.begin(key.index(), message, targets),
            Plan::Target(target) => self.begin_with(key.index(), message, target, VecDeque::new()),
            Plan::Locate(wanted) => {
                if let Some(tx) = self.txs.at_mut(key.index()) {
                    tx.ttl = wanted.ttl;
                }
                match self.locate(key.index(), &wanted) {
                    Located::Now(targets) => self.begin(key.index(), message, targets),
                    Located::Later => {
                        if let Some(tx) = self.txs.at_mut(key.index()) {
                            tx.more().unsent = Some(Box::new(message.clone()));
                        }
                    }
                }
            }
        }
        Ok(key)
    }

    fn plan(&self, message: &Message, to: To) -> Result<Plan, SendErrorKind> {
        if self.config.limits.transactions.is_some_and(|limit| self.txs.len() >= limit) {
            return Err(SendErrorKind::Full);
        }
        let wanted = match to {
            To::Flow(flow, remote) => {
                let on = self.flows.get(flow).ok_or(SendErrorKind::UnknownFlow(flow))?;
                let remote = match (on.state, remote) {
                    (FlowState::Socket, None) => return Err(SendErrorKind::NoTarget),
                    (FlowState::Socket, Some(remote)) => remote,
                    _ => on.remote,
                };
                return Ok(Plan::Flow(flow, remote));
            }
            To::Targets(mut targets) => {
                targets.truncate(self.config.limits.targets.max(1));
                return if targets.is_empty() {
                    Err(SendErrorKind::NoTarget)
                } else {
                    Ok(Plan::Targets(targets.into()))
                };
            }
            To::Route => match Wanted::usual_target_of(message, &self.config) {
                Some(target) => return Ok(Plan::Target(target)),
                None => Wanted::of_message(message)?,
            },
            To::NextHop(uri) => {
                if let Some(target) = Wanted::usual_target(uri.as_bytes(), &self.config) {
                    return Ok(Plan::Target(target));
                }
                let uri = sip_message::Uri::parse(uri.as_bytes()).map_err(|_| SendErrorKind::NoTarget)?;
                Wanted::of(&uri)?
            }
        };
        if wanted.ttl.is_none() {
            if let Some(target) = wanted.numeric(&self.config) {
                return Ok(Plan::Target(target));
            }
        }
        if wanted.has_transport(&self.config) { Ok(Plan::Locate(wanted)) } else { Err(SendErrorKind::NoTransport) }
    }

    /// Tries the first of `targets`.
    fn begin(&mut self, index: u32, message: &Message, mut targets: VecDeque<Target>) {
        self.locator.prefer_live(&mut targets, self.now);
        let Some(first) = targets.pop_front() else { return self.give_up(index, FailCause::Unresolvable) };
        self.begin_with(index, message, first, targets);
    }

    /// Tries this target, and has others.
    #[inline]
    fn begin_with(&mut self, index: u32, message: &Message, first: Target, targets: VecDeque<Target>) {
        let smaller = self.larger_transport(self.chosen_len(index), message, &first);
        if !targets.is_empty() || smaller.is_some() || first.transport.is_connected() {
            let Some(tx) = self.txs.at_mut(index) else { return };
            tx.more().targets = targets;
            tx.more().target = Some(first.clone());
        }
        match smaller {
            Some(tcp) => {
                if let Some(tx) = self.txs.at_mut(index) {
                    tx.more().smaller = Some(first);
                }
                self.attempt(index, message, tcp);
            }
            None => self.attempt(index, message, first),
        }
    }

    /// The TCP target to use in place of one in UDP, for a request too large for that.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18
    //# It has arisen out of the need to handle larger messages, which MUST use TCP, as discussed below.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    //# If this causes a change in the transport protocol from the one indicated in the top Via, the value
    //# in the top Via MUST be changed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    //# If a request is within 200 bytes of the path MTU, or if it is larger
    //# than 1300 bytes and the path MTU is unknown, the request MUST be sent
    //# using an RFC 2914 [43] congestion controlled transport protocol, such
    //# as TCP.
    fn larger_transport(&self, branch: usize, message: &Message, target: &Target) -> Option<Target> {
        // To a group leads no connection.
        if target.transport != Transport::Udp || target.address.ip().is_multicast() {
            return None;
        }
        // All of a Via but sent-by and a branch of the user's.
        const VIA: usize = "Via: SIP/2.0/UDP ;branch=z9hG4bK00000000000000000000;rport\r\n".len();
        let (len, most) = (message.encoded_len() + wire::added_len(message) + VIA, self.config.udp_request_len());
        let sent_by = || {
            let on = self.sockets.first(target.transport, target.address).and_then(|flow| self.flows.get(flow));
            on.map_or(0, |on| on.sent_by().len())
        };
        // Most are so small that nobody need look at a name.
        let fits = len + branch + 300 <= most || len + branch + sent_by() <= most;
        if fits || !self.config.supports(Transport::Tcp) {
            return None;
        }
        Some(Target { transport: Transport::Tcp, ..target.clone() })
    }

    /// The length of a branch that the user has chosen.
    fn chosen_len(&self, index: u32) -> usize {
        self.txs.at(index).and_then(|tx| tx.more.as_ref()?.branch.as_deref()).map_or(0, str::len)
    }

    /// Finds a flow to the target and sends, now or when it opens.
    fn attempt(&mut self, index: u32, message: &Message, target: Target) {
        match self.flow_to(&target) {
            Some(flow) => {
                if let Some(tx) = self.txs.at_mut(index) {
                    tx.remote = target.address;
                }
                self.link(index, flow);
                self.launch_or_wait(index, message);
            }
            None => {
                // No socket of that family, or no room for a connection: the next one, or the end.
                if let Some(tx) = self.txs.at_mut(index) {
                    tx.more().unsent = Some(Box::new(message.clone()));
                }
                let cause = FailCause::Flow(CloseCause::Local);
                if !self.fail_over(index, Some(cause)) {
                    self.give_up(index, cause);
                }
            }
        }
    }

    #[inline]
    fn launch_or_wait(&mut self, index: u32, message: &Message) {
        let Some(tx) = self.txs.at_mut(index) else { return };
        let open = tx.flow.and_then(|flow| self.flows.get(flow)).is_some_and(|on| on.state != FlowState::Connecting);
        if open {
            self.launch_message(index, message);
        } else {
            tx.more().unsent = Some(Box::new(message.clone()));
        }
    }

    /// The flow that a transaction waited for is open.
    pub(super) fn launch(&mut self, index: u32) {
        let Some(tx) = self.txs.at_mut(index) else { return };
        if let Some(message) = tx.more.as_mut().and_then(|more| more.unsent.take()) {
            self.launch_message(index, &message);
        }
    }

    /// Puts the Via on and starts the machine. The transaction is linked to an open flow.
    fn launch_message(&mut self, index: u32, message: &Message) {
        let number = self.draw_branch();
        let made = Branch::new(number);
        let Some(tx) = self.txs.at_mut(index) else { return };
        let Some(on) = tx.flow.and_then(|flow| self.flows.get(flow)) else { return };
        let chosen = tx.more.as_mut().and_then(|more| more.branch.take());
        let branch = chosen.as_deref().map_or(made.as_bytes(), str::as_bytes);
        let (bytes, ttl) = with_via(&self.config, on, tx.remote, tx.ttl, branch, message);
        if !message.has(Header::Via) {
            tx.flags.set(Flags::ORIGIN);
        }
        tx.transport = on.transport;
        tx.ttl = ttl;
        let reliable = on.transport.is_reliable();
        tx.step = 0;
        match tx.machine {
            Machine::Sending => {
                let (flow, remote, ttl, send) = (tx.flow, tx.remote, tx.ttl, tx.send);
                if let Some(flow) = flow {
                    self.send_over(flow, remote, bytes, ttl, Some(SendToken(SEND_TOKEN | send)));
                }
                self.erase(index);
            }
            Machine::Locating { invite } => {
                // What failover needs; nothing, if there is nowhere to go.
                if tx
                    .more
                    .as_ref()
                    .is_some_and(|more| more.targets.is_empty() && more.smaller.is_none() && more.target.is_none())
                {
                    tx.more = None;
                }
                tx.message = self.spare.keep(&bytes);
                let method = message.method().unwrap_or(Method::Invite).as_str().as_bytes();
                let own = if chosen.is_none() { OwnTag::new(number, method) } else { None };
                let tag = own.map_or_else(|| self.hash.client_tag(branch, method), OwnTag::get);
                self.enter(index, tag);
                let step = if invite {
                    invite_client::start(reliable).map(Machine::InviteClient)
                } else {
                    noninvite_client::start(reliable).map(Machine::NonInviteClient)
                };
                self.send_request(index, Some(bytes));
                self.apply(index, step, None);
            }
            _ => {}
        }
    }

    /// The number of a new branch.
    #[inline]
    fn draw_branch(&mut self) -> u128 {
        let random = u128::from(self.rng.next_u64()) | u128::from(self.rng.next_u64()) << 64;
        random & ((1 << Branch::BITS) - 1)
    }

    /// Sends the request, for the first time as it has been made.
    pub(super) fn send_request(&mut self, index: u32, made: Option<Bytes>) {
        let Some(tx) = self.txs.at(index) else { return };
        if let Some(flow) = tx.flow {
            //= https://www.rfc-editor.org/rfc/rfc3263#section-4.4
            //# When a server is contacted successfully, all retransmissions of the request for the transaction, as
            //# well as ACK for a non-2xx final response, and CANCEL requests for that transaction, MUST go to the
            //# same server.
            //= https://www.rfc-editor.org/rfc/rfc3263#section-4
            //# That is, once a SIP server has successfully been contacted (success
            //# is defined below), all retransmissions of the SIP request and the ACK
            //# for non-2xx SIP responses to INVITE MUST be sent to the same host.
            let (remote, ttl, bytes) = (tx.remote, tx.ttl, made.unwrap_or_else(|| tx.message.to_bytes()));
            let token = self.token(index);
            self.send_over(flow, remote, bytes, ttl, token);
        }
    }

    /// Acknowledges a final response other than 2xx.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //# The ACK MUST be sent
    //# to the same address, port, and transport to which the original
    //# request was sent.
    pub(super) fn send_ack(&mut self, index: u32, response: &Message) {
        let Some(tx) = self.txs.at_mut(index) else { return };
        if tx.last.is_empty() {
            let Ok(request) = Message::parse_with(tx.message.to_bytes(), &self.config.parser) else { return };
            tx.last = Held::Shared(wire::ack(&request, response));
        } else {
            self.counters.retransmissions += 1;
        }
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# The ACK MUST be sent to the same address, port, and transport to which the original request was
        //# sent.
        let (remote, bytes) = (tx.remote, tx.last.to_bytes());
        let Some(flow) = tx.flow else { return };
        let token = self.token(index);
        self.send_over(flow, remote, bytes, None, token);
    }

    fn send_cancel(&mut self, index: u32, reason: Option<&str>) {
        let Some(tx) = self.txs.at_mut(index) else { return };
        tx.flags.clear(Flags::CANCEL_WAITS);
        tx.flags.set(Flags::CANCELLED);
        let (flow, remote, transport) = (tx.flow, tx.remote, tx.transport);
        let request = Message::parse_with(tx.message.to_bytes(), &self.config.parser);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
        //# If
        //# there is no final response for the original request in 64*T1 seconds
        //# (T1 is defined in Section 17.1.1.1), the client SHOULD then consider
        //# the original transaction cancelled and SHOULD destroy the client
        //# transaction handling the original request.
        self.set_timer(index, Which::State, Timer::Cancelled, Class::T1x64);
        let (Ok(request), Some(flow)) = (request, flow) else { return };
        let Ok(via) = request.top_via() else { return };
        let branch = via.branch().ok().flatten().unwrap_or_default();
        let hashed = || self.hash.client_tag(branch.as_bytes(), b"CANCEL");
        let tag = OwnTag::of(branch.as_bytes(), b"CANCEL").map_or_else(hashed, OwnTag::get);
        let mut cancel = Tx::new(Machine::Locating { invite: false });
        cancel.flags.set(Flags::HIDDEN | Flags::PINNED);
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4
        //# Furthermore, a CANCEL for a particular SIP request MUST be sent to
        //# the same SIP server that the SIP request was delivered to.
        cancel.remote = remote;
        cancel.transport = transport;
        cancel.message = Held::Shared(wire::cancel(&request, reason));
        let Some(key) = self.insert(cancel) else { return };
        self.link(key.index(), flow);
        self.enter(key.index(), tag);
        let step = noninvite_client::start(transport.is_reliable()).map(Machine::NonInviteClient);
        self.client_step(key.index(), step, None);
    }

    // What comes back.

    /// A response came in.
    pub(super) fn on_response(&mut self, path: Path, message: Box<Message>) -> Result<(), InputError> {
        self.counters.responses_received += 1;
        let Some(status) = message.status() else { return Err(InputError::Unmatchable) };
        // The Via is this endpoint's own, most often as it was written.
        let own = self.match_own(&path, &message);
        let found = match own {
            Some(index) => Some(index),
            None => self.match_response(&path, &message)?,
        };
        //= https://www.rfc-editor.org/rfc/rfc6026#section-6
        //# When receiving any SIP response, a transaction-stateful proxy MUST compare the transaction
        //# identifier in that response against its existing transaction state machines.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-6
        //# The proxy MUST NOT forward the response if there is no matching transaction state machine.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.3
        //# When receiving any SIP response, a transaction-stateful proxy MUST compare the transaction
        //# identifier in that response against its existing transaction state machines.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.2
        //# If none is found, the element MUST NOT forward the response.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.9
        //# Otherwise, any element other than a stateless proxy MUST silently discard the response.
        let Some(index) = found else {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.2
            //# Otherwise, the response MUST be passed to the core
            //# (whether it be stateless proxy, stateful proxy, or UA) for further
            //# processing.
            if self.config.stray_responses {
                self.emit(Event::StrayResponse { path, message });
                return Ok(());
            }
            //= https://www.rfc-editor.org/rfc/rfc6026#section-7.3
            //# The proxy MUST NOT forward the response if there is no matching
            //# transaction state machine.
            return Err(InputError::Stray);
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.3
        //# If more than one Via header field value is present in a response, the
        //# UAC SHOULD discard the message.
        // A proxy's request had the Vias of others, too, and so has its response.
        let origin = self.txs.at(index).is_some_and(|tx| tx.flags.has(Flags::ORIGIN));
        if origin && (message.is_repeated(Header::Via) || own.is_none() && has_listed_vias(&message)) {
            return Err(InputError::Misrouted);
        }
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.9
        //# If there is a match, the response MUST be passed to that transaction.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.2
        //# If there is a match, the response MUST be passed to that transaction.
        //= https://www.rfc-editor.org/rfc/rfc7118#section-5.3
        //# Therefore, SIP WebSocket Clients MUST accept responses without such a parameter in the top Via
        //# header regardless of whether the Via "sent-by" field contains a domain name.
        self.response_for(index, path, status, message);
        Ok(())
    }

    /// The transaction of a response whose topmost Via and CSeq came as this endpoint has written them, over the flow of the request, and
    /// whose topmost Via field has no other value.
    #[inline]
    fn match_own(&self, path: &Path, message: &Message) -> Option<u32> {
        let branch = self.flows.get(path.flow)?.branch_of(message.field(Header::Via)?)?;
        let tag = OwnTag::read(branch, message.field(Header::CSeq)?)?;
        self.find(tag.get()).filter(|index| self.txs.at(*index).is_some_and(|tx| tx.flow == Some(path.flow)))
    }

    /// The transaction of any response, if it has one.
    #[inline(never)]
    fn match_response(&self, path: &Path, message: &Message) -> Result<Option<u32>, InputError> {
        let Ok(cseq) = message.cseq() else { return Err(InputError::Unmatchable) };
        let Ok(via) = message.top_via() else { return Err(InputError::Unmatchable) };
        let branch = via.branch().ok().flatten().unwrap_or_default().as_bytes();
        let method = cseq.method.as_str().as_bytes();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.3
        //# If the response has the same value of the branch parameter in
        //# the top Via header field as the branch parameter in the top
        //# Via header field of the request that created the transaction.
        let own = OwnTag::of(branch, method).and_then(|tag| self.find(tag.get()));
        let found = own.or_else(|| self.find(self.hash.client_tag(branch, method)));
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.2
        //# If the value of the "sent-by" parameter in that header field value does not correspond to a
        //# value that the client transport is configured to insert into requests, the response MUST be silently discarded.
        let sent_on = found.and_then(|index| self.txs.at(index)).and_then(|tx| tx.flow).unwrap_or(path.flow);
        let sent_by = via.sent_by_bytes();
        let ours = self.flows.get(sent_on).is_some_and(|on| sent_by.eq_ignore_ascii_case(on.sent_by().as_bytes()));
        if ours { Ok(found) } else { Err(InputError::NotOurs) }
    }

    #[inline]
    fn response_for(&mut self, index: u32, path: Path, status: StatusCode, message: Box<Message>) {
        let Some(tx) = self.txs.at_mut(index) else { return };
        let machine = tx.machine;
        let reliable = tx.transport.is_reliable();
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.3
        //# For SIP requests, failure occurs if the transaction layer reports a
        //# 503 error response or a transport failure of some sort
        if status == StatusCode::SERVICE_UNAVAILABLE && self.can_fail_over(index) && self.is_open_ended(machine) {
            self.leave_behind(index, &message);
            if self.fail_over(index, Some(FailCause::Unavailable)) {
                return;
            }
        }
        let Some(tx) = self.txs.at_mut(index) else { return };
        tx.flags.set(Flags::HEARD);
        let timer_c = tx.flags.has(Flags::TIMER_C) && status.is_provisional() && !tx.flags.has(Flags::CANCELLED);
        let was_calling = machine == Machine::InviteClient(invite_client::State::Calling);
        let class = Status::of(status);
        match machine {
            Machine::InviteClient(state) => {
                let step = invite_client::on(state, invite_client::Occurrence::Response(class), reliable);
                self.response_step(index, step.map(Machine::InviteClient), path, message);
                // Behind the final response a provisional one that was overtaken means nothing: timers D and M run.
                if class == Status::Provisional && self.is_open_ended(machine) {
                    let waits = self.txs.at(index).is_some_and(|tx| tx.flags.has(Flags::CANCEL_WAITS));
                    if waits {
                        let reason = self.txs.at_mut(index).and_then(|tx| tx.more.as_mut()?.reason.take());
                        self.send_cancel(index, reason.as_deref());
                    } else if timer_c && (status.code() > 100 || was_calling) {
                        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
                        //# For an INVITE transaction, if the response is a provisional
                        //# response with status codes 101 to 199 inclusive (i.e., anything
                        //# but 100), the proxy MUST reset timer C for that client
                        //# transaction.
                        self.set_timer(index, Which::State, Timer::C, Class::C);
                    }
                }
            }
            Machine::NonInviteClient(state) => {
                let step = noninvite_client::on(state, noninvite_client::Occurrence::Response(class), reliable);
                self.response_step(index, step.map(Machine::NonInviteClient), path, message);
            }
            _ => {}
        }
    }

    /// Whether the transaction still waits for its final response.
    fn is_open_ended(&self, machine: Machine) -> bool {
        use invite_client::State as Invite;
        use noninvite_client::State as Other;
        matches!(
            machine,
            Machine::InviteClient(Invite::Calling | Invite::Proceeding)
                | Machine::NonInviteClient(Other::Trying | Other::Proceeding)
        )
    }

    fn can_fail_over(&self, index: u32) -> bool {
        self.txs.at(index).is_some_and(|tx| {
            let elsewhere = tx.more.as_ref().is_some_and(|more| !more.targets.is_empty() || more.smaller.is_some());
            elsewhere && !tx.flags.has(Flags::PINNED | Flags::CANCELLED) && !tx.flags.has(Flags::CANCEL_WAITS)
        })
    }

    /// A refused INVITE moves on: what stays behind acknowledges the refusal.
    fn leave_behind(&mut self, index: u32, response: &Message) {
        let Some(tx) = self.txs.at(index) else { return };
        let (Machine::InviteClient(_), Some(flow)) = (tx.machine, tx.flow) else { return };
        let Ok(request) = Message::parse_with(tx.message.to_bytes(), &self.config.parser) else { return };
        let ack = wire::ack(&request, response);
        let (remote, transport, tag) = (tx.remote, tx.transport, tx.tag);
        if transport.is_reliable() {
            self.send_over(flow, remote, ack, None, None);
            return;
        }
        let mut old = Tx::new(Machine::InviteClient(invite_client::State::Completed));
        old.flags.set(Flags::HIDDEN | Flags::PINNED);
        (old.remote, old.transport) = (remote, transport);
        (old.message, old.last) = (tx.message.clone(), Held::Shared(ack.clone()));
        self.send_over(flow, remote, ack, None, None);
        let Some(key) = self.insert(old) else { return };
        self.withdraw(index);
        self.enter(key.index(), tag);
        self.link(key.index(), flow);
        self.set_timer(key.index(), Which::State, Timer::D, Class::D);
    }

    /// Moves on to the next target, if there is one. `true` if the transaction has been taken care of.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.3
    //# If a failure occurs, the client SHOULD create a new request, which is
    //# identical to the previous, but has a different value of the Via
    //# branch ID than the previous (and therefore constitutes a new SIP
    //# transaction).
    pub(super) fn fail_over(&mut self, index: u32, cause: Option<FailCause>) -> bool {
        if let Some(target) = self.txs.at(index).and_then(|tx| tx.more.as_ref()?.target.clone()) {
            self.locator.mark_dead(&target, self.now + self.config.timers.back_off);
        }
        if !self.can_fail_over(index) {
            return false;
        }
        let Some(tx) = self.txs.at_mut(index) else { return false };
        let machine = match tx.machine {
            Machine::InviteClient(_) => Machine::Locating { invite: true },
            Machine::NonInviteClient(_) => Machine::Locating { invite: false },
            other => other,
        };
        let more = tx.more();
        more.cause = cause;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
        //# If an element sends a request over TCP because of these message size
        //# constraints, and that request would have otherwise been sent over
        //# UDP, if the attempt to establish the connection generates either an
        //# ICMP Protocol Not Supported, or results in a TCP reset, the element
        //# SHOULD retry the request, using UDP.
        let back_to_udp = match cause {
            Some(FailCause::Flow(_)) => more.smaller.take(),
            _ => {
                more.smaller = None;
                None
            }
        };
        let fallback = back_to_udp.is_some();
        let Some(target) = back_to_udp.or_else(|| more.targets.pop_front()) else { return false };
        let unsent = more.unsent.take();
        let message = match unsent {
            Some(message) => message,
            None => {
                let Ok(mut message) = Message::parse_boxed(tx.message.to_bytes(), &self.config.parser) else {
                    return false;
                };
                message.pop_via();
                message
            }
        };
        let Some(tx) = self.txs.at_mut(index) else { return false };
        tx.machine = machine;
        tx.message = Held::NOTHING;
        tx.last = Held::NOTHING;
        tx.flags.clear(Flags::HEARD);
        tx.step = 0;
        self.withdraw(index);
        self.unlink(index);
        self.timers.clear(index, Which::Retransmit);
        self.timers.clear(index, Which::State);
        self.counters.failovers += 1;
        let larger = if fallback { None } else { self.larger_transport(self.chosen_len(index), &message, &target) };
        if let Some(tx) = self.txs.at_mut(index) {
            tx.more().target = Some(target.clone());
            tx.more().smaller = larger.is_some().then(|| target.clone());
        }
        self.attempt(index, &message, larger.unwrap_or(target));
        true
    }

    fn give_up(&mut self, index: u32, cause: FailCause) {
        self.finish(index, Outcome::Failed(cause));
    }

    /// The flow of a transaction ended.
    pub(super) fn lost_flow(&mut self, index: u32, cause: FailCause) {
        let Some(tx) = self.txs.at(index) else { return };
        match tx.machine {
            Machine::Locating { .. } | Machine::Sending => {
                if !self.fail_over(index, Some(cause)) {
                    self.give_up(index, cause);
                }
            }
            Machine::InviteClient(_) | Machine::NonInviteClient(_) => self.client_transport_error(index, cause),
            Machine::InviteServer(_) | Machine::NonInviteServer(_) => self.server_lost_flow(index),
        }
    }

    /// Nothing can be sent to the peer, or nothing will come from it.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.4
    //# If the transport user asks for a request to be sent over a reliable
    //# transport, and the result is a connection failure, the transport
    //# layer SHOULD inform the transport user of a failure in sending.
    fn client_transport_error(&mut self, index: u32, cause: FailCause) {
        let Some(tx) = self.txs.at(index) else { return };
        if self.is_open_ended(tx.machine) && !tx.flags.has(Flags::HEARD) && self.fail_over(index, Some(cause)) {
            return;
        }
        let Some(tx) = self.txs.at(index) else { return };
        let reliable = tx.transport.is_reliable();
        match tx.machine {
            Machine::InviteClient(state) => {
                let step = invite_client::on(state, invite_client::Occurrence::TransportError, reliable);
                self.client_step(index, step.map(Machine::InviteClient), Some(cause));
            }
            Machine::NonInviteClient(state) => {
                let step = noninvite_client::on(state, noninvite_client::Occurrence::TransportError, reliable);
                self.client_step(index, step.map(Machine::NonInviteClient), Some(cause));
            }
            _ => {}
        }
    }

    /// The host could not send something.
    pub(super) fn send_failed(&mut self, token: SendToken, cause: SendCause) -> Result<(), InputError> {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.4
        //# Source quench and TTL exceeded ICMP errors SHOULD be
        //# ignored.
        if cause == SendCause::Transient {
            return Ok(());
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.4
        //# Host,
        //# network, port or protocol unreachable errors, or parameter problem
        //# errors SHOULD cause the transport layer to inform the transport user
        //# of a failure in sending.
        if token.0 & SEND_TOKEN != 0 {
            self.emit(Event::SendFailed { send: SendId(token.0 & !SEND_TOKEN), cause: FailCause::Send(cause) });
            return Ok(());
        }
        let key = Key::from_bits(token.0).ok_or(InputError::UnknownToken)?;
        let tx = self.txs.get(key).ok_or(InputError::UnknownToken)?;
        match tx.machine {
            machine if machine.is_client() => self.client_transport_error(key.index(), FailCause::Send(cause)),
            _ => self.response_failed(key.index(), FailCause::Send(cause)),
        }
        Ok(())
    }

    /// Begins to locate a target for the transaction at `index`, asking what must be asked.
    pub(super) fn locate(&mut self, index: u32, wanted: &Wanted) -> Located {
        let located = self.locator.locate(&self.config, self.now, &mut self.rng, index, wanted);
        self.ask();
        located
    }

    /// Targets for a transaction have been found.
    pub(super) fn located(&mut self, index: u32, mut targets: VecDeque<Target>) {
        targets.truncate(self.config.limits.targets.max(1));
        let Some(tx) = self.txs.at_mut(index) else { return };
        if tx.machine.is_server() {
            return self.response_located(index, targets);
        }
        let Some(message) = tx.more.as_mut().and_then(|more| more.unsent.take()) else { return };
        self.begin(index, &message, targets);
    }
}

/// The request with a Via on top for this flow and what is behind it; and the TTL of it and its response, if it goes to a group.
#[inline]
fn with_via(
    config: &EndpointConfig,
    on: &Flow,
    remote: SocketAddr,
    ttl: Option<u8>,
    branch: &[u8],
    message: &Message,
) -> (Bytes, Option<u8>) {
    let via = wire::Via {
        start: on.via(),
        branch,
        transport: on.transport,
        maddr: remote.ip().is_multicast().then_some(remote),
        ttl: ttl.unwrap_or(1),
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
        //# Thus, clients MUST NOT
        //# assume that the acceptance of a request by a server automatically
        //# enables connection aliasing.
        // Nothing is remembered of having asked.
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
        //= type=exception
        //= reason=listeners are the host's, and are not closed for an alias
        //# Clients MUST continue receiving
        //# requests on their default port.
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
        //# the client MUST accept requests over this connection --
        //# in addition to the default listening port -- from its downstream
        //# peer.
        // Requests are taken from all connections alike.
        //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
        //# The "alias" header field parameter is included in a Via
        //# header field value to indicate that the client wants to create a
        //# transport layer alias.
        alias: config.alias && on.outgoing && on.transport == Transport::Tls,
    };
    (wire::request(message, &via), (remote.is_ipv4() && via.maddr.is_some()).then_some(via.ttl))
}

/// Whether the topmost Via field of a message has more than one value.
fn has_listed_vias(message: &Message) -> bool {
    let listed = message.field(Header::Via).is_some_and(|field| memchr::memchr(b',', field).is_some());
    listed && message.vias().nth(1).is_some()
}

fn check_request(message: &Message) -> Result<Method<'_>, SendErrorKind> {
    let method = message.method().ok_or(SendErrorKind::WrongKind)?;
    let usual = message.field(Header::CSeq).and_then(method_of) == Some(method.as_str().as_bytes());
    let named = match method {
        Method::Other(_) => false,
        _ => usual,
    };
    let complete = message.has(Header::From) && message.has(Header::To) && message.has(Header::CallId);
    let named = named || message.cseq().is_ok_and(|cseq| cseq.method == method);
    if named && complete { Ok(method) } else { Err(SendErrorKind::Malformed) }
}
