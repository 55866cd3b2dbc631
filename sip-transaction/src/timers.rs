//! The timers of all transactions: set, cleared and found due in constant time.
//!
//! SIP's timers last one of a dozen durations. Timers of one duration, set one after the other, come due in the
//! order they were set, so a first-in-first-out list for each duration is sorted as it grows and the next deadline of all
//! is at the head of one of them. The lists run through the nodes themselves: to clear a timer is to unlink its
//! node, and nothing of it stays behind.

use crate::cores::{FEW, NIL};
use crate::time::Instant;
use alloc::vec::Vec;

/// What a deadline is for: [`Endpoint::next_timeout_reason`](crate::Endpoint::next_timeout_reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// Retransmits an INVITE.
    A,
    /// Ends an INVITE without final response.
    B,
    /// Limits an INVITE at a proxy.
    C,
    /// Keeps an INVITE transaction to acknowledge retransmitted final responses.
    D,
    /// Retransmits a request other than INVITE.
    E,
    /// Ends a request other than INVITE without final response.
    F,
    /// Retransmits a final response to an INVITE.
    G,
    /// Ends the wait for an ACK.
    H,
    /// Absorbs retransmitted ACKs.
    I,
    /// Keeps a server transaction for retransmitted requests other than INVITE.
    J,
    /// Keeps a client transaction for retransmitted responses to requests other than INVITE.
    K,
    /// Keeps an accepted INVITE server transaction (RFC 6026).
    L,
    /// Keeps an accepted INVITE client transaction (RFC 6026).
    M,
    /// Sends 100 (Trying).
    Trying,
    /// Ends a server transaction its user does not answer.
    Answer,
    /// Gives up waiting for the end of a cancelled INVITE.
    Cancelled,
    /// Gives up waiting for a connection.
    Connect,
    /// Gives up waiting for DNS.
    Resolve,
    /// Sends a keepalive, or gives up waiting for its answer.
    Keepalive,
    /// Ends the wait on a command already carried out: output is queued.
    Output,
}

/// The durations there are. One list each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Class {
    /// T1 << 0 to T1 << 6.
    T1x1,
    T1x2,
    T1x4,
    T1x8,
    T1x16,
    T1x32,
    T1x64,
    T2,
    T4,
    C,
    D,
    Trying,
    /// Until Timer E has grown to T2.
    UntilT2,
    Answer,
    /// Deadlines brought from elsewhere: few, and sorted as they are put in.
    Odd,
}

pub(crate) const CLASSES: usize = Class::Odd as usize + 1;

impl Class {
    pub(crate) const ALL: [Class; CLASSES] = [
        Class::T1x1,
        Class::T1x2,
        Class::T1x4,
        Class::T1x8,
        Class::T1x16,
        Class::T1x32,
        Class::T1x64,
        Class::T2,
        Class::T4,
        Class::C,
        Class::D,
        Class::Trying,
        Class::UntilT2,
        Class::Answer,
        Class::Odd,
    ];

    /// T1 << `step`, at most T1 << 6.
    pub(crate) fn t1(step: u8) -> Class {
        match step {
            0 => Class::T1x1,
            1 => Class::T1x2,
            2 => Class::T1x4,
            3 => Class::T1x8,
            4 => Class::T1x16,
            5 => Class::T1x32,
            _ => Class::T1x64,
        }
    }
}

/// Each transaction has two timers at most: one to retransmit, one that bounds its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Which {
    Retransmit = 0,
    State = 1,
}

const UNSET: u8 = u8::MAX;

#[derive(Clone, Copy)]
struct Node {
    at: Instant,
    prev: u32,
    next: u32,
    class: u8,
    timer: Timer,
}

const EMPTY: Node = Node { at: Instant::ZERO, prev: NIL, next: NIL, class: UNSET, timer: Timer::Output };

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
    /// When the head is due: kept here so that finding the earliest of all heads touches no node.
    at: Instant,
}

