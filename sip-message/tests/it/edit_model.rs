//! Edits in any order, against a model of them: the lines of a message as text.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use proptest::prelude::*;
use sip_message::{BuildError, BuildFault, Header, Message};

/// One field: its name, whether the message came with it, and what is written behind the name.
#[derive(Clone, Debug)]
struct Line {
    header: &'static str,
    values: Vec<String>,
    /// The line as it came, until it is touched.
    raw: Option<String>,
}

#[derive(Clone, Debug)]
struct Model {
    uri: String,
    lines: Vec<Line>,
    body: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Edit {
    Push(usize, usize),
    PushFront(usize, usize),
    Set(usize, usize),
    Remove(usize),
    SetValue(usize, usize, usize),
    RemoveValue(usize, usize),
    PushVia(usize),
    PopVia,
    PushRoute(usize),
    PopRoute,
    PushRecordRoute(usize),
    ViaParam(usize, usize),
    Decrement,
    Uri(usize),
    Body(usize),
    Copy(usize),
}

/// Headers the edits work on, with values they may have. None holds a comma.
const HEADERS: [(&str, &[&str]); 6] = [
    ("Via", &["SIP/2.0/UDP a.example.com;branch=z9hG4bK1", "SIP/2.0/TCP [2001:db8::1]:5070;branch=z9hG4bK2;rport"]),
    ("Route", &["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>;x=\"q;\\\"\"", "\"P\" <sip:p3.example.com>"]),
    ("Record-Route", &["<sip:r1.example.com;lr>", "<sips:r2.example.com>"]),
    ("Supported", &["100rel", "timer", "x"]),
    ("X-Own", &["one", "two  words", "\"quoted\""]),
    ("Subject", &["lunch", "no lunch"]),
];
const LISTS: usize = 4;
const URIS: [&str; 3] = ["sip:bob@biloxi.com", "sip:192.0.2.4;transport=tcp", "tel:+15551234"];
const BODIES: [&str; 3] = ["", "v=0\r\n", "another body\r\nCall-ID: none\r\n\r\n"];

fn value(header: usize, n: usize) -> &'static str {
    let values = HEADERS[header].1;
    values[n % values.len()]
}

impl Model {
    fn first(&self, header: &str) -> Option<usize> {
        self.lines.iter().position(|line| line.header == header)
    }

    fn insert(&mut self, at: usize, header: &'static str, value: &str) {
        self.lines.insert(at, Line { header, values: vec![value.into()], raw: None });
    }

    /// Line and place in it of the value number `at`.
    fn value(&self, header: &str, at: usize) -> Option<(usize, usize)> {
        let mut left = at;
        for (number, line) in self.lines.iter().enumerate().filter(|(_, line)| line.header == header) {
            if left < line.values.len() {
                return Some((number, left));
            }
            left -= line.values.len();
        }
        None
    }

    fn set(&mut self, header: &'static str, value: &str) {
        match self.first(header) {
            None => self.insert(self.lines.len(), header, value),
            Some(at) => {
                self.lines[at] = Line { header, values: vec![value.into()], raw: None };
                let mut number = 0;
                self.lines.retain(|line| {
                    number += 1;
                    number - 1 <= at || line.header != header
                });
            }
        }
    }

    fn remove_value(&mut self, header: &str, at: usize) -> bool {
        let Some((line, place)) = self.value(header, at) else { return false };
        self.lines[line].values.remove(place);
        self.lines[line].raw = None;
        if self.lines[line].values.is_empty() {
            self.lines.remove(line);
        }
        true
    }

    fn push_ordered(&mut self, header: &'static str, value: &str) {
        let behind_via = || self.lines.iter().rposition(|line| line.header == "Via").map_or(0, |at| at + 1);
        let at = self.first(header).unwrap_or_else(behind_via);
        self.insert(at, header, value);
    }

