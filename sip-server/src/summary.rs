//! Message summaries (RFC 3842): what the notifications of the `message-summary` event package say.
//!
//! Owns the text of one document. Subscriptions, and who may have one, are a notifier's; how many messages wait, a mailbox's.

use alloc::string::String;
use core::fmt;
use sip_message::Uri;

/// How many messages of one kind there are, new ones and old ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCount {
    /// Not yet heard.
    pub new: u32,
    /// Heard.
    pub old: u32,
    /// Of the new ones, those that are urgent.
    pub urgent_new: u32,
    /// Of the old ones, those that are urgent.
    pub urgent_old: u32,
}

/// The state of a mailbox, to be written by `Display` and sent by a notifier as [`CONTENT_TYPE`](MessageSummary::CONTENT_TYPE).
///
/// ```
/// use sip_server::{MessageCount, MessageSummary};
/// let mut summary = MessageSummary::new("sip:alice@vmail.example.com").unwrap();
/// summary.set("voice-message", MessageCount { new: 2, old: 8, urgent_new: 0, urgent_old: 2 }).unwrap();
/// assert_eq!(
///     summary.to_string(),
///     "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\nVoice-Message: 2/8 (0/2)\r\n"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSummary {
    account: String,
    counts: [Option<MessageCount>; CLASSES.len()],
}

/// The classes of RFC 3458 section 6.2, as they are written.
const CLASSES: [&str; 6] =
    ["Voice-Message", "Fax-Message", "Pager-Message", "Multimedia-Message", "Text-Message", "None"];

/// The value cannot stand in a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SummaryError {
    /// The account is no URI.
    #[error("the account is no URI")]
    Account,
    /// There is no such class of messages (RFC 3458 section 6.2).
    #[error("there is no such class of messages")]
    Class,
}

impl MessageSummary {
    /// The name of the event package.
    pub const EVENT: &'static str = "message-summary";

    /// The type of the documents.
    pub const CONTENT_TYPE: &'static str = "application/simple-message-summary";

    /// An empty mailbox: the account that its owner calls to hear the messages.
    ///
    /// # Errors
    ///
    /// [`SummaryError::Account`].
    //= https://www.rfc-editor.org/rfc/rfc3842#section-3.5
    //# corresponds to a group or collection of individual messaging
    //# accounts, the notifier MUST specify to which account the message-
    //# summary body corresponds.
    pub fn new(account: impl Into<String>) -> Result<MessageSummary, SummaryError> {
        let account = account.into();
        match Uri::parse(account.as_bytes()) {
            Ok(_) => Ok(MessageSummary { account, counts: [None; CLASSES.len()] }),
            Err(_) => Err(SummaryError::Account),
        }
    }

    /// Says how many messages of a class there are: `voice-message`, `fax-message`, `pager-message`, `multimedia-message`,
    /// `text-message` or `none`, in any case.
    ///
    /// # Errors
    ///
    /// [`SummaryError::Class`].
    pub fn set(&mut self, class: &str, count: MessageCount) -> Result<(), SummaryError> {
        let place = CLASSES.iter().position(|known| known.eq_ignore_ascii_case(class)).ok_or(SummaryError::Class)?;
        if let Some(place) = self.counts.get_mut(place) {
            *place = Some(count);
        }
        Ok(())
    }

    /// Whether new messages wait.
    pub fn is_waiting(&self) -> bool {
        self.counts.iter().flatten().any(|count| count.new > 0)
    }
}

impl fmt::Display for MessageSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Messages-Waiting: {}\r\n", if self.is_waiting() { "yes" } else { "no" })?;
        write!(f, "Message-Account: {}\r\n", self.account)?;
        for (class, count) in CLASSES.iter().zip(&self.counts) {
            let Some(MessageCount { new, old, urgent_new, urgent_old }) = count else { continue };
            write!(f, "{class}: {new}/{old}")?;
            if *urgent_new > 0 || *urgent_old > 0 {
                write!(f, " ({urgent_new}/{urgent_old})")?;
            }
            f.write_str("\r\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    //= https://www.rfc-editor.org/rfc/rfc3842#section-3.5
    //= type=test
    //# corresponds to a group or collection of individual messaging
    //# accounts, the notifier MUST specify to which account the message-
    //# summary body corresponds.
    #[test]
    fn an_empty_mailbox_has_nothing_waiting_and_says_whose_it_is() {
        let mut summary = MessageSummary::new("sip:alice@vmail.example.com").unwrap();
        assert_eq!(summary.to_string(), "Messages-Waiting: no\r\nMessage-Account: sip:alice@vmail.example.com\r\n");
        summary.set("FAX-message", MessageCount { old: 3, ..MessageCount::default() }).unwrap();
        assert!(!summary.is_waiting() && summary.to_string().ends_with("\r\nFax-Message: 0/3\r\n"));
        let most = MessageCount { new: u32::MAX, urgent_new: u32::MAX, ..MessageCount::default() };
        summary.set("voice-message", most).unwrap();
        assert!(summary.to_string().contains("Voice-Message: 4294967295/0 (4294967295/0)\r\n"));
        assert!(summary.to_string().starts_with("Messages-Waiting: yes\r\n"));
    }

    #[test]
    fn what_cannot_stand_there_is_refused() {
        assert_eq!(MessageSummary::new("sip:a@h\r\nX: y"), Err(SummaryError::Account));
        let mut summary = MessageSummary::new("sip:a@h").unwrap();
        assert_eq!(summary.set("carrier-pigeon", MessageCount::default()), Err(SummaryError::Class));
    }
}
