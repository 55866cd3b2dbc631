//! The non-INVITE server transaction: RFC 3261 section 17.2.2 with RFC 4320.
//!
//! ```text
//!                                   |Request received
//!                                   |pass to TU
//!                                   V
//!                             +-----------+
//!                             |           |
//!                             | Trying    |-------------+
//!                             |           |             |
//!                             +-----------+             |200-699 from TU
//!                                   |                   |send response
//!                                   |1xx from TU        |
//!                                   |send response      |
//!                                   |                   |
//!                Request            V      1xx from TU  |
//!                send response+-----------+send response|
//!                    +--------|           |--------+    |
//!                    |        | Proceeding|        |    |
//!                    +------->|           |<-------+    |
//!             +<--------------|           |             |
//!             |Trnsprt Err    +-----------+             |
//!             |Inform TU            |                   |
//!             |                     |200-699 from TU    |
//!             |                     |send response      |
//!             |  Request            V                   |
//!             |  send response+-----------+             |
//!             |      +--------|           |             |
//!             |      |        | Completed |<------------+
//!             |      +------->|           |
//!             +<--------------|           |
//!             |Trnsprt Err    +-----------+
//!             |Inform TU            | Timer J fires
//!             |                     V
//!             |               +-----------+
//!             +-------------->| Terminated|
//!                             +-----------+
//! ```
//! Figure 8 of RFC 3261. Two more edges: 100 is sent once Timer E of the client has grown to T2, and after 64 * T1, when
//! the client has given up, a transaction without final response ends and sends nothing (RFC 4320).

use super::{Actions, End, Set, Status, Step};
use crate::timers::Timer;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Trying,
    Proceeding,
    Completed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Occurrence {
    /// A response from the TU.
    Respond(Status),
    /// A retransmission of the request.
    Request,
    Timer(Timer),
    TransportError,
}

/// The first step: Trying, with the request given to the TU.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1
//= type=exception
//= reason=for the transaction user; RFC 4320 bounds what happens if it does not
//# Because of the non-INVITE transaction's reliance on a two-way handshake, TUs SHOULD respond
//# immediately to non-INVITE requests.
pub(crate) fn start() -> Step<State> {
    Step::to(State::Trying)
        .with(Actions::PASS)
        .retransmit(Set::Start(Timer::Trying))
        .state_timer(Set::Start(Timer::Answer))
}

pub(crate) fn on(state: State, what: Occurrence, reliable: bool) -> Step<State> {
    use Occurrence::{Request, Respond, Timer as Fired, TransportError};
    use State::{Completed, Proceeding, Trying};
    match (state, what) {
        //= https://www.rfc-editor.org/rfc/rfc4320#section-4.1
        //# Without regard to transport, an SIP element MUST respond to a non-
        //# INVITE request with a Status-Code of 100 if it has not otherwise
        //# responded after the amount of time it takes a client transaction's
        //# Timer E to be reset to T2.
        (Trying, Fired(Timer::Trying)) => Step::stay(Proceeding).with(Actions::TRYING),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
        //# The response MUST be passed to the transport layer for transmission.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
        //# While in the "Trying" state, if the TU passes a provisional response
        //# to the server transaction, the server transaction MUST enter the
        //# "Proceeding" state.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
        //# Any further provisional responses that are
        //# received from the TU while in the "Proceeding" state MUST be passed
        //# to the transport layer for transmission.
        (Trying | Proceeding, Respond(Status::Provisional)) => {
            Step::stay(Proceeding).with(Actions::SEND).retransmit(Set::Clear)
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
        //# If a retransmission of
        //# the request is received while in the "Proceeding" state, the most
        //# recently sent provisional response MUST be passed to the transport
        //# layer for retransmission.
        (Proceeding, Request) => Step::stay(Proceeding).with(Actions::RESEND),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
        //# If the TU passes a final response (status
        //# codes 200-699) to the server while in the "Proceeding" state, the
        //# transaction MUST enter the "Completed" state, and the response MUST
        //# be passed to the transport layer for transmission.
        (Trying | Proceeding, Respond(Status::Success | Status::Failure)) => {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
            //# When the server transaction enters the "Completed" state, it MUST set
            //# Timer J to fire in 64*T1 seconds for unreliable transports, and zero
            //# seconds for reliable transports.
            let step = if reliable {
                Step::end(End::Completed)
            } else {
                Step::to(Completed).state_timer(Set::Start(Timer::J))
            };
            step.with(Actions::SEND)
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
        //# While in the
        //# "Completed" state, the server transaction MUST pass the final
        //# response to the transport layer for retransmission whenever a
        //# retransmission of the request is received.
        (Completed, Request) => Step::stay(Completed).with(Actions::RESEND),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
        //# The server transaction remains in this
        //# state until Timer J fires, at which point it MUST transition to the
        //# "Terminated" state.
        (Completed, Fired(Timer::J)) => Step::end(End::Completed),
        (Proceeding | Completed, TransportError) => Step::end(End::Failed),
        (Trying | Proceeding, Fired(Timer::Answer)) => Step::end(End::Unanswered),
        (state, _) => Step::stay(state),
    }
}
