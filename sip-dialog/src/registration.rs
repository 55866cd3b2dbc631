//! Registrations that keep themselves up (RFC 3261 section 10, RFC 5626, RFC 5627, RFC 3327, RFC 3608, RFC 8599).
//!
//! ```text
//!  register ──► Trying ──200──► Registered ──refresh──► Trying ...
//!                 │  └─ failed, flow lost ─► Waiting ──back-off──► Trying ...
//!                 └─ refused for good ─► ended
//!  unregister ──► Leaving ──any answer──► ended
//! ```
//! One [`RegistrationId`] is one binding. Several flows (RFC 5626 section 4.2) are several registrations with the same instance id and
//! different reg-ids; each fails and recovers by itself, and the back-off knows of the others.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use sip_message::headers::{DeltaSeconds, RetryAfter};
use sip_message::{Contact, FieldValue as _, Header, Message, Method, NameAddr, StatusCode, Uri};
use sip_transaction::cores::{Id as _, Key};
use sip_transaction::{Endpoint, FlowId, Instant, Path};

use crate::agent::client::{Final, Over, Purpose};
use crate::agent::sips::{is_sips_value, schemed, turned};
use crate::agent::way::{address, check_contact};
use crate::agent::{Bound, UserAgentCore, status};
use crate::auth::AuthContext;
use crate::codec::wire;
use crate::config::Sips;
use crate::deadlines::Deadline;
use crate::dialog;
use crate::error::{CommandError, DialogError};
use crate::event::{Event, Owner, RegistrationEnd, RegistrationEvent};
use crate::id::RegistrationId;
use crate::origin::{ExtraHeaders, Origin, takes_headers};
use crate::session_timer::has_token;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying,
    Registered,
    Waiting,
    Leaving,
}

/// A registration to keep up.
///
/// ```
/// use sip_dialog::{Origin, Register};
/// let alice = Origin::new("<sip:alice@atlanta.com>").contact("<sip:alice@192.0.2.1>");
/// let register = Register::new(alice, "sip:atlanta.com")
///     .expires(600)
///     .instance("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", Some(1));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Register {
    origin: Origin,
    registrar: String,
    expires: u32,
    instance: Option<String>,
    reg_id: Option<u32>,
    contact_params: Vec<String>,
    also: Vec<String>,
    keepalive: Option<Duration>,
    headers: ExtraHeaders,
}

impl Register {
    /// Registers the Contact of `origin` for its From, the address-of-record, at `registrar`, the URI of a domain; for an hour.
    pub fn new(origin: Origin, registrar: impl Into<String>) -> Self {
        let registrar = domain_of(registrar.into());
        Register {
            origin,
            registrar,
            expires: 3600,
            instance: None,
            reg_id: None,
            contact_params: Vec::new(),
            also: Vec::new(),
            keepalive: None,
            headers: ExtraHeaders::new(),
        }
    }

    /// For how many seconds; it is refreshed in time.
    pub fn expires(mut self, seconds: u32) -> Self {
        self.expires = seconds;
        self
    }

    /// The instance id, a URN that the device keeps for ever, and the reg-id if outbound (RFC 5626) is wanted. With an instance id
    /// the registrar may give GRUUs (RFC 5627), which calls then use.
    pub fn instance(mut self, urn: impl Into<String>, reg_id: Option<u32>) -> Self {
        self.instance = Some(urn.into());
        self.reg_id = reg_id;
        self
    }

    /// Adds a Contact parameter: `q=0.5`, or a capability of RFC 3840. Those of RFC 8599, `pn-provider` and its kin, belong to the
    /// URI of the Contact, and go there: in REGISTER alone, and without `pn-prid` where the binding is removed.
    pub fn contact_param(mut self, param: impl Into<String>) -> Self {
        self.contact_params.push(param.into());
        self
    }

    /// Another binding to make in the same requests: a whole Contact value.
    pub fn also(mut self, contact: impl Into<String>) -> Self {
        self.also.push(contact.into());
        self
    }

    /// Keeps the flow alive at this interval (RFC 5626 section 4.4) where the registrar does not say otherwise.
    pub fn keepalive(mut self, interval: Duration) -> Self {
        self.keepalive = Some(interval);
        self
    }
}

