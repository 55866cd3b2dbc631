//! One search: RFC 3263 sections 4 and 5 as a function of what DNS has said so far.

use super::Asked;
use super::cache::Cache;
use crate::config::EndpointConfig;
use crate::destination::{Target, Wanted, WantedHost};
use crate::input::{Record, RecordData};
use crate::output::RecordKind;
use crate::time::Instant;
use crate::transport::Transport;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

//= https://www.rfc-editor.org/rfc/rfc3263#section-9
//= type=exception
//= reason=for authors of further specifications: nothing here registers anything
//# New entries in the table MAY be added through the publication of standards track RFCs
//= https://www.rfc-editor.org/rfc/rfc3263#section-9
//= type=exception
//= reason=for authors of further specifications: nothing here registers anything
//# The registration in the RFC MUST include the following information:
//= https://www.rfc-editor.org/rfc/rfc3263#section-9
//= type=exception
//= reason=for authors of further specifications: nothing here registers anything
//# This MUST include the name and acronym for the
//# protocol, along with reference to a document that describes the
//# transport protocol.
pub(super) struct Search {
    wanted: Wanted,
    /// What the draws by weight come from, so that each evaluation draws the same.
    seed: u64,
    answers: Vec<(Asked, Vec<Record>)>,
}

/// Targets, or what must be asked to have them.
type Outcome<T> = Result<T, Vec<Asked>>;

/// What is known, and what was missed while looking.
struct View<'a> {
    search: &'a Search,
    cache: &'a Cache,
    now: Instant,
    missing: Vec<Asked>,
}

impl View<'_> {
    /// The records, none if they are not known yet; that they are not is noted.
    fn records(&mut self, name: &str, kind: RecordKind) -> &[Record] {
        let asked = (String::from(name), kind);
        let known = self.search.answers.iter().find(|(answered, _)| *answered == asked);
        if let Some((_, records)) = known {
            return records;
        }
        match self.cache.get(self.now, &asked) {
            Some(records) => records,
            None => {
                if !self.missing.contains(&asked) {
                    self.missing.push(asked);
                }
                &[]
            }
        }
    }
}

impl Search {
    pub(super) fn new(wanted: Wanted, seed: u64) -> Self {
        Search { wanted, seed, answers: Vec::new() }
    }

    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    pub(super) fn questions(&self) -> usize {
        self.answers.len()
    }

    pub(super) fn wants(&self, asked: &Asked) -> bool {
        // Names are asked for by this search or others alike; learning one twice does no harm.
        !self.answers.iter().any(|(known, _)| known == asked)
    }

    pub(super) fn learn(&mut self, asked: Asked, records: &[Record]) {
        self.answers.push((asked, records.to_vec()));
    }

