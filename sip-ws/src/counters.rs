//! Counters: of one connection, and sums over many.

use crate::close::Closed;
use alloc::collections::BTreeMap;

/// What one connection has counted.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes of input.
    pub bytes_in: u64,
    /// Bytes of input after the end of the connection: thrown away.
    pub bytes_ignored: u64,
    /// Bytes queued for output.
    pub bytes_out: u64,
    /// Messages received whole.
    pub messages_in: u64,
    /// Messages queued for sending.
    pub messages_out: u64,
    /// Messages handed back because too much output was queued.
    pub messages_refused: u64,
    /// Pings received.
    pub pings_in: u64,
    /// Pongs received.
    pub pongs_in: u64,
    /// CRLF keepalives received on a `sip` connection.
    pub crlf_in: u64,
    /// Pongs left out in favour of a later one because the peer does not read (RFC 6455 section 5.5.3).
    pub pongs_merged: u64,
}

/// Sums over many connections, kept by the host: it calls [`record`](Self::record) once for each that ended.
///
/// ```
/// # use sip_ws::{Cause, Closed, Connection, Config, Event, Input, Instant, Totals};
/// # let mut connection = Connection::server(Instant::ZERO, Config::default());
/// let mut totals = Totals::default();
/// connection.handle_input(Instant::ZERO, Input::Eof).unwrap();
/// while let Some(event) = connection.poll_event() {
///     if let Event::Closed(closed) = event {
///         totals.record(connection.counters(), &closed);
///     }
/// }
/// assert_eq!(totals.ended("lost"), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    sums: Counters,
    ended: BTreeMap<&'static str, u64>,
}

impl Totals {
    /// Adds a connection that ended.
    pub fn record(&mut self, counters: Counters, closed: &Closed) {
        let add = |sum: &mut u64, value: u64| *sum = sum.saturating_add(value);
        add(&mut self.sums.bytes_in, counters.bytes_in);
        add(&mut self.sums.bytes_ignored, counters.bytes_ignored);
        add(&mut self.sums.bytes_out, counters.bytes_out);
        add(&mut self.sums.messages_in, counters.messages_in);
        add(&mut self.sums.messages_out, counters.messages_out);
        add(&mut self.sums.messages_refused, counters.messages_refused);
        add(&mut self.sums.pings_in, counters.pings_in);
        add(&mut self.sums.pongs_in, counters.pongs_in);
        add(&mut self.sums.crlf_in, counters.crlf_in);
        add(&mut self.sums.pongs_merged, counters.pongs_merged);
        add(self.ended.entry(closed.cause.name()).or_default(), 1);
    }

    /// How many connections ended with the cause of this [name](crate::Cause::name).
    #[must_use]
    pub fn ended(&self, cause: &str) -> u64 {
        self.ended.get(cause).copied().unwrap_or_default()
    }

    /// All causes seen, with how often, in alphabetical order.
    pub fn causes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.ended.iter().map(|(name, count)| (*name, *count))
    }

    /// The sums of the counters of all connections recorded.
    #[must_use]
    pub fn sums(&self) -> Counters {
        self.sums
    }
}
