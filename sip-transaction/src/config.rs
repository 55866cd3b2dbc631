//! Everything that can be chosen about an endpoint, with finite defaults.

use crate::timers::{CLASSES, Class};
use crate::transport::Transport;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use sip_message::ParserConfig;

/// What an [`Endpoint`](crate::Endpoint) is told at construction.
///
/// The defaults are RFC 3261's where it has any. Change fields on a value from `default()`:
///
/// ```
/// use sip_transaction::{EndpointConfig, SentBy, Transport};
/// let mut config = EndpointConfig::default();
/// config.sent_by.push(SentBy { transport: Transport::Tls, host: "sip.example.com".into(), port: None });
/// config.limits.transactions = Some(10_000);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// T1 and what follows from it.
    pub timers: Timers,
    /// How much of anything there may be.
    pub limits: Limits,
    /// What the parser refuses.
    pub parser: ParserConfig,
    /// The names to put into Via, by transport; the first that fits is used. A name that resolves to this host is what
    /// RFC 3261 section 18.1.1 recommends. Without one for a transport, Via has the local address of the flow; over
    /// WebSocket a random name under `.invalid` (RFC 7118 section 5).
    pub sent_by: Vec<SentBy>,
    /// The transports to reach targets over, best first: those RFC 3263 section 4.1 calls supported by the client. Those the host cannot
    /// connect over should not be here.
    pub transports: Vec<Transport>,
    /// Whether to add `alias` to the Via of requests over TLS connections this endpoint opened (RFC 5923), which allows
    /// the peer to send its own requests over them.
    pub alias: bool,
    /// The largest request, in bytes, sent over UDP to a target not fixed by a flow; larger ones go over TCP (RFC 3261
    /// section 18.1.1).
    pub udp_request_len: usize,
    /// Whether responses that match no transaction become [`Event::StrayResponse`](crate::Event::StrayResponse).
    /// Only stateless proxies want them (RFC 3261 section 16.11); RFC 6026 section 7.3 has all others drop them.
    pub stray_responses: bool,
    /// Whether requests over WebSocket get `received` in their Via too, which shows the client the address of whatever
    /// stands in front of the server (RFC 7118 section 5.3).
    pub received_over_websocket: bool,
    /// The Server field of what the endpoint answers by itself; none if empty.
    pub product: String,
}

impl EndpointConfig {
    /// The transports to use when `transports` is empty.
    pub(crate) const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];
    /// The 1300 of RFC 3261 section 18.1.1.
    pub(crate) const UDP_REQUEST_LEN: usize = 1300;

    pub(crate) fn supports(&self, transport: Transport) -> bool {
        if self.transports.is_empty() {
            Self::TRANSPORTS.contains(&transport)
        } else {
            self.transports.contains(&transport)
        }
    }

    pub(crate) fn transports(&self) -> &[Transport] {
        if self.transports.is_empty() { &Self::TRANSPORTS } else { &self.transports }
    }

    pub(crate) fn udp_request_len(&self) -> usize {
        if self.udp_request_len == 0 { Self::UDP_REQUEST_LEN } else { self.udp_request_len }
    }
}

/// A name of this endpoint for Via.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentBy {
    /// The transport it is for.
    pub transport: Transport,
    /// A domain name, an IPv4 address, or an IPv6 address in brackets.
    pub host: String,
    /// The port; `None` is the transport's default and is not written.
    pub port: Option<u16>,
}

/// The timer values of RFC 3261 table 4 and what this crate adds.
///
/// Timers B, F, H, J, L and M are 64 * T1, A and E start at T1, I and K last T4, and over reliable transports those that RFC 3261
/// says so are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
//# Whatever the value of T1, the exponential backoffs on retransmissions described in this section MUST
//# be used.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
//= type=exception
//= reason=which T1 suits the network is the host's choice: it is one number of the configuration
//# Elements MAY (though it is NOT RECOMMENDED) use smaller values of T1 within closed, private networks
//# that do not permit general Internet connection.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
//= type=exception
//= reason=which T1 suits the network is the host's choice: it is one number of the configuration
//# T1 MAY be chosen larger, and this is RECOMMENDED if it is known in advance (such as on high latency
//# access links) that the RTT is larger.
pub struct Timers {
    /// The round-trip time estimate: 500 ms.
    pub t1: Duration,
    /// The longest interval between retransmissions of a non-INVITE request and of an INVITE response: 4 s. One below T1 counts as T1.
    pub t2: Duration,
    /// How long a message can stay in the network: 5 s.
    pub t4: Duration,
    /// Timer C: how long a proxy waits for the end of an INVITE; more than 3 minutes (RFC 3261 section 16.6).
    pub c: Duration,
    /// Timer D: how long responses to an INVITE are acknowledged again; at least 32 s.
    pub d: Duration,
    /// After how long an INVITE is answered 100 (Trying) if the transaction user has not answered: 200 ms.
    pub trying: Duration,
    /// How long the transaction user may leave an INVITE without a final response; 408 is sent then. RFC 3261 has no
    /// such bound. 15 minutes.
    pub answer: Duration,
    /// How long to wait for [`Input::FlowOpened`](crate::Input::FlowOpened) after
    /// [`Event::Connect`](crate::Event::Connect): 10 s.
    pub connect: Duration,
    /// How long to wait for the answer to an [`Event::Query`](crate::Event::Query): 10 s.
    pub resolve: Duration,
    /// How long a target that could not be reached is passed over while there are others: 30 s.
    pub back_off: Duration,
    /// How long to wait for the pong to a keepalive: 10 s (RFC 5626 section 4.4.1).
    pub pong: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            c: Duration::from_secs(181),
            d: Duration::from_secs(32),
            trying: Duration::from_millis(200),
            answer: Duration::from_secs(15 * 60),
            connect: Duration::from_secs(10),
            resolve: Duration::from_secs(10),
            back_off: Duration::from_secs(30),
            pong: Duration::from_secs(10),
        }
    }
}

