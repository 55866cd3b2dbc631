//! What a [`DigestAuth`](super::DigestAuth) is told, and what it tells.

use crate::id::AuthId;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use sip_message::digest::DigestAlgorithm;

//= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
//= type=exception
//= reason=a rule for clients
//# These credentials MUST NOT be cached across dialogs; however, if a UA is configured
//# with the realm of its local outbound proxy, when one exists, then the UA MAY cache
//# credentials for that realm across dialogs.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
//= type=exception
//= reason=Digest, the only scheme here, has realms
//# Note that if an authentication scheme that does not support realms is used in the
//# Proxy-Authorization header field, a proxy server MUST attempt to parse all Proxy-
//# Authorization header field values to determine whether one of them has what the
//# proxy server considers to be valid credentials.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
//= type=exception
//= reason=a rule for clients; a server that refused it would refuse more than it must
//# For SIP, the 'uri' MUST be enclosed in quotation marks.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
//= type=exception
//= reason=a rule for clients; a cnonce without qop is not read
//# RFC 2617 notes that a cnonce value MUST NOT be sent in an Authorization (and by
//# extension Proxy-Authorization) header field if no qop directive has been sent.
/// What a [`DigestAuth`](super::DigestAuth) is told at construction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthConfig {
    /// The domains whose users are authenticated, in lower case. Empty: nobody is, and everything is handed on.
    pub domains: Vec<String>,
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
    //= type=exception
    //= reason=the operator chooses; the default is the domain name
    //# Operators of user agents or proxy servers that will authenticate received requests
    //# MUST adhere to the following guidelines for creation of a realm string for their
    //# server:
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
    //= type=exception
    //= reason=the operator chooses; the default is the domain name
    //# Realm strings MUST be globally unique.
    /// The realm of all of them; `None` if each domain is a realm of its own. RFC 3261 section 22.1 wants realms to be
    /// globally unique, as domain names are.
    pub realm: Option<String>,
    /// The algorithms to offer, best first, one challenge for each. SHA-256, then MD5 for those who know no other.
    pub algorithms: Vec<DigestAlgorithm>,
    /// Whether to offer `auth-int` besides `auth`. Off: a proxy on the way may change a body (RFC 3261 section 22.4
    /// leaves it optional).
    pub auth_int: bool,
    /// Whether credentials without `qop` are taken, as clients of RFC 2069 send them. A nonce is good once then. On.
    pub without_qop: bool,
    /// Whether the `uri` of the credentials must be equivalent to the Request-URI. Off: a proxy on the way may have
    /// changed that (RFC 3261 section 22.4 item 5).
    pub check_uri: bool,
    /// Whether REGISTER is challenged, with 401. On.
    pub registrations: bool,
    /// Whether other requests outside of dialogs are challenged, with 407, if From is of one of the domains. On.
    pub requests: bool,
    /// Whether requests within dialogs are challenged, too. Off.
    pub in_dialog: bool,
    /// Whether to ask by [`AuthEvent::Credentials`] for users who are not in the table. Off: they are refused.
    pub ask: bool,
    /// Whether a nonce is good only over the flow it was sent over. Off: flows change with the network.
    pub nonce_bound_to_flow: bool,
    /// Whether to say that user names may be hashed (`userhash`, RFC 7616 section 3.4.4), so that they are not seen on the way. Only users of the
    /// table are found by their hash. Off: the parameter is left out.
    pub userhash: bool,
    /// Whether those who hide who they are are challenged, too: whose From is of `anonymous.invalid` (RFC 3323 section 4.1.1.3). They are
    /// asked to prove that they are a user of the domain of their P-Preferred-Identity (RFC 3325), else of the first one. Off.
    pub anonymous: bool,
    /// How long a nonce may be used. From half of it on, successful answers carry another one (`nextnonce`). 5 minutes.
    pub nonce_lifetime: Duration,
    /// How many used nonces are remembered: about 60 bytes each. Beyond, the oldest become stale early. 200,000.
    pub used_nonces: usize,
    /// How many failures one source may have at once: 30. Beyond, whatever of it would be challenged is answered 403.
    pub failures: u32,
    /// After how long one of them is forgiven. 10 seconds.
    pub forgive: Duration,
    /// How many requests may wait for [`DigestAuth::answer`](super::DigestAuth::answer); those beyond are answered 503. 10,000.
    pub waiting: usize,
}

impl Default for AuthConfig {
    fn default() -> Self {
        AuthConfig {
            domains: Vec::new(),
            realm: None,
            algorithms: vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
            auth_int: false,
            without_qop: true,
            check_uri: false,
            registrations: true,
            requests: true,
            in_dialog: false,
            ask: false,
            nonce_bound_to_flow: false,
            userhash: false,
            anonymous: false,
            nonce_lifetime: Duration::from_secs(300),
            used_nonces: 200_000,
            failures: 30,
            forgive: Duration::from_secs(10),
            waiting: 10_000,
        }
    }
}

/// Who sent a request, as far as that has been proven.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The user name, as in the credentials.
    pub user: Box<str>,
    /// The realm it is known in.
    pub realm: Arc<str>,
    /// Whether the flow has been trusted ([`DigestAuth::trust_flow`](super::DigestAuth::trust_flow)), rather than credentials been checked.
    pub by_flow: bool,
    /// The value of Authentication-Info for a 2xx to the request: the next nonce, when the one that was used ages.
    pub info: Option<Box<str>>,
}

/// What a [`DigestAuth`](super::DigestAuth) has to say. Handed out by [`DigestAuth::poll_event`](super::DigestAuth::poll_event).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthEvent {
    /// A secret is needed: answer with [`DigestAuth::answer`](super::DigestAuth::answer).
    Credentials {
        /// The request that waits.
        id: AuthId,
        /// The user name.
        user: String,
        /// The realm.
        realm: String,
        /// The algorithm the secret must be for.
        algorithm: DigestAlgorithm,
    },
    /// Somebody failed. One event for each failure: for logs, and for those who keep such sources out.
    Failed {
        /// Where the request came from.
        source: SocketAddr,
        /// The user name that was claimed.
        user: String,
        /// The realm.
        realm: String,
        /// Why.
        cause: AuthFailure,
    },
}

/// Why somebody was refused. The one refused learns less: an unknown user and a wrong password look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthFailure {
    /// There is no such user.
    UnknownUser,
    /// The digest is wrong.
    WrongPassword,
    /// The source has failed too often of late.
    Budget,
    /// The user is who they say, but may not act for that address-of-record.
    Identity,
}
