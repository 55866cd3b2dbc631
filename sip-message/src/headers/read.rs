//! The methods of [`Message`] that read these headers by name.

use super::address::{Diversion, HistoryEntry, Identity, InfoUri, ReferredBy};
use super::auth::{AuthenticationInfo, Challenge, Credentials};
use super::date::Date;
use super::dialog::{Join, Replaces, TargetDialog};
use super::media::{CodingRange, LanguageRange, MediaRange, MediaType};
use super::numbers::{DeltaSeconds, Integer, MimeVersion, MinSe, ReferSub, RetryAfter, SessionExpires, Timestamp};
use super::tagged::{
    AccessNetworkInfo, AnswerMode, ChargingParams, ContentDisposition, Event, FeatureSet, GeolocationError,
    InfoPackage, Reason, SecurityMechanism, SessionId, SubscriptionState, TokenOrQuoted,
};
use super::text::{Products, Text, Warning};
use super::tokens::{CallIdRef, Directive, EntityTag, EventType, LanguageTag, Privacy, ResourceValue, Token};
use crate::cseq::RAck;
use crate::error::HeaderError;
use crate::header::Header;
use crate::message::Message;
use crate::method::Method;
use crate::name_addr::NameAddr;
use crate::value::Values;

/// Methods for headers that are lists: all values of all fields.
macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident: $value:ty = $header:ident;)*) => {
        impl Message {
            $($(#[$doc])*
            #[inline]
            pub fn $name(&self) -> Values<'_, $value> {
                self.values(Header::$header)
            })*
        }
    };
}

