//! A server is replaced by another in mid-call: `export` and `import`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use core::time::Duration;
use sip_message::{Header, Message, StatusCode};
use sip_server::{LocationTable, Server, ServerConfig, Store};
use sip_transaction::{FlowId, ImportError, Input, Instant, Path, Transport};

const LOCAL: &str = "192.0.2.10:5060";
const ALICE: &str = "192.0.2.1:5060";
const BOB: [&str; 2] = ["192.0.2.2:5060", "192.0.2.3:5060"];

struct Node {
    server: Server,
    socket: FlowId,
    now: Instant,
}

impl Node {
    fn new(now: Instant) -> Node {
        let mut config = ServerConfig::for_domain("example.com");
        config.auth.domains.clear();
        let mut server = Server::new(config, [9; 32]);
        let socket = server.endpoint_mut().bind(Transport::Udp, LOCAL.parse().unwrap()).unwrap();
        Node { server, socket, now }
    }

    /// Hands a datagram in and gives back what goes out: to whom, and the message.
    fn input(&mut self, remote: &str, text: &str) -> Vec<(String, Message)> {
        let input = Input::Datagram { flow: self.socket, remote: remote.parse().unwrap(), bytes: text.as_bytes() };
        self.server.handle_input(self.now, input).unwrap();
        self.out()
    }

    fn out(&mut self) -> Vec<(String, Message)> {
        while self.server.poll_event().is_some() {}
        std::iter::from_fn(|| self.server.poll_transmit())
            .map(|sent| (sent.remote.to_string(), Message::parse(sent.bytes).unwrap()))
            .collect()
    }

    /// A new server with all that this one has, some while later by another clock.
    fn replaced(self) -> Node {
        let bytes = self.server.export(self.now);
        let mut new = Node::new(Instant::from_millis(5));
        let socket = new.socket;
        let same = |path: &Path| (path.local == LOCAL.parse().unwrap()).then_some(socket);
        new.server.import(new.now, &bytes, same).unwrap();
        new
    }

    fn run_out(&mut self) {
        while let Some(at) = self.server.poll_timeout() {
            if at > self.now + Duration::from_secs(600) {
                break;
            }
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.out();
        }
        assert!(self.server.is_idle(), "{:?}", self.server);
    }
}

fn register(contact: &str, n: u32) -> String {
    format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {contact};branch=z9hG4bKr{n}\r\nMax-Forwards: 70\r\n\
         To: <sip:bob@example.com>\r\nFrom: <sip:bob@example.com>;tag=r{n}\r\nCall-ID: r{n}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:bob@{contact}>;expires=100\r\nContent-Length: 0\r\n\r\n"
    )
}

fn request(method: &str, branch: &str) -> String {
    format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {ALICE};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         To: <sip:bob@example.com>\r\nFrom: <sip:alice@far.example.org>;tag=a\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:alice@{ALICE}>\r\nContent-Length: 0\r\n\r\n"
    )
}

fn answer(request: &Message, code: u16) -> String {
    let response = Message::response(request, StatusCode::new(code).unwrap()).to_tag("b").build().unwrap();
    String::from_utf8(response.to_bytes().to_vec()).unwrap()
}

/// A server with a call that rings at two phones: it, and the two INVITEs.
fn ringing() -> (Node, Vec<(String, Message)>) {
    let mut node = Node::new(Instant::from_millis(7_000_000));
    for (n, phone) in BOB.into_iter().enumerate() {
        let ok = node.input(phone, &register(phone, n as u32));
        assert_eq!(ok[0].1.status(), Some(StatusCode::OK));
    }
    let mut invites = node.input(ALICE, &request("INVITE", "1"));
    invites.retain(|(_, message)| message.is_request());
    assert_eq!(invites.len(), 2);
    let back = node.input(BOB[0], &answer(&invites[0].1, 180));
    assert_eq!(back[0].1.status().unwrap().code(), 180);
    (node, invites)
}

#[test]
fn a_call_that_rings_is_answered_at_the_next_server() {
    let (node, invites) = ringing();
    let mut node = node.replaced();
    let out = node.input(BOB[0], &answer(&invites[0].1, 200));
    let ok = out.iter().find(|(to, _)| to == ALICE).unwrap();
    assert_eq!(ok.1.status(), Some(StatusCode::OK));
    assert_eq!(ok.1.vias().count(), 1);
    // The other phone has not said anything yet: its CANCEL waits for that (RFC 3261 section 9.1).
    let out = node.input(BOB[1], &answer(&invites[1].1, 180));
    assert!(
        out.iter().any(|(to, message)| to == BOB[1] && message.field(Header::CSeq) == Some(b"1 CANCEL")),
        "{out:?}"
    );
    node.run_out();
}

