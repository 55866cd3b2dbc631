//! Reads a REGISTER: RFC 3261 section 10.3 steps 2 and 5 to 7 as far as they need no bindings, RFC 5626 section 6, RFC 5627 section 5.1.

use super::{Read, RegistrarConfig};
use crate::location::{Asked, ContactAsked, Registration, aor_key, aor_key_of};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use sip_message::uri::SipUri;
use sip_message::{Contact, ContactParams, Header, Message, Method, NameAddr, Param, StatusCode, Uri};
use sip_transaction::{Path, Transport};
use smallvec::SmallVec;

/// A refusal: the status owed, and the fields it needs.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) fields: Vec<(Header, String)>,
}

impl Refused {
    pub(super) fn status(status: StatusCode) -> Refused {
        Refused { status, fields: Vec::new() }
    }
}

const BAD: fn() -> Refused = || Refused::status(StatusCode::BAD_REQUEST);
const FORBIDDEN: fn() -> Refused = || Refused::status(StatusCode::FORBIDDEN);

/// The extensions a client may require of this registrar.
const SUPPORTED: [&str; 3] = ["path", "outbound", "gruu"];

pub(super) fn registration<'a>(
    config: &RegistrarConfig,
    path: &Path,
    message: &'a Message,
    to: Option<SipUri<'a>>,
) -> Result<Read<'a>, Refused> {
    // Of two of them, whoever has checked who sends this may have read the other one (RFC 4475 section 3.3.8).
    let once = [Header::From, Header::To, Header::CallId, Header::CSeq];
    if !message.has(Header::From) || once.into_iter().any(|header| message.is_repeated(header)) {
        return Err(BAD());
    }
    require(message)?;
    let aor = match to {
        Some(to) => aor(config, message, &to)?,
        None => {
            let uri = message.to().map_err(|_| BAD())?.uri().map_err(|_| BAD())?;
            aor(config, message, uri.as_sip().ok_or_else(|| Refused::status(StatusCode::NOT_FOUND))?)?
        }
    };
    let Ok(call_id) = message.call_id() else { return Err(BAD()) };
    let Some(cseq) = message.cseq().ok().filter(|cseq| cseq.method == Method::Register) else { return Err(BAD()) };
    let vector = path_vector(config, message)?;
    let asked = contacts(config, path, message, &aor)?;
    let registration = Registration { call_id, cseq: cseq.number, path: vector, asked };
    Ok(Read { aor, registration })
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//# 2. To guarantee that the registrar supports any necessary
//# extensions, the registrar MUST process the Require header field
//# values as described for UASs in Section 8.2.2.
fn require(message: &Message) -> Result<(), Refused> {
    let mut unknown = String::new();
    for tag in message.require() {
        let tag = tag.map_err(|_| BAD())?;
        if !SUPPORTED.iter().any(|known| tag == *known) {
            if !unknown.is_empty() {
                unknown.push_str(", ");
            }
            unknown.push_str(tag.as_str());
        }
    }
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(Refused { status: StatusCode::BAD_EXTENSION, fields: vec![(Header::Unsupported, unknown)] }),
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//# 5. The registrar extracts the address-of-record from the To header
//# field of the request.  If the address-of-record is not valid
//# for the domain in the Request-URI, the registrar MUST send a
//# 404 (Not Found) response and skip the remaining steps.
fn aor<'a>(config: &RegistrarConfig, message: &Message, sip: &SipUri<'a>) -> Result<Cow<'a, str>, Refused> {
    let not_found = || Refused::status(StatusCode::NOT_FOUND);
    let asked = || {
        let uri = message.request_uri().and_then(Result::ok);
        uri.is_some_and(|uri| uri.as_sip().is_some_and(|uri| sip.has_host(uri.host_str())))
    };
    if sip.user().is_none() || !(config.domains.iter().any(|own| sip.has_host(own)) || asked()) {
        return Err(not_found());
    }
    Ok(aor_key_of(sip))
}

/// Whether no proxy stands between the client and this registrar.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//# When receiving a REGISTER request, the registrar MUST check from its
//# Via header field if the registrar is the first hop or not.
fn is_first_hop(message: &Message) -> bool {
    // A comma in the only field may stand between two values, or in a quoted parameter.
    let mut fields = message.fields(Header::Via);
    match (fields.next(), fields.next()) {
        (Some(only), None) if !only.contains(&b',') => true,
        _ => message.vias().count() == 1,
    }
}

