//! What was asked for on the command line, and the text that explains it.

use sip_message::UriBuf;
use sip_transaction::Transport;
use std::ffi::OsString;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
softphone: a SIP telephone for the command line

usage: softphone [OPTIONS] COMMAND

commands:
  register                  register, and stay so until Ctrl-C
  call WHO                  call somebody
  answer                    register if there is a server, and wait for calls
  message WHO TEXT          send a text
  options WHO               ask what somebody's telephone can do
  subscribe WHO             be told about somebody's state (see --event)

WHO is a SIP URI, or a name alone if there is a server: bob is sip:bob@DOMAIN.

who you are:
  --user NAME[:PASSWORD]    your name at the server. Default softphone. The password may also stand in the environment, as
                            SOFTPHONE_PASSWORD, where others do not see it
  --domain NAME             the domain of your address. Default: the host of the server, or this host
  --display TEXT            the name to show to others

how to reach others:
  --server HOST[:PORT]      send everything there. Without it, each URI says itself where it leads
  --transport NAME          udp, tcp, tls, ws or wss, to the server. Default udp
  --bind IP[:PORT]          the address to use on this host. Default: the one that leads to the server, any free port
  --authorities FILE        trust the certificates in this PEM file, instead of those the system trusts

what to do:
  --register                for call, message, options and subscribe: register before
  --expires SECONDS         how long a registration or subscription is good for. Default 600
  --auto                    answer calls at once
  --busy                    refuse calls with 486
  --for SECONDS             call, answer: talk for so long, then hang up; register, subscribe: end after so long
  --calls N                 answer: end after so many calls
  --event NAME              subscribe: the event package. Default presence
  --hold-after SECONDS      put the call on hold after so long, and take it back as much later

what to show:
  --json                    one JSON object a line instead of text
  --ladder                  draw the SIP messages at the end
  -h, --help                this
  -V, --version             the version

While it runs, type a letter and Enter:
  a answer    b busy    h hold, and again to resume    e hang up    q quit
  d 12#       send tones, in INFO
  t WHO       transfer the call to WHO
  c WHO       hold this call and call WHO as well; then
  j           connect both, and leave them to themselves
  ?           this list

Sound is silence: the call carries real RTP, but nothing is recorded or played. There is no SRTP, so a browser's call, which
needs it, is refused 488.

It ends with
  0  all went well          3  refused                6  no answer in time
  1  trouble on this host   4  busy                   7  nobody there, or not to be reached
  2  a wrong command line   5  not authorized         8  the call was lost
";

/// The whole command line.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) command: Command,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) display: Option<String>,
    pub(crate) server: Option<(String, Option<u16>)>,
    pub(crate) transport: Transport,
    pub(crate) bind: Option<(IpAddr, u16)>,
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) register: bool,
    pub(crate) expires: u32,
    pub(crate) auto: bool,
    pub(crate) busy: bool,
    pub(crate) stay: Option<Duration>,
    pub(crate) calls: Option<u32>,
    pub(crate) event: String,
    pub(crate) hold_after: Option<Duration>,
    pub(crate) json: bool,
    pub(crate) ladder: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Register,
    Call(String),
    Answer,
    Message(String, String),
    Options(String),
    Subscribe(String),
}

/// What the command line amounts to.
#[derive(Debug)]
pub(crate) enum Invocation {
    Run(Box<Options>),
    Help,
    Version,
}

