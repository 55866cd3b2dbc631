//! What this proxy is called: which URIs name it, and which one it puts into Record-Route and Path.

use super::token::{FlowToken, FlowTokens};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};
use sip_message::Uri;
use sip_message::uri::{SipUri, UriTransport};
use sip_transaction::{Path, Transport};

/// An address of this proxy, as others are to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// The transport.
    pub transport: Transport,
    /// A domain name, an IPv4 address, or an IPv6 address in brackets.
    pub host: String,
    /// The port; `None` is the transport's default and is not written.
    pub port: Option<u16>,
}

/// The names of a proxy.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) advertised: Vec<Advertised>,
    /// Hosts that are this proxy whatever the port.
    pub(super) aliases: Vec<String>,
    /// The domains this proxy is responsible for: they lead here, at the ports it listens on.
    domains: Vec<String>,
    /// Local addresses that requests have come to, for want of advertised ones.
    seen: Vec<(Transport, SocketAddr)>,
}

/// Local addresses remembered: as many as a host has sockets, not as it has connections.
const SEEN: usize = 64;

impl Names {
    pub(super) fn new(advertised: Vec<Advertised>, aliases: Vec<String>, domains: Vec<String>) -> Names {
        Names { advertised, aliases, domains, seen: Vec::new() }
    }

    /// Remembers where requests come in.
    pub(super) fn note(&mut self, transport: Transport, local: SocketAddr) {
        let here = (transport, local);
        if self.seen.last() != Some(&here) && !self.seen.contains(&here) && self.seen.len() < SEEN {
            self.seen.push(here);
        }
    }

    /// The address that one side is to be shown: one it can reach, if there is.
    fn named(&self, side: &Side) -> Option<&Advertised> {
        let of_transport = self.advertised.iter().filter(|own| own.transport == side.shown_transport());
        let fitting = of_transport.clone().find(|own| side.can_reach(&own.host));
        fitting.or_else(|| of_transport.clone().next())
    }

    /// Whether both sides reach this proxy at one address: `from` at `local`, and `toward` at what is known of it.
    pub(super) fn is_one_for(&self, from: &Side, local: SocketAddr, toward: &Side, there: Option<SocketAddr>) -> bool {
        match (self.named(from), self.named(toward)) {
            (Some(a), Some(b)) => a == b,
            (None, None) => toward.has(local.ip()) && there.is_none_or(|there| there.ip() == local.ip()),
            _ => false,
        }
    }

