//! `--replay FILE`: does again what a recorded run did, without network and clock, and compares what is sent, byte for byte. A run that
//! went wrong on somebody's server can so be looked at with a debugger, or kept as a test.

use crate::config::{Config, Location};
use crate::cores;
use crate::host::Host;
use crate::link::{Accepted, ConnId, Outlet, ToShard, outlet};
use crate::location::{Locations, record, shared_socket};
use crate::options::{BadOptions, Values};
use crate::presence::Presence;
use crate::shard::{Setup, Shard};
use crate::trace::{Beginning, Trace, cause, read_records, send_cause, transport};
use crate::users::Users;
use bytes::Bytes;
use sip_transaction::{FlowId, Instant, QueryId, RecordKind, SendToken, Transport};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What is told besides if a run with several workers goes another way.
const SEVERAL: &str = "\nThis need not be a difference in what the workers do: there are several, and the trace does not tell in which \
    order they came to the tables they share (registrations, presence). Record with --workers 1 to be sure.";

/// What a replay came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Records of what the workers were told.
    pub(crate) inputs: usize,
    /// Messages they sent.
    pub(crate) outputs: usize,
    /// Whether the trace is cut off, in the middle of a record or of what a worker had to send.
    pub(crate) cut: bool,
}

/// A world in which nothing happens: what comes of connections, questions and words to other shards is in the trace.
struct Nowhere;

impl Host for Nowhere {
    fn send(&mut self, _: usize, _: SocketAddr, _: &[u8]) -> bool {
        true
    }
    fn connect(&mut self, _: FlowId, _: Transport, _: SocketAddr, _: Option<String>) {}
    fn resolve(&mut self, _: QueryId, _: String, _: RecordKind) {}
    fn tell(&mut self, _: usize, _: ToShard) {}
}

/// One record.
struct Recorded<'a> {
    at: Instant,
    worker: usize,
    words: Vec<&'a str>,
    bytes: &'a [u8],
    /// All of it, as it stands in the trace.
    whole: &'a [u8],
}

/// Takes the next record off `rest`. `None`: there is no whole one.
fn next<'a>(rest: &mut &'a [u8]) -> Option<Recorded<'a>> {
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    let mut words: Vec<&str> = std::str::from_utf8(rest.get(..end)?).ok()?.split(' ').collect();
    let len: usize = words.pop()?.parse().ok()?;
    let from = end + 1;
    let to = from.checked_add(len)?;
    if rest.get(to) != Some(&b'\n') {
        return None;
    }
    let at = Instant::from_micros(words.first()?.parse().ok()?);
    let worker = words.get(1)?.parse().ok()?;
    words.drain(..2);
    let record = Recorded { at, worker, words, bytes: rest.get(from..to)?, whole: rest.get(..=to)? };
    *rest = rest.get(to + 1..)?;
    Some(record)
}

/// Replays a trace. `given`: the options of now, which count before those that were recorded; passwords can only come from
/// there. An error says what is wrong with the trace, or where the replay went another way.
pub(crate) fn replay(trace: &[u8], mut given: Values) -> Result<Outcome, String> {
    let (beginning, at) = Beginning::read(trace).ok_or("this is no trace of this version")?;
    given.complete(&beginning.options).map_err(|BadOptions(error)| error)?;
    let config = Arc::new(Config::new(&given).map_err(|BadOptions(error)| error)?);
    let known = |name: &String| config.users.iter().any(|user| user.name == *name);
    if let Some(name) = beginning.users.iter().find(|name| !known(name)) {
        return Err(format!("passwords are not recorded: give that of {name} with --user {name}:PASSWORD"));
    }
    if matches!(config.location, Location::Redis { .. }) {
        return Err("a run with --location redis cannot be replayed: what other nodes said is not recorded".into());
    }
    let caution = if config.workers > 1 { SEVERAL } else { "" };
    let mut server = Server::new(&beginning, config)?;
    let mut rest = trace.get(at..).unwrap_or_default();
    let mut outcome = Outcome { inputs: 0, outputs: 0, cut: false };
    while let Some(record) = next(&mut rest) {
        if record.words.first() == Some(&"out") {
            outcome.outputs += 1;
        } else {
            outcome.inputs += 1;
            let done = server.apply(&record, &beginning);
            done.ok_or_else(|| format!("a record cannot be understood: {}", show(record.whole)))?;
        }
        let made = server.made(record.worker);
        if made.as_deref() != Some(record.whole) {
            let made = made.map_or_else(|| "nothing".to_owned(), |made| show(&made));
            return Err(format!(
                "after {} inputs and {} outputs the replay goes another way.\n--- recorded\n{}\n--- replayed\n{made}{caution}",
                outcome.inputs,
                outcome.outputs,
                show(record.whole)
            ));
        }
    }
    outcome.cut = !rest.is_empty() || server.made.iter().any(|made| !made.is_empty());
    Ok(outcome)
}

/// A record for people.
fn show(record: &[u8]) -> String {
    String::from_utf8_lossy(record.get(..record.len().min(4000)).unwrap_or_default()).trim_end().to_owned()
}

/// The server of the trace.
struct Server {
    config: Arc<Config>,
    users: Arc<Users>,
    locations: Arc<Locations>,
    presence: Arc<Presence>,
    trace: Trace,
    /// As many as there are workers, once each has started.
    shards: Vec<Option<Shard<Nowhere>>>,
    /// What each has recorded of itself in the replay and has not been compared yet.
    made: Vec<VecDeque<Vec<u8>>>,
}