    /// Whether a field of `header` stands there already and may not stand twice, which is what `pushed` must say.
    fn is_taken(&self, header: &str, pushed: Result<(), BuildError>) -> bool {
        const SINGLE: [&str; 8] =
            ["Subject", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type", "Content-Length"];
        let taken = SINGLE.contains(&header) && self.first(header).is_some();
        let expected = if taken { Err(BuildFault::Repeated) } else { Ok(()) };
        assert_eq!(pushed.map_err(|error| error.kind), expected, "{header}");
        taken
    }

    /// Does the edit to both; the outcomes must agree.
    fn apply(&mut self, edit: &Edit, message: &mut Message) {
        match *edit {
            Edit::Push(header, n) => {
                let pushed = message.push(HEADERS[header].0, value(header, n));
                if self.is_taken(HEADERS[header].0, pushed) {
                    return;
                }
                self.insert(self.lines.len(), HEADERS[header].0, value(header, n));
            }
            Edit::PushFront(header, n) => {
                let pushed = message.push_front(HEADERS[header].0, value(header, n));
                if self.is_taken(HEADERS[header].0, pushed) {
                    return;
                }
                self.insert(self.first(HEADERS[header].0).unwrap_or(0), HEADERS[header].0, value(header, n));
            }
            Edit::Set(header, n) => {
                message.set(HEADERS[header].0, value(header, n)).unwrap();
                self.set(HEADERS[header].0, value(header, n));
            }
            Edit::Remove(header) => {
                let held = self.first(HEADERS[header].0).is_some();
                assert_eq!(message.remove(HEADERS[header].0), held);
                self.lines.retain(|line| line.header != HEADERS[header].0);
            }
            Edit::SetValue(header, at, n) => {
                let known = Header::lookup(HEADERS[header].0.as_bytes()).unwrap();
                let result = message.set_value(known, at, value(header, n));
                match self.value(HEADERS[header].0, at) {
                    Some((line, place)) => {
                        result.unwrap();
                        self.lines[line].values[place] = value(header, n).into();
                        self.lines[line].raw = None;
                    }
                    None => assert!(result.is_err()),
                }
            }
            Edit::RemoveValue(header, at) => {
                let known = Header::lookup(HEADERS[header].0.as_bytes()).unwrap();
                assert_eq!(message.remove_value(known, at), self.remove_value(HEADERS[header].0, at));
            }
            Edit::PushVia(n) => {
                message.push_via(value(0, n)).unwrap();
                self.insert(self.first("Via").unwrap_or(0), "Via", value(0, n));
            }
            Edit::PopVia => assert_eq!(message.pop_via(), self.remove_value("Via", 0)),
            Edit::PushRoute(n) => {
                message.push_route(value(1, n)).unwrap();
                self.push_ordered("Route", value(1, n));
            }
            Edit::PopRoute => assert_eq!(message.pop_route(), self.remove_value("Route", 0)),
            Edit::PushRecordRoute(n) => {
                message.push_record_route(value(2, n)).unwrap();
                self.push_ordered("Record-Route", value(2, n));
            }
            Edit::ViaParam(name, n) => {
                let name = ["received", "RPORT", "x"][name % 3];
                let param = match name {
                    "received" => ["192.0.2.1", "2001:db8::9"][n % 2],
                    "RPORT" => ["1", "65535"][n % 2],
                    _ => ["y", "\"a;b\""][n % 2],
                };
                let result = message.set_via_param(name, param);
                let Some((line, place)) = self.value("Via", 0) else { return assert!(result.is_err()) };
                result.unwrap();
                self.lines[line].raw = None;
                let via = &mut self.lines[line].values[place];
                // No value of these Vias has a semicolon in quotes but that of x, which is last or replaced.
                let mut parts: Vec<String> = split_params(via);
                let written = format!("{name}={param}");
                let is_it = |part: &String| part.split('=').next().unwrap().trim().eq_ignore_ascii_case(name);
                match parts.iter().position(is_it) {
                    Some(at) => parts[at] = written,
                    None => parts.push(written),
                }
                *via = parts.join(";");
            }
            Edit::Decrement => {
                let held = self.first("Max-Forwards").map(|at| self.lines[at].values[0].parse::<u32>().unwrap());
                let result = message.decrement_max_forwards();
                match held {
                    Some(0) => assert!(result.is_err()),
                    Some(n) => {
                        assert_eq!(result, Ok(n - 1));
                        self.set("Max-Forwards", &(n - 1).to_string());
                    }
                    None => {
                        assert_eq!(result, Ok(70));
                        self.set("Max-Forwards", "70");
                    }
                }
            }
            Edit::Uri(n) => {
                self.uri = URIS[n % URIS.len()].into();
                message.set_request_uri(&self.uri).unwrap();
            }
            Edit::Body(n) => {
                let body = BODIES[n % BODIES.len()];
                message.set_body("text/plain", body).unwrap();
                self.set("Content-Type", "text/plain");
                self.set("Content-Length", &body.len().to_string());
                self.body = body.into();
            }
            Edit::Copy(n) => {
                let number = n % self.lines.len();
                let source = message.clone();
                let field = source.headers().nth(number).unwrap();
                let pushed = message.push_field(&field);
                if !self.is_taken(self.lines[number].header, pushed) {
                    self.lines.push(self.lines[number].clone());
                }
            }
        }
    }

    /// Whether the message says what the model does, before and after it went over the wire.
    fn agrees(&self, message: &Message) {
        let bytes = message.to_bytes();
        let again = Message::parse(bytes.clone()).expect("what edits leave is a message");
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        for message in [message, &again] {
            assert_eq!(message.request_uri_bytes(), Some(self.uri.as_bytes()));
            assert_eq!(message.body(), self.body);
            assert_eq!(message.headers().count(), self.lines.len(), "{text}");
            for (field, line) in message.headers().zip(&self.lines) {
                assert_eq!(field.name(), line.header.into(), "{text}");
                match &line.raw {
                    Some(raw) => assert_eq!(field.line(), raw.as_bytes()),
                    None => assert_eq!(values(field.value()), line.values, "{text}"),
                }
            }
            for (name, _) in HEADERS {
                let held: Vec<_> = self.lines.iter().filter(|line| line.header == name).collect();
                assert_eq!(message.fields(name).count(), held.len());
                assert_eq!(message.has(name), !held.is_empty());
                let first = held.first().map(|line| line.values.clone());
                assert_eq!(message.field(name).map(values), first);
            }
        }
    }
}

fn split_params(v: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in v.chars() {
        quoted ^= c == '"';
        match c {
            ';' if !quoted => parts.push(String::new()),
            c => parts.last_mut().unwrap().push(c),
        }
    }
    // White space before a semicolon goes with the parameter behind it.
    parts.into_iter().map(|part| part.trim_end().to_owned()).collect()
}

/// The values of a line, taken apart at commas: there are none in quotes or brackets here. White space around
/// semicolons counts for nothing.
fn values(v: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(v).unwrap();
    let unfolded = text.replace("\r\n", "");
    unfolded.split(',').map(|value| split_params(value.trim()).join(";")).filter(|value| !value.is_empty()).collect()
}

fn line(header: &'static str, raw: &str) -> Line {
    let value = raw.split_once(':').unwrap().1;
    Line { header, values: values(value.as_bytes()), raw: Some(raw.into()) }
}

fn start() -> (Model, Message) {
    let lines = [
        (
            "Via",
            "v: SIP/2.0/UDP b.example.com;branch=z9hG4bK7 ;rport ,  SIP/2.0/UDP \r\n c.example.com;branch=z9hG4bK8\r\n",
        ),
        ("Max-Forwards", "MAX-FORWARDS : 2\r\n"),
        ("Supported", "Supported:\r\n"),
        ("Route", "Route: <sip:s1.example.com;lr>,<sip:s2.example.com;lr>\r\n  , <sip:s3.example.com;lr>  \r\n"),
        ("Supported", "k: 100rel ,path\r\n"),
        ("X-Own", "x-OWN:\tkept,  as   it \"is\"\r\n"),
        ("Via", "Via:SIP/2.0/TLS d.example.com;branch=z9hG4bK9\r\n"),
        ("To", "t: Bob <sip:bob@biloxi.com>\r\n"),
        ("From", "From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n"),
        ("Call-ID", "Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n"),
        ("CSeq", "CSeq: 314159\r\n INVITE\r\n"),
        ("Content-Length", "l: 4\r\n"),
    ]
    .map(|(header, raw)| line(header, raw))
    .to_vec();
    let head: String = lines.iter().filter_map(|line| line.raw.as_deref()).collect();
    let text = format!("INVITE sip:bob@biloxi.com SIP/2.0\r\n{head}\r\nbody");
    let message = Message::parse(Bytes::from(text)).unwrap();
    (Model { uri: "sip:bob@biloxi.com".into(), lines, body: b"body".to_vec() }, message)
}

fn edit() -> impl Strategy<Value = Edit> {
    let n = 0usize..6;
    let header = 0usize..HEADERS.len();
    let list = 0usize..LISTS;
    prop_oneof![
        (header.clone(), n.clone()).prop_map(|(h, n)| Edit::Push(h, n)),
        (header.clone(), n.clone()).prop_map(|(h, n)| Edit::PushFront(h, n)),
        (header.clone(), n.clone()).prop_map(|(h, n)| Edit::Set(h, n)),
        header.prop_map(Edit::Remove),
        (list.clone(), n.clone(), n.clone()).prop_map(|(h, at, n)| Edit::SetValue(h, at, n)),
        (list, n.clone()).prop_map(|(h, at)| Edit::RemoveValue(h, at)),
        n.clone().prop_map(Edit::PushVia),
        Just(Edit::PopVia),
        n.clone().prop_map(Edit::PushRoute),
        Just(Edit::PopRoute),
        n.clone().prop_map(Edit::PushRecordRoute),
        (n.clone(), n.clone()).prop_map(|(name, n)| Edit::ViaParam(name, n)),
        Just(Edit::Decrement),
        n.clone().prop_map(Edit::Uri),
        n.prop_map(Edit::Body),
        (0usize..40).prop_map(Edit::Copy),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn edits_in_any_order_do_what_they_say_and_no_more(edits in proptest::collection::vec(edit(), 0..24)) {
        let (mut model, mut message) = start();
        model.agrees(&message);
        for edit in &edits {
            model.apply(edit, &mut message);
            model.agrees(&message);
        }
    }
}
