//! What one side of a call may say, given all that it has said and heard: a judge of its own, which knows nothing of the crate's own
//! tables.
//!
//! - An offer is made only when none is pending, and answered before the next (RFC 3264 section 4, RFC 6337).
//! - Numbers go up (RFC 3261 section 12.2.1.1).
//! - Nothing is asked in a dialog before it is there or after it is over, and no callee says BYE before its 2xx is acknowledged or its
//!   time is up (RFC 3261 sections 12, 15).

use crate::common::Heard;
use sip_dialog::carries_session;
use sip_message::{Header, Message, Method};
use sip_transaction::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// 64 * T1: how long a transaction may go on.
const TIMEOUT: Duration = Duration::from_secs(32);

/// What carries an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Invite,
    Reliable,
    InviteOk,
    Update,
    Prack,
}

/// An offer that has no answer yet.
#[derive(Debug)]
struct Offer {
    carrier: Carrier,
    /// We made it.
    own: bool,
    /// We sent the request of its transaction, and its number.
    asked: (bool, u32),
    at: Instant,
}

/// What an INVITE has brought so far.
#[derive(Debug, Default)]
struct Exchange {
    /// The INVITE has the offer.
    offers: bool,
    /// The answer to that has come, or the offer in its place.
    done: bool,
}

/// One call as one side sees it.
#[derive(Debug, Default)]
struct View {
    /// We called, and the number of the INVITE that began it.
    initial: Option<(bool, u32)>,
    invites: BTreeMap<(bool, u32), Exchange>,
    offer: Option<Offer>,
    /// Requests that must not be taken: they met an offer.
    glare: BTreeSet<(String, u32)>,
    last_number: u32,
    known: bool,
    over: bool,
    accepted_at: Option<Instant>,
    acknowledged: bool,
}

/// Judges all that one side has said.
///
/// # Panics
///
/// It said what it may not.
pub(super) fn judge(tape: &[Heard]) {
    let mut views: BTreeMap<String, View> = BTreeMap::new();
    let mut before = BTreeSet::new();
    for heard in tape {
        // What is said again says nothing new.
        if !before.insert((heard.own, heard.bytes.clone())) {
            continue;
        }
        let Ok(message) = Message::parse(heard.bytes.clone()) else { continue };
        let Ok(call_id) = message.call_id() else { continue };
        views.entry(call_id.to_owned()).or_default().note(heard, &message);
    }
}

impl View {
    fn note(&mut self, heard: &Heard, message: &Message) {
        let cseq = message.cseq().unwrap();
        let (number, method) = (cseq.number, cseq.method);
        match message.status() {
            None => {
                self.request(heard, message, method, number);
                if !self.over {
                    self.offer_in_request(heard, message, method, number);
                }
            }
            Some(status) => {
                if !self.over {
                    self.offer_in_response(heard, message, method, number);
                }
                self.response(heard, message, method, number, status.code());
            }
        }
    }

    fn request(&mut self, heard: &Heard, message: &Message, method: Method<'_>, number: u32) {
        let tagged = message.to().unwrap().tag().unwrap().is_some();
        if method == Method::Invite && !tagged {
            // Another after a 422 or 3xx begins it anew, and its dialogs have numbers of their own, from that of the INVITE on.
            self.last_number = self.initial.filter(|_| heard.own).map_or(0, |(_, before)| before);
            self.initial = Some((heard.own, number));
            self.over = false;
            self.offer = None;
            self.glare.clear();
            // What still comes of the one before is of a dialog that is over.
            self.invites.clear();
        }
        if method == Method::Ack && !heard.own && self.initial == Some((false, number)) {
            self.acknowledged = true;
        }
        if heard.own && !matches!(method, Method::Ack | Method::Cancel) {
            assert!(number > self.last_number, "{number} after {}: {message:?}", self.last_number);
            self.last_number = number;
            let Some((caller, _)) = self.initial else { return };
            // Subscriptions, such as those of a REFER, may outlive the call.
            if tagged && !matches!(method, Method::Notify | Method::Subscribe) {
                assert!(self.known, "before there is a dialog: {message:?}");
                assert!(!self.over, "after the call: {message:?}");
            }
            if method == Method::Bye && !caller {
                let since = self.accepted_at.expect("BYE of a callee that has not accepted");
                let late = heard.at >= since + TIMEOUT;
                assert!(self.acknowledged || late, "BYE before the ACK: {message:?}");
            }
        }
        if heard.own && method == Method::Bye {
            self.over = true;
        }
    }