/// Whether the first hop supports outbound: it is this registrar, or it has said so with `ob` in its Path.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//# If the registrar is not the first hop, it MUST examine the Path header of
//# the request.  If the Path header field is missing or it exists but
//# the first URI does not have an "ob" URI parameter, then outbound
//# processing MUST NOT be applied to the registration.
fn outbound_applies(message: &Message) -> bool {
    // Only the first node puts an `ob` there (section 5.1), wherever its value stands in the list by now.
    is_first_hop(message)
        || message.path().flatten().any(|path| path.uri().is_ok_and(|uri| uri.as_sip().is_some_and(SipUri::ob)))
}

fn is_flow(contact: &ContactParams<'_>) -> bool {
    contact.instance_id.is_some() && matches!(contact.reg_id, Ok(Some(_)))
}

/// Whether this REGISTER is of a flow, and not of a contact.
pub(super) fn registers_flow(message: &Message) -> bool {
    let mut contacts = message.contacts().flatten();
    contacts.any(|contact| contact.read_params(|_| ()).is_ok_and(|params| is_flow(&params)))
        && outbound_applies(message)
}

/// The Path values, checked and joined.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//# Registrars that implement this specification MUST support the Path header mechanism
//# [RFC3327].
fn path_vector<'a>(config: &RegistrarConfig, message: &'a Message) -> Result<Cow<'a, str>, Refused> {
    if !message.has(Header::Path) {
        return Ok(Cow::Borrowed(""));
    }
    // RFC 3327 section 5.3: a client that does not support Path must not be left with one.
    if !config.path_without_support && !message.supports("path") {
        let unsupported = vec![(Header::Unsupported, "path".to_string())];
        return Err(Refused { status: StatusCode::BAD_EXTENSION, fields: unsupported });
    }
    let mut joined = String::new();
    for value in message.path() {
        let value: NameAddr<'_> = value.map_err(|_| BAD())?;
        let uri = value.uri().map_err(|_| BAD())?;
        //= https://www.rfc-editor.org/rfc/rfc3327#section-4
        //# As suggested therein, such values MUST include the loose-routing indicator parameter
        //# ";lr" for full compliance with [1].
        if !uri.as_sip().is_some_and(SipUri::lr) {
            return Err(BAD());
        }
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push('<');
        joined.push_str(uri.as_str());
        joined.push('>');
        for param in value.params() {
            push_param(&mut joined, &param.map_err(|_| BAD())?);
        }
    }
    Ok(Cow::Owned(joined))
}

fn contacts<'a>(config: &RegistrarConfig, path: &Path, message: &'a Message, aor: &str) -> Result<Asked<'a>, Refused> {
    if !message.has(Header::Contact) {
        return Ok(Asked::Nothing);
    }
    // RFC 3261 section 20.19: a malformed value is as good as the default.
    let expires = message.expires().unwrap_or_default();
    let mut asked: SmallVec<[ContactAsked<'a>; 1]> = SmallVec::new();
    let (mut any, mut flows) = (false, false);
    let push = super::push::acts(config, message);
    for contact in message.contacts() {
        let contact = contact.map_err(|_| BAD())?;
        if asked.len() >= config.max_contacts {
            return Err(BAD());
        }
        match contact {
            Contact::Any => any = true,
            Contact::Address(address) => {
                let mut kept = String::new();
                let params = contact.read_params(|param| keep(&mut kept, param)).map_err(|_| BAD())?;
                flows |= is_flow(&params);
                asked.push(contact_asked(config, path, message, &address, params, kept, expires, aor, push)?)
            }
        }
    }
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# If the request has additional Contact
    //# fields or an expiration time other than zero, the request is
    //# invalid, and the server MUST return a 400 (Invalid Request) and
    //# skip the remaining steps.
    if any {
        let alone = asked.is_empty() && message.contacts().count() == 1;
        return if alone && expires == Some(0) { Ok(Asked::RemoveAll) } else { Err(BAD()) };
    }
    if flows && !outbound_applies(message) && message.supports("outbound") {
        //= https://www.rfc-editor.org/rfc/rfc5626#section-6
        //# In this case,
        //# the following processing applies: if the REGISTER request contains
        //# the reg-id and the outbound option tag in a Supported header field,
        //# then the registrar MUST respond to the REGISTER request with a 439
        //# (First Hop Lacks Outbound Support) response; otherwise, the registrar
        //# MUST ignore the "reg-id" parameter of the Contact header.
        return Err(Refused::status(StatusCode::FIRST_HOP_LACKS_OUTBOUND_SUPPORT));
    }
    //= https://www.rfc-editor.org/rfc/rfc5626#section-6
    //# Therefore, if the Contact header field contains
    //# more than one header field value with a non-zero expiration and any
    //# of these header field values contain a "reg-id" Contact header field
    //# parameter, the entire registration SHOULD be rejected with a 400 (Bad
    //# Request) response.
    let lasting = asked.iter().filter(|contact| contact.seconds > 0);
    if lasting.clone().count() > 1 && lasting.clone().any(|contact| contact.reg_id > 0) {
        return Err(BAD());
    }
    Ok(Asked::Contacts(asked))
}

