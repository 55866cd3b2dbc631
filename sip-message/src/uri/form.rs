//! What of a SIP URI goes into a request formed from it (RFC 3261 section 19.1.5).
//!
//! Says what may be honoured. Whether it is, and that the request is valid in the end, is the caller's to see to.

use super::{SipUri, UriBuf, UriError, UriHeader};
use crate::header::{Header, HeaderName};

impl<'a> SipUri<'a> {
    /// The Request-URI of a request to this URI: without `method` parameter and headers, all else kept.
    ///
    /// The method of that request is that of [`method_param`](SipUri::method_param), if it is there.
    ///
    /// # Errors
    ///
    /// The URI is one that [`build`](super::SipUriBuilder::build) refuses.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
    //# An implementation MUST include any provided transport, maddr, ttl, or
    //# user parameter in the Request-URI of the formed request.  If the URI
    //# contains a method parameter, its value MUST be used as the method of
    //# the request.  The method parameter MUST NOT be placed in the
    //# Request-URI.  Unknown URI parameters MUST be placed in the message's
    //# Request-URI.
    pub fn to_request_uri(&self) -> Result<UriBuf, UriError> {
        if self.headers().next().is_none() && !self.params().has("method") {
            return Ok(UriBuf::from(*self));
        }
        self.to_builder().without_param("method").without_headers().build()
    }

    /// The headers that a request formed from this URI may honour, each subject to the caller's policy: all but those
    /// that would let the author of the URI steer the request, speak for the sender, or describe a body that is not
    /// theirs. A `Content-Type` is left in, for the [`body`](SipUri::requested_body).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
    //# An implementation SHOULD treat the presence of any headers or body
    //# parts in the URI as a desire to include them in the message, and
    //# choose to honor the request on a per-component basis.
    pub fn requested_headers(&self) -> impl Iterator<Item = UriHeader<'a>> + Clone + use<'a> {
        self.headers().filter(|header| !header.name.eq_ignore_case("body") && !is_dangerous(header))
    }

    /// The body that the URI asks for, escapes left in.
    pub fn requested_body(&self) -> Option<super::Escaped<'a>> {
        self.headers().get("body")
    }
}

fn is_dangerous(header: &UriHeader<'_>) -> bool {
    let name = header.name.decoded();
    let Ok(name) = core::str::from_utf8(&name) else { return true };
    match HeaderName::from(name).known() {
        None => false,
        //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
        //# An implementation SHOULD NOT honor these obviously dangerous header
        //# fields: From, Call-ID, CSeq, Via, and Record-Route.
        Some(Header::From | Header::CallId | Header::CSeq | Header::Via | Header::RecordRoute) => true,
        //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
        //# An implementation SHOULD NOT honor any requested Route header field
        //# values in order to not be used as an unwitting agent in malicious
        //# attacks.
        Some(Header::Route) => true,
        //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
        //# An implementation SHOULD NOT honor requests to include header fields
        //# that may cause it to falsely advertise its location or capabilities.
        Some(
            Header::Accept
            | Header::AcceptEncoding
            | Header::AcceptLanguage
            | Header::Allow
            | Header::Contact
            | Header::Organization
            | Header::Supported
            | Header::UserAgent,
        ) => true,
        // They cannot be right unless the sender writes them.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
        //# An implementation SHOULD verify the accuracy of any requested
        //# descriptive header fields, including: Content-Disposition, Content-
        //# Encoding, Content-Language, Content-Length, Content-Type, Date,
        //# Mime-Version, and Timestamp.
        Some(
            Header::ContentLength | Header::ContentEncoding | Header::Date | Header::MimeVersion | Header::Timestamp,
        ) => true,
        // What a request is sent with on behalf of the sender alone.
        Some(
            Header::Authorization
            | Header::ProxyAuthorization
            | Header::MaxForwards
            | Header::Path
            | Header::PAssertedIdentity
            | Header::PPreferredIdentity
            | Header::Identity,
        ) => true,
        Some(_) => false,
    }
}

// The request itself is formed above this crate:
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
//= type=exception
//= reason=Requests are formed from URIs by the host; the builders refuse what is malformed.
//# An implementation MUST
//# NOT proceed with transmitting the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
//= type=exception
//= reason=Requests are formed from URIs by the host, which knows its capabilities.
//# An implementation SHOULD refuse to send these requests rather than
//# modifying them to match their capabilities.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
//= type=exception
//= reason=Requests are formed from URIs by the host, which knows its extensions.
//# An implementation MUST NOT send a
//# request requiring an extension that it does not support.