    fn response(&mut self, heard: &Heard, message: &Message, method: Method<'_>, number: u32, code: u16) {
        // The request of a response that we sent is the peer's.
        if method == Method::Invite && self.initial == Some((!heard.own, number)) {
            let tagged = message.to().unwrap().tag().unwrap().is_some();
            self.known |= tagged && (101..300).contains(&code);
            self.over |= code >= 300 && code != 422;
            if heard.own && (200..300).contains(&code) {
                self.accepted_at = Some(heard.at);
            }
        }
        if heard.own && method == Method::Bye && code == 200 {
            self.over = true;
        }
        // It came too late, behind one with a higher number: it is to be said again.
        if !heard.own && method == Method::Bye && code == 500 {
            self.over = false;
        }
    }

    /// An offer is made.
    fn offered(&mut self, heard: &Heard, carrier: Carrier, asked: (bool, u32), message: &Message) {
        // One of ours that nobody has answered in all that time has lapsed.
        let pending = self.offer.as_ref().filter(|offer| !offer.own || heard.at < offer.at + TIMEOUT);
        match pending {
            Some(pending) if heard.own => panic!("{pending:?} is pending, and now this: {message:?}"),
            Some(_) => self.meets(asked.1, message),
            None => self.offer = Some(Offer { carrier, own: heard.own, asked, at: heard.at }),
        }
    }

    /// A request of the peer meets an offer that is pending: it must be refused.
    fn meets(&mut self, number: u32, message: &Message) {
        if let Some(method) = message.method() {
            self.glare.insert((method.as_str().to_owned(), number));
        }
    }

    /// The offer of a transaction is answered, or void.
    fn settle(&mut self, asked: (bool, u32)) {
        if self.offer.as_ref().is_some_and(|offer| offer.asked == asked) {
            self.offer = None;
        }
    }

    fn offer_in_request(&mut self, heard: &Heard, message: &Message, method: Method<'_>, number: u32) {
        let carries = carries_session(message);
        let asked = (heard.own, number);
        match method {
            Method::Invite => {
                self.invites.insert(asked, Exchange { offers: carries, done: false });
                if carries {
                    self.offered(heard, Carrier::Invite, asked, message);
                } else if let Some(pending) = &self.offer {
                    let lapsed = pending.own && heard.at >= pending.at + TIMEOUT;
                    assert!(!heard.own || lapsed, "{pending:?} is pending, and an offer is asked for: {message:?}");
                    self.meets(number, message);
                }
            }
            Method::Update if carries => self.offered(heard, Carrier::Update, asked, message),
            Method::Prack if carries => match &self.offer {
                Some(Offer { carrier: Carrier::Reliable, own, .. }) if *own != heard.own => self.offer = None,
                _ => self.offered(heard, Carrier::Prack, asked, message),
            },
            Method::Ack => {
                // One for an earlier 2xx, sent again, says nothing of this one.
                let waits = |offer: &Offer| {
                    offer.carrier == Carrier::InviteOk && offer.own != heard.own && offer.asked == asked
                };
                if self.offer.as_ref().is_some_and(waits) {
                    assert!(carries || !heard.own, "an offer, and no answer: {message:?}");
                    self.settle(asked);
                }
            }
            _ => {}
        }
    }

    fn offer_in_response(&mut self, heard: &Heard, message: &Message, method: Method<'_>, number: u32) {
        let code = message.status().unwrap().code();
        let asked = (!heard.own, number);
        if heard.own && (200..300).contains(&code) {
            let glare = self.glare.contains(&(method.as_str().to_owned(), number));
            assert!(!glare, "met an offer and is taken all the same: {message:?}");
        }
        if method != Method::Invite {
            if code >= 200 {
                self.settle(asked);
            }
            return;
        }
        let reliable = message.field(Header::RSeq).is_some();
        if code >= 300 {
            return self.settle(asked);
        }
        if code < 200 && !reliable {
            return;
        }
        let Some(exchange) = self.invites.get_mut(&asked) else { return };
        let (carries, offers, done) = (carries_session(message), exchange.offers, exchange.done);
        exchange.done |= carries;
        match (carries, offers, done) {
            (true, true, false) => self.settle(asked),
            (true, false, false) => {
                let carrier = if code < 200 { Carrier::Reliable } else { Carrier::InviteOk };
                self.offered(heard, carrier, asked, message);
            }
            (false, _, false) if code >= 200 => {
                assert!(!heard.own, "a 2xx without the session description it owes: {message:?}");
                self.settle(asked);
            }
            _ => {}
        }
    }
}
