//! HTTP authentication of the opening handshake (RFC 7118 section 7): Basic (RFC 7617) and Digest (RFC 7616), both ends.
//!
//! A server makes [`Challenge`]s with an [`Authenticator`] and puts them into [`Answer::unauthorized`]. A client that is
//! refused so tries again, on a new transport, with [`ClientRequest::authorize`]. The server then reads
//! [`RequestHead::authorization`] into an [`Authorization`], looks up its user, and lets the `Authenticator` check it.
//!
//! Nothing is stored per client: a nonce is its time of birth with a keyed hash over it, so any server that has the
//! secret can check it. Within its lifetime a nonce may be used again; run it over TLS.
//!
//! Of Digest, quality of protection `auth` is spoken; `auth-int`, `-sess` algorithms and `userhash` are not.
//!
//! [`Answer::unauthorized`]: crate::Answer::unauthorized
//! [`ClientRequest::authorize`]: crate::ClientRequest::authorize
//! [`RequestHead::authorization`]: crate::RequestHead::authorization

use crate::{Instant, http::ResponseHead};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use core::{fmt, time::Duration};
use hmac::{Hmac, Mac as _};
use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};

/// A digest algorithm, the strongest last.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `MD5`, all that browsers and older clients know.
    Md5,
    /// `SHA-256`.
    Sha256,
    /// `SHA-512-256`.
    Sha512Trunc256,
}

impl Algorithm {
    /// The name in header fields.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512Trunc256 => "SHA-512-256",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256, Self::Sha512Trunc256].into_iter().find(|own| own.name().eq_ignore_ascii_case(name))
    }

    /// The hash of the parts joined by colons, in hexadecimal.
    fn hash(self, parts: &[&str]) -> String {
        fn with<D: Digest>(parts: &[&str]) -> String {
            let mut hash = D::new();
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    hash.update(b":");
                }
                hash.update(part.as_bytes());
            }
            hex(&hash.finalize())
        }
        match self {
            Self::Md5 => with::<Md5>(parts),
            Self::Sha256 => with::<Sha256>(parts),
            Self::Sha512Trunc256 => with::<Sha512_256>(parts),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

/// Why authentication failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Client: the response has no challenge that can be answered.
    #[error("no challenge that can be answered")]
    NoChallenge,
    /// Client: the credentials were sent already and refused.
    #[error("the credentials were refused")]
    Refused,
    /// Server: not an `Authorization` value of a scheme that is known.
    #[error("malformed authorization")]
    Malformed,
    /// Server: the nonce is too old; challenge again with [`Authenticator::stale_challenges`].
    #[error("nonce too old")]
    Stale,
    /// Server: wrong password, foreign nonce, or the answer to another request.
    #[error("wrong credentials")]
    Wrong,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Credentials for any realm. A user with a colon cannot be sent by Basic and is refused by servers.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: password.to_owned() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// One challenge of a 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Basic { realm: String },
    Digest { realm: String, nonce: String, opaque: Option<String>, algorithm: Algorithm, has_qop: bool, stale: bool },
}

impl Challenge {
    /// The challenge of a response that is answered with the strongest scheme.
    #[must_use]
    pub fn strongest(response: &ResponseHead) -> Option<Self> {
        let mut best: Option<Self> = None;
        for value in response.fields().all("www-authenticate") {
            for (scheme, parameters) in schemes(value) {
                let Some(challenge) = Self::from_parts(scheme, &parameters) else { continue };
                if best.as_ref().is_none_or(|best| challenge.strength() > best.strength()) {
                    best = Some(challenge);
                }
            }
        }
        best
    }

