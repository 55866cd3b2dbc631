//! `--trace`: what came in and went out, with times, one record behind the other. A record is a line and the bytes:
//!
//! ```text
//! <microseconds since the start> <shard> <in|out> <transport> <local> <remote> <length of the bytes>
//! <bytes>
//! ```
//!
//! Each is written whole; those of one shard are in order.

use sip_transaction::{Instant, Transport};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The file, shared by all shards.
#[derive(Clone, Debug)]
pub(crate) struct Trace(Arc<Mutex<BufWriter<File>>>);

impl Trace {
    pub(crate) fn create(file: &Path) -> io::Result<Trace> {
        Ok(Trace(Arc::new(Mutex::new(BufWriter::new(File::create(file)?)))))
    }

    /// Writes one record. A disk that is full ends the trace, not the server.
    #[expect(clippy::too_many_arguments, reason = "a record has that many columns")]
    pub(crate) fn record(
        &self,
        at: Instant,
        shard: usize,
        direction: &str,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let micros = at.as_micros();
        let len = bytes.len();
        let _ = writeln!(file, "{micros} {shard} {direction} {transport} {local} {remote} {len}")
            .and_then(|()| file.write_all(bytes))
            .and_then(|()| file.write_all(b"\n"));
    }

    /// Writes out what is buffered.
    pub(crate) fn flush(&self) {
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).flush();
    }
}
