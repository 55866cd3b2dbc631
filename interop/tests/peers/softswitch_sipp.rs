//! SIPp against softswitch: registrations, and calls of every kind between a caller and a callee that know only the
//! server. The scenarios are in `scenarios/`; each side fails on any message it does not expect.

use interop::{Counts, Scratch, Sipp, Softswitch, free_tcp_port, free_udp_port, program};
use std::path::Path;

/// Registers bob, on this UDP port, without a password.
fn register(sipp: &Path, switch: &Softswitch, port: u16, scratch: &Scratch) {
    Sipp::new(sipp, "register-open", switch.address("udp")).with(&["-s", "bob"]).port(port).calls(1, 1).run(scratch);
}

/// One call over UDP from alice to bob, who is registered; both sides must see what their scenario says.
fn call(name: &str, caller: &str, callee: &str) {
    calls(name, caller, callee, 1, 1);
}

fn calls(name: &str, caller: &str, callee: &str, calls: u32, rate: u32) {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new(name);
    let switch = Softswitch::start(&scratch, &["--ws", "none"]);
    let (udp, port) = (switch.address("udp"), free_udp_port());
    register(&sipp, &switch, port, &scratch);
    let patience = format!("{}s", 60 + calls / rate);
    let with = ["-s", "bob", "-timeout", &patience];
    let callee = Sipp::new(&sipp, callee, udp).with(&with).port(port).calls(calls, rate).start(&scratch);
    let caller = Sipp::new(&sipp, caller, udp).with(&with).calls(calls, rate).run(&scratch);
    let all = Counts { successful: calls.into(), failed: 0, retransmissions: 0 };
    assert_eq!((caller, callee.finish()), (all, all));
}

/// One call over TCP; bob is not registered but behind a route.
fn call_over_tcp(name: &str, caller: &str, callee: &str) {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new(name);
    let port = free_tcp_port();
    let route = format!("bob=sip:127.0.0.1:{port};transport=tcp");
    let switch = Softswitch::start(&scratch, &["--ws", "none", "--route", &route]);
    let tcp = switch.address("tcp");
    let callee = Sipp::new(&sipp, callee, tcp).with(&["-t", "t1", "-s", "bob"]).port(port).calls(1, 1).start(&scratch);
    Sipp::new(&sipp, caller, tcp).with(&["-t", "t1", "-s", "bob"]).calls(1, 1).run(&scratch);
    assert_eq!(callee.finish().successful, 1);
}

#[test]
fn registers_with_digest_over_udp_and_tcp() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("register");
    let switch = Softswitch::start(&scratch, &["--ws", "none", "--user", "bob:secret"]);
    for (transport, flag) in [("udp", "u1"), ("tcp", "t1")] {
        let with = |scenario, password| {
            Sipp::new(&sipp, scenario, switch.address(transport))
                .with(&["-t", flag, "-s", "bob", "-au", "bob", "-ap", password])
                .calls(1, 1)
        };
        with("register", "secret").run(&scratch);
        with("register-refused", "guess").run(&scratch);
    }
    let log = switch.peer.output();
    assert!(log.contains("Registered: sip:bob@"), "{log}");
    assert!(log.contains("WrongPassword"), "{log}");
    assert!(!log.contains("secret"), "no passwords in the log: {log}");
}

#[test]
fn the_caller_ends_the_call() {
    call("caller-ends", "uac", "uas");
}

#[test]
fn the_callee_ends_the_call() {
    call("callee-ends", "uac-waits", "uas-ends");
}

#[test]
fn the_callee_is_busy() {
    call("busy", "uac-busy", "uas-busy");
}

#[test]
fn the_caller_gives_up() {
    call("cancel", "uac-cancel", "uas-cancel");
}

#[test]
fn a_provisional_response_is_reliable() {
    call("prack", "uac-prack", "uas-prack");
}

#[test]
fn hold_update_info_and_refer_pass_within_a_call() {
    call("within", "uac-within", "uas-within");
}