    pub(super) fn evaluate(&self, config: &EndpointConfig, cache: &Cache, now: Instant) -> Outcome<Vec<Target>> {
        let Wanted { host, port, transport, .. } = &self.wanted;
        let name = match host {
            WantedHost::Ip(_) => return Ok(self.wanted.numeric(config).into_iter().collect()),
            WantedHost::Name(name) => name,
        };
        let fixed = self.wanted.usual_transport();
        let mut view = View { search: self, cache, now, missing: Vec::new() };
        let found = match (port, transport) {
            (Some(port), _) if config.supports(fixed) => self.at_host(&mut view, name, name, fixed, *port),
            (Some(_), _) => Vec::new(),
            (None, Some(transport)) => self.by_srv(&mut view, config, name, &[*transport]),
            (None, None) => self.by_naptr(&mut view, config, name),
        };
        if !view.missing.is_empty() {
            return Err(view.missing);
        }
        Ok(found)
    }

    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=exception
    //= reason=what a domain puts into DNS is not the client's to do
    //# If a SIP proxy, redirect server, or registrar is to be contacted through the lookup of NAPTR
    //# records, there MUST be at least three records - one with a "SIP+D2T" service field, one with a
    //# "SIP+D2U" service field, and one with a "SIPS+D2T" service field.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=exception
    //= reason=what a domain puts into DNS is not the client's to do
    //# The records with SIPS as the protocol in the service field SHOULD be preferred (i.e., have a lower
    //# value of the order field) above records with SIP as the protocol in the service field.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=exception
    //= reason=what a domain puts into DNS is not the client's to do
    //# A record with a "SIPS+D2U" service field SHOULD NOT be placed into the DNS, since it is not possible
    //# to use TLS over UDP.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=exception
    //= reason=what a domain puts into DNS is not the client's to do
    //# However, for backwards compatibility with RFC 2543, a domain MUST maintain SRV records for the
    //# domain of the original query, even if the NAPTR record is in a different domain.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=exception
    //= reason=what a domain puts into DNS is not the client's to do
    //# As an example, even though the SRV record for TCP is _sip._tcp.school.edu, there MUST also be an SRV
    //# record at _sip._tcp.example.com.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.4
    //= type=exception
    //= reason=what a domain puts into DNS is not the client's to do
    //# To make processing easier for stateless proxies, it is RECOMMENDED that domain administrators make
    //# the weights of SRV records with equal priority different (for example, using weights of 1000 and
    //# 1001 if two servers are equivalent, rather than assigning both a weight of 1000), and similarly for
    //# NAPTR records.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-7
    //= type=exception
    //= reason=NAPTR answers are cached for their TTL; what to make of a domain that lost SIPS is policy
    //# A client which frequently contacts the same domain SHOULD cache whether or not its NAPTR records
    //# contain SIPS in the services field.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-7
    //= type=exception
    //= reason=NAPTR answers are cached for their TTL; what to make of a domain that lost SIPS is policy
    //# In this case, the client SHOULD generate some kind of alert or alarm, and MAY reject the request.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //# Otherwise, if no transport protocol or port is specified, and the
    //# target is not a numeric IP address, the client SHOULD perform a NAPTR
    //# query for the domain in the URI.
    fn by_naptr(&self, view: &mut View<'_>, config: &EndpointConfig, name: &str) -> Vec<Target> {
        let mut services: Vec<(u16, u16, Transport, String)> = Vec::new();
        for record in view.records(name, RecordKind::Naptr) {
            let RecordData::Naptr { order, preference, flags, service, replacement, .. } = &record.data else {
                continue;
            };
            // "." is no replacement (RFC 3403 section 4.1), and there is nothing to ask for.
            if !flags.eq_ignore_ascii_case("s") || replacement.trim_end_matches('.').is_empty() {
                continue;
            }
            if let Some(transport) = self.service(config, service) {
                services.push((*order, *preference, transport, replacement.to_ascii_lowercase()));
            }
        }
        if !view.missing.is_empty() {
            return Vec::new();
        }
        if services.is_empty() {
            //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
            //# If no NAPTR records are found, the client constructs SRV queries for
            //# those transport protocols it supports, and does a query for each.
            let usable = config.transports().iter().copied().filter(|t| !self.wanted.secure || t.is_secure());
            return self.by_srv(view, config, name, &usable.collect::<Vec<_>>());
        }
        services.sort_by_key(|(order, preference, ..)| (*order, *preference));
        let mut targets = Vec::new();
        let mut any = false;
        for (nth, (_, _, transport, service_name)) in services.iter().enumerate() {
            targets.extend(self.srv_hosts(view, name, service_name, *transport, nth as u64, &mut any));
        }
        if !any && view.missing.is_empty() {
            // What NAPTR promised is not there: the domain itself, as if it had promised nothing.
            let transports: Vec<_> = services.iter().map(|(_, _, transport, _)| *transport).take(1).collect();
            return transports.iter().flat_map(|t| self.at_host(view, name, name, *t, t.default_port())).collect();
        }
        targets
    }

