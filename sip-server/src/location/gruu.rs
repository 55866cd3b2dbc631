//! GRUUs (RFC 5627): URIs that mean one instance of a user agent.
//!
//! A public GRUU is the address-of-record with the instance id in `gr`. A temporary one is made without state: its user
//! holds the address-of-record and a fingerprint of instance and Call-ID, encrypted and authenticated under keys from
//! the seed. It is valid as long as a binding with that instance and that Call-ID lives, which is what RFC 5627
//! sections 5.1 and 5.3 ask for, with nothing kept for it.

use super::Binding;
use crate::secret::{Mac, Random, same};
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt::Write;
use sip_message::uri::SipUri;
use smallvec::SmallVec;

/// What the user of a temporary GRUU begins with.
const PREFIX: &str = "tgruu.";
const NONCE: usize = 8;
const FINGERPRINT: usize = 8;
const TAG: usize = 10;

/// Makes and reads the GRUUs of one registrar, or of several that share a seed.
pub(crate) struct Gruus {
    encrypt: Mac,
    authenticate: Mac,
    fingerprint: Mac,
    random: Random,
}

/// What a GRUU means: an address-of-record and some of its bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GruuTarget {
    pub(crate) aor: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// The instance id, without angle brackets.
    Public(String),
    Temporary([u8; FINGERPRINT]),
}

impl Gruus {
    pub(crate) fn new(seed: &[u8; 32]) -> Gruus {
        Gruus {
            encrypt: Mac::derive(seed, "gruu encryption"),
            authenticate: Mac::derive(seed, "gruu authentication"),
            fingerprint: Mac::derive(seed, "gruu fingerprint"),
            random: Random::new(seed, "gruu nonces"),
        }
    }

    /// Appends the public GRUU of an instance.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
    //# The public GRUU MUST be
    //# constructed by adding the "gr" URI parameter, with a value, to the
    //# AOR.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
    //# A GRUU in a domain MUST NOT be equivalent, based on URI comparison,
    //# to any AOR in a domain except for the one associated with the
    //# GRUU.
    // Addresses-of-record have no `gr`, and nobody else has this one's user.
    pub(crate) fn write_public(out: &mut String, aor: &str, instance: &str) {
        out.push_str(aor);
        out.push_str(";gr=");
        for byte in bare(instance).bytes() {
            // What the grammar lets stand in a URI parameter (RFC 3261 section 25.1, paramchar).
            if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }

    /// Appends a temporary GRUU of the instance that `binding` is of: a new one at each call.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
    //# 1.  The likelihood that the temporary GRUU is equal to another GRUU
    //# that the registrar has created MUST be vanishingly small.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
    //# 2.  Given a pair of GRUUs, it MUST be computationally infeasible to
    //# determine whether they were issued for the same AOR or instance
    //# ID or for different AORs and instance IDs.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
    //# However, if two GRUUs are associated with different AORs or different instance IDs
    //# or both, the GRUUs MUST be different based on URI equality comparison.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
    //# The temporary GRUU construction algorithm MUST have the following two
    //# properties:
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
    //# However, in addition to the properties described in
    //# Section 3.1, a GRUU constructed by a registrar MUST exhibit the
    //# following properties:
    pub(crate) fn write_temporary(&mut self, out: &mut String, aor: &str, binding: &Binding) {
        let nonce = self.random.u64().to_be_bytes();
        let mut sealed = Vec::with_capacity(NONCE + FINGERPRINT + aor.len() + 32 + TAG);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&self.fingerprint(binding));
        sealed.extend_from_slice(aor.as_bytes());
        // The length of the user would tell short names from long ones.
        while (sealed.len() - NONCE) % 32 != 0 {
            sealed.push(0);
        }
        self.crypt(&nonce, sealed.get_mut(NONCE..).unwrap_or_default());
        let tag = self.authenticate.of(&[&sealed]);
        sealed.extend_from_slice(tag.get(..TAG).unwrap_or_default());
        let host = aor.rsplit_once('@').map_or(aor, |(_, host)| host);
        let _ = write!(out, "sip:{PREFIX}");
        URL_SAFE_NO_PAD.encode_string(&sealed, out);
        let _ = write!(out, "@{host};gr");
    }

    /// What `uri` means if it is a GRUU: `None` if it has no `gr`, `Some(None)` if it is not one of this registrar's.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
    //# A registrar MUST be able to determine the instance ID and AOR when presented with a
    //# GRUU.
    pub(crate) fn read(&self, uri: &SipUri<'_>) -> Option<Option<GruuTarget>> {
        let gr = uri.gr()?;
        if let Some(instance) = gr {
            let aor = super::aor_key(uri);
            let instance = instance.decoded_str().map(|text| text.into_owned());
            return Some(instance.map(|instance| GruuTarget { aor, kind: Kind::Public(instance) }));
        }
        Some(self.open(uri))
    }

