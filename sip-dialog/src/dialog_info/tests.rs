use super::*;

/// As RFC 4235 section 6.2 has it, with prefixes, comments and other elements.
const FOREIGN: &str = "\u{feff}<?xml version=\"1.0\" encoding='UTF-8'?>
<!-- who <rings> -->
<d:dialog-info xmlns:d=\"urn:ietf:params:xml:ns:dialog-info\" version='3' state=\"partial\" entity=\"sip:a&amp;b@example.com\">
  <d:dialog id=\"as7d&gt;\" call-id='a84b4c76e66710' local-tag=\"l\" remote-tag=\"r\" direction=\"recipient\">
    <d:state event=\"rejected\" code=\"486\">terminated</d:state>
    <d:duration>274</d:duration>
    <d:local><d:target uri=\"sip:bob@pc33\"><d:param pname=\"+sip.rendering\" pval=\"no\"/></d:target></d:local>
    <d:remote><d:identity display=\"A\">sip:alice@example.com;x=&#x31;&unknown;</d:identity></d:remote>
  </d:dialog>
  <d:dialog id=\"half\"/>
</d:dialog-info>";

#[test]
fn a_foreign_document_is_read() {
    let info = DialogInfo::parse(FOREIGN.as_bytes()).unwrap();
    assert_eq!((info.entity.as_str(), info.version, info.full), ("sip:a&b@example.com", 3, false));
    let [one, half] = info.dialogs.as_slice() else { panic!("{info:?}") };
    assert_eq!((one.id.as_str(), one.phase, one.initiator), ("as7d>", DialogPhase::Terminated, Some(false)));
    assert_eq!(one.local.target, "sip:bob@pc33");
    assert_eq!(one.remote.identity, "sip:alice@example.com;x=1&unknown;");
    assert_eq!(one.replaces(true).as_deref(), Some("a84b4c76e66710;to-tag=r;from-tag=l;early-only"));
    assert_eq!(one.join().as_deref(), Some("a84b4c76e66710;to-tag=l;from-tag=r"));
    assert_eq!(
        (half.id.as_str(), half.phase, half.initiator, half.replaces(false)),
        ("half", DialogPhase::Trying, None, None)
    );
}

//= https://www.rfc-editor.org/rfc/rfc4235#section-4
//= type=test
//# Dialog information is an XML document [4] that MUST be well-formed
//# and SHOULD be valid.
#[test]
fn what_is_written_is_read_back() {
    let mut info = DialogInfo::new("sip:\"<&>'@example.com");
    info.version = u32::MAX;
    for (n, (phase, _)) in DialogPhase::ALL.into_iter().enumerate() {
        info.dialogs.push(DialogState {
            id: format!("{n}\"<>&"),
            call_id: "a@b'".into(),
            local_tag: "l".into(),
            remote_tag: String::new(),
            initiator: [None, Some(true), Some(false)][n % 3],
            phase,
            local: Party { identity: "sip:a@example.com?x=1&y=2".into(), target: String::new() },
            remote: Party { identity: String::new(), target: "sip:b@example.com".into() },
        });
    }
    assert_eq!(DialogInfo::parse(&info.to_body().bytes), Some(info.clone()));
    info.full = false;
    info.dialogs.clear();
    assert_eq!(DialogInfo::parse(&info.to_body().bytes), Some(info));
}

#[test]
fn what_is_no_document_is_refused_and_no_cut_of_one_is_taken() {
    for bad in [
        "",
        "<",
        "<>",
        "text",
        "<dialog-info>",
        "<!DOCTYPE x [<!ENTITY e \"e\">]><dialog-info version=\"0\" state=\"full\" entity=\"e\"/>",
        "<presence/>",
        "<dialog-info version=\"-1\" state=\"full\" entity=\"e\"/>",
        "<dialog-info version=\"0\" state=\"full\" entity=\"e\"><dialog/></dialog-info>",
    ] {
        assert_eq!(DialogInfo::parse(bad.as_bytes()), None, "{bad}");
    }
    for end in 0..FOREIGN.len() {
        assert_eq!(DialogInfo::parse(&FOREIGN.as_bytes()[..end]), None, "cut at {end}");
    }
}

fn info(version: u32, full: bool, dialogs: &[(&str, DialogPhase)]) -> DialogInfo {
    let state = |(id, phase): &(&str, DialogPhase)| DialogState {
        id: (*id).into(),
        call_id: String::new(),
        local_tag: String::new(),
        remote_tag: String::new(),
        initiator: None,
        phase: *phase,
        local: Party::default(),
        remote: Party::default(),
    };
    DialogInfo { entity: "e".into(), version, full, dialogs: dialogs.iter().map(state).collect() }
}

//= https://www.rfc-editor.org/rfc/rfc4235#section-4.3
//= type=test
//# The version
//# number MUST be initialized with the value of the "version" attribute
//# from the "dialog-info" element in the first document received.
#[test]
fn a_watcher_keeps_to_the_versions() {
    let mut table = DialogTable::new();
    assert_eq!(table.apply(info(7, true, &[("a", DialogPhase::Early)])), Applied::Taken);
    assert_eq!(table.apply(info(6, true, &[])), Applied::Old);
    assert_eq!(table.dialogs().count(), 1);
    assert_eq!(table.apply(info(8, false, &[("b", DialogPhase::Trying)])), Applied::Taken);
    assert_eq!(table.dialogs().count(), 2);
    assert_eq!(table.apply(info(10, false, &[("a", DialogPhase::Terminated)])), Applied::Gap, "9 is missing");
    assert_eq!(table.dialogs().map(|dialog| dialog.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(table.apply(info(12, true, &[])), Applied::Taken, "a full one needs nothing before it");
    assert!(table.is_idle());
}

#[test]
fn the_end_of_an_entity_is_looked_for_no_further_than_its_name_may_go() {
    // Ten million signs that begin nothing: looked for to the end from each of them, they would never be done.
    let text = "&".repeat(10_000_000);
    assert_eq!(xml::unescaped(&text).len(), text.len());
    assert_eq!(xml::unescaped("&#x10FFFF;&#x0041;&#x0000041;&;&amp&lt;é&;"), "\u{10ffff}A&#x0000041;&;&amp<é&;");
    assert_eq!(xml::unescaped("&amp"), "&amp");
}
