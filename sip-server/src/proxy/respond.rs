//! Brings the answers of the branches together: RFC 3261 sections 16.7 to 16.10, RFC 4320, RFC 6026.

use super::best::{Best, Choice};
use super::forward::add_targets;
use super::routing::Rejected;
use super::{BranchProgress, Proxy, RouteKind, Stage};
use crate::id::ProxyId;
use crate::target::Target;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use sip_message::{Contact, Header, Message, StatusCode};
use sip_transaction::{ClientTxId, Endpoint, Outcome, Path};

impl Proxy {
    /// A response has come for a branch.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //# As client transactions pass responses to the proxy layer, the following processing
    //# MUST take place:
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //# The following processing MUST be performed on each response that is forwarded.
    pub(super) fn on_response(
        &mut self,
        endpoint: &mut Endpoint,
        key: ProxyId,
        tx: ClientTxId,
        mut response: Box<Message>,
    ) {
        let (Some(status), Some(context)) = (response.status(), self.contexts.get_mut(key)) else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# If no Via header field values remain in the response, the
        //# response was meant for this element and MUST NOT be forwarded.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# A proxy MUST NOT insert a tag into the To header field of a 1xx or 2xx response if
        //# the request did not contain one.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# A proxy MUST NOT modify the tag in the To header field of a 1xx or 2xx response.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# An element SHOULD preserve the To tag when simply forwarding a 3-6xx response to a
        //# request that did not contain a To tag.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# A proxy MUST NOT modify the To tag in any forwarded response to a request that
        //# contains a To tag.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# The proxy MUST NOT add to, modify, or remove the message body.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# Unless otherwise specified, the proxy MUST NOT remove any header field values other
        //# than the Via header field value discussed in Section 16.7 Item 3.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# In particular, the proxy MUST NOT remove any "received" parameter it may have added
        //# to the next Via header field value while processing the request associated with this
        //# response.
        response.pop_via();
        if !response.has(Header::Via) {
            return;
        }
        let Some(branch) = context.branches.iter_mut().find(|branch| branch.tx == Some(tx)) else { return };
        if status.is_provisional() {
            if branch.state == BranchProgress::Calling {
                branch.state = BranchProgress::Proceeding;
            }
            return self.provisional(endpoint, key, status, response);
        }
        let first = branch.state != BranchProgress::Done;
        branch.state = BranchProgress::Done;
        let instance = String::from(&*branch.instance);
        if status.is_success() {
            return self.success(endpoint, key, status, response);
        }
        if !first || context.stage == Stage::Answered {
            return;
        }
        if status.class() == 6 {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
            //# A proxy SHOULD also generate a CANCEL request for all pending client transactions
            //# associated with this response context when it receives a 6xx response.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
            //# If a 6xx response is received, it is not immediately forwarded,
            //# but the stateful proxy SHOULD cancel all client pending
            //# transactions as described in Section 10, and it MUST NOT create
            //# any new branches in this context.
            context.stage = Stage::Closing;
            self.forget_asleep(key);
            self.cancel_pending(endpoint, key, None);
        } else {
            self.note_answer(key, &instance, status);
        }
        let stored = self.recurse(key, status, &mut response);
        if let (true, Some(context)) = (stored, self.contexts.get_mut(key)) {
            context.best.get_or_insert_default().add(response);
        }
        self.advance(endpoint, key);
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //# Until a final response has been sent on the server transaction, the following
    //# responses MUST be forwarded immediately:
    //= https://www.rfc-editor.org/rfc/rfc3261#section-28.1
    //# o  In RFC 2543, a proxy was not required to forward provisional
    //# responses from 101 to 199 upstream.  This was changed to MUST.
    fn provisional(&mut self, endpoint: &mut Endpoint, key: ProxyId, status: StatusCode, response: Box<Message>) {
        let Some(context) = self.contexts.get(key) else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# A stateful proxy MUST NOT immediately forward any other
        //# responses.  In particular, a stateful proxy MUST NOT forward
        //# any 100 (Trying) response.
        // Of requests other than INVITE none may be forwarded: RFC 4320 section 4.1.
        if status == StatusCode::TRYING || !context.invite || context.stage == Stage::Answered {
            return;
        }
        if let Some(server) = context.tx {
            // If the transaction has ended, nobody waits for it.
            let _ = endpoint.respond(self.now, server, *response);
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //# Any response chosen for immediate forwarding MUST be processed as described in steps
    //# "Aggregate Authorization Header Field Values" through "Record-Route".
    fn success(&mut self, endpoint: &mut Endpoint, key: ProxyId, status: StatusCode, response: Box<Message>) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# After a final response has been sent on the server transaction,
        //# the following responses MUST be forwarded immediately:
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //= type=exception
        //= reason=covered by the fuzz target that answers with whatever it likes
        //# If no Via header field values remain in the response, the response was meant for
        //# this element and MUST NOT be forwarded.
        // Any 2xx response to an INVITE request; and of other requests only the first.
        let answered = context.stage == Stage::Answered;
        if answered && !context.invite {
            return;
        }
        context.stage = Stage::Answered;
        let (path, server) = (context.path, context.tx.filter(|_| !context.server_ended));
        let unsent = match server {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
            //# The proxy MUST pass the response to the server transaction associated with the
            //# response context.
            Some(server) => endpoint.respond(self.now, server, *response).err().map(|error| error.message),
            None => Some(response),
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# If the server
        //# transaction is no longer available to handle the transmission,
        //# the element MUST forward the response statelessly by sending it
        //# to the server transport.
        if let Some(response) = unsent.filter(|_| context.invite) {
            let _ = endpoint.respond_stateless(self.now, path, *response);
        }
        if !answered {
            self.tell_answered(key, status);
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
            //# If the forwarded response was a final response, the proxy MUST
            //# generate a CANCEL request for all pending client transactions
            //# associated with this response context.
            self.cancel_pending(endpoint, key, Some("SIP;cause=200;text=\"Call completed elsewhere\""));
            self.settle(key);
        }
    }

    /// A client transaction is over.
    pub(super) fn on_client_ended(&mut self, endpoint: &mut Endpoint, key: ProxyId, tx: ClientTxId, outcome: Outcome) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let Some(branch) = context.branches.iter_mut().find(|branch| branch.tx == Some(tx)) else { return };
        branch.tx = None;
        let unanswered = branch.state != BranchProgress::Done;
        branch.state = BranchProgress::Done;
        if unanswered && context.stage != Stage::Answered {
            let instance = String::from(&*branch.instance);
            // Without an answer a branch is as good as one with this: RFC 3261 sections 16.8 and 16.9. A flow that broke is one that
            // failed.
            let status = match outcome {
                Outcome::Failed(_) if !instance.is_empty() => StatusCode::FLOW_FAILED,
                outcome => outcome.status().unwrap_or(StatusCode::REQUEST_TIMEOUT),
            };
            self.note_failure(key, &instance, status);
            self.advance(endpoint, key);
        }
        self.settle(key);
    }

    /// The server transaction is over.
    pub(super) fn on_server_ended(&mut self, endpoint: &mut Endpoint, key: ProxyId, _: Outcome) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        context.server_ended = true;
        if context.stage != Stage::Answered {
            // Nobody waits for an answer any more: the endpoint has given one, or the caller is out of reach.
            context.stage = Stage::Answered;
            self.cancel_pending(endpoint, key, None);
        }
        self.settle(key);
    }

    /// The caller cancels.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.10
    //# Furthermore, the element MUST
    //# generate CANCEL requests for all pending client transactions in the
    //# context as described in Section 16.7 step 10.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.10
    //= type=exception
    //= reason=the endpoint answers a CANCEL that matches an INVITE
    //# If a matching response context is found, the element MUST immediately return a 200
    //# (OK) response to the CANCEL request.
    pub(super) fn cancel(&mut self, endpoint: &mut Endpoint, key: ProxyId, cancel: &Message) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        context.cancelled = true;
        context.queue.clear();
        match context.stage {
            // The endpoint has answered the CANCEL; no branch is there to answer the INVITE.
            Stage::Waiting => self.reject(endpoint, key, StatusCode::REQUEST_TERMINATED.into()),
            Stage::Forking | Stage::Closing => {
                let reason = cancel.field(Header::Reason).and_then(|reason| core::str::from_utf8(reason).ok());
                self.forget_asleep(key);
                self.cancel_pending(endpoint, key, reason);
                // Whoever slept has no more to say.
                self.advance(endpoint, key);
            }
            Stage::Answered => {}
        }
    }

