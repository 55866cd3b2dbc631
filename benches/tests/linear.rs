//! The work on a message grows no faster than the message, in every dimension: proven by instruction counts.
//!
//! Needs valgrind and is skipped without it, unless `VALGRIND_REQUIRED=1`.

use benches::instructions;
use benches::message::linear::{CASES, Case};

#[test]
fn twice_the_message_is_at_most_twice_the_work() {
    if !instructions::available() {
        assert!(std::env::var_os("VALGRIND_REQUIRED").is_none(), "valgrind is not installed");
        eprintln!("skipped: valgrind is not installed");
        return;
    }
    // Two at a time: a count takes as long as valgrind needs to start.
    let too_fast: Vec<String> = std::thread::scope(|scope| {
        let halves = CASES.chunks(CASES.len().div_ceil(2));
        let workers: Vec<_> =
            halves.map(|cases| scope.spawn(|| cases.iter().filter_map(grows_too_fast).collect::<Vec<_>>())).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("counts")).collect()
    });
    assert!(too_fast.is_empty(), "grows too fast: {too_fast:?}");
}

fn grows_too_fast(case: &Case) -> Option<String> {
    let count = |size| {
        let of = |times| instructions::of(env!("CARGO_BIN_EXE_benches"), &["--linear", case.name, size, times]);
        of("1").expect("a count") - of("0").expect("a count")
    };
    let (small, large) = (count("250"), count("1000"));
    // Four times the size; a tenth more for tables that grow on the way.
    (large * 10 > small * 44).then(|| format!("{}: {small} to {large}", case.name))
}
