//! What is told to the person or the program that looks on: a line for each event, as text or as JSON.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

/// Writes events to standard output.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    begun: Instant,
}

/// A value of an event.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(text)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl Report {
    pub(crate) fn new(json: bool) -> Report {
        Report { json, begun: Instant::now() }
    }

    /// Tells an event: its name and values for programs, a sentence for people.
    pub(crate) fn tell(&self, event: &str, values: &[(&str, Value<'_>)], text: &str) {
        let line = if self.json {
            json(self.begun.elapsed().as_millis(), event, values)
        } else {
            text.replace(|c: char| c.is_control() && c != '\n', " ")
        };
        // Whoever closed the pipe does not want it.
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}");
        let _ = out.flush();
    }

    /// Shows a picture of several lines.
    pub(crate) fn draw(&self, picture: &str) {
        if self.json {
            self.tell("ladder", &[("text", picture.into())], "");
        } else {
            self.tell("ladder", &[], &format!("\n{picture}"));
        }
    }
}

fn json(millis: u128, event: &str, values: &[(&str, Value<'_>)]) -> String {
    let mut line = format!("{{\"ms\":{millis},\"event\":");
    quote(event, &mut line);
    for (name, value) in values {
        line.push(',');
        quote(name, &mut line);
        line.push(':');
        match value {
            Value::Text(text) => quote(text, &mut line),
            Value::Number(number) => {
                let _ = write!(line, "{number}");
            }
        }
    }
    line.push('}');
    line
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_escaped() {
        let line = json(7, "message", &[("text", "a \"b\"\r\n\\ü".into()), ("status", 200.into())]);
        assert_eq!(line, r#"{"ms":7,"event":"message","text":"a \"b\"\u000d\n\\ü","status":200}"#);
    }
}