impl Register {
    /// Settles which schemes Contacts and address-of-record have; returns the Contact.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
    //# If a UA wishes to be reachable with a SIPS URI, the UA MUST register
    //# with a SIPS Contact header field.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
    //# If a UA does not wish to be reached with a SIPS URI, it MUST register
    //# with a SIP Contact header field.
    fn settle_schemes(&mut self, contact: Arc<str>, policy: Sips) -> Arc<str> {
        let all = core::iter::once(&*contact).chain(self.also.iter().map(String::as_str));
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
        //# Because registering with a SIPS Contact header field implies a
        //# binding of both a SIPS Contact and a corresponding SIP Contact to the
        //# AOR, a UA MUST NOT include both the SIPS and the SIP versions of the
        //# same Contact header field in a REGISTER request; the UA MUST only use
        //# the SIPS version in this case.
        let mut settled: Vec<String> = Vec::new();
        for value in all {
            let secure = turned(value, true);
            let value = match policy {
                Sips::Only => secure.clone().unwrap_or_else(|| value.into()),
                Sips::Never => turned(value, false).unwrap_or_else(|| value.into()),
                Sips::Either => value.into(),
            };
            let same = |other: &String| {
                *other == value || turned(other, true) == Some(value.clone()) || secure.as_ref() == Some(other)
            };
            match settled.iter_mut().find(|other| same(other)) {
                Some(other) if is_sips_value(&value) => *other = value,
                Some(_) => {}
                None => settled.push(value),
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
        //# If all the Contact header fields in a REGISTER request are SIPS, the
        //# UAC MUST use SIPS AORs in the From and To header fields in the
        //# REGISTER request.
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
        //# If at least one of the Contact header fields is
        //# not SIPS (e.g., sip, mailto, tel, http, https), the UAC MUST use SIP
        //# AORs in the From and To header fields in the REGISTER request.
        let secure = settled.iter().all(|value| is_sips_value(value));
        if let Some(from) = turned(&self.origin.from, secure) {
            self.origin.from = from;
        }
        let mut settled = settled.into_iter();
        let contact = settled.next().map_or(contact, Into::into);
        self.also = settled.collect();
        contact
    }
}

takes_headers!(Register);

/// The URI of a registrar, without the user that some give.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//# The "userinfo" and "@" components of the SIP URI MUST NOT be present.
pub(crate) fn domain_of(mut registrar: String) -> String {
    if let (Some(scheme), Some(at)) = (registrar.find(':'), registrar.find('@')) {
        if scheme < at {
            registrar.drain(scheme + 1..=at);
        }
    }
    registrar
}

/// A registration.
#[derive(Debug)]
pub(crate) struct Registration {
    wanted: Box<Register>,
    state: State,
    contact: Arc<str>,
    call_id: Box<str>,
    tag: Box<str>,
    cseq: u32,
    outbound: bool,
    /// The flow to use, if it is told or was used before.
    path: Option<Path>,
    bound: Option<FlowId>,
    tx: Option<sip_transaction::ClientTxId>,
    auth: Option<Box<AuthContext>>,
    service_route: Box<str>,
    public_gruu: Option<Box<str>>,
    temporary_gruu: Option<Box<str>>,
    failures: u32,
    /// Registered since the last failure.
    up: bool,
    /// What is to be removed when the REGISTER under way has its answer: all bindings, or our own.
    removal: Option<bool>,
    /// How often its flow is kept alive.
    kept_alive: Option<Duration>,
}

impl Registration {
    /// The Contact for dialogs: the GRUU if there is one, and the registration that gave it is up.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-4.4
    //# A UA SHOULD use a GRUU when populating the Contact header field of
    //# dialog-forming and target refresh requests and responses.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-4.4
    //# When using a GRUU obtained through registrations, a UA MUST have an
    //# active registration prior to using a GRUU, and MUST use a GRUU
    //# learned through that registration.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-4.4
    //# It MUST NOT reuse a GRUU learned
    //# through a previous registration that has lapsed (in other words, one
    //# obtained when registering a contact that has expired).
    pub(crate) fn dialog_contact(&self) -> Arc<str> {
        match self.gruu() {
            Some(gruu) => format!("<{gruu}>").into(),
            None => self.contact.clone(),
        }
    }

    fn gruu(&self) -> Option<&str> {
        self.public_gruu.as_deref().filter(|_| self.up)
    }

    /// Whether a request to this URI was sent to what was registered, or to the GRUU.
    pub(crate) fn is_asked(&self, uri: &Uri<'_>) -> bool {
        let of_contact = || {
            let contact = NameAddr::parse_value(self.contact.as_bytes()).ok()?;
            Some(contact.uri().ok()?.equivalent(uri))
        };
        let of_gruu = || Some(Uri::parse(self.gruu()?.as_bytes()).ok()?.equivalent(uri));
        of_contact() == Some(true) || of_gruu() == Some(true)
    }

    pub(crate) fn service_route(&self) -> &str {
        if self.service_route.is_empty() { "" } else { &self.service_route }
    }

    pub(crate) fn path(&self) -> Option<Path> {
        self.path
    }

    pub(crate) fn credentials(&self) -> Option<Box<AuthContext>> {
        self.auth.clone()
    }
}

/// What can be asked about a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrationInfo {
    /// Whether it is up.
    pub registered: bool,
    /// The public GRUU, if the registrar gave one and the registration is up.
    pub public_gruu: Option<String>,
    /// The temporary GRUU, if the registrar gave one and the registration is up.
    pub temporary_gruu: Option<String>,
    /// The service route: Route values with commas between them.
    pub service_route: String,
    /// The flow it is over, if it is over one.
    pub path: Option<Path>,
}

impl UserAgentCore {
    fn reg_event(&mut self, registration: RegistrationId, event: RegistrationEvent) {
        self.emit(Event::Registration { registration, event });
    }

