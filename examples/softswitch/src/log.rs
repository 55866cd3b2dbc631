//! Lines on standard error. Each place in the code may say so many things a second; what is beyond is counted and told
//! later. What peers sent is shown only after [`clean`], and credentials are never handed to it.

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    pub(crate) fn parse(text: &str) -> Option<Level> {
        Some(match text {
            "off" => Level::Off,
            "error" => Level::Error,
            "warn" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Sets how much is said from now on.
pub(crate) fn set_level(level: Level) {
    LEVEL.store(level as u8, Relaxed);
}

/// Whether a line of this level is wanted.
pub(crate) fn is_on(level: Level) -> bool {
    level as u8 <= LEVEL.load(Relaxed)
}

/// Lines that one place may print in one second.
const PER_SECOND: u32 = 10;

/// One place in the code that logs.
#[derive(Debug)]
pub(crate) struct Place {
    second: AtomicU64,
    said: AtomicU32,
    kept_back: AtomicU32,
}

impl Place {
    pub(crate) const fn new() -> Place {
        Place { second: AtomicU64::new(0), said: AtomicU32::new(0), kept_back: AtomicU32::new(0) }
    }

    /// Whether the place may speak in this second; then also how often it could not since it last did.
    fn admit(&self, second: u64) -> Option<u32> {
        // Two threads at the turn of a second may both reset: then a few lines more are printed.
        if self.second.swap(second, Relaxed) != second {
            self.said.store(0, Relaxed);
        }
        if self.said.fetch_add(1, Relaxed) >= PER_SECOND {
            self.kept_back.fetch_add(1, Relaxed);
            return None;
        }
        Some(self.kept_back.swap(0, Relaxed))
    }

    pub(crate) fn line(&self, level: Level, text: fmt::Arguments<'_>) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Some(kept_back) = self.admit(since.as_secs()) else { return };
        let more = match kept_back {
            0 => String::new(),
            n => format!(" (and {n} more like this)"),
        };
        let day = since.as_secs() % 86_400;
        // Standard error may be closed; there is nobody left to tell.
        let _ = writeln!(
            std::io::stderr().lock(),
            "{:02}:{:02}:{:02}.{:03} {:<5} {text}{more}",
            day / 3600,
            day / 60 % 60,
            day % 60,
            since.subsec_millis(),
            level.name(),
        );
    }
}

/// `log!(Warn, "...")`: a line, if its level is on and its place has not said too much.
macro_rules! log {
    ($level:ident, $($text:tt)*) => {
        if $crate::log::is_on($crate::log::Level::$level) {
            static PLACE: $crate::log::Place = $crate::log::Place::new();
            PLACE.line($crate::log::Level::$level, format_args!($($text)*));
        }
    };
}
pub(crate) use log;

/// Text from a peer, fit for a log: short, and without control characters that would forge lines.
pub(crate) fn clean(text: &str) -> String {
    let mut clean: String = text.chars().take(100).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(100).is_some() {
        clean.push_str("...");
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_says_only_so_much_in_a_second() {
        let place = Place::new();
        let admitted = (0..25).filter(|_| place.admit(7).is_some()).count();
        assert_eq!(admitted, PER_SECOND as usize);
        assert_eq!(place.admit(8), Some(15), "what was kept back is told");
        assert_eq!(place.admit(8), Some(0));
    }

    #[test]
    fn peers_cannot_forge_lines() {
        assert_eq!(clean("alice\r\n00:00:00 error \u{7f}"), "alice??00:00:00 error ?");
        assert_eq!(clean(&"x".repeat(500)).len(), 103);
    }
}