    fn from_parts(scheme: &str, parameters: &[(&str, String)]) -> Option<Self> {
        let get = |name: &str| parameters.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let realm = get("realm")?.clone();
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self(Kind::Basic { realm }));
        }
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let algorithm = match get("algorithm") {
            None => Algorithm::Md5,
            Some(name) => Algorithm::parse(name)?,
        };
        let qop = get("qop");
        if qop.is_some_and(|qop| !qop.split(',').any(|option| option.trim().eq_ignore_ascii_case("auth"))) {
            return None;
        }
        Some(Self(Kind::Digest {
            realm,
            nonce: get("nonce")?.clone(),
            opaque: get("opaque").cloned(),
            algorithm,
            has_qop: qop.is_some(),
            stale: get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        }))
    }

    fn strength(&self) -> u8 {
        match &self.0 {
            Kind::Basic { .. } => 0,
            Kind::Digest { algorithm, .. } => 1 + *algorithm as u8,
        }
    }

    /// The realm: shown to a user who is asked for a password.
    #[must_use]
    pub fn realm(&self) -> &str {
        match &self.0 {
            Kind::Basic { realm } | Kind::Digest { realm, .. } => realm,
        }
    }

    /// The server says that the credentials were right but the nonce too old.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(&self.0, Kind::Digest { stale: true, .. })
    }

    /// The value of `Authorization` that answers it.
    pub(crate) fn answer(&self, credentials: &Credentials, method: &str, uri: &str, seed: [u8; 32]) -> String {
        let Credentials { user, password } = credentials;
        match &self.0 {
            Kind::Basic { .. } => format!("Basic {}", BASE64.encode(format!("{user}:{password}"))),
            Kind::Digest { realm, nonce, opaque, algorithm, has_qop, .. } => {
                let cnonce = Algorithm::Sha256.hash(&["cnonce", &hex(&seed)]);
                let cnonce = cnonce.get(..32).unwrap_or_default();
                let ha1 = algorithm.hash(&[user, realm, password]);
                let ha2 = algorithm.hash(&[method, uri]);
                let qop = has_qop.then_some(("00000001", cnonce));
                let response = response(*algorithm, &ha1, nonce, qop, &ha2);
                let mut value = format!(
                    "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\", \
                     algorithm={}",
                    escape(user),
                    escape(realm),
                    escape(nonce),
                    algorithm.name(),
                );
                if *has_qop {
                    value.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""));
                }
                if let Some(opaque) = opaque {
                    value.push_str(&format!(", opaque=\"{}\"", escape(opaque)));
                }
                value
            }
        }
    }
}

/// The value of `WWW-Authenticate`.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Basic { realm } => write!(f, "Basic realm=\"{}\", charset=\"UTF-8\"", escape(realm)),
            Kind::Digest { realm, nonce, opaque, algorithm, has_qop, stale } => {
                write!(f, "Digest realm=\"{}\", nonce=\"{}\"", escape(realm), escape(nonce))?;
                write!(f, ", algorithm={}", algorithm.name())?;
                if *has_qop {
                    f.write_str(", qop=\"auth\"")?;
                }
                if let Some(opaque) = opaque {
                    write!(f, ", opaque=\"{}\"", escape(opaque))?;
                }
                if *stale { f.write_str(", stale=true") } else { Ok(()) }
            }
        }
    }
}

/// The digest of RFC 7616 section 3.4.1, with the older form of no quality of protection.
fn response(algorithm: Algorithm, ha1: &str, nonce: &str, qop: Option<(&str, &str)>, ha2: &str) -> String {
    match qop {
        Some((count, cnonce)) => algorithm.hash(&[ha1, nonce, count, cnonce, "auth", ha2]),
        None => algorithm.hash(&[ha1, nonce, ha2]),
    }
}

/// The inside of a quoted string; control characters are left out, since nothing can carry them.
fn escape(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).fold(String::with_capacity(text.len()), |mut out, char| {
        if matches!(char, '"' | '\\') {
            out.push('\\');
        }
        out.push(char);
        out
    })
}

/// Splits `Scheme a=b, c="d", Other e=f`: a word that is followed by no `=` begins a scheme.
fn schemes(value: &str) -> Vec<(&str, Vec<(&str, String)>)> {
    let mut list: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let Some((word, after)) = rest.split_at_checked(end) else { return list };
        if word.is_empty() {
            return list;
        }
        let after = after.trim_start_matches([' ', '\t']);
        let Some(after) = after.strip_prefix('=') else {
            list.push((word, Vec::new()));
            rest = after;
            continue;
        };
        let (text, after) = read_value(after.trim_start_matches([' ', '\t']));
        rest = after;
        if let Some((_, parameters)) = list.last_mut() {
            parameters.push((word, text));
        }
    }
}

/// A token or a quoted string at the beginning of `text`, and what follows it.
fn read_value(text: &str) -> (String, &str) {
    if !text.starts_with('"') {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        return (value.to_owned(), rest);
    }
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, char)| char)),
            char => value.push(char),
        }
    }
    (value, "")
}

/// A client's `Authorization`, read but not yet checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization(Sent);