#[test]
fn a_call_that_rings_is_cancelled_at_the_next_server() {
    let (node, invites) = ringing();
    let mut node = node.replaced();
    let out = node.input(ALICE, &request("CANCEL", "1"));
    assert!(out.iter().any(|(to, message)| to == ALICE && message.status() == Some(StatusCode::OK)));
    assert!(out.iter().any(|(to, message)| to == BOB[0] && message.field(Header::CSeq) == Some(b"1 CANCEL")));
    assert!(node.input(BOB[0], &answer(&invites[0].1, 487)).iter().all(|(to, _)| to == BOB[0]), "the other rings");
    let out = node.input(BOB[1], &answer(&invites[1].1, 487));
    assert!(out.iter().any(|(to, message)| to == ALICE && message.status().unwrap().code() == 487), "{out:?}");
    node.run_out();
}

#[test]
fn bindings_go_on_with_the_time_they_had_left() {
    let (mut node, _) = ringing();
    node.now += Duration::from_secs(40);
    let mut node = node.replaced();
    let left = |node: &Node| -> Vec<u64> {
        let table = node.server.registrar().table().unwrap();
        table.bindings("sip:bob@example.com", node.now).map(|binding| binding.expires_in(node.now).as_secs()).collect()
    };
    assert_eq!(left(&node), [60, 60]);
    node.now += Duration::from_secs(60);
    assert!(left(&node).is_empty());
}

#[test]
fn bytes_that_are_no_state_change_nothing() {
    let (node, _) = ringing();
    let bytes = node.server.export(node.now);
    let mut other = Node::new(Instant::ZERO);
    assert_eq!(other.server.import(Instant::ZERO, b"", |_| None), Err(ImportError::Malformed));
    let mut version = bytes.clone();
    // That of before bindings could be woken, too.
    for other_version in [1, 99] {
        version[b"sip-server state".len()] = other_version;
        let refused = other.server.import(Instant::ZERO, &version, |_| None);
        assert_eq!(refused, Err(ImportError::Version(other_version)));
    }
    // Cut anywhere and with any byte changed: no panic, and no bytes that are missing taken for some that are there.
    let contexts = node.server.proxy().export(node.server.endpoint());
    let table = node.server.registrar().table().unwrap().export(node.now);
    for at in 0..contexts.len() {
        let mut proxy = Node::new(Instant::ZERO).server;
        let cut = proxy.proxy_mut().import(Instant::ZERO, &contexts[..at], |_| None);
        assert!(cut.is_err(), "cut at {at}");
        let mut changed = contexts.clone();
        changed[at] ^= 0x55;
        let _ = proxy.proxy_mut().import(Instant::ZERO, &changed, |_| None);
    }
    for at in 0..table.len() {
        let mut changed = table.clone();
        changed[at] ^= 0x55;
        let _ = LocationTable::new([1; 32]).import(Instant::ZERO, &changed, |_| None);
        let _ = LocationTable::new([1; 32]).import(Instant::ZERO, &table[..at], |_| None);
    }
    let mut busy = node;
    assert_eq!(busy.server.import(busy.now, &bytes, |_| None), Err(ImportError::NotEmpty));
}

#[test]
fn a_binding_whose_flow_is_not_handed_over_is_left_out() {
    let mut table = LocationTable::new([1; 32]);
    let path = Path {
        flow: FlowId::from_bits(1 << 32 | 3).unwrap(),
        transport: Transport::Ws,
        local: LOCAL.parse().unwrap(),
        remote: ALICE.parse().unwrap(),
    };
    let parts =
        sip_server::BindingParts { contact: "sip:x@y", call_id: "1", expires: Instant::MAX, ..Default::default() };
    let web = sip_server::BindingParts { received: Some(path), ..parts };
    let both = vec![sip_server::Binding::new(&parts), sip_server::Binding::new(&web)];
    table.store("sip:a@example.com", 0, both, Instant::ZERO).unwrap();
    let bytes = table.export(Instant::ZERO);
    let moved = FlowId::from_bits(1 << 32 | 8).unwrap();
    let mut with = LocationTable::new([2; 32]);
    assert_eq!(with.import(Instant::ZERO, &bytes, |_| Some(moved)), Ok(2));
    let received: Vec<_> = with.bindings("sip:a@example.com", Instant::ZERO).map(|b| b.received()).collect();
    assert_eq!(received, [None, Some(Path { flow: moved, ..path })]);
    let mut without = LocationTable::new([2; 32]);
    assert_eq!(without.import(Instant::ZERO, &bytes, |_| None), Ok(1));
}