    /// Cancels the branches without a final response.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.10
    //# A proxy MUST cancel any pending
    //# client transactions associated with a response context when it
    //# receives a matching CANCEL request.
    fn cancel_pending(&mut self, endpoint: &mut Endpoint, key: ProxyId, reason: Option<&str>) {
        let Some(context) = self.contexts.get(key).filter(|context| context.invite) else { return };
        for branch in context.branches.iter().filter(|branch| branch.state != BranchProgress::Done) {
            if let Some(tx) = branch.tx {
                // It may have been cancelled already, or have its answer on the way.
                let _ = endpoint.cancel(self.now, tx, reason);
            }
        }
    }

    /// All branches have their final response: the best of these goes back.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //# A stateful proxy MUST send a final response to a response
    //# context's server transaction if no final responses have been
    //# immediately forwarded by the above rules and all client
    //# transactions in this response context have been terminated.
    pub(super) fn finish(&mut self, endpoint: &mut Endpoint, key: ProxyId) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        if matches!(context.stage, Stage::Answered | Stage::Waiting) {
            return;
        }
        context.stage = Stage::Answered;
        let (server, invite, cancelled) = (context.tx, context.invite, context.cancelled);
        let choice = context.best.as_mut().map_or(Choice::Nothing, |best| best.choose());
        let request = context.request.take();
        let choice = match choice {
            // Whatever the branches made of it, the caller has cancelled: 487 is what it waits for.
            Choice::Make(_) | Choice::Nothing if cancelled => Choice::Make(StatusCode::REQUEST_TERMINATED),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
            //# If there are no final responses in the context, the proxy MUST
            //# send a 408 (Request Timeout) response to the server
            //# transaction.
            Choice::Nothing => Choice::Make(StatusCode::REQUEST_TIMEOUT),
            choice => choice,
        };
        let status = match (choice, server, request) {
            (Choice::Forward(response), Some(server), _) => {
                let status = response.status();
                let _ = endpoint.respond(self.now, server, *response);
                status
            }
            //= https://www.rfc-editor.org/rfc/rfc4320#section-4.2
            //# A transaction-stateful SIP element MUST NOT send a response with
            //# Status-Code of 408 to a non-INVITE request.
            (Choice::Make(StatusCode::REQUEST_TIMEOUT), Some(server), _) if !invite => {
                let _ = endpoint.abandon(self.now, server);
                None
            }
            (Choice::Make(status), Some(server), Some(request)) => {
                self.answer(endpoint, server, &request, &Rejected::from(status));
                Some(status)
            }
            _ => None,
        };
        if let Some(status) = status {
            self.tell_answered(key, status);
        }
        self.settle(key);
    }

    /// A branch has answered with a final response of its own.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
    //# Furthermore, if the request fails with any other response, the proxy MUST NOT retry on
    //# any other contacts for this instance.
    fn note_answer(&mut self, key: ProxyId, instance: &str, status: StatusCode) {
        if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::FLOW_FAILED) {
            self.promote(key, instance);
        } else if let (Some(context), false) = (self.contexts.get_mut(key), instance.is_empty()) {
            context.answered.push(instance.into());
        }
    }

    /// A branch has failed without a response.
    pub(super) fn note_failure(&mut self, key: ProxyId, instance: &str, status: StatusCode) {
        if let Some(context) = self.contexts.get_mut(key) {
            context.best.get_or_insert_with(|| Box::new(Best::default())).add_own(status);
        }
        self.promote(key, instance);
    }

    /// Brings another flow to the same instance into the group that is being tried.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-7
    //# If a request for a particular AOR and instance-id fails with a 430
    //# (Flow Failed) response, the proxy SHOULD replace the failed branch
    //# with another target (if one is available) with the same AOR and
    //# instance-id, but a different reg-id.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-11.5
    //# The Authoritative Proxy SHOULD attempt to forward to another target (flow) with the
    //# same instance-id and AOR.
    fn promote(&mut self, key: ProxyId, instance: &str) {
        let Some(context) = self.contexts.get_mut(key).filter(|_| !instance.is_empty()) else { return };
        let Some(at) = context.queue.iter().position(|target| target.instance == instance) else { return };
        let group = context.group;
        if let Some(mut target) = context.queue.remove(at) {
            target.q = target.q.max(group);
            context.queue.push_front(target);
        }
    }

    /// Takes the contacts of a 3xx into the target set, by policy; tells whether the response is still worth keeping.
    fn recurse(&mut self, key: ProxyId, status: StatusCode, response: &mut Message) -> bool {
        let (max, recurse) = (self.config.max_targets, self.config.recurse);
        let Some(context) = self.contexts.get_mut(key) else { return false };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
        //# A proxy MUST NOT add additional targets to the target set if the
        //# Request-URI of the original request does not indicate a resource this
        //# proxy is responsible for.
        let may = recurse && context.routing.kind == RouteKind::Local && context.stage == Stage::Forking;
        if !may || status.class() != 3 || status == StatusCode::ALTERNATIVE_SERVICE || context.cancelled {
            return true;
        }
        let sips = context
            .request
            .as_ref()
            .and_then(|request| request.request_uri_bytes())
            .is_some_and(|uri| uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:")));
        let mut left = false;
        let mut found: Vec<Target> = Vec::new();
        let mut taken: Vec<usize> = Vec::new();
        for (at, contact) in response.contacts().enumerate() {
            match contact.ok().and_then(|contact| recursion_target(&contact, sips)) {
                Some(target) => {
                    taken.push(at);
                    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
                    //# As above, any given URI MUST NOT be added to the set more than once.
                    if !context.tried.contains(&target.uri) {
                        context.tried.push(target.uri.clone());
                        found.push(target);
                    }
                }
                None => left = true,
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# If the proxy chooses to
        //# recurse on any contacts in a 3xx response by adding them to
        //# the target set, it MUST remove them from the response before
        //# adding the response to the response context.
        for at in taken.into_iter().rev() {
            response.remove_value(Header::Contact, at);
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
        //# If the proxy recurses on all of the contacts in a 3xx response, the proxy SHOULD NOT
        //# add the resulting contactless response to the response context.
        // They are tried next, in the order of their own q.
        found.sort_by_key(|target| core::cmp::Reverse(target.q));
        add_targets(context, found, max);
        left
    }

    /// A stateless proxy hands a response on.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
    //# If that address matches the proxy, (it equals a value this
    //# proxy has inserted into previous requests) the proxy MUST remove that
    //# header field value from the response and forward the result to the
    //# location indicated in the next Via header field value.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
    //= type=exception
    //= reason=the endpoint drops responses whose topmost Via is not its own
    //# When a response arrives at a stateless proxy, the proxy MUST inspect the sent-by
    //# value in the first (topmost) Via header field value.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
    //# The proxy MUST NOT add to, modify, or remove the message body.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
    //# Unless specified otherwise, the proxy MUST NOT remove any other header field values.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
    //= type=exception
    //= reason=the endpoint drops responses whose topmost Via is not its own
    //# If the address does not match the proxy, the message MUST be silently discarded.
    pub(super) fn pass_back(&mut self, endpoint: &mut Endpoint, from: &Path, mut response: Box<Message>) {
        response.pop_via();
        self.guard_stray_response(&mut response, from);
        if response.has(Header::Via) {
            let _ = endpoint.forward_response(self.now, *response);
        }
    }
}

/// The target that a contact of a 3xx is, if it may be tried.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//# When a proxy sends a request using a SIPS Request-URI and receives a
//# 3XX response with a SIP Contact header field, or a 416 response, or a
//# 480 (Temporarily Unavailable) response with a Warning header with
//# warn-code 380 "SIPS Not Allowed" response, the proxy MUST NOT recurse
//# on the response.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//# When a proxy sends a request using a SIP Request-URI and receives a
//# 3XX response with a SIPS Contact header field, or a 480 (Temporarily
//# Unavailable) response with a Warning header with warn-code 381 "SIPS
//# Required", the proxy MUST NOT recurse on the response.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//# In this case, the proxy SHOULD forward the best response instead of
//# recursing, in order to allow for the UAC to take the appropriate
//# action.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//# However, a proxy SHOULD NOT recurse to a non-SIPS URI if the Request-URI of the
//# original request was a SIPS URI.
fn recursion_target(contact: &Contact<'_>, sips: bool) -> Option<Target> {
    let uri = contact.address()?.uri().ok()?;
    let sip = uri.as_sip()?;
    if sip.is_sips() != sips {
        return None;
    }
    let q = contact.q().ok().flatten().unwrap_or(1000);
    Some(Target::new(sip.as_str()).with_q(q))
}
