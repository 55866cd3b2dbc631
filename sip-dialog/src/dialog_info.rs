//! The dialog event package (RFC 4235): which dialogs a user has, told to those who subscribe to `dialog`.
//!
//! A [`DialogInfo`] is a document of type `application/dialog-info+xml`, written and read. A [`DialogSource`] tells the dialogs of a
//! user agent to all its watchers, and is made of the public commands of [`UserAgentCore`] alone, as [`B2bua`](crate::B2bua) is. A
//! [`DialogTable`] is what a watcher makes of the documents it gets. Pickup, park and automatic redial (RFC 5359) live off these.

mod xml;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use sip_message::headers::Event as EventValue;
use sip_message::{FieldValue, Header, Message};
use sip_transaction::cores::escape_xml;
use sip_transaction::{Endpoint, Instant};

use crate::agent::UserAgentCore;
use crate::body::Body;
use crate::call::{Call, CallState, Role};
use crate::event::{CallEvent, Event, SubscriptionEvent};
use crate::id::{CallHandle, DialogId, SubscriptionId};
use xml::{Part, Xml};

/// The type of these documents.
const TYPE: &str = "application/dialog-info+xml";
/// Dialogs read from one document; what more there are is left.
const MOST: usize = 1000;

/// How far a dialog has come (RFC 4235 section 3.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DialogPhase {
    /// The INVITE was sent or received, and nothing more.
    Trying,
    /// A provisional response without a tag came.
    Proceeding,
    /// A provisional response with a tag came or was sent.
    Early,
    /// The call was accepted.
    Confirmed,
    /// It is over.
    Terminated,
}

impl DialogPhase {
    const ALL: [(DialogPhase, &'static str); 5] = [
        (DialogPhase::Trying, "trying"),
        (DialogPhase::Proceeding, "proceeding"),
        (DialogPhase::Early, "early"),
        (DialogPhase::Confirmed, "confirmed"),
        (DialogPhase::Terminated, "terminated"),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(phase, _)| *phase == self).map_or("terminated", |(_, name)| name)
    }
}

/// One side of a dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// The URI of From or To; empty if it is not told.
    pub identity: String,
    /// The URI of Contact; empty if it is not told.
    pub target: String,
}

/// One dialog of the user who is observed, or half of one: an INVITE without response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogState {
    /// Its name in the documents of one user agent.
    pub id: String,
    /// The Call-ID; empty if it is not told, as other texts here.
    pub call_id: String,
    /// The tag of the user who is observed.
    pub local_tag: String,
    /// The tag of the peer; empty before there is a dialog.
    pub remote_tag: String,
    /// Whether the user who is observed is the caller; `None` if it is not told.
    pub initiator: Option<bool>,
    /// How far it has come.
    pub phase: DialogPhase,
    /// The user who is observed.
    pub local: Party,
    /// The peer.
    pub remote: Party,
}

impl DialogState {
    /// The value of a Replaces field that takes the place of the user who is observed in this dialog: for an INVITE to the remote
    /// target. `early_only`: not if the call is accepted by then (RFC 3891). `None` if the document does not tell enough.
    pub fn replaces(&self, early_only: bool) -> Option<String> {
        let value = self.named()?;
        Some(if early_only { format!("{value};early-only") } else { value })
    }

    /// The value of a Join field that joins this dialog, for an INVITE to the user who is observed: as it is named there.
    pub fn join(&self) -> Option<String> {
        let told = !self.call_id.is_empty() && !self.local_tag.is_empty() && !self.remote_tag.is_empty();
        told.then(|| format!("{};to-tag={};from-tag={}", self.call_id, self.local_tag, self.remote_tag))
    }

    /// As the peer of the user who is observed names it: to-tag is that peer's own.
    fn named(&self) -> Option<String> {
        let told = !self.call_id.is_empty() && !self.local_tag.is_empty() && !self.remote_tag.is_empty();
        told.then(|| format!("{};to-tag={};from-tag={}", self.call_id, self.remote_tag, self.local_tag))
    }
}

