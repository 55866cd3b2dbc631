//! Values that are a token, a star or a string, with parameters behind: Event, Subscription-State, Reason,
//! Content-Disposition, Info-Package, the security mechanisms, the caller preferences and their kin.

use super::check::Check;
use super::lex::{self, Read, fault};
use super::tokens::{EventType, Token};
use crate::error::{ValueError, ValueFault};
use crate::name_addr::seconds;
use crate::params::{self, ParamValue, Params};
use crate::scan;
use crate::value::FieldValue;
use alloc::borrow::Cow;

macro_rules! tagged {
    ($(#[$doc:meta])* $name:ident, $(#[$value_doc:meta])* $value:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            $value: Token<'a>,
            params: Params<'a>,
        }

        impl<'a> $name<'a> {
            $(#[$value_doc])*
            pub fn $value(&self) -> Token<'a> {
                self.$value
            }

            /// The parameters.
            pub fn params(&self) -> Params<'a> {
                self.params
            }
        }

        impl<'a> FieldValue<'a> for $name<'a> {
            fn parse_value(v: &'a [u8]) -> Read<Self> {
                let (text, end) = lex::token(v, 0)?;
                Ok($name { $value: Token::new(text), params: lex::params(v, end)? })
            }
        }
    };
}

// That no name stands twice is what every one of these checks:
//= https://www.rfc-editor.org/rfc/rfc3841#section-10
//# Despite the BNF, there MUST NOT be more than one req-param or
//# explicit-param in an ac-params.
macro_rules! checks_params_only {
    ($($name:ident)*) => {
        $(impl Check for $name<'_> {
            fn check(&self) -> Read<()> {
                self.params.check()
            }
        })*
    };
}

/// The value of Event (RFC 6665 section 8.2.1): `presence;id=1`.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    event_type: EventType<'a>,
    params: Params<'a>,
}

impl<'a> Event<'a> {
    /// The event type, as in `presence` or `presence.winfo`.
    pub fn event_type(&self) -> EventType<'a> {
        self.event_type
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The `id` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    pub fn id(&self) -> Read<Option<&'a str>> {
        self.params.token("id")
    }

    /// Whether a subscription to `self` and one to `other` are the same one, as far as Event tells.
    ///
    /// # Errors
    ///
    /// The parameters up to `id` are malformed in one of them, or an `id` is not a token.
    //= https://www.rfc-editor.org/rfc/rfc6665#section-8.2.1
    //# For the purposes of matching
    //# NOTIFY requests with SUBSCRIBE requests, the event-type portion of
    //# the "Event" header field is compared byte by byte, and the "id"
    //# parameter token (if present) is compared byte by byte.
    pub fn matches(&self, other: &Event<'_>) -> Read<bool> {
        Ok(self.event_type.as_str() == other.event_type.as_str() && self.id()? == other.id()?)
    }
}

impl<'a> FieldValue<'a> for Event<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (event_type, end) = EventType::read(v)?;
        Ok(Event { event_type, params: lex::params(v, end)? })
    }
}

impl Check for Event<'_> {
    fn check(&self) -> Read<()> {
        self.id()?;
        self.params.check()
    }
}

/// What Subscription-State says of a subscription (RFC 6665 section 4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Substate<'a> {
    /// `active`: accepted.
    Active,
    /// `pending`: received, not yet decided upon.
    Pending,
    /// `terminated`: over.
    Terminated,
    /// Any other token.
    Other(Token<'a>),
}

impl<'a> Substate<'a> {
    /// The state as the RFC writes it.
    pub const fn as_str(self) -> &'a str {
        match self {
            Substate::Active => "active",
            Substate::Pending => "pending",
            Substate::Terminated => "terminated",
            Substate::Other(token) => token.as_str(),
        }
    }
}

/// Why a subscription ended (RFC 6665 section 4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventReason<'a> {
    /// `deactivated`: subscribe again at once.
    Deactivated,
    /// `probation`: subscribe again later.
    Probation,
    /// `rejected`: do not subscribe again.
    Rejected,
    /// `timeout`: it was not refreshed; subscribe again at once.
    Timeout,
    /// `giveup`: authorization was not obtained in time; subscribe again later.
    Giveup,
    /// `noresource`: the resource is gone; do not subscribe again.
    Noresource,
    /// `invariant`: the state will not change; do not subscribe again.
    Invariant,
    /// Any other token.
    Other(Token<'a>),
}

