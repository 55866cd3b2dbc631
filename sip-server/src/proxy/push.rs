//! Requests that wait until their user agent has been woken: the SIP Request Push Bucket of RFC 8599 section 5.2.
//!
//! Owns the branches that sleep and their time. The push itself is the host's to send, by one event.

use super::{Branch, BranchProgress, Proxy, ProxyEvent, Stage};
use crate::id::ProxyId;
use crate::location::{Binding, aor_key, is_unresolvable};
use crate::push::PushTarget;
use crate::target::Target;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use sip_message::uri::SipUri;
use sip_message::{StatusCode, Uri};
use sip_transaction::{Endpoint, Instant};

/// A branch that waits for its user agent.
pub(super) struct Asleep {
    pub(super) target: Target,
    push: PushTarget,
    /// Whose user agent it waits for: an address-of-record, or a contact, which has parameters and is no address-of-record therefore.
    whom: Box<str>,
    until: Instant,
}

/// All that wait.
#[derive(Default)]
pub(super) struct Bucket {
    by_push: BTreeSet<(PushTarget, ProxyId)>,
    /// Until when a user agent counts as asked to wake: nobody else need ask that long. Goes with the last who waits for it.
    asked: BTreeMap<PushTarget, Instant>,
    /// When to look at a request again: one time for each that sleeps.
    times: BTreeSet<(Instant, ProxyId)>,
}

impl Bucket {
    pub(super) fn next(&self) -> Option<Instant> {
        self.times.first().map(|&(at, _)| at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_push.is_empty() && self.asked.is_empty() && self.times.is_empty()
    }

    /// A request with branches that have slept at another proxy is to be looked at.
    pub(super) fn look_at(&mut self, now: Instant, key: ProxyId) {
        self.times.insert((now, key));
    }

    /// The requests that wait for a push, no more than [`max_asleep_each`](super::ProxyConfig::max_asleep_each).
    fn waiting_for(&self, push: &PushTarget) -> impl Iterator<Item = ProxyId> {
        let from = ProxyId::from_bits(1 << 32).map(|first| (push.clone(), first));
        let range = from.map(|from| self.by_push.range(from..));
        range.into_iter().flatten().take_while(move |(other, _)| other == push).map(|&(_, key)| key)
    }

    /// Takes one branch in, and tells whether its user agent is still to be asked to wake.
    fn add(&mut self, now: Instant, key: ProxyId, asleep: &Asleep) -> bool {
        self.by_push.insert((asleep.push.clone(), key));
        self.times.insert((asleep.until, key));
        if self.asked.get(&asleep.push).is_some_and(|&until| until > now) {
            return false;
        }
        self.asked.insert(asleep.push.clone(), asleep.until);
        true
    }

    /// Forgets one branch of a request, but not what `left`, the request's others, need as well.
    fn remove<'a>(&mut self, key: ProxyId, asleep: Asleep, left: impl Iterator<Item = &'a Asleep> + Clone) {
        if !left.clone().any(|other| other.until == asleep.until) {
            self.times.remove(&(asleep.until, key));
        }
        if left.into_iter().any(|other| other.push == asleep.push) {
            return;
        }
        let place = (asleep.push, key);
        self.by_push.remove(&place);
        if self.waiting_for(&place.0).next().is_none() {
            self.asked.remove(&place.0);
        }
    }
}

impl Proxy {
    /// Puts the branch to a target aside and asks the host to wake its user agent.
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
    //# The proxy then places
    //# the SIP request in the SIP Request Push Bucket.
    pub(super) fn wait_for_wake(&mut self, key: ProxyId, target: &Target, breadth: u32) -> Result<(), StatusCode> {
        let push = PushTarget::of(&target.uri).ok_or(StatusCode::TEMPORARILY_UNAVAILABLE)?;
        let full = self.bucket.by_push.len() >= self.config.max_asleep;
        if full || self.bucket.waiting_for(&push).count() >= self.config.max_asleep_each {
            return Err(StatusCode::TEMPORARILY_UNAVAILABLE);
        }
        let whom = self.whom(key, target).into_boxed_str();
        let Some(context) = self.contexts.get_mut(key) else { return Ok(()) };
        let until = self.now + self.config.wake_within;
        let instance = Box::from(target.instance.as_str());
        let asleep = Box::new(Asleep { target: target.clone(), push, whom, until });
        if self.bucket.add(self.now, key, &asleep) {
            self.events.push_back(ProxyEvent::Wake { id: key, push: asleep.push.clone() });
        }
        let (state, asleep) = (BranchProgress::Calling, Some(asleep));
        context.branches.push(Branch { tx: None, state, breadth, instance, asleep });
        Ok(())
    }

    /// Whose user agent a target is: what it says itself, else whom the request is for, which may be the contact itself.
    fn whom(&self, key: ProxyId, target: &Target) -> String {
        if !target.aor.is_empty() {
            return target.aor.clone();
        }
        let domains = &self.config.domains;
        let is_local = |uri: &SipUri<'_>| domains.iter().any(|domain| uri.has_host(domain));
        match self.request(key).and_then(|request| request.request_uri()) {
            Some(Ok(Uri::Sip(uri))) if is_local(&uri) || !is_unresolvable(&uri) => aor_key(&uri),
            _ => target.uri.clone(),
        }
    }

