//! What softswitch sends, in the eyes of tshark: no malformed packet, no expert error.

use interop::{Peer, Scratch, Sipp, Softswitch, free_udp_port, program};
use std::process::Command;
use std::time::Duration;

#[test]
fn nothing_that_is_sent_is_malformed() {
    let (Some(tshark), Some(sipp)) = (program("tshark"), program("sipp")) else { return };
    let scratch = Scratch::new("tshark");
    let switch = Softswitch::start(&scratch, &["--ws", "none"]);
    let guarded = Softswitch::start(&scratch, &["--tcp", "none", "--ws", "none", "--user", "bob:secret"]);
    let (udp, tcp, port) = (switch.address("udp"), switch.address("tcp"), free_udp_port());
    let capture = scratch.path().join("capture.pcapng");
    let guard = guarded.address("udp");
    let filter = format!("port {} or port {} or port {}", udp.port(), tcp.port(), guard.port());
    let mut command = Command::new(&tshark);
    command.args(["-i", "lo", "-q", "-f", &filter, "-w"]).arg(&capture);
    let mut dump = Peer::start(&mut command, &scratch);
    dump.wait_for_output("Capturing on", Duration::from_secs(20));
    // It says so a moment before it does.
    std::thread::sleep(Duration::from_secs(1));

    for (scenario, password) in [("register", "secret"), ("register-refused", "guess")] {
        let run = Sipp::new(&sipp, scenario, guard).with(&["-s", "bob", "-au", "bob", "-ap", password]);
        run.calls(1, 1).run(&scratch);
    }
    let bob = |scenario| Sipp::new(&sipp, scenario, udp).with(&["-s", "bob"]).port(port).calls(1, 1);
    bob("register-open").run(&scratch);
    for (caller, callee) in [("uac-within", "uas-within"), ("uac-cancel", "uas-cancel"), ("uac-busy", "uas-busy")] {
        let callee = bob(callee).start(&scratch);
        Sipp::new(&sipp, caller, udp).with(&["-s", "bob"]).calls(1, 1).run(&scratch);
        callee.finish();
    }
    for (scenario, number) in [("uac", "echo"), ("uac-busy", "busy"), ("uac-cancel", "ring")] {
        Sipp::new(&sipp, scenario, tcp).with(&["-t", "t1", "-s", number]).calls(1, 1).run(&scratch);
    }
    // What was captured last may still be on its way to the file.
    std::thread::sleep(Duration::from_secs(1));
    let stop = Command::new("kill").args(["-s", "INT", &dump.id().to_string()]).status().expect("kill");
    assert!(stop.success());
    dump.wait(Duration::from_secs(20));

    let read = |filter: &str| {
        let mut command = Command::new(&tshark);
        command.arg("-r").arg(&capture);
        for (kind, port) in [("udp", udp.port()), ("udp", guard.port()), ("tcp", tcp.port())] {
            command.args(["-d", &format!("{kind}.port=={port},sip")]);
        }
        let output = command.args(["-Y", filter]).output().expect("tshark");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let ours = format!("(udp.srcport=={} || udp.srcport=={} || tcp.srcport=={})", udp.port(), guard.port(), tcp.port());
    let sent = read(&format!("sip && {ours}"));
    assert!(sent.lines().count() > 30, "{sent}");
    let faults = read(&format!("{ours} && (_ws.malformed || _ws.expert.severity == error)"));
    assert!(faults.is_empty(), "{faults}");
}
