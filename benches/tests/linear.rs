//! The work on a message grows no faster than the message, in every dimension: proven by instruction counts.
//!
//! Needs valgrind and is skipped without it, unless `VALGRIND_REQUIRED=1`.

use benches::instructions;
use benches::message::linear::CASES;

#[test]
fn four_times_the_message_is_at_most_four_times_the_work() {
    if !instructions::available() {
        assert!(std::env::var_os("VALGRIND_REQUIRED").is_none(), "valgrind is not installed");
        eprintln!("skipped: valgrind is not installed");
        return;
    }
    let arguments = ["--linear-all", "125", "500"];
    let counts = instructions::between_marks(env!("CARGO_BIN_EXE_benches"), &arguments).expect("counts");
    // Beside the works there is what makes the next message.
    let works: Vec<u64> = counts.into_iter().step_by(2).collect();
    assert_eq!(works.len(), 2 * CASES.len());
    let too_fast: Vec<String> = CASES
        .iter()
        .zip(works.chunks(2))
        // Four times the size; a tenth more for tables that grow on the way.
        .filter(|(_, work)| work[1] * 10 > work[0] * 44)
        .map(|(case, work)| format!("{}: {} to {}", case.name, work[0], work[1]))
        .collect();
    assert!(too_fast.is_empty(), "grows too fast: {too_fast:?}");
}
