//! INFO in a call: Info Packages (RFC 6086) and the DTMF that came before them.

use alloc::boxed::Box;
use core::time::Duration;
use sip_message::headers::InfoPackage;
use sip_message::{Header, Message, Method, ResponseBuilder, StatusCode};
use sip_transaction::{Endpoint, Instant, ServerTxId};

use super::CallState;
use crate::agent::client::{Final, Purpose};
use crate::agent::{UserAgentCore, status};
use crate::body::Body;
use crate::dialog::{Damage, damage};
use crate::dtmf::{self, Tone};
use crate::error::CommandError;
use crate::event::CallEvent;
use crate::id::{CallHandle, DialogId, RequestId};
use crate::origin::ExtraHeaders;
use crate::request::Standalone;

impl UserAgentCore {
    /// Sends an INFO of an Info Package the peer has listed in Recv-Info (RFC 6086), or of the older form with `None`.
    ///
    /// # Errors
    ///
    /// The call does not stand; the peer has not listed the package; too many requests are pending; a value is malformed.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.2
    //# For a specific dialog usage, a UA MUST NOT send an INFO request
    //# associated with an Info Package until it has received an indication that
    //# the remote UA is willing to receive INFO requests for that Info Package,
    //# or after the UA has received an indication that the remote UA is no
    //# longer willing to receive INFO requests associated with that Info
    //# Package.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
    //# When a UA sends an INFO request associated with a legacy INFO usage,
    //# there is no Info Package associated with the request, and the UA MUST
    //# NOT include an Info-Package header field in the request.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
    //# The INFO request MUST NOT contain a Recv-Info header field.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
    //# A UA MUST NOT send an INFO request outside an invite dialog usage and
    //# MUST NOT send an INFO request for an Info Package inside an invite
    //# dialog usage if the remote UA has not indicated willingness to receive
    //# that Info Package within that dialog.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-4.3.2
    //# Message bodies associated with Info Packages MUST only be sent in INFO
    //# requests.
    pub fn info(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        package: Option<&str>,
        body: Body,
    ) -> Result<RequestId, CommandError> {
        self.advance(now);
        let dialog = self.first_dialog(call)?;
        self.info_early(ep, now, call, dialog, package, body)
    }

    /// Sends an INFO as [`info`](UserAgentCore::info) does, in one of several early dialogs of a call that has forked.
    ///
    /// # Errors
    ///
    /// As [`info`](UserAgentCore::info); the dialog is none of that call.
    pub fn info_early(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        dialog: DialogId,
        package: Option<&str>,
        mut body: Body,
    ) -> Result<RequestId, CommandError> {
        let mut headers = ExtraHeaders::new();
        if let Some(package) = package {
            let dialog = self.command_call(call)?.dialog_of(dialog).ok_or(CommandError::WrongState)?;
            let listed = self.dialogs.get(dialog).and_then(|entry| entry.packages.as_deref()).unwrap_or_default();
            let name = package.split(';').next().unwrap_or_default().trim_end();
            if !listed.split(',').any(|known| known == name) {
                return Err(CommandError::NotSupported);
            }
            headers.push("Info-Package", package);
            //= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
            //# When a UA sends an INFO request associated with an Info Package, it MUST
            //# include an Info-Package header field that indicates which Info Package
            //# is associated with the request.
            body.disposition.get_or_insert("Info-Package".into());
        }
        self.request_early(ep, now, call, dialog, Method::Info, Some(body), headers)
    }

    /// The dialog a request in a call goes through: the first, if there are several early ones.
    fn first_dialog(&self, call: CallHandle) -> Result<DialogId, CommandError> {
        let found = self.command_call(call)?;
        found.dialog.or(found.early.first().copied()).ok_or(CommandError::WrongState)
    }

    /// Sends DTMF in an INFO, as `application/dtmf-relay`.
    ///
    /// # Errors
    ///
    /// As [`info`](UserAgentCore::info).
    pub fn dtmf(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        tone: Tone,
        duration: Duration,
    ) -> Result<RequestId, CommandError> {
        self.info(ep, now, call, None, dtmf::body(tone, duration))
    }

    /// Sends a request of any method in a call: MESSAGE, INFO, or one of the host's own. Its outcome comes as
    /// [`RequestEvent`](crate::RequestEvent)s. With several early dialogs it goes through the first: see
    /// [`request_early`](UserAgentCore::request_early).
    ///
    /// # Errors
    ///
    /// The call has no dialog; the method is one that calls are made of; too many requests are pending; a value is
    /// malformed.
    pub fn request_in_call(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        method: Method<'_>,
        body: Option<Body>,
        headers: ExtraHeaders,
    ) -> Result<RequestId, CommandError> {
        self.advance(now);
        let dialog = self.first_dialog(call)?;
        self.request_early(ep, now, call, dialog, method, body, headers)
    }

