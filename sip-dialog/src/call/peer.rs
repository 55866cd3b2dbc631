//! What a peer says it can do, in Allow and Supported. Knows nothing of dialogs.

use sip_message::{Header, Message};

use crate::codec::{Reader, Wire};

/// What a peer has said it can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) u8);

impl Peer {
    pub(crate) const UPDATE: u8 = 1;
    pub(crate) const TIMER: u8 = 2;
    pub(crate) const RELIABLE: u8 = 4;
    pub(crate) const REPLACES: u8 = 8;
    pub(crate) const NOREFERSUB: u8 = 16;

    /// What option tags in Supported say.
    const TAGS: [(u8, &str); 4] = [
        (Peer::TIMER, "timer"),
        (Peer::RELIABLE, "100rel"),
        (Peer::REPLACES, "replaces"),
        (Peer::NOREFERSUB, "norefersub"),
    ];

    pub(crate) fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    pub(super) fn learn(&mut self, message: &Message, heard: &mut Heard) {
        if message.has(Header::Allow) {
            let read = |field: &[u8]| if lists(field, b"UPDATE", <[u8]>::eq) { Peer::UPDATE } else { 0 };
            let fields = message.fields(Header::Allow);
            self.0 = fields.fold(self.0 & !Peer::UPDATE, |known, field| known | heard.allow.flags(field, read));
        }
        if message.has(Header::Supported) {
            let fields = message.fields(Header::Supported);
            self.0 =
                fields.fold(self.0 & Peer::UPDATE, |known, field| known | heard.supported.flags(field, Peer::tags));
        }
    }

    fn tags(field: &[u8]) -> u8 {
        let has = |tag: &&(u8, &str)| lists(field, tag.1.as_bytes(), <[u8]>::eq_ignore_ascii_case);
        Peer::TAGS.iter().filter(has).fold(0, |known, (flag, _)| known | flag)
    }
}

/// What was read last. Peers of one make say the same in each message, so that it need not be read again.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    allow: Last,
    supported: Last,
}

/// The last value of a field, and what it says.
#[derive(Debug)]
struct Last {
    value: [u8; Last::LONGEST],
    len: usize,
    flags: u8,
}

impl Default for Last {
    fn default() -> Self {
        Last { value: [0; Last::LONGEST], len: 0, flags: 0 }
    }
}

impl Last {
    /// Longer ones are read each time.
    const LONGEST: usize = 192;

    /// What `read` says of a value, as it always does.
    fn flags(&mut self, value: &[u8], read: impl FnOnce(&[u8]) -> u8) -> u8 {
        if self.value.get(..self.len).is_some_and(|last| last == value) {
            return self.flags;
        }
        let flags = read(value);
        if let Some(held) = self.value.get_mut(..value.len()) {
            held.copy_from_slice(value);
            (self.len, self.flags) = (value.len(), flags);
        }
        flags
    }
}

/// Whether a field that lists tokens has this one, which `is` compares. By its first letter: that is faster than to take the list
/// apart.
pub(crate) fn lists(field: &[u8], token: &[u8], is: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    let Some(&first) = token.first() else { return false };
    let edge = |b: Option<&u8>| b.is_none_or(|&b| b == b',' || b.is_ascii_whitespace());
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    memchr::memchr2_iter(lower, upper, field).any(|at| {
        let end = at + token.len();
        field.get(at..end).is_some_and(|text| is(text, token))
            && edge(at.checked_sub(1).and_then(|before| field.get(before)))
            && edge(field.get(end))
    })
}

impl Wire for Peer {
    fn write(&self, out: &mut crate::codec::Writer) {
        out.u8(self.0);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        u8::read(input).map(Peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn supports(value: &str) -> u8 {
        let mut heard = Heard::default();
        heard.supported.flags(value.as_bytes(), Peer::tags)
    }

    #[test]
    fn tags_are_found_whole_in_any_case_and_nowhere_else() {
        assert_eq!(supports("100REL , timer"), Peer::RELIABLE | Peer::TIMER);
        assert_eq!(supports("x100rel, timers, replaces;x"), 0);
        assert_eq!(supports(""), 0);
        assert_eq!(supports("norefersub,replaces"), Peer::NOREFERSUB | Peer::REPLACES);
    }

    proptest! {
        /// What was heard before says nothing of what is heard now.
        #[test]
        fn each_value_is_read_for_what_it_is(
            values in proptest::collection::vec("(100rel|timer|x|replaces|norefersub)?(,(timer|100rel|[a-z]{0,80})){0,4}", 1..8),
            again in 0usize..8,
        ) {
            let mut heard = Heard::default();
            let again: &String = &values[again % values.len()];
            for value in values.iter().chain([again, again]) {
                let flags = heard.supported.flags(value.as_bytes(), Peer::tags);
                prop_assert_eq!(flags, Peer::tags(value.as_bytes()));
            }
        }
    }
}
