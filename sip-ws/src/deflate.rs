//! permessage-deflate (RFC 7692 section 7): its negotiation, and the two transformations.
//!
//! A window smaller than 32 KiB is kept by starting anew: the compressor cuts its input into blocks of the window's
//! size and forgets everything between them, so that no reference can reach farther back.

use crate::{
    close::Violation,
    config::Deflate,
    http::{AnswerError, Extension},
};
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use bytes::BytesMut;
use miniz_oxide::{
    deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output, create_comp_flags_from_zip_params},
    inflate::{
        TINFLStatus,
        core::{DecompressorOxide, decompress, inflate_flags::TINFL_FLAG_HAS_MORE_INPUT},
    },
};

//= https://www.rfc-editor.org/rfc/rfc6455#section-9.1
//# Any extension-token used MUST be a registered token (see Section 11.4).
//= https://www.rfc-editor.org/rfc/rfc6455#section-9.1
//# The parameters supplied with any given extension MUST be defined for
//# that extension.
const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// The window of DEFLATE.
const WINDOW: usize = 1 << 15;

/// What a peer may put into four bytes less (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The parameters of one element, as they stand.
#[derive(Debug, Default)]
struct Parameters {
    server_no_context: bool,
    client_no_context: bool,
    server_bits: Option<u8>,
    /// Without a value in the inner option.
    client_bits: Option<Option<u8>>,
}

impl Parameters {
    /// `None` if a parameter is unknown, comes twice, or has an invalid value.
    //= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.1
    //# This parameter has a decimal
    //# integer value without leading zeroes between 8 to 15, inclusive,
    //# indicating the base-2 logarithm of the LZ77 sliding window size, and
    //# MUST conform to the ABNF below.
    //= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.2
    //# If a value is specified for this parameter, the value MUST
    //# conform to the ABNF below.
    fn parse(extension: &Extension) -> Option<Self> {
        let mut parsed = Self::default();
        for (i, (name, value)) in extension.parameters.iter().enumerate() {
            if extension.parameters.iter().take(i).any(|(earlier, _)| earlier == name) {
                return None;
            }
            match (name.as_str(), value) {
                (SERVER_NO_CONTEXT, None) => parsed.server_no_context = true,
                (CLIENT_NO_CONTEXT, None) => parsed.client_no_context = true,
                (SERVER_BITS, Some(value)) => parsed.server_bits = Some(bits(value)?),
                (CLIENT_BITS, None) => parsed.client_bits = Some(None),
                (CLIENT_BITS, Some(value)) => parsed.client_bits = Some(Some(bits(value)?)),
                _ => return None,
            }
        }
        Some(parsed)
    }
}

fn bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        _ => value
            .strip_prefix('1')
            .filter(|digit| digit.len() == 1)?
            .parse()
            .ok()
            .filter(|d| *d < 6)
            .map(|d: u8| 10 + d),
    }
}

/// What both ends have agreed on, seen from one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    level: u8,
    min_size: usize,
    /// Our compressor keeps its window from message to message.
    send_context: bool,
    send_bits: u8,
    /// The peer's does.
    receive_context: bool,
    /// The parameters of the response that a server sends.
    response: String,
}

/// The element that a client offers.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//# To offer use of a PMCE, a client MUST include the extension name of
//# the PMCE in the "Sec-WebSocket-Extensions" header field of its
//# opening handshake of the WebSocket connection.
//= https://www.rfc-editor.org/rfc/rfc6455#section-9.1
//# Note that the client is only offering to use any advertised
//# extensions and MUST NOT use them unless the server indicates that it
//# wishes to use the extension.
pub(crate) fn offer(own: &Deflate) -> String {
    let mut offer = String::from(NAME);
    if !own.receive_context {
        push(&mut offer, SERVER_NO_CONTEXT, None);
    }
    if !own.send_context {
        push(&mut offer, CLIENT_NO_CONTEXT, None);
    }
    //= https://www.rfc-editor.org/rfc/rfc7692#section-5
    //# In a PMCE negotiation offer, the client MUST inform the server of its
    //# LZ77 window size so that the server uses an LZ77 window size that is not
    //# greater than the LZ77 window size of the client.
    let receive_bits = own.receive_window_bits.clamp(8, 15);
    if receive_bits < 15 {
        push(&mut offer, SERVER_BITS, Some(receive_bits));
    }
    let send_bits = own.send_window_bits.clamp(8, 15);
    push(&mut offer, CLIENT_BITS, (send_bits < 15).then_some(send_bits));
    offer
}

