//! Answers a core gives by itself.

use sip_message::{BuildError, Header, Message, ResponseBuilder, StatusCode};
use sip_transaction::{Endpoint, Instant, SendErrorKind, ServerTxId};

/// Answers the request of `tx`, with what `add` adds to the response.
///
/// If the answer cannot be built with that it goes without: an answer is owed. If the transaction is over, nothing is.
pub(crate) fn reply(
    endpoint: &mut Endpoint,
    now: Instant,
    tx: ServerTxId,
    request: &Message,
    status: StatusCode,
    add: impl FnOnce(ResponseBuilder) -> ResponseBuilder,
) {
    let Some(tag) = endpoint.local_tag(tx) else { return };
    let start = || Message::response(request, status).to_tag(tag.as_str());
    let built: Result<Message, BuildError> = add(start()).build().or_else(|_| start().build());
    let answered = match built {
        Ok(response) => endpoint.respond(now, tx, response).map_err(|error| error.kind),
        // The request has not even what every response repeats.
        Err(_) => Err(SendErrorKind::Malformed),
    };
    // Or its CSeq names another method: what the client sent is given back to it as it is, and nothing stays behind.
    if matches!(answered, Err(SendErrorKind::Malformed | SendErrorKind::Mismatched)) {
        let _ = endpoint.reply(now, tx, request, status);
    }
}

/// Answers with a status and these fields.
pub(crate) fn reply_fields(
    endpoint: &mut Endpoint,
    now: Instant,
    tx: ServerTxId,
    request: &Message,
    status: StatusCode,
    fields: &[(Header, &str)],
) {
    // Refused if the transaction has had its answer, and then it owes none, or for a field that cannot stand in a message.
    if endpoint.reply_with(now, tx, request, status, fields) == Err(SendErrorKind::Malformed) {
        let _ = endpoint.reply(now, tx, request, status);
    }
}

/// Answers with nothing but a status.
pub(crate) fn reply_bare(endpoint: &mut Endpoint, now: Instant, tx: ServerTxId, request: &Message, status: StatusCode) {
    reply_fields(endpoint, now, tx, request, status, &[]);
}
