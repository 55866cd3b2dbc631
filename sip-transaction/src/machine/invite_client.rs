//! The INVITE client transaction: RFC 3261 section 17.1.1 with RFC 6026.
//!
//! ```text
//!                                   |INVITE from TU
//!                 Timer A fires     |INVITE sent      Timer B fires
//!                 Reset A,          V                 or Transport Err.
//!                 INVITE sent +-----------+           inform TU
//!                   +---------|           |--------------------------+
//!                   |         |  Calling  |                          |
//!                   +-------->|           |-----------+              |
//!    300-699                  +-----------+ 2xx       |              |
//!    ACK sent                    |  | 1xx             | 2xx to TU    |
//!    resp. to TU +---------------+  | 1xx to TU       |              |
//!                |  1xx             V                 |              |
//!                |  1xx to TU +-----------+           |              |
//!                |    +-------|           |           |              |
//!                |    |       |Proceeding |---------->|              |
//!                |    +------>|           | 2xx       |              |
//!                |            +-----------+ 2xx to TU |              |
//!                |<--------------+  300-699           |              |
//!                |                  ACK sent          |              |
//!                V   300-699        resp. to TU       V              |
//!          +-----------+  ACK sent              +-----------+        |
//!          |           |----+                   |           |---+    |
//!          | Completed |    |                   | Accepted  |   | 2xx|
//!          |           |<---+                   |           |<--+ 2xx to TU
//!          +-----------+                        +-----------+        |
//!                |  Timer D fires                     | Timer M fires|
//!                |  or Transport Err.                 |              |
//!                V                                    V              V
//!          +---------------------------------------------------------+
//!          |                       Terminated                        |
//!          +---------------------------------------------------------+
//! ```
//! Figure 5 of RFC 3261 as RFC 6026 has it. Two more edges: in Proceeding, Timer C tells the TU (section 16.8), and
//! 64 * T1 after a CANCEL the transaction is given up (section 9.1).

use super::{Actions, End, Set, Status, Step};
use crate::timers::Timer;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Occurrence {
    Response(Status),
    Timer(Timer),
    TransportError,
}

/// The first step: Calling, with the INVITE sent.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
//# The initial state, "calling", MUST be entered when the TU initiates a
//# new client transaction with an INVITE request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
//# The client
//# transaction MUST pass the request to the transport layer for
//# transmission (see Section 18).
pub(crate) fn start(reliable: bool) -> Step<State> {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //# If an unreliable transport is being
    //# used, the client transaction MUST start timer A with a value of T1.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //# If a reliable transport is being used, the client transaction SHOULD
    //# NOT start timer A (Timer A controls request retransmissions).
    let a = if reliable { Set::Clear } else { Set::Start(Timer::A) };
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //# For
    //# any transport, the client transaction MUST start timer B with a value
    //# of 64*T1 seconds (Timer B controls transaction timeouts).
    Step::to(State::Calling).with(Actions::SEND).retransmit(a).state_timer(Set::Start(Timer::B))
}