fn push(text: &mut String, name: &str, value: Option<u8>) {
    text.push_str("; ");
    text.push_str(name);
    if let Some(value) = value {
        text.push_str(&format!("={value}"));
    }
}

impl Agreement {
    /// Server: takes the first of the client's offers that can be taken.
    //= https://www.rfc-editor.org/rfc/rfc7692#section-7
    //# A server MUST decline an extension negotiation offer for this
    //# extension if any of the following conditions are met:
    //# o  The negotiation offer contains an extension parameter not defined
    //# for use in an offer.
    //# o  The negotiation offer contains an extension parameter with an
    //# invalid value.
    //# o  The negotiation offer contains multiple extension parameters with
    //# the same name.
    //# o  The server doesn't support the offered configuration.
    //= https://www.rfc-editor.org/rfc/rfc7692#section-5
    //# A server declining all offered PMCEs MUST NOT include any element
    //# with PMCE names.
    pub(crate) fn of_offers(offers: &[Extension], own: &Deflate) -> Option<Self> {
        //= https://www.rfc-editor.org/rfc/rfc7692#section-5
        //# The element MUST represent a PMCE that is fully supported by the server.
        //= https://www.rfc-editor.org/rfc/rfc7692#section-5
        //# A server MUST NOT accept a PMCE extension negotiation offer together
        //# with another extension if the PMCE will conflict with the extension on
        //# their use of the RSV1 bit.
        //= https://www.rfc-editor.org/rfc/rfc7692#section-5
        //# A server MUST NOT accept a PMCE extension negotiation offer together
        //# with another extension if the PMCE will be applied to the output of the
        //# extension and any of the following conditions applies to the extension:
        offers
            .iter()
            .filter(|offer| offer.name == NAME)
            .find_map(Parameters::parse)
            .map(|offer| Self::of_offer(&offer, own))
    }

    fn of_offer(offer: &Parameters, own: &Deflate) -> Self {
        //= https://www.rfc-editor.org/rfc/rfc7692#section-5
        //# To accept the use of an offered PMCE, a server MUST include the
        //# extension name of the PMCE in the "Sec-WebSocket-Extensions" header
        //# field of its opening handshake of the WebSocket connection.
        let mut response = String::from(NAME);
        //= https://www.rfc-editor.org/rfc/rfc6455#section-9
        //# If extension parameters are included in negotiations between the client
        //# and the server, those parameters MUST be chosen in accordance with the
        //# specification of the extension to which the parameters apply.
        let send_context = own.send_context && !offer.server_no_context;
        if !send_context {
            push(&mut response, SERVER_NO_CONTEXT, None);
        }
        // The client's own wish is a hint; taking it up lets us free the inflater between messages.
        let receive_context = own.receive_context && !offer.client_no_context;
        if !receive_context {
            push(&mut response, CLIENT_NO_CONTEXT, None);
        }
        let own_send = own.send_window_bits.clamp(8, 15);
        let send_bits = own_send.min(offer.server_bits.unwrap_or(15));
        if offer.server_bits.is_some() || send_bits < 15 {
            push(&mut response, SERVER_BITS, Some(send_bits));
        }
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.2
        //# If a received extension negotiation offer doesn't have the
        //# "client_max_window_bits" extension parameter, the corresponding
        //# extension negotiation response to the offer MUST NOT include the
        //# "client_max_window_bits" extension parameter.
        if let Some(hint) = offer.client_bits {
            let receive_bits = own.receive_window_bits.clamp(8, 15).min(hint.unwrap_or(15));
            if receive_bits < 15 {
                push(&mut response, CLIENT_BITS, Some(receive_bits));
            }
        }
        let (level, min_size) = (own.level, own.min_size);
        Self { level, min_size, send_context, send_bits, receive_context, response }
    }

