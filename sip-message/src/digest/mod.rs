//! The arithmetic of Digest authentication: RFC 7616 as RFC 8760 brings it to SIP, with what RFC 2617 peers expect.
//!
//! Turns names, passwords and nonces into hexadecimal digests, on the stack. Knows no header fields, makes no nonces and
//! chooses no challenge; nonces, counts and replay are the caller's.
//!
//! ```
//! use sip_message::digest::{DigestAlgorithm, DigestInput, DigestSecret, Qop};
//!
//! // RFC 7616 section 3.9.1
//! let input = DigestInput {
//!     method: b"GET",
//!     uri: b"/dir/index.html",
//!     nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
//!     qop: Some(Qop::Auth),
//!     nc: b"00000001",
//!     cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
//!     ..DigestInput::default()
//! };
//! let secret = DigestSecret::new(DigestAlgorithm::Sha256, b"Mufasa", b"http-auth@example.org", b"Circle of Life");
//! let response = secret.response(&input);
//! assert_eq!(response.as_str(), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
//! assert!(secret.verify(&input, b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"));
//! ```

use crate::scan;
use core::fmt;
use core::hint::black_box;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

/// A Digest algorithm (RFC 8760 section 2.7). The order has no meaning; which one to prefer is policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigestAlgorithm {
    /// `MD5`: the default where a challenge names none. For old peers only.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.2
    //# To maintain backwards
    //# compatibility with [RFC2617], the MD5 algorithm is still supported
    //# but NOT RECOMMENDED.
    //= https://www.rfc-editor.org/rfc/rfc8760#section-3
    //# The obsolete MD5 algorithm
    //# remains only for backward compatibility with [RFC2617], but its use
    //# is NOT RECOMMENDED.
    #[default]
    Md5,
    /// `MD5-sess`
    Md5Sess,
    /// `SHA-256`
    Sha256,
    /// `SHA-256-sess`
    Sha256Sess,
    /// `SHA-512-256`: SHA-512/256 of FIPS 180-4, which is not the first half of SHA-512.
    Sha512Trunc256,
    /// `SHA-512-256-sess`
    Sha512Trunc256Sess,
}

impl DigestAlgorithm {
    /// All of them.
    pub const ALL: [DigestAlgorithm; 6] = [
        DigestAlgorithm::Md5,
        DigestAlgorithm::Md5Sess,
        DigestAlgorithm::Sha256,
        DigestAlgorithm::Sha256Sess,
        DigestAlgorithm::Sha512Trunc256,
        DigestAlgorithm::Sha512Trunc256Sess,
    ];

    /// The algorithm of a token, in any case; `None` if it is another one.
    pub fn parse(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(token))
    }

    /// The token as it is registered.
    pub const fn as_str(self) -> &'static str {
        match self {
            DigestAlgorithm::Md5 => "MD5",
            DigestAlgorithm::Md5Sess => "MD5-sess",
            DigestAlgorithm::Sha256 => "SHA-256",
            DigestAlgorithm::Sha256Sess => "SHA-256-sess",
            DigestAlgorithm::Sha512Trunc256 => "SHA-512-256",
            DigestAlgorithm::Sha512Trunc256Sess => "SHA-512-256-sess",
        }
    }

    /// Whether the secret is bound to the nonces of a session: the `-sess` forms.
    pub const fn is_session(self) -> bool {
        matches!(self, DigestAlgorithm::Md5Sess | DigestAlgorithm::Sha256Sess | DigestAlgorithm::Sha512Trunc256Sess)
    }

    /// Length of a digest in hexadecimal digits: 32 or 64.
    pub const fn hex_len(self) -> usize {
        match self {
            DigestAlgorithm::Md5 | DigestAlgorithm::Md5Sess => 32,
            _ => 64,
        }
    }

    /// H(A2) of a request, but for `auth-int`: H(method:uri).
    pub fn request(self, method: &[u8], uri: &[u8]) -> HexDigest {
        self.hash(&[method, uri])
    }

    /// H of the parts with colons between them.
    fn hash(self, parts: &[&[u8]]) -> HexDigest {
        match self {
            DigestAlgorithm::Md5 | DigestAlgorithm::Md5Sess => hash::<Md5>(parts),
            DigestAlgorithm::Sha256 | DigestAlgorithm::Sha256Sess => hash::<Sha256>(parts),
            DigestAlgorithm::Sha512Trunc256 | DigestAlgorithm::Sha512Trunc256Sess => hash::<Sha512_256>(parts),
        }
    }
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn hash<D: Digest>(parts: &[&[u8]]) -> HexDigest {
    // Most texts are short: laid out in one piece, their blocks need not be gathered part by part.
    let mut text = [0; 256];
    let mut free = text.as_mut_slice();
    for (i, part) in parts.iter().enumerate() {
        let colon = usize::from(i > 0);
        let Some((own, behind)) = core::mem::take(&mut free).split_at_mut_checked(colon + part.len()) else {
            return hash_long::<D>(parts);
        };
        let (sep, own) = own.split_at_mut(colon);
        sep.fill(b':');
        own.copy_from_slice(part);
        free = behind;
    }
    let len = 256 - free.len();
    HexDigest::new(&D::digest(text.get(..len).unwrap_or_default()))
}

