//! `--location sqlite:FILE`: bindings that outlive the process. The table in memory answers; a thread of its own writes
//! changes behind it, in batches, so that a crash loses no more than the last moments, and an orderly end nothing.
//!
//! The file is one process's at a time: what another one wrote, the table in memory would not know.

use super::Journal;
use super::record::{self, Moment};
use crate::log::log;
use rusqlite::{Connection, ErrorCode, params};
use sip_server::Binding;
use sip_transaction::{FlowId, Instant, Transport};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A change: an address-of-record and the lines of all its bindings; or a question whether everything is written.
enum Change {
    Bindings(String, Vec<String>),
    Flush(Sender<()>),
}

/// The journal of a database.
pub(crate) struct Sqlite {
    changes: Sender<Change>,
    epoch: std::time::Instant,
}

/// Bindings of an address-of-record.
pub(crate) type Saved = Vec<(String, Binding)>;

impl Sqlite {
    /// Opens or makes the database, reads what is in it, and starts the thread that writes.
    pub(crate) fn open(
        file: &Path,
        epoch: std::time::Instant,
        flow: impl Fn(Transport, SocketAddr) -> Option<FlowId>,
    ) -> Result<(Sqlite, Saved), String> {
        let failed = |error: rusqlite::Error| {
            let why = match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    "another process has it open; nodes that share users need --location redis://HOST".to_owned()
                }
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                    format!("{error}; move it away to begin with an empty one")
                }
                Some(ErrorCode::CannotOpen) if file.parent().is_some_and(is_missing) => {
                    "its folder does not exist".to_owned()
                }
                _ => error.to_string(),
            };
            format!("--location sqlite:{}: {why}", file.display())
        };
        let connection = Connection::open(file).map_err(failed)?;
        let saved = load(&connection, Moment::now(epoch), flow).map_err(failed)?;
        let (changes, receiver) = channel();
        let thread = std::thread::Builder::new().name("sqlite".into());
        let writer = thread.spawn(move || write(connection, &receiver));
        writer.map_err(|error| format!("cannot start the thread for SQLite: {error}"))?;
        Ok((Sqlite { changes, epoch }, saved))
    }
}

impl Journal for Sqlite {
    fn changed(&self, aor: &str, bindings: &[Binding], _: Instant) {
        let at = Moment::now(self.epoch);
        let lines = bindings.iter().filter_map(|binding| record::write(aor, binding, at)).collect();
        // The thread ends only with the process.
        let _ = self.changes.send(Change::Bindings(aor.to_owned(), lines));
    }

    fn flush(&self) {
        let (done, written) = channel();
        if self.changes.send(Change::Flush(done)).is_ok() {
            let _ = written.recv_timeout(Duration::from_secs(10));
        }
    }
}

fn is_missing(folder: &Path) -> bool {
    // That of a bare name is this one.
    !folder.as_os_str().is_empty() && !folder.exists()
}

fn load(
    connection: &Connection,
    at: Moment,
    flow: impl Fn(Transport, SocketAddr) -> Option<FlowId>,
) -> rusqlite::Result<Saved> {
    // One that is just ending may be waited for. The lock is kept from the first statement on.
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS bindings (aor TEXT NOT NULL, line TEXT NOT NULL);
         CREATE INDEX IF NOT EXISTS bindings_aor ON bindings (aor);
         COMMIT;",
    )?;
    let mut select = connection.prepare("SELECT line FROM bindings ORDER BY rowid")?;
    let lines = select.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(lines.iter().filter_map(|line| record::read(line, at, &flow)).collect())
}

fn write(mut connection: Connection, changes: &Receiver<Change>) {
    while let Ok(first) = changes.recv() {
        let batch: Vec<Change> = std::iter::once(first).chain(changes.try_iter().take(1000)).collect();
        let (mut asked, mut bindings) = (Vec::new(), Vec::new());
        for change in batch {
            match change {
                Change::Bindings(aor, lines) => bindings.push((aor, lines)),
                Change::Flush(done) => asked.push(done),
            }
        }
        if let Err(error) = save(&mut connection, &bindings) {
            log!(Error, "SQLite: {error}");
        }
        for done in asked {
            let _ = done.send(());
        }
    }
}

fn save(connection: &mut Connection, bindings: &[(String, Vec<String>)]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut delete = transaction.prepare_cached("DELETE FROM bindings WHERE aor = ?1")?;
        let mut insert = transaction.prepare_cached("INSERT INTO bindings (aor, line) VALUES (?1, ?2)")?;
        for (aor, lines) in bindings {
            delete.execute(params![aor])?;
            for line in lines {
                insert.execute(params![aor, line])?;
            }
        }
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_server::BindingParts;

    #[test]
    fn bindings_are_there_again_after_a_restart() {
        let folder = std::env::temp_dir().join(format!("softswitch-sqlite-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("bindings.db");
        let epoch = std::time::Instant::now();
        let binding = |contact: &str| {
            let expires = Instant::from_millis(600_000);
            Binding::new(&BindingParts { contact, call_id: "1", cseq: 1, expires, ..BindingParts::default() })
        };
        let (journal, saved) = Sqlite::open(&file, epoch, |_, _| None).unwrap();
        assert!(saved.is_empty());
        journal.changed("sip:a@x", &[binding("sip:a@192.0.2.1"), binding("sip:a@192.0.2.2")], Instant::ZERO);
        journal.changed("sip:b@x", &[binding("sip:b@192.0.2.1")], Instant::ZERO);
        journal.changed("sip:a@x", &[binding("sip:a@192.0.2.2")], Instant::ZERO);
        journal.changed("sip:b@x", &[], Instant::ZERO);
        journal.flush();
        let second = Sqlite::open(&file, epoch, |_, _| None).map(drop).unwrap_err();
        assert!(second.contains("another process has it open"), "{second}");
        drop(journal);
        let (_again, saved) = Sqlite::open(&file, epoch, |_, _| None).unwrap();
        let saved: Vec<_> = saved.iter().map(|(aor, binding)| (aor.as_str(), binding.contact())).collect();
        assert_eq!(saved, [("sip:a@x", "sip:a@192.0.2.2")]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
