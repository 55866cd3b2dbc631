//! softswitch is ended and started again in the middle of a call.

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
    assert!(switch.peer.wait(Duration::from_secs(5)).success(), "{}", switch.peer.output());
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
    wait_until("the users to be read", Duration::from_secs(5), || {
        switch.peer.output().contains("read the users again")
    });
    register("register");
    // A file that cannot be read changes nothing.
    scratch.write("users", "nonsense\n");
    switch.signal("HUP");
    wait_until("the refusal", Duration::from_secs(5), || switch.peer.output().contains("the users stay as they are"));
    register("register");
}
