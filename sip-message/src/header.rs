//! Header field names: the known ones as an enum, their compact forms, and the lookup the parser classifies with.

use crate::scan;
use core::fmt;

macro_rules! headers {
    ($($variant:ident = $text:literal $(, $compact:literal)? ; $rfc:literal)*) => {
        /// A header field name this crate knows: RFC 3261, the SIP extensions registered with IANA, and two that are in
        /// wide use without (Diversion, Remote-Party-ID).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Header {
            $(#[doc = concat!("`", $text, "`", $(" (compact `", $compact, "`)",)? ", ", $rfc, ".")] $variant,)*
        }

        impl Header {
            /// Every known header, in the order of the enum.
            pub const ALL: &'static [Header] = &[$(Header::$variant,)*];

            /// The name in the case the RFCs print it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Header::$variant => $text,)*
                }
            }

            /// What a line of this header begins with: the name, a colon and a space.
            pub(crate) const fn line_start(self) -> &'static str {
                match self {
                    $(Header::$variant => concat!($text, ": "),)*
                }
            }

            /// The compact form (RFC 3261 section 7.3.3), if there is one.
            pub const fn compact(self) -> Option<&'static str> {
                match self {
                    $($(Header::$variant => Some($compact),)?)*
                    #[allow(unreachable_patterns)]
                    _ => None,
                }
            }
        }
    };
}

