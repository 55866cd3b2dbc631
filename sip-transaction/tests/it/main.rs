//! The tests of the endpoint, one behaviour a module. They are one program, so that they are linked once.

mod basic_flows;
mod cancel;
mod chaos;
mod common;
mod export;
mod flows;
mod invite_udp;
mod keepalive;
mod limits;
mod locate;
mod loss;
mod matching;
mod noninvite_udp;
mod observability;
mod overload;
mod races;
mod record;
mod reliable;
mod reply;
mod transport_udp;
mod turned_away;
