//! State that can leave: all live transactions with their timers as bytes, and back, so that a node can be replaced while calls
//! are being set up.

use super::Endpoint;
use crate::cores::{HashKey, Id, Key, NIL, Reader, Slab, Writer};
use crate::destination::{Target, Wanted, WantedHost};
use crate::held::Held;
use crate::id::FlowId;
use crate::input::CloseCause;
use crate::locate::Located;
use crate::machine::{invite_client, invite_server, noninvite_client, noninvite_server};
use crate::output::{FailCause, Path};
use crate::time::Instant;
use crate::timers::{Class, Timer, Which};
use crate::tx::{Flags, Machine, Tx};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::num::NonZeroU32;
use core::time::Duration;
use sip_message::Message;

const MAGIC: &[u8] = b"sip-transaction";
/// Places an import may always have, whatever the limit of transactions.
const LEAST_PLACES: usize = 1 << 16;
const VERSION: u8 = 3;

/// Why a state could not be taken in: by an endpoint, or by a core on top of one. Whatever was to take it in is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The bytes are no exported state, or not all of it.
    #[error("not an exported state, or not all of it")]
    Malformed,
    /// It was exported by a version this one does not read.
    #[error("exported by version {0}")]
    Version(u8),
    /// What was to take it in has transactions, calls or the like of its own: ids would collide.
    #[error("there are transactions or calls already: ids would collide")]
    NotEmpty,
}

/// What was written of a transaction beside itself.
struct Facts {
    index: u32,
    tag: u128,
    flow: Option<u32>,
    timers: [Option<(Duration, Timer)>; 2],
    wanted: Option<Wanted>,
}

impl Endpoint {
    /// All live transactions with what they wait for, as bytes for [`import`](Endpoint::import) of another endpoint. Times are relative
    /// to `now`; ids stay valid. Queued output is not part of it: drain it first.
    ///
    /// The bytes hold a secret, the key of the hash tables, from which tags are drawn too: keep them as you keep the seed.
    pub fn export(&self, now: Instant) -> Vec<u8> {
        let now = now.max(self.now);
        let mut out = Writer::new(MAGIC, VERSION);
        out.raw(&self.hash.to_bytes());
        out.u32(self.flows.len() as u32);
        for (id, flow) in self.flows.iter() {
            out.u32(id.key().index());
            out.transport(flow.transport);
            out.address(flow.local);
            out.address(flow.remote);
        }
        out.u32(self.txs.horizon().get());
        out.u32(self.txs.len() as u32);
        for (key, tx) in self.txs.iter() {
            let index = key.index();
            out.u32(index);
            out.u32(key.generation().get());
            write_tx(&mut out, tx);
            for which in [Which::Retransmit, Which::State] {
                out.option(self.timers.get(index, which), |out, (at, timer)| {
                    out.duration(at.since(now));
                    out.u8(timer_code(timer));
                });
            }
            out.option(self.locator.wanted(index), write_wanted);
        }
        out.finish()
    }

    /// Takes over the transactions of another endpoint, which must not go on with them. `flow_for` is asked for each of its flows: a
    /// socket bound to the same address, or a connection handed over; `None` if there is none, and what used it fails or finds another way as when a
    /// flow ends.
    ///
    /// # Errors
    ///
    /// The bytes cannot be read, or this endpoint has transactions already.
    pub fn import(
        &mut self,
        now: Instant,
        bytes: &[u8],
        mut flow_for: impl FnMut(&Path) -> Option<FlowId>,
    ) -> Result<(), ImportError> {
        if !self.txs.is_empty() {
            return Err(ImportError::NotEmpty);
        }
        let input = Reader::new(bytes, MAGIC, VERSION, ())?;
        let Read { hash, flows, horizon, txs, facts } = read_all(input, &self.config).ok_or(ImportError::Malformed)?;
        // Ids are places: no more of them than there may be transactions, so that bytes made up cost no more than that.
        let most = self.config.limits.transactions.unwrap_or(NIL as usize).max(LEAST_PLACES);
        let most = u32::try_from(most).unwrap_or(NIL);
        self.txs = Slab::restore(txs, horizon, most).ok_or(ImportError::Malformed)?;
        self.advance(now);
        self.hash = hash;
        let mut mapped = Vec::new();
        for (index, path) in flows {
            mapped.push((index, flow_for(&path).filter(|flow| self.flows.contains(*flow))));
        }
        // Timers go into their lists at the tail: the earliest first.
        let mut timers = Vec::new();
        let mut stranded = Vec::new();
        for facts in facts {
            let Facts { index, tag, flow, timers: set, wanted } = facts;
            let had_flow = flow.is_some();
            self.timers.reserve(index);
            if tag != 0 {
                self.enter(index, tag);
            }
            let source = self.txs.at(index).map_or(usize::MAX, |tx| usize::from(tx.source));
            if let Some(count) = self.sources.get_mut(source) {
                *count += 1;
            }
            let flow = flow.and_then(|index| mapped.iter().find(|(of, _)| *of == index)).and_then(|(_, flow)| *flow);
            match flow {
                Some(flow) => self.link(index, flow),
                None if had_flow || wanted.is_some() => stranded.push((index, wanted)),
                None => {}
            }
            for (which, set) in [Which::Retransmit, Which::State].into_iter().zip(set) {
                if let Some((left, timer)) = set {
                    timers.push((self.now + left, index, which, timer));
                }
            }
        }
        timers.sort_by_key(|(at, index, ..)| (*at, *index));
        for (at, index, which, timer) in timers {
            self.timers.set(index, which, timer, Class::Odd, at);
        }
        for (index, wanted) in stranded {
            match wanted {
                Some(wanted) => {
                    if let Located::Now(targets) = self.locate(index, &wanted) {
                        self.located(index, targets);
                    }
                }
                None => self.lost_flow(index, FailCause::Flow(CloseCause::Local)),
            }
        }
        // Those that waited for a connection which is open here.
        let waiting: Vec<u32> =
            self.txs.iter().filter(|(_, tx)| tx.flow.is_some() && tx.waits()).map(|(key, _)| key.index()).collect();
        for index in waiting {
            self.launch(index);
        }
        Ok(())
    }
}

