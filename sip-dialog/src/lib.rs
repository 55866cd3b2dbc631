//! SIP dialogs and user-agent logic: calls, registrations, subscriptions, transfer, authentication; sans-IO.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod agent;
mod auth;
mod body;
mod call;
mod config;
mod deadlines;
mod dialog;
mod dtmf;
mod error;
mod event;
mod glare;
mod id;
mod offer_answer;
mod origin;
mod publication;
mod refer;
mod registration;
mod request;
pub mod sdp;
mod session_timer;
mod subscription;
mod user_agent;

pub use agent::UserAgentCore;
pub use auth::{Credentials, Keyring, Secret};
pub use body::{Body, carries_session};
pub use call::callee::{Progress, Reply};
pub use call::caller::Invite;
pub use call::{CallInfo, CallState, Role};
pub use config::{Limits, Redirect, RegistrationConfig, Reliable, Serves, UserAgentConfig};
pub use dialog::{Damage, Dialog, Order, damage};
pub use dtmf::Tone;
pub use error::{CommandError, DialogError};
pub use event::{
    CallEvent, EndCause, Event, Owner, PublicationEnd, PublicationEvent, RegistrationEnd, RegistrationEvent,
    RequestEvent, SubscriptionEnd, SubscriptionEvent,
};
pub use id::{CallHandle, DialogId, PublicationId, RegistrationId, RequestId, SubscriptionId};
pub use offer_answer::{Glare, Meaning, OfferAnswer, Place};
pub use origin::{ExtraHeaders, Origin};
pub use publication::Publish;
pub use refer::{Refer, sipfrag_status};
pub use registration::{Register, RegistrationInfo};
pub use request::OutgoingRequest;
pub use session_timer::{Fields as SessionTimerFields, Role as Refresher, SessionTimer, SessionTimerConfig};
pub use subscription::{Subscribe, Termination};
pub use user_agent::{Output, UserAgent};
