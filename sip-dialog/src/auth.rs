//! Credentials and how they are shown: the client side of RFC 3261 section 22, RFC 7616 and RFC 8760 (Digest), RFC 8898 (Bearer).
//!
//! A [`Keyring`] holds what the host knows. An [`AuthContext`] remembers the challenges of one dialog or registration, counts the uses
//! of each nonce, and writes Authorization and Proxy-Authorization. Nothing here sends anything.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::fmt::Write;
use sip_message::digest::{DigestAlgorithm, DigestInput, DigestSecret, NonceCount, Qop, userhash};
use sip_message::headers::{AuthenticationInfo, Challenge, Credentials as Sent};
use sip_message::{BuildError, Header, Message, ParamValue, StatusCode, unescaped};

/// What proves who somebody is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secret {
    /// A password, for Digest with any algorithm.
    Password(String),
    /// An access token, for Bearer (RFC 8898).
    Token(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Secret::Password(_) => "Password(..)",
            Secret::Token(_) => "Token(..)",
        })
    }
}

/// A user name and secret, for one realm or for any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The realm they are good for; `None`: any that asks. Give a realm: credentials for any realm go to whoever asks.
    pub realm: Option<String>,
    /// The user name; not used with a token.
    pub username: String,
    /// The secret.
    pub secret: Secret,
    /// The weakest Digest algorithm to use them with; a challenge that offers only weaker ones is refused.
    pub weakest: DigestAlgorithm,
}

impl Credentials {
    /// A user name and password for one realm.
    pub fn password(realm: impl Into<String>, username: impl Into<String>, password: impl Into<String>) -> Self {
        Credentials {
            realm: Some(realm.into()),
            username: username.into(),
            secret: Secret::Password(password.into()),
            weakest: DigestAlgorithm::Md5,
        }
    }

    /// A bearer token for one realm. It goes as it is to whoever asks for one with that realm, over any transport: use encrypted tokens,
    /// or give it only where all hops can be trusted with it (RFC 8898 section 5).
    pub fn token(realm: impl Into<String>, token: impl Into<String>) -> Self {
        Credentials {
            realm: Some(realm.into()),
            username: String::new(),
            secret: Secret::Token(token.into()),
            weakest: DigestAlgorithm::Md5,
        }
    }

    /// Refuses algorithms weaker than this one.
    #[must_use]
    pub fn at_least(mut self, weakest: DigestAlgorithm) -> Self {
        self.weakest = weakest;
        self
    }
}

/// What a server showed of itself in Authentication-Info or Proxy-Authentication-Info, with `rspauth` (RFC 7616 section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerProof {
    /// It knows the secret as we do: both sides are authenticated.
    Right,
    /// It does not. Its response has been taken all the same, but for the nonce it wanted next; whether to believe it is the host's
    /// to say.
    Wrong,
}

/// The credentials the host has given.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    all: Vec<Credentials>,
}

impl Keyring {
    /// Adds credentials; those for the same realm and of the same kind are replaced.
    pub fn insert(&mut self, credentials: Credentials) {
        let kind = core::mem::discriminant(&credentials.secret);
        self.all.retain(|old| old.realm != credentials.realm || core::mem::discriminant(&old.secret) != kind);
        self.all.push(credentials);
    }

    /// Forgets the credentials of a realm.
    pub fn remove(&mut self, realm: &str) {
        self.all.retain(|old| old.realm.as_deref() != Some(realm));
    }

    /// The best fit: of the realm itself before any.
    fn find(&self, realm: &str, bearer: bool) -> Option<&Credentials> {
        let fits = |of: Option<&str>| {
            self.all
                .iter()
                .rev()
                .find(|one| one.realm.as_deref() == of && matches!(one.secret, Secret::Token(_)) == bearer)
        };
        fits(Some(realm)).or_else(|| fits(None))
    }
}

/// How strong an algorithm is; sessions do not count.
fn strength(algorithm: DigestAlgorithm) -> u8 {
    match algorithm {
        DigestAlgorithm::Md5 | DigestAlgorithm::Md5Sess => 1,
        DigestAlgorithm::Sha256 | DigestAlgorithm::Sha256Sess => 2,
        _ => 3,
    }
}

/// One answered challenge: what every further request to that realm says.
#[derive(Clone, Debug)]
enum Session {
    Digest(Box<DigestSession>),
    Bearer { proxy: bool, realm: Box<str>, token: Box<str> },
}

