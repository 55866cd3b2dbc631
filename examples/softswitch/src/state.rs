//! `--state FILE`: what an orderly end leaves for the next start, so that calls and registrations go on: the bindings, and
//! the key by which the Record-Routes and GRUUs of running dialogs are known to be ours, the transactions, and the calls and
//! subscriptions of the server itself.
//!
//! The file holds a secret: only its owner may read it, and the next start removes it.

use crate::location::Locations;
use crate::location::record::{self, Moment};
use sip_server::Binding;
use sip_transaction::{FlowId, Transport};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const HEADING: &str = "softswitch state 1";

/// What was read.
pub(crate) struct State {
    /// The secret of the last run.
    pub(crate) seed: [u8; 32],
    pub(crate) bindings: Vec<(String, Binding)>,
    /// What the shards have left, by the number of the shard. There may be another number of them now.
    pub(crate) shards: Vec<Vec<String>>,
}

/// Writes the file.
pub(crate) fn save(
    file: &Path,
    seed: &[u8; 32],
    locations: &Locations,
    shards: &[Vec<String>],
    at: Moment,
) -> Result<usize, String> {
    let mut text = format!("{HEADING}\n");
    for byte in seed {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    let mut count = 0;
    for (aor, bindings) in locations.all() {
        for line in bindings.iter().filter_map(|binding| record::write(&aor, binding, at)) {
            text.push_str(&line);
            text.push('\n');
            count += 1;
        }
    }
    for (n, lines) in shards.iter().enumerate() {
        for line in lines {
            let _ = writeln!(text, "shard {n} {} {line}", shards.len());
        }
    }
    let failed = |error| format!("--state {}: {error}", file.display());
    // Written beside and moved, so that there is never half a file.
    let beside = beside(file);
    let mut out = create(&beside).map_err(failed)?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(failed)?;
    fs::rename(&beside, file).map_err(failed)?;
    Ok(count)
}

fn beside(file: &Path) -> PathBuf {
    file.with_extension("new")
}

fn create(file: &Path) -> std::io::Result<fs::File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)
}

/// Whether it could be written by now: better told at the start than when there is something to lose.
pub(crate) fn try_to_write(file: &Path) -> Result<(), String> {
    let beside = beside(file);
    let tried = if file.is_dir() { Err(std::io::ErrorKind::IsADirectory.into()) } else { create(&beside).map(drop) };
    tried.and_then(|()| fs::remove_file(&beside)).map_err(|error| format!("--state {}: {error}", file.display()))
}

/// Reads the file; `None` if there is none. It is to be [removed](remove) when what it says has been taken over.
pub(crate) fn read(
    file: &Path,
    at: Moment,
    flow: impl Fn(Transport, SocketAddr) -> Option<FlowId>,
) -> Result<Option<State>, String> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("--state {}: {error}", file.display())),
    };
    let state = parse(&text, at, flow)
        .ok_or_else(|| format!("--state {}: not a state file of this version", file.display()))?;
    Ok(Some(state))
}

/// Removes the file: a later start must not take over what is old by then.
pub(crate) fn remove(file: &Path) -> Result<(), String> {
    fs::remove_file(file).map_err(|error| format!("--state {}: {error}", file.display()))
}

fn parse(text: &str, at: Moment, flow: impl Fn(Transport, SocketAddr) -> Option<FlowId>) -> Option<State> {
    let mut lines = text.lines();
    if lines.next()? != HEADING {
        return None;
    }
    let hex = lines.next().filter(|hex| hex.len() == 64)?;
    let mut seed = [0; 32];
    for (n, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    let mut state = State { seed, bindings: Vec::new(), shards: Vec::new() };
    for line in lines {
        let Some(line) = line.strip_prefix("shard ") else {
            state.bindings.extend(record::read(line, at, &flow));
            continue;
        };
        let mut words = line.splitn(3, ' ');
        let (n, count): (usize, usize) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        if n >= count || count > 64 {
            return None;
        }
        state.shards.resize(count, Vec::new());
        state.shards[n].push(words.next()?.to_owned());
    }
    Some(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_server::BindingParts;
    use sip_transaction::Instant;

    #[test]
    fn state_is_read_until_it_is_removed_and_only_by_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = std::env::temp_dir().join(format!("softswitch-state-{}", std::process::id()));
        let at = Moment { now: Instant::from_millis(5), unix: 1_000_000 };
        let locations = Locations::new([1; 32], vec!["x".into()], None);
        let expires = Instant::from_millis(60_000);
        let binding =
            Binding::new(&BindingParts { contact: "sip:a@y", call_id: "1", expires, ..BindingParts::default() });
        locations.import("sip:a@x", vec![binding.clone()], at.now).unwrap();
        assert_eq!(save(&file, &[0xab; 32], &locations, &[vec![], vec!["agent 0f".into()]], at), Ok(1));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let state = read(&file, at, |_, _| None).unwrap().unwrap();
        assert_eq!(state.seed, [0xab; 32]);
        assert_eq!(state.bindings[0].0, "sip:a@x");
        assert_eq!(state.bindings[0].1.expires(), expires);
        assert_eq!(state.shards, [vec![], vec!["agent 0f".to_owned()]]);
        assert!(read(&file, at, |_, _| None).unwrap().is_some(), "a start that fails loses nothing");
        remove(&file).unwrap();
        assert!(read(&file, at, |_, _| None).unwrap().is_none(), "it is gone");
        assert!(parse("something else\n", at, |_, _| None).is_none());
        assert!(parse("softswitch state 1\nzz\n", at, |_, _| None).is_none());
    }
}
