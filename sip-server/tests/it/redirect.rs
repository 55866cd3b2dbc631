//! The redirect server: RFC 3261 section 8.3, RFC 3665 section 3.6, with bindings of a registrar on the same endpoint.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use sip_message::{Header, Message, Uri};
use sip_server::{Located, Redirect, RedirectConfig, RedirectEvent, Registrar, RegistrarConfig, Target};
use sip_transaction::{Endpoint, Event, FlowId, Input, Instant, Transport};

struct Host {
    endpoint: Endpoint,
    registrar: Registrar,
    redirect: Redirect,
    socket: FlowId,
    now: Instant,
}

impl Host {
    fn new() -> Host {
        let mut endpoint = Endpoint::new(Default::default(), [1; 32]);
        let socket = endpoint.bind(Transport::Udp, "192.0.2.10:5060".parse().unwrap()).unwrap();
        let mut registrar = RegistrarConfig::default();
        registrar.domains = vec!["example.com".into()];
        let mut redirect = RedirectConfig::default();
        redirect.domains = vec!["example.com".into()];
        Host {
            endpoint,
            registrar: Registrar::new(registrar, [2; 32]),
            redirect: Redirect::new(redirect),
            socket,
            now: Instant::ZERO,
        }
    }

    fn send(&mut self, method: &str, uri: &str, call: &str, fields: &str) {
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{call};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:a@far.example.org>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\
             {fields}Content-Length: 0\r\n\r\n"
        );
        let remote = "192.0.2.1:5060".parse().unwrap();
        self.endpoint
            .handle_input(self.now, Input::Datagram { flow: self.socket, remote, bytes: text.as_bytes() })
            .unwrap();
    }

    /// Lets the cores work; `located` answers what is asked, if it is `Some`, else the registrar does.
    fn work(&mut self, located: Option<Located>) -> Vec<Message> {
        while let Some(event) = self.endpoint.poll_event() {
            let Some(event) = self.registrar.handle(&mut self.endpoint, self.now, event) else { continue };
            let left = self.redirect.handle(&mut self.endpoint, self.now, event);
            assert!(matches!(left, None | Some(Event::ServerEnded { .. })), "{left:?}");
        }
        while let Some(RedirectEvent::Request { id, .. }) = self.redirect.poll_event() {
            // Cancelled meanwhile: the id is stale.
            let Some(request) = self.redirect.request(id) else { continue };
            let Some(Ok(Uri::Sip(uri))) = request.request_uri() else { panic!("a SIP URI") };
            let found = located.clone().unwrap_or_else(|| self.registrar.locate(&uri, self.now));
            self.redirect.answer(&mut self.endpoint, self.now, id, found.clone());
            assert!(self.redirect.request(id).is_none(), "answered once");
            self.redirect.answer(&mut self.endpoint, self.now, id, found);
        }
        let mut sent = Vec::new();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            sent.push(Message::parse(transmit.bytes).unwrap());
        }
        sent
    }

    fn one(&mut self, located: Option<Located>) -> Message {
        let mut sent = self.work(located);
        assert_eq!(sent.len(), 1);
        sent.remove(0)
    }
}

