//! Hold: what session descriptions say of it (RFC 3264 section 8.4), and what a call knows of it. It never sends anything.

use sip_message::Message;

use crate::agent::UserAgentCore;
use crate::codec::wire;
use crate::event::CallEvent;
use crate::id::CallHandle;
use crate::sdp;

/// What a session description says of hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Halt {
    /// Whoever wrote it holds the other.
    pub(super) holds: bool,
    /// It leaves the other no choice but to send nothing either, which then says nothing of whether the other holds, too.
    forces: bool,
}

impl Halt {
    pub(super) fn of(sdp: &[u8]) -> Self {
        let holds = sdp::is_hold(sdp);
        Halt { holds, forces: holds && memchr::memmem::find(sdp, b"a=sendonly").is_none() }
    }

    /// Whether whoever answers an offer like this with that holds the other; `None`: as before.
    pub(super) fn answered(self, answer: Halt) -> Option<bool> {
        (!(answer.holds && self.forces)).then_some(answer.holds)
    }
}

impl UserAgentCore {
    /// Takes over what an exchange has said of hold, where it has.
    pub(super) fn note_hold(&mut self, call: CallHandle, ours: Option<bool>, theirs: Option<bool>) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let ours = ours.filter(|held| *held != found.local_hold);
        let theirs = theirs.filter(|held| *held != found.remote_hold);
        found.local_hold = ours.unwrap_or(found.local_hold);
        found.remote_hold = theirs.unwrap_or(found.remote_hold);
        for (by_peer, held) in [(false, ours), (true, theirs)] {
            if let Some(held) = held {
                self.call_event(call, CallEvent::Hold { by_peer, held });
            }
        }
    }
}

/// What the offer in a request says of hold; `None` if it has none.
pub(super) fn offered_hold(request: &Message) -> Option<Halt> {
    crate::body::carries_session(request).then(|| Halt::of(request.body()))
}

wire!(struct Halt { holds, forces });
