//! Everything that can be chosen about a user agent, with finite defaults.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use sip_transaction::Transport;

use crate::session_timer::SessionTimerConfig;

/// What a [`UserAgentCore`](crate::UserAgentCore) is told at construction.
///
/// ```
/// use sip_dialog::UserAgentConfig;
/// let mut config = UserAgentConfig::new("<sip:alice@192.0.2.1:5060>");
/// config.product = "Phone/1.0".into();
/// config.limits.calls = Some(2);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserAgentConfig {
    /// The value of Contact where nothing else says it: a URI in angle brackets, by which peers reach this user agent.
    pub contact: String,
    /// Other Contact values for those who come over these transports: of a server that listens on several.
    pub contacts: Vec<(Transport, String)>,
    /// The User-Agent and Server fields; none if empty.
    pub product: String,
    /// Which requests outside of dialogs are this user agent's.
    pub serves: Serves,
    /// Event packages that subscriptions are accepted for; others are refused 489. `refer` need not be listed.
    pub packages: Vec<String>,
    /// Info Packages that are accepted (RFC 6086); others are refused 469. DTMF in the older form is always
    /// accepted.
    pub info_packages: Vec<String>,
    /// The body types that are accepted, as Accept lists them; `*` for any subtype. By default all but those of models and
    /// fonts. SDP stands first, since that is what calls are made of.
    pub accept: Vec<String>,
    /// The languages of bodies that are understood, as Accept-Language lists them; a range takes all below it, as `de` takes
    /// `de-CH`. Empty, as by default: any.
    pub languages: Vec<String>,
    /// Option tags of the host's own, added to Supported and accepted in Require.
    pub extensions: Vec<String>,
    /// Session timers.
    pub session_timer: SessionTimerConfig,
    /// Provisional responses that are sent reliably (RFC 3262) if the peer can take them.
    pub reliable: Reliable,
    /// What happens to a 3xx.
    pub redirect: Redirect,
    /// Whether this user agent is called by `sips:` URIs, by `sip:` URIs, or by either.
    pub sips: Sips,
    /// Whether identities that peers assert in P-Asserted-Identity are to be believed, and ours may be told: the peers are
    /// inside the trust domain of RFC 3325.
    pub trusted: bool,
    /// How long an invitation we sent may ring before it is cancelled, and a re-INVITE be without an answer; `None`: until the peer gives up.
    /// 3 minutes.
    pub no_answer: Option<Duration>,
    /// How long an invitation we received may ring before it is answered 480; `None`: until the peer gives up. 5 minutes.
    pub unanswered: Option<Duration>,
    /// How long a call may last; `None`: for ever. `None`.
    pub call_length: Option<Duration>,
    /// How long the host may take to answer an offer in UPDATE, PRACK, re-INVITE or a 2xx. 20 s.
    pub answer: Duration,
    /// Registrations.
    pub registration: RegistrationConfig,
    /// How much of anything there may be.
    pub limits: Limits,
}

impl UserAgentConfig {
    /// The defaults, with this Contact value: a URI in angle brackets, as in `<sip:alice@192.0.2.1:5060>`.
    pub fn new(contact: impl Into<String>) -> Self {
        UserAgentConfig {
            contact: contact.into(),
            contacts: Vec::new(),
            product: String::new(),
            serves: Serves::Everything,
            packages: Vec::new(),
            info_packages: Vec::new(),
            accept: [
                "application/sdp",
                "application/*",
                "multipart/*",
                "message/*",
                "text/*",
                "image/*",
                "audio/*",
                "video/*",
            ]
            .map(String::from)
            .into(),
            languages: Vec::new(),
            extensions: Vec::new(),
            session_timer: SessionTimerConfig::default(),
            reliable: Reliable::OnDemand,
            redirect: Redirect::Report,
            sips: Sips::Either,
            trusted: false,
            no_answer: Some(Duration::from_secs(180)),
            unanswered: Some(Duration::from_secs(300)),
            call_length: None,
            answer: Duration::from_secs(20),
            registration: RegistrationConfig::default(),
            limits: Limits::default(),
        }
    }
}

