//! Where settings come from: the command line, the environment, a TOML file. Owns the list of options and the order of
//! precedence; knows nothing of what a value means.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

/// One option.
struct Spec {
    name: &'static str,
    /// What stands for its value in the help; empty for a switch.
    value: &'static str,
    /// Whether it may be given several times.
    many: bool,
    help: &'static str,
}

/// A heading of the help and the options below it.
struct Group {
    title: &'static str,
    specs: &'static [Spec],
}

const fn one(name: &'static str, value: &'static str, help: &'static str) -> Spec {
    Spec { name, value, many: false, help }
}

const fn many(name: &'static str, value: &'static str, help: &'static str) -> Spec {
    Spec { name, value, many: true, help }
}

const GROUPS: &[Group] = &[
    Group {
        title: "Where to listen (each may be repeated; `none` switches one off)",
        specs: &[
            many("udp", "ADDR", "SIP over UDP. Default 127.0.0.1:5060"),
            many("tcp", "ADDR", "SIP over TCP. Default 127.0.0.1:5060"),
            many("ws", "ADDR", "WebSocket, and the web page over http. Default 127.0.0.1:8080"),
            many("tls", "ADDR", "SIP over TLS; needs --cert and --key"),
            many("wss", "ADDR", "WebSocket over TLS, and the web page over https; needs --cert and --key"),
            one("cert", "FILE", "certificate chain, PEM; read again on SIGHUP"),
            one("key", "FILE", "private key of the certificate, PEM; read again on SIGHUP"),
            one(
                "authorities",
                "FILE",
                "certificates to trust when calling others over TLS, PEM. Default those of the system",
            ),
            one(
                "advertise",
                "HOST",
                "name or address that peers reach this host at, for Via and Record-Route; needed when \
                listening on 0.0.0.0 or [::]",
            ),
        ],
    },
    Group {
        title: "Who may use it",
        specs: &[
            many(
                "domain",
                "NAME",
                "domain to serve; the first one is the realm. Default localhost. The addresses listened \
                on are served too",
            ),
            many("user", "NAME:PASSWORD", "a user. Without any user, everybody on this machine may register any name"),
            one("users", "FILE", "users in htdigest form (name:realm:MD5, or SHA-256); read again on SIGHUP"),
            one(
                "digest",
                "LIST",
                "digest algorithms to offer, best first. Default md5, the only one browsers' SIP libraries \
                know; sha-256,md5 for better phones",
            ),
        ],
    },
    Group {
        title: "What to do with calls",
        specs: &[
            many(
                "route",
                "PREFIX=URI",
                "send users that begin with PREFIX and are not registered to this SIP URI, as a gateway or \
                trunk; an empty PREFIX takes all",
            ),
            one(
                "presence",
                "WHO",
                "who answers for the presence of users: `here`, from what they publish and whether they are registered \
                (with several nodes: at this one), or `phones`, which are asked. Default here",
            ),
            one(
                "over-connection",
                "",
                "call a phone that has registered over TCP, but whose contact names no transport, over its connection, with which the \
                 registration ends then. Without it such a phone is called over UDP, as RFC 3263 says",
            ),
            one("redirect", "", "answer 302 with the contacts of a user instead of forwarding"),
            one(
                "location",
                "WHERE",
                "where registrations are kept: memory, sqlite:FILE, or redis://HOST[:PORT][/DB]. \
                Default memory",
            ),
        ],
    },
    Group {
        title: "Running it",
        specs: &[
            one("config", "FILE", "TOML file with the same names as here: udp = [\"127.0.0.1:5060\"], user = [...]"),
            one("log", "LEVEL", "error, warn, info, debug or off. Default info"),
            one("metrics", "ADDR", "serve Prometheus text at http://ADDR/metrics"),
            one(
                "trace",
                "FILE",
                "record what comes in and goes out, with times, to look at or to replay; holds everything the \
                messages hold, and the secrets of this run but no passwords",
            ),
            one("trace-limit", "BYTES", "where the record ends. Default 1073741824"),
            one(
                "replay",
                "FILE",
                "do a recorded run again, without network, and tell whether the same is sent; only passwords \
                (--user) must be given again",
            ),
            one(
                "state",
                "FILE",
                "on SIGTERM write registrations and live calls there; the next start reads them and removes the file",
            ),
            one("drain", "SECONDS", "how long SIGTERM waits for transactions to end. Default 32"),
            one("workers", "N", "threads that handle SIP, each a shard by Call-ID. Default 1"),
            one(
                "web-modules",
                "DIR",
                "node_modules that the web page takes JsSIP from. Default ./node_modules, then the one \
                beside the sources",
            ),
        ],
    },
    Group {
        title: "Limits",
        specs: &[
            one("max-connections", "N", "connections at once. Default 20000"),
            one("max-per-source", "N", "connections at once from one address. Default 1000"),
            one("handshake-timeout", "SECONDS", "for TLS and WebSocket handshakes. Default 10"),
            one("idle-timeout", "SECONDS", "a connection without a sign of life is closed. Default 600"),
            one(
                "send-queue",
                "BYTES",
                "what may wait for a peer that reads slowly, before it is dropped. Default 1048576",
            ),
        ],
    },
];

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    /// Run with these values.
    Run(Values),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// Why the settings cannot be read, in words for the person who wrote them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadOptions(pub(crate) String);

