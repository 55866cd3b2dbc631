//! What is said of a command line that is asked for help or is wrong, and of a host that will not do: in words, at once, and with
//! the exit code of the help.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};

/// Runs it to its end: the exit code, and what it said on either output.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_softphone"));
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_and_version_are_all_that_is_said() {
    for (option, said) in [("--help", "usage: softphone"), ("-h", "usage: softphone"), ("--version", "softphone 0.")] {
        let (code, out, err) = run(&[option]);
        assert!(code == Some(0) && out.starts_with("softphone") && out.contains(said) && err.is_empty(), "{out}{err}");
    }
}

#[test]
fn a_wrong_command_line_is_one_line_and_code_2() {
    for (arguments, said) in [
        (&[][..], "what shall I do? --help lists the commands"),
        (&["--bogus", "answer"], "there is no option --bogus; --help"),
        (&["call"], "call needs somebody to call"),
        (&["--user", "", "call", "sip:bob@127.0.0.1"], "--user: it is NAME"),
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(2), "", 1), "{arguments:?}: {err}");
        assert!(err.starts_with("softphone: ") && err.contains(said), "{arguments:?}: {err}");
    }
}

#[test]
fn what_is_wrong_with_this_host_is_named_with_code_1() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let no_pem = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (option, value, said) in [
        ("--bind", taken.as_str(), "cannot use 127.0.0.1 port "),
        ("--authorities", "no/such/file.pem", "--authorities no/such/file.pem: "),
        ("--authorities", no_pem, "Cargo.toml: no certificate in it"),
    ] {
        let (code, out, err) = run(&[option, value, "answer"]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{option} {value}: {err}");
        assert!(err.starts_with("softphone: ") && err.contains(said), "{option} {value}: {err}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-18.4
//= type=test
//# Host, network, port or protocol unreachable errors, or parameter problem
//# errors SHOULD cause the transport layer to inform the transport user of
//# a failure in sending.
#[cfg(target_os = "linux")]
#[test]
fn a_port_where_nobody_listens_is_not_waited_for() {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let who = format!("sip:bob@{nobody}");
    for command in [&["options", who.as_str()][..], &["call", &who], &["message", &who, "hello"]] {
        // One that nobody answers is 6.
        let (code, out, err) = run(&[&["--bind", "127.0.0.1:0"], command].concat());
        assert!(code == Some(7) && out.contains(&format!("nobody at {nobody}")), "{command:?} {code:?}: {out}{err}");
    }
}

#[test]
fn what_no_message_has_said_is_no_refusal() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (code, out, err) = run(&["--server", &nobody, "--transport", "tcp", "options", "bob"]);
    assert!(
        code == Some(7) && out.contains("cannot connect") && out.contains("not reached: 503"),
        "{code:?} {out}{err}"
    );
}
