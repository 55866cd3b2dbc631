//! The Autobahn test suite against the echo peers in `sip-ws/examples`, in both roles.
//!
//! It needs `wstest` of the PyPI package `autobahntestsuite` 25.10.1, on `PATH` or named by `AUTOBAHN_WSTEST`; it runs
//! under Python 2.7. By default it leaves out the cases that measure speed (9.*) and takes one size of each compression
//! group (12.*, 13.*); with `AUTOBAHN_ALL=1` it takes all, which is half an hour of work or more:
//!
//! ```text
//! AUTOBAHN_ALL=1 cargo test --release -p interop --test peers autobahn -- --nocapture
//! ```

use interop::{Peer, Scratch, free_tcp_port};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const AGENT: &str = "sip-ws";

/// Cases of each group, for the table that is printed; the numbers are those of version 25.10.1.
const ALL_CASES: usize = 517;
const SOME_CASES: usize = 247 + 12;

fn wstest() -> Option<PathBuf> {
    match std::env::var_os("AUTOBAHN_WSTEST") {
        Some(path) => Some(path.into()),
        None => interop::program("wstest"),
    }
}

fn wants_all() -> bool {
    std::env::var_os("AUTOBAHN_ALL").is_some_and(|value| value == "1")
}

/// A JSON list of case patterns.
fn cases() -> String {
    let mut cases: Vec<String> = vec!["*".into()];
    if !wants_all() {
        cases = [1, 2, 3, 4, 5, 6, 7, 10].iter().map(|group| format!("{group}.*")).collect();
        cases.extend((1..=5).map(|group| format!("12.{group}.2")));
        cases.extend((1..=7).map(|group| format!("13.{group}.2")));
    }
    format!("[{}]", cases.iter().map(|case| format!("\"{case}\"")).collect::<Vec<_>>().join(", "))
}

fn limit() -> Duration {
    Duration::from_secs(if wants_all() { 7200 } else { 300 })
}

/// Builds an example with compression and returns its path.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let target = test.ancestors().nth(3).expect("the target folder of this test");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["build", "--quiet", "--release", "-p", "sip-ws", "--features", "deflate", "--example", name])
        .arg("--target-dir")
        .arg(target)
        .status()
        .expect("cargo");
    assert!(status.success(), "cargo build --example {name}");
    target.join("release/examples").join(name)
}

/// The verdict on behaviour and closing of each case, out of the report's index.
fn verdicts(index: &str) -> BTreeMap<Vec<u32>, [String; 2]> {
    let mut verdicts: BTreeMap<Vec<u32>, [String; 2]> = BTreeMap::new();
    let mut case = Vec::new();
    for line in index.lines() {
        let Some((key, value)) = line.trim().trim_end_matches(',').split_once("\": ") else { continue };
        let (key, value) = (key.trim_matches('"'), value.trim().trim_end_matches(',').trim_matches('"'));
        if let Ok(numbers) = key.split('.').map(str::parse).collect() {
            case = numbers;
        }
        match key {
            "behavior" => verdicts.entry(case.clone()).or_default()[0] = value.to_owned(),
            "behaviorClose" => verdicts.entry(case.clone()).or_default()[1] = value.to_owned(),
            _ => {}
        }
    }
    verdicts
}

/// Prints the table and fails unless every case passed.
fn judge(role: &str, scratch: &Scratch) {
    let index = std::fs::read_to_string(scratch.path().join("reports/index.json")).expect("the suite's report");
    let verdicts = verdicts(&index);
    let mut groups: BTreeMap<u32, BTreeMap<&str, usize>> = BTreeMap::new();
    for (case, [behaviour, _]) in &verdicts {
        *groups.entry(case[0]).or_default().entry(behaviour).or_default() += 1;
    }
    for (group, counts) in groups {
        println!("{role} {group:>2}.*: {counts:?}");
    }
    let bad: Vec<_> = verdicts
        .iter()
        .filter(|(_, both)| both.iter().any(|verdict| !["OK", "INFORMATIONAL"].contains(&verdict.as_str())))
        .collect();
    assert!(bad.is_empty(), "{role}: {bad:?}");
    assert_eq!(verdicts.len(), if wants_all() { ALL_CASES } else { SOME_CASES }, "{role}");
}

#[test]
fn the_echo_server() {
    let Some(wstest) = wstest() else { return };
    let scratch = Scratch::new("autobahn-server");
    let mut server = Peer::start(Command::new(example("autobahn_server")).arg("127.0.0.1:0"), &scratch);
    server.wait_for_output("listening on ", Duration::from_secs(30));
    let output = server.output();
    let address = output.trim().strip_prefix("listening on ").expect("an address");
    let spec = format!(
        "{{\"outdir\": \"./reports\", \"servers\": [{{\"agent\": \"{AGENT}\", \"url\": \"ws://{address}\"}}], \
         \"cases\": {}, \"exclude-cases\": [], \"exclude-agent-cases\": {{}}}}",
        cases()
    );
    let spec = scratch.write("fuzzingclient.json", spec);
    let mut suite = Peer::start(Command::new(wstest).args(["-m", "fuzzingclient", "-s"]).arg(spec), &scratch);
    assert!(suite.wait(limit()).success());
    judge("server", &scratch);
}

#[test]
fn the_echo_client() {
    let Some(wstest) = wstest() else { return };
    let scratch = Scratch::new("autobahn-client");
    let client = example("autobahn_client");
    let url = format!("ws://127.0.0.1:{}", free_tcp_port());
    let spec = format!(
        "{{\"outdir\": \"./reports\", \"url\": \"{url}\", \"cases\": {}, \"exclude-cases\": [], \
         \"exclude-agent-cases\": {{}}}}",
        cases()
    );
    let spec = scratch.write("fuzzingserver.json", spec);
    let mut suite = Peer::start(
        Command::new(wstest).env("PYTHONUNBUFFERED", "1").args(["-m", "fuzzingserver", "-u", "0", "-s"]).arg(spec),
        &scratch,
    );
    suite.wait_for_output("Ok, will run", Duration::from_secs(60));
    let mut client = Peer::start(Command::new(client).arg(&url), &scratch);
    assert!(client.wait(limit()).success());
    judge("client", &scratch);
}
