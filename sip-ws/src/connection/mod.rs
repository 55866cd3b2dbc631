//! The state machine of one connection: its phases, its timers, its five verbs. The work is in the submodules:
//! `handshake` (HTTP), `receive` (frames in), `send` (messages out).

mod handshake;
mod receive;
mod send;

pub(crate) use handshake::is_handshake_field;
pub use handshake::{Accept, AcceptError, ClientError};
pub use send::{Message, SendError, SendFailure, Utf8};

use crate::{
    Counters,
    close::{Cause, CloseCode, CloseFrame, Closed, Timeout, Violation},
    config::{Config, Role},
    event::{Event, EventQueue, Input, InputError},
    frame::Rules,
    http::{HeadBuffer, RequestError},
    outbox::{Outbox, Transmit},
    time::Instant,
};
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use bytes::Bytes;
use core::time::Duration;
use rand_chacha::ChaCha20Rng;

/// A command came at a time when it cannot be carried out. Nothing changed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// The connection has ended, or is ending.
    #[error("the connection has ended")]
    Ended,
    /// The opening handshake is not done.
    #[error("the connection is not open")]
    NotOpen,
    /// No request waits for an answer.
    #[error("no request waits for an answer")]
    NothingToAnswer,
    /// The payload of a Ping or Pong is longer than 125 bytes, or a close reason longer than 123.
    #[error("too long for a control frame")]
    TooLong,
    /// A close code that must not be on the wire.
    #[error("close code must not be sent")]
    BadCloseCode,
}

/// One WebSocket connection, client or server, without its socket.
///
/// Bytes of the transport and the time go in through [`handle_input`](Self::handle_input) and
/// [`handle_timeout`](Self::handle_timeout); bytes to write, events and the next deadline come out through the three
/// polls. The front page of the crate shows the loop.
///
/// A connection has one terminal event, [`Event::Closed`]. The host then writes what
/// [`poll_transmit`](Self::poll_transmit) still holds and closes the transport; everything else of the connection is
/// gone, input is thrown away, commands return [`Misuse::Ended`].
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    phase: Phase,
    /// The latest time handed in.
    now: Instant,
    timers: Timers,
    rules: Rules,
    receiver: receive::Receiver,
    outbox: Outbox,
    /// The source of keys and masks: clients only.
    random: Option<Box<ChaCha20Rng>>,
    #[cfg(feature = "deflate")]
    deflate: Option<Box<crate::deflate::Codec>>,
    events: EventQueue,
    /// The Close frame that was sent.
    close_sent: Option<Box<CloseFrame>>,
    protocol: Option<Box<str>>,
    identity: Option<Box<str>>,
    /// The rules of RFC 7118 are in force.
    is_sip: bool,
    counters: Counters,
    /// A message was refused for want of room, and `Writable` is owed.
    owes_writable: bool,
}

/// ```text
///  server: Head -> Waiting -> Open -> Ending | Closing -> Ended
///  client: Head ------------> Open -> Ending | Closing -> Draining -> Ended
/// ```
/// Every phase has an arrow to `Ended`. `Ending`: the peer has closed, or broken a rule, but the host has not yet taken
/// the events before that, and may answer them still. `Closing`: our Close frame is sent, the peer's is awaited.
/// `Draining`: both are sent, the client waits for the server to close the transport.
#[derive(Debug)]
enum Phase {
    Head(Box<HeadPhase>),
    Waiting(Box<handshake::Waiting>),
    Open,
    Ending(Box<End>),
    Closing,
    Draining(Box<Closed>),
    Ended,
}

/// What ends an open connection from outside.
#[derive(Debug)]
enum End {
    Close(CloseFrame),
    Violation(Violation),
}

#[derive(Debug)]
struct HeadPhase {
    buffer: HeadBuffer,
    client: Option<handshake::ClientHandshake>,
}

/// Deadlines; [`Instant::MAX`] is none.
#[derive(Debug)]
struct Timers {
    /// Of the opening or closing handshake.
    phase: Instant,
    /// Of the message that is being received.
    message: Instant,
    /// Of the next Ping, or of the sign of life after it.
    keep_alive: Instant,
    /// [`KeepAlive::interval`](crate::KeepAlive::interval) in microseconds, ready for each input; endless without it.
    ping_interval: u64,
    ping_sent: bool,
    /// When the control frames received so far are paid for ([`Config::control_rate`]).
    control_paid: Instant,
}

