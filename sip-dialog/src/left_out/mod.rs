//! What the RFCs ask for and this crate leaves to others, each with the reason. There is no code here.

mod security;
mod sessions;
mod usages;
