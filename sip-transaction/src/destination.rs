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
use sip_message::{Header, Message, Uri};

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

    /// The target of a request that goes by its route, if the URI that says where is of the form [`usual_target`](Wanted::usual_target)
    /// reads.
    pub(crate) fn usual_target_of(message: &Message, config: &EndpointConfig) -> Option<Target> {
        let uri = message.request_uri_bytes()?;
        match message.field(Header::Route) {
            None => Wanted::usual_target(uri, config),
            // What is secure decides on its way, too.
            Some(route) if uri.starts_with(b"sip:") => {
                let rest = route.strip_prefix(b"<")?;
                let (uri, after) = rest.split_at_checked(memchr::memchr(b'>', rest)?)?;
                let target = matches!(after, [b'>'] | [b'>', b',', ..]).then_some(uri)?;
                Wanted::usual_target(target, config)
            }
            Some(_) => None,
        }
    }

    /// The target that nearly all contacts come to: `sip:`, a user or none, an IPv4 address, maybe a port, and maybe one parameter that
    /// has no say in it. All else is for the parser.
    pub(crate) fn usual_target(uri: &[u8], config: &EndpointConfig) -> Option<Target> {
        let rest = uri.strip_prefix(b"sip:")?;
        let user = word(rest);
        let rest = match rest.get(user) {
            Some(b'@') if user > 0 => rest.get(user + 1..)?,
            _ => rest,
        };
        let (mut octets, mut rest) = ([0; 4], rest);
        for (n, octet) in octets.iter_mut().enumerate() {
            let (number, after) = number(rest, 3)?;
            *octet = u8::try_from(number).ok()?;
            rest = if n < 3 { after.strip_prefix(b".")? } else { after };
        }
        let (port, rest) = match rest {
            [b':', rest @ ..] => number(rest, 5).filter(|(port, _)| *port > 0)?,
            _ => (Transport::Udp.default_port().into(), rest),
        };
        let address = SocketAddr::from((octets, u16::try_from(port).ok()?));
        if let [first, param @ ..] = rest {
            let (name, value) = param.split_at_checked(word(param))?;
            let ended = match value {
                [] => true,
                [b'=', value @ ..] => !value.is_empty() && word(value) == value.len(),
                _ => false,
            };
            let says = [&b"transport"[..], b"maddr", b"ttl"].iter().any(|known| known.eq_ignore_ascii_case(name));
            if *first != b';' || name.is_empty() || !ended || says {
                return None;
            }
        }
        let target = Target { transport: Transport::Udp, address, server_name: None };
        config.supports(Transport::Udp).then_some(target)
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

/// How many bytes a text begins with that stand for themselves in the user and in the parameters of a URI.
fn word(text: &[u8]) -> usize {
    let stands = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'!' | b'~' | b'*');
    text.iter().position(|b| !stands(b)).unwrap_or(text.len())
}

/// The number that a text begins with, without zeros in front and of so many digits at most, and what is behind it.
#[inline(always)]
fn number(text: &[u8], most: usize) -> Option<(u32, &[u8])> {
    let (mut number, mut digits) = (0, 0);
    while let Some(digit) = text.get(digits).map(|b| b.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        if digits == most || digits == 1 && number == 0 {
            return None;
        }
        number = number * 10 + u32::from(digit);
        digits += 1;
    }
    if digits == 0 { None } else { Some((number, text.get(digits..)?)) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn usual_uris_lead_where_the_parser_says() {
        let config = EndpointConfig::default();
        let slow = |uri: &str| {
            let uri = Uri::parse(uri.as_bytes()).ok()?;
            let wanted = Wanted::of(&uri).ok()?;
            wanted.numeric(&config).filter(|_| wanted.ttl.is_none())
        };
        let starts = [
            "sip:",
            "SIP:",
            "sips:",
            "tel:",
            "sip:a@",
            "sip:@",
            "sip:a.b-c_d+1@",
            "sip:a:b@",
            "sip:a%41@",
            "sip:1.2.3.4@",
            "sip:a;b@",
        ];
        let hosts = [
            "192.0.2.1",
            "0.0.0.0",
            "255.255.255.255",
            "256.0.0.1",
            "01.2.3.4",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.",
            "1..2.3",
            "1.2.3.4a",
            "a.example.com",
            "[2001:db8::1]",
            "",
            "1.2.3.0004",
            "224.0.1.75",
        ];
        let ports = ["", ":5060", ":1", ":65535", ":65536", ":0", ":05060", ":", ":5060x", ":123456"];
        let params = [
            "",
            ";lr",
            ";lr=on",
            ";ob",
            ";transport=tcp",
            ";Transport=udp",
            ";TTL=1",
            ";maddr=1.2.3.4",
            ";transports=tcp",
            ";",
            ";=",
            ";a=",
            ";a=b=c",
            ";a;b",
            ";a%41",
            "?a=b",
            ";a?b=c",
            " ",
            ";a=[::1]",
            ";a=\"b\"",
            ";user=phone",
        ];
        let mut usual = 0;
        for (start, host) in starts.iter().flat_map(|start| hosts.iter().map(move |host| (start, host))) {
            for (port, param) in ports.iter().flat_map(|port| params.iter().map(move |param| (port, param))) {
                let uri = format!("{start}{host}{port}{param}");
                let Some(target) = Wanted::usual_target(uri.as_bytes(), &config) else { continue };
                usual += 1;
                assert_eq!(Some(target), slow(&uri), "{uri}");
            }
        }
        assert!(usual > 250, "{usual}");
    }

    #[test]
    fn routes_of_the_usual_form_lead_where_the_parser_says() {
        let config = EndpointConfig::default();
        let uris = ["sip:b@192.0.2.2", "sips:b@192.0.2.2", "SIP:b@192.0.2.2", "tel:+1", "sip:b@example.com"];
        let routes = [
            "<sip:192.0.2.9;lr>",
            "<sip:192.0.2.9:5070;lr>,<sip:192.0.2.8;lr>",
            "<sip:192.0.2.9;lr> , <sip:192.0.2.8;lr>",
            "<sip:192.0.2.9;lr>;x=y",
            "<sip:192.0.2.9;lr;transport=tcp>",
            "<sips:192.0.2.9;lr>",
            "a <sip:192.0.2.9;lr>",
            "sip:192.0.2.9;lr",
            "<sip:192.0.2.9;lr",
            "<>",
            "",
        ];
        let mut usual = 0;
        for (uri, route) in uris.iter().flat_map(|uri| routes.iter().map(move |route| (uri, route))) {
            for lines in [
                String::new(),
                format!("Route: {route}\r\n"),
                format!("Route: {route}\r\nRoute: <sip:192.0.2.7;lr>\r\n"),
            ] {
                let text = format!("BYE {uri} SIP/2.0\r\n{lines}\r\n");
                let Ok(message) = Message::parse(text.clone().into()) else { continue };
                let Some(target) = Wanted::usual_target_of(&message, &config) else { continue };
                usual += 1;
                let wanted = Wanted::of_message(&message).unwrap();
                assert_eq!((Some(target), wanted.ttl), (wanted.numeric(&config), None), "{text}");
            }
        }
        assert!(usual >= 15, "{usual}");
    }

    #[test]
    fn without_udp_there_is_no_usual_target() {
        let config = EndpointConfig { transports: alloc::vec![Transport::Tcp], ..EndpointConfig::default() };
        assert_eq!(Wanted::usual_target(b"sip:192.0.2.1", &config), None);
    }
}
