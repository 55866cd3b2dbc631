//! Hold: what session descriptions say of it (RFC 3264 section 8.4), and what a call knows of it. It never sends anything.

use crate::agent::UserAgentCore;
use crate::codec::wire;
use crate::event::CallEvent;
use crate::id::{CallHandle, DialogId};
use crate::offer_answer::Meaning;
use crate::sdp;

/// What a session description says of hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Halt {
    /// Whoever wrote it holds the other.
    holds: bool,
    /// It leaves the other no choice but to send nothing either, which then says nothing of whether the other holds, too.
    forces: bool,
}

impl Halt {
    fn of(sdp: &[u8]) -> Self {
        let holds = sdp::is_hold(sdp);
        Halt { holds, forces: holds && memchr::memmem::find(sdp, b"a=sendonly").is_none() }
    }

    /// Whether whoever answers an offer like this with that holds the other; `None`: as before.
    fn answered(self, answer: Halt) -> Option<bool> {
        (!(answer.holds && self.forces)).then_some(answer.holds)
    }
}

/// What the exchanges in a dialog say of hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    /// What the offer says that is pending, or was the last.
    offered: Halt,
    /// Whether we hold the peer, and the peer holds us, where exchanges that are through have said so and the call has not been told.
    ours: Option<bool>,
    theirs: Option<bool>,
}

impl Holding {
    /// We send a session description.
    pub(crate) fn said(&mut self, meaning: Meaning, sdp: &[u8]) {
        match meaning {
            Meaning::Offer => self.offered = Halt::of(sdp),
            Meaning::Answer => {
                self.ours = self.offered.answered(Halt::of(sdp)).or(self.ours);
                self.theirs = Some(self.offered.holds);
            }
            _ => {}
        }
    }

    /// The peer has sent one.
    pub(crate) fn heard(&mut self, meaning: Meaning, sdp: &[u8]) {
        match meaning {
            Meaning::Offer => self.offered = Halt::of(sdp),
            Meaning::Answer => {
                self.theirs = self.offered.answered(Halt::of(sdp)).or(self.theirs);
                self.ours = Some(self.offered.holds);
            }
            _ => {}
        }
    }

    /// What the offer we have just sent is meant to do, whatever it says.
    pub(super) fn meant(&mut self, holds: bool) {
        self.offered.holds = holds;
    }
}

impl UserAgentCore {
    /// Takes over what the exchanges in the dialog of a call have said of hold. Before it is accepted that waits.
    pub(super) fn take_hold(&mut self, call: CallHandle, dialog: DialogId) {
        let accepted = self.calls.get(call).is_some_and(|found| found.accepted && found.dialog == Some(dialog));
        let Some(entry) = self.dialogs.get_mut(dialog).filter(|_| accepted) else { return };
        let (ours, theirs) = (entry.holding.ours.take(), entry.holding.theirs.take());
        self.note_hold(call, ours, theirs);
    }

    /// Takes over what is known of hold, and tells what has changed.
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

wire!(struct Halt { holds, forces });
wire!(struct Holding { offered, ours, theirs });