/// A document of the dialogs of one user.
///
/// ```
/// use sip_dialog::DialogInfo;
/// let body = DialogInfo::new("sip:bob@biloxi.com").to_body();
/// assert_eq!(DialogInfo::parse(&body.bytes).unwrap().entity, "sip:bob@biloxi.com");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialogInfo {
    /// The URI of the user who is observed.
    pub entity: String,
    /// Which document of its subscription it is, counted from 0.
    pub version: u32,
    /// Whether it has all dialogs; else only those that have changed.
    pub full: bool,
    /// The dialogs.
    pub dialogs: Vec<DialogState>,
}

impl DialogInfo {
    /// The first document of a subscription, without dialogs.
    pub fn new(entity: impl Into<String>) -> Self {
        DialogInfo { entity: entity.into(), version: 0, full: true, dialogs: Vec::new() }
    }

    /// The document as a body for [`notify`](UserAgentCore::notify).
    //= https://www.rfc-editor.org/rfc/rfc4235#section-4
    //# Dialog information is an XML document [4] that MUST be well-formed
    //# and SHOULD be valid.
    //= https://www.rfc-editor.org/rfc/rfc4235#section-4
    //# Dialog information documents MUST be based on
    //# XML 1.0 and MUST be encoded using UTF-8.
    pub fn to_body(&self) -> Body {
        let mut out = String::from(
            "<?xml version=\"1.0\"?>\r\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"",
        );
        out.push_str(&self.version.to_string());
        out.push_str(if self.full { "\" state=\"full\"" } else { "\" state=\"partial\"" });
        xml::attribute(&mut out, "entity", &self.entity);
        out.push_str(">\r\n");
        for dialog in &self.dialogs {
            out.push_str("<dialog");
            xml::attribute(&mut out, "id", &dialog.id);
            let direction = dialog.initiator.map_or("", |initiator| if initiator { "initiator" } else { "recipient" });
            for (name, value) in [
                ("call-id", dialog.call_id.as_str()),
                ("local-tag", &dialog.local_tag),
                ("remote-tag", &dialog.remote_tag),
                ("direction", direction),
            ] {
                if !value.is_empty() {
                    xml::attribute(&mut out, name, value);
                }
            }
            out.push_str("><state>");
            out.push_str(dialog.phase.as_str());
            out.push_str("</state>");
            for (name, party) in [("local", &dialog.local), ("remote", &dialog.remote)] {
                if *party != Party::default() {
                    write_party(&mut out, name, party);
                }
            }
            out.push_str("</dialog>\r\n");
        }
        out.push_str("</dialog-info>\r\n");
        Body::new(TYPE, out)
    }

    /// Reads a document: what it says of dialogs, identities and targets. `None` if it is none, or not well-formed as far as it is
    /// read. Elements of other kinds are passed over, and no document type is looked at.
    pub fn parse(document: &[u8]) -> Option<DialogInfo> {
        let mut xml = Xml::new(core::str::from_utf8(document).ok()?);
        let root = loop {
            match xml.next()?? {
                Part::Open { name: "dialog-info", attributes, empty } => break (attributes, empty),
                Part::Text(_) => {}
                _ => return None,
            }
        };
        let mut info = DialogInfo::new(xml::value(root.0, "entity")?);
        info.version = xml::value(root.0, "version")?.parse().ok()?;
        // The example of RFC 4235 section 4.1 calls it so; its schema does not.
        let state = xml::value(root.0, "state").or_else(|| xml::value(root.0, "notify-state"))?;
        info.full = state == "full";
        if root.1 {
            return Some(info);
        }
        let (mut dialog, mut side, mut element) = (None, "", "");
        for part in xml {
            match part? {
                Part::Open { name: "dialog", attributes, empty } => {
                    let text = |name| xml::value(attributes, name).unwrap_or_default();
                    let initiator = xml::value(attributes, "direction").map(|value| value == "initiator");
                    let begun = DialogState {
                        id: xml::value(attributes, "id")?,
                        call_id: text("call-id"),
                        local_tag: text("local-tag"),
                        remote_tag: text("remote-tag"),
                        initiator,
                        phase: DialogPhase::Trying,
                        local: Party::default(),
                        remote: Party::default(),
                    };
                    if empty {
                        info.take(begun);
                    } else {
                        dialog = Some(begun);
                    }
                }
                Part::Open { name: name @ ("local" | "remote"), empty: false, .. } => side = name,
                Part::Open { name: "target", attributes, .. } => {
                    if let Some(party) = dialog.as_mut().and_then(|dialog| party(dialog, side)) {
                        party.target = xml::value(attributes, "uri").unwrap_or_default();
                    }
                }
                Part::Open { name, empty: false, .. } => element = name,
                Part::Open { .. } => {}
                Part::Text(text) => match (element, dialog.as_mut()) {
                    ("state", Some(dialog)) => {
                        let known = DialogPhase::ALL.iter().find(|(_, name)| *name == text);
                        dialog.phase = known.map_or(dialog.phase, |(phase, _)| *phase);
                    }
                    ("identity", Some(dialog)) => {
                        if let Some(party) = party(dialog, side) {
                            party.identity = xml::unescaped(text);
                        }
                    }
                    _ => {}
                },
                Part::Close("dialog") => {
                    if let Some(dialog) = dialog.take() {
                        info.take(dialog);
                    }
                }
                Part::Close("dialog-info") => return Some(info),
                Part::Close("local" | "remote") => side = "",
                Part::Close(_) => element = "",
            }
        }
        None
    }