    /// Sends a request as [`request_in_call`](UserAgentCore::request_in_call) does, in one of several early dialogs of a call that has forked.
    ///
    /// # Errors
    ///
    /// As [`request_in_call`](UserAgentCore::request_in_call); the dialog is none of that call.
    #[allow(clippy::too_many_arguments, reason = "those of request_in_call and the dialog")]
    pub fn request_early(
        &mut self,
        ep: &mut Endpoint,
        now: Instant,
        call: CallHandle,
        dialog: DialogId,
        method: Method<'_>,
        body: Option<Body>,
        headers: ExtraHeaders,
    ) -> Result<RequestId, CommandError> {
        self.advance(now);
        if matches!(
            method,
            Method::Invite
                | Method::Ack
                | Method::Bye
                | Method::Cancel
                | Method::Prack
                | Method::Update
                | Method::Notify
        ) || matches!(method, Method::Subscribe | Method::Refer | Method::Register)
        {
            return Err(CommandError::NotSupported);
        }
        if method == Method::Message && headers.has(Header::Contact) {
            return Err(CommandError::HeaderNotAllowed);
        }
        let found = self.command_call(call)?;
        let dialog = found.dialog_of(dialog).ok_or(CommandError::WrongState)?;
        if found.ending.is_some() || found.state == CallState::Cancelling || !found.is_known() {
            return Err(CommandError::WrongState);
        }
        if self.config.limits.requests.is_some_and(|limit| self.requests.len() >= limit) {
            return Err(CommandError::Full);
        }
        let Some(entry) = self.dialogs.get_mut(dialog) else { return Err(CommandError::Unknown) };
        let builder = entry.dialog.upcoming(method);
        let mut builder = headers.on_request(self.dress(builder));
        if let Some(body) = body {
            builder = body.on_request(builder);
        }
        let message = builder.build_boxed()?;
        let id = self.requests.insert(Standalone::out()).ok_or(CommandError::Full)?;
        match self.send_in_dialog(ep, dialog, message, Purpose::Info(id, dialog)) {
            Ok(_) => Ok(id),
            Err(error) => {
                self.requests.remove(id);
                Err(error)
            }
        }
    }

    /// A request in a call was answered: its owner learns it, and the call if it was told to be gone.
    pub(crate) fn on_info_done(&mut self, ep: &mut Endpoint, id: RequestId, dialog: DialogId, outcome: Final) {
        let (code, response) = (outcome.status, outcome.response.clone());
        self.on_request_done(id, outcome);
        let Some(call) = self.dialogs.get(dialog).and_then(|entry| entry.call) else { return };
        // Before the call stands the peer may simply not know its dialog yet.
        let stands = self.calls.get(call).is_some_and(|found| found.state == CallState::Confirmed);
        //= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
        //# If a UA receives a 469 (Bad Info Package) response to an INFO request,
        //# based on RFC 5057 [RFC5057], the response represents a Transaction Only
        //# failure, and the UA MUST NOT terminate the invite dialog usage.
        if stands && damage(code, false) != Damage::Transaction {
            self.lose_call(ep, call, code, response);
        }
    }

    /// Lists the Info Packages we take in a response to a request that lists the peer's.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.3
    //# The receiver of a request that contains a Recv-Info header field MUST
    //# include a Recv-Info header field in a reliable 18x/2xx response to the
    //# request, even if the request contains an empty Recv-Info header field,
    //# and even if the header field value of the receiver has not changed since
    //# the previous time it sent a Recv-Info header field.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.3
    //# A UA MUST NOT include a Recv-Info header field in a response if the
    //# associated request did not contain a Recv-Info header field.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.3
    //# As with SDP answers, the receiver can include the same Recv-Info header
    //# field value in multiple responses (18x/2xx) for the same
    //# INVITE/re-INVITE transaction, but the receiver MUST use the same
    //# Recv-Info header field value (if included) in all responses for the same
    //# transaction.
    pub(crate) fn tell_packages(&self, builder: ResponseBuilder, request: &Message) -> ResponseBuilder {
        if request.has(Header::RecvInfo) { builder.lines(&self.packages_line) } else { builder }
    }

    /// INFO came.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-4.3.2
    //# A UA MUST NOT include a message body associated with an Info Package in
    //# an INFO response.
    //= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.2
    //# Once a UA has indicated that it is willing to receive INFO requests for
    //# a specific Info Package, and a dialog has been established, the UA MUST
    //# be prepared to receive INFO requests associated with that Info Package
    //# until the UA indicates that it is no longer willing to receive INFO
    //# requests associated with that Info Package.
    pub(crate) fn on_info(&mut self, ep: &mut Endpoint, tx: ServerTxId, call: CallHandle, message: Box<Message>) {
        if let Some((tone, duration)) = dtmf::read(&message) {
            self.reply(ep, tx, &message, StatusCode::OK);
            return self.call_event(call, CallEvent::Dtmf { tone, duration, message });
        }
        let package = message.value::<InfoPackage<'_>>(Header::InfoPackage);
        let known = match &package {
            Ok(Some(package)) => self.config.info_packages.iter().any(|known| package.name() == known.as_str()),
            Ok(None) => true,
            Err(_) => return self.reply(ep, tx, &message, StatusCode::BAD_REQUEST),
        };
        if !known {
            //= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.2
            //# If a UA receives an INFO request associated with an Info Package that
            //# the UA has not indicated willingness to receive, the UA MUST send a 469
            //# (Bad Info Package) response (see Section 11.6), which contains a
            //# Recv-Info header field with Info Packages for which the UA is willing to
            //# receive INFO requests.
            //= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.2
            //# The UA MUST NOT use the response to update the set of Info Packages, but
            //# simply to indicate the current set.
            let builder = self.response(ep, tx, &message, status(469)).lines(&self.packages_line);
            self.finish(ep, tx, builder);
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.2
        //# Otherwise, if the INFO request is syntactically correct and well
        //# structured, the UA MUST send a 200 (OK) response.
        self.reply(ep, tx, &message, StatusCode::OK);
        self.call_event(call, CallEvent::Info { message });
    }
}
