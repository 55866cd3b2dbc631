//! `replay [TARGET...] [--mutations N]`: runs targets, all by default, on their corpora.
//!
//! With `--mutations`, each file is also run with N small changes, the same ones on every machine: not a fuzzer, but
//! enough to catch what a change broke next to the known inputs. The last line tells how many files passed and failed.

use fuzz::{TARGETS, Target};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::from(2)
        }
    }
}

/// Replays and returns the number of failures.
fn run() -> Result<usize, Box<dyn Error>> {
    let mut names = Vec::new();
    let mut mutations = 0;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--mutations" => mutations = arguments.next().ok_or("--mutations needs a number")?.parse()?,
            name if TARGETS.iter().any(|(known, _)| *known == name) => names.push(argument),
            name => return Err(format!("no target {name:?}").into()),
        }
    }
    let (mut passed, mut failed) = (0, 0);
    for &(name, target) in TARGETS {
        if !names.is_empty() && !names.iter().any(|asked| asked == name) {
            continue;
        }
        let files = corpus(name)?;
        if files.is_empty() {
            return Err(format!("target {name} has no corpus").into());
        }
        println!("{name}: {} files", files.len());
        for file in files {
            let seed = std::fs::read(&file)?;
            let all_well = holds(target, &seed, &file)
                && (1..=mutations).all(|round| holds(target, &mutated(&seed, round), &file));
            if all_well { passed += 1 } else { failed += 1 }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed)
}

/// The files of a corpus, sorted by name.
fn corpus(name: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

/// Whether `target` runs through on `data`; the panic's message has been printed if not, and the input is shown.
fn holds(target: Target, data: &[u8], origin: &Path) -> bool {
    let held = catch_unwind(AssertUnwindSafe(|| target(data))).is_ok();
    if !held {
        println!("FAILED {}, on \"{}\"\n", origin.display(), data.escape_ascii());
    }
    held
}

/// `seed` with one to four small changes chosen by `round`: bytes changed, put in, taken out, doubled or cut off.
fn mutated(seed: &[u8], round: u64) -> Vec<u8> {
    const SPECIAL: &[u8] = b"\r\n\t \0;,:<>\"\\@=%?()[]{}/0/9aZ\x7f\x80\xff";
    let mut data = seed.to_vec();
    let mut random = SplitMix(round ^ (seed.len() as u64) << 32);
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        let byte = SPECIAL[random.below(SPECIAL.len())];
        match random.below(6) {
            0 => data.insert(at, byte),
            1 if at < data.len() => data[at] = byte,
            2 if at < data.len() => data[at] ^= 1 << random.below(8),
            3 if at < data.len() => drop(data.remove(at)),
            4 => {
                let end = (at + random.below(64)).min(data.len());
                let piece = data[at..end].to_vec();
                data.splice(at..at, piece);
            }
            _ => data.truncate(at),
        }
    }
    data
}

/// Steele, Lea and Flood's SplitMix64.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