    fn take(&mut self, dialog: DialogState) {
        if self.dialogs.len() < MOST {
            self.dialogs.push(dialog);
        }
    }
}

fn party<'a>(dialog: &'a mut DialogState, side: &str) -> Option<&'a mut Party> {
    match side {
        "local" => Some(&mut dialog.local),
        "remote" => Some(&mut dialog.remote),
        _ => None,
    }
}

fn write_party(out: &mut String, name: &str, party: &Party) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    if !party.identity.is_empty() {
        out.push_str("<identity>");
        escape_xml(out, &party.identity);
        out.push_str("</identity>");
    }
    if !party.target.is_empty() {
        out.push_str("<target");
        xml::attribute(out, "uri", &party.target);
        out.push_str("/>");
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// The dialogs a watcher knows of, from the documents it got (RFC 4235 section 4.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialogTable {
    version: Option<u32>,
    dialogs: BTreeMap<String, DialogState>,
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is the news, and has been taken.
    Taken,
    /// It has been taken, but one before it is missing: ask for the full state, with a refresh of the subscription.
    Gap,
    /// It is older than what is known, and was left.
    Old,
}

impl DialogTable {
    /// Nothing is known yet.
    pub fn new() -> Self {
        DialogTable::default()
    }

    /// Takes a document.
    //= https://www.rfc-editor.org/rfc/rfc4235#section-4.3
    //# The version
    //# number MUST be initialized with the value of the "version" attribute
    //# from the "dialog-info" element in the first document received.
    pub fn apply(&mut self, info: DialogInfo) -> Applied {
        let expected = self.version.map(|version| version.saturating_add(1));
        if self.version.is_some_and(|version| info.version < version) {
            return Applied::Old;
        }
        self.version = Some(info.version);
        if info.full {
            self.dialogs.clear();
        }
        for dialog in info.dialogs {
            if dialog.phase == DialogPhase::Terminated {
                self.dialogs.remove(&dialog.id);
            } else if self.dialogs.len() < MOST || self.dialogs.contains_key(&dialog.id) {
                self.dialogs.insert(dialog.id.clone(), dialog);
            }
        }
        let missing = expected.is_some_and(|expected| info.version > expected);
        if missing && !info.full { Applied::Gap } else { Applied::Taken }
    }

    /// The dialogs that are not over.
    pub fn dialogs(&self) -> impl Iterator<Item = &DialogState> {
        self.dialogs.values()
    }

    /// Whether there is none: who is observed is free.
    pub fn is_idle(&self) -> bool {
        self.dialogs.is_empty()
    }
}

