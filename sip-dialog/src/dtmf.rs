//! DTMF in INFO: the bodies `application/dtmf-relay` and `application/dtmf`, which no RFC defines and many telephones send.

use alloc::format;
use core::time::Duration;
use sip_message::headers::MediaType;
use sip_message::{FieldValue, Header, Message};

use crate::body::Body;

/// What was pressed: `0` to `9`, `*`, `#`, `A` to `D`, or `!` for a hook flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tone(char);

impl Tone {
    /// The tone of a character; `None` if it is none of them. Small letters are taken for large ones.
    ///
    /// ```
    /// use sip_dialog::Tone;
    /// assert_eq!(Tone::new('a').map(Tone::as_char), Some('A'));
    /// assert_eq!(Tone::new('x'), None);
    /// ```
    pub const fn new(c: char) -> Option<Tone> {
        match c.to_ascii_uppercase() {
            c @ ('0'..='9' | '*' | '#' | 'A'..='D' | '!') => Some(Tone(c)),
            _ => None,
        }
    }

    /// The character.
    pub const fn as_char(self) -> char {
        self.0
    }

    /// The event number of RFC 4733, for those who say `10` for `*`.
    fn of_number(n: u32) -> Option<Tone> {
        match n {
            0..=9 => char::from_digit(n, 10).and_then(Tone::new),
            10 => Tone::new('*'),
            11 => Tone::new('#'),
            12..=15 => char::from_u32('A' as u32 + n - 12).and_then(Tone::new),
            16 => Tone::new('!'),
            _ => None,
        }
    }
}

/// A body of `application/dtmf-relay`.
pub(crate) fn body(tone: Tone, duration: Duration) -> Body {
    Body::new("application/dtmf-relay", format!("Signal={}\r\nDuration={}\r\n", tone.as_char(), duration.as_millis()))
}

fn tone(text: &str) -> Option<Tone> {
    let mut chars = text.trim().chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Tone::new(c),
        _ => text.trim().parse().ok().and_then(Tone::of_number),
    }
}

/// The tone in an INFO, if its body is one of the two types.
pub(crate) fn read(message: &Message) -> Option<(Tone, Option<Duration>)> {
    let kind = message.field(Header::ContentType).and_then(|value| MediaType::parse_value(value).ok())?;
    let text = core::str::from_utf8(message.body()).ok()?;
    if kind.is("application/dtmf") {
        return Some((tone(text)?, None));
    }
    if !kind.is("application/dtmf-relay") {
        return None;
    }
    let (mut signal, mut duration) = (None, None);
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        match name.trim() {
            name if name.eq_ignore_ascii_case("signal") => signal = tone(value),
            name if name.eq_ignore_ascii_case("duration") => {
                duration = value.trim().parse().ok().map(Duration::from_millis);
            }
            _ => {}
        }
    }
    signal.map(|tone| (tone, duration))
}
