//! The way a request outside of a dialog takes, made from its [`Origin`] and the registration it names.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use sip_message::{Contact, FieldValue, Header, Lines, Message, Method, NameAddr, RequestBuilder, Uri};
use sip_transaction::Path;
use sip_transaction::cores::{Id as _, Key};

use super::client::Over;
use super::{Bound, RandomToken, UserAgentCore};
use crate::auth::AuthContext;
use crate::call::caller::without_headers;
use crate::dialog;
use crate::error::{CommandError, DialogError};
use crate::id::RegistrationId;
use crate::origin::Origin;
use crate::registration::Registration;

/// How many registrations are looked at for the one a request was sent to: those of a telephone, not those of a gateway, which says its
/// Contact itself.
const LOOKED_AT: usize = 32;

/// Contact, route set, flow and credentials of a request.
pub(crate) struct Way {
    pub(crate) contact: Arc<str>,
    pub(crate) routes: String,
    pub(crate) path: Option<Path>,
    pub(crate) auth: Option<Box<AuthContext>>,
}

/// A From or To value given by the host.
pub(crate) fn address(value: &str) -> Result<NameAddr<'_>, CommandError> {
    NameAddr::parse_value(value.as_bytes()).map_err(|_| CommandError::Dialog(DialogError::Malformed))
}

/// Whether this can be a Contact value: what is not must not get into a call that could then neither be answered nor changed.
pub(crate) fn check_contact(value: &str) -> Result<(), CommandError> {
    Lines::new().push(Header::Contact, value)?;
    let malformed = CommandError::Dialog(DialogError::Malformed);
    match address(value)?.uri() {
        Ok(uri) if uri.as_sip().is_some() => Ok(()),
        _ => Err(malformed),
    }
}

/// Whether a request calls for a `sips:` Contact in its answer.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//# If the request that initiated the dialog contained a SIPS URI in the
//# Request-URI or in the top Record-Route header field value, if there was
//# any, or the Contact header field if there was no Record-Route header
//# field, the Contact header field in the response MUST be a SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//# The URI provided in the Contact header field MUST be a SIP or SIPS URI.
pub(crate) fn wants_sips(request: &Message) -> bool {
    if request.request_uri_bytes().is_some_and(is_sips) {
        return true;
    }
    match request.record_routes().next() {
        Some(route) => route.is_ok_and(|route| is_sips(route.uri_bytes())),
        // Most have nothing in it that looks like it.
        None if !request.field(Header::Contact).is_some_and(has_sips) => false,
        None => {
            let contact = request.contacts().next().and_then(Result::ok);
            contact.as_ref().and_then(Contact::address).is_some_and(|address| is_sips(address.uri_bytes()))
        }
    }
}

/// Whether what a SIPS URI begins with stands anywhere in a value.
fn has_sips(value: &[u8]) -> bool {
    memchr::memchr2_iter(b's', b'S', value).any(|at| value.get(at..).is_some_and(is_sips))
}

/// Whether this begins as a SIPS URI does.
pub(crate) fn is_sips(uri: &[u8]) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"))
}

impl Way {
    /// How a request of this way leaves.
    pub(crate) fn over(&self) -> Over {
        Over { pin: self.path, strict: !dialog::starts_loose(&self.routes) }
    }
}

impl UserAgentCore {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.8
    //# That is, the Contact header field value contains the URI at which the UA
    //# would like to receive requests, and this URI MUST be valid even if used
    //# in subsequent requests outside of any dialogs.
    pub(crate) fn way(&self, origin: &Origin) -> Way {
        let registration = origin.registration.and_then(|id| self.registrations.get(id));
        let contact = match (&origin.contact, registration) {
            (Some(contact), _) => contact.as_str().into(),
            (None, Some(registration)) => registration.dialog_contact(),
            (None, None) => self.contact.clone(),
        };
        let mut routes = origin.routes.join(", ");
        let mut path = origin.path;
        let mut auth = None;
        if let Some(registration) = registration {
            if routes.is_empty() {
                routes = registration.service_route().into();
            }
            path = path.or(registration.path());
            auth = registration.credentials();
        }
        Way { contact, routes, path, auth }
    }

