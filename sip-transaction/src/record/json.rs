//! As much of JSON as a recording needs: one flat object on each line, of strings and whole numbers.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Write as _;

pub(super) struct Line(String);

impl Line {
    pub(super) fn new(what: &str, which: &str) -> Line {
        let mut line = Line(String::from("{"));
        line.text(what, which);
        line
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    pub(super) fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        self.0.push_str(&number.to_string());
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quoted(text.chars());
    }

    /// Each byte is the character of its number.
    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.name(name);
        self.quoted(bytes.iter().map(|&byte| char::from(byte)));
    }

    fn quoted(&mut self, chars: impl Iterator<Item = char>) {
        self.0.push('"');
        for c in chars {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                ' '..='~' => self.0.push(c),
                c => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.0, "\\u{unit:04x}");
                    }
                }
            }
        }
        self.0.push('"');
    }

    pub(super) fn end(mut self, out: &mut String) {
        self.0.push_str("}\n");
        out.push_str(&self.0);
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(u64),
    Text(String),
}

/// The members of one line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object(Vec<(String, Value)>);

impl Object {
    /// `None` if the line is none of a recorder's.
    pub(super) fn parse(line: &str) -> Option<Object> {
        let mut rest = line.trim().strip_prefix('{')?;
        let mut members = Vec::new();
        loop {
            let (name, behind) = text(rest.trim_start())?;
            let behind = behind.trim_start().strip_prefix(':')?.trim_start();
            let (value, behind) = if behind.starts_with('"') {
                let (value, behind) = text(behind)?;
                (Value::Text(value), behind)
            } else {
                let end = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
                let (digits, behind) = behind.split_at(end);
                (Value::Number(digits.parse().ok()?), behind)
            };
            members.push((name, value));
            let behind = behind.trim_start();
            match behind.strip_prefix(',') {
                Some(more) => rest = more,
                None => return (behind == "}").then_some(Object(members)),
            }
        }
    }

    /// What the line is and which: its first member.
    pub(super) fn kind(&self) -> Option<(&str, &str)> {
        match self.0.first()? {
            (what, Value::Text(which)) => Some((what, which)),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.0.iter().find_map(|(known, value)| match value {
            Value::Number(number) if known == name => Some(*number),
            _ => None,
        })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(known, value)| match value {
            Value::Text(text) if known == name => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.text(name)?.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
    }
}

/// The string that `rest` begins with, and what is behind it.
fn text(rest: &str) -> Option<(String, &str)> {
    let rest = rest.strip_prefix('"')?;
    let mut out = String::new();
    let mut chars = rest.char_indices();
    let mut high = None;
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, rest.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                'u' => {
                    let mut unit = 0;
                    for _ in 0..4 {
                        unit = unit * 16 + chars.next()?.1.to_digit(16)?;
                    }
                    let unit = u16::try_from(unit).ok()?;
                    match (high.take(), unit) {
                        (None, 0xd800..=0xdbff) => high = Some(unit),
                        (high, unit) => {
                            let units = high.into_iter().chain([unit]);
                            out.push_str(&char::decode_utf16(units).collect::<Result<String, _>>().ok()?);
                        }
                    }
                }
                c @ ('"' | '\\' | '/') => out.push(c),
                _ => return None,
            },
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_character_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut line = Line::new("in", "datagram");
        line.bytes("bytes", &bytes);
        line.text("text", "\"\\ \u{1f980} ü\n");
        line.number("number", u64::MAX);
        let mut out = String::new();
        line.end(&mut out);
        assert!(out.is_ascii() && out.lines().count() == 1);
        let object = Object::parse(&out).unwrap();
        assert_eq!(object.kind(), Some(("in", "datagram")));
        assert_eq!(object.bytes("bytes"), Some(bytes));
        assert_eq!(object.text("text"), Some("\"\\ \u{1f980} ü\n"));
        assert_eq!(object.number("number"), Some(u64::MAX));
    }

    #[test]
    fn other_lines_are_refused() {
        for line in
            ["", "{", "{}", "[]", "{\"a\":1", "{\"a\":-1}", "{\"a\":\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\ud800\"}x"]
        {
            assert_eq!(Object::parse(line), None, "{line}");
        }
    }
}
