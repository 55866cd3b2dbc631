//! What softswitch sends, in the eyes of tshark: no malformed packet, no expert error.

use interop::{Capture, Scratch, Sipp, Softswitch, free_udp_port, program};

#[test]
fn nothing_that_is_sent_is_malformed() {
    let (Some(tshark), Some(sipp)) = (program("tshark"), program("sipp")) else { return };
    let scratch = Scratch::new("tshark");
    let switch = Softswitch::start(&scratch, &["--ws", "none"]);
    let guarded = Softswitch::start(&scratch, &["--tcp", "none", "--ws", "none", "--user", "bob:secret"]);
    let (udp, tcp, port) = (switch.address("udp"), switch.address("tcp"), free_udp_port());
    let guard = guarded.address("udp");
    let ports = [("udp", udp.port(), "sip"), ("tcp", tcp.port(), "sip"), ("udp", guard.port(), "sip")];
    let capture = Capture::start(&tshark, &ports, &scratch);

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
    let captured = capture.finish();
    let ours = format!("(udp.srcport=={} || udp.srcport=={} || tcp.srcport=={})", udp.port(), guard.port(), tcp.port());
    let sent = captured.read(&format!("sip && {ours}"));
    assert!(sent.lines().count() > 30, "{sent}");
    let faults = captured.read(&format!("{ours} && (_ws.malformed || _ws.expert.severity == error)"));
    assert!(faults.is_empty(), "{faults}");
}
