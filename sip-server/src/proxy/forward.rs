//! Sends a request on: RFC 3261 section 16.6 with RFC 5393, 5626, 5630 and 5658.

use super::names::{Side, guess_transport};
use super::routing::push_loop_part;
use super::token::FlowToken;
use super::{Branch, BranchProgress, Context, Proxy, ProxyEvent, Stage};
use crate::id::ProxyId;
use crate::target::{FlowPath, Target};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use sip_message::uri::SipUri;
use sip_message::{Header, Message, Method, StatusCode, Uri};
use sip_transaction::{Destination, Endpoint, Path, SendErrorKind};

impl Proxy {
    /// Takes the target set and starts its first branches.
    pub(super) fn start(&mut self, endpoint: &mut Endpoint, key: ProxyId, targets: Vec<Target>) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        context.stage = Stage::Forking;
        let stateless = context.tx.is_none() || context.is_cancel();
        if let ([_], false, false) = (targets.as_slice(), stateless, self.config.recurse) {
            return self.start_only(endpoint, key, targets);
        }
        if self.config.recurse {
            context.tried.extend(targets.iter().map(|target| target.uri.clone()));
        }
        add_targets(context, targets, self.config.max_targets);
        if stateless { self.pass_on(endpoint, key) } else { self.advance(endpoint, key) }
    }

    /// Sends a request on without a transaction.
    fn pass_on(&mut self, endpoint: &mut Endpoint, key: ProxyId) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# A stateless proxy MUST choose one and only one target from the
        //# target set.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.1
        //# Any request that is forwarded to more than one location MUST be handled statefully.
        let Some(target) = context.queue.pop_front() else {
            return self.reject(endpoint, key, StatusCode::TEMPORARILY_UNAVAILABLE.into());
        };
        let (breadth, tx) = (context.routing.max_breadth, context.tx);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# Therefore, the component of the branch parameter that makes it unique MUST be the
        //# same each time a retransmitted request is forwarded.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# Thus for a stateless proxy, the branch parameter MUST be computed as a combinatoric
        //# function of message parameters which are invariant on retransmission.
        let branch = context.request.as_deref().map(|request| endpoint.stateless_branch(request)).unwrap_or_default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# A stateless proxy MUST follow the request processing steps described in Section 16.6
        //# with the following exceptions:
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# All other message transformations specified in Section 16.6 MUST result in the same
        //# transformation of a retransmitted request.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# In particular, if the proxy inserts a Record-Route value or pushes URIs into the
        //# Route header field, it MUST place the same values in retransmissions of the request.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
        //# As for the Via branch parameter, this implies that the transformations MUST be based
        //# on time-invariant configuration or retransmission-invariant properties of the
        //# request.
        let sent = self.build(endpoint, key, &target, breadth).and_then(|(message, to)| {
            let sent = endpoint.send(self.now, message, to.with_branch(branch));
            sent.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
        });
        if let Err(status) = sent {
            return self.reject(endpoint, key, status.into());
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.10
        //# If a response context is not found, the element does not have any
        //# knowledge of the request to apply the CANCEL to.  It MUST statelessly
        //# forward the CANCEL request (it may have statelessly forwarded the
        //# associated request previously).
        if let Some(tx) = tx {
            let _ = endpoint.abandon(self.now, tx);
        }
        if let Some(context) = self.contexts.get_mut(key) {
            context.stage = Stage::Answered;
        }
        self.settle(key);
    }

    /// Starts the branch of the only target there is.
    fn start_only(&mut self, endpoint: &mut Endpoint, key: ProxyId, targets: Vec<Target>) {
        for target in targets {
            let Some(context) = self.contexts.get_mut(key).filter(|context| !context.cancelled) else { return };
            (context.targets, context.group) = (1, target.q);
            let breadth = context.routing.max_breadth;
            if let Err(status) = self.launch(endpoint, key, &target, breadth) {
                self.note_failure(key, &target.instance, status);
                self.advance(endpoint, key);
            }
        }
    }

    /// Starts what branches may start now, and answers when none is left.
    pub(super) fn advance(&mut self, endpoint: &mut Endpoint, key: ProxyId) {
        while let Some(batch) = self.contexts.get_mut(key).and_then(next_batch) {
            let mut started = false;
            for (target, breadth) in batch {
                match self.launch(endpoint, key, &target, breadth) {
                    Ok(()) => started = true,
                    Err(status) => self.note_failure(key, &target.instance, status),
                }
            }
            if started {
                break;
            }
        }
        let done = self.contexts.get(key).is_some_and(|context| context.pending() == 0);
        if done {
            self.finish(endpoint, key);
        }
    }

    /// Starts one branch.
    pub(super) fn launch(
        &mut self,
        endpoint: &mut Endpoint,
        key: ProxyId,
        target: &Target,
        breadth: u32,
    ) -> Result<(), StatusCode> {
        if target.asleep {
            return self.wait_for_wake(key, target, breadth);
        }
        let (message, to) = self.build(endpoint, key, target, breadth)?;
        let branch = self.branch(key);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# A stateful proxy MUST create a new client transaction for this
        //# request as described in Section 17.1 and instructs the
        //# transaction to send the request using the address, port and
        //# transport determined in step 7.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# The proxy MUST insert a Via header field value into the copy before the existing Via
        //# header field values.
        //= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
        //# The proxy MUST insert a Via header field value into the copy before the existing Via
        //# header field values.
        let tx = endpoint.request(self.now, message, to.with_branch(branch)).map_err(|error| match error.kind {
            SendErrorKind::UnknownFlow(_) => StatusCode::FLOW_FAILED,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.9
            //# If the transport layer notifies a proxy of an error when it tries to
            //# forward a request (see Section 18.4), the proxy MUST behave as if the
            //# forwarded request received a 503 (Service Unavailable) response.
            _ => StatusCode::SERVICE_UNAVAILABLE,
        })?;
        let Some(context) = self.contexts.get_mut(key) else { return Ok(()) };
        if context.invite {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
            //# In order to handle the case where an INVITE request never
            //# generates a final response, the TU uses a timer which is called
            //# timer C.  Timer C MUST be set for each client transaction when
            //# an INVITE request is proxied.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
            //# The timer MUST be larger than 3 minutes.
            // How long it is, is the endpoint's to know; each provisional response sets it anew.
            let _ = endpoint.arm_timer_c(self.now, tx);
        }
        let instance = Box::from(target.instance.as_str());
        let state = BranchProgress::Calling;
        context.branches.push(Branch { tx: Some(tx), state, breadth, instance, asleep: None });
        self.by_client.insert(tx, key);
        Ok(())
    }

    /// The branch of a new client transaction.
    //= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
    //# Such proxies SHOULD create a branch value separable into two
    //# parts in any implementation-dependent way.
    //= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
    //= type=exception
    //= reason=the endpoint makes CANCEL and ACK with the branch of their INVITE
    //# CANCEL and non-200 ACK requests MUST have the same branch parameter value as the
    //# corresponding request they cancel or acknowledge.
    fn branch(&mut self, key: ProxyId) -> String {
        let mut branch = String::with_capacity(7 + 16 + 14);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# The first part MUST satisfy the constraints of Section 8.1.1.7 as described above.
        //= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
        //# The first part of the branch value MUST satisfy the constraints of Section 8.1.1.7.
        branch.push_str("z9hG4bK");
        self.random.push_token(&mut branch, 16);
        if let Some(context) = self.contexts.get(key) {
            push_loop_part(&mut branch, context.routing.loop_hash);
        }
        branch
    }

    /// The copy of the request for one target, and where it goes.
    fn build(
        &mut self,
        endpoint: &Endpoint,
        key: ProxyId,
        target: &Target,
        breadth: u32,
    ) -> Result<(Message, Destination), StatusCode> {
        let failed = StatusCode::SERVER_INTERNAL_ERROR;
        let context = self.contexts.get(key).ok_or(failed)?;
        let request = context.request.as_deref().ok_or(failed)?;
        let path = context.path;
        let routing = context.routing;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# The copy
        //# MUST initially contain all of the header fields from the
        //# received request.  Fields not detailed in the processing
        //# described below MUST NOT be removed.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# The proxy MUST NOT reorder field values with a common field name (See Section
        //# 7.3.1).
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# The proxy MUST NOT add to, modify, or remove the message body.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
        //# Proxies MUST NOT add values to the Proxy-Authorization header field.
        //= https://www.rfc-editor.org/rfc/rfc7616#section-3.6
        //# Proxies MUST be completely transparent in the Digest access
        //# authentication scheme.  That is, they MUST forward the WWW-
        //# Authenticate, Authentication-Info, and Authorization header fields
        //# untouched.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# The copy SHOULD maintain the ordering of the header fields as in the received
        //# request.
        let mut message = request.clone();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# The Request-URI in the copy's start line MUST be replaced with
        //# the URI for this target.
        let mut over_tls = None;
        if request.request_uri_bytes() != Some(target.uri.as_bytes()) || may_have_more(&target.uri) {
            let uri = Uri::parse(target.uri.as_bytes()).map_err(|_| StatusCode::BAD_GATEWAY)?;
            let (uri, secure) = request_uri(&uri, routing.sips)?;
            message.set_request_uri(&uri).map_err(|_| failed)?;
            over_tls = secure.then(|| target.uri.clone());
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# If the copy contains a Max-Forwards header field, the proxy
        //# MUST decrement its value by one (1).
        message.decrement_max_forwards().map_err(|_| StatusCode::TOO_MANY_HOPS)?;
        //= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
        //# If a SIP proxy receives a request with no Max-Breadth header field
        //# value, it MUST add one, with a value that is RECOMMENDED to be 60.
        //= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
        //# All proxied requests MUST contain a single Max-Breadth header field
        //# value.
        //= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
        //# A proxy MUST NOT decrement Max-Breadth for each hop or otherwise use it to restrict
        //# the "depth" of a request's propagation.
        if message.max_breadth() != Ok(Some(breadth)) {
            message.set(Header::MaxBreadth, breadth).map_err(|_| failed)?;
        }
        //= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
        //# If the received
        //# request has Route header field values beyond the one pointing to the
        //# authoritative proxy itself (this will happen when the request is a
        //# mid-dialog request), the Path URI MUST be discarded.
        let discard = routing.gruu && message.has(Header::Route);
        if !target.route.is_empty() && !discard {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
            //# This set MUST be
            //# pushed into the Route header field of the copy ahead of any
            //# existing values, if present.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
            //# If the Route header field is absent, it MUST be added, containing that list of URIs.
            message.push_route(&target.route).map_err(|_| StatusCode::BAD_GATEWAY)?;
        }
        let strict = make_strict_route(&mut message)?;
        let out = match target.flow {
            Some(flow) => Some(live(endpoint, flow).ok_or(StatusCode::FLOW_FAILED)?),
            None => None,
        };
        if let Some(out) = out {
            let sips = is_sips(message.request_uri().and_then(Result::ok).as_ref());
            //= https://www.rfc-editor.org/rfc/rfc7118#section-9.2
            //# If such a path includes a WebSocket
            //# connection, it MUST be a secure WebSocket connection.
            if (sips || over_tls.is_some()) && !out.transport.is_secure() {
                return Err(StatusCode::TEMPORARILY_UNAVAILABLE);
            }
        }
        self.guard_request(&mut message, out.as_ref());
        self.record(&mut message, &path, out.as_ref(), target)?;
        let to = match (target.flow, strict, over_tls) {
            (Some(FlowPath::Flow(flow)), ..) => Destination::flow(flow),
            (Some(FlowPath::Path(path)), ..) => Destination::path(path),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
            //# If the proxy has reformatted the
            //# request to send to a strict-routing element as described in
            //# step 6 above, the proxy MUST apply those procedures to the
            //# Request-URI of the request.
            (None, true, _) => Destination::next_hop(text(message.request_uri_bytes())),
            //= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
            //# The proxy MUST use TLS to forward the request to the UAS.
            (None, false, Some(uri)) if !message.has(Header::Route) => Destination::next_hop(uri),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
            //# Otherwise, the proxy MUST apply
            //# the procedures to the first value in the Route header field, if
            //# present, else the Request-URI.
            (None, false, _) => Destination::route(),
        };
        Ok((message, to))
    }

    /// Whether this proxy has to be on the path though it need not be otherwise: a GRUU is on one side of it, and proxies that have put
    /// themselves on the path are on that side.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-6.2
    //# o  AND the request contains Record-Route header fields,
    //# then the authoritative proxy MUST record-route.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-6.2
    //# o  AND the registration contain Path URI,
    //# then the authoritative proxy MUST record-route.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-6.2
    //# If a proxy in the terminating domain requires mid-dialog requests to
    //# pass through it for whatever reason (firewall traversal, accounting,
    //# etc.), the proxy MUST still record-route, and MUST NOT assume that a
    //# UA will utilize its GRUU in the Contact header field of its response
    fn must_record(&self, message: &Message, target: &Target) -> bool {
        let of_gruu = |contact: sip_message::Contact<'_>| {
            contact.address().and_then(|address| address.uri().ok()).is_some_and(|uri| {
                uri.as_sip().is_some_and(|uri| {
                    let own = |domain: &String| uri.has_host(domain);
                    uri.gr().is_some() && self.config.domains.iter().any(own)
                })
            })
        };
        !target.route.is_empty() && !target.instance.is_empty()
            || message.has(Header::RecordRoute) && message.contacts().flatten().any(of_gruu)
    }

    /// Puts this proxy on the path of what follows: Record-Route, or Path on a REGISTER.
    fn record(
        &mut self,
        message: &mut Message,
        path: &Path,
        out: Option<&Path>,
        target: &Target,
    ) -> Result<(), StatusCode> {
        let failed = |_| StatusCode::SERVER_INTERNAL_ERROR;
        let forms_dialog = match message.method() {
            Some(Method::Register) => return self.add_path(message, path, out),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
            //# If this request is already part of a dialog, the proxy SHOULD insert a Record-Route
            //# header field value if it wishes to remain on the path of future requests in the
            //# dialog.
            Some(Method::Invite | Method::Subscribe | Method::Refer | Method::Notify) => true,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
            //# If a proxy needs to be in the path of any type of dialog (such
            //# as one straddling a firewall), it SHOULD add a Record-Route
            //# header field value to every request with a method it does not
            //# understand since that method may have dialog semantics.
            Some(Method::Other(_)) => true,
            _ => false,
        };
        if !forms_dialog || !self.config.record_route && !self.must_record(message, target) {
            return Ok(());
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# If this proxy wishes to remain on the path of future requests in a dialog created by
        //# this request (assuming the request creates a dialog), it MUST insert a Record-Route
        //# header field value into the copy before any existing Record-Route header field
        //# values, even if a Route header field is already present.
        let asked = message.request_uri().and_then(Result::ok);
        let next = if message.has(Header::Route) { next_hop(message) } else { asked };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# If the
        //# Request-URI contains a SIPS URI, or the topmost Route header
        //# field value (after the post processing of bullet 6) contains a
        //# SIPS URI, the URI placed into the Record-Route header field
        //# MUST be a SIPS URI.
        let secure = is_sips(asked.as_ref()) || is_sips(next.as_ref());
        let out_transport = out.map(|out| out.transport).or_else(|| next.as_ref().and_then(guess_transport));
        // A flow without TLS leads nowhere that a `sips:` URI may.
        let usable = |path: &Path| !secure || path.transport.is_secure();
        let token_in = token_in(message, path).filter(|_| usable(path));
        let token_out = out.filter(|out| usable(out) && !is_where_it_says(&target.uri, out));
        let token_out =
            token_out.map(|out| FlowToken::of(out, !out.transport.is_websocket() && target.instance.is_empty()));
        let from = Side::of(path, secure, token_in);
        let toward = Side::toward(out_transport, address_toward(out, next.as_ref()), secure, token_out);
        let there = local_toward(path, out, &toward);
        // Where nobody knows yet what the next hop is reached by, UDP is what a URI without a word means.
        //= https://www.rfc-editor.org/rfc/rfc5658#section-6.2
        //# Thus, if the transport
        //# protocol changed between its incoming and outgoing sides, the proxy
        //# SHOULD use the double Record-Route technique and SHOULD add a
        //# transport parameter to each of the Record-Route URIs it inserts.
        //= https://www.rfc-editor.org/rfc/rfc5658#section-6.2
        //# By extension, a proxy
        //# SHOULD also insert a Record-Route header for any multi-homed
        //# situation (as the ones described in this document: scheme changes,
        //# sigcomp, IPv4/IPv6, transport changes, etc.) that may impact the
        //# processing of proxies being on the path of subsequent requests.
        let same = toward.transport == path.transport && self.names.is_one_for(&from, path.local, &toward, there);
        let mut line = String::with_capacity(96);
        if same && (token_in.is_none() || token_out.is_none()) && !path.transport.is_websocket() {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
            //# The URI SHOULD NOT contain the transport parameter unless the proxy has knowledge
            //# (such as in a private network) that the next downstream element that will be in the
            //# path of subsequent requests supports that transport.
            //= https://www.rfc-editor.org/rfc/rfc5658#section-3.2
            //# The URI SHOULD NOT contain the transport parameter unless the proxy has knowledge
            //# (such as in a private network) that the next downstream element that will be in the
            //# path of subsequent requests supports that transport.
            //= https://www.rfc-editor.org/rfc/rfc5658#section-6
            //# The URI SHOULD NOT contain the transport parameter unless the proxy has knowledge
            //# (such as in a private network) that the next downstream element that will be in the
            //# path of subsequent requests supports that transport.
            // The transport is said only if both sides are known to have it.
            let say_transport = out_transport.is_some() && path.transport.is_stream();
            let token = token_in.or(token_out);
            let side = Side { say_transport, token, ..from };
            self.names.write(&mut line, &self.tokens, &side, Some(path.local));
            return message.push_record_route(&line).map_err(failed);
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# Furthermore, if the request was not received over TLS, the proxy MUST insert a
        //# Record-Route header field.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //# In a similar fashion, a proxy that receives a request over TLS, but generates a
        //# request without a SIPS URI in the Request-URI or topmost Route header field value
        //# (after the post processing of bullet 6), MUST insert a Record-Route header field
        //# that is not a SIPS URI.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
        //= type=exception
        //= reason=it needs no rewriting: each side has a value of its own (RFC 5658)
        //# If the URI placed in the Record-Route header field needs to be rewritten when it
        //# passes back through in a response, the URI MUST be distinct enough to locate at that
        //# time.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //= type=exception
        //= reason=RFC 5630 appendix A deletes the paragraph: a sips URI in the route set asks for sips contacts (12.1.1)
        //# If the proxy received the request over TLS, and sent it out over a non-TLS
        //# connection, the proxy MUST rewrite the URI in the Record-Route header field to be a
        //# SIPS URI.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# If the proxy received the request over a non-TLS connection, and sent it out over
        //# TLS, the proxy MUST rewrite the URI in the Record-Route header field to be a SIP
        //# URI.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //= type=exception
        //= reason=nothing is rewritten: each side has a value of its own (RFC 5658)
        //# The new URI provided by the proxy MUST satisfy the same constraints on URIs placed
        //# in Record-Route header fields in requests (see Step 4 of Section 16.6) with the
        //# following modifications:
        //= https://www.rfc-editor.org/rfc/rfc5658#section-6.2
        //# In order to handle this situation, this document recommends that a proxy SHOULD
        //# apply the double Record-Routing technique as soon as it changes the transport
        //# protocol between its incoming and outgoing sides.
        //= https://www.rfc-editor.org/rfc/rfc5658#section-7
        //# Double Record-Routing is presented as the technique that SHOULD be used, and is
        //# documented in Section 5.
        // One value for each side, so that each is reached as it reaches us: RFC 5658 section 5. Of the two the one for the next hop
        // stands on top.
        self.names.write(&mut line, &self.tokens, &from, Some(path.local));
        message.push_record_route(&line).map_err(failed)?;
        line.clear();
        self.names.write(&mut line, &self.tokens, &toward, there);
        message.push_record_route(&line).map_err(failed)
    }

    //= https://www.rfc-editor.org/rfc/rfc5626#section-5.1
    //# If the edge proxy is the first hop, as
    //# indicated by the Via header field, it MUST insert its URI in a Path
    //# header field value as described in [RFC3327].
    //= https://www.rfc-editor.org/rfc/rfc5626#section-5.1
    //# In addition, if the edge proxy is the first SIP node
    //# after the UAC, the edge proxy either MUST store a "flow token"
    //# (containing information about the flow from the previous hop) in its
    //# Path URI or reject the request.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-5.1
    //# In addition, the first node MUST include an
    //# "ob" URI parameter in its Path header field value.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-5.1
    //# If the edge proxy
    //# is not the first SIP node after the UAC it MUST NOT place an "ob" URI
    //# parameter in a Path header field value.
    fn add_path(&mut self, message: &mut Message, path: &Path, out: Option<&Path>) -> Result<(), StatusCode> {
        //= https://www.rfc-editor.org/rfc/rfc3327#section-5.2
        //# Intermediate proxies SHOULD NOT add a Path header field to a request
        //# unless the UA has indicated support for this extension with a
        //# Supported header field value.
        if !self.config.edge || message.vias().count() != 1 || !message.supports("path") {
            return Ok(());
        }
        let failed = |_| StatusCode::SERVER_INTERNAL_ERROR;
        // The registrar uses it, so it says how the registrar's side reaches this proxy; its token, which flow the user agent is on.
        let next = next_hop(message);
        let secure = is_sips(message.request_uri().and_then(Result::ok).as_ref()) || is_sips(next.as_ref());
        let out_transport = out.map(|out| out.transport).or_else(|| next.as_ref().and_then(guess_transport));
        let token = Some(FlowToken::of(path, false));
        let there = address_toward(out, next.as_ref());
        let side = Side { ob: true, ..Side::toward(out_transport, there, secure, token) };
        let mut line = String::with_capacity(96);
        self.names.write(&mut line, &self.tokens, &side, local_toward(path, out, &side));
        match message.has(Header::Path) {
            true => message.push_front(Header::Path, &line).map_err(failed)?,
            false => message.push(Header::Path, &line).map_err(failed)?,
        }
        //= https://www.rfc-editor.org/rfc/rfc3327#section-5.2
        //# If the UA has indicated support and
        //# the proxy requires the registrar to support the Path extension, then
        //# the proxy SHOULD insert a Requires header field value for this
        //# extension.
        if !message.requires("path") {
            message.push(Header::Require, "path").map_err(failed)?;
        }
        Ok(())
    }

    /// Tells the host that a request has had its final answer, if it knows of the request at all.
    pub(super) fn tell_answered(&mut self, key: ProxyId, status: StatusCode) {
        if self.contexts.get(key).is_some_and(|context| context.told) {
            self.events.push_back(ProxyEvent::Answered { id: key, status });
        }
    }
}

/// Adds targets that are not in the set yet, behind all of the same or a higher q.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//# If a target
//# URI is already present in the set (based on the definition of
//# equality for the URI type), it MUST NOT be added again.
pub(super) fn add_targets(context: &mut Context, targets: Vec<Target>, max: usize) {
    for target in targets {
        // Two flows to one instance have the same contact: what is the same must be the same all through.
        let is_it =
            |other: &Target| other.flow == target.flow && other.route == target.route && same_uri(other, &target);
        if context.targets as usize >= max || context.queue.iter().any(is_it) {
            continue;
        }
        context.targets += 1;
        let place = context.queue.iter().position(|other| other.q < target.q).unwrap_or(context.queue.len());
        context.queue.insert(place, target);
    }
}

fn same_uri(a: &Target, b: &Target) -> bool {
    let both = || Uri::parse(a.uri.as_bytes()).ok().zip(Uri::parse(b.uri.as_bytes()).ok());
    a.uri == b.uri || both().is_some_and(|(a, b)| a.equivalent(&b))
}

/// The targets to try now, each with its share of Max-Breadth: those with the highest q that is left, one of each instance.
/// `None` if it is not the time for any.
//= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
//# SIP proxies MUST NOT allow the Outgoing Max-Breadth to exceed the
//# Incoming Max-Breadth in a given response context.
fn next_batch(context: &mut Context) -> Option<Vec<(Target, u32)>> {
    if context.stage != Stage::Forking || context.cancelled {
        return None;
    }
    //= https://www.rfc-editor.org/rfc/rfc5626#section-7
    //# If the proxy receives a final response from a branch other than a
    //# 408 (Request Timeout) or a 430 (Flow Failed) response, the proxy
    //# MUST NOT forward the same request to another target representing
    //# the same AOR and instance-id.
    let answered = core::mem::take(&mut context.answered);
    context.queue.retain(|target| target.instance.is_empty() || !answered.contains(&target.instance));
    context.answered = answered;
    if context.pending() == 0 {
        context.group = context.queue.front()?.q;
    }
    let free = context.routing.max_breadth.saturating_sub(context.breadth_out());
    let mut batch: Vec<(Target, u32)> = Vec::new();
    let mut at = 0;
    // Max-Breadth that does not suffice makes the rest wait: serial forking instead of parallel.
    while (batch.len() as u32) < free {
        let Some(target) = context.queue.get(at).filter(|target| target.q >= context.group) else { break };
        //= https://www.rfc-editor.org/rfc/rfc5626#section-7
        //# The proxy MUST NOT populate the target set with more than one
        //# contact with the same AOR and instance-id at a time.
        let active = |branch: &Branch| branch.state != BranchProgress::Done && *branch.instance == *target.instance;
        let busy = !target.instance.is_empty()
            && (context.branches.iter().any(active)
                || batch.iter().any(|(other, _)| other.instance == target.instance));
        if busy {
            at += 1;
        } else if let Some(target) = context.queue.remove(at) {
            batch.push((target, 0));
        }
    }
    let count = batch.len() as u32;
    for (n, (_, breadth)) in batch.iter_mut().enumerate() {
        *breadth = free / count + u32::from((n as u32) < free % count);
    }
    (!batch.is_empty()).then_some(batch)
}

/// The token for the way back to where a request came from, if that cannot or need not be found in any other way.
fn token_in(message: &Message, path: &Path) -> Option<FlowToken> {
    // A browser cannot be connected to, whoever stands between.
    if path.transport.is_websocket() {
        return Some(FlowToken::of(path, false));
    }
    if message.vias().count() != 1 {
        return None;
    }
    let ob = |contact: sip_message::Contact<'_>| {
        contact.address().is_some_and(|address| address.uri().is_ok_and(|uri| uri.as_sip().is_some_and(SipUri::ob)))
    };
    let wants_flow = message.contacts().flatten().any(ob);
    // It says another address than it comes from.
    let behind_nat = message.top_via().is_ok_and(|via| {
        via.sent_by().is_ok_and(|(host, port)| {
            let port = port.unwrap_or(path.transport.default_port());
            host.ip().is_some_and(|ip| ip != path.remote.ip() || port != path.remote.port())
        })
    });
    (wants_flow || path.transport.is_connected() || behind_nat).then(|| FlowToken::of(path, !wants_flow))
}

