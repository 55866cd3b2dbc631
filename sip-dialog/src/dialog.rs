//! The dialog of RFC 3261 section 12: its ids, its sequence numbers, its route set and its remote target.
//!
//! A [`Dialog`] makes requests and judges those that come in. It sends nothing and knows nothing of calls,
//! subscriptions and whatever else uses it.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Write;
use sip_message::{DialogIds, Header, Lines, Message, Method, NameAddr, RequestBuilder, RequestUri, StatusCode, Uri};

use crate::agent::sips::secure_routes;
use crate::agent::way::is_sips;
use crate::codec::{Reader, Wire};
use crate::error::DialogError;

/// A dialog: the relation of two user agents that gives their requests an order and a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// From, To and Call-ID of the requests we send. The tags end From and To.
    head: Lines,
    /// The lengths of the tags; 0 for the null tag of RFC 2543.
    local_tag: u16,
    remote_tag: u16,
    /// The Contact URI of the peer.
    target: RequestUri,
    /// The values of Route, in order, with commas between them. Empty if there are none.
    route_set: Box<str>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    early: bool,
    secure: bool,
    initiator: bool,
}

/// What an in-dialog request that came in is to its dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The next one, or one further on: the numbers between were spent on requests that never arrived.
    Next,
    /// It came too late and is to be answered 500.
    Late,
}

