//! Where a request is to go.

use crate::config::EndpointConfig;
use crate::error::SendErrorKind;
use crate::id::FlowId;
use crate::locate::is_named;
use crate::output::Path;
use crate::transport::Transport;
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use sip_message::uri::{Host, SipUri, UriTransport};
use sip_message::{Message, Uri};

/// Where [`Endpoint::request`](crate::Endpoint::request) and [`Endpoint::send`](crate::Endpoint::send) send to.
#[derive(Clone, Debug, Default)]
pub struct Destination {
    pub(crate) to: To,
    pub(crate) branch: Option<Box<str>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum To {
    #[default]
    Route,
    NextHop(String),
    Flow(FlowId, Option<SocketAddr>),
    Targets(Vec<Target>),
}

impl Destination {
    /// To the topmost Route, or the Request-URI if there is none, by RFC 3263 (RFC 3261 section 8.1.2).
    pub fn route() -> Self {
        Destination::default()
    }

    /// To this `sip:` or `sips:` URI by RFC 3263, whatever the message says: an outbound proxy, or the target of a proxy.
    pub fn next_hop(uri: impl Into<String>) -> Self {
        Destination { to: To::NextHop(uri.into()), branch: None }
    }

    /// Over this connection and no other.
    pub fn flow(flow: FlowId) -> Self {
        Destination { to: To::Flow(flow, None), branch: None }
    }

    /// Over this flow and no other, to where a message came from before.
    pub fn path(path: Path) -> Self {
        Destination { to: To::Flow(path.flow, Some(path.remote)), branch: None }
    }

    /// To the first of these that answers.
    pub fn targets(targets: impl Into<Vec<Target>>) -> Self {
        Destination { to: To::Targets(targets.into()), branch: None }
    }

    /// With this branch, which should begin with `z9hG4bK`, instead of one made by the endpoint. For stateless proxies,
    /// whose branches come from the request ([`Endpoint::stateless_branch`](crate::Endpoint::stateless_branch)), and for
    /// those that detect loops by it. Not used again when the request fails over to another target.
    #[must_use]
    pub fn with_branch(mut self, branch: impl Into<Box<str>>) -> Self {
        self.branch = Some(branch.into());
        self
    }
}

/// One place to reach a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The transport.
    pub transport: Transport,
    /// The address and port.
    pub address: SocketAddr,
    /// For TLS and WebSocket: the domain asked for, which the certificate must show (RFC 5922).
    pub server_name: Option<String>,
}

/// What a URI says about where to go: the input of RFC 3263 section 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) host: WantedHost,
    pub(crate) port: Option<u16>,
    pub(crate) transport: Option<Transport>,
    pub(crate) secure: bool,
    /// How far a request to a multicast group may go, if the URI says so.
    pub(crate) ttl: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WantedHost {
    Ip(IpAddr),
    Name(String),
}

impl Wanted {
    pub(crate) fn of_uri(uri: &SipUri<'_>) -> Result<Wanted, SendErrorKind> {
        let secure = uri.is_sips();
        let transport = match uri.transport() {
            None => None,
            Some(named) => {
                let name = match named {
                    UriTransport::Udp => "udp",
                    UriTransport::Tcp => "tcp",
                    UriTransport::Tls => "tls",
                    UriTransport::Sctp => "sctp",
                    UriTransport::Ws => "ws",
                    UriTransport::Wss => "wss",
                    UriTransport::Other(_) => return Err(SendErrorKind::NoTransport),
                    _ => return Err(SendErrorKind::NoTransport),
                };
                Some(Transport::from_uri_param(name, secure).ok_or(SendErrorKind::NoTransport)?)
            }
        };
        //= https://www.rfc-editor.org/rfc/rfc5630#section-3.1.3
        //# Because a SIPS URI implies that requests sent to the resource
        //# identified by it be sent over each SIP hop over TLS
        if secure && transport.is_some_and(|t| !t.is_secure()) {
            return Err(SendErrorKind::Insecure);
        }
        let maddr = uri.maddr().map_err(|_| SendErrorKind::NoTarget)?;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
        //# The ttl parameter determines the time-to-live value of the UDP
        //# multicast packet and MUST only be used if maddr is a multicast
        //# address and the transport protocol is UDP.
        let group = maddr.and_then(|maddr| maddr.ip()).is_some_and(|ip| ip.is_multicast());
        let ttl = if group { uri.ttl().ok().flatten() } else { None };
        let host = WantedHost::of(maddr.unwrap_or(uri.host()))?;
        Ok(Wanted { host, port: uri.port(), transport, secure, ttl })
    }

