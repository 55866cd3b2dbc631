//! What is measured: inputs and operations on ours, shared by the comparison and the criterion benches.

use bytes::Bytes;
use sip_message::{Message, ParserConfig};
use std::hint::black_box;

/// One of the messages that the figures are about.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Its name in the figures.
    pub name: &'static str,
    /// The message as it is on the wire.
    pub bytes: &'static [u8],
}

/// A small INVITE, a REGISTER over secure WebSocket, a 200 with routes, and an INVITE of a carrier.
pub const SAMPLES: [Sample; 4] = [
    Sample { name: "a-invite-487", bytes: include_bytes!("../data/a-invite-487.sip") },
    Sample { name: "b-register-wss-563", bytes: include_bytes!("../data/b-register-wss-563.sip") },
    Sample { name: "c-ok-857", bytes: include_bytes!("../data/c-ok-857.sip") },
    Sample { name: "d-invite-5k", bytes: include_bytes!("../data/d-invite-5k.sip") },
];

impl Sample {
    /// The message in a buffer as a host would hand it in: shared, not static.
    pub fn buffer(&self) -> Bytes {
        Bytes::from(self.bytes.to_vec())
    }

    /// Whether the message is a request.
    pub fn is_request(&self) -> bool {
        !self.bytes.starts_with(b"SIP/")
    }

    /// The message as HTTP, for the floor: the same bytes but for the version.
    pub fn as_http(&self) -> Vec<u8> {
        let version = memchr::memmem::find(self.bytes, b"SIP/2.0").expect("the samples are SIP");
        [&self.bytes[..version], b"HTTP/1.1", &self.bytes[version + b"SIP/2.0".len()..]].concat()
    }
}

/// Parses: lines found, every header classified, framing checked.
pub fn parse(buffer: &Bytes) -> Message {
    Message::parse_with(buffer.clone(), &ParserConfig::DEFAULT).expect("the samples are well formed")
}

/// Seven typed reads of `message`: From tag, To URI, Call-ID, CSeq, the topmost Via's branch, the first Contact's URI,
/// and Max-Forwards.
pub fn read(message: &Message) {
    black_box(message.from().expect("From").tag().expect("tag"));
    black_box(message.to().expect("To").uri().expect("URI"));
    black_box(message.call_id().expect("Call-ID"));
    black_box(message.cseq().expect("CSeq"));
    black_box(message.top_via().expect("Via").branch().expect("branch"));
    let contact = message.contacts().next().expect("Contact").expect("Contact");
    black_box(contact.address().expect("an address").uri().expect("URI"));
    black_box(message.max_forwards().expect("Max-Forwards"));
}

/// The Via that a forwarded request gets.
pub const VIA: &str = "SIP/2.0/UDP proxy.example.com;branch=z9hG4bK776asdhds";

/// The Record-Route that a forwarded request gets.
pub const RECORD_ROUTE: &str = "<sip:proxy.example.com;lr>";

/// Forwards `buffer` as a proxy does, into `out`, and leaves all other lines as they are. A request gets a Via and a
/// Record-Route and loses one of its Max-Forwards; a response loses its topmost Via.
pub fn forward(buffer: &Bytes, out: &mut Vec<u8>) {
    let mut message = parse(buffer);
    if message.is_request() {
        message.push_via(VIA).expect("a Via");
        message.decrement_max_forwards().expect("more than 0");
        message.push_record_route(RECORD_ROUTE).expect("a route");
    } else {
        assert!(message.pop_via());
    }
    out.clear();
    message.write_to(out);
}

/// Writes a parsed message into a buffer of its own.
pub fn serialise(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.write_to(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::{SAMPLES, forward, parse, read, serialise};

    #[test]
    fn each_sample_is_read_and_written_as_it_came() {
        for sample in &SAMPLES {
            let message = parse(&sample.buffer());
            read(&message);
            assert_eq!(serialise(&message), sample.bytes, "{}", sample.name);
        }
    }

    #[test]
    fn a_forwarded_sample_differs_in_the_lines_of_a_proxy_alone() {
        for sample in &SAMPLES {
            let mut out = Vec::new();
            forward(&sample.buffer(), &mut out);
            let lines = |bytes: &[u8]| bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
            let (before, after) = (lines(sample.bytes), lines(&out));
            let kept = after.iter().filter(|line| before.contains(line)).count();
            match sample.is_request() {
                true => assert_eq!((after.len(), kept), (before.len() + 2, before.len() - 1), "{}", sample.name),
                false => assert_eq!((after.len(), kept), (before.len() - 1, before.len() - 1), "{}", sample.name),
            }
        }
    }
}
