//! A browser and a telephone, JsSIP over WebSocket and SIPp over UDP, through softswitch: the flows of RFC 7118 section 8,
//! checked message by message.

use crate::browser::{Browser, Seen, uris};
use interop::{Scratch, Sipp, Softswitch, free_udp_port, program};
use sip_message::{Header, Message, Method};
use std::path::Path;
use std::time::Duration;

/// The messages in a log of SIPp, in order, with whether SIPp sent them.
fn log_of_sipp(file: &Path) -> Vec<(bool, Message)> {
    let bytes = std::fs::read(file).expect("the messages of SIPp");
    let mut rest = &bytes[..];
    let mut found = Vec::new();
    let place = |rest: &[u8], text: &[u8]| rest.windows(text.len()).position(|window| window == text);
    while let Some(at) = place(rest, b"UDP message ") {
        rest = &rest[at + 12..];
        let sent = rest.starts_with(b"sent");
        let from = place(rest, b"\n\n").expect("a message") + 2;
        let head = String::from_utf8_lossy(&rest[..from]).into_owned();
        let length = head.split(['[', ']', '(', ' ']).find_map(|word| word.parse::<usize>().ok());
        let to = from + length.unwrap_or_else(|| panic!("no length in {head:?}"));
        found.push((sent, Message::parse(rest[from..to].to_vec().into()).expect("a SIP message")));
        rest = &rest[to..];
    }
    found
}

fn of_browser(seen: &[Seen], sent: bool, what: impl Fn(&Message) -> bool) -> &Message {
    let found = seen.iter().find(|seen| seen.sent == sent && what(&seen.message));
    &found.expect("a message of the browser").message
}

fn of_sipp(log: &[(bool, Message)], sent: bool, what: impl Fn(&Message) -> bool) -> &Message {
    let found = log.iter().find(|(of, message)| *of == sent && what(message));
    &found.expect("a message of SIPp").1
}

fn request(method: Method<'static>) -> impl Fn(&Message) -> bool {
    move |message| message.method() == Some(method)
}

fn response(code: u16, method: Method<'static>) -> impl Fn(&Message) -> bool {
    move |message| {
        message.status().map(|status| status.code()) == Some(code)
            && message.cseq().is_ok_and(|cseq| cseq.method == method)
    }
}

fn uri(message: &Message) -> String {
    String::from_utf8_lossy(message.request_uri_bytes().expect("a request")).into_owned()
}

fn contact(message: &Message) -> String {
    uris(message, Header::Contact).remove(0)
}

fn vias(message: &Message) -> Vec<String> {
    message.vias().map(|via| via.expect("a Via").transport().to_string()).collect()
}

/// The Record-Route of a dialog between both: a value for each side, the browser's with its transport.
fn assert_recorded(values: &[String], udp_first: bool) {
    let [first, second] = values else { panic!("not one for each side: {values:?}") };
    let (udp, ws) = if udp_first { (first, second) } else { (second, first) };
    assert!(udp.contains(";lr") && !udp.contains("transport=ws"), "{values:?}");
    assert!(ws.contains(";transport=ws") && ws.contains(";lr") && ws.contains('@'), "{values:?}");
}