/// The values of the options that were given anywhere.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Values(BTreeMap<&'static str, Vec<String>>);

impl Values {
    /// All values of an option; `None` if it was given nowhere.
    pub(crate) fn all(&self, name: &str) -> Option<&[String]> {
        debug_assert!(spec(name).is_some(), "no option {name}");
        self.0.get(name).map(Vec::as_slice)
    }

    /// The value of an option that is given once.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.all(name)?.last().map(String::as_str)
    }

    /// All that was given, value by value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().flat_map(|(name, given)| given.iter().map(|value| (*name, value.as_str())))
    }

    /// Adds options of an earlier run; those that have been given now stay.
    pub(crate) fn complete(&mut self, earlier: &[(String, String)]) -> Result<(), BadOptions> {
        let mut added = Given::new();
        for (name, value) in earlier {
            let spec = spec(name).ok_or_else(|| unknown(name))?;
            if !self.0.contains_key(spec.name) {
                added.entry(spec.name).or_default().push(value.clone());
            }
        }
        self.0.extend(added);
        Ok(())
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.one(name) == Some("true")
    }
}

fn specs() -> impl Iterator<Item = &'static Spec> {
    GROUPS.iter().flat_map(|group| group.specs)
}

fn spec(name: &str) -> Option<&'static Spec> {
    specs().find(|spec| spec.name == name)
}

/// Reads the options: those of the command line first, then those of the environment, then those of the file. Where an
/// option is given, what comes later does not count for it.
pub(crate) fn gather(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
    read: impl Fn(&Path) -> std::io::Result<String>,
) -> Result<Invocation, BadOptions> {
    let Some(mut values) = from_arguments(arguments)? else { return Ok(Invocation::Help) };
    if values.contains_key("version") {
        return Ok(Invocation::Version);
    }
    for spec in specs() {
        let variable = variable(spec.name);
        let Some(text) = environment(&variable) else { continue };
        let given: Vec<String> =
            if spec.many { text.split_whitespace().map(str::to_owned).collect() } else { vec![text.trim().to_owned()] };
        check(spec, &given, &variable)?;
        values.entry(spec.name).or_insert(given);
    }
    if let Some(file) = values.get("config").and_then(|given| given.last()).cloned() {
        let text = read(Path::new(&file)).map_err(|error| BadOptions(format!("--config {file}: {error}")))?;
        for (name, given) in from_toml(&text, &file)? {
            values.entry(name).or_insert(given);
        }
    }
    Ok(Invocation::Run(Values(values)))
}

type Given = BTreeMap<&'static str, Vec<String>>;

