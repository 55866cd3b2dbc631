//! What an endpoint has done, in numbers.

/// Counts since the endpoint was made; none ever falls but those that say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that came in, retransmissions included.
    pub requests_received: u64,
    /// Responses that came in, retransmissions included.
    pub responses_received: u64,
    /// Messages and keepalives handed out to be sent.
    pub transmits: u64,
    /// Of these, messages sent again by a timer or for a retransmission that came in.
    pub retransmissions: u64,
    /// Retransmissions that came in and were absorbed.
    pub absorbed: u64,
    /// Client transactions begun.
    pub client_transactions: u64,
    /// Server transactions begun.
    pub server_transactions: u64,
    /// Transactions that ended by a timeout.
    pub timeouts: u64,
    /// Transactions that ended because no target could be reached.
    pub failures: u64,
    /// Requests that moved on to another target.
    pub failovers: u64,
    /// Bytes that were no SIP message.
    pub malformed: u64,
    /// Responses that belonged to no transaction or had another element's Via.
    pub stray_responses: u64,
    /// Requests refused at a limit.
    pub refused: u64,
    /// Keepalives that came in and were answered.
    pub keepalives: u64,
    /// Input for flows, queries and tokens that have ended.
    pub stale_inputs: u64,
}