    /// Whether `uri` names this proxy, as seen by a request that came over `path`.
    pub(super) fn is_own(&self, uri: &SipUri<'_>, path: &Path) -> bool {
        let host = uri.host_str();
        if self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(host)) {
            return true;
        }
        // A name without a port leads here by way of DNS, whatever port that says.
        let advertised = |own: &Advertised| {
            own.host.eq_ignore_ascii_case(host)
                && uri.port().is_none_or(|port| port == own.port.unwrap_or(own.transport.default_port()))
        };
        if self.advertised.iter().any(advertised) {
            return true;
        }
        let Some(ip) = uri.host().ip() else {
            // User agents put their server before all requests as they know it: by its domain (RFC 3261 section 8.1.2).
            let here = |port| port == path.local.port() || self.seen.iter().any(|&(_, local)| local.port() == port);
            return self.domains.iter().any(|own| own.eq_ignore_ascii_case(host)) && uri.port().is_none_or(here);
        };
        let port = uri.port().unwrap_or_else(|| uri_transport(uri).unwrap_or(Transport::Udp).default_port());
        let address = SocketAddr::new(ip, port);
        address == path.local || self.seen.iter().any(|&(_, local)| local == address)
    }

    /// Writes the URI that leads back to this proxy, in angle brackets: for the side of `side`.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
    //# The URI placed in the Record-Route header field value MUST be a
    //# SIP or SIPS URI.  This URI MUST contain an lr parameter (see
    //# Section 19.1.1).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
    //# The URI placed in the Record-Route header field MUST resolve to the element
    //# inserting it (or a suitable stand-in) when the server location procedures of [4] are
    //# applied to it, so that subsequent requests reach the same SIP element.
    //= https://www.rfc-editor.org/rfc/rfc5658#section-6.2
    //# When TLS is used on the
    //# transport on either side of the proxy, the URI placed in the Record-
    //# Route header field MUST encode a next-hop that will be reached using
    //# TLS.
    pub(super) fn write(&self, out: &mut String, tokens: &FlowTokens, side: &Side, local: Option<SocketAddr>) {
        let transport = side.shown_transport();
        let local = local.filter(|_| transport == side.transport);
        out.push('<');
        out.push_str(if side.secure { "sips:" } else { "sip:" });
        if let Some(token) = &side.token {
            tokens.write(out, token);
            out.push('@');
        }
        match self.named(side) {
            Some(own) => {
                out.push_str(&own.host);
                // `transport=ws` says nothing of TLS, so the port must: RFC 7118 section 8 shows it.
                let port = own.port.or((transport == Transport::Wss).then_some(443));
                if let Some(port) = port {
                    let _ = write!(out, ":{port}");
                }
            }
            None => {
                // Where the transport is not known, an address that is reached without TLS or WebSocket is better than a name.
                let unknown = !side.say_transport && !side.secure && transport == Transport::Udp;
                let fits = |other: Transport| other == transport || unknown && other == Transport::Tcp;
                let fitting = self.seen.iter().filter(|&&(other, _)| fits(other));
                let seen = || fitting.clone().find(|(_, local)| side.has(local.ip())).or(fitting.clone().next());
                match (
                    local.or_else(|| seen().map(|&(_, local)| local)),
                    self.advertised.first(),
                    self.aliases.first().or(self.domains.first()),
                ) {
                    (Some(local), ..) => {
                        let _ = write!(out, "{local}");
                    }
                    (None, Some(own), _) => out.push_str(&own.host),
                    (None, None, Some(alias)) => out.push_str(alias),
                    (None, None, None) => out.push_str("proxy.invalid"),
                }
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc5658#section-6.2
        //= type=exception
        //= reason=without it a sip URI with an address or a port means UDP, and a sips URI makes the dialog's contacts sips (12.1.1)
        //# Proxies compliant with this specification MUST
        //# NOT use a "transport=tls" parameter on the URI placed in the Record-
        //# Route because the "transport=tls" usage was deprecated by [RFC3261].
        let param = match transport {
            _ if !side.say_transport => "",
            Transport::Udp => ";transport=udp",
            Transport::Tcp => ";transport=tcp",
            // `sips:` says it.
            Transport::Tls if side.secure => "",
            Transport::Tls => ";transport=tls",
            Transport::Ws | Transport::Wss => ";transport=ws",
            Transport::Sctp => ";transport=sctp",
            _ => "",
        };
        out.push_str(param);
        out.push_str(";lr");
        if side.ob {
            out.push_str(";ob");
        }
        out.push('>');
    }
}

/// One side of this proxy, as a URI is to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) transport: Transport,
    pub(super) secure: bool,
    pub(super) say_transport: bool,
    pub(super) token: Option<FlowToken>,
    pub(super) ob: bool,
    /// An address there, if one is known: one of IPv6 reaches nothing of IPv4, nor the other way round.
    pub(super) address: Option<IpAddr>,
}

impl Side {
    /// The side a request came from.
    pub(super) fn of(path: &Path, secure: bool, token: Option<FlowToken>) -> Side {
        let address = Some(path.remote.ip());
        Side { transport: path.transport, secure, say_transport: true, token, ob: false, address }
    }

    /// The side toward a next hop that is reached over `transport`, if that is known.
    pub(super) fn toward(
        transport: Option<Transport>,
        address: Option<IpAddr>,
        secure: bool,
        token: Option<FlowToken>,
    ) -> Side {
        let say_transport = transport.is_some();
        Side { transport: transport.unwrap_or(Transport::Udp), secure, say_transport, token, ob: false, address }
    }

    /// The transport its URI says: one that is `sips:` is reached over TLS only, whatever the request went over.
    fn shown_transport(&self) -> Transport {
        match self.transport {
            Transport::Ws if self.secure => Transport::Wss,
            transport if self.secure && !transport.is_secure() => Transport::Tls,
            transport => transport,
        }
    }

    /// Whether `ip` is of the family of this side, as far as that is known.
    pub(super) fn has(&self, ip: IpAddr) -> bool {
        self.address.is_none_or(|address| address.to_canonical().is_ipv4() == ip.to_canonical().is_ipv4())
    }

    /// Whether those on this side can have a way to `host`: they have to names.
    fn can_reach(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        bare.parse().map_or(true, |ip| self.has(ip))
    }
}

/// The transport a URI says; `None` if it says none.
pub(super) fn uri_transport(uri: &SipUri<'_>) -> Option<Transport> {
    let name = match uri.transport() {
        None => return uri.is_sips().then_some(Transport::Tls),
        Some(UriTransport::Udp) => "udp",
        Some(UriTransport::Tcp) => "tcp",
        Some(UriTransport::Tls) => "tls",
        Some(UriTransport::Sctp) => "sctp",
        Some(UriTransport::Ws) => "ws",
        Some(UriTransport::Wss) => "wss",
        Some(_) => return None,
    };
    Transport::from_uri_param(name, uri.is_sips())
}

/// The transport of the next hop as far as its URI tells: what it says, or UDP for an address without a word.
pub(super) fn guess_transport(uri: &Uri<'_>) -> Option<Transport> {
    let uri = uri.as_sip()?;
    uri_transport(uri).or_else(|| uri.host().ip().map(|_| Transport::Udp))
}
