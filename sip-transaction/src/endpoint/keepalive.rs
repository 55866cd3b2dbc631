//! Keepalives this endpoint sends: CRLF on connections, STUN on datagram flows (RFC 5626 section 4.4).

use super::{Chore, Endpoint};
use crate::error::{CommandError, InputError};
use crate::flow::{FlowState, StreamKeepalive};
use crate::id::FlowId;
use crate::input::CloseCause;
use crate::output::{Event, Path};
use crate::record::Argument;
use crate::stun::{self, Id, Keepalive};
use crate::time::Instant;
use alloc::string::ToString as _;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use rand_chacha::rand_core::RngCore;

/// How often a STUN request is sent before the flow is given up, and the wait after the first: RFC 5389 section 7.2.1.
const SENDS: u8 = 7;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The shortest interval of keepalives: it may be a peer's word (Flow-Timer), which must not make us send without end.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

impl Endpoint {
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
    //# Clients MUST support this CRLF keep-alive.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
    //# Clients
    //# MUST support STUN-based keep-alives.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-8
    //= type=exception
    //= reason=this command is the explicit indication: nothing is kept alive without it, and its user knows the next hop
    //# A SIP node MUST NOT send STUN requests over a flow unless it has an
    //# explicit indication that the target next-hop SIP server claims to
    //# support this specification.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-8
    //= type=exception
    //= reason=how a user agent words its configuration is its host's
    //# UACs MUST NOT use an ambiguous
    //# configuration option such as "Work through NATs?" or "Do keep-
    //# alives?" to imply next-hop STUN support.
    /// Keeps a flow alive from now on, or stops doing so with `None`.
    ///
    /// A keepalive goes out at random times between 80 % and 100 % of `interval`: CRLF CRLF on a connection, a STUN Binding
    /// request to `remote` over a datagram socket. [`Event::KeepaliveAnswered`] tells of each answer. Without one, a connection ends
    /// with [`CloseCause::Keepalive`], a datagram flow with [`Event::KeepaliveFailed`]; also when the peer sees this endpoint at another
    /// address than before, since the NAT in between has lost the binding. An interval of less than a second counts as a second.
    ///
    /// # Errors
    ///
    /// The flow is stale; it is a socket and `remote` is missing; the limit of keepalives is reached.
    pub fn keep_alive(
        &mut self,
        now: Instant,
        flow: FlowId,
        remote: Option<SocketAddr>,
        interval: Option<Duration>,
    ) -> Result<(), CommandError> {
        if self.is_recording() {
            let remote = remote.map_or(Argument::None, |remote| Argument::Text(remote.to_string()));
            let micros = interval.map(|interval| u64::try_from(interval.as_micros()).unwrap_or(u64::MAX));
            let interval = micros.map_or(Argument::None, Argument::Number);
            let flow = ("flow", Argument::Number(flow.to_bits()));
            self.note(now, "keep-alive", [flow, ("remote", remote), ("interval", interval)]);
        }
        self.advance(now);
        let interval = interval.map(|interval| interval.max(LEAST_INTERVAL));
        let on = self.flows.get(flow).ok_or(CommandError::Unknown)?;
        //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
        //# This approach MUST only be used with connection oriented transports
        //# such as TCP or SCTP; it MUST NOT be used with connection-less
        //# transports such as UDP.
        //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
        //# This approach MUST only be used with connection-less transports, such
        //# as UDP; it MUST NOT be used for connection-oriented transports such
        //# as TCP and SCTP.
        match (on.state, remote) {
            (FlowState::Socket, None) => Err(CommandError::WrongFlowKind),
            (FlowState::Socket, Some(remote)) => self.keep_datagrams_alive(flow, remote, interval),
            _ => {
                if let Some(old) = on.keepalive {
                    self.drop_chore(old.at, Chore::Keepalive(flow));
                }
                let keepalive = interval.map(|interval| {
                    let at = self.now + self.jittered(interval);
                    StreamKeepalive { interval, awaits: false, at }
                });
                if let Some(keepalive) = keepalive {
                    self.add_chore(keepalive.at, Chore::Keepalive(flow));
                }
                if let Some(on) = self.flows.get_mut(flow) {
                    on.keepalive = keepalive;
                }
                Ok(())
            }
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
    //# The UA MUST select a random number between a fixed or
    //# configurable upper bound and a lower bound, where the lower bound is
    //# 20% less then the upper bound.
    fn jittered(&mut self, interval: Duration) -> Duration {
        let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        let spread = micros / 5;
        Duration::from_micros(micros - self.rng.next_u64() % (spread + 1))
    }

    /// A ping is due on a connection, or its pong is overdue.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
    //# If a pong is not received within 10 seconds after sending a ping (or
    //# immediately after processing any incoming message being received when
    //# that 10 seconds expires), then the client MUST treat the flow as
    //# failed.
    pub(super) fn keepalive_due(&mut self, flow: FlowId, at: Instant) {
        let Some(on) = self.flows.get_mut(flow) else { return };
        let Some(keepalive) = on.keepalive.filter(|keepalive| keepalive.at == at) else { return };
        if keepalive.awaits {
            return self.end_flow(flow, CloseCause::Keepalive);
        }
        let remote = on.remote;
        let open = on.state == FlowState::Open;
        let next = self.now + if open { self.config.timers.pong } else { keepalive.interval };
        if let Some(on) = self.flows.get_mut(flow) {
            on.keepalive = Some(StreamKeepalive { awaits: open, at: next, ..keepalive });
        }
        self.add_chore(next, Chore::Keepalive(flow));
        if open {
            self.transmit(flow, remote, Bytes::from_static(b"\r\n\r\n"), None, None);
        }
    }

    pub(super) fn pong_in(&mut self, path: Path) {
        let Some(keepalive) = self.flows.get(path.flow).and_then(|on| on.keepalive) else { return };
        self.drop_chore(keepalive.at, Chore::Keepalive(path.flow));
        let at = self.now + self.jittered(keepalive.interval);
        if let Some(on) = self.flows.get_mut(path.flow) {
            on.keepalive = Some(StreamKeepalive { awaits: false, at, ..keepalive });
        }
        self.add_chore(at, Chore::Keepalive(path.flow));
        self.emit(Event::KeepaliveAnswered { path, mapped: None });
    }

    fn keep_datagrams_alive(
        &mut self,
        flow: FlowId,
        remote: SocketAddr,
        interval: Option<Duration>,
    ) -> Result<(), CommandError> {
        if let Some(old) = self.stun.by_path.remove(&(flow, remote)) {
            if let Some(keepalive) = self.stun.by_id.remove(&old) {
                self.drop_chore(keepalive.at, Chore::Stun(old));
            }
        }
        let Some(interval) = interval else { return Ok(()) };
        if self.config.limits.keepalives.is_some_and(|limit| self.stun.by_id.len() >= limit) {
            return Err(CommandError::Full);
        }
        self.stun.next += 1;
        let id = self.stun.next;
        let at = self.now + self.jittered(interval);
        self.stun.by_path.insert((flow, remote), id);
        self.stun.by_id.insert(id, Keepalive { flow, remote, interval, pending: None, mapped: None, at });
        self.add_chore(at, Chore::Stun(id));
        Ok(())
    }

    /// A STUN request is due, for the first time or again.
    pub(super) fn stun_due(&mut self, id: u64) {
        let Some(keepalive) = self.stun.by_id.get(&id).copied() else { return };
        let (request, sends) = match keepalive.pending {
            None => {
                let mut request = Id::default();
                self.rng.fill_bytes(&mut request);
                (request, 1)
            }
            Some((_, SENDS)) => {
                self.stun_failed(id, &keepalive);
                return;
            }
            Some((request, sends)) => (request, sends + 1),
        };
        // 500 ms, doubling, and 16 times the first after the last one.
        let wait = if sends == SENDS { FIRST_WAIT * 16 } else { FIRST_WAIT * (1 << (sends - 1)) };
        let at = self.now + wait;
        self.stun.by_id.insert(id, Keepalive { pending: Some((request, sends)), at, ..keepalive });
        self.add_chore(at, Chore::Stun(id));
        self.transmit(keepalive.flow, keepalive.remote, stun::request(&request), None, None);
    }

    /// The datagram flow does not work any more.
    fn stun_failed(&mut self, id: u64, keepalive: &Keepalive) {
        self.stun.by_id.remove(&id);
        self.stun.by_path.remove(&(keepalive.flow, keepalive.remote));
        if let Some(path) = self.path_of(keepalive.flow, keepalive.remote) {
            self.emit(Event::KeepaliveFailed { path });
        }
    }

    pub(super) fn stun_answered(
        &mut self,
        path: Path,
        request: Id,
        mapped: Option<SocketAddr>,
    ) -> Result<(), InputError> {
        let id = *self.stun.by_path.get(&(path.flow, path.remote)).ok_or(InputError::UnknownToken)?;
        let keepalive = self.stun.by_id.get(&id).copied().ok_or(InputError::UnknownToken)?;
        if keepalive.pending.is_none_or(|(pending, _)| pending != request) {
            return Err(InputError::UnknownToken);
        }
        self.drop_chore(keepalive.at, Chore::Stun(id));
        //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
        //# If the XOR-MAPPED-ADDRESS in the STUN Binding Response changes, the
        //# UA MUST treat this event as a failure on the flow.
        if keepalive.mapped.is_some() && mapped.is_some() && keepalive.mapped != mapped {
            self.stun_failed(id, &keepalive);
            return Ok(());
        }
        let at = self.now + self.jittered(keepalive.interval);
        let mapped_so_far = mapped.or(keepalive.mapped);
        self.stun.by_id.insert(id, Keepalive { pending: None, mapped: mapped_so_far, at, ..keepalive });
        self.add_chore(at, Chore::Stun(id));
        self.emit(Event::KeepaliveAnswered { path, mapped });
        Ok(())
    }
}