/// `None` if help was asked for.
fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Given>, BadOptions> {
    use lexopt::prelude::*;

    let bad = |error: lexopt::Error| BadOptions(error.to_string());
    let mut values = Given::new();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(bad)? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Short('V') | Long("version") => {
                values.insert("version", Vec::new());
            }
            Long(name) => {
                let name = name.to_owned();
                let Some(spec) = spec(&name) else { return Err(unknown(&name)) };
                let value = if spec.value.is_empty() {
                    "true".to_owned()
                } else {
                    parser.value().map_err(bad)?.string().map_err(bad)?
                };
                let given = values.entry(spec.name).or_default();
                given.push(value);
                check(spec, given, &format!("--{name}"))?;
            }
            argument => return Err(BadOptions(format!("{}; --help lists the options", argument.unexpected()))),
        }
    }
    Ok(Some(values))
}

fn from_toml(text: &str, file: &str) -> Result<Given, BadOptions> {
    let table: toml::Table = text.parse().map_err(|error| BadOptions(format!("{file}: {error}")))?;
    let mut values = Given::new();
    for (key, value) in table {
        let name = key.replace('_', "-");
        let spec = spec(&name)
            .filter(|spec| spec.name != "config")
            .ok_or_else(|| BadOptions(format!("{file}: there is no option {key:?}")))?;
        let list = match value {
            toml::Value::Array(list) => list,
            value => vec![value],
        };
        let given: Option<Vec<String>> = list.into_iter().map(scalar).collect();
        let given = given.ok_or_else(|| BadOptions(format!("{file}: {key} is neither a text nor a number")))?;
        check(spec, &given, &format!("{file}: {key}"))?;
        values.insert(spec.name, given);
    }
    Ok(values)
}

fn scalar(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(on.to_string()),
        _ => None,
    }
}

fn check(spec: &Spec, given: &[String], place: &str) -> Result<(), BadOptions> {
    if !spec.many && given.len() > 1 {
        return Err(BadOptions(format!("{place} can be given only once")));
    }
    if spec.value.is_empty() && given.iter().any(|value| value != "true" && value != "false") {
        return Err(BadOptions(format!("{place} is a switch: true or false")));
    }
    Ok(())
}

fn unknown(name: &str) -> BadOptions {
    let near = specs().map(|spec| spec.name).min_by_key(|known| distance(name, known));
    match near.filter(|known| distance(name, known) <= 2) {
        Some(near) => BadOptions(format!("there is no option --{name}; perhaps --{near}?")),
        None => BadOptions(format!("there is no option --{name}; --help lists them")),
    }
}

/// How many letters must be added, removed or changed to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let cost = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn variable(name: &str) -> String {
    format!("SOFTSWITCH_{}", name.replace('-', "_").to_ascii_uppercase())
}

/// The text of `--help`.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "softswitch: a SIP registrar and proxy with a telephone in the browser

Start it without options and open http://localhost:8080/ in two windows; or register a phone at 127.0.0.1:5060.
Some numbers always answer: sip:echo@localhost sends your own sound back, sip:busy@localhost is busy,
sip:ring@localhost rings and is never picked up.

usage: softswitch [OPTIONS]
       softswitch --help | --version