    /// Checks the Contact of a request that makes a dialog, unless it is the configured one.
    pub(crate) fn check_way(&self, way: &Way) -> Result<(), CommandError> {
        if Arc::ptr_eq(&way.contact, &self.contact) { Ok(()) } else { check_contact(&way.contact) }
    }

    /// The Contact to answer with to a request that came over a flow: that of the registration it was sent to, of those over the flow, or of
    /// the first of them; else that of the transport.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-4.4.1
    //# When a UA receives a request, the GRUU placed into the Contact header
    //# field of a 2xx response SHOULD be the one associated with the AOR or
    //# GRUU to which the request was most recently targeted.
    pub(crate) fn contact_for(&self, path: Path, request: &Message) -> Arc<str> {
        let uri = if self.registrations.is_empty() { None } else { request.request_uri().and_then(Result::ok) };
        let asked = |found: &&Registration| uri.as_ref().is_some_and(|uri| found.is_asked(uri));
        let first = (path.flow, Bound::Registration(RegistrationId::from_key(Key::FIRST)));
        let bound = self.flows.range(first..).map_while(|(&(flow, bound), ())| match bound {
            Bound::Registration(id) if flow == path.flow => self.registrations.get(id),
            _ => None,
        });
        let mut bound = bound.take(LOOKED_AT).peekable();
        if let Some(&first) = bound.peek() {
            return bound.find(asked).unwrap_or(first).dialog_contact();
        }
        // A socket is for many, and nobody is bound to it.
        let mut all = self.registrations.iter().take(LOOKED_AT).map(|(_, found)| found);
        if let Some(found) = all.find(asked) {
            return found.dialog_contact();
        }
        let own = self.contacts.iter().find(|(on, _)| *on == path.transport);
        own.map_or_else(|| self.contact.clone(), |(_, contact)| contact.clone())
    }
}

impl UserAgentCore {
    /// Begins a request outside of any dialog: Request-URI, Route, From, To, Call-ID and CSeq (RFC 3261 section 8.1.1). Returns our tag,
    /// too.
    pub(crate) fn outside(
        &mut self,
        method: Method<'_>,
        origin: &Origin,
        way: &Way,
        target: &str,
        to: Option<&str>,
    ) -> Result<(RequestBuilder, RandomToken), CommandError> {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.4
        //# It MUST be the same for all requests and responses sent by either UA in
        //# a dialog.
        let (tag, call_id) = (self.token(), self.token());
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.1
        //# When a pre-existing route set is present, the procedures for populating
        //# the Request-URI and Route header field detailed in Section 12.2.1.1 MUST
        //# be followed (even though there is no dialog), using the desired
        //# Request-URI as the remote target URI.
        let (uri, route) = dialog::request_line(target, &way.routes);
        let mut builder = Message::request(method, uri);
        if let Some(route) = route {
            builder = builder.text(Header::Route, &route);
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.3
        //# The From field MUST contain a new "tag" parameter, chosen by the UAC.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.2
        //# A request outside of a dialog MUST NOT contain a To tag; the tag in the
        //# To field of a request identifies the peer of the dialog.
        builder = builder.address(Header::From, &address(&origin.from)?, Some(&tag));
        builder = match (to, Uri::parse(without_headers(target).as_bytes())) {
            (Some(to), _) => builder.address(Header::To, &address(to)?, None),
            (None, Ok(uri)) => builder.address(Header::To, &NameAddr::from(&uri), None),
            // What cannot be read is told as the fault of the Request-URI.
            (None, Err(_)) => builder,
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.4
        //# In a new request created by a UAC outside of any dialog, the Call-ID
        //# header field MUST be selected by the UAC as a globally unique identifier
        //# over space and time unless overridden by method-specific behavior.
        Ok((builder.text(Header::CallId, &call_id).cseq(1 + self.random() % 0xffff), tag))
    }
}
