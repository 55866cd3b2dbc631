//! What is published of a user reaches those who watch, and only what was published last.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use crate::common::{Peer, Server};

fn document(note: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:alice@localhost\">\
         <tuple id=\"a\"><status><basic>open</basic></status><note>{note}</note></tuple></presence>"
    )
}

/// The value of a field of a message.
fn field<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {message}"))
}

/// The next NOTIFY, which is answered.
fn notified(watcher: &Peer, server: std::net::SocketAddr) -> String {
    let notify = watcher.receive();
    assert!(notify.starts_with("NOTIFY "), "{notify}");
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        answer.push_str(&format!("{name}: {}\r\n", field(&notify, name)));
    }
    answer.push_str("Content-Length: 0\r\n\r\n");
    watcher.socket.send_to(answer.as_bytes(), server).unwrap();
    notify
}

#[test]
fn what_is_published_reaches_those_who_watch() {
    let server = Server::start(&["--udp", "0", "--tcp", "none", "--ws", "none", "--log", "off"]);
    let udp = server.address("udp");
    let (alice, bob) = (Peer::new(), Peer::new());
    bob.send(udp, "SUBSCRIBE", "sip:alice@localhost", "bob@localhost", "Event: presence\r\nExpires: 600\r\n");
    assert!(bob.receive().starts_with("SIP/2.0 200"));
    let first = notified(&bob, udp);
    assert!(field(&first, "Subscription-State").starts_with("active") && !first.contains("at the desk"), "{first}");

    let publish = |tag: Option<&str>, body: &str| {
        let condition = tag.map_or(String::new(), |tag| format!("SIP-If-Match: {tag}\r\n"));
        let kind = if body.is_empty() { "" } else { "Content-Type: application/pidf+xml\r\n" };
        let fields = format!("Event: presence\r\nExpires: 600\r\n{condition}{kind}");
        alice.send_with(udp, "PUBLISH", "sip:alice@localhost", "alice@localhost", &fields, body);
        alice.receive()
    };
    let published = publish(None, &document("at the desk"));
    assert!(published.starts_with("SIP/2.0 200") && field(&published, "Expires") == "600", "{published}");
    let told = notified(&bob, udp);
    assert!(told.contains("at the desk"), "{told}");

    // What replaces it names it; what names something else changes nothing.
    let wrong = publish(Some("nothing"), &document("gone"));
    assert!(wrong.starts_with("SIP/2.0 412"), "{wrong}");
    let replaced = publish(Some(field(&published, "SIP-ETag")), &document("at lunch"));
    assert!(replaced.starts_with("SIP/2.0 200"), "{replaced}");
    assert_ne!(field(&replaced, "SIP-ETag"), field(&published, "SIP-ETag"));
    let told = notified(&bob, udp);
    assert!(told.contains("at lunch") && !told.contains("at the desk") && !told.contains("gone"), "{told}");
}