fn hash_long<D: Digest>(parts: &[&[u8]]) -> HexDigest {
    let mut state = D::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            state.update(b":");
        }
        state.update(part);
    }
    HexDigest::new(&state.finalize())
}

/// A digest in hexadecimal, lower case, as the header fields have it.
#[derive(Clone, Copy)]
pub struct HexDigest {
    digits: [u8; 64],
    len: u8,
}

impl HexDigest {
    /// The digits of at most 32 octets.
    //= https://www.rfc-editor.org/rfc/rfc8760#section-2.2
    //# Each set of four bits is represented by its familiar
    //# hexadecimal notation from the characters 0123456789abcdef
    fn new(octets: &[u8]) -> Self {
        let mut digits = [0; 64];
        for (pair, octet) in digits.chunks_exact_mut(2).zip(octets) {
            let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
            pair.copy_from_slice(&[digit(octet >> 4), digit(octet & 15)]);
        }
        HexDigest { digits, len: (octets.len().min(32) * 2) as u8 }
    }

    /// The digits: 32 or 64.
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The digits: 32 or 64.
    pub fn as_str(&self) -> &str {
        scan::text(self.as_bytes())
    }

    /// Whether `given` is this digest. Takes the same time wherever they differ; only the length shows.
    pub fn matches(&self, given: &[u8]) -> bool {
        let own = self.as_bytes();
        if own.len() != given.len() {
            return false;
        }
        // All digests are whole words of digits.
        let word = |part: &[u8]| part.first_chunk().map_or(0, |part| u64::from_ne_bytes(*part));
        let words = own.chunks_exact(8).zip(given.chunks_exact(8));
        let difference = words.fold(0u64, |sum, (a, b)| black_box(sum | (word(a) ^ word(b))));
        black_box(difference) == 0
    }
}

/// In constant time, as [`matches`](HexDigest::matches).
impl PartialEq for HexDigest {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.as_bytes())
    }
}

impl Eq for HexDigest {}

impl fmt::Display for HexDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for HexDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HexDigest({self})")
    }
}

/// What a digest protects (`qop`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Qop {
    /// `auth`: method and URI.
    Auth,
    /// `auth-int`: the body, too.
    AuthInt,
}

impl Qop {
    /// The protection of a token, in any case; `None` if it is another one.
    pub fn parse(token: &str) -> Option<Self> {
        [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| qop.as_str().eq_ignore_ascii_case(token))
    }

    /// The token as the RFCs write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }
}

impl fmt::Display for Qop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A nonce count as the `nc` parameter has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceCount([u8; 8]);

impl NonceCount {
    /// The text of the `count`th use of a nonce; the first is 1.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
    //# For historical reasons, the nc value MUST be exactly 8 hexadecimal
    //# digits.
    pub fn new(count: u32) -> Self {
        let mut digits = [0; 8];
        digits.copy_from_slice(HexDigest::new(&count.to_be_bytes()).digits.first_chunk::<8>().unwrap_or(&[b'0'; 8]));
        NonceCount(digits)
    }

    /// The count that a received `nc` says, in any case; `None` if it is not eight hexadecimal digits.
    pub fn parse(nc: &[u8]) -> Option<u32> {
        scan::eight_hex(nc)
    }

    /// The eight digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The eight digits.
    pub fn as_str(&self) -> &str {
        scan::text(&self.0)
    }
}

impl fmt::Display for NonceCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What goes into a response besides the secret. All text is without the quotes and escapes of its header field, `unq()` of RFC 7616
/// section 3.3, and otherwise just as it was sent: a `nc` in upper case is hashed in upper case.
#[derive(Clone, Copy, Debug, Default)]
pub struct DigestInput<'a> {
    /// The method of the request.
    pub method: &'a [u8],
    /// The `uri` parameter: the Request-URI as the client sent it.
    pub uri: &'a [u8],
    /// The `nonce` parameter.
    pub nonce: &'a [u8],
    /// The `qop` parameter; `None` for RFC 2069 peers, which know neither `nc` nor `cnonce`.
    pub qop: Option<Qop>,
    /// The `nc` parameter, with a `qop`.
    pub nc: &'a [u8],
    /// The `cnonce` parameter, with a `qop` or a `-sess` algorithm.
    pub cnonce: &'a [u8],
    /// The body of the request, or for [`rspauth`](DigestSecret::rspauth) of the response. Only `auth-int` reads it.
    pub body: &'a [u8],
}

/// H(user:realm:password): what a server stores instead of a password, as good as one to whoever has it.
///
/// `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct DigestSecret {
    algorithm: DigestAlgorithm,
    digest: HexDigest,
    /// Whether `digest` is already bound to the nonces of a session.
    in_session: bool,
}

