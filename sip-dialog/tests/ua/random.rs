//! Two user agents, random commands, a network that loses, doubles and reorders: whatever happens, numbers go up, nothing is said outside of a
//! call's life, and when the faults stop both sides agree.

use crate::common::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sip_dialog::{CallEvent, CallHandle, CallState, Event, ExtraHeaders, Meaning, Progress, Reply};
use sip_message::{Message, Method};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Clone, Debug)]
struct Step {
    who: bool,
    command: u8,
    wait: u16,
    loss: u8,
}

fn steps() -> impl Strategy<Value = (u64, Vec<Step>)> {
    let step = (any::<bool>(), 0u8..12, 0u16..2500, 0u8..4).prop_map(|(who, command, wait, loss)| Step {
        who,
        command,
        wait,
        loss,
    });
    (any::<u64>(), prop::collection::vec(step, 1..40))
}

/// The live calls of both sides.
type Live = [BTreeSet<CallHandle>; 2];

fn react(world: &mut World, nodes: [sim::NodeId; 2], live: &mut Live, seen: &mut usize, lazy: bool) {
    while let Some(happened) = world.log.get(*seen) {
        *seen += 1;
        let side = usize::from(happened.node == nodes[1]);
        let Event::Call { call, event } = &happened.event else { continue };
        let (node, call) = (nodes[side], *call);
        match event {
            CallEvent::Incoming { .. } => {
                live[side].insert(call);
            }
            CallEvent::Ended { .. } => {
                live[side].remove(&call);
            }
            // A host that is lazy leaves offers alone, and is answered for.
            CallEvent::Offer { .. } | CallEvent::OfferWanted { .. } if !lazy => {
                let _ = world.tell(node, |core, ep, now| core.answer(ep, now, call, answer()));
            }
            CallEvent::Accepted { session: Some(Meaning::Offer), .. }
            | CallEvent::Progress { session: Some(Meaning::Offer), .. }
            | CallEvent::Answered { session: Some(Meaning::Offer), .. }
            | CallEvent::Acknowledged { session: Some(Meaning::Offer), .. }
                if !lazy =>
            {
                let _ = world.tell(node, |core, ep, now| core.answer(ep, now, call, answer()));
            }
            _ => {}
        }
    }
}

fn command(world: &mut World, nodes: [sim::NodeId; 2], live: &mut Live, step: &Step) {
    let side = usize::from(step.who);
    let node = nodes[side];
    let call = live[side].iter().next_back().copied();
    if step.command == 0 || call.is_none() {
        if live[side].len() < 3 {
            let (me, to) = if side == 0 { (1, 2) } else { (2, 1) };
            let invite = invite(me, to);
            let invite = if step.wait % 3 == 0 { invite } else { invite.body(offer()) };
            let call = world.invite(node, invite);
            live[side].insert(call);
        }
        return;
    }
    let Some(call) = call else { return };
    // What is not possible now is refused and changes nothing.
    let _ = world.tell(node, |core, ep, now| match step.command {
        1 => core.progress(ep, now, call, Progress::ringing()),
        2 => core.progress(ep, now, call, Progress::new(status(183)).reliable().body(answer())),
        3 => core.accept(ep, now, call, Reply::new().body(answer())),
        4 => core.accept(ep, now, call, Reply::new()),
        5 => core.reject(ep, now, call, status(486), Reply::new()),
        6 => core.hang_up(ep, now, call, None),
        7 => core.reinvite(ep, now, call, Some(offer()), ExtraHeaders::new()),
        8 => core.reinvite(ep, now, call, None, ExtraHeaders::new()),
        9 => core.update(ep, now, call, Some(offer()), ExtraHeaders::new()),
        10 => core.refuse(ep, now, call, status(488), Reply::new()),
        _ => core.dtmf(ep, now, call, sip_dialog::Tone::new('1').unwrap(), Duration::from_millis(100)).map(|_| ()),
    });
}

/// In each direction of each dialog the numbers of new requests go up, one by one.
fn numbers_go_up(messages: &[Message]) {
    let mut last: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for message in messages {
        let Some(method) = message.method() else { continue };
        if matches!(method, Method::Ack | Method::Cancel) {
            continue;
        }
        let branch = message.top_via().unwrap().branch().unwrap().unwrap().to_owned();
        if !seen.insert(branch) {
            continue;
        }
        let tag = message.from().unwrap().tag().unwrap().unwrap().to_owned();
        let number = message.cseq().unwrap().number;
        // Two calls that lose a fork would share a tag, and there are no forks here.
        let key = (message.call_id().unwrap().to_owned(), tag);
        if let Some(before) = last.insert(key.clone(), number) {
            assert!(number > before, "{key:?}: {number} after {before}: {message:?}");
        }
    }
}

fn run(seed: u64, steps: &[Step]) {
    let mut world = World::new(seed);
    let nodes = [world.phone(1), world.phone(2)];
    let mut live: Live = Default::default();
    let mut seen = 0;
    let lazy = seed % 5 == 0;
    world.net.faults.jitter = Duration::from_millis(seed % 400);
    for step in steps {
        world.net.faults.loss = u32::from(step.loss) * 100;
        world.net.faults.duplicates = u32::from(step.loss) * 80;
        command(&mut world, nodes, &mut live, step);
        // Events are answered as they come.
        for _ in 0..8 {
            world.run_for(Duration::from_millis(u64::from(step.wait) / 8));
            react(&mut world, nodes, &mut live, &mut seen, lazy);
        }
    }
    // The faults stop: after 64 * T1 nothing is left of them.
    world.net.faults.loss = 0;
    world.net.faults.duplicates = 0;
    world.net.faults.jitter = Duration::ZERO;
    for _ in 0..800 {
        world.run_for(Duration::from_millis(100));
        react(&mut world, nodes, &mut live, &mut seen, lazy);
    }
    // What stands at one side stands at the other.
    let mut standing: [BTreeSet<String>; 2] = Default::default();
    for side in 0..2 {
        for call in live[side].clone() {
            let id = world.tell(nodes[side], |core, _, _| {
                let info = core.call(call).filter(|info| info.state == CallState::Confirmed)?;
                core.dialog(info.dialog?).map(|dialog| dialog.call_id().to_owned())
            });
            standing[side].extend(id);
        }
    }
    assert_eq!(standing[0], standing[1], "{}", world.ladder());
    for side in 0..2 {
        for call in live[side].clone() {
            let _ = world.tell(nodes[side], |core, ep, now| core.hang_up(ep, now, call, None));
        }
    }
    numbers_go_up(&world.messages());
    world.finish();
}

#[test]
fn whatever_they_do() {
    let cases = std::env::var("SIP_DIALOG_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner
        .run(&steps(), |(seed, steps)| {
            run(seed, &steps);
            Ok(())
        })
        .unwrap();
}