#[test]
fn a_message_passes() {
    call("message", "uac-message", "uas-message");
}

#[test]
fn a_call_without_an_offer_passes() {
    call("offerless", "uac-offerless", "uas");
}

#[test]
fn calls_over_tcp_pass() {
    for (caller, callee) in
        [("uac", "uas"), ("uac-waits", "uas-ends"), ("uac-busy", "uas-busy"), ("uac-within", "uas-within")]
    {
        call_over_tcp(&format!("tcp-{caller}"), caller, callee);
    }
}

#[test]
fn calls_over_tcp_can_be_given_up_and_have_no_offer() {
    for (caller, callee) in [("uac-cancel", "uas-cancel"), ("uac-prack", "uas-prack"), ("uac-offerless", "uas")] {
        call_over_tcp(&format!("tcp-{caller}"), caller, callee);
    }
}

#[test]
fn a_large_request_goes_on_over_tcp_though_it_came_over_udp() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("large");
    let port = free_tcp_port();
    // The route names no transport: the size alone decides.
    let route = format!("bob=sip:127.0.0.1:{port}");
    let switch = Softswitch::start(&scratch, &["--ws", "none", "--route", &route]);
    let (udp, tcp) = (switch.address("udp"), switch.address("tcp"));
    let callee = Sipp::new(&sipp, "uas", tcp).with(&["-t", "t1", "-s", "bob"]).port(port).calls(1, 1).start(&scratch);
    Sipp::new(&sipp, "uac-big", udp).with(&["-s", "bob"]).calls(1, 1).run(&scratch);
    assert_eq!(callee.finish().successful, 1);
}

#[test]
fn the_numbers_of_the_server_itself_answer() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("numbers");
    let switch = Softswitch::start(&scratch, &["--ws", "none"]);
    for (scenario, number) in [("uac", "echo"), ("uac-offerless", "echo"), ("uac-busy", "busy"), ("uac-cancel", "ring")]
    {
        for (transport, flag) in [("udp", "u1"), ("tcp", "t1")] {
            let run = Sipp::new(&sipp, scenario, switch.address(transport));
            let counts = run.with(&["-t", flag, "-s", number]).calls(1, 1).run(&scratch);
            assert_eq!((counts.successful, counts.retransmissions), (1, 0), "{scenario} to {number} over {transport}");
        }
    }
}

/// For five seconds; `INTEROP_SOAK` names another number of them.
#[test]
fn two_hundred_calls_a_second_go_without_loss() {
    let seconds = std::env::var("INTEROP_SOAK").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(5);
    calls("soak", "uac", "uas", 200 * seconds, 200);
}

#[test]
fn several_workers_share_registrations_and_connections() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("workers");
    let switch = Softswitch::start(&scratch, &["--ws", "none", "--workers", "4"]);
    let (udp, tcp, port) = (switch.address("udp"), switch.address("tcp"), free_udp_port());
    register(&sipp, &switch, port, &scratch);
    let callee = Sipp::new(&sipp, "uas", udp).with(&["-s", "bob"]).port(port).calls(100, 100).start(&scratch);
    // One connection carries the calls of all workers.
    let counts = Sipp::new(&sipp, "uac", tcp).with(&["-t", "t1", "-s", "bob"]).calls(100, 100).run(&scratch);
    let all = Counts { successful: 100, failed: 0, retransmissions: 0 };
    assert_eq!((counts, callee.finish()), (all, all));
}

#[test]
fn a_taken_port_is_an_error_that_names_the_option() {
    let scratch = Scratch::new("taken");
    let switch = Softswitch::start(&scratch, &["--ws", "none"]);
    let taken = switch.address("tcp").to_string();
    let second = std::process::Command::new(interop::own_program("softswitch"))
        .args(["--udp", "none", "--ws", "none", "--tcp", &taken])
        .output()
        .expect("it starts");
    let error = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    assert!(error.contains(&taken) && error.contains("--tcp ADDR"), "{error}");
}
