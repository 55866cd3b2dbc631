//! DNS from a script.

use core::net::IpAddr;
use core::time::Duration;
use sip_transaction::{Record, RecordData, RecordKind};
use std::collections::{BTreeMap, BTreeSet};

/// The records there are. What is not there does not exist.
#[derive(Clone, Debug, Default)]
pub struct Dns {
    records: BTreeMap<(String, RecordKind), Vec<Record>>,
    broken: BTreeSet<String>,
    /// How often each name was asked for.
    asked: BTreeMap<(String, RecordKind), usize>,
}

/// The TTL of records made here.
const TTL: Duration = Duration::from_secs(3600);

impl Dns {
    /// Adds an A or AAAA record.
    ///
    /// # Panics
    ///
    /// `address` is none.
    pub fn address(&mut self, name: &str, address: &str) -> &mut Self {
        let ip: IpAddr = address.parse().unwrap_or_else(|_| panic!("{address} is no address"));
        let kind = if ip.is_ipv4() { RecordKind::A } else { RecordKind::Aaaa };
        self.record(name, kind, RecordData::Address(ip))
    }

    /// Adds an SRV record.
    pub fn srv(&mut self, name: &str, priority: u16, weight: u16, port: u16, target: &str) -> &mut Self {
        let data = RecordData::Srv { priority, weight, port, target: target.into() };
        self.record(name, RecordKind::Srv, data)
    }

    /// Adds a NAPTR record of SIP's form.
    pub fn naptr(&mut self, name: &str, order: u16, preference: u16, service: &str, replacement: &str) -> &mut Self {
        let data = RecordData::Naptr {
            order,
            preference,
            flags: "s".into(),
            service: service.into(),
            regexp: String::new(),
            replacement: replacement.into(),
        };
        self.record(name, RecordKind::Naptr, data)
    }

    fn record(&mut self, name: &str, kind: RecordKind, data: RecordData) -> &mut Self {
        self.records.entry((name.into(), kind)).or_default().push(Record { ttl: TTL, data });
        self
    }

    /// Lets questions for a name fail, as with a server that does not answer.
    pub fn fail(&mut self, name: &str) -> &mut Self {
        self.broken.insert(name.into());
        self
    }

    /// The answer; `None` if it fails.
    pub fn answer(&mut self, name: &str, kind: RecordKind) -> Option<Vec<Record>> {
        *self.asked.entry((name.into(), kind)).or_default() += 1;
        if self.broken.contains(name) {
            return None;
        }
        Some(self.records.get(&(name.into(), kind)).cloned().unwrap_or_default())
    }

    /// How often a question was asked.
    pub fn times_asked(&self, name: &str, kind: RecordKind) -> usize {
        self.asked.get(&(name.into(), kind)).copied().unwrap_or_default()
    }
}