/// From, To and Call-ID of our requests, from those of a message and the tags, and how long these are.
fn head(
    message: &Message,
    local: (&NameAddr<'_>, &[u8]),
    remote: (&NameAddr<'_>, &[u8]),
) -> Result<(Lines, u16, u16), DialogError> {
    let given = |tag: &[u8]| !tag.is_empty();
    let small = |tag: &[u8]| u16::try_from(tag.len()).map_err(|_| DialogError::Malformed);
    let mut head = Lines::new();
    let (from, to) =
        ((local.0, Some(local.1).filter(|tag| given(tag))), (remote.0, Some(remote.1).filter(|tag| given(tag))));
    head.push_dialog(message, from, to).map_err(|_| DialogError::Malformed)?;
    Ok((head, small(local.1)?, small(remote.1)?))
}

/// The Record-Route values as they will stand in Route.
fn routes(message: &Message, reverse: bool) -> Result<Box<str>, DialogError> {
    let mut list: smallvec::SmallVec<[&[u8]; 8]> = smallvec::SmallVec::new();
    for field in message.fields(Header::RecordRoute) {
        list.push(field);
    }
    if list.is_empty() {
        return Ok(Box::default());
    }
    let mut values: smallvec::SmallVec<[String; 8]> = smallvec::SmallVec::new();
    for route in message.record_routes() {
        let route = route.map_err(|_| DialogError::Malformed)?;
        let uri = route.uri().map_err(|_| DialogError::Malformed)?;
        let mut value = String::from("<");
        let _ = write!(value, "{uri}>");
        let params = core::str::from_utf8(route.params().as_bytes()).map_err(|_| DialogError::Malformed)?;
        value.push_str(params.trim());
        values.push(value);
    }
    if reverse {
        values.reverse();
    }
    Ok(values.join(", ").into())
}

/// The URI of Contact; `None` if there is none, or if it is the one that is `known`.
pub(crate) fn contact(message: &Message, known: Option<&RequestUri>) -> Result<Option<RequestUri>, DialogError> {
    let mut contacts = message.contacts();
    let Some(first) = contacts.next() else { return Ok(None) };
    let first = first.map_err(|_| DialogError::Malformed)?;
    let address = first.address().ok_or(DialogError::Malformed)?;
    if known.is_some_and(|known| known.as_str().as_bytes() == address.uri_bytes()) {
        return Ok(None);
    }
    let target = target(address.uri_bytes())?;
    Ok(Some(target).filter(|target| known != Some(target)))
}

/// A URI as the remote target that requests go to.
fn target(uri: &[u8]) -> Result<RequestUri, DialogError> {
    let uri = Uri::parse(uri).map_err(|_| DialogError::Malformed)?;
    RequestUri::of(&uri).map_err(|_| DialogError::Malformed)
}

/// Whether a response with these ids has the Call-ID and the From tag of its request: with others it is of no dialog of ours.
pub(crate) fn echoes(request: &Message, response: &Message, ids: &DialogIds<'_>) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
    //# The local tag component of the dialog ID MUST be set to the tag in the
    //# From field in the request, and the remote tag component of the dialog ID
    //# MUST be set to the tag in the To field of the response.
    let tagged = || request.dialog_ids().is_ok_and(|sent| sent.from_tag == ids.from_tag);
    // Nearly all return From byte for byte.
    request.field(Header::CallId) == Some(ids.call_id)
        && (request.field(Header::From) == response.field(Header::From) || tagged())
}

/// What a response to a request in a dialog does to the dialog and its usages (RFC 5057 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing but this transaction is over.
    Transaction,
    /// The usage the request belonged to is over.
    Usage,
    /// The dialog is over, and all its usages.
    Dialog,
}

/// What `status`, received for a request in a dialog, ends. `integral` says whether the usage cannot do without the
/// request: INVITE, UPDATE, BYE, SUBSCRIBE and NOTIFY are integral, INFO, MESSAGE and REFER are not.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.2
//# If the response for a request within a dialog is a 481 (Call/Transaction
//# Does Not Exist) or a 408 (Request Timeout), the UAC SHOULD terminate the
//# dialog.
pub fn damage(status: StatusCode, integral: bool) -> Damage {
    match status.code() {
        404 | 410 | 416 | 482..=485 | 502 | 604 => Damage::Dialog,
        481 => Damage::Usage,
        // RFC 5057 section 5.1 notes 3, 4 and 7: another request of the usage may fare better.
        405 | 408 | 480 | 489 | 501 if integral => Damage::Usage,
        _ => Damage::Transaction,
    }
}

impl Dialog {
    /// The dialog a UAS makes: from the request it got and the tag it puts into To (RFC 3261 section 12.1.1).
    ///
    /// # Errors
    ///
    /// The request has no Contact, or has Contact, From, To or Record-Route malformed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1
    //# UAs MUST assign values to the dialog ID components as described below.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
    //# This state MUST be maintained for the duration of the dialog.
    pub fn from_request(request: &Message, local_tag: &str, early: bool) -> Result<Dialog, DialogError> {
        let malformed = |_| DialogError::Malformed;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
        //# The local tag component of the dialog ID MUST be set to the tag in the
        //# To field in the response to the request (which always includes a tag),
        //# and the remote tag component of the dialog ID MUST be set to the tag
        //# from the From field in the request.
        let (to, from) = (request.to().map_err(malformed)?, request.from().map_err(malformed)?);
        let local_tag = to.tag().map_err(|_| DialogError::Malformed)?.unwrap_or(local_tag);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
        //# A UAS MUST be prepared to receive a request without a tag in the From
        //# field, in which case the tag is considered to have a value of null.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
        //# The remote URI MUST be set to the URI in the From field, and the local
        //# URI MUST be set to the URI in the To field.
        let remote_tag = from.tag().map_err(|_| DialogError::Malformed)?.unwrap_or_default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
        //# The call identifier component of the dialog ID MUST be set to the value
        //# of the Call-ID in the request.
        let (head, local_tag, remote_tag) = head(request, (&to, local_tag.as_bytes()), (&from, remote_tag.as_bytes()))?;
        let top = request.record_routes().next().and_then(Result::ok);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
        //# The remote target MUST be set to the URI from the Contact header field
        //# of the request.
        let target = contact(request, None)?.ok_or(DialogError::NoContact)?;
        let secure =
            request.request_uri_bytes().is_some_and(is_sips) || top.is_some_and(|route| is_sips(route.uri_bytes()));
        Ok(Dialog {
            head,
            local_tag,
            remote_tag,
            target,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
            //# The route set MUST be set to the list of URIs in the Record-Route header
            //# field from the request, taken in order and preserving all URI
            //# parameters.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
            //# If no Record-Route header field is present in the request, the route set
            //# MUST be set to the empty set.
            route_set: routes(request, false)?,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
            //# The local sequence number MUST be empty.
            local_cseq: 0,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
            //# The remote sequence number MUST be set to the value of the sequence
            //# number in the CSeq header field of the request.
            remote_cseq: Some(request.cseq().map_err(malformed)?.number),
            early,
            secure,
            initiator: false,
        })
    }

    /// The dialog a UAC makes: from the request it sent and a response with a To tag (RFC 3261 section 12.1.2).
    ///
    /// # Errors
    ///
    /// The response has no Contact though it confirms the dialog, has Contact, From, To or Record-Route malformed, or has another Call-ID or From
    /// tag than the request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
    //# This state MUST be maintained for the duration of the dialog.
    pub fn from_response(request: &Message, response: &Message) -> Result<Dialog, DialogError> {
        let ids = response.dialog_ids().map_err(|_| DialogError::Malformed)?;
        if !echoes(request, response, &ids) {
            return Err(DialogError::Malformed);
        }
        Dialog::answered(request.request_uri_bytes().unwrap_or_default(), response, &ids)
    }

    /// The dialog a UAC makes, from the Request-URI of its request and a response with these ids.
    pub(crate) fn answered(asked: &[u8], response: &Message, ids: &DialogIds<'_>) -> Result<Dialog, DialogError> {
        let malformed = |_| DialogError::Malformed;
        let early = response.status().is_some_and(|status| status.is_provisional());
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
        //# The local tag component of the dialog ID MUST be set to the tag in the
        //# From field in the request, and the remote tag component of the dialog ID
        //# MUST be set to the tag in the To field of the response.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
        //# The remote URI MUST be set to the URI in the To field, and the local URI
        //# MUST be set to the URI in the From field.
        let (to, from) = (response.to().map_err(malformed)?, response.from().map_err(malformed)?);
        let local_tag = ids.from_tag.unwrap_or_default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
        //# A UAC MUST be prepared to receive a response without a tag in the To
        //# field, in which case the tag is considered to have a value of null.
        let remote_tag = ids.to_tag.unwrap_or_default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
        //# The call identifier component of the dialog ID MUST be set to the value
        //# of the Call-ID in the request.
        let (head, local_tag, remote_tag) = head(response, (&from, local_tag), (&to, remote_tag))?;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
        //# The remote target MUST be set to the URI from the Contact header field
        //# of the response.
        let target = match contact(response, None)? {
            Some(target) => target,
            // Provisional responses of old user agents lack it; the 2xx will bring it.
            None if early => target(asked)?,
            None => return Err(DialogError::NoContact),
        };
        let secure = is_sips(asked);
        Ok(Dialog {
            head,
            local_tag,
            remote_tag,
            target,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
            //# The route set MUST be set to the list of URIs in the Record-Route header
            //# field from the response, taken in reverse order and preserving all URI
            //# parameters.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
            //# If no Record-Route header field is present in the response, the route
            //# set MUST be set to the empty set.
            route_set: routes(response, true)?,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
            //# The local sequence number MUST be set to the value of the sequence
            //# number in the CSeq header field of the request.
            local_cseq: response.cseq().map_err(malformed)?.number,
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
            //# The remote sequence number MUST be empty (it is established when the
            //# remote UA sends a request within the dialog).
            remote_cseq: None,
            early,
            secure,
            initiator: true,
        })
    }

    /// The dialog a subscriber makes from a NOTIFY that came before the 2xx to its SUBSCRIBE (RFC 6665 section 4.4.1): `request` is
    /// that SUBSCRIBE.
    ///
    /// # Errors
    ///
    /// As [`from_request`](Dialog::from_request).
    pub fn from_notify(request: &Message, notify: &Message) -> Result<Dialog, DialogError> {
        let mut dialog = Dialog::from_request(notify, "", false)?;
        dialog.local_cseq = request.cseq().map_err(|_| DialogError::Malformed)?.number;
        dialog.initiator = true;
        Ok(dialog)
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        text(self.value(Header::CallId))
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        text(self.local_tag_bytes())
    }

    /// The peer's tag; empty for the null tag of RFC 2543.
    pub fn remote_tag(&self) -> &str {
        text(self.remote_tag_bytes())
    }

    /// The value of From in our requests: who we are.
    pub fn local(&self) -> &str {
        text(self.value(Header::From))
    }

    /// The value of To in our requests: who the peer is.
    pub fn remote(&self) -> &str {
        text(self.value(Header::To))
    }

    fn value(&self, header: Header) -> &[u8] {
        self.head.field(header).unwrap_or_default()
    }

    pub(crate) fn local_tag_bytes(&self) -> &[u8] {
        tail(self.value(Header::From), self.local_tag)
    }

    pub(crate) fn remote_tag_bytes(&self) -> &[u8] {
        tail(self.value(Header::To), self.remote_tag)
    }

    /// The remote target: the URI the peer gave in Contact, without headers and `method`, which no Request-URI has.
    pub fn remote_target(&self) -> &str {
        self.target.as_str()
    }

    /// The route set: the values of Route in order, with commas between them; empty if there are none.
    pub fn route_set(&self) -> &str {
        &self.route_set
    }

    /// Whether the dialog is early: no final response has confirmed it yet.
    pub fn is_early(&self) -> bool {
        self.early
    }

    /// Whether the dialog was made over TLS for a `sips:` URI: its Contact URIs must be `sips:` too.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether we sent the request that made the dialog.
    pub fn is_initiator(&self) -> bool {
        self.initiator
    }

    /// The number of the last request we sent; 0 if we sent none.
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// The number of the last request that came in; `None` if there was none.
    pub fn remote_cseq(&self) -> Option<u32> {
        self.remote_cseq
    }

    /// Whether `call_id`, our tag and the peer's are this dialog's.
    pub fn is(&self, call_id: &str, local_tag: &str, remote_tag: &str) -> bool {
        self.is_bytes(call_id.as_bytes(), local_tag.as_bytes(), remote_tag.as_bytes())
    }

    pub(crate) fn is_bytes(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> bool {
        self.local_tag_bytes() == local_tag
            && self.remote_tag_bytes() == remote_tag
            && self.value(Header::CallId) == call_id
    }

    /// Call-ID, our tag and the peer's.
    pub(crate) fn ids(&self) -> [&[u8]; 3] {
        [self.value(Header::CallId), self.local_tag_bytes(), self.remote_tag_bytes()]
    }

    /// Spends the next sequence number: the only place that does.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
    //# Requests within a dialog MUST contain strictly monotonically increasing
    //# and contiguous CSeq sequence numbers (increasing-by-one) in each
    //# direction (excepting ACK and CANCEL of course, whose numbers equal the
    //# requests being acknowledged or cancelled).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
    //# Therefore, if the local sequence number is not empty, the value of the
    //# local sequence number MUST be incremented by one, and this value MUST be
    //# placed into the CSeq header field.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
    //# If the local sequence number is empty, an initial value MUST be chosen
    //# using the guidelines of Section 8.1.1.5.
    pub(crate) fn next_cseq(&mut self) -> u32 {
        self.local_cseq = self.upcoming_cseq();
        self.local_cseq
    }

    /// The number the next request takes.
    pub(crate) fn upcoming_cseq(&self) -> u32 {
        // RFC 3261 section 8.1.1.5 ends the numbers at 2^31; no dialog lives that long.
        self.local_cseq.saturating_add(1).min(0x7fff_ffff)
    }

    /// Takes the request we sent outside of the numbering, such as an INVITE sent again with credentials, into account.
    pub(crate) fn set_local_cseq(&mut self, number: u32) {
        self.local_cseq = self.local_cseq.max(number);
    }

    /// Begins a request in this dialog, with its Request-URI, Route, From, To, Call-ID and a new CSeq (RFC 3261 section
    /// 12.2.1.1).
    pub fn request(&mut self, method: Method<'_>) -> RequestBuilder {
        let number = self.next_cseq();
        self.numbered(method, number)
    }

    /// Begins a request as [`request`](Dialog::request) does, and leaves its number unspent until it has been sent: one that cannot be built or
    /// sent makes no gap.
    pub(crate) fn upcoming(&self, method: Method<'_>) -> RequestBuilder {
        self.numbered(method, self.upcoming_cseq())
    }

    /// Begins the ACK for a 2xx to the INVITE numbered `cseq` (RFC 3261 section 13.2.2.4).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
    //# The sequence number of the CSeq header field MUST be the same as the
    //# INVITE being acknowledged, but the CSeq method MUST be ACK.
    pub fn ack(&self, cseq: u32) -> RequestBuilder {
        self.numbered(Method::Ack, cseq)
    }

    fn numbered(&self, method: Method<'_>, number: u32) -> RequestBuilder {
        let (uri, route) = request_line(self.target.as_str(), &self.route_set);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
        //# The method field in the CSeq header field value MUST match the method of
        //# the request.
        let mut builder = match uri {
            Cow::Borrowed(_) => Message::request_to(method, &self.target),
            Cow::Owned(router) => Message::request(method, router),
        };
        if let Some(route) = route {
            builder = builder.text(Header::Route, &route);
        }
        builder
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
            //# The From URI of the request MUST be set to the local URI from the dialog
            //# state.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
            //# The tag in the From header field of the request MUST be set to the local
            //# tag of the dialog ID.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
            //# The URI in the To field of the request MUST be set to the remote URI
            //# from the dialog state.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
            //# The tag in the To header field of the request MUST be set to the remote
            //# tag of the dialog ID.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
            //# If the value of the remote or local tags is null, the tag parameter MUST
            //# be omitted from the To or From header fields, respectively.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
            //# The Call-ID of the request MUST be set to the Call-ID of the dialog.
            .lines(&self.head)
            .cseq(number)
    }

    /// Judges the sequence number of a request that came in, and takes it as the last one if it is in order (RFC 3261
    /// section 12.2.2). Not for ACK and CANCEL, which repeat a number.
    ///
    /// # Errors
    ///
    /// The CSeq is malformed.
    pub fn receive(&mut self, request: &Message) -> Result<Order, DialogError> {
        let number = request.cseq().map_err(|_| DialogError::Malformed)?.number;
        match self.remote_cseq {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
            //# If the remote sequence number was not empty, but the sequence number of
            //# the request is lower than the remote sequence number, the request is out
            //# of order and MUST be rejected with a 500 (Server Internal Error)
            //# response.
            Some(last) if number < last => Ok(Order::Late),
            // Equal is late too: the transaction layer has absorbed retransmissions, so this is another request.
            Some(last) if number == last => Ok(Order::Late),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
            //# If the remote sequence number is empty, it MUST be set to the value of
            //# the sequence number in the CSeq header field value in the request.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
            //# This is not an error condition, and a UAS SHOULD be prepared to receive
            //# and process requests with CSeq values more than one higher than the
            //# previous received request.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
            //# The UAS MUST then set the remote sequence number to the value of the
            //# sequence number in the CSeq header field value in the request.
            _ => {
                self.remote_cseq = Some(number);
                Ok(Order::Next)
            }
        }
    }

    /// Takes the Contact of a target refresh request or of a 2xx to one as the new remote target, if there is one
    /// (RFC 3261 section 12.2). Says whether it changed.
    ///
    /// # Errors
    ///
    /// Contact is malformed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.2
    //# When a UAC receives a 2xx response to a target refresh request, it MUST
    //# replace the dialog's remote target URI with the URI from the Contact
    //# header field in that response, if present.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
    //# When a UAS receives a target refresh request, it MUST replace the
    //# dialog's remote target URI with the URI from the Contact header field in
    //# that request, if present.
    pub fn refresh_target(&mut self, message: &Message) -> Result<bool, DialogError> {
        let Some(target) = contact(message, Some(&self.target))? else { return Ok(false) };
        self.target = target;
        Ok(true)
    }

    /// Confirms an early dialog by the 2xx to the request that made it; the route set is that of the 2xx.
    ///
    /// # Errors
    ///
    /// Contact or Record-Route is malformed; the dialog is confirmed with what it had.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
    //# If the dialog identifier in the 2xx response matches the dialog
    //# identifier of an existing dialog, the dialog MUST be transitioned to the
    //# "confirmed" state, and the route set for the dialog MUST be recomputed
    //# based on the 2xx response using the procedures of Section 12.2.1.2.
    pub fn confirm(&mut self, response: &Message) -> Result<(), DialogError> {
        self.early = false;
        self.route_set = routes(response, true)?;
        self.refresh_target(response)?;
        Ok(())
    }

    /// Confirms the dialog on the side that sent the 2xx.
    pub(crate) fn confirm_local(&mut self) {
        self.early = false;
    }
}

/// Request-URI and Route for a remote target and a route set (RFC 3261 section 12.2.1.1). What is borrowed is what was given.
pub(crate) fn request_line<'a>(target: &'a str, route_set: &'a str) -> (Cow<'a, str>, Option<Cow<'a, str>>) {
    if route_set.is_empty() {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
        //# If the route set is empty, the UAC MUST place the remote target URI into
        //# the Request-URI.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
        //# The UAC MUST NOT add a Route header field to the request.
        return (Cow::Borrowed(target), None);
    }
    // A proxy that wrote a SIP URI is asked for the same securely.
    let secured = is_sips(target.as_bytes()).then(|| secure_routes(route_set)).flatten();
    if let Some(secured) = secured {
        let (uri, route) = request_line(target, &secured);
        return (Cow::Owned(uri.into_owned()), route.map(|route| Cow::Owned(route.into_owned())));
    }
    let (first, rest) = first_route(route_set);
    let uri = first_uri(first);
    let parsed = Uri::parse(uri.as_bytes());
    match parsed.as_ref().ok().and_then(|uri| uri.as_sip()) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
        //# If the route set is not empty, and its first URI does not contain the lr
        //# parameter, the UAC MUST place the first URI from the route set into the
        //# Request-URI, stripping any parameters that are not allowed in a
        //# Request-URI.
        Some(sip) if !sip.lr() => {
            // "method" and headers are not allowed there (RFC 3261 section 19.1.1 table 1).
            let request_uri =
                sip.to_request_uri().map_or_else(|_| sip.without_headers().into(), |uri| uri.as_str().into());
            let mut route = String::from(rest);
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
            //# The UAC MUST add a Route header field containing the remainder of the
            //# route set values in order, including all parameters.
            //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
            //# The UAC MUST then place the remote target URI into the Route header
            //# field as the last value.
            if !rest.is_empty() {
                route.push_str(", ");
            }
            let _ = write!(route, "<{target}>");
            (Cow::Owned(request_uri), Some(Cow::Owned(route)))
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
        //# If the route set is not empty, and the first URI in the route set
        //# contains the lr parameter (see Section 19.1.1), the UAC MUST place the
        //# remote target URI into the Request-URI and MUST include a Route header
        //# field containing the route set values in order, including all
        //# parameters.
        _ => (Cow::Borrowed(target), Some(Cow::Borrowed(route_set))),
    }
}

/// Whether the first of a route set is a loose router, or there is none. What cannot be read is left to whoever sends.
pub(crate) fn starts_loose(route_set: &str) -> bool {
    let uri = first_uri(route_set);
    // Nearly all say so at their end, and need not be read.
    if uri.is_empty() || uri.ends_with(";lr") {
        return true;
    }
    let parsed = Uri::parse(uri.as_bytes());
    parsed.ok().as_ref().and_then(Uri::as_sip).is_none_or(|uri| uri.lr())
}

/// The URI of the first value of a route set.
fn first_uri(route_set: &str) -> &str {
    route_set.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(route_set, |(uri, _)| uri)
}

/// The first value of a route set, and what follows its comma.
fn first_route(route_set: &str) -> (&str, &str) {
    // Each value begins with `<`; a comma behind its `>` ends it. Parameters behind it hold no bare comma unless quoted.
    let close = route_set.find('>').unwrap_or(0);
    let mut quoted = false;
    let tail = route_set.get(close..).unwrap_or_default();
    let comma = tail.bytes().position(|b| {
        quoted ^= b == b'"';
        b == b',' && !quoted
    });
    match comma {
        Some(at) => {
            let (first, rest) = route_set.split_at(close + at);
            (first, rest.trim_start_matches([',', ' ']))
        }
        None => (route_set, ""),
    }
}

/// The last `len` bytes of a value.
fn tail(value: &[u8], len: u16) -> &[u8] {
    value.len().checked_sub(usize::from(len)).and_then(|at| value.get(at..)).unwrap_or_default()
}

/// What was written from text, as text.
fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

impl Wire for Dialog {
    fn write(&self, out: &mut crate::codec::Writer) {
        for header in [Header::CallId, Header::From, Header::To] {
            Box::<str>::from(text(self.value(header))).write(out);
        }
        for (header, tag) in [(Header::From, self.local_tag), (Header::To, self.remote_tag)] {
            let end = if tag == 0 { 0 } else { self.value(header).len() as u16 };
            (end - tag, end).write(out);
        }
        Box::<str>::from(self.target.as_str()).write(out);
        self.route_set.write(out);
        (self.local_cseq, self.remote_cseq).write(out);
        self.early.write(out);
        self.secure.write(out);
        self.initiator.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let (call_id, local, remote) = <(Box<str>, Box<str>, Box<str>)>::read(input)?;
        let mut head = Lines::new();
        for (header, value) in [(Header::From, &local), (Header::To, &remote), (Header::CallId, &call_id)] {
            head.push(header, value).ok()?;
        }
        let mut tag = |value: &str| {
            let (from, end) = <(u16, u16)>::read(input)?;
            (end == 0 || usize::from(end) == value.len()).then(|| end.checked_sub(from)).flatten()
        };
        let (local_tag, remote_tag) = (tag(&local)?, tag(&remote)?);
        let target = target(Box::<str>::read(input)?.as_bytes()).ok()?;
        let route_set = Wire::read(input)?;
        let (local_cseq, remote_cseq) = Wire::read(input)?;
        let (early, secure, initiator) = Wire::read(input)?;
        Some(Dialog {
            head,
            local_tag,
            remote_tag,
            target,
            route_set,
            local_cseq,
            remote_cseq,
            early,
            secure,
            initiator,
        })
    }
}

#[cfg(test)]
mod tests;
