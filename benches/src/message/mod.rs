//! Group `message`. Parsing, reading, forwarding and serialising the sample messages.
//!
//! Every comparison has the same floors: httparse splitting the same message as HTTP, and memchr finding its lines.

pub mod linear;
#[cfg(feature = "peers")]
mod peers;

use crate::report::{Contender, Report};
use crate::workloads::{self, SAMPLES, Sample};
use std::hint::black_box;
use std::mem::MaybeUninit;

const OURS: &str = "sip-message";

/// What is done to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// Parse it.
    Parse,
    /// Parse it and make seven typed reads.
    ParseAndRead,
    /// Parse it, change it as a proxy does, and write it.
    Forward,
    /// Write a parsed one.
    Serialise,
}

impl Operation {
    const ALL: [Operation; 4] = [Operation::Parse, Operation::ParseAndRead, Operation::Forward, Operation::Serialise];

    fn name(self) -> &'static str {
        match self {
            Operation::Parse => "parse",
            Operation::ParseAndRead => "parse+read",
            Operation::Forward => "forward",
            Operation::Serialise => "serialise",
        }
    }
}

/// Runs the group.
pub fn run(report: &mut Report) {
    report.heading("ratio to httparse splitting the same message as HTTP");
    for sample in &SAMPLES {
        compare(report, sample);
    }
    linear::run(report);
}

fn compare(report: &mut Report, sample: &Sample) {
    let buffer = sample.buffer();
    let http = sample.as_http();
    let message = workloads::parse(&buffer);
    for operation in Operation::ALL {
        let mut contenders = floors(sample, &http);
        contenders.push(match operation {
            Operation::Parse => Contender::new(OURS, || workloads::parse(&buffer)),
            Operation::ParseAndRead => Contender::new(OURS, || workloads::read(&workloads::parse(&buffer))),
            Operation::Forward => {
                let mut out = Vec::new();
                let buffer = &buffer;
                Contender::new(OURS, move || workloads::forward(buffer, &mut out))
            }
            Operation::Serialise => Contender::new(OURS, || workloads::serialise(&message)),
        });
        #[cfg(feature = "peers")]
        for peer in peers::contenders(operation, &buffer) {
            match peer {
                Ok(contender) => contenders.push(contender),
                Err(library) => report.none(sample.name, operation.name(), library),
            }
        }
        report.compare(sample.name, operation.name(), &mut contenders);
    }
}

/// What nobody can beat: a parser that only splits, and a scan for line ends.
fn floors<'a>(sample: &'a Sample, http: &'a [u8]) -> Vec<Contender<'a>> {
    let split = if sample.is_request() { split_request } else { split_response };
    vec![
        Contender::new("httparse", move || split(http)),
        Contender::new("memchr", || memchr::memchr_iter(b'\n', sample.bytes).count()),
    ]
}

const MOST_HEADERS: usize = 64;

fn split_request(http: &[u8]) {
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let status = request.parse_with_uninit_headers(http, &mut headers);
    assert!(matches!(status, Ok(httparse::Status::Complete(_))));
    black_box(request.headers.len());
}

fn split_response(http: &[u8]) {
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let status =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, http, &mut headers);
    assert!(matches!(status, Ok(httparse::Status::Complete(_))));
    black_box(response.headers.len());
}