/// Reads the command line. An error is for the person who wrote it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, String> {
    use lexopt::prelude::*;

    let mut options = Options {
        command: Command::Register,
        user: "softphone".into(),
        password: std::env::var("SOFTPHONE_PASSWORD").ok(),
        domain: None,
        display: None,
        server: None,
        transport: Transport::Udp,
        bind: None,
        authorities: None,
        register: false,
        expires: 600,
        auto: false,
        busy: false,
        stay: None,
        calls: None,
        event: "presence".into(),
        hold_after: None,
        json: false,
        ladder: false,
    };
    let mut words = Vec::new();
    let mut parser = lexopt::Parser::from_args(arguments);
    let bad = |error: lexopt::Error| error.to_string();
    while let Some(argument) = parser.next().map_err(bad)? {
        let name = match argument {
            Short('h') | Long("help") => return Ok(Invocation::Help),
            Short('V') | Long("version") => return Ok(Invocation::Version),
            Long(name) => name.to_owned(),
            Value(word) => {
                words.push(word.string().map_err(bad)?);
                continue;
            }
            other => return Err(format!("{}; --help lists the options", other.unexpected())),
        };
        let mut text = || parser.value().and_then(|value| value.string()).map_err(bad);
        match name.as_str() {
            "user" => {
                let given = text()?;
                match given.split_once(':') {
                    Some((user, password)) => {
                        (options.user, options.password) = (user.into(), Some(password.into()));
                    }
                    None => options.user = given,
                }
                // The password is not repeated.
                if UriBuf::parse(address(&options.user, "localhost")).is_err() || options.user.contains('@') {
                    return Err("--user: it is NAME or NAME:PASSWORD, and NAME can be the user of a SIP URI".into());
                }
            }
            "domain" => {
                let given = text()?;
                if given.contains('@') || UriBuf::parse(format!("sip:{given}")).is_err() {
                    return Err(format!("--domain {given}: not the name of a host"));
                }
                options.domain = Some(given);
            }
            "display" => options.display = Some(text()?),
            "server" => options.server = Some(host_port(&text()?)?),
            "transport" => {
                let name = text()?;
                let known = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
                let found = known.into_iter().find(|transport| transport.via().eq_ignore_ascii_case(&name));
                options.transport =
                    found.ok_or_else(|| format!("--transport {name}: it is udp, tcp, tls, ws or wss"))?;
            }
            "bind" => {
                let given = text()?;
                let wrong = || format!("--bind {given}: it is an IP address, or one with a port");
                options.bind = Some(match given.parse::<IpAddr>() {
                    Ok(ip) => (ip, 0),
                    Err(_) => {
                        let both: std::net::SocketAddr = given.parse().map_err(|_| wrong())?;
                        (both.ip(), both.port())
                    }
                });
            }
            "authorities" => options.authorities = Some(text()?.into()),
            "register" => options.register = true,
            "expires" => options.expires = number("--expires", &text()?)?,
            "auto" => options.auto = true,
            "busy" => options.busy = true,
            "for" => options.stay = Some(Duration::from_secs(number("--for", &text()?)?)),
            "calls" => {
                let calls: NonZeroU32 = number("--calls", &text()?)?;
                options.calls = Some(calls.get());
            }
            "event" => options.event = text()?,
            "hold-after" => options.hold_after = Some(Duration::from_secs(number("--hold-after", &text()?)?)),
            "json" => options.json = true,
            "ladder" => options.ladder = true,
            other => return Err(format!("there is no option --{other}; --help lists them")),
        }
    }
    let mut words = words.into_iter();
    let name = words.next().ok_or("what shall I do? --help lists the commands")?;
    let mut word = |what: &str| words.next().ok_or_else(|| format!("{name} needs {what}"));
    options.command = match name.as_str() {
        "register" => Command::Register,
        "call" => Command::Call(word("somebody to call")?),
        "answer" => Command::Answer,
        "message" => Command::Message(word("somebody to write to")?, word("a text")?),
        "options" => Command::Options(word("somebody to ask")?),
        "subscribe" => Command::Subscribe(word("somebody to watch")?),
        other => return Err(format!("there is no command {other}; --help lists them")),
    };
    if let Some(more) = words.next() {
        return Err(format!("{more:?} is one word too many; a text with spaces needs quotes"));
    }
    match &options.command {
        Command::Call(who) | Command::Message(who, _) | Command::Options(who) | Command::Subscribe(who)
            if UriBuf::parse(address(who, "localhost")).is_err() =>
        {
            return Err(format!("{who}: neither a SIP URI nor a name"));
        }
        _ => {}
    }
    if options.server.is_none() && (options.register || options.command == Command::Register) {
        return Err("to register, name a server: --server HOST".into());
    }
    Ok(Invocation::Run(Box::new(options)))
}

