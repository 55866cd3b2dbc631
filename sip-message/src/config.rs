//! Parser configuration: the limits that bound every message, and the leniencies, each one a named switch.

/// Limits and leniencies for [`Message::parse_with`](crate::Message::parse_with) and
/// [`StreamDecoder`](crate::StreamDecoder).
///
/// All limits are checked before anything is allocated for what they bound. The defaults are finite and fit what SIP
/// elements exchange in practice; the leniencies default to what RFC 4475 asks of a robust receiver.
///
/// ```
/// use sip_message::ParserConfig;
///
/// let config = ParserConfig { max_headers: 64, ..ParserConfig::default() };
/// assert!(!config.bare_lf);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParserConfig {
    /// Largest message, head and body together, in bytes. Default 65,536.
    pub max_message_len: usize,
    /// Most header field lines in one message. Default 256.
    pub max_headers: usize,
    /// Longest start line or header field, its folds and line end included, in bytes. Default 16,384; values above
    /// [`ParserConfig::HEADER_LEN_CEILING`] act as that ceiling.
    pub max_header_len: usize,
    /// Most continuation lines (RFC 3261 section 7.3.1) of one header field. Default 64.
    pub max_folds: usize,
    /// Leniency: a line may end in LF alone. Default off: RFC 3261 section 7 wants CRLF, and an element downstream
    /// may see other lines than we do. Lines that are not touched leave with the line end they came with.
    pub bare_lf: bool,
    /// Leniency: a response may lack the space before an empty Reason-Phrase (`SIP/2.0 200`). Default off.
    pub missing_reason_space: bool,
    /// Leniency: a datagram may end behind its last header field, without the empty line. Default off: what is missing
    /// may be more than that line. RFC 5118 section 4.10 prints such messages. They leave with that line.
    pub missing_empty_line: bool,
    /// Leniency: on a stream, a message without Content-Length has no body, instead of being an error.
    /// Default off: RFC 3261 section 20.14 makes the field mandatory there.
    pub stream_without_content_length: bool,
}

impl ParserConfig {
    /// The most that [`max_header_len`](ParserConfig::max_header_len) can allow: the index holds line lengths in 16 bits.
    pub const HEADER_LEN_CEILING: usize = u16::MAX as usize;

    /// The default configuration as a constant.
    pub const DEFAULT: ParserConfig = ParserConfig {
        max_message_len: 65_536,
        max_headers: 256,
        max_header_len: 16_384,
        max_folds: 64,
        bare_lf: false,
        missing_reason_space: false,
        missing_empty_line: false,
        stream_without_content_length: false,
    };

    /// Reads whatever any other configuration reads: for messages that have been read before, and come back from where they were kept.
    pub const WIDEST: ParserConfig = ParserConfig {
        max_message_len: usize::MAX,
        max_headers: usize::MAX,
        max_header_len: usize::MAX,
        max_folds: usize::MAX,
        bare_lf: true,
        missing_reason_space: true,
        missing_empty_line: true,
        stream_without_content_length: true,
    };

    /// `max_header_len`, no higher than the index can hold.
    #[inline]
    pub(crate) fn header_len(&self) -> usize {
        self.max_header_len.min(Self::HEADER_LEN_CEILING)
    }

    /// `max_message_len`, no higher than the index can hold.
    #[inline]
    pub(crate) fn message_len(&self) -> usize {
        self.max_message_len.min(u32::MAX as usize)
    }
}

impl Default for ParserConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}