// The first sixteen are those the index remembers the place of: see `index::HOT`.
headers! {
    Via = "Via", "v"; "RFC 3261 section 20.42"
    From = "From", "f"; "RFC 3261 section 20.20"
    To = "To", "t"; "RFC 3261 section 20.39"
    CallId = "Call-ID", "i"; "RFC 3261 section 20.8"
    CSeq = "CSeq"; "RFC 3261 section 20.16"
    MaxForwards = "Max-Forwards"; "RFC 3261 section 20.22"
    Contact = "Contact", "m"; "RFC 3261 section 20.10"
    ContentLength = "Content-Length", "l"; "RFC 3261 section 20.14"
    ContentType = "Content-Type", "c"; "RFC 3261 section 20.15"
    Route = "Route"; "RFC 3261 section 20.34"
    RecordRoute = "Record-Route"; "RFC 3261 section 20.30"
    Expires = "Expires"; "RFC 3261 section 20.19"
    Require = "Require"; "RFC 3261 section 20.32"
    ProxyRequire = "Proxy-Require"; "RFC 3261 section 20.29"
    Supported = "Supported", "k"; "RFC 3261 section 20.37"
    Event = "Event", "o"; "RFC 6665 section 8.2.1"
    Accept = "Accept"; "RFC 3261 section 20.1"
    AcceptContact = "Accept-Contact", "a"; "RFC 3841 section 9.2"
    AcceptEncoding = "Accept-Encoding"; "RFC 3261 section 20.2"
    AcceptLanguage = "Accept-Language"; "RFC 3261 section 20.3"
    AcceptResourcePriority = "Accept-Resource-Priority"; "RFC 4412"
    AlertInfo = "Alert-Info"; "RFC 3261 section 20.4"
    Allow = "Allow"; "RFC 3261 section 20.5"
    AllowEvents = "Allow-Events", "u"; "RFC 6665 section 8.2.2"
    AnswerMode = "Answer-Mode"; "RFC 5373"
    AuthenticationInfo = "Authentication-Info"; "RFC 3261 section 20.6"
    Authorization = "Authorization"; "RFC 3261 section 20.7"
    CallInfo = "Call-Info"; "RFC 3261 section 20.9"
    ContentDisposition = "Content-Disposition"; "RFC 3261 section 20.11"
    ContentEncoding = "Content-Encoding", "e"; "RFC 3261 section 20.12"
    ContentLanguage = "Content-Language"; "RFC 3261 section 20.13"
    Date = "Date"; "RFC 3261 section 20.17"
    Diversion = "Diversion"; "RFC 5806"
    ErrorInfo = "Error-Info"; "RFC 3261 section 20.18"
    FeatureCaps = "Feature-Caps"; "RFC 6809"
    FlowTimer = "Flow-Timer"; "RFC 5626 section 11.2"
    Geolocation = "Geolocation"; "RFC 6442 section 4.1"
    GeolocationError = "Geolocation-Error"; "RFC 6442 section 4.3"
    GeolocationRouting = "Geolocation-Routing"; "RFC 6442 section 4.2"
    HistoryInfo = "History-Info"; "RFC 7044"
    Identity = "Identity", "y"; "RFC 8224 section 4"
    IdentityInfo = "Identity-Info", "n"; "RFC 4474"
    InfoPackage = "Info-Package"; "RFC 6086 section 7.2"
    InReplyTo = "In-Reply-To"; "RFC 3261 section 20.21"
    Join = "Join"; "RFC 3911"
    MaxBreadth = "Max-Breadth"; "RFC 5393 section 5.3.3"
    MimeVersion = "MIME-Version"; "RFC 3261 section 20.24"
    MinExpires = "Min-Expires"; "RFC 3261 section 20.23"
    MinSe = "Min-SE"; "RFC 4028 section 5"
    Organization = "Organization"; "RFC 3261 section 20.25"
    PAccessNetworkInfo = "P-Access-Network-Info"; "RFC 7315 section 4.4"
    PAnswerState = "P-Answer-State"; "RFC 4964"
    PAssertedIdentity = "P-Asserted-Identity"; "RFC 3325 section 9.1"
    PAssertedService = "P-Asserted-Service"; "RFC 6050"
    PAssociatedUri = "P-Associated-URI"; "RFC 7315 section 4.1"
    PCalledPartyId = "P-Called-Party-ID"; "RFC 7315 section 4.2"
    PChargingFunctionAddresses = "P-Charging-Function-Addresses"; "RFC 7315 section 4.5"
    PChargingVector = "P-Charging-Vector"; "RFC 7315 section 4.6"
    PEarlyMedia = "P-Early-Media"; "RFC 5009"
    PPreferredIdentity = "P-Preferred-Identity"; "RFC 3325 section 9.2"
    PPreferredService = "P-Preferred-Service"; "RFC 6050"
    PVisitedNetworkId = "P-Visited-Network-ID"; "RFC 7315 section 4.3"
    Path = "Path"; "RFC 3327 section 4"
    PermissionMissing = "Permission-Missing"; "RFC 5360"
    PolicyContact = "Policy-Contact"; "RFC 6794"
    PolicyId = "Policy-ID"; "RFC 6794"
    Priority = "Priority"; "RFC 3261 section 20.26"
    PrivAnswerMode = "Priv-Answer-Mode"; "RFC 5373"
    Privacy = "Privacy"; "RFC 3323 section 4.2"
    ProxyAuthenticate = "Proxy-Authenticate"; "RFC 3261 section 20.27"
    ProxyAuthenticationInfo = "Proxy-Authentication-Info"; "RFC 7615"
    ProxyAuthorization = "Proxy-Authorization"; "RFC 3261 section 20.28"
    RAck = "RAck"; "RFC 3262 section 7.2"
    Reason = "Reason"; "RFC 3326 section 2"
    RecvInfo = "Recv-Info"; "RFC 6086 section 7.3"
    ReferEventsAt = "Refer-Events-At"; "RFC 7614"
    ReferSub = "Refer-Sub"; "RFC 4488 section 4"
    ReferTo = "Refer-To", "r"; "RFC 3515 section 2.1"
    ReferredBy = "Referred-By", "b"; "RFC 3892 section 3"
    RejectContact = "Reject-Contact", "j"; "RFC 3841 section 9.2"
    RemotePartyId = "Remote-Party-ID"; "in wide use, never registered"
    Replaces = "Replaces"; "RFC 3891 section 6.1"
    ReplyTo = "Reply-To"; "RFC 3261 section 20.31"
    RequestDisposition = "Request-Disposition", "d"; "RFC 3841 section 9.1"
    ResourcePriority = "Resource-Priority"; "RFC 4412"
    ResponseKey = "Response-Key"; "RFC 2543"
    RetryAfter = "Retry-After"; "RFC 3261 section 20.33"
    RSeq = "RSeq"; "RFC 3262 section 7.1"
    SecurityClient = "Security-Client"; "RFC 3329 section 2.2"
    SecurityServer = "Security-Server"; "RFC 3329 section 2.2"
    SecurityVerify = "Security-Verify"; "RFC 3329 section 2.2"
    Server = "Server"; "RFC 3261 section 20.35"
    ServiceRoute = "Service-Route"; "RFC 3608 section 5"
    SessionExpires = "Session-Expires", "x"; "RFC 4028 section 4"
    SessionId = "Session-ID"; "RFC 7989"
    SipEtag = "SIP-ETag"; "RFC 3903 section 11.3.1"
    SipIfMatch = "SIP-If-Match"; "RFC 3903 section 11.3.2"
    Subject = "Subject", "s"; "RFC 3261 section 20.36"
    SubscriptionState = "Subscription-State"; "RFC 6665 section 8.2.3"
    SuppressIfMatch = "Suppress-If-Match"; "RFC 5839"
    TargetDialog = "Target-Dialog"; "RFC 4538 section 7"
    Timestamp = "Timestamp"; "RFC 3261 section 20.38"
    TriggerConsent = "Trigger-Consent"; "RFC 5360"
    Unsupported = "Unsupported"; "RFC 3261 section 20.40"
    UserAgent = "User-Agent"; "RFC 3261 section 20.41"
    UserToUser = "User-to-User"; "RFC 7433"
    Warning = "Warning"; "RFC 3261 section 20.43"
    WwwAuthenticate = "WWW-Authenticate"; "RFC 3261 section 20.44"
}

