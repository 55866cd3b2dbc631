//! Two softswitches that share a Redis: users of one are reached from the other, and change over when one dies.

use interop::{Peer, Scratch, Sipp, Softswitch, free_tcp_port, free_udp_port, program, wait_until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

fn redis(scratch: &Scratch) -> Option<(Peer, u16)> {
    let program = program("redis-server")?;
    let port = free_tcp_port();
    let arguments = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let mut peer = Peer::start(Command::new(program).args(arguments), scratch);
    peer.wait_for_output("Ready to accept connections", Duration::from_secs(10));
    Some((peer, port))
}

/// Waits until Redis answers `command` with something that contains `text`.
fn wait_for_redis(port: u16, command: &str, text: &str) {
    wait_until(&format!("{text:?} in Redis"), Duration::from_secs(10), || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("Redis");
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).expect("a question");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.contains(text)
    });
}

#[test]
fn users_of_two_nodes_reach_each_other_and_change_over_when_one_dies() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("redis");
    let Some((_redis, redis_port)) = redis(&scratch) else { return };
    let location = format!("redis://127.0.0.1:{redis_port}");
    let arguments = ["--tcp", "none", "--ws", "none", "--user", "alice:a", "--user", "bob:b", "--location", &location];
    let one = Softswitch::start(&scratch, &arguments);
    let two = Softswitch::start(&scratch, &arguments);
    let (first, second) = (one.address("udp"), two.address("udp"));
    let bob_port = free_udp_port();
    let bob = |scenario, node| {
        Sipp::new(&sipp, scenario, node).with(&["-s", "bob", "-au", "bob", "-ap", "b"]).port(bob_port).calls(1, 1)
    };

    // Bob is at the second node, and is called at the first.
    bob("register", second).run(&scratch);
    wait_for_redis(redis_port, "HKEYS softswitch:at:sip:bob@localhost", "*1");
    wait_for_redis(redis_port, "HGETALL softswitch:nodes", &first.to_string());
    wait_for_redis(redis_port, "HGETALL softswitch:nodes", &second.to_string());
    // Each has heard of the other by now: they look once a second.
    std::thread::sleep(Duration::from_millis(2100));
    let callee = bob("uas", second).start(&scratch);
    Sipp::new(&sipp, "uac-stranger", first).with(&["-s", "bob"]).calls(1, 1).run(&scratch);
    assert_eq!(callee.finish().successful, 1);

    // The second node dies without a word; bob registers at the first.
    two.signal("KILL");
    drop(two);
    bob("register", first).run(&scratch);
    // The dead node is found dead within a few beats.
    std::thread::sleep(Duration::from_secs(6));
    let callee = bob("uas", first).start(&scratch);
    Sipp::new(&sipp, "uac-stranger", first).with(&["-s", "bob"]).calls(1, 1).run(&scratch);
    assert_eq!(callee.finish().successful, 1);
}

#[test]
fn without_redis_a_node_serves_its_own_users() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("no-redis");
    let location = format!("redis://127.0.0.1:{}", free_tcp_port());
    let switch = Softswitch::start(&scratch, &["--tcp", "none", "--ws", "none", "--location", &location]);
    let (udp, port) = (switch.address("udp"), free_udp_port());
    let bob = |scenario| Sipp::new(&sipp, scenario, udp).with(&["-s", "bob"]).port(port).calls(1, 1);
    bob("register-open").run(&scratch);
    let callee = bob("uas").start(&scratch);
    Sipp::new(&sipp, "uac", udp).with(&["-s", "bob"]).calls(1, 1).run(&scratch);
    assert_eq!(callee.finish().successful, 1);
    assert!(switch.peer.output().contains("users of other nodes cannot be reached"), "{}", switch.peer.output());
}
