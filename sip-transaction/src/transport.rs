//! Transports: which there are, how Via and URIs call them, what each guarantees.

use core::fmt;
use sip_message::ViaTransport;

/// A transport protocol that carries SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
//= https://www.rfc-editor.org/rfc/rfc3261#section-18
//# All SIP elements MUST implement UDP and TCP.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18
//# SIP elements MAY implement other protocols.
//= https://www.rfc-editor.org/rfc/rfc7118#section-5.4
//# All SIP elements MUST implement UDP and TCP.
//= https://www.rfc-editor.org/rfc/rfc7118#section-5.4
//# SIP elements MAY implement other protocols.
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// SCTP: one SIP message for each SCTP message.
    Sctp,
    /// WebSocket (RFC 7118): one SIP message for each WebSocket message.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Transport; 6] =
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Sctp, Transport::Ws, Transport::Wss];

    /// The name Via has for it.
    pub const fn via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Sctp => "SCTP",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The transport a Via names; `None` for one this crate does not carry.
    pub fn from_via(via: ViaTransport<'_>) -> Option<Transport> {
        match via {
            ViaTransport::Udp => Some(Transport::Udp),
            ViaTransport::Tcp => Some(Transport::Tcp),
            ViaTransport::Tls => Some(Transport::Tls),
            ViaTransport::Sctp => Some(Transport::Sctp),
            ViaTransport::Ws => Some(Transport::Ws),
            ViaTransport::Wss => Some(Transport::Wss),
            _ => None,
        }
    }

    /// The transport of a URI with this `transport` parameter; `secure` for a `sips:` URI.
    ///
    /// In a `sips:` URI `tcp` means TLS over TCP, and `ws` means WebSocket over TLS (RFC 5630 section 3.1.2, RFC 7118 section
    /// 5.2).
    pub fn from_uri_param(value: &str, secure: bool) -> Option<Transport> {
        let known = Transport::ALL.into_iter().find(|t| t.via().eq_ignore_ascii_case(value))?;
        Some(match known {
            Transport::Tcp if secure => Transport::Tls,
            Transport::Ws if secure => Transport::Wss,
            other => other,
        })
    }

    /// Whether it delivers or tells: everything but UDP. Over these, nothing is sent again.
    //= https://www.rfc-editor.org/rfc/rfc7118#section-5
    //# Thus, client and server transactions using WebSocket for transport MUST follow the procedures and
    //# timer values for reliable transports as defined in [RFC3261].
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// Whether it has connections, each a flow of its own: everything but UDP.
    pub const fn is_connected(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// Whether its bytes are a stream that messages must be cut from: TCP and TLS.
    pub const fn is_stream(self) -> bool {
        matches!(self, Transport::Tcp | Transport::Tls)
    }

    /// Whether it is TLS or runs over TLS.
    pub const fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// Whether it is WebSocket, plain or over TLS.
    pub const fn is_websocket(self) -> bool {
        matches!(self, Transport::Ws | Transport::Wss)
    }

    /// The port that goes without saying: 5060, 5061 over TLS, 80 and 443 for WebSocket (RFC 3261 section 19.1.2, RFC 7118
    /// section 6).
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp | Transport::Sctp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.via())
    }
}
