//! Says what is wrong with SIP messages: `cargo run -p sip-message --example lint -- FILE...`
//!
//! Each file holds one message as it would come in one datagram. One line per file; exit status 1 if any is not ok or
//! cannot be read, 2 if none is given.

use bytes::Bytes;
use sip_message::{Capabilities, Fault, Message, ParserConfig};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: lint FILE...

Reads one SIP message from each file, as from one datagram, and prints
  FILE: ok
  FILE: framing|grammar|semantics STATUS reason (header, byte offset)
STATUS is what a user agent owes in answer, - where nothing is owed.
A missing empty line behind the last header field is forgiven: files lose it easily.
FILE may be -, for standard input. Exits 1 if any is not ok or cannot be read.";

fn check(bytes: Bytes) -> Result<(), Fault> {
    let config = ParserConfig { missing_empty_line: true, ..ParserConfig::default() };
    let message = Message::parse_with(bytes, &config)?;
    message.check_grammar()?;
    message.check_semantics(&Capabilities::COMMON)
}

fn read(file: &OsStr) -> io::Result<Bytes> {
    if file != "-" {
        return std::fs::read(file).map(Bytes::from);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// What the line of a file says behind its name.
fn verdict(bytes: Bytes) -> Result<(), String> {
    check(bytes.clone()).map_err(|fault| {
        let status = fault.status.map_or_else(|| "-".to_owned(), |status| status.code().to_string());
        let place = match fault.header {
            Some(header) => header.as_str(),
            None if !bytes.get(..fault.offset).unwrap_or(&bytes).contains(&b'\n') => "start line",
            None => "head",
        };
        format!("{} {status} {} ({place}, byte {})", fault.depth, fault.kind, fault.offset)
    })
}

/// Does what `main` does, with the output and the faults of the machine going to `out` and `err`; the exit status.
pub(crate) fn run(files: &[OsString], out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    if files.is_empty() {
        writeln!(err, "{USAGE}")?;
        return Ok(2);
    }
    if files.iter().any(|file| file == "--help" || file == "-h") {
        writeln!(out, "{USAGE}")?;
        return Ok(0);
    }
    let mut status = 0;
    for file in files {
        let name = Path::new(file).display();
        match read(file).map(verdict) {
            Ok(Ok(())) => writeln!(out, "{name}: ok")?,
            Ok(Err(fault)) => {
                writeln!(out, "{name}: {fault}")?;
                status = 1;
            }
            Err(error) => {
                writeln!(err, "{name}: {error}")?;
                status = 1;
            }
        }
    }
    Ok(status)
}

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    // Where the output cannot be written, its reader has gone.
    run(&files, &mut io::stdout().lock(), &mut io::stderr().lock()).map_or(ExitCode::FAILURE, ExitCode::from)
}
