//! As much of XML as documents of the family need: elements, attributes and text, one after the other. No document types, no
//! entities but the five that are built in and characters by number, no depth that could grow.

use alloc::string::String;
use sip_transaction::cores::escape_xml;

/// A piece of a document. Names are without prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// `<name attributes>`, or `<name attributes/>`, which nothing closes.
    Open { name: &'a str, attributes: &'a str, empty: bool },
    /// `</name>`.
    Close(&'a str),
    /// What stands between, without blanks around it. Never empty.
    Text(&'a str),
}

/// The pieces of a document; `None` in the place of one that cannot be read, which is the last.
pub(super) struct Xml<'a> {
    rest: &'a str,
}

impl<'a> Xml<'a> {
    pub(super) fn new(document: &'a str) -> Self {
        Xml { rest: document.trim_start_matches('\u{feff}') }
    }

    /// The tag at the front, between its brackets.
    fn tag(&mut self) -> Option<&'a str> {
        let mut quote = None;
        let end = self.rest.bytes().position(|b| match (quote, b) {
            (None, b'>') => true,
            (None, b'"' | b'\'') => {
                quote = Some(b);
                false
            }
            (Some(begun), b) => {
                if begun == b {
                    quote = None;
                }
                false
            }
            _ => false,
        })?;
        let tag = self.rest.get(1..end)?;
        self.rest = self.rest.get(end + 1..)?;
        Some(tag)
    }

    fn read(&mut self) -> Option<Option<Part<'a>>> {
        loop {
            let (text, from) = self.rest.split_at(self.rest.find('<').unwrap_or(self.rest.len()));
            self.rest = from;
            let text = text.trim();
            if !text.is_empty() {
                return Some(Some(Part::Text(text)));
            }
            if from.is_empty() {
                return None;
            }
            for (begin, end) in [("<!--", "-->"), ("<?", "?>")] {
                if let Some(inside) = self.rest.strip_prefix(begin) {
                    match inside.split_once(end) {
                        Some((_, behind)) => self.rest = behind,
                        None => return Some(None),
                    }
                }
            }
            if self.rest.starts_with("<!") {
                return Some(None);
            }
            if self.rest.starts_with('<') && !self.rest.starts_with("<?") {
                break;
            }
        }
        let Some(tag) = self.tag() else { return Some(None) };
        if let Some(name) = tag.strip_prefix('/') {
            return Some(Some(Part::Close(local(name.trim_end()))));
        }
        let (tag, empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_at(tag.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tag.len()));
        if name.is_empty() {
            return Some(None);
        }
        Some(Some(Part::Open { name: local(name), attributes, empty }))
    }
}

impl<'a> Iterator for Xml<'a> {
    type Item = Option<Part<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let part = self.read();
        if part == Some(None) {
            self.rest = "";
        }
        part
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The value of an attribute, its entities replaced.
pub(super) fn value(mut attributes: &str, wanted: &str) -> Option<String> {
    loop {
        let (name, rest) = attributes.split_once('=')?;
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, behind) = rest.get(1..)?.split_once(quote)?;
        if name.trim() == wanted {
            return Some(unescaped(value));
        }
        attributes = behind;
    }
}

/// The longest name of an entity that is known: `#x10ffff`.
const LONGEST_ENTITY: usize = 8;

/// Text with its entities replaced; those that are unknown stay as they are.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('&') {
        out.push_str(before);
        // No further than the longest name goes, or text that is all `&` is read again from each of them.
        let end = from.bytes().take(LONGEST_ENTITY + 1).position(|byte| byte == b';');
        let entity = end.and_then(|end| Some((from.get(..end)?, from.get(end + 1..)?)));
        let known = entity.and_then(|(name, _)| match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)
            }
        });
        match (known, entity) {
            (Some(c), Some((_, behind))) => {
                out.push(c);
                rest = behind;
            }
            _ => {
                out.push('&');
                rest = from;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Appends an attribute.
pub(super) fn attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escape_xml(out, value);
    out.push('"');
}
