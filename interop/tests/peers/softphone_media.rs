//! When our own telephone sends sound: from the moment somebody answers until the call is over, and not before or after. The
//! far end is the test itself, so that it sees each packet.

use crate::softphone::Phone;
use interop::Scratch;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A caller: a socket for SIP and one for sound.
struct Caller {
    sip: UdpSocket,
    sound: UdpSocket,
    callee: SocketAddr,
    to: String,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    socket
}

impl Caller {
    fn send(&self, method: &str, cseq: u32, body: &str) {
        let (at, callee, to) = (self.sip.local_addr().expect("an address"), self.callee, &self.to);
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let branch = if method == "CANCEL" { "INVITE" } else { method };
        let text = format!(
            "{method} sip:bob@{callee} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{branch}{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:test@{at}>;tag=1\r\nTo: {to}\r\nCall-ID: media@{at}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:test@{at}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sip.send_to(text.as_bytes(), callee).expect("sent");
    }

    fn invite(&self) {
        let port = self.sound.local_addr().expect("an address").port();
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        self.send("INVITE", 1, &body);
    }

    /// Waits for a response, and keeps its To.
    fn expect(&mut self, status: u16) {
        let mut buffer = [0; 4096];
        loop {
            let (len, _) = self.sip.recv_from(&mut buffer).expect("a response in time");
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            if text.starts_with(&format!("SIP/2.0 {status} ")) {
                let to = text.lines().find_map(|line| line.strip_prefix("To: "));
                self.to = to.expect("a To").to_owned();
                return;
            }
        }
    }

    /// The packets of sound that have come since this was last asked.
    fn heard(&self) -> u64 {
        self.sound.set_nonblocking(true).expect("a socket");
        let mut buffer = [0; 2048];
        let count = std::iter::from_fn(|| self.sound.recv(&mut buffer).ok()).count();
        self.sound.set_nonblocking(false).expect("a socket");
        count as u64
    }

    /// Waits for one.
    fn hear(&self) {
        let mut buffer = [0; 2048];
        let len = self.sound.recv(&mut buffer).expect("sound in time");
        assert!(len > 12 && buffer[0] >> 6 == 2, "RTP");
    }
}

fn call(scratch: &Scratch) -> (Phone, Caller) {
    let phone = Phone::start("callee", &["--bind", "127.0.0.1", "--calls", "1", "answer"], scratch);
    phone.until("listening", 1);
    let events = phone.events();
    let (_, rest) = events.split_once("\"address\":\"").expect("an address");
    let callee = rest.split('"').next().and_then(|text| text.parse().ok()).expect("an address");
    let mut caller = Caller { sip: socket(), sound: socket(), callee, to: format!("<sip:bob@{callee}>") };
    caller.invite();
    caller.expect(180);
    phone.until("incoming", 1);
    (phone, caller)
}

#[test]
fn a_telephone_that_rings_sends_no_sound() {
    let scratch = Scratch::new("media-rings");
    let (phone, caller) = call(&scratch);
    // Ten times what lies between two packets.
    std::thread::sleep(Duration::from_millis(200));
    caller.send("CANCEL", 1, "");
    let ended = phone.finish();
    assert_eq!(ended.number("ended", "rtp_sent"), 0, "{}", ended.events);
    assert_eq!(caller.heard(), 0);
}

#[test]
fn sound_begins_with_the_answer_and_ends_with_the_call() {
    for by_phone in [false, true] {
        let scratch = Scratch::new("media-talks");
        let (mut phone, mut caller) = call(&scratch);
        phone.key("a");
        caller.expect(200);
        caller.send("ACK", 1, "");
        phone.until("confirmed", 1);
        caller.hear();
        if by_phone {
            phone.key("e");
        } else {
            caller.send("BYE", 2, "");
        }
        phone.until("ended", 1);
        // On loopback a packet is there once it is sent.
        let heard = 1 + caller.heard();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(caller.heard(), 0, "after the end");
        let ended = phone.finish();
        assert_eq!(ended.number("ended", "rtp_sent"), heard, "{}", ended.events);
    }
}
