//! What a registrar does for push notifications (RFC 8599 section 5): which services it tells of, which REGISTERs it refuses, and when
//! a binding needs a wake-up to last.

use super::read::Refused;
use super::{Registrar, RegistrarConfig, RegistrarEvent, SWEPT_AT_ONCE, Storage};
use crate::location::Binding;
use crate::push::{LEAD, LEAST, PushTarget, WakeTimes};
use alloc::string::{String, ToString};
use alloc::vec;
use core::fmt::Write;
use core::time::Duration;
use sip_message::{Header, Message, StatusCode};
use sip_transaction::Instant;
use smallvec::SmallVec;

/// What the contacts of a REGISTER say of push notifications, if it is for this server to act on it.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//# In such case, the proxy MUST skip
//# the rest of the procedures in this section and process the REGISTER
//# request using normal SIP procedures.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1
//# In other cases, the proxy MUST skip the procedures in
//# this section and process the REGISTER request using normal SIP
//# procedures.
fn asked(config: &RegistrarConfig, message: &Message) -> SmallVec<[PushTarget; 1]> {
    if !acts(config, message) {
        return SmallVec::new();
    }
    let addresses = message.contacts().flatten();
    let pushes = addresses.filter_map(|contact| {
        let address = contact.address()?;
        core::str::from_utf8(address.uri_bytes()).ok().and_then(PushTarget::of)
    });
    pushes.take(config.max_contacts).collect()
}

/// Whether push notifications are this server's to care for, and not another's before it. The same for all contacts of a REGISTER.
pub(super) fn acts(config: &RegistrarConfig, message: &Message) -> bool {
    let says = |name: &str| name.eq_ignore_ascii_case("+sip.pns");
    !config.push.is_empty()
        && !message.feature_caps().flatten().any(|caps| caps.features().flatten().any(|feature| says(feature.name)))
}

/// Whether the user agent of this contact is to be woken, if its binding of `seconds` is not refused. To be asked if this server
/// [acts](acts) at all.
pub(super) fn check(config: &RegistrarConfig, contact: &str, seconds: u32) -> Result<bool, Refused> {
    if seconds == 0 {
        return Ok(false);
    }
    let Some(push) = PushTarget::of(contact) else { return Ok(false) };
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
    //# The proxy MUST NOT send a SIP 555 (Push Notification
    //# Service Not Supported) response unless it knows (by means of local
    //# configuration) that no other proxy supports any of the types of
    //# PNSs supported by the UA.
    // A proxy before this one has said nothing, and behind the registrar there is none.
    if !push.provider.is_empty() && !push.is_of(&config.push) {
        return Err(Refused::status(StatusCode::PUSH_NOTIFICATION_SERVICE_NOT_SUPPORTED));
    }
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
    //# If the proxy supports the type of PNS supported by the UA, but
    //# considers the requested binding expiration interval [RFC3261] to
    //# be too short (see below), the proxy MUST either send a 423
    //# (Interval Too Brief) response to the REGISTER request or forward
    //# the request towards the registrar
    // More than this registrar grants to anybody cannot be asked for.
    let least = LEAST.min(config.max_expires);
    if !push.prid.is_empty() && seconds < least {
        let fields = vec![(Header::MinExpires, least.to_string())];
        return Err(Refused { status: StatusCode::INTERVAL_TOO_BRIEF, fields });
    }
    Ok(!push.prid.is_empty() && push.is_of(&config.push))
}