/// The URI of whom a name or a URI of the command line means.
pub(crate) fn address(who: &str, domain: &str) -> String {
    let scheme = who.split_once(':').map_or("", |(scheme, _)| scheme);
    match ["sip", "sips", "tel"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        true => who.to_owned(),
        false if who.contains('@') => format!("sip:{who}"),
        false => format!("sip:{who}@{domain}"),
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{name} {text}: not a number"))
}

fn host_port(text: &str) -> Result<(String, Option<u16>), String> {
    let wrong = || format!("--server {text}: it is HOST or HOST:PORT");
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
        _ => (text, None),
    };
    if host.is_empty() || host.contains(['/', '@', ' ']) { Err(wrong()) } else { Ok((host.into(), port)) }
}

impl Options {
    /// The domain of our own address.
    pub(crate) fn domain(&self, local: IpAddr) -> String {
        match (&self.domain, &self.server) {
            (Some(domain), _) => domain.clone(),
            (None, Some((host, _))) => host.clone(),
            (None, None) => host(local),
        }
    }

    /// Whether this run registers.
    pub(crate) fn registers(&self) -> bool {
        self.register
            || match self.command {
                Command::Register => true,
                Command::Answer => self.server.is_some(),
                _ => false,
            }
    }
}

/// An address as the host of a URI.
pub(crate) fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<Options, String> {
        match parse(words.iter().map(OsString::from))? {
            Invocation::Run(options) => Ok(*options),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn a_command_line_is_read() {
        let options = run(&[
            "--server",
            "[::1]:5070",
            "--transport=WSS",
            "--user",
            "alice:a:b",
            "--bind",
            "127.0.0.1:7000",
            "call",
            "bob",
        ]);
        let options = options.unwrap();
        assert_eq!(options.command, Command::Call("bob".into()));
        assert_eq!(options.server, Some(("[::1]".into(), Some(5070))));
        assert_eq!((options.user.as_str(), options.password.as_deref()), ("alice", Some("a:b")));
        assert_eq!(options.transport, Transport::Wss);
        assert_eq!(options.bind, Some(("127.0.0.1".parse().unwrap(), 7000)));
        assert_eq!(run(&["--server", "[::1]", "answer"]).unwrap().server, Some(("[::1]".into(), None)));
    }

    #[test]
    fn mistakes_are_named() {
        for (words, part) in [
            (&[][..], "--help"),
            (&["dance"], "no command dance"),
            (&["call"], "call needs somebody"),
            (&["message", "bob"], "a text"),
            (&["message", "bob", "two", "words"], "quotes"),
            (&["register"], "--server"),
            (&["--transport", "sctp", "answer"], "udp, tcp"),
            (&["--server", "a:b", "answer"], "HOST:PORT"),
            (&["--for", "soon", "answer"], "not a number"),
            (&["--nonsense", "answer"], "--nonsense"),
            (&["-x", "answer"], "'-x'; --help"),
            (&["--user", ":secret", "answer"], "NAME:PASSWORD"),
            (&["--calls", "0", "answer"], "--calls 0: not a number"),
            (&["--user", "a b", "answer"], "--user"),
            (&["--user", "a@b", "answer"], "--user"),
            (&["--domain", "a b", "answer"], "--domain a b"),
            (&["call", "sip:a b@c"], "sip:a b@c: neither"),
            (&["call", "a b"], "a b: neither"),
            (&["message", "tel:x", "hi"], "tel:x: neither"),
        ] {
            let error = run(words).unwrap_err();
            assert!(error.contains(part), "{words:?}: {error}");
        }
    }

    #[test]
    fn a_name_is_at_the_domain() {
        for (who, uri) in [
            ("bob", "sip:bob@example.com"),
            ("bob@biloxi.com", "sip:bob@biloxi.com"),
            ("SIP:bob@biloxi.com", "SIP:bob@biloxi.com"),
            ("tel:+1-201-555-0123", "tel:+1-201-555-0123"),
        ] {
            assert_eq!(address(who, "example.com"), uri);
        }
    }

    #[test]
    fn help_fits_a_terminal_and_names_every_option() {
        assert!(HELP.lines().all(|line| line.len() <= 125), "{HELP}");
        assert!(matches!(parse(["-h".into()]), Ok(Invocation::Help)));
        assert!(matches!(parse(["-V".into()]), Ok(Invocation::Version)));
    }
}
