//! softswitch is ended and started again in the middle of a call.

use crate::softphone::Phone;
use interop::{Scratch, Sipp, Softswitch, free_udp_port, program, wait_until};
use std::time::Duration;

#[test]
fn a_call_and_a_registration_survive_a_restart() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("restart");
    let (port, callee_port) = (free_udp_port(), free_udp_port());
    let udp = format!("127.0.0.1:{port}");
    let arguments = ["--udp", &udp, "--tcp", "none", "--ws", "none", "--state", "state", "--drain", "1"];
    let mut switch = Softswitch::start(&scratch, &arguments);
    let address = switch.address("udp");
    let bob = |scenario| Sipp::new(&sipp, scenario, address).with(&["-s", "bob"]).port(callee_port);
    bob("register-open").calls(1, 1).run(&scratch);

    let callee = bob("uas-long").calls(1, 1).start(&scratch);
    let caller = Sipp::new(&sipp, "uac-long", address).with(&["-s", "bob"]).calls(1, 1).start(&scratch);
    // The call is up well before its re-INVITE, four seconds later, which finds another process.
    std::thread::sleep(Duration::from_millis(1500));
    switch.signal("TERM");
    assert!(switch.peer.wait(Duration::from_secs(30)).success(), "{}", switch.peer.output());
    let state = scratch.path().join("state");
    assert!(state.exists());
    drop(switch);

    let switch = Softswitch::start(&scratch, &arguments);
    assert!(!state.exists(), "what has been taken over is removed");
    assert_eq!((caller.finish().successful, callee.finish().successful), (1, 1));

    // Bob is still registered.
    let callee = bob("uas").calls(1, 1).start(&scratch);
    Sipp::new(&sipp, "uac", address).with(&["-s", "bob"]).calls(1, 1).run(&scratch);
    assert_eq!(callee.finish().successful, 1);
    assert!(switch.peer.output().contains("took over 1 registrations"), "{}", switch.peer.output());
}

#[test]
fn the_calls_of_the_server_itself_and_subscriptions_survive_a_restart() {
    let scratch = Scratch::new("restart-own");
    let udp = format!("127.0.0.1:{}", free_udp_port());
    let arguments =
        ["--udp", &udp, "--tcp", "none", "--ws", "none", "--workers", "2", "--state", "state", "--drain", "1"];
    let mut switch = Softswitch::start(&scratch, &arguments);
    let phone =
        |user: &str, rest: &[&str]| Phone::start(user, &[&["--server", &udp, "--user", user], rest].concat(), &scratch);
    let mut caller = phone("alice", &["call", "echo"]);
    caller.until("confirmed", 1);
    let mut watcher = phone("carol", &["subscribe", "bob"]);
    watcher.until("notify", 1);
    switch.signal("TERM");
    assert!(switch.peer.wait(Duration::from_secs(30)).success(), "{}", switch.peer.output());
    drop(switch);
    let switch = Softswitch::start(&scratch, &arguments);

    // The call goes on: hold and its end are answered by another process.
    caller.key("h");
    caller.until("held", 1);
    caller.key("h");
    caller.until("resumed", 1);
    caller.key("e");
    caller.finish().talked();
    // And so does the subscription.
    let bob = phone("bob", &["register"]);
    watcher.until("notify", 2);
    assert!(watcher.events().contains("<basic>open</basic>"), "{}", watcher.events());
    watcher.key("q");
    let ended = watcher.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.events);
    assert!(!switch.peer.output().contains("not taken over"), "{}", switch.peer.output());
    drop(bob);
}

#[test]
fn a_call_that_rings_is_answered_after_a_restart() {
    let scratch = Scratch::new("restart-ringing");
    let udp = format!("127.0.0.1:{}", free_udp_port());
    let arguments = ["--udp", &udp, "--tcp", "none", "--ws", "none", "--state", "state", "--drain", "1"];
    let mut switch = Softswitch::start(&scratch, &arguments);
    let phone =
        |user: &str, rest: &[&str]| Phone::start(user, &[&["--server", &udp, "--user", user], rest].concat(), &scratch);
    let mut bob = phone("bob", &["--calls", "1", "answer"]);
    bob.until("registered", 1);
    let mut alice = phone("alice", &["call", "bob"]);
    alice.until("ringing", 1);
    switch.signal("TERM");
    assert!(switch.peer.wait(Duration::from_secs(30)).success(), "{}", switch.peer.output());
    drop(switch);
    let _switch = Softswitch::start(&scratch, &arguments);
    bob.key("a");
    alice.until("confirmed", 1);
    bob.until("confirmed", 1);
    bob.key("h");
    alice.until("held", 1);
    bob.until("held", 1);
    bob.key("h");
    alice.until("resumed", 1);
    alice.key("e");
    for phone in [alice, bob] {
        let ended = phone.finish();
        assert_eq!(ended.code, Some(0), "{}", ended.events);
    }
}

#[test]
fn users_are_read_again_on_sighup() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("sighup");
    // bob, realm localhost, password "secret".
    let users = scratch.write("users", "");
    let path = users.to_str().expect("a plain path").to_owned();
    let switch = Softswitch::start(&scratch, &["--tcp", "none", "--ws", "none", "--users", &path]);
    let register = |scenario| {
        let run = Sipp::new(&sipp, scenario, switch.address("udp"));
        run.with(&["-s", "bob", "-au", "bob", "-ap", "secret"]).calls(1, 1).run(&scratch)
    };
    register("register-refused");
    scratch.write("users", "bob:localhost:50241c3d4a9d6922e84d3e9434ab8bf8\n");
    switch.signal("HUP");
    wait_until("the users to be read", Duration::from_secs(30), || {
        switch.peer.output().contains("read the users again")
    });
    register("register");
    // A file that cannot be read changes nothing.
    scratch.write("users", "nonsense\n");
    switch.signal("HUP");
    wait_until("the refusal", Duration::from_secs(30), || switch.peer.output().contains("the users stay as they are"));
    register("register");
}

#[test]
fn a_second_signal_does_not_wait() {
    let scratch = Scratch::new("twice");
    let mut switch = Softswitch::start(&scratch, &["--tcp", "none", "--ws", "none"]);
    let server = format!("localhost:{}", switch.address("udp").port());
    // Its answer is kept for 32 s, for the request might come again.
    assert_eq!(Phone::start("asks", &["--server", &server, "options", "echo"], &scratch).finish().code, Some(0));
    switch.signal("INT");
    wait_until("it to wait", Duration::from_secs(30), || switch.peer.output().contains("a second signal ends it now"));
    switch.signal("INT");
    assert!(switch.peer.wait(Duration::from_secs(20)).success(), "{}", switch.peer.output());
}