impl Header {
    /// The known header with this name, in any case, compact or not.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.3
    //# Implementations MUST accept both the long and short forms
    //# of each header name.
    pub fn lookup(name: &[u8]) -> Option<Header> {
        let mut bytes = [0u8; KEY_WORDS * 8];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        lookup_among(&bytes, name.len())
    }
}

/// The known header whose name, in any case, is the first `len` of these bytes.
fn lookup_among(bytes: &[u8; KEY_WORDS * 8], len: usize) -> Option<Header> {
    let mut key = [0u64; KEY_WORDS];
    let mut control = 0;
    for (n, (word, bytes)) in key.iter_mut().zip(bytes.chunks_exact(8)).enumerate() {
        let raw = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let bits = len.saturating_sub(n * 8).min(8) * 8;
        let name = !u64::MAX.checked_shl(bits as u32).unwrap_or(0);
        // Setting bit 5 turns some control bytes into letters' neighbours: the names hold none.
        control |= scan::controls(raw) & name;
        *word = (raw | LOWER) & name;
    }
    if let Some(last) = key.get_mut(len / 8) {
        *last |= u64::from(b':') << (len % 8 * 8);
    }
    if control == 0 { TABLE.find(key, HASH) } else { None }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Any header field name: one of the known ones, or another as text. Comparison ignores case.
///
/// Made from a [`Header`] or from text, so that functions take either:
///
/// ```
/// use sip_message::{Header, HeaderName};
/// assert_eq!(HeaderName::from("m"), HeaderName::Known(Header::Contact));
/// assert_eq!(HeaderName::from("X-Own"), HeaderName::from("x-oWN"));
/// ```
#[derive(Clone, Copy, Debug)]
pub enum HeaderName<'a> {
    /// A header this crate knows.
    Known(Header),
    /// Any other name, in the case it was written.
    Other(&'a str),
}

impl<'a> HeaderName<'a> {
    /// The name as text: the RFCs' case for a known header.
    #[inline]
    pub fn as_str(&self) -> &'a str {
        match self {
            HeaderName::Known(header) => header.as_str(),
            HeaderName::Other(name) => name,
        }
    }

    /// This name, known if it is: `Other` may be given a name that a [`Header`] has.
    #[inline]
    pub(crate) fn resolved(self) -> Self {
        match self {
            HeaderName::Known(_) => self,
            HeaderName::Other(name) => HeaderName::from(name),
        }
    }

    /// The known header, if it is one.
    #[inline]
    pub fn known(&self) -> Option<Header> {
        match self.resolved() {
            HeaderName::Known(header) => Some(header),
            HeaderName::Other(_) => None,
        }
    }
}

impl PartialEq for HeaderName<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.resolved(), other.resolved()) {
            (HeaderName::Known(a), HeaderName::Known(b)) => a == b,
            (HeaderName::Other(a), HeaderName::Other(b)) => a.eq_ignore_ascii_case(b),
            _ => false,
        }
    }
}

impl Eq for HeaderName<'_> {}

impl From<Header> for HeaderName<'_> {
    #[inline]
    fn from(header: Header) -> Self {
        HeaderName::Known(header)
    }
}

impl<'a> From<&'a str> for HeaderName<'a> {
    fn from(name: &'a str) -> Self {
        Header::lookup(name.as_bytes()).map_or(HeaderName::Other(name), HeaderName::Known)
    }
}

impl fmt::Display for HeaderName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names are looked up as words of eight bytes, with the colon behind them; the longest known name has 29. First as they came, as
/// nearly all are spelled as their RFC spells them, then with their letters made small.
const KEY_WORDS: usize = 4;
type Key = [u64; KEY_WORDS];

const SLOTS: usize = 1024;
const EMPTY: u8 = u8::MAX;

struct Table {
    /// Index into `keys` and `headers`, or `EMPTY`, which is beyond both. There are no collisions.
    slots: [u8; SLOTS],
    keys: [Key; 160],
    headers: [Header; 160],
}