/// A state as it was written.
struct Read {
    hash: HashKey,
    flows: Vec<(u32, Path)>,
    horizon: NonZeroU32,
    txs: Vec<(Key, Tx)>,
    facts: Vec<Facts>,
}

fn read_all(mut input: Reader<'_>, config: &crate::config::EndpointConfig) -> Option<Read> {
    let hash = HashKey::new(input.array()?);
    let mut flows = Vec::new();
    for _ in 0..input.u32()? {
        let index = input.u32()?;
        let transport = input.transport()?;
        let (local, remote) = (input.address()?, input.address()?);
        let flow = FlowId::from_key(Key::new(index, NonZeroU32::MIN)?);
        flows.push((index, Path { flow, transport, local, remote }));
    }
    let horizon = NonZeroU32::new(input.u32()?)?;
    let (mut txs, mut all) = (Vec::new(), Vec::new());
    for _ in 0..input.u32()? {
        let key = Key::new(input.u32()?, NonZeroU32::new(input.u32()?)?)?;
        let (mut tx, flow) = read_tx(&mut input, config)?;
        let mut timers = [None; 2];
        for timer in &mut timers {
            *timer = input.option(|input| Some((input.duration()?, timer_of(input.u8()?)?)))?;
        }
        let wanted = input.option(read_wanted)?;
        let tag = core::mem::take(&mut tx.tag);
        all.push(Facts { index: key.index(), tag, flow, timers, wanted });
        txs.push((key, tx));
    }
    input.finish().map(|()| Read { hash, flows, horizon, txs, facts: all })
}

fn write_tx(out: &mut Writer, tx: &Tx) {
    out.u128(tx.tag);
    let (kind, state) = match tx.machine {
        Machine::Locating { invite } => (0, u8::from(invite)),
        Machine::InviteClient(state) => (1, state as u8),
        Machine::NonInviteClient(state) => (2, state as u8),
        Machine::InviteServer(state) => (3, state as u8),
        Machine::NonInviteServer(state) => (4, state as u8),
        Machine::Sending => (5, 0),
    };
    out.u8(kind);
    out.u8(state);
    out.u64(tx.send);
    out.u16(tx.flags.0);
    out.u8(tx.step);
    out.transport(tx.transport);
    out.u16(tx.source);
    out.option(tx.ttl, Writer::u8);
    out.option(tx.flow, |out, flow| out.u32(flow.key().index()));
    out.address(tx.remote);
    out.bytes(tx.message.as_slice());
    out.bytes(tx.last.as_slice());
    out.option(tx.more.as_deref(), |out, more| {
        out.option(more.unsent.as_deref(), |out, message| out.bytes(&message.to_bytes()));
        out.option(more.branch.as_deref(), |out, text| out.text(text));
        out.option(more.reason.as_deref(), |out, text| out.text(text));
        out.u32(more.targets.len() as u32);
        for target in &more.targets {
            write_target(out, target);
        }
        out.option(more.target.as_ref(), write_target);
        out.option(more.smaller.as_ref(), write_target);
    });
}