    /// Client: checks the server's response to [`offer`].
    //= https://www.rfc-editor.org/rfc/rfc7692#section-7
    //# A client MUST _Fail the WebSocket Connection_ if the peer server
    //# accepted an extension negotiation offer for this extension with an
    //# extension negotiation response meeting any of the following
    //# conditions:
    //# o  The negotiation response contains an extension parameter not
    //# defined for use in a response.
    //# o  The negotiation response contains an extension parameter with an
    //# invalid value.
    //# o  The negotiation response contains multiple extension parameters
    //# with the same name.
    //# o  The client does not support the configuration that the response
    //# represents.
    //= https://www.rfc-editor.org/rfc/rfc7692#section-5
    //# If a server gives an invalid response, such as accepting a PMCE that
    //# the client did not offer, the client MUST _Fail the WebSocket
    //# Connection_.
    pub(crate) fn of_response(agreed: &[Extension], own: &Deflate) -> Result<Option<Self>, AnswerError> {
        //= https://www.rfc-editor.org/rfc/rfc7692#section-5
        //# A client that received a response accepting a PMCE extension negotiation
        //# offer together with such an extension MUST _Fail the WebSocket
        //# Connection_.
        //= https://www.rfc-editor.org/rfc/rfc7692#section-5
        //# A client that receives a response accepting a PMCE extension negotiation
        //# offer together with such an extension MUST _Fail the WebSocket
        //# Connection_.
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.1
        //# The "server_max_window_bits" extension parameter in an extension
        //# negotiation response has a decimal integer value without leading zeroes
        //# between 8 to 15, inclusive, indicating the base-2 logarithm of the LZ77
        //# sliding window size, and MUST conform to the ABNF below.
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.2
        //# The "client_max_window_bits" extension parameter in an extension
        //# negotiation response has a decimal integer value without leading zeroes
        //# between 8 to 15 inclusive indicating the base-2 logarithm of the LZ77
        //# sliding window size and MUST conform to the ABNF below.
        let response = match agreed {
            [] => return Ok(None),
            [only] if only.name == NAME => Parameters::parse(only).ok_or(AnswerError::Extensions)?,
            _ => return Err(AnswerError::Extensions),
        };
        let receive_bits = own.receive_window_bits.clamp(8, 15);
        let window_is_kept = receive_bits == 15 || response.server_bits.is_some_and(|bits| bits <= receive_bits);
        let context_is_kept = own.receive_context || response.server_no_context;
        let client_bits = match response.client_bits {
            None => 15,
            Some(Some(bits)) => bits,
            // In a response the parameter has a value.
            Some(None) => return Err(AnswerError::Extensions),
        };
        if !window_is_kept || !context_is_kept {
            return Err(AnswerError::Extensions);
        }
        Ok(Some(Self {
            level: own.level,
            min_size: own.min_size,
            //= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.1.2
            //# A client MUST support the "client_no_context_takeover" extension
            //# parameter in an extension negotiation response.
            send_context: own.send_context && !response.client_no_context,
            //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
            //# Note that even if the client has included in its offer the
            //# "client_max_window_bits" extension parameter with a value smaller than
            //# one in the "agreed parameters", the client MUST use an LZ77 sliding
            //# window of a size that conforms the "agreed parameters" to compress
            //# messages to send.
            send_bits: own.send_window_bits.clamp(8, 15).min(client_bits),
            receive_context: !response.server_no_context,
            response: String::new(),
        }))
    }

    /// The value of a server's `Sec-WebSocket-Extensions`.
    pub(crate) fn response(&self) -> &str {
        &self.response
    }

    pub(crate) fn codec(self) -> Codec {
        Codec { agreement: self, compressor: None, inflater: None }
    }
}

/// Both transformations of one connection. Neither takes memory before its first message.
pub(crate) struct Codec {
    agreement: Agreement,
    compressor: Option<Box<CompressorOxide>>,
    inflater: Option<Box<Inflater>>,
}

struct Inflater {
    state: DecompressorOxide,
    window: Vec<u8>,
    /// Where the next byte of the window goes.
    at: usize,
}

impl core::fmt::Debug for Codec {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Codec").field("agreement", &self.agreement).finish_non_exhaustive()
    }
}

impl Codec {
    pub(crate) fn heap(&self) -> usize {
        size_of::<Self>()
            + self.compressor.as_ref().map_or(0, |_| 330_000)
            + self.inflater.as_ref().map_or(0, |_| size_of::<Inflater>() + WINDOW)
    }

