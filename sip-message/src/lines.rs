//! Header lines that are checked once and written into any number of messages.
//!
//! Owns complete lines and their index entries. Knows nothing of messages: builders append it as it is.

use crate::compose::{self, BuildError, BuildFault, fault};
use crate::header::{Header, HeaderName};
use crate::index::Entry;
use crate::message::Message;
use crate::name_addr::NameAddr;
use crate::scan;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Display;
use smallvec::SmallVec;

/// Header fields that many messages share: what all requests of a dialog begin with, or what an agent says of itself.
///
/// Each value is checked when it comes in; writing all of them into a message with [`RequestBuilder::lines`] or
/// [`ResponseBuilder::lines`] is a copy.
///
/// ```
/// use sip_message::{Header, Lines, Message, Method};
/// let mut ours = Lines::new();
/// ours.push(Header::From, "<sip:alice@atlanta.com>;tag=88sja8x")?;
/// ours.push(Header::To, "<sip:bob@biloxi.com>;tag=99sa0xk")?;
/// ours.push(Header::CallId, "a84b4c76e66710")?;
/// assert_eq!(ours.field(Header::CallId), Some(&b"a84b4c76e66710"[..]));
/// let bye = Message::request(Method::Bye, "sip:bob@192.0.2.4").lines(&ours).cseq(231).build()?;
/// assert_eq!(bye.from()?.tag()?, Some("88sja8x"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`RequestBuilder::lines`]: crate::RequestBuilder::lines
/// [`ResponseBuilder::lines`]: crate::ResponseBuilder::lines
#[derive(Clone, Debug, Default)]
pub struct Lines {
    bytes: Box<[u8]>,
    entries: SmallVec<[Entry; 4]>,
}

impl PartialEq for Lines {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Lines {}

impl Lines {
    /// None.
    pub fn new() -> Self {
        Lines::default()
    }

    /// Adds a field.
    ///
    /// # Errors
    ///
    /// The value is not of its header's form, or the field is Content-Length, which builders write.
    pub fn push<'n>(&mut self, name: impl Into<HeaderName<'n>>, value: impl Display) -> Result<(), BuildError> {
        let name = name.into().resolved();
        if name.known() == Some(Header::ContentLength) {
            return Err(fault(BuildFault::Repeated, Header::ContentLength));
        }
        self.add(|out| compose::line(out, name, value))
    }

    /// Adds the fields of `other` behind its own.
    pub fn append(&mut self, other: &Lines) {
        let offset = self.bytes.len() as u32;
        self.entries.extend(other.entries.iter().map(|entry| Entry { line: offset + entry.line, ..*entry }));
        self.bytes = [&self.bytes[..], &other.bytes[..]].concat().into();
    }

    /// Adds From, To and Call-ID, as the requests of a dialog have them: names and URIs of `from` and `to` with these tags (as [`DialogIds`](crate::DialogIds) has them),
    /// whatever other parameters they have, and the Call-ID of `message`.
    ///
    /// # Errors
    ///
    /// A URI is malformed; a tag is no token; there is no Call-ID, or it has something in it that could end its line.
    pub fn push_dialog(
        &mut self,
        message: &Message,
        from: (&NameAddr<'_>, Option<&[u8]>),
        to: (&NameAddr<'_>, Option<&[u8]>),
    ) -> Result<(), BuildError> {
        let call_id = message.field(Header::CallId).ok_or(fault(BuildFault::Missing, Header::CallId))?;
        let size = |party: (&NameAddr<'_>, Option<&[u8]>)| {
            // Quotes and escapes that a display name may want come on top, seldom.
            let (name, tag) = (scan::trim(party.0.display_bytes()), party.1.unwrap_or_default());
            name.len() + usize::from(!name.is_empty()) + party.0.uri_bytes().len() + tag.len() + ";tag=<>\r\n".len()
        };
        let names = "From: To: Call-ID: \r\n".len();
        let mut out = Vec::with_capacity(self.bytes.len() + size(from) + size(to) + call_id.len() + names);
        out.extend_from_slice(&self.bytes);
        let from = compose::address_line(&mut out, Header::From, from.0, from.1)?;
        let to = compose::address_line(&mut out, Header::To, to.0, to.1)?;
        let call_id = compose::read_line(&mut out, Header::CallId, call_id)?;
        self.entries.extend_from_slice(&[from, to, call_id]);
        self.bytes = out.into();
        Ok(())
    }

    /// The value of the first field of `header`.
    pub fn field(&self, header: Header) -> Option<&[u8]> {
        let entry = self.entries.iter().find(|entry| entry.tag == header as u8)?;
        let line = entry.line as usize;
        self.bytes.get(line + usize::from(entry.value)..line + usize::from(entry.value_end))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The lines, and an entry for each that counts from their start.
    pub(crate) fn parts(&self) -> (&[u8], &[Entry]) {
        (&self.bytes, &self.entries)
    }

    fn add(&mut self, line: impl FnOnce(&mut Vec<u8>) -> Result<Entry, BuildError>) -> Result<(), BuildError> {
        let mut out = self.bytes.to_vec();
        let entry = line(&mut out)?;
        self.entries.push(entry);
        self.bytes = out.into();
        Ok(())
    }
}
