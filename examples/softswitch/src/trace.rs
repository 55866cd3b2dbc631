//! `--trace`: what each worker was told and what it sent, with times. All that decides what a worker does is in it, so that
//! `--replay` can have it done again.
//!
//! The file begins with lines about how the run began ([`Beginning`]) and an empty line. Then come records, a line and bytes each:
//!
//! ```text
//! <microseconds since the start> <worker> <what> ... <length of the bytes>
//! <bytes>
//! ```
//!
//! `in` and `out` are messages: `<transport> <local> <remote> <connection, or - for a datagram>`. The others are facts: `accepted`,
//! `connected`, `refused` and `closed` connections, `resolved` names, `time` that has passed, and what workers tell each other.
//! Records are written whole; those of one worker are in order.

use crate::location::record::Moment;
use crate::log::log;
use crate::services::{hex, unhex};
use sip_transaction::{CloseCause, Instant, Record, RecordData, SendCause, Transport};
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const HEADING: &str = "softswitch trace 1";

/// Where the records of all workers go.
#[derive(Clone, Debug)]
pub(crate) struct Trace(Arc<Mutex<Sink>>);

#[derive(Debug)]
enum Sink {
    /// A file, and the bytes it may still take.
    File(BufWriter<File>, u64),
    /// Records that were not taken yet.
    Memory(Vec<Vec<u8>>),
    /// A file that is full.
    Ended,
}

impl Trace {
    /// How often what is buffered is to be written out: what a process that is killed may lose.
    pub(crate) const BEAT: Duration = Duration::from_secs(1);

    /// Begins a file that only its owner may read. It takes `limit` bytes of records.
    pub(crate) fn create(file: &Path, beginning: &Beginning, limit: u64) -> io::Result<Trace> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
        let mut out = BufWriter::new(file);
        out.write_all(beginning.write().as_bytes())?;
        out.flush()?;
        Ok(Trace(Arc::new(Mutex::new(Sink::File(out, limit)))))
    }

    /// Keeps the records to be taken with [`take`](Trace::take).
    pub(crate) fn in_memory() -> Trace {
        Trace(Arc::new(Mutex::new(Sink::Memory(Vec::new()))))
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one record. A limit that is reached, or a disk that is full, ends the trace, not the server.
    pub(crate) fn record(&self, at: Instant, worker: usize, what: fmt::Arguments<'_>, bytes: &[u8]) {
        let mut record = Vec::with_capacity(128 + bytes.len());
        let head = writeln!(record, "{} {worker} {what} {}", at.as_micros(), bytes.len());
        debug_assert!(head.is_ok(), "into memory");
        record.extend_from_slice(bytes);
        record.push(b'\n');
        let mut sink = self.sink();
        match &mut *sink {
            Sink::File(out, left) => {
                let written = match left.checked_sub(record.len() as u64) {
                    Some(rest) => {
                        *left = rest;
                        out.write_all(&record)
                    }
                    None => Err(io::Error::other("--trace-limit is reached")),
                };
                if let Err(error) = written {
                    log!(Warn, "the trace ends here: {error}");
                    // If that fails as well, the end of the file is missing, which a replay tells.
                    let _ = out.flush();
                    *sink = Sink::Ended;
                }
            }
            Sink::Memory(records) => records.push(record),
            Sink::Ended => {}
        }
    }

    /// The records kept in memory since this was last asked.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        match &mut *self.sink() {
            Sink::Memory(records) => std::mem::take(records),
            _ => Vec::new(),
        }
    }

    /// Writes out what is buffered. If that fails, a later record says so.
    pub(crate) fn flush(&self) {
        if let Sink::File(out, _) = &mut *self.sink() {
            let _ = out.flush();
        }
    }
}

/// How a run began: with what is chosen on the command line, but for passwords, and with what no two runs have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// Options and their values.
    pub(crate) options: Vec<(String, String)>,
    /// The names of users whose passwords are left out.
    pub(crate) users: Vec<String>,
    /// What was listened on, with the ports that were found.
    pub(crate) listening: Vec<(Transport, SocketAddr)>,
    pub(crate) seed: [u8; 32],
    pub(crate) identity: [u8; 32],
    /// The seconds since 1970 at the start.
    pub(crate) unix_epoch: Option<i64>,
    /// The moment that the times of `saved` are told by.
    pub(crate) moment: Moment,
    /// Registrations of an earlier run, as the state file has them.
    pub(crate) saved: Vec<String>,
    /// What the workers of an earlier run have left, by worker.
    pub(crate) left: Vec<Vec<String>>,
}