    /// The compressed form of a message, if it is worth it.
    //= https://www.rfc-editor.org/rfc/rfc7692#section-6.1
    //# An endpoint MUST use the following algorithm to send a message in the
    //# form of a compressed message.
    pub(crate) fn compress(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        if message.len() < self.agreement.min_size.max(1) {
            return None;
        }
        let level = i32::from(self.agreement.level.clamp(1, 10));
        let compressor = self.compressor.get_or_insert_with(|| {
            // Zero window bits: raw DEFLATE without a zlib header.
            Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(level, 0, 0)))
        });
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
        //# An endpoint MUST NOT use an LZ77 sliding window longer than 32,768
        //# bytes to compress messages to send.
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
        //# If the "agreed parameters" contain the "client_max_window_bits"
        //# extension parameter with a value of w, the client MUST NOT use an
        //# LZ77 sliding window longer than the w-th power of 2 bytes to compress
        //# messages to send.
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
        //# If the "agreed parameters" contain the "server_max_window_bits"
        //# extension parameter with a value of w, the server MUST NOT use an
        //# LZ77 sliding window longer than the w-th power of 2 bytes to compress
        //# messages to send.
        let has_small_window = self.agreement.send_bits < 15;
        let block = if has_small_window { 1 << self.agreement.send_bits } else { usize::MAX };
        let mut out = Vec::with_capacity(message.len() / 2 + 16);
        let mut rest = message;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at_checked(block).unwrap_or((rest, &[]));
            let (status, used) = compress_to_output(compressor, piece, TDEFLFlush::Sync, |bytes| {
                out.extend_from_slice(bytes);
                true
            });
            if status != TDEFLStatus::Okay || used != piece.len() {
                // Cannot happen with a valid state; an uncompressed message is always right.
                self.compressor = None;
                return None;
            }
            if has_small_window {
                compressor.reset();
            }
            rest = after;
        }
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
        //# If the "agreed parameters" contain the "client_no_context_takeover"
        //# extension parameter, the client MUST start compressing each new
        //# message with an empty LZ77 sliding window.
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
        //# If the "agreed parameters" contain the "server_no_context_takeover"
        //# extension parameter, the server MUST start compressing each new
        //# message with an empty LZ77 sliding window.
        let forgets = !self.agreement.send_context || has_small_window;
        if forgets {
            self.compressor = None;
        }
        // A flush ends with an empty stored block, whose last four bytes are left out.
        if !out.ends_with(&TAIL) {
            self.compressor = None;
            return None;
        }
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
        //# Note that for non-final fragments, the removal of 0x00 0x00 0xff 0xff
        //# MUST NOT be done.
        out.truncate(out.len() - TAIL.len());
        // A message that grows is sent as it is, but only if the peer's window does not hold it already.
        if forgets && out.len() >= message.len() {
            return None;
        }
        Some(out)
    }

    /// Inflates a piece of a compressed message to the end of `out`, which stays within `limit`. What comes before an
    /// error is there too.
    //= https://www.rfc-editor.org/rfc/rfc7692#section-6.2
    //# An endpoint MUST use the following algorithm to receive a message in
    //# the form of a compressed message.
    pub(crate) fn inflate(&mut self, mut piece: &[u8], out: &mut BytesMut, limit: usize) -> Result<(), Violation> {
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
        //# Otherwise, the client MUST use a 32,768-byte LZ77 sliding window to
        //# decompress received messages.
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
        //# Otherwise, the server MUST use a 32,768-byte LZ77 sliding window to
        //# decompress received messages.
        let inflater = self.inflater.get_or_insert_with(|| {
            Box::new(Inflater { state: DecompressorOxide::new(), window: vec![0; WINDOW], at: 0 })
        });
        loop {
            let (status, used, made) =
                decompress(&mut inflater.state, piece, &mut inflater.window, inflater.at, TINFL_FLAG_HAS_MORE_INPUT);
            piece = piece.get(used..).unwrap_or_default();
            let end = inflater.at + made;
            let fresh = inflater.window.get(inflater.at..end).unwrap_or_default();
            let room = limit.saturating_sub(out.len());
            if let Some(fits) = fresh.get(..room).filter(|_| fresh.len() > room) {
                out.extend_from_slice(fits);
                return Err(Violation::MessageTooBig);
            }
            out.extend_from_slice(fresh);
            inflater.at = end % WINDOW;
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput => return Ok(()),
                // A block with BFINAL may be followed by others (RFC 7692 section 7.2.3.5); the window stays.
                TINFLStatus::Done => {
                    inflater.state.init();
                    if piece.is_empty() {
                        return Ok(());
                    }
                }
                _ => return Err(Violation::BadDeflate),
            }
        }
    }

    /// Ends a compressed message.
    //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
    //# Otherwise, the client MUST decompress
    //# each new message using the LZ77 sliding window used to process the
    //# last compressed message.
    //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
    //# Otherwise, the server MUST decompress
    //# each new message using the LZ77 sliding window used to process the
    //# last compressed message.
    pub(crate) fn finish_inflate(&mut self, out: &mut BytesMut, limit: usize) -> Result<(), Violation> {
        self.inflate(&TAIL, out, limit)?;
        //= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
        //# Note that even if the client has included the
        //# "client_no_context_takeover" extension parameter in its offer, the
        //# server MUST decompress each new message using the LZ77 sliding window
        //# used to process the last compressed message if the "agreed parameters"
        //# don't contain the "client_no_context_takeover" extension parameter.
        if !self.agreement.receive_context {
            self.inflater = None;
        }
        Ok(())
    }
}