fn status(message: &Message) -> u16 {
    message.status().unwrap().code()
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.3
//= type=test
//# However, redirect servers MUST NOT redirect a request to a URI equal
//# to the one in the Request-URI; instead, provided that the URI does
//# not point to itself, the server MAY proxy the request to the
//# destination URI, or MAY reject it with a 404.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.1
//= type=test
//# The only requirement is that a registrar for some domain MUST be able to
//# read and write data to the location service, and a proxy or a redirect
//# server for that domain MUST be capable of reading that same data.
#[test]
fn a_request_is_redirected_to_where_its_user_has_registered() {
    let mut host = Host::new();
    let contacts = "Contact: <sip:bob@192.0.2.2>;q=0.5, <sip:bob@192.0.2.3>\r\n";
    host.send("REGISTER", "sip:example.com", "r", contacts);
    assert_eq!(status(&host.one(None)), 200);
    host.send("INVITE", "sip:bob@example.com", "i", "");
    let answer = host.one(None);
    assert_eq!(status(&answer), 302);
    let contacts: Vec<_> = answer.fields(Header::Contact).collect();
    assert_eq!(contacts, [&b"<sip:bob@192.0.2.3>"[..], b"<sip:bob@192.0.2.2>;q=0.500"]);
    for (located, expected) in [
        (Located::Unavailable, 480),
        (Located::NotFound, 404),
        (Located::NotSecure, 480),
        (Located::Targets(vec![Target::new("sip:bob@example.com")]), 404),
    ] {
        let call = format!("c{expected}{located:?}").replace(|c: char| !c.is_ascii_alphanumeric(), "");
        host.send("OPTIONS", "sip:bob@example.com", &call, "");
        assert_eq!(status(&host.one(Some(located))), expected);
    }
    assert_eq!(host.redirect.waiting(), 0);
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
//= type=test
//# If the target UAS had registered
//# previously using a SIPS Contact header field, the redirect server
//# SHOULD return a SIPS Contact header field if it is in an environment
//# where TLS is usable (as described in the previous paragraph).
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
//= type=test
//# If the target UAS had registered
//# previously using a SIPS Contact header field, the redirect server
//# SHOULD return a SIPS Contact header field if it is in an environment
//# where TLS is usable.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
//= type=test
//# If the
//# target UAS had registered previously using a SIP Contact header
//# field, the redirect server MUST return a SIP Contact header field in
//# a 3XX response if it redirects the request.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
//= type=test
//# If the target UAS had registered previously
//# using a SIP Contact header field, the redirect server MUST return a
//# SIP Contact header field in a 3XX response if it chooses to redirect;
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.4
//= type=test
//# otherwise, the UAS MAY reject the request with a 480 (Temporarily
//# Unavailable) response with a Warning header with warn-code 380 "SIPS
//# Not Allowed".
#[test]
fn a_contact_is_shown_with_the_scheme_it_was_registered_with() {
    for (contact, sips) in [("<sip:bob@192.0.2.2>", false), ("<sips:bob@192.0.2.2>", true)] {
        let mut host = Host::new();
        host.send("REGISTER", "sips:example.com", "r", &format!("Contact: {contact}\r\n"));
        assert_eq!(status(&host.one(None)), 200);
        host.send("INVITE", "sip:bob@example.com", "i", "");
        let answer = host.one(None);
        assert_eq!((status(&answer), answer.field(Header::Contact)), (302, Some(contact.as_bytes())));
        host.send("INVITE", "sips:bob@example.com", "j", "");
        let answer = host.one(None);
        if sips {
            assert_eq!((status(&answer), answer.field(Header::Contact)), (302, Some(contact.as_bytes())));
        } else {
            assert_eq!(status(&answer), 480);
            assert_eq!(answer.field(Header::Warning), Some(&b"380 - \"SIPS Not Allowed\""[..]));
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.3
//= type=test
//# Redirect servers MUST ignore features that are not understood (including
//# unrecognized header fields, any unknown option tags in Require, or even
//# method names) and proceed with the redirection of the request in
//# question.
#[test]
fn what_is_not_understood_is_redirected_all_the_same() {
    let mut host = Host::new();
    host.send("REGISTER", "sip:example.com", "r", "Contact: <sip:bob@192.0.2.2>\r\n");
    assert_eq!(status(&host.one(None)), 200);
    let fields = "Require: levitation\r\nX-Unheard-Of: yes\r\n";
    for (call, method) in [("one", "INVITE"), ("two", "FROBNICATE")] {
        host.send(method, "sip:bob@example.com", call, fields);
        let answer = host.one(None);
        assert_eq!(status(&answer), 302, "{method}");
        assert_eq!(answer.field(Header::Contact), Some(&b"<sip:bob@192.0.2.2>"[..]));
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.3
//= type=test
//# For well-formed CANCEL requests, it SHOULD
//# return a 2xx response.
#[test]
fn a_cancel_while_it_waits_ends_it() {
    let mut host = Host::new();
    host.send("INVITE", "sip:bob@example.com", "w", "");
    while let Some(event) = host.endpoint.poll_event() {
        assert!(host.redirect.handle(&mut host.endpoint, host.now, event).is_none());
    }
    assert_eq!(host.redirect.waiting(), 1);
    assert!(host.redirect.poll_timeout().is_some());
    host.send("CANCEL", "sip:bob@example.com", "w", "");
    let mut answers: Vec<_> = host.work(None).iter().map(status).collect();
    answers.sort_unstable();
    assert_eq!(answers, [200, 487]);
    assert_eq!(host.redirect.waiting(), 0);
}