const fn slot(key: &Key, hash: u64) -> usize {
    let mixed = key[0] ^ key[1].rotate_left(23) ^ key[2].rotate_left(41) ^ key[3].rotate_left(7);
    (mixed.wrapping_mul(hash) >> 54) as usize
}

/// Found by trying odd numbers until no two of the names share a slot; a test says so when a new name breaks it.
const HASH: u64 = 0xb86b_b4d6_c713_2891;
/// The same for names as they are spelled.
const HASH_AS_SPELLED: u64 = 0x1a75_92a5_deee_7383;

const LOWER: u64 = 0x2020_2020_2020_2020;

/// `set`: bits that are set in each byte, so that case does not count.
const fn key_of(name: &str, set: u8) -> Key {
    let name = name.as_bytes();
    let mut key = [0u64; KEY_WORDS];
    let mut i = 0;
    while i < name.len() {
        key[i / 8] |= ((name[i] | set) as u64) << (i % 8 * 8);
        i += 1;
    }
    key[i / 8] |= (b':' as u64) << (i % 8 * 8);
    key
}

const fn insert(table: &mut Table, key: Key, hash: u64, header: Header, at: usize) {
    table.keys[at] = key;
    table.headers[at] = header;
    table.slots[slot(&key, hash)] = at as u8;
}

const fn table(hash: u64, set: u8) -> Table {
    let mut table = Table { slots: [EMPTY; SLOTS], keys: [[0; KEY_WORDS]; 160], headers: [Header::Via; 160] };
    let mut at = 0;
    let mut i = 0;
    while i < Header::ALL.len() {
        let header = Header::ALL[i];
        insert(&mut table, key_of(header.as_str(), set), hash, header, at);
        at += 1;
        if let Some(compact) = header.compact() {
            insert(&mut table, key_of(compact, set), hash, header, at);
            at += 1;
        }
        i += 1;
    }
    table
}

static TABLE: Table = table(HASH, 0x20);
static AS_SPELLED: Table = table(HASH_AS_SPELLED, 0);

impl Table {
    /// The header whose name has this key.
    #[inline(always)]
    fn find(&self, key: Key, hash: u64) -> Option<Header> {
        let at = usize::from(*self.slots.get(slot(&key, hash))?);
        // Word by word: a comparison of the arrays would read back as vectors what was just written as words. Where a key ends that is
        // the same so far, the other ends too: both have a colon there, and names have none.
        let [k0, k1, k2, k3] = self.keys.get(at)?;
        let same = match key {
            [a, 0, 0, 0] => *k0 == a,
            [a, b, 0, 0] => *k0 == a && *k1 == b,
            [a, b, c, d] => (k0 ^ a) | (k1 ^ b) | (k2 ^ c) | (k3 ^ d) == 0,
        };
        if same { self.headers.get(at).copied() } else { None }
    }
}

/// What stands before the colon of a header line.
pub(crate) struct ScannedName {
    /// Length of the name, without white space before the colon.
    pub(crate) len: usize,
    /// Index of the colon, from the start of the line.
    pub(crate) colon: usize,
    pub(crate) header: Option<Header>,
}

/// Reads the name of the header line that begins at `v[from]`; `None` if there is no `token` followed by a colon.
///
/// A name without white space before the colon, which is nearly every one, is read eight bytes at a time.
#[inline(always)]
pub(crate) fn scan_name(v: &[u8], from: usize) -> Option<ScannedName> {
    match v.get(from..).and_then(|line| Some((line, scan::load(line, 0)?))) {
        Some((line, word)) => scan_name_from(line, word),
        None => scan_other_name(v.get(from..)?),
    }
}

/// The same for the line `v`, which begins with `word`.
#[inline(always)]
pub(crate) fn scan_name_from(v: &[u8], word: u64) -> Option<ScannedName> {
    if let Some((k0, len)) = name_word(word) {
        return found_name(v, len, [k0, 0, 0, 0]);
    }
    let Some(second) = scan::load(v, 8) else { return scan_other_name(v) };
    if let Some((k1, len)) = name_word(second) {
        return found_name(v, 8 + len, [word, k1, 0, 0]);
    }
    scan_long_name(v, [word, second])
}

/// Reads a name of at least 16 bytes, of which the first are known.
fn scan_long_name(v: &[u8], [k0, k1]: [u64; 2]) -> Option<ScannedName> {
    let Some(third) = scan::load(v, 16) else { return scan_other_name(v) };
    if let Some((k2, len)) = name_word(third) {
        return found_name(v, 16 + len, [k0, k1, k2, 0]);
    }
    match scan::load(v, 24).and_then(name_word) {
        Some((k3, len)) => found_name(v, 24 + len, [k0, k1, third, k3]),
        None => scan_other_name(v),
    }
}

