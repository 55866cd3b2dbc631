//! Matching requests to server transactions: RFC 3261 section 17.2.3, for peers of RFC 2543 too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::ms;
use sip_message::{Message, Method};
use sip_transaction::{Endpoint, EndpointConfig, Event, FlowId, Input, InputError, ServerTxId, Transport};

struct Server {
    endpoint: Endpoint,
    socket: FlowId,
}

fn text(method: &str, via: &str, to: &str, cseq: u32) -> String {
    format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: {to}\r\nCall-ID: x\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

impl Server {
    fn new() -> Server {
        let mut endpoint = Endpoint::new(EndpointConfig::default().into(), [5; 32]);
        let socket = endpoint.bind(Transport::Udp, "192.0.2.2:5060".parse().unwrap()).unwrap();
        Server { endpoint, socket }
    }

    fn give(&mut self, text: &str) -> Vec<Event> {
        let remote = "192.0.2.7:5060".parse().unwrap();
        let input = Input::Datagram { flow: self.socket, remote, bytes: text.as_bytes() };
        self.endpoint.handle_input(ms(0), input).unwrap();
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    fn invite(&mut self, via: &str) -> (ServerTxId, Message) {
        match self.give(&text("INVITE", via, "<sip:c@d>", 1)).remove(0) {
            Event::Request { tx, message, .. } => (tx, *message),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn branch_sent_by_and_method_decide() {
    let mut server = Server::new();
    let via = "SIP/2.0/UDP a.example.com:5060;branch=z9hG4bKabc";
    server.invite(via);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
    //= type=test
    //# 1. the branch parameter in the request is equal to the one in the
    //# top Via header field of the request that created the
    //# transaction, and
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
    //= type=test
    //# 2. the sent-by value in the top Via of the request is equal to the
    //# one in the request that created the transaction, and
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
    //= type=test
    //# 3. the method of the request matches the one that created the
    //# transaction, except for ACK, where the method of the request
    //# that created the transaction is INVITE.
    let invite = |via: &str| text("INVITE", via, "<sip:c@d>", 1);
    assert_eq!(server.give(&invite(via)).len(), 0, "the same");
    // Tokens and hosts are compared without regard to case.
    assert_eq!(server.give(&invite("SIP/2.0/UDP A.example.COM:5060;branch=Z9hG4bKABC;x=y")).len(), 0);
    assert_eq!(server.give(&invite("SIP/2.0/UDP a.example.com:5060;branch=z9hG4bKabcd")).len(), 1, "another branch");
    assert_eq!(server.give(&invite("SIP/2.0/UDP b.example.com:5060;branch=z9hG4bKabc")).len(), 1, "another sent-by");
    assert_eq!(server.give(&invite("SIP/2.0/UDP a.example.com:5061;branch=z9hG4bKabc")).len(), 1, "another port");
    assert_eq!(server.give(&text("OPTIONS", via, "<sip:c@d>", 1)).len(), 1, "another method");
    assert_eq!(server.endpoint.transactions(), 5);
}

#[test]
fn a_tag_hidden_in_a_quoted_string_or_a_second_via_does_not_count() {
    let mut server = Server::new();
    server.invite("SIP/2.0/UDP a.example.com;branch=z9hG4bKone, SIP/2.0/UDP b.example.com;branch=z9hG4bKtwo");
    let again = text("INVITE", "SIP/2.0/UDP a.example.com;x=\";branch=z9hG4bKevil\";branch=z9hG4bKone", "<sip:c@d>", 1);
    assert_eq!(server.give(&again).len(), 0, "the first Via's own branch");
    let other = text("INVITE", "SIP/2.0/UDP b.example.com;branch=z9hG4bKtwo", "<sip:c@d>", 1);
    assert_eq!(server.give(&other).len(), 1, "the second Via is another hop's");
}

#[test]
fn rfc_2543_clients_are_matched_by_their_headers() {
    for via in [
        "SIP/2.0/UDP old.example.com",
        "SIP/2.0/UDP old.example.com;branch=1",
        "SIP/2.0/UDP old.example.com;branch=z9hG4bK",
    ] {
        let mut server = Server::new();
        let (tx, message) = server.invite(via);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
        //= type=test
        //# The INVITE request matches a transaction if the Request-URI, To tag,
        //# From tag, Call-ID, CSeq, and top Via header field match those of the
        //# INVITE request which created the transaction.
        assert_eq!(server.give(&text("INVITE", via, "<sip:c@d>", 1)).len(), 0, "{via}");
        assert_eq!(server.give(&text("INVITE", via, "<sip:c@d>", 2)).len(), 1, "another CSeq");
        server.endpoint.respond(ms(0), tx, crate::common::response(&message, 486)).unwrap();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
        //= type=test
        //# The ACK request matches a transaction if the Request-
        //# URI, From tag, Call-ID, CSeq number (not the method), and top Via
        //# header field match those of the INVITE request which created the
        //# transaction, and the To tag of the ACK matches the To tag of the
        //# response sent by the server transaction.
        let other = server.give(&text("ACK", via, "<sip:c@d>;tag=another", 1));
        assert!(matches!(other[..], [Event::Ack { tx: None, .. }]), "the ACK of another response");
        //= https://www.rfc-editor.org/rfc/rfc6026#section-6
        //= type=test
        //# When receiving an ACK that matches an existing INVITE server transaction and that does not contain a
        //# branch parameter containing the magic cookie defined in RFC 3261, the matching transaction MUST be
        //# checked to see if it is in the "Accepted" state.
        assert_eq!(server.give(&text("ACK", via, "<sip:c@d>;tag=8321234356", 1)).len(), 0, "absorbed");
        server.endpoint.handle_timeout(ms(5_000));
        assert!(server.endpoint.server_path(tx).is_none(), "confirmed, and gone after T4");
    }
}

#[test]
fn rfc_2543_cancel_finds_its_invite() {
    let mut server = Server::new();
    let via = "SIP/2.0/UDP old.example.com";
    server.invite(via);
    let events = server.give(&text("CANCEL", via, "<sip:c@d>", 1));
    assert!(matches!(events[..], [Event::Cancel { .. }]), "{events:?}");
}

#[test]
fn an_ack_with_the_branch_of_an_accepted_invite_is_passed_on() {
    let mut server = Server::new();
    let via = "SIP/2.0/UDP a.example.com;branch=z9hG4bKabc";
    let (tx, message) = server.invite(via);
    server.endpoint.respond(ms(0), tx, crate::common::response(&message, 200)).unwrap();
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.7
    //= type=test
    //# If an ACK is received while the
    //# INVITE server transaction is in the "Accepted" state, then the ACK
    //# must be passed up to the TU.
    let events = server.give(&text("ACK", via, "<sip:c@d>;tag=8321234356", 1));
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
    //= type=test
    //# Any ACKs received from the network while in the "Accepted" state MUST be passed directly to the TU
    //# and not absorbed.
    let [Event::Ack { tx: Some(of), .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*of, tx);
}

#[test]
fn an_ack_to_nothing_is_never_answered() {
    let mut server = Server::new();
    let events = server.give(&text("ACK", "SIP/2.0/UDP a.example.com;branch=z9hG4bKnew", "<sip:c@d>;tag=2", 1));
    assert!(matches!(events[..], [Event::Ack { tx: None, .. }]));
    assert!(server.endpoint.poll_transmit().is_none());
    assert!(server.endpoint.is_idle());
    let _ = Method::Ack;
}

// RFC 3261 section 21.5.6, RFC 4475 section 3.1.2.16.
#[test]
fn a_request_of_another_version_is_answered_505_and_nothing_is_kept() {
    let remote = "192.0.2.7:5060".parse().unwrap();
    for (via, method, answered) in [
        ("SIP/2.0/UDP a.example.com;branch=z9hG4bKv", "OPTIONS", true),
        ("SIP/2.0/UDP a.example.com;branch=z9hG4bKv;rport", "INVITE", true),
        ("SIP/2.0/UDP a.example.com;branch=z9hG4bKv;rport", "ACK", false),
        // Where the answer would go cannot be read.
        ("SIP/3.0/UDP a.example.com;branch=z9hG4bKv", "OPTIONS", false),
    ] {
        let mut server = Server::new();
        let request = text(method, via, "<sip:c@d>", 1).replacen(" SIP/2.0\r\n", " SIP/3.0\r\n", 1);
        let input = Input::Datagram { flow: server.socket, remote, bytes: request.as_bytes() };
        assert_eq!(server.endpoint.handle_input(ms(0), input), Err(InputError::Version), "{via}");
        let answer = server.endpoint.poll_transmit().map(|transmit| Message::parse(transmit.bytes).unwrap());
        assert_eq!(
            answer.as_ref().and_then(|answer| answer.status()).map(|status| status.code()),
            answered.then_some(505)
        );
        if let Some(answer) = answer {
            assert_eq!(answer.top_via().unwrap().received().unwrap(), Some(remote.ip()));
            assert_eq!(answer.vias().count(), 1);
        }
        assert_eq!(server.endpoint.counters().malformed, 1);
        assert!(server.endpoint.poll_event().is_none() && server.endpoint.is_idle());
    }
}

#[test]
fn what_is_acknowledged_is_still_known_by_its_tag() {
    for (via, of_2543) in
        [("SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK77", false), ("SIP/2.0/UDP 192.0.2.7:5060;branch=1", true)]
    {
        let mut server = Server::new();
        let (tx, invite) = server.invite(via);
        let ok = Message::response(&invite, sip_message::StatusCode::OK).to_tag("mine").build().unwrap();
        server.endpoint.respond_until_ack(ms(0), tx, ok).unwrap();
        while server.endpoint.poll_transmit().is_some() {}
        server.endpoint.acknowledge(ms(0), tx).unwrap();
        // An ACK of RFC 2543 is matched by the tag of the response, and no other is.
        for (tag, fits) in [("mine", true), ("yours", !of_2543)] {
            let ack = text("ACK", via, &format!("<sip:c@d>;tag={tag}"), 1);
            let [Event::Ack { tx: found, .. }] = &server.give(&ack)[..] else { panic!("{tag}") };
            assert_eq!(*found, fits.then_some(tx), "{tag}");
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
        //= type=test
        //# the To tag of the response to the CANCEL and the To tag
        //# in the response to the original request SHOULD be the same.
        assert!(server.give(&text("CANCEL", via, "<sip:c@d>", 1)).is_empty(), "its user has answered");
        let ok = server.endpoint.poll_transmit().unwrap();
        let ok = Message::parse(ok.bytes).unwrap();
        assert_eq!(ok.cseq().unwrap().method, Method::Cancel);
        assert_eq!(ok.to().unwrap().tag(), Ok(Some("mine")));
        // It is not sent again, whatever comes.
        assert!(server.give(&text("INVITE", via, "<sip:c@d>", 1)).is_empty());
        assert!(server.endpoint.poll_transmit().is_none());
    }
}