/// The local address of the side toward the next hop, if it is known.
fn local_toward(path: &Path, out: Option<&Path>, side: &Side) -> Option<SocketAddr> {
    let same = side.transport == path.transport && side.has(path.local.ip());
    out.map(|out| out.local).or(same.then_some(path.local))
}

/// An address on the side toward the next hop, if its flow or its URI tells one.
fn address_toward(out: Option<&Path>, next: Option<&Uri<'_>>) -> Option<IpAddr> {
    out.map(|out| out.remote.ip()).or_else(|| next?.as_sip()?.host().ip())
}

/// Whether a contact on UDP is reached at the address its URI says, so that it needs no flow token.
fn is_where_it_says(uri: &str, path: &Path) -> bool {
    let Ok(Uri::Sip(uri)) = Uri::parse(uri.as_bytes()) else { return false };
    let port = uri.port().unwrap_or(path.transport.default_port());
    !path.transport.is_connected() && uri.host().ip() == Some(path.remote.ip()) && port == path.remote.port()
}

fn live(endpoint: &Endpoint, flow: FlowPath) -> Option<Path> {
    let path = endpoint.flow_path(flow.flow())?;
    Some(match flow {
        FlowPath::Flow(_) => path,
        FlowPath::Path(registered) => Path { remote: registered.remote, ..path },
    })
}

