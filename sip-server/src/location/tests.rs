use super::*;
use crate::registrar::Change;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use proptest::prelude::*;
use sip_message::Uri;
use sip_transaction::{FlowId, Instant, Path, Transport};
use smallvec::SmallVec;

const AOR: &str = "sip:alice@example.com";

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn asked<'a>(uri: &'a str, seconds: u32, instance: &'a str, reg_id: u32) -> ContactAsked<'a> {
    ContactAsked {
        uri: Uri::parse(uri.as_bytes()).unwrap(),
        text: uri,
        params: Cow::Borrowed(""),
        instance: Cow::Borrowed(instance),
        reg_id,
        q: 1000,
        wakes: false,
        received: None,
        seconds,
    }
}

fn registration<'a>(call_id: &'a str, cseq: u32, contacts: &[ContactAsked<'a>]) -> Registration<'a> {
    let asked = Asked::Contacts(contacts.iter().cloned().collect());
    Registration { call_id, cseq, path: Cow::Borrowed(""), asked }
}

fn apply(table: &mut LocationTable, registration: &Registration<'_>, now: Instant) -> Result<usize, RegisterRefused> {
    let bindings = table.register(AOR, registration, 3, now, |_, _| {})?.len();
    assert!(table.is_consistent());
    Ok(bindings)
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# If the Call-ID value in the existing binding differs from the
//# Call-ID value in the request, the binding MUST be removed if
//# the expiration time is zero and updated otherwise.  If they are
//# the same, the registrar compares the CSeq value.  If the value
//# is higher than that of the existing binding, it MUST update or
//# remove the binding as above.  If not, the update MUST be
//# aborted and the request fails.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# REGISTER requests MUST be processed by a registrar in the order that they are
//# received.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# Each REGISTER message MUST be processed independently of any other registration or
//# binding changes.
#[test]
fn a_binding_is_updated_in_the_order_of_its_client() {
    let mut table = LocationTable::new([1; 32]);
    let contact = |seconds| [asked("sip:alice@192.0.2.1", seconds, "", 0)];
    assert_eq!(apply(&mut table, &registration("a", 5, &contact(60)), at(0)), Ok(1));
    let late = Err(RegisterRefused::Rule(Refusal::OutOfOrder));
    assert_eq!(apply(&mut table, &registration("a", 5, &contact(60)), at(1)), late);
    assert_eq!(apply(&mut table, &registration("a", 4, &contact(0)), at(1)), late);
    assert_eq!(table.bindings(AOR, at(1)).next().unwrap().expires(), at(60), "nothing has changed");
    assert_eq!(apply(&mut table, &registration("a", 6, &contact(100)), at(2)), Ok(1));
    assert_eq!(table.bindings(AOR, at(2)).next().unwrap().expires(), at(102));
    assert_eq!(apply(&mut table, &registration("b", 1, &contact(0)), at(3)), Ok(0), "another Call-ID starts anew");
    assert!(table.is_empty() && table.aors() == 0);
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# If not, the registrar checks whether
//# the Call-ID agrees with the value stored for each binding.  If
//# not, it MUST remove the binding.  If it does agree, it MUST
//# remove the binding only if the CSeq in the request is higher
//# than the value stored for that binding.  Otherwise, the update
//# MUST be aborted and the request fails.
#[test]
fn all_bindings_go_at_once_or_none() {
    let mut table = LocationTable::new([1; 32]);
    apply(&mut table, &registration("a", 5, &[asked("sip:a@192.0.2.1", 60, "", 0)]), at(0)).unwrap();
    apply(&mut table, &registration("b", 9, &[asked("sip:a@192.0.2.2", 60, "", 0)]), at(0)).unwrap();
    let all = |call_id, cseq| Registration { asked: Asked::RemoveAll, ..registration(call_id, cseq, &[]) };
    assert_eq!(apply(&mut table, &all("b", 9), at(1)), Err(RegisterRefused::Rule(Refusal::OutOfOrder)));
    assert_eq!(table.len(), 2, "not even the one of the other Call-ID is gone");
    assert_eq!(apply(&mut table, &all("b", 10), at(1)), Ok(0));
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# The binding updates MUST be committed (that is, made visible to
//# the proxy or redirect server) if and only if all binding
//# updates and additions succeed.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# REGISTER requests MUST also be processed atomically, meaning that a
//# particular REGISTER request is either processed completely or not at
//# all.
#[test]
fn several_contacts_are_updated_together_or_not_at_all() {
    let mut table = LocationTable::new([1; 32]);
    apply(&mut table, &registration("a", 5, &[asked("sip:a@192.0.2.1", 60, "", 0)]), at(0)).unwrap();
    let contacts = [asked("sip:a@192.0.2.9", 60, "", 0), asked("sip:a@192.0.2.1", 60, "", 0)];
    assert!(apply(&mut table, &registration("a", 5, &contacts), at(1)).is_err());
    assert_eq!(table.len(), 1);
    assert_eq!(apply(&mut table, &registration("a", 6, &contacts), at(1)), Ok(2));
    let many: Vec<_> = ["sip:a@192.0.2.3", "sip:a@192.0.2.4"].map(|uri| asked(uri, 60, "", 0)).into();
    let full = Err(RegisterRefused::Rule(Refusal::TooMany));
    assert_eq!(apply(&mut table, &registration("a", 7, &many), at(2)), full);
    assert_eq!(table.len(), 2);
    // Those that end in the same request, and those that have ended, make room.
    let swap = [many[0].clone(), many[1].clone(), asked("sip:a@192.0.2.1", 0, "", 0)];
    assert_eq!(apply(&mut table, &registration("a", 7, &swap), at(2)), Ok(3));
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# The registrar MUST be prepared to receive, simultaneously for the
//# same AOR, some registrations that use instance-id and reg-id and some
//# registrations that do not.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# If the registrar receives a re-registration for a specific
//# combination of AOR, and instance-id and reg-id values, the registrar
//# MUST update any information that uniquely identifies the network flow
//# over which the request arrived if that information has changed, and
//# SHOULD update the time the binding was last updated.
#[test]
fn flows_of_an_instance_are_told_by_their_number() {
    let mut table = LocationTable::new([1; 32]);
    let id = "<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>";
    let path = |n: u64| Path {
        flow: FlowId::from_bits(1 << 32 | n).unwrap(),
        transport: Transport::Tcp,
        local: SocketAddr::from(([192, 0, 2, 10], 5060)),
        remote: SocketAddr::from(([192, 0, 2, 1], 40_000)),
    };
    let over = |n, cseq, contact| registration("a", cseq, &[ContactAsked { received: Some(path(n)), ..contact }]);
    apply(&mut table, &over(1, 1, asked("sip:a@192.0.2.1", 60, id, 1)), at(0)).unwrap();
    apply(&mut table, &over(2, 2, asked("sip:a@192.0.2.1", 60, id, 2)), at(0)).unwrap();
    assert_eq!(apply(&mut table, &over(3, 3, asked("sip:a@192.0.2.1", 60, "", 0)), at(0)), Ok(3), "one without");
    // Another contact and another flow, the same number: the same binding.
    assert_eq!(apply(&mut table, &over(4, 4, asked("sip:a@192.0.2.8;x", 60, id, 1)), at(5)), Ok(3));
    let first = table.bindings(AOR, at(5)).next().unwrap();
    assert_eq!((first.contact(), first.received(), first.registered()), ("sip:a@192.0.2.8;x", Some(path(4)), at(5)));
    let mut gone = 0;
    table.flow_ended(path(1).flow, &mut |_, _| gone += 1);
    assert_eq!(gone, 0, "the flow it came over first is of no more use to it");
    table.flow_ended(path(4).flow, &mut |_, _| gone += 1);
    assert_eq!((gone, table.len()), (1, 2));
    assert!(table.is_consistent());
}

#[test]
fn memory_of_a_binding_is_bounded() {
    // Beyond the strings: the entry, its place in the slab, in the heap, in the hash table at its fullest and in the flow tree.
    let entry = size_of::<Binding>() + 80;
    let index = 16 + 2 * 5 + 2 * size_of::<(FlowId, SocketAddr, u32)>();
    assert!(entry + index < 400, "{} bytes", entry + index);
}

#[test]
fn the_embedded_table_conforms() {
    store_conformance(|| LocationTable::new([9; 32])).unwrap();
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//= type=test
//# The likelihood that the temporary GRUU is equal to another GRUU that the registrar
//# has created MUST be vanishingly small.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//= type=test
//# Given a pair of GRUUs, it MUST be computationally infeasible to determine whether
//# they were issued for the same AOR or instance ID or for different AORs and instance
//# IDs.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
//= type=test
//# A registrar MUST be able to determine the instance ID and AOR when presented with a
//# GRUU.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
//= type=test
//# However, if two GRUUs are associated with different AORs or different instance IDs
//# or both, the GRUUs MUST be different based on URI equality comparison.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//= type=test
//# The temporary GRUU construction algorithm MUST have the following two properties:
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
//= type=test
//# A GRUU in a domain MUST NOT be equivalent, based on URI comparison, to any AOR in a
//# domain except for the one associated with the GRUU.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
//= type=test
//# Example algorithms for public and temporary GRUUs that work well are given in Appendix
//# A. However, in addition to the properties described in Section 3.1, a GRUU constructed
//# by a registrar MUST exhibit the following properties:
#[test]
fn gruus_are_resolved_to_the_instance_they_were_made_for() {
    let mut gruus = Gruus::new(&[5; 32]);
    let binding = |instance, call_id| {
        Binding::new(&BindingParts { contact: "sip:a@192.0.2.1", instance, call_id, ..BindingParts::default() })
    };
    let one = binding("<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>", "call");
    let mut public = String::new();
    Gruus::write_public(&mut public, AOR, one.instance());
    assert_eq!(public, "sip:alice@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    let read = |gruus: &Gruus, text: &str| {
        let uri = Uri::parse(text.as_bytes()).unwrap();
        gruus.read(uri.as_sip().unwrap())
    };
    let target = read(&gruus, &public).flatten().unwrap();
    assert!(target.aor == AOR && Gruus::is_public(&target));
    assert!(gruus.matches(&target, &one));
    assert!(gruus.matches(&target, &binding("<urn:uuid:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6>", "other")));
    assert!(!gruus.matches(&target, &binding("<urn:uuid:00000000>", "call")));
    assert!(!gruus.matches(&target, &binding("", "call")));

    let (mut a, mut b) = (String::new(), String::new());
    gruus.write_temporary(&mut a, AOR, &one);
    gruus.write_temporary(&mut b, AOR, &one);
    assert_ne!(a, b);
    assert!(!a.contains("alice"));
    for text in [&a, &b] {
        let target = read(&gruus, text).flatten().unwrap();
        assert!(target.aor == AOR && !Gruus::is_public(&target));
        assert!(gruus.matches(&target, &one));
        //= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
        //= type=test
        //# If it differs from the one in the REGISTER request, the registrar
        //# MUST invalidate all previously generated temporary GRUUs for the AOR
        //# and instance ID.
        assert!(!gruus.matches(&target, &binding(one.instance(), "another call")));
    }
    let forged = a.replacen("tgruu.A", "tgruu.B", 1).replacen("tgruu.C", "tgruu.D", 1);
    let forged = if forged == a { a.replacen("tgruu.", "tgruu.A", 1) } else { forged };
    assert_eq!(read(&gruus, &forged), Some(None));
    assert_eq!(read(&Gruus::new(&[6; 32]), &a), Some(None), "another registrar's");
    assert_eq!(read(&gruus, AOR), None);
}

#[derive(Clone, Debug)]
enum Step {
    Register { aor: u8, contact: u8, seconds: u32, flow: u8, reg_id: u32, fresh: bool },
    RemoveAll { aor: u8 },
    FlowEnded { flow: u8 },
    Sweep { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..6, 0u8..5, 0u32..200, 0u8..4, 0u32..3, any::<bool>()).prop_map(
            |(aor, contact, seconds, flow, reg_id, fresh)| Step::Register { aor, contact, seconds, flow, reg_id, fresh }
        ),
        1 => (0u8..6).prop_map(|aor| Step::RemoveAll { aor }),
        1 => (0u8..4).prop_map(|flow| Step::FlowEnded { flow }),
        2 => (0u64..120).prop_map(|seconds| Step::Sweep { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done, all indices agree, nothing is found after its end, and what was made is what has gone or is left.
    #[test]
    fn the_table_keeps_its_order(steps in proptest::collection::vec(step(), 1..60)) {
        let mut table = LocationTable::new([2; 32]);
        let mut now = at(0);
        let (mut made, mut gone) = (0i64, 0i64);
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Register { aor, contact, seconds, flow, reg_id, fresh } => {
                    let aor = alloc::format!("sip:user{aor}@example.com");
                    let host = if contact < 3 { "192.0.2.1" } else { "x.Invalid" };
                    let uri = alloc::format!("sip:c{contact}@{host}");
                    let call = if fresh { alloc::format!("c{n}") } else { String::from("same") };
                    let remote = SocketAddr::from(([192, 0, 2, flow], 5060));
                    let received = (flow > 0).then(|| Path {
                        flow: FlowId::from_bits(1 << 32 | u64::from(flow)).unwrap(),
                        transport: Transport::Ws,
                        local: remote,
                        remote,
                    });
                    let contacts = [ContactAsked { received, ..asked(&uri, seconds, "<urn:x>", reg_id) }];
                    let registration = registration(&call, n as u32, &contacts);
                    let before = table.lookup(&aor, now).bindings;
                    let result = table.register(&aor, &registration, 3, now, |_, change| match change {
                        Change::Registered => made += 1,
                        Change::Refreshed => {}
                        _ => gone += 1,
                    });
                    // A refresh in place comes to what the rules would have made of it.
                    let planned = Update::plan(&before, &registration, 3, now).ok().map(|update| {
                        let mut bindings = SmallVec::from_vec(before);
                        update.apply(&mut bindings);
                        bindings.to_vec()
                    });
                    prop_assert_eq!(result.ok().map(<[Binding]>::to_vec), planned);
                }
                Step::RemoveAll { aor } => {
                    let aor = alloc::format!("sip:user{aor}@example.com");
                    let all = Registration { asked: Asked::RemoveAll, ..registration("all", 1, &[]) };
                    let _ = table.register(&aor, &all, 3, now, |_, _| gone += 1);
                }
                Step::FlowEnded { flow } => {
                    table.flow_ended(FlowId::from_bits(1 << 32 | u64::from(flow)).unwrap(), &mut |_, _| gone += 1);
                }
                Step::Sweep { seconds } => {
                    now += Duration::from_secs(seconds);
                    table.expire(now, &mut |_, _| gone += 1);
                    prop_assert!(table.next_end().is_none_or(|end| end > now));
                }
            }
            prop_assert!(table.is_consistent());
            prop_assert_eq!(made - gone, table.len() as i64);
        }
        table.expire(Instant::MAX, &mut |_, _| gone += 1);
        prop_assert!(table.is_empty() && table.aors() == 0 && made == gone && table.is_consistent());
    }
}

#[test]
fn only_what_says_nothing_new_is_a_refresh() {
    let parts =
        BindingParts { contact: "sip:a@h", q: 1000, call_id: "x", cseq: 5, expires: at(60), ..BindingParts::default() };
    let current = [Binding::new(&parts)];
    let contacts = [asked("sip:a@h", 90, "", 0)];
    let refresh = registration("x", 6, &contacts).refresh(&current, at(1)).map(|r| (r.place, r.cseq, r.expires));
    assert_eq!(refresh, Some((0, 6, at(91))));
    let none = |call_id, cseq, contact: ContactAsked<'_>, now| {
        assert!(
            registration(call_id, cseq, core::slice::from_ref(&contact)).refresh(&current, now).is_none(),
            "{contact:?}"
        );
    };
    none("x", 5, asked("sip:a@h", 90, "", 0), at(1));
    none("y", 6, asked("sip:a@h", 90, "", 0), at(1));
    none("x", 6, asked("sip:a@h", 0, "", 0), at(1));
    none("x", 6, asked("sip:a@h", 90, "", 0), at(60));
    none("x", 6, asked("sip:a@h;x", 90, "", 0), at(1));
    none("x", 6, asked("sip:%61@h", 90, "", 0), at(1));
    none("x", 6, asked("sip:a@h", 90, "<urn:x>", 1), at(1));
    none("x", 6, ContactAsked { q: 500, ..asked("sip:a@h", 90, "", 0) }, at(1));
    none("x", 6, ContactAsked { wakes: true, ..asked("sip:a@h", 90, "", 0) }, at(1));
    none("x", 6, ContactAsked { params: ";methods=\"INVITE\"".into(), ..asked("sip:a@h", 90, "", 0) }, at(1));
    let two = [asked("sip:a@h", 90, "", 0), asked("sip:b@h", 90, "", 0)];
    assert!(registration("x", 6, &two).refresh(&current, at(1)).is_none());
    let path = Registration { path: "<sip:p;lr>".into(), ..registration("x", 6, &contacts) };
    assert!(path.refresh(&current, at(1)).is_none());
}

#[test]
fn applying_an_update_keeps_the_order_of_the_bindings() {
    let mut bindings: SmallVec<[Binding; 1]> = ["sip:a@h", "sip:b@h", "sip:c@h"]
        .iter()
        .map(|contact| {
            Binding::new(&BindingParts { contact, call_id: "x", cseq: 1, expires: at(60), ..BindingParts::default() })
        })
        .collect();
    let contacts = [asked("sip:d@h", 60, "", 0), asked("sip:a@h", 0, "", 0), asked("sip:c@h", 90, "", 0)];
    let update = Update::plan(&bindings, &registration("x", 2, &contacts), 10, at(1)).unwrap();
    update.apply(&mut bindings);
    let left: Vec<_> = bindings.iter().map(|binding| (binding.contact(), binding.expires())).collect();
    assert_eq!(left, [("sip:b@h", at(60)), ("sip:c@h", at(91)), ("sip:d@h", at(61))]);
}