    fn open(&self, uri: &SipUri<'_>) -> Option<GruuTarget> {
        let user = uri.user()?.decoded_str()?;
        let mut sealed = URL_SAFE_NO_PAD.decode(user.strip_prefix(PREFIX)?).ok()?;
        let body = sealed.len().checked_sub(TAG).filter(|&body| body > NONCE + FINGERPRINT)?;
        let expected = self.authenticate.of(&[sealed.get(..body)?]);
        if !same(expected.get(..TAG)?, sealed.get(body..)?) {
            return None;
        }
        sealed.truncate(body);
        let nonce: [u8; NONCE] = sealed.get(..NONCE)?.try_into().ok()?;
        self.crypt(&nonce, sealed.get_mut(NONCE..)?);
        let fingerprint = sealed.get(NONCE..NONCE + FINGERPRINT)?.try_into().ok()?;
        let aor = core::str::from_utf8(sealed.get(NONCE + FINGERPRINT..)?).ok()?.trim_end_matches('\0');
        Some(GruuTarget { aor: aor.into(), kind: Kind::Temporary(fingerprint) })
    }

    /// Whether `binding`, of the GRUU's address-of-record, is of the instance the GRUU means.
    pub(crate) fn matches(&self, target: &GruuTarget, binding: &Binding) -> bool {
        if binding.instance().is_empty() {
            return false;
        }
        match &target.kind {
            Kind::Public(instance) => bare(binding.instance()).eq_ignore_ascii_case(instance),
            Kind::Temporary(fingerprint) => same(&self.fingerprint(binding), fingerprint),
        }
    }

    /// Leaves of the bindings of its address-of-record those that the GRUU is bound to: all of its instance, if it is valid.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
    //# If it differs from the one in the REGISTER request, the registrar
    //# MUST invalidate all previously generated temporary GRUUs for the AOR
    //# and instance ID.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.3
    //# If, as a consequence of the expiration of the contact, a particular
    //# GRUU no longer has any registered contacts bound to it, and the GRUU
    //# is a temporary GRUU, the GRUU MUST be invalidated.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
    //# Once a temporary GRUU is constructed, it MUST be considered valid by
    //# the registrar until invalidated based on the rules described
    //# previously.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
    //# Once a public GRUU is constructed, it MUST be considered valid for
    //# the duration that the AOR itself is valid.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
    //= type=exception
    //= reason=which addresses-of-record are valid is not known here: one without bindings has none bound to its GRUUs either
    //# Once an AOR is no longer valid within a domain, all of its GRUUs MUST be considered
    //# invalid as well.
    pub(crate) fn retain_bound(&self, target: &GruuTarget, bindings: &mut SmallVec<[&Binding; 4]>) {
        let valid = |binding: &&Binding| {
            let current =
                || latest(bindings.iter().copied(), binding).is_some_and(|last| last.call_id() == binding.call_id());
            self.matches(target, binding) && (Gruus::is_public(target) || current())
        };
        let instance = bindings.iter().copied().find(valid).map(Binding::instance);
        bindings.retain(|binding| instance.is_some_and(|instance| binding.instance().eq_ignore_ascii_case(instance)));
    }

    /// Whether a GRUU that no binding matches was valid once and is no more (404), or is valid without contacts (480).
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.3
    //# If, however, the GRUU was a public GRUU, the registrar SHOULD
    //# continue to treat the GRUU as valid.
    pub(crate) fn is_public(target: &GruuTarget) -> bool {
        matches!(target.kind, Kind::Public(_))
    }

    fn fingerprint(&self, binding: &Binding) -> [u8; FINGERPRINT] {
        let instance = binding.instance().to_ascii_lowercase();
        let mac = self.fingerprint.of(&[instance.as_bytes(), binding.call_id().as_bytes()]);
        let mut short = [0; FINGERPRINT];
        for (to, from) in short.iter_mut().zip(mac) {
            *to = from;
        }
        short
    }

    /// Encrypts or decrypts: a stream of HMACs over the nonce and a counter.
    fn crypt(&self, nonce: &[u8; NONCE], text: &mut [u8]) {
        for (n, block) in text.chunks_mut(32).enumerate() {
            let stream = self.encrypt.of(&[nonce, &(n as u64).to_be_bytes()]);
            for (byte, mask) in block.iter_mut().zip(stream) {
                *byte ^= mask;
            }
        }
    }
}

/// Of the bindings of the same instance, and of the same flow if `binding` is of one, the one that was registered last.
pub(crate) fn latest<'b>(bindings: impl Iterator<Item = &'b Binding>, binding: &Binding) -> Option<&'b Binding> {
    let same = |other: &&Binding| {
        other.instance().eq_ignore_ascii_case(binding.instance()) && other.reg_id() == binding.reg_id()
    };
    bindings.filter(same).max_by_key(|other| other.registered())
}

/// An instance id without its angle brackets.
fn bare(instance: &str) -> &str {
    instance.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(instance)
}
