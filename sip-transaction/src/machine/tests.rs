//! The whole of each machine: every state and everything that can happen in it, over both kinds of transport, as one text
//! that is compared with `matrix.txt`. What is left out there changes nothing.

use super::{Status, Step, invite_client, invite_server, noninvite_client, noninvite_server};
use crate::timers::Timer;
use alloc::format;
use alloc::string::String;
use core::fmt::Debug;

const STATUSES: [Status; 3] = [Status::Provisional, Status::Success, Status::Failure];

fn line<S: Debug + PartialEq + Copy>(state: Option<S>, what: &dyn Debug, steps: [Step<S>; 2]) -> String {
    let show = |step: &Step<S>| {
        if state.is_some_and(|state| *step == Step::stay(state)) {
            return String::from("-");
        }
        let next = match step.next {
            Ok(next) => format!("{next:?}"),
            Err(end) => format!("end {end:?}"),
        };
        format!("{next}; do {:?}; retransmit {:?}; state {:?}", step.actions, step.retransmit, step.state)
    };
    let [unreliable, reliable] = [show(&steps[0]), show(&steps[1])];
    if unreliable == "-" && reliable == "-" {
        return String::new();
    }
    let state = state.map_or(String::from("start"), |state| format!("{state:?}"));
    if unreliable == reliable {
        format!("{state} on {what:?}\n    {unreliable}\n")
    } else {
        format!("{state} on {what:?}\n    unreliable: {unreliable}\n    reliable:   {reliable}\n")
    }
}

fn matrix() -> String {
    let mut out = String::new();
    {
        use invite_client::{Occurrence, State, on, start};
        out += "# INVITE client\n";
        out += &line(None::<State>, &"request", [start(false), start(true)]);
        for state in [State::Calling, State::Proceeding, State::Completed, State::Accepted] {
            let timers = [Timer::A, Timer::B, Timer::C, Timer::D, Timer::M, Timer::Cancelled];
            let all = STATUSES.map(Occurrence::Response).into_iter().chain(timers.map(Occurrence::Timer));
            for what in all.chain([Occurrence::TransportError]) {
                out += &line(Some(state), &what, [on(state, what, false), on(state, what, true)]);
            }
        }
    }
    {
        use noninvite_client::{Occurrence, State, on, start};
        out += "\n# Non-INVITE client\n";
        out += &line(None::<State>, &"request", [start(false), start(true)]);
        for state in [State::Trying, State::Proceeding, State::Completed] {
            let timers = [Timer::E, Timer::F, Timer::K];
            let all = STATUSES.map(Occurrence::Response).into_iter().chain(timers.map(Occurrence::Timer));
            for what in all.chain([Occurrence::TransportError]) {
                out += &line(Some(state), &what, [on(state, what, false), on(state, what, true)]);
            }
        }
    }
    {
        use invite_server::{Occurrence, State, on, start};
        out += "\n# INVITE server\n";
        out += &line(None::<State>, &"INVITE", [start(), start()]);
        for state in [State::Proceeding, State::Completed, State::Confirmed, State::Accepted] {
            let timers = [Timer::Trying, Timer::Answer, Timer::G, Timer::H, Timer::I, Timer::L];
            let all = STATUSES.map(Occurrence::Respond).into_iter().chain([Occurrence::Invite, Occurrence::Ack]);
            for what in all.chain(timers.map(Occurrence::Timer)).chain([Occurrence::TransportError]) {
                out += &line(Some(state), &what, [on(state, what, false), on(state, what, true)]);
            }
        }
    }
    {
        use noninvite_server::{Occurrence, State, on, start};
        out += "\n# Non-INVITE server\n";
        out += &line(None::<State>, &"request", [start(), start()]);
        for state in [State::Trying, State::Proceeding, State::Completed] {
            let timers = [Timer::Trying, Timer::Answer, Timer::J];
            let all = STATUSES.map(Occurrence::Respond).into_iter().chain([Occurrence::Request]);
            for what in all.chain(timers.map(Occurrence::Timer)).chain([Occurrence::TransportError]) {
                out += &line(Some(state), &what, [on(state, what, false), on(state, what, true)]);
            }
        }
    }
    out
}

#[test]
fn every_state_and_occurrence_is_as_written_down() {
    let matrix = matrix();
    assert!(matrix == include_str!("matrix.txt"), "the machines have changed; they are now:\n{matrix}");
}