    /// RFC 3261 section 8.1.2: the topmost Route if there is one, else the Request-URI.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
    //# When presented with a SIPS URI, a UAC MUST NOT change it to a SIP URI.
    // The endpoint changes no URI of a request.
    pub(crate) fn of_message(message: &Message) -> Result<Wanted, SendErrorKind> {
        match message.routes().next() {
            Some(route) => {
                let uri = route.map_err(|_| SendErrorKind::NoTarget)?.uri().map_err(|_| SendErrorKind::NoTarget)?;
                //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
                //# When the UAC is using a SIP Request-URI, if the route set is not
                //# empty and the topmost Route header field entry is a SIPS URI with the
                //# lr parameter, the UAC MUST send the request over TLS (using a SIP
                //# Request-URI).
                let mut wanted = Wanted::of(&uri)?;
                // A request for a sips URI stays on TLS hop by hop: RFC 5630 section 5.3.
                //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.2
                //# If the Request-URI contains a SIPS URI, any alternate destinations MUST
                //# be contacted with TLS.
                let request_uri = message.request_uri().and_then(Result::ok);
                let secure = request_uri.as_ref().and_then(|uri| uri.as_sip()).is_some_and(|uri| uri.is_sips());
                if secure && !wanted.secure {
                    if wanted.transport.is_some_and(|t| !t.is_secure()) {
                        wanted.transport = match wanted.transport {
                            Some(Transport::Tcp) => Some(Transport::Tls),
                            Some(Transport::Ws) => Some(Transport::Wss),
                            _ => return Err(SendErrorKind::Insecure),
                        };
                    }
                    wanted.secure = true;
                }
                Ok(wanted)
            }
            None => {
                let uri = message.request_uri().and_then(Result::ok).ok_or(SendErrorKind::NoTarget)?;
                Wanted::of(&uri)
            }
        }
    }

    pub(crate) fn of(uri: &Uri<'_>) -> Result<Wanted, SendErrorKind> {
        Wanted::of_uri(uri.as_sip().ok_or(SendErrorKind::NoTarget)?)
    }

    /// The transport if DNS does not say another.
    pub(crate) fn usual_transport(&self) -> Transport {
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
        //# Otherwise, if no transport protocol is specified, but the TARGET is a
        //# numeric IP address, the client SHOULD use UDP for a SIP URI, and TCP
        //# for a SIPS URI.
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
        //# Similarly, if no transport protocol is specified,
        //# and the TARGET is not numeric, but an explicit port is provided, the
        //# client SHOULD use UDP for a SIP URI, and TCP for a SIPS URI.
        let usual = if self.secure { Transport::Tls } else { Transport::Udp };
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
        //= type=exception
        //= reason=section 18.1.1 of RFC 3261 is applied when the size is known
        //# However, another transport, such as TCP, MAY be used if the guidelines of SIP mandate it for this
        //# particular request.
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
        //# If the URI specifies a transport protocol in the transport parameter,
        //# that transport protocol SHOULD be used.
        self.transport.unwrap_or(usual)
    }

    /// The one target that an address comes to; `None` for a name, or if its transport is not supported.
    pub(crate) fn numeric(&self, config: &EndpointConfig) -> Option<Target> {
        let (WantedHost::Ip(ip), transport) = (&self.host, self.usual_transport()) else { return None };
        let address = SocketAddr::new(*ip, self.port.unwrap_or(transport.default_port()));
        let server_name = || is_named(transport).then(|| ip.to_string());
        config.supports(transport).then(|| Target { transport, address, server_name: server_name() })
    }

    /// Whether one of the transports there are will do: what DNS says is not needed to tell that there is none.
    pub(crate) fn has_transport(&self, config: &EndpointConfig) -> bool {
        let usual = if self.secure { Transport::Tls } else { Transport::Udp };
        match (&self.host, self.port, self.transport) {
            (WantedHost::Name(_), None, None) => config.transports().iter().any(|t| !self.secure || t.is_secure()),
            (.., transport) => config.supports(transport.unwrap_or(usual)),
        }
    }
}

impl WantedHost {
    pub(crate) fn of(host: Host<'_>) -> Result<WantedHost, SendErrorKind> {
        match (host.ip(), host.domain()) {
            (Some(ip), _) => Ok(WantedHost::Ip(ip)),
            (None, Some(name)) => {
                let mut name = String::from(name.strip_suffix('.').unwrap_or(name));
                name.make_ascii_lowercase();
                Ok(WantedHost::Name(name))
            }
            (None, None) => Err(SendErrorKind::NoTarget),
        }
    }
}