/// The Feature-Caps of the answer: one field for each service.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.4
//# A proxy MUST use a separate
//# Feature-Cap header field for each supported type of PNS.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.4
//# A feature-
//# capability indicator that indicates support of an additional feature
//# associated with a given type of PNS MUST be inserted in the same
//# Feature-Caps header field that is used to indicate support of the
//# type of PNS.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.4
//# These feature-capability indicators
//# MUST only be inserted in a Feature-Caps header field that also
//# contains a 'sip.pns' feature-capability indicator.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//# The proxy MUST indicate support of the same type of PNS in the
//# REGISTER response.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
//# When a proxy receives a 2xx response to the REGISTER request, if the
//# proxy had indicated support of one or more types of PNSs in the
//# REGISTER request (see above), the proxy MUST indicate support of the
//# same set of types of PNSs in the response.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
//= type=exception
//= reason=registrar and proxy are one: the REGISTER goes nowhere from here
//# If the proxy supports the type of PNS supported by the UA, the proxy MUST indicate
//# support of that type of PNS (Section 5.4) in the REGISTER request before it forwards
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//= type=exception
//= reason=registrar and proxy are one: the REGISTER goes nowhere from here
//# If the proxy supports the type of PNS supported by the UA, the proxy MUST indicate
//# support of that type of PNS (Section 5.4) in the REGISTER request before it forwards
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//= type=exception
//= reason=registrar and proxy are one: what is too short is refused before
//# If the proxy considers the binding expiration interval indicated by the registrar too
//# short (see above), the proxy forwards the response towards the UA and MUST skip
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
//= type=exception
//= reason=registrar and proxy are one: the REGISTER goes nowhere from here
//# the proxy MUST indicate support of each type of PNS supported by the proxy before it
//# forwards the request towards the registrar.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
//# If the proxy does not support the type of PNS supported by the UA,
//# and if the REGISTER request does not contain Feature-Caps header
//# fields indicating support of one or more types of PNSs, the proxy
//# MUST either forward the request towards the registrar or send a
//# SIP 555 (Push Notification Service Not Supported) response towards
//# the UA.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
//# When a proxy receives a REGISTER request that contains a
//# 'pn-provider' SIP URI parameter indicating the type of PNS supported
//# by the UA, the proxy MUST perform the following actions:
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
//= type=exception
//= reason=registrar and proxy are one: the binding is the Contact URI, and is there when the answer is
//# In addition, the proxy MUST store the Contact URI of the REGISTER request during the
//# lifetime of the REGISTER transaction.
pub(super) fn feature_caps(config: &RegistrarConfig, message: &Message) -> SmallVec<[String; 1]> {
    let asked = asked(config, message);
    if asked.is_empty() {
        return SmallVec::new();
    }
    let wakes_itself = message.contacts().flatten().any(|contact| {
        let param = |address: &sip_message::NameAddr<'_>| address.params().has("+sip.pnsreg") == Ok(true);
        contact.address().is_some_and(param)
    });
    let all = asked.iter().any(|push| push.provider.is_empty());
    let told =
        config.push.iter().filter(|name| all || asked.iter().any(|push| push.provider.eq_ignore_ascii_case(name)));
    told.map(|name| {
        let mut caps = String::new();
        let _ = write!(caps, "*;+sip.pns=\"{name}\"");
        // One that wakes itself need not be woken if it refreshes before that.
        if wakes_itself {
            let _ = write!(caps, ";+sip.pnsreg=\"{}\"", lead(config).as_secs());
        }
        caps
    })
    .collect()
}

impl Registrar {
    /// Tells of each binding of an address-of-record that this REGISTER has made or refreshed and that asks for push notifications.
    pub(super) fn note_awake(&mut self, aor: &str, refreshed: &[Binding]) {
        if self.config.push.is_empty() {
            return;
        }
        for binding in refreshed.iter().filter(|binding| binding.wakes()) {
            self.events.push_back(RegistrarEvent::Awake { aor: aor.into(), binding: binding.clone() });
        }
        self.set_wake_time(aor, self.now);
    }

    /// Asks for the next wake-up of an address-of-record to come at its time: of its bindings that end after `after` and a wake-up's lead.
    fn set_wake_time(&mut self, aor: &str, after: Instant) {
        let Storage::Table(table) = &self.storage else { return };
        let wakes = table.bindings(aor, after).filter(|binding| binding.wakes());
        let lead = lead(&self.config);
        let next = wakes.map(|binding| wake_time(binding, lead)).filter(|&at| at > after).min();
        self.wake_times.set(aor, next);
    }

    /// Finds out when whom to wake, after the table has been changed by another hand. Who should have been woken by now is due at once.
    fn find_wake_times(&mut self, now: Instant) {
        let Storage::Table(table) = &self.storage else { return };
        self.wake_times = WakeTimes::default();
        let lead = lead(&self.config);
        for (aor, bindings) in table.iter() {
            let wakes = bindings.iter().filter(|binding| binding.wakes() && binding.expires() > now);
            self.wake_times.set(aor, wakes.map(|binding| wake_time(binding, lead)).min());
        }
    }

    /// Asks for the bindings to be refreshed whose time has come.
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.5
    //# If the proxy receives information that a binding associated with a
    //# PRID has expired, or that a binding has been removed, the proxy MUST
    //# NOT request that further push notifications are sent to the UA using
    //# that PRID.
    // What is beyond the limit stays due.
    pub(super) fn wake_due(&mut self, now: Instant) {
        if core::mem::take(&mut self.wake_times_stale) {
            self.find_wake_times(now);
        }
        for _ in 0..SWEPT_AT_ONCE {
            let Some(aor) = self.wake_times.due(now) else { return };
            let Storage::Table(table) = &self.storage else { return };
            let lead = lead(&self.config);
            let is_due = |binding: &&Binding| binding.wakes() && wake_time(binding, lead) <= now;
            for binding in table.bindings(&aor, now).filter(is_due) {
                if let Some(push) = PushTarget::of(binding.contact()) {
                    self.events.push_back(RegistrarEvent::Wake { aor: String::from(&*aor), push });
                }
            }
            self.set_wake_time(&aor, now);
        }
    }
}

/// How long before a binding ends its user agent is woken: no more than half of the time that bindings last at all.
fn lead(config: &RegistrarConfig) -> Duration {
    LEAD.min(Duration::from_secs(u64::from(config.max_expires / 2)))
}

fn wake_time(binding: &Binding, lead: Duration) -> Instant {
    Instant::from_micros(binding.expires().as_micros().saturating_sub(lead.as_micros() as u64))
}
