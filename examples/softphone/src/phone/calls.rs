//! Calls: made, answered, held, transferred, ended.

use super::{Alarm, Call, Phone, code, code_of, peer, text};
use crate::media::Media;
use crate::options::Command;
use crate::report::Value;
use sip_dialog::{Body, CallEvent, CallHandle, EndCause, Invite, Meaning, Progress, Reply, SubscriptionId};
use sip_message::{Header, Message, StatusCode};

impl Phone {
    pub(super) async fn new_media(&mut self) -> Option<Media> {
        let seed = hosting::random_seed().map(|seed| u64::from_le_bytes(std::array::from_fn(|n| seed[n]))).unwrap_or(1);
        match Media::open(self.local.ip(), seed).await {
            Ok(media) => Some(media),
            Err(error) => {
                let text = error.to_string();
                self.tell("failed", &[("what", "rtp".into()), ("why", (&text).into())], &format!("no RTP: {text}"));
                None
            }
        }
    }

    pub(super) async fn call(&mut self, who: &str) -> Option<CallHandle> {
        let uri = self.uri(who);
        let invite = Invite::new(self.origin(), &uri);
        let call = self.invite(invite, &uri).await?;
        let values = [("call", Value::from(self.calls[&call].number)), ("to", (&uri).into())];
        self.tell("calling", &values, &format!("calling {uri}"));
        Some(call)
    }

    pub(super) async fn invite(&mut self, invite: Invite, peer: &str) -> Option<CallHandle> {
        let mut media = self.new_media().await?;
        let invite = invite.body(Body::sdp(media.offer()));
        let now = self.now();
        let (core, endpoint) = self.ua.parts();
        let call = core.invite(endpoint, now, invite);
        let call = self.done("call", call)?;
        self.keep(call, media, peer.to_owned(), None);
        Some(call)
    }

    pub(super) fn keep(&mut self, call: CallHandle, media: Media, peer: String, waiting: Option<Box<Message>>) {
        self.made += 1;
        let incoming = waiting.is_some();
        let kept =
            Call { number: self.made, media, peer, incoming, waiting, answered: false, turning: false, again: false };
        self.calls.insert(call, kept);
        self.order.push(call);
    }

    pub(super) fn transfer_report(&mut self, call: CallHandle, status: StatusCode) {
        let number = self.number(call);
        let values = [("call", Value::from(number)), ("status", u64::from(status.code()).into())];
        self.tell("transfer", &values, &format!("call {number}: transfer: {}", status.code()));
        if status.is_success() {
            self.hang_up(call);
        }
    }

    pub(super) async fn in_call(&mut self, call: CallHandle, event: CallEvent) {
        let number = self.number(call);
        let of = ("call", Value::from(number));
        match event {
            CallEvent::Incoming { message, offer, replaces, .. } => self.incoming(call, message, offer, replaces).await,
            CallEvent::Progress { message, session, .. } => {
                let status = message.status().map_or(0, StatusCode::code);
                let ringing = if status == 180 { "ringing" } else { "progress" };
                self.tell(ringing, &[of, ("status", u64::from(status).into())], &format!("call {number}: {ringing}"));
                self.session(call, &message, session);
            }
            CallEvent::Accepted { message, session, .. } => {
                if let Some(kept) = self.calls.get_mut(&call) {
                    kept.answered = true;
                }
                self.tell("answered", &[of], &format!("call {number}: answered"));
                if let Some(message) = message {
                    self.session(call, &message, session);
                }
                let begun = std::time::Instant::now();
                if let Some(stay) = self.options.stay {
                    self.alarms.push((begun + stay, Alarm::HangUp(call)));
                }
                if let Some(after) = self.options.hold_after {
                    self.alarms.push((begun + after, Alarm::Turn(call)));
                    self.alarms.push((begun + 2 * after, Alarm::Turn(call)));
                }
            }
            CallEvent::Confirmed { message, session } => {
                self.tell("confirmed", &[of], &format!("call {number}: talking"));
                if let Some(message) = message {
                    self.session(call, &message, session);
                }
            }
            CallEvent::Acknowledged { message, session } => self.session(call, &message, session),
            CallEvent::Answered { message, session } => {
                // A 2xx without the answer that was due in it: what we said stands, and nothing is on its way any more.
                if let Some(kept) = self.calls.get_mut(&call).filter(|_| session.is_none()) {
                    (kept.turning, kept.again) = (false, false);
                }
                self.session(call, &message, session);
            }
            CallEvent::Offer { message } => self.session(call, &message, Some(Meaning::Offer)),
            CallEvent::OfferWanted { .. } => {
                let Some(kept) = self.calls.get_mut(&call) else { return };
                let offer = kept.media.offer();
                self.answer_offer(call, Some(offer));
            }
            CallEvent::ChangeFailed { status, .. } => {
                if let Some(kept) = self.calls.get_mut(&call) {
                    kept.again = false;
                    if std::mem::take(&mut kept.turning) {
                        let held = kept.media.is_held();
                        kept.media.set_held(!held);
                    }
                }
                let values = [of, ("status", u64::from(status.code()).into())];
                self.tell("change refused", &values, &format!("call {number}: change refused: {}", status.code()));
            }
            CallEvent::Hold { by_peer, held } => {
                let who = if by_peer { "peer" } else { "us" };
                let event = if held { "held" } else { "resumed" };
                self.tell(event, &[of, ("by", who.into())], &format!("call {number}: {event} by {who}"));
            }
            CallEvent::Dtmf { tone, .. } => {
                let tone = tone.as_char().to_string();
                self.tell("tone", &[of, ("tone", (&tone).into())], &format!("call {number}: tone {tone}"));
            }
            CallEvent::Refer { subscription, message } => self.referred(call, subscription, &message).await,
            CallEvent::Redirected { targets, .. } => {
                let list = targets.join(" ");
                self.tell("redirected", &[of, ("to", (&list).into())], &format!("call {number}: redirected to {list}"));
            }
            CallEvent::FlowLost { .. } => {
                self.tell("connection lost", &[of], &format!("call {number}: connection lost"));
            }
            CallEvent::Ended { cause, accepted, .. } => self.ended(call, cause, accepted),
            _ => {}
        }
    }

