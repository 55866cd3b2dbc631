//! The tests against real peers, one kind of peer a module. They are one program, so that they are linked once, and so that what
//! they start is looked for once.

mod autobahn;
mod browser;
mod browser_calls;
mod browser_sipp;
mod harness;
mod softphone;
mod softphone_baresip;
mod softphone_kamailio;
mod softphone_media;
mod softphone_presence;
mod softphone_sipp;
mod softphone_softswitch;
mod softphone_tshark;
mod softswitch_redis;
mod softswitch_restart;
mod softswitch_sipp;
mod softswitch_trace;
mod softswitch_tshark;
mod telephones;
