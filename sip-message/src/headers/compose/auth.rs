//! Challenges and credentials to be written, each parameter quoted or not as RFC 7616 binds senders.

use super::super::lex::{Read, fault};
use super::{Quotable, Quoted, token};
use crate::error::ValueFault;
use core::fmt::{self, Display};
use smallvec::SmallVec;

/// The value of a parameter that is written.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Token(&'a str),
    Quoted(Quoted<'a>),
    /// Options in quotes, with commas between them.
    Options(&'a [&'a str]),
    /// Eight hexadecimal digits.
    Nc(u32),
}

#[derive(Clone, Debug)]
struct AuthList<'a> {
    scheme: &'a str,
    params: SmallVec<[(&'a str, Value<'a>); 8]>,
}

impl<'a> AuthList<'a> {
    fn new(scheme: &'a str) -> Self {
        AuthList { scheme, params: SmallVec::new() }
    }

    fn set(&mut self, name: &'a str, value: Value<'a>) {
        match self.params.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            Some(param) => param.1 = value,
            None => self.params.push((name, value)),
        }
    }

    fn quoted(mut self, name: &'a str, text: impl Into<Quotable<'a>>) -> Read<Self> {
        self.set(name, Value::Quoted(Quoted::new(text)?));
        Ok(self)
    }

    fn token(mut self, name: &'a str, text: &'a str) -> Read<Self> {
        self.set(name, Value::Token(token(text)?));
        Ok(self)
    }
}

impl Display for AuthList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme)?;
        for (i, (name, value)) in self.params.iter().enumerate() {
            let gap = match (i, self.scheme) {
                (0, "") => "",
                (0, _) => " ",
                _ => ", ",
            };
            write!(f, "{gap}{name}=")?;
            match value {
                Value::Token(text) => f.write_str(text),
                Value::Quoted(text) => text.fmt(f),
                Value::Nc(n) => write!(f, "{n:08x}"),
                Value::Options(options) => {
                    f.write_str("\"")?;
                    for (i, option) in options.iter().enumerate() {
                        f.write_str(if i > 0 { "," } else { "" })?;
                        f.write_str(option)?;
                    }
                    f.write_str("\"")
                }
            }?;
        }
        Ok(())
    }
}