    pub(super) async fn incoming(
        &mut self,
        call: CallHandle,
        message: Box<Message>,
        offer: bool,
        replaces: Option<CallHandle>,
    ) {
        let now = self.now();
        let from = peer(&message);
        let refuse = if self.options.busy || self.leaving.is_some() { StatusCode::new(486) } else { None };
        let media = if refuse.is_none() { self.new_media().await } else { None };
        let Some(media) = media else {
            let status = refuse.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let (core, endpoint) = self.ua.parts();
            let _ = core.reject(endpoint, now, call, status, Reply::new());
            self.tell("refused", &[("from", (&from).into())], &format!("{from} calls: refused"));
            return;
        };
        // What cannot be talked about is said before anybody is disturbed. The answer is made, and sound goes out, when
        // somebody picks up.
        if offer && Media::check(message.body()).is_err() {
            let (core, endpoint) = self.ua.parts();
            let _ = core.reject(endpoint, now, call, StatusCode::NOT_ACCEPTABLE_HERE, Reply::new());
            self.tell("refused", &[("from", (&from).into())], &format!("{from} calls: nothing in common, refused"));
            return;
        }
        let waiting = message.clone();
        self.keep(call, media, from.clone(), Some(waiting));
        let number = self.number(call);
        let values = [("call", Value::from(number)), ("from", (&from).into())];
        self.tell("incoming", &values, &format!("call {number}: {from} calls; a answers, b refuses"));
        let (core, endpoint) = self.ua.parts();
        let rung = core.progress(endpoint, now, call, Progress::ringing());
        self.done("ring", rung);
        if self.options.auto || replaces.is_some() {
            self.answer(call);
        }
    }

    pub(super) fn answer(&mut self, call: CallHandle) {
        let now = self.now();
        let Some(kept) = self.calls.get_mut(&call) else { return };
        let Some(message) = kept.waiting.take() else { return };
        let sdp = match sip_dialog::carries_session(&message) {
            true => kept.media.answer(message.body()).ok(),
            false => Some(kept.media.offer()),
        };
        let reply = match sdp {
            Some(sdp) => Reply::new().body(Body::sdp(sdp)),
            None => Reply::new(),
        };
        let (core, endpoint) = self.ua.parts();
        let accepted = core.accept(endpoint, now, call, reply);
        self.done("answer", accepted);
    }

    /// A session description of the peer.
    pub(super) fn session(&mut self, call: CallHandle, message: &Message, meaning: Option<Meaning>) {
        let Some(kept) = self.calls.get_mut(&call) else { return };
        match meaning {
            Some(Meaning::Answer) => {
                kept.turning = false;
                let again = std::mem::take(&mut kept.again);
                if kept.media.answered(message.body()).is_err() {
                    let number = kept.number;
                    self.tell(
                        "no media",
                        &[("call", number.into())],
                        &format!("call {number}: the answer leaves no sound"),
                    );
                    self.hang_up(call);
                } else if again {
                    self.turn(call);
                }
            }
            Some(Meaning::Offer) => {
                let answer = kept.media.answer(message.body()).ok();
                self.answer_offer(call, answer);
            }
            _ => {}
        }
    }

    /// Gives the description that is owed, or refuses: there is none.
    pub(super) fn answer_offer(&mut self, call: CallHandle, sdp: Option<Vec<u8>>) {
        let now = self.now();
        let (core, endpoint) = self.ua.parts();
        let answered = match sdp {
            Some(sdp) => core.answer(endpoint, now, call, Body::sdp(sdp)),
            None => core.refuse(endpoint, now, call, StatusCode::NOT_ACCEPTABLE_HERE, Reply::new()),
        };
        self.done("answer the offer", answered);
    }