/// Tells the dialogs of a user agent to its watchers.
///
/// List `dialog` among the [`packages`](crate::UserAgentConfig::packages), [`accept`](DialogSource::accept) the subscriptions that
/// are allowed to see, and hand every event to [`handle`](DialogSource::handle). Documents are full each time, and sent when
/// something in them has changed.
#[derive(Debug)]
pub struct DialogSource {
    entity: String,
    /// The next version for each watcher.
    watchers: BTreeMap<SubscriptionId, u32>,
    /// What is known of each call.
    last: BTreeMap<CallHandle, Vec<DialogState>>,
    /// The dialog that goes by the name of its call: the first one, which was half a dialog before.
    first: BTreeMap<CallHandle, DialogId>,
}

impl DialogSource {
    /// Of the user with this URI.
    pub fn new(entity: impl Into<String>) -> Self {
        DialogSource { entity: entity.into(), watchers: BTreeMap::new(), last: BTreeMap::new(), first: BTreeMap::new() }
    }

    /// Whether a SUBSCRIBE is for this package.
    pub fn wants(subscribe: &Message) -> bool {
        let event = subscribe.field(Header::Event).and_then(|value| EventValue::parse_value(value).ok());
        event.is_some_and(|event| event.event_type().as_str() == "dialog")
    }

    /// Accepts a subscription to `dialog` that came in, and tells the state at once.
    ///
    /// # Errors
    ///
    /// As [`UserAgentCore::accept_subscription`].
    pub fn accept(
        &mut self,
        core: &mut UserAgentCore,
        ep: &mut Endpoint,
        now: Instant,
        subscription: SubscriptionId,
    ) -> Result<(), crate::CommandError> {
        // Without watchers nothing has been kept.
        if self.watchers.is_empty() {
            self.last.clear();
            for call in core.calls.iter().map(|(id, _)| id).collect::<Vec<_>>() {
                self.look(core, call);
            }
        }
        let body = self.document(0).to_body();
        self.watchers.insert(subscription, 1);
        core.accept_subscription(ep, now, subscription, false, None, Some(body)).inspect_err(|_| {
            self.watchers.remove(&subscription);
        })
    }

    /// Takes note of what happened, and tells the watchers if their picture has changed. Hand it each event, after what else the
    /// host does about it.
    pub fn handle(&mut self, core: &mut UserAgentCore, ep: &mut Endpoint, now: Instant, event: &Event) {
        match event {
            Event::Subscription { subscription, event: SubscriptionEvent::Ended { .. } } => {
                self.watchers.remove(subscription);
            }
            // A refresh is answered with the last document by itself: the versions go on behind a new one.
            Event::Subscription { subscription, event: SubscriptionEvent::Refreshed { .. } }
                if self.watchers.contains_key(subscription) =>
            {
                self.tell(core, ep, now, *subscription);
            }
            Event::Call { call, event } => {
                self.changed(core, ep, now, *call);
                if matches!(event, CallEvent::Ended { .. }) {
                    self.first.remove(call);
                }
            }
            _ => {}
        }
    }

    /// Looks at a call, and tells the watchers if it is not as it was: to be called after a command that no event follows, such as
    /// [`progress`](UserAgentCore::progress) or [`set_contact`](UserAgentCore::set_contact). Else they learn it with the next event of the
    /// call.
    pub fn changed(&mut self, core: &mut UserAgentCore, ep: &mut Endpoint, now: Instant, call: CallHandle) {
        // The others are as they were: their own events tell of them.
        if !self.watchers.is_empty() && self.look(core, call) {
            for watcher in self.watchers.keys().copied().collect::<Vec<_>>() {
                self.tell(core, ep, now, watcher);
            }
        }
    }

    /// The watchers there are.
    pub fn watchers(&self) -> usize {
        self.watchers.len()
    }

    /// Looks at the dialogs of a call; whether they are others than the last time.
    fn look(&mut self, core: &UserAgentCore, id: CallHandle) -> bool {
        let mut states = Vec::new();
        let Some(call) = core.calls.get(id) else { return self.last.remove(&id).is_some() };
        core.each_dialog_of(id, call, |call, dialog, mut state| {
            if let Some(dialog) = dialog {
                if *self.first.entry(call).or_insert(dialog) == dialog {
                    state.id = call.to_string();
                }
            }
            states.push(state);
        });
        let changed = self.last.get(&id).map_or(&[][..], Vec::as_slice) != states.as_slice();
        if changed {
            self.last.insert(id, states);
        }
        changed
    }

