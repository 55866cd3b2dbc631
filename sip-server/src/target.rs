//! Where a request can be sent: contacts of an address-of-record, or what the host says.

use crate::location::Binding;
use alloc::string::String;
use sip_transaction::{FlowId, Path};

/// One place a request can go: an element of a target set (RFC 3261 section 16.5).
///
/// ```
/// use sip_server::Target;
/// let voicemail = Target::new("sip:voicemail@media.example.com").with_q(100);
/// assert_eq!(voicemail.q, 100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The URI that becomes the Request-URI.
    pub uri: String,
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
    //= type=exception
    //= reason=the host names them, and is told that each must have lr
    //# A proxy MUST ensure that all such proxies are loose routers.
    /// Route values to put before those of the request, separated by commas: the Path of a binding (RFC 3327), or the proxies
    /// that local policy wants visited. Each must have `lr`. Empty for none.
    pub route: String,
    /// The flow to send over, and no other.
    pub flow: Option<FlowPath>,
    /// The preference, in thousandths: targets with a higher one are tried before those with a lower one, those with the
    /// same at once.
    pub q: u16,
    /// The instance it is: of targets with the same instance, only one is tried at a time, and another one only if the flow
    /// to the first has failed (RFC 5626 section 7). Empty if it is none.
    pub instance: String,
    /// Whether the user agent has to be woken first (RFC 8599): the URI says how, by its `pn-` parameters. The proxy then says so by
    /// [`ProxyEvent::Wake`](crate::ProxyEvent::Wake) and lets the request wait.
    pub asleep: bool,
    /// Whose contact it is, as [`aor_key`](crate::aor_key) has it: only a REGISTER for this address-of-record wakes one that is asleep. Empty
    /// if it is the user the Request-URI names.
    pub aor: String,
}

/// A flow that a target is reached over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowPath {
    /// This connection.
    Flow(FlowId),
    /// This flow, to this remote address.
    Path(Path),
}

impl FlowPath {
    pub(crate) fn flow(&self) -> FlowId {
        match self {
            FlowPath::Flow(flow) => *flow,
            FlowPath::Path(path) => path.flow,
        }
    }
}

impl Target {
    /// A target with nothing but a URI, and the highest preference.
    pub fn new(uri: impl Into<String>) -> Target {
        Target {
            uri: uri.into(),
            route: String::new(),
            flow: None,
            q: 1000,
            instance: String::new(),
            asleep: false,
            aor: String::new(),
        }
    }

    /// With this preference, in thousandths.
    #[must_use]
    pub fn with_q(mut self, q: u16) -> Target {
        self.q = q.min(1000);
        self
    }

    /// With these Route values, separated by commas, each with `lr`.
    #[must_use]
    pub fn with_route(mut self, route: impl Into<String>) -> Target {
        self.route = route.into();
        self
    }

    /// Over this connection and no other.
    #[must_use]
    pub fn over(mut self, flow: FlowId) -> Target {
        self.flow = Some(FlowPath::Flow(flow));
        self
    }

    /// The contact that an address-of-record is bound to.
    pub fn of_binding(binding: &Binding) -> Target {
        Target {
            uri: binding.contact().into(),
            route: binding.path().into(),
            //= https://www.rfc-editor.org/rfc/rfc5626#section-7
            //# If the proxy is co-located with the registrar and stored information
            //# about the flow to the UA that created the binding, then the proxy
            //# MUST send the request over the same 'logical flow' saved with the
            //# binding, since that flow is known to deliver data to the specific
            //# target UA instance's network flow that was saved with the binding.
            flow: binding.received().map(FlowPath::Path),
            q: binding.q(),
            instance: binding.instance().into(),
            asleep: binding.wakes(),
            aor: String::new(),
        }
    }
}
