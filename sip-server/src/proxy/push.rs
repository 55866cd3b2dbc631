//! Requests that wait until their user agent has been woken: the SIP Request Push Bucket of RFC 8599 section 5.2.
//!
//! Owns the branches that sleep and their time. The push itself is the host's to send, by one event.

use super::{Branch, BranchProgress, Proxy, ProxyEvent, Stage};
use crate::id::ProxyId;
use crate::location::Binding;
use crate::push::PushTarget;
use crate::target::Target;
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use sip_message::StatusCode;
use sip_transaction::{Endpoint, Instant};

/// A branch that waits for its user agent.
pub(super) struct Asleep {
    pub(super) target: Target,
    push: PushTarget,
    until: Instant,
}

/// All that wait.
#[derive(Default)]
pub(super) struct Bucket {
    by_push: BTreeSet<(PushTarget, ProxyId)>,
    /// When to look at a request again, in order. What it waited for may be over by then.
    times: VecDeque<(Instant, ProxyId)>,
}

impl Bucket {
    pub(super) fn next(&self) -> Option<Instant> {
        self.times.front().map(|&(at, _)| at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_push.is_empty()
    }

    /// A request with branches that have slept at another proxy is to be looked at.
    pub(super) fn look_at(&mut self, now: Instant, key: ProxyId) {
        self.times.push_front((now, key));
    }
}

impl Proxy {
    /// Puts the branch to a target aside and asks the host to wake its user agent.
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
    //# The proxy then places
    //# the SIP request in the SIP Request Push Bucket.
    pub(super) fn wait_for_wake(&mut self, key: ProxyId, target: &Target, breadth: u32) -> Result<(), StatusCode> {
        let push = PushTarget::of(&target.uri).ok_or(StatusCode::TEMPORARILY_UNAVAILABLE)?;
        if self.bucket.by_push.len() >= self.config.max_asleep {
            return Err(StatusCode::TEMPORARILY_UNAVAILABLE);
        }
        let Some(context) = self.contexts.get_mut(key) else { return Ok(()) };
        let until = self.now + self.config.wake_within;
        let instance = Box::from(target.instance.as_str());
        let asleep = Some(Box::new(Asleep { target: target.clone(), push: push.clone(), until }));
        context.branches.push(Branch { tx: None, state: BranchProgress::Calling, breadth, instance, asleep });
        self.bucket.by_push.insert((push.clone(), key));
        self.bucket.times.push_back((until, key));
        self.events.push_back(ProxyEvent::Wake { id: key, push });
        Ok(())
    }

    /// A user agent has registered, perhaps because it has been woken: requests that wait for it go on to `binding`. To be called for each
    /// [`RegistrarEvent::Awake`](crate::RegistrarEvent::Awake).
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
    pub fn awake(&mut self, endpoint: &mut Endpoint, now: Instant, binding: &Binding) {
        self.now = self.now.max(now);
        let Some(push) = PushTarget::of(binding.contact()) else { return };
        for key in self.waiting_for(&push) {
            // RFC 8599 section 5.3: what else of the URI has changed meanwhile does not matter.
            for breadth in self.take_asleep(key, |asleep| asleep.push == push) {
                let target = Target { asleep: false, ..Target::of_binding(binding) };
                if let Err(status) = self.launch(endpoint, key, &target, breadth) {
                    self.note_failure(key, &target.instance, status);
                }
            }
            self.advance(endpoint, key);
            self.settle(key);
        }
    }

    /// A push could not be sent, or nobody takes it any more: requests that wait for it are answered 480, if no other branch has a better
    /// answer. A stale id, or one that does not wait for that, is passed over.
    //= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
    //# If the push notification request fails (see PNS-specific
    //# documentation for details), the proxy MUST remove the SIP request
    //# from the bucket and send an error response to the SIP request.
    pub fn wake_failed(&mut self, endpoint: &mut Endpoint, now: Instant, id: ProxyId, push: &PushTarget) {
        self.now = self.now.max(now);
        let over = self.take_asleep(id, |asleep| asleep.push == *push);
        self.end_branches(endpoint, id, over.len());
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
        while let Some(&(_, key)) = self.bucket.times.front().filter(|&&(at, _)| at <= now) {
            self.bucket.times.pop_front();
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

    fn waiting_for(&self, push: &PushTarget) -> Vec<ProxyId> {
        let Some(first) = ProxyId::from_bits(1 << 32) else { return Vec::new() };
        let from = (push.clone(), first);
        self.bucket.by_push.range(from..).take_while(|(other, _)| other == push).map(|&(_, key)| key).collect()
    }

    /// Ends the sleeping branches that are meant, and gives the Max-Breadth of each.
    fn take_asleep(&mut self, key: ProxyId, meant: impl Fn(&Asleep) -> bool) -> Vec<u32> {
        let Some(context) = self.contexts.get_mut(key) else { return Vec::new() };
        let mut taken = Vec::new();
        for branch in &mut context.branches {
            if let Some(asleep) = branch.asleep.take_if(|asleep| meant(asleep)) {
                branch.state = BranchProgress::Done;
                taken.push(branch.breadth);
                self.bucket.by_push.remove(&(asleep.push, key));
            }
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
