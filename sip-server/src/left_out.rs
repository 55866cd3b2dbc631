//! What the RFCs ask for and this crate leaves to others, each with the reason. There is no code here.

// RFC 3261: what a proxy should do that the host does here, or nobody.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.1
//= type=exception
//= reason=a request that was forwarded with state keeps it
//# The proxy SHOULD NOT initiate a CANCEL request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=exception
//= reason=users are found by their whole name or not at all; a host that knows several answers by Decision::Reject
//# If the Request-URI does not provide sufficient information for the proxy to
//# determine the target set, it SHOULD return a 485 (Ambiguous) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=exception
//= reason=users are found by their whole name or not at all; a host that knows several answers by Decision::Reject
//# This response SHOULD contain a Contact header field containing URIs of new addresses
//# to be tried.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=exception
//= reason=who registers meanwhile gets no call that began before, but for those whom a push has woken for it (RFC 8599)
//# If a proxy uses a dynamic source of information while building the target set (for
//# instance, if it consults a SIP Registrar), it SHOULD monitor that source for the
//# duration of processing the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=exception
//= reason=who registers meanwhile gets no call that began before, but for those whom a push has woken for it (RFC 8599)
//# New locations SHOULD be added to the target set as they become available.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=exception
//= reason=a scheme is changed by the host alone, which can name the other URI as a further target
//# If a proxy receives a 416 (Unsupported URI Scheme) response to a request whose
//# Request-URI scheme was not SIP, but the scheme in the original received request was
//# SIP or SIPS (that is, the proxy changed the scheme from SIP or SIPS to something
//# else when it proxied a request), the proxy SHOULD add a new URI to the target set.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=exception
//= reason=a scheme is changed by the host alone, which can name the other URI as a further target
//# This URI SHOULD be a SIP URI version of the non-SIP URI that was just tried.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=exception
//= reason=there is no recursion on a 416
//# As with a 3xx response, if a proxy "recurses" on the 416 by trying a SIP or SIPS URI
//# instead, the 416 response SHOULD NOT be added to the response context.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=exception
//= reason=nothing is rewritten: each side has a value of its own (RFC 5658)
//# The URI SHOULD NOT contain the transport parameter unless the proxy has knowledge
//# that the next upstream (as opposed to downstream) element that will be in the path
//# of subsequent requests supports that transport.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=exception
//= reason=nothing is rewritten: each side has a value of its own (RFC 5658)
//# A RECOMMENDED mechanism to achieve this is for the proxy to append a unique
//# identifier for the proxy instance to the user portion of the URI.

// RFC 5658: what user agents do.
//= https://www.rfc-editor.org/rfc/rfc5658#section-6.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# This ability to force the transport protocol in UAs for initial requests SHOULD be
//# avoided: selecting the transport protocol in the configuration of an outbound proxy
//# means that [RFC3263] procedure is bypassed for initial requests.
//= https://www.rfc-editor.org/rfc/rfc5658#section-6.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If a UA really wants to avoid transport protocol switching between the initial and
//# subsequent request, it SHOULD rely on DNS records for that; thus, it SHOULD avoid
//# configuring statically the outbound proxy with a numeric IP address.
//= https://www.rfc-editor.org/rfc/rfc5658#section-6.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# A logical name, with no transport parameter, SHOULD be used instead.
//= https://www.rfc-editor.org/rfc/rfc5658#section-7
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# UAs SHOULD NOT offer options to overwrite the transport for initial requests.
//= https://www.rfc-editor.org/rfc/rfc5658#section-7
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# Further, UAs SHOULD rely on DNS to express their desired transport and SHOULD avoid
//# IP addresses with transport parameters in this case.

// RFC 5922: certificates are the host's.
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.5
//= type=exception
//= reason=TLS is the host's: it takes the names of a certificate by names::domains
//# A proxy MUST use the procedures defined for a User Agent Server (UAS)
//# in Section 7.4 when authenticating a connection from a client.
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.5
//= type=exception
//= reason=TLS is the host's: it compares by names::identifies what the endpoint tells it to connect to
//# A proxy MUST use the procedures defined for a User Agent Client (UAC)
//# in Section 7.3 when requesting an authenticated connection to a UAS.
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.5
//= type=exception
//= reason=what the proxy is called is ProxyConfig::advertised, and which names its certificate shows the host knows
//# If a proxy adds a Record-Route when forwarding a request with the
//# expectation that the route is to use secure connections, the proxy
//# MUST insert into the Record-Route header a URI that corresponds to an
//# identity for which the proxy has a certificate;

