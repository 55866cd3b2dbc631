//! What is done to a request before anybody decides where it goes: validation (RFC 3261 section 16.3, RFC 5393 section 4.2.2)
//! and route preprocessing (section 16.4, RFC 5626 section 5.3, RFC 5658).

use super::names::Names;
use super::token::FlowTokens;
use super::{ProxyConfig, RouteKind};
use crate::target::FlowPath;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use sip_message::uri::SipUri;
use sip_message::{Header, Message, Method, StatusCode, Uri};
use sip_transaction::cores::HashKey;
use sip_transaction::{Endpoint, Path};

/// Why a request is not forwarded.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) status: StatusCode,
    pub(super) fields: Vec<(Header, String)>,
}

impl From<StatusCode> for Rejected {
    fn from(status: StatusCode) -> Self {
        Rejected { status, fields: Vec::new() }
    }
}

/// What is known of a request before it is routed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routing {
    pub(super) kind: RouteKind,
    /// The flow that a token in its Route leads to.
    pub(super) flow: Option<FlowPath>,
    /// Hash of everything that decides where it goes.
    pub(super) loop_hash: u64,
    pub(super) max_breadth: u32,
    /// Whether the Request-URI is a GRUU.
    pub(super) gruu: bool,
    /// Whether the Request-URI is a `sips:` URI.
    pub(super) sips: bool,
}

/// What the checks need to know of the proxy.
pub(super) struct Context<'a> {
    pub(super) config: &'a ProxyConfig,
    pub(super) names: &'a Names,
    pub(super) tokens: &'a FlowTokens,
    pub(super) loop_key: HashKey,
    pub(super) endpoint: &'a Endpoint,
}