#[derive(Clone, PartialEq, Eq)]
enum Sent {
    Basic { user: String, password: String },
    Digest(DigestSent),
}

#[derive(Clone, PartialEq, Eq)]
struct DigestSent {
    user: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: Algorithm,
    /// Nonce count and client nonce.
    qop: Option<(String, String)>,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("user", &self.user()).finish_non_exhaustive()
    }
}

impl Authorization {
    /// Reads the value of an `Authorization` field.
    ///
    /// # Errors
    /// [`AuthError::Malformed`] if it is no Basic or Digest of a known algorithm, or lacks a part.
    pub fn parse(value: &str) -> Result<Self, AuthError> {
        Self::read(value).ok_or(AuthError::Malformed)
    }

    fn read(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(' ')?;
        if scheme.eq_ignore_ascii_case("basic") {
            let text = String::from_utf8(BASE64.decode(rest.trim()).ok()?).ok()?;
            let (user, password) = text.split_once(':')?;
            return Some(Self(Sent::Basic { user: user.to_owned(), password: password.to_owned() }));
        }
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let list = schemes(value);
        let [(_, parameters)] = list.as_slice() else { return None };
        let get = |name: &str| {
            let mut found = parameters.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            let (_, value) = found.next()?;
            found.next().is_none().then(|| value.clone())
        };
        let algorithm = match get("algorithm") {
            None => Algorithm::Md5,
            Some(name) => Algorithm::parse(&name)?,
        };
        let qop = match get("qop") {
            None => None,
            Some(qop) if qop.eq_ignore_ascii_case("auth") => Some((get("nc")?, get("cnonce")?)),
            Some(_) => return None,
        };
        Some(Self(Sent::Digest(DigestSent {
            user: get("username")?,
            realm: get("realm")?,
            nonce: get("nonce")?,
            uri: get("uri")?,
            response: get("response")?,
            algorithm,
            qop,
        })))
    }

    /// The user who claims to have sent it: whose secret the host looks up.
    #[must_use]
    pub fn user(&self) -> &str {
        match &self.0 {
            Sent::Basic { user, .. } => user,
            Sent::Digest(digest) => &digest.user,
        }
    }

    /// The digest algorithm; `None` for Basic.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        match &self.0 {
            Sent::Basic { .. } => None,
            Sent::Digest(digest) => Some(digest.algorithm),
        }
    }
}