#[allow(clippy::too_many_arguments, reason = "one contact and all it depends on")]
fn contact_asked<'a>(
    config: &RegistrarConfig,
    path: &Path,
    message: &'a Message,
    address: &NameAddr<'a>,
    params: ContactParams<'a>,
    kept: String,
    expires: Option<u32>,
    aor: &str,
    push: bool,
) -> Result<ContactAsked<'a>, Refused> {
    let uri = address.uri().map_err(|_| BAD())?;
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# -  If the field value has an "expires" parameter, that value
    //# MUST be taken as the requested expiration.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# -  If there is no such parameter, but the request has an
    //# Expires header field, that value MUST be taken as the
    //# requested expiration.
    let wanted = match params.expires {
        Ok(Some(seconds)) => Some(seconds),
        Ok(None) => expires,
        // RFC 3261 section 20.10: malformed values should be treated as equivalent to 3600.
        Err(_) => Some(3600),
    };
    let Some(seconds) = config.expiry().grant(wanted) else {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# This response MUST contain a Min-Expires header field
        //# that states the minimum expiration interval the registrar is
        //# willing to honor.
        let fields = vec![(Header::MinExpires, config.min_expires.to_string())];
        return Err(Refused { status: StatusCode::INTERVAL_TOO_BRIEF, fields });
    };
    let instance = match params.instance_id {
        Some(Cow::Borrowed(id)) => Cow::Borrowed(core::str::from_utf8(id).map_err(|_| BAD())?),
        Some(Cow::Owned(id)) => Cow::Owned(String::from_utf8(id).map_err(|_| BAD())?),
        None => Cow::Borrowed(""),
    };
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
    //# If the contact is not a SIP URI, the REGISTER request MUST be
    //# rejected with a 403.
    if !instance.is_empty() && seconds > 0 && uri.as_sip().is_none() {
        return Err(FORBIDDEN());
    }
    if let Some(sip) = uri.as_sip() {
        //= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
        //# If the contact URI is equivalent (based on URI equivalence in RFC
        //# 3261 [1]) to the AOR, the registrar MUST reject the request with a
        //# 403, since this would cause a routing loop.  If the contact URI is a
        //# GRUU for the AOR in the To header field of the REGISTER request, the
        //# registrar MUST reject the request with a 403, for the same reason.
        // Names that differ need no comparison by the rules; numbers have several spellings.
        let host = sip.host_str();
        let same = aor
            .len()
            .checked_sub(host.len())
            .and_then(|at| aor.get(at..))
            .is_some_and(|own| own.eq_ignore_ascii_case(host));
        let is_number = |host: &str| matches!(host.as_bytes().last(), Some(b'0'..=b'9' | b']'));
        let elsewhere = !(same || is_number(aor) && is_number(host));
        let own = !elsewhere && Uri::parse(aor.as_bytes()).is_ok_and(|own| own.equivalent(&uri));
        if seconds > 0 && (own || sip.gr().is_some() && aor_key(sip) == aor) {
            return Err(FORBIDDEN());
        }
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.2
        //# A registrar MUST accept a binding to a SIPS Contact header field only
        //# if all the appropriate URIs are of the SIPS scheme; otherwise, there
        //# could be an inadvertent binding of a secure resource (SIPS) to an
        //# unsecured one (SIP).
        //= https://www.rfc-editor.org/rfc/rfc5630#section-5.2
        //# If the URIs are not of the proper SIPS scheme, the
        //# registrar MUST reject the REGISTER with a 400 (Bad Request).
        if sip.is_sips() && seconds > 0 && !is_all_sips(message) {
            return Err(BAD());
        }
    }
    //= https://www.rfc-editor.org/rfc/rfc5626#section-6
    //# If the registrar processes a Contact header field value
    //# with a reg-id but no instance-id, it simply ignores the reg-id
    //# parameter.
    let reg_id = match params.reg_id {
        Ok(Some(id)) if !instance.is_empty() && outbound_applies(message) => id,
        _ => 0,
    };
    let text = core::str::from_utf8(address.uri_bytes()).map_err(|_| BAD())?;
    let wakes = push && super::push::check(config, text, seconds)?;
    let q = params.q.map_err(|_| BAD())?.unwrap_or(1000);
    let received = is_own_contact(config, &uri, reg_id, message, path).then_some(*path);
    Ok(ContactAsked { uri, text, params: Cow::Owned(kept), instance, reg_id, q, received, wakes, seconds })
}

