//! A response context as bytes and back.

use super::best::Best;
use super::routing::Routing;
use super::{Branch, BranchProgress, Context, Proxy, RouteKind, Stage};
use crate::codec::{self, Reader, Writer};
use crate::target::Target;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use sip_transaction::{ClientTxId, Endpoint, ServerTxId};

/// What a proxy keeps of a request.
pub(crate) type Kept = Context;

const KINDS: [RouteKind; 3] = [RouteKind::Local, RouteKind::Foreign, RouteKind::Routed];
const STAGES: [Stage; 4] = [Stage::Waiting, Stage::Forking, Stage::Closing, Stage::Answered];
const PROGRESS: [BranchProgress; 3] = [BranchProgress::Calling, BranchProgress::Proceeding, BranchProgress::Done];

fn place<T: PartialEq>(of: &T, among: &[T]) -> u8 {
    among.iter().position(|one| one == of).map_or(u8::MAX, |at| at as u8)
}

fn at<T: Copy>(among: &[T], place: u8) -> Option<T> {
    among.get(usize::from(place)).copied()
}

pub(crate) fn write(out: &mut Writer, endpoint: &Endpoint, context: &Context) {
    let Context { tx, path, routing, stage, invite, cancelled, server_ended, told, request, .. } = context;
    out.option(*tx, |out, tx| out.u64(tx.to_bits()));
    out.path(*path);
    out.u8(place(&routing.kind, &KINDS));
    out.option(routing.flow, |out, flow| codec::write_flow(out, endpoint, flow));
    out.u64(routing.loop_hash);
    out.u32(routing.max_breadth);
    out.bool(routing.gruu);
    out.bool(routing.sips);
    out.u8(place(stage, &STAGES));
    for fact in [*invite, *cancelled, *server_ended, *told] {
        out.bool(fact);
    }
    out.option(request.as_deref(), codec::write_message);
    // Whoever is being woken is asked for again.
    let asleep = context.branches.iter().filter_map(|branch| branch.asleep.as_ref()).map(|asleep| &asleep.target);
    let targets: Vec<&Target> = asleep.chain(&context.queue).collect();
    out.each(targets.into_iter(), |out, target| codec::write_target(out, endpoint, target));
    out.u16(context.group);
    out.u32(context.targets);
    let awake: Vec<&Branch> = context.branches.iter().filter(|branch| branch.asleep.is_none()).collect();
    out.each(awake.into_iter(), |out, branch| {
        out.option(branch.tx, |out, tx| out.u64(tx.to_bits()));
        out.u8(place(&branch.state, &PROGRESS));
        out.u32(branch.breadth);
        out.text(&branch.instance);
    });
    out.option(context.best.as_deref(), |out, best| best.write(out));
    for texts in [&context.answered, &context.tried] {
        out.each(texts.iter(), |out, text| out.text(text));
    }
}

pub(crate) fn read(input: &mut Reader<'_>) -> Option<Context> {
    let tx = input.option(|input| ServerTxId::from_bits(input.u64()?))?;
    let (Ok(path) | Err(path)) = codec::path(input)?;
    let routing = Routing {
        kind: at(&KINDS, input.u8()?)?,
        flow: input.option(codec::flow)?,
        loop_hash: input.u64()?,
        max_breadth: input.u32()?,
        gruu: input.bool()?,
        sips: input.bool()?,
    };
    Some(Context {
        tx,
        path,
        routing,
        stage: at(&STAGES, input.u8()?)?,
        invite: input.bool()?,
        cancelled: input.bool()?,
        server_ended: input.bool()?,
        told: input.bool()?,
        request: input.option(codec::message)?.map(Box::new),
        queue: input.each(codec::target)?.into(),
        group: input.u16()?,
        targets: input.u32()?,
        branches: input.each(read_branch)?.into(),
        best: input.option(Best::read)?.map(Box::new),
        answered: input.each(Reader::string)?,
        tried: input.each(Reader::string)?,
    })
}

fn read_branch(input: &mut Reader<'_>) -> Option<Branch> {
    Some(Branch {
        tx: input.option(|input| ClientTxId::from_bits(input.u64()?))?,
        state: at(&PROGRESS, input.u8()?)?,
        breadth: input.u32()?,
        instance: input.string().map(String::into_boxed_str)?,
        asleep: None,
    })
}

impl Proxy {
    /// Finds its way among contexts that have been taken in, and asks again about those that wait.
    pub(crate) fn adopt(&mut self) {
        let mut waiting = Vec::new();
        for (id, context) in self.contexts.iter() {
            if let Some(tx) = context.tx.filter(|_| !context.server_ended) {
                self.by_server.insert(tx, id);
            }
            for tx in context.branches.iter().filter_map(|branch| branch.tx) {
                self.by_client.insert(tx, id);
            }
            if context.stage == Stage::Forking && context.queue.iter().any(|target| target.asleep) {
                self.bucket.look_at(self.now, id);
            }
            if context.stage == Stage::Waiting {
                waiting.push(id);
            }
        }
        waiting.into_iter().for_each(|id| self.ask(id));
    }
}
