//! Route sets that begin with a strict router, of the kind RFC 2543 knew, and go on with loose ones.

use crate::common::*;
use sip_dialog::{EndCause, Invite};
use sip_message::{Header, Method};

/// Record-Route as the proxies near the caller see it: the caller's route set is the reverse, the strict router first.
const RECORDED: &str = "<sip:192.0.2.8;lr>, <sip:192.0.2.9>";

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.2
//= type=test
//# If the first element in the route set indicated a strict router
//# (resulting in forming the request as described in Section 12.2.1.1), the
//# procedures MUST be applied to the Request-URI of the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# The UAC MUST then place the remote target URI into the Route header
//# field as the last value.
#[test]
fn all_that_a_dialog_sends_goes_to_the_strict_router_though_a_loose_one_is_next() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.raw(2));
    let (_loose, strict) = (world.raw(8), world.raw(9));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let call = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(bob);
    let ok = |world: &mut World| {
        world.respond(bob, tx, &invite, 200, |builder| {
            builder
                .header(Header::Contact, "<sip:2@192.0.2.2>")
                .header(Header::RecordRoute, RECORDED)
                .body("application/sdp", ANSWER)
        });
    };
    ok(&mut world);
    world.until_confirmed(alice, call);
    // The 200 again: the ACK again, the same way.
    ok(&mut world);
    world.run_for(std::time::Duration::from_millis(100));
    assert_eq!(world.sent().iter().filter(|what| *what == "1>9 ACK").count(), 2, "{}", world.ladder());
    let ack = world.last("ACK");
    assert_eq!(ack.request_uri_bytes(), Some(&b"sip:192.0.2.9"[..]));
    assert_eq!(ack.field(Header::Route), Some(&b"<sip:192.0.2.8;lr>, <sip:2@192.0.2.2>"[..]));
    world.hang_up(alice, call);
    let (tx, bye) = world.request_at(strict);
    world.respond(strict, tx, &bye, 407, |builder| {
        builder.header(Header::ProxyAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\"")
    });
    // With credentials it takes the same way.
    let (tx, bye) = world.request_at(strict);
    assert!(bye.method() == Some(Method::Bye) && bye.has(Header::ProxyAuthorization));
    world.respond(strict, tx, &bye, 200, |builder| builder);
    assert_eq!(world.end_of(alice, call), EndCause::HungUp);
    world.finish();
}

#[test]
fn a_request_with_such_a_preset_route_does_so_too_and_when_it_is_sent_again() {
    let mut world = World::new(2);
    let (alice, strict, _loose) = (world.phone(1), world.raw(9), world.raw(8));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let who = origin(1).route("<sip:192.0.2.9>").route("<sip:192.0.2.8;lr>");
    let call = world.invite(alice, Invite::new(who, "sip:2@192.0.2.2").body(offer()));
    let (tx, request) = world.request_at(strict);
    world.respond(strict, tx, &request, 401, |builder| {
        builder.header(Header::WwwAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\"")
    });
    let (tx, request) = world.request_at(strict);
    assert!(request.has(Header::Authorization));
    world.respond(strict, tx, &request, 422, |builder| builder.header(Header::MinSe, 3000));
    let (tx, request) = world.request_at(strict);
    assert_eq!(request.field(Header::MinSe), Some(&b"3000"[..]));
    world.respond(strict, tx, &request, 404, |builder| builder);
    assert_eq!(world.end_of(alice, call), EndCause::PeerRejected(status(404)));
    world.finish();
}
