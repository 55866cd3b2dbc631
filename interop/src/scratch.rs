//! Folders for the files of one test: configurations, scenarios, logs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A folder of one test, removed with its contents when dropped, unless the test failed.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    files: AtomicU32,
}

impl Scratch {
    /// An empty folder for the test `name`.
    ///
    /// # Panics
    ///
    /// It cannot be made.
    pub fn new(name: &str) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("interop-{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).expect("a scratch folder");
        Scratch { path, files: AtomicU32::new(0) }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file and returns its path.
    ///
    /// # Panics
    ///
    /// It cannot be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, contents).expect("a scratch file");
        path
    }

    /// A path in the folder that was not given out before.
    pub(crate) fn fresh(&self, name: &str) -> PathBuf {
        self.path.join(format!("{}-{name}", self.files.fetch_add(1, Relaxed)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.path.display());
        } else {
            // What is left behind in the temporary folder harms nothing.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
