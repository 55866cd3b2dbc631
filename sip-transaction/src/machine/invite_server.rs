//! The INVITE server transaction: RFC 3261 section 17.2.1 with RFC 6026.
//!
//! ```text
//!                                  |INVITE
//!                                  |pass INV to TU
//!               INVITE             V send 100 if TU won't in 200 ms
//!               send response+------------+
//!                   +--------|            |--------+ 101-199 from TU
//!                   |        |            |        | send response
//!                   +------->|            |<-------+
//!                            | Proceeding |
//!                            |            |--------+ Transport Err.
//!                            |            |        | Inform TU
//!                            |            |<-------+
//!                            +------------+
//!               300-699 from TU |    |2xx from TU
//!               send response   |    |send response
//!                +--------------+    +------------+
//!                |                                |
//!  INVITE        V          Timer G fires         |
//!  send response +-----------+ send response      |
//!      +---------|           |--------+           |
//!      |         | Completed |        |           V            INVITE
//!      +-------->|           |<-------+     +-----------+      -
//!                +-----------+              |           |-----------+
//!   ACK |  Timer H |     ^  | Transport Err.| Accepted  |<----------+
//!   -   |  fires   |     +--+ Inform TU     |           |--+ ACK to TU, 2xx from TU sent,
//!       |  inform  |                        +-----------+<-+ Transport Err. inform TU
//!       V  TU      |                              |
//!  +-----------+   |                              |
//!  |           |   |                              | Timer L fires
//!  | Confirmed |   |                              |
//!  +-----------+   |                              |
//!        | Timer I |                              |
//!        V         V                              V
//!  +--------------------------------------------------+
//!  |                    Terminated                    |
//!  +--------------------------------------------------+
//! ```
//! Figure 7 of RFC 3261 as RFC 6026 has it. One more edge: an INVITE that the TU leaves without a final response for too
//! long is answered 408.

use super::{Actions, End, Set, Status, Step};
use crate::timers::Timer;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Occurrence {
    /// A response from the TU.
    Respond(Status),
    /// A retransmission of the INVITE.
    Invite,
    Ack,
    Timer(Timer),
    TransportError,
}

/// The first step: Proceeding, with the INVITE given to the TU.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
//# The request MUST be passed to the TU.
pub(crate) fn start() -> Step<State> {
    Step::to(State::Proceeding).with(Actions::PASS).state_timer(Set::Start(Timer::Trying))
}

