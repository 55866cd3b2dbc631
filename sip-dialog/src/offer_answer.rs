//! The offer/answer model of RFC 3264 as SIP carries it: RFC 3261 section 13.2.1, RFC 3262 section 5, RFC 3311, RFC 6337.
//!
//! An [`OfferAnswer`] says of each session description what it is, and keeps the rule that there is one offer at a time. It
//! never reads a session description.
//!
//! ```text
//!              we send an offer                they send an offer
//!            +----------------- Idle ----------------------+
//!            v                  ^  ^                       v
//!        LocalOffer(place) -----+  +------------ RemoteOffer(place)
//!              answer received,        answer sent,
//!              or the transaction failed (rollback)
//! ```

/// The message a session description came in or goes out in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// INVITE or re-INVITE.
    Invite,
    /// A provisional response to INVITE, sent unreliably.
    Provisional,
    /// A provisional response to INVITE, sent reliably (RFC 3262).
    Reliable,
    /// A 2xx to INVITE.
    InviteOk,
    /// ACK for a 2xx.
    Ack,
    /// PRACK.
    Prack,
    /// A 2xx to PRACK.
    PrackOk,
    /// UPDATE.
    Update,
    /// A 2xx to UPDATE.
    UpdateOk,
}

/// What a session description is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// An offer.
    Offer,
    /// The answer to the offer that was pending.
    Answer,
    /// What the answer will be, in a provisional response that is not reliable: good for early media, not binding.
    Preview,
    /// None: there is nothing it could answer, and it must not be an offer. It is left unread.
    Nothing,
}

/// Why a session description that came in cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glare {
    /// Our own offer is pending: 491 (RFC 3311 section 5.2).
    Ours,
    /// Another offer of theirs is pending: 500 with Retry-After (RFC 3311 section 5.2).
    Theirs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    LocalOffer(Place),
    RemoteOffer(Place),
}

/// Whether an offer is pending, whose, and where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferAnswer {
    phase: Phase,
    /// The INVITE in progress has had its exchange: what its responses carry beyond that means nothing.
    invite_done: bool,
    /// At least one exchange is complete: there is a session.
    established: bool,
}

impl Default for OfferAnswer {
    fn default() -> Self {
        Self::new()
    }
}

impl OfferAnswer {
    /// No offer yet.
    pub fn new() -> Self {
        OfferAnswer { phase: Phase::Idle, invite_done: true, established: false }
    }

    /// Whether an exchange is complete: there is a session.
    pub fn is_established(&self) -> bool {
        self.established
    }

    /// Whether no offer is pending.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Where an offer of the peer that we have not answered came in.
    pub fn remote_offer(&self) -> Option<Place> {
        match self.phase {
            Phase::RemoteOffer(place) => Some(place),
            _ => None,
        }
    }

    /// Where an offer of ours that is not answered went out.
    pub fn local_offer(&self) -> Option<Place> {
        match self.phase {
            Phase::LocalOffer(place) => Some(place),
            _ => None,
        }
    }

    /// An INVITE or re-INVITE begins, sent or received: the exchange it needs is to come.
    pub fn begin_invite(&mut self) {
        self.invite_done = false;
    }

    /// Whether the INVITE in progress still lacks its exchange.
    pub fn invite_needs_body(&self) -> bool {
        !self.invite_done
    }