#[derive(Clone, Debug)]
struct DigestSession {
    proxy: bool,
    /// Realm, nonce and opaque as they stood between their quotes, escapes included.
    realm: Box<str>,
    nonce: Box<str>,
    opaque: Option<Box<str>>,
    /// Whether the challenge named the algorithm: the answer then does, too.
    named: bool,
    algorithm: DigestAlgorithm,
    qop: Option<Qop>,
    /// The user name as it is sent between quotes, or its hash.
    username: Box<str>,
    hashed: bool,
    secret: DigestSecret,
    count: u32,
}

impl Session {
    fn is(&self, proxy: bool, realm: &str) -> bool {
        match self {
            Session::Digest(session) => session.proxy == proxy && *session.realm == *realm,
            Session::Bearer { proxy: own, realm: known, .. } => *own == proxy && **known == *realm,
        }
    }
}

/// What became of a 401 or 407.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Each realm that must be answered can be: send the request again.
    Retry,
    /// No credentials are known for this realm, or those known were refused.
    Ask(String),
    /// The challenge cannot be answered: no scheme or algorithm in it is known or strong enough.
    Refuse,
}

/// The challenges one dialog or registration has met, and the answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuthContext {
    sessions: Vec<Session>,
    /// The realms answered in the exchange under way: being asked again means being refused.
    tried: Vec<(bool, Box<str>)>,
    /// The strongest algorithm each realm has offered: it will not be talked down.
    strongest: Vec<(Box<str>, u8)>,
}

/// The text between the quotes, escapes left in: as it stood in the challenge it goes back in the credentials. What people call a realm, and what
/// goes into a digest, is [`unescaped`].
// RFC 7616 section 3.3: `unq()` is "the value of the quoted-string X without the surrounding quotes and with quoting slashes removed".
fn inner(value: ParamValue<'_>) -> Option<&str> {
    core::str::from_utf8(value.without_quotes()).ok()
}

/// A challenge, read as far as it is needed.
struct Offer<'a> {
    realm: &'a str,
    bearer: bool,
    algorithm: DigestAlgorithm,
    stale: bool,
    challenge: Challenge<'a>,
}

fn read<'a>(challenge: Challenge<'a>) -> Option<Offer<'a>> {
    let realm = challenge.realm().ok().flatten().and_then(inner)?;
    let bearer = challenge.scheme() == "Bearer";
    if bearer {
        return Some(Offer { realm, bearer, algorithm: DigestAlgorithm::Md5, stale: false, challenge });
    }
    if !challenge.is_digest() {
        return None;
    }
    challenge.nonce().ok().flatten()?;
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
    //# If this is not present, it is assumed to be
    //# "MD5".
    let algorithm = match challenge.algorithm().ok()? {
        Some(token) => DigestAlgorithm::parse(token.as_str())?,
        None => DigestAlgorithm::Md5,
    };
    // A challenge with protections of which none is known cannot be answered.
    if let Some(qop) = challenge.qop().ok()? {
        if !qop.iter().any(|option| Qop::parse(option.as_str()).is_some()) {
            return None;
        }
    }
    Some(Offer { realm, bearer, algorithm, stale: challenge.stale().unwrap_or(false), challenge })
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-26.3.1
//# Proxy servers, redirect servers, registrars, and UAs MUST implement
//# Digest Authorization, encompassing all of the aspects required in 22.
impl AuthContext {
    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// A new request begins: being challenged is no refusal until its credentials were refused.
    pub(crate) fn begin(&mut self) {
        self.tried.clear();
    }

    /// Takes the challenges of a 401 or 407.
    pub(crate) fn challenged(&mut self, response: &Message, keyring: &Keyring) -> Verdict {
        // A proxy that forked puts the challenges of all branches into one response: those of proxies stand in a 401, too.
        let kinds = match response.status() {
            Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => [true, false],
            _ => [false, true],
        };
        let (mut verdict, mut answered) = (None, false);
        let mut rejected = Vec::new();
        for proxy in kinds {
            match self.challenged_by(proxy, response, keyring, &mut rejected) {
                Some(Verdict::Retry) => answered = true,
                other => verdict = verdict.or(other),
            }
        }
        if answered {
            return Verdict::Retry;
        }
        // Only now is the host asked for others: what goes out for another realm meanwhile must not make these good again.
        self.tried.retain(|mark| !rejected.contains(mark));
        verdict.unwrap_or(Verdict::Refuse)
    }