// RFC 5630: what is the host's, and what is the clients'.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=exception
//= reason=the transport for a sip URI is what RFC 3263 says, which the domains decide; who registers over TLS is called over that connection
//# Proxies SHOULD transport requests using a SIP URI over TLS when it is
//# possible to set up a TLS connection, or reuse an existing one.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=exception
//= reason=nothing is refused for that: the contacts of a request are its user agents' affair
//# If a proxy needs to reject a request because the URIs are used
//# inconsistently (e.g., the Request-URI is a SIPS URI, but the Contact
//# header field is a SIP URI), the proxy SHOULD use response code 400
//# (Bad Request).
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
//= type=exception
//= reason=nothing is refused for that: the contacts of a request are its user agents' affair
//# If a redirect server needs to reject a request because the URIs are
//# used inconsistently (e.g., the Request-URI is a SIPS URI, but the
//# Contact header field is a SIP URI), the redirect server SHOULD use
//# response code 400 (Bad Request).
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=exception
//= reason=without it a sip URI with an address or a port means UDP, and a sips URI makes the dialog's contacts sips (RFC 3261 12.1.1)
//# To emphasize what is already defined in [RFC3261], proxies MUST NOT
//# use the "transport=tls" parameter.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
//= type=exception
//= reason=a contact is shown as its client has registered it, and nothing is put into it
//# To emphasize what is already defined in [RFC3261], redirect servers
//# MUST NOT use the "transport=tls" parameter.

// RFC 5627: what user agents do.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# When a UA compliant to this specification generates a REGISTER request (initial or
//# refresh), it MUST include the Supported header field in the request.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# The value of that header field MUST include "gruu" as one of the option tags.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# Furthermore, for each contact for which the UA desires to obtain a GRUU, the UA MUST
//# include a "sip.instance" media feature tag (see RFC 5626 [14]) as a UA characteristic
//# (see [7]), whose value MUST be the instance ID that identifies the UA instance being
//# registered.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# The contact URI MUST NOT be equivalent, based on the URI equality rules in RFC 3261
//# [1], to the AOR in the To header field.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If the contact URI is a GRUU, it MUST NOT be a GRUU for the AOR in the To header
//# field.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# Consequently, if a UA wishes its previously obtained temporary GRUUs to remain valid,
//# it MUST utilize the same Call-ID in REGISTER refreshes.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If a UA instance is trying to register multiple contacts for the same instance for the
//# purposes of redundancy, it MUST use the procedures defined in RFC 5626 [14].
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.2
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# A UA MUST be prepared for a Contact header field to contain just a "pub-gruu", just a
//# "temp-gruu", neither, or both.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.2
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# However, a UA MUST be prepared for the public GRUU to change from a previous one,
//# since the persistence property is not guaranteed with complete certainty.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.2
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If a UA changed its Call-ID in this REGISTER request compared to a previous REGISTER
//# request for the same contact or reg-id, the UA MUST discard all temporary GRUUs
//# learned through prior REGISTER responses.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.2
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# Consequently, the UA MUST refresh its registration such that the REGISTER refresh
//# transaction will either complete or timeout prior to the expiration of the
//# registration.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.2
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# A user agent implementing both RFC 3680 [24] and GRUU MUST also implement the
//# extensions to RFC 3680 [24] for conveying information on GRUU, as defined in RFC 5628
//# [28], as these are necessary to keep the set of temporary GRUUs synchronized between
//# the UA and the registrar.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.2
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# The user and host parts of the GRUU learned by the UA in the REGISTER response MUST be
//# treated opaquely by the UA.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.2
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# That is, the UA MUST NOT modify them in any way.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.2
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# A UA MUST NOT modify or remove URI parameters it does not recognize.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.2
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# Furthermore, the UA MUST NOT add, remove, or modify URI parameters relevant for
//# receipt and processing of request at the proxy, including the transport, lr, maddr,
//# ttl, user, and comp (see RFC 3486 [25]) URI parameters.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.3
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# Like all other GRUUs, the URI MUST contain the "gr" URI parameter, with or without a
//# value, indicating it is a GRUU.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.4
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# When using a GRUU obtained through registrations, a UA MUST have an active
//# registration prior to using a GRUU, and MUST use a GRUU learned through that
//# registration.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.4
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# It MUST NOT reuse a GRUU learned through a previous registration that has lapsed (in
//# other words, one obtained when registering a contact that has expired).
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.4
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# A UA MUST NOT use a temporary GRUU learned in a REGISTER response whose Call-ID
//# differs from the one in the most recent REGISTER request generated by the UA for the
//# same AOR and instance ID (and, if RFC 5626 [14] is in use, reg-id).