    /// What a session description in a message that came in is; changes the state accordingly.
    ///
    /// # Errors
    ///
    /// It is an offer that cannot be taken now; the state is as before.
    pub fn received(&mut self, place: Place) -> Result<Meaning, Glare> {
        match (place, self.phase) {
            // Answers.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
            //# If the initial offer is in an INVITE, the answer MUST be in a reliable
            //# non-failure message from UAS back to UAC which is correlated to that
            //# INVITE.
            (Place::InviteOk | Place::Reliable, Phase::LocalOffer(Place::Invite)) => {
                self.invite_done = true;
                Ok(self.complete())
            }
            (Place::Provisional, Phase::LocalOffer(Place::Invite)) => Ok(Meaning::Preview),
            (Place::Ack, Phase::LocalOffer(Place::InviteOk))
            | (Place::Prack, Phase::LocalOffer(Place::Reliable))
            | (Place::PrackOk, Phase::LocalOffer(Place::Prack))
            | (Place::UpdateOk, Phase::LocalOffer(Place::Update)) => Ok(self.complete()),
            // Offers.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
            //# The UAC MUST treat the first session description it receives as the
            //# answer, and MUST ignore any session descriptions in subsequent responses
            //# to the initial INVITE.
            (Place::InviteOk | Place::Reliable, Phase::Idle) if !self.invite_done => {
                self.invite_done = true;
                self.phase = Phase::RemoteOffer(place);
                Ok(Meaning::Offer)
            }
            // The offer that is due in a response, or has been asked for by one of ours, comes first.
            (Place::Prack | Place::Update, Phase::Idle) if !self.invite_done => Err(Glare::Ours),
            (Place::Invite | Place::Prack | Place::Update, Phase::Idle) => {
                self.invite_done = true;
                self.phase = Phase::RemoteOffer(place);
                Ok(Meaning::Offer)
            }
            //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
            //# If an UPDATE is received that contains an offer, and the UAS has
            //# generated an offer (in an UPDATE, PRACK or INVITE) to which it has not
            //# yet received an answer, the UAS MUST reject the UPDATE with a 491
            //# response.
            (Place::Invite | Place::Prack | Place::Update, Phase::LocalOffer(_)) => Err(Glare::Ours),
            (Place::Invite | Place::Prack | Place::Update, Phase::RemoteOffer(_)) => Err(Glare::Theirs),
            _ => Ok(Meaning::Nothing),
        }
    }

    /// What a session description in a message we are about to send is; changes the state accordingly. `None` if none may be
    /// sent there, with the state as before.
    //= https://www.rfc-editor.org/rfc/rfc3264#section-4
    //# However, it MUST NOT generate a new offer if it has received an offer
    //# which it has not yet answered or rejected.
    //= https://www.rfc-editor.org/rfc/rfc3264#section-4
    //# Furthermore, it MUST NOT generate a new offer if it has generated a
    //# prior offer for which it has not yet received an answer or a rejection.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
    //# The initial offer MUST be in either an INVITE or, if not there, in the
    //# first reliable non-failure message from the UAS back to the UAC.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
    //# If the initial offer is in the first reliable non-failure message from
    //# the UAS back to UAC, the answer MUST be in the acknowledgement for that
    //# message (in this specification, ACK for a 2xx response).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
    //# All user agents that support INVITE MUST support these two exchanges.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1
    //# It MUST provide the offer in its first non-failure reliable message back
    //# to the UAC.
    //= https://www.rfc-editor.org/rfc/rfc3262#section-5
    //# All user agents that support this extension MUST support all
    //# offer/answer exchanges that are possible based on the rules in Section
    //# 13.2 of RFC 3261, based on the existence of INVITE and PRACK as
    //# requests, and 2xx and reliable 1xx as non-failure reliable responses.
    pub fn sent(&mut self, place: Place) -> Option<Meaning> {
        match (place, self.phase) {
            (Place::InviteOk | Place::Reliable, Phase::RemoteOffer(Place::Invite))
            | (Place::Ack, Phase::RemoteOffer(Place::InviteOk))
            | (Place::Prack, Phase::RemoteOffer(Place::Reliable))
            | (Place::PrackOk, Phase::RemoteOffer(Place::Prack))
            | (Place::UpdateOk, Phase::RemoteOffer(Place::Update)) => Some(self.complete()),
            (Place::Provisional, Phase::RemoteOffer(Place::Invite)) => Some(Meaning::Preview),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
            //# Once the UAS has sent or received an answer to the initial offer, it
            //# MUST NOT generate subsequent offers in any responses to the initial
            //# INVITE.
            (Place::InviteOk | Place::Reliable, Phase::Idle) if !self.invite_done => {
                self.invite_done = true;
                self.phase = Phase::LocalOffer(place);
                Some(Meaning::Offer)
            }
            (Place::Prack | Place::Update, Phase::Idle) if !self.invite_done => None,
            (Place::Invite | Place::Prack | Place::Update, Phase::Idle) => {
                self.invite_done = true;
                self.phase = Phase::LocalOffer(place);
                Some(Meaning::Offer)
            }
            _ => None,
        }
    }

    /// Whether [`sent`](OfferAnswer::sent) would allow a session description there.
    pub fn may_send(&self, place: Place) -> bool {
        let mut trial = *self;
        trial.sent(place).is_some()
    }