    /// The transport of a NAPTR service, if it will do.
    fn service(&self, config: &EndpointConfig, service: &str) -> Option<Transport> {
        let (protocol, resolution) = service.split_once('+')?;
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
        //# First, a client resolving a SIPS URI MUST discard any services that
        //# do not contain "SIPS" as the protocol in the service field.
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
        //# A client resolving
        //# a SIP URI SHOULD retain records with "SIPS" as the protocol, if the
        //# client supports TLS.
        let secure = protocol.eq_ignore_ascii_case("SIPS");
        if !secure && (self.wanted.secure || !protocol.eq_ignore_ascii_case("SIP")) {
            return None;
        }
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
        //# Second, a client MUST discard any service
        //# fields that identify a resolution service whose value is not "D2X",
        //# for values of X that indicate transport protocols supported by the
        //# client.
        let transport = match (resolution.to_ascii_uppercase().as_str(), secure) {
            ("D2U", false) => Transport::Udp,
            ("D2T", false) => Transport::Tcp,
            ("D2T", true) => Transport::Tls,
            ("D2S", false) => Transport::Sctp,
            ("D2W", false) => Transport::Ws,
            ("D2W", true) => Transport::Wss,
            _ => return None,
        };
        config.supports(transport).then_some(transport)
    }

    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //# The client MAY use any transport protocol it desires which is supported by the server.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.2
    //# The client SHOULD try the first record.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.2
    //# If an attempt should fail, based on the definition of failure in Section 4.3, the next SHOULD be
    //# tried, and if that should fail, the next SHOULD be tried, and so on.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=exception
    //= reason=section 18.1.1 of RFC 3261 is applied when the size is known
    //# However, another transport protocol, such as TCP, MAY be used if the guidelines of SIP mandate it
    //# for this particular request.
    fn by_srv(
        &self,
        view: &mut View<'_>,
        config: &EndpointConfig,
        name: &str,
        transports: &[Transport],
    ) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut usable = Vec::new();
        let mut any = false;
        for (nth, &transport) in transports.iter().enumerate() {
            if !config.supports(transport) {
                continue;
            }
            usable.push(transport);
            let service = match transport {
                Transport::Udp => "_sip._udp",
                Transport::Tcp => "_sip._tcp",
                Transport::Tls => "_sips._tcp",
                Transport::Sctp => "_sip._sctp",
                Transport::Ws => "_sip._ws",
                Transport::Wss => "_sips._ws",
            };
            targets.extend(self.srv_hosts(view, name, &format!("{service}.{name}"), transport, nth as u64, &mut any));
        }
        if !any && view.missing.is_empty() {
            //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
            //# If no SRV records are found, the client SHOULD use TCP
            //# for a SIPS URI, and UDP for a SIP URI.
            //= https://www.rfc-editor.org/rfc/rfc3263#section-4.2
            //# If no SRV records were found, the client performs an A or AAAA record
            //# lookup of the domain name.
            let usual = if self.wanted.secure { Transport::Tls } else { Transport::Udp };
            let transport = match usable.as_slice() {
                [only] => *only,
                many if many.contains(&usual) => usual,
                [first, ..] => *first,
                [] => return targets,
            };
            return self.at_host(view, name, name, transport, transport.default_port());
        }
        targets
    }

    /// The hosts of an SRV record set, in the order they are to be tried. `any`: whether there are records, if only to say that there is no
    /// service: the domain's own address is for those without (RFC 3263 section 4.2).
    fn srv_hosts(
        &self,
        view: &mut View<'_>,
        domain: &str,
        service: &str,
        transport: Transport,
        nth: u64,
        any: &mut bool,
    ) -> Vec<Target> {
        let mut hosts: Vec<(u16, u16, u16, String)> = Vec::new();
        for record in view.records(service, RecordKind::Srv) {
            if let RecordData::Srv { priority, weight, port, target } = &record.data {
                *any = true;
                // "." says that there is no such service: RFC 2782.
                if !target.is_empty() && target != "." {
                    hosts.push((*priority, *weight, *port, target.to_ascii_lowercase()));
                }
            }
        }
        let mut draw = Draw(self.seed ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut targets = Vec::new();
        for (port, host) in by_weight(hosts, &mut draw) {
            targets.extend(self.at_host(view, domain, &host, transport, port));
        }
        targets
    }

    /// The addresses of a host. `domain` is what a certificate must show.
    fn at_host(&self, view: &mut View<'_>, domain: &str, host: &str, transport: Transport, port: u16) -> Vec<Target> {
        let mut targets = Vec::new();
        // IPv6 first, as RFC 6724 has it where both work; the host that lacks one finds no socket for it and moves on.
        for kind in [RecordKind::Aaaa, RecordKind::A] {
            for record in view.records(host, kind) {
                if let RecordData::Address(ip) = record.data {
                    targets.push(target(transport, SocketAddr::new(ip, port), domain));
                }
            }
        }
        targets
    }
}

fn target(transport: Transport, address: SocketAddr, domain: &str) -> Target {
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //# For NAPTR records with SIPS protocol fields, (if the server is using a
    //# site certificate), the domain name in the query and the domain name
    //# in the replacement field MUST both be valid based on the site
    //# certificate handed out by the server in the TLS exchange.
    // RFC 5922 section 4 settled on the domain of the URI alone.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //# Similarly, the domain name in the SRV query and the domain name in the target in the SRV record MUST
    //# both be valid based on the same site certificate.
    Target { transport, address, server_name: is_named(transport).then(|| String::from(domain)) }
}

/// Whether a connection needs to know the name it is made for.
pub(crate) fn is_named(transport: Transport) -> bool {
    transport.is_secure() || transport.is_websocket()
}

/// SplitMix64: draws that depend on the search alone.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// RFC 2782: by priority, and among equals drawn by weight.
fn by_weight(mut hosts: Vec<(u16, u16, u16, String)>, draw: &mut Draw) -> Vec<(u16, String)> {
    // Those of weight 0 first, so that they have a small chance.
    hosts.sort();
    let mut ordered = Vec::with_capacity(hosts.len());
    while let Some(priority) = hosts.first().map(|host| host.0) {
        let same = hosts.iter().take_while(|host| host.0 == priority).count();
        let total: u64 = hosts.iter().take(same).map(|host| u64::from(host.1)).sum();
        let mut at = draw.next() % (total + 1);
        let mut chosen = 0;
        for (nth, host) in hosts.iter().take(same).enumerate() {
            chosen = nth;
            match at.checked_sub(u64::from(host.1)) {
                None | Some(0) => break,
                Some(left) => at = left,
            }
        }
        let (_, _, port, host) = hosts.remove(chosen);
        ordered.push((port, host));
    }
    ordered
}
