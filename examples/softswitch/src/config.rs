//! What the settings mean: addresses, domains, users, routes, limits. Checks them all before anything is opened.

use crate::log::Level;
use crate::options::{BadOptions, Values};
use sip_message::Uri;
use sip_message::digest::DigestAlgorithm;
use sip_transaction::Transport;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Everything that was chosen, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) listen: Vec<Listen>,
    /// Certificate chain and key.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    /// Whom to trust when connecting.
    pub(crate) authorities: Option<PathBuf>,
    /// Digest algorithms to offer, best first.
    pub(crate) digest: Vec<DigestAlgorithm>,
    /// The host that peers know this server by, if it is not the address listened on.
    pub(crate) advertise: Option<String>,
    /// The domains served, in lower case; the first is the realm.
    pub(crate) domains: Vec<String>,
    /// Users with their passwords.
    pub(crate) users: Vec<User>,
    /// A file with more of them.
    pub(crate) users_file: Option<PathBuf>,
    /// Where users go that are not registered.
    pub(crate) routes: Vec<Route>,
    /// Whether to redirect rather than to forward.
    pub(crate) redirect: bool,
    /// Whether phones that registered over TCP are called there, whatever their contact says.
    pub(crate) over_connection: bool,
    /// Whether presence is answered here, rather than by the phones.
    pub(crate) presence: bool,
    pub(crate) location: Location,
    pub(crate) log: Level,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) trace: Option<PathBuf>,
    /// The bytes of records that a trace may have.
    pub(crate) trace_limit: u64,
    pub(crate) state: Option<PathBuf>,
    pub(crate) drain: Duration,
    pub(crate) workers: usize,
    pub(crate) web_modules: Option<PathBuf>,
    pub(crate) limits: Limits,
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

impl Listen {
    /// The option that asked for it.
    pub(crate) fn flag(&self) -> &'static str {
        match self.transport {
            Transport::Udp => "--udp",
            Transport::Tcp => "--tcp",
            Transport::Tls => "--tls",
            Transport::Wss => "--wss",
            _ => "--ws",
        }
    }
}

/// A user with a password. Not printed: `Debug` leaves the password out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "User({:?})", self.name)
    }
}

/// Where users with a prefix go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) prefix: String,
    pub(crate) uri: String,
}

/// Where bindings are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Memory,
    Sqlite(PathBuf),
    Redis { host: String, port: u16, database: u32 },
}

/// Bounds on what peers can make this process hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) per_source: usize,
    pub(crate) handshake: Duration,
    pub(crate) idle: Duration,
    pub(crate) send_queue: usize,
}

fn bad(text: String) -> BadOptions {
    BadOptions(text)
}

impl Config {
    /// Reads the values; what is missing has its default.
    pub(crate) fn new(values: &Values) -> Result<Config, BadOptions> {
        let mut listen = Vec::new();
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        for (name, transport, default) in [
            ("udp", Transport::Udp, Some(loopback(5060))),
            ("tcp", Transport::Tcp, Some(loopback(5060))),
            ("tls", Transport::Tls, None),
            ("ws", Transport::Ws, Some(loopback(8080))),
            ("wss", Transport::Wss, None),
        ] {
            match values.all(name) {
                None => listen.extend(default.map(|address| Listen { transport, address })),
                Some([none]) if none == "none" => {}
                Some(given) => {
                    for text in given {
                        listen.push(Listen { transport, address: address(name, text)? });
                    }
                }
            }
        }
        if listen.is_empty() {
            return Err(bad("all listeners are switched off".into()));
        }
        let certificate = match (values.one("cert"), values.one("key")) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            (Some(_), None) => return Err(bad("--cert needs --key".into())),
            (None, Some(_)) => return Err(bad("--key needs --cert".into())),
        };
        if let Some(secure) = listen.iter().find(|listen| listen.transport.is_secure()) {
            if certificate.is_none() {
                return Err(bad(format!("{} needs --cert and --key", secure.flag())));
            }
        }
        let location = location(values.one("location").unwrap_or("memory"))?;
        if matches!(location, Location::Redis { .. }) && listen.iter().all(|on| on.transport.is_websocket()) {
            return Err(bad(
                "--location redis needs a --udp, --tcp or --tls listener: other nodes send calls there".into()
            ));
        }
        let advertise = values.one("advertise").map(str::to_owned);
        if let Some(host) = &advertise {
            let uri = format!("sip:{host}");
            let parsed = Uri::parse(uri.as_bytes()).ok();
            let sip = parsed.as_ref().and_then(|uri| uri.as_sip());
            if !sip.is_some_and(|uri| uri.port().is_none() && uri.user().is_none()) {
                return Err(bad(format!("--advertise {host}: not a host name or address")));
            }
        }
        Ok(Config {
            listen,
            certificate,
            authorities: values.one("authorities").map(PathBuf::from),
            digest: digest(values.one("digest").unwrap_or("md5"))?,
            advertise,
            domains: domains(values)?,
            users: once(values, "user", user, |user| &user.name)?,
            users_file: values.one("users").map(PathBuf::from),
            routes: once(values, "route", route, |route| &route.prefix)?,
            redirect: values.is_on("redirect"),
            over_connection: values.is_on("over-connection"),
            presence: match values.one("presence") {
                None | Some("here") => true,
                Some("phones") => false,
                Some(other) => return Err(bad(format!("--presence {other}: not here or phones"))),
            },
            location,
            log: level(values.one("log").unwrap_or("info"))?,
            metrics: values.one("metrics").map(|text| address("metrics", text)).transpose()?,
            trace: values.one("trace").map(PathBuf::from),
            trace_limit: number(values, "trace-limit", 1 << 30, 1..=1 << 50)?,
            state: values.one("state").map(PathBuf::from),
            drain: Duration::from_secs(number(values, "drain", 32, 0..=86_400)?),
            workers: number(values, "workers", 1, 1..=64)? as usize,
            web_modules: values.one("web-modules").map(PathBuf::from),
            limits: Limits {
                connections: number(values, "max-connections", 20_000, 1..=1_000_000)? as usize,
                per_source: number(values, "max-per-source", 1000, 1..=1_000_000)? as usize,
                handshake: Duration::from_secs(number(values, "handshake-timeout", 10, 1..=3600)?),
                idle: Duration::from_secs(number(values, "idle-timeout", 600, 1..=86_400)?),
                send_queue: number(values, "send-queue", 1 << 20, 4096..=1 << 30)? as usize,
            },
        })
    }

    /// Whether anybody may register, for want of users.
    pub(crate) fn is_open(&self) -> bool {
        self.users.is_empty() && self.users_file.is_none()
    }

    /// The realm of digest authentication.
    pub(crate) fn realm(&self) -> &str {
        self.domains.first().map_or("localhost", String::as_str)
    }
}