/// The methods that add a parameter of one kind.
macro_rules! setters {
    (
        quoted { $($(#[$doc:meta])* $name:ident = $text:literal;)* }
        token { $($(#[$token_doc:meta])* $token:ident = $token_text:literal;)* }
        always quoted $always_quoted:expr, never quoted $never_quoted:expr
    ) => {
        $($(#[$doc])*
        ///
        /// # Errors
        ///
        /// The text has control characters.
        pub fn $name(mut self, text: impl Into<Quotable<'a>>) -> Read<Self> {
            self.list = self.list.quoted($text, text)?;
            Ok(self)
        })*

        $($(#[$token_doc])*
        ///
        /// # Errors
        ///
        /// It is not a token.
        pub fn $token(mut self, text: &'a str) -> Read<Self> {
            self.list = self.list.token($token_text, text)?;
            Ok(self)
        })*

        /// Adds any other parameter as a quoted string, in place of one of that name.
        ///
        /// # Errors
        ///
        /// The name is not a token or one that is never quoted, or the text has control characters.
        pub fn quoted_param(mut self, name: &'a str, text: impl Into<Quotable<'a>>) -> Read<Self> {
            if $never_quoted.iter().any(|never: &&str| never.eq_ignore_ascii_case(name)) {
                return fault(ValueFault::Form, 0);
            }
            self.list = self.list.quoted(token(name)?, text)?;
            Ok(self)
        }

        /// Adds any other parameter as a token, in place of one of that name.
        ///
        /// # Errors
        ///
        /// The name is not a token or one that is always quoted, or the value is not a token.
        pub fn token_param(mut self, name: &'a str, value: &'a str) -> Read<Self> {
            if $always_quoted.iter().any(|always: &&str| always.eq_ignore_ascii_case(name)) {
                return fault(ValueFault::Form, 0);
            }
            self.list = self.list.token(token(name)?, value)?;
            Ok(self)
        }
    };
}

/// A challenge for WWW-Authenticate or Proxy-Authenticate.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
//# For historical reasons, a sender MUST only generate the quoted string
//# syntax values for the following parameters: realm, domain, nonce,
//# opaque, and qop.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
//# For historical reasons, a sender MUST NOT generate the quoted string
//# syntax values for the following parameters: stale and algorithm.
#[derive(Clone, Debug)]
pub struct Challenge<'a> {
    list: AuthList<'a>,
}

impl<'a> Challenge<'a> {
    /// A Digest challenge.
    ///
    /// # Errors
    ///
    /// The realm or the nonce has control characters.
    pub fn digest(realm: impl Into<Quotable<'a>>, nonce: impl Into<Quotable<'a>>) -> Read<Self> {
        Ok(Challenge { list: AuthList::new("Digest").quoted("realm", realm)?.quoted("nonce", nonce)? })
    }

    /// A challenge of another scheme, with a realm.
    ///
    /// # Errors
    ///
    /// The scheme is not a token, or the realm has control characters.
    pub fn other(scheme: &'a str, realm: impl Into<Quotable<'a>>) -> Read<Self> {
        Ok(Challenge { list: AuthList::new(token(scheme)?).quoted("realm", realm)? })
    }

    setters! {
        quoted {
            /// Adds `domain`: the URIs the credentials are good for, with spaces between them.
            domain = "domain";
            /// Adds `opaque`.
            opaque = "opaque";
        }
        token {
            /// Adds `algorithm`: `MD5`, `SHA-256`, `SHA-512-256` or another.
            algorithm = "algorithm";
        }
        always quoted ["realm", "domain", "nonce", "opaque", "qop"], never quoted ["stale", "algorithm"]
    }

    /// Adds `stale`: whether only the nonce was wrong.
    pub fn stale(mut self, stale: bool) -> Self {
        self.list.set("stale", Value::Token(if stale { "true" } else { "false" }));
        self
    }

    /// Adds `userhash`: whether user names may be hashed (RFC 7616).
    pub fn userhash(mut self, userhash: bool) -> Self {
        self.list.set("userhash", Value::Token(if userhash { "true" } else { "false" }));
        self
    }

    /// Adds `qop`: the qualities of protection that are offered, as in `&["auth", "auth-int"]`.
    ///
    /// # Errors
    ///
    /// There is none, or one is not a token.
    pub fn qop(mut self, options: &'a [&'a str]) -> Read<Self> {
        if options.is_empty() {
            return fault(ValueFault::Empty, 0);
        }
        for option in options {
            token(option)?;
        }
        self.list.set("qop", Value::Options(options));
        Ok(self)
    }
}

impl Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}

/// Credentials for Authorization or Proxy-Authorization.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
//# For historical reasons, a sender MUST only generate the quoted string
//# syntax for the following parameters: username, realm, nonce, uri,
//# response, cnonce, and opaque.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
//# For historical reasons, a sender MUST NOT generate the quoted string
//# syntax for the following parameters: algorithm, qop, and nc.
#[derive(Clone, Debug)]
pub struct Credentials<'a> {
    list: AuthList<'a>,
    token68: &'a str,
}

impl<'a> Credentials<'a> {
    /// Digest credentials. Realm and nonce are best handed on as they were read from the challenge.
    ///
    /// # Errors
    ///
    /// A text has control characters, or the response other characters than hexadecimal digits.
    //= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
    //# The "uri" parameter of the Authorization header field MUST be
    //# enclosed in quotation marks.
    pub fn digest(
        username: impl Into<Quotable<'a>>,
        realm: impl Into<Quotable<'a>>,
        nonce: impl Into<Quotable<'a>>,
        uri: &'a str,
        response: &'a str,
    ) -> Read<Self> {
        if let Some(at) = response.bytes().position(|b| !b.is_ascii_hexdigit()) {
            return fault(ValueFault::Character, at);
        }
        let list = AuthList::new("Digest").quoted("username", username)?.quoted("realm", realm)?;
        let list = list.quoted("nonce", nonce)?.quoted("uri", uri)?.quoted("response", response)?;
        Ok(Credentials { list, token68: "" })
    }

    /// Credentials of a scheme that has one `token68`: a Bearer or Basic token.
    ///
    /// # Errors
    ///
    /// The scheme is not a token, or the token no `token68`.
    pub fn token68(scheme: &'a str, token68: &'a str) -> Read<Self> {
        match super::super::auth::token68(token68.as_bytes()) {
            Some(token68) => Ok(Credentials { list: AuthList::new(token(scheme)?), token68 }),
            None => fault(ValueFault::Character, 0),
        }
    }

    setters! {
        quoted {
            /// Adds `cnonce`.
            cnonce = "cnonce";
            /// Adds `opaque`, best as it was read from the challenge.
            opaque = "opaque";
        }
        token {
            /// Adds `algorithm`: `MD5`, `SHA-256`, `SHA-512-256` or another.
            algorithm = "algorithm";
            /// Adds `qop`: the quality of protection that was chosen.
            qop = "qop";
        }
        always quoted ["username", "realm", "nonce", "uri", "response", "cnonce", "opaque"],
        never quoted ["algorithm", "qop", "nc"]
    }

    /// Adds `nc`: how often the nonce has been used, this time included.
    pub fn nc(mut self, count: u32) -> Self {
        self.list.set("nc", Value::Nc(count));
        self
    }

    /// Adds `userhash`: whether the user name is hashed (RFC 7616).
    pub fn userhash(mut self, userhash: bool) -> Self {
        self.list.set("userhash", Value::Token(if userhash { "true" } else { "false" }));
        self
    }
}

impl Display for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.token68 {
            "" => self.list.fmt(f),
            token68 => write!(f, "{} {token68}", self.list.scheme),
        }
    }
}

/// An Authentication-Info value.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
//# For historical reasons, a sender MUST only generate the quoted string
//# syntax for the following parameters: nextnonce, rspauth, and cnonce.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
//# For historical reasons, a sender MUST NOT generate the quoted string
//# syntax for the following parameters: qop and nc.
#[derive(Clone, Debug)]
pub struct AuthenticationInfo<'a> {
    list: AuthList<'a>,
}

impl<'a> AuthenticationInfo<'a> {
    /// The proof that the server knows the password: `rspauth`, with what it was made from.
    ///
    /// # Errors
    ///
    /// `qop` is not a token, `rspauth` not hexadecimal digits, or `cnonce` has control characters.
    pub fn rspauth(qop: &'a str, rspauth: &'a str, cnonce: impl Into<Quotable<'a>>, nc: u32) -> Read<Self> {
        if let Some(at) = rspauth.bytes().position(|b| !b.is_ascii_hexdigit()) {
            return fault(ValueFault::Character, at);
        }
        let list = AuthList::new("").token("qop", qop)?.quoted("rspauth", rspauth)?.quoted("cnonce", cnonce)?;
        Ok(AuthenticationInfo { list }.nc(nc))
    }

    /// The nonce for the next request, and nothing else.
    ///
    /// # Errors
    ///
    /// The nonce has control characters.
    pub fn nextnonce(nonce: impl Into<Quotable<'a>>) -> Read<Self> {
        Ok(AuthenticationInfo { list: AuthList::new("").quoted("nextnonce", nonce)? })
    }

    /// Adds the nonce for the next request.
    ///
    /// # Errors
    ///
    /// The nonce has control characters.
    pub fn and_nextnonce(self, nonce: impl Into<Quotable<'a>>) -> Read<Self> {
        Ok(AuthenticationInfo { list: self.list.quoted("nextnonce", nonce)? })
    }

    fn nc(mut self, count: u32) -> Self {
        self.list.set("nc", Value::Nc(count));
        self
    }
}

impl Display for AuthenticationInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}
