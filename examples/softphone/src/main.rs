//! softphone: a SIP user agent for the command line, on UDP, TCP, TLS, WS and WSS. `sip_dialog::UserAgent` does all that is
//! SIP; this program owns the sockets, the clock, the session descriptions and the silence.

mod media;
mod net;
mod options;
mod phone;
mod report;

use options::Invocation;
use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;
use tokio::sync::mpsc;

fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(Invocation::Run(options)) => *options,
        Ok(Invocation::Help) => {
            // Whoever closed the pipe does not want it.
            let _ = write!(out, "{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Invocation::Version) => {
            let _ = writeln!(out, "softphone {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&error, 2),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let code = match runtime {
        Ok(runtime) => runtime.block_on(phone::run(options, keys())),
        Err(error) => Err(format!("cannot start: {error}")),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &str, code: u8) -> ExitCode {
    net::eprintln_line(&format!("softphone: {error}"));
    ExitCode::from(code)
}

/// The lines that are typed. A thread of its own reads them: a terminal can only be waited for.
fn keys() -> mpsc::Receiver<String> {
    let (out, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if out.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
