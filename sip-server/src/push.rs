//! Push notifications (RFC 8599): what a contact says of them, and when its user agent is to be woken for the sake of its binding.
//!
//! Owns the reading of the `pn-` parameters and the times of wake-ups. Sends no push: the notification service is the host's to talk to.
//! Requests that wait for a user agent are the proxy's.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use core::time::Duration;
use sip_message::Uri;
use sip_message::uri::UriParam;
use sip_transaction::Instant;

//= https://www.rfc-editor.org/rfc/rfc8599#section-6.2.1
//= type=exception
//= reason=an optional part (section 6): requests within dialogs wake nobody, and no sip.pnspurr is given out
//# If the proxy supports requesting push notifications triggered by mid-dialog requests
//# being sent to the registered UA, the proxy MUST store the information
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.2.1
//= type=exception
//= reason=an optional part (section 6) that is left out
//# In addition, the proxy MUST generate a unique (within the context of the proxy) value,
//# referred to as the PURR (Proxy Unique Registration Reference)
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.2.1
//= type=exception
//= reason=an optional part (section 6) that is left out
//# In order to prevent client fingerprinting, the proxy MUST periodically generate a new
//# PURR value (even if 'pn-*'parameters did not change).
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.2.1
//= type=exception
//= reason=an optional part (section 6) that is left out
//# However, as long as there are ongoing dialogs associated with the old value, the proxy
//# MUST store it so that it can request
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.2.1
//= type=exception
//= reason=an optional part (section 6) that is left out
//# In addition, the PURR value MUST be generated in such a way so that it is unforgeable,
//# anonymous, and unlinkable to entities other than the proxy.
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.2.1
//= type=exception
//= reason=an optional part (section 6) that is left out
//# Whenever the proxy receives a 2xx response to a REGISTER request, the proxy MUST insert
//# a 'sip.pnspurr' feature-capability indicator
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.2.2
//= type=exception
//= reason=an optional part (section 6) that is left out
//# When a proxy receives an initial request for a dialog from a UA that contains a 'pn-
//# purr' SIP URI parameter in the Contact header field URI
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.2.2
//= type=exception
//= reason=an optional part (section 6) that is left out
//# When the proxy receives an initial request for a dialog addressed towards the UA, and
//# the proxy has generated a PURR value
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.2.3
//= type=exception
//= reason=an optional part (section 6) that is left out
//# When the proxy receives a mid-dialog SIP request addressed towards the UA that contains
//# a 'pn-purr' SIP URI parameter
//= https://www.rfc-editor.org/rfc/rfc8599#section-6.2.3
//= type=exception
//= reason=an optional part (section 6) that is left out
//# If the bucket contains such a request, the proxy MUST remove the SIP request from the
//# SIP Request Push Bucket and forward it towards the UA.
//= https://www.rfc-editor.org/rfc/rfc8599#section-7
//= type=exception
//= reason=an optional part that rests on section 6
//# If a SIP proxy wants to be able to request that a push notification be sent to a UA when
//# it receives an initial request for a dialog that replaces an existing dialog
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//= type=exception
//= reason=VAPID is not supported
//# If the proxy supports the VAPID mechanism [RFC8292], the proxy MUST indicate support of
//# the mechanism
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//= type=exception
//= reason=VAPID is not supported
//# The proxy MUST determine whether the PNS provider supports the VAPID mechanism before it
//# indicates support of it.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
//= type=exception
//= reason=VAPID is not supported
//# In addition, if the proxy supports the VAPID mechanism for one or more types of PNSs,
//# the proxy MUST indicate support of the mechanism for those PNSs in the response.
/// What a contact says of push notifications: its `pn-` parameters (RFC 8599 section 8.1).
///
/// ```
/// use sip_server::PushTarget;
/// let push = PushTarget::of("sip:alice@192.0.2.4;pn-provider=acme;pn-param=p;pn-prid=ZTY4ZD").unwrap();
/// assert_eq!((&*push.provider, &*push.param, &*push.prid), ("acme", "p", "ZTY4ZD"));
/// assert_eq!(PushTarget::of("sip:alice@192.0.2.4"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct PushTarget {
    /// The type of the notification service: `pn-provider`. Empty in a query for all there are.
    pub provider: String,
    /// What identifies the user agent there: `pn-prid`. Empty if it only asks what is supported.
    pub prid: String,
    /// Whatever else the service needs: `pn-param`. Empty if it says nothing.
    pub param: String,
}

impl PushTarget {
    /// What `uri` says; `None` if it has no `pn-provider`.
    pub fn of(uri: &str) -> Option<PushTarget> {
        let uri = Uri::parse(uri.as_bytes()).ok()?;
        let params = uri.as_sip()?.params();
        if !params.has("pn-provider") {
            return None;
        }
        let text = |name| params.value(name).map(|value| value.as_str().into()).unwrap_or_default();
        Some(PushTarget { provider: text("pn-provider"), prid: text("pn-prid"), param: text("pn-param") })
    }