fn setting(name: &str) -> Option<(Browser, std::path::PathBuf, Scratch, Softswitch)> {
    let (browser, sipp) = (Browser::find()?, program("sipp")?);
    let scratch = Scratch::new(name);
    let switch = Softswitch::start(&scratch, &["--tcp", "none"]);
    Some((browser, sipp, scratch, switch))
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If the copy contains a Max-Forwards header field, the proxy
//# MUST decrement its value by one (1).
#[test]
fn a_browser_calls_a_telephone() {
    let Some((browser, sipp, scratch, switch)) = setting("browser-out") else { return };
    let (udp, port, file) = (switch.address("udp"), free_udp_port(), scratch.path().join("sipp.log"));
    Sipp::new(&sipp, "register-open", udp).with(&["-s", "bob"]).port(port).calls(1, 1).run(&scratch);
    let trace = ["-s", "bob", "-trace_msg", "-message_file", file.to_str().expect("a path in UTF-8")];
    let callee = Sipp::new(&sipp, "uas-webrtc", udp).with(&trace).port(port).calls(1, 1).start(&scratch);
    let seen = browser.start("callOut", &switch, "sip:bob@localhost", &scratch).finish();
    assert_eq!(callee.finish().successful, 1);
    let log = log_of_sipp(&file);

    let (out, arrived) =
        (of_browser(&seen, true, request(Method::Invite)), of_sipp(&log, false, request(Method::Invite)));
    assert_eq!((vias(out), vias(arrived)), (vec!["WS".into()], vec!["UDP".into(), "WS".into()]));
    assert_eq!(uri(arrived), format!("sip:bob@127.0.0.1:{port};transport=UDP"));
    let hops = |message: &Message| message.max_forwards().expect("well-formed").expect("one");
    assert_eq!(hops(arrived), hops(out) - 1);
    assert_eq!(
        (arrived.call_id().unwrap(), contact(arrived), arrived.body()),
        (out.call_id().unwrap(), contact(out), out.body())
    );
    assert!(!arrived.has(Header::Route));
    let recorded = uris(arrived, Header::RecordRoute);
    assert_recorded(&recorded, true);

    let answer = of_browser(&seen, false, response(200, Method::Invite));
    assert_eq!(vias(answer), ["WS"]);
    assert_eq!(uris(answer, Header::RecordRoute), recorded);
    assert_eq!(answer.top_via().unwrap().branch(), out.top_via().unwrap().branch());

    for method in [Method::Ack, Method::Bye] {
        let (out, arrived) = (of_browser(&seen, true, request(method)), of_sipp(&log, false, request(method)));
        // From the end of Record-Route to its start.
        let route: Vec<String> = recorded.iter().rev().cloned().collect();
        assert_eq!(uris(out, Header::Route), route);
        assert!(!arrived.has(Header::Route), "{method:?}");
        let remote = contact(of_sipp(&log, true, response(200, Method::Invite)));
        // JsSIP writes parameters in small letters.
        assert!(uri(arrived).eq_ignore_ascii_case(&remote), "{method:?} to {}, not {remote}", uri(arrived));
        assert_eq!(vias(arrived), ["UDP", "WS"], "{method:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-5.3.1
//= type=test
//# Next, whether the Route header field contained an "ob" URI parameter
//# or not, the proxy removes the Route header field value and forwards
//# the request over the 'logical flow' identified by the flow token,
//# that is known to deliver data to the specific target UA instance.
#[test]
fn a_telephone_calls_a_browser() {
    let Some((browser, sipp, scratch, switch)) = setting("browser-in") else { return };
    let (udp, file) = (switch.address("udp"), scratch.path().join("sipp.log"));
    let mut called = browser.start("calledIn", &switch, "", &scratch);
    called.peer.wait_for_output("waiting for a call", Duration::from_secs(120));
    let trace = ["-s", "alice", "-trace_msg", "-message_file", file.to_str().expect("a path in UTF-8")];
    let counts = Sipp::new(&sipp, "uac-webrtc", udp).with(&trace).calls(1, 1).run(&scratch);
    assert_eq!(counts.successful, 1);
    let (seen, log) = (called.finish(), log_of_sipp(&file));

    let (out, arrived) =
        (of_sipp(&log, true, request(Method::Invite)), of_browser(&seen, false, request(Method::Invite)));
    assert_eq!((vias(out), vias(arrived)), (vec!["UDP".into()], vec!["WS".into(), "UDP".into()]));
    // The contact of the registration: a host nobody can look up, reached over its connection.
    let registered = contact(of_browser(&seen, true, request(Method::Register)));
    assert!(registered.contains(".invalid") && registered.contains("transport=ws"), "{registered}");
    assert_eq!(uri(arrived), registered);
    assert_eq!(arrived.body(), out.body());
    let recorded = uris(arrived, Header::RecordRoute);
    assert_recorded(&recorded, false);

    let answer = of_sipp(&log, false, response(200, Method::Invite));
    assert_eq!(vias(answer), ["UDP"]);
    assert_eq!(uris(answer, Header::RecordRoute), recorded);

    for method in [Method::Ack, Method::Bye] {
        let (out, arrived) = (of_sipp(&log, true, request(method)), of_browser(&seen, false, request(method)));
        let route: Vec<String> = recorded.iter().rev().cloned().collect();
        assert_eq!(uris(out, Header::Route), route, "{method:?}");
        assert_eq!(uri(out), contact(answer), "{method:?}");
        assert!(!arrived.has(Header::Route), "{method:?}");
        assert_eq!(vias(arrived), ["WS", "UDP"], "{method:?}");
    }
}
