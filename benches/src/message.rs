//! Group `message`. Parsing, reading, forwarding and serialising the sample messages.
//!
//! Every comparison has the same floors: httparse splitting the same message as HTTP, and memchr finding its lines.

use crate::report::{Contender, Report};
use crate::workloads::{self, SAMPLES, Sample};
use std::hint::black_box;

/// Runs the group.
pub fn run(report: &mut Report) {
    report.heading("ratio to httparse splitting the same message as HTTP");
    for sample in &SAMPLES {
        compare(report, sample);
    }
}

fn compare(report: &mut Report, sample: &Sample) {
    let buffer = sample.buffer();
    let http = sample.as_http();

    let mut contenders = floors(sample, &http);
    contenders.push(Contender::new("sip-message", || workloads::parse(&buffer)));
    report.compare(sample.name, "parse", &mut contenders);

    let mut contenders = floors(sample, &http);
    contenders.push(Contender::new("sip-message", || workloads::read(&workloads::parse(&buffer))));
    report.compare(sample.name, "parse+read", &mut contenders);
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