/// Methods for headers that have one value: that of the first field.
macro_rules! singles {
    ($($(#[$doc:meta])* $name:ident: $value:ty = $header:ident;)*) => {
        impl Message {
            $($(#[$doc])*
            ///
            /// `None` if there is no such field.
            ///
            /// # Errors
            ///
            /// The value is malformed.
            #[inline]
            pub fn $name(&self) -> Result<Option<$value>, HeaderError> {
                self.value(Header::$header)
            })*
        }
    };
}

/// Methods for headers that are one number: that of the first field.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident: $value:ident = $header:ident;)*) => {
        impl Message {
            $($(#[$doc])*
            ///
            /// `None` if there is no such field.
            ///
            /// # Errors
            ///
            /// The value is not a number in range.
            #[inline]
            pub fn $name(&self) -> Result<Option<u32>, HeaderError> {
                Ok(self.value::<$value>(Header::$header)?.map(|n| n.0))
            })*
        }
    };
}

lists! {
    /// Accept: media types a response body may have (RFC 3261 section 20.1).
    accept: MediaRange<'_> = Accept;
    /// Accept-Encoding (RFC 3261 section 20.2).
    accept_encoding: CodingRange<'_> = AcceptEncoding;
    /// Accept-Language (RFC 3261 section 20.3).
    accept_language: LanguageRange<'_> = AcceptLanguage;
    /// Accept-Contact: features a contact should have (RFC 3841).
    accept_contact: FeatureSet<'_> = AcceptContact;
    /// Accept-Resource-Priority (RFC 4412).
    accept_resource_priority: ResourceValue<'_> = AcceptResourcePriority;
    /// Alert-Info: alternative ring tones (RFC 3261 section 20.4).
    alert_info: InfoUri<'_> = AlertInfo;
    /// Allow: methods the sender understands (RFC 3261 section 20.5).
    allow: Method<'_> = Allow;
    /// Allow-Events: event types the sender understands (RFC 6665).
    allow_events: EventType<'_> = AllowEvents;
    /// Authorization: credentials for a server, one per realm (RFC 3261 section 20.7).
    authorization: Credentials<'_> = Authorization;
    /// Call-Info (RFC 3261 section 20.9).
    call_info: InfoUri<'_> = CallInfo;
    /// Content-Encoding: codings of the body in the order they were applied (RFC 3261 section 20.12).
    content_encoding: Token<'_> = ContentEncoding;
    /// Content-Language (RFC 3261 section 20.13).
    content_language: LanguageTag<'_> = ContentLanguage;
    /// Diversion: who diverted the call, last first (RFC 5806).
    diversion: Diversion<'_> = Diversion;
    /// Error-Info (RFC 3261 section 20.18).
    error_info: InfoUri<'_> = ErrorInfo;
    /// Feature-Caps (RFC 6809).
    feature_caps: FeatureSet<'_> = FeatureCaps;
    /// Geolocation (RFC 6442).
    geolocation: InfoUri<'_> = Geolocation;
    /// History-Info: targets the request was sent to (RFC 7044).
    history_info: HistoryEntry<'_> = HistoryInfo;
    /// Identity: one value per field (RFC 8224).
    identity: Identity<'_> = Identity;
    /// In-Reply-To: Call-IDs of calls this one returns (RFC 3261 section 20.21).
    in_reply_to: CallIdRef<'_> = InReplyTo;
    /// P-Access-Network-Info (RFC 7315).
    p_access_network_info: AccessNetworkInfo<'_> = PAccessNetworkInfo;
    /// P-Asserted-Identity (RFC 3325).
    p_asserted_identity: NameAddr<'_> = PAssertedIdentity;
    /// P-Associated-URI (RFC 7315).
    p_associated_uri: NameAddr<'_> = PAssociatedUri;
    /// P-Charging-Function-Addresses (RFC 7315).
    p_charging_function_addresses: ChargingParams<'_> = PChargingFunctionAddresses;
    /// P-Early-Media (RFC 5009).
    p_early_media: Token<'_> = PEarlyMedia;
    /// P-Preferred-Identity (RFC 3325).
    p_preferred_identity: NameAddr<'_> = PPreferredIdentity;
    /// P-Visited-Network-ID (RFC 7315).
    p_visited_network_id: TokenOrQuoted<'_> = PVisitedNetworkId;
    /// Path: proxies between a registrar and a contact (RFC 3327).
    path: NameAddr<'_> = Path;
    /// Proxy-Authenticate: challenges of a proxy (RFC 3261 section 20.27).
    proxy_authenticate: Challenge<'_> = ProxyAuthenticate;
    /// Proxy-Authorization: credentials for proxies, one per realm (RFC 3261 section 20.28).
    proxy_authorization: Credentials<'_> = ProxyAuthorization;
    /// Proxy-Require: option tags a proxy must understand (RFC 3261 section 20.29).
    proxy_require: Token<'_> = ProxyRequire;
    /// Reason: why a request or response was sent (RFC 3326). For the reason phrase, see
    /// [`reason`](Message::reason).
    reason_header: Reason<'_> = Reason;
    /// Recv-Info: Info Packages the sender wants (RFC 6086).
    recv_info: InfoPackage<'_> = RecvInfo;
    /// Reject-Contact: features a contact should not have (RFC 3841).
    reject_contact: FeatureSet<'_> = RejectContact;
    /// Request-Disposition: how servers are to process the request (RFC 3841).
    request_disposition: Directive<'_> = RequestDisposition;
    /// Require: option tags the server must understand (RFC 3261 section 20.32).
    require: Token<'_> = Require;
    /// Resource-Priority (RFC 4412).
    resource_priority: ResourceValue<'_> = ResourcePriority;
    /// Security-Client (RFC 3329).
    security_client: SecurityMechanism<'_> = SecurityClient;
    /// Security-Server (RFC 3329).
    security_server: SecurityMechanism<'_> = SecurityServer;
    /// Security-Verify (RFC 3329).
    security_verify: SecurityMechanism<'_> = SecurityVerify;
    /// Service-Route: the route to services of the home domain (RFC 3608).
    service_route: NameAddr<'_> = ServiceRoute;
    /// Supported: option tags the sender understands (RFC 3261 section 20.37).
    supported: Token<'_> = Supported;
    /// Unsupported: option tags the server does not understand (RFC 3261 section 20.40).
    unsupported: Token<'_> = Unsupported;
    /// User-to-User (RFC 7433).
    user_to_user: TokenOrQuoted<'_> = UserToUser;
    /// Warning (RFC 3261 section 20.43).
    warning: Warning<'_> = Warning;
    /// WWW-Authenticate: challenges of a server (RFC 3261 section 20.44).
    www_authenticate: Challenge<'_> = WwwAuthenticate;
}

singles! {
    /// Answer-Mode (RFC 5373).
    answer_mode: AnswerMode<'_> = AnswerMode;
    /// Authentication-Info (RFC 3261 section 20.6).
    authentication_info: AuthenticationInfo<'_> = AuthenticationInfo;
    /// Content-Disposition (RFC 3261 section 20.11).
    content_disposition: ContentDisposition<'_> = ContentDisposition;
    /// Content-Type (RFC 3261 section 20.15).
    content_type: MediaType<'_> = ContentType;
    /// Date (RFC 3261 section 20.17).
    date: Date = Date;
    /// Event (RFC 6665).
    event: Event<'_> = Event;
    /// Geolocation-Error (RFC 6442).
    geolocation_error: GeolocationError<'_> = GeolocationError;
    /// Geolocation-Routing (RFC 6442): `yes` or `no`.
    geolocation_routing: Token<'_> = GeolocationRouting;
    /// Info-Package (RFC 6086).
    info_package: InfoPackage<'_> = InfoPackage;
    /// Join (RFC 3911).
    join: Join<'_> = Join;
    /// MIME-Version (RFC 3261 section 20.24).
    mime_version: MimeVersion = MimeVersion;
    /// Min-SE (RFC 4028).
    min_se: MinSe<'_> = MinSe;
    /// Organization (RFC 3261 section 20.25).
    organization: Text<'_> = Organization;
    /// P-Called-Party-ID (RFC 7315).
    p_called_party_id: NameAddr<'_> = PCalledPartyId;
    /// P-Charging-Vector (RFC 7315).
    p_charging_vector: ChargingParams<'_> = PChargingVector;
    /// Privacy (RFC 3323).
    privacy: Privacy<'_> = Privacy;
    /// Proxy-Authentication-Info (RFC 7615).
    proxy_authentication_info: AuthenticationInfo<'_> = ProxyAuthenticationInfo;
    /// RAck (RFC 3262).
    rack: RAck<'_> = RAck;
    /// Refer-Events-At (RFC 7614).
    refer_events_at: InfoUri<'_> = ReferEventsAt;
    /// Refer-Sub (RFC 4488).
    refer_sub: ReferSub<'_> = ReferSub;
    /// Refer-To (RFC 3515).
    refer_to: NameAddr<'_> = ReferTo;
    /// Referred-By (RFC 3892).
    referred_by: ReferredBy<'_> = ReferredBy;
    /// Replaces (RFC 3891).
    replaces: Replaces<'_> = Replaces;
    /// Reply-To (RFC 3261 section 20.31).
    reply_to: NameAddr<'_> = ReplyTo;
    /// Retry-After (RFC 3261 section 20.33).
    retry_after: RetryAfter<'_> = RetryAfter;
    /// Server (RFC 3261 section 20.35).
    server: Products<'_> = Server;
    /// Session-Expires (RFC 4028).
    session_expires: SessionExpires<'_> = SessionExpires;
    /// Session-ID (RFC 7989).
    session_id: SessionId<'_> = SessionId;
    /// SIP-ETag (RFC 3903).
    sip_etag: EntityTag<'_> = SipEtag;
    /// SIP-If-Match (RFC 3903).
    sip_if_match: EntityTag<'_> = SipIfMatch;
    /// Subject (RFC 3261 section 20.36).
    subject: Text<'_> = Subject;
    /// Subscription-State (RFC 6665).
    subscription_state: SubscriptionState<'_> = SubscriptionState;
    /// Suppress-If-Match (RFC 5839); `*` matches every entity tag.
    suppress_if_match: EntityTag<'_> = SuppressIfMatch;
    /// Target-Dialog (RFC 4538).
    target_dialog: TargetDialog<'_> = TargetDialog;
    /// Timestamp (RFC 3261 section 20.38).
    timestamp: Timestamp<'_> = Timestamp;
    /// User-Agent (RFC 3261 section 20.41).
    user_agent: Products<'_> = UserAgent;
}

numbers! {
    /// Content-Length in bytes (RFC 3261 section 20.14). For the body there is, see [`body`](Message::body).
    content_length: Integer = ContentLength;
    /// Expires in seconds; above 2^32 - 1 it reads as that (RFC 3261 section 20.19).
    expires: DeltaSeconds = Expires;
    /// Flow-Timer in seconds; above 2^32 - 1 it reads as that (RFC 5626).
    flow_timer: DeltaSeconds = FlowTimer;
    /// Max-Breadth: how many branches the request may still have (RFC 5393).
    max_breadth: Integer = MaxBreadth;
    /// Min-Expires in seconds; above 2^32 - 1 it reads as that (RFC 3261 section 20.23).
    min_expires: DeltaSeconds = MinExpires;
    /// RSeq (RFC 3262).
    rseq: Integer = RSeq;
}

impl Message {
    /// Whether the sender says that it understands the extension `option_tag`: in Supported or Require.
    ///
    /// Malformed values are passed over.
    pub fn supports(&self, option_tag: &str) -> bool {
        self.has(Header::Supported) && self.supported().flatten().any(|tag| tag == option_tag)
            || self.requires(option_tag)
    }

    /// Whether Require names the extension `option_tag`. Malformed values are passed over.
    pub fn requires(&self, option_tag: &str) -> bool {
        self.has(Header::Require) && self.require().flatten().any(|tag| tag == option_tag)
    }

    /// Whether Allow names `method`; `None` if there is no Allow. Malformed values are passed over.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.5
    //# The absence of an Allow header field MUST NOT be
    //# interpreted to mean that the UA sending the message supports no
    //# methods.
    pub fn allows(&self, method: Method<'_>) -> Option<bool> {
        self.has(Header::Allow).then(|| self.allow().flatten().any(|allowed| allowed == method))
    }
}

// What whoever acts on a header has to do, rather than whoever reads it, is left to the layers above and to the host:
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.4
//= type=exception
//= reason=Ringing is the host's: it plays what Alert-Info names, or does not.
//# In addition, a user SHOULD be able to disable this feature
//# selectively.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.9
//= type=exception
//= reason=Rendering is the host's.
//# Therefore, it is
//# RECOMMENDED that a UA only render the information in the Call-Info
//# header field if it can verify the authenticity of the element that
//# originated the header field and trusts that element.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.12
//= type=exception
//= reason=Bodies are bytes here; codings are applied and taken off by the host.
//# When
//# present, its value indicates what additional content codings have
//# been applied to the entity-body, and thus what decoding mechanisms
//# MUST be applied in order to obtain the media-type referenced by the
//# Content-Type header field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.12
//= type=exception
//= reason=Codings are applied by the host, which writes Content-Encoding.
//# If multiple encodings have been applied to an entity-body, the
//# content codings MUST be listed in the order in which they were
//# applied.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.12
//= type=exception
//= reason=Codings are applied by the host; accept_encoding_quality tells it which it may use.
//# The
//# server MUST only use encodings listed in the Accept-Encoding header
//# field in the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.20
//= type=exception
//= reason=Display names are the host's to choose.
//# A system SHOULD use the
//# display name "Anonymous" if the identity of the client is to remain
//# hidden.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.31
//= type=exception
//= reason=Reply-To is written by the host alone.
//# If the user wished to remain anonymous, the header field SHOULD
//# either be omitted from the request or populated in such a way that
//# does not reveal any private information.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.32
//= type=exception
//= reason=The option tags the host adds are its own to answer for; the layers above only add those of RFCs.
//# A UAC compliant to this specification MUST
//# only include option tags corresponding to standards-track RFCs.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.37
//= type=exception
//= reason=The option tags the host adds are its own to answer for; the layers above only add those of RFCs.
//# A UA compliant to this
//# specification MUST only include option tags corresponding to
//# standards-track RFCs.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.43
//= type=exception
//= reason=Nothing here acts on a Warning; the host may show it.
//# A system receiving this
//# warning MUST NOT take any automated action.
