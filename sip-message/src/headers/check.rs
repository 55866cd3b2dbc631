//! Which grammar each header field has, and the check of a whole field against it.

use super::address::{
    Diversion, HistoryEntry, Identity, InfoUri, ReferredBy, check_identity, check_name_addr, check_tagged,
};
use super::auth::{AuthenticationInfo, Challenge, Credentials};
use super::date::Date;
use super::dialog::{Join, Replaces, TargetDialog};
use super::lex::{Read, fault};
use super::media::{CodingRange, LanguageRange, MediaRange, MediaType};
use super::numbers::{DeltaSeconds, Integer, MimeVersion, MinSe, ReferSub, RetryAfter, SessionExpires, Timestamp};
use super::tagged::{
    AccessNetworkInfo, AnswerMode, ChargingParams, ContentDisposition, Event, FeatureSet, GeolocationError,
    InfoPackage, Reason, SecurityMechanism, SessionId, SubscriptionState, TokenOrQuoted,
};
use super::text::{Products, Text, Warning};
use super::tokens::{CallIdRef, Directive, EntityTag, EventType, LanguageTag, Privacy, ResourceValue, Token};
use crate::cseq::{CSeq, RAck};
use crate::error::{ValueError, ValueFault};
use crate::header::Header;
use crate::method::Method;
use crate::name_addr::{Contact, NameAddr};
use crate::reads::CallId;
use crate::scan;
use crate::value::{FieldValue, split_list};
use crate::via::Via;

/// What a typed read leaves unread until it is asked for: parameters, URIs.
pub(crate) trait Check {
    /// Checks all of the value.
    fn check(&self) -> Read<()> {
        Ok(())
    }
}

impl Check for CSeq<'_> {}
impl Check for RAck<'_> {}

impl Check for Via<'_> {
    fn check(&self) -> Read<()> {
        Via::check(self)
    }
}

impl Check for Contact<'_> {
    fn check(&self) -> Read<()> {
        let Contact::Address(address) = self else { return Ok(()) };
        self.q()?;
        address.check()
    }
}

/// Whether the list in a field of `header` may be empty, the field there nevertheless.
pub(crate) const fn may_be_empty(header: Header) -> bool {
    matches!(
        header,
        Header::Accept
            | Header::AcceptEncoding
            | Header::AcceptLanguage
            | Header::AcceptResourcePriority
            | Header::Allow
            | Header::PAssociatedUri
            | Header::PEarlyMedia
            | Header::RecvInfo
            | Header::Supported
    )
}

/// Takes the first value off a field of `header`: its bytes, and where the next one begins.
pub(crate) fn split_first(header: Header, v: &[u8]) -> (&[u8], Option<usize>) {
    match header {
        Header::WwwAuthenticate | Header::ProxyAuthenticate | Header::Authorization | Header::ProxyAuthorization => {
            Challenge::split_first(v)
        }
        Header::InReplyTo => CallIdRef::split_first(v),
        // Values with commas of their own that do not separate anything.
        Header::AuthenticationInfo
        | Header::Date
        | Header::Join
        | Header::Organization
        | Header::Privacy
        | Header::ProxyAuthenticationInfo
        | Header::Replaces
        | Header::RetryAfter
        | Header::Server
        | Header::Subject
        | Header::TargetDialog
        | Header::UserAgent => (v, None),
        _ => split_list(v),
    }
}

/// A field that is one value.
fn one<'a, T: FieldValue<'a> + Check>(v: &'a [u8]) -> Read<()> {
    T::parse_value(v)?.check()
}

/// A field that is a list of values, none of them empty.
fn list<'a, T: FieldValue<'a> + Check>(v: &'a [u8]) -> Read<()> {
    each::<T>(v, T::check)
}

fn each<'a, T: FieldValue<'a>>(v: &'a [u8], check: impl Fn(&T) -> Read<()>) -> Read<()> {
    let mut next = Some(0);
    while let Some(from) = next {
        let rest = v.get(from..).unwrap_or_default();
        let (value, behind) = T::split_first(rest);
        next = behind.map(|at| from + at);
        let lead = scan::skip(value, 0, scan::LWS);
        let value = scan::trim_end(value.get(lead..).unwrap_or_default());
        T::parse_value(value).and_then(|value| check(&value)).map_err(|error| error.shifted(from + lead))?;
    }
    Ok(())
}