pub(crate) fn on(state: State, what: Occurrence, reliable: bool) -> Step<State> {
    use Occurrence::{Ack, Invite, Respond, Timer as Fired, TransportError};
    use State::{Accepted, Completed, Confirmed, Proceeding};
    match (state, what) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //# The server
        //# transaction MUST generate a 100 (Trying) response unless it knows
        //# that the TU will generate a provisional or final response within 200
        //# ms, in which case it MAY generate a 100 (Trying) response.
        (Proceeding, Fired(Timer::Trying)) => {
            Step::stay(Proceeding).with(Actions::TRYING).state_timer(Set::Start(Timer::Answer))
        }
        (Proceeding, Fired(Timer::Answer)) => Step::stay(Proceeding).with(Actions::INFORM),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //# So long as the server transaction is in the "Proceeding" state,
        //# each of these MUST be passed to the transport layer for transmission.
        (Proceeding, Respond(Status::Provisional)) => {
            Step::stay(Proceeding).with(Actions::SEND).state_timer(Set::Start(Timer::Answer))
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //# If a request
        //# retransmission is received while in the "Proceeding" state, the most
        //# recent provisional response that was received from the TU MUST be
        //# passed to the transport layer for retransmission.
        (Proceeding, Invite) => Step::stay(Proceeding).with(Actions::RESEND),
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.5
        //# If, while in the "Proceeding" state, the TU passes a 2xx response to the server transaction, the
        //# server transaction MUST pass this response to the transport layer for transmission.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.5
        //# The server transaction MUST then transition to the "Accepted" state.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
        //# If the SIP element's TU (Transaction User) issues a 2xx response for this transaction while the
        //# state machine is in the "Proceeding" state, the state machine MUST transition to the "Accepted"
        //# state and set Timer L to 64*T1, where T1 is the round-trip time estimate defined in Section 17.1.1.1
        //# of [RFC3261].
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
        //# The server transaction MUST NOT generate 2xx retransmissions on its own.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //# If, while in the "Proceeding" state, the TU passes a 2xx response to the server transaction, the
        //# server transaction MUST pass this response to the transport layer for transmission.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //= type=exception
        //= reason=RFC 6026 section 8.5 replaced it: the transaction goes to Accepted
        //# The server transaction MUST then transition to the "Terminated" state.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.7
        //# When the INVITE server transaction enters the "Accepted" state,
        //# Timer L MUST be set to fire in 64*T1 for all transports.
        (Proceeding, Respond(Status::Success)) => {
            Step::to(Accepted).with(Actions::SEND).state_timer(Set::Start(Timer::L))
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //# While in the "Proceeding" state, if the TU passes a response with
        //# status code from 300 to 699 to the server transaction, the response
        //# MUST be passed to the transport layer for transmission, and the state
        //# machine MUST enter the "Completed" state.
        (Proceeding, Respond(Status::Failure)) => {
            // For unreliable transports, timer G is set to fire in T1 seconds, and is not set to fire for reliable
            // transports.
            let g = if reliable { Set::Clear } else { Set::Start(Timer::G) };
            //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
            //# When the "Completed" state is entered, timer H MUST be set to fire in
            //# 64*T1 seconds for all transports.
            Step::to(Completed).with(Actions::SEND).retransmit(g).state_timer(Set::Start(Timer::H))
        }
        (Completed, Fired(Timer::G)) => Step::stay(Completed).with(Actions::RESEND).retransmit(Set::Start(Timer::G)),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //# Furthermore, while in the
        //# "Completed" state, if a request retransmission is received, the
        //# server SHOULD pass the response to the transport for retransmission.
        (Completed, Invite) => Step::stay(Completed).with(Actions::RESEND),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //# If an ACK is received while the server transaction is in the
        //# "Completed" state, the server transaction MUST transition to the
        //# "Confirmed" state.
        // Timer I is T4 for unreliable transports and zero for reliable ones.
        (Completed, Ack) if reliable => Step::end(End::Completed),
        (Completed, Ack) => Step::to(Confirmed).state_timer(Set::Start(Timer::I)),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //# In this case, the
        //# server transaction MUST transition to the "Terminated" state, and
        //# MUST indicate to the TU that a transaction failure has occurred.
        (Completed, Fired(Timer::H)) => Step::end(End::TimedOut),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
        //# Once timer I fires, the server MUST transition to the
        //# "Terminated" state.
        (Confirmed, Fired(Timer::I)) => Step::end(End::Completed),
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
        //# Any retransmission of the 2xx response passed from the TU to the transaction while in the "Accepted"
        //# state MUST be passed to the transport layer for transmission.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.7
        //# While in the "Accepted" state, if the TU passes a 2xx response,
        //# the server transaction MUST pass the response to the transport
        //# layer for transmission.
        (Accepted, Respond(Status::Success)) => Step::stay(Accepted).with(Actions::SEND),
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
        //# Any ACKs received from the network while in the "Accepted" state MUST be passed directly to the TU
        //# and not absorbed.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.7
        //# If an ACK is received while the
        //# INVITE server transaction is in the "Accepted" state, then the ACK
        //# must be passed up to the TU.
        (Accepted, Ack) => Step::stay(Accepted).with(Actions::PASS),
        // Retransmits a 2xx for the TU: RFC 3261 section 13.3.1.4.
        (Accepted, Fired(Timer::G)) => Step::stay(Accepted).with(Actions::RESEND).retransmit(Set::Start(Timer::G)),
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
        //# When Timer L fires and the state machine is in the "Accepted" state, the machine MUST transition to
        //# the "Terminated" state.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.7
        //# If Timer L fires while the
        //# INVITE server transaction is in the "Accepted" state, the transaction
        //# MUST transition to the "Terminated" state.
        (Accepted, Fired(Timer::L)) => Step::end(End::Completed),
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
        //# A server transaction MUST NOT discard transaction state based only on encountering a non-recoverable
        //# transport error when sending a response.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
        //# Instead, the associated INVITE server transaction state machine MUST remain in its current state.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-6
        //# An element encountering an unrecoverable transport error when trying to send a response to an INVITE
        //# request MUST NOT immediately destroy the associated INVITE server transaction state.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.8
        //# If those should all fail, based
        //# on the definition of failure in [4], the server transaction SHOULD
        //# inform the TU that a failure has occurred, and MUST remain in the
        //# current state.
        (Proceeding | Completed | Accepted, TransportError) => Step::stay(state).with(Actions::INFORM),
        (state, _) => Step::stay(state),
    }
}