    /// Whether the service is one of these.
    pub(crate) fn is_of(&self, providers: &[String]) -> bool {
        providers.iter().any(|provider| provider.eq_ignore_ascii_case(&self.provider))
    }
}

/// Writes a contact without what is for the registrar alone.
//= https://www.rfc-editor.org/rfc/rfc8599#section-13
//# Operators MUST ensure that the PNS-related SIP URI parameters
//# conveyed by a user in the Contact URI of a REGISTER request are
//# not sent to other users or to non-trusted network entities.
pub(crate) fn push_public(out: &mut String, contact: &str) {
    let uri = Uri::parse(contact.as_bytes());
    let params = uri.as_ref().ok().and_then(|uri| uri.as_sip()).map(|uri| uri.params());
    let Some(params) = params.filter(|params| { *params }.any(|param| is_secret(&param))) else {
        return out.push_str(contact);
    };
    // The parameters are a part of this text: what stands before and behind them stays.
    let text = params.as_str();
    let start = (text.as_ptr() as usize).wrapping_sub(contact.as_ptr() as usize);
    let (Some(before), Some(behind)) = (contact.get(..start), contact.get(start.wrapping_add(text.len())..)) else {
        return;
    };
    out.push_str(before);
    for param in params.filter(|param| !is_secret(param)) {
        out.push(';');
        out.push_str(param.name.as_str());
        if let Some(value) = param.value {
            out.push('=');
            out.push_str(value.as_str());
        }
    }
    out.push_str(behind);
}

/// Whether a parameter is one of RFC 8599, whatever the spelling of its name (RFC 3261 section 19.1.4).
fn is_secret(param: &UriParam<'_>) -> bool {
    let start = param.name.octets().take(3).map(|octet| octet.to_ascii_lowercase());
    start.eq(*b"pn-")
}

/// How long before a binding ends its user agent is woken to refresh it.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.5
//# It is RECOMMENDED that the
//# proxy requests the push notification at least 120 seconds before the
//# binding expires.
pub(crate) const LEAD: Duration = Duration::from_secs(130);

/// The least a binding may last whose user agent has to be woken to refresh it, in seconds.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//# A binding expiration interval MUST be considered too short if the
//# binding would expire before the proxy can request that a push
//# notification be sent to the UA to trigger the UA to send a binding-
//# refresh REGISTER request.
pub(crate) const LEAST: u32 = 300;

/// When addresses-of-record have bindings that are to be refreshed by a wake-up: one time for each.
#[derive(Debug, Default)]
pub(crate) struct WakeTimes {
    by_time: BTreeSet<(Instant, Box<str>)>,
    by_aor: BTreeMap<Box<str>, Instant>,
}

impl WakeTimes {
    /// The next time for `aor`, or none.
    pub(crate) fn set(&mut self, aor: &str, at: Option<Instant>) {
        if let Some(old) = self.by_aor.remove(aor) {
            self.by_time.remove(&(old, aor.into()));
        }
        if let Some(at) = at {
            self.by_time.insert((at, aor.into()));
            self.by_aor.insert(aor.into(), at);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Takes the next address-of-record whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Box<str>> {
        self.next().filter(|&at| at <= now)?;
        let (_, aor) = self.by_time.pop_first()?;
        self.by_aor.remove(&aor);
        Some(aor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_shown_to_others_without_its_push_parameters() {
        let cases = [
            ("sip:a@h", "sip:a@h"),
            ("sip:a@h;transport=tcp", "sip:a@h;transport=tcp"),
            ("sip:a@h;pn-provider=acme;transport=tcp;PN-Prid=x;lr?subject=1", "sip:a@h;transport=tcp;lr?subject=1"),
            ("sip:a@h;pn-provider", "sip:a@h"),
            ("sip:a@h;Pn-Prid=x;pN-provider=y;q", "sip:a@h;q"),
            ("sip:a@h;%70n-prid=x;pn%2Dparam=y;a=%41", "sip:a@h;a=%41"),
            ("sip:a;pn-b=c?d@h;pn-prid=x?pn-e=x", "sip:a;pn-b=c?d@h?pn-e=x"),
            ("tel:+1;pn-prid=x", "tel:+1;pn-prid=x"),
        ];
        for (contact, shown) in cases {
            let mut out = String::new();
            push_public(&mut out, contact);
            assert_eq!(out, shown);
        }
    }

    #[test]
    fn each_address_of_record_has_one_time() {
        let at = |seconds: u64| Instant::from_millis(seconds * 1000);
        let mut times = WakeTimes::default();
        times.set("a", Some(at(10)));
        times.set("b", Some(at(5)));
        times.set("a", Some(at(3)));
        assert_eq!(times.next(), Some(at(3)));
        assert_eq!(times.due(at(2)), None);
        assert_eq!(times.due(at(3)).as_deref(), Some("a"));
        times.set("b", None);
        assert_eq!(times.next(), None);
        assert!(times.by_aor.is_empty());
    }
}
