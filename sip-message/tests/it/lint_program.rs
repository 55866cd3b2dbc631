//! What the lint example prints and how it exits, to the letter: other programs read it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../examples/lint.rs"]
#[allow(dead_code)]
mod lint;

use std::ffi::OsString;
use std::path::PathBuf;

fn run(files: &[&str]) -> (String, String, u8) {
    let files: Vec<_> = files.iter().map(OsString::from).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = lint::run(&files, &mut out, &mut err).unwrap();
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), status)
}

fn torture(name: &str) -> String {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.extend(["tests", "torture", "rfc4475", name]);
    path.set_extension("dat");
    path.into_os_string().into_string().unwrap()
}

#[test]
fn one_line_for_each_file_in_order() {
    let names = ["wsinv", "clerr", "badaspec", "badvers", "scalarlg", "bext01", "insuf", "ltgtruri", "zeromf"];
    let files: Vec<_> = names.iter().map(|name| torture(name)).collect();
    let (out, err, status) = run(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let lines = [
        "ok",
        "framing 400 the body is shorter than Content-Length (Content-Length, byte 498)",
        "grammar 400 not a valid URI (To, byte 206)",
        "semantics 505 not SIP/2.0 (start line, byte 0)",
        "grammar - not a number in range (CSeq, byte 198)",
        "semantics 420 the extension is not supported (Require, byte 164)",
        "semantics 400 the header field is missing (From, byte 0)",
        "grammar 400 the Request-URI is malformed (start line, byte 7)",
        "ok",
    ];
    let found: Vec<_> = out.lines().collect();
    let expected: Vec<_> = files.iter().zip(lines).map(|(file, line)| format!("{file}: {line}")).collect();
    assert_eq!(found, expected);
    assert_eq!((err.as_str(), status), ("", 1));
}

#[test]
fn all_that_is_ok_exits_with_0() {
    let file = torture("wsinv");
    assert_eq!(run(&[&file, &file]), (format!("{file}: ok\n{file}: ok\n"), String::new(), 0));
}

#[test]
fn a_file_that_cannot_be_read_is_not_ok_and_hides_no_other() {
    let (good, absent) = (torture("wsinv"), torture("there-is-no-such-file"));
    let (out, err, status) = run(&[&absent, &good]);
    assert_eq!((out, status), (format!("{good}: ok\n"), 1));
    assert!(err.starts_with(&format!("{absent}: ")) && err.lines().count() == 1, "{err}");
}

#[test]
fn help_is_output_and_no_file_is_a_mistake() {
    let (out, err, status) = run(&["--help"]);
    assert!(out.starts_with("usage: lint FILE...\n") && err.is_empty() && status == 0, "{out}{err}");
    let (out, err, status) = run(&[]);
    assert!(out.is_empty() && err.starts_with("usage: ") && status == 2, "{out}{err}");
}