impl DigestSecret {
    /// The secret of a user. Text is without quotes and escapes, in UTF-8 if the challenge said `charset=UTF-8`. A user name with a
    /// colon runs into the realm: refuse it when users are made.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-4
    //# For the username, recipients MUST support all characters defined in
    //# the "UsernameCasePreserved" profile defined in Section 3.3 of
    //# [RFC7613], with the exception of the colon (":") character.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-4
    //# For the password, recipients MUST support all characters defined in
    //# the "OpaqueString" profile defined in Section 4.2 of [RFC7613].
    pub fn new(algorithm: DigestAlgorithm, username: &[u8], realm: &[u8], password: &[u8]) -> Self {
        DigestSecret { algorithm, digest: algorithm.hash(&[username, realm, password]), in_session: false }
    }

    /// A stored secret: 32 or 64 hexadecimal digits of H(user:realm:password), also for the `-sess` algorithms. Upper
    /// case is read as lower case. `None` if it is not that.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.6
    //# As long as H(A1) is available to the server, the
    //# validity of an Authorization header field can be verified.
    pub fn from_hex(algorithm: DigestAlgorithm, hex: &[u8]) -> Option<Self> {
        if hex.len() != algorithm.hex_len() || !hex.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut digits = [0; 64];
        digits.get_mut(..hex.len())?.copy_from_slice(hex);
        digits.make_ascii_lowercase();
        let digest = HexDigest { digits, len: hex.len() as u8 };
        Some(DigestSecret { algorithm, digest, in_session: false })
    }

    /// The algorithm this secret is for.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The digits, to store.
    pub fn reveal(&self) -> &HexDigest {
        &self.digest
    }

    /// The secret of an authentication session, for a `-sess` algorithm: bound to the nonce of the challenge and the
    /// first cnonce, and to be kept while the nonce and cnonce of later requests change. For other algorithms it stays
    /// as it is.
    ///
    /// Without this call, each response of a `-sess` algorithm is a session of its own with the nonces of its input.
    pub fn in_session(&self, nonce: &[u8], cnonce: &[u8]) -> Self {
        if !self.algorithm.is_session() || self.in_session {
            return *self;
        }
        let digest = self.algorithm.hash(&[self.digest.as_bytes(), nonce, cnonce]);
        DigestSecret { digest, in_session: true, ..*self }
    }

    /// The `response` of a request.
    pub fn response(&self, input: &DigestInput<'_>) -> HexDigest {
        self.respond(input, input.method)
    }

    /// The `rspauth` of the Authentication-Info of a response, by which the server proves that it knows the secret.
    /// `input` is that of the request but for the body.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
    //# The cnonce value and nc value MUST be the ones for the client
    //# request to which this message is the response.
    pub fn rspauth(&self, input: &DigestInput<'_>) -> HexDigest {
        self.respond(input, b"")
    }

    fn respond(&self, input: &DigestInput<'_>, method: &[u8]) -> HexDigest {
        let algorithm = self.algorithm;
        let a2 = match input.qop {
            // Without a body, H(entity-body) is that of nothing (RFC 8760 section 2.6).
            Some(Qop::AuthInt) => algorithm.hash(&[method, input.uri, algorithm.hash(&[input.body]).as_bytes()]),
            _ => algorithm.request(method, input.uri),
        };
        self.respond_to(input, &a2)
    }

    fn respond_to(&self, input: &DigestInput<'_>, a2: &HexDigest) -> HexDigest {
        let algorithm = self.algorithm;
        let secret = self.in_session(input.nonce, input.cnonce).digest;
        match input.qop {
            Some(qop) => algorithm.hash(&[
                secret.as_bytes(),
                input.nonce,
                input.nc,
                input.cnonce,
                qop.as_str().as_bytes(),
                a2.as_bytes(),
            ]),
            None => algorithm.hash(&[secret.as_bytes(), input.nonce, a2.as_bytes()]),
        }
    }

    /// Whether `response` is right, in constant time.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.6
    //# Then, the server MUST perform the same digest
    //# operation (e.g., MD5, SHA-256) performed by the client and compare
    //# the result to the given response value.
    pub fn verify(&self, input: &DigestInput<'_>, response: &[u8]) -> bool {
        self.response(input).matches(response)
    }

    /// As [`verify`](Self::verify), with [`DigestAlgorithm::request`] of method and URI, for a server that has it already: both are then not
    /// read from `input`, nor is the body, so that it is not for `auth-int`.
    pub fn verify_request(&self, input: &DigestInput<'_>, request: &HexDigest, response: &[u8]) -> bool {
        self.respond_to(input, request).matches(response)
    }
}

impl fmt::Debug for DigestSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestSecret").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The user name as a hash, sent in its place with `userhash=true`.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.4.4
//# If the client supports the userhash parameter, and the userhash
//# parameter value in the WWW-Authentication header field is set to
//# "true", then the client MUST calculate a hash of the username after
//# any other hash calculation and include the userhash parameter with
//# the value of "true" in the Authorization header field.
pub fn userhash(algorithm: DigestAlgorithm, username: &[u8], realm: &[u8]) -> HexDigest {
    algorithm.hash(&[username, realm])
}
