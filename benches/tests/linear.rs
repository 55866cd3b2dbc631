//! The work on a message grows no faster than the message, in every dimension: proven by instruction counts.
//!
//! Needs valgrind and is skipped without it, unless `VALGRIND_REQUIRED=1`.

use benches::instructions;
use benches::message::linear::CASES;

#[test]
fn twice_the_message_is_at_most_twice_the_work() {
    if !instructions::available() {
        assert!(std::env::var_os("VALGRIND_REQUIRED").is_none(), "valgrind is not installed");
        eprintln!("skipped: valgrind is not installed");
        return;
    }
    let count = |case: &str, size: &str| {
        let of = |times| instructions::of(env!("CARGO_BIN_EXE_benches"), &["--linear", case, size, times]);
        of("2").expect("a count") - of("1").expect("a count")
    };
    let mut too_fast = Vec::new();
    for case in CASES {
        let (small, large) = (count(case.name, "1000"), count(case.name, "4000"));
        // Four times the size; a tenth more for tables that grow on the way.
        if large * 10 > small * 44 {
            too_fast.push(format!("{}: {small} to {large}", case.name));
        }
    }
    assert!(too_fast.is_empty(), "grows too fast: {too_fast:?}");
}
