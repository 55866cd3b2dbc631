//! Of MESSAGE, PUBLISH, INFO, Referred-By and 199.

//= https://www.rfc-editor.org/rfc/rfc3428#section-1
//= type=exception
//= reason=what a text means, and what is shown to a person, is the host's
//# Implementations of the MESSAGE method SHALL support all the instant
//# message requirements in RFC 2779 relevant to its scope of applicability.
//= https://www.rfc-editor.org/rfc/rfc3428#section-4
//= type=exception
//= reason=what a text means, and what is shown to a person, is the host's
//# It MUST NOT assume that the recipient has actually read the instant
//# message.
//= https://www.rfc-editor.org/rfc/rfc3428#section-4
//= type=exception
//= reason=what a text means, and what is shown to a person, is the host's
//# In this case, the UAC MUST NOT assume the message has been delivered to
//# the final destination.
//= https://www.rfc-editor.org/rfc/rfc3428#section-4
//= type=exception
//= reason=what a text means, and what is shown to a person, is the host's
//# Therefore the UAC MUST NOT assume that a given final response represents
//# the only UAS that receives the request.
//= https://www.rfc-editor.org/rfc/rfc3428#section-5
//= type=exception
//= reason=im: URIs are resolved by the host before they come here
//# Record-Route and Route header fields MUST NOT contain IM URIs.
//= https://www.rfc-editor.org/rfc/rfc3428#section-7
//= type=exception
//= reason=what a text means, and what is shown to a person, is the host's
//# A UAS that supports the MESSAGE method MUST be prepared to receive and
//# render bodies of type "text/plain", and may support reception and
//# rendering of bodies of type "message/cpim" [7].
//= https://www.rfc-editor.org/rfc/rfc3428#section-8
//= type=exception
//= reason=whether each hop is safe from congestion only the host can know; the endpoint takes a transport that is for what exceeds 1300 bytes
//# The size of MESSAGE requests outside of a media session MUST NOT exceed
//# 1300 bytes, unless the UAC has positive knowledge that the message will
//# not traverse a congestion-unsafe link at any hop, or that the message
//# size is at least 200 bytes less than the lowest MTU value found en route
//# to the UAS.
//= https://www.rfc-editor.org/rfc/rfc3428#section-8
//= type=exception
//= reason=one core serves many senders: each of them waits for the end of its request before the next
//# A UAC MUST NOT initiate a new out-of-dialog MESSAGE transaction to a
//# given URI if there is a previous out-of-dialog transaction pending for
//# the same URI.
//= https://www.rfc-editor.org/rfc/rfc3428#section-8
//= type=exception
//= reason=one core serves many senders: each of them waits for the end of its request before the next
//# Similarly, A UAC SHOULD NOT initiate overlapping MESSAGE transactions
//# inside a dialog, and MUST NOT do so unless the route set for that dialog
//# uses a congestion-controlled transport at every hop.
//= https://www.rfc-editor.org/rfc/rfc3428#section-11
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# In particular, UAs that support the MESSAGE request MUST implement
//# end-to-end authentication, body integrity, and body confidentiality
//# mechanisms.
//= https://www.rfc-editor.org/rfc/rfc3428#section-11.3
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# When the goal is to remedy the concerns stated above, the MESSAGE bodies
//# MUST be secured with S/MIME.
//= https://www.rfc-editor.org/rfc/rfc3428#section-11.3
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# If bodies specified in future to be carried by the MESSAGE method have
//# different means of providing end-to-end security, their specification
//# MUST describe the usage.
//= https://www.rfc-editor.org/rfc/rfc3428#section-11.3
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# SIP MESSAGE endpoints MUST support encryption (CMS EnvelopeData) and
//# S/MIME signatures (CMS SignedData).
//= https://www.rfc-editor.org/rfc/rfc3428#section-11.4
//= type=exception
//= reason=S/MIME is not in this crate: bodies are the host's bytes, which it signs, encrypts and checks, and refuses with the status it chooses
//# To prevent the replay of old SIP requests, all signed MESSAGE requests
//# and responses MUST contain a Date header field covered by the message
//# signature.
//= https://www.rfc-editor.org/rfc/rfc3892#section-2.1
//= type=exception
//= reason=the host gives both the value of Referred-By and the body with its token
//# A REFER request containing a Referred-By token MUST contain a
//# Referred-By header field value with a cid parameter value equal to the
//# Content-ID of the body part containing the token.
//= https://www.rfc-editor.org/rfc/rfc3892#section-2.3
//= type=exception
//= reason=tokens are signed, shown and judged by the host, to whom each message is handed whole
//# If the agent provides any information from the Referred-By header to its
//# user as part of processing the request, it MUST notify the user that the
//# information is suspect.
//= https://www.rfc-editor.org/rfc/rfc3892#section-2.3
//= type=exception
//= reason=tokens are signed, shown and judged by the host, to whom each message is handed whole
//# The refer target MUST reject an otherwise well-formed request with an
//# invalid Referred-By token (see Section 4) with a 429 error response.
//= https://www.rfc-editor.org/rfc/rfc3892#section-3
//= type=exception
//= reason=no proxy is in this crate
//# Proxies do not need to be able to read Referred-By header field values
//# and MUST NOT remove or modify them.
//= https://www.rfc-editor.org/rfc/rfc3892#section-4
//= type=exception
//= reason=tokens are signed, shown and judged by the host, to whom each message is handed whole
//# This body part MUST be identified with a MIME [6] Content-ID: field.
//= https://www.rfc-editor.org/rfc/rfc3892#section-4
//= type=exception
//= reason=tokens are signed, shown and judged by the host, to whom each message is handed whole
//# The sipfrag inside a Referred-By token MUST contain copies of the
//# Refer-To, Referred-By, and Date header fields from the REFER request.
//= https://www.rfc-editor.org/rfc/rfc3892#section-4
//= type=exception
//= reason=tokens are signed, shown and judged by the host, to whom each message is handed whole
//# The sip and sips URI schemes MUST be treated as equivalent for this
//# comparison.
//= https://www.rfc-editor.org/rfc/rfc3892#section-4.1
//= type=exception
//= reason=tokens are signed, shown and judged by the host, to whom each message is handed whole
//# A refer target MUST treat a Referred-By token with an invalid signature
//# as an invalid token.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# The ESC MUST ignore the Record-Route header field if it is included in a
//# PUBLISH request.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# The ESC MUST NOT include a Record-Route header field in any response to
//# a PUBLISH request.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# The ESC MUST ignore the Contact header field if one is present in a
//# PUBLISH request.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# PUBLISH requests with the same Request-URI MUST be processed in the
//# order that they are received.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# PUBLISH requests MUST also be processed atomically, meaning that a
//# particular PUBLISH request is either processed completely or not at all.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# If not, the ESC MUST return a 404 (Not Found) response and skip the
//# remaining steps.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# If the Event header field is missing or contains an event package which
//# the ESC does not support, the ESC MUST respond to the PUBLISH request
//# with a 489 (Bad Event) response, and skip the remaining steps.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# If the request does not contain a SIP-If-Match header field, the ESC
//# MUST generate and store a locally unique entity-tag for identifying the
//# publication.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# If not, the request is invalid, and the ESC MUST return with a 400
//# (Invalid Request) response and skip the remaining steps.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# If the request has an Expires header field, that value MUST be taken as
//# the requested expiration.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# Else, a locally-configured default value MUST be taken as the requested
//# expiration.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# This response MUST contain a Min-Expires header field that states the
//# minimum expiration interval the ESC is willing to honor.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# If the content type of the request does not match the event package, or
//# is not understood by the ESC, the ESC MUST reject the request with an
//# appropriate response, such as 415 (Unsupported Media Type), and skip the
//# remainder of the steps.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# If the chosen expiration interval has a special value of "0", the event
//# state identified by the entity-tag MUST be immediately removed.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# The ESC MUST NOT store any event state as a result of such a request.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# The processing of the PUBLISH request MUST be atomic.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# If internal errors (such as the inability to access a back-end database)
//# occur before processing is complete, the publication MUST NOT succeed,
//# and the ESC MUST fail with an appropriate error response, such as 504
//# (Server Time-out), and skip the last step.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# The response MUST contain an Expires header field indicating the
//# expiration interval chosen by the ESC.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# The response MUST also contain a SIP-ETag header field that contains a
//# single entity-tag identifying the publication.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# The ESC MUST generate a new entity-tag for each successful publication,
//# replacing any previous entity-tag associated with that event state.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# The generated entity-tag MUST be unique from any other entity-tags
//# currently assigned to event state associated with that Request-URI, and
//# MUST be different from any entity-tag assigned previously to event state
//# for that Request-URI.
//= https://www.rfc-editor.org/rfc/rfc3903#section-10.1
//= type=exception
//= reason=what is in the event state is the host's
//# Any application of the PUBLISH mechanism for a given event package MUST
//# define what content type or types are expected in PUBLISH requests.
//= https://www.rfc-editor.org/rfc/rfc3903#section-10.1
//= type=exception
//= reason=what is in the event state is the host's
//# Each event package MUST also describe the semantics associated with that
//# content type, and MUST prescribe a default, mandatory to implement MIME
//# type.
//= https://www.rfc-editor.org/rfc/rfc3903#section-10.1
//= type=exception
//= reason=what is in the event state is the host's
//# A PUA that uses PUBLISH to publish presence state to the PA MUST support
//# the PIDF presence format.
//= https://www.rfc-editor.org/rfc/rfc3903#section-10.4
//= type=exception
//= reason=what is in the event state is the host's
//# In presence publication, the EPA MUST keep the "id" attributes of tuples
//# consistent in the context of an entity-tag.
//= https://www.rfc-editor.org/rfc/rfc3903#section-10.4
//= type=exception
//= reason=what is in the event state is the host's
//# If a publication modifies the contents of a tuple, that tuple MUST
//# maintain its original "id".
//= https://www.rfc-editor.org/rfc/rfc3903#section-10.5
//= type=exception
//= reason=what is in the event state is the host's
//# Individual event packages MAY in turn define recommendations (SHOULD or
//# MUST strength) on absolute maximum rates at which publications are
//# allowed to be generated by a single EPA.
//= https://www.rfc-editor.org/rfc/rfc3903#section-14.3
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# To prevent replay attacks, implementations MUST support Digest
//# authentication with replay protection, as defined in RFC 3261 [4].
//= https://www.rfc-editor.org/rfc/rfc3903#section-14.4
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# If the ESC receives event state in a PUBLISH request which is integrity
//# protected using a security association that is not with the ESC (e.g.,
//# integrity protection is applied end-to-end, from publisher to
//# subscriber), the state agent coupled with the ESC MUST NOT modify the
//# event state before exposing it to the subscribers of this event state in
//# NOTIFY requests.
//= https://www.rfc-editor.org/rfc/rfc3903#section-14.4
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# For integrity protection, ESCs MUST implement TLS [8], and MUST support
//# both mutual and one-way authentication, and MUST also support the SIPS
//# URI scheme defined in SIP [4].
//= https://www.rfc-editor.org/rfc/rfc3903#section-14.5
//= type=exception
//= reason=no event state compositor is in this crate: a PUBLISH that comes in is the host's to answer
//# For providing confidentiality, ESCs MUST implement TLS [8], MUST support
//# both mutual and one-way authentication, and MUST also support the SIPS
//# URI scheme defined in SIP [4].
//= https://www.rfc-editor.org/rfc/rfc6086#section-3
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# A UA MUST NOT insert an Info-Package header field in a legacy INFO
//# request (as described in Section 4.2.1, an INFO request associated with
//# an Info Package always contains an Info-Package header field).
//= https://www.rfc-editor.org/rfc/rfc6086#section-3
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# Any new usage MUST use the Info Package mechanism defined in this
//# specification, since it does not share the issues associated with legacy
//# INFO usage, and since Info Packages can be registered with IANA.
//= https://www.rfc-editor.org/rfc/rfc6086#section-3
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# UAs are allowed to enable both legacy INFO usages and Info Package
//# usages as part of the same invite dialog usage, but UAs SHALL NOT mix
//# legacy INFO usages and Info Package usages in order to transport the
//# same application level information.
//= https://www.rfc-editor.org/rfc/rfc6086#section-3
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# If possible, UAs SHALL prefer the usage of an Info Package.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.3.1
//= type=exception
//= reason=bodies are the host's; multipart ones are read by sip-message
//# UAs MUST support multipart body parts in accordance with RFC 5621.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.3.1
//= type=exception
//= reason=bodies are the host's; multipart ones are read by sip-message
//# When a UA supports a specific Info Package, the UA MUST also support
//# message body MIME types in accordance with that Info Package.
//= https://www.rfc-editor.org/rfc/rfc6086#section-5.3
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# However, a UA SHALL NOT include a header value for a specific Info
//# Package unless the particular Info Package specification describes how
//# the header field value shall be interpreted and used by the registrar,
//# e.g., in order to determine request targets.
//= https://www.rfc-editor.org/rfc/rfc6086#section-7.1
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# As defined in Section 20 of RFC 3261, a "mandatory" header field MUST be
//# present in a request, and MUST be understood by the UAS receiving the
//# request.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.1
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# If, for an Info Package, there is a need to extend or modify the
//# behavior described in this document, that behavior MUST be described in
//# the Info Package specification.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.1
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# Info Package specifications MUST NOT weaken any behavior designated with
//# "SHOULD" or "MUST" in this specification.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.1
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# However, Info Package specifications MAY strengthen "SHOULD", "MAY", or
//# "RECOMMENDED" requirements to "MUST" if applications associated with the
//# Info Package require it.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.1
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# Info Package specifications MUST address the issues defined in the
//# following subsections, or document why an issue is not applicable to the
//# specific Info Package.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.2
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# The Info Package specification MUST contain an overall description of
//# the Info Package: what type of information is carried in INFO requests
//# associated with the Info Package, and for what types of applications and
//# functionalities UAs can use the Info Package.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.2
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# If the Info Package is defined for a specific application, the Info
//# Package specification MUST state which application UAs can use the Info
//# Package with.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.3
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# The Info Package specification MUST describe why the Info Package
//# mechanism, rather than some other mechanism, has been chosen for the
//# specific use-case to transfer application information between SIP
//# endpoints.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.4
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# The Info Package specification MUST define an Info Package name, which
//# UAs use as a header field value (e.g., "infoX") to identify the Info
//# Package in the Recv-Info and Info-Package header fields.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.4
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# The header field value MUST conform to the ABNF defined in Section 9.2.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.5
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# The Info Package specification MUST define the syntax and semantics of
//# the defined parameters.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.5
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# In addition, the specification MUST define whether a specific parameter
//# is applicable to only the Recv-Info header field, only the Info-Package
//# header field, or to both.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.7
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# The Info Package specification MUST define which message body part MIME
//# types are associated with the Info Package.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.7
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# The specification MUST either define those body parts, including the
//# syntax, semantics, and MIME type of each body part, or refer to other
//# documents that define the body parts.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.7
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# If multiple message body part MIME types are associated with an Info
//# Package, the Info Package specification MUST define whether UAs need to
//# use multipart body parts, in order to include multiple body parts in a
//# single INFO request.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.8
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# If there are restrictions on how UAs can use an Info Package, the Info
//# Package specification MUST document such restrictions.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.9
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# If there is a maximum or minimum rate at which UAs can send INFO
//# requests associated with the Info Package within a dialog, the Info
//# Package specification MUST document the rate values.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.10
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# If the application information carried in INFO requests associated with
//# the Info Package requires a certain level of security, the Info Package
//# specification MUST describe the mechanisms that UAs need to use in order
//# to provide the required security.
//= https://www.rfc-editor.org/rfc/rfc6086#section-10.10
//= type=exception
//= reason=a rule for those who specify and use Info Packages: they and their bodies are the host's
//# If the Info Package specification does not require any additional
//# security, other than what the underlying SIP protocol provides, this
//# MUST be stated in the Info Package specification.
//= https://www.rfc-editor.org/rfc/rfc6228#section-3
//= type=exception
//= reason=how a call is shown is the host's
//# Application designers utilizing the 199 response code MUST ensure that
//# the application's user experience is acceptable if all 199 responses are
//# lost and not delivered to the recipients.
//= https://www.rfc-editor.org/rfc/rfc6228#section-4
//= type=exception
//= reason=media are the host's
//# Once a UAC has received and accepted a 199 response, it MUST NOT send
//# any media associated with the early dialog.
//= https://www.rfc-editor.org/rfc/rfc6228#section-4
//= type=exception
//= reason=media are the host's
//# In addition, if the UAC is able to associate received media with early
//# dialogs, it MUST NOT process any received media associated with the
//# early dialog that was terminated.
//= https://www.rfc-editor.org/rfc/rfc6228#section-5
//= type=exception
//= reason=no proxy is in this crate
//# The UAS MUST NOT insert a "199" option-tag in the Supported, Require, or
//# Proxy-Require header field of the 199 response.
//= https://www.rfc-editor.org/rfc/rfc6228#section-6
//= type=exception
//= reason=no proxy is in this crate
//# When a proxy receives a 199 response to an initial dialog initiation
//# request, it MUST process the response as any other non-100 provisional
//# response.
//= https://www.rfc-editor.org/rfc/rfc6228#section-6
//= type=exception
//= reason=no proxy is in this crate
//# If a proxy receives a 199 response out of dialog, it MUST process it as
//# other non-100 provisional responses received out of dialog.
//= https://www.rfc-editor.org/rfc/rfc6228#section-6
//= type=exception
//= reason=no proxy is in this crate
//# When a forking proxy receives a non-2xx final response to an initial
//# dialog initiation request that it recognizes as terminating one or more
//# early dialogs associated with the request, it MUST generate and send a
//# 199 response upstream for each of the terminated early dialogs that
//# satisfy each of the following conditions:
//= https://www.rfc-editor.org/rfc/rfc6228#section-6
//= type=exception
//= reason=no proxy is in this crate
//# When a forking proxy generates a 199 response, the response MUST contain
//# a To header field tag parameter that identifies the terminated early
//# dialog.
//= https://www.rfc-editor.org/rfc/rfc6228#section-6
//= type=exception
//= reason=no proxy is in this crate
//# A proxy MUST also insert a Reason header field that contains the SIP
//# response code of the response that triggered the 199 response.
//= https://www.rfc-editor.org/rfc/rfc6228#section-6
//= type=exception
//= reason=no proxy is in this crate
//# The proxy MUST NOT insert a "199" option-tag in the Supported, Require,
//# or Proxy-Require header field of the 199 response.
//= https://www.rfc-editor.org/rfc/rfc6228#section-6
//= type=exception
//= reason=no proxy is in this crate
//# A forking proxy that supports the generation of 199 responses MUST keep
//# track of early dialogs, in order to determine whether to generate a 199
//# response when the proxy receives a non-2xx final response.
//= https://www.rfc-editor.org/rfc/rfc6228#section-6
//= type=exception
//= reason=no proxy is in this crate
//# In addition, a proxy MUST keep track on which early dialogs it has
//# received and forwarded 199 responses, in order to not generate
//# additional 199 responses for those early dialogs.
//= https://www.rfc-editor.org/rfc/rfc6228#section-6
//= type=exception
//= reason=no proxy is in this crate
//# If a forking proxy receives a reliably sent 199 response for a dialog
//# for which it has previously generated and sent a 199 response, it MUST
//# forward the 199 response.
//= https://www.rfc-editor.org/rfc/rfc6228#section-6
//= type=exception
//= reason=no proxy is in this crate
//# If the Require header field of an initial dialog initiation request
//# contains a "100rel" option-tag, a proxy MUST NOT generate and send 199
//# responses associated with that request.
//= https://www.rfc-editor.org/rfc/rfc6228#section-7
//= type=exception
//= reason=no proxy is in this crate
//# Since all SIP entities involved in a session setup do not necessarily
//# support the specific meaning of the 199 Early Dialog Terminated
//# provisional response, the sender of the response MUST be prepared to
//# receive SIP requests and responses associated with the dialog for which
//# the 199 response was sent (a proxy can receive SIP messages from either
//# direction).
//= https://www.rfc-editor.org/rfc/rfc6228#section-7
//= type=exception
//= reason=no proxy is in this crate
//# A proxy MUST forward requests according to RFC 3261, even if the proxy
//# has knowledge that the early dialog has been terminated.
