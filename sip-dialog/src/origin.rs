//! Who sends, and over what: the part that all outgoing requests outside of dialogs share.

use alloc::string::String;
use alloc::vec::Vec;
use sip_message::{BuildError, Header, HeaderName, Lines, RequestBuilder, ResponseBuilder};
use sip_transaction::Path;

use crate::codec::{Reader, Wire, wire};
use crate::error::CommandError;
use crate::id::RegistrationId;

/// The sender of a request outside of a dialog, and the way it takes.
///
/// ```
/// use sip_dialog::Origin;
/// let alice = Origin::new("Alice <sip:alice@atlanta.com>").route("<sip:proxy.atlanta.com;lr>");
/// ```
#[derive(Clone, Debug)]
pub struct Origin {
    pub(crate) from: String,
    pub(crate) contact: Option<String>,
    pub(crate) routes: Vec<String>,
    pub(crate) path: Option<Path>,
    pub(crate) registration: Option<RegistrationId>,
}

impl Origin {
    /// The sender: a name and a URI as From has them. What stands behind them, such as a tag, is left out.
    pub fn new(from: impl Into<String>) -> Self {
        Origin { from: from.into(), contact: None, routes: Vec::new(), path: None, registration: None }
    }

    /// The value of Contact, instead of the configured one.
    #[must_use]
    pub fn contact(mut self, contact: impl Into<String>) -> Self {
        self.contact = Some(contact.into());
        self
    }

    /// Adds a Route value: the pre-existing route set of RFC 3261 section 8.1.1.1, such as an outbound proxy.
    #[must_use]
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.routes.push(route.into());
        self
    }

    /// Sends over this flow, to where it leads, and keeps the dialog on it; without it the route set and Request-URI
    /// decide, by RFC 3263.
    #[must_use]
    pub fn path(mut self, path: Path) -> Self {
        self.path = Some(path);
        self
    }

    /// Takes Contact (a GRUU if there is one), Service-Route, flow and credentials from a registration, where nothing else was
    /// said here.
    #[must_use]
    pub fn registration(mut self, registration: RegistrationId) -> Self {
        self.registration = Some(registration);
        self
    }
}

/// Header fields of the host's own, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraHeaders(Vec<(String, String)>);

/// Lets the host add header fields to what is built with `headers`.
macro_rules! takes_headers {
    ($($built:ty),*) => {$(
        impl $built {
            /// Adds a header field.
            pub fn header(
                mut self,
                name: impl Into<alloc::string::String>,
                value: impl Into<alloc::string::String>,
            ) -> Self {
                self.headers.push(name, value);
                self
            }
        }
    )*};
}
pub(crate) use takes_headers;

impl ExtraHeaders {
    /// None.
    pub const fn new() -> Self {
        ExtraHeaders(Vec::new())
    }

    /// Adds one; it is checked when the message is built.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds one; it is checked when the message is built.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether one of them is this header.
    pub fn has(&self, header: Header) -> bool {
        self.iter().any(|(name, _)| HeaderName::from(name) == HeaderName::Known(header))
    }

    /// Whether they may stand in a message that has a Contact of ours: exactly one is allowed.
    pub(crate) fn without_contact(&self) -> Result<(), CommandError> {
        if self.has(Header::Contact) { Err(CommandError::HeaderNotAllowed) } else { Ok(()) }
    }

    /// Whether they can be written, for what is sent later.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let mut trial = Lines::new();
        self.iter().try_for_each(|(name, value)| trial.push(name, value))
    }

    pub(crate) fn on_request(&self, mut builder: RequestBuilder) -> RequestBuilder {
        for (name, value) in self.iter() {
            builder = builder.header(name, value);
        }
        builder
    }

    pub(crate) fn on_response(&self, mut builder: ResponseBuilder) -> ResponseBuilder {
        for (name, value) in self.iter() {
            builder = builder.header(name, value);
        }
        builder
    }
}

impl Wire for ExtraHeaders {
    fn write(&self, out: &mut crate::codec::Writer) {
        self.0.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        Wire::read(input).map(ExtraHeaders)
    }
}

wire!(struct Origin { from, contact, routes, registration } pin { path });
