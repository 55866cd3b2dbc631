//! Does the work grow no faster than the message? Each case grows in one dimension, and each size is twice the last.
//!
//! Instructions are counted with valgrind where it is installed, by running this program anew for one case; otherwise
//! time is measured, which tells less.

use crate::instructions;
use crate::report::{Contender, Report};
use bytes::Bytes;
use sip_message::uri::Uri;
use sip_message::{Capabilities, Header, Message, NameAddr, ParserConfig, StreamDecoder, salvage};
use std::hash::{DefaultHasher, Hasher};
use std::hint::black_box;

/// One dimension that a message can grow in.
pub struct Case {
    /// Its name in the figures.
    pub name: &'static str,
    make: fn(usize) -> Vec<u8>,
}

/// All dimensions.
pub const CASES: &[Case] = &[
    Case { name: "headers", make: |n| with(|head| (0..n).for_each(|i| line(head, &format!("X-{i:05}: v")))) },
    Case { name: "header-repeats", make: |n| with(|head| (0..n).for_each(|_| line(head, "Route: <sip:a@b;lr>"))) },
    Case { name: "via-fields", make: |n| with(|head| (0..n).for_each(|i| line(head, &via(i)))) },
    Case {
        name: "via-commas",
        make: |n| with(|head| line(head, &format!("Via: {}", ["SIP/2.0/UDP h"].repeat(n).join(",")))),
    },
    Case {
        name: "via-parameters",
        make: |n| with(|head| line(head, &format!("Via: SIP/2.0/UDP h{};ttl=1", params(n)))),
    },
    Case {
        name: "challenges",
        make: |n| with(|head| line(head, &format!("WWW-Authenticate: {}", ["D a=b"].repeat(n).join(",")))),
    },
    Case {
        name: "challenge-parameters",
        make: |n| with(|head| line(head, &format!("WWW-Authenticate: Digest x=y{}", params(n).replace(';', ",")))),
    },
    Case {
        name: "tokens",
        make: |n| with(|head| line(head, &format!("Supported: {}", ["100rel"].repeat(n).join(",")))),
    },
    Case {
        name: "accept-ranges",
        make: |n| with(|head| line(head, &format!("Accept: {}", ["a/b;q=0"].repeat(n).join(",")))),
    },
    Case { name: "call-id", make: |n| with(|head| line(head, &format!("Replaces: {}{}", "a".repeat(n), params(n)))) },
    Case { name: "folds", make: |n| with(|head| line(head, &format!("Subject: a{}", "\r\n b".repeat(n)))) },
    Case {
        name: "commas",
        make: |n| with(|head| line(head, &format!("Contact: <sip:a@b>{}", ", <sip:a@b>".repeat(n)))),
    },
    Case { name: "commas-alone", make: |n| with(|head| line(head, &format!("Allow: {}", ",".repeat(n)))) },
    Case {
        name: "commas-quoted",
        make: |n| with(|head| line(head, &format!("Contact: \"{}\" <sip:a@b>", ",".repeat(n)))),
    },
    Case { name: "parameters", make: |n| with(|head| line(head, &format!("Contact: <sip:a@b>{}", params(n)))) },
    Case { name: "uri-parameters", make: |n| with(|head| line(head, &format!("Contact: <sip:1@b{}>", params(n)))) },
    Case { name: "uri-escapes", make: |n| with(|head| line(head, &format!("Contact: <sip:{}@b>", "%41".repeat(n)))) },
    Case { name: "quotes", make: |n| with(|head| line(head, &format!("Contact: \"{}\" <sip:a@b>", "\\\"".repeat(n)))) },
    Case { name: "quotes-open", make: |n| with(|head| line(head, &format!("Contact: {}", "\"a\" \"".repeat(n)))) },
    Case {
        name: "comment-depth",
        make: |n| with(|head| line(head, &format!("User-Agent: a {}{}", "(".repeat(n), ")".repeat(n)))),
    },
    Case { name: "comments-open", make: |n| with(|head| line(head, &format!("User-Agent: a {}", "(".repeat(n)))) },
    Case { name: "header-length", make: |n| with(|head| line(head, &format!("Subject: {}", "abcdefgh".repeat(n)))) },
    Case { name: "space", make: |n| with(|head| line(head, &format!("Contact: {}<sip:a@b>", " \t".repeat(n)))) },
    Case {
        name: "uri-headers",
        make: |n| {
            with(|head| line(head, &format!("Contact: <sip:1@b?{}>", params(n).replace(';', "&").replacen('&', "", 1))))
        },
    },
    Case { name: "body-parts", make: |n| multipart(&"\r\n--b\r\n\r\nx".repeat(n)) },
    Case { name: "body-boundaries-in-vain", make: |n| multipart(&"\r\n--bb\n--b-\r".repeat(n)) },
    Case { name: "body-fields", make: |n| multipart(&format!("\r\n--b\r\n{}\r\nx", "X: y\r\n".repeat(n))) },
    Case { name: "body-length", make: |n| with_body(|_| (), &"x".repeat(64 * n)) },
];

/// The largest header has some ten bytes for each of these, which keeps it within what the index can hold.
const SIZES: [usize; 4] = [500, 1000, 2000, 4000];

const CONFIG: ParserConfig = ParserConfig {
    max_message_len: 1 << 24,
    max_headers: 1 << 16,
    max_header_len: ParserConfig::HEADER_LEN_CEILING,
    max_folds: 1 << 16,
    ..ParserConfig::DEFAULT
};

fn with(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    with_body(fill, "")
}

