//! One binding: a contact of an address-of-record, and what else a registrar keeps of it.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;
use sip_message::Uri;
use sip_transaction::{Instant, Path};

/// A contact that an address-of-record is bound to.
///
/// All its strings lie in one allocation. Two bindings are of the same flow registration if [`instance`](Self::instance)
/// and [`reg_id`](Self::reg_id) are the same (RFC 5626 section 6), else of the same contact if the URIs are equivalent
/// (RFC 3261 section 10.3).
#[derive(Clone, PartialEq, Eq)]
pub struct Binding {
    strings: Box<str>,
    /// Where contact, parameters, path and instance end; the Call-ID is the rest.
    ends: [u32; 4],
    cseq: u32,
    reg_id: u32,
    q: u16,
    wakes: bool,
    /// Whether `.invalid` stands in the contact.
    says_invalid: bool,
    registered: Instant,
    expires: Instant,
    received: Option<Path>,
}

/// The parts of a [`Binding`], for stores that keep them elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BindingParts<'a> {
    /// The contact URI, as it was registered.
    pub contact: &'a str,
    /// The parameters of the Contact value, each with its `;`, but `expires`, `q`, `pub-gruu` and `temp-gruu`.
    pub params: &'a str,
    /// The Path values in order, separated by commas (RFC 3327); empty if there were none.
    pub path: &'a str,
    /// The instance id with its angle brackets (`+sip.instance`, RFC 5626); empty if there was none.
    pub instance: &'a str,
    /// The `reg-id` if the binding is of one flow of the instance (RFC 5626); 0 if it is of the contact.
    pub reg_id: u32,
    /// The preference among contacts, in thousandths, 0 to 1000.
    pub q: u16,
    /// The Call-ID of the REGISTER that made or refreshed it.
    pub call_id: &'a str,
    /// The CSeq number of that REGISTER.
    pub cseq: u32,
    /// When it was made or refreshed.
    pub registered: Instant,
    /// When it ends.
    pub expires: Instant,
    /// The flow it came over, if the user agent is one hop away: requests go back over it and over no other.
    pub received: Option<Path>,
    /// Whether its user agent sleeps and is woken by a push notification (RFC 8599), by what the contact URI says. Such a binding outlives its
    /// flow.
    pub wakes: bool,
}

impl Binding {
    /// A binding of these parts.
    pub fn new(parts: &BindingParts<'_>) -> Binding {
        let texts = [parts.contact, parts.params, parts.path, parts.instance, parts.call_id];
        let mut strings = String::with_capacity(texts.iter().map(|text| text.len()).sum());
        let mut ends = [0; 4];
        for (n, text) in texts.iter().enumerate() {
            strings.push_str(text);
            if let Some(end) = ends.get_mut(n) {
                *end = u32::try_from(strings.len()).unwrap_or(u32::MAX);
            }
        }
        Binding {
            strings: strings.into_boxed_str(),
            ends,
            cseq: parts.cseq,
            reg_id: parts.reg_id,
            q: parts.q.min(1000),
            registered: parts.registered,
            expires: parts.expires,
            received: parts.received,
            wakes: parts.wakes,
            says_invalid: says_invalid(parts.contact.as_bytes()),
        }
    }

    /// The parts it is made of.
    pub fn parts(&self) -> BindingParts<'_> {
        BindingParts {
            contact: self.contact(),
            params: self.params(),
            path: self.path(),
            instance: self.instance(),
            reg_id: self.reg_id,
            q: self.q,
            call_id: self.call_id(),
            cseq: self.cseq,
            registered: self.registered,
            expires: self.expires,
            received: self.received,
            wakes: self.wakes,
        }
    }

    fn text(&self, n: usize) -> &str {
        let from = n.checked_sub(1).and_then(|n| self.ends.get(n)).map_or(0, |&end| end as usize);
        let to = self.ends.get(n).map_or(self.strings.len(), |&end| end as usize);
        self.strings.get(from..to).unwrap_or_default()
    }

    /// The contact URI, as it was registered.
    pub fn contact(&self) -> &str {
        self.text(0)
    }

    /// The parameters of the Contact value, each with its `;`, but `expires`, `q`, `pub-gruu` and `temp-gruu`.
    pub fn params(&self) -> &str {
        self.text(1)
    }

    /// The Path values in order, separated by commas; empty if there were none.
    pub fn path(&self) -> &str {
        self.text(2)
    }

    /// The instance id with its angle brackets; empty if there was none.
    pub fn instance(&self) -> &str {
        self.text(3)
    }

    /// The Call-ID of the REGISTER that made or refreshed it.
    pub fn call_id(&self) -> &str {
        self.text(4)
    }

    /// The CSeq number of that REGISTER.
    pub fn cseq(&self) -> u32 {
        self.cseq
    }

    /// The `reg-id`; 0 if the binding is of the contact and not of one flow of an instance.
    pub fn reg_id(&self) -> u32 {
        self.reg_id
    }

    /// The preference among contacts, in thousandths.
    pub fn q(&self) -> u16 {
        self.q
    }

    /// When it was made or refreshed.
    pub fn registered(&self) -> Instant {
        self.registered
    }

    /// When it ends.
    pub fn expires(&self) -> Instant {
        self.expires
    }

    /// How long it will last if it is not refreshed.
    pub fn expires_in(&self, now: Instant) -> Duration {
        self.expires - now
    }

    /// The flow it came over, if the user agent is one hop away.
    pub fn received(&self) -> Option<Path> {
        self.received
    }

    /// Whether its user agent sleeps and is woken by a push notification.
    pub fn wakes(&self) -> bool {
        self.wakes
    }

    /// Whether `.invalid` stands in the contact, as the end of its host or elsewhere.
    pub(crate) fn says_invalid(&self) -> bool {
        self.says_invalid
    }

    /// Whether its texts are these: contact, parameters, Path, instance and Call-ID.
    pub(crate) fn says(&self, texts: [&str; 5]) -> bool {
        let mut end = 0;
        let ends = texts.map(|text| {
            end += text.len();
            end as u32
        });
        let same = |(n, text): (usize, &&str)| text.is_empty() || self.text(n) == *text;
        ends[..4] == self.ends && end == self.strings.len() && texts.iter().enumerate().all(same)
    }

    /// Makes it last until `expires`, as of a REGISTER with this CSeq.
    pub(crate) fn refresh(&mut self, cseq: u32, now: Instant, expires: Instant) {
        self.cseq = cseq;
        self.registered = now;
        self.expires = expires;
    }

    /// Whether the contact is a `sips:` URI.
    pub fn is_sips(&self) -> bool {
        self.contact().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"))
    }

    /// Whether `uri` is this contact by the URI comparison rules.
    pub(crate) fn is_contact(&self, uri: &Uri<'_>) -> bool {
        let contact = self.contact().as_bytes();
        contact == uri.as_bytes() || Uri::parse(contact).is_ok_and(|own| own.equivalent(uri))
    }
}

fn says_invalid(contact: &[u8]) -> bool {
    // Only the third of its letters is looked for: it is rare elsewhere.
    let mut letters = memchr::memchr2_iter(b'v', b'V', contact);
    let around = |at: usize| contact.get(at.checked_sub(3)?..at + 5);
    letters.any(|at| around(at).is_some_and(|word| word.eq_ignore_ascii_case(b".invalid")))
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.parts(), f)
    }
}