fn is_sips(uri: Option<&Uri<'_>>) -> bool {
    uri.and_then(Uri::as_sip).is_some_and(SipUri::is_sips)
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// The URI that decides on the next hop.
pub(super) fn next_hop(message: &Message) -> Option<Uri<'_>> {
    match message.routes().next() {
        Some(route) => route.ok()?.uri().ok(),
        None => message.request_uri()?.ok(),
    }
}

/// Whether a URI may have something that a Request-URI must not have: headers, or the `method` parameter.
fn may_have_more(uri: &str) -> bool {
    uri.contains('?') || uri.as_bytes().windows(8).any(|part| part.eq_ignore_ascii_case(b";method="))
}

/// The Request-URI for a target, and whether it must be reached over TLS though it is no `sips:` URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//# If the URI contains any parameters
//# not allowed in a Request-URI, they MUST be removed.
fn request_uri(uri: &Uri<'_>, was_sips: bool) -> Result<(String, bool), StatusCode> {
    let Some(sip) = uri.as_sip() else { return Ok((uri.as_str().into(), false)) };
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
    //# Specifically,
    //# when a proxy receives a request with a SIPS Request-URI, the proxy
    //# MUST only forward or retarget the request to a SIPS Request-URI.
    if was_sips && !sip.is_sips() {
        return Err(StatusCode::TEMPORARILY_UNAVAILABLE);
    }
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
    //# When a proxy receives a request with a SIP Request-URI, the proxy
    //# MUST NOT forward the request to a SIPS Request-URI.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
    //# If the target
    //# UAS had registered previously using a SIPS Contact header field, and
    //# the proxy decides to forward the request, the proxy MUST replace that
    //# SIPS scheme with a SIP scheme while leaving the rest of the URI as
    //# is, and use the resulting URI as the Request-URI of the forwarded
    //# request.
    let lowered = sip.is_sips() && !was_sips;
    let has_method = sip.params().has("method");
    let bare = sip.without_headers();
    let mut out = String::with_capacity(bare.len());
    out.push_str(if sip.is_sips() && !lowered { "sips:" } else { "sip:" });
    let rest = bare.split_once(':').map_or(bare, |(_, rest)| rest);
    if !has_method {
        out.push_str(rest);
        return Ok((out, lowered));
    }
    let params = sip.params().as_str();
    out.push_str(rest.strip_suffix(params).unwrap_or(rest));
    for param in sip.params().filter(|param| !param.name.eq_ignore_case("method")) {
        out.push(';');
        out.push_str(param.name.as_str());
        if let Some(value) = param.value {
            out.push('=');
            out.push_str(value.as_str());
        }
    }
    Ok((out, lowered))
}

