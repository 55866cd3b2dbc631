//! What a [`Registrar`](super::Registrar) is told, and what it tells.

use crate::id::RegisterId;
use crate::location::{Binding, Expiry};
use crate::push::PushTarget;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use sip_transaction::{FlowId, Instant};

//= https://www.rfc-editor.org/rfc/rfc5626#section-5.4
//= type=exception
//= reason=no flow is given up for want of keepalives: the host closes connections
//# The server MUST wait for an amount of time larger than the Flow-Timer in order to
//# have a grace period to account for transport delay.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=exception
//= reason=keepalives are the endpoint's
//# To be compliant with this specification, registrars that can receive SIP requests
//# directly from a UAC without intervening edge proxies MUST implement the same keep-
//# alive mechanisms as edge proxies (Section 5.4).
//= https://www.rfc-editor.org/rfc/rfc3327#section-6.1
//= type=exception
//= reason=S/MIME bodies are not read
//# Registrars receiving such as request MUST honor the Path extension only if support
//# is indicated in the protected header field.
/// What a [`Registrar`](super::Registrar) is told at construction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistrarConfig {
    /// The domains it keeps bindings for, in lower case. REGISTERs for others are handed on.
    pub domains: Vec<String>,
    /// How long a binding lasts if the client does not say, in seconds: 3600.
    pub default_expires: u32,
    /// The least that a client may ask for, in seconds: 60. Below it the answer is 423, but an hour is never too short.
    pub min_expires: u32,
    /// The most that is granted, in seconds: 7200.
    pub max_expires: u32,
    /// Bindings of one address-of-record: 10. Beyond, the answer is 403.
    pub max_bindings: usize,
    /// Contact values in one request: 16. Beyond, the answer is 400.
    pub max_contacts: usize,
    /// Addresses-of-record in the embedded table: 1,000,000. Beyond, the answer is 503.
    pub max_aors: usize,
    /// The Service-Route to give to those who register (RFC 3608): name-addrs in order, with `sip:` URIs if clients may send requests to `sip:`
    /// and `sips:` URIs over it, with `sips:` URIs if to these alone.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.2
    //# If a UA registered with a SIPS Contact header field, the registrar
    //# returning a service route [RFC3608] MUST return a service route
    //# consisting of SIP URIs if the intent of the registrar is to allow
    //# both SIP and SIPS to be used in requests sent by that client.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.2
    //# If a
    //# UA registers with a SIPS Contact header field, the registrar
    //# returning a service route MUST return a service route consisting of
    //# SIPS URIs if the intent of the registrar is to allow only SIPS URIs
    //# to be used in requests sent by that UA.
    pub service_route: Vec<String>,
    /// The Flow-Timer to give to those who register flows (RFC 5626), in seconds.
    pub flow_timer: Option<u32>,
    /// Whether to mint GRUUs for those who support them (RFC 5627). On.
    pub gruu: bool,
    /// Whether a Path is taken from clients that do not say they support it. Off: they are told by 420 (RFC 3327 section
    /// 5.3).
    pub path_without_support: bool,
    /// The Unix time, in seconds, at [`Instant::ZERO`]: for the Date of responses. Without it there is none.
    pub unix_epoch: Option<i64>,
    /// Whether those who register over TCP contacts of their own address that name no transport are called over that connection. Then their
    /// bindings end with it. Off: such a URI means UDP (RFC 3263 section 4.1), and only user agents that are behind a NAT or register flows
    /// (RFC 5626) are called over their connections.
    pub over_connection: bool,
    /// Whether refreshes are told by [`RegistrarEvent::Changed`], too, and not only bindings that come and go. Off.
    pub report_refreshes: bool,
    /// How many requests may wait for an external store: 10,000. Those beyond are answered 503.
    pub waiting: usize,
    /// The push notification services the host can ask to wake a user agent (RFC 8599), as `pn-provider` names them: `apns`, `fcm`,
    /// `webpush`. Clients that register with one of these are told so and are woken; those that name another one are answered 555. None: the
    /// parameters mean nothing.
    pub push: Vec<String>,
    /// How often an external store is asked to sweep what has ended: every 30 seconds.
    pub sweep: Duration,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        RegistrarConfig {
            domains: Vec::new(),
            default_expires: 3600,
            min_expires: 60,
            max_expires: 7200,
            max_bindings: 10,
            max_contacts: 16,
            max_aors: 1_000_000,
            service_route: Vec::new(),
            flow_timer: None,
            gruu: true,
            path_without_support: false,
            unix_epoch: None,
            over_connection: false,
            report_refreshes: false,
            waiting: 10_000,
            push: Vec::new(),
            sweep: Duration::from_secs(30),
        }
    }
}

/// What a [`Registrar`](super::Registrar) has to say. Handed out by [`Registrar::poll_event`](super::Registrar::poll_event).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrarEvent {
    /// A binding has come or gone.
    Changed {
        /// The address-of-record, as [`aor_key`](crate::aor_key) has it.
        aor: String,
        /// The binding, as it is or was.
        binding: Binding,
        /// What happened.
        change: Change,
    },
    /// A user agent that takes push notifications has registered, perhaps because it has been woken: to be handed to
    /// [`Proxy::awake`](crate::Proxy::awake).
    Awake {
        /// The address-of-record.
        aor: String,
        /// The binding it has made or refreshed.
        binding: Binding,
    },
    /// A binding is about to end whose user agent sleeps: have the notification service wake it, so that it registers (RFC 8599 section
    /// 5.5). Only with the embedded table.
    Wake {
        /// The address-of-record.
        aor: String,
        /// Whom to wake, and by which service.
        push: PushTarget,
    },
    /// External store: read this record and answer with [`Registrar::found`](super::Registrar::found).
    Lookup {
        /// The REGISTER that waits.
        id: RegisterId,
        /// The address-of-record.
        aor: String,
    },
    /// External store: replace the bindings of this record, all or none, if its version is still the expected one, and answer with
    /// [`Registrar::stored`](super::Registrar::stored).
    Store {
        /// The REGISTER that waits.
        id: RegisterId,
        /// The address-of-record.
        aor: String,
        /// The version the change was thought out for.
        expected: u64,
        /// The bindings. None at all: remove the record.
        bindings: Vec<Binding>,
    },
    /// External store: remove what has ended by this time. No answer is needed.
    Expire {
        /// The time.
        now: Instant,
    },
    /// External store: remove the bindings whose user agent is reached over this flow, but for those that can be woken
    /// ([`Binding::wakes`]): these lose the flow only. No answer is needed.
    FlowEnded {
        /// The flow.
        flow: FlowId,
    },
}

/// What happened to a binding: the events of RFC 3680 section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is new.
    Registered,
    /// It has been refreshed.
    Refreshed,
    /// Its client has removed it.
    Unregistered,
    /// Its time is over.
    Expired,
    /// The flow to its client is over.
    FlowEnded,
}

impl RegistrarConfig {
    pub(super) fn expiry(&self) -> Expiry {
        Expiry { default: self.default_expires, min: self.min_expires, max: self.max_expires }
    }
}