impl<'a> EventReason<'a> {
    /// The reason as the RFC writes it.
    pub const fn as_str(self) -> &'a str {
        match self {
            EventReason::Deactivated => "deactivated",
            EventReason::Probation => "probation",
            EventReason::Rejected => "rejected",
            EventReason::Timeout => "timeout",
            EventReason::Giveup => "giveup",
            EventReason::Noresource => "noresource",
            EventReason::Invariant => "invariant",
            EventReason::Other(token) => token.as_str(),
        }
    }

    fn of(token: Token<'a>) -> Self {
        use EventReason::{Deactivated, Giveup, Invariant, Noresource, Other, Probation, Rejected, Timeout};
        let known = [Deactivated, Probation, Rejected, Timeout, Giveup, Noresource, Invariant];
        known.into_iter().find(|reason| token == reason.as_str()).unwrap_or(Other(token))
    }
}

/// The value of Subscription-State (RFC 6665 section 8.2.3): `terminated;reason=noresource`.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionState<'a> {
    state: Token<'a>,
    params: Params<'a>,
}

impl<'a> SubscriptionState<'a> {
    /// The state.
    pub fn state(&self) -> Substate<'a> {
        match self.state {
            state if state == "active" => Substate::Active,
            state if state == "pending" => Substate::Pending,
            state if state == "terminated" => Substate::Terminated,
            state => Substate::Other(state),
        }
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The `reason` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    pub fn reason(&self) -> Read<Option<EventReason<'a>>> {
        Ok(self.params.token("reason")?.map(|text| EventReason::of(Token::new(text))))
    }

    /// The `expires` parameter: how many seconds are left of the subscription.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a number.
    pub fn expires(&self) -> Read<Option<u32>> {
        lex::seconds_param(&self.params, "expires")
    }

    /// The `retry-after` parameter: how many seconds to wait before subscribing again.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a number.
    pub fn retry_after(&self) -> Read<Option<u32>> {
        lex::seconds_param(&self.params, "retry-after")
    }
}

impl<'a> FieldValue<'a> for SubscriptionState<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (text, end) = lex::token(v, 0)?;
        Ok(SubscriptionState { state: Token::new(text), params: lex::params(v, end)? })
    }
}

impl Check for SubscriptionState<'_> {
    fn check(&self) -> Read<()> {
        self.reason()?;
        self.expires()?;
        self.retry_after()?;
        self.params.check()
    }
}

tagged! {
    /// One value of Reason (RFC 3326 section 2): `SIP;cause=200;text="Call completed elsewhere"`.
    Reason,
    /// The protocol the cause belongs to: `SIP`, `Q.850` or another.
    protocol
}

impl<'a> Reason<'a> {
    /// The `cause` parameter: a SIP status code, a Q.850 cause value, or what else the protocol has.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a number of 32 bits.
    pub fn cause(&self) -> Read<Option<u32>> {
        Ok(self.params.number("cause", u64::from(u32::MAX))?.map(|n| n as u32))
    }

    /// The `text` parameter, unquoted. Bytes that are not UTF-8 are replaced by U+FFFD.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn text(&self) -> Read<Option<Cow<'a, str>>> {
        Ok(self.params.value("text")?.map(text_of))
    }
}

impl Check for Reason<'_> {
    fn check(&self) -> Read<()> {
        self.cause()?;
        lex::param_as(&self.params, "text", ValueFault::Param, |v| (v.first() == Some(&b'"')).then_some(()))?;
        self.params.check()
    }
}

fn text_of(value: ParamValue<'_>) -> Cow<'_, str> {
    lex::lossy(value.unquoted())
}

tagged! {
    /// The value of Content-Disposition (RFC 3261 section 20.11): `session;handling=optional`.
    ContentDisposition,
    /// The disposition type: `render`, `session`, `icon`, `alert` or another.
    disposition
}

impl ContentDisposition<'_> {
    /// Whether a receiver that does not understand the body must refuse the message.
    ///
    /// # Errors
    ///
    /// The parameters up to `handling` are malformed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.11
    //# If the handling parameter is missing, the value
    //# "required" SHOULD be assumed.
    pub fn is_required(&self) -> Read<bool> {
        Ok(!self.params.value("handling")?.is_some_and(|value| value.eq_ignore_case("optional")))
    }
}

impl Check for ContentDisposition<'_> {
    fn check(&self) -> Read<()> {
        self.params.token("handling")?;
        self.params.check()
    }
}

tagged! {
    /// One value of Info-Package or Recv-Info (RFC 6086 section 7).
    InfoPackage,
    /// The name of the Info Package.
    name
}

tagged! {
    /// One value of Security-Client, Security-Server or Security-Verify (RFC 3329 section 2.2).
    SecurityMechanism,
    /// The mechanism: `digest`, `tls`, `ipsec-ike`, `ipsec-man`, `ipsec-3gpp` or another.
    mechanism
}

