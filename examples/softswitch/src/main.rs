//! softswitch: a SIP registrar and proxy on UDP, TCP, TLS, WS and WSS, with a telephone in the browser. Built from the
//! sip-* crates alone; this program owns the sockets, the threads and the clock.

mod config;
mod cores;
mod host;
mod link;
mod location;
mod log;
mod metrics;
mod options;
mod page;
mod presence;
mod replay;
mod sdp;
mod services;
mod shard;
mod state;
mod stream;
mod tls;
mod trace;
mod users;
mod web;

use config::{Config, Listen, Location};
use link::{Guests, Shards, ToShard};
use location::record::{self, Moment};
use location::redis::{self, Directory};
use location::{Journal, Locations};
use log::log;
use options::{Invocation, Values, gather};
use page::Page;
use sip_server::Binding;
use sip_transaction::{FlowId, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use stream::Hall;
use tls::Tls;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use trace::Trace;
use users::Users;

/// Prints a line. Whoever closed the pipe does not want it.
macro_rules! say {
    ($($text:tt)*) => {{ let _ = writeln!(std::io::stdout(), $($text)*); }};
}

fn main() -> ExitCode {
    let values = match gather(
        std::env::args_os().skip(1),
        |name| std::env::var(name).ok(),
        |file| std::fs::read_to_string(file),
    ) {
        Ok(Invocation::Run(values)) => values,
        Ok(Invocation::Help) => {
            let _ = write!(std::io::stdout(), "{}", options::help());
            return ExitCode::SUCCESS;
        }
        Ok(Invocation::Version) => {
            say!("softswitch {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&error.0, 2),
    };
    if let Some(file) = values.one("replay").map(str::to_owned) {
        log::set_level(log::Level::Off);
        let read = std::fs::read(&file).map_err(|error| error.to_string());
        return match read.and_then(|trace| replay::replay(&trace, values)) {
            Ok(outcome) => {
                say!("{}", outcome.text());
                ExitCode::SUCCESS
            }
            Err(error) => fail(&format!("--replay {file}: {error}"), 1),
        };
    }
    let config = match Config::new(&values) {
        Ok(config) => config,
        Err(error) => return fail(&error.0, 2),
    };
    log::set_level(config.log);
    match serve(config, &values) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "softswitch: {error}");
    ExitCode::from(code)
}

fn serve(config: Config, values: &Values) -> Result<(), String> {
    let config = Arc::new(config);
    let epoch = Instant::now();
    let opened = Opened::new(&config)?;
    let users = Arc::new(Users::load(&config)?);
    let tls = Tls::new(config.certificate.clone(), config.authorities.clone())?;
    let modules = page::find_modules(config.web_modules.as_deref())?;
    let seed = hosting::random_seed()?;
    let (shards, receivers) = Shards::new(config.workers);
    let hall = Arc::new(Hall {
        shards: shards.clone(),
        guests: Guests::new(config.limits.connections, config.limits.per_source),
        limits: config.limits,
        tls: tls.clone(),
        page: Arc::new(Page::new(modules, config.realm())),
        web_config: web::config(&config.limits),
    });
    let moment = Moment::now(epoch);
    let flow = |transport, local| opened.shared_flow(transport, local);
    let mut identity = hosting::random_seed()?;
    let mut saved = Vec::new();
    let mut left = Vec::new();
    let mut taken = None;
    if let Some(file) = &config.state {
        state::try_to_write(file)?;
        if let Some(state) = state::read(file, moment, flow)? {
            taken = Some(file);
            log!(Info, "took over {} registrations of the last run", state.bindings.len());
            if state.shards.len() != config.workers {
                log!(Warn, "the last run had {} workers: its own calls are not taken over", state.shards.len());
            } else {
                left = state.shards;
            }
            (identity, saved) = (state.seed, state.bindings);
        }
    }
    let (directory, task) = directory(&config, &opened, hosting::random_seed()?).unzip();
    let (journal, found) = match &directory {
        Some(directory) => (Some(Box::new(directory.clone()) as Box<dyn Journal>), Saved::new()),
        None => journal(&config, epoch, flow)?,
    };
    // The state file is newer, if there is one.
    if saved.is_empty() {
        saved = found;
    }
    let unix_epoch = i64::try_from(moment.unix / 1000).ok();
    let trace = config.trace.as_ref().map(|file| {
        let beginning = trace::Beginning {
            options: values.iter().filter(|(name, _)| !PRIVATE.contains(name)).map(owned).collect(),
            users: config.users.iter().map(|user| user.name.clone()).collect(),
            listening: opened.listening.clone(),
            seed,
            identity,
            unix_epoch,
            moment,
            saved: saved.iter().filter_map(|(aor, binding)| record::write(aor, binding, moment)).collect(),
            left: left.clone(),
        };
        Trace::create(file, &beginning, config.trace_limit)
            .map_err(|error| format!("--trace {}: {error}", file.display()))
    });
    let trace = trace.transpose()?;
    let locations = Arc::new(Locations::new(seed, cores::names(&config, &opened.listening), journal));
    for (aor, binding) in saved {
        if let Err(error) = locations.import(&aor, vec![binding], moment.now) {
            log!(Warn, "a registration was not taken over: {error}");
        }
    }
    // Nothing that could fail is left to be opened.
    taken.map_or(Ok(()), |file| state::remove(file))?;
    left.resize(config.workers, Vec::new());
    let presence = Arc::new(presence::Presence::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    for (index, receiver) in receivers.into_iter().enumerate() {
        let sockets = opened.udp.iter().map(StdUdpSocket::try_clone).collect::<Result<_, _>>();
        let setup = shard::Setup {
            index,
            config: config.clone(),
            listening: opened.listening.clone(),
            locations: locations.clone(),
            presence: presence.clone(),
            left: std::mem::take(&mut left[index]),
            directory: directory.clone(),
            users: users.clone(),
            seed,
            identity,
            unix_epoch,
            trace: trace.clone(),
        };
        let wires = shard::Wires {
            sockets: sockets.map_err(|error| format!("cannot share a UDP socket: {error}"))?,
            hall: hall.clone(),
            epoch,
            io: runtime.handle().clone(),
            receiver,
        };
        let written = trace.clone();
        let run = move || {
            if let Err(error) = shard::run(setup, wires) {
                log!(Error, "worker {index} stopped: {error}");
                written.iter().for_each(Trace::flush);
                std::process::exit(1);
            }
        };
        let thread = std::thread::Builder::new().name(format!("sip-{index}")).spawn(run);
        thread.map_err(|error| format!("cannot start a worker: {error}"))?;
    }
    let ended = runtime.block_on(async {
        let mut tasks = Vec::new();
        if let Some(task) = task {
            tokio::spawn(task.run(locations.clone(), shards.clone(), epoch));
        }
        for (listener, transport) in opened.tcp {
            let listener = TcpListener::from_std(listener).map_err(|error| format!("{transport}: {error}"))?;
            tasks.push(tokio::spawn(stream::accept(listener, transport, hall.clone())));
        }
        let metrics = opened.metrics.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(listener) = opened.metrics {
            let listener = TcpListener::from_std(listener).map_err(|error| format!("--metrics: {error}"))?;
            let (guests, bindings) = (hall.guests.clone(), locations.clone());
            tokio::spawn(metrics::serve(listener, shards.clone(), guests, move || bindings.len()));
        }
        if let Some(trace) = trace.clone() {
            tokio::spawn(async move {
                let mut beat = tokio::time::interval(Trace::BEAT);
                loop {
                    beat.tick().await;
                    trace.flush();
                }
            });
        }
        // Whoever reads that it is ready may send one.
        let mut signals = Signals::listen()?;
        greet(&config, &opened.listening, metrics, &hall.page);
        until_told(&mut signals, &config, &tls, &shards).await;
        tasks.iter().for_each(|task| task.abort());
        drain(&mut signals, &config, &shards).await;
        if let Some(file) = &config.state {
            let going_on = export(&shards).await;
            let count = state::save(file, &identity, &locations, &going_on, Moment::now(epoch))?;
            log!(Info, "left {count} registrations for the next run");
        }
        locations.flush();
        Ok(())
    });
    trace.iter().for_each(Trace::flush);
    ended
}

/// Options that a trace does not tell: passwords, and what has nothing to do with SIP.
const PRIVATE: [&str; 8] = ["user", "config", "trace", "trace-limit", "state", "metrics", "log", "web-modules"];

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Registrations of an earlier run.
type Saved = Vec<(String, Binding)>;

/// What writes registrations down, if something does, and what it had from an earlier run.
#[cfg_attr(not(feature = "sqlite"), allow(unused_variables, reason = "nothing to open then"))]
fn journal(
    config: &Config,
    epoch: Instant,
    flow: impl Fn(Transport, SocketAddr) -> Option<FlowId>,
) -> Result<(Option<Box<dyn Journal>>, Saved), String> {
    match &config.location {
        #[cfg(feature = "sqlite")]
        Location::Sqlite(file) => {
            let (journal, found) = location::sqlite::Sqlite::open(file, epoch, flow)?;
            Ok((Some(Box::new(journal)), found))
        }
        #[cfg(not(feature = "sqlite"))]
        Location::Sqlite(_) => Ok((None, Vec::new())),
        Location::Memory | Location::Redis { .. } => Ok((None, Vec::new())),
    }
}

/// The directory of all nodes, if there are several.
fn directory(config: &Config, opened: &Opened, seed: [u8; 32]) -> Option<(Directory, redis::Task)> {
    let Location::Redis { host, port, database } = &config.location else { return None };
    // Where other nodes send what is for users here: datagrams if they can, and large ones over TCP all the same.
    let (transport, address) = opened.listening.iter().find(|(transport, _)| !transport.is_websocket())?;
    let place = match &config.advertise {
        Some(name) => format!("{name}:{}", address.port()),
        None => address.to_string(),
    };
    let uri = match transport {
        Transport::Udp => format!("sip:{place}"),
        Transport::Tls => format!("sips:{place}"),
        _ => format!("sip:{place};transport=tcp"),
    };
    Some(Directory::new((host.clone(), *port), *database, uri, seed))
}

/// Everything that was opened to listen on.
struct Opened {
    udp: Vec<StdUdpSocket>,
    tcp: Vec<(StdTcpListener, Transport)>,
    metrics: Option<StdTcpListener>,
    /// With the ports that were found, in the order of the configuration.
    listening: Vec<(Transport, SocketAddr)>,
}

impl Opened {
    /// The id that all shards have for the datagram socket with this address. Connections do not outlive the process.
    fn shared_flow(&self, transport: Transport, local: SocketAddr) -> Option<FlowId> {
        let mut sockets = self.listening.iter().filter(|(on, _)| !on.is_connected());
        let place = sockets.position(|socket| *socket == (transport, local))?;
        location::shared_socket(place)
    }

    fn new(config: &Config) -> Result<Opened, String> {
        let mut opened = Opened { udp: Vec::new(), tcp: Vec::new(), metrics: None, listening: Vec::new() };
        for listen in &config.listen {
            let transport = listen.transport;
            let Listen { address, .. } = *listen;
            if address.ip().is_unspecified() && config.advertise.is_none() {
                return Err(format!("{} {address} needs --advertise HOST: what peers call this host", listen.flag()));
            }
            let taken = |error: std::io::Error| {
                let flag = listen.flag();
                format!(
                    "cannot listen on {transport} {address}: {error}; choose another with {flag} ADDR, or {flag} none"
                )
            };
            let found = if transport.is_connected() {
                let listener = tcp(address).map_err(taken)?;
                let found = listener.local_addr().map_err(taken)?;
                opened.tcp.push((listener, transport));
                found
            } else {
                let socket = udp(address).map_err(taken)?;
                let found = socket.local_addr().map_err(taken)?;
                opened.udp.push(socket);
                found
            };
            opened.listening.push((transport, found));
        }
        if let Some(address) = config.metrics {
            let taken = |error| format!("cannot listen on {address}: {error}; choose another with --metrics ADDR");
            opened.metrics = Some(tcp(address).map_err(taken)?);
        }
        Ok(opened)
    }
}

fn udp(address: SocketAddr) -> std::io::Result<StdUdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Room for bursts. The system may grant less.
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn tcp(address: SocketAddr) -> std::io::Result<StdTcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // So that a restart does not wait for connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Tells what there is, and what to try.
fn greet(config: &Config, listening: &[(Transport, SocketAddr)], metrics: Option<SocketAddr>, page: &Page) {
    for (transport, address) in listening {
        let what = match transport {
            Transport::Ws => format!("ws   {address}  and the web page http://{}/", browsable(*address)),
            Transport::Wss => format!("wss  {address}  and the web page https://{}/", browsable(*address)),
            other => format!("{:<4} {address}", other.via().to_ascii_lowercase()),
        };
        say!("listening on {what}");
    }
    if let Some(address) = metrics {
        say!("listening on metrics {address}  as http://{address}/metrics");
    }
    if config.is_open() {
        say!("warning: there are no users, so everybody on this machine may register any name (--user NAME:PASSWORD)");
    }
    say!("softswitch ready");
    let mut begin = "try:";
    if let Some((_, address)) = listening.iter().find(|(transport, _)| *transport == Transport::Ws) {
        begin = "    ";
        say!("try: open http://{}/ in two windows, register alice and bob, and call each other", browsable(*address));
        if page.modules().is_none() {
            say!("     (without `npm ci` in examples/softswitch, the page loads JsSIP from the network)");
        }
    }
    if let Some((_, address)) = listening.iter().find(|(transport, _)| *transport == Transport::Udp) {
        let word = if begin == "try:" { "register" } else { "or register" };
        say!("{begin} {word} a phone at {address} and call sip:echo@{}", config.realm());
    }
    let _ = std::io::stdout().flush();
}

/// A browser gives a page on `localhost` microphone and camera, whatever the address.
fn browsable(address: SocketAddr) -> String {
    if address.ip().is_loopback() && address.is_ipv4() || address.ip().is_unspecified() {
        return format!("localhost:{}", address.port());
    }
    address.to_string()
}

/// The signals that this program takes.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on they no longer end the process.
    fn listen() -> Result<Signals, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
        Ok(Signals {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// SIGTERM or SIGINT.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}

/// Reads users and certificates again at each SIGHUP; returns at SIGTERM or SIGINT.
async fn until_told(signals: &mut Signals, config: &Config, tls: &Tls, shards: &Shards) {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hangup.recv() => {
                match Users::load(config) {
                    Ok(users) => {
                        let users = Arc::new(users);
                        shards.tell_all(|| ToShard::Users(users.clone())).await;
                        log!(Info, "read the users again");
                    }
                    Err(error) => log!(Error, "the users stay as they are: {error}"),
                }
                match tls.reload() {
                    Ok(()) => log!(Info, "read the certificate again"),
                    Err(error) => log!(Error, "the certificate stays as it is: {error}"),
                }
            }
        }
    }
}

/// What goes on in each shard, for the next run.
async fn export(shards: &Shards) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for shard in 0..shards.count() {
        let (reply, lines) = oneshot::channel();
        shards.tell(shard, ToShard::Export(reply)).await;
        // A worker that is gone has nothing left.
        all.push(lines.await.unwrap_or_default());
    }
    all
}

/// Lets transactions end, for as long as was chosen or until it is told again.
async fn drain(signals: &mut Signals, config: &Config, shards: &Shards) {
    log!(Info, "waiting for transactions to end, at most {} s; a second signal ends it now", config.drain.as_secs());
    let mut waiting = Vec::new();
    for shard in 0..shards.count() {
        let (done, ended) = oneshot::channel();
        shards.tell(shard, ToShard::Drain(done)).await;
        waiting.push(ended);
    }
    let all = async {
        for ended in waiting {
            // A worker that is gone has nothing left to wait for.
            let _ = ended.await;
        }
    };
    let in_time = tokio::select! {
        () = all => true,
        () = tokio::time::sleep(config.drain) => false,
        () = signals.end() => false,
    };
    if !in_time {
        log!(Warn, "ended with transactions still under way");
    }
}
