//! The web page and the files it needs, as answers to HTTP requests. Embedded, but for JsSIP, which is taken from a folder
//! of npm packages if there is one.

use sip_ws::{Answer, BadAnswer, RequestHead};
use std::path::{Component, Path, PathBuf};

/// Packages of the folder that are served, and no others: JsSIP and what it needs.
const PACKAGES: [&str; 5] = ["jssip", "debug", "ms", "events", "sdp-transform"];

/// The largest file served from the folder.
const MAX_FILE: u64 = 1 << 20;

/// What the page may do: its own scripts and styles, JsSIP from the one other place it may come from, and a WebSocket to
/// where it came from. `unsafe-eval` is for the modules of JsSIP, which are checked by their hashes before.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self'; img-src 'self' data:; \
    media-src 'self' blob: mediastream:; connect-src 'self' ws: wss: https://cdn.jsdelivr.net; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'none'";

/// The files that are part of the program.
const FILES: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("style.css")),
    ("/phone.js", "text/javascript; charset=utf-8", include_str!("phone.js")),
    ("/ladder.js", "text/javascript; charset=utf-8", include_str!("ladder.js")),
    ("/modules.js", "text/javascript; charset=utf-8", include_str!("modules.js")),
    ("/jssip.json", "application/json", include_str!("jssip.json")),
];

/// Answers HTTP requests.
#[derive(Debug)]
pub(crate) struct Page {
    modules: Option<PathBuf>,
    domain: String,
}

impl Page {
    /// `modules`: the folder of npm packages, if there is one. `domain`: the one that users are of.
    pub(crate) fn new(modules: Option<PathBuf>, domain: &str) -> Page {
        Page { modules, domain: domain.to_owned() }
    }

    /// The folder of npm packages that has JsSIP.
    pub(crate) fn modules(&self) -> Option<&Path> {
        self.modules.as_deref()
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, head: &RequestHead) -> Answer {
        if head.method() != "GET" && head.method() != "HEAD" {
            let refusal = plain(405, "Only GET and HEAD are for this page.");
            // RFC 7231 section 6.5.5: the methods there are must be told.
            return refusal.clone().header("Allow", "GET, HEAD").unwrap_or(refusal);
        }
        self.find(head.path()).unwrap_or_else(|| plain(404, "There is no such page."))
    }

    fn find(&self, path: &str) -> Option<Answer> {
        if let Some((_, kind, text)) = FILES.iter().find(|(name, ..)| *name == path) {
            return answer(kind, *text).ok();
        }
        if path == "/settings.json" {
            // A domain has no characters that JSON would escape.
            return answer("application/json", format!("{{\"domain\":\"{}\"}}", self.domain)).ok();
        }
        let file = module_file(self.modules.as_deref()?, path.strip_prefix("/node_modules/")?)?;
        let size = std::fs::metadata(&file).ok().filter(std::fs::Metadata::is_file)?.len();
        if size > MAX_FILE {
            return None;
        }
        let kind = if path.ends_with(".json") { "application/json" } else { "text/javascript; charset=utf-8" };
        answer(kind, std::fs::read(&file).ok()?).ok()
    }
}

fn answer(kind: &str, body: impl Into<bytes::Bytes>) -> Result<Answer, BadAnswer> {
    Answer::new(200)?
        .header("Content-Security-Policy", POLICY)?
        .header("X-Content-Type-Options", "nosniff")?
        .header("Referrer-Policy", "no-referrer")?
        .header("Cache-Control", "no-cache")?
        .body(kind, body)
}

fn plain(status: u16, text: &'static str) -> Answer {
    let answer = Answer::new(status).and_then(|answer| answer.body("text/plain; charset=utf-8", text));
    answer.unwrap_or_else(|_| Answer::not_found())
}

/// The file of a package below `folder`: a script or a package description, and nothing outside of it.
fn module_file(folder: &Path, path: &str) -> Option<PathBuf> {
    let (package, _) = path.split_once('/')?;
    let relative = Path::new(path);
    let stays = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let wanted = path.ends_with(".js") || path.ends_with("/package.json");
    (PACKAGES.contains(&package) && stays && wanted && !path.contains('\\')).then(|| folder.join(relative))
}

/// The folder of npm packages: the one that was asked for, or the first of the usual ones that has JsSIP.
pub(crate) fn find_modules(asked: Option<&Path>) -> Result<Option<PathBuf>, String> {
    let has_jssip = |folder: &Path| folder.join("jssip/package.json").is_file();
    match asked {
        Some(folder) if has_jssip(folder) => Ok(Some(folder.to_owned())),
        Some(folder) => Err(format!("--web-modules {}: no jssip in it", folder.display())),
        None => {
            let usual = [PathBuf::from("node_modules"), Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules")];
            Ok(usual.into_iter().find(|folder| has_jssip(folder)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_of_the_packages_needed_are_served() {
        let folder = Path::new("/x");
        let file = |path| module_file(folder, path);
        assert_eq!(file("jssip/lib/JsSIP.js"), Some("/x/jssip/lib/JsSIP.js".into()));
        assert_eq!(file("ms/package.json"), Some("/x/ms/package.json".into()));
        for path in [
            "jssip/../secret.js",
            "other/index.js",
            "jssip//etc/passwd",
            "jssip/LICENSE",
            "../jssip/lib/a.js",
            "jssip\\..\\a.js",
            "jssip",
            "",
        ] {
            assert_eq!(file(path), None, "{path}");
        }
    }

    #[test]
    fn the_page_and_its_files_are_there() {
        let page = Page::new(None, "example.com");
        for (path, ..) in FILES {
            assert_eq!(page.find(path).map(|answer| answer.status()), Some(200), "{path}");
        }
        assert!(page.find("/settings.json").is_some());
        assert!(page.find("/node_modules/jssip/lib/JsSIP.js").is_none(), "no folder, no file");
        assert!(page.find("/nothing").is_none());
    }
}
