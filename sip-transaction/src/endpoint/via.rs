//! What the topmost Via of a request says: where the answer goes, and what the request is matched by.

use crate::cores::HashKey;
use crate::destination::Target;
use crate::output::Path;
use crate::stamp::{self, Matched, Simple};
use crate::transport::Transport;
use crate::wire::Tag;
use alloc::string::String;
use core::net::{IpAddr, SocketAddr};
use sip_message::{Header, Message, Method, Via};

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

/// The topmost Via of a request, and what the request is matched by.
pub(super) struct TopVia<'a> {
    pub(super) read: ReadVia<'a>,
    sent_by: &'a [u8],
    /// The value, if its branch may be one of RFC 2543.
    whole: Option<Via<'a>>,
}

impl<'a> TopVia<'a> {
    /// `None` if there is none, or none that can be read.
    pub(super) fn of(request: &'a Message) -> Option<TopVia<'a>> {
        if let Some(Simple { matched, ip, port, rport }) = request.field(Header::Via).and_then(stamp::simple) {
            let read = ReadVia { branch: matched.branch, ip, port, rport, ..ReadVia::default() };
            return Some(TopVia { read, sent_by: matched.sent_by, whole: None });
        }
        let via = request.top_via().ok()?;
        Some(TopVia { read: ReadVia::of(&via), sent_by: via.sent_by_bytes(), whole: Some(via) })
    }

    /// Of one that was read before the request was parsed, and stamped: responses go to this port of the source address.
    pub(super) fn stamped(Matched { branch, sent_by }: Matched<'a>, port: u16) -> TopVia<'a> {
        TopVia { read: ReadVia { branch, port: Some(port), ..ReadVia::default() }, sent_by, whole: None }
    }

    /// What a transaction of this method is matched by that this request belongs to.
    pub(super) fn tag(&self, hash: HashKey, request: &Message, method: Method<'_>) -> u128 {
        match &self.whole {
            Some(via) => hash.server_tag(request, via, self.read.branch, method),
            None => {
                let method = if method == Method::Ack { Method::Invite } else { method };
                hash.branch_tag(self.read.branch, self.sent_by, method.as_str().as_bytes())
            }
        }
    }
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
        // Without `received`, the sent-by is the source address itself: with its zone, if it has one.
        let mut address = path.remote;
        address.set_port(port);
        (address, None)
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn the_usual_form_is_read_as_the_parser_reads_it() {
        let starts = [
            "SIP/2.0/UDP ",
            "SIP/2.0/tls ",
            "SIP/2.0/TCP  ",
            "SIP / 2.0/UDP ",
            "sip/2.0/UDP ",
            "SIP/2.0/ ",
            "SIP/2.0/a(b ",
        ];
        let hosts = [
            "192.0.2.1",
            "192.0.2.1:5061",
            "a.example.com",
            "a-b.example.com:5060",
            "[2001:db8::1]",
            "[2001:db8::1]:5060",
            "1.2.3",
            "999.1.1.1",
            "1.2.3.4.",
            "a..b",
            "-a",
            "a_b",
            "",
            ":5060",
            "a:",
            "a:0",
            "a:05060",
            "a:70000",
            "a:5060 ",
            "a : 5060",
            "a:+1",
            "x\"y",
        ];
        let params = [
            "",
            ";rport",
            ";rport=5",
            ";RPORT",
            ";branch=z9hG4bK1",
            ";Branch=Z9hG4bK-a.b",
            ";branch=1",
            ";branch=z9hG4bK",
            ";branch=\"z9hG4bK1\"",
            ";branch=z9hG4bK(",
            ";received=1.2.3.4",
            ";maddr=1.2.3.4",
            ";ttl=3",
            ";alias",
            ";x=\"a;b\"",
            ";x=[::1]",
            ";;",
            " ;a",
            ";a ",
            ", SIP/2.0/UDP b",
        ];
        let (mut simple, mut all) = (0, 0);
        for start in starts {
            for host in hosts {
                for (a, b) in params.iter().flat_map(|a| params.iter().map(move |b| (a, b))) {
                    for c in ["", ";branch=z9hG4bKx", ";rport"] {
                        let value = format!("{start}{host}{a}{b}{c}");
                        let text = format!("BYE sip:a@b SIP/2.0\r\nVia: {value}\r\nCSeq: 1 BYE\r\n\r\n");
                        let Ok(message) = Message::parse(text.into()) else { continue };
                        all += 1;
                        let top = TopVia::of(&message);
                        assert_eq!(top.is_some(), message.top_via().is_ok(), "{value}");
                        let Some(TopVia { read, sent_by, whole: None }) = top else { continue };
                        simple += 1;
                        let via = message.top_via().unwrap();
                        let slow = ReadVia::of(&via);
                        assert_eq!((read.branch, sent_by), (slow.branch, via.sent_by_bytes()), "{value}");
                        assert_eq!((read.ip, read.port, read.rport), (slow.ip, slow.port, slow.rport), "{value}");
                        let rest = |read: &ReadVia<'_>| (read.received, read.maddr, read.ttl, read.alias);
                        assert_eq!(rest(&read), rest(&slow), "{value}");
                        assert_eq!(read.branch, ReadVia::branch(&via), "{value}");
                        let hash = HashKey::new([3; 16]);
                        let tag = |top: TopVia<'_>| top.tag(hash, &message, Method::Bye);
                        let whole = TopVia { read: slow, sent_by, whole: Some(via) };
                        assert_eq!(tag(TopVia { read, sent_by, whole: None }), tag(whole), "{value}");
                    }
                }
            }
        }
        assert!(simple > 400 && all > 10 * simple, "{simple} of {all}");
    }
}