/// Identity as RFC 8224 has it, or the bare signature of RFC 4474 and of the drafts before it (RFC 4475 section 3.1.1.11).
fn identity(v: &[u8]) -> Read<()> {
    let bare = v.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(v);
    let base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+' | b'=');
    if !bare.is_empty() && bare.iter().all(base64) { Ok(()) } else { list::<Identity<'_>>(v) }
}

/// Checks the value of one whole field of `header`, commas and all; `None` if its grammar is not known.
///
/// White space at the ends of `v` has been taken off.
pub(crate) fn check_value(header: Header, v: &[u8]) -> Option<Result<(), ValueError>> {
    if v.is_empty() && may_be_empty(header) {
        return Some(Ok(()));
    }
    Some(match header {
        Header::Via => list::<Via<'_>>(v),
        Header::From | Header::To => NameAddr::parse_value(v).and_then(|address| check_tagged(&address)),
        Header::CallId => CallId::check_form(v),
        Header::CSeq => one::<CSeq<'_>>(v),
        Header::RAck => one::<RAck<'_>>(v),
        Header::MaxForwards | Header::MaxBreadth | Header::RSeq => one::<Integer>(v),
        Header::Contact if v == b"*" => Ok(()),
        Header::Contact => each::<Contact<'_>>(v, |contact| match contact {
            // Contact = STAR / (contact-param *(COMMA contact-param))
            Contact::Any => fault(ValueFault::Form, 0),
            Contact::Address(_) => contact.check(),
        }),
        Header::ContentLength => match scan::decimal(v) {
            Some(_) => Ok(()),
            None => fault(if v.is_empty() { ValueFault::Empty } else { ValueFault::Number }, 0),
        },
        Header::ContentType => one::<MediaType<'_>>(v),
        Header::Route
        | Header::RecordRoute
        | Header::Path
        //= https://www.rfc-editor.org/rfc/rfc3608#section-5
        //# Note that the Service-Route header field values MUST conform to the
        //# syntax of a Route element as defined in [3].
        | Header::ServiceRoute
        | Header::PAssociatedUri
        | Header::RemotePartyId => each::<NameAddr<'_>>(v, check_name_addr),
        Header::PCalledPartyId => NameAddr::parse_value(v).and_then(|address| check_name_addr(&address)),
        Header::PermissionMissing
        | Header::PolicyId
        | Header::TriggerConsent
        | Header::PAssertedService
        | Header::PPreferredService => list::<NameAddr<'_>>(v),
        Header::ReplyTo | Header::ReferTo => one::<NameAddr<'_>>(v),
        Header::PAssertedIdentity | Header::PPreferredIdentity => each::<NameAddr<'_>>(v, check_identity),
        Header::HistoryInfo => list::<HistoryEntry<'_>>(v),
        Header::Diversion => list::<Diversion<'_>>(v),
        Header::ReferredBy => one::<ReferredBy<'_>>(v),
        Header::AlertInfo | Header::CallInfo | Header::ErrorInfo | Header::Geolocation | Header::PolicyContact => {
            list::<InfoUri<'_>>(v)
        }
        Header::IdentityInfo | Header::ReferEventsAt => one::<InfoUri<'_>>(v),
        Header::Identity => identity(v),
        Header::Expires | Header::MinExpires | Header::FlowTimer => one::<DeltaSeconds>(v),
        Header::SessionExpires => one::<SessionExpires<'_>>(v),
        Header::MinSe => one::<MinSe<'_>>(v),
        Header::RetryAfter => one::<RetryAfter<'_>>(v),
        Header::Timestamp => one::<Timestamp<'_>>(v),
        Header::Date => one::<Date>(v),
        Header::MimeVersion => one::<MimeVersion>(v),
        Header::ReferSub => one::<ReferSub<'_>>(v),
        Header::Require
        | Header::ProxyRequire
        | Header::Supported
        | Header::Unsupported
        | Header::ContentEncoding
        | Header::PEarlyMedia => list::<Token<'_>>(v),
        Header::Priority | Header::GeolocationRouting => one::<Token<'_>>(v),
        Header::Allow => list::<Method<'_>>(v),
        Header::AllowEvents => list::<EventType<'_>>(v),
        Header::ContentLanguage => list::<LanguageTag<'_>>(v),
        Header::InReplyTo => list::<CallIdRef<'_>>(v),
        Header::Privacy => one::<Privacy<'_>>(v),
        Header::RequestDisposition => list::<Directive<'_>>(v),
        Header::ResourcePriority | Header::AcceptResourcePriority => list::<ResourceValue<'_>>(v),
        Header::SipEtag | Header::SipIfMatch | Header::SuppressIfMatch => one::<EntityTag<'_>>(v),
        Header::Accept => list::<MediaRange<'_>>(v),
        Header::AcceptEncoding => list::<CodingRange<'_>>(v),
        Header::AcceptLanguage => list::<LanguageRange<'_>>(v),
        Header::AcceptContact | Header::RejectContact | Header::FeatureCaps => list::<FeatureSet<'_>>(v),
        //= https://www.rfc-editor.org/rfc/rfc6665#section-8.2.1
        //# There MUST be exactly
        //# one event type listed per "Event" header field.
        Header::Event => one::<Event<'_>>(v),
        Header::SubscriptionState => one::<SubscriptionState<'_>>(v),
        Header::Reason => list::<Reason<'_>>(v),
        Header::ContentDisposition => one::<ContentDisposition<'_>>(v),
        Header::InfoPackage => one::<InfoPackage<'_>>(v),
        Header::RecvInfo => list::<InfoPackage<'_>>(v),
        Header::SecurityClient | Header::SecurityServer | Header::SecurityVerify => list::<SecurityMechanism<'_>>(v),
        Header::PAccessNetworkInfo => list::<AccessNetworkInfo<'_>>(v),
        Header::PChargingVector => ChargingParams::parse_value(v).and_then(|vector| vector.check_vector()),
        Header::PChargingFunctionAddresses => list::<ChargingParams<'_>>(v),
        Header::PVisitedNetworkId | Header::UserToUser => list::<TokenOrQuoted<'_>>(v),
        Header::AnswerMode | Header::PrivAnswerMode | Header::PAnswerState => one::<AnswerMode<'_>>(v),
        Header::SessionId => one::<SessionId<'_>>(v),
        Header::GeolocationError => one::<GeolocationError<'_>>(v),
        Header::Replaces => one::<Replaces<'_>>(v),
        Header::Join => one::<Join<'_>>(v),
        Header::TargetDialog => one::<TargetDialog<'_>>(v),
        Header::WwwAuthenticate | Header::ProxyAuthenticate => list::<Challenge<'_>>(v),
        Header::Authorization | Header::ProxyAuthorization => list::<Credentials<'_>>(v),
        Header::AuthenticationInfo | Header::ProxyAuthenticationInfo => one::<AuthenticationInfo<'_>>(v),
        Header::Warning => list::<Warning<'_>>(v),
        Header::Subject | Header::Organization => one::<Text<'_>>(v),
        Header::Server | Header::UserAgent => one::<Products<'_>>(v),
        Header::ResponseKey => return None,
    })
}
