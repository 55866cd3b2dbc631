//! The typed reads every element makes: the six mandatory headers, Contact and the Request-URI.
//!
//! The rest of the headers are in `headers`. None of these reads rescans the message, and none allocates.

use crate::cseq::CSeq;
use crate::error::{HeaderError, ValueError, ValueFault};
use crate::header::Header;
use crate::index::Entry;
use crate::message::Message;
use crate::name_addr::{self, Contact, NameAddr};
use crate::scan;
use crate::uri::{Uri, UriError};
use crate::value::{self, FieldValue, Values};
use crate::via::Via;

/// `Call-ID = word [ "@" word ]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId<'a>(pub(crate) &'a str);

impl CallId<'_> {
    /// Whether `v` can be read as a Call-ID, without doing it.
    #[inline]
    pub(crate) fn check_form(v: &[u8]) -> Result<(), ValueError> {
        if scan::is_plain(v) {
            return Ok(());
        }
        let mut end = scan::skip(v, 0, scan::WORD);
        let mut bad = end == 0;
        if !bad && v.get(end) == Some(&b'@') {
            let host = end + 1;
            end = scan::skip(v, host, scan::WORD);
            bad = end == host;
        }
        match () {
            () if v.is_empty() => Err(ValueError::new(ValueFault::Empty, 0)),
            () if bad || end < v.len() => Err(ValueError::new(ValueFault::Character, end)),
            () => Ok(()),
        }
    }
}

impl<'a> FieldValue<'a> for CallId<'a> {
    #[inline]
    fn parse_value(v: &'a [u8]) -> Result<Self, ValueError> {
        CallId::check_form(v)?;
        Ok(CallId(scan::text(v)))
    }
}

/// `1*DIGIT`, at most 2^32 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) u32);

impl FieldValue<'_> for Number {
    #[inline]
    fn parse_value(v: &[u8]) -> Result<Self, ValueError> {
        match crate::cseq::number(v, 0)? {
            (n, end) if end == v.len() => Ok(Number(n)),
            (_, end) => Err(ValueError::new(ValueFault::Character, end)),
        }
    }
}

/// What tells the dialog of a message (RFC 3261 section 12): [`Message::dialog_ids`]. As bytes, for that is how they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialogIds<'a> {
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The tag of From; `None` without one, as RFC 2543 allowed.
    pub from_tag: Option<&'a [u8]>,
    /// The tag of To; `None` without one: the message begins a dialog, or belongs to none.
    pub to_tag: Option<&'a [u8]>,
}

impl Message {
    /// The Call-ID and both tags.
    ///
    /// ```
    /// # use sip_message::{Message, Method};
    /// let bye = Message::request(Method::Bye, "sip:bob@192.0.2.4")
    ///     .header("From", "<sip:alice@atlanta.com>;tag=88sja8x")
    ///     .header("To", "<sip:bob@biloxi.com>;tag=99sa0xk")
    ///     .header("Call-ID", "a84b4c76e66710")
    ///     .cseq(231)
    ///     .build()?;
    /// let ids = bye.dialog_ids()?;
    /// assert_eq!((ids.call_id, ids.to_tag), (&b"a84b4c76e66710"[..], Some(&b"99sa0xk"[..])));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// From, To or Call-ID is missing; From or To is malformed, or its tag is.
    pub fn dialog_ids(&self) -> Result<DialogIds<'_>, HeaderError> {
        Ok(DialogIds {
            call_id: self.field(Header::CallId).ok_or(HeaderError::missing(Header::CallId))?,
            from_tag: self.tag_of(Header::From)?,
            to_tag: self.tag_of(Header::To)?,
        })
    }

    #[inline]
    fn tag_of(&self, header: Header) -> Result<Option<&[u8]>, HeaderError> {
        let entry = self.index.first_entry(header).ok_or(HeaderError::missing(header))?;
        let value = self.value_of(entry);
        if let Some(tag) = name_addr::only_tag(value) {
            return Ok(tag);
        }
        let tag = NameAddr::parse_value(value).and_then(|address| address.params().token_bytes("tag"));
        tag.map_err(|error| value::at(header, entry.fault_offset(), error))
    }

    /// The Request-URI; `None` for a response.
    ///
    /// # Errors
    ///
    /// The URI is malformed for its scheme, or has brackets or white space around it.
    #[inline]
    pub fn request_uri(&self) -> Option<Result<Uri<'_>, UriError>> {
        self.request_uri_bytes().map(Uri::parse)
    }

    /// All Via values, topmost first. Those below it may be of other protocols than SIP ([`Via::is_sip`]).
    pub fn vias(&self) -> Values<'_, Via<'_>> {
        self.values(Header::Via)
    }

    /// The topmost Via value: the first of the first Via field.
    ///
    /// # Errors
    ///
    /// There is none, it is malformed, or it is of another protocol than SIP/2.0.
    #[inline]
    pub fn top_via(&self) -> Result<Via<'_>, HeaderError> {
        let via: Via<'_> = self.first_value(Header::Via)?;
        if via.is_sip() { Ok(via) } else { Err(self.not_sip()) }
    }

    /// What is wrong with a topmost Via of another protocol.
    #[cold]
    pub(crate) fn not_sip(&self) -> HeaderError {
        let offset = self.index.first_entry(Header::Via).map_or(0, Entry::fault_offset);
        HeaderError { header: Header::Via, fault: Some(ValueFault::Protocol), offset }
    }

    /// From: who sent the request.
    ///
    /// # Errors
    ///
    /// The field is missing or malformed.
    #[inline]
    pub fn from(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.required(Header::From)
    }

    /// To: whom the request was meant for.
    ///
    /// # Errors
    ///
    /// The field is missing or malformed.
    #[inline]
    pub fn to(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.required(Header::To)
    }

    /// The Call-ID.
    ///
    /// # Errors
    ///
    /// The field is missing or malformed; it is compared byte by byte, so what is no `callid` has no meaning.
    #[inline]
    pub fn call_id(&self) -> Result<&str, HeaderError> {
        self.required::<CallId<'_>>(Header::CallId).map(|id| id.0)
    }

    /// CSeq: sequence number and method.
    ///
    /// # Errors
    ///
    /// The field is missing or malformed, or the number exceeds 32 bits.
    #[inline]
    pub fn cseq(&self) -> Result<CSeq<'_>, HeaderError> {
        self.required(Header::CSeq)
    }

    /// Max-Forwards; `None` if the field is missing, as in RFC 2543 messages.
    ///
    /// # Errors
    ///
    /// It is not a number of at most 32 bits.
    #[inline]
    pub fn max_forwards(&self) -> Result<Option<u32>, HeaderError> {
        self.value::<Number>(Header::MaxForwards).map(|n| n.map(|n| n.0))
    }

    /// All Contact values in order.
    pub fn contacts(&self) -> Values<'_, Contact<'_>> {
        self.values(Header::Contact)
    }

    /// All Route values in order.
    pub fn routes(&self) -> Values<'_, NameAddr<'_>> {
        self.values(Header::Route)
    }

    /// All Record-Route values in order.
    pub fn record_routes(&self) -> Values<'_, NameAddr<'_>> {
        self.values(Header::RecordRoute)
    }
}