/// Whether a contact is to be reached over the flow its REGISTER came over: it is one of a registered flow, of a browser, of a
/// client that is not where it says, behind a NAT, or of one that came over TLS, which seldom has a certificate to be called with.
/// A client may register contacts that are not its own; these are found by their URIs.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//# If the UAC has a direct flow with the registrar, the registrar MUST
//# store enough information to uniquely identify the network flow over
//# which the request arrived.
fn is_own_contact(config: &RegistrarConfig, uri: &Uri<'_>, reg_id: u32, message: &Message, path: &Path) -> bool {
    let Some(uri) = uri.as_sip() else { return false };
    if reg_id > 0 || path.transport.is_websocket() {
        return is_first_hop(message);
    }
    let port = uri.port().unwrap_or(path.transport.default_port());
    let as_it_says =
        uri.host().ip() == Some(path.remote.ip()) && (path.transport.is_connected() || port == path.remote.port());
    // It may be wanted that TLS or TCP is used though the URI does not say so.
    let unsaid = path.transport.is_secure()
        || config.over_connection && path.transport == Transport::Tcp && uri.transport().is_none();
    if as_it_says && !unsaid || uri.host().ip().is_none() {
        return false;
    }
    let Ok(via) = message.top_via() else { return false };
    let Some((Some(sent_by), sent_by_port)) = via.sent_by().ok().map(|(host, port)| (host.ip(), port)) else {
        return false;
    };
    let sent_by_port = sent_by_port.unwrap_or(path.transport.default_port());
    // A NAT gives another address. Another port alone may be one that is only sent from: it is where its client listens, too, if that says so
    // (RFC 3581) and believes to be where its contact is.
    let other_port = !path.transport.is_connected()
        && sent_by_port != path.remote.port()
        && sent_by_port == port
        && via.rport().is_ok_and(|rport| rport.is_some());
    let elsewhere = sent_by != path.remote.ip() || other_port;
    uri.host().ip() == Some(sent_by) && (elsewhere || unsaid) && is_first_hop(message)
}

/// Whether the Request-URI, all contacts and the Path are `sips:` URIs.
fn is_all_sips(message: &Message) -> bool {
    let is_sips = |uri: &Uri<'_>| uri.as_sip().is_some_and(SipUri::is_sips);
    let of = |address: &NameAddr<'_>| address.uri().is_ok_and(|uri| is_sips(&uri));
    message.request_uri().is_some_and(|uri| uri.is_ok_and(|uri| is_sips(&uri)))
        && message.contacts().flatten().all(|contact| contact.address().is_some_and(of))
        && message.path().flatten().all(|path| of(&path))
}

/// Appends a parameter of a contact, unless it is one that this registrar sets.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//# If the contact contained a "pub-gruu" Contact header field
//# parameter, the header field parameter MUST be ignored by the
//# registrar.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//# If the contact contained a "temp-gruu" Contact header field
//# parameter, the header field parameter MUST be ignored by the
//# registrar.
fn keep(out: &mut String, param: &Param<'_>) {
    const OURS: [&str; 4] = ["expires", "q", "pub-gruu", "temp-gruu"];
    if !OURS.iter().any(|ours| ours.eq_ignore_ascii_case(param.name)) {
        push_param(out, param);
    }
}

/// Appends a parameter with its `;`.
fn push_param(out: &mut String, param: &Param<'_>) {
    out.push(';');
    out.push_str(param.name);
    if let Some(value) = param.value {
        out.push('=');
        out.push_str(&unfolded(value.as_bytes()));
    }
}

/// What stood over several lines in one (RFC 3261 section 7.3.1), as text.
pub(super) fn unfolded(value: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(value);
    match text.bytes().any(|b| matches!(b, b'\r' | b'\n')) {
        true => Cow::Owned(text.replace(['\r', '\n'], " ")),
        false => text,
    }
}