    /// A user agent of `aor` has registered, perhaps because it has been woken: requests for that address-of-record that wait for it go on to
    /// `binding`. To be called for each [`RegistrarEvent::Awake`](crate::RegistrarEvent::Awake), with what it says.
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
    //# If there is a match, the proxy MUST remove the SIP request from
    //# the bucket and forward it towards the UA.
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.3
    //# If a 'pn-*' parameter is present in one of the compared URIs
    //# but not in the other URI, there is no match.
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.3
    //# However, when a SIP proxy compares the Contact header field URI of a 2xx response to a
    //# REGISTER request with a Request-URI of a SIP request in the SIP Request Push Bucket
    //# (Section 5.2), the proxy uses the URI comparison rules with the following additions:
    //# the 'pn-prid', 'pn-provider', and 'pn-param' SIP URI parameters MUST also match.
    pub fn awake(&mut self, endpoint: &mut Endpoint, now: Instant, aor: &str, binding: &Binding) {
        self.now = self.now.max(now);
        let Some(push) = PushTarget::of(binding.contact()) else { return };
        let waiting: Vec<ProxyId> = self.bucket.waiting_for(&push).collect();
        for key in waiting {
            // RFC 8599 section 5.3: what else of the URI has changed meanwhile does not matter. But one device may have registered for several
            // users, and others may have found out what its parameters are.
            let is_meant =
                |asleep: &Asleep| asleep.push == push && (*asleep.whom == *aor || *asleep.whom == *binding.contact());
            for breadth in self.take_asleep(key, is_meant) {
                let target = Target { asleep: false, ..Target::of_binding(binding) };
                if let Err(status) = self.launch(endpoint, key, &target, breadth) {
                    self.note_failure(key, &target.instance, status);
                }
            }
            self.advance(endpoint, key);
            self.settle(key);
        }
    }

    /// A push could not be sent, or nobody takes it any more: all requests that wait for it are answered 480, if no other branch has a better
    /// answer. If none does by now, it is passed over.
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
    //# If the push notification request fails (see PNS-specific
    //# documentation for details), the proxy MUST remove the SIP request
    //# from the bucket and send an error response to the SIP request.
    pub fn wake_failed(&mut self, endpoint: &mut Endpoint, now: Instant, push: &PushTarget) {
        self.now = self.now.max(now);
        let waiting: Vec<ProxyId> = self.bucket.waiting_for(push).collect();
        for key in waiting {
            let over = self.take_asleep(key, |asleep| asleep.push == *push);
            self.end_branches(endpoint, key, over.len());
        }
    }

    /// Ends the wait of requests whose user agents did not wake. Without anything due it does nothing.
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
    //# After the proxy has requested that a push notification be sent to a
    //# UA, if the proxy does not receive a REGISTER response with a Contact
    //# URI that matches the Request-URI of the SIP request before the Bucket
    //# Timer (Section 5.2) associated with the SIP request times out, the
    //# proxy MUST remove the SIP request from the SIP Request Push Bucket
    //# (Section 5.2) and send a 480 (Temporarily Unavailable) response.
    pub fn handle_timeout(&mut self, endpoint: &mut Endpoint, now: Instant) {
        self.now = self.now.max(now);
        while let Some(&(at, key)) = self.bucket.times.first().filter(|&&(at, _)| at <= now) {
            self.bucket.times.remove(&(at, key));
            let over = self.take_asleep(key, |asleep| asleep.until <= now);
            self.end_branches(endpoint, key, over.len());
        }
    }

    /// Nothing is to follow any more in a context: its sleeping branches are over.
    pub(super) fn forget_asleep(&mut self, key: ProxyId) {
        if !self.bucket.is_empty() {
            self.take_asleep(key, |_| true);
        }
    }

    /// Ends the sleeping branches that are meant, and gives the Max-Breadth of each.
    fn take_asleep(&mut self, key: ProxyId, meant: impl Fn(&Asleep) -> bool) -> Vec<u32> {
        let Some(context) = self.contexts.get_mut(key) else { return Vec::new() };
        let mut taken = Vec::new();
        let mut over = Vec::new();
        for branch in &mut context.branches {
            if let Some(asleep) = branch.asleep.take_if(|asleep| meant(asleep)) {
                branch.state = BranchProgress::Done;
                taken.push(branch.breadth);
                over.push(asleep);
            }
        }
        for asleep in over {
            self.bucket.remove(key, *asleep, context.branches.iter().filter_map(|branch| branch.asleep.as_deref()));
        }
        taken
    }

    fn end_branches(&mut self, endpoint: &mut Endpoint, key: ProxyId, count: usize) {
        for _ in 0..count {
            self.note_failure(key, "", StatusCode::TEMPORARILY_UNAVAILABLE);
        }
        if self.contexts.get(key).is_some_and(|context| matches!(context.stage, Stage::Forking | Stage::Closing)) {
            self.advance(endpoint, key);
            self.settle(key);
        }
    }
}