impl Connection {
    /// The server's end of a transport that was just accepted (for `wss`, after its TLS handshake).
    ///
    /// `now` starts [`Config::handshake_timeout`].
    #[must_use]
    pub fn server(now: Instant, config: impl Into<Arc<Config>>) -> Self {
        Self::new(now, config.into(), Role::Server, None)
    }

    fn new(
        now: Instant,
        config: Arc<Config>,
        role: Role,
        client: Option<(handshake::ClientHandshake, ChaCha20Rng)>,
    ) -> Self {
        let (client, random) = client.unzip();
        Self {
            phase: Phase::Head(Box::new(HeadPhase { buffer: HeadBuffer::default(), client })),
            now,
            timers: Timers {
                phase: now + config.handshake_timeout,
                message: Instant::MAX,
                keep_alive: Instant::MAX,
                ping_interval: config
                    .keep_alive
                    .map_or(u64::MAX, |own| u64::try_from(own.interval.as_micros()).unwrap_or(u64::MAX)),
                ping_sent: false,
                control_paid: Instant::ZERO,
            },
            rules: Rules { role, deflate: false, max_frame: config.max_frame },
            receiver: receive::Receiver::default(),
            outbox: Outbox::default(),
            random: random.map(Box::new),
            #[cfg(feature = "deflate")]
            deflate: None,
            events: EventQueue::default(),
            close_sent: None,
            protocol: None,
            identity: None,
            is_sip: false,
            counters: Counters::default(),
            owes_writable: false,
            config,
        }
    }

    // ---- the five verbs

