//! How a REGISTER changes the bindings of one address-of-record: RFC 3261 section 10.3 steps 6 and 7, RFC 5626 section 6.
//!
//! Pure: bindings and a registration in, the changes or a refusal out. All of a registration's changes are made or none.

use super::binding::{Binding, BindingParts};
use crate::registrar::Change;
use alloc::borrow::Cow;
use core::time::Duration;
use sip_message::Uri;
use sip_transaction::{Instant, Path};
use smallvec::SmallVec;

/// What a REGISTER asks for, read and checked as far as it can be without the bindings there are.
#[derive(Clone, Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    /// The Path values joined with commas; empty if there are none.
    pub(crate) path: Cow<'a, str>,
    pub(crate) asked: Asked<'a>,
}

/// The Contact values of a REGISTER.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "it lives on the stack, and most often as the large variant")]
pub(crate) enum Asked<'a> {
    /// None: the bindings there are.
    Nothing,
    /// `*` with an expiration of zero.
    RemoveAll,
    /// These.
    Contacts(SmallVec<[ContactAsked<'a>; 1]>),
}

/// One Contact value of a REGISTER.
#[derive(Clone, Debug)]
pub(crate) struct ContactAsked<'a> {
    pub(crate) uri: Uri<'a>,
    pub(crate) text: &'a str,
    /// The parameters to keep, each with its `;`.
    pub(crate) params: Cow<'a, str>,
    pub(crate) instance: Cow<'a, str>,
    /// 0 if the binding is of the contact.
    pub(crate) reg_id: u32,
    pub(crate) q: u16,
    /// The flow it is to be reached over, and no other.
    pub(crate) received: Option<Path>,
    /// Whether a push notification wakes its user agent.
    pub(crate) wakes: bool,
    /// The seconds granted; 0 removes.
    pub(crate) seconds: u32,
}

impl ContactAsked<'_> {
    /// The number of the binding it is for, among those there are.
    fn place(&self, current: &[Binding], now: Instant) -> Option<usize> {
        current.iter().position(|binding| binding.expires() > now && self.is_for(binding))
    }

    //= https://www.rfc-editor.org/rfc/rfc5626#section-6
    //# The registrar MUST be prepared to receive, simultaneously for the
    //# same AOR, some registrations that use instance-id and reg-id and some
    //# registrations that do not.
    fn is_for(&self, binding: &Binding) -> bool {
        match self.reg_id {
            0 => binding.reg_id() == 0 && binding.is_contact(&self.uri),
            reg_id => binding.reg_id() == reg_id && binding.instance().eq_ignore_ascii_case(&self.instance),
        }
    }

    fn expires(&self, now: Instant) -> Instant {
        now + Duration::from_secs(self.seconds.into())
    }
}

/// A binding refreshed by a REGISTER that says nothing new: nearly all that come are of this kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refresh {
    /// Its number among the bindings there are.
    pub(crate) place: usize,
    pub(crate) cseq: u32,
    pub(crate) expires: Instant,
}

impl Registration<'_> {
    /// The one binding that this refreshes, if that is all it does: [`Update::plan`] would put the same binding in its place, with other times.
    pub(crate) fn refresh(&self, current: &[Binding], now: Instant) -> Option<Refresh> {
        let Asked::Contacts(contacts) = &self.asked else { return None };
        let [contact] = contacts.as_slice() else { return None };
        let place = contact.place(current, now)?;
        let binding = current.get(place)?;
        let texts = [contact.text, &contact.params, &self.path, &contact.instance, self.call_id];
        let same = (contact.q, contact.wakes, contact.received) == (binding.q(), binding.wakes(), binding.received())
            && contact.reg_id == binding.reg_id()
            && binding.says(texts);
        let lasts = contact.seconds > 0 && self.cseq > binding.cseq();
        let all_last = current.iter().all(|binding| binding.expires() > now);
        (same && lasts && all_last).then(|| Refresh { place, cseq: self.cseq, expires: contact.expires(now) })
    }
}

/// Why a registration is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A REGISTER with the same Call-ID and a CSeq as high or higher has been before.
    OutOfOrder,
    /// More bindings than an address-of-record may have.
    TooMany,
}

/// How long a binding may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    pub(crate) default: u32,
    pub(crate) min: u32,
    pub(crate) max: u32,
}

impl Expiry {
    /// The seconds granted for those asked for; `None` if they are too few.
    pub(crate) fn grant(&self, asked: Option<u32>) -> Option<u32> {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# -  If there is neither, a locally-configured default value MUST
        //# be taken as the requested expiration.
        let asked = asked.unwrap_or(self.default);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# If and only if the requested expiration
        //# interval is greater than zero AND smaller than one hour AND
        //# less than a registrar-configured minimum, the registrar MAY
        //# reject the registration with a response of 423 (Interval Too
        //# Brief).
        if asked > 0 && asked < 3600 && asked < self.min {
            return None;
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# The registrar MAY choose an expiration less than the requested
        //# expiration interval.
        Some(asked.min(self.max))
    }
}

/// The changes of one registration, thought out for the bindings it was planned against.
#[derive(Clone, Debug, Default)]
pub(crate) struct Update {
    /// The numbers of the bindings that go, rising.
    pub(crate) gone: SmallVec<[(usize, Gone); 2]>,
    /// The bindings that come: in the place of the one with that number, or behind all.
    pub(crate) put: SmallVec<[(Option<usize>, Binding); 1]>,
}

/// Why a binding goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Expired,
    Removed,
}