impl Server {
    fn new(beginning: &Beginning, config: Arc<Config>) -> Result<Server, String> {
        let users = Arc::new(Users::load(&config)?);
        let names = cores::names(&config, &beginning.listening);
        let locations = Arc::new(Locations::new(beginning.seed, names, None));
        let flow = |transport, local| {
            let mut sockets = beginning.listening.iter().filter(|(on, _)| !on.is_connected());
            shared_socket(sockets.position(|socket| *socket == (transport, local))?)
        };
        for line in &beginning.saved {
            let saved = record::read(line, beginning.moment, flow);
            let (aor, binding) = saved.ok_or_else(|| format!("a registration cannot be read: {line}"))?;
            let imported = locations.import(&aor, vec![binding], beginning.moment.now);
            imported.map_err(|error| error.to_string())?;
        }
        Ok(Server {
            users,
            locations,
            presence: Arc::default(),
            trace: Trace::in_memory(),
            shards: (0..config.workers).map(|_| None).collect(),
            made: vec![VecDeque::new(); config.workers],
            config,
        })
    }

    /// The next record that a worker has made of itself.
    fn made(&mut self, worker: usize) -> Option<Vec<u8>> {
        self.made.get_mut(worker)?.pop_front()
    }

    /// Tells a worker what it was told. `None`: the record makes no sense.
    fn apply(&mut self, record: &Recorded<'_>, beginning: &Beginning) -> Option<()> {
        let (at, worker) = (record.at, record.worker);
        if record.words[..] == ["start"] {
            let setup = Setup {
                index: worker,
                config: self.config.clone(),
                listening: beginning.listening.clone(),
                locations: self.locations.clone(),
                presence: self.presence.clone(),
                left: beginning.left.get(worker).cloned().unwrap_or_default(),
                directory: None,
                users: self.users.clone(),
                seed: beginning.seed,
                identity: beginning.identity,
                unix_epoch: beginning.unix_epoch,
                trace: Some(self.trace.clone()),
            };
            let place = self.shards.get_mut(worker)?;
            *place = Some(Shard::new(setup, Nowhere, at).ok()?);
        } else {
            let shard = self.shards.get_mut(worker)?.as_mut()?;
            match record.words[..] {
                ["in", "UDP", local, remote, "-"] => {
                    let socket = shard.socket(local.parse().ok()?)?;
                    shard.datagram(at, socket, remote.parse().ok()?, record.bytes);
                }
                ["time"] => shard.time(at),
                _ => shard.told(at, fact(record, &self.users)?),
            }
        }
        self.made.get_mut(worker)?.extend(self.trace.take());
        Some(())
    }
}

/// What a record says.
fn fact(record: &Recorded<'_>, users: &Arc<Users>) -> Option<ToShard> {
    let conn = |word: &str| Some(ConnId::from_bits(word.parse().ok()?));
    let flow = |word: &str| FlowId::from_bits(word.parse().ok()?);
    let text = std::str::from_utf8(record.bytes);
    Some(match record.words[..] {
        ["in", on, _, _, of] => {
            let (conn, bytes) = (conn(of)?, Bytes::copy_from_slice(record.bytes));
            match transport(on)?.is_websocket() {
                true => ToShard::Message { conn, bytes },
                false => ToShard::Bytes { conn, bytes },
            }
        }
        ["accepted", of, on, local, remote] => ToShard::Accepted(Accepted {
            conn: conn(of)?,
            transport: transport(on)?,
            local: local.parse().ok()?,
            remote: remote.parse().ok()?,
            outlet: nobody(),
        }),
        ["connected", on, of, local] => {
            ToShard::Connected { flow: flow(on)?, conn: conn(of)?, local: local.parse().ok()?, outlet: nobody() }
        }
        ["unsent", token, why] => {
            ToShard::NotSent { token: SendToken::from_bits(token.parse().ok()?), cause: send_cause(why)? }
        }
        ["refused", on, why] => ToShard::NotConnected { flow: flow(on)?, cause: cause(why)? },
        ["closed", of, why] => ToShard::Closed { conn: conn(of)?, cause: cause(why)? },
        ["resolved", query] => {
            ToShard::Resolved { query: QueryId::from_bits(query.parse().ok()?)?, records: read_records(text.ok()?)? }
        }
        ["presence"] => ToShard::Presence(text.ok()?.to_owned()),
        // As they are now: the file may have changed.
        ["users"] => ToShard::Users(users.clone()),
        ["drain"] => ToShard::Drain(oneshot::channel().0),
        _ => return None,
    })
}

/// The way to a connection that is not there.
fn nobody() -> Outlet {
    outlet(usize::MAX).0
}

impl Outcome {
    /// What is told at the end.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("replayed {} inputs; all {} outputs are the same", self.inputs, self.outputs);
        if self.cut {
            let _ = write!(text, " (the trace is cut off at its end)");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::record::Moment;
    use crate::options::{Invocation, gather};

    #[test]
    fn with_several_workers_another_way_may_be_the_order_alone() {
        for workers in ["1", "2"] {
            let beginning = Beginning {
                options: vec![("workers".into(), workers.into())],
                users: Vec::new(),
                listening: vec![(Transport::Udp, "127.0.0.1:5060".parse().unwrap())],
                seed: [1; 32],
                identity: [2; 32],
                unix_epoch: None,
                moment: Moment { now: Instant::ZERO, unix: 0 },
                saved: Vec::new(),
                left: Vec::new(),
            };
            let trace = format!("{}0 0 start 0\n\n1 0 out UDP a b - 1\nx\n", beginning.write());
            let none = gather([], |_| None, |_| Err(std::io::ErrorKind::NotFound.into()));
            let Ok(Invocation::Run(values)) = none else { panic!("no options are good options") };
            let error = replay(trace.as_bytes(), values).unwrap_err();
            assert!(error.contains("goes another way") && error.contains("--- replayed\nnothing"), "{error}");
            assert_eq!(error.contains("there are several"), workers == "2", "{error}");
        }
    }
}