fn address(name: &str, text: &str) -> Result<SocketAddr, BadOptions> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| bad(format!("--{name} {text}: not IP:PORT, such as 127.0.0.1:5060 or [::1]:5060")))
}

fn number(values: &Values, name: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> Result<u64, BadOptions> {
    let Some(text) = values.one(name) else { return Ok(default) };
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(bad(format!("--{name} {text}: not a number from {} to {}", range.start(), range.end()))),
    }
}

fn domains(values: &Values) -> Result<Vec<String>, BadOptions> {
    let given = values.all("domain").unwrap_or_default();
    let mut domains = Vec::new();
    for name in given {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let uri = format!("sip:{name}");
        let host = Uri::parse(uri.as_bytes()).ok().and_then(|uri| uri.as_sip().map(|uri| uri.port().is_none()));
        if host != Some(true) || name.contains(['@', ';', '?']) {
            return Err(bad(format!("--domain {name}: not a domain name")));
        }
        domains.push(name);
    }
    if domains.is_empty() {
        domains.push("localhost".into());
    }
    Ok(domains)
}

/// The values of an option, each for something else.
fn once<T>(
    values: &Values,
    name: &str,
    read: impl Fn(&str) -> Result<T, BadOptions>,
    what: impl Fn(&T) -> &str,
) -> Result<Vec<T>, BadOptions> {
    let mut list: Vec<T> = Vec::new();
    for text in values.all(name).unwrap_or_default() {
        let value = read(text)?;
        if list.iter().any(|before| what(before) == what(&value)) {
            return Err(bad(format!("--{name}: {:?} stands twice", what(&value))));
        }
        list.push(value);
    }
    Ok(list)
}

fn user(text: &str) -> Result<User, BadOptions> {
    // The text itself stays out of the message: it may be a password.
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok(User { name: name.to_owned(), password: password.to_owned() })
        }
        _ => Err(bad("--user: not NAME:PASSWORD".into())),
    }
}

fn route(text: &str) -> Result<Route, BadOptions> {
    let (prefix, uri) = text.split_once('=').ok_or_else(|| bad(format!("--route {text}: not PREFIX=URI")))?;
    let parsed = Uri::parse(uri.as_bytes()).ok();
    if parsed.as_ref().and_then(|uri| uri.as_sip()).is_none() {
        return Err(bad(format!("--route {text}: {uri:?} is no SIP URI")));
    }
    Ok(Route { prefix: prefix.to_owned(), uri: uri.to_owned() })
}

