//! Counts instructions with valgrind: the same on every run, however busy the machine is.

use std::process::Command;

/// Whether valgrind is installed.
pub fn available() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Instructions that this program executes with `arguments`, start-up included; `None` without valgrind.
pub fn of_this_program(arguments: &[&str]) -> Option<u64> {
    of(std::env::current_exe().ok()?.to_str()?, arguments)
}

/// Instructions that `program` executes with `arguments`, start-up included; `None` without valgrind.
pub fn of(program: &str, arguments: &[&str]) -> Option<u64> {
    let options = ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", program];
    let output = Command::new("valgrind").args(options).args(arguments).output().ok()?;
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, count) = text.lines().find_map(|line| line.split_once("I   refs:"))?;
    count.trim().replace(',', "").parse().ok()
}