/// Makes the request what a strict router expects, if the next hop is one; tells whether it is.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//# If the copy contains a Route header field, the proxy MUST
//# inspect the URI in its first value.  If that URI does not
//# contain an lr parameter, the proxy MUST modify the copy as
//# follows:
fn make_strict_route(message: &mut Message) -> Result<bool, StatusCode> {
    let Some(route) = message.routes().next() else { return Ok(false) };
    let uri = route.and_then(|route| {
        let bad = |error: sip_message::ValueError| sip_message::HeaderError {
            header: Header::Route,
            fault: Some(error.kind),
            offset: error.offset,
        };
        route.uri().map_err(bad)
    });
    let uri = uri.map_err(|_| StatusCode::BAD_REQUEST)?;
    if uri.as_sip().is_none_or(SipUri::lr) {
        return Ok(false);
    }
    let (first, own) = (text(Some(uri.as_bytes())), text(message.request_uri_bytes()));
    let failed = |_| StatusCode::BAD_REQUEST;
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
    //# -  The proxy MUST place the Request-URI into the Route header
    //# field as the last value.
    message.push(Header::Route, format_args!("<{own}>")).map_err(failed)?;
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
    //# -  The proxy MUST then place the first Route header field value
    //# into the Request-URI and remove that value from the Route
    //# header field.
    message.pop_route();
    message.set_request_uri(&first).map_err(failed)?;
    Ok(true)
}