impl Update {
    /// Thinks out what `registration` does to `current`.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# REGISTER requests MUST also be processed atomically, meaning that a
    //# particular REGISTER request is either processed completely or not at
    //# all.
    pub(crate) fn plan(
        current: &[Binding],
        registration: &Registration<'_>,
        max_bindings: usize,
        now: Instant,
    ) -> Result<Update, Refusal> {
        let mut update = Update::default();
        for (n, binding) in current.iter().enumerate() {
            if binding.expires() <= now {
                update.gone.push((n, Gone::Expired));
            }
        }
        match &registration.asked {
            Asked::Nothing => {}
            Asked::RemoveAll => update.remove_all(current, registration, now)?,
            Asked::Contacts(contacts) => {
                for contact in contacts {
                    update.contact(current, registration, contact, now)?;
                }
                update.gone.sort_unstable_by_key(|&(n, _)| n);
            }
        }
        let added = update.put.iter().filter(|(place, _)| place.is_none()).count();
        if added > 0 && current.len() - update.gone.len() + added > max_bindings {
            return Err(Refusal::TooMany);
        }
        Ok(update)
    }

    fn remove_all(
        &mut self,
        current: &[Binding],
        registration: &Registration<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.gone.clear();
        for (n, binding) in current.iter().enumerate() {
            if binding.expires() <= now {
                self.gone.push((n, Gone::Expired));
                continue;
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
            //# If not, the registrar checks whether
            //# the Call-ID agrees with the value stored for each binding.  If
            //# not, it MUST remove the binding.  If it does agree, it MUST
            //# remove the binding only if the CSeq in the request is higher
            //# than the value stored for that binding.  Otherwise, the update
            //# MUST be aborted and the request fails.
            in_order(binding, registration)?;
            self.gone.push((n, Gone::Removed));
        }
        Ok(())
    }

    fn contact(
        &mut self,
        current: &[Binding],
        registration: &Registration<'_>,
        contact: &ContactAsked<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let place = contact.place(current, now);
        if let Some(binding) = place.and_then(|n| current.get(n)) {
            in_order(binding, registration)?;
        }
        // Of two values for one binding in one request, the last counts.
        self.put.retain(|(_, binding)| !contact.is_for(binding));
        if let Some(n) = place {
            self.gone.retain(|(gone, _)| *gone != n);
        }
        if contact.seconds == 0 {
            self.gone.extend(place.map(|n| (n, Gone::Removed)));
            return Ok(());
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        //# Each binding record records the Call-ID and CSeq values from
        //# the request.
        //= https://www.rfc-editor.org/rfc/rfc5626#section-6
        //# The registrar MUST store in the binding the
        //# Contact URI, all the Contact header field parameters, and any Path
        //# header field values.
        //= https://www.rfc-editor.org/rfc/rfc5626#section-6
        //# If the registrar receives a re-registration for a specific
        //# combination of AOR, and instance-id and reg-id values, the registrar
        //# MUST update any information that uniquely identifies the network flow
        //# over which the request arrived if that information has changed, and
        //# SHOULD update the time the binding was last updated.
        let binding = Binding::new(&BindingParts {
            contact: contact.text,
            params: &contact.params,
            path: &registration.path,
            instance: &contact.instance,
            reg_id: contact.reg_id,
            q: contact.q,
            call_id: registration.call_id,
            cseq: registration.cseq,
            registered: now,
            expires: contact.expires(now),
            received: contact.received,
            wakes: contact.wakes,
        });
        self.put.push((place, binding));
        Ok(())
    }

    /// Makes the changes on the bindings they were planned against.
    pub(crate) fn apply(self, bindings: &mut SmallVec<[Binding; 1]>) {
        let mut added: SmallVec<[Binding; 1]> = SmallVec::new();
        for (place, binding) in self.put {
            match place.and_then(|n| bindings.get_mut(n)) {
                Some(old) => *old = binding,
                None => added.push(binding),
            }
        }
        for &(n, _) in self.gone.iter().rev() {
            if n < bindings.len() {
                bindings.remove(n);
            }
        }
        bindings.extend(added);
    }

    /// Shows what happens to each binding: those that go as they were, those that come as they will be.
    pub(crate) fn each_change(&self, current: &[Binding], see: &mut impl FnMut(&Binding, Change)) {
        for &(n, gone) in &self.gone {
            if let Some(binding) = current.get(n) {
                see(
                    binding,
                    match gone {
                        Gone::Expired => Change::Expired,
                        Gone::Removed => Change::Unregistered,
                    },
                );
            }
        }
        for (place, binding) in &self.put {
            see(binding, if place.is_some() { Change::Refreshed } else { Change::Registered });
        }
    }

    /// Whether it changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.put.is_empty()
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//# If they are
//# the same, the registrar compares the CSeq value.  If the value
//# is higher than that of the existing binding, it MUST update or
//# remove the binding as above.  If not, the update MUST be
//# aborted and the request fails.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//# If the Call-ID value in the existing binding differs from the Call-ID value in the
//# request, the binding MUST be removed if the expiration time is zero and updated
//# otherwise.
fn in_order(binding: &Binding, registration: &Registration<'_>) -> Result<(), Refusal> {
    if binding.call_id() == registration.call_id && registration.cseq <= binding.cseq() {
        return Err(Refusal::OutOfOrder);
    }
    Ok(())
}
