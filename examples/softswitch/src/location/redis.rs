//! `--location redis://...`: several nodes that know of each other's users. Redis holds which node has bindings of whom; the
//! bindings stay with the node that has the flow to the phone, and a request for somebody elsewhere is sent to that node.
//!
//! Nothing waits for Redis but the routing of one request: while it is away, each node serves its own users.

use super::{Journal, Locations};
use crate::link::{Shards, ToShard};
use crate::log::log;
use sip_server::{Binding, ProxyId};
use sip_transaction::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often a node shows that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// After how many beats of ours without one of its own a node is dead.
const DEAD_AFTER: u32 = 4;
/// How long Redis has for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions that may wait; beyond, they are answered without Redis.
const QUESTIONS: usize = 4096;
/// Bytes of one answer of Redis, and its parts.
const MAX_BULK: usize = 64 * 1024;
const MAX_PARTS: usize = 4096;

const NODES: &str = "softswitch:nodes";
const SECRET: &str = "softswitch:secret";

fn key(aor: &str) -> String {
    format!("softswitch:at:{aor}")
}

/// Who of this domain is at which node.
#[derive(Clone)]
pub(crate) struct Directory(Arc<Shared>);

struct Shared {
    questions: mpsc::Sender<Question>,
    /// Addresses-of-record whose presence here has changed, to be told.
    dirty: Mutex<BTreeSet<String>>,
    changed: Notify,
    /// Proves to other nodes that a request comes from one of them.
    secret: RwLock<Option<[u8; 32]>>,
}

struct Question {
    shard: usize,
    id: ProxyId,
    aor: String,
}

/// What the task of the directory needs.
pub(crate) struct Task {
    directory: Directory,
    questions: mpsc::Receiver<Question>,
    address: (String, u16),
    database: u32,
    /// This node's id, and the URI others reach it at.
    node: (String, String),
    seed: [u8; 32],
}

impl Directory {
    /// The directory, and the task that keeps it, which [`Task::run`] runs.
    pub(crate) fn new(address: (String, u16), database: u32, uri: String, seed: [u8; 32]) -> (Directory, Task) {
        let (sender, questions) = mpsc::channel(QUESTIONS);
        let shared =
            Shared { questions: sender, dirty: Mutex::default(), changed: Notify::new(), secret: RwLock::default() };
        let directory = Directory(Arc::new(shared));
        let id = seed.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let task = Task { directory: directory.clone(), questions, address, database, node: (id, uri), seed };
        (directory, task)
    }

    /// Asks at which other nodes `aor` is; the answer comes as [`ToShard::Elsewhere`]. `false`: there is no room to ask.
    pub(crate) fn ask(&self, shard: usize, id: ProxyId, aor: String) -> bool {
        self.0.questions.try_send(Question { shard, id, aor }).is_ok()
    }

