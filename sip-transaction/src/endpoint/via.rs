//! What the topmost Via of a request says: where the answer goes, and what the request is matched by.

use crate::destination::Target;
use crate::output::Path;
use crate::transport::Transport;
use crate::wire::Tag;
use alloc::string::String;
use core::net::{IpAddr, SocketAddr};
use sip_message::Via;

/// What matters of a Via, read in one pass.
#[derive(Default)]
pub(super) struct ReadVia<'a> {
    pub(super) branch: &'a [u8],
    /// The sent-by, if it is an address, and its port.
    pub(super) ip: Option<IpAddr>,
    pub(super) port: Option<u16>,
    pub(super) rport: Option<Option<u16>>,
    pub(super) received: Option<IpAddr>,
    pub(super) maddr: Option<IpAddr>,
    pub(super) ttl: Option<u8>,
    pub(super) alias: bool,
}

impl<'a> ReadVia<'a> {
    /// What cannot be read counts as not there.
    pub(super) fn of(via: &Via<'a>) -> ReadVia<'a> {
        let mut read = ReadVia::params(via);
        if let Ok((host, port)) = via.sent_by() {
            // Port 0 is none: nobody could be answered there.
            (read.ip, read.port) = (host.ip(), port.filter(|port| *port != 0));
        }
        read
    }

    /// The branch alone; empty without one.
    pub(super) fn branch(via: &Via<'a>) -> &'a [u8] {
        let params = via.params().map_while(Result::ok);
        let mut branches = params.filter(|param| param.name.eq_ignore_ascii_case("branch"));
        let token = branches.find_map(|param| param.value.filter(|value| !value.is_quoted()));
        token.map(|value| value.as_bytes()).unwrap_or_default()
    }

    /// The same without the sent-by.
    fn params(via: &Via<'a>) -> ReadVia<'a> {
        let mut read = ReadVia::default();
        for param in via.params() {
            let Ok(param) = param else { break };
            let text = || param.value.and_then(|value| value.as_str());
            let address = || text().and_then(|value| value.trim_matches(['[', ']']).parse().ok());
            match param.name.as_bytes() {
                name if read.branch.is_empty() && name.eq_ignore_ascii_case(b"branch") => {
                    let token = param.value.filter(|value| !value.is_quoted());
                    read.branch = token.map(|value| value.as_bytes()).unwrap_or_default();
                }
                name if name.eq_ignore_ascii_case(b"rport") => {
                    read.rport = Some(text().and_then(|value| value.parse().ok()));
                }
                name if name.eq_ignore_ascii_case(b"received") => read.received = address(),
                name if name.eq_ignore_ascii_case(b"maddr") => read.maddr = address(),
                name if name.eq_ignore_ascii_case(b"ttl") => read.ttl = text().and_then(|value| value.parse().ok()),
                name if name.eq_ignore_ascii_case(b"alias") => read.alias = true,
                _ => {}
            }
        }
        read
    }

    /// Where the response goes, and with which TTL: RFC 3261 section 18.2.2, RFC 3581 section 4.
    pub(super) fn response_address(&self, path: &Path) -> (SocketAddr, Option<u8>) {
        if path.transport.is_reliable() {
            return (path.remote, None);
        }
        let port = self.port.unwrap_or(path.transport.default_port());
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
        //# Otherwise, if the Via header field value contains a "maddr"
        //# parameter, the response MUST be forwarded to the address listed
        //# there, using the port indicated in "sent-by", or port 5060 if
        //# none is present.
        if let Some(ip) = self.maddr {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
            //# If the address is a multicast address, the
            //# response SHOULD be sent using the TTL indicated in the "ttl"
            //# parameter, or with a TTL of 1 if that parameter is not present.
            let ttl = ip.is_multicast().then_some(self.ttl.unwrap_or(1));
            return (SocketAddr::new(ip, port), ttl);
        }
        //= https://www.rfc-editor.org/rfc/rfc3581#section-4
        //# If the "sent-protocol" component indicates an unreliable unicast
        //# transport protocol, such as UDP, and there is no "maddr" parameter,
        //# but there is both a "received" parameter and an "rport" parameter,
        //# the response MUST be sent to the IP address listed in the "received"
        //# parameter, and the port in the "rport" parameter.
        // Both are the source of the request: whatever stood in them has been, or will be, overwritten.
        if self.rport.is_some() {
            return (path.remote, None);
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
        //# Otherwise (for unreliable unicast transports), if the top Via
        //# has a "received" parameter, the response MUST be sent to the
        //# address in the "received" parameter, using the port indicated
        //# in the "sent-by" value, or using port 5060 if none is specified
        //# explicitly.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
        //# Otherwise, if it is not receiver-tagged, the response MUST be
        //# sent to the address indicated by the "sent-by" value, using the
        //# procedures in Section 5 of [4].
        // Without `received`, the sent-by is the source address itself.
        (SocketAddr::new(path.remote.ip(), port), None)
    }
}

/// The tag for To that goes with a transaction: of the half of its keyed hash that finds nothing in any table.
pub(super) fn tag_of(tag: u128) -> Tag {
    Tag::new((tag >> 64) as u64)
}

/// The address a Via itself names, without DNS: `received` and `rport`, or a numeric sent-by.
pub(super) fn via_target(via: &Via<'_>) -> Option<Target> {
    //= https://www.rfc-editor.org/rfc/rfc3263#section-5
    //# When this value is present, the server MUST
    //# use TLS over TCP to send the response.
    let transport = Transport::from_via(via.transport())?;
    let (host, port) = via.sent_by().ok()?;
    let ip = via.received().ok().flatten().or(host.ip())?;
    let rport = if transport.is_reliable() { None } else { via.rport().ok().flatten().flatten() };
    let port = rport.or(port).filter(|port| *port != 0).unwrap_or(transport.default_port());
    let server_name = host.domain().map(String::from);
    Some(Target { transport, address: SocketAddr::new(ip, port), server_name })
}