    fn document(&self, version: u32) -> DialogInfo {
        DialogInfo {
            entity: self.entity.clone(),
            version,
            full: true,
            dialogs: self.last.values().flatten().cloned().collect(),
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc4235#section-4.1
    //# Versions are scoped within a subscription.  Versions MUST be
    //# representable using a non-negative 32 bit integer.
    fn tell(&mut self, core: &mut UserAgentCore, ep: &mut Endpoint, now: Instant, watcher: SubscriptionId) {
        let Some(&version) = self.watchers.get(&watcher) else { return };
        let body = self.document(version).to_body();
        // What could not be sent has no version: the next change tells it all.
        if core.notify(ep, now, watcher, Some(body)).is_ok() {
            if let Some(next) = self.watchers.get_mut(&watcher) {
                *next = version.saturating_add(1).min(i32::MAX as u32);
            }
        }
    }
}

impl UserAgentCore {
    /// The dialogs of all calls, as the dialog event package tells them (RFC 4235), in the order of the calls: the state of a
    /// document for a host that has watchers of its own. See [`DialogSource`].
    pub fn dialog_states(&self) -> Vec<DialogState> {
        let mut states = Vec::new();
        self.each_dialog(|_, _, state| states.push(state));
        states
    }

    fn each_dialog(&self, mut take: impl FnMut(CallHandle, Option<DialogId>, DialogState)) {
        for (id, call) in self.calls.iter() {
            self.each_dialog_of(id, call, &mut take);
        }
    }

    fn each_dialog_of(
        &self,
        id: CallHandle,
        call: &Call,
        mut take: impl FnMut(CallHandle, Option<DialogId>, DialogState),
    ) {
        let mut any = false;
        for dialog in call.dialog.iter().chain(&call.early) {
            if let Some(state) = self.state_of(call, *dialog) {
                any = true;
                take(id, Some(*dialog), state);
            }
        }
        if !any {
            if let Some(state) = self.half_of(id, call) {
                take(id, None, state);
            }
        }
    }

    fn state_of(&self, call: &Call, id: DialogId) -> Option<DialogState> {
        let entry = self.dialogs.get(id)?;
        let dialog = &entry.dialog;
        let answered = call.ringing.as_ref().is_none_or(|ringing| ringing.has_progress());
        let phase = match call.state {
            CallState::Ringing | CallState::Accepting if answered => DialogPhase::Early,
            CallState::Ringing | CallState::Accepting => DialogPhase::Trying,
            CallState::Calling | CallState::Cancelling => DialogPhase::Early,
            _ => DialogPhase::Confirmed,
        };
        Some(DialogState {
            id: id.to_string(),
            call_id: dialog.call_id().into(),
            local_tag: dialog.local_tag().into(),
            remote_tag: dialog.remote_tag().into(),
            initiator: Some(call.role == Role::Caller),
            phase,
            local: Party { identity: uri_of(dialog.local()), target: uri_of(&entry.contact) },
            remote: Party { identity: uri_of(dialog.remote()), target: dialog.remote_target().into() },
        })
    }

    /// An INVITE of ours that has no dialog yet.
    fn half_of(&self, id: CallHandle, call: &Call) -> Option<DialogState> {
        let request = self.clients.get(&call.client?)?.request.as_ref()?;
        let (from, to) = (request.from().ok()?, request.to().ok()?);
        let text = |bytes: &[u8]| String::from(core::str::from_utf8(bytes).unwrap_or_default());
        Some(DialogState {
            id: id.to_string(),
            call_id: request.call_id().ok()?.to_string(),
            local_tag: from.tag().ok().flatten().unwrap_or_default().into(),
            remote_tag: String::new(),
            initiator: Some(true),
            phase: DialogPhase::Trying,
            local: Party { identity: text(from.uri_bytes()), target: String::new() },
            remote: Party { identity: text(to.uri_bytes()), target: String::new() },
        })
    }
}

/// The URI in a From, To or Contact value.
fn uri_of(value: &str) -> String {
    let address = sip_message::NameAddr::parse_value(value.as_bytes());
    address.ok().and_then(|address| core::str::from_utf8(address.uri_bytes()).ok()).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
