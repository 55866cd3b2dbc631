//! A user agent with an endpoint of its own: the five verbs.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::ops::{Deref, DerefMut};
use sip_transaction::{Endpoint, EndpointConfig, Event as Below, Input, InputError, Instant, Transmit};

use crate::agent::UserAgentCore;
use crate::config::UserAgentConfig;
use crate::event::Event;

/// What a [`UserAgent`] hands out: its own events, and those of the endpoint that are the host's to answer.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a message is moved once or twice; a box would be one allocation for each"
)]
pub enum Output {
    /// Of the user agent.
    UserAgent(Event),
    /// Of the endpoint: connections to open, DNS questions, flows that ended, and requests the user agent does not
    /// serve.
    Endpoint(Below),
}

/// An [`Endpoint`] and a [`UserAgentCore`] in one, with the five verbs over both.
///
/// Commands are given to the core, which borrows the endpoint: [`parts`](UserAgent::parts) has both.
#[derive(Debug)]
pub struct UserAgent {
    endpoint: Endpoint,
    core: UserAgentCore,
    events: VecDeque<Below>,
    now: Instant,
}

impl UserAgent {
    /// A user agent. The seed is split: half of its randomness goes to each part.
    pub fn new(endpoint: Arc<EndpointConfig>, config: Arc<UserAgentConfig>, seed: [u8; 32]) -> Self {
        let mut other = seed;
        for byte in &mut other {
            *byte = byte.rotate_left(3) ^ 0x5a;
        }
        UserAgent {
            endpoint: Endpoint::new(endpoint, seed),
            core: UserAgentCore::new(config, other),
            events: VecDeque::new(),
            now: Instant::ZERO,
        }
    }

    /// One unit of input for the endpoint, and all that follows from it.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::handle_input`].
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), InputError> {
        let result = self.endpoint.handle_input(now, input);
        self.drain(now);
        result
    }

    /// Does what is due. Calls before that are no-ops.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.drain(now);
        self.core.handle_timeout(&mut self.endpoint, now);
        self.drain(now);
    }

    /// The next bytes to send; `None` when there are none.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.endpoint.poll_transmit()
    }

    /// The next event; `None` when there is none.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Output> {
        match self.core.poll_event() {
            Some(event) => Some(Output::UserAgent(event)),
            None => self.events.pop_front().map(Output::Endpoint),
        }
    }

    /// When to call [`handle_timeout`](UserAgent::handle_timeout) next; "now" while output is queued. May change with every call that
    /// changes something, commands included.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.events.is_empty() {
            return Some(self.now);
        }
        match (self.endpoint.poll_timeout(), self.core.poll_timeout()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The core and the endpoint, to give commands. What the endpoint has to say about a command comes with the next verb.
    ///
    /// ```no_run
    /// # fn demo(ua: &mut sip_dialog::UserAgent, now: sip_transaction::Instant, call: sip_dialog::CallHandle) {
    /// let (core, endpoint) = ua.parts();
    /// let _ = core.hang_up(endpoint, now, call, None);
    /// # }
    /// ```
    pub fn parts(&mut self) -> (&mut UserAgentCore, &mut Endpoint) {
        (&mut self.core, &mut self.endpoint)
    }

    /// The endpoint, to look at.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether nothing is left of anything in either part.
    pub fn is_idle(&self) -> bool {
        self.core.is_idle() && self.endpoint.is_idle() && self.events.is_empty()
    }

    fn drain(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(event) = self.endpoint.poll_event() {
            if let Some(other) = self.core.handle(&mut self.endpoint, now, event) {
                self.events.push_back(other);
            }
        }
    }
}

impl Deref for UserAgent {
    type Target = UserAgentCore;

    fn deref(&self) -> &UserAgentCore {
        &self.core
    }
}

impl DerefMut for UserAgent {
    fn deref_mut(&mut self) -> &mut UserAgentCore {
        &mut self.core
    }
}