    /// A look at a registration; `None` for a stale id.
    pub fn registration(&self, id: RegistrationId) -> Option<RegistrationInfo> {
        let found = self.registrations.get(id)?;
        Some(RegistrationInfo {
            registered: found.up && matches!(found.state, State::Registered | State::Trying),
            public_gruu: found.gruu().map(String::from),
            temporary_gruu: found.temporary_gruu.as_deref().filter(|_| found.up).map(String::from),
            service_route: String::from(&*found.service_route),
            path: found.path,
        })
    }

    /// Registers, and keeps the registration up until [`unregister`](UserAgentCore::unregister). [`RegistrationEvent`]s tell all.
    ///
    /// # Errors
    ///
    /// A value is malformed, or the next hop cannot be reached.
    pub fn register(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        mut register: Register,
    ) -> Result<RegistrationId, CommandError> {
        self.advance(now);
        let malformed = || CommandError::Dialog(DialogError::Malformed);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
        //# This address-of-record MUST be a SIP URI or SIPS URI.
        let from = NameAddr::parse_value(register.origin.from.as_bytes()).map_err(|_| malformed())?;
        if from.uri().map_err(|_| malformed())?.as_sip().is_none() {
            return Err(malformed());
        }
        //= https://www.rfc-editor.org/rfc/rfc5626#section-10
        //# The value of the reg-id MUST NOT be 0 and MUST be less than 2^31.
        if register.reg_id.is_some_and(|id| !(1..1 << 31).contains(&id)) {
            return Err(malformed());
        }
        // It stands in a quoted string, and within angle brackets there.
        let is_urn = |urn: &str| {
            urn.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:"))
                && urn.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'))
        };
        if register.instance.as_deref().is_some_and(|urn| !is_urn(urn)) {
            return Err(malformed());
        }
        let contact: Arc<str> = match &register.origin.contact {
            Some(contact) => contact.as_str().into(),
            None => self.contact.clone(),
        };
        let contact = register.settle_schemes(contact, self.config.sips);
        let (call_id, tag) = ((*self.token()).into(), (*self.token()).into());
        let registration = Registration {
            state: State::Trying,
            contact,
            call_id,
            tag,
            cseq: self.random() % 0xffff,
            outbound: register.reg_id.is_some(),
            path: register.origin.path,
            bound: None,
            tx: None,
            auth: None,
            service_route: Box::default(),
            public_gruu: None,
            temporary_gruu: None,
            failures: 0,
            up: false,
            removal: None,
            kept_alive: None,
            wanted: Box::new(register),
        };
        let id = self.registrations.insert(registration).ok_or(CommandError::Full)?;
        let expires = self.registrations.get(id).map_or(0, |found| found.wanted.expires);
        if let Err(error) = self.send_register(ep, id, Some(expires)) {
            self.registrations.remove(id);
            return Err(error);
        }
        Ok(id)
    }

