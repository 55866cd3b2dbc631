//! The non-INVITE client transaction: RFC 3261 section 17.1.2.
//!
//! ```text
//!                                   |Request from TU
//!                                   |send request
//!               Timer E             V
//!               send request  +-----------+
//!                   +---------|           |-------------------+
//!                   |         |  Trying   |  Timer F          |
//!                   +-------->|           |  or Transport Err.|
//!                             +-----------+  inform TU        |
//!                200-699         |  |                         |
//!                resp. to TU     |  |1xx                      |
//!                +---------------+  |resp. to TU              |
//!                |                  |                         |
//!                |   Timer E        V       Timer F           |
//!                |   send req +-----------+ or Transport Err. |
//!                |  +---------|           | inform TU         |
//!                |  |         |Proceeding |------------------>|
//!                |  +-------->|           |-----+             |
//!                |            +-----------+     |1xx          |
//!                |              |      ^        |resp to TU   |
//!                | 200-699      |      +--------+             |
//!                | resp. to TU  |                             |
//!                |              V                             |
//!                |            +-----------+                   |
//!                +----------->| Completed |                   |
//!                             +-----------+                   |
//!                                   | Timer K                 |
//!                                   V                         |
//!                             +-----------+                   |
//!                             | Terminated|<------------------+
//!                             +-----------+
//! ```
//! Figure 6 of RFC 3261.

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
    Response(Status),
    Timer(Timer),
    TransportError,
}

/// The first step: Trying, with the request sent.
pub(crate) fn start(reliable: bool) -> Step<State> {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //# If an unreliable transport is in use, the client transaction MUST set timer E to fire in T1 seconds.
    let e = if reliable { Set::Clear } else { Set::Start(Timer::E) };
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //# When entering this state,
    //# the client transaction SHOULD set timer F to fire in 64*T1 seconds.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //# The request MUST be passed to the transport layer for transmission.
    Step::to(State::Trying).with(Actions::SEND).retransmit(e).state_timer(Set::Start(Timer::F))
}

pub(crate) fn on(state: State, what: Occurrence, reliable: bool) -> Step<State> {
    use Occurrence::{Response, Timer as Fired, TransportError};
    use State::{Completed, Proceeding, Trying};
    match (state, what) {
        // If timer E fires while still in this state, the timer is reset with MIN(2*T1, T2), and so on.
        (Trying, Fired(Timer::E)) => Step::stay(Trying).with(Actions::SEND).retransmit(Set::Start(Timer::E)),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
        //# If Timer E fires while in the "Proceeding" state, the request MUST be
        //# passed to the transport layer for retransmission, and Timer E MUST be
        //# reset with a value of T2 seconds.
        (Proceeding, Fired(Timer::E)) => Step::stay(Proceeding).with(Actions::SEND).retransmit(Set::AtT2(Timer::E)),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
        //# If Timer F fires while the client transaction is still in the
        //# "Trying" state, the client transaction SHOULD inform the TU about the
        //# timeout, and then it SHOULD enter the "Terminated" state.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
        //# If timer F fires while in the
        //# "Proceeding" state, the TU MUST be informed of a timeout, and the
        //# client transaction MUST transition to the terminated state.
        (Trying | Proceeding, Fired(Timer::F)) => Step::end(End::TimedOut),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
        //# If a
        //# provisional response is received while in the "Trying" state, the
        //# response MUST be passed to the TU, and then the client transaction
        //# SHOULD move to the "Proceeding" state.
        (Trying | Proceeding, Response(Status::Provisional)) => Step::stay(Proceeding).with(Actions::PASS),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
        //# If a final response (status
        //# codes 200-699) is received while in the "Trying" state, the response
        //# MUST be passed to the TU, and the client transaction MUST transition
        //# to the "Completed" state.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
        //# If a final response (status codes
        //# 200-699) is received while in the "Proceeding" state, the response
        //# MUST be passed to the TU, and the client transaction MUST transition
        //# to the "Completed" state.
        (Trying | Proceeding, Response(Status::Success | Status::Failure)) => {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
            //# Once the client transaction enters the "Completed" state, it MUST set
            //# Timer K to fire in T4 seconds for unreliable transports, and zero
            //# seconds for reliable transports.
            let step = if reliable {
                Step::end(End::Completed)
            } else {
                Step::to(Completed).state_timer(Set::Start(Timer::K))
            };
            step.with(Actions::PASS)
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
        //# If Timer K fires while in this state, the client
        //# transaction MUST transition to the "Terminated" state.
        (Completed, Fired(Timer::K)) => Step::end(End::Completed),
        (Trying | Proceeding, TransportError) => Step::end(End::Failed),
        (state, _) => Step::stay(state),
    }
}