pub(crate) fn on(state: State, what: Occurrence, reliable: bool) -> Step<State> {
    use Occurrence::{Response, Timer as Fired, TransportError};
    use State::{Accepted, Calling, Completed, Proceeding};
    match (state, what) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# When timer A fires, the client transaction MUST retransmit the
        //# request by passing it to the transport layer, and MUST reset the
        //# timer with a value of 2*T1.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# These retransmissions SHOULD only be done while the
        //# client transaction is in the "calling" state.
        (Calling, Fired(Timer::A)) => Step::stay(Calling).with(Actions::SEND).retransmit(Set::Start(Timer::A)),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# If the client transaction is still in the "Calling" state when timer
        //# B fires, the client transaction SHOULD inform the TU that a timeout
        //# has occurred.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# The client transaction MUST NOT generate an ACK.
        (Calling, Fired(Timer::B)) => Step::end(End::TimedOut),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# In the "Proceeding" state, the client transaction
        //# SHOULD NOT retransmit the request any longer.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# Furthermore, the
        //# provisional response MUST be passed to the TU.
        (Calling, Response(Status::Provisional)) => Step::to(Proceeding).with(Actions::PASS),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# Any further
        //# provisional responses MUST be passed up to the TU while in the
        //# "Proceeding" state.
        (Proceeding, Response(Status::Provisional)) => Step::stay(Proceeding).with(Actions::PASS),
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# When a 2xx response is received while in either the "Calling" or "Proceeding" states, the client
        //# transaction MUST transition to the "Accepted" state, and Timer M MUST be started with a value of
        //# 64*T1.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# The 2xx response MUST be passed up to the TU.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
        //# The client transaction MUST NOT generate an ACK to any 2xx response on its own.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# The client transaction MUST NOT generate an ACK to the 2xx response -- its handling is delegated to
        //# the TU.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //= type=exception
        //= reason=RFC 6026 section 8.4 replaced it: the transaction goes to Accepted
        //# When in either the "Calling" or "Proceeding" states, reception of a 2xx response MUST cause the
        //# client transaction to enter the "Terminated" state, and the response MUST be passed up to the TU.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
        //# If a 2xx response is
        //# received while the client INVITE state machine is in the "Calling" or
        //# "Proceeding" states, it MUST transition to the "Accepted" state, pass
        //# the 2xx response to the TU, and set Timer M to 64*T1.
        (Calling | Proceeding, Response(Status::Success)) => {
            Step::to(Accepted).with(Actions::PASS).state_timer(Set::Start(Timer::M))
        }
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# Any 2xx responses that match this client transaction and that are received while in the "Accepted"
        //# state MUST be passed up to the TU.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# The client transaction MUST NOT generate an ACK to the 2xx response.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
        //# A 2xx response
        //# received while in the "Accepted" state MUST be passed to the TU and
        //# the machine remains in the "Accepted" state.
        (Accepted, Response(Status::Success)) => Step::stay(Accepted).with(Actions::PASS),
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# If Timer M fires while the client transaction is in the "Accepted" state, the client transaction
        //# MUST move to the "Terminated" state.
        //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
        //# When Timer M fires and the state machine is in the "Accepted" state,
        //# the machine MUST transition to the "Terminated" state.
        (Accepted, Fired(Timer::M)) => Step::end(End::Completed),
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# When in either the "Calling" or "Proceeding" states, reception of a response with status code from
        //# 300-699 MUST cause the client transaction to transition to "Completed".
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# The client transaction MUST pass the received response up to the TU, and the client transaction MUST
        //# generate an ACK request, even if the transport is reliable (guidelines for constructing the ACK from
        //# the response are given in Section 17.1.1.3), and then pass the ACK to the transport layer for
        //# transmission.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# When in either the "Calling" or "Proceeding" states, reception of a
        //# response with status code from 300-699 MUST cause the client
        //# transaction to transition to "Completed".
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# The client transaction
        //# MUST pass the received response up to the TU, and the client
        //# transaction MUST generate an ACK request, even if the transport is
        //# reliable
        (Calling | Proceeding, Response(Status::Failure)) => {
            //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
            //# The client transaction MUST start Timer D when it enters the "Completed" state for any reason, with
            //# a value of at least 32 seconds for unreliable transports, and a value of zero seconds for reliable
            //# transports.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
            //# The client transaction SHOULD start timer D when it enters the
            //# "Completed" state, with a value of at least 32 seconds for unreliable
            //# transports, and a value of zero seconds for reliable transports.
            let step = if reliable {
                Step::end(End::Completed)
            } else {
                Step::to(Completed).state_timer(Set::Start(Timer::D))
            };
            step.with(Actions::PASS.and(Actions::ACK))
        }
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# Any retransmissions of a response with status code 300-699 that are received while in the
        //# "Completed" state MUST cause the ACK to be re-passed to the transport layer for retransmission, but
        //# the newly received response MUST NOT be passed up to the TU.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# Any retransmissions of the final response that are received while in
        //# the "Completed" state MUST cause the ACK to be re-passed to the
        //# transport layer for retransmission, but the newly received response
        //# MUST NOT be passed up to the TU.
        (Completed, Response(Status::Failure)) => Step::stay(Completed).with(Actions::ACK),
        //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
        //# If Timer D fires while the client transaction is in the "Completed" state, the client transaction
        //# MUST move to the "Terminated" state.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //# If timer D fires while the client transaction is in the "Completed"
        //# state, the client transaction MUST move to the terminated state.
        (Completed, Fired(Timer::D)) => Step::end(End::Completed),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.4
        //# The client transaction SHOULD inform the TU that a transport failure
        //# has occurred, and the client transaction SHOULD transition directly
        //# to the "Terminated" state.
        (Calling | Proceeding | Completed, TransportError) => Step::end(End::Failed),
        //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
        //# If
        //# there is no final response for the original request in 64*T1 seconds
        //# (T1 is defined in Section 17.1.1.1), the client SHOULD then consider
        //# the original transaction cancelled and SHOULD destroy the client
        //# transaction handling the original request.
        (Proceeding, Fired(Timer::Cancelled)) => Step::end(End::Cancelled),
        (Proceeding, Fired(Timer::C)) => Step::stay(Proceeding).with(Actions::INFORM),
        (state, _) => Step::stay(state),
    }
}