// RFC 5627: what is not here.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.5
//= type=exception
//= reason=RegInfo has no GRUUs in its documents (RFC 5628); a subscriber learns its contacts, and its GRUUs by REGISTER
//# If a registrar is supporting RFC 3680 [24] and GRUU, it MUST also support RFC 5628
//# [28].
//= https://www.rfc-editor.org/rfc/rfc5627#section-10.1
//= type=exception
//= reason=TLS is the transport's, whose host makes the connections; sips URIs are held and resolved
//# Proxies and registrars MUST support the SIPS URI and MUST support TLS.

// RFC 3261: TLS itself.
//= https://www.rfc-editor.org/rfc/rfc3261#section-26.2.1
//= type=exception
//= reason=the host makes the TLS connections, with the suites of its library
//# The TLS_RSA_WITH_AES_128_CBC_SHA ciphersuite [6] MUST be supported at a minimum by
//# implementers when TLS is used in a SIP application.

// RFC 8599: what user agents do.
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# For privacy and security reasons, a UA MUST NOT insert the SIP URI parameters (except
//# for the 'pn-purr' parameter) defined in this specification in non-REGISTER requests in
//# order to prevent the PNS information associated with the UA from reaching the remote
//# peer.
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# For example, the UA MUST NOT insert the 'pn-prid' SIP URI parameter in the Contact
//# header field URI of an INVITE request.
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# However, the registrar MUST still ensure that the parameters are not sent to other
//# users, e.g., using the mechanism defined by the SIP event package for registrations
//# [RFC3680].
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# To request push notifications from the SIP network, the UA MUST insert the following
//# SIP URI parameters in the SIP Contact header field URI of the REGISTER request:
//# 'pn-provider', 'pn-prid', and 'pn-param' (if required for the specific PNS).
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If the UA receives a non-2xx response to the REGISTER, or if the UA receives a 2xx
//# response that does not contain a Feature-Caps header field [RFC6809] with a 'sip.pns'
//# feature-capability indicator, the UA MUST NOT assume the proxy will request that push
//# notifications are sent to the UA.
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If a PRID is no longer valid, and the UA is not able to retrieve a new PRID, the UA
//# MUST disable the push notifications associated with the PRID (Section 4.1.2).
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.2
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# When the UA sends the REGISTER request for removing the binding, the UA MUST NOT
//# insert the 'pn-prid' SIP URI parameter in the Contact header field URI of the REGISTER
//# request.
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.3
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# When a UA receives a push notification, the UA MUST send a binding-refresh REGISTER
//# request.
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.3
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# The UA MUST insert the same set of 'pn-*' SIP URI parameters in the SIP Contact header
//# field URI of the REGISTER request that it inserted when it requested push
//# notifications (Section 4.1.1).
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.3
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If the SIP UA has created multiple bindings, the UA MUST send a binding-refresh
//# REGISTER request for each of those bindings when it receives a push notification.
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.4
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If a UA is able to send binding-refresh REGISTER requests using a non-push mechanism
//# (e.g., using an internal timer that periodically wakes the UA), the UA MUST insert a
//# 'sip.pnsreg' media feature tag [RFC3840] in the Contact header field of each REGISTER
//# request.
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.4
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If the UA receives a 2xx response to the REGISTER request that contains a Feature-Caps
//# header field with a 'sip.pnsreq' feature-capability indicator, the UA MUST send a
//# binding-refresh REGISTER request prior to binding expiration.
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.4
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# Even if the UA is able to send binding-refresh REGISTER requests using a non-push
//# mechanism, the UA MUST still send a binding-refresh REGISTER request whenever it
//# receives a push notification (Section 4.1.3).
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.5
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# In order to perform a query, the UA MUST insert a 'pn-provider' SIP URI parameter in
//# the Contact header field URI of the REGISTER request:
//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.5
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# The UA MUST NOT insert a 'pn-prid' SIP URI parameter in the Contact header field URI
//# of the REGISTER request.
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.1.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If the UA is willing to receive push notifications when a proxy receives a mid-dialog
//# request addressed towards the UA, the UA MUST insert a 'pn-purr' SIP URI parameter
//# (Section 6.2.1) in the Contact header field URI of the initial request for a dialog or
//# the 2xx response to such requests.
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.1.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# The UA MUST insert a parameter value identical to the last 'sip.pnspurr'
//# feature-capability indicator (Section 6.2.1) that it received in a REGISTER response.
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.1.1
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# If the UA has not received a 'sip.pnspurr' feature-capability indicator, the UA MUST
//# NOT insert a 'pn-purr' SIP URI parameter in a request or response.
//= https://www.rfc-editor.org/rfc/rfc8599#section-8.4
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# The indicator value conveys the minimum time (given in seconds) prior to the binding
//# expiration when the UA MUST send the REGISTER request.
//= https://www.rfc-editor.org/rfc/rfc8599#section-14.3.3
//= type=exception
//= reason=a rule for user agents, which these cores are not
//# The indicator value conveys the minimum time (given in seconds) prior to the binding
//# expiration when the UA MUST send the REGISTER request.

