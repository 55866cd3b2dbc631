//! Session timers (RFC 4028): what to ask for, what was agreed, and when to act.
//!
//! A [`SessionTimer`] is the agreement of one dialog. It keeps no clock: it says how long to wait.

use crate::call::peer::lists;
use core::time::Duration;
use sip_message::headers::{MinSe, Refresher, SessionExpires};
use sip_message::{Header, Message};

use crate::codec::{Reader, Wire};

/// The shortest interval the RFC allows, in seconds.
//= https://www.rfc-editor.org/rfc/rfc4028#section-5
//# When present in a request or response, its value MUST NOT be less than
//# 90 seconds.
pub(crate) const LEAST: u32 = 90;

/// What a user agent wants of session timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionTimerConfig {
    /// The interval to ask for, in seconds; `None` asks for none, and grants what the peer asks for. 1800.
    pub interval: Option<u32>,
    /// The least interval to accept, in seconds; at least 90. 90.
    pub min_se: u32,
}

impl Default for SessionTimerConfig {
    fn default() -> Self {
        SessionTimerConfig { interval: Some(1800), min_se: LEAST }
    }
}

/// Who refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We do.
    Us,
    /// The peer does.
    Peer,
}

/// The timer of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SessionTimer {
    /// What was agreed: seconds and who refreshes; `None` if the session does not expire.
    agreed: Option<(u32, Role)>,
    /// The largest Min-SE seen in a 422 or in a refresh request; 0 if none was.
    min_se: u32,
}

/// The header fields of a session refresh request or of a 2xx to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Fields {
    /// Session-Expires.
    pub expires: Option<(u32, Option<Refresher>)>,
    /// Min-SE, for requests.
    pub min_se: Option<u32>,
    /// Whether `timer` belongs in Require.
    pub required: bool,
}

/// Whether the option tag `tag` stands in `header`, which is Supported, Require or the like.
pub(crate) fn has_token(message: &Message, header: Header, tag: &str) -> bool {
    message.fields(header).any(|field| lists(field, tag.as_bytes(), <[u8]>::eq_ignore_ascii_case))
}

fn expires(message: &Message) -> Option<(u32, Option<Refresher>)> {
    let value = message.value::<SessionExpires<'_>>(Header::SessionExpires).ok().flatten()?;
    Some((value.interval(), value.refresher().ok().flatten()))
}

fn min_se(message: &Message) -> Option<u32> {
    // A peer that says less may not: what is remembered of it is said again.
    message.value::<MinSe<'_>>(Header::MinSe).ok().flatten().map(|value| value.interval().max(LEAST))
}

impl SessionTimer {
    /// What was agreed: the interval and who refreshes; `None` if the session does not expire.
    pub fn agreed(&self) -> Option<(u32, Role)> {
        self.agreed
    }

    /// The fields for an INVITE, re-INVITE or UPDATE that we send (RFC 4028 sections 7.1 and 7.4).
    pub fn request(&self, config: &SessionTimerConfig) -> Fields {
        //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
        //# The UAC MUST insert the Min-SE header field into a session refresh
        //# request for a particular dialog if it has ever received a 422 response
        //# to a previous session refresh request on the same dialog, or if it has
        //# received a session refresh request on that dialog that contained a
        //# Min-SE header field.
        //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
        //# Similarly, if no dialog has been established yet, a UAC MUST insert the
        //# Min-SE header field into an INVITE request if it has ever received a 422
        //# response to a previous INVITE request with the same Call-ID.
        //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
        //# The value of the Min-SE header field present in a session refresh
        //# request MUST be the largest value among all Min-SE header field values
        //# returned in all 422 responses or received in session refresh requests,
        //# on the same dialog, if a dialog has been established.
        let min_se = (self.min_se > 0).then_some(self.min_se);
        let floor = self.min_se.max(LEAST);
        let expires = match self.agreed {
            //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
            //# In a session refresh request sent within a dialog with an active session
            //# timer, the Session-Expires header field SHOULD be present.
            //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
            //# When present, it SHOULD be equal to the maximum of the Min-SE header
            //# field (recall that its default value when not present is 90 seconds) and
            //# the current session interval.
            //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
            //# If the session refresh request is not the initial one, it is RECOMMENDED
            //# that the refresher parameter be set to 'uac' if the element sending the
            //# request is currently performing refreshes, and to 'uas' if its peer is
            //# performing the refreshes.
            Some((interval, role)) => {
                let refresher = if role == Role::Us { Refresher::Uac } else { Refresher::Uas };
                Some((interval.max(floor), Some(refresher)))
            }
            //= https://www.rfc-editor.org/rfc/rfc4028#section-7.1
            //# If a Min-SE header is included in the initial session refresh request,
            //# the value of the Session-Expires MUST be greater than or equal to the
            //# value in Min-SE.
            None => config.interval.map(|interval| (interval.max(floor), None)),
        };
        Fields { expires, min_se, required: false }
    }

