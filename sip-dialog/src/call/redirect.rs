//! Calls that are sent elsewhere: the contacts of a 3xx, and the INVITE sent again (RFC 3261 section 8.1.3.4).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use sip_message::{BuildError, Header, Message, NameAddr, Uri};
use sip_transaction::Endpoint;

use super::caller::{Calling, without_headers};
use crate::agent::UserAgentCore;
use crate::agent::client::{Final, Over, Purpose};
use crate::agent::sips::{is_sips_value, schemed, secure_routes, turned};
use crate::agent::way::is_sips;
use crate::config::Redirect;
use crate::event::CallEvent;
use crate::id::CallHandle;

impl UserAgentCore {
    /// Keeps the contacts of a 3xx that have not been tried, best first. Whether one is to be tried.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
    //# Upon receipt of a redirection response (for example, a 301 response
    //# status code), clients SHOULD use the URI(s) in the Contact header field
    //# to formulate one or more new requests based on the redirected request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
    //# As with proxy recursion, a client processing 3xx class responses MUST
    //# NOT add any given URI to the target set more than once.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-21.3.3
    //# If there is no explicit expiration time, the address is only valid once
    //# for recursing, and MUST NOT be cached for future transactions.
    pub(super) fn redirected(&mut self, call: CallHandle, response: Box<Message>, asked: &[u8]) -> bool {
        let secure = is_sips(asked);
        let asked = core::str::from_utf8(asked).unwrap_or_default();
        let mut targets: Vec<(u16, String, String)> = Vec::new();
        for contact in response.contacts().take(32) {
            let Ok(contact) = contact else { continue };
            let Some(Ok(uri)) = contact.address().map(NameAddr::uri) else { continue };
            let Some(cleaned) = redirect_target(&uri) else { continue };
            let with = uri.as_sip().map_or(String::new(), |sip| sip.headers().as_str().into());
            targets.push((contact.q().ok().flatten().unwrap_or(1000), cleaned, with));
        }
        targets.sort_by_key(|(q, ..)| core::cmp::Reverse(*q));
        let follow = match self.config.redirect {
            Redirect::Follow(most) => usize::from(most),
            Redirect::Report => 0,
        };
        let Some(calling) = self.calls.get_mut(call).and_then(|found| found.calling.as_mut()) else { return false };
        let through = response.status().is_some_and(|status| status.code() == 305);
        for (_, target, with) in &targets {
            // What is secure goes on securely, or the host says otherwise with a call of its own (RFC 5630 section 5.1.1.3).
            let safe = !secure || through || is_sips(target.as_bytes());
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
            //# A client starts with an initial target set containing exactly one URI, the
            //# Request-URI of the original request.
            let tried = !through && is_same(asked, target) || calling.seen.iter().any(|seen| is_same(seen, target));
            if safe && calling.seen.len() < follow && !tried {
                calling.seen.push(target.clone());
                let with = if through { "" } else { with.trim_start_matches('?') };
                let end = if with.is_empty() { "" } else { "?" };
                calling.targets.push_back((alloc::format!("{target}{end}{with}"), through));
            }
        }
        let more = !calling.targets.is_empty();
        let targets = targets.into_iter().map(|(_, uri, _)| uri).collect();
        self.call_event(call, CallEvent::Redirected { message: response, targets });
        more
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
    //# When a failure for a particular contact address is received, the client
    //# SHOULD try the next contact address.
    pub(super) fn has_next_target(&self, call: CallHandle) -> bool {
        let calling = self.calls.get(call).and_then(|found| found.calling.as_ref());
        calling.is_some_and(|calling| !calling.targets.is_empty())
    }

    /// Sends the INVITE again: to the next target if there is one, else to where it went.
    pub(super) fn try_again(&mut self, ep: &mut Endpoint, call: CallHandle, outcome: &mut Final) -> bool {
        let Some(mut request) = outcome.request.take() else { return false };
        let Some(calling) = self.calls.get_mut(call).and_then(|found| found.calling.as_mut()) else { return false };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-21.3.4
        //# The requested resource MUST be accessed through the proxy given by the
        //# Contact field.
        let next = calling.targets.pop_front();
        if next.is_some() && core::mem::take(&mut calling.through) {
            // That proxy is not the way to the next target.
            request.pop_route();
        }
        if next.is_some() && restore_headers(calling, &mut request).is_err() {
            return false;
        }
        if let Some((proxy, true)) = &next {
            let parsed = Uri::parse(proxy.as_bytes()).ok();
            let loose = if parsed.as_ref().and_then(Uri::as_sip).is_none_or(|uri| uri.lr()) { "" } else { ";lr" };
            let mut route = alloc::format!("<{proxy}{loose}>");
            if request.request_uri_bytes().is_some_and(is_sips) {
                route = turned(&route, true).unwrap_or(route);
            }
            if request.push_route(route).is_err() {
                return false;
            }
            calling.through = true;
        } else if let Some((target, _)) = next {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
            //# In order to create a request based on a contact address in a 3xx
            //# response, a UAC MUST copy the entire URI from the target set into the
            //# Request-URI, except for the "method-param" and "header" URI parameters
            //# (see Section 19.1.1 for a definition of these parameters).
            if request.set_request_uri(without_headers(&target)).is_err()
                || secure_target(calling, &mut request).is_err()
                || overwrite_headers(calling, &mut request, &target).is_err()
            {
                return false;
            }
        }
        let over = Over { pin: calling.pin, strict: outcome.strict };
        match self.resend(ep, request, outcome.used, over, Purpose::Invite(call), outcome.auth.take()) {
            Ok(tx) => {
                if let Some(found) = self.calls.get_mut(call) {
                    found.client = Some(tx);
                }
                true
            }
            Err(_) => false,
        }
    }
}

/// Gives a request the header fields that the URI it goes to now asks for.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
//# It uses the "header" parameters to create header field values for the
//# new request, overwriting header field values associated with the
//# redirected request in accordance with the guidelines in Section 19.1.5.
fn overwrite_headers(calling: &mut Calling, request: &mut Message, target: &str) -> Result<(), BuildError> {
    let Some(asked) = Uri::parse(target.as_bytes()).ok().and_then(|uri| harmless_headers(&uri)) else { return Ok(()) };
    for (name, value) in asked {
        let name = name.to_ascii_lowercase();
        let before =
            request.field(name.as_str()).and_then(|before| core::str::from_utf8(before).ok()).map(String::from);
        // What is required is so beside what else is.
        let value = match &before {
            Some(before) if name == "require" => alloc::format!("{before}, {value}"),
            _ => value,
        };
        request.set(name.as_str(), value)?;
        calling.replaced.push((name, before));
    }
    Ok(())
}

/// Takes back what [`overwrite_headers`] did for the target before.
fn restore_headers(calling: &mut Calling, request: &mut Message) -> Result<(), BuildError> {
    for (name, before) in core::mem::take(&mut calling.replaced).into_iter().rev() {
        match before {
            Some(before) => request.set(name.as_str(), before)?,
            None => drop(request.remove(name.as_str())),
        }
    }
    Ok(())
}

/// The header fields in a URI that may go into a request to it; `None` if they cannot be read.
pub(super) fn harmless_headers(uri: &Uri<'_>) -> Option<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    let Some(sip) = uri.as_sip() else { return Some(found) };
    for pair in sip.headers().as_str().trim_start_matches('?').split('&').filter(|pair| !pair.is_empty()) {
        let (name, _) = pair.split_once('=')?;
        // Fields that say who we are, or where the request goes, are not for others to write.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
        //# An implementation SHOULD NOT honor these obviously dangerous header
        //# fields: From, Call-ID, CSeq, Via, and Record-Route.
        let harmless = ["replaces", "join", "accept-contact", "reject-contact", "subject", "call-info", "user-to-user"];
        let known = harmless.iter().any(|known| name.eq_ignore_ascii_case(known));
        let requires = name.eq_ignore_ascii_case("require");
        // Each once, and so looked up but a few times.
        if !(known || requires) || found.iter().any(|(seen, _)| seen.eq_ignore_ascii_case(name)) {
            continue;
        }
        let value = sip.headers().get(name)?.decoded_str()?;
        // What is named there must be taken notice of, or the request refused: nothing more.
        if known || matches!(&*value, "replaces" | "join") {
            found.push((name.into(), value.into_owned()));
        }
    }
    Some(found)
}

/// Makes Contact and Route those of a request to the URI it goes to now, which may be a SIPS URI where the one before was none.
fn secure_target(calling: &mut Calling, request: &mut Message) -> Result<(), BuildError> {
    let secure = request.request_uri_bytes().is_some_and(is_sips);
    if secure {
        if let Some(routes) = request.field(Header::Route).and_then(|routes| core::str::from_utf8(routes).ok()) {
            if let Some(secured) = secure_routes(routes) {
                let before = String::from(routes);
                request.set(Header::Route, secured)?;
                calling.plain_routes = Some(before);
            }
        }
    } else if let Some(routes) = calling.plain_routes.take() {
        // The target before it was secure, and the way there; this one has the way that the host gave.
        request.set(Header::Route, routes)?;
    }
    let top = request.field(Header::Route).and_then(|routes| core::str::from_utf8(routes).ok());
    let contact = schemed(&calling.contact, secure || top.is_some_and(is_sips_value));
    if contact != calling.contact {
        request.set(Header::Contact, &contact)?;
        calling.contact = contact;
    }
    Ok(())
}

/// Whether two URIs are equal (RFC 3261 section 19.1.4).
fn is_same(one: &str, other: &str) -> bool {
    let same = |one: &Uri<'_>| Uri::parse(other.as_bytes()).is_ok_and(|other| one.equivalent(&other));
    one == other || Uri::parse(one.as_bytes()).is_ok_and(|one| same(&one))
}

/// A contact of a 3xx as a Request-URI: without `method` and headers. `None` if it cannot be called.
pub(super) fn redirect_target(uri: &Uri<'_>) -> Option<String> {
    let sip = match uri {
        Uri::Sip(sip) => sip,
        Uri::Tel(_) => return Some(uri.as_str().into()),
        _ => return None,
    };
    let head = sip.as_str().len() - sip.params().as_str().len() - sip.headers().as_str().len();
    let mut out = String::from(sip.as_str().get(..head)?);
    for param in sip.params().as_str().split(';').filter(|param| !param.is_empty()) {
        let name = param.split('=').next().unwrap_or_default();
        if !name.eq_ignore_ascii_case("method") {
            out.push(';');
            out.push_str(param);
        }
    }
    Some(out)
}