    /// A transaction ended without a 2xx: an offer that went out in it, or in its responses, is as if it had never been made.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
    //# If a UA receives a non-2xx final response to a re-INVITE, the session
    //# parameters MUST remain unchanged, as if no re-INVITE had been issued.
    pub fn failed(&mut self, request: Place) {
        let place = match self.phase {
            Phase::LocalOffer(place) | Phase::RemoteOffer(place) => place,
            Phase::Idle => Place::Ack,
        };
        let of_request = match request {
            Place::Invite => matches!(place, Place::Invite | Place::Reliable | Place::InviteOk),
            other => place == other,
        };
        if of_request {
            self.phase = Phase::Idle;
        }
        if request == Place::Invite {
            self.invite_done = true;
        }
    }

    fn complete(&mut self) -> Meaning {
        self.phase = Phase::Idle;
        self.established = true;
        Meaning::Answer
    }

    pub(crate) fn to_byte(self) -> u8 {
        let place = |place| match place {
            Place::Invite => 0,
            Place::Provisional => 1,
            Place::Reliable => 2,
            Place::InviteOk => 3,
            Place::Ack => 4,
            Place::Prack => 5,
            Place::PrackOk => 6,
            Place::Update => 7,
            Place::UpdateOk => 8,
        };
        let phase = match self.phase {
            Phase::Idle => 0,
            Phase::LocalOffer(at) => 16 + place(at),
            Phase::RemoteOffer(at) => 32 + place(at),
        };
        phase | u8::from(self.invite_done) << 6 | u8::from(self.established) << 7
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        let place = match byte & 15 {
            0 => Place::Invite,
            1 => Place::Provisional,
            2 => Place::Reliable,
            3 => Place::InviteOk,
            4 => Place::Ack,
            5 => Place::Prack,
            6 => Place::PrackOk,
            7 => Place::Update,
            8 => Place::UpdateOk,
            _ => return None,
        };
        let phase = match byte & 48 {
            0 => Phase::Idle,
            16 => Phase::LocalOffer(place),
            32 => Phase::RemoteOffer(place),
            _ => return None,
        };
        Some(OfferAnswer { phase, invite_done: byte & 64 != 0, established: byte & 128 != 0 })
    }
}

impl crate::codec::Wire for OfferAnswer {
    fn write(&self, out: &mut crate::codec::Writer) {
        out.u8(self.to_byte());
    }