    /// What all nodes share, to prove that requests come from one of them.
    pub(crate) fn secret(&self) -> Option<[u8; 32]> {
        *self.0.secret.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn dirty(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.dirty.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Journal for Directory {
    fn changed(&self, aor: &str, _: &[Binding], _: Instant) {
        self.0.dirty.lock().unwrap_or_else(PoisonError::into_inner).insert(aor.to_owned());
        self.0.changed.notify_one();
    }

    fn flush(&self) {}
}

impl Task {
    /// Keeps a connection to Redis, for good.
    pub(crate) async fn run(mut self, locations: Arc<Locations>, shards: Shards, epoch: std::time::Instant) {
        loop {
            match self.connected(&locations, &shards, epoch).await {
                Ok(()) => return,
                Err(error) => log!(
                    Warn,
                    "Redis at {}:{}: {error}; users of other nodes cannot be reached",
                    self.address.0,
                    self.address.1
                ),
            }
            // Questions are answered all the same.
            let pause = tokio::time::sleep(BEAT);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    question = self.questions.recv() => match question {
                        Some(Question { shard, id, .. }) => shards.tell(shard, ToShard::Elsewhere { id, nodes: Vec::new() }).await,
                        None => return,
                    },
                }
            }
        }
    }

    async fn connected(
        &mut self,
        locations: &Locations,
        shards: &Shards,
        epoch: std::time::Instant,
    ) -> std::io::Result<()> {
        let stream = timeout(PATIENCE, TcpStream::connect((self.address.0.as_str(), self.address.1))).await??;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let mut redis = Redis { reader: BufReader::new(reader), writer, out: Vec::new() };
        redis.ask(&["SELECT", &self.database.to_string()]).await?;
        let hex: String = self.seed.iter().map(|byte| format!("{byte:02x}")).collect();
        redis.ask(&["SET", SECRET, &hex, "NX"]).await?;
        let secret = redis.ask(&["GET", SECRET]).await?;
        *self.directory.0.secret.write().unwrap_or_else(PoisonError::into_inner) =
            secret.first().and_then(|hex| from_hex(hex));
        // All that is here is told anew: Redis may have lost it.
        let all: BTreeSet<String> = locations.all().into_iter().map(|(aor, _)| aor).collect();
        self.announce(&mut redis, &all, locations, epoch).await?;
        let mut nodes = Nodes::default();
        let mut beats: u64 = 0;
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                count = self.questions.recv_many(&mut batch, 64) => {
                    if count == 0 {
                        return Ok(());
                    }
                    let answered = self.answer(&mut redis, &mut batch, &nodes, shards).await;
                    // Those not answered for a failure are answered without: nobody waits in vain.
                    for Question { shard, id, .. } in batch.drain(..) {
                        shards.tell(shard, ToShard::Elsewhere { id, nodes: Vec::new() }).await;
                    }
                    answered?;
                }
                () = self.directory.0.changed.notified() => {
                    let dirty = self.directory.dirty();
                    self.announce(&mut redis, &dirty, locations, epoch).await?;
                }
                _ = beat.tick() => {
                    beats += 1;
                    let value = format!("{beats} {}", self.node.1);
                    redis.ask(&["HSET", NODES, &self.node.0, &value]).await?;
                    let all = redis.ask(&["HGETALL", NODES]).await?;
                    for dead in nodes.update(&self.node.0, &all) {
                        redis.ask(&["HDEL", NODES, &dead]).await?;
                    }
                }
            }
        }
    }

    async fn announce(
        &self,
        redis: &mut Redis,
        aors: &BTreeSet<String>,
        locations: &Locations,
        epoch: std::time::Instant,
    ) -> std::io::Result<()> {
        let now = Instant::from_std(epoch, std::time::Instant::now());
        for aor in aors {
            match locations.lasts(aor, now) {
                None => drop(redis.ask(&["HDEL", &key(aor), &self.node.0]).await?),
                Some(lasts) => {
                    redis.ask(&["HSET", &key(aor), &self.node.0, "1"]).await?;
                    // A node that dies leaves nothing behind for long.
                    let seconds = lasts.as_secs().saturating_add(1).to_string();
                    redis.ask(&["EXPIRE", &key(aor), &seconds]).await?;
                }
            }
        }
        Ok(())
    }

    /// Answers the questions, all of them in one exchange; what is left in `batch` was not answered.
    async fn answer(
        &self,
        redis: &mut Redis,
        batch: &mut Vec<Question>,
        nodes: &Nodes,
        shards: &Shards,
    ) -> std::io::Result<()> {
        for question in batch.iter() {
            redis.queue(&["HKEYS", &key(&question.aor)]);
        }
        redis.flush().await?;
        while !batch.is_empty() {
            let at = redis.answer().await?;
            let Question { shard, id, .. } = batch.remove(0);
            let others = at.iter().filter(|node| **node != self.node.0);
            let nodes = others.filter_map(|node| nodes.live.get(node)).map(|node| node.uri.clone()).collect();
            shards.tell(shard, ToShard::Elsewhere { id, nodes }).await;
        }
        Ok(())
    }
}

/// The other nodes, and since when each has been silent.
#[derive(Default)]
struct Nodes {
    live: BTreeMap<String, Node>,
    silent: BTreeMap<String, (String, u32)>,
}

struct Node {
    uri: String,
}

impl Nodes {
    /// Takes in what all nodes said last: id and `beat uri`, in turns. A node lives that has said something new of late; no
    /// clock but our own counts. Gives the ids of those that have been silent for long, to be removed.
    fn update(&mut self, own: &str, said: &[String]) -> Vec<String> {
        let mut gone = Vec::new();
        let mut silent = BTreeMap::new();
        self.live.clear();
        for pair in said.chunks_exact(2) {
            let [id, value] = pair else { continue };
            if id == own {
                continue;
            }
            let beats = match self.silent.get(id) {
                Some((before, beats)) if before == value => beats + 1,
                Some(_) => 0,
                // Seen for the first time: it may be dead already, which the next beats will show.
                None => 1,
            };
            if beats < DEAD_AFTER {
                if let Some((_, uri)) = value.split_once(' ') {
                    self.live.insert(id.clone(), Node { uri: uri.to_owned() });
                }
            } else if beats > 20 * DEAD_AFTER {
                gone.push(id.clone());
                continue;
            }
            silent.insert(id.clone(), (value.clone(), beats));
        }
        self.silent = silent;
        gone
    }
}

fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// As much of the protocol of Redis as is needed here.
struct Redis {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    out: Vec<u8>,
}

impl Redis {
    fn queue(&mut self, words: &[&str]) {
        self.out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        let sent = timeout(PATIENCE, self.writer.write_all(&self.out)).await?;
        self.out.clear();
        sent
    }

    async fn ask(&mut self, words: &[&str]) -> std::io::Result<Vec<String>> {
        self.queue(words);
        self.flush().await?;
        self.answer().await
    }

    /// One answer, as a list of texts: none for nil, one for a number or a text.
    async fn answer(&mut self) -> std::io::Result<Vec<String>> {
        timeout(PATIENCE, read_answer(&mut self.reader)).await?
    }
}

async fn read_answer(reader: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Vec<String>> {
    let wrong = || std::io::Error::new(std::io::ErrorKind::InvalidData, "an answer that cannot be read");
    let mut parts = 1;
    let mut texts = Vec::new();
    while parts > 0 {
        parts -= 1;
        let mut line = Vec::new();
        (&mut *reader).take(MAX_BULK as u64).read_until(b'\n', &mut line).await?;
        let line = std::str::from_utf8(&line).map_err(|_| wrong())?.trim_end();
        let (kind, rest) = line.split_at_checked(1).ok_or_else(wrong)?;
        match kind {
            "+" | ":" => texts.push(rest.to_owned()),
            "-" => return Err(std::io::Error::other(rest.to_owned())),
            "$" if rest == "-1" => {}
            "$" => {
                let len: usize = rest.parse().ok().filter(|&len| len <= MAX_BULK).ok_or_else(wrong)?;
                let mut text = vec![0; len + 2];
                reader.read_exact(&mut text).await?;
                text.truncate(len);
                texts.push(String::from_utf8(text).map_err(|_| wrong())?);
            }
            "*" if rest == "-1" => {}
            "*" => parts += rest.parse().ok().filter(|&more: &usize| more <= MAX_PARTS).ok_or_else(wrong)?,
            _ => return Err(wrong()),
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pairs: &[(&str, &str)]) -> Vec<String> {
        pairs.iter().flat_map(|(id, value)| [(*id).to_owned(), (*value).to_owned()]).collect()
    }

    #[test]
    fn nodes_that_fall_silent_are_dead() {
        let mut nodes = Nodes::default();
        for beat in 1..10 {
            nodes.update("me", &said(&[("me", "1 sip:me"), ("a", &format!("{beat} sip:a")), ("b", "7 sip:b")]));
            assert_eq!(nodes.live["a"].uri, "sip:a");
            assert!(!nodes.live.contains_key("me"));
            assert_eq!(nodes.live.contains_key("b"), beat < DEAD_AFTER, "beat {beat}");
        }
        // It comes back.
        nodes.update("me", &said(&[("b", "8 sip:b")]));
        assert!(nodes.live.contains_key("b"));
        // It stays away.
        let gone = (0..=20 * DEAD_AFTER + 1).find_map(|_| nodes.update("me", &said(&[("b", "8 sip:b")])).pop());
        assert_eq!(gone.as_deref(), Some("b"));
    }

    #[tokio::test]
    async fn answers_of_redis_are_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let (reader, writer) = stream.into_split();
        let mut redis = Redis { reader: BufReader::new(reader), writer, out: Vec::new() };
        server
            .write_all(b"+OK\r\n:7\r\n$-1\r\n*2\r\n$1\r\na\r\n$3\r\nb\r\n\r\n*0\r\n-ERR no\r\n$99999999\r\n")
            .await
            .unwrap();
        assert_eq!(redis.answer().await.unwrap(), ["OK"]);
        assert_eq!(redis.answer().await.unwrap(), ["7"]);
        assert!(redis.answer().await.unwrap().is_empty());
        assert_eq!(redis.answer().await.unwrap(), ["a", "b\r\n"]);
        assert!(redis.answer().await.unwrap().is_empty());
        assert_eq!(redis.answer().await.unwrap_err().to_string(), "ERR no");
        assert!(redis.answer().await.is_err(), "too long");
        redis.queue(&["HGETALL", "x"]);
        redis.flush().await.unwrap();
        let mut sent = [0; 24];
        server.read_exact(&mut sent).await.unwrap();
        assert_eq!(&sent, b"*2\r\n$7\r\nHGETALL\r\n$1\r\nx\r\n");
    }
}