    /// A 422 came: remembers its Min-SE, so that the request can be tried again. `false` if that would change nothing,
    /// so that trying again would be in vain.
    pub fn too_small(&mut self, response: &Message) -> bool {
        match min_se(response) {
            Some(least) if least > self.min_se.max(LEAST) || self.min_se == 0 => {
                self.min_se = least.max(self.min_se);
                true
            }
            _ => false,
        }
    }

    /// The 2xx to a refresh request of ours: what it agrees to (RFC 4028 section 7.2).
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.2
    //# UACs MUST be prepared to receive a Session-Expires header field in a
    //# response, even if none were present in the request.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-4
    //# In other words, SIP entities MUST be prepared to handle Session-Expires
    //# header field values of any duration greater than 90 seconds, but
    //# entities that insert the Session-Expires header field SHOULD NOT choose
    //# values of less than 30 minutes.
    pub fn accepted(&mut self, response: &Message) {
        self.agreed = expires(response).map(|(interval, refresher)| {
            //= https://www.rfc-editor.org/rfc/rfc4028#section-7.2
            //# The UAC MUST set the identity of the refresher to the value of this
            //# parameter.
            let role = if refresher == Some(Refresher::Uas) { Role::Peer } else { Role::Us };
            (interval.max(LEAST), role)
        });
    }

    /// A refresh request came in: what our 2xx will say (RFC 4028 section 9), or the Min-SE of the 422 owed.
    ///
    /// Changes nothing but what Min-SE is remembered: the agreement holds when the 2xx is sent, with
    /// [`answered`](SessionTimer::answered).
    ///
    /// # Errors
    ///
    /// The interval is below ours: answer 422 with this Min-SE.
    pub fn received(&mut self, request: &Message, config: &SessionTimerConfig) -> Result<Fields, u32> {
        let least = config.min_se.max(LEAST);
        let theirs = min_se(request);
        self.min_se = self.min_se.max(theirs.unwrap_or(0));
        let asked = expires(request);
        // Where neither side wants a timer it is all the same.
        let wanted = asked.is_some() || config.interval.is_some();
        let supported = wanted && has_token(request, Header::Supported, "timer");
        let interval = match asked {
            //= https://www.rfc-editor.org/rfc/rfc4028#section-9
            //# When sending the 422 response, the UAS MUST include a Min-SE header
            //# field with the value of its minimum interval.
            //= https://www.rfc-editor.org/rfc/rfc4028#section-9
            //# This minimum interval MUST NOT be lower than 90 seconds.
            Some((interval, _)) if supported && interval < least => return Err(least),
            //= https://www.rfc-editor.org/rfc/rfc4028#section-9
            //# The UAS MUST NOT increase the value of the Session-Expires header field.
            //= https://www.rfc-editor.org/rfc/rfc4028#section-9
            //# The UAS response MAY reduce its value but MUST NOT set it to a duration
            //# lower than the value in the Min-SE header field in the request, if it is
            //# present; otherwise the UAS MAY reduce its value but MUST NOT set it to a
            //# duration lower than 90 seconds.
            Some((interval, _)) => {
                let wanted = config.interval.unwrap_or(interval).max(theirs.unwrap_or(LEAST)).max(LEAST);
                Some(interval.min(wanted))
            }
            //= https://www.rfc-editor.org/rfc/rfc4028#section-9
            //# The value MUST NOT be set to a duration lower than the value in the
            //# Min-SE header field in the request, if it is present.
            None if supported => config.interval.map(|interval| interval.max(theirs.unwrap_or(LEAST)).max(LEAST)),
            None => None,
        };
        let Some(interval) = interval else { return Ok(Fields::default()) };
        //= https://www.rfc-editor.org/rfc/rfc4028#section-9
        //# The UAS MUST set the value of the refresher parameter in the
        //# Session-Expires header field in the 2xx response.
        let refresher = match asked.and_then(|(_, refresher)| refresher) {
            _ if !supported => Refresher::Uas,
            Some(asked) => asked,
            None => match self.agreed {
                Some((_, Role::Us)) => Refresher::Uas,
                _ => Refresher::Uac,
            },
        };
        //= https://www.rfc-editor.org/rfc/rfc4028#section-9
        //# If the refresher parameter in the Session-Expires header field in the
        //# 2xx response has a value of 'uac', the UAS MUST place a Require header
        //# field into the response with the value 'timer'.
        //= https://www.rfc-editor.org/rfc/rfc4028#section-9
        //# If the refresher parameter in the 2xx response has a value of 'uas' and
        //# the Supported header field in the request contained the value 'timer',
        //# the UAS SHOULD place a Require header field into the response with the
        //# value 'timer'.
        Ok(Fields { expires: Some((interval, Some(refresher))), min_se: None, required: supported })
    }

