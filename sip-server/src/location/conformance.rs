//! What every store of bindings must do, as a suite that any store can run.

use super::store::{Record, Store, StoreError};
use super::{Binding, BindingParts};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use sip_transaction::{FlowId, Instant, Path, Transport};

/// The rule a store broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store does not conform: {0}")]
pub struct Nonconformance(&'static str);

impl Nonconformance {
    /// The rule.
    pub fn rule(&self) -> &'static str {
        self.0
    }
}

fn rule(kept: bool, rule: &'static str) -> Result<(), Nonconformance> {
    if kept { Ok(()) } else { Err(Nonconformance(rule)) }
}

const AOR: &str = "sip:alice@example.com";
const OTHER: &str = "sip:bob@example.com";

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn flow(n: u64) -> Option<FlowId> {
    FlowId::from_bits(1 << 32 | n)
}

fn binding(contact: &str, ends: u64, flow: Option<FlowId>) -> Binding {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);
    let path = |flow| Path { flow, transport: Transport::Ws, local: address, remote: address };
    Binding::new(&BindingParts {
        contact,
        params: ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1;methods=\"INVITE\"",
        path: "<sip:edge.example.com;lr;ob>",
        instance: "<urn:uuid:00000000-0000-1000-8000-000A95A0E128>",
        reg_id: 1,
        q: 700,
        call_id: "16CB75F21C70",
        cseq: 7,
        registered: at(1),
        expires: at(ends),
        received: flow.map(path),
        wakes: false,
    })
}

/// Runs every rule on stores that `make` makes, each one empty and fresh. Flows and times in it are made up.
///
/// ```
/// use sip_server::{LocationTable, store_conformance};
/// store_conformance(|| LocationTable::new([1; 32])).unwrap();
/// ```
///
/// # Errors
///
/// The first rule that is broken.
pub fn store_conformance<S: Store>(mut make: impl FnMut() -> S) -> Result<(), Nonconformance> {
    let mut store = make();
    rule(store.lookup(AOR, at(1)) == Record::default(), "an unknown record is empty, with version 0")?;
    rule(
        store.store(AOR, 1, vec![binding("sip:a", 100, None)], at(1)) == Err(StoreError::Conflict),
        "no record has version 0 only",
    )?;
    rule(store.lookup(AOR, at(1)) == Record::default(), "a conflict changes nothing")?;

    let first = vec![binding("sip:a@192.0.2.1", 100, flow(1)), binding("sip:a@192.0.2.2", 50, None)];
    rule(store.store(AOR, 0, first.clone(), at(1)).is_ok(), "version 0 makes a record")?;
    let record = store.lookup(AOR, at(1));
    rule(record.bindings == first, "bindings come back as they were stored, in their order")?;
    rule(record.version != 0, "a record with bindings has a version other than 0")?;
    rule(store.lookup(OTHER, at(1)).bindings.is_empty(), "records are apart")?;

    let second = vec![binding("sip:a@192.0.2.3", 100, flow(1))];
    rule(store.store(AOR, 0, second.clone(), at(1)) == Err(StoreError::Conflict), "an old version is refused")?;
    rule(store.store(AOR, record.version, second.clone(), at(1)).is_ok(), "the version that was read is taken")?;
    rule(
        store.store(AOR, record.version, first.clone(), at(1)) == Err(StoreError::Conflict),
        "each change makes another version",
    )?;
    rule(store.lookup(AOR, at(1)).bindings == second, "bindings are replaced as a whole")?;
    let version = store.lookup(AOR, at(1)).version;
    rule(store.store(AOR, version, Vec::new(), at(1)).is_ok(), "a record can be emptied")?;
    rule(store.lookup(AOR, at(1)) == Record::default(), "an empty record is no record")?;

    expiry(&mut make())?;
    flows(&mut make())
}

fn expiry(store: &mut impl Store) -> Result<(), Nonconformance> {
    let both = vec![binding("sip:a@192.0.2.1", 100, None), binding("sip:a@192.0.2.2", 50, None)];
    rule(store.store(AOR, 0, both.clone(), at(1)).is_ok(), "version 0 makes a record")?;
    rule(store.lookup(AOR, at(50)).bindings == both[..1], "what has ended is not found, swept or not")?;
    let none = ended(store, 49);
    rule(none.is_empty(), "nothing ends before its time")?;
    let one = ended(store, 50);
    rule(matches!(&one[..], [(aor, gone)] if aor == AOR && Some(gone) == both.get(1)), "what ends is told")?;
    rule(ended(store, 99).is_empty(), "what has ended is not told again")?;
    rule(ended(store, 1000).len() == 1, "every end is told")?;
    rule(store.lookup(AOR, at(1)) == Record::default(), "what has ended is gone")
}

/// What the store says has ended by then.
fn ended(store: &mut impl Store, seconds: u64) -> Vec<(String, Binding)> {
    let mut gone = Vec::new();
    store.expire(at(seconds), &mut |aor, binding| gone.push((aor.into(), binding.clone())));
    gone
}

fn flows(store: &mut impl Store) -> Result<(), Nonconformance> {
    let (Some(dead), Some(alive)) = (flow(1), flow(2)) else { return Err(Nonconformance("flow ids can be made")) };
    let bindings = vec![binding("sip:a@192.0.2.1", 100, Some(dead)), binding("sip:a@192.0.2.2", 100, Some(alive))];
    rule(store.store(AOR, 0, bindings.clone(), at(1)).is_ok(), "version 0 makes a record")?;
    rule(store.store(OTHER, 0, vec![binding("sip:b@192.0.2.1", 100, Some(dead))], at(1)).is_ok(), "and another one")?;
    let mut gone: Vec<String> = Vec::new();
    store.flow_ended(dead, &mut |aor, _| gone.push(aor.into()));
    gone.sort();
    rule(gone == [AOR, OTHER], "a flow that ends takes its bindings with it, of every record")?;
    rule(store.lookup(AOR, at(1)).bindings == bindings[1..], "and no others")?;
    let mut again = 0;
    store.flow_ended(dead, &mut |_, _| again += 1);
    rule(again == 0, "once")?;
    let sleeps = Binding::new(&BindingParts { wakes: true, ..binding("sip:a@192.0.2.3", 100, Some(dead)).parts() });
    let version = store.lookup(AOR, at(1)).version;
    rule(store.store(AOR, version, vec![sleeps.clone()], at(1)).is_ok(), "the version that was read is taken")?;
    store.flow_ended(dead, &mut |_, _| again += 1);
    let kept = Binding::new(&BindingParts { received: None, ..sleeps.parts() });
    rule(again == 0 && store.lookup(AOR, at(1)).bindings == [kept], "who can be woken is kept, and has no flow")
}