    /// Takes the challenges of proxies, or of the others; `None` if there are none that can be read.
    fn challenged_by(
        &mut self,
        proxy: bool,
        response: &Message,
        keyring: &Keyring,
        rejected: &mut Vec<(bool, Box<str>)>,
    ) -> Option<Verdict> {
        let header = if proxy { Header::ProxyAuthenticate } else { Header::WwwAuthenticate };
        let mut realms: Vec<&str> = Vec::new();
        let mut offers: Vec<Offer<'_>> = Vec::new();
        // More challenges than any proxy chain sends are not looked at.
        for challenge in response.values::<Challenge<'_>>(header).take(32) {
            let Some(offer) = challenge.ok().and_then(read) else { continue };
            if !realms.contains(&offer.realm) {
                realms.push(offer.realm);
            }
            offers.push(offer);
        }
        if realms.is_empty() {
            return None;
        }
        let mut verdict = None;
        // Several realms ask when a request forked: answer each that can be, fail only if none can.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
        //# When resubmitting its request in response to a 401 (Unauthorized) or 407
        //# (Proxy Authentication Required) that contains multiple challenges, a UAC
        //# MAY include an Authorization value for each WWW-Authenticate value and a
        //# Proxy-Authorization value for each Proxy-Authenticate value for which
        //# the UAC wishes to supply a credential.
        let mut answered = false;
        for realm in realms {
            match self.answer(proxy, realm, &offers, keyring, rejected) {
                Verdict::Retry => answered = true,
                other => verdict = verdict.or(Some(other)),
            }
        }
        Some(match verdict {
            Some(verdict) if !answered => verdict,
            _ => Verdict::Retry,
        })
    }

    fn answer(
        &mut self,
        proxy: bool,
        realm: &str,
        offers: &[Offer<'_>],
        keyring: &Keyring,
        rejected: &mut Vec<(bool, Box<str>)>,
    ) -> Verdict {
        let of_realm = || offers.iter().filter(|offer| offer.realm == realm);
        let tried = self.tried.iter().any(|(of, name)| *of == proxy && **name == *realm);
        let stale = of_realm().any(|offer| offer.stale);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
        //# A UAC MUST NOT re-attempt requests with the credentials that have just
        //# been rejected (though the request may be retried if the nonce was
        //# stale).
        if tried && !stale {
            self.sessions.retain(|session| !session.is(proxy, realm));
            rejected.push((proxy, realm.into()));
            return Verdict::Ask(unescaped(realm).into_owned());
        }
        let plain = unescaped(realm);
        let token = keyring.find(&plain, true).filter(|_| of_realm().any(|offer| offer.bearer));
        if let Some(Credentials { secret: Secret::Token(token), .. }) = token {
            let session = Session::Bearer { proxy, realm: realm.into(), token: token.as_str().into() };
            self.keep(proxy, realm, session);
            return Verdict::Retry;
        }
        // The strongest first, whatever the order; of equals, the one that stands first.
        let best = of_realm().filter(|offer| !offer.bearer).rev_max();
        let Some(best) = best else {
            return if of_realm().any(|offer| offer.bearer) {
                Verdict::Ask(plain.into_owned())
            } else {
                Verdict::Refuse
            };
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
        //# When a UAC receives a challenge, it SHOULD render to the user the
        //# contents of the "realm" parameter in the challenge (which appears in
        //# either a WWW-Authenticate header field or Proxy-Authenticate header
        //# field) if the UAC device does not already know of a credential for the
        //# realm in question.
        let Some(credentials) = keyring.find(&plain, false) else { return Verdict::Ask(plain.into_owned()) };
        let Secret::Password(password) = &credentials.secret else { return Verdict::Refuse };
        let offered = strength(best.algorithm);
        let known = self.strongest.iter().find(|(name, _)| **name == *realm).map_or(0, |(_, strength)| *strength);
        if offered < known || offered < strength(credentials.weakest) {
            return Verdict::Refuse;
        }
        match self.strongest.iter_mut().find(|(name, _)| **name == *realm) {
            Some((_, strength)) => *strength = offered,
            None => self.strongest.push((realm.into(), offered)),
        }
        let Some(session) = DigestSession::new(proxy, best, &credentials.username, password) else {
            return Verdict::Refuse;
        };
        self.keep(proxy, realm, Session::Digest(Box::new(session)));
        Verdict::Retry
    }

    fn keep(&mut self, proxy: bool, realm: &str, session: Session) {
        self.sessions.retain(|old| !old.is(proxy, realm));
        self.sessions.push(session);
        if !self.tried.iter().any(|(of, name)| *of == proxy && **name == *realm) {
            self.tried.push((proxy, realm.into()));
        }
    }

    /// Writes the credentials of all realms into a request, in place of those it has. `cnonce` is new for each request.
    pub(crate) fn apply(&mut self, request: &mut Message, cnonce: &str) -> Result<(), BuildError> {
        request.remove(Header::Authorization);
        request.remove(Header::ProxyAuthorization);
        let mut values: Vec<(Header, String)> = Vec::new();
        for session in &mut self.sessions {
            let (proxy, value) = match session {
                Session::Digest(session) => (session.proxy, session.value(request, cnonce)),
                Session::Bearer { proxy, token, .. } => (*proxy, alloc::format!("Bearer {token}")),
            };
            values.push((if proxy { Header::ProxyAuthorization } else { Header::Authorization }, value));
        }
        for (header, value) in values {
            request.push(header, value)?;
        }
        Ok(())
    }

    /// A server that took our credentials may show its own, and tell the nonce to use next (RFC 7616 section 3.5). What it showed, by
    /// realm.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
    //# If the nextnonce field is present, the
    //# client SHOULD use it when constructing the Authorization header
    //# field for its next request.
    pub(crate) fn accepted(&mut self, request: Option<&Message>, response: &Message) -> Vec<(String, ServerProof)> {
        let mut shown = Vec::new();
        for (header, asked, proxy) in [
            (Header::AuthenticationInfo, Header::Authorization, false),
            (Header::ProxyAuthenticationInfo, Header::ProxyAuthorization, true),
        ] {
            let Some(info) = response.value::<AuthenticationInfo<'_>>(header).ok().flatten() else { continue };
            // The field names no realm: it is that of the one challenge of its kind.
            let mut own = self.sessions.iter_mut().filter_map(|session| match session {
                Session::Digest(session) if session.proxy == proxy => Some(session),
                _ => None,
            });
            let (Some(session), None) = (own.next(), own.next()) else { continue };
            let proof = info.rspauth().transpose().and_then(|rspauth| {
                let Ok(rspauth) = rspauth else { return Some(ServerProof::Wrong) };
                // What cannot be compared shows nothing, neither way.
                let right = session.shows(request?, asked, info, response.body(), rspauth)?;
                Some(if right { ServerProof::Right } else { ServerProof::Wrong })
            });
            if let Some(proof) = proof {
                shown.push((session.realm.as_ref().to_owned(), proof));
            }
            if proof == Some(ServerProof::Wrong) {
                // Whoever that is does not choose our nonces.
                continue;
            }
            if let Some(next) = info.nextnonce().ok().flatten().and_then(inner) {
                session.nonce = next.into();
                session.count = 0;
            }
        }
        shown
    }
}

/// `max_by_key` takes the last of equals; the first is wanted.
trait FirstMax<'a>: Iterator<Item = &'a Offer<'a>> {
    fn rev_max(self) -> Option<&'a Offer<'a>>;
}

