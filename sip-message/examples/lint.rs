//! Says what is wrong with SIP messages: `cargo run -p sip-message --example lint -- FILE...`
//!
//! Each file holds one message as it would come in one datagram. One line per file; exit status 1 if any message is not
//! ok, 2 if a file cannot be read or none is given.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use bytes::Bytes;
use sip_message::{Capabilities, Fault, Message, ParserConfig};
use std::process::ExitCode;

const USAGE: &str = "\
usage: lint FILE...

Reads one SIP message from each file, as from one datagram, and prints
  FILE: ok
  FILE: framing|grammar|semantics STATUS reason (header, byte offset)
STATUS is what a user agent owes in answer, - where nothing is owed.";

fn check(bytes: Bytes) -> Result<(), Fault> {
    // Files lose a last empty line easily.
    let config = ParserConfig { missing_empty_line: true, ..ParserConfig::default() };
    let message = Message::parse_with(bytes, &config)?;
    message.check_grammar()?;
    message.check_semantics(&Capabilities::COMMON)
}

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() || files.iter().any(|file| file == "--help" || file == "-h") {
        eprintln!("{USAGE}");
        return ExitCode::from(if files.is_empty() { 2 } else { 0 });
    }
    let mut worst = 0;
    for file in files {
        let name = std::path::Path::new(&file).display().to_string();
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => {
                eprintln!("{name}: {error}");
                worst = 2;
                continue;
            }
        };
        match check(bytes.clone()) {
            Ok(()) => println!("{name}: ok"),
            Err(fault) => {
                let status = fault.status.map_or_else(|| "-".to_owned(), |status| status.code().to_string());
                let place = match fault.header {
                    Some(header) => header.as_str(),
                    None if !bytes.get(..fault.offset).unwrap_or(&bytes).contains(&b'\n') => "start line",
                    None => "head",
                };
                println!("{name}: {} {status} {} ({place}, byte {})", fault.depth, fault.kind, fault.offset);
                worst = worst.max(1);
            }
        }
    }
    ExitCode::from(worst)
}