    /// Our 2xx with these fields is sent.
    pub fn answered(&mut self, fields: &Fields) {
        self.agreed = fields.expires.map(|(interval, refresher)| {
            (interval, if refresher == Some(Refresher::Uas) { Role::Us } else { Role::Peer })
        });
    }

    /// How long after the last refresh we refresh; `None` if we do not.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.2
    //# It is RECOMMENDED that this refresh be sent once half the session
    //# interval has elapsed.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-7.2
    //# If the UA seeks to continue with the session beyond the session
    //# expiration, it MUST generate a refresh before the session expiration.
    pub fn refresh_after(&self) -> Option<Duration> {
        match self.agreed {
            Some((interval, Role::Us)) => Some(Duration::from_millis(u64::from(interval) * 500)),
            _ => None,
        }
    }

    /// How long after the last refresh the session is over and BYE is sent; `None` if it does not expire.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-10
    //# Similarly, if the side not performing refreshes does not receive a
    //# session refresh request before the session expiration, it SHOULD send a
    //# BYE to terminate the session, slightly before the session expiration.
    //= https://www.rfc-editor.org/rfc/rfc4028#section-10
    //# The minimum of 32 seconds and one third of the session interval is
    //# RECOMMENDED.
    pub fn ends_after(&self) -> Option<Duration> {
        let (interval, role) = self.agreed?;
        let early = match role {
            Role::Us => 0,
            Role::Peer => (interval / 3).min(32),
        };
        Some(Duration::from_secs(u64::from(interval.saturating_sub(early))))
    }
}

crate::codec::wire!(
    enum Role {
        Us = 0,
        Peer = 1,
    }
);
crate::codec::wire!(struct SessionTimer { agreed, min_se });

impl Wire for Fields {
    fn write(&self, out: &mut crate::codec::Writer) {
        let expires = self.expires.map(|(interval, refresher)| (interval, refresher.map(|who| who == Refresher::Uas)));
        (expires, self.min_se, self.required).write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let (expires, min_se, required) = <(Option<(u32, Option<bool>)>, Option<u32>, bool)>::read(input)?;
        let who = |uas| if uas { Refresher::Uas } else { Refresher::Uac };
        let expires = expires.map(|(interval, refresher)| (interval, refresher.map(who)));
        Some(Fields { expires, min_se, required })
    }
}

#[cfg(test)]
mod tests;