impl<'a> SecurityMechanism<'a> {
    /// The `q` parameter, the preference, in thousandths.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a `qvalue`.
    pub fn q(&self) -> Read<Option<u16>> {
        lex::q_param(&self.params, "q")
    }

    /// The `d-alg` parameter: a Digest algorithm.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    pub fn digest_algorithm(&self) -> Read<Option<Token<'a>>> {
        Ok(self.params.token("d-alg")?.map(Token::new))
    }

    /// The `d-qop` parameter: a Digest quality of protection.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    pub fn digest_qop(&self) -> Read<Option<Token<'a>>> {
        Ok(self.params.token("d-qop")?.map(Token::new))
    }

    /// The `d-ver` parameter: the digest over the Security-Server value.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not 32 hexadecimal digits in quotes.
    pub fn digest_verify(&self) -> Read<Option<&'a str>> {
        lex::param_as(&self.params, "d-ver", ValueFault::Param, |v| match v {
            [b'"', hex @ .., b'"'] if hex.len() == 32 && scan::all(hex, scan::HEX) => Some(scan::text(hex)),
            _ => None,
        })
    }
}

impl Check for SecurityMechanism<'_> {
    fn check(&self) -> Read<()> {
        self.q()?;
        self.digest_algorithm()?;
        self.digest_qop()?;
        self.digest_verify()?;
        self.params.check()
    }
}

tagged! {
    /// One value of P-Access-Network-Info (RFC 7315 section 5.4).
    AccessNetworkInfo,
    /// The access type or class, as in `3GPP-E-UTRAN-FDD`.
    access
}

impl AccessNetworkInfo<'_> {
    /// Whether a proxy put the value there: the `network-provided` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn is_network_provided(&self) -> Read<bool> {
        self.params.has("network-provided")
    }
}

tagged! {
    /// The value of Answer-Mode or Priv-Answer-Mode (RFC 5373), or of P-Answer-State (RFC 4964).
    AnswerMode,
    /// The mode: `Manual`, `Auto`, or another.
    mode
}

impl AnswerMode<'_> {
    /// Whether the mode is required: the `require` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn is_required(&self) -> Read<bool> {
        self.params.has("require")
    }
}

tagged! {
    /// The value of Session-ID (RFC 7989): the UUID of the sender of the message, and that of its peer.
    SessionId,
    /// The UUID of the sender: 32 hexadecimal digits, all of them zero for the nil UUID.
    local
}

impl<'a> SessionId<'a> {
    /// The `remote` parameter: the UUID of the peer.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    pub fn remote(&self) -> Read<Option<Token<'a>>> {
        Ok(self.params.token("remote")?.map(Token::new))
    }
}

impl Check for SessionId<'_> {
    fn check(&self) -> Read<()> {
        let uuid = |text: &str| text.len() == 32 && scan::all(text.as_bytes(), scan::HEX);
        if !uuid(self.local.as_str()) {
            return fault(ValueFault::Form, 0);
        }
        lex::param_as(&self.params, "remote", ValueFault::Param, |v| uuid(scan::text(v)).then_some(()))?;
        self.params.check()
    }
}

/// The value of Geolocation-Error (RFC 6442 section 4.3): `100;code="Cannot Process Location"`.
#[derive(Clone, Copy, Debug)]
pub struct GeolocationError<'a> {
    code: u16,
    params: Params<'a>,
}

impl<'a> GeolocationError<'a> {
    /// The location error code: 0 to 999.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The `code` parameter, unquoted: a text for the code. Bytes that are not UTF-8 are replaced by U+FFFD.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn text(&self) -> Read<Option<Cow<'a, str>>> {
        Ok(self.params.value("code")?.map(text_of))
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

impl<'a> FieldValue<'a> for GeolocationError<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (digits, end) = lex::run(v, 0, scan::DIGIT)?;
        match seconds(digits.as_bytes()) {
            Some(code) if digits.len() <= 3 => Ok(GeolocationError { code: code as u16, params: lex::params(v, end)? }),
            _ => fault(ValueFault::Number, 0),
        }
    }
}

/// One value of Accept-Contact or Reject-Contact (RFC 3841 section 9.2), or of Feature-Caps (RFC 6809): a star, and
/// features as parameters.
#[derive(Clone, Copy, Debug)]
pub struct FeatureSet<'a> {
    params: Params<'a>,
}

impl<'a> FeatureSet<'a> {
    /// The features and other parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// Whether contacts that do not match are to be dropped: the `require` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn is_required(&self) -> Read<bool> {
        self.params.has("require")
    }

    /// Whether contacts that do not say they match score nothing: the `explicit` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed.
    pub fn is_explicit(&self) -> Read<bool> {
        self.params.has("explicit")
    }

    /// The parameters that are features: the base tags of RFC 3840 section 9, and all that begin with `+`.
    pub fn features(&self) -> impl Iterator<Item = Read<params::Param<'a>>> {
        self.params.filter(|param| match param {
            Ok(param) => is_feature_tag(param.name),
            Err(_) => true,
        })
    }
}

