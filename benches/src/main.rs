//! `benches GROUP... [--tsv] [--quick]`: runs groups of benchmarks and prints their figures.

use benches::GROUPS;
use benches::message::linear::{self, CASES};
use benches::report::{Effort, Format, Report};
use std::process::ExitCode;

const USAGE: &str = "\
usage: benches GROUP... [--tsv] [--quick]

  GROUP    message, ws, transaction, dialog, server, softswitch, or all
  --tsv    one row per figure: group, case, operation, library, value, unit, ratio (tabs between)
  --quick  a short run that shows only that all works
  --linear CASE SIZE TIMES
           nothing but the work of one case of growth, for an instruction counter
  --linear-all SIZE SIZE
           the work of all cases of growth, with marks for the counter
  --life uas|uac|invite-uas|invite-uac LIVE TIMES
           nothing but transactions, so many live at a time, for an instruction counter or a profiler
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("benches: {error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), lexopt::Error> {
    use lexopt::prelude::*;

    let mut names = Vec::new();
    let mut format = Format::Table;
    let mut effort = Effort::FULL;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("tsv") => format = Format::Tsv,
            Long("quick") => effort = Effort::QUICK,
            Short('h') | Long("help") => {
                print!("{USAGE}");
                return Ok(());
            }
            Long("linear") => {
                let (name, size, times) = (arguments.value()?.string()?, arguments.value()?, arguments.value()?);
                let case = CASES.iter().find(|case| case.name == name).ok_or_else(|| format!("no case {name:?}"))?;
                case.run(size.parse()?, times.parse()?);
                return Ok(());
            }
            Long("linear-all") => {
                linear::run_marked(&[arguments.value()?.parse()?, arguments.value()?.parse()?]);
                return Ok(());
            }
            Long("life") => {
                let (kind, live, times) = (arguments.value()?.string()?, arguments.value()?, arguments.value()?);
                let found = benches::transaction::lives(&kind, live.parse()?, times.parse()?);
                return found.ok_or_else(|| format!("no kind {kind:?}").into());
            }
            Value(name) => names.push(name.string()?),
            _ => return Err(argument.unexpected()),
        }
    }
    if names.is_empty() {
        return Err("no group named".into());
    }
    if let Some(unknown) = names.iter().find(|&name| name != "all" && GROUPS.iter().all(|(known, _)| known != name)) {
        return Err(format!("no group {unknown:?}").into());
    }
    for (name, group) in GROUPS {
        if names.iter().any(|asked| asked == name || asked == "all") {
            group(&mut Report::new(name, format, effort));
        }
    }
    Ok(())
}
