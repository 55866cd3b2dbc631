//! The way a request outside of a dialog takes, made from its [`Origin`] and the registration it names.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use sip_transaction::Path;

use super::{Bound, UserAgentCore};
use crate::auth::AuthContext;
use crate::id::RegistrationId;
use crate::origin::Origin;

/// Contact, route set, flow and credentials of a request.
pub(crate) struct Way {
    pub(crate) contact: Arc<str>,
    pub(crate) routes: String,
    pub(crate) path: Option<Path>,
    pub(crate) auth: Option<Box<AuthContext>>,
}

impl UserAgentCore {
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

    /// The Contact to answer with to a request that came over a flow: that of the registration over it, if there is one.
    pub(crate) fn contact_for(&self, path: Path) -> Arc<str> {
        let next = self.flows.range((path.flow, Bound::Registration(RegistrationId::FIRST))..).next();
        match next {
            Some((&(flow, Bound::Registration(id)), ())) if flow == path.flow => {
                self.registrations.get(id).map_or_else(|| self.contact.clone(), |found| found.dialog_contact())
            }
            _ => self.contact.clone(),
        }
    }
}
