//! RFC 6455 sections 5.5.2 and 5.5.3, RFC 7118 section 6: pings on the host's time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{Pair, at, events, feed_at, frame, masked, output, server};
use sip_ws::{Cause, Config, Event, KeepAlive, Timeout};
use std::time::Duration;

fn config() -> Config {
    let mut config = Config::default();
    config.keep_alive = Some(KeepAlive { interval: Duration::from_secs(20), timeout: Duration::from_secs(4) });
    config
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2
//= type=test
//# Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in
//# response, unless it already received a Close frame.
#[test]
fn pings_are_answered_with_their_payload() {
    let mut pair = Pair::new(config(), config());
    pair.client.ping(pair.now, b"one").unwrap();
    pair.client.ping(pair.now, &[0; 125]).unwrap();
    pair.server.ping(pair.now, b"").unwrap();
    pair.settle();
    assert_eq!(pair.server_events[..2], [Event::Ping("one".into()), Event::Ping(vec![0; 125].into())]);
    assert!(pair.client_events.contains(&Event::Pong("one".into())));
    assert!(pair.client_events.contains(&Event::Pong(vec![0; 125].into())));
    assert!(pair.server_events.contains(&Event::Pong("".into())));
    // After a Close frame came, a Ping is answered no more.
    let mut server = server(config());
    feed_at(&mut server, at(0), &[masked(0x88, b""), masked(0x89, b"late")].concat());
    assert_eq!(output(&mut server), frame(0x88, b""));
}

#[test]
fn an_idle_peer_is_pinged_and_lives() {
    let mut pair = Pair::new(config(), config());
    pair.run_to(at(1_000_000));
    assert!(pair.client.is_open() && pair.server.is_open());
    let pongs = pair.server.counters().pongs_in + pair.client.counters().pongs_in;
    assert!(pongs >= 49, "{pongs} pongs in 1000 s");
}

#[test]
fn traffic_puts_the_ping_off() {
    let mut server = server(config());
    for second in [0, 19, 38] {
        feed_at(&mut server, at(second * 1000), &masked(0x81, b"x"));
        assert_eq!(server.next_deadline(), Some(at((second + 20) * 1000)));
        server.handle_timeout(at((second + 19) * 1000));
        assert_eq!(output(&mut server), b"");
    }
    server.handle_timeout(at(58_000));
    assert_eq!(output(&mut server), frame(0x89, b""));
}

#[test]
fn a_missed_pong_is_death() {
    let mut server = server(config());
    server.handle_timeout(at(20_000));
    assert_eq!(output(&mut server), frame(0x89, b""));
    assert_eq!(server.poll_timeout(), Some(at(24_000)));
    server.handle_timeout(at(23_999));
    assert_eq!(events(&mut server), []);
    server.handle_timeout(at(24_000));
    let events = events(&mut server);
    let [Event::Closed(closed)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(closed.cause, Cause::Timeout(Timeout::Pong));
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn any_bytes_are_a_sign_of_life() {
    let mut server = server(config());
    server.handle_timeout(at(20_000));
    // Half a message: a peer that is busy sending cannot pong.
    feed_at(&mut server, at(23_000), &masked(0x82, &[0; 1000])[..500]);
    server.handle_timeout(at(24_000));
    assert!(server.is_open());
    assert_eq!(server.next_deadline(), Some(at(43_000)));
}

#[test]
fn without_keep_alive_there_is_no_deadline() {
    let mut config = Config::default();
    config.keep_alive = None;
    let server = server(config);
    assert_eq!(server.poll_timeout(), None);
}