impl<'a, I: Iterator<Item = &'a Offer<'a>>> FirstMax<'a> for I {
    fn rev_max(self) -> Option<&'a Offer<'a>> {
        self.fold(None, |best: Option<&'a Offer<'a>>, offer| match best {
            Some(best) if strength(best.algorithm) >= strength(offer.algorithm) => Some(best),
            _ => Some(offer),
        })
    }
}

impl DigestSession {
    fn new(proxy: bool, offer: &Offer<'_>, username: &str, password: &str) -> Option<Self> {
        let challenge = &offer.challenge;
        let nonce = challenge.nonce().ok().flatten().and_then(inner)?;
        let opaque = challenge.opaque().ok().flatten().and_then(inner).map(Box::from);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
        //# If a client receives a "qop" parameter in a challenge header field, it
        //# MUST send the "qop" parameter in any resulting authorization header
        //# field.
        let qop = challenge.qop().ok().flatten().and_then(|options| {
            let has = |wanted: Qop| options.iter().any(|option| Qop::parse(option.as_str()) == Some(wanted));
            [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| has(*qop))
        });
        let mut quoted = String::new();
        for c in username.chars() {
            if matches!(c, '"' | '\\') {
                quoted.push('\\');
            }
            quoted.push(c);
        }
        let realm = unescaped(offer.realm);
        let secret = DigestSecret::new(offer.algorithm, username.as_bytes(), realm.as_bytes(), password.as_bytes());
        let hashed = challenge.userhash().unwrap_or(false);
        if hashed {
            quoted = userhash(offer.algorithm, username.as_bytes(), realm.as_bytes()).as_str().to_owned();
        }
        Some(DigestSession {
            proxy,
            realm: offer.realm.into(),
            nonce: nonce.into(),
            opaque,
            named: challenge.algorithm().ok().flatten().is_some(),
            algorithm: offer.algorithm,
            qop,
            username: quoted.into(),
            hashed,
            // Each request of a `-sess` algorithm is a session of its own: servers need keep nothing for it.
            secret,
            count: 0,
        })
    }