    /// The peer wants us to call somebody else.
    pub(super) async fn referred(&mut self, call: CallHandle, subscription: SubscriptionId, message: &Message) {
        let now = self.now();
        let number = self.number(call);
        let Some(invite) = Invite::of_refer(self.origin(), message) else {
            let (core, endpoint) = self.ua.parts();
            let _ = core.reject_subscription(endpoint, now, subscription, StatusCode::BAD_REQUEST, Reply::new());
            return;
        };
        let to = text(message, Header::ReferTo).unwrap_or_default();
        let values = [("call", Value::from(number)), ("to", (&to).into())];
        self.tell("transferred", &values, &format!("call {number}: transferred to {to}"));
        let (core, endpoint) = self.ua.parts();
        let accepted = core.accept_refer(endpoint, now, subscription);
        if self.done("accept the transfer", accepted).is_some() {
            self.invite(invite.for_refer(subscription), &to).await;
        }
    }

    pub(super) fn ended(&mut self, call: CallHandle, cause: EndCause, accepted: bool) {
        self.order.retain(|known| *known != call);
        self.alarms.retain(|(_, alarm)| !matches!(alarm, Alarm::HangUp(of) | Alarm::Turn(of) if *of == call));
        let Some(kept) = self.calls.remove(&call) else { return };
        let (sent, received) = kept.media.counts();
        let (text, code) = match cause {
            EndCause::HungUp => ("hung up".to_owned(), code::DONE),
            EndCause::PeerHungUp => ("the other side hung up".to_owned(), code::DONE),
            EndCause::Cancelled => ("given up".to_owned(), code::NO_ANSWER),
            EndCause::PeerCancelled => ("the caller gave up".to_owned(), code::NO_ANSWER),
            EndCause::Rejected(status) => (format!("refused with {}", status.code()), code::DONE),
            EndCause::PeerRejected(status) => (format!("refused: {}", status.code()), code_of(status.code())),
            EndCause::Replaced => ("replaced by another call".to_owned(), code::DONE),
            EndCause::PeerRedirected => ("redirected".to_owned(), code::REFUSED),
            EndCause::NoAnswer | EndCause::TimedOut => ("no answer".to_owned(), code::NO_ANSWER),
            EndCause::Unreachable => ("not to be reached".to_owned(), code::NOBODY),
            EndCause::Unauthorized => ("not authorized".to_owned(), code::UNAUTHORIZED),
            other => (format!("lost: {other:?}"), code::LOST),
        };
        let number = kept.number;
        let values = [
            ("call", Value::from(number)),
            ("why", (&text).into()),
            ("peer", (&kept.peer).into()),
            ("rtp_sent", sent.into()),
            ("rtp_received", received.into()),
        ];
        let line = format!("call {number}: {text}; {sent} RTP packets sent, {received} received");
        self.tell("ended", &values, &line);
        if matches!(self.options.command, Command::Call(_)) && self.calls.is_empty() {
            self.end_with(code);
        } else if matches!(self.options.command, Command::Call(_)) && !accepted && !kept.incoming && number == 1 {
            self.code = Some(code);
        }
        if kept.incoming {
            self.counted += 1;
            if self.options.calls.is_some_and(|most| self.counted >= most) {
                self.end_with(code::DONE);
            }
        }
    }

    pub(super) fn hang_up(&mut self, call: CallHandle) {
        let now = self.now();
        let Some(kept) = self.calls.get(&call) else { return };
        // Its end may have to wait for an ACK, or for the answer to CANCEL.
        kept.media.stop();
        let unanswered = kept.incoming && !kept.answered;
        let (core, endpoint) = self.ua.parts();
        let done = if unanswered {
            core.reject(endpoint, now, call, StatusCode::BUSY_HERE, Reply::new())
        } else {
            core.hang_up(endpoint, now, call, None)
        };
        self.done("hang up", done);
    }

    /// Holds a call, or takes it back. While the one is on its way, the other waits.
    pub(super) fn turn(&mut self, call: CallHandle) {
        let now = self.now();
        let Some(kept) = self.calls.get_mut(&call) else { return };
        if kept.turning {
            kept.again = !kept.again;
            return;
        }
        let held = !kept.media.is_held();
        kept.media.set_held(held);
        kept.turning = true;
        let offer = Body::sdp(kept.media.offer());
        let (core, endpoint) = self.ua.parts();
        let turned = if held { core.hold(endpoint, now, call, offer) } else { core.resume(endpoint, now, call, offer) };
        if self.done(if held { "hold" } else { "resume" }, turned).is_none() {
            if let Some(kept) = self.calls.get_mut(&call) {
                kept.media.set_held(!held);
                kept.turning = false;
            }
        }
    }
}