/// What a server knows of a user.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// The password.
    Password(&'a str),
    /// The hash of `user:realm:password`, in lower-case hexadecimal, made with the algorithm that the client uses.
    Ha1(&'a str),
}

/// A server's side of authentication: makes challenges and checks answers, without storing anything per client.
///
/// ```
/// use core::time::Duration;
/// use sip_ws::{Instant, auth::{Algorithm, Authenticator}};
///
/// let authenticator = Authenticator::new("example.com", [42; 32], Duration::from_secs(60));
/// let challenges = authenticator.challenges(Instant::ZERO, &[Algorithm::Sha256, Algorithm::Md5]);
/// assert!(challenges[0].to_string().starts_with("Digest realm=\"example.com\", nonce=\""));
/// ```
#[derive(Clone)]
pub struct Authenticator {
    realm: String,
    secret: [u8; 32],
    lifetime: Duration,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("realm", &self.realm).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// An authenticator for a realm. `secret` must be unpredictable; servers that share it (and an epoch of
    /// [`Instant`]) accept each other's nonces. `lifetime` is how long a nonce is good.
    #[must_use]
    pub fn new(realm: &str, secret: [u8; 32], lifetime: Duration) -> Self {
        Self { realm: realm.to_owned(), secret, lifetime }
    }

    /// A Digest challenge for each algorithm, in the order given: the one to prefer first.
    #[must_use]
    pub fn challenges(&self, now: Instant, algorithms: &[Algorithm]) -> Vec<Challenge> {
        self.make(now, algorithms, false)
    }

    /// As [`challenges`](Self::challenges), for a client whose [nonce was too old](AuthError::Stale): it need not ask
    /// its user again.
    #[must_use]
    pub fn stale_challenges(&self, now: Instant, algorithms: &[Algorithm]) -> Vec<Challenge> {
        self.make(now, algorithms, true)
    }

    /// A Basic challenge: for use over TLS only.
    #[must_use]
    pub fn basic_challenge(&self) -> Challenge {
        Challenge(Kind::Basic { realm: self.realm.clone() })
    }

    fn make(&self, now: Instant, algorithms: &[Algorithm], stale: bool) -> Vec<Challenge> {
        let realm = &self.realm;
        let nonce = self.nonce(now.as_micros());
        let digest = |&algorithm: &Algorithm| {
            let (realm, nonce) = (realm.clone(), nonce.clone());
            Challenge(Kind::Digest { realm, nonce, opaque: None, algorithm, has_qop: true, stale })
        };
        algorithms.iter().map(digest).collect()
    }

    /// Its time of birth, and a keyed hash over that and the realm.
    fn nonce(&self, micros: u64) -> String {
        let time = hex(&micros.to_be_bytes());
        let tag = match Hmac::<Sha256>::new_from_slice(&self.secret) {
            Ok(mut mac) => {
                mac.update(time.as_bytes());
                mac.update(self.realm.as_bytes());
                hex(&mac.finalize().into_bytes())
            }
            Err(_) => String::new(),
        };
        format!("{time}{}", tag.get(..32).unwrap_or_default())
    }

    /// Checks an authorization for a request of this method and target against the secret of its
    /// [user](Authorization::user).
    ///
    /// # Errors
    /// [`AuthError::Stale`] if all is right but the age of the nonce, [`AuthError::Wrong`] if anything else is wrong.
    pub fn check(
        &self,
        now: Instant,
        authorization: &Authorization,
        method: &str,
        target: &str,
        secret: Secret<'_>,
    ) -> Result<(), AuthError> {
        match &authorization.0 {
            Sent::Basic { password, .. } => match secret {
                Secret::Password(known) if same(password.as_bytes(), known.as_bytes()) => Ok(()),
                _ => Err(AuthError::Wrong),
            },
            Sent::Digest(digest) => self.check_digest(now, digest, method, target, secret),
        }
    }

    fn check_digest(
        &self,
        now: Instant,
        digest: &DigestSent,
        method: &str,
        target: &str,
        secret: Secret<'_>,
    ) -> Result<(), AuthError> {
        let algorithm = digest.algorithm;
        let micros = digest.nonce.get(..16).and_then(|time| u64::from_str_radix(time, 16).ok());
        let micros = micros.ok_or(AuthError::Wrong)?;
        if digest.realm != self.realm
            || digest.uri != target
            || !same(digest.nonce.as_bytes(), self.nonce(micros).as_bytes())
        {
            return Err(AuthError::Wrong);
        }
        let ha1 = match secret {
            Secret::Password(password) => algorithm.hash(&[&digest.user, &self.realm, password]),
            Secret::Ha1(ha1) => ha1.to_owned(),
        };
        let ha2 = algorithm.hash(&[method, target]);
        let qop = digest.qop.as_ref().map(|(count, cnonce)| (count.as_str(), cnonce.as_str()));
        let expected = response(algorithm, &ha1, &digest.nonce, qop, &ha2);
        if !same(expected.as_bytes(), digest.response.to_ascii_lowercase().as_bytes()) {
            return Err(AuthError::Wrong);
        }
        let age = now.saturating_duration_since(Instant::from_micros(micros));
        if age > self.lifetime { Err(AuthError::Stale) } else { Ok(()) }
    }
}

/// Compares in a time that does not depend on where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, response, schemes};

    /// The example of RFC 7616 section 3.9.1.
    #[test]
    fn digests_of_the_rfc_example() {
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let ha1 = algorithm.hash(&["Mufasa", "http-auth@example.org", "Circle of Life"]);
            let ha2 = algorithm.hash(&["GET", "/dir/index.html"]);
            let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            assert_eq!(response(algorithm, &ha1, nonce, Some(("00000001", cnonce)), &ha2), expected);
        }
    }

    #[test]
    fn schemes_are_told_from_parameters() {
        let list =
            schemes("Negotiate, Basic realm=\"a, b=\\\"c\\\"\" , Digest realm=x,nonce=\"y\" , qop=\"auth,auth-int\"");
        assert_eq!(list.len(), 3);
        assert_eq!(list[0], ("Negotiate", alloc::vec![]));
        assert_eq!(list[1], ("Basic", alloc::vec![("realm", "a, b=\"c\"".into())]));
        assert_eq!(list[2].1.len(), 3);
        assert_eq!(list[2].1[2], ("qop", "auth,auth-int".into()));
    }
}
