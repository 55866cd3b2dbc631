//! One transaction as it is kept: plain data, no pointers.

use crate::cores::NIL;
use crate::destination::Target;
use crate::held::Held;
use crate::id::FlowId;
use crate::machine::{invite_client, invite_server, noninvite_client, noninvite_server};
use crate::output::FailCause;
use crate::transport::Transport;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use sip_message::Message;

/// Which machine, and its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Machine {
    /// A client transaction whose target is not known or not connected yet.
    Locating {
        invite: bool,
    },
    InviteClient(invite_client::State),
    NonInviteClient(noninvite_client::State),
    InviteServer(invite_server::State),
    NonInviteServer(noninvite_server::State),
    /// Something sent without a transaction, whose target is not known or not connected yet.
    Sending,
}

impl Machine {
    pub(crate) fn is_client(self) -> bool {
        matches!(self, Machine::Locating { .. } | Machine::InviteClient(_) | Machine::NonInviteClient(_))
    }

    pub(crate) fn is_server(self) -> bool {
        matches!(self, Machine::InviteServer(_) | Machine::NonInviteServer(_))
    }
}

/// Yes-or-no facts about a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Flags(pub(crate) u16);

impl Flags {
    /// The endpoint's own: a CANCEL, or what is left of an attempt that failed over. Its user hears nothing of it.
    pub(crate) const HIDDEN: u16 = 1;
    /// Client INVITE: a CANCEL waits for a provisional response.
    pub(crate) const CANCEL_WAITS: u16 = 2;
    /// Client INVITE: a CANCEL has been sent.
    pub(crate) const CANCELLED: u16 = 4;
    /// Server INVITE: the 2xx is retransmitted until acknowledged.
    pub(crate) const UNTIL_ACK: u16 = 8;
    /// Client: something has been received from the peer; no failover any more.
    pub(crate) const HEARD: u16 = 16;
    /// Pinned to its flow by the user: no other target.
    pub(crate) const PINNED: u16 = 32;
    /// Server: the 408 to an INVITE its user never answered has been sent.
    pub(crate) const UNANSWERED: u16 = 64;
    /// Server: the response is on its way to another address than that of the request's flow.
    pub(crate) const DETOUR: u16 = 128;
    /// Client INVITE: Timer C is wanted.
    pub(crate) const TIMER_C: u16 = 256;
    /// Server: where the response goes by DNS has been asked for.
    pub(crate) const ASKED: u16 = 512;

    /// Client: the request is this endpoint's own, with no Via but the one put on here.
    pub(crate) const ORIGIN: u16 = 1024;

    pub(crate) fn has(self, flag: u16) -> bool {
        self.0 & flag != 0
    }

    pub(crate) fn set(&mut self, flag: u16) {
        self.0 |= flag;
    }

    pub(crate) fn clear(&mut self, flag: u16) {
        self.0 &= !flag;
    }
}

/// One transaction.
pub(crate) struct Tx {
    /// What messages are matched by; 0 while in no table.
    pub(crate) tag: u128,
    pub(crate) machine: Machine,
    pub(crate) flags: Flags,
    /// How often the retransmission timer fired.
    pub(crate) step: u8,
    pub(crate) transport: Transport,
    /// Server: which counter of live transactions by source it is in.
    pub(crate) source: u16,
    /// Server: the TTL for a response to a multicast group.
    pub(crate) ttl: Option<u8>,
    /// The flow it uses; `None` if that ended.
    pub(crate) flow: Option<FlowId>,
    /// Sent without a transaction: its [`SendId`](crate::SendId).
    pub(crate) send: u64,
    /// Neighbours in the list of those that use the flow.
    pub(crate) prev: u32,
    pub(crate) next: u32,
    pub(crate) remote: SocketAddr,
    /// Client: the request as sent. Server: the request as it came, until it has its final response.
    pub(crate) message: Held,
    /// Client INVITE: the ACK. Server: the last response, as far as it may be needed again.
    pub(crate) last: Held,
    /// What most transactions do not need.
    pub(crate) more: Option<Box<More>>,
}

/// The rare parts of a transaction.
#[derive(Default)]
pub(crate) struct More {
    /// The request without our Via, while it waits for its target.
    pub(crate) unsent: Option<Box<Message>>,
    /// A branch the user chose.
    pub(crate) branch: Option<Box<str>>,
    /// Targets not yet tried.
    pub(crate) targets: VecDeque<Target>,
    /// The target being tried.
    pub(crate) target: Option<Target>,
    /// The target in UDP to come back to if TCP, taken for size, cannot be had.
    pub(crate) smaller: Option<Target>,
    /// Why the last target failed.
    pub(crate) cause: Option<FailCause>,
    /// The Reason of a CANCEL that waits.
    pub(crate) reason: Option<Box<str>>,
}

impl Tx {
    pub(crate) fn new(machine: Machine) -> Tx {
        Tx {
            tag: 0,
            machine,
            flags: Flags::default(),
            step: 0,
            transport: Transport::Udp,
            source: u16::MAX,
            ttl: None,
            flow: None,
            send: 0,
            prev: NIL,
            next: NIL,
            remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            message: Held::NOTHING,
            last: Held::NOTHING,
            more: None,
        }
    }

    /// Whether it has not been sent yet.
    pub(crate) fn waits(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.unsent.is_some())
    }

    pub(crate) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_with(Box::default)
    }
}