    /// Whether `rspauth` is what only a server that knows the secret can say of this request.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
    //# The cnonce value and nc value MUST be the ones for the client
    //# request to which this message is the response.
    fn shows(
        &self,
        request: &Message,
        asked: Header,
        info: AuthenticationInfo<'_>,
        body: &[u8],
        rspauth: &str,
    ) -> Option<bool> {
        // The request as it went out says which of the uses of the nonce it was.
        let mut sent = request.values::<Sent<'_>>(asked).filter_map(Result::ok);
        let sent = sent.find(|sent| sent.realm().ok().flatten().and_then(inner) == Some(&*self.realm))?;
        let nonce = sent.nonce().ok()?.and_then(inner)?;
        let cnonce = sent.cnonce().ok()?.and_then(inner).unwrap_or_default();
        let nc = sent.nc().ok()?;
        let other_cnonce = info.cnonce().ok()?.and_then(inner).is_some_and(|theirs| theirs != cnonce);
        if other_cnonce || info.nc().ok()?.is_some_and(|theirs| Some(theirs) != nc) {
            return Some(false);
        }
        // The response may be protected in another way than the request was.
        let qop = match info.qop().ok()? {
            Some(qop) => Some(Qop::parse(qop.as_str())?),
            None => self.qop,
        };
        let nc = NonceCount::new(nc.unwrap_or(0));
        let plain = unescaped(nonce);
        let input = DigestInput {
            method: b"",
            uri: sent.uri().ok()?.and_then(inner)?.as_bytes(),
            nonce: plain.as_bytes(),
            qop,
            nc: nc.as_bytes(),
            cnonce: cnonce.as_bytes(),
            body,
        };
        Some(self.secret.rspauth(&input).matches(rspauth.as_bytes()))
    }

    fn value(&mut self, request: &Message, cnonce: &str) -> String {
        self.count = self.count.saturating_add(1);
        let nc = NonceCount::new(self.count);
        let uri = request.request_uri_bytes().unwrap_or_default();
        let method = request.method().map_or("", |method| method.as_str());
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
        //# RFC 2617 notes that a cnonce value MUST NOT be sent in an Authorization
        //# (and by extension Proxy-Authorization) header field if no qop directive
        //# has been sent.
        let needs_cnonce = self.qop.is_some() || self.algorithm.is_session();
        let plain = unescaped(&self.nonce);
        let input = DigestInput {
            method: method.as_bytes(),
            uri,
            nonce: plain.as_bytes(),
            qop: self.qop,
            nc: nc.as_bytes(),
            cnonce: if needs_cnonce { cnonce.as_bytes() } else { b"" },
            body: request.body(),
        };
        let response = self.secret.response(&input);
        let mut out = String::with_capacity(320);
        let uri = core::str::from_utf8(uri).unwrap_or_default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
        //# For SIP, the 'uri' MUST be enclosed in quotation marks.
        let _ = write!(
            out,
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\"",
            self.username, self.realm, self.nonce
        );
        if self.named {
            let _ = write!(out, ", algorithm={}", self.algorithm);
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(out, ", opaque=\"{opaque}\"");
        }
        if let Some(qop) = self.qop {
            let _ = write!(out, ", qop={qop}, nc={nc}");
        }
        if needs_cnonce {
            let _ = write!(out, ", cnonce=\"{cnonce}\"");
        }
        if self.hashed {
            out.push_str(", userhash=true");
        }
        out
    }
}
