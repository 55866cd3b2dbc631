//! What a shard needs of the world: sockets, connections, names, and the other shards. In a running server these are tokio's.

use crate::link::ToShard;
use crate::log::log;
use crate::stream::{self, Hall};
use sip_transaction::{FlowId, QueryId, RecordKind, Transport};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Carries out what a shard wants. Nothing waits; what comes of it is told to the shard later.
pub(crate) trait Host {
    /// Sends a datagram on a socket. `false`: the system does not take it.
    fn send(&mut self, socket: usize, remote: SocketAddr, bytes: &[u8]) -> bool;

    /// Opens a connection.
    fn connect(&mut self, flow: FlowId, transport: Transport, remote: SocketAddr, server_name: Option<String>);

    /// Asks DNS.
    fn resolve(&mut self, query: QueryId, name: String, kind: RecordKind);

    /// Tells another shard something.
    fn tell(&mut self, shard: usize, what: ToShard);
}

/// The host of a running server.
pub(crate) struct Live {
    pub(crate) index: usize,
    /// To send on. Not tokio's: those refuse to before they have waited once, and the first messages would be lost.
    pub(crate) sockets: Vec<UdpSocket>,
    pub(crate) hall: Arc<Hall>,
    /// Where connections and DNS questions run.
    pub(crate) io: Handle,
    /// A number for the next DNS question, hard to guess.
    pub(crate) question: u64,
}

impl Host for Live {
    fn send(&mut self, socket: usize, remote: SocketAddr, bytes: &[u8]) -> bool {
        let Some(socket) = self.sockets.get(socket) else { return false };
        match socket.send_to(bytes, remote) {
            Ok(_) => true,
            // A full buffer is a loss like any other on the way: retransmissions make good for it.
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            // It may have failed for a datagram that was sent before (`keep_undelivered`): then it does so once.
            Err(_) => socket.send_to(bytes, remote).is_ok(),
        }
    }

    fn connect(&mut self, flow: FlowId, transport: Transport, remote: SocketAddr, server_name: Option<String>) {
        self.io.spawn(stream::connect(self.hall.clone(), self.index, flow, transport, remote, server_name));
    }

    fn resolve(&mut self, query: QueryId, name: String, kind: RecordKind) {
        self.question = self.question.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = (self.question >> 48) as u16;
        let (shards, index) = (self.hall.shards.clone(), self.index);
        self.io.spawn(async move {
            let records = hosting::resolve(&name, kind, id).await;
            log!(Debug, "DNS: {kind:?} {name}: {} records", records.as_ref().map_or(0, Vec::len));
            shards.tell(index, ToShard::Resolved { query, records }).await;
        });
    }

    fn tell(&mut self, shard: usize, what: ToShard) {
        let shards = self.hall.shards.clone();
        self.io.spawn(async move { shards.tell(shard, what).await });
    }
}