fn read_tx(input: &mut Reader<'_>, config: &crate::config::EndpointConfig) -> Option<(Tx, Option<u32>)> {
    use invite_client::State as InviteClient;
    use invite_server::State as InviteServer;
    use noninvite_client::State as NonInviteClient;
    use noninvite_server::State as NonInviteServer;
    let tag = input.u128()?;
    let (kind, state, send) = (input.u8()?, input.u8()?, input.u64()?);
    let pick = |states: [Machine; 4]| states.get(usize::from(state)).copied();
    let machine = match kind {
        0 => Machine::Locating { invite: state == 1 },
        1 => pick(
            [InviteClient::Calling, InviteClient::Proceeding, InviteClient::Completed, InviteClient::Accepted]
                .map(Machine::InviteClient),
        )?,
        2 => pick(
            [
                NonInviteClient::Trying,
                NonInviteClient::Proceeding,
                NonInviteClient::Completed,
                NonInviteClient::Completed,
            ]
            .map(Machine::NonInviteClient),
        )?,
        3 => pick(
            [InviteServer::Proceeding, InviteServer::Completed, InviteServer::Confirmed, InviteServer::Accepted]
                .map(Machine::InviteServer),
        )?,
        4 => pick(
            [
                NonInviteServer::Trying,
                NonInviteServer::Proceeding,
                NonInviteServer::Completed,
                NonInviteServer::Completed,
            ]
            .map(Machine::NonInviteServer),
        )?,
        5 => Machine::Sending,
        _ => return None,
    };
    let mut tx = Tx::new(machine);
    (tx.tag, tx.send) = (tag, send);
    tx.flags = Flags(input.u16()?);
    tx.step = input.u8()?;
    tx.transport = input.transport()?;
    tx.source = input.u16()?;
    tx.ttl = input.option(Reader::u8)?;
    let flow = input.option(Reader::u32)?;
    tx.remote = input.address()?;
    tx.message = Held::Own(input.bytes()?.to_vec());
    tx.last = Held::Own(input.bytes()?.to_vec());
    if input.bool()? {
        let more = tx.more();
        more.unsent = input.option(|input| {
            let bytes = Bytes::copy_from_slice(input.bytes()?);
            Message::parse_with(bytes, &config.parser).ok().map(Box::new)
        })?;
        more.branch = input.option(|input| input.string().map(String::into_boxed_str))?;
        more.reason = input.option(|input| input.string().map(String::into_boxed_str))?;
        for _ in 0..input.u32()? {
            more.targets.push_back(read_target(input)?);
        }
        more.target = input.option(read_target)?;
        more.smaller = input.option(read_target)?;
    }
    Some((tx, flow))
}

fn write_target(out: &mut Writer, target: &Target) {
    out.transport(target.transport);
    out.address(target.address);
    out.option(target.server_name.as_deref(), |out, name| out.text(name));
}

fn read_target(input: &mut Reader<'_>) -> Option<Target> {
    let transport = input.transport()?;
    Some(Target { transport, address: input.address()?, server_name: input.option(Reader::string)? })
}

fn write_wanted(out: &mut Writer, wanted: &Wanted) {
    match &wanted.host {
        WantedHost::Ip(ip) => {
            out.u8(0);
            out.address((*ip, 0).into());
        }
        WantedHost::Name(name) => {
            out.u8(1);
            out.text(name);
        }
    }
    out.option(wanted.port, Writer::u16);
    out.option(wanted.transport, Writer::transport);
    out.bool(wanted.secure);
}

fn read_wanted(input: &mut Reader<'_>) -> Option<Wanted> {
    let host = match input.u8()? {
        0 => WantedHost::Ip(input.address()?.ip()),
        1 => WantedHost::Name(input.string()?),
        _ => return None,
    };
    let port = input.option(Reader::u16)?;
    let transport = input.option(Reader::transport)?;
    // Groups are numeric, and what is numeric waits for no answer.
    Some(Wanted { host, port, transport, secure: input.bool()?, ttl: None })
}

/// The timers a transaction can have, by their code.
const TIMERS: [Timer; 16] = [
    Timer::A,
    Timer::B,
    Timer::C,
    Timer::D,
    Timer::E,
    Timer::F,
    Timer::G,
    Timer::H,
    Timer::I,
    Timer::J,
    Timer::K,
    Timer::L,
    Timer::M,
    Timer::Trying,
    Timer::Answer,
    Timer::Cancelled,
];

fn timer_code(timer: Timer) -> u8 {
    TIMERS.iter().position(|known| *known == timer).map_or(u8::MAX, |at| at as u8)
}

fn timer_of(code: u8) -> Option<Timer> {
    TIMERS.get(usize::from(code)).copied()
}