/// Which requests outside of dialogs a user agent takes. Those in its own dialogs are always its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Serves {
    /// All of them: the endpoint is this user agent's alone, or the last core to be asked.
    Everything,
    /// Those whose Request-URI has one of these users, compared as text, at any host.
    Users(Vec<String>),
    /// None: the host hands in those it wants taken with [`UserAgentCore::take`](crate::UserAgentCore::take).
    Nothing,
}

/// When provisional responses are sent reliably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reliable {
    /// When the peer requires it, and when the host asks for it and the peer supports it.
    OnDemand,
    /// Whenever the peer supports it.
    Always,
    /// Never: 100rel is not offered, and calls that require it are refused 420.
    Never,
}

/// The URIs a user agent is reached by (RFC 5630 section 5.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sips {
    /// Either, as the host writes its Contact. A request to a `sip:` URI is answered with a `sip:` Contact, and one to a `sips:` URI with
    /// that.
    Either,
    /// `sips:` alone: requests to `sip:` URIs are refused with 480 and Warning 381, those to `sips:` URIs whose Contact is no such with 400, and
    /// registrations are made with `sips:` Contacts.
    Only,
    /// `sip:` alone: requests to `sips:` URIs are refused with 480 and Warning 380, and registrations are made with `sip:` Contacts.
    Never,
}

/// What happens when a call is answered 3xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redirect {
    /// The call ends and the event tells where it should have gone.
    Report,
    /// The contacts are tried one after the other, best first, this many at most.
    Follow(u8),
}

/// What registrations go by (RFC 5626).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrationConfig {
    /// The base of the back-off when all flows have failed: 30 s.
    pub base_all_failed: Duration,
    /// The base of the back-off while another flow works: 90 s.
    pub base_not_failed: Duration,
    /// The longest back-off: 30 minutes.
    pub max_delay: Duration,
    /// How long before it runs out a registration is refreshed, at least; a tenth of its time if that is more: 5 s.
    pub margin: Duration,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        RegistrationConfig {
            base_all_failed: Duration::from_secs(30),
            base_not_failed: Duration::from_secs(90),
            max_delay: Duration::from_secs(1800),
            margin: Duration::from_secs(5),
        }
    }
}

/// How much of anything there may be; `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Calls. At the limit, invitations are answered 486 and commands refused.
    pub calls: Option<usize>,
    /// Subscriptions, as subscriber and notifier together. At the limit, requests are answered 503, with a Retry-After
    /// ([`sip_transaction::Limits::retry_after`]) as below.
    pub subscriptions: Option<usize>,
    /// Requests of their own, in and out. At the limit, requests are answered 503.
    pub requests: Option<usize>,
    /// Early dialogs of one call that a forking proxy may make. A provisional response of another is told without its dialog; a 2xx of
    /// another makes the call, as that of any.
    pub forks: usize,
    /// Dialogs whose call has ended, remembered for 64*T1: for a PRACK that comes after the final response (RFC 3262 section 3), and to decline
    /// an INVITE that is to replace what is over (RFC 3891 section 3). At the limit an older one is forgotten. There is memory for all of them,
    /// 16 bytes each, once the first has ended.
    pub past_dialogs: usize,
    /// Reliable provisional responses waiting for the PRACK of the one before.
    pub reliable_queue: usize,
    /// How often a request is sent again with credentials before the answer is taken for good.
    pub auth_rounds: u8,
    /// How often a re-INVITE or UPDATE that met another is tried again, and how often an INVITE, re-INVITE or UPDATE whose session interval
    /// was too small (422).
    pub glare_rounds: u8,
    /// Events waiting for [`poll_event`](crate::UserAgentCore::poll_event). At the limit new invitations and requests are answered
    /// 503.
    pub queued_events: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            calls: Some(500_000),
            subscriptions: Some(500_000),
            requests: Some(100_000),
            forks: 20,
            past_dialogs: 1_000,
            reliable_queue: 8,
            auth_rounds: 3,
            glare_rounds: 5,
            queued_events: Some(100_000),
        }
    }
}
