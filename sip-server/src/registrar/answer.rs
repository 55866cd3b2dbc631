//! The 200 to a REGISTER: the bindings as they are now, and what the registrar supports.

use super::{Asker, RegistrarConfig, push, read};
use crate::location::{Binding, Gruus, latest};
use crate::reply::reply_fields;
use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt::Write;
use sip_message::headers::Date;
use sip_message::{Header, StatusCode};
use sip_transaction::cores::decimal;
use sip_transaction::{Endpoint, Instant};
use smallvec::SmallVec;

/// The 200 to a REGISTER.
pub(super) struct Answer<'a> {
    pub(super) config: &'a RegistrarConfig,
    pub(super) gruus: &'a mut Gruus,
    pub(super) now: Instant,
}

impl Answer<'_> {
    pub(super) fn send(self, endpoint: &mut Endpoint, asker: &Asker<'_>, aor: &str, bindings: &[Binding]) {
        let Answer { config, gruus, now } = self;
        let message = asker.message;
        let gruu = config.gruu && message.supports("gruu");
        let caps = push::feature_caps(config, message);
        // What is written for this answer alone stands in one text.
        let mut text = String::with_capacity(96 * bindings.len().min(16));
        let mut contacts: SmallVec<[usize; 4]> = SmallVec::new();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# The response MUST
        //# contain Contact header field values enumerating all current
        //# bindings.  Each Contact value MUST feature an "expires"
        //# parameter indicating its expiration interval chosen by the
        //# registrar.
        let mut temporary: SmallVec<[(&Binding, String); 1]> = SmallVec::new();
        for binding in bindings.iter().filter(|binding| binding.expires() > now) {
            write_contact(&mut text, binding, now);
            if gruu && !binding.instance().is_empty() {
                //= https://www.rfc-editor.org/rfc/rfc5627#section-5.2
                //# The value of the "temp-gruu" parameter is
                //# a quoted string, and MUST contain the most recently created temporary
                //# GRUU for that AOR and instance ID.
                let live = bindings.iter().filter(|binding| binding.expires() > now);
                let last = latest(live, binding).unwrap_or(binding);
                let made = temporary.iter().position(|&(of, _)| core::ptr::eq(of, last)).unwrap_or_else(|| {
                    let mut uri = String::new();
                    gruus.write_temporary(&mut uri, aor, last);
                    temporary.push((last, uri));
                    temporary.len() - 1
                });
                write_gruus(&mut text, aor, binding, temporary.get(made).map_or("", |(_, uri)| uri));
            }
            contacts.push(text.len());
        }
        let contacts_end = text.len();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# The response SHOULD include a Date header field.
        let unix = config.unix_epoch.map(|epoch| epoch + (now.as_micros() / 1_000_000) as i64);
        if let Some(date) = unix.and_then(Date::from_unix) {
            let _ = write!(text, "{date}");
        }
        let date_end = text.len();
        //= https://www.rfc-editor.org/rfc/rfc5626#section-6
        //# If the Contact header did not contain a "reg-id" Contact header field parameter or
        //# if that parameter was ignored (as described above), the registrar MUST NOT include
        //# the outbound option-tag in the Require header field of its response.
        let outbound = message.supports("outbound") && read::registers_flow(message);
        if let Some(seconds) = config.flow_timer.filter(|_| outbound) {
            let _ = write!(text, "{seconds}");
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# Registrars MUST ignore the Record-Route header field if it is
        //# included in a REGISTER request.  Registrars MUST NOT include a
        //# Record-Route header field in any response to a REGISTER request.
        let path: SmallVec<[Cow<'_, str>; 2]> = message.fields(Header::Path).map(read::unfolded).collect();
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let mut fields: SmallVec<[(Header, &str); 8]> = SmallVec::new();
        let mut from = 0;
        for to in contacts {
            fields.push((Header::Contact, part(from, to)));
            from = to;
        }
        // The Path goes back: RFC 3327 section 5.3.
        fields.extend(path.iter().map(|path| (Header::Path, &**path)));
        fields.extend(caps.iter().map(|caps| (Header::FeatureCaps, caps.as_str())));
        fields.extend(config.service_route.iter().map(|route| (Header::ServiceRoute, route.as_str())));
        if outbound {
            //= https://www.rfc-editor.org/rfc/rfc5626#section-6
            //# Provided that the UAC had included an outbound
            //# option-tag (defined in Section 11.4) in a Supported header field
            //# value in the REGISTER request, the registrar MUST include the
            //# outbound option-tag in a Require header field value in its response
            //# to that REGISTER request.
            fields.push((Header::Require, "outbound"));
            if date_end < text.len() {
                fields.push((Header::FlowTimer, part(date_end, text.len())));
            }
        }
        fields.push((Header::Supported, "path, outbound"));
        fields.extend(asker.info.map(|info| (Header::AuthenticationInfo, info)));
        if contacts_end < date_end {
            fields.push((Header::Date, part(contacts_end, date_end)));
        }
        reply_fields(endpoint, now, asker.tx, message, StatusCode::OK, &fields);
    }
}

fn write_contact(line: &mut String, binding: &Binding, now: Instant) {
    // A second that has begun counts: a client that refreshes in time is never told 0.
    let left = binding.expires_in(now);
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    line.push('<');
    line.push_str(binding.contact());
    line.push('>');
    line.push_str(binding.params());
    if binding.q() < 1000 {
        let _ = write!(line, ";q=0.{:03}", binding.q());
    }
    line.push_str(";expires=");
    line.push_str(core::str::from_utf8(decimal(seconds, &mut [0; 20])).unwrap_or("0"));
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-5.2
//# If the REGISTER request contained a Supported header
//# field that included the "gruu" option tag, and the registrar has at
//# least one temporary GRUU assigned to the instance ID and AOR, the
//# registrar MUST add a "temp-gruu" Contact header field parameter to
//# that Contact header field.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.2
//# In addition, if the registrar has
//# a public GRUU assigned to the instance ID and AOR (and the client
//# supports GRUUs), the registrar MUST add a "pub-gruu" Contact header
//# field parameter to that Contact header field.
//= https://www.rfc-editor.org/rfc/rfc5627#section-7
//# The quoted strings for temp-gruu and pub-gruu MUST contain a SIP URI.
fn write_gruus(line: &mut String, aor: &str, binding: &Binding, temporary: &str) {
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.2.1
    //# When a GRUU [RFC5627] is assigned to an instance ID/AOR pair through
    //# registration, the registrar MUST assign both a SIP GRUU and a SIPS
    //# GRUU.
    // Both are read alike: the scheme is no part of what is sealed in a GRUU.
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.2.1
    //# If the Contact header field in the REGISTER request contains a
    //# SIP URI, the registrar MUST return the SIP version of the GRUU.  If
    //# the Contact header field in the REGISTER request contains a SIPS URI,
    //# the registrar MUST return the SIPS version of the GRUU.
    let mut uri = String::new();
    Gruus::write_public(&mut uri, aor, binding.instance());
    let _ = write!(line, ";pub-gruu=\"{}\"", Scheme(&uri, binding.is_sips()));
    let _ = write!(line, ";temp-gruu=\"{}\"", Scheme(temporary, binding.is_sips()));
}

/// A `sip:` URI with that scheme or with `sips:`.
struct Scheme<'a>(&'a str, bool);

impl core::fmt::Display for Scheme<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0.strip_prefix("sip:") {
            Some(rest) if self.1 => write!(f, "sips:{rest}"),
            _ => f.write_str(self.0),
        }
    }
}