fn with_body(fill: impl FnOnce(&mut Vec<u8>), body: &str) -> Vec<u8> {
    let mut message = b"OPTIONS sip:b@h SIP/2.0\r\n".to_vec();
    for text in [
        "Via: SIP/2.0/UDP h;branch=z9hG4bK1",
        "From: <sip:a@h>;tag=1",
        "To: <sip:b@h>",
        "Call-ID: 1",
        "CSeq: 1 OPTIONS",
    ] {
        line(&mut message, text);
    }
    fill(&mut message);
    line(&mut message, &format!("Content-Length: {:07}", body.len()));
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(body.as_bytes());
    message
}

fn multipart(parts: &str) -> Vec<u8> {
    with_body(|head| line(head, "Content-Type: multipart/mixed;boundary=b"), &format!("{parts}\r\n--b--\r\n"))
}

fn via(i: usize) -> String {
    format!("Via: SIP/2.0/UDP h;branch=z9hG4bK{i:05};received=192.0.2.1;rport=5060")
}

/// `n` parameters, each with another name.
fn params(n: usize) -> String {
    (0..n).map(|i| format!(";p{i:05}=v")).collect()
}

fn line(head: &mut Vec<u8>, text: &str) {
    head.extend_from_slice(text.as_bytes());
    head.extend_from_slice(b"\r\n");
}

/// Parses the message, from a stream byte by byte as well, and reads all of it, each header as several types, as well
/// formed or not as it is.
fn work(buffer: &Bytes) {
    let message = Message::parse_with(buffer.clone(), &CONFIG).expect("well framed, within the limits");
    black_box(message.check_grammar().is_ok());
    black_box(message.check_semantics(&Capabilities::COMMON).is_ok());
    black_box(message.fields("X-none").count());
    for header in [Header::Contact, Header::Route, Header::Allow, Header::Subject, Header::UserAgent] {
        black_box(message.fields(header).map(<[u8]>::len).sum::<usize>());
    }
    for via in message.vias().filter_map(Result::ok) {
        black_box((via.sent_by().is_ok(), via.branch().is_ok(), via.received().is_ok(), via.rport().is_ok()));
        black_box((via.maddr().is_ok(), via.ttl().is_ok(), via.params().count()));
    }
    for challenge in message.www_authenticate().filter_map(Result::ok) {
        black_box((challenge.realm().is_ok(), challenge.nonce().is_ok(), challenge.qop().is_ok()));
    }
    black_box((message.supports("none"), message.accept_quality("c/d"), message.replaces().is_ok()));
    for header in [Header::Contact, Header::Route, Header::Allow] {
        black_box(message.values::<NameAddr<'_>>(header).filter_map(Result::ok).map(read).count());
    }
    for contact in message.contacts().filter_map(Result::ok) {
        black_box((contact.q().is_ok(), contact.expires().is_ok(), contact.instance_id().is_ok()));
    }
    for part in message.body_parts(2).filter_map(Result::ok) {
        black_box(part.content_type().is_ok());
    }
    black_box(salvage(buffer).is_some());
    let mut decoder = StreamDecoder::new(CONFIG);
    for byte in buffer.chunks(1) {
        decoder.push(byte);
        black_box(decoder.next_item());
    }
    assert!(decoder.is_between_messages());
}

fn read(address: NameAddr<'_>) {
    black_box(address.display_name());
    black_box(address.tag().is_ok());
    if let Ok(uri) = address.uri() {
        let mut hasher = DefaultHasher::new();
        uri.hash_canonical(&mut hasher);
        black_box(hasher.finish());
        // The same in other letters, so that a comparison has to look at everything.
        let other = uri.as_bytes().to_ascii_uppercase();
        black_box(Uri::parse(&other).is_ok_and(|other| uri.equivalent(&other)));
    }
}

/// Does the work on a message of each of `sizes` in all cases, once, each between two marks; what is between two works, too.
pub fn run_marked(sizes: &[usize]) {
    for case in CASES {
        for &size in sizes {
            let buffer = Bytes::from((case.make)(size));
            instructions::mark();
            work(&buffer);
            instructions::mark();
        }
    }
}

impl Case {
    /// Does the work on a message of `size`, `times` over.
    pub fn run(&self, size: usize, times: u64) {
        let buffer = Bytes::from((self.make)(size));
        for _ in 0..times {
            work(&buffer);
        }
    }

    /// How many instructions the work on a message of `size` takes; `None` without valgrind.
    pub fn instructions(&self, size: usize) -> Option<u64> {
        let count = |times: &str| instructions::of_this_program(&["--linear", self.name, &size.to_string(), times]);
        // Start-up and the making of the message are in both counts.
        Some(count("2")?.saturating_sub(count("1")?))
    }
}

/// Reports how the work grows.
pub(super) fn run(report: &mut Report) {
    report.heading("growth: ratio to a message of half the size");
    // All cases are counted by a test as well.
    let (cases, sizes) = if report.effort().is_quick() { (&CASES[..2], &SIZES[..2]) } else { (CASES, &SIZES[..]) };
    for case in cases {
        let mut last = None;
        for &size in sizes {
            let (value, unit) = match case.instructions(size) {
                Some(count) => (count as f64, "instructions"),
                None => {
                    let buffer = Bytes::from((case.make)(size));
                    (report.time(&mut [Contender::new("", || work(&buffer))])[0], "ns")
                }
            };
            let name = format!("linear-{}-{size}", case.name);
            report.figure(&name, "all", super::OURS, value, unit, last.map(|last| value / last));
            last = Some(value);
        }
    }
}
