//! For authors of cores: the parts that every table of this family is built from.
//!
//! A core keeps things of its own beside the endpoint's transactions (dialogs, response contexts, bindings) and gives its user ids for
//! them. [`declare_ids`] makes the types of such ids, [`Slab`] holds what they name, [`HashKey`] hashes what peers choose and
//! [`IdHash`] what the core has chosen itself. [`Writer`] and [`Reader`] are how its state leaves and comes back. [`escape_xml`] is for those that write documents,
//! [`decimal`] for numbers in header fields.
//!
//! ```
//! use sip_transaction::cores::{HashKey, Id, Slab};
//! sip_transaction::declare_ids! {
//!     /// A call that is parked.
//!     pub ParkedId = "parked";
//! }
//! let mut parked: Slab<ParkedId, &str> = Slab::new();
//! let id = parked.insert("alice").expect("room for one");
//! assert_eq!(id.to_string(), "parked0.1");
//! assert_eq!(ParkedId::from_bits(id.to_bits()), Some(id));
//! assert_eq!(parked.remove(id), Some("alice"));
//! assert_eq!(parked.get(id), None, "a stale id names nothing");
//!
//! // A table of names that peers choose: its key comes from the core's seed.
//! let mut names = hashbrown::HashMap::with_hasher(HashKey::new([7; 16]));
//! names.insert("sip:alice@example.com", id);
//! ```
//!
//! What is here owns no protocol and knows no message.

mod codec;
mod decimal;
mod hash;
mod id;
mod slab;
mod xml;

pub use crate::declare_ids;
pub use codec::{Reader, Writer};
pub use decimal::decimal;
pub use hash::{HashKey, IdHash, IdHasher, SipHasher};
pub use id::{Id, Key};
pub use slab::Slab;
pub(crate) use slab::{FEW, NIL};
pub use xml::escape_xml;
