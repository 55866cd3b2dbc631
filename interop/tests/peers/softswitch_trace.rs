//! A run with registrations, calls and presence over several transports is recorded, and replayed to the same outputs.

use crate::softphone::Phone;
use interop::{Scratch, Softswitch, own_program, wait_until};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const USERS: [&str; 4] = ["--user", "alice:wonderland", "--user", "bob:builder"];

fn replay(file: &Path, users: &[&str]) -> (bool, String) {
    let output =
        Command::new(own_program("softswitch")).arg("--replay").arg(file).args(users).output().expect("it runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Ends a server in good order.
fn end(mut switch: Softswitch) {
    switch.signal("TERM");
    assert!(switch.peer.wait(Duration::from_secs(30)).success(), "{}", switch.peer.output());
}

/// Records registrations, calls and presence, and does not end the server.
fn record(scratch: &Scratch, workers: &str) -> (Softswitch, std::path::PathBuf) {
    let options = ["--workers", workers, "--drain", "1", "--trace", "trace", "--advertise", "localhost"];
    let switch = Softswitch::start(scratch, &[&options[..], &USERS].concat());
    let phone = |name: &str, user: &str, transport: &str, rest: &[&str]| {
        let server = format!("localhost:{}", switch.address(transport).port());
        Phone::start(name, &[&["--server", &server, "--transport", transport, "--user", user], rest].concat(), scratch)
    };
    let watcher = phone("watcher", "alice:wonderland", "udp", &["subscribe", "bob"]);
    watcher.until("notify", 1);
    for (n, (from, to)) in [("udp", "udp"), ("tcp", "ws"), ("ws", "tcp"), ("udp", "tcp")].into_iter().enumerate() {
        let callee = phone(&format!("bob{n}"), "bob:builder", to, &["--auto", "--calls", "1", "answer"]);
        callee.until("registered", 1);
        let rest = ["--register", "--hold-after", "1", "--for", "3", "call", "bob"];
        phone(&format!("alice{n}"), "alice:wonderland", from, &rest).finish().talked();
        callee.finish().talked();
    }
    assert_eq!(phone("guess", "alice:guess", "udp", &["call", "bob"]).finish().code, Some(5));
    assert_eq!(phone("echo", "alice:wonderland", "udp", &["--for", "1", "call", "echo"]).finish().code, Some(0));
    drop(watcher);
    (switch, scratch.path().join("trace"))
}

#[test]
fn a_recorded_run_is_replayed_to_the_same_outputs() {
    let scratch = Scratch::new("trace");
    let (switch, file) = record(&scratch, "1");
    end(switch);
    let trace = std::fs::read(&file).expect("a trace");
    let text = String::from_utf8_lossy(&trace).into_owned();
    assert!(!text.contains("wonderland") && !text.contains("builder"), "passwords are not in it");
    let (well, said) = replay(&file, &USERS);
    assert!(well && said.contains("are the same"), "{said}");
    assert!(!said.contains("cut off"), "{said}");
    let outputs = said.split(' ').nth(4).and_then(|word| word.parse().ok());
    assert!(outputs.is_some_and(|outputs: usize| outputs > 50), "{said}");

    // Without the passwords it says which are missing; with a wrong one, where it goes another way.
    let (well, said) = replay(&file, &[]);
    assert!(!well && said.contains("--user alice:PASSWORD"), "{said}");
    let (well, said) = replay(&file, &["--user", "alice:other", "--user", "bob:builder"]);
    assert!(!well && said.contains("goes another way") && said.contains("SIP/2.0 40"), "{said}");

    // What was not sent so is noticed, to the byte.
    let at = text.rfind("SIP/2.0 200 OK").expect("an answer");
    let mut forged = trace.clone();
    forged[at + 8] = b'3';
    let file = scratch.write("forged", &forged);
    let (well, said) = replay(&file, &USERS);
    assert!(!well && said.contains("SIP/2.0 300 OK") && said.contains("SIP/2.0 200 OK"), "{said}");

    // A trace that was cut off, by a crash or its limit, is good up to there.
    let file = scratch.write("cut", &trace[..trace.len() * 2 / 3]);
    let (well, said) = replay(&file, &USERS);
    assert!(well && said.contains("cut off"), "{said}");
    let file = scratch.write("other", "GET / HTTP/1.1\r\n\r\n");
    let (well, said) = replay(&file, &[]);
    assert!(!well && said.contains("no trace"), "{said}");
}

#[test]
fn a_run_with_several_workers_is_replayed() {
    let scratch = Scratch::new("trace-workers");
    let (switch, file) = record(&scratch, "3");
    end(switch);
    let (well, said) = replay(&file, &USERS);
    assert!(well && said.contains("are the same"), "{said}");
}

#[test]
fn a_server_that_is_killed_leaves_its_trace() {
    let scratch = Scratch::new("trace-killed");
    let (switch, file) = record(&scratch, "1");
    let whole = |trace: &[u8]| String::from_utf8_lossy(trace).matches("BYE sip:").count();
    // What was done is written out soon, without anybody's asking.
    wait_until("the last call to be on the disk", Duration::from_secs(10), || {
        whole(&std::fs::read(&file).expect("a trace")) >= 9
    });
    drop(switch);
    let (well, said) = replay(&file, &USERS);
    assert!(well && said.contains("are the same"), "{said}");
}
