//! Our own telephone against SIPp, directly, over UDP and TCP: it calls and is called, gives up, is refused, and is hung up
//! on.

use crate::softphone::Phone;
use interop::{Scratch, Sipp, free_udp_port, own_program, program, wait_until};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

const TRANSPORTS: [(&str, &str); 2] = [("udp", "u1"), ("tcp", "t1")];

/// A port that both UDP and TCP can have.
fn free_port() -> u16 {
    let mut port = 0;
    wait_until("a port that is free for both", Duration::from_secs(10), || {
        port = free_udp_port();
        TcpListener::bind(("127.0.0.1", port)).is_ok()
    });
    port
}

#[test]
fn it_calls_sipp() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("calls-sipp");
    // Built before SIPp waits for it.
    own_program("softphone");
    for (transport, flag) in TRANSPORTS {
        for (scenario, arguments, code) in [("uas", &["--for", "1"][..], 0), ("uas-ends", &[], 0), ("uas-busy", &[], 4)]
        {
            let (port, own) = (free_port(), free_port());
            let peer = SocketAddr::from(([127, 0, 0, 1], own));
            let run = Sipp::new(&sipp, scenario, peer).with(&["-t", flag, "-s", "bob"]).port(port).calls(1, 1);
            let callee = run.start(&scratch);
            wait_until("SIPp to listen", Duration::from_secs(20), || match transport {
                "tcp" => TcpListener::bind(("127.0.0.1", port)).is_err(),
                _ => fs::read_to_string("/proc/net/udp").is_ok_and(|all| all.contains(&format!(":{port:04X} "))),
            });
            let (uri, bind) = (format!("sip:bob@127.0.0.1:{port};transport={transport}"), peer.to_string());
            let mut all = vec!["--bind", &bind, "--transport", transport];
            all.extend(arguments);
            all.extend(["call", &uri]);
            let ended = Phone::start("caller", &all, &scratch).finish();
            assert_eq!(ended.code, Some(code), "{scenario} over {transport}: {}", ended.events);
            assert_eq!(callee.finish().successful, 1, "{scenario} over {transport}");
        }
    }
}

#[test]
fn sipp_calls_it() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("sipp-calls");
    for (transport, flag) in TRANSPORTS {
        for (scenario, arguments) in [
            ("uac", &["--auto"][..]),
            ("uac-offerless", &["--auto"]),
            ("uac-waits", &["--auto", "--for", "1"]),
            ("uac-busy", &["--busy"]),
            ("uac-cancel", &[]),
        ] {
            let own = SocketAddr::from(([127, 0, 0, 1], free_port()));
            let bind = own.to_string();
            let mut all = vec!["--bind", &bind, "--transport", transport];
            all.extend(arguments);
            all.push("answer");
            let phone = Phone::start("callee", &all, &scratch);
            phone.until("listening", 1);
            let run = Sipp::new(&sipp, scenario, own).with(&["-t", flag, "-s", "bob"]).port(free_port());
            assert_eq!(run.calls(1, 1).run(&scratch).successful, 1, "{scenario} over {transport}");
        }
    }
}
