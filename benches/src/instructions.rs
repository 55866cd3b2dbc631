//! Counts instructions with valgrind: the same on every run, however busy the machine is.

use std::path::PathBuf;
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

/// Instructions that `program` executes with `arguments` between one call of [`mark`] and the next, beginning with the first;
/// `None` without valgrind. One start for all of them: that takes valgrind longer than most of what is counted.
pub fn between_marks(program: &str, arguments: &[&str]) -> Option<Vec<u64>> {
    let folder = Folder::new();
    let out = folder.0.join("counts");
    let options = ["--tool=callgrind", "--dump-before=*instructions::mark*", "--dump-line=no"];
    let file = format!("--callgrind-out-file={}", out.display());
    let output = Command::new("valgrind").args(options).args([&file, program]).args(arguments).output().ok()?;
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    // The first part is the start, the last one, without a number, what came after the last mark.
    let parts = (2..).map(|n| std::fs::read_to_string(format!("{}.{n}", out.display())));
    parts
        .map_while(Result::ok)
        .map(|part| part.lines().find_map(|line| line.strip_prefix("totals: "))?.parse().ok())
        .collect()
}

/// Where [`between_marks`] counts anew.
#[inline(never)]
pub fn mark() {
    std::hint::black_box(());
}

/// A folder that goes with its value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("benches-counts-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