// RFC 8599: what is left out.
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.1.1
//= type=exception
//= reason=an optional part (section 6, section 7) that is left out
//# If the UA is willing to receive push notifications when a proxy receives a mid-dialog
//# request addressed towards the UA, the UA MUST insert a 'pn-purr' SIP URI parameter
//# (Section 6.2.1) in the Contact header field URI of the initial request for a dialog or
//# the 2xx response to such requests.
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.1.1
//= type=exception
//= reason=an optional part (section 6, section 7) that is left out
//# The UA MUST insert a parameter value identical to the last 'sip.pnspurr'
//# feature-capability indicator (Section 6.2.1) that it received in a REGISTER response.
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.1.1
//= type=exception
//= reason=an optional part (section 6, section 7) that is left out
//# If the UA has not received a 'sip.pnspurr' feature-capability indicator, the UA MUST
//# NOT insert a 'pn-purr' SIP URI parameter in a request or response.
//= https://www.rfc-editor.org/rfc/rfc8599#section-7
//= type=exception
//= reason=an optional part (section 6, section 7) that is left out
//# The proxy MUST provide a PURR to the UA during registration (Section 6.2.1).
//= https://www.rfc-editor.org/rfc/rfc8599#section-7
//= type=exception
//= reason=an optional part (section 6, section 7) that is left out
//# The UA MUST insert a 'pn-purr' SIP URI parameter in the Contact header field URI of
//# either the initial request for a dialog or a 2xx response to such requests (Section
//# 6.1.1).
//= https://www.rfc-editor.org/rfc/rfc8599#section-7
//= type=exception
//= reason=an optional part (section 6, section 7) that is left out
//# The proxy MUST apply the mechanism defined in Section 6.2.3 to place and retrieve the
//# request from the SIP Request Push Bucket.

// RFC 8599: what others see to.
//= https://www.rfc-editor.org/rfc/rfc8599#section-13
//= type=exception
//= reason=the operator's to see to
//# Operators MUST ensure that the SIP signaling is properly secured, e.g., using
//# encryption, from malicious network entities.
//= https://www.rfc-editor.org/rfc/rfc8599#section-13
//= type=exception
//= reason=the operator's to see to
//# TLS MUST be used unless the operators know that the signaling is secured using some
//# other mechanism that provides strong crypto properties.
//= https://www.rfc-editor.org/rfc/rfc8599#section-13
//= type=exception
//= reason=the operator's to see to
//# As the PNS-related SIP URI parameters conveyed in the REGISTER request contain
//# sensitive information, operators that support the event package MUST ensure that event
//# package subscriptions are properly authenticated and authorized, and that the SIP URI
//# parameters are not inserted in event notifications sent to other users or to
//# non-trusted network entities.

// RFC 8599: how services are specified.
//= https://www.rfc-editor.org/rfc/rfc8599#section-9
//= type=exception
//= reason=a rule for specifications
//# That specification MUST contain the following information:
//= https://www.rfc-editor.org/rfc/rfc8599#section-12
//= type=exception
//= reason=a rule for specifications
//# The value of the 'pn-param' URI parameter MUST NOT be used.