    /// Removes the binding, or with `all` every binding of the address-of-record, and ends the registration. While a REGISTER is under way
    /// the removal waits for its answer.
    ///
    /// # Errors
    ///
    /// The id is stale, or it is ending already.
    pub fn unregister(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: RegistrationId,
        all: bool,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let found = self.registrations.get_mut(id).ok_or(CommandError::Unknown)?;
        if found.state == State::Leaving {
            return Err(CommandError::WrongState);
        }
        let never = !found.up && found.state == State::Waiting;
        found.state = State::Leaving;
        self.deadlines.clear(Deadline::Register(id));
        let challenged = self.unpark(Owner::Registration(id));
        let Some(found) = self.registrations.get_mut(id) else { return Err(CommandError::Unknown) };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
        //# UAs MUST NOT send a new registration (that is, containing new Contact
        //# header field values, as opposed to a retransmission) until they have
        //# received a final response from the registrar for the previous one or the
        //# previous REGISTER request has timed out.
        // One that is sent again after the removal came would make the binding anew.
        if found.tx.is_some() && !challenged {
            found.removal = Some(all);
            return Ok(());
        }
        found.tx = None;
        if never {
            self.end_registration(ep, id, RegistrationEnd::Removed, None);
            return Ok(());
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.2
        //# UAs SHOULD support this mechanism so that bindings can be removed before
        //# their expiration interval has passed.
        if self.send_register(ep, id, (!all).then_some(0)).is_err() {
            self.end_registration(ep, id, RegistrationEnd::Removed, None);
        }
        Ok(())
    }

    /// Moves a registration to another flow and registers over it at once: the second step after a flow was lost, when the host has
    /// opened a new one. `contact` is the new Contact value if it changed with the flow.
    ///
    /// # Errors
    ///
    /// The id is stale, it is ending, or nothing can be sent; `contact` is malformed.
    pub fn rebind_registration(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: RegistrationId,
        path: Option<Path>,
        contact: Option<String>,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let found = self.registrations.get_mut(id).ok_or(CommandError::Unknown)?;
        if found.state == State::Leaving {
            return Err(CommandError::WrongState);
        }
        contact.as_deref().map_or(Ok(()), check_contact)?;
        let before = (found.tx.take(), found.path, found.contact.clone(), found.state);
        let kept = found.keepalive().map(|(kept, _)| kept).filter(|kept| Some(*kept) != path);
        found.path = path;
        if let Some(contact) = contact {
            // The address-of-record stays, and with it the scheme.
            found.contact = match found.wanted.also.is_empty() {
                true => schemed(&contact.into(), is_sips_value(&found.wanted.origin.from)),
                false => contact.into(),
            };
        }
        let expires = found.wanted.expires;
        let sent = self.send_register(ep, id, Some(expires));
        let tx = before.0;
        if sent.is_ok() {
            if let Some(tx) = tx {
                self.disown(tx);
            }
            self.unbind(id);
            self.unpark(Owner::Registration(id));
            if let (Some(kept), Some(found)) = (kept, self.registrations.get_mut(id)) {
                found.kept_alive = None;
                self.let_go(ep, kept);
            }
        } else if let Some(found) = self.registrations.get_mut(id) {
            (found.tx, found.path, found.contact, found.state) = before;
        }
        sent
    }

    /// Refreshes now, whatever the time: when the network has changed, or a push has come (RFC 8599).
    ///
    /// # Errors
    ///
    /// The id is stale; a REGISTER is under way; nothing can be sent.
    pub fn refresh_registration(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        id: RegistrationId,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let found = self.registrations.get(id).ok_or(CommandError::Unknown)?;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
        //# UAs MUST NOT send a new registration (that is, containing new Contact
        //# header field values, as opposed to a retransmission) until they have
        //# received a final response from the registrar for the previous one or the
        //# previous REGISTER request has timed out.
        if found.tx.is_some() || found.state == State::Leaving {
            return Err(CommandError::Pending);
        }
        let expires = found.wanted.expires;
        self.send_register(ep, id, Some(expires))
    }

    /// Sends REGISTER: for this many seconds, or with `None` to remove all bindings.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
    //# A UA MUST increment the CSeq value by one for each REGISTER request with
    //# the same Call-ID.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
    //# Call-ID: All registrations from a UAC SHOULD use the same Call-ID header
    //# field value for registrations sent to a particular registrar.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.4
    //# A UA SHOULD use the same Call-ID for all registrations during a single
    //# boot cycle.
    fn send_register(
        &mut self,
        ep: &mut Endpoint,
        id: RegistrationId,
        expires: Option<u32>,
    ) -> Result<(), CommandError> {
        let Some(found) = self.registrations.get_mut(id) else { return Err(CommandError::Unknown) };
        // Spent when it has been sent: one that cannot be makes no gap.
        let cseq = found.cseq.saturating_add(1);
        let wanted = &found.wanted;
        let routes = wanted.origin.routes.join(", ");
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
        //# The Record-Route header field has no meaning in REGISTER requests or
        //# responses, and MUST be ignored if present.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
        //# In particular, the UAC MUST NOT create a new route set based on the
        //# presence or absence of a Record-Route header field in any response to a
        //# REGISTER request.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
        //# The following header fields, except Contact, MUST be included in a
        //# REGISTER request.
        let (uri, route) = dialog::request_line(&wanted.registrar, &routes);
        let strict = !dialog::starts_loose(&routes);
        let mut builder = Message::request(Method::Register, uri);
        if let Some(route) = route {
            builder = builder.header(Header::Route, route);
        }
        builder = builder
            .address(Header::From, &address(&wanted.origin.from)?, Some(&found.tag))
            .address(Header::To, &address(&wanted.origin.from)?, None)
            .header(Header::CallId, &found.call_id)
            .cseq(cseq);
        match expires {
            Some(expires) => {
                //= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
                //# REGISTER requests, other than those described in Section 4.2.3, MUST
                //# include an instance-id media feature tag as specified in Section 4.1.
                //= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
                //# A UAC conforming to this specification MUST include in the Contact
                //# header field, a "reg-id" parameter that is distinct from other "reg-id"
                //# parameters used in other registrations that use the same "+sip.instance"
                //# Contact header field parameter and AOR.
                let mut contact = String::from(found.contact.trim());
                // Where the URI ends, or the last parameter put into it: there may be a `>` in the display name, too.
                let value = address(&contact)?;
                let (begin, bare) =
                    (value.display_bytes().len(), (!value.is_bracketed()).then(|| value.uri_bytes().len()));
                //= https://www.rfc-editor.org/rfc/rfc3261#section-20
                //# If the URI is not enclosed in angle brackets, any
                //# semicolon-delimited parameters are header-parameters, not URI
                //# parameters.
                if let Some((uri, params)) = bare.and_then(|len| contact.split_at_checked(len)) {
                    contact = format!("<{uri}>{params}");
                }
                let mut end = contact.get(begin..).and_then(|uri| uri.find('>')).map(|len| begin + len);
                for param in &wanted.contact_params {
                    let named = |name: &str| param.get(..name.len()).is_some_and(|own| own.eq_ignore_ascii_case(name));
                    //= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.2
                    //# When the UA sends the REGISTER request for removing the
                    //# binding, the UA MUST NOT insert the 'pn-prid' SIP URI parameter in
                    //# the Contact header field URI of the REGISTER request.
                    if expires == 0 && named("pn-prid") {
                        continue;
                    }
                    match end.as_mut().filter(|_| named("pn-")) {
                        Some(end) => {
                            contact.insert_str(*end, &format!(";{param}"));
                            *end += 1 + param.len();
                        }
                        None => contact.push_str(&format!(";{param}")),
                    }
                }
                if let Some(instance) = &wanted.instance {
                    contact.push_str(&format!(";+sip.instance=\"<{instance}>\""));
                    if let (Some(reg_id), true) = (wanted.reg_id, found.outbound) {
                        contact.push_str(&format!(";reg-id={reg_id}"));
                    }
                }
                contact.push_str(&format!(";expires={expires}"));
                builder = builder.header(Header::Contact, contact);
                for also in &wanted.also {
                    builder = builder.header(Header::Contact, format!("{also};expires={expires}"));
                }
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.2
            //# The REGISTER-specific Contact header field value of "*" applies to all
            //# registrations, but it MUST NOT be used unless the Expires header field
            //# is present with a value of "0".
            //= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.3
            //# A UAC also MUST NOT include an instance-id feature tag or "reg-id"
            //# Contact header field parameter in a request to un-register all Contacts
            //# (a single Contact header field value with the value of "*").
            None => builder = builder.header(Header::Contact, "*").header(Header::Expires, 0),
        }
        //= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
        //# UAs that support this specification MUST include the outbound option tag
        //# in a Supported header field in a REGISTER request.
        //= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
        //# The UAC MUST support the Path header [RFC3327] mechanism, and indicate
        //# its support by including the 'path' option-tag in a Supported header
        //# field value in its REGISTER requests.
        let supported = if found.outbound { "path, outbound, gruu" } else { "path, gruu" };
        builder = builder.header(Header::Supported, supported).lines(&self.allow_line);
        builder = wanted.headers.on_request(builder);
        let message = builder.lines(&self.agent_line).build_boxed()?;
        let (path, auth) = (found.path, found.auth.clone());
        let tx = self.send(ep, message, Over { pin: path, strict }, Purpose::Register(id), None, auth)?;
        if let Some(found) = self.registrations.get_mut(id) {
            found.auth = None;
            found.cseq = cseq;
            found.tx = Some(tx);
            if found.state != State::Leaving {
                found.state = State::Trying;
            }
        }
        Ok(())
    }

    fn unbind(&mut self, id: RegistrationId) {
        if let Some(flow) = self.registrations.get_mut(id).and_then(|found| found.bound.take()) {
            self.flows.remove(&(flow, Bound::Registration(id)));
        }
    }

    fn end_registration(
        &mut self,
        ep: &mut Endpoint,
        id: RegistrationId,
        cause: RegistrationEnd,
        message: Option<Box<Message>>,
    ) {
        self.unbind(id);
        self.deadlines.clear(Deadline::Register(id));
        self.unpark(Owner::Registration(id));
        if let Some(found) = self.registrations.remove(id) {
            if let Some((path, _)) = found.keepalive() {
                self.let_go(ep, path);
            }
            self.reg_event(id, RegistrationEvent::Ended { cause, message });
        }
    }

    /// A registration keeps this flow alive no more. Another one over it, to the same place, goes on with it.
    fn let_go(&self, ep: &mut Endpoint, path: Path) {
        let others = self.bound_to(path.flow).into_iter().find_map(|bound| match bound {
            Bound::Registration(id) => {
                let (other, interval) = self.registrations.get(id)?.keepalive()?;
                (other.remote == path.remote).then_some(interval)
            }
            Bound::Dialog(_) => None,
        });
        let _ = ep.keep_alive(self.now, path.flow, Some(path.remote), others);
    }

    /// The CSeq of a REGISTER that was sent again with credentials.
    pub(crate) fn register_numbered(&mut self, id: RegistrationId, number: u32, tx: sip_transaction::ClientTxId) {
        if let Some(found) = self.registrations.get_mut(id) {
            found.cseq = found.cseq.max(number);
            found.tx = Some(tx);
        }
    }

    /// Whether the REGISTER under way is but waited for: the registration is to be removed.
    pub(crate) fn removal_waits(&self, id: RegistrationId) -> bool {
        self.registrations.get(id).is_some_and(|found| found.state == State::Leaving && found.removal.is_some())
    }

    /// REGISTER was answered, or not.
    pub(crate) fn on_register_done(
        &mut self,
        ep: &mut Endpoint,
        id: RegistrationId,
        tx: sip_transaction::ClientTxId,
        outcome: Final,
    ) {
        let config = self.config.registration;
        let Some(found) = self.registrations.get_mut(id) else { return };
        if found.tx != Some(tx) && found.tx.is_some() {
            return;
        }
        found.tx = None;
        found.auth = outcome.auth;
        let code = outcome.status;
        if found.state == State::Leaving {
            let refused = !found.up && outcome.response.is_some() && !code.is_success();
            let removal = found.removal.take().filter(|_| !refused);
            if removal.is_none_or(|all| self.send_register(ep, id, (!all).then_some(0)).is_err()) {
                self.end_registration(ep, id, RegistrationEnd::Removed, outcome.response);
            }
            return;
        }
        if let (true, Some(response)) = (code.is_success(), outcome.response.clone()) {
            let again = core::mem::replace(&mut found.up, true);
            found.state = State::Registered;
            found.service_route = routes_of(&response);
            let own = own_contact(&response, &found.contact, found.wanted.instance.as_deref());
            let gruu = |name: &str| own.as_ref().and_then(|contact| param_of(contact, name));
            found.public_gruu = gruu("pub-gruu");
            found.temporary_gruu = gruu("temp-gruu");
            let expires = own
                .as_ref()
                .and_then(|contact| contact.expires().ok().flatten())
                .or_else(|| expires_of(&response))
                .unwrap_or(found.wanted.expires);
            // All are refreshed together, before the first of them runs out.
            let others = found.wanted.also.iter().filter_map(|also| own_contact(&response, also, None));
            let others = others.filter_map(|contact| contact.expires().ok().flatten());
            let expires = others.fold(expires, u32::min).max(1);
            let took_outbound = !found.outbound || has_token(&response, Header::Require, "outbound");
            let told = response.value::<DeltaSeconds>(Header::FlowTimer).ok().flatten();
            let interval = told.map(|seconds| Duration::from_secs(u64::from(seconds.0))).or(found.wanted.keepalive);
            if interval.is_none() || found.wanted.keepalive.is_none() && told.is_none() {
                found.failures = 0;
            }
            let margin = Duration::from_secs(u64::from(expires / 10)).max(config.margin);
            let time = Duration::from_secs(u64::from(expires));
            let refresh = time.checked_sub(margin).unwrap_or(time / 2).max(Duration::from_secs(1));
            self.deadlines.after(Deadline::Register(id), self.now, refresh);
            self.bind_registration(ep, id, outcome.path, interval);
            let message = response.clone();
            let event = if again {
                RegistrationEvent::Refreshed { message, expires: time }
            } else {
                RegistrationEvent::Registered { message, expires: time }
            };
            self.reg_event(id, event);
            //= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
            //# UAs that support this specification MUST include the outbound option tag
            //# in a Supported header field in a REGISTER request.
            if !took_outbound && !again {
                self.reg_event(id, RegistrationEvent::NoOutbound { message: response });
            }
            return;
        }
        let response = outcome.response;
        match (code.code(), &response) {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.8
            //# If a UA receives a 423 (Interval Too Brief) response, it MAY retry the
            //# registration after making the expiration interval of all contact
            //# addresses in the REGISTER request equal to or greater than the
            //# expiration interval within the Min-Expires header field of the 423
            //# (Interval Too Brief) response.
            (423, Some(message)) => {
                let least = message.value::<DeltaSeconds>(Header::MinExpires).ok().flatten().map_or(0, |least| least.0);
                if least > found.wanted.expires {
                    // At least twice as long: whoever always wants more gets it in 32 rounds.
                    let least = least.max(found.wanted.expires.saturating_mul(2));
                    found.wanted.expires = least;
                    if self.send_register(ep, id, Some(least)).is_ok() {
                        return;
                    }
                }
                self.end_registration(ep, id, RegistrationEnd::Refused(code), response);
            }
            //= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
            //# If the registering UA receives a 439 (First Hop Lacks Outbound Support)
            //# response to a REGISTER request, it MAY re-attempt registration without
            //# using the outbound mechanism (subject to local policy at the client).
            (439, Some(message)) if found.outbound => {
                found.outbound = false;
                let (expires, message) = (found.wanted.expires, message.clone());
                self.reg_event(id, RegistrationEvent::NoOutbound { message });
                if self.send_register(ep, id, Some(expires)).is_err() {
                    self.end_registration(ep, id, RegistrationEnd::Unsendable, None);
                }
            }
            (401 | 407, _) => self.end_registration(ep, id, RegistrationEnd::Unauthorized, response),
            // What another attempt may cure: no answer, and the server's own trouble.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.7
            //# If the transaction layer returns a timeout error because the REGISTER
            //# yielded no response, the UAC SHOULD NOT immediately re-attempt a
            //# registration to the same registrar.
            (408 | 480 | 500..=599, _) | (_, None) => self.register_failed(id, code, response),
            _ => self.end_registration(ep, id, RegistrationEnd::Refused(code), response),
        }
    }

    /// The flow a registration came over is its own from now on.
    fn bind_registration(
        &mut self,
        ep: &mut Endpoint,
        id: RegistrationId,
        path: Option<Path>,
        keepalive: Option<Duration>,
    ) {
        self.unbind(id);
        let Some(path) = path else { return };
        let Some(found) = self.registrations.get_mut(id) else { return };
        let pinned = found.path.is_some() || path.transport.is_connected() || found.outbound;
        if pinned {
            found.path = Some(path);
            found.bound = Some(path.flow);
            self.flows.insert((path.flow, Bound::Registration(id)), ());
        }
        if let Some(interval) = keepalive {
            //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4
            //# The UA MUST send keep-alives at least as often as this number of
            //# seconds.
            //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
            //# Clients MUST support this CRLF keep-alive.
            //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
            //# This approach MUST only be used with connection oriented transports such
            //# as TCP or SCTP; it MUST NOT be used with connection-less transports such
            //# as UDP.
            //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
            //# This approach MUST only be used with connection-less transports, such as
            //# UDP; it MUST NOT be used for connection-oriented transports such as TCP
            //# and SCTP.
            //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
            //# Clients MUST support STUN-based keep-alives.
            //= https://www.rfc-editor.org/rfc/rfc5626#section-8
            //# A SIP node MUST NOT send STUN requests over a flow unless it has an
            //# explicit indication that the target next-hop SIP server claims to
            //# support this specification.
            let kept = ep.keep_alive(self.now, path.flow, Some(path.remote), Some(interval)).is_ok();
            if let Some(found) = self.registrations.get_mut(id) {
                found.kept_alive = kept.then_some(interval);
                found.path = Some(path);
            }
        }
    }

    /// A keepalive over a flow was answered: it works (RFC 5626 section 4.5).
    pub(crate) fn on_keepalive_answered(&mut self, flow: FlowId) {
        let first = (flow, Bound::Registration(RegistrationId::from_key(Key::FIRST)));
        let ids: smallvec::SmallVec<[RegistrationId; 4]> = self
            .flows
            .range(first..)
            .map_while(|((of, bound), ())| match bound {
                Bound::Registration(id) if *of == flow => Some(*id),
                _ => None,
            })
            .collect();
        for id in ids {
            if let Some(found) = self.registrations.get_mut(id) {
                found.failures = 0;
            }
        }
    }

    fn register_failed(&mut self, id: RegistrationId, code: StatusCode, message: Option<Box<Message>>) {
        self.unbind(id);
        let wait = self.back_off(id, message.as_deref());
        let Some(found) = self.registrations.get_mut(id) else { return };
        found.state = State::Waiting;
        found.up = false;
        // A flow that failed is not used again, unless the host has named it: then there is no other.
        if found.wanted.origin.path.is_none() {
            found.path = None;
        }
        self.deadlines.after(Deadline::Register(id), self.now, wait);
        self.reg_event(id, RegistrationEvent::Failed { message, status: code, retry: wait });
    }

    /// How long to wait before the next attempt (RFC 5626 section 4.5).
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.5
    //# The UA MUST wait for at least the value of the retry delay time before
    //# trying another registration to form a new flow for that URI (a 503
    //# response to an earlier failed registration attempt with a Retry-After
    //# header field value may cause the UA to wait longer).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-21.5.4
    //# If no Retry-After is given, the client MUST act as if it had received a
    //# 500 (Server Internal Error) response.
    fn back_off(&mut self, id: RegistrationId, message: Option<&Message>) -> Duration {
        let config = self.config.registration;
        let random = self.random();
        let Some(found) = self.registrations.get_mut(id) else { return config.max_delay };
        found.failures = found.failures.saturating_add(1);
        let (failures, own) = (found.failures, found.wanted.origin.from.clone());
        let other = self.registrations.iter().any(|(other, registration)| {
            other != id && registration.state == State::Registered && registration.wanted.origin.from == own
        });
        let base = if other { config.base_not_failed } else { config.base_all_failed };
        let upper = base.saturating_mul(1 << failures.min(16)).min(config.max_delay);
        let wait = upper / 2 + (upper / 2).mul_f64(f64::from(random % 1001) / 1000.0);
        let asked = message
            .and_then(|message| message.value::<RetryAfter<'_>>(Header::RetryAfter).ok().flatten())
            .map_or(Duration::ZERO, |after| Duration::from_secs(u64::from(after.seconds())));
        wait.max(asked)
    }

    /// Time to refresh, or to try again.
    pub(crate) fn on_register_due(&mut self, ep: &mut Endpoint, id: RegistrationId) {
        let Some(found) = self.registrations.get(id) else { return };
        if found.tx.is_some() {
            return;
        }
        let expires = found.wanted.expires;
        if self.send_register(ep, id, Some(expires)).is_err() {
            self.register_failed(id, status(503), None);
        }
    }

    /// The flow of a registration is gone: another is made at once if this one had worked, after a back-off if not.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.5
    //# Each new registration MUST have the same reg-id value as the
    //# registration it replaces.
    pub(crate) fn on_registration_flow_lost(&mut self, _ep: &mut Endpoint, id: RegistrationId, flow: FlowId) {
        let Some(found) = self.registrations.get_mut(id) else { return };
        found.bound = None;
        found.path = None;
        found.kept_alive = None;
        if found.state == State::Leaving || found.tx.is_some() {
            return self.reg_event(id, RegistrationEvent::FlowLost { flow });
        }
        let worked = found.up && found.failures == 0;
        found.up = false;
        found.state = State::Waiting;
        let told = found.wanted.origin.path.is_some();
        self.reg_event(id, RegistrationEvent::FlowLost { flow });
        if told {
            // The host named the flow and is to name the next: `rebind_registration`.
            return self.deadlines.clear(Deadline::Register(id));
        }
        let wait = if worked { Duration::ZERO } else { self.back_off(id, None) };
        self.deadlines.after(Deadline::Register(id), self.now, wait);
    }
}

fn expires_of(message: &Message) -> Option<u32> {
    message.value::<DeltaSeconds>(Header::Expires).ok().flatten().map(|seconds| seconds.0)
}

/// The values of Service-Route as Route will have them.
//= https://www.rfc-editor.org/rfc/rfc3608#section-6.1
//# The UA MUST preserve the order, in case there is more than one
//# Service-Route header field or header field value.
fn routes_of(message: &Message) -> Box<str> {
    let mut out = String::new();
    for route in message.values::<NameAddr<'_>>(Header::ServiceRoute).take(32) {
        let Ok(route) = route else { return Box::default() };
        let Ok(uri) = route.uri() else { return Box::default() };
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(&format!("<{uri}>"));
    }
    out.into()
}

/// Our binding among those of the 200: the one with our URI, or with our instance id.
fn own_contact<'a>(message: &'a Message, own: &str, instance: Option<&str>) -> Option<Contact<'a>> {
    let value = <NameAddr<'_> as sip_message::FieldValue<'_>>::parse_value(own.as_bytes()).ok()?;
    let uri = value.uri().ok()?;
    let same = |theirs: &Uri<'_>| theirs.equivalent(&uri);
    let by_instance = |contact: &Contact<'_>| {
        let theirs = contact.instance_id().ok().flatten();
        matches!((theirs, instance), (Some(theirs), Some(own)) if {
            let theirs: &[u8] = &theirs;
            theirs.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")).unwrap_or(theirs) == own.as_bytes()
        })
    };
    let contacts = || message.contacts().filter_map(Result::ok);
    let by_uri = contacts().find(|contact| contact.address().is_some_and(|a| a.uri().is_ok_and(|uri| same(&uri))));
    by_uri.or_else(|| contacts().find(by_instance))
}

fn param_of(contact: &Contact<'_>, name: &str) -> Option<Box<str>> {
    let value = contact.address()?.params().value(name).ok()??;
    let text = value.unquoted();
    let text = core::str::from_utf8(&text).ok()?;
    Uri::parse(text.as_bytes()).ok().map(|_| text.into())
}

wire!(
    enum State {
        Trying = 0,
        Registered = 1,
        Waiting = 2,
        Leaving = 3,
    }
);
wire!(struct Register { origin, registrar, expires, instance, reg_id, contact_params, also, keepalive, headers });
wire!(struct Registration {
    wanted, state, contact, call_id, tag, cseq, outbound, tx, service_route, public_gruu, temporary_gruu, failures, up,
    removal, kept_alive,
} skip { auth, bound } pin { path });

impl Registration {
    /// Binds it to its flow again after it was read.
    pub(crate) fn rebound(&mut self) -> Option<FlowId> {
        self.bound = self.path.filter(|_| self.up).map(|path| path.flow);
        self.bound
    }

    /// What keeps its flow alive, if it is kept alive.
    pub(crate) fn keepalive(&self) -> Option<(Path, Duration)> {
        Some((self.path?, self.kept_alive?))
    }
}