impl Beginning {
    pub(crate) fn write(&self) -> String {
        let mut text = format!("{HEADING}\n");
        let mut line = |name: &str, value: &dyn fmt::Display| {
            let _ = writeln!(text, "{name} {value}");
        };
        for (name, value) in self.options.iter().filter(|(_, value)| !value.contains('\n')) {
            line("option", &format_args!("{name} {value}"));
        }
        self.users.iter().for_each(|name| line("user", name));
        self.listening
            .iter()
            .for_each(|(transport, address)| line("listening", &format_args!("{transport} {address}")));
        line("seed", &hex(&self.seed));
        line("identity", &hex(&self.identity));
        self.unix_epoch.iter().for_each(|seconds| line("epoch", seconds));
        line("moment", &format_args!("{} {}", self.moment.now.as_micros(), self.moment.unix));
        self.saved.iter().for_each(|binding| line("saved", binding));
        for (worker, lines) in self.left.iter().enumerate() {
            lines.iter().for_each(|left| line("left", &format_args!("{worker} {left}")));
        }
        text.push('\n');
        text
    }

    /// Reads it, and tells where the records begin.
    pub(crate) fn read(trace: &[u8]) -> Option<(Beginning, usize)> {
        let end = trace.windows(2).position(|two| two == b"\n\n")?;
        let mut lines = std::str::from_utf8(trace.get(..end)?).ok()?.lines();
        if lines.next()? != HEADING {
            return None;
        }
        let key = |text: &str| <[u8; 32]>::try_from(unhex(text)?).ok();
        let mut beginning = Beginning {
            options: Vec::new(),
            users: Vec::new(),
            listening: Vec::new(),
            seed: [0; 32],
            identity: [0; 32],
            unix_epoch: None,
            moment: Moment { now: Instant::ZERO, unix: 0 },
            saved: Vec::new(),
            left: Vec::new(),
        };
        for line in lines {
            let (name, rest) = line.split_once(' ')?;
            let two = || rest.split_once(' ');
            match name {
                "option" => beginning.options.push(two().map(|(name, value)| (name.to_owned(), value.to_owned()))?),
                "user" => beginning.users.push(rest.to_owned()),
                "listening" => beginning.listening.push((transport(two()?.0)?, two()?.1.parse().ok()?)),
                "seed" => beginning.seed = key(rest)?,
                "identity" => beginning.identity = key(rest)?,
                "epoch" => beginning.unix_epoch = Some(rest.parse().ok()?),
                "moment" => {
                    let (now, unix) = two()?;
                    let now = Instant::from_micros(now.parse().ok()?);
                    beginning.moment = Moment { now, unix: unix.parse().ok()? };
                }
                "saved" => beginning.saved.push(rest.to_owned()),
                "left" => {
                    let (worker, left) = two()?;
                    let worker = worker.parse::<usize>().ok().filter(|worker| *worker < 64)?;
                    let known = beginning.left.len();
                    beginning.left.resize(known.max(worker + 1), Vec::new());
                    beginning.left[worker].push(left.to_owned());
                }
                _ => return None,
            }
        }
        Some((beginning, end + 2))
    }
}

/// A transport by its name.
pub(crate) fn transport(name: &str) -> Option<Transport> {
    Transport::ALL.into_iter().find(|known| known.via() == name)
}

/// A cause by its name.
pub(crate) fn cause(name: &str) -> Option<CloseCause> {
    let all = [
        CloseCause::Closed,
        CloseCause::Reset,
        CloseCause::Refused,
        CloseCause::Untrusted,
        CloseCause::Local,
        CloseCause::Framing,
        CloseCause::Keepalive,
        CloseCause::ConnectTimeout,
    ];
    all.into_iter().find(|known| format!("{known:?}") == name)
}

/// The same of what ICMP says.
pub(crate) fn send_cause(name: &str) -> Option<SendCause> {
    let all = [SendCause::Unreachable, SendCause::TooLong, SendCause::Transient];
    all.into_iter().find(|known| format!("{known:?}") == name)
}

