//! Challenges: 401 and 407.

use super::nonce::NONCE_CHARS;
use super::{Demand, DigestAuth, Realm};
use crate::reply::reply_fields;
use alloc::string::String;
use core::fmt::Write;
use sip_message::{Header, Message, StatusCode};
use sip_transaction::{Endpoint, Instant, Path, ServerTxId};
use smallvec::SmallVec;

impl DigestAuth {
    /// Answers 401 or 407, with a challenge for each algorithm.
    #[allow(clippy::too_many_arguments, reason = "the parts of one event")]
    pub(super) fn challenge(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        tx: ServerTxId,
        path: &Path,
        message: &Message,
        demand: Demand,
        stale: bool,
    ) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.2
        //# The WWW-Authenticate response-header field MUST be included in 401
        //# (Unauthorized) response messages.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
        //# The proxy MUST populate the 407
        //# (Proxy Authentication Required) message with a Proxy-Authenticate
        //# header field value applicable to the proxy for the requested
        //# resource.
        //= https://www.rfc-editor.org/rfc/rfc7616#section-3.8
        //# Upon
        //# receiving a request that requires authentication, the proxy/server
        //# MUST issue the "407 Proxy Authentication Required" response with a
        //# "Proxy-Authenticate" header field.
        let (status, header) = match demand.proxy {
            true => (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Header::ProxyAuthenticate),
            false => (StatusCode::UNAUTHORIZED, Header::WwwAuthenticate),
        };
        let peer = self.peer(path);
        let Some(Realm { name: realm, key, .. }) = self.realms.get(demand.domain) else { return };
        //= https://www.rfc-editor.org/rfc/rfc8760#section-2.3
        //# If the UAS challenges the originator using multiple WWW-Authenticate/
        //# Proxy-Authenticate header fields with the same realm, then each of these header fields
        //# MUST use a different digest algorithm.
        //= https://www.rfc-editor.org/rfc/rfc8760#section-2.3
        //# The UAS MUST add these header fields to the response in the order in which it would
        //# prefer to see them used, starting with the most preferred algorithm at the top.
        //= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
        //# A UAS MUST always send a "qop" parameter in WWW-Authenticate and Proxy-Authenticate
        //# header field values, and a UAC MUST send the "qop" parameter in any resulting
        //# authorization header field.
        //= https://www.rfc-editor.org/rfc/rfc7616#section-3.7
        //# If
        //# the server responds with multiple challenges, then each one of these
        //# challenges MUST use a different digest algorithm.
        //= https://www.rfc-editor.org/rfc/rfc7616#section-3.7
        //# The server MUST
        //# add these challenges to the response in order of preference, starting
        //# with the most preferred algorithm, followed by the less preferred
        //# algorithm.
        //= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
        //# This parameter MUST be used by all implementations.
        let mut values: SmallVec<[String; 2]> = SmallVec::new();
        for algorithm in &self.config.algorithms {
            let mut value = String::with_capacity(96 + realm.len() + NONCE_CHARS);
            value.push_str("Digest realm=\"");
            for c in realm.chars() {
                if matches!(c, '"' | '\\') {
                    value.push('\\');
                }
                value.push(c);
            }
            value.push_str("\", nonce=\"");
            self.nonces.write(&mut value, now, key, &peer);
            //= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
            //# However, servers MUST always
            //# send a "qop" parameter in WWW-Authenticate and Proxy-Authenticate
            //# header field values.
            let qop = if self.config.auth_int { "auth,auth-int" } else { "auth" };
            let _ = write!(value, "\", algorithm={algorithm}, qop=\"{qop}\"");
            if self.config.userhash {
                value.push_str(", userhash=true");
            }
            if stale {
                value.push_str(", stale=true");
            }
            values.push(value);
        }
        let fields: SmallVec<[(Header, &str); 2]> = values.iter().map(|value| (header, value.as_str())).collect();
        reply_fields(endpoint, now, tx, message, status, &fields);
    }
}