/// What stands in `word` up to its first colon, that included, and how many bytes stand before it.
#[inline(always)]
fn name_word(word: u64) -> Option<(u64, usize)> {
    let mark = scan::equal(word, b':');
    if mark == 0 {
        return None;
    }
    // The lowest mark is the top bit of the colon's byte.
    let up_to = mark ^ mark.wrapping_sub(1);
    Some((word & up_to, (mark.trailing_zeros() / 8) as usize))
}

/// The name of `len` bytes with this key, whose colon follows at once.
#[inline(always)]
fn found_name(v: &[u8], len: usize, key: Key) -> Option<ScannedName> {
    match AS_SPELLED.find(key, HASH_AS_SPELLED) {
        Some(header) => Some(ScannedName { len, colon: len, header: Some(header) }),
        None => scan_unusual_name(v, len),
    }
}

/// A name of `len` bytes, whose colon follows at once, that is not spelled like that of any header.
#[inline(never)]
fn scan_unusual_name(v: &[u8], len: usize) -> Option<ScannedName> {
    if len > 0 && scan::skip(v, 0, scan::TOKEN) == len {
        let header = match v.first_chunk() {
            Some(bytes) => lookup_among(bytes, len),
            None => Header::lookup(v.get(..len)?),
        };
        return Some(ScannedName { len, colon: len, header });
    }
    scan_other_name(v)
}

#[cold]
fn scan_other_name(v: &[u8]) -> Option<ScannedName> {
    let end = scan::skip(v, 0, scan::TOKEN);
    let mut colon = end;
    // HCOLON = *( SP / HTAB ) ":" SWS
    while matches!(v.get(colon), Some(b' ' | b'\t')) {
        colon += 1;
    }
    if end == 0 || v.get(colon) != Some(&b':') {
        return None;
    }
    Some(ScannedName { len: end, colon, header: Header::lookup(v.get(..end)?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String, vec};

    #[test]
    fn every_name_is_found_in_any_case() {
        for &header in Header::ALL {
            let name = header.as_str();
            for form in [name.into(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
                assert_eq!(Header::lookup(form.as_bytes()), Some(header), "{form}");
                let line = format!("{form}: value that is long enough for whole words\r\n");
                for line in [line.clone(), line.replace(": value", "\t :value"), format!("{form}:")] {
                    let scanned = scan_name(line.as_bytes(), 0).unwrap();
                    assert_eq!((scanned.header, scanned.len), (Some(header), name.len()), "{line}");
                    assert_eq!(line.as_bytes()[scanned.colon], b':');
                }
            }
            if let Some(compact) = header.compact() {
                assert_eq!(Header::lookup(compact.as_bytes()), Some(header));
                assert_eq!(Header::lookup(compact.to_ascii_uppercase().as_bytes()), Some(header));
            }
        }
    }

    #[test]
    fn other_names_are_not_mistaken_for_known_ones() {
        for name in [
            "Viaa",
            "Vi",
            "Call\rID",
            "Via\0",
            "Max-Forwards\0\0",
            "Call ID",
            "Froma",
            "Q",
            "Call_ID",
            "\x16ia",
            "Call-IDCall-IDCall-IDCall-IDCall-IDx",
        ] {
            assert_eq!(Header::lookup(name.as_bytes()), None, "{name:?}");
        }
        for line in [
            "Call\rID: 123456789012345678",
            "Via\0: 123456789012345678",
            "From\0\0: 12345678901234567890",
            ": x",
            " Via: x",
            "Via",
            "V ia: x",
            "Via\r\n: x",
            "",
        ] {
            assert!(scan_name(line.as_bytes(), 0).is_none(), "{line:?}");
        }
        let scanned = scan_name(b"X-Own : x", 0).unwrap();
        assert_eq!((scanned.header, scanned.len, scanned.colon), (None, 5, 6));
    }

    #[test]
    fn no_two_names_share_a_slot() {
        let names = |h: &Header| core::iter::once(h.as_str()).chain(h.compact());
        let (mut small, mut spelled) = (vec![String::new(); SLOTS], vec![String::new(); SLOTS]);
        for name in Header::ALL.iter().flat_map(names) {
            for (taken, set, hash) in [(&mut small, 0x20, HASH), (&mut spelled, 0, HASH_AS_SPELLED)] {
                let place = &mut taken[slot(&key_of(name, set), hash)];
                assert_eq!(place, "", "{name} collides: choose another {hash:x}");
                *place = name.into();
            }
        }
    }
}
