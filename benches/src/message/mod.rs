//! Group `message`. Parsing, reading, forwarding and serialising the sample messages.
//!
//! Every comparison has the same floors: httparse splitting the same message as HTTP, and memchr finding its lines.

pub mod linear;
#[cfg(feature = "peers")]
mod peers;

use crate::report::{Contender, Report};
use crate::workloads::{self, SAMPLES, Sample};
use std::hint::black_box;

const OURS: &str = "sip-message";

/// What is done to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// Parse it.
    Parse,
    /// Parse it and make seven typed reads.
    ParseAndRead,
    /// Write a parsed one.
    Serialise,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Parse => "parse",
            Operation::ParseAndRead => "parse+read",
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
    for operation in [Operation::Parse, Operation::ParseAndRead, Operation::Serialise] {
        let mut contenders = floors(sample, &http);
        match operation {
            Operation::Parse => contenders.push(Contender::new(OURS, || workloads::parse(&buffer))),
            Operation::ParseAndRead => {
                contenders.push(Contender::new(OURS, || workloads::read(&workloads::parse(&buffer))));
            }
            Operation::Serialise => {}
        }
        #[cfg(feature = "peers")]
        for peer in peers::contenders(operation, &buffer) {
            match peer {
                Ok(contender) => contenders.push(contender),
                Err(library) => report.refused(sample.name, operation.name(), library),
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

fn split_request(http: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(http);
    assert!(matches!(status, Ok(httparse::Status::Complete(_))));
    black_box(request.headers.len());
}

fn split_response(http: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let status = response.parse(http);
    assert!(matches!(status, Ok(httparse::Status::Complete(_))));
    black_box(response.headers.len());
}
