//! URIs that real peers send and some stacks refuse, misread or rewrite.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use sip_message::uri::{UriBuf, UriTransport};
use sip_message::{Contact, Header, Message, Uri};

fn register(contact: &str) -> Message {
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/WSS tm3ma23m.invalid;branch=z9hG4bK1\r\n\
         From: <sip:alice@example.com>;tag=1\r\nTo: <sip:alice@example.com>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n\
         Max-Forwards: 70\r\nContact: {contact}\r\nContent-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

/// The URI of the one Contact, which must not change on the way through.
#[track_caller]
fn contact(value: &str) -> UriBuf {
    let message = register(value);
    message.check_grammar().unwrap();
    assert_eq!(message.field(Header::Contact), Some(value.as_bytes()));
    let contact: Contact<'_> = message.contacts().next().unwrap().unwrap();
    let uri = contact.address().unwrap().uri().unwrap();
    let owned = UriBuf::from(uri);
    assert!(value.contains(owned.as_str()));
    owned
}

#[test]
fn a_browser_behind_a_websocket() {
    let uri = contact(
        "<sip:tm3ma23m@0ggb8r1s2rj1.invalid;transport=ws>;+sip.ice;reg-id=1;\
         +sip.instance=\"<urn:uuid:5ba1b6b8-8f06-4c3a-9c6f-4a58d6b0ad6b>\";expires=600",
    );
    let sip = uri.as_sip().unwrap();
    assert_eq!((sip.host_str(), sip.transport()), ("0ggb8r1s2rj1.invalid", Some(UriTransport::Ws)));
    // sips over WebSocket: the parameter names the transport, the scheme its security.
    let uri = contact("<sips:alice@df7jal23ls0d.invalid;transport=ws;ob>");
    let sip = uri.as_sip().unwrap();
    assert!(sip.is_sips() && sip.ob() && sip.transport() == Some(UriTransport::Ws));
}

#[test]
fn telephone_numbers_as_users() {
    let uri = contact("<sip:+14155550100;phone-context=+1@gw.example.net;user=phone>");
    let sip = uri.as_sip().unwrap();
    assert_eq!(sip.user().unwrap().as_str(), "+14155550100;phone-context=+1");
    assert!(sip.is_phone());
    // The plus stays a plus.
    let uri = contact("<sip:+14155550100@gw1.carrier.example.net:5060;user=phone;transport=udp>");
    assert_eq!(uri.as_sip().unwrap().to_builder().build().unwrap(), uri);
    assert_eq!(uri.as_sip().unwrap().address_of_record(), "sip:+14155550100@gw1.carrier.example.net:5060");
    assert_eq!(UriBuf::sip("gw.example.net").user("+1415").build().unwrap().as_str(), "sip:+1415@gw.example.net");
}

#[test]
fn service_codes_with_a_hash() {
    let uri = contact("<sip:*21*4711#@pbx.example.com>");
    assert!(uri.as_sip().unwrap().user().unwrap().eq_text("*21*4711#"));
    assert!(uri.as_uri().equivalent(&Uri::parse(b"sip:*21*4711%23@pbx.example.com").unwrap()));
}

#[test]
fn hosts_of_containers_and_services() {
    for host in ["sip_proxy", "7d3f1a2b9c4e", "sip-proxy.voice_net.local"] {
        assert_eq!(contact(&format!("<sip:a@{host}:5070>")).as_sip().unwrap().host_port_str(), format!("{host}:5070"));
    }
}

#[test]
fn parameters_keep_case_and_spelling() {
    let uri = contact("<sip:Alice%20B@Example.COM:05060;Transport=TCP;LR;+x=%7e>");
    assert_eq!(uri.as_str(), "sip:Alice%20B@Example.COM:05060;Transport=TCP;LR;+x=%7e");
    assert!(uri.as_sip().unwrap().lr());
    assert_eq!(uri.as_sip().unwrap().transport(), Some(UriTransport::Tcp));
}

#[test]
fn two_users_that_differ_in_a_nul_stay_two() {
    let (one, two) = (contact("<sip:%00@host5.example.com>"), contact("<sip:%00%00@host5.example.com>"));
    assert!(!one.as_uri().equivalent(&two.as_uri()));
    assert_ne!(one.as_sip().unwrap().address_of_record(), two.as_sip().unwrap().address_of_record());
}

#[test]
fn numbers_that_do_not_fit() {
    for uri in ["sip:a@b:65536", "sip:a@b:+5060", "sip:a@b:-1", "sip:a@b:184467440737095516160"] {
        let message = register(&format!("<{uri}>"));
        assert!(message.check_grammar().is_err(), "{uri}");
        assert!(message.contacts().next().unwrap().unwrap().address().unwrap().uri().is_err(), "{uri}");
    }
}