impl Context<'_> {
    /// Validates a request and preprocesses its route.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
    //# Before an element can proxy a request, it MUST verify the message's
    //# validity.
    pub(super) fn prepare(&self, message: &mut Message, path: &Path) -> Result<Routing, Rejected> {
        validate(message)?;
        let mut uri = match message.request_uri() {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
            //# If the Request-URI has a URI whose scheme is not understood by
            //# the proxy, the proxy SHOULD reject the request with a 416
            //# (Unsupported URI Scheme) response.
            Some(Ok(uri @ (Uri::Sip(_) | Uri::Tel(_)))) => self.asked(&uri, path),
            Some(Ok(_)) => return Err(StatusCode::UNSUPPORTED_URI_SCHEME.into()),
            _ => return Err(StatusCode::BAD_REQUEST.into()),
        };
        validate_rest(self.config, message)?;
        if uri.own_record || uri.maddr {
            if uri.own_record {
                self.repair_strict_route(message)?;
            }
            self.strip_maddr(message, path)?;
            if let Some(Ok(changed)) = message.request_uri() {
                uri = self.asked(&changed, path);
            }
        }
        let taken = self.preprocess(message, path)?;
        // One that names a flow is for whoever is at its other end.
        let ours = message.method() == Some(Method::Options) && taken.flow.is_none() && !taken.lost;
        if ours && self.is_addressed(message, path) {
            return Err(capabilities(self.config));
        }
        let loop_hash = loop_hash(self.loop_key, message);
        check_loop(message, loop_hash)?;
        let max_breadth = max_breadth(self.config, message)?;
        let Asked { local, gruu, sips, sip, .. } = uri;
        if !sip {
            // `tel:` and its like are for whoever knows numbers.
            let kind = RouteKind::Local;
            return Ok(Routing { kind, flow: None, loop_hash, max_breadth, gruu, sips });
        }
        // A GRUU of ours names the instance, wherever it is now: its lost flow is not needed.
        if taken.lost && !gruu {
            //= https://www.rfc-editor.org/rfc/rfc5626#section-5.3.1
            //# If the flow no longer exists, the proxy SHOULD
            //# send a 430 (Flow Failed) response to the request.
            return Err(StatusCode::FLOW_FAILED.into());
        }
        let kind = match taken.flow {
            Some(_) => RouteKind::Routed,
            None if local => RouteKind::Local,
            None if taken.own => RouteKind::Routed,
            None => RouteKind::Foreign,
        };
        Ok(Routing { kind, flow: taken.flow, loop_hash, max_breadth, gruu, sips })
    }

    /// What a Request-URI says that matters here, read once.
    fn asked(&self, uri: &Uri<'_>, path: &Path) -> Asked {
        let Some(uri) = uri.as_sip() else { return Asked::default() };
        let responsible = self.is_responsible(uri);
        // What names this proxy by an address of its own indicates it no less than its domains do (RFC 3261 sections 16.4 and 16.5): sent on, it
        // would come back.
        let own = (!responsible || uri.lr()) && self.names.is_own(uri, path);
        Asked {
            sip: true,
            sips: uri.is_sips(),
            local: responsible || own,
            gruu: responsible && uri.gr().is_some(),
            own_record: uri.lr() && own,
            maddr: !matches!(uri.maddr(), Ok(None)),
        }
    }

    /// Whether a request is for this proxy itself: it names nobody, and nobody is to see it behind here.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-11
    //# If the OPTIONS is
    //# addressed to a proxy server, the Request-URI is set without a user
    //# part, similar to the way a Request-URI is set for a REGISTER request.
    #[cold]
    fn is_addressed(&self, message: &Message, path: &Path) -> bool {
        let Some(Ok(Uri::Sip(uri))) = message.request_uri() else { return false };
        let own = self.is_responsible(&uri) || self.names.is_own(&uri, path);
        own && uri.user().is_none() && !message.has(Header::Route)
    }

    fn is_responsible(&self, uri: &SipUri<'_>) -> bool {
        self.config.domains.iter().any(|domain| uri.has_host(domain))
    }

    fn preprocess(&self, message: &mut Message, path: &Path) -> Result<Taken, Rejected> {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
        //# The proxy MUST then proceed as if it received this modified request.
        let mut taken = Taken::default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
        //# If the first value in the Route header field indicates this proxy,
        //# the proxy MUST remove that value from the request.
        // Two values in a row are the two sides of a double Record-Route (RFC 5658 section 5).
        while let Some(route) = message.routes().next() {
            let route = route.map_err(|_| StatusCode::BAD_REQUEST)?;
            let uri = route.uri().map_err(|_| StatusCode::BAD_REQUEST)?;
            let Some(uri) = uri.as_sip().filter(|uri| self.names.is_own(uri, path)) else { break };
            taken.own = true;
            // The last of several values leads to where the request goes. A lost flow before it was the sender's, who has
            // another one by now.
            taken.lost = false;
            if let Some(user) = uri.user() {
                //= https://www.rfc-editor.org/rfc/rfc5626#section-5.3.1
                //# If the flow token has been tampered with, the proxy SHOULD send a 403
                //# (Forbidden) response.
                let token = self.tokens.read(user.as_bytes()).ok_or(StatusCode::FORBIDDEN)?;
                // A token of the flow it came over marks a request from that user agent, not one to it.
                if !token.is(path) {
                    match token.path(self.endpoint) {
                        Some(flow) => taken.flow = Some(flow),
                        None => taken.lost = !token.soft,
                    }
                }
            }
            message.pop_route();
        }
        Ok(taken)
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
    //# The proxy MUST inspect the Request-URI of the request.  If the
    //# Request-URI of the request contains a value this proxy previously
    //# placed into a Record-Route header field (see Section 16.6 item 4),
    //# the proxy MUST replace the Request-URI in the request with the last
    //# value from the Route header field, and remove that value from the
    //# Route header field.
    fn repair_strict_route(&self, message: &mut Message) -> Result<(), Rejected> {
        let Some(last) = message.routes().count().checked_sub(1) else { return Ok(()) };
        let own = String::from_utf8_lossy(message.request_uri_bytes().unwrap_or_default()).into_owned();
        let uri = match message.routes().nth(last) {
            Some(Ok(route)) => String::from_utf8_lossy(route.uri_bytes()).into_owned(),
            _ => return Err(StatusCode::BAD_REQUEST.into()),
        };
        message.set_request_uri(&uri).map_err(|_| StatusCode::BAD_REQUEST)?;
        message.remove_value(Header::Route, last);
        // It stands for a Route value of this proxy: let it be taken off as one, with its flow token.
        message.push_route(format_args!("<{own}>")).map_err(|_| StatusCode::BAD_REQUEST)?;
        Ok(())
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
    //# If the Request-URI has a maddr parameter with a value the
    //# proxy is responsible for, and the request was received using the port
    //# and transport indicated (explicitly or by default) in the Request-
    //# URI, the proxy MUST strip the maddr and any non-default port or
    //# transport parameter and continue processing as if those values had
    //# not been present in the request.
    fn strip_maddr(&self, message: &mut Message, path: &Path) -> Result<(), Rejected> {
        let Some(Ok(Uri::Sip(uri))) = message.request_uri() else { return Ok(()) };
        let Ok(Some(maddr)) = uri.maddr() else { return Ok(()) };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
        //# If the Request-URI contains a maddr parameter, the proxy MUST check to see if its
        //# value is in the set of addresses or domains the proxy is configured to be
        //# responsible for.
        let names_us = match (maddr.ip(), maddr.domain()) {
            (Some(ip), _) => ip == path.local.ip(),
            (None, Some(name)) => self.config.domains.iter().any(|domain| domain.eq_ignore_ascii_case(name)),
            (None, None) => false,
        };
        let transport = super::names::uri_transport(&uri).unwrap_or(sip_transaction::Transport::Udp);
        let port = uri.port().unwrap_or(transport.default_port());
        if !names_us || transport != path.transport || port != path.local.port() {
            return Ok(());
        }
        // A ttl means something beside a maddr only.
        let stripped = ["maddr", "transport", "ttl"].iter().fold(uri.to_builder(), |uri, name| uri.without_param(name));
        let stripped = stripped.port(None).without_headers().build().map_err(|_| StatusCode::BAD_REQUEST)?;
        message.set_request_uri(stripped.as_str()).map_err(|_| StatusCode::BAD_REQUEST)?;
        Ok(())
    }
}

/// What a Request-URI says: nothing, if it is no `sip:` or `sips:` URI.
#[derive(Clone, Copy, Default)]
struct Asked {
    sip: bool,
    sips: bool,
    /// Of a domain of this proxy, or one of its addresses.
    local: bool,
    gruu: bool,
    /// It is one of this proxy's Record-Routes.
    own_record: bool,
    maddr: bool,
}

/// What the Route values of this proxy said.
#[derive(Default)]
struct Taken {
    own: bool,
    flow: Option<FlowPath>,
    /// The flow that the last of them leads to is gone.
    lost: bool,
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//# Notice that a proxy is not required to detect merged requests and MUST NOT treat
//# merged requests as an error condition.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=exception
//= reason=the endpoint hands on only requests it could make a server transaction for
//# The request MUST be well-formed enough to be handled with a server transaction.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//# An element MUST NOT refuse to proxy a request because it contains a method or header
//# field it does not know about.
fn validate(message: &Message) -> Result<(), Rejected> {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
    //# Any components involved in the remainder of these Request
    //# Validation steps or the Request Forwarding section MUST be
    //# well-formed.  Any other components, well-formed or not, SHOULD
    //# be ignored and remain unchanged when the message is forwarded.
    // A second one would leave open which of them those behind this proxy believe (RFC 4475 section 3.3.8).
    let once = [Header::From, Header::To, Header::CallId, Header::CSeq, Header::MaxForwards];
    let well_formed = !once.into_iter().any(|header| message.is_repeated(header))
        && message.from().is_ok()
        && message.to().is_ok()
        && message.call_id().is_ok()
        && message.cseq().is_ok_and(|cseq| Some(cseq.method) == message.method())
        && message.routes().all(|route| route.is_ok());
    if !well_formed {
        return Err(StatusCode::BAD_REQUEST.into());
    }
    Ok(())
}

/// The checks of section 16.3 behind that of the Request-URI.
fn validate_rest(config: &ProxyConfig, message: &Message) -> Result<(), Rejected> {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
    //# If the request contains a Max-Forwards header field with a
    //# field value of zero (0), the element MUST NOT forward the
    //# request.  If the request was for OPTIONS, the element MAY act as
    //# the final recipient and respond per Section 11.  Otherwise, the
    //# element MUST return a 483 (Too many hops) response.
    match message.max_forwards() {
        Ok(Some(0)) if message.method() == Some(Method::Options) => return Err(capabilities(config)),
        Ok(Some(0)) => return Err(StatusCode::TOO_MANY_HOPS.into()),
        Ok(_) => {}
        Err(_) => return Err(StatusCode::BAD_REQUEST.into()),
    }
    let mut unknown = String::new();
    for tag in message.proxy_require() {
        let tag = tag.map_err(|_| StatusCode::BAD_REQUEST)?;
        if !config.proxy_extensions.iter().any(|known| tag == known.as_str()) {
            if !unknown.is_empty() {
                unknown.push_str(", ");
            }
            unknown.push_str(tag.as_str());
        }
    }
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
    //# If the request contains a Proxy-Require header field (Section
    //# 20.29) with one or more option-tags this element does not
    //# understand, the element MUST return a 420 (Bad Extension)
    //# response.  The response MUST include an Unsupported (Section
    //# 20.40) header field listing those option-tags the element did
    //# not understand.
    if !unknown.is_empty() {
        return Err(Rejected { status: StatusCode::BAD_EXTENSION, fields: vec![(Header::Unsupported, unknown)] });
    }
    Ok(())
}

/// The answer to OPTIONS for a proxy itself: bodies of any kind pass through it.
//= https://www.rfc-editor.org/rfc/rfc3261#section-11.2
//# Allow, Accept, Accept-Encoding, Accept-Language, and Supported header
//# fields SHOULD be present in a 200 (OK) response to an OPTIONS request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-11.2
//# If the response is generated by a proxy, the Allow header field SHOULD
//# be omitted as it is ambiguous since a proxy is method agnostic.
#[cold]
fn capabilities(config: &ProxyConfig) -> Rejected {
    let own = if config.edge { &["path", "outbound"][..] } else { &[] };
    let supported: Vec<&str> = own.iter().copied().chain(config.proxy_extensions.iter().map(String::as_str)).collect();
    let any = |header| (header, String::from("*"));
    let fields = vec![
        (Header::Accept, String::from("*/*")),
        any(Header::AcceptEncoding),
        any(Header::AcceptLanguage),
        (Header::Supported, supported.join(", ")),
    ];
    Rejected { status: StatusCode::OK, fields }
}

/// The second part of the branch: a hash of what decides where the request goes, and of what tells requests apart.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
//# This second part MUST vary with any field used by the location
//# service logic in determining where to retarget or forward this
//# request.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
//# Hence, the
//# second part MUST depend at least on the received Request-URI and any
//# Route header field values used when processing the received request.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
//# This second part MUST NOT vary with the request method.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.4
//# When forming the second part using a hash,
//# implementations SHOULD include at least one field in the input to the
//# hash that varies between different transactions attempting to reach
//# the same destination to avoid repeated failure should the hash
//# collide.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//# If a proxy wishes to detect loops, the "branch" parameter it supplies MUST depend on
//# all information affecting processing of a request, including the incoming Request-
//# URI and any header fields affecting the request's admission or routing.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//# The request method MUST NOT be included in the calculation of the branch parameter.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//# In particular, CANCEL and ACK requests (for non-2xx responses) MUST have the same
//# branch value as the corresponding request they cancel or acknowledge.
fn loop_hash(key: HashKey, message: &Message) -> u64 {
    let mut hash = key.build_hasher();
    let mut part = |bytes: &[u8]| {
        hash.write(bytes);
        hash.write_u8(0);
    };
    part(message.request_uri_bytes().unwrap_or_default());
    for header in [Header::Route, Header::ProxyRequire, Header::ProxyAuthorization, Header::CallId] {
        message.fields(header).for_each(&mut part);
        part(&[]);
    }
    // Call-ID and CSeq tell transactions apart.
    part(&message.cseq().map_or(0, |cseq| cseq.number).to_be_bytes());
    hash.finish()
}

//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.2
//# If the second field is
//# present, the proxy MUST perform the second-part calculation described
//# in Section 4.2.1 of RFC 5393 on this request and compare the result
//# to the value from the Via header field.  If these values are equal,
//# the request has looped and the proxy MUST reject the request with a
//# 482 (Loop Detected) response.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.1
//# When a SIP proxy forks a particular request to more than one location, it MUST
//# ensure that request is not looping through this proxy.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.2
//# Proxies required to perform loop detection by RFC 5393 MUST perform the following
//# loop-detection test before forwarding a request.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.2
//# Each Via header field value in the request whose sent-by value matches a value
//# placed into previous requests by this proxy MUST be inspected for the "second part"
//# defined in Section 4.2.1 of RFC 5393.
fn check_loop(message: &Message, loop_hash: u64) -> Result<(), Rejected> {
    let own = crate::secret::digits(loop_hash);
    // Behind a dot: see `push_loop_part`. The hash is keyed: whoever has the same one is this proxy, whatever name it went by, and it stands
    // nowhere else.
    let has_own = |vias: &[u8]| {
        let mut dots = memchr::memchr_iter(b'.', vias);
        dots.any(|dot| vias.get(dot + 1..).is_some_and(|behind| behind.starts_with(&own)))
    };
    match message.fields(Header::Via).any(has_own) {
        true => Err(StatusCode::LOOP_DETECTED.into()),
        false => Ok(()),
    }
}

/// Appends the second part of a branch.
pub(super) fn push_loop_part(branch: &mut String, loop_hash: u64) {
    branch.push('.');
    crate::secret::push_u64(branch, loop_hash);
}

//= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
//# Proxies MUST have a maximum allowable Incoming Max-Breadth value,
//# which is RECOMMENDED to be 60.  If this maximum is exceeded in a
//# received request, the proxy MUST overwrite it with a value that
//# SHOULD be no greater than its allowable maximum.
fn max_breadth(config: &ProxyConfig, message: &Message) -> Result<u32, Rejected> {
    match message.max_breadth() {
        Ok(None) => Ok(config.max_breadth),
        //= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
        //# If a SIP proxy determines a response context has insufficient Incoming Max-Breadth
        //# to carry out a desired parallel fork, and the proxy is unwilling/unable to
        //# compensate by forking serially or sending a redirect, that proxy MUST return a 440
        //# (Max-Breadth Exceeded) response.
        // A value of 0 leaves room for no branch at all.
        Ok(Some(0)) => Err(StatusCode::MAX_BREADTH_EXCEEDED.into()),
        Ok(Some(breadth)) => Ok(breadth.min(config.max_breadth)),
        Err(_) => Err(StatusCode::BAD_REQUEST.into()),
    }
}
