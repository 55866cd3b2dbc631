//! `Report`: times contenders against each other and prints one line per figure.
//!
//! Owns the measuring method and the output; knows nothing of what is measured.

use crate::alloc;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

/// Prints a line; whoever closed the pipe has seen enough.
macro_rules! line {
    ($($text:tt)*) => {
        if writeln!(std::io::stdout(), $($text)*).is_err() {
            std::process::exit(0);
        }
    };
}

/// How the figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns for people.
    Table,
    /// `group case operation library value unit ratio`, separated by tabs; an absent ratio is `-`.
    Tsv,
}

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Rounds; each contender runs once per round, and the median over the rounds counts.
    pub rounds: usize,
    /// How long one contender runs in one round.
    pub slice: Duration,
}

impl Effort {
    /// For figures that are to be quoted. The slices are shorter than those of a scheduler, so that on a busy machine
    /// most of them still pass undisturbed, and the median is one of those.
    pub const FULL: Effort = Effort { rounds: 161, slice: Duration::from_micros(500) };
    /// However long a contender takes, this many rounds are run, if that many were asked for.
    const LEAST_ROUNDS: usize = 11;
    /// To see that all runs: the figures mean little.
    pub const QUICK: Effort = Effort { rounds: 3, slice: Duration::from_micros(100) };

    /// Whether this is less than [`Effort::FULL`]; groups with long workloads shorten them then.
    pub fn is_quick(&self) -> bool {
        *self != Effort::FULL
    }
}

/// One library's way to do one operation.
pub struct Contender<'a> {
    library: &'a str,
    work: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// `work` is one operation; its result is kept from the optimiser and dropped within the measured time.
    pub fn new<T>(library: &'a str, mut work: impl FnMut() -> T + 'a) -> Self {
        Self::timed(library, move |times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(work());
            }
            start.elapsed()
        })
    }

    /// `work` does the operation the given number of times and says how long that took: for operations with a
    /// preparation that must not count.
    pub fn timed(library: &'a str, work: impl FnMut(u64) -> Duration + 'a) -> Self {
        Contender { library, work: Box::new(work) }
    }
}

/// The figures of one group.
#[derive(Debug)]
pub struct Report {
    group: &'static str,
    format: Format,
    effort: Effort,
}

impl Report {
    /// An empty report.
    pub fn new(group: &'static str, format: Format, effort: Effort) -> Self {
        Report { group, format, effort }
    }

    /// How long to measure.
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// Prints the heading of a table for people: `about` says what the ratio is to. Nothing in TSV.
    pub fn heading(&mut self, about: &str) {
        if self.format == Format::Table {
            line!("\n{}: {about}", self.group);
            line!(
                "{:<28} {:<12} {:<18} {:>12} {:<8} {:>8} {:>8}",
                "case",
                "operation",
                "library",
                "value",
                "unit",
                "allocs",
                "ratio"
            );
        }
    }

    /// Times `contenders`, turn and turn about, and reports for each the median time of one operation, its
    /// allocations, and its time as a multiple of the first one's: the first is the floor.
    ///
    /// Each round gives every contender one slice, so that whatever slows the machine slows them all; the ratio is
    /// that of the medians. Allocations are counted apart from the timing, after the warm-up.
    pub fn compare(&mut self, case: &str, operation: &str, contenders: &mut [Contender<'_>]) {
        let medians = self.time(contenders);
        let floor = medians.first().copied();
        for (contender, ns) in contenders.iter_mut().zip(medians) {
            let (_, allocations) = alloc::measure(|| (contender.work)(1));
            let ratio = floor.map(|floor| ns / floor);
            self.row(case, operation, contender.library, ns, "ns", Some(allocations.calls), ratio);
        }
    }

    /// The median time of one operation of each contender, in nanoseconds, measured turn and turn about.
    ///
    /// Where one operation takes longer than a slice, there are fewer rounds.
    pub fn time(&self, contenders: &mut [Contender<'_>]) -> Vec<f64> {
        let times: Vec<u64> = contenders.iter_mut().map(|contender| self.times_per_slice(contender)).collect();
        let mut samples = vec![Vec::with_capacity(self.effort.rounds); contenders.len()];
        let (mut spent, budget) = (Duration::ZERO, self.effort.slice * (self.effort.rounds * contenders.len()) as u32);
        for round in 0..self.effort.rounds {
            if round >= Effort::LEAST_ROUNDS && spent > budget * 2 {
                break;
            }
            for ((contender, &times), samples) in contenders.iter_mut().zip(&times).zip(&mut samples) {
                let took = (contender.work)(times);
                spent += took;
                samples.push(took.as_nanos() as f64 / times as f64);
            }
        }
        samples.iter_mut().map(|samples| median(samples)).collect()
    }

    /// Reports a figure that was measured elsewhere: bytes, instructions, operations per second.
    pub fn figure(&mut self, case: &str, operation: &str, library: &str, value: f64, unit: &str, ratio: Option<f64>) {
        self.row(case, operation, library, value, unit, None, ratio);
    }

    /// Reports that `library` has no figure: it refuses the case, or has no such operation.
    pub fn none(&mut self, case: &str, operation: &str, library: &str) {
        match self.format {
            Format::Table => line!("{case:<28} {operation:<12} {library:<18} {:>12}", "none"),
            Format::Tsv => line!("{}\t{case}\t{operation}\t{library}\t-\tnone\t-", self.group),
        }
    }

    /// How often `contender` runs in one slice; at least once. Warms it up on the way.
    fn times_per_slice(&self, contender: &mut Contender<'_>) -> u64 {
        let mut times = 1;
        loop {
            // A run that was interrupted must not pass for a slow operation: the shortest of a few counts.
            let took = (0..3).map(|_| (contender.work)(times)).min().unwrap_or_default();
            if took >= self.effort.slice || times >= 1 << 40 {
                let per_time = took.as_nanos().max(1) as f64 / times as f64;
                return ((self.effort.slice.as_nanos() as f64 / per_time) as u64).max(1);
            }
            times *= 2;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a row has that many columns")]
    fn row(
        &self,
        case: &str,
        operation: &str,
        library: &str,
        value: f64,
        unit: &str,
        allocations: Option<u64>,
        ratio: Option<f64>,
    ) {
        let group = self.group;
        let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let value = if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") };
        match self.format {
            Format::Table => {
                let allocations = allocations.map_or(String::new(), |calls| calls.to_string());
                line!("{case:<28} {operation:<12} {library:<18} {value:>12} {unit:<8} {allocations:>8} {ratio:>8}");
            }
            Format::Tsv => {
                line!("{group}\t{case}\t{operation}\t{library}\t{value}\t{unit}\t{ratio}");
                if let Some(calls) = allocations {
                    line!("{group}\t{case}\t{operation}\t{library}\t{calls}\tallocations\t-");
                }
            }
        }
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples {
        [] => 0.0,
        _ if samples.len() % 2 == 1 => samples[middle],
        _ => (samples[middle - 1] + samples[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_of_odd_and_even_counts() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut [7.0]), 7.0);
        assert_eq!(median(&mut []), 0.0);
    }
}
