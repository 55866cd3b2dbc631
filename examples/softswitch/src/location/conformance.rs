//! The suite of sip-server that any store of bindings must pass, on the table as a shard sees it: in memory, with SQLite behind it, and
//! with Redis told of it. After each change, or at the end, what is behind must say the same as the table.

use super::redis::Directory;
use super::{FlowMap, Journal, Locations};
use crate::link::Shards;
use interop::{Peer, Scratch, wait_until};
use sip_server::{Binding, Record, Store, StoreError, store_conformance};
use sip_transaction::{FlowId, Instant};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A view that owns what it looks at.
struct Whole<C: FnMut(Vec<String>)> {
    locations: Arc<Locations>,
    flows: FlowMap,
    /// Is told which addresses-of-record there are after each change.
    changed: C,
}

impl<C: FnMut(Vec<String>)> Whole<C> {
    fn new(journal: Option<Box<dyn Journal>>, changed: C) -> Self {
        let flow = |n: u64| FlowId::from_bits(1 << 32 | n).unwrap();
        let mut flows = FlowMap::default();
        (0..10).for_each(|n| flows.insert(Some(flow(100 + n)), flow(n)));
        Whole { locations: Arc::new(Locations::new([1; 32], vec!["localhost".into()], journal)), flows, changed }
    }

    fn tell(&mut self) {
        (self.changed)(aors(&self.locations));
    }
}

fn aors(locations: &Locations) -> Vec<String> {
    locations.all().into_iter().map(|(aor, _)| aor).collect()
}

impl<C: FnMut(Vec<String>)> Store for Whole<C> {
    fn lookup(&mut self, aor: &str, now: Instant) -> Record {
        self.locations.seen_by(&self.flows).lookup(aor, now)
    }

    fn store(&mut self, aor: &str, expected: u64, bindings: Vec<Binding>, now: Instant) -> Result<(), StoreError> {
        let stored = self.locations.seen_by(&self.flows).store(aor, expected, bindings, now);
        self.tell();
        stored
    }

    fn expire(&mut self, now: Instant, gone: &mut dyn FnMut(&str, &Binding)) {
        self.locations.seen_by(&self.flows).expire(now, gone);
        self.tell();
    }

    fn flow_ended(&mut self, flow: FlowId, gone: &mut dyn FnMut(&str, &Binding)) {
        self.locations.seen_by(&self.flows).flow_ended(flow, gone);
        self.tell();
    }
}

#[test]
fn in_memory() {
    store_conformance(|| Whole::new(None, |_| {})).unwrap();
}

#[test]
#[cfg(feature = "sqlite")]
fn with_sqlite() {
    use super::sqlite::Sqlite;

    type Silent = Whole<fn(Vec<String>)>;

    /// A store whose file is read again when it ends.
    struct Kept {
        whole: Option<Silent>,
        file: std::path::PathBuf,
        epoch: std::time::Instant,
    }

    impl Kept {
        fn whole(&mut self) -> &mut impl Store {
            self.whole.as_mut().unwrap()
        }
    }

    impl Store for Kept {
        fn lookup(&mut self, aor: &str, now: Instant) -> Record {
            self.whole().lookup(aor, now)
        }
        fn store(&mut self, aor: &str, version: u64, bindings: Vec<Binding>, now: Instant) -> Result<(), StoreError> {
            self.whole().store(aor, version, bindings, now)
        }
        fn expire(&mut self, now: Instant, gone: &mut dyn FnMut(&str, &Binding)) {
            self.whole().expire(now, gone);
        }
        fn flow_ended(&mut self, flow: FlowId, gone: &mut dyn FnMut(&str, &Binding)) {
            self.whole().flow_ended(flow, gone);
        }
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            let Some(whole) = self.whole.take().filter(|_| !std::thread::panicking()) else { return };
            let contacts = |all: Vec<(String, Vec<Binding>)>| -> Vec<(String, String)> {
                let each = |(aor, bindings): (String, Vec<Binding>)| {
                    bindings.into_iter().map(move |binding| (aor.clone(), binding.contact().to_owned()))
                };
                all.into_iter().flat_map(each).collect()
            };
            let here = contacts(whole.locations.all());
            whole.locations.flush();
            drop(whole);
            // A flow is as good as another here: that there is one is what counts.
            let (_, saved) = Sqlite::open(&self.file, self.epoch, |_, _| FlowId::from_bits(1 << 32 | 1)).unwrap();
            let there = contacts(saved.into_iter().map(|(aor, binding)| (aor, vec![binding])).collect());
            assert_eq!(there, here, "in the file, and in the table");
        }
    }

    let scratch = Scratch::new("conformance");
    let mut count = 0;
    store_conformance(|| {
        count += 1;
        let file = scratch.path().join(format!("{count}.db"));
        let epoch = std::time::Instant::now();
        let (journal, saved) = Sqlite::open(&file, epoch, |_, _| None).unwrap();
        assert!(saved.is_empty());
        Kept { whole: Some(Whole::new(Some(Box::new(journal)), |_| {})), file, epoch }
    })
    .unwrap();
    assert!(count > 1);
}

#[test]
fn with_redis() {
    let Some(program) = interop::program("redis-server") else { return };
    let scratch = Scratch::new("conformance-redis");
    let port = interop::free_tcp_port();
    let arguments = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let mut redis = Peer::start(Command::new(program).args(arguments), &scratch);
    redis.wait_for_output("Ready to accept connections", Duration::from_secs(10));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut node = 0;
    store_conformance(|| {
        node += 1;
        let (directory, task) = Directory::new(("127.0.0.1".into(), port), 0, "sip:here".into(), [node; 32]);
        let id = format!("{node:02x}").repeat(8);
        // One after the other has the same users: it is asked for this node alone.
        let knows = move |aor: &str| ask(port, &format!("HEXISTS softswitch:at:{aor} {id}")).contains(":1");
        let changed = move |here: Vec<String>| {
            for aor in ["sip:alice@example.com", "sip:bob@example.com"] {
                wait_until(&format!("Redis to know {here:?}"), Duration::from_secs(10), || {
                    knows(aor) == here.iter().any(|other| other == aor)
                });
            }
        };
        let whole = Whole::new(Some(Box::new(directory)), changed);
        runtime.spawn(task.run(whole.locations.clone(), Shards::new(1).0, std::time::Instant::now()));
        whole
    })
    .unwrap();
    assert!(node > 1);
}

/// What Redis answers.
fn ask(port: u16, command: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
