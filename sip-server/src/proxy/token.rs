//! Flow tokens (RFC 5626 section 5.2): a flow, written so that it can stand in the user of a URI and nobody else can make one.
//!
//! Owns the keys they are proven with. A token is the flow's id, for a datagram socket also the remote address, and
//! a MAC. Flows are this process's own: a token outlives neither.

use crate::secret::{Mac, same};
use crate::target::FlowPath;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::net::{IpAddr, SocketAddr};
use sip_transaction::{Endpoint, FlowId, Path};

/// Octets of the MAC: HMAC-80, as in the RFC's example.
const TAG: usize = 10;
/// Set: if the flow is gone, the request may go its way without it.
const SOFT: u8 = 1;
/// Set: a remote address follows.
const REMOTE: u8 = 2;

pub(super) struct FlowTokens {
    current: Mac,
    previous: Option<Mac>,
}

/// What a token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowToken {
    pub(super) flow: FlowId,
    pub(super) remote: Option<SocketAddr>,
    pub(super) soft: bool,
}

impl FlowToken {
    /// The token for the way back over `path`.
    pub(super) fn of(path: &Path, soft: bool) -> FlowToken {
        let remote = (!path.transport.is_connected()).then_some(path.remote);
        FlowToken { flow: path.flow, remote, soft }
    }

    /// Whether a message that came over `path` came over this flow.
    pub(super) fn is(&self, path: &Path) -> bool {
        self.flow == path.flow && self.remote.is_none_or(|remote| remote == path.remote)
    }

    /// Where it leads to, if the flow is still there.
    pub(super) fn path(&self, endpoint: &Endpoint) -> Option<FlowPath> {
        let path = endpoint.flow_path(self.flow)?;
        Some(match self.remote {
            Some(remote) => FlowPath::Path(Path { remote, ..path }),
            None => FlowPath::Flow(self.flow),
        })
    }
}

impl FlowTokens {
    pub(super) fn new(seed: &[u8; 32]) -> FlowTokens {
        FlowTokens { current: Mac::derive(seed, "flow tokens"), previous: None }
    }

    /// From now on tokens are made with a key from `seed`; those made before are good until the next rotation.
    pub(super) fn rotate(&mut self, seed: &[u8; 32]) {
        self.previous = Some(core::mem::replace(&mut self.current, Mac::derive(seed, "flow tokens")));
    }

    /// Appends a token.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-5.1
    //# The flow token MUST be an identifier
    //# that is unique to this network flow.
    pub(super) fn write(&self, out: &mut String, token: &FlowToken) {
        let mut bytes: Vec<u8> = Vec::with_capacity(40);
        bytes.push(u8::from(token.soft) * SOFT + u8::from(token.remote.is_some()) * REMOTE);
        bytes.extend_from_slice(&token.flow.to_bits().to_be_bytes());
        if let Some(remote) = token.remote {
            bytes.extend_from_slice(&remote.port().to_be_bytes());
            match remote.ip() {
                IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
            }
        }
        let tag = self.current.of(&[&bytes]);
        bytes.extend_from_slice(tag.get(..TAG).unwrap_or_default());
        URL_SAFE_NO_PAD.encode_string(&bytes, out);
    }

    /// Reads the user of a URI of this proxy: `None` if it has been tampered with.
    pub(super) fn read(&self, user: &[u8]) -> Option<FlowToken> {
        let bytes = URL_SAFE_NO_PAD.decode(user).ok()?;
        let (body, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        let proves = |mac: &Mac| same(mac.of(&[body]).get(..TAG).unwrap_or_default(), tag);
        if !proves(&self.current) && !self.previous.as_ref().is_some_and(proves) {
            return None;
        }
        let (&flags, rest) = body.split_first()?;
        let (flow, rest) = rest.split_first_chunk::<8>()?;
        let remote = match rest.split_first_chunk::<2>() {
            Some((port, ip)) if flags & REMOTE != 0 => {
                let ip = match (<[u8; 4]>::try_from(ip), <[u8; 16]>::try_from(ip)) {
                    (Ok(ip), _) => IpAddr::from(ip),
                    (_, Ok(ip)) => IpAddr::from(ip),
                    _ => return None,
                };
                Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
            }
            _ => None,
        };
        let flow = FlowId::from_bits(u64::from_be_bytes(*flow))?;
        Some(FlowToken { flow, remote, soft: flags & SOFT != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_was_and_no_other_is_taken() {
        let mut tokens = FlowTokens::new(&[1; 32]);
        let flow = FlowId::from_bits(3 << 32 | 7).unwrap();
        let remotes = [None, Some("192.0.2.1:5060"), Some("[2001:db8::1]:5060")];
        let mut old = String::new();
        for remote in remotes {
            for soft in [false, true] {
                let token = FlowToken { flow, remote: remote.map(|remote| remote.parse().unwrap()), soft };
                let mut text = String::new();
                tokens.write(&mut text, &token);
                assert_eq!(tokens.read(text.as_bytes()), Some(token));
                for at in 0..text.len() {
                    let mut forged = text.clone().into_bytes();
                    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
                    assert_eq!(tokens.read(&forged), None, "changed at {at}");
                }
                assert_eq!(FlowTokens::new(&[2; 32]).read(text.as_bytes()), None);
                old = text;
            }
        }
        tokens.rotate(&[3; 32]);
        assert!(tokens.read(old.as_bytes()).is_some(), "good after one rotation");
        tokens.rotate(&[4; 32]);
        assert_eq!(tokens.read(old.as_bytes()), None, "and not after two");
        for junk in [&b""[..], b"bob", b"%00", &[b'A'; 12], &[b'A'; 400]] {
            assert_eq!(tokens.read(junk), None);
        }
    }
}
