//! What can be wrong with a call on this crate. A peer's faults are events.

use sip_message::BuildError;
use sip_transaction::SendErrorKind;

/// A message that cannot make, confirm or refresh a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialogError {
    /// It has no Contact.
    #[error("no Contact")]
    NoContact,
    /// Contact, From, To, Call-ID, CSeq or Record-Route is malformed.
    #[error("a header field that makes the dialog is malformed")]
    Malformed,
}

/// A command that was not carried out. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The id is stale: what it named has ended.
    #[error("the id is stale")]
    Unknown,
    /// What the id names is in a state that does not allow this.
    #[error("not possible in this state")]
    WrongState,
    /// An offer has been made or received and not been answered, or another INVITE is in progress: wait for it.
    #[error("an offer or a re-INVITE is pending")]
    Pending,
    /// A session description is needed here.
    #[error("a session description is needed")]
    BodyNeeded,
    /// No session description may be sent here.
    #[error("no session description may be sent here")]
    BodyNotAllowed,
    /// A header field was given that may not stand in this message: such as a second Contact, where the one there is has a command or an
    /// option of its own.
    #[error("a header field may not stand here")]
    HeaderNotAllowed,
    /// The peer does not support what this needs.
    #[error("the peer does not support this")]
    NotSupported,
    /// The status is not one this command sends, or lacks what it must have: a 199 its Reason, a 421 its Require.
    #[error("the status is not one that can be sent here")]
    BadStatus,
    /// A value is malformed, such as a URI or a header field given by the host.
    #[error("a value is malformed: {0}")]
    Malformed(#[from] BuildError),
    /// The dialog cannot be made from the messages there are.
    #[error("no dialog can be made: {0}")]
    Dialog(#[from] DialogError),
    /// The transaction layer did not take the message.
    #[error("not sent: {0}")]
    Send(#[from] SendErrorKind),
    /// What was asked for within secure URIs (`sips:`) would go on without: see [`Invite::allow_insecure`](crate::Invite::allow_insecure).
    #[error("less secure than what asked for it")]
    Insecure,
    /// A limit of the configuration is reached.
    #[error("a limit is reached")]
    Full,
}