fn location(text: &str) -> Result<Location, BadOptions> {
    if text == "memory" {
        return Ok(Location::Memory);
    }
    if let Some(file) = text.strip_prefix("sqlite:") {
        if !cfg!(feature = "sqlite") {
            return Err(bad("--location sqlite: this build has no SQLite; build without --no-default-features".into()));
        }
        // SQLite takes no name for a file that goes with the process.
        if file.is_empty() {
            return Err(bad("--location sqlite: names no file".into()));
        }
        return Ok(Location::Sqlite(file.into()));
    }
    let rest = text.strip_prefix("redis://");
    let parse = |rest: &str| {
        let (place, database) = rest.split_once('/').unwrap_or((rest, "0"));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (place, 6379),
        };
        let database = if database.is_empty() { 0 } else { database.parse().ok()? };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        (!host.is_empty() && !host.contains('@')).then_some(Location::Redis { host, port, database })
    };
    rest.and_then(parse)
        .ok_or_else(|| bad("--location: not memory, sqlite:FILE, or redis://HOST[:PORT][/DATABASE]".into()))
}

fn digest(text: &str) -> Result<Vec<DigestAlgorithm>, BadOptions> {
    let known: Option<Vec<_>> = text.split(',').map(|name| DigestAlgorithm::parse(name.trim())).collect();
    known.ok_or_else(|| bad(format!("--digest {text}: not a list of md5, sha-256 and sha-512-256")))
}

fn level(text: &str) -> Result<Level, BadOptions> {
    Level::parse(text).ok_or_else(|| bad(format!("--log {text}: not error, warn, info, debug or off")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Invocation, gather};

    fn config(line: &str) -> Result<Config, String> {
        let invocation = gather(line.split_whitespace().map(Into::into), |_| None, |_| Ok(String::new()));
        let Ok(Invocation::Run(values)) = invocation else { panic!("{line}: {invocation:?}") };
        Config::new(&values).map_err(|error| error.0)
    }

    #[test]
    fn without_options_it_listens_on_loopback() {
        let config = config("").unwrap();
        let text: Vec<_> = config.listen.iter().map(|on| format!("{} {}", on.flag(), on.address)).collect();
        assert_eq!(text, ["--udp 127.0.0.1:5060", "--tcp 127.0.0.1:5060", "--ws 127.0.0.1:8080"]);
        assert_eq!(config.realm(), "localhost");
        assert!(config.is_open());
        assert!(config.listen.iter().all(|on| on.address.ip().is_loopback()));
    }

    #[test]
    fn listeners_can_be_repeated_and_switched_off() {
        let config = config("--udp 5070 --udp [::1]:5070 --tcp none --ws none").unwrap();
        let text: Vec<_> = config.listen.iter().map(|on| on.address.to_string()).collect();
        assert_eq!(text, ["127.0.0.1:5070", "[::1]:5070"]);
    }

    #[test]
    fn routes_users_and_stores_are_read() {
        let config =
            config("--route 00=sip:gw.example.com --route =sip:all@[::1]:5 --user al:p:w --domain Ex.COM.").unwrap();
        assert_eq!(config.routes[0], Route { prefix: "00".into(), uri: "sip:gw.example.com".into() });
        assert_eq!(config.routes[1].prefix, "");
        assert_eq!(config.users, [User { name: "al".into(), password: "p:w".into() }]);
        assert_eq!(config.domains, ["ex.com"]);
        assert!(!config.is_open());
        let redis = |host: &str, port, database| Ok(Location::Redis { host: host.into(), port, database });
        assert_eq!(location("redis://127.0.0.1:6380/2"), redis("127.0.0.1", 6380, 2));
        assert_eq!(location("redis://[::1]"), redis("::1", 6379, 0));
    }

    #[test]
    fn mistakes_name_the_option() {
        for (line, said) in [
            ("--udp nonsense", "--udp nonsense: not IP:PORT"),
            ("--tls 5061", "--tls needs --cert and --key"),
            ("--cert x", "--cert needs --key"),
            ("--udp none --tcp none --ws none", "all listeners are switched off"),
            ("--user alice", "--user: not NAME:PASSWORD"),
            ("--user alice:a --user alice:b", "--user: \"alice\" stands twice"),
            ("--route 00", "--route 00: not PREFIX=URI"),
            ("--route 00=sip:a --route 00=sip:b", "--route: \"00\" stands twice"),
            ("--route 00=tel:1", "is no SIP URI"),
            ("--workers 0", "--workers 0: not a number from 1 to 64"),
            ("--location oracle", "--location: not memory"),
            ("--log loud", "--log loud: not error"),
            ("--domain a@b", "--domain a@b: not a domain name"),
            ("--advertise a:1", "--advertise a:1: not a host name"),
        ] {
            let error = config(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn passwords_are_never_printed() {
        let config = config("--user alice:s3cret").unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        assert!(!self::config("--user :s3cret").unwrap_err().contains("s3cret"));
    }
}