    /// Takes bytes of the transport, or its end. The work done is linear in the input.
    ///
    /// After it all of the polls may have new answers.
    ///
    /// # Errors
    /// [`InputError::Backlog`] when [`Config::max_queued_events`] events wait; nothing was consumed.
    pub fn handle_input<'a>(&mut self, now: Instant, input: impl Into<Input<'a>>) -> Result<(), InputError<'a>> {
        let input = input.into();
        if self.events.len() >= self.config.max_queued_events {
            return Err(InputError::Backlog(input));
        }
        self.now = self.now.max(now);
        match input {
            Input::Bytes(mut bytes) => {
                self.counters.bytes_in += bytes.len() as u64;
                self.take_bytes(&mut bytes);
            }
            Input::Owned(mut bytes) => {
                self.counters.bytes_in += bytes.len() as u64;
                self.take_bytes(&mut bytes);
            }
            Input::Eof => self.handle_eof(),
        }
        Ok(())
    }

    /// Lets deadlines pass. A call that is early or needless does nothing.
    ///
    /// After it all of the polls may have new answers.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.is_due(self.timers.phase) {
            self.phase_timed_out();
        }
        if self.is_due(self.timers.message) {
            self.fail(Violation::MessageTimeout);
        }
        if self.is_due(self.timers.keep_alive) {
            self.keep_alive_due();
        }
    }

    /// The next bytes to write to the transport, in order. `None`: nothing to write.
    ///
    /// A host that cannot write does not poll: what waits here is counted against [`Config::max_queued_output`]. After
    /// it [`poll_event`](Self::poll_event) may have [`Event::Writable`].
    #[must_use]
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        let bytes = self.outbox.pop();
        self.note_room();
        bytes
    }

    /// As [`poll_transmit`](Self::poll_transmit), but a header comes together with its payload: for a host that writes
    /// several slices in one call. Saves the header an allocation.
    #[must_use]
    #[inline]
    pub fn poll_transmit_parts(&mut self) -> Option<Transmit> {
        let parts = self.outbox.pop_parts();
        self.note_room();
        parts
    }

    /// As [`poll_transmit`](Self::poll_transmit), but copies everything that waits to the end of `out`.
    pub fn drain_transmit(&mut self, out: &mut Vec<u8>) {
        self.outbox.drain_into(out);
        self.note_room();
    }

    /// The next event.
    ///
    /// Changes no other answer, with one exception: when the peer has closed or broken a rule, that takes effect behind
    /// the events before it, so that the host can answer each message as if its bytes had come alone. The call that
    /// returns [`Event::Closed`] then queues the Close frame.
    #[inline]
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.events.is_empty() {
            if let Phase::Ending(_) = self.phase {
                self.end();
            }
        }
        self.events.pop()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): the time last handed in while output or events wait,
    /// else the next deadline, else `None`.
    ///
    /// The answer can change with every call that takes `&mut self`. A host whose transport is blocked, and which
    /// therefore leaves output where it is, sleeps until [`next_deadline`](Self::next_deadline) instead.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waits = !self.events.is_empty() || !self.outbox.is_empty() || matches!(self.phase, Phase::Ending(_));
        if waits { Some(self.now) } else { self.next_deadline() }
    }

    /// The next deadline, whatever waits to be polled.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let next = self.timers.phase.min(self.timers.message).min(self.timers.keep_alive);
        (next != Instant::MAX).then_some(next)
    }

    // ---- commands

    /// Sends a Ping (RFC 6455 section 5.5.2). Its Pong comes as [`Event::Pong`] with the same payload.
    ///
    /// # Errors
    /// [`Misuse`] if the connection is not open or the payload is longer than 125 bytes.
    pub fn ping(&mut self, now: Instant, payload: &[u8]) -> Result<(), Misuse> {
        self.send_control(now, crate::frame::Opcode::Ping, payload)
    }

    /// Sends a Pong that answers nothing: a heartbeat in one direction (RFC 6455 section 5.5.3). Pings are answered
    /// without it.
    ///
    /// # Errors
    /// [`Misuse`] if the connection is not open or the payload is longer than 125 bytes.
    pub fn pong(&mut self, now: Instant, payload: &[u8]) -> Result<(), Misuse> {
        self.send_control(now, crate::frame::Opcode::Pong, payload)
    }

    /// Starts the closing handshake (RFC 6455 section 7.1.2) behind everything that is queued. Messages that the peer
    /// has sent still arrive; then comes [`Event::Closed`], at the latest after [`Config::close_timeout`].
    ///
    /// Before the connection is open it ends at once; a request that waits for its answer is answered 503.
    ///
    /// # Errors
    /// [`Misuse`] if the connection has ended or is closing, if the code must not be sent, or the reason is longer than
    /// 123 bytes.
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) -> Result<(), Misuse> {
        self.now = self.now.max(now);
        if !code.is_sendable() {
            return Err(Misuse::BadCloseCode);
        }
        if reason.len() > crate::frame::MAX_CONTROL - 2 {
            return Err(Misuse::TooLong);
        }
        match &self.phase {
            Phase::Open => {
                //= https://www.rfc-editor.org/rfc/rfc6455#section-7.1.2
                //# To _Start the WebSocket Closing Handshake_ with a status code
                //# (Section 7.4) /code/ and an optional close reason (Section 7.1.6)
                //# /reason/, an endpoint MUST send a Close control frame, as described
                //# in Section 5.5.1, whose status code is set to /code/ and whose close
                //# reason is set to /reason/.
                self.send_close(CloseFrame { code: Some(code), reason: reason.into() });
                self.phase = Phase::Closing;
                self.timers.phase = self.now + self.config.close_timeout;
                self.timers.keep_alive = Instant::MAX;
                Ok(())
            }
            Phase::Head(_) => {
                self.finish(Cause::Local, None);
                Ok(())
            }
            Phase::Waiting(_) => {
                self.write_answer(crate::http::Answer::to_error(503));
                self.finish(Cause::Local, None);
                Ok(())
            }
            Phase::Ending(_) | Phase::Closing | Phase::Draining(_) | Phase::Ended => Err(Misuse::Ended),
        }
    }

    // ---- what a host may ask

    /// Which end this is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.rules.role
    }

    /// True while messages can be sent: from [`Event::Open`] to our Close frame.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Ending(_))
    }

    /// True from the moment that [`Event::Closed`] is queued.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// The subprotocol agreed on.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Who authenticated in the opening handshake: what the host gave to [`Accept::identity`].
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Bytes of output that wait for [`poll_transmit`](Self::poll_transmit).
    #[must_use]
    pub fn queued_output(&self) -> usize {
        self.outbox.queued()
    }

    /// What this connection has counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Memory that this connection holds now, itself included, in bytes: an estimate for accounting. Buffers that
    /// events share are counted in full; a compression context is counted as 330 kB, an inflater as 43 kB.
    #[must_use]
    pub fn memory(&self) -> usize {
        let phase = match &self.phase {
            Phase::Head(head) => size_of::<HeadPhase>() + head.buffer.heap(),
            Phase::Waiting(waiting) => waiting.heap(),
            Phase::Ending(_) => size_of::<End>(),
            Phase::Draining(_) => size_of::<Closed>(),
            Phase::Open | Phase::Closing | Phase::Ended => 0,
        };
        let texts = self.protocol().map_or(0, str::len) + self.identity().map_or(0, str::len);
        #[cfg(feature = "deflate")]
        let deflate = self.deflate.as_ref().map_or(0, |codec| codec.heap());
        #[cfg(not(feature = "deflate"))]
        let deflate = 0;
        size_of::<Self>()
            + phase
            + texts
            + deflate
            + self.random.as_ref().map_or(0, |random| size_of_val(&**random))
            + self.events.heap()
            + self.receiver.heap()
            + self.outbox.heap()
    }

    // ---- ends

    /// Ends the connection: nothing is left but what the two queues hold.
    fn finish(&mut self, cause: Cause, received: Option<CloseFrame>) {
        let sent = self.close_sent.take().map(|frame| *frame);
        self.end_with(Box::new(Closed { cause, sent, received }));
    }

    fn end_with(&mut self, closed: Box<Closed>) {
        self.phase = Phase::Ended;
        self.timers.phase = Instant::MAX;
        self.timers.message = Instant::MAX;
        self.timers.keep_alive = Instant::MAX;
        self.receiver = receive::Receiver::default();
        self.random = None;
        #[cfg(feature = "deflate")]
        {
            self.deflate = None;
        }
        self.owes_writable = false;
        self.events.push(Event::Closed(closed));
    }

    /// *Fail the WebSocket Connection* (RFC 6455 section 7.1.7) for something the peer did.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-7.1.7
    //# To do so, the client MUST _Close the
    //# WebSocket Connection_, and MAY report the problem to the user (which
    //# would be especially useful for developers) in an appropriate manner.
    //# Similarly, to do so, the server MUST _Close the WebSocket
    //# Connection_, and SHOULD log the problem.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-7.1.7
    //# An endpoint MUST NOT continue to attempt to
    //# process data (including a responding Close frame) from the remote
    //# endpoint after being instructed to _Fail the WebSocket Connection_.
    fn fail(&mut self, violation: Violation) {
        self.end_behind_events(End::Violation(violation));
    }

    /// Ends an open or closing connection; if the host has events to take first, behind them.
    fn end_behind_events(&mut self, end: End) {
        let waits = matches!(self.phase, Phase::Open) && !self.events.is_empty();
        self.receiver = receive::Receiver::default();
        self.timers.message = Instant::MAX;
        self.timers.keep_alive = Instant::MAX;
        if waits {
            self.phase = Phase::Ending(Box::new(end));
            self.timers.phase = self.now + self.config.close_timeout;
        } else {
            self.end_by(end);
        }
    }

    /// Leaves `Ending`.
    fn end(&mut self) {
        match core::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Ending(end) => self.end_by(*end),
            phase => self.phase = phase,
        }
    }

    fn end_by(&mut self, end: End) {
        let was_open = matches!(self.phase, Phase::Open);
        match end {
            End::Violation(violation) => {
                if was_open {
                    self.send_close(CloseFrame { code: Some(violation.code()), reason: alloc::format!("{violation}") });
                }
                self.finish(Cause::Violation(violation), None);
            }
            End::Close(received) => {
                //= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
                //# If an endpoint receives a Close frame and did not previously send a
                //# Close frame, the endpoint MUST send a Close frame in response.
                if was_open {
                    self.send_close(CloseFrame { code: received.code, reason: String::new() });
                }
                let cause = if was_open { Cause::Remote } else { Cause::Local };
                match self.rules.role {
                    //= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
                    //# After both sending and receiving a Close message, an endpoint
                    //# considers the WebSocket connection closed and MUST close the
                    //# underlying TCP connection.  The server MUST close the underlying TCP
                    //# connection immediately;
                    Role::Server => self.finish(cause, Some(received)),
                    Role::Client => self.drain(cause, received),
                }
            }
        }
    }

    /// The transport has ended.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-7.2.1
    //# If at any point the underlying transport layer connection is
    //# unexpectedly lost, the client MUST _Fail the WebSocket Connection_.
    fn handle_eof(&mut self) {
        self.end();
        match core::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Draining(closed) => self.end_with(closed),
            Phase::Ended => {}
            _ => self.finish(Cause::Lost, None),
        }
    }

    fn is_due(&self, deadline: Instant) -> bool {
        deadline != Instant::MAX && self.now >= deadline
    }

    fn phase_timed_out(&mut self) {
        if let Phase::Ending(_) = self.phase {
            self.end();
            return;
        }
        self.timers.phase = Instant::MAX;
        match core::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Head(head) if head.client.is_some() => self.finish(Cause::Timeout(Timeout::Handshake), None),
            // Nothing was sent at all: there is nobody to answer.
            Phase::Head(head) if head.buffer.is_empty() => self.finish(Cause::Timeout(Timeout::Handshake), None),
            Phase::Head(_) => self.refuse(RequestError::Slow),
            Phase::Waiting(_) => self.refuse(RequestError::Unanswered),
            Phase::Closing => self.finish(Cause::Timeout(Timeout::Close), None),
            //= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
            //# The server MUST close the underlying TCP connection
            //# immediately; the client SHOULD wait for the server to close the
            //# connection but MAY close the connection at any time after sending and
            //# receiving a Close message, e.g., if it has not received a TCP Close
            //# from the server in a reasonable time period.
            Phase::Draining(closed) => self.end_with(closed),
            phase @ (Phase::Open | Phase::Ending(_) | Phase::Ended) => self.phase = phase,
        }
    }

    fn keep_alive_due(&mut self) {
        let (Some(keep_alive), Phase::Open) = (self.config.keep_alive, &self.phase) else {
            self.timers.keep_alive = Instant::MAX;
            return;
        };
        if self.timers.ping_sent {
            self.finish(Cause::Timeout(Timeout::Pong), None);
        } else {
            self.write_control(crate::frame::Opcode::Ping, &[]);
            self.timers.ping_sent = true;
            self.timers.keep_alive = self.now + keep_alive.timeout;
        }
    }

    /// Bytes came: the peer lives.
    fn note_life(&mut self) {
        if let Phase::Open = self.phase {
            self.timers.ping_sent = false;
            self.timers.keep_alive = self.now.plus_micros(self.timers.ping_interval);
        }
    }

    /// Counts a Ping or Pong against [`Config::control_rate`].
    fn pay_control(&mut self) -> Result<(), Violation> {
        let Some(rate) = self.config.control_rate else { return Ok(()) };
        let price = Duration::from_micros(1_000_000 / u64::from(rate.max(1)));
        let paid = self.timers.control_paid.max(self.now) + price;
        if paid.saturating_duration_since(self.now) > price.saturating_mul(rate.max(1)).saturating_mul(10) {
            return Err(Violation::ControlFlood);
        }
        self.timers.control_paid = paid;
        Ok(())
    }

    /// Output was taken: whoever was refused may try again when half of the room is free.
    fn note_room(&mut self) {
        if self.owes_writable && self.outbox.queued() <= self.config.max_queued_output / 2 {
            self.owes_writable = false;
            self.events.push(Event::Writable);
        }
    }

    fn set_protocol(&mut self, protocol: Option<String>) {
        self.is_sip = self.config.sip_rules && protocol.as_deref() == Some(crate::sip::SUBPROTOCOL);
        self.protocol = protocol.map(String::into_boxed_str);
    }
}