impl Timers {
    /// 64 * T1: timers B, F, H, J, L and M.
    pub fn t1x64(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// How long the timers of each class last, by the class's number.
    pub(crate) fn micros(&self) -> [u64; CLASSES] {
        Class::ALL.map(|class| {
            let duration = match class {
                Class::T1x1 => self.t1,
                Class::T1x2 => self.t1.saturating_mul(2),
                Class::T1x4 => self.t1.saturating_mul(4),
                Class::T1x8 => self.t1.saturating_mul(8),
                Class::T1x16 => self.t1.saturating_mul(16),
                Class::T1x32 => self.t1.saturating_mul(32),
                Class::T1x64 => self.t1x64(),
                // Else what is sent again would be so without end.
                Class::T2 => self.t2.max(self.t1),
                Class::T4 => self.t4,
                Class::C => self.c,
                Class::D => self.d,
                Class::Trying => self.trying,
                Class::UntilT2 => self.until_t2(),
                Class::Answer => self.answer,
                Class::Odd => Duration::ZERO,
            };
            u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
        })
    }

    /// How long after the first request Timer E has grown to T2: when RFC 4320 section 4.1 wants a 100.
    pub fn until_t2(&self) -> Duration {
        let (mut total, mut interval) = (Duration::ZERO, self.t1);
        // 64 * T1 ends the transaction anyhow.
        for _ in 0..7 {
            if interval >= self.t2 {
                break;
            }
            total += interval;
            interval = interval.saturating_mul(2);
        }
        total
    }
}

/// How much there may be of anything; `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Live transactions, client and server together. At the limit, requests outside of dialogs are answered 503
    /// without state; those in dialogs, ACK and CANCEL still get in, up to a quarter more.
    pub transactions: Option<usize>,
    /// Live server transactions from one source address, as above.
    pub per_source: Option<usize>,
    /// Flows: connections and sockets.
    pub flows: Option<usize>,
    /// Events waiting for [`poll_event`](crate::Endpoint::poll_event). At the limit new requests are refused.
    pub queued_events: Option<usize>,
    /// Bytes waiting for [`poll_transmit`](crate::Endpoint::poll_transmit). At the limit new requests are refused; what tells those so
    /// that came over a connection may wait up to a quarter more.
    pub queued_bytes: Option<usize>,
    /// Bytes waiting for one connection to open.
    pub connecting_bytes: Option<usize>,
    /// Names in the cache of DNS answers.
    pub dns_names: usize,
    /// Targets tried for one request.
    pub targets: usize,
    /// Targets remembered as dead.
    pub dead_targets: usize,
    /// Keepalives on datagram flows.
    pub keepalives: Option<usize>,
    /// The least and the most seconds in the Retry-After of a 503 the endpoint sends for itself; drawn at random
    /// between them so that clients do not come back at once.
    pub retry_after: (u32, u32),
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            transactions: Some(1_000_000),
            per_source: Some(100_000),
            flows: Some(100_000),
            queued_events: Some(100_000),
            queued_bytes: Some(64 << 20),
            connecting_bytes: Some(256 << 10),
            dns_names: 1024,
            targets: 16,
            dead_targets: 1024,
            keepalives: Some(10_000),
            retry_after: (5, 15),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_e_reaches_t2_after_three_and_a_half_seconds() {
        assert_eq!(Timers::default().until_t2(), Duration::from_millis(3500));
        let flat = Timers { t1: Duration::from_secs(4), ..Timers::default() };
        assert_eq!(flat.until_t2(), Duration::ZERO);
    }
}