    fn read(input: &mut crate::codec::Reader<'_>) -> Option<Self> {
        u8::read(input).and_then(OfferAnswer::from_byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> OfferAnswer {
        let mut oa = OfferAnswer::new();
        oa.begin_invite();
        oa
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
    //= type=test
    //# The initial offer MUST be in either an INVITE or, if not there, in the
    //# first reliable non-failure message from the UAS back to the UAC.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
    //= type=test
    //# All user agents that support INVITE MUST support these two exchanges.
    #[test]
    fn the_two_exchanges_of_invite() {
        let (mut caller, mut callee) = (begun(), begun());
        assert_eq!(caller.sent(Place::Invite), Some(Meaning::Offer));
        assert_eq!(callee.received(Place::Invite), Ok(Meaning::Offer));
        assert_eq!(callee.sent(Place::InviteOk), Some(Meaning::Answer));
        assert_eq!(caller.received(Place::InviteOk), Ok(Meaning::Answer));
        assert!(caller.is_established() && callee.is_established() && caller.is_idle() && callee.is_idle());

        let (mut caller, mut callee) = (begun(), begun());
        assert_eq!(callee.sent(Place::InviteOk), Some(Meaning::Offer));
        assert_eq!(caller.received(Place::InviteOk), Ok(Meaning::Offer));
        assert_eq!(caller.sent(Place::Ack), Some(Meaning::Answer));
        assert_eq!(callee.received(Place::Ack), Ok(Meaning::Answer));
    }

    //= https://www.rfc-editor.org/rfc/rfc3262#section-5
    //= type=test
    //# If the UAC receives a reliable provisional response with an offer (this
    //# would occur if the UAC sent an INVITE without an offer, in which case
    //# the first reliable provisional response will contain the offer), it MUST
    //# generate an answer in the PRACK.
    //= https://www.rfc-editor.org/rfc/rfc3262#section-5
    //= type=test
    //# If the UAS receives a PRACK with an offer, it MUST place the answer in
    //# the 2xx to the PRACK.
    #[test]
    fn the_exchanges_of_prack() {
        let (mut caller, mut callee) = (begun(), begun());
        assert_eq!(callee.sent(Place::Reliable), Some(Meaning::Offer));
        assert_eq!(caller.received(Place::Reliable), Ok(Meaning::Offer));
        assert_eq!(caller.sent(Place::Prack), Some(Meaning::Answer));
        assert_eq!(callee.received(Place::Prack), Ok(Meaning::Answer));
        assert_eq!(callee.sent(Place::InviteOk), None, "no second offer in the responses to one INVITE");
        assert_eq!(caller.received(Place::InviteOk), Ok(Meaning::Nothing));
        assert_eq!(caller.sent(Place::Prack), Some(Meaning::Offer));
        assert_eq!(callee.received(Place::Prack), Ok(Meaning::Offer));
        assert_eq!(callee.sent(Place::PrackOk), Some(Meaning::Answer));
        assert_eq!(caller.received(Place::PrackOk), Ok(Meaning::Answer));
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
    //= type=test
    //# The UAC MUST treat the first session description it receives as the
    //# answer, and MUST ignore any session descriptions in subsequent responses
    //# to the initial INVITE.
    #[test]
    fn a_preview_is_not_the_answer_and_what_follows_the_answer_is_nothing() {
        let mut caller = begun();
        caller.sent(Place::Invite);
        assert_eq!(caller.received(Place::Provisional), Ok(Meaning::Preview));
        assert_eq!(caller.local_offer(), Some(Place::Invite));
        assert_eq!(caller.received(Place::Reliable), Ok(Meaning::Answer));
        assert_eq!(caller.received(Place::InviteOk), Ok(Meaning::Nothing));
    }

    //= https://www.rfc-editor.org/rfc/rfc3264#section-4
    //= type=test
    //# However, it MUST NOT generate a new offer if it has received an offer
    //# which it has not yet answered or rejected.
    //= https://www.rfc-editor.org/rfc/rfc3264#section-4
    //= type=test
    //# Furthermore, it MUST NOT generate a new offer if it has generated a
    //# prior offer for which it has not yet received an answer or a rejection.
    //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
    //= type=test
    //# If an UPDATE is received that contains an offer, and the UAS has
    //# generated an offer (in an UPDATE, PRACK or INVITE) to which it has not
    //# yet received an answer, the UAS MUST reject the UPDATE with a 491
    //# response.
    #[test]
    fn one_offer_at_a_time() {
        let mut oa = OfferAnswer::new();
        assert_eq!(oa.sent(Place::Update), Some(Meaning::Offer));
        assert_eq!((oa.sent(Place::Update), oa.sent(Place::Invite)), (None, None));
        assert_eq!(oa.received(Place::Update), Err(Glare::Ours));
        oa.failed(Place::Update);
        assert_eq!(oa.received(Place::Update), Ok(Meaning::Offer));
        assert_eq!(oa.received(Place::Update), Err(Glare::Theirs));
        assert_eq!(oa.sent(Place::Update), None);
        assert_eq!(oa.sent(Place::UpdateOk), Some(Meaning::Answer));
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
    //= type=test
    //# If a UA receives a non-2xx final response to a re-INVITE, the session
    //# parameters MUST remain unchanged, as if no re-INVITE had been issued.
    #[test]
    fn a_failed_reinvite_rolls_back() {
        let mut oa = OfferAnswer::new();
        oa.begin_invite();
        oa.sent(Place::Invite);
        oa.received(Place::InviteOk).unwrap();
        let before = oa;
        oa.begin_invite();
        oa.sent(Place::Invite);
        oa.failed(Place::Invite);
        assert_eq!(oa, before);
    }

    #[test]
    fn survives_its_byte() {
        let mut oa = begun();
        for _ in 0..3 {
            assert_eq!(OfferAnswer::from_byte(oa.to_byte()), Some(oa));
            oa.sent(Place::Invite);
            assert_eq!(OfferAnswer::from_byte(oa.to_byte()), Some(oa));
            oa.received(Place::InviteOk).unwrap();
        }
        assert_eq!(OfferAnswer::from_byte(15), None);
    }
}