// RFC 5627, 8599 and 8760: what explains or is for others.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.3
//= type=exception
//= reason=an explanation, no requirement
//# The requirements for doing so are at SHOULD strength and not MUST strength because of
//# the difficulty in meeting a MUST strength requirement; registrar failures could cause
//# the set of valid GRUUs to be lost, and this specification requires the UA to be robust
//# against such cases.
//= https://www.rfc-editor.org/rfc/rfc8760#section-2.4
//= type=exception
//= reason=a rule for clients
//# The client MUST ignore any challenge it does not understand.
//= https://www.rfc-editor.org/rfc/rfc8599#section-1
//= type=exception
//= reason=the operator's to see to
//# The SIP proxy MUST be in the signaling path of REGISTER requests sent by the UA
//# towards the registrar, and of SIP requests (for a new dialog or a standalone)
//# forwarded by the proxy responsible for the UA's domain (sometimes referred to as home
//# proxy, Serving Call Session Control Function (S-CSCF), etc.) towards the UA.

// RFC 5658 section 3.2: what RFC 3261 says, quoted there as the problem; double Record-Routing takes its place.
//= https://www.rfc-editor.org/rfc/rfc5658#section-3.2
//= type=exception
//= reason=a quotation of RFC 3261 section 16.6 item 4, cited there
//# The URI placed in the Record-Route header field value MUST be a
//# SIP or SIPS URI. [...]
//= https://www.rfc-editor.org/rfc/rfc5658#section-3.2
//= type=exception
//= reason=a quotation of RFC 3261 section 16.7 step 8, which RFC 5630 has removed
//# If the proxy received the request over Transport Layer Security
//# (TLS), and sent it out over a non-TLS connection, the proxy MUST
//# rewrite the URI in the Record-Route header field to be a SIPS URI.

// RFC 3903: what is not the compositor's.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=the state is kept in memory: nothing can fail between the decision and the change
//# If internal
//# errors (such as the inability to access a back-end database) occur
//# before processing is complete, the publication MUST NOT succeed,
//# and the ESC MUST fail with an appropriate error response, such as
//# 504 (Server Time-out), and skip the last step.

// RFC 7616 speaks of HTTP: what is the clients', and what SIP has in its place.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
//= type=exception
//= reason=a rule for clients, which these cores are not
//# This parameter is not meaningful in
//# Proxy-Authenticate header fields, for which the protection space
//# is always the entire proxy; if present, it MUST be ignored.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
//= type=exception
//= reason=SIP lets in clients without qop and nc (RFC 3261 section 22.4, RFC 2069), unless AuthConfig::without_qop is off
//# This parameter MUST be used by all implementations.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.4.6
//= type=exception
//= reason=a rule for clients, which these cores are not
//# This MAY be "*", an "absolute-URI", or
//# an "absolute-path" as specified in Section 2.7 of [RFC7230], but it
//# MUST agree with the request-target.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.4.6
//= type=exception
//= reason=a rule for clients, which these cores are not
//# In particular, it MUST be an
//# "absolute-URI" if the request-target is an "absolute-URI".
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.4.6
//= type=exception
//= reason=in SIP a proxy may have changed the one and not the other (RFC 3261 section 22.4 item 5, RFC 8760 section 2.6): AuthConfig::check_uri asks for it
//# The authenticating server MUST assure that the resource designated by
//# the "uri" parameter is the same as the resource specified in the
//# Request-Line; if they are not, the server SHOULD return a 400 Bad
//# Request error.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
//= type=exception
//= reason=a consequence for the server to weigh: only a nonce that ages is answered with the next one, and the old one is good until its end
//# Server implementations SHOULD carefully consider the
//# performance implications of the use of this mechanism;
//# pipelined requests will not be possible if every response
//# includes a nextnonce parameter that MUST be used on the next
//# request received by the server.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.8
//= type=exception
//= reason=a rule for clients, which these cores are not
//# The client/proxy MUST then reissue the request with a Proxy-
//# Authorization header field, with parameters as specified for the
//# Authorization header field in Section 3.4 above.
//= https://www.rfc-editor.org/rfc/rfc7616#section-5.6
//= type=exception
//= reason=a rule for clients, which these cores are not
//# A user agent MUST choose to use the strongest auth-scheme it
//# understands and request credentials from the user based upon that
//# challenge.
//= https://www.rfc-editor.org/rfc/rfc7616#section-6.1
//= type=exception
//= reason=for those who register algorithms
//# When registering a new hash algorithm, the following information MUST
//# be provided:

// RFC 3680: what subscribers do.
//= https://www.rfc-editor.org/rfc/rfc3680#section-4.5
//= type=exception
//= reason=a rule for subscribers
//# If the header field is present, it
//# MUST include "application/reginfo+xml", and MAY include any other
//# types capable of representing registration information.
//= https://www.rfc-editor.org/rfc/rfc3680#section-4.9
//= type=exception
//= reason=a rule for subscribers
//# As a result, a subscriber MUST NOT create multiple
//# dialogs as a result of a single subscription request.
//= https://www.rfc-editor.org/rfc/rfc3680#section-5.1
//= type=exception
//= reason=a rule for subscribers: no document is read here
//# Other elements from different namespaces MAY
//# be present for the purposes of extensibility; elements or attributes
//# from unknown namespaces MUST be ignored.
//= https://www.rfc-editor.org/rfc/rfc3680#section-5.1
//= type=exception
//= reason=no contact is shortened, so that event is never told
//# If the event attribute
//# has a value of shortened, the "expires" attribute MUST be
//# present.
//= https://www.rfc-editor.org/rfc/rfc3680#section-5.1
//= type=exception
//= reason=no contact is on probation, so that event is never told
//# If the event
//# attribute has a value of probation, the "retry-after" attribute
//# MUST be present.
//= https://www.rfc-editor.org/rfc/rfc3680#section-5.1
//= type=exception
//= reason=the reason why the sentence before says SHOULD
//# This requirement is at SHOULD strength,
//# and not MUST strength, since it is difficult to compute such an
//# id as a function of the URI without retaining additional state.
//= https://www.rfc-editor.org/rfc/rfc3680#section-5.1
//= type=exception
//= reason=the reason why the sentence before says SHOULD
//# No hash function applied to the URI can, in fact, meet a MUST
//# requirement.
//= https://www.rfc-editor.org/rfc/rfc3680#section-5.2
//= type=exception
//= reason=a rule for subscribers: no document is read here
//# The version number MUST be initialized
//# with the value of the "version" attribute from the "reginfo" element
//# in the first document received.

// RFC 3608: what the operator and user agents see to.
//= https://www.rfc-editor.org/rfc/rfc3608#section-5
//= type=exception
//= reason=the operator's: RegistrarConfig::service_route is given back as it is
//# As suggested therein, such
//# values MUST include the loose-routing indicator parameter ";lr" for
//# full compliance with [3].
//= https://www.rfc-editor.org/rfc/rfc3608#section-6.1
//= type=exception
//= reason=a rule for user agents
//# However, for the result to function, the combination
//# MUST provide valid routing in the local environment.
//= https://www.rfc-editor.org/rfc/rfc3608#section-6.2
//= type=exception
//= reason=a rule for user agents; the proxy leaves Service-Route as it is
//# Consequently, intermediate
//# proxies SHOULD NOT alter the value of Service-Route in REGISTER
//# responses, and if they do, the UA MUST NOT be required to accept the
//# alteration.
//= https://www.rfc-editor.org/rfc/rfc3608#section-6.3
//= type=exception
//= reason=the operator's: RegistrarConfig::service_route is given back as it is
//# Note that the inserted Service-Route element(s) MUST
//# conform to the syntax of a Route element as defined in [3].
//= https://www.rfc-editor.org/rfc/rfc3608#section-6.3
//= type=exception
//= reason=the operator's: RegistrarConfig::service_route is given back as it is
//# As
//# suggested therein, such route elements MUST include the loose-routing
//# indicator parameter ";lr" for full compliance with [3].
//= https://www.rfc-editor.org/rfc/rfc3608#section-7
//= type=exception
//= reason=S/MIME bodies are not made: responses are protected hop by hop
//# Registrars returning a Service-Route MUST implement end-to-
//# end protection using S/MIME and SHOULD use S/MIME to protect all such
//# responses.
//= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.23
//= type=exception
//= reason=nobody is answered 485 but by a decision of the host's, which lists what it wants
//# It MUST be possible to configure a server to respond with status 404
//# (Not Found) or to suppress the listing of possible choices for
//# ambiguous Request-URIs.