/// Whether a Contact or Accept-Contact parameter of this name is a feature parameter.
//= https://www.rfc-editor.org/rfc/rfc3840#section-9
//# Feature parameters are identifiable because they either
//# belong to the well known set of base feature tags, or they begin with
//# a plus sign.
fn is_feature_tag(name: &str) -> bool {
    const BASE: [&str; 20] = [
        "audio",
        "automata",
        "class",
        "duplex",
        "data",
        "control",
        "mobility",
        "description",
        "events",
        "priority",
        "methods",
        "schemes",
        "application",
        "video",
        "language",
        "type",
        "isfocus",
        "actor",
        "text",
        "extensions",
    ];
    name.starts_with('+') || BASE.iter().any(|tag| tag.eq_ignore_ascii_case(name))
}

impl<'a> FieldValue<'a> for FeatureSet<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        match v.first() {
            Some(b'*') => Ok(FeatureSet { params: lex::params(v, 1)? }),
            _ => Err(lex::unexpected(v, 0)),
        }
    }
}

/// One value of User-to-User (RFC 7433) or P-Visited-Network-ID (RFC 7315 section 5.3): a token or a quoted string,
/// and parameters.
#[derive(Clone, Copy, Debug)]
pub struct TokenOrQuoted<'a> {
    value: ParamValue<'a>,
    params: Params<'a>,
}

impl<'a> TokenOrQuoted<'a> {
    /// The token or quoted string.
    pub fn value(&self) -> ParamValue<'a> {
        self.value
    }

    /// The parameters; those of User-to-User are `purpose`, `content` and `encoding`.
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

impl<'a> FieldValue<'a> for TokenOrQuoted<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let end = match v.first() {
            Some(b'"') => lex::quoted_string(v, 0)?,
            _ => lex::token(v, 0)?.1,
        };
        Ok(TokenOrQuoted { value: ParamValue(lex::slice(v, 0, end)), params: lex::params(v, end)? })
    }
}

/// The value of P-Charging-Vector (RFC 7315 section 5.6), or one of P-Charging-Function-Addresses (section 5.5):
/// parameters from the start on.
#[derive(Clone, Copy, Debug)]
pub struct ChargingParams<'a> {
    first: params::Param<'a>,
    params: Params<'a>,
}

impl<'a> ChargingParams<'a> {
    /// The value of the parameter `name`.
    ///
    /// # Errors
    ///
    /// A parameter before it is malformed.
    pub fn get(&self, name: &str) -> Read<Option<ParamValue<'a>>> {
        if self.first.name.eq_ignore_ascii_case(name) { Ok(self.first.value) } else { self.params.value(name) }
    }

    /// `icid-value`: the IMS charging identity of the call.
    ///
    /// # Errors
    ///
    /// A parameter before it is malformed.
    pub fn icid_value(&self) -> Read<Option<ParamValue<'a>>> {
        self.get("icid-value")
    }

    /// All parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = Read<params::Param<'a>>> {
        core::iter::once(Ok(self.first)).chain(self.params)
    }
}

impl<'a> FieldValue<'a> for ChargingParams<'a> {
    fn parse_value(v: &'a [u8]) -> Read<Self> {
        let (first, end) = lex::pair(v, 0, scan::PARAM_VALUE)?;
        Ok(ChargingParams { first, params: lex::params(v, end)? })
    }
}

impl Check for ChargingParams<'_> {
    /// The check of P-Charging-Function-Addresses, which RFC 3455 let repeat `ccf` and `ecf`.
    fn check(&self) -> Read<()> {
        self.iter().try_for_each(|param| param.map(drop))
    }
}

impl ChargingParams<'_> {
    /// The check of P-Charging-Vector, which begins with `icid-value`.
    pub(crate) fn check_vector(&self) -> Read<()> {
        if !self.first.name.eq_ignore_ascii_case("icid-value") {
            return fault(ValueFault::Form, 0);
        }
        if self.first.value.is_none() {
            return Err(ValueError::new(ValueFault::Param, 0));
        }
        self.params.check()?;
        match self.params.get(self.first.name)? {
            Some(twice) => fault(ValueFault::Param, self.params.offset_of(&twice)),
            None => Ok(()),
        }
    }
}

checks_params_only! {
    InfoPackage AccessNetworkInfo AnswerMode GeolocationError FeatureSet TokenOrQuoted
}