const NONE: List = List { head: NIL, tail: NIL, at: Instant::MAX };

pub(crate) struct Timers {
    /// Two for each place in the slab of transactions.
    nodes: Vec<Node>,
    lists: [List; CLASSES],
    /// Which lists have anything in them: one bit each.
    used: u16,
    /// The earliest head of all lists: its node.
    next: u32,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Timers { nodes: Vec::new(), lists: [NONE; CLASSES], used: 0, next: NIL }
    }

    /// Whether none is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Makes room for the transaction at `index`.
    #[inline]
    pub(crate) fn reserve(&mut self, index: u32) {
        let needed = (index as usize + 1) * 2;
        if self.nodes.len() < needed {
            self.grow(needed);
        }
    }

    #[inline(never)]
    fn grow(&mut self, needed: usize) {
        self.nodes.resize(needed, EMPTY);
    }

    /// Gives memory back, if there was much of it: no timer is set and there is no transaction.
    pub(crate) fn release(&mut self) {
        if self.nodes.len() > 2 * FEW {
            self.nodes = Vec::new();
        }
    }

    #[inline]
    fn node(&self, node: u32) -> Option<&Node> {
        self.nodes.get(node as usize)
    }

    fn at(&self, node: u32) -> Instant {
        self.node(node).map_or(Instant::MAX, |node| node.at)
    }

    /// Sets a timer, in place of what was set there.
    pub(crate) fn set(&mut self, index: u32, which: Which, timer: Timer, class: Class, at: Instant) {
        let id = index * 2 + which as u32;
        let Some(node) = self.nodes.get_mut(id as usize) else { return };
        if node.class != UNSET {
            let list = self.lists[class as usize];
            // The last of its list stays that: a timer that takes the place of one just set.
            if node.class == class as u8 && list.tail == id && list.head != id && at >= node.at {
                (node.at, node.timer) = (at, timer);
                return;
            }
            self.take_out(id);
        }
        let (prev, next) = self.place(class, at);
        let Some(node) = self.nodes.get_mut(id as usize) else { return };
        *node = Node { at, prev, next, class: class as u8, timer };
        match self.nodes.get_mut(prev as usize) {
            Some(prev) => prev.next = id,
            None => {
                let list = self.list(class as u8);
                (list.head, list.at) = (id, at);
                self.used |= 1 << class as u8;
                // Only what is the first of its list can be the first of all.
                if self.next == NIL || at < self.at(self.next) {
                    self.next = id;
                }
            }
        }
        match self.nodes.get_mut(next as usize) {
            Some(next) => next.prev = id,
            None => self.list(class as u8).tail = id,
        }
    }

    /// Between which nodes of a list a deadline stands: at the end, unless the host's clock or an import brings an earlier one.
    #[inline(always)]
    fn place(&self, class: Class, at: Instant) -> (u32, u32) {
        let mut place = (self.lists[class as usize].tail, NIL);
        while let Some(node) = self.node(place.0).filter(|node| node.at > at) {
            place = (node.prev, place.0);
        }
        place
    }

    fn list(&mut self, class: u8) -> &mut List {
        let last = CLASSES - 1;
        &mut self.lists[usize::from(class).min(last)]
    }

    #[inline]
    pub(crate) fn clear(&mut self, index: u32, which: Which) {
        let id = index * 2 + which as u32;
        if self.node(id).is_some_and(|node| node.class != UNSET) {
            self.take_out(id);
        }
    }

    /// Takes out a timer that is set.
    #[inline(never)]
    fn take_out(&mut self, id: u32) {
        let Some(node) = self.nodes.get_mut(id as usize) else { return };
        let Node { prev, next, class, .. } = *node;
        node.class = UNSET;
        match self.nodes.get_mut(prev as usize) {
            Some(prev) => prev.next = next,
            None => {
                let at = self.at(next);
                let list = self.list(class);
                (list.head, list.at) = (next, at);
            }
        }
        match self.nodes.get_mut(next as usize) {
            Some(next) => next.prev = prev,
            None => self.list(class).tail = prev,
        }
        if prev == NIL {
            if next == NIL {
                self.used &= !(1 << class);
            }
            if self.next == id {
                self.find_next();
            }
        }
    }

    fn find_next(&mut self) {
        let (mut best, mut left) = (NONE, self.used);
        while let Some(list) = self.lists.get(left.trailing_zeros() as usize) {
            if best.head == NIL || list.at < best.at {
                best = *list;
            }
            left &= left - 1;
        }
        self.next = best.head;
    }

    /// The next deadline and what it is for.
    #[inline]
    pub(crate) fn next(&self) -> Option<(Instant, Timer)> {
        self.node(self.next).map(|node| (node.at, node.timer))
    }

    /// Takes off the next timer that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(u32, Timer)> {
        let node = *self.node(self.next)?;
        if node.at > now {
            return None;
        }
        let index = self.next / 2;
        self.take_out(self.next);
        Some((index, node.timer))
    }

    /// When and for what a timer is set.
    pub(crate) fn get(&self, index: u32, which: Which) -> Option<(Instant, Timer)> {
        self.node(index * 2 + which as u32).filter(|node| node.class != UNSET).map(|node| (node.at, node.timer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Timers {
        fn len(&self) -> usize {
            self.nodes.iter().filter(|node| node.class != UNSET).count()
        }
    }

    fn ms(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn due_timers_come_in_the_order_of_their_deadlines() {
        let mut timers = Timers::new();
        timers.reserve(3);
        timers.set(0, Which::State, Timer::B, Class::T1x64, ms(32_000));
        timers.set(0, Which::Retransmit, Timer::A, Class::T1x1, ms(500));
        timers.set(1, Which::Retransmit, Timer::E, Class::T1x1, ms(700));
        timers.set(2, Which::Retransmit, Timer::E, Class::T1x1, ms(600));
        assert_eq!(timers.next(), Some((ms(500), Timer::A)));
        assert_eq!(timers.pop(ms(499)), None);
        assert_eq!(timers.pop(ms(700)), Some((0, Timer::A)));
        assert_eq!(timers.pop(ms(700)), Some((2, Timer::E)), "sorted though set later");
        timers.clear(1, Which::Retransmit);
        assert_eq!(timers.pop(ms(700)), None);
        assert_eq!(timers.next(), Some((ms(32_000), Timer::B)));
        timers.clear(0, Which::State);
        assert_eq!((timers.next(), timers.len()), (None, 0));
        assert!(timers.is_empty());
    }

    #[test]
    fn classes_are_listed_by_their_numbers() {
        assert!(Class::ALL.iter().enumerate().all(|(at, class)| at == *class as usize));
    }

    #[test]
    fn setting_again_moves_a_timer() {
        let mut timers = Timers::new();
        timers.reserve(0);
        timers.set(0, Which::State, Timer::C, Class::C, ms(10));
        timers.set(0, Which::State, Timer::C, Class::C, ms(20));
        assert_eq!(timers.len(), 1);
        assert_eq!(timers.get(0, Which::State), Some((ms(20), Timer::C)));
        assert_eq!(timers.pop(ms(15)), None);
        // Behind another of its list: later where it stands, earlier in front.
        timers.reserve(1);
        timers.set(1, Which::State, Timer::B, Class::C, ms(30));
        timers.set(1, Which::State, Timer::C, Class::C, ms(40));
        assert_eq!(timers.get(1, Which::State), Some((ms(40), Timer::C)));
        assert_eq!((timers.len(), timers.next()), (2, Some((ms(20), Timer::C))));
        timers.set(1, Which::State, Timer::B, Class::C, ms(15));
        assert_eq!(timers.pop(ms(15)), Some((1, Timer::B)));
        assert_eq!(timers.pop(ms(20)), Some((0, Timer::C)));
        assert_eq!((timers.len(), timers.next()), (0, None));
    }
}