",
    );
    for group in GROUPS {
        let _ = write!(text, "\n{}:\n", group.title);
        for spec in group.specs {
            let head = format!("--{} {}", spec.name, spec.value);
            let mut line = format!("  {head:<28}");
            for word in spec.help.split_whitespace() {
                if line.len() + 1 + word.len() > 110 {
                    text.push_str(line.trim_end());
                    text.push('\n');
                    line = " ".repeat(30);
                }
                line.push(' ');
                line.push_str(word);
            }
            text.push_str(&line);
            text.push('\n');
        }
    }
    text.push_str(
        "
ADDR is IP:PORT, such as 0.0.0.0:5060 or [::1]:5060; a PORT alone means 127.0.0.1:PORT, and port 0 any free one.

Every option can also stand in the file named by --config, and in the environment: --max-per-source is
SOFTSWITCH_MAX_PER_SOURCE; several values are separated by spaces there. The command line counts before the
environment, the environment before the file.

SIGHUP reads users and certificates again. SIGTERM and Ctrl-C stop taking new work, wait
for what is under way, and end; a second one does not wait.
",
    );
    if !cfg!(feature = "sqlite") {
        text.push_str("\nThis build has no SQLite: it was made with --no-default-features.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str], environment: &[(&str, &str)], file: &str) -> Result<Values, BadOptions> {
        let invocation = gather(
            arguments.iter().map(OsString::from),
            |name| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
            |_| Ok(file.to_owned()),
        )?;
        match invocation {
            Invocation::Run(values) => Ok(values),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_counts_before_the_environment_and_that_before_the_file() {
        let environment = [("SOFTSWITCH_UDP", "127.0.0.1:2 127.0.0.1:3"), ("SOFTSWITCH_LOG", "warn")];
        let file = "udp = '127.0.0.1:4'\nlog = 'debug'\nworkers = 2\nredirect = true\nmax_per_source = 7";
        let values = run(&["--udp", "127.0.0.1:1", "--config=x"], &environment, file).unwrap();
        assert_eq!(values.all("udp").unwrap(), ["127.0.0.1:1"]);
        assert_eq!(values.one("log"), Some("warn"));
        assert_eq!((values.one("workers"), values.one("max-per-source")), (Some("2"), Some("7")));
        assert!(values.is_on("redirect"));
        assert_eq!(values.all("tcp"), None);

        let values = run(&[], &environment, "").unwrap();
        assert_eq!(values.all("udp").unwrap(), ["127.0.0.1:2", "127.0.0.1:3"]);
        let values = run(&["--config", "x"], &[], "user = ['a:b', 'c:d']").unwrap();
        assert_eq!(values.all("user").unwrap(), ["a:b", "c:d"]);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |arguments: &[&str], file: &str| run(arguments, &[], file).unwrap_err().0;
        assert_eq!(error(&["--upd", "1"], ""), "there is no option --upd; perhaps --udp?");
        assert_eq!(error(&["--nonsense"], ""), "there is no option --nonsense; --help lists them");
        assert_eq!(error(&["--log", "info", "--log", "warn"], ""), "--log can be given only once");
        assert_eq!(error(&["--config", "f"], "updd = 1"), "f: there is no option \"updd\"");
        assert_eq!(error(&["--config", "f"], "log = { a = 1 }"), "f: log is neither a text nor a number");
        assert!(error(&["--config", "f"], "log = ").starts_with("f: "));
        assert!(error(&["stray"], "").contains("stray"));
        assert!(error(&["--udp"], "").contains("--udp"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let missing = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
        let error = gather(["--config", "gone.toml"].map(OsString::from), |_| None, missing).unwrap_err();
        assert!(error.0.starts_with("--config gone.toml: "), "{}", error.0);
    }

    #[test]
    fn options_of_an_earlier_run_are_added() {
        let mut values = run(&["--log", "off", "--user", "a:b"], &[], "").unwrap();
        let earlier = [("log", "info"), ("route", "1=sip:x"), ("route", "2=sip:y")];
        let earlier = earlier.map(|(name, value)| (name.to_owned(), value.to_owned()));
        values.complete(&earlier).unwrap();
        let all: Vec<_> = values.iter().collect();
        assert_eq!(all, [("log", "off"), ("route", "1=sip:x"), ("route", "2=sip:y"), ("user", "a:b")]);
        assert!(values.complete(&[("colour".into(), "red".into())]).is_err());
    }

    #[test]
    fn help_shows_every_option_once_and_fits_a_terminal() {
        let help = help();
        for spec in specs() {
            assert_eq!(help.matches(&format!("  --{} ", spec.name)).count(), 1, "{}", spec.name);
        }
        assert!(help.lines().all(|line| line.len() <= 115), "{help}");
        assert_eq!(run(&["-h"].map(|_| "--log=off"), &[], "").unwrap().one("log"), Some("off"));
        assert_eq!(gather(["-h".into()], |_| None, |_| Ok(String::new())), Ok(Invocation::Help));
        assert_eq!(gather(["-V".into()], |_| None, |_| Ok(String::new())), Ok(Invocation::Version));
    }
}