/// What DNS answered, as text.
pub(crate) fn write_records(records: Option<&[Record]>) -> String {
    let Some(records) = records else { return "failed".to_owned() };
    let mut text = String::new();
    for Record { ttl, data } in records {
        let _ = write!(text, "{}\t", ttl.as_micros());
        let _ = match data {
            RecordData::Address(ip) => writeln!(text, "address\t{ip}"),
            RecordData::Srv { priority, weight, port, target } => {
                writeln!(text, "srv\t{priority}\t{weight}\t{port}\t{target}")
            }
            RecordData::Naptr { order, preference, flags, service, regexp, replacement } => {
                writeln!(text, "naptr\t{order}\t{preference}\t{flags}\t{service}\t{regexp}\t{replacement}")
            }
        };
    }
    text
}

/// Reads what [`write_records`] wrote.
pub(crate) fn read_records(text: &str) -> Option<Option<Vec<Record>>> {
    if text == "failed" {
        return Some(None);
    }
    let record = |line: &str| {
        let words: Vec<&str> = line.split('\t').collect();
        let (ttl, rest) = words.split_first()?;
        let data = match *rest {
            ["address", ip] => RecordData::Address(ip.parse().ok()?),
            ["srv", priority, weight, port, target] => RecordData::Srv {
                priority: priority.parse().ok()?,
                weight: weight.parse().ok()?,
                port: port.parse().ok()?,
                target: target.to_owned(),
            },
            ["naptr", order, preference, flags, service, regexp, replacement] => RecordData::Naptr {
                order: order.parse().ok()?,
                preference: preference.parse().ok()?,
                flags: flags.to_owned(),
                service: service.to_owned(),
                regexp: regexp.to_owned(),
                replacement: replacement.to_owned(),
            },
            _ => return None,
        };
        Some(Record { ttl: Duration::from_micros(ttl.parse().ok()?), data })
    };
    text.lines().map(record).collect::<Option<Vec<_>>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning() -> Beginning {
        Beginning {
            options: vec![("domain".into(), "example.com".into()), ("route".into(), "=sip:gw.example.com;lr".into())],
            users: vec!["alice".into()],
            listening: vec![(Transport::Udp, "127.0.0.1:5060".parse().unwrap())],
            seed: [1; 32],
            identity: [0xfe; 32],
            unix_epoch: Some(1_700_000_000),
            moment: Moment { now: Instant::from_micros(17), unix: 1_700_000_000_123 },
            saved: vec!["sip:a@x\tsip:a@y".into()],
            left: vec![vec![], vec!["agent 0f".into(), "proxy aa".into()]],
        }
    }

    #[test]
    fn the_beginning_is_read_as_it_was_written() {
        let text = beginning().write();
        let (read, at) = Beginning::read(format!("{text}1 0 start 0\n\n").as_bytes()).unwrap();
        assert_eq!((read, at), (beginning(), text.len()));
        assert!(Beginning::read(b"softswitch trace 2\n\n").is_none());
        assert!(Beginning::read(text.replace("seed 01", "seed zz").as_bytes()).is_none());
        assert!(Beginning::read(text.replace("left 1", "left 1000").as_bytes()).is_none());
    }

    #[test]
    fn records_of_dns_are_read_as_they_were_written() {
        let ttl = Duration::from_secs(60);
        let naptr = RecordData::Naptr {
            order: 1,
            preference: 2,
            flags: "s".into(),
            service: "SIP+D2U".into(),
            regexp: String::new(),
            replacement: "_sip._udp.x".into(),
        };
        let srv = RecordData::Srv { priority: 1, weight: 2, port: 5060, target: "host".into() };
        let address = RecordData::Address("::1".parse().unwrap());
        let records: Vec<Record> = [naptr, srv, address].map(|data| Record { ttl, data }).into();
        assert_eq!(read_records(&write_records(Some(&records))), Some(Some(records)));
        assert_eq!(read_records(&write_records(Some(&[]))), Some(Some(Vec::new())));
        assert_eq!(read_records(&write_records(None)), Some(None));
        assert_eq!(read_records("nonsense"), None);
        assert_eq!(cause("Keepalive"), Some(CloseCause::Keepalive));
    }

    #[test]
    fn a_file_takes_so_much_and_only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = std::env::temp_dir().join(format!("softswitch-trace-{}", std::process::id()));
        let trace = Trace::create(&file, &beginning(), 110).unwrap();
        for n in 0..5 {
            trace.record(Instant::from_micros(n), 0, format_args!("in UDP a b -"), &[b'x'; 30]);
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(text.matches("in UDP").count(), 2, "{text}");
        assert!(text.ends_with("x\n"), "whole: {text}");
    }
}
